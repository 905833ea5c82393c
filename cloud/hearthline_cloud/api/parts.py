"""What the endpoints work with, hung on the application once at its making."""

from __future__ import annotations

import time
from dataclasses import dataclass

from fastapi import Request

from hearthline_cloud.alerts.service import Timetable
from hearthline_cloud.api.bounded import Bounded
from hearthline_cloud.api.follow import Follower
from hearthline_cloud.api.lane import Lane
from hearthline_cloud.api.proxies import Proxies
from hearthline_cloud.api.ready import Readiness
from hearthline_cloud.charts.reading import ReadableStore
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.console.shared import Shared
from hearthline_cloud.database import Database
from hearthline_cloud.desk import Desk
from hearthline_cloud.guarding import Throttle
from hearthline_cloud.links import Links
from hearthline_cloud.order_desk import OrderDesk
from hearthline_cloud.pacing import Pacing
from hearthline_cloud.people import People
from hearthline_cloud.wake import Waker


@dataclass(frozen=True, slots=True)
class Parts:
    config: CloudConfig
    database: Database
    store: ReadableStore
    readings: Bounded
    people: People
    desk: Desk
    meals: Timetable
    waker: Waker
    follower: Follower
    readiness: Readiness
    orders: OrderDesk
    links: Links
    wrong_links: Throttle
    pacing: Pacing
    lane: Lane
    proxies: Proxies
    started_ns: int
    fragments: Shared[str]  # of the console, alike for all
    counts: Shared[dict[str, int]]

    @staticmethod
    def now_ns() -> int:
        """The cloud's clock, by which every timer of the desk runs."""
        return time.time_ns()


def parts_of(request: Request) -> Parts:
    """The parts of the application that serves this request."""
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts
