"""The pages of charts: a resident's vital signs, a home's energy; by day, week, month and year.

The store is asked with a bound in time (`api.bounded`). When it does not answer the page says so and has the rest.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection, select
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from hearthline.clock import NS
from hearthline.errors import LinkError
from hearthline.log import Log
from hearthline.model import VITAL_UNITS
from hearthline_cloud import schema
from hearthline_cloud.alerts.references import HIGH_FROM
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.model import ResidentCard
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.api.registry_reads import resident_card
from hearthline_cloud.api.routes_registry import Id
from hearthline_cloud.charts.counters import Used
from hearthline_cloud.charts.reading import Value, energy, values
from hearthline_cloud.charts.spans import FIRST_DAY, LAST_DAY, Range, Shown, local_day, shown
from hearthline_cloud.charts.svg import Chart, bar_chart, line_chart
from hearthline_cloud.console.view import page
from hearthline_cloud.desk import NotFoundError

router = APIRouter(include_in_schema=False)
CHARTS = {"pressure": ("systolic", "diastolic"), "pulse": ("heart_rate",)}
_HOUR_NS = 3600 * NS
# Values that are farther apart are not joined: between them nobody knows.
GAP_NS = {
    Range.DAY: 12 * _HOUR_NS,
    Range.WEEK: 36 * _HOUR_NS,
    Range.MONTH: 60 * _HOUR_NS,
    Range.YEAR: 8 * 24 * _HOUR_NS,
}
Day = Annotated[dt.date | None, Query(ge=FIRST_DAY, le=LAST_DAY)]
_log = Log("hearthline.web")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table beside a chart of vital signs."""

    at: str
    cells: dict[str, Value]


@router.get("/residents/{resident_id}/charts")
async def vitals_page(
    resident_id: Id,
    request: Request,
    parts: PartsOf,
    session: Staff,
    range_: Annotated[Range, Query(alias="range")] = Range.MONTH,
    day: Day = None,
) -> Response:
    """A look at these is a look at the card, and leaves the same trace."""

    def look() -> ResidentCard:
        with parts.database.transaction() as connection:
            return resident_card(connection, resident_id, session.staff, parts.now_ns())

    card = await run_in_threadpool(look)
    asked = _asked(parts, range_, day)

    def read() -> dict[str, list[Value]]:
        quantities = [quantity for pair in CHARTS.values() for quantity in pair]
        return {quantity: values(parts.store, quantity, resident_id, asked) for quantity in quantities}

    answer = await _read(parts, read)
    found = answer or {}
    charts = {
        name: line_chart({q: found.get(q, []) for q in pair}, HIGH_FROM, asked.span, asked.buckets, GAP_NS[range_])
        for name, pair in CHARTS.items()
        if any(found.get(quantity) for quantity in pair)
    }
    return page(
        request,
        "vitals_charts.html",
        session,
        card=card,
        charts=charts,
        rows=_rows(found, asked),
        quantities=CHARTS,
        units={quantity: unit.replace("[", "").replace("]", "") for quantity, unit in VITAL_UNITS.items()},
        limits=HIGH_FROM,
        **_around(parts, asked, answer is None, f"/residents/{resident_id}/charts"),
    )


@router.get("/homes/{home_id}/energy")
async def energy_page(
    home_id: Id,
    request: Request,
    parts: PartsOf,
    session: Staff,
    range_: Annotated[Range, Query(alias="range")] = Range.MONTH,
    day: Day = None,
) -> Response:
    """Without a resident's name: whoever keeps meters sees it too."""

    def look() -> str:
        with parts.database.reading() as connection:
            return _home_name(connection, home_id)

    name = await run_in_threadpool(look)
    asked = _asked(parts, range_, day)
    answer = await _read(parts, lambda: energy(parts.store, home_id, asked))
    found = answer or []
    chart: Chart | None = bar_chart(found, asked.buckets) if any(each.kwh is not None for each in found) else None
    return page(
        request,
        "energy_chart.html",
        session,
        name=name,
        chart=chart,
        rows=[(bucket[1], each) for bucket, each in zip(asked.buckets, found, strict=True)] if found else [],
        total=_total(found),
        **_around(parts, asked, answer is None, f"/homes/{home_id}/energy"),
    )


async def _read(parts: Parts, question: Callable[[], T]) -> T | None:
    """What the store has; None when it does not answer."""
    try:
        return await parts.readings.ask(question)
    except LinkError as error:
        _log.warning("a chart has no readings", error=str(error))
        return None


def _asked(parts: Parts, range_: Range, day: dt.date | None) -> Shown:
    zone = ZoneInfo(parts.config.store.zone)
    return shown(range_, day or local_day(parts.now_ns(), zone), zone)


def _around(parts: Parts, asked: Shown, problem: bool, path: str) -> dict[str, Any]:
    """What both pages say of the time that they show, and where to go from there."""
    today = local_day(parts.now_ns(), asked.zone)
    here = min(max(today, asked.first), asked.after - dt.timedelta(days=1))
    return {
        "range": asked.range,
        "ranges": list(Range),
        "first": asked.first,
        "last": asked.after - dt.timedelta(days=1),
        "before": asked.before if asked.before >= FIRST_DAY else None,
        "after": asked.after if asked.after <= today else None,
        "here_day": here,
        "path": path,
        "zone": str(asked.zone),
        "problem": problem,
    }


def _rows(found: dict[str, list[Value]], asked: Shown) -> list[Row]:
    """The newest first; what was measured at one moment is one line."""
    form = "%Y-%m-%d" if asked.range in (Range.MONTH, Range.YEAR) else "%m-%d %H:%M"
    by_time: dict[int, dict[str, Value]] = {}
    for quantity, each in found.items():
        for value in each:
            by_time.setdefault(value.time_ns, {})[quantity] = value
    return [
        Row(dt.datetime.fromtimestamp(time_ns // NS, asked.zone).strftime(form), cells)
        for time_ns, cells in sorted(by_time.items(), reverse=True)
    ]


def _total(found: list[Used]) -> float | None:
    known = [each.kwh for each in found if each.kwh is not None]
    return round(sum(known), 1) if known else None


def _home_name(connection: Connection, home_id: str) -> str:
    name = connection.execute(select(schema.home.c.name).where(schema.home.c.id == home_id)).scalar()
    if name is None:
        raise NotFoundError("there is no such home")
    return str(name)
