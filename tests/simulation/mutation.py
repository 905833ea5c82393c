"""A mistake planted into the product's objects, to see whether the simulation finds it. The product has no option."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hearthline_edge.agent import Agent
from simulation.center import Ingester


def _nothing(_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Mutation:
    """`on_agent`, `on_ingester`: called with each one made, before it runs."""

    name: str
    on_agent: Callable[[Agent], None] = _nothing
    on_ingester: Callable[[Ingester], None] = _nothing


NONE = Mutation("none")
MUTATIONS = {NONE.name: NONE}
