"""Quarters of an hour and days are summarised when they are over, and again when something late has come.

    point stored --> mark (gateway, quarter) in the database --> 5 minutes after its end: roll up, take the mark away

A mark is written after its points are stored and before their gateway is told so: what is acknowledged is summarised,
whoever is killed when. A mark that was renewed while its quarter was summarised stays. Of a day with marks the quarters
between the first and the last are made anew, and the day itself; all of it can be done twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, delete, select
from sqlalchemy.exc import SQLAlchemyError

from hearthline.clock import NS
from hearthline.errors import LinkError
from hearthline.log import Log
from hearthline_cloud.database import Database, is_away, upsert
from hearthline_cloud.loop import Loop
from hearthline_cloud.schema import roll_up_due
from hearthline_cloud.store import Keeping, Point, Tier, TimeSeries
from hearthline_cloud.store.tiers import Span, day_of, days_of, oldest_whole_ns, quarter_of

ROLL_UP = "roll-up"  # the role of its heartbeat
PERIOD_S = 30.0
EVERYBODY = ""  # the gateway of a mark that is about all of them
LAG_NS = 300 * NS  # a gateway that works tells its readings within so long
_SURE_NS = 60 * NS  # so much earlier a remembered mark is not relied on any more
_KEEP_EVERY_S = 3600.0
_MARKS_AT_ONCE = 5000
_REMEMBERED = 100_000
_MANY = 8  # gateways; more are asked for together
log = Log(__name__)

Mark = tuple[str, int, int]  # gateway, from, to


class Marker:
    """Which marks points need. Of a quarter that is not over yet each gateway's is written once."""

    def __init__(self) -> None:
        self._written: set[Mark] = set()

    def needed(self, points: Iterable[Point], now_ns: int) -> set[Mark]:
        """For points that are stored already."""
        marks = {(point.gateway, *quarter_of(point.time_ns)) for point in points}
        return {mark for mark in marks if mark not in self._written or mark[2] + LAG_NS - _SURE_NS <= now_ns}

    def written(self, marks: set[Mark]) -> None:
        """Their transaction is committed."""
        if len(self._written) > _REMEMBERED:
            self._written.clear()
        self._written |= marks


def mark(connection: Connection, marks: Iterable[Mark]) -> None:
    """Write marks, or renew those that are there."""
    table = roll_up_due
    for gateway, from_ns, to_ns in sorted(marks):
        statement = upsert(connection, table).values(gateway_id=gateway, from_ns=from_ns, to_ns=to_ns, renewed=0)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["gateway_id", "from_ns", "to_ns"], set_={"renewed": table.c.renewed + 1}
            )
        )


def mark_days(database: Database, from_ns: int, to_ns: int, zone: ZoneInfo) -> int:
    """Have all days that [from_ns, to_ns) touches summarised anew; how many."""
    marks = {(EVERYBODY, *span) for span in days_of(from_ns, to_ns, zone)}
    with database.transaction() as connection:
        mark(connection, marks)
    return len(marks)


@dataclass(slots=True)
class DayPlan:
    """What of one day is to be made anew: the quarters of `span`, and the day."""

    day: Span
    span: Span
    gateways: set[str] = field(default_factory=set)
    rows: list[Row[tuple[str, int, int, int]]] = field(default_factory=list)

    @property
    def asked(self) -> Sequence[str | None]:
        """Whose: one after the other, or (None) all at once."""
        return [None] if EVERYBODY in self.gateways or len(self.gateways) > _MANY else sorted(self.gateways)


def plans(rows: Iterable[Row[tuple[str, int, int, int]]], zone: ZoneInfo) -> list[DayPlan]:
    """Marks by day, in order. A mark lies within one day: quarters do, in every zone of whole quarters."""
    made: dict[Span, DayPlan] = {}
    for row in rows:
        day = day_of(row.from_ns, zone)
        plan = made.setdefault(day, DayPlan(day, (row.from_ns, row.to_ns)))
        plan.span = (min(plan.span[0], row.from_ns), max(plan.span[1], row.to_ns))
        plan.gateways.add(row.gateway_id)
        plan.rows.append(row)
    return [made[day] for day in sorted(made)]


def roll_up_due_days(
    database: Database, store: TimeSeries, zone: ZoneInfo, raw_days: int, now_ns: int, days: int = 1_000_000
) -> tuple[int, list[str]]:
    """Summarise at most so many days that are due; how many were, and what could not be. Raises LinkError."""
    table = roll_up_due
    with database.reading() as connection:
        due = select(table).where(table.c.to_ns <= now_ns - LAG_NS).order_by(table.c.from_ns).limit(_MARKS_AT_ONCE)
        found = plans(connection.execute(due).all(), zone)[:days]
    problems: list[str] = []
    for plan in found:
        if plan.day[0] >= oldest_whole_ns(now_ns, raw_days):  # else some of its raw values are gone
            for gateway in plan.asked:
                problems += store.roll_up(Tier.QUARTER, *plan.span, gateway)
                problems += store.roll_up(Tier.DAILY, *plan.day, gateway)
        with database.transaction() as connection:
            for row in plan.rows:
                same = (table.c.gateway_id == row.gateway_id) & (table.c.from_ns == row.from_ns)
                same &= (table.c.to_ns == row.to_ns) & (table.c.renewed == row.renewed)
                connection.execute(delete(table).where(same))
    return len(found), list(dict.fromkeys(problems))


class Roller(Loop):
    """The ingester's thread that summarises what is due and lets go of what is old (`hearthline_cloud.beside`)."""

    def __init__(
        self,
        database: Database,
        store: TimeSeries,
        keeping: Keeping,
        zone: ZoneInfo,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__("roll-up")
        self._database = database
        self._store = store
        self._keeping = keeping
        self._zone = zone
        self._now_ns = now_ns
        self._kept_at = -_KEEP_EVERY_S
        self._problems: set[str] = set()

    def round(self) -> int:
        """Do what is due now; how many days were summarised. An outage is waited for."""
        try:
            if time.monotonic() - self._kept_at >= _KEEP_EVERY_S:
                for change in self._store.keep(self._keeping, self._now_ns(), shorten=False):
                    log.info("time-series store changed", change=change)
                self._kept_at = time.monotonic()
            raw_days = self._keeping.raw_days
            days, problems = roll_up_due_days(self._database, self._store, self._zone, raw_days, self._now_ns(), 1)
        except LinkError as error:
            log.warning("store away, summaries wait", error=str(error))
            return 0
        except SQLAlchemyError as error:
            if not is_away(error):
                raise
            log.error("database away, summaries wait", error=str(error))
            return 0
        for problem in set(problems) - self._problems:
            log.error("a quantity cannot be summarised", problem=problem)
            self._problems.add(problem)
        return days

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(0.2 if self.round() else PERIOD_S)
