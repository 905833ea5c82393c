from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp, SystemClock, kernel_clock_is_synced, parse_rfc3339, rfc3339


def test_the_kernel_is_asked_by_a_pure_read() -> None:
    assert isinstance(kernel_clock_is_synced(), bool)


@given(st.integers(-(2**63) // 1000, 2**63 // 1000 - 1))
def test_times_round_trip_to_the_microsecond(microseconds: int) -> None:
    assert parse_rfc3339(rfc3339(microseconds * 1000)) == microseconds * 1000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00z", 0),
        ("1970-01-01t01:00:00+01:00", 0),
        ("1969-12-31T23:59:59.5Z", -0.5),
        ("2016-12-31T23:59:60Z", 1_483_228_799),  # a leap second is the second before it
        ("2026-11-21T16:00:00.25+08:00", 1_795_248_000.25),
    ],
)
def test_rfc_3339_as_others_write_it(text: str, seconds: float) -> None:
    assert parse_rfc3339(text) == round(seconds * 100) * (NS // 100)


@pytest.mark.parametrize("text", ["", "now", "2026-11-21T08:00:00", "2026-13-01T00:00:00Z", "2026-11-21T08:61:00Z"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rfc3339(text)


def test_monotonic_time_does_not_reach_across_a_boot() -> None:
    stamp = Stamp(10 * NS, 5 * NS, "a", synced=True)
    assert stamp.later(2.5).seconds_since(stamp) == 2.5
    assert Stamp(10 * NS, 7 * NS, "b", synced=True).seconds_since(stamp) is None


def test_a_trusted_clock_does_not_ask_the_kernel() -> None:
    assert SystemClock("synced").now().synced
    assert not SystemClock("free").now().synced
    first, second = (clock := SystemClock()).now(), clock.now()
    assert (first.boot, first.mono_ns <= second.mono_ns) == (second.boot, True)
