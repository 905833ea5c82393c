"""Searching cases, open and closed: the filters of a query, homes by what staff call them, and the export.

A name is never part of an address: the search form is posted, the name becomes the pseudonymous ids of homes, and the
browser is sent on to those. The export has neither names nor free text, so that it may go to whoever counts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, select

from hearthline.clock import NS
from hearthline.model import Cause
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome, State
from hearthline_cloud.api.alert_reads import AlertFilter, list_alerts
from hearthline_cloud.api.model import MAX_ID, Alert
from hearthline_cloud.console.case import seconds_between
from hearthline_cloud.database import Database
from hearthline_cloud.schema import home, resident
from hearthline_cloud.scoping import Communities, homes_seen

PAGE = 50
MAX_HOMES = 20  # that one name may stand for; more are no search
_EXPORT_PAGE = 500
_FIRST_DAY, _LAST_DAY = date(1970, 1, 2), date(2261, 12, 31)  # what a 64-bit count of nanoseconds holds

OPEN: Literal["open"] = "open"  # every state but the last
Day = Annotated[date | None, Field(ge=_FIRST_DAY, le=_LAST_DAY)]


class Wanted(BaseModel):
    """The query of the page and of the export. Days are those of the viewer's time zone, both included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: Day = None
    last: Day = None
    utc_offset_min: Annotated[int, Field(ge=-840, le=840)] = 0
    kind: AlertKind | None = None
    cause: Cause | None = None
    outcome: Outcome | None = None
    state: State | Literal["open"] | None = None
    home: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=MAX_HOMES)] = []
    before: Annotated[int | None, Field(ge=1, le=MAX_ID)] = None

    def filter(self) -> AlertFilter:
        return AlertFilter(
            states=self._states(),
            kind=self.kind,
            cause=self.cause,
            outcome=self.outcome,
            homes=tuple(self.home) or None,
            from_ns=self._midnight_ns(self.first),
            to_ns=self._midnight_ns(self.last and self.last + timedelta(days=1)),
            before=self.before,
            limit=PAGE,
        )

    def query(self, before: int | None = None) -> str:
        """As the query of an address; empty for everything."""
        given = self.model_dump(mode="json", exclude_defaults=True, exclude={"before"})
        return urlencode(given | ({"before": before} if before else {}), doseq=True)

    def _states(self) -> tuple[State, ...]:
        if self.state is None:
            return ()
        if self.state == OPEN:
            return tuple(state for state in State if state is not State.RESOLVED)
        return (State(self.state),)

    def _midnight_ns(self, day: date | None) -> int | None:
        if day is None:
            return None
        start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(minutes=self.utc_offset_min)
        return round(start.timestamp()) * NS


@dataclass(frozen=True, slots=True)
class Place:
    """A home, and who lives there, for the search form."""

    id: str
    name: str


def homes_called(connection: Connection, words: str, seen: Communities) -> list[Place]:
    """The homes whose own name, or whose resident's, has these words in it; at most one more than `MAX_HOMES`."""
    wanted = words.lower()
    people = connection.execute(select(resident.c.home_id, resident.c.name).where(homes_seen(seen, resident.c.home_id)))
    lives_there = {row.home_id for row in people if wanted in row.name.lower()}
    homes = connection.execute(select(home.c.id, home.c.name).where(homes_seen(seen, home.c.id)))
    found = [Place(row.id, row.name) for row in homes if row.id in lives_there or wanted in row.name.lower()]
    return sorted(found, key=_name_of)[: MAX_HOMES + 1]


def places(connection: Connection, homes: list[str], seen: Communities) -> list[Place]:
    query = select(home.c.id, home.c.name).where(home.c.id.in_(homes), homes_seen(seen, home.c.id))
    return sorted((Place(row.id, row.name) for row in connection.execute(query)), key=_name_of)


def _name_of(place: Place) -> str:
    return place.name


COLUMNS = (
    "number", "home", "kind", "cause", "state", "outcome", "presses", "certainty", "cancelled", "reopened",
    "raised", "acknowledged", "attending", "arrived", "resolved",
    "answered_s", "under_way_s", "arrived_s", "closed_s",
)  # fmt: skip


def export(database: Database, wanted: AlertFilter, seen: Communities) -> Iterator[str]:
    """The cases as CSV, page by page: the newest first, times in UTC, lengths in seconds from the raising."""
    yield _line(COLUMNS)
    page = replace(wanted, limit=_EXPORT_PAGE)
    while True:
        with database.reading() as connection:
            found = list_alerts(connection, page, seen)
        yield "".join(_line(_row(case)) for case in found)
        if len(found) < _EXPORT_PAGE:
            return
        page = replace(page, before=found[-1].id)


def _row(case: Alert) -> tuple[object, ...]:
    times = (case.acknowledged, case.attending, case.arrived, case.resolved)
    lengths = ("" if at is None else f"{seconds_between(case.raised, at):.3f}" for at in times)
    facts = (case.id, case.home, case.kind, case.cause, case.state, case.outcome, case.presses, case.certainty)
    return (*facts, int(case.cancelled is not None), case.reopened, case.raised, *times, *lengths)


def _line(values: tuple[object, ...]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue()
