"""What a volunteer sees behind the link on his phone: no account, no script, no cookie; the token is the authority.

The home stands on the page only after the volunteer has asked for it by a POST, so that a messenger's preview of the
link (GET, HEAD) neither reads an address nor counts as an answer. The link ends with the report, the refusal, its
time, or the alert.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request
from sqlalchemy import Connection, Row, select
from starlette.responses import RedirectResponse, Response

from hearthline.clock import NS
from hearthline_cloud.alerts.lifecycle import ImpossibleError, State
from hearthline_cloud.alerts.orders import OPEN, VISIT_OUTCOMES, OrderAction, OrderKind, OrderState, OrderWish, allowed
from hearthline_cloud.api.access import PartsOf
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.console.link_pages import check_form, opened
from hearthline_cloud.console.view import language_of, page
from hearthline_cloud.desk import ConflictError
from hearthline_cloud.links import DeadLinkError, Purpose
from hearthline_cloud.ordering import volunteer_actor
from hearthline_cloud.schema import alert, home, volunteer, work_order

router = APIRouter(include_in_schema=False, prefix="/v")
MAX_WORDS = 500
Token = Annotated[str, Path()]

_ASKED = (
    select(
        work_order,
        alert.c.kind.label("alert_kind"),
        alert.c.cause,
        alert.c.presses,
        alert.c.raised_ns,
        alert.c.state.label("alert_state"),
        home.c.name.label("home_name"),
        home.c.address,
        volunteer.c.name.label("volunteer_name"),
    )
    .join(alert, alert.c.id == work_order.c.alert_id)
    .join(volunteer, volunteer.c.id == work_order.c.volunteer_id)
    .outerjoin(home, home.c.id == alert.c.home_id)
)


@router.api_route("/{token}", methods=["GET", "HEAD"])
def volunteer_page(token: Token, request: Request, parts: PartsOf) -> Response:
    with parts.database.reading() as connection:
        row = _asked(connection, request, token)
    return _page(request, parts, row)


@router.post("/{token}/open")
def open_order(token: Token, request: Request, parts: PartsOf) -> Response:
    """The volunteer asks for the address."""
    check_form(request)
    with parts.database.reading() as connection:
        row = _asked(connection, request, token)
    parts.orders.open(row.id, parts.now_ns())
    return _back(request, token)


@router.post("/{token}/go")
def go(token: Token, request: Request, parts: PartsOf) -> Response:
    _act(token, request, parts, OrderWish(OrderAction.GO))
    return _back(request, token)


@router.post("/{token}/arrive")
def arrive(token: Token, request: Request, parts: PartsOf) -> Response:
    _act(token, request, parts, OrderWish(OrderAction.ARRIVE))
    return _back(request, token)


@router.post("/{token}/decline")
def decline(token: Token, request: Request, parts: PartsOf) -> Response:
    _act(token, request, parts, OrderWish(OrderAction.DECLINE))
    return page(request, "volunteer_done.html", None, said="volunteer.declined", phone=parts.config.web.center_phone)


@router.post("/{token}/report")
def report(
    token: Token,
    request: Request,
    parts: PartsOf,
    outcome: Annotated[str, Form()] = "",
    words: Annotated[str, Form()] = "",
) -> Response:
    if outcome not in VISIT_OUTCOMES:
        with parts.database.reading() as connection:
            row = _asked(connection, request, token)
        return _page(request, parts, row, problem="volunteer.choose")
    _act(token, request, parts, OrderWish(OrderAction.REPORT, outcome), words.strip()[:MAX_WORDS])
    return page(request, "volunteer_done.html", None, said="volunteer.thanks", phone=parts.config.web.center_phone)


def _asked(connection: Connection, request: Request, token: str) -> Row[Any]:
    """The open order that the token is for. Raises DeadLinkError."""
    link = opened(request, Purpose.VOLUNTEER, token)
    row = connection.execute(_ASKED.where(work_order.c.id == link.subject)).first()
    if row is None or row.state not in OPEN or row.alert_state == State.RESOLVED or row.expires_ns != link.expires_ns:
        raise DeadLinkError("the work order is over")
    return row


def _act(token: str, request: Request, parts: Parts, wish: OrderWish, words: str = "") -> None:
    """Do it in the volunteer's name; what staff has done meanwhile is seen on the page that follows."""
    check_form(request)
    with parts.database.reading() as connection:
        row = _asked(connection, request, token)
    try:
        parts.orders.act(row.id, wish, volunteer_actor(row.volunteer_id), parts.now_ns(), words=words)
    except (ConflictError, ImpossibleError):
        with parts.database.reading() as connection:
            _asked(connection, request, token)
        if wish.action in (OrderAction.REPORT, OrderAction.DECLINE):
            raise DeadLinkError("the work order is over") from None


def _page(request: Request, parts: Parts, row: Row[Any], problem: str = "") -> Response:
    can = [action.value for action in allowed(OrderKind.VOLUNTEER, OrderState(row.state))]
    minutes = max(0, parts.now_ns() - row.raised_ns) // (60 * NS)
    return page(
        request,
        "volunteer.html",
        None,
        order=row,
        can=can,
        minutes=minutes,
        outcomes=[outcome.value for outcome in VISIT_OUTCOMES],
        phone=parts.config.web.center_phone,
        problem=problem,
        max_words=MAX_WORDS,
    )


def _back(request: Request, token: str) -> Response:
    return RedirectResponse(f"/v/{token}?lang={language_of(request)}", 303)
