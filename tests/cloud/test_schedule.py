"""Who is on duty: overnight shifts, the clocks' two changes, rotations, overrides, and the search for gaps."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from hearthline.clock import NS
from hearthline_cloud.alerts.schedule import Hours, Override, Rotation, Schedule, Shift

BERLIN = ZoneInfo("Europe/Berlin")  # forward on 2026-03-29 at 02:00, back on 2026-10-25 at 03:00
SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY, NIGHT = Hours(time(7), time(19)), Hours(time(19), time(7))
WEEKEND = frozenset({5, 6})
HOUR_NS = 3600 * NS


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()) * NS


def utc(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


ROUND_THE_CLOCK = Schedule((Shift(("mei",), DAY), Shift(("jun",), NIGHT)), zone=BERLIN)
WEEKENDS = Schedule((Shift(("mei",), NIGHT, WEEKEND),), zone=BERLIN)
WEEKLY = Schedule(rotations=(Rotation(("a", "b", "c"), date(2026, 1, 5), 7),), zone=SHANGHAI)
NIGHTLY = Schedule(rotations=(Rotation(("a", "b"), date(2026, 1, 5), 1, NIGHT),), zone=SHANGHAI)


@pytest.mark.parametrize(
    ("schedule", "when", "staff"),
    [
        (ROUND_THE_CLOCK, at("2026-11-22T06:59:59"), {"jun"}),
        (ROUND_THE_CLOCK, at("2026-11-22T07:00:00"), {"mei"}),
        (ROUND_THE_CLOCK, at("2026-11-22T18:59:59"), {"mei"}),
        (ROUND_THE_CLOCK, at("2026-11-22T19:00:00"), {"jun"}),
        (ROUND_THE_CLOCK, at("2026-11-23T00:00:00"), {"jun"}),
        (WEEKENDS, at("2026-11-20T23:00:00"), set()),  # Friday
        (WEEKENDS, at("2026-11-21T23:00:00"), {"mei"}),
        (WEEKENDS, at("2026-11-23T06:00:00"), {"mei"}),  # Monday: the shift began on Sunday
        (WEEKENDS, at("2026-11-23T07:00:00"), set()),
        (WEEKENDS, at("2026-11-21T06:00:00"), set()),  # Saturday: no shift began on Friday
        (WEEKLY, at("2026-01-05T00:00:00", SHANGHAI), {"a"}),
        (WEEKLY, at("2026-01-11T23:59:59", SHANGHAI), {"a"}),
        (WEEKLY, at("2026-01-12T00:00:00", SHANGHAI), {"b"}),
        (WEEKLY, at("2026-01-26T00:00:00", SHANGHAI), {"a"}),
        (WEEKLY, at("2026-01-04T23:59:59", SHANGHAI), set()),  # before the rotation begins
        (NIGHTLY, at("2026-01-05T20:00:00", SHANGHAI), {"a"}),
        (NIGHTLY, at("2026-01-06T06:59:59", SHANGHAI), {"a"}),  # the night belongs to the day that it began on
        (NIGHTLY, at("2026-01-06T19:00:00", SHANGHAI), {"b"}),
        (NIGHTLY, at("2026-01-06T12:00:00", SHANGHAI), set()),
    ],
)
def test_who_is_on_duty(schedule: Schedule, when: int, staff: set[str]) -> None:
    assert schedule.on_duty(when) == staff


def test_shifts_that_overlap_are_both_on_duty_and_an_override_stands_alone() -> None:
    holiday = Override(("boss",), date(2026, 2, 17), Hours(time(8), time(12)))
    every = Schedule((Shift(("mei",)), Shift(("jun",), DAY)), overrides=(holiday,), zone=SHANGHAI)
    told = {hour: every.on_duty(at(f"2026-02-17T{hour}:00:00", SHANGHAI)) for hour in ("06", "07", "08", "12", "20")}
    assert told == {"06": {"mei"}, "07": {"mei", "jun"}, "08": {"boss"}, "12": {"mei", "jun"}, "20": {"mei"}}


def test_an_override_over_midnight_lasts_into_the_next_day() -> None:
    night = Override(("boss",), date(2026, 2, 17), NIGHT)
    schedule = Schedule((Shift(("mei",)),), overrides=(night,), zone=SHANGHAI)
    assert schedule.on_duty(at("2026-02-18T06:00:00", SHANGHAI)) == {"boss"}
    assert schedule.on_duty(at("2026-02-18T07:00:00", SHANGHAI)) == {"mei"}


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-28", 11), ("2026-10-24", 13), ("2026-11-22", 12)],  # the night of 19 to 7 in which the clocks change
)
def test_a_night_is_as_long_as_the_clocks_make_it(day: str, hours: int) -> None:
    begin, end = NIGHT.on(date.fromisoformat(day), BERLIN)
    assert (end - begin) // HOUR_NS == hours
    assert ROUND_THE_CLOCK.on_duty(begin) == ROUND_THE_CLOCK.on_duty(end - NS) == {"jun"}
    assert ROUND_THE_CLOCK.on_duty(end) == {"mei"}


@pytest.mark.parametrize("handover", [time(2), time(2, 30), time(3), time(0)])
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_shifts_that_meet_in_a_skipped_or_repeated_hour_leave_no_gap_and_share_no_moment(
    day: str, handover: time
) -> None:
    early, late = Hours(time(0), handover), Hours(handover, time(0))
    shifts = (Shift(("b",), late),) if handover == time(0) else (Shift(("a",), early), Shift(("b",), late))
    schedule = Schedule(shifts, zone=BERLIN)
    start = at(f"{day}T00:00:00") - 24 * HOUR_NS
    assert schedule.gaps(start) == []
    for quarter in range(3 * 24 * 4):
        assert len(schedule.on_duty(start + quarter * HOUR_NS // 4)) == 1


def test_a_repeated_hour_belongs_to_who_begins_in_it() -> None:
    schedule = Schedule((Shift(("a",), Hours(time(0), time(2, 30))), Shift(("b",), Hours(time(2, 30)))), zone=BERLIN)
    assert schedule.on_duty(utc("2026-10-25T00:29:59")) == {"a"}  # 02:29:59, summer time
    assert schedule.on_duty(utc("2026-10-25T01:29:59")) == {"b"}  # 02:29:59 again


def test_gaps_of_a_week() -> None:
    weekdays = frozenset(range(5))
    schedule = Schedule((Shift(("mei",), DAY, weekdays), Shift(("jun",), NIGHT)), zone=SHANGHAI)
    start = at("2026-11-18T12:00:00", SHANGHAI)  # a Wednesday
    assert schedule.gaps(start) == [
        (at("2026-11-21T07:00:00", SHANGHAI), at("2026-11-21T19:00:00", SHANGHAI)),
        (at("2026-11-22T07:00:00", SHANGHAI), at("2026-11-22T19:00:00", SHANGHAI)),
    ]


def test_a_gap_that_an_override_fills_or_a_rotation_has_yet_to_fill() -> None:
    sunday = at("2026-11-22T00:00:00", SHANGHAI)
    filled = Schedule(overrides=(Override(("boss",), date(2026, 11, 22)),), zone=SHANGHAI)
    assert filled.gaps(sunday, days=1) == []
    later = Schedule(rotations=(Rotation(("a",), date(2026, 11, 24), 7),), zone=SHANGHAI)
    assert later.gaps(sunday) == [(sunday, at("2026-11-24T00:00:00", SHANGHAI))]


@pytest.mark.parametrize("schedule", [ROUND_THE_CLOCK, WEEKENDS, WEEKLY, NIGHTLY])
@pytest.mark.parametrize("start", ["2026-01-01T05:00:00", "2026-03-26T00:00:00", "2026-10-22T13:30:00"])
def test_gaps_are_exactly_when_nobody_is_on_duty(schedule: Schedule, start: str) -> None:
    begin = at(start)
    gaps = schedule.gaps(begin)
    for half_hour in range(7 * 48):
        moment = begin + half_hour * HOUR_NS // 2
        in_gap = any(first <= moment < last for first, last in gaps)
        assert in_gap == (not schedule.on_duty(moment)), datetime.fromtimestamp(moment // NS, UTC)


def test_an_empty_schedule_is_one_gap() -> None:
    assert Schedule().gaps(0, days=1) == [(0, round(timedelta(days=1).total_seconds()) * NS)]
