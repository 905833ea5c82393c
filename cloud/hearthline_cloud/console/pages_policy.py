"""Who is told when: the policies as they were saved last, and an administrator's editing of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from hearthline_cloud import policy_store
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.alert_reads import time_or_none
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.api.ready import escalation_faults
from hearthline_cloud.console.view import page
from hearthline_cloud.notify.channels import reach_of
from hearthline_cloud.people import Session
from hearthline_cloud.policy_problems import Problem
from hearthline_cloud.policy_store import PolicyError, StalePolicyError

router = APIRouter(include_in_schema=False)


@router.get("/policy")
def policy_page(request: Request, parts: PartsOf, session: Staff, saved: bool = False) -> Response:
    return _page(request, parts, session, 200, is_saved=saved)


@router.post("/policy")
def save_policy(
    request: Request,
    parts: PartsOf,
    session: Staff,
    version: Annotated[int, Form(ge=0, le=2**31 - 2)],
    text: Annotated[str, Form()] = "",
) -> Response:
    """What was typed is shown again with what is wrong in it; nothing is lost to an error or to another's version."""
    text = text.replace("\r\n", "\n")
    reaches = [reach_of(channel) for channel in parts.config.channel]
    try:
        with parts.database.transaction() as connection:
            policy_store.save(connection, text, version, reaches, session.staff, parts.now_ns())
    except PolicyError as error:
        return _page(request, parts, session, 422, typed=text, base=version, problems=error.problems)
    except StalePolicyError as error:
        return _page(request, parts, session, 409, typed=text, base=error.version, first=error.by)
    parts.waker.wake("web")
    return RedirectResponse("/policy?saved=true", 303)


def _page(
    request: Request,
    parts: Parts,
    session: Session,
    status: int,
    *,
    typed: str | None = None,
    base: int | None = None,
    problems: tuple[Problem, ...] = (),
    first: str = "",
    is_saved: bool = False,
) -> Response:
    with parts.database.reading() as connection:
        newest = policy_store.newest(connection)
        faults = escalation_faults(connection)
    text = newest.text if typed is None else typed
    lines = text.split("\n")
    return page(
        request,
        "policy.html",
        session,
        status,
        newest=newest,
        saved_at=time_or_none(newest.at_ns),
        text=text,
        base=newest.version if base is None else base,
        problems=[(problem, lines[problem.line - 1].strip()[:200]) for problem in problems],
        first=first,
        is_saved=is_saved,
        faults=faults,
    )
