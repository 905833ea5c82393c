"""Logging in and out, for people by cookie and for machines by bearer token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from hearthline.clock import rfc3339
from hearthline_cloud.api.access import (
    PartsOf,
    Staff,
    check_origin,
    clear_cookie,
    client_address,
    device_of,
    set_cookie,
)
from hearthline_cloud.api.model import Login, refusals
from hearthline_cloud.people import MAX_NAME, MAX_PASSWORD
from hearthline_cloud.people.codes import MAX_CODE

router = APIRouter(prefix="/api/v1", tags=["session"], responses=refusals(401, 403, 413, 503))


@dataclass(frozen=True, slots=True)
class Credentials:
    name: Annotated[str, Field(max_length=MAX_NAME)]
    password: Annotated[str, Field(max_length=MAX_PASSWORD)]
    code: Annotated[str | None, Field(max_length=MAX_CODE)] = None


@router.post("/login", summary="Log in", responses=refusals(400, 422, 429))
def log_in(credentials: Credentials, request: Request, response: Response, parts: PartsOf) -> Login:
    """Sets the session's cookie and tells its token. Ten attempts a minute for a name and an address.

    An account with a second factor sends the app's code, or a recovery code, as `code`; each is good once.
    """
    check_origin(request, needs_proof=False)
    given = (credentials.name, credentials.password, client_address(request), parts.now_ns())
    token, session = parts.people.log_in(*given, device_of(request, parts), credentials.code)
    set_cookie(response, parts, token, session)
    return Login(token, session.staff, session.role.value, rfc3339(session.expires_ns))


@router.post("/logout", status_code=204, summary="Log out")
def log_out(response: Response, parts: PartsOf, session: Staff) -> None:
    """Ends the session and its streams."""
    parts.people.sessions.end(session.token_hash)
    parts.follower.recheck_sessions()
    clear_cookie(response, parts)
