"""Tasmota: held radio buttons are one press, jitter is no other button, phases and units are told apart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline_edge.devices import Item, MqttMessage, MqttSession, Press, Readings, Refused, rtl433_codes
from hearthline_edge.devices.tasmota import DRIVER
from hearthline_edge.devices.tasmota_rf import Transmission, received, sniffed
from hearthline_edge.grouping import PressState, Verdict, judge

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
CODE = 0x35720A


def send(to: MqttSession, topic: str, value: Any, *, retained: bool = False) -> list[Item]:
    payload = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    return list(to.receive(MqttMessage(topic, payload, retained), START))


def events(at: list[float]) -> int:
    """Events that telegrams of one button make, at these seconds."""
    to, state, count = DRIVER.open_session({}), None, 0
    for at_s in at:
        for item in send(to, "tele/b/RESULT", {"RfReceived": {"Data": "0x7028D2", "Bits": 24}}):
            assert isinstance(item, Press)
            verdict, after = judge(state, item, DRIVER.grouping, START.later(at_s))
            state, count = PressState(after.told, after.window), count + (verdict is Verdict.NEW)
    return count


@pytest.mark.parametrize(
    ("at", "count"),
    [
        ([0, 0.06, 0.12, 0.18], 1),  # rc-switch tells each repeat
        ([0, 2.05, 4.1, 6.15], 1),  # the bridge tells a held button every 2 s
        ([0, 2.6], 2),
    ],
)
def test_a_held_button_is_one_press(at: list[float], count: int) -> None:
    assert events(at) == count


def sniff(code: int, times: list[int], order: str = "slY", sync_first: bool = False) -> str:
    """An EV1527's telegram; `order`: which bucket is short, long and sync."""
    short, long, sync = (order.index(letter) for letter in "slY")
    pulses = [pulse for bit in f"{code:024b}" for pulse in ((short, long) if bit == "0" else (long, short))]
    pulses += [short, sync]
    nibbles = "".join(f"{pulse:x}" for pulse in (pulses[-1:] + pulses[:-1] if sync_first else pulses))
    named = {"s": times[0], "l": times[1], "Y": times[2]}
    return f"AA B1 03 {' '.join(f'{named[letter]:04X}' for letter in order)} {nibbles} 55"


@given(
    st.integers(1, 0xFFFFFF),
    st.integers(270, 340),
    st.integers(850, 1000),
    st.integers(8_500, 11_000),
    st.permutations("slY"),
    st.booleans(),
)
def test_a_sniffed_code_is_the_code(
    code: int, short: int, long: int, sync: int, order: list[str], sync_first: bool
) -> None:
    heard = sniffed({"Data": sniff(code, [short, long, sync], "".join(order), sync_first)})
    assert isinstance(heard, Transmission)
    assert heard == received({"Data": f"{code:06X}"})


@given(st.lists(st.sampled_from((0, 1)), min_size=24, max_size=80), st.data())
def test_jitter_and_a_bucket_more_are_no_other_button(bits: list[int], data: st.DataObject) -> None:
    def telegram() -> object:
        jitter = st.floats(0.93, 1.07)
        short, long, sync = (round(time * data.draw(jitter)) for time in (250, 750, 9000))
        pulses = "".join(data.draw(st.sampled_from("03")) if bit == 0 else "1" for bit in bits) + "02"
        pulses += "" if len(pulses) % 2 == 0 else "0"
        return sniffed({"Data": f"AA B1 04 {short:04X} {long:04X} {sync:04X} {short + 30:04X} {pulses} 55"})

    first = telegram()
    assert isinstance(first, Transmission)
    assert telegram() == first


@pytest.mark.parametrize("pairs", [12, 17, 24, 33])
def test_other_patterns_are_other_buttons(pairs: int) -> None:
    devices = set()
    for number in range(256):
        pulses = "".join("10" if bit == "1" else "01" for bit in f"{number:0{pairs}b}")
        heard = sniffed({"Data": f"AA B1 03 07F9 0124 37DC {pulses}02 55"})
        assert isinstance(heard, Transmission)
        devices.add(heard.device)
    assert len(devices) == 256


