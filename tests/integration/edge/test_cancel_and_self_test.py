"""The real agent: a press is sent at once and its cancel follows; a self-test goes the way of a press, silently."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from hearthline import wire
from hearthline_sim.port import PtyPort
from integration.edge.conftest import MakeGateway
from integration.edge.gateway import (
    PENDANT,
    Center,
    Gateway,
    HomeEar,
    press_telegram,
    release_telegram,
    steady,
    wait_for,
)
from integration.edge.test_siren import sirens
from servers import free_ports, mosquitto

pytestmark = pytest.mark.integration

EMERGENCY, CANCEL, ANOTHER = 0, 1, 2  # the rockers' ends
BUTTONS = f'[[device]]\nid = "{PENDANT}"\nbuttons = {{ AI = "emergency", AO = "cancel" }}'
COMMAND = wire.Command(id="0193-test-1", type="self-test")


def at_the_port(gateway: Gateway) -> None:
    gateway.start()
    wait_for(lambda: gateway.told("port open"), "the agent at the port")


def test_the_press_goes_at_once_and_the_cancel_follows_it(
    make_gateway: MakeGateway, port: PtyPort, make_center: Callable[..., Center]
) -> None:
    gateway = make_gateway(serial={"radio": (port.path, "enocean-esp3")}, tables=BUTTONS)
    at_the_port(gateway)
    center = make_center(gateway)
    port.send(press_telegram(EMERGENCY) + release_telegram())
    (alarm,) = center.wait_alarms(1)
    assert center.of_type("hearthline.cancel.v1") == [], "the press waits for no cancel"
    port.send(press_telegram(CANCEL) + release_telegram())
    (cancel,) = wait_for(lambda: center.of_type("hearthline.cancel.v1"), "the cancel")
    assert cancel.data["event"] == alarm.id
    assert cancel.subject == PENDANT
    assert len(center.alarms) == 1


def test_a_cancel_without_a_center_is_kept_and_comes_after_its_press(
    make_gateway: MakeGateway, port: PtyPort, make_center: Callable[..., Center], tmp_path: Path, stack: ExitStack
) -> None:
    (nobody,) = free_ports(1)
    gateway = make_gateway(serial={"radio": (port.path, "enocean-esp3")}, tables=BUTTONS, center_port=nobody)
    at_the_port(gateway)
    port.send(press_telegram(EMERGENCY) + release_telegram())
    wait_for(lambda: gateway.outbox()["event"]["depth"] == 1, "the press in the outbox")
    port.send(press_telegram(CANCEL) + release_telegram())
    wait_for(lambda: gateway.outbox()["event"]["depth"] == 2, "the cancel in the outbox")
    gateway.kill()
    (tmp_path / "late").mkdir()
    late = stack.enter_context(mosquitto(tmp_path / "late"))
    gateway.center_port = late.port
    center = make_center(gateway, port=late.port)
    gateway.start()
    (cancel,) = wait_for(lambda: center.of_type("hearthline.cancel.v1"), "the cancel")
    (alarm,) = center.alarms
    assert cancel.data["event"] == alarm.id
    first = [event.type for event in center.events]
    assert first.index("hearthline.alarm.v1") < first.index("hearthline.cancel.v1")


def test_the_reset_input_takes_back_a_press_of_the_last_seconds_and_no_older_one(
    make_gateway: MakeGateway, port: PtyPort, make_center: Callable[..., Center], make_ear: Callable[..., HomeEar]
) -> None:
    gateway = make_gateway(serial={"radio": (port.path, "enocean-esp3")}, top="cancel_window_s = 3.0")
    at_the_port(gateway)
    center, ear = make_center(gateway), make_ear(gateway)
    ear.reset()
    wait_for(lambda: gateway.told("local output reset at home"), "the reset")
    port.send(press_telegram(EMERGENCY) + release_telegram())
    (alarm,) = center.wait_alarms(1)
    ear.reset()
    (cancel,) = wait_for(lambda: center.of_type("hearthline.cancel.v1"), "the cancel")
    assert (cancel.data["event"], cancel.subject) == (alarm.id, PENDANT)
    pressed = time.monotonic()
    port.send(press_telegram(ANOTHER) + release_telegram())
    center.wait_alarms(2)
    wait_for(lambda: time.monotonic() - pressed > 3.2, "the end of the window")
    ear.reset()
    wait_for(lambda: gateway.told("local output reset at home") == 3, "the third reset")
    steady(lambda: len(center.of_type("hearthline.cancel.v1")) == 1, 0.5, "an old press was taken back")


def test_a_self_test_is_one_marked_alarm_and_nothing_in_the_home(
    make_gateway: MakeGateway, port: PtyPort, make_center: Callable[..., Center], make_ear: Callable[..., HomeEar],
    tmp_path: Path,
) -> None:  # fmt: skip
    gateway = make_gateway(
        serial={"radio": (port.path, "enocean-esp3")}, top="local_alarm_after_s = 0.2", tables=sirens(tmp_path)
    )
    at_the_port(gateway)
    center, ear = make_center(gateway, acknowledge=False), make_ear(gateway)
    wait_for(lambda: center.statuses, "the gateway at the center")
    center.down(wire.DOWN_COMMAND, COMMAND)
    (test,) = center.wait_alarms(1)
    assert (test.subject, test.data["role"], test.data["test"]) == (gateway.name, "self-test", COMMAND.id)
    center.down(wire.DOWN_COMMAND, COMMAND)
    steady(lambda: len(center.alarms) == 1 and not ear.sounding, 1.0, "two alarms, or a siren for a test")
    gateway.kill()
    gateway.start()
    wait_for(lambda: gateway.told("uplink connected"), "the agent again")
    center.down(wire.DOWN_COMMAND, COMMAND)
    wait_for(lambda: len(center.events) > 2, "the alarm again, for it was not acknowledged")
    center.refuse(test)
    center.ack(center.alarms)
    steady(lambda: len(center.alarms) == 1 and not ear.sounding, 1.0, "two alarms, or a siren for a test")
    assert center.of_type("hearthline.answer.v1") == []
    assert ear.signals("received") == [], "no lamp says that a press was received"


def test_a_press_in_the_midst_of_a_self_test_is_a_press(
    make_gateway: MakeGateway, port: PtyPort, make_center: Callable[..., Center], make_ear: Callable[..., HomeEar]
) -> None:
    gateway = make_gateway(serial={"radio": (port.path, "enocean-esp3")})
    at_the_port(gateway)
    center, ear = make_center(gateway), make_ear(gateway)
    wait_for(lambda: center.statuses, "the gateway at the center")
    center.down(wire.DOWN_COMMAND, COMMAND)
    port.send(press_telegram(EMERGENCY) + release_telegram())
    by_role = {alarm.data["role"]: alarm for alarm in center.wait_alarms(2)}
    assert "test" not in by_role["emergency"].data
    assert by_role["self-test"].subject == gateway.name
    (received,) = wait_for(lambda: ear.signals("received"), "the lamp")
    assert received["event"] == by_role["emergency"].id
