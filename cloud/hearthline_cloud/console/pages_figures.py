"""The page of the figures: what telecare asks for, what this center does, and a table by what one likes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import Response

from hearthline_cloud.alerts.figures import COUNTED, Line, Share
from hearthline_cloud.alerts.lifecycle import AlertKind
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.figures_reads import By, Wanted, list_communities
from hearthline_cloud.api.routes_figures import KindOfCall, Word, read_report, wanted
from hearthline_cloud.console.view import page

router = APIRouter(include_in_schema=False)
MAX_LINES = 200  # of a page; the CSV has all


@dataclass(frozen=True, slots=True)
class Target:
    """What others hold themselves to, and how the center stands to it. `is_met` None: too few cases to say."""

    text: str
    percent: float
    share: Share

    @property
    def is_met(self) -> bool | None:
        return None if self.share.percent is None else self.share.percent >= self.percent


def targets(line: Line, kind: AlertKind) -> list[Target]:
    """The figures of TSA and Camden (docs/figures.md) are about alarm calls; a service call has none."""
    if kind is not AlertKind.EMERGENCY:
        return []
    return [
        Target("figures.target.60", 97.5, line.answer.within[60]),
        Target("figures.target.180", 99.0, line.answer.within[180]),
        Target("figures.target.2700", 90.0, line.arrival.within[45 * 60]),
        Target("figures.target.3600", 100.0, line.arrival.within[60 * 60]),
    ]


@router.get("/figures")
def figures_page(
    request: Request,
    parts: PartsOf,
    session: Staff,
    first: Annotated[Word, Query(alias="from")] = None,
    last: Annotated[Word, Query(alias="to")] = None,
    community: Annotated[str | None, Query(max_length=64)] = None,
    by: By = By.MONTH,
    kind: KindOfCall = AlertKind.EMERGENCY,
) -> Response:
    problem = ""
    try:
        asked = wanted(parts, first, last, community, by, kind)
    except HTTPException:
        problem, asked = "figures.no-period", wanted(parts, None, None, community, by, kind)
    found = read_report(parts, session, asked)
    with parts.database.reading() as connection:
        communities = list_communities(connection, session.communities)
    return page(
        request,
        "figures.html",
        session,
        422 if problem else 200,
        problem=problem,
        report=found,
        groups=found.groups[:MAX_LINES],
        targets=targets(found.total, asked.kind),
        communities=communities,
        kinds=COUNTED,
        bys={each: address(asked, by=each) for each in By},
        csv=f"/api/v1/figures?{address(asked)}&format=csv",
        zone=parts.config.figures.zone,
    )


def address(asked: Wanted, by: By | None = None) -> str:
    """The query of a page with the same period."""
    given = {"from": str(asked.first), "to": str(asked.last), "by": by or asked.by, "kind": asked.kind.value}
    return urlencode(given | ({"community": asked.community} if asked.community else {}))
