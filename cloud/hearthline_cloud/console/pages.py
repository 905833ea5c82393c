"""The console's pages and the fragments that its script exchanges in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from markupsafe import Markup
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from hearthline.clock import rfc3339
from hearthline_cloud.alerts import windows as declared
from hearthline_cloud.alerts.lifecycle import AlertKind, Category, State, outcomes
from hearthline_cloud.alerts.service import Order
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.alert_reads import AlertFilter, alert_detail, list_alerts, list_queue, list_staff, open_counts
from hearthline_cloud.api.model import AlertDetail, Device, Gateway, SelfTest
from hearthline_cloud.api.order_reads import OrderFilter, call_backs, list_orders
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.api.ready import escalation_faults
from hearthline_cloud.api.registry_reads import (
    list_devices,
    list_gateways,
    list_homes,
    list_kept_aside,
    list_vitals,
    resident_card,
)
from hearthline_cloud.api.routes_alerts import Key
from hearthline_cloud.api.routes_registry import Id
from hearthline_cloud.api.self_test_reads import last_self_tests
from hearthline_cloud.commissioning.reading import open_to_dos
from hearthline_cloud.console.case import shown_hops, spans
from hearthline_cloud.console.navigation import first_page
from hearthline_cloud.console.view import html, language_of, page, part
from hearthline_cloud.declaring import windows
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.people import Session
from hearthline_cloud.permissions import Permission
from hearthline_cloud.scoping import sees_resident
from hearthline_cloud.tracing import trace

router = APIRouter(include_in_schema=False)

OPEN = tuple(state for state in State if state is not State.RESOLVED)
_SHOWN = 50  # rows of one queue: more than a shift can answer; the rest is counted


@dataclass(frozen=True, slots=True)
class Place:
    """One home on the page of homes, or None for what no home is known of."""

    gateway: Gateway
    devices: list[Device]
    test: SelfTest | None = None
    proof: SelfTest | None = None
    to_dos: int | None = None  # what its commissioning has left; None: it was never commissioned


@router.get("/")
async def alerts_page(request: Request, parts: PartsOf, session: Staff) -> Response:
    if not session.may(Permission.ALERTS):
        return RedirectResponse(first_page(session), 303)
    return page(request, "alerts.html", session, queues=Markup(await _queues(request, parts, session)))


@router.get("/fragments/alerts")
async def alerts_fragment(request: Request, parts: PartsOf, session: Staff) -> Response:
    return html(await _queues(request, parts, session))


@router.get("/fragments/summary")
async def summary(parts: PartsOf, session: Staff) -> dict[str, int]:
    """How many alerts of each kind nobody has acknowledged yet: what the title and the sound go by.

    None for who does not answer alarms: an installer's or an auditor's screen does not ring.
    """
    if not session.may(Permission.ALERTS):
        return dict.fromkeys(AlertKind, 0)

    def count() -> dict[str, int]:
        with parts.database.reading() as connection:
            counts = open_counts(connection, session.communities)
        return {kind.value: counts.get((kind.value, State.RAISED.value), 0) for kind in AlertKind}

    return await parts.counts.get(session.scope_key, count)


@router.get("/alerts/{alert_id}")
def alert_page(alert_id: Key, request: Request, parts: PartsOf, session: Staff) -> Response:
    """With the resident's card, which leaves a trace; the fragment below refreshes the alert alone."""
    with parts.database.reading() as connection:
        way, shown = trace(connection, alert_id), _shown(connection, parts, session, alert_id)
    card, vitals, resident = None, [], shown["detail"].alert.resident
    if resident is not None and session.may(Permission.RESIDENTS):
        with parts.database.transaction() as connection:
            if not sees_resident(connection, session.communities, resident):
                raise NotFoundError(f"there is no alert {alert_id}")
            card = resident_card(connection, resident, session.staff, parts.now_ns(), alert_id)
            vitals = list_vitals(connection, resident, 3)
    return page(
        request,
        "alert.html",
        session,
        **shown,
        trace=way,
        card=card,
        vitals=vitals,
        this_year=datetime.now(UTC).year,
    )


@router.get("/fragments/alerts/{alert_id}")
def alert_fragment(alert_id: Key, request: Request, parts: PartsOf, session: Staff) -> Response:
    with parts.database.reading() as connection:
        shown = _shown(connection, parts, session, alert_id)
    return page(request, "_alert.html", session, **shown)


