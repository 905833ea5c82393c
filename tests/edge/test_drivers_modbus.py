"""Modbus RTU: how registers are asked for, which replies count, and what a line does to them."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline.model import Reading
from hearthline_edge.devices import (
    DeviceNote,
    Item,
    Readings,
    Refused,
    Seen,
    SerialSession,
)
from hearthline_edge.devices.modbus_frames import MOST_REGISTERS, Request, crc16, read_request, with_crc
from hearthline_edge.devices.modbus_registers import WORDS, block_of, blocks, read_values
from hearthline_edge.devices.modbus_rtu import DRIVER
from hearthline_edge.profile import ModbusWay, Profile, ValueRule
from hearthline_edge.profiles import load_profiles

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
SHIPPED = load_profiles(None).known
SDM120, SDM630, DDSU = (SHIPPED[name] for name in ("eastron-sdm120", "eastron-sdm630", "chint-ddsu666"))


def profile(*values: ValueRule, gap: int = 0, function: Any = 4) -> Profile:
    way = ModbusWay(function=function, gap=gap, interval_s=10, timeout_s=0.5)
    return Profile(name="test", title="test", supervision_s=0, modbus=way, value=values)


def volts(register: int, place: str = "") -> ValueRule:
    return ValueRule(quantity="voltage", register=register, place=place)


TWO = profile(volts(0), volts(10, ":B"))


def open_session(*meters: dict[str, Any], **options: Any) -> SerialSession:
    table = [{**meter, "profile": msgspec.to_builtins(meter["profile"])} for meter in meters]
    return DRIVER.open_session({"meters": table, **options}, "bus")


def floats(*values: float) -> bytes:
    return b"".join(struct.pack(">f", value) for value in values)


def reply(unit: int, *values: float, function: int = 4) -> bytes:
    data = floats(*values)
    return with_crc(bytes((unit, function, len(data))) + data)


def settle(session: SerialSession, data: bytes, at_s: float) -> list[Item]:
    """What bytes and a second of silence give."""
    return [*session.receive(data, START.later(at_s)), *session.receive(b"", START.later(at_s + 1))]


def test_crc_is_the_standards() -> None:
    assert read_request(1, 4, 0x48, 2).hex() == "010400480002f1dd"
    assert crc16(bytes.fromhex("010404462a7521298c")) == 0


@pytest.mark.parametrize("name", ["eastron-sdm120", "eastron-sdm230", "eastron-sdm630", "chint-ddsu666"])
def test_shipped_profiles_are_read_in_few_requests(name: str) -> None:
    found = blocks(SHIPPED[name])
    assert [value for block in found for value in block.values] == sorted(
        SHIPPED[name].value, key=lambda value: value.register or 0
    )
    assert max(block.count for block in found) <= 80  # the most that an SDM630 gives at once
    assert len(found) <= 5


@given(
    registers=st.lists(st.integers(0, 400), min_size=1, max_size=30, unique=True),
    gap=st.integers(0, 120),
    kinds=st.lists(st.sampled_from(sorted(WORDS)), min_size=30, max_size=30),
    most=st.integers(4, MOST_REGISTERS),
)
@settings(deadline=None)
def test_blocks_hold_every_value_once_and_no_gap_that_is_not_allowed(
    registers: list[int], gap: int, kinds: list[Any], most: int
) -> None:
    values = [
        ValueRule(quantity="voltage", register=register, type=kind, place=f":{register}")
        for register, kind in zip(registers, kinds, strict=False)
    ]
    found = blocks(profile(*values, gap=gap), most)
    assert sorted(value.place for block in found for value in block.values) == sorted(value.place for value in values)
    for block in found:
        assert 1 <= block.count <= most
        covered = {
            (value.register or 0) + word - block.register for value in block.values for word in range(WORDS[value.type])
        }
        assert min(covered) == 0
        assert max(covered) == block.count - 1
        ordered = sorted(covered)
        assert all(later - earlier <= gap + 1 for earlier, later in pairwise(ordered))
    for earlier, later in pairwise(found):  # two that could be one would be one
        end = later.register + WORDS[later.values[0].type]
        assert later.register > earlier.register + earlier.count + gap or end - earlier.register > most


@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
@settings(deadline=None)
def test_a_float_keeps_its_value(value: float) -> None:
    rule = ValueRule(quantity="voltage", register=0)
    (reading,), refused = read_values("d", blocks(profile(rule))[0], struct.pack(">f", value))
    assert struct.unpack(">f", struct.pack(">f", reading.value))[0] == value
    assert refused == 0


@pytest.mark.parametrize(
    ("kind", "words", "data", "value"),
    [
        ("uint16", "ABCD", "0102", 258),
        ("uint16", "BADC", "0102", 513),
        ("int16", "ABCD", "ffff", -1),
        ("int32", "ABCD", "fffffffe", -2),
        ("uint32", "ABCD", "11223344", 0x11223344),
        ("uint32", "CDAB", "33441122", 0x11223344),
        ("uint32", "BADC", "22114433", 0x11223344),
        ("uint32", "DCBA", "44332211", 0x11223344),
        ("int64", "CDAB", "fffeffffffffffff", -2),
        ("float32", "CDAB", "7521462a", 10909.282),
    ],
)
def test_types_and_word_orders(kind: Any, words: Any, data: str, value: float) -> None:
    rule = ValueRule(quantity="voltage", register=0, type=kind, words=words)
    readings, _ = read_values("d", blocks(profile(rule))[0], bytes.fromhex(data))
    assert readings == [Reading("d", "voltage", value, "V")]


@pytest.mark.parametrize(("raw", "refused"), [(50, 0), (100, 0), (101, 1), (49, 1)])
def test_limits_are_of_the_scaled_value(raw: int, refused: int) -> None:
    rule = ValueRule(quantity="voltage", register=0, type="uint16", scale=0.1, offset=1, minimum=6.0, maximum=11.0)
    assert read_values("d", blocks(profile(rule))[0], struct.pack(">H", raw))[1] == refused


def test_each_meter_is_asked_for_its_registers_at_its_period() -> None:
    session = open_session({"unit": 1, "profile": SDM120, "interval_s": 5}, {"unit": 17, "profile": DDSU})
    asked, at, items = [], 0.0, list[Item]()
    while at < 119:
        sent, delay_s = session.next_request(START.later(at))
        if sent:
            assert crc16(sent) == 0
            unit, function, register, count = struct.unpack(">BBHH", sent[:6])
            asked.append((unit, register))
            at += 0.05
            data = bytes((unit, function, 2 * count)) + bytes(2 * count)
            items += session.receive(with_crc(data), START.later(at))
        else:
            at += delay_s
            items += session.receive(b"", START.later(at))
    assert {(unit, register): asked.count((unit, register)) for unit, register in asked} == {
        **{(1, register): 24 for register in (0, 0x46, 0x156)},
        **{(17, register): 2 for register in (0x2000, 0x200A, 0x200E, 0x4000, 0x400A)},
    }
    assert {type(item) for item in items} == {Readings}
    series = [(r.device, r.quantity) for item in items[:8] if isinstance(item, Readings) for r in item.readings]
    assert len(set(series)) == len(series)


def test_the_worked_example_of_the_manual() -> None:
    session = open_session({"unit": 1, "profile": SDM120})
    assert session.next_request(START)[0][:4].hex() == "01040000"
    data = floats(230.2) + bytes(8) + floats(1.5) + bytes(8) + floats(345.5) + bytes(8) * 4 + bytes(4)
    (item,) = session.receive(with_crc(b"\x01\x04\x40" + data), START.later(0.1))
    assert isinstance(item, Readings)
    assert item.readings[:3] == (
        Reading("modbus:bus:1", "voltage", 230.2, "V"),
        Reading("modbus:bus:1", "current", 1.5, "A"),
        Reading("modbus:bus:1", "power", 345.5, "W"),
    )


def test_a_name_stands_for_the_unit() -> None:
    session = open_session({"unit": 9, "profile": TWO, "name": "lift"})
    session.next_request(START)
    (item,) = session.receive(reply(9, 230.0), START.later(0.1))
    assert item == Readings((Reading("modbus:bus:lift", "voltage", 230.0, "V"),))


@pytest.mark.parametrize("before", ["", "00", "ff", "00ff00", "0104", "010404", "ff0104", "0104fa", "02"])
def test_glitches_and_echo_before_a_reply(before: str) -> None:
    session = open_session({"unit": 1, "profile": TWO})
    sent, _ = session.next_request(START)
    items = settle(session, sent + bytes.fromhex(before) + reply(1, 230.0), 0.1)
    assert [item for item in items if not isinstance(item, Refused)] == [
        Readings((Reading("modbus:bus:1", "voltage", 230.0, "V"),))
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        reply(2, 230.0),
        reply(1, 230.0, function=3),
        reply(1, 230.0, 231.0),
        with_crc(b"\x01\x04\x02\x01\x02"),
        with_crc(b"\x02\x84\x02"),
        read_request(1, 4, 0, 2),
        read_request(1, 4, 10, 2),
    ],
    ids=["unit", "function", "longer", "shorter", "other-exception", "echo", "request"],
)
def test_what_answers_something_else_settles_nothing(wrong: bytes) -> None:
    session = open_session({"unit": 1, "profile": TWO})
    session.next_request(START)
    items = list(session.receive(wrong, START.later(0.1)))
    assert not any(isinstance(item, Readings | DeviceNote) for item in items)
    assert session.next_request(START.later(0.4))[0] == b""


def test_the_reply_to_another_master_is_not_ours() -> None:
    """His request comes between ours and the meter's replies to both, which look alike."""
    session = open_session({"unit": 1, "profile": TWO})
    session.next_request(START)
    assert not list(session.receive(read_request(1, 4, 0x200, 2), START.later(0.05)))
    assert list(session.receive(reply(1, 666.0), START.later(0.1))) == [Seen("modbus:bus:1")]
    (item,) = session.receive(reply(1, 230.0), START.later(0.2))
    assert isinstance(item, Readings)


