"""Many seeds, over two processes: each has a folder of its own in memory, and its own site."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

from simulation.center import Site
from simulation.mutation import MUTATIONS
from simulation.world import GATEWAYS, Result, run_seed

PROCESSES = 2
_CHUNK = 25


def in_memory() -> str | None:
    """Where a folder costs no disk; the simulation cuts no power."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@cache
def _site() -> tuple[Site, tempfile.TemporaryDirectory[str]]:
    """Of this process; the folder goes with it."""
    folder = tempfile.TemporaryDirectory(prefix="hearthline-simulation-", dir=in_memory())
    return Site(Path(folder.name), GATEWAYS), folder


def run_some(seeds: Sequence[int], mutation: str = "none") -> list[Result]:
    """One after the other, up to the first broken promise. The cyclic collector waits until they are over."""
    logging.disable(logging.CRITICAL)
    gc.disable()
    results = []
    try:
        for seed in seeds:
            results.append(run_seed(seed, _site()[0], MUTATIONS[mutation]))
            if results[-1].violation:
                break
    finally:
        gc.enable()
        gc.collect()  # tells of futures that nobody asked for any more
        logging.disable(logging.NOTSET)
    return results


def run_many(seeds: Sequence[int]) -> Iterator[Result]:
    chunks = [seeds[at : at + _CHUNK] for at in range(0, len(seeds), _CHUNK)]
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        for results in pool.map(run_some, chunks):
            yield from results


def find_mistakes(mutations: Sequence[str], seeds: Sequence[int]) -> dict[str, Result]:
    """For each mistake its last run: the first that broke a promise, if one did."""
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        found = pool.map(run_some, [seeds] * len(mutations), mutations)
        return {name: results[-1] for name, results in zip(mutations, found, strict=True)}
