"""Logging in by one step or two, logging out, and the language of the pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from hearthline_cloud.api.access import (
    COOKIE,
    STEP_COOKIE,
    PartsOf,
    Staff,
    check_origin,
    clear_cookie,
    client_address,
    cookie_name,
    device_of,
    find_session,
    remember_device,
    set_cookie,
    set_step_cookie,
)
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.console.navigation import first_page
from hearthline_cloud.console.texts import LANGUAGES
from hearthline_cloud.console.view import LANGUAGE_COOKIE, page
from hearthline_cloud.people import (
    CodeError,
    LoginError,
    Session,
    StepOverError,
    ThrottledError,
    hash_token,
)
from hearthline_cloud.people.codes import MAX_CODE

router = APIRouter(include_in_schema=False)

_YEAR_S = 31_536_000


@router.get("/login")
def login_page(request: Request, again: bool = False) -> Response:
    session = find_session(request)
    if session is not None:
        return RedirectResponse(first_page(session), 303)
    return page(request, "login.html", None, problem="login.again" if again else "")


@router.post("/login")
def log_in(
    request: Request,
    parts: PartsOf,
    name: Annotated[str, Form(max_length=64)] = "",
    password: Annotated[str, Form(max_length=256)] = "",
) -> Response:
    check_origin(request, needs_proof=False)
    try:
        given = (name.strip(), password, client_address(request), parts.now_ns())
        token, session = parts.people.first_step(*given, device_of(request, parts))
    except LoginError:
        return page(request, "login.html", None, 401, problem="login.wrong")
    except ThrottledError:
        return page(request, "login.html", None, 429, problem="login.throttled")
    if session is not None:
        return _enter(request, parts, token, session)
    answer = RedirectResponse("/login/code", 303)
    set_step_cookie(answer, parts, token)
    return answer


@router.get("/login/code")
def code_page(request: Request, parts: PartsOf) -> Response:
    """Leads back to the first step when none was made, or too long ago."""
    if not parts.people.awaits_code(_step_of(request, parts), parts.now_ns()):
        return RedirectResponse("/login", 303)
    return page(request, "login_code.html", None, problem="")


@router.post("/login/code")
def give_code(request: Request, parts: PartsOf, code: Annotated[str, Form(max_length=MAX_CODE)] = "") -> Response:
    check_origin(request, needs_proof=False)
    step = _step_of(request, parts)
    try:
        token, session = parts.people.second_step(step, code, parts.now_ns(), device_of(request, parts))
    except CodeError:
        if parts.people.awaits_code(step, parts.now_ns()):
            return page(request, "login_code.html", None, 401, problem="code.wrong")
        return RedirectResponse("/login?again=true", 303)
    except StepOverError:
        return RedirectResponse("/login?again=true", 303)
    except LoginError:  # closed, or given another password, meanwhile
        return page(request, "login.html", None, 401, problem="login.wrong")
    except ThrottledError:
        return page(request, "login_code.html", None, 429, problem="code.throttled")
    answer = _enter(request, parts, token, session)
    clear_cookie(answer, parts, STEP_COOKIE)
    return answer


@router.post("/logout")
def log_out(parts: PartsOf, session: Staff) -> Response:
    parts.people.sessions.end(session.token_hash)
    parts.follower.recheck_sessions()
    answer = RedirectResponse("/login", 303)
    clear_cookie(answer, parts)
    return answer


@router.post("/language")
def choose(request: Request, lang: Annotated[str, Form()], back: Annotated[str, Form()] = "/") -> Response:
    """Sets the language and goes back to a page of ours."""
    check_origin(request, needs_proof=False)
    is_ours = back.startswith("/") and not back.startswith("//") and "\\" not in back and back.isprintable()
    answer = RedirectResponse(back if is_ours else "/", 303)
    if lang in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, lang, max_age=_YEAR_S, samesite="strict", httponly=True)
    return answer


def _enter(request: Request, parts: Parts, token: str, session: Session) -> Response:
    """Into the console with a new session; the one that this browser had before ends."""
    before = request.cookies.get(cookie_name(parts, COOKIE))
    if before:
        parts.people.sessions.end(hash_token(before))
        parts.follower.recheck_sessions()
    answer = RedirectResponse(first_page(session), 303)
    set_cookie(answer, parts, token, session)
    remember_device(request, answer, parts, session.staff)
    return answer


def _step_of(request: Request, parts: Parts) -> str:
    return request.cookies.get(cookie_name(parts, STEP_COOKIE), "")