def test_a_late_reply_is_no_answer() -> None:
    session = open_session({"unit": 1, "profile": TWO})
    assert session.next_request(START)[0] == read_request(1, 4, 0, 2)
    assert not list(session.receive(b"", START.later(0.5)))
    assert list(session.receive(reply(1, 230.0), START.later(0.6))) == [Seen("modbus:bus:1")]
    assert session.next_request(START.later(0.99))[0] == b""
    assert session.next_request(START.later(10))[0] == read_request(1, 4, 10, 2)
    (item,) = session.receive(reply(1, 231.0), START.later(10.1))
    assert item == Readings((Reading("modbus:bus:1:B", "voltage", 231.0, "V"),))


def test_an_exception_is_told_once_and_does_not_stop_the_rest() -> None:
    session, items = open_session({"unit": 1, "profile": TWO}), list[Item]()
    for turn in range(3):
        for offset in (0.0, 0.2):
            at = turn * 10 + offset
            sent, _ = session.next_request(START.later(at))
            refused = sent == read_request(1, 4, 10, 2)
            items += session.receive(with_crc(b"\x01\x84\x02") if refused else reply(1, 230.0), START.later(at + 0.1))
    assert [type(item) for item in items] == [Readings, Refused, DeviceNote, Readings, Refused, Readings, Refused]
    assert items[1] == Refused("error-reply", with_crc(b"\x01\x84\x02").hex())
    assert items[2] == DeviceNote(
        "modbus:bus:1", "error", "refuses to read registers 10 to 11: illegal data address (2)"
    )


