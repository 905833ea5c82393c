"""What the test knows of the center's database from what was told, and whether the database agrees after a cut.

An event whose `down/ack` was told is there once, with what belongs to it: an alarm in one alert and once in its
journal, a vital sign in the queue to the store. What was not told may be there, then whole; it is sent again.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from power.told import Line

ROWS = frozenset({"acked", "acted", "point"})
ALARM = "hearthline.alarm.v1"
VITAL = "hearthline.vital.v1"
VITAL_VALUES = 3
STATES = ("raised", "acknowledged", "attending", "resolved")


class CloudWitness:
    """One database over all its cuts. `rows` were told as committed, `lost` were not found to be so."""

    def __init__(self) -> None:
        self.rows = 0
        self.lost = 0
        self.mistakes: list[str] = []
        self._opened = False
        self._acked: set[tuple[str, int]] = set()
        self._states: dict[int, str] = {}
        self._points: set[int] = set()

    def orders(self) -> dict[str, Any]:
        """What the next writer has to know."""
        highest = max((seq for _, seq in self._acked), default=0)  # record n has the number n + 1
        return {"number": highest, "point": max(self._points, default=-1) + 1}

    def hear(self, lines: list[Line]) -> None:
        """What a writer told until the cut, in order."""
        for word, *rest in lines:
            match word:
                case "opened":
                    self._opened = True
                case "acked":
                    gateway, ranges = rest
                    taken = {(gateway, seq) for low, high in ranges for seq in range(low, high + 1)}
                    self.rows += len(taken - self._acked)
                    self._acked |= taken
                case "acted":
                    self._states[rest[0]] = rest[1]
                    self.rows += 1
                case "point":
                    self._points.add(rest[0])
                    self.rows += 1

    def look(self, found: dict[str, Any]) -> int:
        """Compare with what the product found after the cut; how many rows were lost in it."""
        if (found["integrity"], found["dangling"]) != ("ok", 0):
            self.mistakes.append(f"integrity: {found['integrity']}, {found['dangling']} dangling")
        if self._opened and found["revision"] is None:
            self.mistakes.append("migrated, and then it was not")
        events = Counter((gateway, seq) for gateway, seq, *_ in found["events"])
        states = {alert: state for alert, _, state in found["alerts"]}
        behind = [alert for alert, state in self._states.items() if _rank(states.get(alert)) < _rank(state)]
        lost = len(self._acked - events.keys()) + len(behind) + len(self._points - set(found["points"]))
        self.lost += lost
        self.mistakes += [f"{key} is there {count} times" for key, count in events.items() if count != 1]
        self._look_at_what_belongs_together(found)
        if lost:  # the control goes on with what there is
            self._acked &= events.keys()
            self._states = {alert: states[alert] for alert in self._states if alert in states}
            self._points &= set(found["points"])
        return lost

    def _look_at_what_belongs_together(self, found: dict[str, Any]) -> None:
        journal = Counter((key, alert) for key, kind, alert in found["journal"] if kind in ("raised", "joined"))
        notes = Counter(key for key, kind, _ in found["journal"] if kind in ("vital", "device"))
        alarms = Counter(alert for *_, kind, _, alert in found["events"] if kind == ALARM)
        vitals = 0
        for gateway, seq, _, kind, key, alert in found["events"]:
            entries = journal[key, alert] if kind == ALARM else notes[key]
            if entries != 1 or (kind == ALARM) != (alert is not None):
                self.mistakes.append(f"({gateway}, {seq}) has {entries} journal entries and the alert {alert}")
            vitals += kind == VITAL
        if found["vitals"] != VITAL_VALUES * vitals:
            self.mistakes.append(f"{vitals} vital signs have {found['vitals']} values in the queue")
        presses = {alert: count for alert, count, _ in found["alerts"]}
        if presses != dict(alarms):
            self.mistakes.append(f"alerts count {presses} presses, there are {dict(alarms)}")
        told = {(gateway, event) for gateway, event in found["commands"]}
        touched = {alert for alert, _, state in found["alerts"] if state != "raised"}
        last = {alert: (gateway, event) for gateway, _, event, _, _, alert in found["events"]}  # in order of storing
        self.mistakes += [f"nobody tells home that {alert} is accepted" for alert in touched if last[alert] not in told]


def _rank(state: str | None) -> int:
    return STATES.index(state) if state else -1
