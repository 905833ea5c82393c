"""Who may ask for what: a session by cookie (people) or by bearer token (machines), a permission, a place, an origin.

`authorize` stands before every route: the table of `permissions` says what the route needs, and what a path names must
be of the account's communities, or it is not there. A route that the table does not know is refused.

A cookie is sent along by the browser whoever made the page, so a write that rests on it must prove that our own page
asked: `Sec-Fetch-Site: same-origin`, an `Origin` that is this host, or the header `X-Hearthline` that no foreign page
can send. A request that shows a foreign origin is refused whatever it carries; and nothing loads into a foreign page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request, Response
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from hearthline.clock import NS
from hearthline_cloud.alerts.windows import Scope
from hearthline_cloud.api.model import MAX_ID
from hearthline_cloud.api.parts import Parts, parts_of
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.people import DEVICE_DAYS, EnrolFirstError, Session
from hearthline_cloud.people.login import STEP_MIN
from hearthline_cloud.permissions import ENROLLING, ROUTES, Permission
from hearthline_cloud.scoping import (
    Communities,
    sees_alert,
    sees_declared,
    sees_order,
    sees_place,
    sees_resident,
)

COOKIE = "hearthline_session"
DEVICE_COOKIE = "hearthline_device"  # by which a browser is known; it opens nothing
STEP_COOKIE = "hearthline_login"  # of a login that waits for its code; it opens nothing without it
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

PartsOf = Annotated[Parts, Depends(parts_of)]


def find_session(request: Request) -> Session | None:
    """The session that this request carries, or None."""
    parts = parts_of(request)
    token = _bearer(request) or request.cookies.get(cookie_name(parts, COOKIE))
    if not token:
        return None
    return parts.people.sessions.find(token, parts.now_ns())


async def authorize(request: Request) -> Session | None:
    """Before every route. None for a public one.

    Answers 401 without a session; 403 without the permission, and for a write that another site may have caused;
    404 for what belongs to another's community. A public route waits for no thread: health is asked when all are busy.
    """
    permission = ROUTES.get(f"{request.method} {request.scope['route'].path}", _UNKNOWN)
    if permission is None:
        return None
    return await run_in_threadpool(_allowed, request, permission)


def _allowed(request: Request, permission: object) -> Session:
    session = find_session(request)
    if session is None:
        raise HTTPException(401, "log in first")
    check_origin(request, needs_proof=_bearer(request) is None)
    if session.must_enrol and permission not in ENROLLING:
        raise EnrolFirstError("this account needs a second factor first: log in on the console and set it up")
    if not isinstance(permission, Permission) or not session.may(permission):
        raise HTTPException(403, f"the role {session.role} may not do this")
    _check_place(request, session.communities)
    return session


_UNKNOWN = object()


def _require(session: Annotated[Session | None, Depends(authorize)]) -> Session:
    if session is None:
        raise HTTPException(401, "log in first")
    return session


Staff = Annotated[Session, Depends(_require)]
"""Whose session it is, on a route that is not public; `authorize` has let it through."""

# What a path may name: whether it is theirs, and what is said when it is not, as of what does not exist.
PLACES: dict[str, tuple[Callable[[Connection, Communities, str], bool], str]] = {
    "alert_id": (lambda c, seen, key: not _is_id(key) or sees_alert(c, seen, int(key)), "there is no alert {}"),
    "order_id": (lambda c, seen, key: not _is_id(key) or sees_order(c, seen, int(key)), "there is no work order {}"),
    "number": (
        lambda c, seen, key: not _is_id(key) or sees_declared(c, seen, int(key)),
        "nothing was declared under number {}",
    ),
    "resident_id": (sees_resident, "there is no such resident"),
    "community_id": (lambda c, seen, key: sees_place(c, seen, Scope.COMMUNITY, key), "there is no such community"),
    "home_id": (lambda c, seen, key: sees_place(c, seen, Scope.HOME, key), "there is no such home"),
    "gateway_id": (lambda c, seen, key: sees_place(c, seen, Scope.GATEWAY, key), "there is no gateway {}"),
}


def _check_place(request: Request, seen: Communities) -> None:
    """Raises NotFoundError. What is no id at all is left to the route, which says so."""
    named = {name: request.path_params[name] for name in PLACES if name in request.path_params}
    if seen is None or not named:
        return
    with parts_of(request).database.reading() as connection:
        for name, key in named.items():
            sees, missing = PLACES[name]
            if not sees(connection, seen, key):
                raise NotFoundError(missing.format(key))


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 1 <= int(text[:20]) <= MAX_ID


def check_origin(request: Request, needs_proof: bool) -> None:
    """Refuse a write from another site; with `needs_proof`, one that does not show that it is from ours, too.

    Another site's page may lead to ours, and may not load it as an image, frame, script or data: a browser says which.
    """
    if request.method in _SAFE_METHODS:
        if _is_embedded(request):
            raise HTTPException(403, "another site may lead here, and may not load this as a part of its own page")
        return
    same = _same_origin(request)
    if same is False or (same is None and needs_proof and "x-hearthline" not in request.headers):
        raise HTTPException(403, "a change must come from this site's own pages, or carry the header X-Hearthline")


def cookie_name(parts: Parts, name: str) -> str:
    """Over TLS with the prefix by which a browser takes it from this very host alone."""
    return f"__Host-{name}" if parts.config.web.secure_cookies else name


def set_cookie(response: Response, parts: Parts, token: str, session: Session) -> None:
    _set(response, parts, COOKIE, token, (session.expires_ns - parts.now_ns()) // NS)


def set_step_cookie(response: Response, parts: Parts, token: str) -> None:
    _set(response, parts, STEP_COOKIE, token, STEP_MIN * 60)


def remember_device(request: Request, response: Response, parts: Parts, name: str) -> None:
    """From now on this browser is not slowed by those who guess the person's password."""
    now_ns = parts.now_ns()
    if not parts.people.sessions.knows_device(name, device_of(request, parts), now_ns):
        _set(response, parts, DEVICE_COOKIE, parts.people.sessions.remember_device(name, now_ns), DEVICE_DAYS * 86_400)


def device_of(request: Request, parts: Parts) -> str | None:
    return request.cookies.get(cookie_name(parts, DEVICE_COOKIE))


def clear_cookie(response: Response, parts: Parts, name: str = COOKIE) -> None:
    secure = parts.config.web.secure_cookies
    response.delete_cookie(cookie_name(parts, name), httponly=True, samesite="strict", secure=secure, path="/")


def _set(response: Response, parts: Parts, name: str, value: str, max_age_s: int) -> None:
    response.set_cookie(
        cookie_name(parts, name),
        value,
        max_age=max_age_s,
        httponly=True,
        samesite="strict",
        secure=parts.config.web.secure_cookies,
        path="/",
    )


def client_address(request: Request) -> str:
    """Who asks; behind a trusted proxy the address that it saw. A header from anybody else is not believed."""
    peer = request.client.host if request.client else ""
    return parts_of(request).proxies.client(peer, request.headers.getlist("x-forwarded-for"))


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _is_embedded(request: Request) -> bool:
    if request.headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
        return False
    return (request.headers.get("sec-fetch-mode"), request.headers.get("sec-fetch-dest")) != ("navigate", "document")


def _same_origin(request: Request) -> bool | None:
    """Whether the browser says that our own page asked; None when it says nothing."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == request.headers.get("host")
    return None
