"""Raw GATT blood pressure: exact values, absent values, every stored result once, and nothing from wrong bytes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline_edge.devices import Item, MqttMessage, Refused, Seen, Vital
from hearthline_edge.devices.ble_gatt_bp import DRIVER, parse

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
TOPIC = "hearthline/ble/kitchen/A4:C1:38:00:11:22/2a35"
NAN, NRES, PLUS_INF, MINUS_INF, RESERVED = 0x07FF, 0x0800, 0x07FE, 0x0802, 0x0801
PLAIN = bytes.fromhex("00780050005d00")  # 120 / 80, mean 93


def sfloat(mantissa: int, exponent: int = 0) -> bytes:
    return ((exponent & 15) << 12 | mantissa & 0xFFF).to_bytes(2, "little")


def word(value: int) -> bytes:
    return value.to_bytes(2, "little")


def hear(session: Any, payload: bytes, topic: str = TOPIC, after_s: float = 0.0) -> list[Item]:
    return list(session.receive(MqttMessage(topic, payload, False), START.later(after_s)))


@given(st.integers(-0x800 + 3, 0x7FD), st.integers(-8, 7))
def test_sfloat_is_exact(mantissa: int, exponent: int) -> None:
    found = parse(b"\0" + sfloat(mantissa, exponent) + word(NAN) * 2)
    assert found is not None
    assert found.values["systolic"] == Decimal(mantissa) * Decimal(10) ** exponent


@pytest.mark.parametrize("special", [NAN, NRES, PLUS_INF, MINUS_INF, RESERVED])
def test_words_for_no_value_are_no_value(special: int) -> None:
    found = parse(b"\x04" + sfloat(120) + sfloat(80) + word(special) + word(special))
    assert found is not None
    assert found.values == {"systolic": 120, "diastolic": 80}


@pytest.mark.parametrize(
    ("kilopascals", "millimetres"),
    [((160, -1), "120.0"), ((16, 0), "120.0"), ((107, -1), "80.3"), ((1867, -2), "140.0")],
)
def test_kilopascals(kilopascals: tuple[int, int], millimetres: str) -> None:
    found = parse(b"\x01" + sfloat(*kilopascals) + word(NAN) * 2)
    assert found is not None
    assert found.values["systolic"] == Decimal(millimetres)


@pytest.mark.parametrize("flags", range(32))
def test_every_combination_of_fields(flags: int) -> None:
    data = bytes((flags,)) + (sfloat(16) + sfloat(11) if flags & 1 else sfloat(120) + sfloat(80)) + word(NAN)
    data += bytes.fromhex("e2070918172c18") if flags & 2 else b""
    data += sfloat(712, -1) if flags & 4 else b""
    data += b"\x02" if flags & 8 else b""
    data += word(0x0004) if flags & 16 else b""
    found = parse(data)
    assert found is not None
    assert found.values.get("heart_rate") == (Decimal("71.2") if flags & 4 else None)
    assert found.time == ("2018-09-24T23:44:24" if flags & 2 else "")
    assert found.user == (2 if flags & 8 else None)
    assert found.status == (("irregular_pulse",) if flags & 16 else ())
    assert parse(data[:-1]) is None, "a byte short"
    assert parse(data + b"\0") is None, "a byte too many"
    reserved = parse(bytes((flags | 0xE0,)) + data[1:] + b"\0\0")
    assert reserved == found, "reserved flags change nothing, and may announce what is unknown"


@pytest.mark.parametrize(
    "payload",
    [
        PLAIN,
        PLAIN.hex().encode(),
        b" 00-78 00:50 00 5D 00 \n",
        json.dumps({"value": PLAIN.hex(), "rssi": -60, "other": [1]}).encode(),
    ],
)
def test_the_forms_of_a_payload(payload: bytes) -> None:
    (vital,) = hear(DRIVER.open_session({}), payload)
    assert isinstance(vital, Vital)
    assert dict(vital.values) == {"systolic": 120.0, "diastolic": 80.0, "mean_arterial_pressure": 93.0}
    assert (vital.device, vital.raw) == ("ble:a4c138001122", PLAIN.hex())


def test_stored_results_are_each_told_and_a_second_telling_is_not() -> None:
    session = DRIVER.open_session({})
    stored = [
        b"\x02" + sfloat(110 + n) + sfloat(80) + sfloat(93) + bytes((0xEA, 7, 11, 20, n, 0, 0)) for n in range(20)
    ]
    told = [item for data in stored for item in hear(session, data)]
    assert [dict(item.values)["systolic"] for item in told if isinstance(item, Vital)] == [110.0 + n for n in range(20)]
    again = [item for data in stored for item in hear(session, data, TOPIC.replace("kitchen", "bed"), after_s=86_400)]
    assert again == [Seen("ble:a4c138001122")] * 20


def test_without_a_time_the_same_pressure_may_be_measured_again() -> None:
    session = DRIVER.open_session({})
    kinds = [type(hear(session, PLAIN, after_s=at_s)[0]) for at_s in (0, 1, 29, 65, 66)]
    assert kinds == [Vital, Seen, Seen, Vital, Seen]


def test_two_cuffs_are_two() -> None:
    session = DRIVER.open_session({})
    found = [hear(session, PLAIN, f"hearthline/ble/a/00112233445{n}/2A35")[0] for n in range(2)]
    assert [item.device for item in found if isinstance(item, Vital)] == ["ble:001122334450", "ble:001122334451"]


@given(st.binary(max_size=80))
def test_no_payload_raises_and_every_vital_is_plausible(payload: bytes) -> None:
    for item in hear(DRIVER.open_session({}), payload):
        if isinstance(item, Vital):
            values = dict(item.values)
            assert 10 <= values["diastolic"] < values["systolic"] <= 300
        else:
            assert not isinstance(item, Refused) or item.reason in ("length", "sanity")


def test_memory_is_bounded() -> None:
    session: Any = DRIVER.open_session({})
    for number in range(1000):
        hear(
            session,
            b"\0" + sfloat(100 + number % 100) + sfloat(80) + word(number),
            f"hearthline/ble/a/{number:012x}/2a35",
        )
        hear(session, b"\0" + sfloat(120) + sfloat(80) + word(number), TOPIC)
    assert len(session._told) <= 200
    assert max(len(told) for told in session._told.values()) <= 64


def test_topics() -> None:
    assert DRIVER.claims(TOPIC)
    assert DRIVER.claims("hearthline/ble/b/001122334455/2A36")
    for topic in (
        "hearthline/ble/b/0011223344/2a35",
        "hearthline/ble/b/001122334455/2a37",
        "hearthline/home/gw-1/signal",
    ):
        assert not DRIVER.claims(topic)
    other = DRIVER.configured({"topic": "ble"})
    assert other.subscriptions == ("ble/+/+/+",)
    assert other.claims("ble/b/001122334455/2a35")
    with pytest.raises(ConfigError):
        DRIVER.configured({"base": "x"})
