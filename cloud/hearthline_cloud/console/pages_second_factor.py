"""Setting one's second factor up, and what can be done with one: new recovery codes, another phone, none.

Each step asks for the password, and for a code where there is a factor: a screen that was left open is no proof.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from hearthline_cloud.api.access import PartsOf, Staff, client_address, device_of
from hearthline_cloud.api.alert_reads import time_or_none
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.console.navigation import ENROL, first_page
from hearthline_cloud.console.pages_account import HERE, Password, go_on, renew
from hearthline_cloud.console.view import page
from hearthline_cloud.people import CodeError, LoginError, Session, ThrottledError
from hearthline_cloud.people import codes as one_time

router = APIRouter(include_in_schema=False)

NEW = f"{ENROL}/new"
Code = Annotated[str, Form(max_length=one_time.MAX_CODE)]


@router.get(ENROL)
def second_factor_page(request: Request, parts: PartsOf, session: Staff) -> Response:
    return _page(request, parts, session)


@router.post(ENROL)
def begin(request: Request, parts: PartsOf, session: Staff, password: Password = "", code: Code = "") -> Response:
    """Offer a secret to this session. One that is set up stays until the new one is confirmed."""
    wrong = _wrong(request, parts, session, password, code)
    if wrong is not None:
        return wrong
    parts.people.factors.offer(session, parts.now_ns())
    return RedirectResponse(NEW, 303)


@router.get(NEW)
def offer_page(request: Request, parts: PartsOf, session: Staff) -> Response:
    return _offer(request, parts, session)


@router.post(NEW)
def confirm(request: Request, parts: PartsOf, session: Staff, code: Code = "") -> Response:
    """The recovery codes, shown this once, in a new session."""
    made = parts.people.factors.confirm(session, code, parts.now_ns())
    if made is None:
        return _offer(request, parts, session, 422, problem="code.wrong")
    return _recovery_codes(request, parts, session, made)


@router.post(f"{ENROL}/codes")
def renew_codes(request: Request, parts: PartsOf, session: Staff, password: Password = "", code: Code = "") -> Response:
    wrong = _wrong(request, parts, session, password, code)
    if wrong is not None:
        return wrong
    if parts.people.factors.standing(session.staff).since_ns is None:
        return RedirectResponse(ENROL, 303)
    made = parts.people.factors.renew_recovery_codes(session.staff, parts.now_ns())
    return _codes_page(request, session, made, is_new=False)


@router.post(f"{ENROL}/remove")
def remove(request: Request, parts: PartsOf, session: Staff, password: Password = "", code: Code = "") -> Response:
    wrong = _wrong(request, parts, session, password, code)
    if wrong is not None:
        return wrong
    if session.role in parts.people.factors.required:
        return _page(request, parts, session, 422, problem="factor.required")
    parts.people.factors.remove(session.staff, parts.now_ns(), session.staff)
    return go_on(request, parts, session, f"{HERE}?done=removed")


def _wrong(request: Request, parts: Parts, session: Session, password: str, code: str) -> Response | None:
    """What to answer when it is not proved that it is still the same person; None when it is."""
    try:
        given = (password, code, client_address(request), parts.now_ns())
        parts.people.prove(session, *given, device_of(request, parts))
    except CodeError:
        return _page(request, parts, session, 422, problem="code.wrong")
    except LoginError:
        return _page(request, parts, session, 422, problem="account.wrong")
    except ThrottledError:
        return _page(request, parts, session, 429, problem="login.throttled")
    return None


def _page(request: Request, parts: Parts, session: Session, status: int = 200, problem: str = "") -> Response:
    factor = parts.people.factors.standing(session.staff)
    return page(
        request,
        "second_factor.html",
        session,
        status,
        here=ENROL,
        problem=problem,
        factor=factor,
        since=None if factor.since_ns is None else time_or_none(factor.since_ns),
        is_required=session.role in parts.people.factors.required,
    )


def _offer(request: Request, parts: Parts, session: Session, status: int = 200, problem: str = "") -> Response:
    secret = parts.people.factors.offered(session, parts.now_ns())
    if secret is None:
        return RedirectResponse(ENROL, 303)
    picture = one_time.picture(one_time.provisioning_uri(secret, session.staff))
    return page(
        request,
        "second_factor_new.html",
        session,
        status,
        problem=problem,
        picture=Markup(picture),
        secret=one_time.in_groups(secret),
    )


def _recovery_codes(request: Request, parts: Parts, session: Session, made: list[str]) -> Response:
    holder = Response()
    renewed = renew(request, holder, parts, session)
    answer = _codes_page(request, renewed, made, is_new=True)
    for cookie in holder.headers.getlist("set-cookie"):
        answer.headers.append("set-cookie", cookie)
    return answer


def _codes_page(request: Request, session: Session, made: list[str], is_new: bool) -> Response:
    values: dict[str, Any] = {"codes": made, "is_new": is_new, "next": first_page(session)}
    return page(request, "recovery_codes.html", session, here=ENROL, **values)
