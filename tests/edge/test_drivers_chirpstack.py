"""LoRaWAN by ChirpStack: one frame is one press, zeros that are left out are zeros, payloads are decoded here."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline_edge.devices import DeviceNote, Item, MqttMessage, Press, Readings, Refused, Release, Seen
from hearthline_edge.devices.chirpstack_v4 import DRIVER
from hearthline_edge.devices.lorawan_codecs import Said, decode
from hearthline_edge.grouping import PressState, Verdict, judge

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
EVENTS = "application/a/device/24E124535B486437/event/"
DEVICE = "lorawan:24e124535b486437"


class Server:
    """ChirpStack's uplinks of one button, and the presses that the agent makes of them."""

    def __init__(self) -> None:
        self.session = DRIVER.open_session({})
        self.now = START
        self.states: dict[tuple[str, str], PressState] = {}
        self.presses: list[str] = []

    def send(self, event: str, value: dict[str, Any], after_s: float = 1.0) -> list[Item]:
        self.now = self.now.later(after_s)
        items = list(self.session.receive(MqttMessage(EVENTS + event, json.dumps(value).encode(), False), self.now))
        for item in items:
            if isinstance(item, Press):
                key = (item.device, item.button)
                verdict, self.states[key] = judge(self.states.get(key), item, DRIVER.grouping, self.now)
                if verdict is Verdict.NEW:
                    self.presses.append(item.button)
        return items

    def uplink(self, data: str, count: int, address: str = "00189440", after_s: float = 1.0) -> list[Item]:
        value: dict[str, Any] = {
            "devAddr": address,
            "fPort": 85,
            "data": base64.b64encode(bytes.fromhex(data)).decode(),
        }
        if count:
            value["fCnt"] = count
        return self.send("up", value, after_s)


def test_a_frame_is_one_press_however_often_it_is_published() -> None:
    server = Server()
    for count in (0, 0, 1, 0, 2, 1, 2, 2):
        server.uplink("ff2e01", count)
    assert server.presses == ["short"] * 3


def test_the_frame_counter_begins_anew_after_a_join() -> None:
    server = Server()
    server.uplink("ff2e01", 0)
    assert server.send("join", {"devAddr": "00189441"}) == [Seen(DEVICE)]
    server.uplink("ff2e01", 0, "00189441")
    assert server.presses == ["short"] * 2


def test_a_frame_that_comes_again_after_a_minute_is_a_press() -> None:
    """A button without joins whose battery was changed begins at 0 with the same address."""
    server = Server()
    for after_s in (1, 59, 59, 61):
        server.uplink("ff2e01", 0, after_s=after_s)
    assert server.presses == ["short"] * 2


def test_a_hazard_counts_also_in_a_frame_that_was_heard_before_and_is_ended_by_the_first_report() -> None:
    server = Server()
    told = [server.uplink(f"0500{leak:02x}", count) for count, leak in ((0, 0), (1, 0), (0, 1), (2, 1), (3, 0), (0, 0))]
    assert [type(items[0]) for items in told] == [Release, Seen, Press, Press, Release, Seen]
    assert server.presses == ["leak"]


@pytest.mark.parametrize("odd", [{"fCnt": "5"}, {"fCnt": -1}, {"fCnt": 1.5}, {"devAddr": 5}])
def test_a_press_in_an_odd_uplink_is_a_press(odd: dict[str, Any]) -> None:
    server = Server()
    server.send("up", {"devAddr": "a", "fCnt": 5, "fPort": 85, "data": "/y4B", "deviceInfo": [], **odd})
    assert server.presses == ["short"]


def test_a_repeated_frame_doubles_no_reading() -> None:
    server = Server()
    readings = [server.uplink("017564", count) for count in (4, 4, 5)]
    assert [type(items[0]) for items in readings] == [Readings, Seen, Readings]


def test_an_uplink_without_its_address_is_a_press_of_its_own() -> None:
    server = Server()
    for _ in range(3):
        server.send("up", {"fPort": 85, "data": "/y4B"})
    assert server.presses == ["short"] * 3


def test_null_and_absent_are_zero_and_a_port_of_another_family_is_nothing() -> None:
    server = Server()
    value = {"devAddr": "a", "fCnt": None, "fPort": None, "data": None, "rxInfo": None, "deviceInfo": None}
    assert server.send("up", value) == [Seen(DEVICE)]
    assert server.send("up", {"devAddr": "a", "fCnt": 1, "fPort": 2, "data": "/y4B"}) == [Seen(DEVICE)]


@pytest.mark.parametrize("value", [{"data": "%"}, {"data": "ä"}, {"data": [5]}, {"fPort": 1.5}])
def test_what_cannot_be_an_uplink(value: dict[str, Any]) -> None:
    assert [type(item) for item in Server().send("up", value)] == [Refused]


