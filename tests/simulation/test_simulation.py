"""Agent, ingester and desk under faults of one seed each: every promise holds, and a seed is one run for ever."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time

import pytest

from simulation.loop import Deadlock, JumpingLoop
from simulation.many import run_many, run_some
from simulation.replay import COMMAND
from trials import LONG, SEED, publish, trials

pytestmark = pytest.mark.simulation
SEEDS = trials(100, 10_000)


@pytest.mark.timeout(7200 if LONG else 600)
def test_every_promise_holds_for_every_seed() -> None:
    began = time.monotonic()
    results = list(run_many(range(SEED, SEED + SEEDS)))
    broken = [result for result in results if result.violation]
    told = "\n".join(f"{result.violation.strip()}\n    {COMMAND} {result.seed}" for result in broken)
    assert not broken, f"{len(broken)} seeds broke a promise\n{told}"
    assert len(results) == SEEDS
    publish(
        "simulation",
        seeds=SEEDS,
        violations=len(broken),
        virtual_hours=round(sum(result.virtual_s for result in results) / 3600, 1),
        presses=sum(result.presses for result in results),
        events=sum(result.committed for result in results),
        faults=sum(result.faults for result in results),
        seconds=round(time.monotonic() - began),
        cpu_ms_per_seed=round(sum(result.cpu_s for result in results) / SEEDS * 1000),
    )


def test_a_seed_gives_the_same_run_to_the_byte() -> None:
    seeds = range(SEED, SEED + 4)
    first = [result.digest for result in run_some(seeds)]
    again = [result.digest for result in run_some(seeds)]
    assert first == again
    assert len(set(first)) == len(first)
    environment = os.environ | {"PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = [sys.executable, "-m", "simulation.replay", str(SEED), "--lines", "1"]
    elsewhere = subprocess.run(run, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert f"digest {first[0]}" in elsewhere.stdout, "another process, and another order of sets, made another run"


def test_the_clock_jumps() -> None:
    loop = JumpingLoop()

    async def a_year() -> float:
        await asyncio.sleep(365 * 86400)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    try:
        assert loop.run_until_complete(a_year()) == 365 * 86400
    finally:
        loop.close()
    assert time.monotonic() - began < 10


def test_tasks_that_wait_for_ever_are_told() -> None:
    loop = JumpingLoop()
    waiting = loop.create_task(_for_ever())
    try:
        with pytest.raises(Deadlock, match="everything waits for ever"):
            loop.run_until_complete(waiting)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(waiting)
    finally:
        loop.close()


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()