def test_a_value_that_is_none_leaves_the_others() -> None:
    session = open_session({"unit": 1, "profile": profile(volts(0), volts(2, ":B"), volts(4, ":C"))})
    session.next_request(START)
    items = list(session.receive(reply(1, 230.0, float("nan"), float("inf")), START.later(0.1)))
    assert items[0] == Readings((Reading("modbus:bus:1", "voltage", 230.0, "V"),))
    assert [type(item) for item in items] == [Readings, Refused]


def test_a_dead_unit_is_told_once_and_costs_the_other_nothing() -> None:
    session = open_session({"unit": 1, "profile": TWO}, {"unit": 2, "profile": TWO})
    at, items, reads = 0.0, list[Item](), 0
    while at < 300:
        sent, delay_s = session.next_request(START.later(at))
        alive = sent[:1] == b"\x02" or (sent and at > 100)
        at += 0.05 if alive else delay_s
        got = list(session.receive(reply(sent[0], 230.0) if alive else b"", START.later(at)))
        reads += sum(isinstance(item, Readings) and item.readings[0].device[:12] == "modbus:bus:2" for item in got)
        items += got
    notes = [(item.device, item.kind) for item in items if isinstance(item, DeviceNote)]
    assert notes == [("modbus:bus:1", "no-reply"), ("modbus:bus:1", "reply")]
    assert reads == 60


