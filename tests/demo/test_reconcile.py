"""The judge itself: it must find every planted loss, double and disorder."""

from __future__ import annotations

from typing import Any

import pytest

from hearthline.clock import NS, rfc3339
from hearthline_sim.demo.reconcile import latencies_ms, quantile, reconcile
from hearthline_sim.ledger import Press

START = 1_800_000_000 * NS


def press(ordinal: int, device: str = "enocean:1", received: str | None = "e") -> Press:
    at = START + ordinal * 10 * NS
    return Press(
        device, ordinal, "AO", "emergency", at, None, at + 4_000_000, True, received and f"{received}{ordinal}"
    )


def event(ordinal: int, at: int | None = None, device: str = "enocean:1", name: str | None = None) -> dict[str, Any]:
    occurred = START + (at if at is not None else ordinal) * 10 * NS + 5_000_000
    return {
        "device": device,
        "ordinal": ordinal,
        "event_id": name or f"{device}-e{ordinal}",
        "occurred": rfc3339(occurred),
        "alert_id": 1,
    }


def test_everything_arrived() -> None:
    verdict = reconcile([press(1), press(2)], [event(1), event(2)])
    assert verdict.good
    assert (verdict.presses_sent, verdict.alarm_events, verdict.alerts_raised) == (2, 2, 1)
    assert verdict.not_taken == []


def test_a_press_that_nobody_took_is_listed_and_not_lost() -> None:
    verdict = reconcile([press(1), press(2, received=None), press(3)], [event(1), event(2, at=3)])
    assert verdict.good
    assert verdict.not_taken == ["enocean:1 press 2"]


@pytest.mark.parametrize(
    ("presses", "events", "where"),
    [
        ([press(1), press(2)], [event(1)], "lost"),  # the home was told received
        ([press(1), press(2, received=None)], [event(1), event(3, at=2)], "lost"),  # ordinal 2 was committed at home
        ([press(1)], [event(1), event(2, at=1)], "duplicated"),
        ([press(1)], [event(1), event(1)], "duplicated"),
        ([press(1), press(2)], [event(1, at=2), event(2, at=1)], "faults"),  # out of order
        ([press(1)], [event(1), event(1, device="enocean:2")], "faults"),  # from nowhere
        ([press(1)], [{**event(1), "alert_id": None}], "faults"),
    ],
)
def test_a_planted_fault_is_found(presses: list[Press], events: list[dict[str, Any]], where: str) -> None:
    verdict = reconcile(presses, events)
    assert not verdict.good
    assert getattr(verdict, where)


def test_latency_counts_from_the_last_byte() -> None:
    events = [event(1)]
    assert latencies_ms([press(1)], {events[0]["event_id"]: START + 10 * NS + 9_000_000}, events) == [5.0]


def test_quantiles() -> None:
    values = [float(n) for n in range(100)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile([], 0.5)) == (50.0, 99.0, None)
