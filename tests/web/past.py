"""Calls of the past, as the journal would have them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, insert

from hearthline.clock import NS
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome, State

ZONE = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class Call:
    """`at`: local time in Shanghai, e.g. "2026-03-01 12:00"; the others in seconds after it, None: that never came."""

    at: str
    answered_s: float | None = None
    by: str = "mei"
    sent_s: float | None = None
    arrived_s: float | None = None
    closed_s: float | None = None
    outcome: Outcome = Outcome.HELP_GIVEN
    home: str | None = "h-1"
    gateway: str = "gw-east-1"
    device: str = "enocean:01a2b3c4"
    kind: AlertKind = AlertKind.EMERGENCY


def add(connection: Connection, call: Call) -> int:
    """Write a call, and what was done about it; the alert's id."""
    raised_ns = round(datetime.fromisoformat(call.at).replace(tzinfo=ZONE).timestamp()) * NS
    state = State.RAISED if call.closed_s is None else State.RESOLVED
    values = {
        "kind": call.kind,
        "join_key": f"past:{raised_ns}:{call.device}",
        "state": state,
        "home_id": call.home,
        "gateway_id": call.gateway,
        "device_id": call.device,
        "resident_id": "r-1" if call.home == "h-1" else None,
        "presses": 1,
        "raised_ns": raised_ns,
        "resolved_ns": None if call.closed_s is None else raised_ns + round(call.closed_s * NS),
        "outcome": None if call.closed_s is None else call.outcome,
    }
    alert: int = connection.execute(insert(schema.alert).values(**values).returning(schema.alert.c.id)).scalar_one()
    journal.append(connection, "raised", raised_ns, {}, alert=alert)
    steps = (("acknowledged", call.answered_s), ("attending", call.sent_s), ("arrived", call.arrived_s))
    for kind, after_s in steps:
        if after_s is not None:
            journal.append(connection, kind, raised_ns + round(after_s * NS), {}, alert=alert, actor=call.by)
    if call.closed_s is not None:
        at_ns = raised_ns + round(call.closed_s * NS)
        journal.append(connection, "resolved", at_ns, {"outcome": call.outcome.value}, alert=alert, actor=call.by)
    return alert
