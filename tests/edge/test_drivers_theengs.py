"""Bluetooth buttons by Theengs: one packet is one press, whoever hears it, and encrypted beacons are told once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline_edge.devices import Change, DeviceNote, Item, MqttMessage, Press, Readings, Release, Seen
from hearthline_edge.devices.theengs_ble_json import DRIVER
from hearthline_edge.grouping import PressState, Verdict, judge

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
GATEWAYS = ("OpenMQTTGateway", "TheengsGateway", "ESP32-bedroom")


class Air:
    """Beacons of one button as gateways publish them, and the presses that the agent makes of them."""

    def __init__(self) -> None:
        self.session = DRIVER.open_session({})
        self.now = START
        self.states: dict[tuple[str, str], PressState] = {}
        self.presses: list[str] = []

    def beacon(self, after_s: float = 0.1, gateway: str = GATEWAYS[0], **value: Any) -> list[Item]:
        self.now = self.now.later(after_s)
        payload = json.dumps({"model_id": "SBBT-002C", "id": "BC:02:6E:AA:BB:CC", **value}).encode()
        message = MqttMessage(f"home/{gateway}/BTtoMQTT/BC026EAABBCC", payload, False)
        items = list(self.session.receive(message, self.now))
        for item in items:
            if isinstance(item, Press):
                key = (item.device, item.button)
                verdict, self.states[key] = judge(self.states.get(key), item, DRIVER.grouping, self.now)
                if verdict is Verdict.NEW:
                    self.presses.append(item.button)
        return items


def test_a_packet_is_one_press_whoever_publishes_it_and_whenever() -> None:
    air = Air()
    for after_s in (0.1, 30, 120, 300, 500):
        for gateway in GATEWAYS:
            air.beacon(after_s / 3, gateway, packet=7, button=1)
    assert air.presses == ["short"]


def test_two_presses_are_two_also_when_copies_of_the_first_come_late() -> None:
    air = Air()
    for packet, gateway in ((7, 0), (8, 0), (7, 1), (8, 1), (9, 0), (7, 2), (9, 2), (8, 2)):
        air.beacon(0.4, GATEWAYS[gateway], packet=packet, button=1)
    assert air.presses == ["short"] * 3


def test_the_packet_number_begins_anew() -> None:
    air = Air()
    for packet in range(300):
        air.beacon(20, packet=packet % 256, button=1)
    assert len(air.presses) == 300


def test_a_button_without_packet_is_pressed_once_in_two_seconds() -> None:
    air = Air()
    for after_s in (1, 0.1, 1.9, 0.1, 2.1, 0.2, 10):
        air.beacon(after_s, button=1)
    assert air.presses == ["short"] * 3


def test_a_late_copy_changes_nothing_back_and_doubles_no_reading() -> None:
    air = Air()
    air.beacon(packet=1, open=0, batt=90)
    air.beacon(packet=2, open=1, batt=90)
    for packet in (1, 2, 1):
        assert air.beacon(gateway=GATEWAYS[1], packet=packet, open=packet - 1, batt=90) == [Seen("ble:bc026eaabbcc")]
    changed, readings = air.beacon(packet=3, open=0, batt=90)
    assert isinstance(changed, Change)
    assert isinstance(readings, Readings)


def test_a_hazard_counts_also_in_a_packet_that_was_heard_before_and_is_ended_by_the_first_report() -> None:
    air = Air()
    told = [air.beacon(packet=packet, leak=leak) for packet, leak in ((1, 0), (2, 0), (1, 1), (3, 1), (4, 0), (1, 0))]
    assert [type(items[0]) for items in told] == [Release, Seen, Press, Press, Release, Seen]
    assert air.presses == ["leak"]


def test_an_encrypted_button_is_told_once_until_it_can_be_read() -> None:
    air = Air()
    cipher: dict[str, Any] = {"encr": 2, "cipher": "62511158bd25", "ctr": "b8f09364", "mic": "5b573115"}
    told = [air.beacon(**cipher) for _ in range(3)]
    assert [[type(item) for item in items] for items in told] == [[DeviceNote], [Seen], [Seen]]
    assert air.beacon(packet=1, button=1) != []
    assert air.presses == ["short"]
    (note,) = air.beacon(**cipher)
    assert isinstance(note, DeviceNote)


@pytest.mark.parametrize("packet", [None, "7", True, -1, 256, 10**400, 7.5, [7]])
def test_a_strange_packet_is_none(packet: Any) -> None:
    air = Air()
    for _ in range(3):
        air.beacon(3, packet=packet, button=1)
    assert air.presses == ["short"] * 3


@pytest.mark.parametrize(
    ("topic", "value", "device"),
    [
        ("home/a/BTtoMQTT/BC026EAABBCC", {}, "ble:bc026eaabbcc"),
        ("home/a/BTtoMQTT/BC:02:6E:AA:BB:CC", {}, "ble:bc026eaabbcc"),
        ("home/a/BTtoMQTT/x", {"id": "bc-02-6e-aa-bb-cc"}, "ble:bc026eaabbcc"),
        ("home/a/BTtoMQTT/001122334455", {"mac": "BC:02:6E:AA:BB:CC"}, "ble:bc026eaabbcc"),
        ("home/a/BTtoMQTT/001122334455", {"mac": 5, "id": None}, "ble:001122334455"),
        ("home/a/BTtoMQTT/1F2E-Ä", {}, "ble:1f2e--"),
    ],
)
def test_addresses(topic: str, value: dict[str, Any], device: str) -> None:
    payload = json.dumps({"model_id": "x", **value}).encode()
    assert list(DRIVER.open_session({}).receive(MqttMessage(topic, payload, False), START)) == [Seen(device)]


def test_memory_is_bounded() -> None:
    session: Any = DRIVER.open_session({})
    for number in range(3000):
        topic = f"home/a/BTtoMQTT/{number:012x}"
        session.receive(MqttMessage(topic, b'{"model_id":"x","packet":1,"open":true}', False), START)
    assert len(session._devices) <= 1000


def test_topics() -> None:
    assert DRIVER.claims("home/a b/BTtoMQTT/BC026EAABBCC")
    for topic in ("home/a/BTtoMQTT", "home/a/BTtoMQTT/undecoded/x", "home/a/LWT", "homes/a/BTtoMQTT/x"):
        assert not DRIVER.claims(topic)
    assert DRIVER.configured({"base": "house"}).subscriptions == ("house/+/BTtoMQTT/+",)
    with pytest.raises(ConfigError):
        DRIVER.configured({"topic": "x"})
