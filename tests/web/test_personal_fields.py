"""Which personal fields each role is shown, on every route that it may read: exactly those of the table, and no other.

Every field of the people's tables holds a word of its own. Each page, fragment, JSON answer and export is asked for as
each role and searched for all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, Table, insert, select, update

from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.desk import Desk
from hearthline_cloud.journal import CARD_SHOWN
from hearthline_cloud.permissions import ROUTES, Role, may
from hearthline_cloud.personal.vault import sealed
from web.client import Client
from web.seeding import Center
from web.two_communities import OWN, account, logged_in, settle

FIELDS = {
    "community.name": "planted-community",
    "home.name": "planted-homename",
    "home.address": "planted-address",
    "resident.name": "planted-resident",
    "resident.phone": "planted-telephone",
    "resident.illnesses": "planted-illness",
    "resident.notes": "planted-remark",
    "contact.name": "planted-contact",
    "contact.relation": "planted-relation",
    "contact.phone": "planted-contactphone",
    "volunteer.name": "planted-volunteer",
    "volunteer.phone": "planted-volunteerphone",
    "note": "planted-note",
    "order.words": "planted-report",
    "maintenance.reason": "planted-lift",
    "absence.reason": "planted-hospital",
    "vital": "187.5",
}
NAMES = {"resident_id": "r-1", "home_id": "h-1", "gateway_id": "gw-east-1"}
QUERIES = {
    "/api/v1/readings": "?quantity=power&home=h-1",
    "/api/v1/protection": "?month={month}",
    "/api/v1/protection.csv": "?month={month}",
    "/protection": "?month={month}",
    "/api/v1/events": "?after=0",
}
NOT_ASKED = {"GET /api/v1/stream"}  # `test_stream` and `test_who_does_not_see_alerts…` have it


def change(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    connection.execute(update(table).where(table.c.id == row["id"]).values(**sealed(connection, table, row)))


def plant(center: Center) -> dict[str, int]:
    """A word of its own in every personal field of community c-1; the numbers of what paths name."""
    keys = settle(center)
    now = time.time_ns()
    word = FIELDS
    with center.database.transaction() as connection:
        person = {name: word[f"resident.{name}"] for name in ("name", "phone", "illnesses", "notes")}
        contact = {name: word[f"contact.{name}"] for name in ("name", "relation", "phone")}
        change(connection, schema.resident, {"id": "r-1", **person, "contacts": [contact]})
        change(connection, schema.home, {"id": "h-1", "name": word["home.name"], "address": word["home.address"]})
        volunteer = {"name": word["volunteer.name"], "phone": word["volunteer.phone"]}
        change(connection, schema.volunteer, {"id": "v-1", **volunteer})
        own = schema.community.c.id == "c-1"
        connection.execute(update(schema.community).where(own).values(name=word["community.name"]))
        connection.execute(insert(schema.pairing).values(home_id="h-1", place=0, volunteer_id="v-1"))
        report = {"id": keys["order_id"], "subject": "r-1", "words": word["order.words"], "volunteer_id": "v-1"}
        change(connection, schema.work_order, report)
        street = connection.execute(select(schema.work_order).where(schema.work_order.c.id == keys["order_id"])).one()
        call = {"alert_id": street.alert_id, "escalation_id": street.escalation_id, "climb": 0, "kind": "call-back"}
        times = {"made_ns": now, "expires_ns": now + NS, "changed_ns": now}
        connection.execute(insert(schema.work_order).values(**call, state="issued", **times, subject="r-1"))
        works = {"id": keys["number"], "subject": "h-1", "reason": word["maintenance.reason"]}
        change(connection, schema.declared, works)
        away = {"what": "absence", "scope": "home", "scope_id": "h-1", "from_ns": now, "to_ns": now + 9000 * NS}
        said = {"id": 99, "subject": "h-1", "reason": word["absence.reason"], "declared_by": "mei", "declared_ns": now}
        connection.execute(insert(schema.declared).values(**sealed(connection, schema.declared, {**away, **said})))
    Desk(center.database, center.waker).note(keys["alert_id"], word["note"], "mei", now)
    center.measure("r-1", now - 60 * NS, systolic=float(word["vital"]))
    return keys


def reads(keys: dict[str, int]) -> Iterator[tuple[str, str]]:
    """(route, path) of whatever can be looked at."""
    month = time.strftime("%Y-%m", time.gmtime())
    for route, permission in ROUTES.items():
        method, path = route.split(" ")
        if method == "GET" and permission is not None and route not in NOT_ASKED:
            query = QUERIES.get(path, "").format(month=month)
            for name, value in {**NAMES, **keys}.items():
                path = path.replace(f"{{{name}}}", str(value))
            yield route, path + query


def shown(client: Client, path: str) -> frozenset[str]:
    answer = client.request("GET", path)
    assert answer.status < 500, (path, answer.data)
    text = answer.data.decode() + answer.headers.get("location", "")
    return frozenset(name for name, word in FIELDS.items() if word in text)


_PLACE = {"home.name", "home.address"}
_PERSON = {"resident.name"}
_CARD = {
    "resident.name", "resident.phone", "resident.illnesses", "resident.notes", "contact.name", "contact.relation",
    "contact.phone",
}  # fmt: skip
_ON_CARDS = _CARD - {"resident.name", "resident.phone"}
_CALL = {"resident.phone"}  # while somebody has to call back
_ORDERS = {*_PLACE, *_PERSON, "order.words"}
_REASONS = {"maintenance.reason", "absence.reason"}
_HOMES = {"community.name", *_PLACE}

CARE: dict[str, set[str]] = {  # operator, nurse, administrator; a route that is not here shows nothing personal
    "GET /": {"home.name", *_PERSON, *_CALL},
    "GET /alerts/{alert_id}": {*_CARD, *_PLACE, "note", "order.words", "vital"},
    "GET /fragments/alerts": {"home.name", *_PERSON, *_CALL},
    "GET /fragments/alerts/{alert_id}": {"home.name", *_PERSON, *_CALL, "note", "order.words"},
    "GET /api/v1/alerts": {*_PLACE, *_PERSON},
    "GET /api/v1/alerts/{alert_id}": {*_PLACE, *_PERSON, "note"},
    "GET /api/v1/events": {"vital"},
    "GET /history": {"home.name", *_PERSON},
    "GET /orders": _ORDERS,
    "GET /fragments/orders": _ORDERS,
    "GET /api/v1/orders": {*_ORDERS, *_CALL, "volunteer.name", "volunteer.phone"},
    "GET /homes": {*_HOMES, *_PERSON},
    "GET /fragments/homes": {*_HOMES, *_PERSON},
    "GET /api/v1/homes": {*_HOMES, *_PERSON},
    "GET /api/v1/gateways": {"home.name"},
    "GET /api/v1/registry/communities": {"community.name"},
    "GET /residents/{resident_id}": {*_CARD, *_PLACE, "vital"},
    "GET /api/v1/residents/{resident_id}": {*_CARD, *_PLACE},
    "GET /api/v1/residents/{resident_id}/vitals": {"vital"},
    "GET /homes/{home_id}/energy": {"home.name"},
    "GET /homes/gateways/{gateway_id}": {"home.name"},
    "GET /fragments/gateways/{gateway_id}": {"home.name"},
    "GET /api/v1/gateways/{gateway_id}/remote": {"home.name"},
    "GET /homes/gateways/{gateway_id}/commissioning": {"home.name"},
    "GET /residents/{resident_id}/charts": _PERSON,
    "GET /residents/{resident_id}/consents": _PERSON,
    "GET /protection": {"home.name", *_PERSON},
    "GET /figures": {"community.name"},
    "GET /watch": {"community.name", "home.name", *_REASONS},
    "GET /api/v1/declared": {"home.name", *_REASONS},
}
INSTALLER = {  # places, and nobody who lives there
    "GET /homes": _HOMES,
    "GET /fragments/homes": _HOMES,
    "GET /api/v1/homes": _HOMES,
    "GET /api/v1/gateways": {"home.name"},
    "GET /api/v1/registry/communities": {"community.name"},
    "GET /homes/{home_id}/energy": {"home.name"},
    "GET /homes/gateways/{gateway_id}": {"home.name"},
    "GET /fragments/gateways/{gateway_id}": {"home.name"},
    "GET /api/v1/gateways/{gateway_id}/remote": {"home.name"},
    "GET /homes/gateways/{gateway_id}/commissioning": {"home.name"},
    "GET /watch": {"community.name", "home.name", "maintenance.reason"},
    "GET /api/v1/declared": {"home.name", "maintenance.reason"},
}
SHOWN: dict[Role, dict[str, set[str]]] = {
    Role.OPERATOR: CARE,
    Role.NURSE: CARE,
    Role.ADMINISTRATOR: CARE,
    Role.INSTALLER: INSTALLER,
    Role.AUDITOR: {"GET /figures": {"community.name"}},
    Role.VIEWER: {},
}


def test_each_role_is_shown_these_fields_and_no_other(served: Center) -> None:
    keys = plant(served)
    wrong = {}
    for role in Role:
        client = logged_in(served, role, OWN)
        for route, path in reads(keys):
            permission = ROUTES[route]
            assert permission is not None
            wanted = SHOWN[role].get(route, set()) if may(role, permission, is_center_wide=False) else set()
            found = shown(client, path)
            if found != wanted:
                wrong[role, route] = {"too much": sorted(found - wanted), "missing": sorted(wanted - found)}
    assert wrong == {}


def test_no_card_is_shown_without_a_trace_of_who_looked(served: Center) -> None:
    keys = plant(served)
    client = logged_in(served, Role.NURSE, OWN)

    def traces() -> list[tuple[str, str]]:
        looks = select(schema.journal).where(schema.journal.c.kind == CARD_SHOWN).order_by(schema.journal.c.id)
        with served.database.reading() as connection:
            return [(row.actor, row.detail["resident"]) for row in connection.execute(looks)]

    cards = set()
    for route, path in reads(keys):
        before = traces()
        if shown(client, path) & _ON_CARDS:
            cards.add(route)
            assert traces()[len(before) :] == [(account(Role.NURSE, OWN), "r-1")], route
    assert cards == {route for route, fields in CARE.items() if fields & _ON_CARDS}


def test_who_looks_for_a_name_finds_it_in_no_address(served: Center) -> None:
    """A search goes in the body of a request, and on to a pseudonymous id."""
    plant(served)
    client = logged_in(served, Role.OPERATOR, OWN)
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.request("POST", "/history", urlencode({"who": FIELDS["resident.name"]}).encode(), form)
    assert answer.status == 303
    assert "planted" not in answer.headers["location"]
