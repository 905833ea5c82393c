"""A gateway proves its way to the center: ask for it, and see how the last times went."""

from __future__ import annotations

from fastapi import APIRouter

from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.model import SelfTest, SelfTests, refusals
from hearthline_cloud.api.routes_registry import Id
from hearthline_cloud.api.self_test_reads import one_self_test, self_tests
from hearthline_cloud.selftesting import ask

router = APIRouter(prefix="/api/v1", tags=["operation"], responses=refusals(401, 403, 404, 422, 503))


@router.get("/gateways/{gateway_id}/self-tests", summary="How its last self-tests went")
def get_self_tests(gateway_id: Id, parts: PartsOf, session: Staff) -> SelfTests:
    with parts.database.reading() as connection:
        return self_tests(connection, gateway_id)


@router.post(
    "/gateways/{gateway_id}/self-tests", status_code=202, summary="Ask for one now", responses=refusals(400, 403, 429)
)
def post_self_test(gateway_id: Id, parts: PartsOf, session: Staff) -> SelfTest:
    """A marked alarm goes the whole way of a press and pages nobody. Within 20 s of another it is that one."""
    test = ask(parts.database, gateway_id, session.staff, parts.now_ns())
    parts.waker.wake("ingest")
    with parts.database.reading() as connection:
        return one_self_test(connection, test)
