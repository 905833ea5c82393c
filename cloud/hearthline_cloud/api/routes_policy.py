"""The escalation policies: what was saved last, and saving the next version; for administrators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from hearthline_cloud import policy_store
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.alert_reads import time_or_none
from hearthline_cloud.api.model import Time, refusals
from hearthline_cloud.notify.channels import reach_of
from hearthline_cloud.policy_file import MAX_CHARACTERS
from hearthline_cloud.policy_store import Saved

router = APIRouter(prefix="/api/v1", tags=["policy"], responses=refusals(401, 403, 503))


@dataclass(frozen=True, slots=True)
class Policy:
    """The newest version. `version` 0 is what is shipped, saved by nobody; it goes back with the next one."""

    version: int
    at: Time | None
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class PolicyToSave:
    """`version`: the one that was seen, so that two administrators do not undo each other's work."""

    version: Annotated[int, Field(ge=0, le=2**31 - 2)]
    text: Annotated[str, Field(max_length=MAX_CHARACTERS)]


@router.get("/policy", summary="The escalation policies as they were saved last")
def get_policy(parts: PartsOf, session: Staff) -> Policy:
    with parts.database.reading() as connection:
        return _policy(policy_store.newest(connection))


@router.put(
    "/policy", summary="Save the next version of the escalation policies", responses=refusals(400, 409, 413, 422, 429)
)
def put_policy(wanted: PolicyToSave, parts: PartsOf, session: Staff) -> Policy:
    """Answers 422 with every problem (`problems`: line, key, message), 409 when another version was saved since."""
    reaches = [reach_of(channel) for channel in parts.config.channel]
    with parts.database.transaction() as connection:
        saved = policy_store.save(connection, wanted.text, wanted.version, reaches, session.staff, parts.now_ns())
    parts.waker.wake("web")
    return _policy(saved)


def _policy(saved: Saved) -> Policy:
    return Policy(saved.version, time_or_none(saved.at_ns), saved.by, saved.text)
