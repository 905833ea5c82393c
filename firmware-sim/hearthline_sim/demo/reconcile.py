"""The ledger against the operator's API: every committed press is exactly one alarm event, and nothing else is.

Presses and events meet by device and time: an event belongs to the latest press of its device at or before the moment
with which the gateway stamped it. Then, by (device, ordinal): the gateway numbers what it commits, so the numbers of a
device's events are 1 … n without a hole or a repeat, in the order of the presses.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hearthline.clock import NS, parse_rfc3339
from hearthline_sim.ledger import Press

_GRACE_NS = NS // 20  # the ledger's and the agent's clocks are one, but a press is written down just after it begins


@dataclass(slots=True)
class Verdict:
    """What the comparison found. `lost` and `duplicated` count alarm events against presses."""

    presses_sent: int = 0
    alarm_events: int = 0
    alerts_raised: int = 0
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    not_taken: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.lost or self.duplicated or self.faults)


def reconcile(presses: Sequence[Press], events: Sequence[Mapping[str, Any]]) -> Verdict:
    """Compare. A press without an event is `not_taken` when the home was never told "received", else lost."""
    verdict = Verdict(presses_sent=len(presses), alarm_events=len(events))
    verdict.alerts_raised = len({event["alert_id"] for event in events})
    by_device: dict[str, list[Press]] = defaultdict(list)
    for press in sorted(presses, key=lambda press: press.pressed_wall_ns):
        by_device[press.device].append(press)
    owned: Counter[tuple[str, int]] = Counter()
    owners: dict[str, list[tuple[int, int]]] = defaultdict(list)
    ids: Counter[str] = Counter()
    for event in events:
        name = f"{event['device']}#{event['ordinal']}"
        ids[event["event_id"]] += 1
        if event["alert_id"] is None:
            verdict.faults.append(f"{name}: belongs to no alert")
        owner = _press_of(by_device[event["device"]], parse_rfc3339(event["occurred"]))
        if owner is None:
            verdict.faults.append(f"{name}: an event without a press")
            continue
        owned[owner.device, owner.ordinal] += 1
        owners[owner.device].append((event["ordinal"], owner.ordinal))
    verdict.duplicated += [f"event {event_id} stands {n} times" for event_id, n in ids.items() if n > 1]
    for press in presses:
        _judge(press, owned[press.device, press.ordinal], verdict)
    _check_ordinals(owners, verdict)
    return verdict


def _press_of(presses: list[Press], occurred_ns: int) -> Press | None:
    fitting = [press for press in presses if press.pressed_wall_ns <= occurred_ns + _GRACE_NS]
    return fitting[-1] if fitting else None


def _judge(press: Press, events: int, verdict: Verdict) -> None:
    name = f"{press.device} press {press.ordinal}"
    if events > 1:
        verdict.duplicated.append(f"{name}: {events} events")
    elif events == 0 and press.received_event is not None:
        verdict.lost.append(f"{name}: the home was told received, the center has no event")
    elif events == 0:
        verdict.not_taken.append(name)


def _check_ordinals(owners: Mapping[str, list[tuple[int, int]]], verdict: Verdict) -> None:
    for device, pairs in owners.items():
        pairs.sort()
        numbers = [ordinal for ordinal, _ in pairs]
        if numbers != list(range(1, len(numbers) + 1)):
            missing = sorted(set(range(1, max(numbers) + 1)) - set(numbers))
            verdict.lost += [f"{device}: committed at home as event {n}, the center does not have it" for n in missing]
            if len(set(numbers)) < len(numbers):
                verdict.duplicated.append(f"{device}: ordinals repeat")
        pressed = [ordinal for _, ordinal in pairs]
        if pressed != sorted(pressed):
            verdict.faults.append(f"{device}: events are not in the order of the presses")


def latencies_ms(
    presses: Iterable[Press], seen_ns: Mapping[str, int], events: Sequence[Mapping[str, Any]]
) -> list[float]:
    """From the last byte of a press's first telegram to its event on the operator's stream, in milliseconds."""
    by_device: dict[str, list[Press]] = defaultdict(list)
    for press in sorted(presses, key=lambda press: press.pressed_wall_ns):
        by_device[press.device].append(press)
    found: list[float] = []
    for event in events:
        owner = _press_of(by_device[event["device"]], parse_rfc3339(event["occurred"]))
        if owner is not None and owner.sent_wall_ns is not None and event["event_id"] in seen_ns:
            found.append((seen_ns[event["event_id"]] - owner.sent_wall_ns) / 1e6)
    return sorted(found)


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest-rank quantile of sorted values; None of nothing."""
    if not ordered:
        return None
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
