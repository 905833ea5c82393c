"""Maintenance and absence: what staff have declared for a while, for a community, a home or a gateway.

maintenance .. no silence is raised in its scope, of whatever machine; its end gives every period anew
absence ...... of a home: what is worn, moves or measures may be silent; the gateway and the detectors may not

Neither ever holds back a press, and neither closes anything that is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from hearthline_cloud.alerts.intervals import Interval


class Declared(StrEnum):
    MAINTENANCE = "maintenance"
    ABSENCE = "absence"


class Scope(StrEnum):
    COMMUNITY = "community"
    HOME = "home"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway is; None for what is not registered."""

    gateway: str | None
    home: str | None = None
    community: str | None = None

    @property
    def scopes(self) -> tuple[tuple[Scope, str | None], ...]:
        return ((Scope.GATEWAY, self.gateway), (Scope.HOME, self.home), (Scope.COMMUNITY, self.community))


@dataclass(frozen=True, slots=True)
class Window:
    """From `from_ns` until `to_ns`, which is the time that it was ended early, if it was."""

    what: Declared
    scope: Scope
    scope_id: str
    from_ns: int
    to_ns: int


class Windows:
    """Declared windows, to be asked for a place."""

    def __init__(self, windows: Iterable[Window]) -> None:
        self._by_scope: dict[tuple[Declared, Scope, str], list[Window]] = {}
        for window in windows:
            self._by_scope.setdefault((window.what, window.scope, window.scope_id), []).append(window)

    def __bool__(self) -> bool:
        return bool(self._by_scope)

    def of(self, what: Declared, place: Place) -> list[Interval]:
        """Every one of them that holds for the place."""
        if not self._by_scope:
            return []
        found = (self._by_scope.get((what, scope, name), ()) for scope, name in place.scopes if name is not None)
        return [(window.from_ns, window.to_ns) for windows in found for window in windows]

    def until(self, what: Declared, place: Place, now_ns: int) -> int | None:
        """Until when one holds at `now_ns`; None: none does."""
        ends = [end for begin, end in self.of(what, place) if begin <= now_ns < end]
        return max(ends, default=None)

    def last_end(self, what: Declared, place: Place, now_ns: int) -> int:
        """When the last one ended; 0 when none did."""
        return max((end for begin, end in self.of(what, place) if begin < end <= now_ns), default=0)
