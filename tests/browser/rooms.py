"""Every page of the console, in one list: what is tested of all pages is tested of each that stands here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from browser.visiting import a_busy_night
from hearthline.clock import NS, rfc3339
from web.seeding import Center
from web.street import climb, pair


@dataclass(frozen=True, slots=True)
class Seeded:
    """A served center after a busy night; `alert` is the open emergency to look at."""

    center: Center
    alert: int


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
    Room("homes", lambda _: "/homes"),
    Room("self-tests", lambda _: "/homes/gateways/gw-east-1/self-tests"),
    Room("resident", lambda _: "/residents/r-1"),
    Room("watch", lambda _: "/watch"),
    Room("protection", lambda _: "/protection"),
    Room("policy", lambda _: "/policy"),
    Room("policy-editor", lambda _: "/policy", visitor="boss"),
    Room("wall", lambda _: "/wall", visitor="wall"),
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
    return Seeded(center, alert)
