"""Signs of life: a device that is heard but has nothing new to say is told of by a reading, once an hour at most.

The center calls a device silent that it does not hear; a detector that only repeats its state gives no value for hours.
What the telemetry lane carries of a device says the same, so that no sign is added to it. It is no event: a sign that
is lost is made good by the next, and none stands before an alarm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from hearthline.clock import NS, Stamp
from hearthline.model import SIGN_OF_LIFE, Reading
from hearthline_edge.devices import Item, Readings, Seen

EVERY_S: Final = 3600.0
MOST: Final = 256  # devices of one source an hour: a receiver hears the whole street, and each phone that goes by

_REMEMBERED: Final = 4096


@dataclass(slots=True)
class SignsOfLife:
    """Of one source. What it remembers is lost at a restart, which costs a sign more."""

    _told: dict[str, int] = field(default_factory=dict)  # device -> when it last went up, by the monotonic clock
    _signs: list[int] = field(default_factory=list)  # when the last ones were given

    def of(self, items: tuple[Item, ...], now: Stamp) -> tuple[Item, ...]:
        """The readings among these, with a sign of each device that has none and was not told of for an hour."""
        if len(self._told) > _REMEMBERED:
            self._told.clear()
        for item in items:
            if isinstance(item, Readings):
                self._told.update(dict.fromkeys((reading.device for reading in item.readings), now.mono_ns))
        kept: list[Item] = [item for item in items if isinstance(item, Readings)]
        kept += [Readings((Reading(device, SIGN_OF_LIFE, 1.0, "/"),)) for device in self._due(items, now.mono_ns)]
        return tuple(kept)

    def _due(self, items: tuple[Item, ...], mono_ns: int) -> Iterator[str]:
        for item in items:
            if not isinstance(item, Seen) or self._is_recent(item.device, mono_ns):
                continue
            self._told = {device: at for device, at in self._told.items() if _is_fresh(at, mono_ns)}
            self._signs = [at for at in self._signs if _is_fresh(at, mono_ns)]
            if len(self._signs) < MOST:
                self._signs.append(mono_ns)
                self._told[item.device] = mono_ns
                yield item.device

    def _is_recent(self, device: str, mono_ns: int) -> bool:
        at = self._told.get(device)
        return at is not None and _is_fresh(at, mono_ns)


def _is_fresh(at_ns: int, mono_ns: int) -> bool:
    return mono_ns - at_ns < EVERY_S * NS
