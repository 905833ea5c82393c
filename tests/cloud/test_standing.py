"""What the center adds to the time series about itself: against counts made by hand, over a real store."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from cloud_center import Cloud
from hearthline import wire
from hearthline.clock import NS
from hearthline.errors import LinkError
from hearthline.model import CENTER_UNITS, CHANGES, EventType
from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome
from hearthline_cloud.config import FiguresConfig
from hearthline_cloud.desk import Desk
from hearthline_cloud.ingest.telemetry_lane import drain_store_queue
from hearthline_cloud.silences import raise_once
from hearthline_cloud.standing import DEVICES_EVERY_NS, MINUTE_NS, Standing, points_of
from hearthline_cloud.store import Point, Sample, SeriesQuery, Tags
from hearthline_cloud.store.embedded import EmbeddedStore

ZONE = ZoneInfo("Asia/Shanghai")
ALWAYS = (0, 2**62)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    made = EmbeddedStore(tmp_path)
    yield made
    made.close()


def stand(cloud: Cloud, at_ns: int, zone: dt.tzinfo = ZONE) -> dict[tuple[str, str], float]:
    """(quantity, the narrowest place that the point names) -> value."""
    with cloud.database.reading() as connection:
        points = list(points_of(connection, at_ns, zone))
    return {(each.quantity, each.device or each.gateway or each.community): each.value for each in points}


def press(cloud: Cloud, role: str = "emergency", device: str = "enocean:1") -> int:
    cloud.take(cloud.gateway.press(role, device))
    return int(cloud.rows(schema.alert)[-1].id)


def raised_ns(cloud: Cloud, alert: int) -> int:
    return int(cloud.rows(schema.alert)[alert - 1].raised_ns)


def minute_after(at_ns: int) -> int:
    return (at_ns // MINUTE_NS + 1) * MINUTE_NS


def test_open_calls_are_counted_where_they_were_raised_and_by_who_has_them(cloud: Cloud) -> None:
    first = press(cloud)
    press(cloud, "service", "enocean:2")
    stranger = cloud.gateway.__class__(id="gw-unknown")
    cloud.take(stranger.message(stranger.press()))
    at_ns = minute_after(raised_ns(cloud, first))
    found = stand(cloud, at_ns)
    assert found["open_emergencies", "com-1"] == found["unanswered", "com-1"] == 1
    assert found["open_service_calls", "com-1"] == 1
    assert found["longest_wait", "com-1"] == (at_ns - raised_ns(cloud, first)) // NS
    assert found["open_emergencies", ""] == 1  # of a gateway that the registry does not know: counted, not lost
    assert (found["homes", "com-1"], found["homes", ""]) == (2, 0)

    Desk(cloud.database, cloud.waker).acknowledge(first, "mei", at_ns)
    found = stand(cloud, at_ns + MINUTE_NS)
    assert (found["open_emergencies", "com-1"], found["unanswered", "com-1"], found["longest_wait", "com-1"]) == (
        1,
        0,
        0,
    )


def test_todays_answers_are_those_since_midnight_of_the_zone(cloud: Cloud) -> None:
    desk = Desk(cloud.database, cloud.waker)
    for wait_s in (20, 100, 400):
        alert = press(cloud)
        began = raised_ns(cloud, alert)
        desk.acknowledge(alert, "mei", began + wait_s * NS)
        desk.resolve(alert, Outcome.HELP_GIVEN, "mei", began + (wait_s + 5) * NS)
    noon = dt.timezone(dt.timedelta(hours=12 - time.gmtime(began // NS).tm_hour))  # whatever time it is here
    names = [f"{name}_today" for name in ("calls", "answered", "answered_60s", "answered_180s")]
    found = stand(cloud, minute_after(began + 500 * NS), noon)
    assert [found[name, "com-1"] for name in names] == [3, 3, 1, 2]
    tomorrow = stand(cloud, minute_after(began + 24 * 3600 * NS), noon)
    assert [tomorrow[name, "com-1"] for name in names] == [0, 0, 0, 0]


def test_silent_homes_devices_and_outboxes(cloud: Cloud) -> None:
    event, telemetry = wire.LaneStatus(depth=3), wire.LaneStatus(depth=70, room_h=12.5, dropped=5)
    online = wire.Status(state="online", outbox="outbox-1", bootid="boot-1", event=event, telemetry=telemetry)
    cloud.take(cloud.gateway.message(online))
    at_ns = DEVICES_EVERY_NS * 120_000
    found = stand(cloud, at_ns)
    assert found["gateway_online", "gw-1"] == 1
    assert [found[f"outbox_{name}", "gw-1"] for name in ("events", "readings", "dropped", "room")] == [3, 70, 5, 12.5]
    assert found["device_silent", "cuff:1"] == found["device_silent", "enocean:1"] == 0
    assert {place for _, place in stand(cloud, at_ns + MINUTE_NS)} == {"com-1", ""}  # each has its own period

    where = {"gateway_id": "gw-1", "home_id": "home-1"}
    cuff = where | {"device_id": "cuff:1"}
    with cloud.database.transaction() as connection:
        raise_once(connection, AlertKind.GATEWAY_SILENT, "gateway:gw-1", None, at_ns, where, {})
        raise_once(connection, AlertKind.DEVICE_SILENT, "device:cuff", None, at_ns, cuff, {})
    found = stand(cloud, at_ns)
    assert (found["silent_homes", "com-1"], found["silent_devices", "com-1"], found["open_faults", "com-1"]) == (
        1,
        1,
        2,
    )
    assert (found["gateway_online", "gw-1"], found["device_silent", "cuff:1"], found["device_silent", "enocean:1"]) == (
        0,
        1,
        0,
    )
    assert ("outbox_events", "gw-1") not in found  # what it said before it fell silent is not how it stands

    with cloud.database.transaction() as connection:  # closing the alert does not make the home speak
        connection.execute(update(schema.alert).values(state="resolved"))
    assert stand(cloud, at_ns)["silent_homes", "com-1"] == 1


def test_no_name_and_no_resident_leaves_the_database(cloud: Cloud) -> None:
    press(cloud)
    with cloud.database.reading() as connection:
        points = list(points_of(connection, DEVICES_EVERY_NS * 120_000, ZONE))
    assert {point.quantity for point in points} <= set(CENTER_UNITS)
    assert all(point.resident == "" for point in points)
    words = {text for point in points for text in (point.community, point.home, point.gateway, point.device)}
    assert words <= {"", "com-1", "home-1", "gw-1", "cuff:1", "enocean:1"}


def test_one_round_a_minute_and_two_desks_write_one_point(cloud: Cloud, store: EmbeddedStore) -> None:
    press(cloud)
    now = minute_after(raised_ns(cloud, 1)) + 7 * NS
    desks = [Standing(FiguresConfig(), cloud.database, store, lambda: now) for _ in range(2)]
    first, second = (desk.round() for desk in desks)
    assert first == second > 0
    assert desks[0].round() == 0
    written = store.read(SeriesQuery("open_emergencies", *ALWAYS, community="com-1"))
    assert [(sample.time_ns, sample.value) for sample in written] == [(now // MINUTE_NS * MINUTE_NS, 1.0)]


def test_a_store_that_is_away_costs_its_minutes_and_nothing_else(cloud: Cloud, tmp_path: Path) -> None:
    now = MINUTE_NS * 2_000_000
    standing = Standing(FiguresConfig(), cloud.database, Away(), lambda: now)
    assert standing.round() == 0
    assert standing.failed() is None


class Away:
    """A store that nobody reaches."""

    def write(self, points: object) -> list[tuple[Point, str]]:
        raise LinkError("nobody there")

    def read(self, query: SeriesQuery) -> list[Sample]:
        raise LinkError("nobody there")

    def check(self) -> None:
        raise LinkError("nobody there")


def test_each_change_of_a_sensor_is_one_point_however_often_it_is_told(cloud: Cloud, store: EmbeddedStore) -> None:
    changes = [replace(cloud.gateway.event(EventType.ACTIVITY, "door:1"), data={"kind": kind}) for kind in CHANGES]
    unknown: list[dict[str, Any]] = [{"kind": "sung"}, {"kind": ["open"]}, {}]
    odd = [replace(changes[0], id=f"odd-{number}", data=data) for number, data in enumerate(unknown)]
    cloud.take(*changes, *odd, changes[0])
    assert drain_store_queue(cloud.database, store) == len(CHANGES)
    for quantity in {quantity for quantity, _ in CHANGES.values()}:
        samples = store.read(SeriesQuery(quantity, *ALWAYS))
        assert [sample.value for sample in samples] == [value for of, value in CHANGES.values() if of == quantity]
        assert {sample.tags for sample in samples} == {Tags("com-1", "home-1", "gw-1", "door:1")}
