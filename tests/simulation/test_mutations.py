"""What the simulation is worth: mistakes planted into the product's objects are found, each by some of a few seeds."""

from __future__ import annotations

import pytest

from simulation.many import find_mistakes
from simulation.mutation import MUTATIONS, NONE
from trials import SEED, publish

pytestmark = pytest.mark.simulation
SEEDS = 100


@pytest.mark.timeout(900)
def test_every_planted_mistake_is_found() -> None:
    names = [name for name in MUTATIONS if name != NONE.name]
    last = find_mistakes(names, range(SEED, SEED + SEEDS))
    missed = [name for name in names if not last[name].violation]
    assert not missed, f"not found within {SEEDS} seeds: {missed}"
    by_bugs_alone = [name for name in names if "Traceback" in last[name].violation]
    assert not by_bugs_alone, f"these broke the simulation itself: {by_bugs_alone}"
    publish("simulation-mutations", mutations={name: last[name].seed - SEED + 1 for name in names})
