"""The page of one gateway's self-tests, with the button that asks for one."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.routes_registry import Id
from hearthline_cloud.api.self_test_reads import self_tests
from hearthline_cloud.console.view import page
from hearthline_cloud.selftesting import ask

router = APIRouter(include_in_schema=False)


@router.get("/homes/gateways/{gateway_id}/self-tests")
def self_tests_page(gateway_id: Id, request: Request, parts: PartsOf, session: Staff) -> Response:
    return _shown(gateway_id, request, parts, session, "self_tests.html")


@router.get("/fragments/gateways/{gateway_id}/self-tests")
def self_tests_fragment(gateway_id: Id, request: Request, parts: PartsOf, session: Staff) -> Response:
    return _shown(gateway_id, request, parts, session, "_self_tests.html")


@router.post("/homes/gateways/{gateway_id}/self-tests")
def ask_now(gateway_id: Id, parts: PartsOf, session: Staff) -> Response:
    ask(parts.database, gateway_id, session.staff, parts.now_ns())
    parts.waker.wake("ingest")
    return RedirectResponse(f"/homes/gateways/{quote(gateway_id, safe='')}/self-tests", 303)


def _shown(gateway_id: str, request: Request, parts: PartsOf, session: Staff, template: str) -> Response:
    with parts.database.reading() as connection:
        found = self_tests(connection, gateway_id)
    return page(request, template, session, found=found)
