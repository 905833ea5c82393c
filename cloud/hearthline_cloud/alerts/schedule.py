"""Who is on duty at a moment: shifts of a week, rotations of people, and days that differ.

    override of the moment   -> its people, and nobody else
    else                     -> the people of every shift, and whose turn it is in every rotation

A shift that does not end after it begins ends on the next day. Times are local; what begins or ends in an hour that the
clocks leave out or repeat does so at one and the same instant, so that shifts that meet on paper meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from hearthline.clock import NS

SEARCHED_DAYS = 7
EVERY_DAY = frozenset(range(7))
_MIDNIGHT = time(0)

Interval = tuple[int, int]
"""From and up to, Unix nanoseconds."""


@dataclass(frozen=True, slots=True)
class Hours:
    """A time of the day, from `begin` up to `end`; as it stands the whole day."""

    begin: time = _MIDNIGHT
    end: time = _MIDNIGHT

    def on(self, day: date, zone: tzinfo) -> Interval:
        last = day if self.begin < self.end else day + timedelta(days=1)
        return _instant(day, self.begin, zone), _instant(last, self.end, zone)


@dataclass(frozen=True, slots=True)
class Shift:
    """`days`: on which it begins, Monday is 0."""

    staff: tuple[str, ...]
    hours: Hours = Hours()
    days: frozenset[int] = EVERY_DAY

    def staff_on(self, day: date) -> tuple[str, ...]:
        return self.staff if day.weekday() in self.days else ()


@dataclass(frozen=True, slots=True)
class Rotation:
    """One after the other, each for `turn_days` from `start` on; before that day it has nobody."""

    staff: tuple[str, ...]
    start: date
    turn_days: int
    hours: Hours = Hours()
    days: frozenset[int] = EVERY_DAY

    def staff_on(self, day: date) -> tuple[str, ...]:
        if day < self.start or day.weekday() not in self.days:
            return ()
        return (self.staff[(day - self.start).days // self.turn_days % len(self.staff)],)


@dataclass(frozen=True, slots=True)
class Override:
    """Who is on duty at `hours` of one day, whatever stands elsewhere."""

    staff: tuple[str, ...]
    day: date
    hours: Hours = Hours()

    def staff_on(self, day: date) -> tuple[str, ...]:
        return self.staff if day == self.day else ()


@dataclass(frozen=True, slots=True)
class Schedule:
    shifts: tuple[Shift, ...] = ()
    rotations: tuple[Rotation, ...] = ()
    overrides: tuple[Override, ...] = ()
    zone: tzinfo = UTC

    @property
    def entries(self) -> tuple[Shift | Rotation | Override, ...]:
        return (*self.shifts, *self.rotations, *self.overrides)

    def on_duty(self, at_ns: int) -> frozenset[str]:
        """The members of staff on duty; empty in a gap."""
        today = datetime.fromtimestamp(at_ns // NS, self.zone).date()
        days = [today - timedelta(days=1), today, today + timedelta(days=1)]
        return _covering(self, self.overrides, days, at_ns) or _covering(
            self, (*self.shifts, *self.rotations), days, at_ns
        )

    def gaps(self, from_ns: int, days: int = SEARCHED_DAYS) -> list[Interval]:
        """When nobody is on duty, of the days from `from_ns` on."""
        until_ns = from_ns + days * 86_400 * NS
        first = datetime.fromtimestamp(from_ns // NS, self.zone).date() - timedelta(days=1)
        dates = [first + timedelta(days=each) for each in range(days + 3)]
        covered = sorted(
            entry.hours.on(day, self.zone) for entry in self.entries for day in dates if entry.staff_on(day)
        )
        return list(_between(covered, from_ns, until_ns))


def _covering(
    schedule: Schedule, entries: tuple[Shift | Rotation | Override, ...], days: list[date], at_ns: int
) -> frozenset[str]:
    found: set[str] = set()
    for entry in entries:
        for day in days:
            begin_ns, end_ns = entry.hours.on(day, schedule.zone)
            if begin_ns <= at_ns < end_ns:
                found.update(entry.staff_on(day))
    return frozenset(found)


def _between(covered: list[Interval], from_ns: int, until_ns: int) -> Iterator[Interval]:
    """What sorted intervals leave out."""
    reached = from_ns
    for begin_ns, end_ns in covered:
        if begin_ns >= until_ns:
            break
        if begin_ns > reached:
            yield reached, begin_ns
        reached = max(reached, end_ns)
    if reached < until_ns:
        yield reached, until_ns


def _instant(day: date, at: time, zone: tzinfo) -> int:
    return round(datetime.combine(day, at, zone).timestamp()) * NS