def test_the_names_that_rtl433_gives() -> None:
    frame = {"RfReceived": {"Data": f"0x{CODE:06X}", "Bits": 24}}
    told = rtl433_codes.name(CODE, flex=False)
    as_heard = send(DRIVER.open_session({"as_rtl433": True}), "tele/b/RESULT", frame)
    assert [(each.device, each.button) for each in as_heard if isinstance(each, Press)] == [
        (told.device, button) for button in told.buttons
    ]
    by_itself = send(DRIVER.open_session({}), "tele/b/RESULT", frame)
    assert [(each.device, each.button) for each in by_itself if isinstance(each, Press)] == [
        ("rf433:ev1527:35720", "A"),
        ("rf433:ev1527:35720", "C"),
    ]


@pytest.mark.parametrize("data", [1e300, -5, 0, 1 << 24, "0x", "", "1" * 17, None, [], "0x1000000"])
def test_what_is_no_code_is_refused(data: Any) -> None:
    (item,) = send(DRIVER.open_session({}), "tele/b/RESULT", {"RfReceived": {"Data": data}})
    assert isinstance(item, Refused)


@pytest.mark.parametrize(
    ("full_topics", "subscriptions"),
    [
        (["%prefix%/%topic%/"], ("tele/+/+", "stat/+/RESULT")),
        (["home/%topic%/%prefix%"], ("home/+/tele/+", "home/+/stat/RESULT")),
        (["emoncms/+/+/x-%topic%/%prefix%/"], ("emoncms/+/+/+/tele/+", "emoncms/+/+/+/stat/RESULT")),
    ],
)
def test_subscriptions_follow_the_full_topics(full_topics: list[str], subscriptions: tuple[str, ...]) -> None:
    driver = DRIVER.configured({"full_topics": full_topics})
    assert driver.subscriptions == subscriptions


@pytest.mark.parametrize("full_topic", ["%topic%", "%prefix%/x", "a%prefix%/%topic%", "#/%prefix%/%topic%", ""])
def test_a_full_topic_out_of_form_is_named(full_topic: str) -> None:
    for open_or_configure in (DRIVER.open_session, DRIVER.configured):
        with pytest.raises(ConfigError, match=r"^tasmota: full_topics\[0\]"):
            open_or_configure({"full_topics": [full_topic]})


@pytest.mark.parametrize(
    ("topic", "claimed"),
    [
        ("tele/x/SENSOR", True),
        ("emoncms/ch2i/factory/denky_D6C0C0/tele/SENSOR", True),
        ("x/tele/LWT", True),
        ("stat/x/RESULT", True),
        ("stat/x/SENSOR", False),
        ("tele/SENSOR", False),
        ("tele/x/INFO1", False),
        ("cmnd/x/RESULT", False),
        ("zigbee2mqtt/tele/SENSOR", False),
    ],
)
def test_claims(topic: str, claimed: bool) -> None:
    assert DRIVER.claims(topic) is claimed


def values(items: list[Item]) -> dict[tuple[str, str], float]:
    return {(r.device, r.quantity): r.value for item in items if isinstance(item, Readings) for r in item.readings}


@pytest.mark.parametrize(
    ("unit", "value", "found"), [("C", 21.5, 21.5), ("F", 68.9, 20.5), ("F", -40, -40.0), (None, 3, 3.0)]
)
def test_temperature_units(unit: str | None, value: float, found: float) -> None:
    sensor = {"DS18B20": {"Id": "01131867DE67", "Temperature": value}, **({"TempUnit": unit} if unit else {})}
    items = send(DRIVER.open_session({}), "tele/x/SENSOR", sensor)
    assert values(items) == {("tasmota:x:DS18B20-01131867DE67", "temperature"): found}


def test_an_unknown_unit_of_pressure_is_no_value() -> None:
    items = send(DRIVER.open_session({}), "tele/x/SENSOR", {"BMP280": {"Pressure": 990}, "PressureUnit": "psi"})
    assert values(items) == {}


def test_a_retained_payload_is_an_old_moment() -> None:
    to = DRIVER.open_session({})
    for topic, value in (
        ("tele/x/SENSOR", {"ENERGY": {"Power": 5}}),
        ("tele/x/RESULT", {"RfReceived": {"Data": "0x7028D2"}}),
        ("stat/x/RESULT", {"POWER": "ON"}),
        ("tele/x/LWT", "Online"),
    ):
        assert send(to, topic, value, retained=True) == []
