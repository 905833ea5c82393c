"""Time series in and out: line protocol, the event database, and the summaries of everything that is there.

Each is done piece by piece in bounded memory, and each piece may be done twice, so that what was interrupted is simply
started again, at the place that it said last. What was written is marked for the roll-up.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Row, Select, delete, select

from hearthline.clock import NS
from hearthline.model import EventType
from hearthline_cloud import schema
from hearthline_cloud.database import Database
from hearthline_cloud.ingest.events import measured_values
from hearthline_cloud.ingest.plausible import oddity
from hearthline_cloud.ingest.rolling import EVERYBODY, mark
from hearthline_cloud.ingest.telemetry_lane import REFUSED
from hearthline_cloud.store import Point, SeriesQuery, Tier, TimeSeries
from hearthline_cloud.store.influx_text import line, line_head
from hearthline_cloud.store.lines import LineReader
from hearthline_cloud.store.paging import every_sample
from hearthline_cloud.store.tiers import Span, day_of, days_of, weeks_of

_BATCH = 5000
_EVENTS = 1000
_READ_AT_ONCE = 50_000
_REASONS_KEPT = 10

Say = Callable[[str], None]


@dataclass(slots=True)
class Moved:
    """What came of it. `reasons`: of the first points that were refused."""

    points: int = 0
    refused: int = 0
    reasons: list[str] = field(default_factory=list)
    days: set[Span] = field(default_factory=set)

    def refuse(self, reason: str) -> None:
        self.refused += 1
        if len(self.reasons) < _REASONS_KEPT:
            self.reasons.append(reason)


@dataclass(frozen=True, slots=True)
class Target:
    """Where points go, and by whose rules: those of the ingester. `raw_days` 0: nothing is too old."""

    database: Database
    store: TimeSeries
    zone: ZoneInfo
    raw_days: int
    now_ns: int

    def put(self, points: list[Point], moved: Moved) -> None:
        """Write a batch and mark its days. Raises LinkError: then it may be given again."""
        good = []
        for point in points:
            fault = oddity(point.quantity, point.value, point.time_ns, self.now_ns, self.raw_days)
            if fault is None:
                good.append(point)
            else:
                moved.refuse(fault)
        for _, reason in self.store.write(good) if good else ():
            moved.refuse(reason)
            moved.points -= 1
        moved.points += len(good)
        days = {day_of(point.time_ns, self.zone) for point in good}
        if not days <= moved.days:
            self.mark(days)
            moved.days |= days

    def mark(self, days: set[Span]) -> None:
        with self.database.transaction() as connection:
            mark(connection, {(EVERYBODY, *day) for day in days})


def import_lines(source: Iterable[str], target: Target, say: Say, skip: int = 0) -> Moved:
    """Store the lines of `source`, but for the first `skip`; says now and then how many are done."""
    reader, moved = LineReader(), Moved()
    done = skip
    lines = itertools.islice(source, skip, None)
    while batch := list(itertools.islice(lines, _BATCH)):
        points = []
        for number, text in enumerate(batch, done + 1):
            if not text.strip() or text.startswith("#"):
                continue
            try:
                points.append(reader.point(text))
            except ValueError as error:
                moved.refuse(f"line {number}: {error}")
        target.put(points, moved)
        done += len(batch)
        if done // _BATCH % 20 == 0:
            say(f"{done} lines done")
    target.mark(moved.days)  # a roll-up may have come between the batches of a day
    say(f"{done} lines done")
    return moved


def export_lines(store: TimeSeries, out: IO[str], span: Span, zone: ZoneInfo, say: Say) -> int:
    """Write every raw value of a span as a line, day after day; how many."""
    written = 0
    quantities = store.quantities()
    for day in days_of(*span, zone):
        begin, end = max(day[0], span[0]), min(day[1], span[1])
        for quantity in quantities:
            for text in _lines(store, quantity, begin, end):
                out.write(text)
                written += 1
        out.flush()
        say(f"{written} points, until {end // NS}")
    return written


def backfill(target: Target, say: Say, after: int = 0) -> Moved:
    """Store what events have measured, from the event after that number on; says the last one that is done."""
    moved = Moved()
    while True:
        with target.database.reading() as connection:
            rows = connection.execute(_events(after)).all()
        if not rows:
            target.mark(moved.days)
            return moved
        target.put([point for row in rows for point in _measured(row)], moved)
        after = rows[-1].id
        say(f"events done up to {after}")


def roll_up_everything(store: TimeSeries, span: Span, zone: ZoneInfo, say: Say) -> list[str]:
    """Make all summaries of a span; what could not be."""
    problems: list[str] = []
    for week in weeks_of(*span, zone):
        for tier in (Tier.QUARTER, Tier.DAILY):
            problems += store.roll_up(tier, *week)
        say(f"summarised until {week[1] // NS}")
    return list(dict.fromkeys(problems))


def refused_points(database: Database) -> Iterator[tuple[int, str, Point]]:
    """What the store has refused and is kept aside: its number, the reason, the point."""
    table = schema.kept_aside
    with database.reading() as connection:
        rows = connection.execute(select(table).where(table.c.reason.startswith(REFUSED)).order_by(table.c.id)).all()
    for row in rows:
        yield row.id, row.reason.removeprefix(REFUSED), msgspec.json.decode(row.payload, type=Point)


def retry_refused(target: Target) -> Moved:
    """Offer the store again what it has refused; what it takes is kept aside no longer."""
    moved = Moved()
    for number, _, point in list(refused_points(target.database)):
        before = moved.points
        target.put([point], moved)
        if moved.points > before:
            with target.database.transaction() as connection:
                connection.execute(delete(schema.kept_aside).where(schema.kept_aside.c.id == number))
    target.mark(moved.days)
    return moved


def _lines(store: TimeSeries, quantity: str, begin: int, end: int) -> Iterator[str]:
    for each in every_sample(store, SeriesQuery(quantity, begin, end, limit=_READ_AT_ONCE)):
        tags = each.tags
        series = (quantity, tags.community, tags.home, tags.gateway, tags.device, tags.resident)
        yield f"{line(line_head(series), each.value, each.time_ns)}\n"


def _events(after: int) -> Select[Any]:
    event, gateway, home = schema.event, schema.gateway, schema.home
    kinds = (EventType.VITAL, EventType.ACTIVITY)
    return (
        select(event, gateway.c.home_id, home.c.community_id)
        .select_from(event)
        .join(gateway, gateway.c.id == event.c.gateway_id)
        .outerjoin(home, home.c.id == gateway.c.home_id)
        .where((event.c.id > after) & event.c.type.in_(kinds))
        .order_by(event.c.id)
        .limit(_EVENTS)
    )


def _measured(row: Row[Any]) -> Iterator[Point]:
    """As the ingester made them, but at the place where the gateway is registered now."""
    resident = row.resident_id if row.type == EventType.VITAL else None
    for quantity, value in measured_values(row.type, row.data):
        place = (row.community_id or "", row.home_id or "", row.gateway_id, row.device_id)
        yield Point(quantity, *place, value, row.occurred_ns, resident or "")
