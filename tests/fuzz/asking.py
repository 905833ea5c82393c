"""Sessions that ask meters of their own: how each is configured, and what its meters answer to a request.

An answer has the right address, shape and check, and values that the driver takes; line_noise.py breaks it.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from fuzz.families import SERIAL
from hearthline_edge.devices import SerialSession
from hearthline_edge.devices.dlt645_items import BLOCKS, ITEMS
from hearthline_edge.devices.modbus_frames import with_crc
from hearthline_edge.profile import ModbusWay, Profile, RecordWay, ValueRule
from hearthline_edge.profiles import load_profiles

_METER: Final = "000012345678"
_OWN_ITEM: Final = "0280000A"
_SHIPPED: Final = load_profiles(None)


def _table(profile: Profile) -> dict[str, Any]:
    table: dict[str, Any] = msgspec.to_builtins(profile)
    return table


def _modbus_options() -> dict[str, Any]:
    """Every shipped map, and one of an installer with each type and word order, in requests of at most 40 registers."""
    values = (
        ValueRule("power", register=0, type="int16", words="ABCD", scale=1e-3, place=":1"),
        ValueRule("power", register=4, type="uint16", words="BADC", place=":2"),
        ValueRule("power", register=8, type="int32", words="CDAB", offset=-0.1, place=":3"),
        ValueRule("power", register=12, type="uint32", words="DCBA", place=":4"),
        ValueRule("power", register=16, type="int64", words="DCBA", place=":5"),
    )
    own = Profile(name="own", title="own", supervision_s=900, modbus=ModbusWay(function=3, gap=3), value=values)
    profiles = [_table(_SHIPPED.known[name]) for name in _SHIPPED.of_way("modbus")] + [_table(own)]
    meters = [{"unit": 1 + 51 * number, "profile": profile, "interval_s": 1} for number, profile in enumerate(profiles)]
    return {"meters": meters, "listen": True, "most_registers": 40}


def _modbus_answer(request: bytes, rng: random.Random) -> bytes:
    unit, function, _, count = struct.unpack(">BBHH", request[:6])
    value = struct.pack(">f", rng.choice((0.25, 0.5, 1.0)))
    return with_crc(bytes((unit, function, 2 * count)) + (value * count)[: 2 * count])


def _dlt_options() -> dict[str, Any]:
    values = (ValueRule("voltage", path="02010100"), ValueRule("power", path=f"{_OWN_ITEM} -XXXX.XX"))
    own = Profile(name="own", title="own", supervision_s=900, dlt645=RecordWay(interval_s=1), value=values)
    meters = [
        _METER,
        {"address": "000000000001", "items": ["0201FF00", "0202FF00", "0001FF00", "02030000"], "interval_s": 2},
        {"address": "999999999999", "profile": _table(own)},
    ]
    return {"meters": meters, "interval_s": 1}


def _dlt_answer(request: bytes, rng: random.Random) -> bytes:
    """A reply in one frame or in two, or the address of the only meter."""
    frame = request.lstrip(b"\xfe")
    data = bytes((byte - 0x33) & 0xFF for byte in frame[10:-2])
    if frame[8] == 0x13:
        address = bytes.fromhex(_METER)[::-1]
        return _dlt_frame(address, 0x93, address)
    address = bytes.fromhex(_METER)[::-1] if frame[1:7] == b"\xaa" * 6 else frame[1:7]
    items = BLOCKS.get(data[3::-1].hex().upper(), (data[3::-1].hex().upper(),))
    size = sum(ITEMS[item].size if item in ITEMS else 3 for item in items)
    value = bytes(rng.randrange(10) for _ in range(size))
    if frame[8] == 0x12:
        return _dlt_frame(address, 0x92, data[:4] + value[size // 2 :] + data[4:5])
    if rng.random() < 0.3:
        return _dlt_frame(address, 0xB1, data[:4] + value[: size // 2])
    return _dlt_frame(address, 0x91, data[:4] + value)


def _dlt_frame(address: bytes, control: int, data: bytes) -> bytes:
    body = bytes((0x68, *address, 0x68, control, len(data))) + bytes((byte + 0x33) & 0xFF for byte in data)
    return body + bytes((sum(body) & 0xFF, 0x16))


def _mbus_options() -> dict[str, Any]:
    own = Profile(
        name="own", title="own", supervision_s=900, mbus=RecordWay(interval_s=1), value=(ValueRule("volume", "volume"),)
    )
    meters = [
        {"address": 1},
        {"address": 104, "profile": _table(own)},
        {"secondary": "12345678"},
        {"secondary": "1234FFFF2423FFFF"},
    ]
    return {"meters": meters, "interval_s": 1}


def _mbus_answer(request: bytes, rng: random.Random) -> bytes:
    """An acknowledgement, or a telegram with one volume; now and then another one follows."""
    if request[0] == 0x68 or request[1] == 0x40:
        return b"\xe5"
    volume = b"\x0c\x13" + bytes(rng.randrange(10) for _ in range(4))
    header = bytes.fromhex("785634122423070455000000")
    body = bytes((0x08, request[2], 0x72)) + header + volume + (b"\x1f" if rng.random() < 0.3 else b"")
    return bytes((0x68, len(body), len(body), 0x68)) + body + bytes((sum(body) & 0xFF, 0x16))


@dataclass(frozen=True, slots=True)
class Asking:
    """`answer(request, rng)`: what the meter that is asked answers."""

    driver: str
    options: dict[str, Any]
    answer: Callable[[bytes, random.Random], bytes]

    def open_session(self) -> SerialSession:
        return SERIAL[self.driver].open_session(self.options, "port")


ASKING: dict[str, Asking] = {
    "modbus-rtu asking": Asking("modbus-rtu", _modbus_options(), _modbus_answer),
    "dlt645-2007 asking": Asking("dlt645-2007", _dlt_options(), _dlt_answer),
    "dlt645-2007 finding": Asking("dlt645-2007", {"meters": ["discover"], "interval_s": 1}, _dlt_answer),
    "mbus-wired asking": Asking("mbus-wired", _mbus_options(), _mbus_answer),
}
