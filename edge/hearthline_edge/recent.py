"""What a session knows of each device, bounded: names without end must not grow memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")
MOST_DEVICES: Final = 1000  # beyond any home


class Recent(dict[str, T]):
    """By name, the one heard of least recently first; it is forgotten for one too many."""

    def __init__(self, make: Callable[[], T], most: int = MOST_DEVICES) -> None:
        super().__init__()
        self._make = make
        self._most = most

    def of(self, name: str) -> T:
        """What is known of it, made anew when that is nothing. It is the one heard of last from now on."""
        known = self.pop(name) if name in self else self._make()
        self[name] = known
        if len(self) > self._most:
            del self[next(iter(self))]
        return known
