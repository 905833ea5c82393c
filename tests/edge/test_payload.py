"""What firmware breaks in a JSON payload costs nothing but the broken field."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import MqttDriver, MqttMessage, Press, find_drivers
from hearthline_edge.payload import json_value

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b'{"a": 1.10}', {"a": Decimal("1.10")}),
        (b'{"a": 1, "b": "caf\xe9"}', {"a": 1, "b": "caf\ufffd"}),
        (b'{"a": 1, "b": nan}', {"a": 1, "b": None}),
        (b'{"b": -NaN, "c": [inf, -Infinity], "a": 1}', {"b": None, "c": [None, None], "a": 1}),
        (b'{"a": 1, "b": "x\ny"}', {"a": 1, "b": "x y"}),
        (b'{"a": 1}\0', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": 1, "b": "\\ud83d"}', {"a": 1, "b": "\ufffd"}),
        (b'{"a": 1, "b": "\\ude00 \\ud83d\\ude00", "c": nan}', {"a": 1, "b": "\ufffd \U0001f600", "c": None}),
    ],
)
def test_what_firmware_breaks_is_mended(payload: bytes, value: Any) -> None:
    assert json_value(payload) == (True, value)


@pytest.mark.parametrize("payload", [b"", b"\xff", b"nan", b'{"a": 1', b'{"a": 1\xff}', b'{"a": nano}', b"[" * 9000])
def test_what_is_no_json_is_none(payload: bytes) -> None:
    assert json_value(payload) == (False, None)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(), st.lists, max_leaves=20))
def test_json_is_what_it_was(value: Any) -> None:
    assert json_value(json.dumps(value).encode()) == (True, value)


@pytest.mark.parametrize(
    ("driver", "topic", "payload"),
    [
        ("zigbee2mqtt", "zigbee2mqtt/x", b'{"action": "emergency", "voltage": nan}'),
        ("rtl433-json", "rtl_433/host/events", b'{"model": "S", "id": 1, "smoke": 1, "temperature_C": -nan}'),
        ("theengs-ble-json", "home/g/BTtoMQTT/BC026EAABBCC", b'{"model_id": "x", "name": "\xff", "button": 1}'),
        ("shelly-gen2", "s/status/smoke:0", b'{"alarm": true, "name": "K\xfcche"}'),
    ],
)
def test_a_press_beside_a_broken_field_is_a_press(driver: str, topic: str, payload: bytes) -> None:
    found = find_drivers()[driver]
    assert isinstance(found, MqttDriver)
    items = list(found.open_session({}).receive(MqttMessage(topic, payload, False), START))
    assert any(isinstance(item, Press) for item in items)
