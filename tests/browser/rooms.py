"""Every page of the console, in one list: what is tested of all pages is tested of each that stands here."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert

from browser.visiting import a_busy_night
from hearthline.clock import NS, rfc3339
from hearthline_cloud.alerts.lifecycle import Outcome
from hearthline_cloud.desk import beat
from hearthline_cloud.identity.alarming import tell
from hearthline_cloud.identity.keeping import ROLE as KEEPER
from hearthline_cloud.links import Purpose, open_links
from hearthline_cloud.schema import feedback, remote_ask
from hearthline_cloud.telling import Fault, FaultKind
from web.past import Call, add
from web.seeding import Center
from web.street import climb, pair
from web.tried_out import commission
from web.values import months_of_values


@dataclass(frozen=True, slots=True)
class Seeded:
    """A served center after a busy night; `alert` is the open emergency, `question` the page, to look at."""

    center: Center
    alert: int
    question: str


@dataclass(frozen=True, slots=True)
class Room:
    """One page. `visitor`: whose session it is looked at with, or None. `is_live`: it follows the journal."""

    label: str
    path: Callable[[Seeded], str]
    visitor: str | None = "mei"
    is_live: bool = True


ROOMS = [
    Room("login", lambda _: "/login", visitor=None, is_live=False),
    Room("alerts", lambda _: "/"),
    Room("alert", lambda seeded: f"/alerts/{seeded.alert}"),
    Room("history", lambda _: "/history"),
    Room("history-filtered", lambda _: "/history?home=h-1&state=resolved&first=2026-01-01&utc_offset_min=480"),
    Room("service", lambda _: "/service"),
    Room("orders", lambda _: "/orders"),
    Room("figures", lambda _: "/figures?from=2026-03&to=2026-03&by=device", visitor="boss"),
    Room("question", lambda seeded: seeded.question, visitor=None, is_live=False),
    Room("homes", lambda _: "/homes"),
    Room("self-tests", lambda _: "/homes/gateways/gw-east-1/self-tests"),
    Room("commissioning", lambda _: "/homes/gateways/gw-east-1/commissioning"),
    Room("commissioning-installer", lambda _: "/homes/gateways/gw-east-2/commissioning", visitor="boss"),
    Room("gateway", lambda _: "/homes/gateways/gw-east-1", visitor="boss"),
    Room("resident", lambda _: "/residents/r-1"),
    Room("consents", lambda _: "/residents/r-1/consents"),
    Room("vitals-charts", lambda _: "/residents/r-1/charts?range=month&day=2026-03-20"),
    Room("vitals-day", lambda _: "/residents/r-1/charts?range=day&day=2026-03-20"),
    Room("energy-chart", lambda _: "/homes/h-1/energy?range=month&day=2026-03-20"),
    Room("watch", lambda _: "/watch"),
    Room("protection", lambda _: "/protection"),
    Room("policy", lambda _: "/policy"),
    Room("policy-editor", lambda _: "/policy", visitor="boss"),
    Room("figures", lambda _: "/figures"),
    Room("wall", lambda _: "/wall", visitor="wall"),
    Room("account", lambda _: "/account"),
    Room("second-factor", lambda _: "/account/second-factor"),
    Room("staff", lambda _: "/staff", visitor="boss"),
    Room("missing", lambda _: "/nothing-here", is_live=False),
]


def seed(center: Center) -> Seeded:
    """Fill a served center with what the rooms show."""
    alert = a_busy_night(center)
    mei = center.client("mei")
    for call in mei.get("service").json()["calls"]:
        due = rfc3339(time.time_ns() + 26 * 3600 * NS)
        planned = {"category": "repair", "due": due, "provider": "张师傅水电"}
        mei.post(f"alerts/{call['call']['id']}/schedule", planned)
    center.press("gw-east-2", "rf433:a1b2c3", role="service")
    pair(center)
    climb(center, alert, 301)
    mei.post("orders/2/accept", {})
    months_of_values(center.store)
    a_way_in_at_risk(center)
    commission(center)
    a_gateway_looked_at(center)
    return Seeded(center, alert, a_month_of_calls(center))


def a_way_in_at_risk(center: Center) -> None:
    """The keeper tells of a revocation list that ends, and there is an alert of it."""
    fault = Fault(FaultKind.LIST_OLD, {"ends": "2026-11-24 08:00 UTC"})
    with center.database.transaction() as connection:
        beat(connection, KEEPER, time.time_ns(), {"faults": [fault.as_row()]})
        tell(connection, {fault.kind.value: str(fault)}, set(), time.time_ns())


def a_gateway_looked_at(center: Center) -> None:
    """Asked for everything, changed twice, and a change waits."""
    checks = [
        {"name": "disk", "ok": True, "sentence": "2810 MiB are free at /var/lib/hearthline-edge."},
        {"name": "clock", "ok": True, "sentence": "the clock is synchronised."},
        {"name": "serial port cuff", "ok": False, "sentence": "/dev/ttyUSB0 does not exist; plug the adapter in."},
    ]
    logged = {"time": "2026-11-22T08:01:07.113Z", "level": "warning", "message": "port fault", "port": "cuff"}
    lines = [json.dumps(logged), json.dumps(logged | {"level": "info", "message": "uplink connected"}), "<b>cut…"]
    serial = {"serial": [{"name": "cuff", "port": "/dev/ttyUSB1", "driver": "raycome-bp"}]}
    asks: list[tuple[str, str, dict[str, Any] | None, dict[str, Any] | None]] = [
        ("examine", "done", None, {"checks": checks, "state": {"up_s": 90_000, "center": ["serial"]}}),
        ("log", "done", None, {"lines": lines, "left_out": 41}),
        ("configure", "done", {"local_alarm_after_s": 20, **serial}, {"deaf_s": 0.41}),
        ("configure", "undone", {"gather_s": 2.5}, {"reason": 'no "received" within 120 s'}),
        ("configure", "trial", {"log_level": "debug"}, {"deaf_s": 0.38}),
    ]
    now = time.time_ns()
    with center.database.transaction() as connection:
        for place, (what, state, config, detail) in enumerate(asks):
            at_ns = now - (3600 - 60 * place) * NS
            values = {"id": f"ask-{place}", "what": what, "state": state, "config": config, "detail": detail}
            times = {"asked_ns": at_ns, "asked_by": "boss", "answered_ns": at_ns + 4 * NS}
            connection.execute(insert(remote_ask).values(gateway_id="gw-east-1", **values, **times))


def a_month_of_calls(center: Center) -> str:
    """What the figures count; the page of a question about the last one."""
    with center.database.transaction() as connection:
        for number in range(60):
            false = number % 5 == 0
            call = Call(
                f"2026-03-{number % 28 + 1:02d} {number % 24:02d}:{number:02d}",
                answered_s=12 + number,
                by=("mei", "jun")[number % 2],
                sent_s=None if false else 90,
                arrived_s=None if false else 600 + 40 * number,
                closed_s=4000,
                outcome=Outcome.FALSE_ALARM if false else Outcome.HELP_GIVEN,
                device=("enocean:01a2b3c4", "bp:cuff-1")[number % 3 == 0],
            )
            alert = add(connection, call)
        add(connection, Call("2026-03-30 03:00", home=None, gateway="gw-stray", device="rf433:ffee01"))
        expires_ns = (time.time_ns() // NS + 3600) * NS
        values = {"alert_id": alert, "whom": "contact", "expires_ns": expires_ns}
        key = connection.execute(insert(feedback).values(values).returning(feedback.c.id)).scalar_one()
    return f"/f/{open_links(center.config).token(Purpose.FEEDBACK, key, expires_ns)}"
