"""A hazard that comes back after it was over is an alarm of its own, wherever the agent was started anew between."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import MqttDriver, MqttMessage, Press, Release, find_drivers
from hearthline_edge.grouping import PressState, Verdict, judge, release
from hearthline_edge.profile import Profile
from hearthline_edge.profile_mqtt import mqtt_driver

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
DRIVERS = find_drivers()
PROFILE = mqtt_driver(
    msgspec.toml.decode(
        'name = "acme"\ntitle = "ACME"\nsupervision_s = 60\n[mqtt]\ntopic = "acme/{device}/state"\n'
        '[[event]]\npath = "smoke"\nequals = true\nevent = "smoke"',
        type=Profile,
    )
)
Report = Callable[[int, bool], tuple[str, dict[str, Any]]]  # (number, whether it is there) -> topic, payload


def uplink(number: int, there: bool) -> tuple[str, dict[str, Any]]:
    data = base64.b64encode(bytes([5, 0, there])).decode()
    value = {"devAddr": "00189440", "fCnt": number, "fPort": 85, "data": data}
    return "application/a/device/24e124535b486437/event/up", value


FAMILIES: dict[str, tuple[Any, Report]] = {
    "zigbee2mqtt": (DRIVERS["zigbee2mqtt"], lambda _, there: ("zigbee2mqtt/x", {"smoke": there})),
    "shelly-gen2": (DRIVERS["shelly-gen2"], lambda _, there: ("s/status/smoke:0", {"alarm": there})),
    "rtl433-json": (
        DRIVERS["rtl433-json"],
        lambda _, there: ("rtl_433/h/events", {"model": "S", "id": 1, "smoke": int(there)}),
    ),
    "theengs-ble-json": (
        DRIVERS["theengs-ble-json"],
        lambda number, there: ("home/g/BTtoMQTT/BC026EAABBCC", {"model_id": "x", "packet": number, "leak": there}),
    ),
    "chirpstack-v4": (DRIVERS["chirpstack-v4"], uplink),
    "profile": (PROFILE, lambda _, there: ("acme/d/state", {"smoke": there})),
}


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0.1, 60)), min_size=1, max_size=8))
def test_each_fire_is_an_alarm(family: str, steps: list[tuple[bool, bool, float]]) -> None:
    """Each step: whether the hazard is there, whether the agent starts anew first, seconds since the step before."""
    driver, report = FAMILIES[family]
    assert isinstance(driver, MqttDriver)
    session, now, state, there_before = driver.open_session({}), START, None, False
    for number, (there, restarted, after_s) in enumerate(steps):
        session = driver.open_session({}) if restarted else session
        now = now.later(after_s)
        topic, value = report(number, there)
        verdicts = []
        for item in session.receive(MqttMessage(topic, json.dumps(value).encode(), False), now):
            if isinstance(item, Press):
                verdict, state = judge(state, item, driver.grouping, now)
                verdicts.append(verdict)
            elif isinstance(item, Release) and isinstance(state, PressState):
                state = release(state, now)
        assert len(verdicts) == there
        if there:
            assert (verdicts[0] is not Verdict.REPEAT) is not there_before
        there_before = there
