"""How long people waited, in figures: JSON, or CSV for spreadsheets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, HTTPException, Query
from starlette.responses import Response

from hearthline_cloud.alerts import figures
from hearthline_cloud.alerts.figures import Month
from hearthline_cloud.alerts.lifecycle import AlertKind
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.figures_csv import to_csv
from hearthline_cloud.api.figures_reads import By, Report, Wanted, report
from hearthline_cloud.api.model import refusals
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.people import Session

router = APIRouter(prefix="/api/v1", tags=["figures"], responses=refusals(401, 403, 422, 429, 503))
MAX_MONTHS = 120
_USUAL_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Share:
    """`percent` is null of nothing, and of fewer than 20, where it would say nothing."""

    count: int
    of: int
    percent: float | None


@dataclass(frozen=True, slots=True)
class Times:
    """`missing`: of `of`, those that have not happened (yet); a median among them is null. `within`: by seconds."""

    of: int
    missing: int
    median_s: float | None
    p90_s: float | None
    within: dict[int, Share]


@dataclass(frozen=True, slots=True)
class FiguresLine:
    """One group of cases, named by `key`; what each field counts stands in docs/figures.md."""

    key: str
    name: str
    cases: int
    answer: Times
    arrival: Times
    called_off: int
    closed: int
    false_alarm: Share
    handed_over: int
    reopened: int
    asked: int
    replied: Share
    helped: dict[str, int]
    was_helped: Share


@dataclass(frozen=True, slots=True)
class Figures:
    """`own_only`: of the lines by operator only the reader's own is here."""

    first: str
    last: str
    zone: str
    kind: AlertKind
    by: By
    community: str | None
    own_only: bool
    total: FiguresLine
    lines: list[FiguresLine]


Word = Annotated[str | None, Query(max_length=10, description="a month, e.g. 2026-01")]
KindOfCall = Literal[AlertKind.EMERGENCY, AlertKind.SERVICE]


@router.get(
    "/figures",
    summary="Times to answer and to arrive, false alarms, and whether people were helped",
    responses={200: {"content": {"text/csv": {}}, "description": "JSON, or CSV for `format=csv`"}},
    response_model=Figures,
)
def get_figures(
    parts: PartsOf,
    session: Staff,
    first: Annotated[Word, Query(alias="from")] = None,
    last: Annotated[Word, Query(alias="to")] = None,
    community: Annotated[str | None, Query(max_length=64)] = None,
    by: By = By.MONTH,
    kind: KindOfCall = AlertKind.EMERGENCY,
    format: Literal["json", "csv"] = "json",
) -> Figures | Response:
    """Both months are whole and belong to it; without them the last twelve. By operator: an operator's own line."""
    asked = wanted(parts, first, last, community, by, kind)
    found = read_report(parts, session, asked)
    if format == "csv":
        name = f"figures-{kind}-by-{by}-{asked.first}-{asked.last}.csv"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(to_csv(found), media_type="text/csv", headers=headers)
    return Figures(
        str(asked.first),
        str(asked.last),
        parts.config.figures.zone,
        asked.kind,
        asked.by,
        asked.community,
        found.is_own,
        _line("total", "", found.total),
        [_line(group.key, group.name, group.line) for group in found.groups],
    )


def wanted(parts: Parts, first: str | None, last: str | None, community: str | None, by: By, kind: AlertKind) -> Wanted:
    """Answers 422 for what is no period."""
    try:
        until = Month.parse(last) if last else Month.of(parts.now_ns(), ZoneInfo(parts.config.figures.zone))
        since = Month.parse(first) if first else until.plus(1 - _USUAL_MONTHS)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    if not since <= until < since.plus(MAX_MONTHS):
        raise HTTPException(422, f"from {since} to {until}: a period has 1 to {MAX_MONTHS} months")
    return Wanted(since, until, by, kind, community or None)


def read_report(parts: Parts, session: Session, asked: Wanted) -> Report:
    with parts.database.reading() as connection:
        return report(connection, asked, ZoneInfo(parts.config.figures.zone), session, parts.now_ns())


def _line(key: str, name: str, line: figures.Line) -> FiguresLine:
    return FiguresLine(
        key,
        name,
        line.cases,
        _times(line.answer),
        _times(line.arrival),
        line.called_off,
        line.closed,
        _share(line.false_alarm),
        line.handed_over,
        line.reopened,
        line.asked,
        _share(line.replied),
        dict(line.helped),
        _share(line.was_helped),
    )


def _times(times: figures.Times) -> Times:
    within = {limit: _share(share) for limit, share in times.within.items()}
    return Times(times.of, times.missing, times.median_s, times.p90_s, within)


def _share(share: figures.Share) -> Share:
    return Share(share.count, share.of, share.percent)
