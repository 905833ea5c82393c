"""A change of something that the home hears or sees: a siren or a relay."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutputChange:
    """An output went on or off at `wall_ns`. `mode` says how it sounds, when it can sound in more ways than one."""

    output: str
    on: bool
    wall_ns: int
    mode: str | None = None
