"""Zigbee2MQTT: one press is one event, hazards last until they are over, states tell changes, blindness is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp, rfc3339
from hearthline_edge.devices import (
    Change,
    DeviceNote,
    Item,
    MqttMessage,
    MqttSession,
    Press,
    Readings,
    Refused,
    Release,
    Seen,
)
from hearthline_edge.devices.zigbee2mqtt import DRIVER
from hearthline_edge.devices.zigbee2mqtt_values import ATTRIBUTES, Known, readings
from hearthline_edge.grouping import PressState, Verdict, judge, release

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)


def session(**options: Any) -> MqttSession:
    return DRIVER.open_session(options)


def send(to: MqttSession, topic: str, value: Any, *, retained: bool = False, at_s: float = 0) -> list[Item]:
    payload = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    return list(to.receive(MqttMessage(f"zigbee2mqtt/{topic}", payload, retained), START.later(at_s)))


def events(reports: list[tuple[float, dict[str, Any]]]) -> int:
    """Events that these reports of one device make, at these seconds."""
    to, states, count = session(), dict[str, PressState](), 0
    for at_s, value in reports:
        for item in send(to, "x", value, at_s=at_s):
            if isinstance(item, Press):
                verdict, states[item.button] = judge(states.get(item.button), item, DRIVER.grouping, START.later(at_s))
                count += verdict is Verdict.NEW
            elif isinstance(item, Release) and item.button in states:
                states[item.button] = release(states[item.button], START.later(at_s))
    return count


SOS = {"action": "emergency"}


def seen(second: int) -> dict[str, Any]:
    return SOS | {"last_seen": rfc3339(START.wall_ns + second * NS)}


@pytest.mark.parametrize(
    ("reports", "count"),
    [
        ([(0, SOS), (0.3, SOS), (0.9, SOS)], 1),
        ([(0, SOS), (1.2, SOS)], 2),
        ([(0, SOS), (0.01, {"action": ""}), (0.02, {"action": None})], 1),
        ([(0, seen(0)), (0.01, seen(30))], 2),  # both waited at the broker
        ([(0, seen(0)), (0.01, seen(0))], 1),
        ([(0, {"smoke": True}), (30, {"smoke": True}), (590, {"smoke": True})], 1),
        ([(0, {"smoke": True}), (601, {"smoke": True})], 2),  # still burning
        ([(0, {"smoke": True}), (30, {"smoke": False}), (31, {"smoke": True})], 2),
        ([(0, {"smoke": True}), (30, {"smoke": None}), (31, {"smoke": True})], 1),
        ([(0, {"smoke": True, "gas": True})], 2),
    ],
)
def test_one_press_is_one_event(reports: list[tuple[float, dict[str, Any]]], count: int) -> None:
    assert events(reports) == count


@pytest.mark.parametrize("last_seen", ["9999-12-31T23:59:59Z", 999_999_999_999_999, "0001-01-01T00:00:00Z", "soon"])
def test_a_moment_that_json_cannot_carry_is_none(last_seen: Any) -> None:
    press = send(session(), "x", SOS | {"last_seen": last_seen})[0]
    assert isinstance(press, Press)
    assert press.source_ns is None


def test_a_time_without_a_zone_is_no_moment() -> None:
    press = send(session(), "x", SOS | {"last_seen": "2026-09-21T14:13:20"})[0]
    assert isinstance(press, Press)
    assert press.source_ns is None
    assert dict(press.facts)["device_time"] == "2026-09-21T14:13:20"


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ([{"contact": False}, {"contact": False}, {"contact": True}], ["open", "closed"]),
        ([{"occupancy": True}, {"occupancy": True, "illuminance": 3}, {"occupancy": False}], ["motion", "no-motion"]),
        ([{"presence": False}, {"presence": True}], ["absent", "present"]),
        ([{"vibration": True}, {"vibration": True}, {"vibration": False}, {"vibration": True}], ["vibration"] * 2),
        ([{"state": "ON"}, {"state": "ON"}, {"state": "OFF"}], ["on", "off"]),
        ([{"state": "OPEN"}, {"contact": 0}, {"occupancy": "true"}], []),
    ],
)
def test_a_state_is_told_when_it_changes(value: list[dict[str, Any]], kinds: list[str]) -> None:
    to = session()
    items = [item for each in value for item in send(to, "x", each)]
    assert [item.kind for item in items if isinstance(item, Change)] == kinds
    assert sum(isinstance(item, Seen) for item in items) == len(value)


def test_the_bridge_tells_that_every_zigbee_device_is_unheard() -> None:
    to = session()
    (lost,) = send(to, "bridge/state", {"state": "offline"}, retained=True)
    assert isinstance(lost, DeviceNote)
    assert (lost.device, lost.kind) == ("z2m:bridge", "offline")
    assert send(to, "bridge/state", "offline") == []
    (back,) = send(to, "bridge/state", "online")
    assert isinstance(back, DeviceNote)
    assert (back.device, back.kind) == ("z2m:bridge", "online")


@pytest.mark.parametrize(
    ("topic", "claimed"),
    [
        ("zigbee2mqtt/bridge/state", True),
        ("zigbee2mqtt/a/b/availability", True),
        ("zigbee2mqttcc1352/plug", True),
        ("zigbee2mqtt/bridge/log", False),
        ("zigbee2mqtt/bridge/availability", False),
        ("zigbee2mqtt/x/set", False),
        ("zigbee2mqtt/x/get/state", False),
        ("home/x", False),
    ],
)
def test_claims(topic: str, claimed: bool) -> None:
    assert DRIVER.claims(topic) is claimed


def test_another_base_hears_only_itself() -> None:
    driver = DRIVER.configured({"base_topic": "zigbee2mqtt2"})
    assert driver.subscriptions == ("zigbee2mqtt2/#",)
    assert not driver.claims("zigbee2mqtt/x")
    assert driver.claims("zigbee2mqtt2/bridge/state")


def test_attributes_on_topics_of_their_own() -> None:
    to = session(attribute_output=True)
    assert send(to, "a/b/contact", "false") == [Seen("z2m:a/b"), Change("z2m:a/b", "open", "false")]
    assert send(to, "a/b/contact", "false") == [Seen("z2m:a/b")]
    smoke = send(to, "a/b/smoke", "true")[0]
    assert isinstance(smoke, Press)
    assert (smoke.button, smoke.lasting) == ("smoke", True)
    assert send(to, "a/b/smoke", "true", retained=True) == []
    send(to, "a/b/power", "3.5")
    assert values(send(to, "a/b/voltage", "241")) == {("z2m:a/b", "voltage"): 241.0}
    assert send(to, "a/b/action", '"double"')[0] == Press("z2m:a/b", "double", "double", '"double"')
    assert send(to, "a/b/state", "ON")[1] == Change("z2m:a/b", "on", "ON")
    assert send(to, "a/b/update-state", "idle") == []
    assert send(to, "contact", "false") == []


def test_attributes_count_by_themselves_where_no_report_comes_before_them() -> None:
    """Somebody has set Zigbee2MQTT's output to attribute, before the agent started or while it runs."""
    to = session()
    (press, *_) = send(to, "x/action", "emergency")
    assert press == Press("z2m:x", "emergency", "emergency", "emergency")
    send(to, "x", SOS, at_s=1)
    assert send(to, "x/action", "emergency", at_s=1.1) == []
    assert isinstance(send(to, "x/action", "emergency", at_s=12)[0], Press)
    assert isinstance(send(to, "x/smoke", "true", at_s=12)[0], Press)
    assert send(to, "x/action", "emergency", retained=True, at_s=13) == []


