"""The usual community `c-1`, with a case, an order and a declared window, beside another; accounts of both."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import insert, select, update

from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.permissions import Role
from personal_rows import put
from web.client import Client
from web.seeding import Center

OWN, OTHER, NONE = "c-1", "c-2", ""
SCOPES = (OWN, OTHER, NONE)

# What of c-1 nobody else may read. Its cases are found by these too.
PLANTED = (
    "王秀兰",
    "陈阿宝",
    "梧桐",
    "502室",
    "101室",
    '"h-1"',
    '"h-2"',
    "home-h-1",
    '"r-1"',
    "residents/r-1",
    "gw-east",
    "01a2b3c4",
    "志愿者一",
)
PLANTED_OTHER = ("李桂芳", "松江", '"h-9"', "residents/r-9", "gw-west-9")

_OTHER: list[tuple[Any, dict[str, Any]]] = [
    (schema.community, {"id": "c-2", "name": "松江社区"}),
    (schema.home, {"id": "h-9", "community_id": "c-2", "name": "松江9栋", "address": "松江路9号"}),
    (schema.resident, {"id": "r-9", "home_id": "h-9", "name": "李桂芳", "contacts": []}),
    (schema.gateway, {"id": "gw-west-9", "home_id": "h-9", "state": "online", "last_seen_ns": time.time_ns()}),
    (schema.device, {"gateway_id": "gw-west-9", "id": "rf433:999999", "registered": True, "resident_id": "r-9"}),
    (schema.volunteer, {"id": "v-1", "community_id": "c-1", "name": "志愿者一", "phone": "138-0000-0199"}),
]


def account(role: Role, scope: str) -> str:
    return f"{role}-{scope or 'none'}"


def settle(center: Center) -> dict[str, int]:
    """Add the other community and the accounts; the numbers of what belongs to c-1, by path parameter."""
    with center.database.transaction() as connection:
        for table, row in _OTHER:
            put(connection, table, **row)
        hashed = connection.execute(
            select(schema.staff.c.password_hash).where(schema.staff.c.name == "mei")
        ).scalar_one()
        for role in Role:
            for scope in SCOPES:
                name = account(role, scope)
                values = {"password_hash": hashed, "role": role, "created_ns": 0, "center_wide": False}
                connection.execute(insert(schema.staff).values(name=name, **values))
                if scope:
                    connection.execute(insert(schema.staff_community).values(staff_name=name, community_id=scope))
    alert = center.press()
    center.press("gw-east-2", "rf433:a1b2c3", "service")
    center.press("gw-west-9", "rf433:999999")
    center.press("gw-stray", "rf433:ffee01")
    return {"alert_id": alert, **_work(center, alert)}


def _work(center: Center, alert: int) -> dict[str, int]:
    now = time.time_ns()
    with center.database.transaction() as connection:
        step = {"alert_id": alert, "climb": 0, "step": 0, "waits_for": "step", "version": 1}
        times = {"began_ns": now, "due_ns": now + 3600 * NS, "set_ns": now, "fired_ns": now}
        key = connection.execute(insert(schema.escalation).values(**step, **times)).inserted_primary_key
        assert key is not None
        order = {"alert_id": alert, "escalation_id": key[0], "climb": 0, "kind": "street", "state": "issued"}
        made = connection.execute(
            insert(schema.work_order).values(
                **order, subject="center", made_ns=now, expires_ns=now + NS, changed_ns=now
            )
        ).inserted_primary_key
        window = {"what": "maintenance", "scope": "home", "scope_id": "h-1", "from_ns": now, "to_ns": now + 9000 * NS}
        by = {"declared_by": "mei", "declared_ns": now, "subject": "home:h-1"}
        number = put(connection, schema.declared, **window, **by, reason="梧桐苑电梯")
        assert made is not None
        assert number is not None
        connection.execute(update(schema.gateway).values(last_seen_ns=now))
    return {"order_id": made[0], "number": number}


def logged_in(center: Center, role: Role, scope: str) -> Client:
    client = Client(center.url)
    client.token = center.people.log_in(account(role, scope), "correct horse battery", "seed", time.time_ns())[0]
    return client
