"""The ledger's vital signs and readings against what the center stores: once each, and nothing that nobody measured.

A stored value belongs to one that left the device in the same series, with the same value, at about the same time; one
to one. Left over in the ledger: missing. Left over in the store: doubled, or invented.

What a device said to a dead process was never committed, so a missing value is no loss by itself: the caller says
which devices' words must have been taken (`Values.missing_of`). What is over is always a fault. A double hides only
where an equal value of its series went missing within the slack before it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hearthline.clock import NS, parse_rfc3339
from hearthline.model import VITAL_UNITS
from hearthline_sim.ledger import Ledger, Vital

SLACK_NS = 30 * NS  # a frozen process stamps what lay in a buffer late, and a frozen broker says late that it has it

Series = tuple[str, str]  # device, quantity
ReadSeries = Callable[[str, str], list[tuple[int, float]]]  # (device, quantity) -> (Unix nanoseconds, value)


@dataclass(slots=True)
class Values:
    """What the comparison found. `missing` and `over`: device and what."""

    readings_sent: int = 0
    vitals_sent: int = 0
    missing_readings: list[tuple[str, str]] = field(default_factory=list)
    missing_vitals: list[tuple[str, str]] = field(default_factory=list)
    over: list[tuple[str, str]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not (self.missing_readings or self.missing_vitals)

    def missing_of(self, *families: str) -> list[str]:
        """What is missing of devices whose id begins with one of `families`."""
        every = [*self.missing_readings, *self.missing_vitals]
        return [f"{device}: {what}" for device, what in every if device.startswith(families)]

    def over_of(self, *families: str) -> list[str]:
        return [f"{device}: {what}" for device, what in self.over if device.startswith(families)]


def compare_values(ledger: Ledger, vital_events: Sequence[Mapping[str, Any]], read: ReadSeries) -> Values:
    """Compare what was heard of each device with the center's events and series."""
    heard = [vital for vital in ledger.vitals if vital.heard]
    found = Values(readings_sent=len(ledger.readings), vitals_sent=len(heard))
    _compare_vitals(ledger.vitals, vital_events, found)
    _compare_copies(vital_events, read, found)
    sent: dict[Series, list[tuple[int, float]]] = defaultdict(list)
    for reading in ledger.readings:
        sent[reading.device, reading.quantity].append((reading.sent_wall_ns, _rounded(reading.value)))
    for (device, quantity), pairs in sent.items():
        stored = [(at_ns, _rounded(value)) for at_ns, value in read(device, quantity)]
        missing, over = match(pairs, stored)
        found.missing_readings += [(device, f"{quantity} {value} of {at_ns}") for at_ns, value in missing]
        found.over += [(device, f"{quantity} {value} at {at_ns}, stored once too often") for at_ns, value in over]
    return found


def match(
    sent: Iterable[tuple[int, Any]], stored: Iterable[tuple[int, Any]], slack_ns: int = SLACK_NS
) -> tuple[list[tuple[int, Any]], list[tuple[int, Any]]]:
    """(sent but not stored, stored but not sent): pairs of time and value, matched one to one in the order of time."""
    waiting: dict[Any, deque[int]] = defaultdict(deque)
    for at_ns, value in sorted(sent):
        waiting[value].append(at_ns)
    missing, over = [], []
    for at_ns, value in sorted(stored):
        queue = waiting[value]
        while queue and queue[0] < at_ns - slack_ns:
            missing.append((queue.popleft(), value))
        if queue and queue[0] <= at_ns + slack_ns:
            queue.popleft()
        else:
            over.append((at_ns, value))
    missing += [(at_ns, value) for value, queue in waiting.items() for at_ns in queue]
    return sorted(missing), over


def _compare_vitals(vitals: Sequence[Vital], events: Sequence[Mapping[str, Any]], found: Values) -> None:
    """A result that nobody heard may be stored all the same: the cuff cannot know who read its last byte."""
    stored: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    sent: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    heard = {(vital.device, vital.sent_wall_ns) for vital in vitals if vital.heard}
    for event in events:
        values = _values_of(event)
        triple = (values.get("systolic"), values.get("diastolic"), values.get("heart_rate"))
        stored[event["device"]].append((parse_rfc3339(event["occurred"]), triple))
    for vital in vitals:
        sent[vital.device].append((vital.sent_wall_ns, (float(vital.sys), float(vital.dia), float(vital.pulse))))
    for device in {*sent, *stored}:
        missing, over = match(sent[device], stored[device])
        found.missing_vitals += [(device, f"{v} of {t}") for t, v in missing if (device, t) in heard]
        found.over += [(device, f"{v} at {t}, an event too many") for t, v in over]


def _compare_copies(events: Sequence[Mapping[str, Any]], read: ReadSeries, found: Values) -> None:
    """Each value of each event stands in the time-series store once, at the event's very time, and nothing else."""
    for device in sorted({event["device"] for event in events}):
        for quantity in VITAL_UNITS:
            told = sorted(
                (parse_rfc3339(event["occurred"]), _rounded(_values_of(event)[quantity]))
                for event in events
                if event["device"] == device and quantity in _values_of(event)
            )
            missing, over = match(told, [(t, _rounded(v)) for t, v in read(device, quantity)], slack_ns=0)
            found.missing_vitals += [(device, f"the series' {quantity} {v} of {t}") for t, v in missing]
            found.over += [(device, f"the series' {quantity} {v} at {t}") for t, v in over]


def _values_of(event: Mapping[str, Any]) -> dict[str, float]:
    return {entry["quantity"]: float(entry["value"]) for entry in event["data"].get("values", [])}


def _rounded(value: float) -> float:
    return round(value, 6)
