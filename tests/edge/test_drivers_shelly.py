"""Shelly, generation 2 and later: one way of values, each push once, hazards from both ways, sleepers not offline."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hearthline.clock import NS, Stamp
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
from hearthline_edge.devices.shelly_components import place_of, told_by
from hearthline_edge.devices.shelly_gen2 import DRIVER
from hearthline_edge.grouping import PressState, Verdict, judge, release

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)


def send(to: MqttSession, topic: str, value: Any, *, retained: bool = False, at_s: float = 0) -> list[Item]:
    payload = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    return list(to.receive(MqttMessage(topic, payload, retained), START.later(at_s)))


def notify(to: MqttSession, params: dict[str, Any], *, method: str = "NotifyStatus", at_s: float = 0) -> list[Item]:
    frame = {"src": "s-1", "dst": "s-1/events", "method": method, "params": params}
    return send(to, "s-1/events/rpc", frame, at_s=at_s)


def values(items: list[Item]) -> dict[tuple[str, str], float]:
    return {(r.device, r.quantity): r.value for item in items if isinstance(item, Readings) for r in item.readings}


def push(word: str, ts: Any, component: str = "input:0") -> dict[str, Any]:
    return {"ts": ts, "events": [{"component": component, "event": word, "ts": ts}]}


def events(frames: list[tuple[float, dict[str, Any]]]) -> list[str]:
    """The buttons whose presses these notifications make, at these seconds."""
    to, states, buttons = DRIVER.open_session({}), dict[str, PressState](), list[str]()
    for at_s, params in frames:
        method = "NotifyEvent" if "events" in params else "NotifyStatus"
        for item in notify(to, params, method=method, at_s=at_s):
            if isinstance(item, Press):
                verdict, states[item.button] = judge(states.get(item.button), item, DRIVER.grouping, START.later(at_s))
                buttons += [item.button] if verdict is Verdict.NEW else []
            elif isinstance(item, Release) and item.button in states:
                states[item.button] = release(states[item.button], START.later(at_s))
    return buttons


@pytest.mark.parametrize(
    ("frames", "buttons"),
    [
        ([(0, push("btn_down", 1.0)), (0.1, push("btn_up", 1.1)), (0.6, push("single_push", 1.6))], ["0:single_push"]),
        ([(0, push("single_push", 1.0)), (0.3, push("single_push", 1.0))], ["0:single_push"]),
        ([(0, push("single_push", 1.0)), (0.3, push("single_push", 1.7))], ["0:single_push"] * 2),
        ([(0, push("single_push", None)), (0.3, push("single_push", None))], ["0:single_push"]),
        ([(0, push("single_push", None)), (1.3, push("single_push", None))], ["0:single_push"] * 2),
        ([(0, push("long_push", 1.0, "input:3")), (0, push("triple_push", 2.0))], ["3:long_push", "0:triple_push"]),
        ([(0, push("toggle", 1.0)), (1, push("single_push", 1, "script:1")), (2, push("config_changed", 1))], []),
        ([(0, push("long_double_push", 1.0, "bthomedevice:200"))], ["long_double_push"]),
        ([(0, {"smoke:0": {"alarm": True}}), (60, {"smoke:0": {"alarm": True}})], ["smoke"]),
        ([(n, {"flood:0": {"alarm": n % 2 == 0}}) for n in range(4)], ["leak"] * 2),
    ],
)
def test_one_press_is_one_event(frames: list[tuple[float, dict[str, Any]]], buttons: list[str]) -> None:
    assert events(frames) == buttons


def test_values_are_taken_one_way_only() -> None:
    to = DRIVER.open_session({})
    power = {"switch:0": {"apower": 5.0}}
    assert values(notify(to, power))
    assert send(to, "s-1/status/switch:0", {"apower": 5.0}, at_s=0.2) == [Seen("shelly:s-1")]
    assert values(send(to, "s-1/status/switch:0", {"apower": 5.0}, at_s=60))
    assert notify(to, power, at_s=60.1) == [Seen("shelly:s-1")]
    assert values(notify(to, power, at_s=1000)), "the status topics have been switched off since"


def test_a_hazard_counts_on_either_way() -> None:
    to = DRIVER.open_session({})
    send(to, "s-1/status/smoke:0", {"alarm": False})
    (press,) = notify(to, {"smoke:0": {"alarm": True}})
    assert isinstance(press, Press)
    assert (press.button, press.lasting) == ("smoke", True)
    assert send(to, "s-1/status/smoke:0", {"alarm": True}, retained=True) == []


def test_a_hazard_is_told_beside_a_value_that_cannot_be_one() -> None:
    press, refused = notify(DRIVER.open_session({}), {"temperature:0": {"tC": "hot"}, "smoke:0": {"alarm": True}})
    assert isinstance(press, Press)
    assert isinstance(refused, Refused)


@pytest.mark.parametrize(
    ("name", "told"),
    [("shellyplus1pm-1", True), ("shellyplusht-1", False), ("shellyhtg3-1", False), ("shellyfloodg4-1", False)],
)
def test_what_sleeps_is_not_offline(name: str, told: bool) -> None:
    items = send(DRIVER.open_session({}), f"{name}/online", "false", retained=True)
    assert bool(items) is told


def test_a_device_on_a_battery_is_known_by_its_words() -> None:
    to = DRIVER.open_session({})
    notify(to, {"devicepower:0": {"battery": {"V": 3.0, "percent": 80}, "external": {"present": False}}})
    assert send(to, "s-1/online", "false") == []


def test_back_again() -> None:
    to = DRIVER.open_session({})
    send(to, "s-1/online", "false")
    items = notify(to, {"switch:0": {"output": True}})
    assert [type(item) for item in items] == [DeviceNote, Change, Seen]
    assert isinstance(items[0], DeviceNote)
    assert items[0].kind == "online"


@pytest.mark.parametrize(
    ("component", "place"),
    [
        ("switch:0", "s"),
        ("switch:2", "s:2"),
        ("temperature:100", "s:100"),
        ("bthomedevice:200", "s:bthomedevice:200"),
        ("wifi", "s"),
        ("Switch:1", "s"),
        ("switch:1000", "s"),
    ],
)
def test_places(component: str, place: str) -> None:
    assert place_of("s", component) == place


def test_phases_have_places_of_their_own() -> None:
    told = told_by("s", "em:0", {"a_voltage": 230, "b_voltage": 231, "c_voltage": 232, "n_current": 1})
    assert told is not None
    assert [(r.device, r.value) for r in told.readings] == [("s:A", 230), ("s:B", 231), ("s:C", 232), ("s:N", 1)]


@pytest.mark.parametrize("component", ["cover:0", "sys", "cloud", "script:1", "Switch:0", "switch:1000"])
def test_what_is_no_measurement_gives_none(component: str) -> None:
    told = told_by("s", component, {"apower": 1, "voltage": 230, "alarm": True, "output": True})
    assert told is None or (told.readings, told.hazard, told.output) == ((), None, None)


def test_what_is_known_of_a_device_is_bounded() -> None:
    to = DRIVER.open_session({})
    notify(to, {f"switch:{number}": {"output": True, "errors": ["x"]} for number in range(900)})
    (known,) = vars(to)["_devices"].values()
    assert len(known.states) <= 64
