"""Protected hours of each resident and month, as JSON and as CSV without a name."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from starlette.responses import Response

from hearthline.clock import NS
from hearthline_cloud.alerts.intervals import Interval
from hearthline_cloud.alerts.protection import month_of
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.figures_csv import guarded
from hearthline_cloud.api.model import refusals
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.protecting import Protected, protected_hours
from hearthline_cloud.retention.removing import horizons
from hearthline_cloud.scoping import Communities

router = APIRouter(prefix="/api/v1", tags=["supervision"], responses=refusals(401, 403, 404, 422, 429, 503))
Month = Annotated[str, Query(pattern=r"^(?:20[0-9][0-9])-(?:0[1-9]|1[0-2])$", description="e.g. 2026-11")]
_HOUR_NS = 3600 * NS


@dataclass(frozen=True, slots=True)
class ProtectedHours:
    """Hours of a month. The causes may overlap. `share` of the watched hours; null when none were watched.

    `pendant`: watched, not-watched, none: whether the resident's own button is part of what is known.
    """

    resident: str
    home: str
    community: str
    pendant: str
    watched_h: float
    protected_h: float
    share: float | None
    gateway_silent_h: float
    pendant_silent_h: float
    center_blind_h: float
    maintenance_h: float


@router.get("/protection", summary="How long each resident's alarm could be heard in a month")
def get_protection(parts: PartsOf, session: Staff, month: Month) -> list[ProtectedHours]:
    """From the resident's pendant to the desk; the month by the clock of the center."""
    return [hours_of(each) for each in read(parts, month, session.communities)]


@router.get("/protection.csv", summary="The same as CSV", response_class=Response)
def get_protection_csv(parts: PartsOf, session: Staff, month: Month) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(ProtectedHours.__dataclass_fields__)
    for each in read(parts, month, session.communities):
        hours = hours_of(each)
        writer.writerow([_cell(getattr(hours, name)) for name in ProtectedHours.__dataclass_fields__])
    headers = {"content-disposition": f'attachment; filename="hearthline-protection-{month}.csv"'}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)


def read(parts: Parts, month: str, seen: Communities) -> list[Protected]:
    """Raises NotFoundError for a month whose silences the retention period has taken away."""
    interval = _interval(parts, month)
    with parts.database.reading() as connection:
        if interval[0] < horizons(connection).get("cases", 0):
            raise NotFoundError(f"nothing is known of {month} any more: its cases are older than retention.cases_days")
        return protected_hours(connection, interval, parts.now_ns(), seen)


def this_month(parts: Parts) -> str:
    return datetime.fromtimestamp(parts.now_ns() // NS, ZoneInfo(parts.config.figures.zone)).strftime("%Y-%m")


def hours_of(each: Protected) -> ProtectedHours:
    hours = each.hours
    return ProtectedHours(
        resident=each.resident,
        home=each.home,
        community=each.community,
        pendant=each.pendant,
        watched_h=_h(hours.watched_ns),
        protected_h=_h(hours.protected_ns),
        share=None if hours.share is None else round(hours.share, 5),
        gateway_silent_h=_h(hours.gateway_ns),
        pendant_silent_h=_h(hours.pendant_ns),
        center_blind_h=_h(hours.center_ns),
        maintenance_h=_h(hours.maintenance_ns),
    )


def _interval(parts: Parts, month: str) -> Interval:
    year, number = month.split("-")
    return month_of(int(year), int(number), ZoneInfo(parts.config.figures.zone))


def _h(ns: int) -> float:
    return round(ns / _HOUR_NS, 3)


def _cell(value: object) -> object:
    return guarded(value) if isinstance(value, str) else "" if value is None else value
