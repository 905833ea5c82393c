"""What is in flight: windows that leave room for alarms, backoff with jitter that stays short for an alarm."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from hearthline.model import Lane
from hearthline_edge.sending import ALARM_RESERVE, EVENT_WINDOW, TELEMETRY_WINDOW, Flights


@given(kinds=st.lists(st.booleans(), max_size=100), seed=st.integers(0, 99))
def test_windows_are_kept_and_alarms_always_find_their_reserve(kinds: list[bool], seed: int) -> None:
    flights = Flights(Lane.EVENT, random.Random(seed))
    ordinary = 0
    for seq, urgent in enumerate(kinds):
        if flights.room(urgent) > 0:
            flights.sent(seq, urgent, 0.0)
            ordinary += not urgent
    assert len(flights) <= EVENT_WINDOW
    assert ordinary <= EVENT_WINDOW - ALARM_RESERVE
    if all(not urgent for urgent in kinds):
        assert flights.room(urgent=True) >= ALARM_RESERVE


def test_telemetry_has_a_window_of_its_own() -> None:
    flights = Flights(Lane.TELEMETRY, random.Random(1))
    for seq in range(TELEMETRY_WINDOW):
        assert flights.room() == TELEMETRY_WINDOW - seq
        flights.sent(seq, False, 0.0)
    assert flights.room() == 0


@given(seed=st.integers(0, 999), urgent=st.booleans(), attempts=st.integers(1, 30))
def test_backoff_grows_with_jitter_to_its_bound(seed: int, urgent: bool, attempts: int) -> None:
    flights, now = Flights(Lane.EVENT, random.Random(seed)), 0.0
    waits = []
    for _ in range(attempts):
        flights.sent(1, urgent, now)
        due = flights.next_due()
        assert due is not None
        assert flights.due(due - 0.001) == []
        assert flights.due(due) == [1]
        waits.append(due - now)
        now = due
    assert 2.4 <= waits[0] <= 3.6
    assert all(wait <= (7.2 if urgent else 72) for wait in waits)
    assert urgent or attempts < 6 or waits[-1] >= 48


@given(
    flying=st.sets(st.integers(1, 30), max_size=20),
    ranges=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), max_size=4),
)
def test_what_landed_is_no_longer_due(flying: set[int], ranges: list[tuple[int, int]]) -> None:
    flights = Flights(Lane.EVENT, random.Random(1))
    for seq in flying:
        flights.sent(seq, seq % 2 == 0, 0.0)
    closed = [(low, low + size) for low, size in ranges]
    flights.landed(closed)
    left = {seq for seq in flying if not any(low <= seq <= high for low, high in closed)}
    assert set(flights.due(1000.0)) == left
    assert flights.due(1000.0) == sorted(left, key=lambda seq: (seq % 2, seq)), "alarms first"
    flights.grounded()
    assert len(flights) == 0
    assert flights.next_due() is None
