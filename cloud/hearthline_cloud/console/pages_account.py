"""One's own account: password, sessions, and the way to one's second factor."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from hearthline.errors import RefusedError
from hearthline_cloud.api.access import (
    PartsOf,
    Staff,
    client_address,
    device_of,
    remember_device,
    set_cookie,
)
from hearthline_cloud.api.alert_reads import time_or_none
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.console.view import page
from hearthline_cloud.people import MAX_PASSWORD, LoginError, Session, ThrottledError
from hearthline_cloud.people.accounts import MIN_PASSWORD

router = APIRouter(include_in_schema=False)

HERE = "/account"
Password = Annotated[str, Form(max_length=MAX_PASSWORD)]
Done = Literal["password", "sessions", "removed"]


@router.get(HERE)
def account_page(request: Request, parts: PartsOf, session: Staff, done: Done | None = None) -> Response:
    return _page(request, parts, session, done=f"account.done.{done}" if done else "")


@router.post("/account/password")
def change_password(
    request: Request, parts: PartsOf, session: Staff, password: Password = "", new: Password = "", again: Password = ""
) -> Response:
    """Every other session ends, and this one is exchanged for a new one."""
    now_ns = parts.now_ns()
    if new != again:
        return _page(request, parts, session, 422, problem="account.unequal")
    if not len(new) >= MIN_PASSWORD or new in (password, session.staff):
        return _page(request, parts, session, 422, problem="account.weak")
    try:
        parts.people.check_password(session, password, client_address(request), now_ns, device_of(request, parts))
        parts.people.accounts.set_password(session.staff, new, now_ns, session.staff)
    except LoginError:
        return _page(request, parts, session, 422, problem="account.wrong")
    except ThrottledError:
        return _page(request, parts, session, 429, problem="login.throttled")
    return go_on(request, parts, session, f"{HERE}?done=password")


@router.post("/account/sessions/end")
def end_sessions(request: Request, parts: PartsOf, session: Staff) -> Response:
    """Of all browsers; this one is given a new session."""
    parts.people.accounts.log_out_everywhere(session.staff, parts.now_ns(), session.staff)
    return go_on(request, parts, session, f"{HERE}?done=sessions")


def go_on(request: Request, parts: Parts, session: Session, path: str) -> Response:
    """To a page, with a new session in place of the one that has ended."""
    answer: Response = RedirectResponse(path, 303)
    renew(request, answer, parts, session)
    return answer


def renew(request: Request, answer: Response, parts: Parts, session: Session) -> Session:
    """A new session of the same person for this browser. Raises RefusedError when the account was closed meanwhile."""
    opened = parts.people.sessions.open(session.staff, parts.now_ns(), with_factor=True)
    parts.follower.recheck_sessions()
    if opened is None:
        raise RefusedError("this account has been closed")
    set_cookie(answer, parts, *opened)
    remember_device(request, answer, parts, session.staff)
    return opened[1]


def _page(
    request: Request, parts: Parts, session: Session, status: int = 200, *, problem: str = "", done: str = ""
) -> Response:
    factor = parts.people.factors.standing(session.staff)
    return page(
        request,
        "account.html",
        session,
        status,
        here=HERE,
        problem=problem,
        done=done,
        sessions=parts.people.sessions.count(session.staff, parts.now_ns()),
        communities=None if session.communities is None else sorted(session.communities),
        factor=factor,
        since=None if factor.since_ns is None else time_or_none(factor.since_ns),
    )
