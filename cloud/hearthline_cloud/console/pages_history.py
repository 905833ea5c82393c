"""The page of all cases with its search, and their export for statistics."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import RedirectResponse, Response, StreamingResponse

from hearthline.model import Cause
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome, State
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.alert_reads import AlertFilter, count_alerts, has_alert, list_alerts
from hearthline_cloud.api.model import MAX_ID, Alert
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.console.case import seconds_between
from hearthline_cloud.console.history import MAX_HOMES, OPEN, PAGE, Wanted, export, homes_called, places
from hearthline_cloud.console.view import page
from hearthline_cloud.people import Session

router = APIRouter(include_in_schema=False)
_CHOICES = {"kinds": list(AlertKind), "causes": list(Cause), "outcomes": list(Outcome), "standings": [OPEN, *State]}
_FIELDS = ("first", "last", "utc_offset_min", "kind", "cause", "outcome", "state")


class Asked(BaseModel):
    """The search form as it is sent: what is left empty is not asked for."""

    who: Annotated[str, Field(max_length=100)] = ""
    number: Annotated[str, Field(max_length=20)] = ""
    first: str = ""
    last: str = ""
    utc_offset_min: str = ""
    kind: str = ""
    cause: str = ""
    outcome: str = ""
    state: str = ""
    home: list[str] = []

    def wanted(self, homes: list[str]) -> Wanted:
        given = {name: getattr(self, name) for name in _FIELDS if getattr(self, name)}
        try:
            return Wanted.model_validate({**given, "home": homes})
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from None


@router.get("/history")
def history_page(request: Request, parts: PartsOf, session: Staff, wanted: Annotated[Wanted, Query()]) -> Response:
    return _page(request, parts, session, wanted)


@router.post("/history")
def search(request: Request, parts: PartsOf, session: Staff, asked: Annotated[Asked, Form()]) -> Response:
    """Sends the browser on to an address without a name; or says why nothing can be found."""
    number, who = asked.number.strip(), asked.who.strip()
    with parts.database.reading() as connection:
        if number:
            if number.isdecimal() and int(number) <= MAX_ID and has_alert(connection, int(number), session.communities):
                return RedirectResponse(f"/alerts/{int(number)}", 303)
            return _page(request, parts, session, asked.wanted(asked.home), "history.no-number", number=number)
        found = homes_called(connection, who, session.communities) if who else []
    if who and not 0 < len(found) <= MAX_HOMES:
        problem = "history.nobody" if not found else "history.too-many"
        return _page(request, parts, session, asked.wanted(asked.home), problem, who=who)
    query = asked.wanted([place.id for place in found] if who else asked.home).query()
    return RedirectResponse(f"/history?{query}" if query else "/history", 303)


@router.get("/history.csv")
def history_csv(parts: PartsOf, session: Staff, wanted: Annotated[Wanted, Query()]) -> Response:
    headers = {"content-disposition": 'attachment; filename="hearthline-cases.csv"'}
    return StreamingResponse(
        export(parts.database, wanted.filter(), session.communities), media_type="text/csv", headers=headers
    )


def _page(
    request: Request,
    parts: Parts,
    session: Session,
    wanted: Wanted,
    problem: str = "",
    who: str = "",
    number: str = "",
) -> Response:
    chosen: AlertFilter = wanted.filter()
    with parts.database.reading() as connection:
        found = [] if problem else list_alerts(connection, chosen, session.communities)
        total = 0 if problem else count_alerts(connection, chosen, session.communities)
        homes = places(connection, wanted.home, session.communities)
    return page(
        request,
        "history.html",
        session,
        422 if problem else 200,
        wanted=wanted,
        homes=homes,
        problem=problem,
        who=who,
        number=number,
        total=total,
        cases=[
            (case, seconds_between(case.raised, case.acknowledged) if case.acknowledged else None) for case in found
        ],
        older=wanted.query(found[-1].id) if len(found) == PAGE else None,
        here_query=wanted.query(),
        **_CHOICES,
    )


def _answered_s(case: Alert) -> float | None:
    return None if case.acknowledged is None else seconds_between(case.raised, case.acknowledged)
