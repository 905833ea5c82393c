"""The gateway's own broker: acknowledged only after the commit, what is not understood kept aside, retained is old."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integration.edge.conftest import MakeGateway
from integration.edge.gateway import Center, Client, Gateway, NotifySocket, steady, wait_for
from servers import Server

pytestmark = pytest.mark.integration

QUIET_GAP_S = 1.1  # after which the same action is another press
SESSIONS = 3  # home, devices, readings


def connected(gateway: Gateway) -> int:
    """How many sessions the agent has begun at the local broker."""
    return gateway.told("local broker connected")


@pytest.fixture
def bridge(local_broker: Server, stack: ExitStack) -> Client:
    """Zigbee2MQTT's end of the local broker."""
    client = Client(local_broker.port, ())
    stack.callback(client.close)
    return client


@pytest.fixture
def center(make_gateway: MakeGateway, make_center: Callable[..., Center]) -> Center:
    gateway = make_gateway(top="status_period_s = 1.0")
    gateway.start()
    wait_for(lambda: connected(gateway) == SESSIONS, "the local sessions")
    return make_center(gateway)


def test_a_press_arrives_once_and_with_its_battery_reading(center: Center, bridge: Client) -> None:
    bridge.publish("zigbee2mqtt/bed room/sos 床", '{"action":"emergency","battery":51.5,"linkquality":90}')
    bridge.publish("zigbee2mqtt/bed room/sos 床", '{"action":"","battery":51.5}')
    bridge.publish("zigbee2mqtt/bed room/sos 床/action", "emergency")
    (alarm,) = center.wait_alarms(1)
    assert alarm.subject == "z2m:bed room/sos 床"
    wait_for(lambda: center.packs, "the battery reading")
    reading = center.packs[0].readings[0][0]
    assert (reading.device, reading.quantity, reading.value) == ("z2m:bed room/sos 床", "battery", 51.5)
    steady(lambda: len(center.alarms) == 1, 0.3, "a press was doubled")


def test_a_profile_of_the_installer_is_heard_within_the_gateway(
    make_gateway: MakeGateway, bridge: Client, make_center: Callable[..., Center]
) -> None:
    gateway = make_gateway()
    folder = gateway.config.parent / "profiles"
    folder.mkdir()
    (folder / "acme-sos.toml").write_text(
        """name = "acme-sos"
title = "ACME SOS button"
supervision_s = 14400
[mqtt]
topic = "acme/{device}/state"
[[event]]
path = "key"
equals = "long"
event = "press"
""",
        encoding="utf-8",
    )
    gateway.start()
    wait_for(lambda: connected(gateway) == SESSIONS, "the local sessions")
    center = make_center(gateway)
    bridge.publish("acme/hall/state", '{"key": "long"}')
    bridge.publish("acme/hall/state", '{"key": "short"}')
    (alarm,) = center.wait_alarms(1)
    assert (alarm.subject, alarm.data["driver"]) == ("acme-sos:hall", "profile:acme-sos")
    steady(lambda: len(center.alarms) == 1, 0.3, "the short press is none")


def test_what_is_not_understood_is_kept_counted_and_holds_nothing_up(center: Center, bridge: Client) -> None:
    for payload in ("{", '"', "\x00\x01", '{"action": ', "[1,2]"):
        bridge.publish("zigbee2mqtt/sos", payload)
    bridge.publish("plug/status/switch:0", '{"apower":"lots"}')
    bridge.publish("zigbee2mqtt/sos", '{"action":"emergency"}')
    center.wait_alarms(1)
    wait_for(lambda: center.statuses and center.statuses[-1].refusals.get("zigbee2mqtt:sanity") == 5, "the count")
    wait_for(lambda: center.statuses[-1].refusals.get("shelly-gen2:sanity") == 1, "the count of the plug")


def test_a_retained_action_is_no_press_unless_its_own_time_is_new(
    make_gateway: MakeGateway, bridge: Client, make_center: Callable[..., Center]
) -> None:
    now = datetime.now(UTC)
    old, new = (now - timedelta(hours=3)).isoformat(), (now - timedelta(seconds=30)).isoformat()
    topics = {
        "zigbee2mqtt/timeless": {"action": "emergency"},
        "zigbee2mqtt/old": {"action": "emergency", "last_seen": old},
        "zigbee2mqtt/new": {"action": "emergency", "last_seen": new},
    }
    for topic, body in topics.items():
        bridge.publish(topic, json.dumps(body), retain=True)
    try:
        gateway = make_gateway(tables='[clock]\ntrust = "synced"')
        gateway.start()
        center = make_center(gateway)
        (alarm,) = center.wait_alarms(1)
        assert (alarm.subject, alarm.data["certainty"]) == ("z2m:new", "possible")
        gateway.stop()
        gateway.start()
        wait_for(lambda: connected(gateway) == SESSIONS, "the sessions again")
        steady(lambda: len(center.alarms) == 1, 1.2, "a restart made a second press of a retained one")
    finally:
        for topic in topics:
            bridge.publish(topic, b"", retain=True)


