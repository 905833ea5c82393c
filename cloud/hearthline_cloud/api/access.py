"""Who may ask for what: a session by cookie (people) or by bearer token (machines), and same-origin writes.

A cookie is sent along by the browser whoever made the page, so a write that rests on it must prove that our own page
asked: `Sec-Fetch-Site: same-origin`, an `Origin` that is this host, or the header `X-Hearthline` that no foreign page
can send. A request that shows a foreign origin is refused whatever it carries.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request, Response

from hearthline.clock import NS
from hearthline_cloud.api.parts import Parts, parts_of
from hearthline_cloud.people import Role, Session

COOKIE = "hearthline_session"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

PartsOf = Annotated[Parts, Depends(parts_of)]


def find_session(request: Request) -> Session | None:
    """The session that this request carries, or None."""
    token = _bearer(request) or request.cookies.get(COOKIE)
    if not token:
        return None
    parts = parts_of(request)
    return parts.people.session(token, parts.now_ns())


def require_session(request: Request) -> Session:
    """Anybody's, a screen's too. Answers 401 without a session, 403 for a write that another site may have caused."""
    session = find_session(request)
    if session is None:
        raise HTTPException(401, "log in first")
    check_origin(request, needs_proof=_bearer(request) is None)
    return session


Anyone = Annotated[Session, Depends(require_session)]


def require_staff(session: Anyone) -> Session:
    if session.role is Role.VIEWER:
        raise HTTPException(403, "this account sees the wall view only")
    return session


def require_administrator(session: Anyone) -> Session:
    if session.role is not Role.ADMINISTRATOR:
        raise HTTPException(403, "this needs the role administrator")
    return session


Staff = Annotated[Session, Depends(require_staff)]
Administrator = Annotated[Session, Depends(require_administrator)]


def check_origin(request: Request, needs_proof: bool) -> None:
    """Refuse a write from another site; with `needs_proof`, one that does not show that it is from ours, too."""
    if request.method in _SAFE_METHODS:
        return
    same = _same_origin(request)
    if same is False or (same is None and needs_proof and "x-hearthline" not in request.headers):
        raise HTTPException(403, "a change must come from this site's own pages, or carry the header X-Hearthline")


def set_cookie(response: Response, parts: Parts, token: str, session: Session) -> None:
    response.set_cookie(
        COOKIE,
        token,
        max_age=(session.expires_ns - parts.now_ns()) // NS,
        httponly=True,
        samesite="strict",
        secure=parts.config.web.secure_cookies,
        path="/",
    )


def clear_cookie(response: Response, parts: Parts) -> None:
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=parts.config.web.secure_cookies, path="/")


def client_address(request: Request) -> str:
    return request.client.host if request.client else ""


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _same_origin(request: Request) -> bool | None:
    """Whether the browser says that our own page asked; None when it says nothing."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == request.headers.get("host")
    return None
