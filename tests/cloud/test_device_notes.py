"""A gateway's notes about its devices: lost ones are marked, faults join one alert a device and note."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Row, update

from cloud_center import Cloud
from hearthline import wire
from hearthline.clock import NS
from hearthline.model import EventType
from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import Outcome
from hearthline_cloud.alerts.supervision import Sight
from hearthline_cloud.desk import Desk
from hearthline_cloud.supervising_devices import supervise_devices


def note(cloud: Cloud, kind: str, device: str = "enocean:1", **data: Any) -> None:
    cloud.take(made(cloud, kind, device, **data))


def made(cloud: Cloud, kind: str, device: str = "enocean:1", **data: Any) -> wire.Event:
    event = cloud.gateway.event(EventType.DEVICE, device)
    return replace(event, data={"kind": kind, "detail": "told", **data})


def device(cloud: Cloud, name: str = "enocean:1") -> Row[Any]:
    return next(row for row in cloud.rows(schema.device) if row.id == name)


def alerts(cloud: Cloud) -> list[tuple[str, str, str, str | None]]:
    return [(row.kind, row.device_id, row.state, row.outcome) for row in cloud.rows(schema.alert)]


def supervise(cloud: Cloud) -> None:
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.gateway).values(state="online", last_seen_ns=time.time_ns()))
    supervise_devices(cloud.database, time.time_ns(), Sight.opened(time.time_ns() - 600 * NS, 0))


@pytest.mark.parametrize("kind", ["low-battery", "tamper", "error", "encrypted"])
def test_a_fault_is_one_alert_until_a_person_closes_it(cloud: Cloud, kind: str) -> None:
    note(cloud, kind)
    note(cloud, kind)
    assert alerts(cloud) == [("device-fault", "enocean:1", "raised", None)]
    raised = cloud.rows(schema.alert)[0]
    assert (raised.note, raised.resident_id, raised.home_id, raised.presses) == (kind, "res-1", "home-1", 0)
    assert [row.alert_id for row in cloud.rows(schema.event)] == [raised.id, raised.id]
    Desk(cloud.database, cloud.waker).resolve(raised.id, Outcome.SERVICE_DONE, "mei", time.time_ns())
    note(cloud, kind)
    assert [state for _, _, state, _ in alerts(cloud)] == ["resolved", "raised"]


def test_two_faults_of_a_device_are_two_pieces_of_work(cloud: Cloud) -> None:
    note(cloud, "low-battery")
    note(cloud, "tamper")
    note(cloud, "battery-ok")
    assert [(state, outcome) for _, _, state, outcome in alerts(cloud)] == [("resolved", "restored"), ("raised", None)]


def test_a_repeated_delivery_of_a_note_raises_nothing_anew(cloud: Cloud) -> None:
    told = made(cloud, "low-battery")
    cloud.take(told)
    Desk(cloud.database, cloud.waker).resolve(1, Outcome.SERVICE_DONE, "mei", time.time_ns())
    cloud.take(told)
    assert len(alerts(cloud)) == 1


@pytest.mark.parametrize("kind", ["test", "teach-in", "chatter", "measurement-error", "of-tomorrow", ""])
def test_other_notes_are_no_alert(cloud: Cloud, kind: str) -> None:
    note(cloud, kind)
    supervise(cloud)
    assert alerts(cloud) == []


def test_a_strangers_battery_is_nobodys_work(cloud: Cloud) -> None:
    note(cloud, "low-battery", "rf433:neighbour")
    note(cloud, "offline", "rf433:neighbour")
    supervise(cloud)
    assert alerts(cloud) == []


def test_lost_is_no_word_of_the_device_and_its_own_word_ends_it(cloud: Cloud) -> None:
    note(cloud, "offline")
    assert (device(cloud).lost, device(cloud).last_seen_ns) == ("offline", None)
    supervise(cloud)
    assert alerts(cloud) == [("device-silent", "enocean:1", "raised", None)]
    note(cloud, "online")
    assert device(cloud).lost == ""
    supervise(cloud)
    assert alerts(cloud) == [("device-silent", "enocean:1", "resolved", "restored")]


def test_what_it_had_said_before_does_not_bring_it_back_and_a_press_does(cloud: Cloud) -> None:
    late = replace(cloud.gateway.press(), wall_ns=time.time_ns() - 60 * NS)
    note(cloud, "no-reply")
    cloud.take(late)
    assert device(cloud).lost == "no-reply"
    cloud.take(cloud.gateway.press())
    assert device(cloud).lost == ""


def test_a_receiver_that_nobody_registered_is_told_and_so_is_a_port(cloud: Cloud) -> None:
    note(cloud, "no-reply", "enocean:stick")
    note(cloud, "port-lost", "gw-1", receiver="usb-meter")
    supervise(cloud)
    assert [(kind, name) for kind, name, _, _ in alerts(cloud)] == [
        ("device-silent", "enocean:stick"),
        ("device-silent", "port:usb-meter"),
    ]
    note(cloud, "port-back", "gw-1", receiver="usb-meter")
    note(cloud, "reply", "enocean:stick")
    supervise(cloud)
    assert {state for _, _, state, _ in alerts(cloud)} == {"resolved"}
