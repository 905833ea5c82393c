"""What the test knows of an outbox from what was told, and whether the outbox agrees after a cut.

A row whose commit was told must be there with the same number and id, or a removal was begun; a removal that was told
must have stayed. A row that is there and was not told was committed in the moment of the cut: it counts from then on.
"""

from __future__ import annotations

from typing import Any

from power.told import Line

ROWS = frozenset({"event", "pack", "deleted"})
Row = tuple[Any, ...]


class EdgeWitness:
    """One outbox over all its cuts. `rows` were told as committed, `lost` were not found to be so."""

    def __init__(self) -> None:
        self.rows = 0
        self.lost = 0
        self.mistakes: list[str] = []
        self.last_press: list[Any] | None = None
        self._outbox = ""
        self._presses = 0
        self._kept: dict[str, dict[int, Row]] = {"event": {}, "telemetry": {}}
        self._removed: dict[str, set[int]] = {"event": set(), "telemetry": set()}
        self._leaving: dict[str, set[int]] = {"event": set(), "telemetry": set()}
        self._highest = {"event": 0, "telemetry": 0}
        self._ordinals: dict[str, int] = {}

    def orders(self) -> dict[str, Any]:
        """What the next writer has to know."""
        return {"press": self._presses, "last_press": self.last_press}

    def hear(self, lines: list[Line]) -> None:
        """What a writer told until the cut, in order."""
        for word, *rest in lines:
            match word:
                case "event":
                    seq, event_id, device, ordinal, self.last_press = rest
                    self._take("event", seq, (event_id, device, ordinal))
                    self._presses = max(self._presses, self.last_press[2] + 1)
                case "pack":
                    self._take("telemetry", rest[0], (rest[1],))
                case "deleting":
                    self._leaving[rest[0]] |= _numbers(rest[1])
                case "deleted":
                    lane, ranges = rest
                    for seq in _numbers(ranges):
                        self._kept[lane].pop(seq, None)
                    self._removed[lane] |= _numbers(ranges)
                    self._leaving[lane] -= _numbers(ranges)
            self.rows += word in ROWS

    def look(self, found: dict[str, Any]) -> int:
        """Compare with what the product found after the cut; how many rows were lost in it."""
        if self._outbox and found["outbox"] != self._outbox:
            self.mistakes.append(f"the outbox {self._outbox} has become {found['outbox']}")
        self._outbox = found["outbox"]
        if found["integrity"] != "ok":
            self.mistakes.append(f"integrity: {found['integrity']}")
        if found["strange"]:
            self.mistakes.append(f"left over or set aside: {found['strange']}")
        if found["again"]:
            self.mistakes.append(f"the press {self.last_press} was not suppressed after the cut")
        lost = self._look_at("event", {seq: tuple(row) for seq, *row in found["events"]})
        lost += self._look_at("telemetry", {seq: tuple(row) for seq, *row in found["packs"]})
        self.lost += lost
        return lost

    def _look_at(self, lane: str, found: dict[int, Row]) -> int:
        kept, leaving = self._kept[lane], self._leaving[lane]
        lost = {seq for seq, row in kept.items() if found.get(seq) != row and not (seq in leaving and seq not in found)}
        back = self._removed[lane] & found.keys()
        half_left = leaving & found.keys()
        if half_left and half_left != leaving & kept.keys():
            self.mistakes.append(f"{lane}: of {sorted(leaving)} only {sorted(half_left)} were not removed")
        for seq in sorted(found.keys() - kept.keys() - back):
            self._take(lane, seq, found[seq])
        self._kept[lane] = found
        leaving.clear()
        return len(lost) + len(back)

    def _take(self, lane: str, seq: int, row: Row) -> None:
        """A record is new: its number was never given to another one, a press is the next of its device."""
        if seq <= self._highest[lane]:
            self.mistakes.append(f"{lane}: {seq} given again, to {row}; the highest was {self._highest[lane]}")
        self._highest[lane] = max(seq, self._highest[lane])
        self._kept[lane][seq] = row
        if lane == "event":
            _, device, ordinal = row
            if ordinal != self._ordinals.get(device, 0) + 1:
                self.mistakes.append(f"{device}: ordinal {ordinal} after {self._ordinals.get(device, 0)}")
            self._ordinals[device] = ordinal


def _numbers(ranges: list[tuple[int, int]]) -> set[int]:
    return {seq for low, high in ranges for seq in range(low, high + 1)}
