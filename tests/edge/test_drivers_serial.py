"""Serial families: what they ask, what they never believe, and an independent decoder as a second opinion."""

from __future__ import annotations

from functools import reduce
from operator import xor
from typing import Any

import pytest
from dlt645.protocol.protocol import DLT645Protocol
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline_edge.devices import (
    Press,
    Readings,
    Refused,
    Seen,
    SerialDriver,
    SerialSession,
    Vital,
    enocean_esp3,
    find_drivers,
    raycome_rbp,
)

logger.disable("dlt645")

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
SERIAL = {name: driver for name, driver in find_drivers().items() if isinstance(driver, SerialDriver)}
RESULT = bytes.fromhex("aa80020f010601120918172c18007a004b005f45")
CONNECTED = bytes.fromhex("aa80020301010001")
LIVE = bytes.fromhex("aa800208010500000000370039")
MARKS = st.sampled_from([0x55, 0x68, 0xFE, 0xAA, 0x80, 0xCC, 0x16, 0x91, 0x11, 0x33, 0x34, 0x00, 0x01, 0x06, 0xF6])
NOISE = st.lists(st.one_of(MARKS, st.integers(0, 255)), max_size=80).map(bytes)


def open_session(name: str, **options: Any) -> SerialSession:
    return SERIAL[name].open_session(options, "port")


@pytest.mark.parametrize("name", SERIAL)
@given(pieces=st.lists(NOISE, max_size=5))
@settings(max_examples=250, deadline=None)
def test_no_bytes_ever_raise_and_no_value_comes_from_a_bad_frame(name: str, pieces: list[bytes]) -> None:
    session, now = open_session(name), START
    for piece in pieces:
        for item in [*session.receive(piece, now), *session.receive(b"", now.later(1))]:
            if isinstance(item, Press):
                body = bytes.fromhex(item.raw)
                assert enocean_esp3.crc8(body[6:-1]) == body[-1]
            elif isinstance(item, Vital):
                body = bytes.fromhex(item.raw)
                assert reduce(xor, body[2:]) == 0
            elif isinstance(item, Readings):
                assert DLT645Protocol.deserialize_with_remaining(b"".join(pieces))[1] is not None
        session.next_request(now.later(1))
        now = now.later(1.2)


@given(flip=st.integers(0, 20 * 8 - 1))
def test_a_flipped_bit_never_makes_a_vital_sign(flip: int) -> None:
    frame = bytearray(RESULT)
    frame[flip // 8] ^= 1 << flip % 8
    session = open_session("raycome-bp")
    items = [*session.receive(bytes(frame), START), *session.receive(b"", START.later(1))]
    assert not any(isinstance(item, Vital) for item in items)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("raycome-bp", {"version": 4}),
        ("raycome-bp", {"baudrate": 1}),
        ("enocean-esp3", {"learn": True}),
    ],
)
def test_wrong_options_are_named(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^port: "):
        open_session(name, **options)


@pytest.mark.parametrize(("version", "connect"), [(2, "cc80020301010001"), (3, "cc80030301010000")])
def test_raycome_connects_until_it_is_answered(version: int, connect: str) -> None:
    session = open_session("raycome-bp", version=version)
    assert session.next_request(START) == (bytes.fromhex(connect), 5.0)
    assert session.next_request(START.later(1)) == (b"", 4.0)
    assert session.next_request(START.later(5))[0] == bytes.fromhex(connect)


def test_raycome_asks_for_the_battery_now_and_then() -> None:
    battery = raycome_rbp.command(2, (4, 4), b"\x00")
    assert battery == bytes.fromhex("cc80020304040001")
    session = open_session("raycome-bp")
    session.receive(CONNECTED, START)
    assert session.next_request(START) == (battery, 10.0)
    session.receive(bytes.fromhex("aa80020404040f3c35"), START.later(1))
    assert session.next_request(START.later(1)) == (b"", 600.0)
    assert session.next_request(START.later(601))[0] == battery
    assert session.next_request(START.later(611))[0] == raycome_rbp.command(2, (1, 1), b"\x00")


def test_raycome_is_not_disturbed_while_it_measures() -> None:
    session = open_session("raycome-bp")
    session.receive(CONNECTED, START)
    assert list(session.receive(LIVE, START)) == [Seen("raycome:port")]
    assert session.next_request(START.later(9)) == (b"", 1.0)


def test_raycome_tells_a_repeated_result_once_a_minute() -> None:
    session = open_session("raycome-bp")
    told = [next(iter(session.receive(RESULT, START.later(s)))) for s in (0, 30, 90, 151)]
    assert [isinstance(item, Vital) for item in told] == [True, False, False, True]


def test_enocean_refuses_a_published_frame_with_an_edited_sender() -> None:
    session = open_session("enocean-esp3")
    frame = bytes.fromhex("55000707017af630002ee1973001ffffffff4a0028")
    assert [*session.receive(frame, START), *session.receive(b"", START.later(1))] == [Refused("checksum", frame.hex())]


def test_enocean_asks_for_time_while_a_frame_is_open() -> None:
    session = open_session("enocean-esp3")
    assert session.next_request(START)[1] >= 60
    session.receive(b"\x55", START)
    assert session.next_request(START)[1] <= 0.25
