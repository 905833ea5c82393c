"""The alert desk through months on a virtual clock: nobody is forgotten, and nobody told twice without a cause."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter

import pytest

from simulation.desk_mistakes import MISTAKES, NONE
from simulation.desk_runs import COMMAND, find_mistakes, run_many, run_seed
from trials import LONG, SEED, publish, trials

pytestmark = pytest.mark.simulation
SEEDS = trials(6, 2000)
_SEEDS_A_MISTAKE = 100  # which is found within some ten


@pytest.mark.timeout(14_400 if LONG else 600)
def test_every_promise_of_the_desk_holds_for_every_seed() -> None:
    began = time.monotonic()
    runs = run_many(range(SEED, SEED + SEEDS))
    broken = [run for run in runs if run.violation]
    told = "\n".join(f"{run.violation.strip()}\n    {COMMAND} {run.seed}" for run in broken)
    assert not broken, f"{len(broken)} seeds broke a promise\n{told}"
    assert len(runs) == SEEDS
    counts: Counter[str] = Counter()
    for run in runs:
        counts.update(run.counts)
    assert counts["kills"]
    assert counts["steps"]
    publish(
        "desk-simulation",
        seeds=SEEDS,
        violations=len(broken),
        months=round(sum(run.days for run in runs) / 30, 1),
        **counts,
        seconds=round(time.monotonic() - began),
    )


@pytest.mark.timeout(1800)
def test_every_mistake_planted_into_the_desk_is_found() -> None:
    names = [name for name in MISTAKES if name != NONE]
    last = find_mistakes(names, range(SEED, SEED + _SEEDS_A_MISTAKE), days=2)
    missed = [name for name in names if not last[name].violation]
    assert not missed, f"not found within {_SEEDS_A_MISTAKE} seeds: {missed}"
    bugs = {name: last[name].violation for name in names if last[name].is_bug}
    assert not bugs, "a mistake is found by the promise that it breaks, not because it cannot run"
    publish("desk-simulation-mistakes", mistakes={name: last[name].seed - SEED + 1 for name in names})


def test_a_seed_of_the_desk_is_one_run_for_ever() -> None:
    first = run_seed(SEED, days=1)
    assert run_seed(SEED, days=1).digest == first.digest
    assert run_seed(SEED + 1, days=1).digest != first.digest
    environment = os.environ | {"PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "simulation.desk_runs", str(SEED), "--lines", "1", "--days", "1"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert f"digest {first.digest}" in shown.stdout
