"""Seeds of the desk's simulation over two processes; `python -m simulation.desk_runs SEED` repeats one."""

from __future__ import annotations

import argparse
import gc
import hashlib
import logging
import multiprocessing
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from simulation.desk_mistakes import MISTAKES, NONE
from simulation.desk_promises import check_end, check_now
from simulation.desk_world import DAY_S, DAYS, BrokenPromiseError, Site
from simulation.many import PROCESSES, in_memory

COMMAND = "PYTHONPATH=tests python -m simulation.desk_runs"
_CHUNK = 5


@dataclass(frozen=True, slots=True)
class Run:
    """`violation`: the promise that was broken, or the traceback of a bug (`is_bug`); empty: all held."""

    seed: int
    violation: str
    counts: dict[str, int]
    days: float
    digest: str
    cpu_s: float
    lines: tuple[str, ...] = ()
    is_bug: bool = False


@cache
def _site() -> tuple[Site, tempfile.TemporaryDirectory[str]]:
    """Of this process; the folder goes with it."""
    folder = tempfile.TemporaryDirectory(prefix="hearthline-desk-", dir=in_memory())
    return Site(Path(folder.name)), folder


def run_seed(seed: int, mistake: str = NONE, days: float = DAYS) -> Run:
    began = time.process_time()
    world, violation, is_bug = _site()[0].fresh(seed), "", False
    try:
        with MISTAKES[mistake]():
            world.live(days * DAY_S, check_now)
            world.heal()
            check_end(world)
    except BrokenPromiseError as error:
        violation = str(error)
    except Exception:  # noqa: BLE001  a bug of product or simulation is told with its seed, as a broken promise is
        violation, is_bug = traceback.format_exc(), True
    with world.database.reading() as connection:
        alerts = connection.exec_driver_sql("SELECT count(*) FROM alert").scalar_one()
        steps = connection.exec_driver_sql("SELECT count(*) FROM journal WHERE kind = 'escalated'").scalar_one()
    counts = dict(world.counts) | {"alerts": alerts, "steps": steps}
    told = "\n".join([*world.lines, *(f"{each.at_s:.3f} {each.key}" for each in world.told)])
    digest = hashlib.sha256(told.encode()).hexdigest()[:16]
    cpu_s = time.process_time() - began
    return Run(seed, violation, counts, world.now_s / DAY_S, digest, cpu_s, tuple(world.lines), is_bug)


def run_some(seeds: Sequence[int], mistake: str = NONE, days: float = DAYS) -> list[Run]:
    """Up to the first broken promise."""
    logging.disable(logging.CRITICAL)
    gc.disable()
    runs = []
    try:
        for seed in seeds:
            runs.append(run_seed(seed, mistake, days))
            gc.collect(0)
            if runs[-1].violation:
                break
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)
    return runs


def run_many(seeds: Sequence[int]) -> list[Run]:
    chunks = [seeds[at : at + _CHUNK] for at in range(0, len(seeds), _CHUNK)]
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        return [run for runs in pool.map(run_some, chunks) for run in runs]


def find_mistakes(names: Sequence[str], seeds: Sequence[int], days: float) -> dict[str, Run]:
    """For each mistake its last run: the first that broke a promise, if one did."""
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        found = pool.map(run_some, [seeds] * len(names), names, [days] * len(names))
        return {name: runs[-1] for name, runs in zip(names, found, strict=True)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--mistake", choices=sorted(MISTAKES), default=NONE)
    parser.add_argument("--lines", type=int, default=0, help="show only the last so many of what happened")
    parser.add_argument("--days", type=float, default=DAYS)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    run = run_seed(arguments.seed, arguments.mistake, arguments.days)
    for line in run.lines[-arguments.lines :]:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"seed {run.seed}: {run.violation or 'every promise held'}\n")
    sys.stdout.write(f"{run.days:.1f} days, {run.counts}, digest {run.digest}, {run.cpu_s:.2f} s of CPU\n")
    return 1 if run.violation else 0


if __name__ == "__main__":
    sys.exit(main())
