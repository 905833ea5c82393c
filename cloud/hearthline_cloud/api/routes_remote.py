"""Remote hands on a gateway: look, ask, change its configuration. There is no shell, and nothing that names a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body
from pydantic import Field

from hearthline.remote import MAX_LINES
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.model import refusals
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.api.remote_reads import Ask, Remote, one_ask, remote_of
from hearthline_cloud.api.routes_registry import Id
from hearthline_cloud.people import Session
from hearthline_cloud.remote.asking import Order, ask
from hearthline_cloud.remote.asks import What

router = APIRouter(prefix="/api/v1", tags=["gateways"], responses=refusals(401, 403, 404, 422, 503))


@dataclass(frozen=True, slots=True)
class Question:
    """`examine`: the doctor's checks; `log`: the last lines; `test`: sound the local output for three seconds."""

    what: Literal["examine", "log", "test"]
    lines: Annotated[int, Field(ge=1, le=MAX_LINES)] = MAX_LINES


@dataclass(frozen=True, slots=True)
class Configuration:
    """`config` takes the place of all that the center changed before; {} gives the gateway's own file back.

    `based_on`: the ask of the configuration that it was made from, as `remote` tells it: refused when somebody has
    changed it since. `within_s`: how long the gateway tries it, 5 to 600 seconds; absent: 120.
    """

    config: dict[str, Any] = field(default_factory=dict)
    based_on: str | None = None
    within_s: float | None = None


@router.get("/gateways/{gateway_id}/remote", summary="How a gateway stands, what it was asked and answered")
def get_remote(gateway_id: Id, parts: PartsOf, session: Staff) -> Remote:
    with parts.database.reading() as connection:
        return remote_of(connection, gateway_id, parts.now_ns(), session.communities)


@router.post("/gateways/{gateway_id}/asks", status_code=202, summary="Ask it", responses=refusals(400, 429))
def post_ask(gateway_id: Id, question: Annotated[Question, Body()], parts: PartsOf, session: Staff) -> Ask:
    """The answer is in `remote` as soon as the gateway has given it. One that waits already is not asked twice."""
    return order(parts, session, gateway_id, Order(What(question.what), lines=question.lines))


@router.put(
    "/gateways/{gateway_id}/configuration",
    status_code=202,
    summary="Change its configuration, on trial",
    responses=refusals(400, 409, 429),
)
def put_configuration(gateway_id: Id, wanted: Annotated[Configuration, Body()], parts: PartsOf, session: Staff) -> Ask:
    """The gateway checks it, begins anew with it, and goes back to the old one when it does not reach the center."""
    change = Order(What.CONFIGURE, wanted.config, within_s=wanted.within_s, based_on=wanted.based_on)
    return order(parts, session, gateway_id, change)


def order(parts: Parts, session: Session, gateway: str, wanted: Order) -> Ask:
    """Raises NotFoundError, ConflictError, RefusedError."""
    with parts.database.transaction() as connection:
        made = ask(connection, gateway, wanted, session.staff, parts.now_ns(), session.communities)
        found = one_ask(connection, made)
    parts.waker.wake("ingest")
    return found