def test_listening_needs_to_be_asked_for() -> None:
    session = open_session({"unit": 1, "profile": TWO})
    session.receive(read_request(7, 4, 0, 2), START)
    assert list(session.receive(reply(7, 230.0), START.later(0.1))) == [Seen("modbus:bus:7")]


def test_listening_uses_the_units_own_profile() -> None:
    session = open_session({"unit": 7, "profile": profile(ValueRule(quantity="frequency", register=0))}, listen=True)
    session.receive(read_request(7, 4, 0, 2), START)
    (item,) = session.receive(reply(7, 50.0), START.later(0.1))
    assert item == Readings((Reading("modbus:bus:7", "frequency", 50.0, "Hz"),))


def test_a_request_long_ago_explains_no_reply() -> None:
    session = open_session(listen=True)
    session.receive(read_request(1, 4, 0, 2), START)
    assert list(session.receive(reply(1, 230.0), START.later(11))) == [Seen("modbus:bus:1")]


def test_a_block_that_was_heard_holds_only_whole_values() -> None:
    assert not block_of(Request(1, 4, 1, 1), SDM630.value).values
    assert [value.place for value in block_of(Request(1, 4, 0, 5), SDM630.value).values] == [":A", ":B"]


def test_without_meters_it_only_listens() -> None:
    assert open_session().next_request(START)[0] == b""


TABLE = msgspec.to_builtins(TWO)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"meters": [{"unit": 1}]}, "profile is missing"),
        ({"meters": [{"unit": 0, "profile": TABLE}]}, r"meters\[0\].unit"),
        ({"meters": [{"unit": 248, "profile": TABLE}]}, r"meters\[0\].unit"),
        ({"meters": [{"unit": 1, "profile": TABLE}] * 2}, r"meters\[1\].unit = 1 is there twice"),
        (
            {"meters": [{"unit": 1, "name": "a", "profile": TABLE}, {"unit": 2, "name": "a", "profile": TABLE}]},
            r"meters\[1\].name = 'a' is there twice",
        ),
        ({"meters": [{"unit": 1, "profile": TABLE, "interval_s": 0}]}, "interval_s"),
        ({"meters": [{"unit": 1, "profile": {**TABLE, "modbus": None, "mbus": {}}}]}, r"no \[modbus\] profile"),
        ({"profile": {**TABLE, "value": [{"quantity": "voltage"}]}}, "register"),
        ({"profile": {**TABLE, "value": [{"quantity": "volts", "register": 0}]}}, "quantity"),
        ({"baudrate": 9600}, "baudrate"),
        ({"most_registers": 126}, "most_registers"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=r"^port: .*" + named):
        DRIVER.open_session(options, "port")


@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([read_request(1, 4, 0, 2), reply(1, 230.0), with_crc(b"\x01\x84\x02"), b"\x01\x04\xfa"]),
        ),
        max_size=8,
    ),
    listen=st.booleans(),
)
@settings(deadline=None)
def test_no_bytes_ever_raise_and_every_value_was_on_the_line(pieces: list[bytes], listen: bool) -> None:
    session, stream = open_session({"unit": 1, "profile": TWO}, listen=listen), b"".join(pieces)
    at = 0.0
    for piece in pieces:
        session.next_request(START.later(at))
        for item in settle(session, piece, at + 0.1):
            if isinstance(item, Readings):
                assert any(struct.pack(">f", reading.value) in stream for reading in item.readings)
        at += 2