def test_attributes_beside_json_are_passed_over_and_broken_reports_are_not() -> None:
    to = session()
    send(to, "x", {"power": 3})
    assert send(to, "x/power", "3") == []
    assert send(to, "x/child_lock", "UNLOCK") == []
    assert send(to, "x/sos", '{"action": "emer') == [Refused("sanity", '{"action": "emer')]


def values(items: list[Item]) -> dict[tuple[str, str], float]:
    return {(r.device, r.quantity): r.value for item in items if isinstance(item, Readings) for r in item.readings}


@given(st.dictionaries(st.sampled_from(sorted(ATTRIBUTES)), st.floats(-1e6, 1e6) | st.integers(0, 5000), min_size=1))
def test_no_two_values_of_one_series(value: dict[str, Any]) -> None:
    for item in readings("z2m:x", value, Known()):
        assert isinstance(item, Readings)
        series = [(each.device, each.quantity) for each in item.readings]
        assert len(series) == len(set(series))


@given(st.integers(0, 100_000))
def test_values_are_exact(hundredths: int) -> None:
    items = send(session(), "x", f'{{"power": 1, "energy": {hundredths // 100}.{hundredths % 100:02d}}}')
    assert values(items)["z2m:x", "energy_import"] == float(f"{hundredths // 100}.{hundredths % 100:02d}")


def test_what_is_known_of_a_device_is_bounded() -> None:
    to = session()
    send(to, "x", {f"state_{name}": "ON" for name in range(5000)} | {f"state_l{n}": "ON" for n in range(100)})
    (known,) = vars(to)["_devices"].values()
    assert len(known.states) == 8