def test_an_error_is_told_once_until_the_next_uplink() -> None:
    server = Server()
    error = {"level": "ERROR", "code": "UPLINK_MIC", "description": "wrong keys"}
    told = [server.send("log", error), server.send("log", error), server.uplink("", 1), server.send("log", error)]
    assert [[type(item) for item in items] for items in told] == [[DeviceNote], [], [Seen], [DeviceNote]]
    for number in range(100):
        server.send("log", {**error, "code": f"X{number}"})
    session: Any = server.session
    assert len(session._devices[DEVICE].errors) <= 16


def test_the_best_reception_is_told() -> None:
    heard = [{"rssi": -110, "snr": -7.5}, {"rssi": -60}, "odd", {"snr": 9.25}]
    (press,) = Server().send("up", {"fPort": 85, "data": "/y4B", "rxInfo": heard, "deviceInfo": {"deviceName": "bed"}})
    assert isinstance(press, Press)
    facts = dict(press.facts)
    assert (facts["rssi_dbm"], facts["snr_db"], facts["gateways"]) == (-60.0, 9.25, 3)
    assert "device_name" not in facts  # people put names of people there


@pytest.mark.parametrize(
    ("port", "data", "profile", "said"),
    [
        (85, "ff2e01", "", [Said("press", "short")]),
        (85, "017510ff2e02", "", [Said("reading", "battery", Decimal(16)), Said("press", "long")]),
        (85, "ff2e03", "", [Said("press", "double")]),
        (85, "ff2e09", "", [Said("press", "press-9")]),
        (85, "0175ff", "", []),
        (85, "0367f6ff", "", [Said("reading", "temperature", Decimal("-1.0"))]),
        (85, "050001", "", [Said("hazard", "leak")]),
        (85, "050000060001", "", [Said("hazard", "leak", there=False), Said("change", "open")]),
        (85, "030001", "", []),
        (85, "030001", "Milesight ws301", [Said("change", "open")]),
        (85, "99990102ff2e01", "", [Said("press", "short")]),
        (85, "9999ff2e0102", "", []),
        (84, "ff2e01", "", []),
        (10, "0be40100000000000000", "other", []),
        (10, "0be4", "LDS02", []),
        (10, "8be401000000", "LDS02", [Said("reading", "battery_voltage", Decimal("3.044")), Said("change", "open")]),
    ],
)  # fmt: skip
def test_codecs(port: int, data: str, profile: str, said: list[Said]) -> None:
    assert decode(port, bytes.fromhex(data), profile) == said


@given(st.sampled_from([0, 10, 85]), st.binary(max_size=40), st.sampled_from(["", "WS301", "LDS02"]))
def test_no_payload_raises(port: int, data: bytes, profile: str) -> None:
    assert len(decode(port, data, profile)) <= 20


def test_topics() -> None:
    assert DRIVER.claims(EVENTS + "up")
    for topic in ("application/a/device/xyz/event/up", EVENTS, EVENTS + "up/x", "eu868/" + EVENTS + "up"):
        assert not DRIVER.claims(topic)
    other = DRIVER.configured({"prefix": "eu868/"})
    assert other.subscriptions == ("eu868/application/+/device/+/event/+",)
    assert other.claims("eu868/" + EVENTS + "up")
    items = other.open_session({"prefix": "eu868/"}).receive(
        MqttMessage("eu868/" + EVENTS + "join", b"{}", False), START
    )
    assert list(items) == [Seen(DEVICE)]
    with pytest.raises(ConfigError):
        DRIVER.configured({"application": "x"})


def test_memory_is_bounded() -> None:
    session: Any = DRIVER.open_session({})
    for number in range(3000):
        topic = f"application/a/device/{number:016x}/event/up"
        session.receive(MqttMessage(topic, b'{"devAddr":"a","fPort":85,"data":"/y4B"}', False), START)
    assert len(session._devices) <= 1000


@pytest.mark.parametrize("payload", ["ff2e01", "ff2e02", "ff2e03", "017510ff2e01", "03671001046865ff2e01"])
def test_a_bare_payload_of_known_channels_is_decoded(payload: str) -> None:
    assert any(isinstance(item, Press) for item in of_a_recording(payload))


@pytest.mark.parametrize(
    "payload", ["4242ff2e01", "ff2e01ff", "ff2e01ff2e", "ff2e", "ff2e00", "ff2e04", "0367ff2e01", "00"]
)
def test_a_bare_payload_of_anything_else_is_refused_whole(payload: str) -> None:
    assert [type(item) for item in of_a_recording(payload)] == [Refused]


@given(st.binary(min_size=1, max_size=40))
def test_the_end_of_a_live_uplink_is_heard_where_a_bare_payload_is_refused(noise: bytes) -> None:
    payload = b"\x42\x42" + noise + b"\xff\x2e\x01"
    assert [type(item) for item in of_a_recording(payload.hex())] == [Refused]
    assert [type(item) for item in Server().uplink(payload.hex(), 1)] == [Press]


def of_a_recording(payload: str) -> list[Item]:
    assert DRIVER.wrap is not None
    return list(DRIVER.open_session({}).receive(DRIVER.wrap(bytes.fromhex(payload)), START))