@router.get("/homes")
def homes_page(request: Request, parts: PartsOf, session: Staff) -> Response:
    return _homes(request, parts, session, "homes.html")


@router.get("/fragments/homes")
def homes_fragment(request: Request, parts: PartsOf, session: Staff) -> Response:
    return _homes(request, parts, session, "_homes.html")


@router.get("/residents/{resident_id}")
def resident_page(resident_id: Id, request: Request, parts: PartsOf, session: Staff) -> Response:
    now_ns = parts.now_ns()
    with parts.database.transaction() as connection:
        card = resident_card(connection, resident_id, session.staff, now_ns)
    with parts.database.reading() as connection:
        vitals = list_vitals(connection, resident_id, 100)
        away_ns = windows(connection, now_ns).until(declared.Declared.ABSENCE, declared.Place(None, card.home), now_ns)
    facts: dict[str, Any] = {
        "this_year": datetime.now(UTC).year,
        "away_until": None if away_ns is None else rfc3339(away_ns),
    }
    return page(request, "resident.html", session, card=card, vitals=vitals, **facts)


def _shown(connection: Connection, parts: Parts, session: Session, alert_id: int) -> dict[str, Any]:
    """What of an alert is refreshed in place."""
    detail = alert_detail(connection, alert_id)
    orders = list_orders(connection, OrderFilter(alert=alert_id), parts.now_ns(), session.communities)
    return {
        "detail": detail,
        "hops": shown_hops(detail),
        "spans": spans(detail.alert),
        "work_orders": orders,
        "suggested": next((order.suggested for order in orders if order.suggested), None),
        "staff": list_staff(connection, session.communities),
        **_choices(parts, detail),
    }


def _choices(parts: Parts, detail: AlertDetail) -> dict[str, Any]:
    """What an operator may choose from: outcomes of the kind; of a service call also what to plan, and its meals."""
    kind = AlertKind(detail.alert.kind)
    orders = parts.meals.orders(parts.now_ns()) if kind is AlertKind.SERVICE else []
    return {"outcomes": list(outcomes(kind)), "categories": list(Category), "orders": shown_orders(orders)}


def shown_orders(orders: Sequence[Order]) -> list[tuple[str, str, str]]:
    """Meal, when it is served, until when it can be ordered."""
    return [(order.meal, rfc3339(order.served_ns), rfc3339(order.closes_ns)) for order in orders]


async def _queues(request: Request, parts: Parts, session: Session) -> str:
    """The open alerts and the last closed ones, alike for all who see the same communities in the same language."""
    language, seen = language_of(request), session.communities

    def render() -> str:
        with parts.database.reading() as connection:
            counts = open_counts(connection, seen)
            queues = {}
            for kind in AlertKind:
                found = list_queue(connection, AlertFilter(OPEN, kind.value, limit=_SHOWN), seen)
                total = sum(count for (of_kind, _), count in counts.items() if of_kind == kind.value)
                queues[kind.value] = (found, total)
            calls = call_backs(connection, [alert.id for found, _ in queues.values() for alert in found])
            closed = list_alerts(connection, AlertFilter((State.RESOLVED,), limit=8), seen)
        return part(language, "_queues.html", queues=queues, closed=closed, calls=calls)

    return await parts.fragments.get(f"{language} {session.scope_key}", render)


def _homes(request: Request, parts: Parts, session: Session, template: str) -> Response:
    with parts.database.reading() as connection:
        homes = list_homes(connection, session.communities, session.may(Permission.RESIDENTS))
        gateways = list_gateways(connection, parts.now_ns(), 0, session.communities)
        devices = list_devices(connection, session.communities)
        faults = escalation_faults(connection)
        tests = last_self_tests(connection)
        to_dos = open_to_dos(connection)
        aside = sum(item.count for item in list_kept_aside(connection))
    places = []
    for gateway in gateways:
        own = sorted((d for d in devices if d.gateway == gateway.id), key=lambda d: (d.registered, d.room))
        test, proof = tests.get(gateway.id, (None, None))
        places.append(Place(gateway, own, test, proof, to_dos.get(gateway.id)))
    return page(request, template, session, homes=homes, places=places, aside=aside, faults=faults)
