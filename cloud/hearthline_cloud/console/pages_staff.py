"""The accounts of the staff, for administrators of the whole center. What is changed stands in the journal."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Request
from sqlalchemy import select
from starlette.responses import RedirectResponse, Response

from hearthline.errors import ConfigError, RefusedError
from hearthline_cloud import withdrawn
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.console.view import page
from hearthline_cloud.people import MAX_NAME, Session
from hearthline_cloud.permissions import Role
from hearthline_cloud.schema import community

router = APIRouter(include_in_schema=False)

HERE = "/staff"
Action = Literal["role", "communities", "password", "second-factor", "logout", "disable", "enable"]
Name = Annotated[str, Form(max_length=MAX_NAME)]
Places = Annotated[list[str], Form(default_factory=list, max_length=1000)]


@dataclass(frozen=True, slots=True)
class Made:
    """A password that was made for somebody, shown this once."""

    name: str
    password: str


@router.get(HERE)
def staff_page(request: Request, parts: PartsOf, session: Staff, done: Action | None = None) -> Response:
    return _page(request, parts, session, done=f"staff.done.{done}" if done else "")


@router.post(HERE)
def add(
    request: Request,
    parts: PartsOf,
    session: Staff,
    role: Annotated[Role, Form()],
    place: Places,
    name: Name = "",
    everywhere: Annotated[bool, Form()] = False,
) -> Response:
    made = Made(name.strip(), secrets.token_urlsafe(12))
    try:
        seen = _seen(everywhere, place)
        parts.people.accounts.add(made.name, made.password, role, parts.now_ns(), seen, session.staff)
    except RefusedError as error:
        return _page(request, parts, session, 422, problem=str(error))
    return _page(request, parts, session, made=made)


@router.post("/staff/{action}")
def change(
    action: Annotated[Action, Path()],
    request: Request,
    parts: PartsOf,
    session: Staff,
    place: Places,
    name: Name = "",
    role: Annotated[Role | None, Form()] = None,
    everywhere: Annotated[bool, Form()] = False,
) -> Response:
    """Nobody changes their own account here, so that no administrator locks himself out by a slip."""
    accounts, now_ns, by = parts.people.accounts, parts.now_ns(), session.staff
    made = None
    try:
        if name == session.staff:
            raise RefusedError("your own account is changed on its own page, or by another administrator")
        match action:
            case "role":
                accounts.set_role(name, role or "", now_ns, by)
            case "communities":
                accounts.set_communities(name, _seen(everywhere, place), now_ns, by)
            case "password":
                made = Made(name, secrets.token_urlsafe(12))
                accounts.set_password(name, made.password, now_ns, by)
            case "second-factor":
                parts.people.factors.remove(name, now_ns, by)
            case "logout":
                accounts.log_out_everywhere(name, now_ns, by)
            case "disable" | "enable":
                accounts.set_disabled(name, action == "disable", now_ns, by)
                line = withdrawn.Line(now_ns, "staff", name, closed=action == "disable")
                withdrawn.note(parts.config.withdrawn_path, line)
    except (RefusedError, ConfigError) as error:
        return _page(request, parts, session, 422, problem=str(error))
    parts.follower.recheck_sessions()
    if made is not None:
        return _page(request, parts, session, made=made)
    return RedirectResponse(f"{HERE}?done={action}", 303)


def _seen(everywhere: bool, places: list[str]) -> list[str] | None:
    """Communities, or None for every one. Raises RefusedError when nothing was chosen."""
    if not everywhere and not places:
        raise RefusedError("choose the whole center or at least one community")
    return None if everywhere else places


def _page(
    request: Request,
    parts: Parts,
    session: Session,
    status: int = 200,
    *,
    problem: str = "",
    done: str = "",
    made: Made | None = None,
) -> Response:
    with parts.database.reading() as connection:
        places = connection.execute(select(community.c.id, community.c.name).order_by(community.c.name)).all()
    return page(
        request,
        "staff.html",
        session,
        status,
        here=HERE,
        accounts=parts.people.accounts.all(parts.now_ns()),
        places=places,
        roles=list(Role),
        required=parts.people.factors.required,
        problem=problem,
        done=done,
        made=made,
    )