def test_killed_between_commit_and_acknowledgement_it_is_one_event(
    make_gateway: MakeGateway, bridge: Client, make_center: Callable[..., Center]
) -> None:
    """Kills at random moments around the arrival of a press: each press is told, and told once."""
    gateway = make_gateway()
    gateway.start()
    center = make_center(gateway)
    dice = random.Random(7)
    count = 12
    for number in range(count):
        wait_for(lambda: connected(gateway) >= SESSIONS, "the local sessions")
        bridge.publish(f"zigbee2mqtt/sos{number}", '{"action":"emergency"}')
        time.sleep(dice.uniform(0, 0.012))  # the moment of the kill is the test's input
        gateway.kill()
        gateway.start()
    wait_for(lambda: len(center.alarms) >= count, "every press")
    steady(lambda: len(center.alarms) == count, 0.5, "a press was doubled")
    assert {alarm.subject for alarm in center.alarms} == {f"z2m:sos{number}" for number in range(count)}
    assert {alarm.data["ordinal"] for alarm in center.alarms} == {1}


def test_presses_wait_in_the_broker_while_the_agent_is_away(
    make_gateway: MakeGateway, bridge: Client, make_center: Callable[..., Center]
) -> None:
    gateway = make_gateway()
    gateway.start()
    center = make_center(gateway)
    wait_for(lambda: connected(gateway) == SESSIONS, "the local sessions")
    gateway.kill()
    for number, qos in ((1, 0), (2, 1)):
        bridge.publish(f"zigbee2mqtt/sos{number}", '{"action":"emergency"}', qos=qos)
    gateway.start()
    assert {alarm.subject for alarm in center.wait_alarms(2)} == {"z2m:sos1", "z2m:sos2"}


def test_equal_presses_of_qos_0_over_restarts_are_all_taken(
    make_gateway: MakeGateway, bridge: Client, make_center: Callable[..., Center]
) -> None:
    gateway = make_gateway()
    center = make_center(gateway)
    for number in (1, 2, 3):
        gateway.start()
        wait_for(lambda: connected(gateway) == SESSIONS, "the local sessions")
        bridge.publish("zigbee2mqtt/sos", '{"action":"emergency"}', qos=0)
        center.wait_alarms(number)
        gateway.kill()
        steady(lambda: len(center.alarms) == number, QUIET_GAP_S, "a press was doubled")  # noqa: B023


def test_a_press_that_no_broker_keeps_is_stored_while_a_stop_waits_for_the_center(
    make_gateway: MakeGateway, bridge: Client, center_broker: Server, tmp_path: Path, stack: ExitStack
) -> None:
    supervisor = NotifySocket(tmp_path / "notify")
    stack.callback(supervisor.close)
    gateway = make_gateway(environment={"NOTIFY_SOCKET": str(supervisor.path)})
    gateway.start()
    wait_for(lambda: connected(gateway) == SESSIONS and gateway.told("uplink connected"), "the sessions")
    stack.callback(os.kill, center_broker.pid, signal.SIGCONT)
    os.kill(center_broker.pid, signal.SIGSTOP)  # nobody answers the goodbye
    assert gateway.outbox()["event"]["depth"] == 0
    gateway.send_signal(signal.SIGTERM)
    wait_for(lambda: "STOPPING=1" in supervisor.listen(), "the stop")
    bridge.publish("zigbee2mqtt/sos", '{"action":"emergency"}', qos=0)
    wait_for(lambda: gateway.outbox()["event"]["depth"] == 1, "the press in the outbox")
    assert not gateway.told("agent stopped"), "the goodbye did not hang: nothing was tried"
    os.kill(center_broker.pid, signal.SIGCONT)
    wait_for(lambda: gateway.told("agent stopped"), "the end")
    assert gateway.outbox()["event"]["depth"] == 1
