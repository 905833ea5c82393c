"""What a hostile line needs to know of each serial family: its good frames, and how to put right checks over garbage.

A new serial driver needs a row in `FAMILIES`; test_decoders.py fails without one. Good frames come from its captures.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, reduce
from operator import xor
from pathlib import Path
from typing import Any

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import (
    MqttDriver,
    SerialDriver,
    contec08a_hid,
    dlt645_2007,
    dsmr_p1,
    enocean_esp3,
    find_drivers,
    iec62056_21,
    mbus_frames,
    modbus_frames,
    raycome_rbp,
    rflink,
    sml,
    sml_messages,
    visomat_jpi,
)
from hearthline_edge.devices.dlt645_items import BLOCKS, ITEMS
from hearthline_edge.framing import FrameDecoder, FrameShape

CAPTURES = Path(__file__).parent.parent / "captures"
START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
SERIAL = {name: driver for name, driver in find_drivers().items() if isinstance(driver, SerialDriver)}
MQTT = {name: driver for name, driver in find_drivers().items() if isinstance(driver, MqttDriver)}


@dataclass(frozen=True, slots=True)
class Family:
    """`garbage(rng)`: a frame of right shape with a garbage body; `mend(frame)` puts its checks right, in place.

    `hollow`: headers that hold, for the longest body, which never comes.
    """

    shape: FrameShape
    garbage: Callable[[random.Random], bytearray]
    mend: Callable[[bytearray], None]
    hollow: tuple[bytes, ...]


def _esp3_garbage(rng: random.Random) -> bytearray:
    length = rng.choice((0, 1, 5, 6, 7, 7, 7, 10, 15, 64))
    extra = rng.choice((0, 0, 1, 5, 6, 7, 7, 20))
    kind = rng.choice((1, 1, 1, 1, 1, 1, 2, 4, 9, 255))
    frame = bytearray((0x55, 0, length, extra, kind, 0)) + rng.randbytes(length + extra + 1)
    if length and rng.random() < 0.7:
        frame[6] = rng.choice((0xF6, 0xF6, 0xD5, 0xA5))
    return frame


def _esp3_mend(frame: bytearray) -> None:
    frame[5] = enocean_esp3.crc8(bytes(frame[1:5]))
    frame[-1] = enocean_esp3.crc8(bytes(frame[6:-1]))


def _rbp_garbage(rng: random.Random) -> bytearray:
    length = rng.choice((0, 1, 2, 3, 4, 8, 14, 15, 15, 15, 16, 31, 32))
    kind, sub = rng.choice(((1, 6), (1, 6), (1, 5), (1, 7), (4, 4), (1, 1), (9, 9)))
    head = (rng.choice((0xAA, 0xAA, 0xCC)), 0x80, rng.choice((2, 2, 3)), 2 + length, kind, sub)
    return bytearray(head) + rng.randbytes(length + 1)


def _rbp_mend(frame: bytearray) -> None:
    frame[-1] = reduce(xor, frame[2:-1])


_DLT_ITEMS = [bytes((byte + 0x33) & 0xFF for byte in bytes.fromhex(item)[::-1]) for item in (*ITEMS, *BLOCKS)]


def _dlt_garbage(rng: random.Random) -> bytearray:
    body = rng.choice((b"", b"", *_DLT_ITEMS)) + rng.randbytes(rng.choice((0, 1, 2, 3, 4, 9, 60)))
    control = rng.choice((0x91, 0x91, 0x91, 0xB1, 0x92, 0xB2, 0xD1, 0x93, 0x94, 0x11, 0x81))
    address = bytes.fromhex(f"{rng.randrange(10**12):012d}") if rng.random() < 0.7 else rng.randbytes(6)
    return bytearray((0x68, *address, 0x68, control, len(body))) + body + b"\0\x16"


def _dlt_mend(frame: bytearray) -> None:
    preamble = len(frame) - len(frame.lstrip(b"\xfe"))
    if len(frame) - preamble > 2:
        frame[-2] = sum(frame[preamble:-2]) & 0xFF
        frame[-1] = 0x16


_MBUS_RECORDS = tuple(
    bytes.fromhex(record)
    for record in (
        "0c1378563412",
        "04863c06000000",
        "02fdc8fc01e608",
        "12fc0348522574c811",
        "055b0000c041",
        "0d7803333231",
        "046d1a2f6511",
        "0afd3a0500",
        "2f1f",
        "c4d00103e8030000",
        "02ff1304",
    )
)


def _mbus_garbage(rng: random.Random) -> bytearray:
    records = b"".join(rng.choices(_MBUS_RECORDS, k=rng.randrange(8))) + rng.randbytes(rng.choice((0, 0, 1, 3, 12)))
    status = rng.choice((0, 0, 0, 0x04, 0x1C, 0xFF))
    header = rng.randbytes(7) + bytes((rng.choice((2, 3, 4, 7, 0, 0x0D)), rng.randrange(256), status, 0, 0))
    control, function = rng.choice(((0x08, 0x72),) * 6 + ((0x08, 0x70), (0x28, 0x72), (0x73, 0x52), (0x08, 0x73)))
    body = bytes((control, rng.randrange(256), function)) + (header + records)[: rng.choice((252,) * 5 + (0, 11))]
    return bytearray((0x68, len(body), len(body), 0x68)) + body + b"\0\x16"


def _mbus_mend(frame: bytearray) -> None:
    if len(frame) >= 9 or (len(frame) == 5 and frame[0] == 0x10):
        frame[-2] = sum(frame[4 if len(frame) >= 9 else 1 : -2]) & 0xFF
        frame[-1] = 0x16


def _modbus_garbage(rng: random.Random) -> bytearray:
    unit, function = rng.randrange(1, 248), rng.choice((1, 3, 3, 4, 4, 4, 6, 16, 0x83, 0x84))
    if function & 0x80:
        return bytearray((unit, function, rng.randrange(1, 12), 0, 0))
    if function in (3, 4) and rng.random() < 0.7:
        size = 2 * rng.choice((1, 1, 2, 2, 2, 4, 40, 125))
        return bytearray((unit, function, size)) + rng.randbytes(size + 2)
    if function == 16 and rng.random() < 0.5:
        size = 2 * rng.randrange(1, 120)
        return bytearray((unit, function, *rng.randbytes(2), 0, size // 2, size)) + rng.randbytes(size + 2)
    return bytearray((unit, function, *rng.randbytes(2), 0, rng.randrange(1, 126), 0, 0))


def _modbus_mend(frame: bytearray) -> None:
    frame[-2:] = modbus_frames.crc16(bytes(frame[:-2])).to_bytes(2, "little")


_RFLINK_FIELDS = (
    b"SWITCH=1;",
    b"CMD=ON;",
    b"CMD=OFF;",
    b"TEMP=%04x;",
    b"HUM=%d;",
    b"BAT=LOW;",
    b"PIR=ON;",
    b"CHIME=%02d;",
)


def _rflink_garbage(rng: random.Random) -> bytearray:
    fields = [field % rng.randrange(120) if b"%" in field else field for field in rng.choices(_RFLINK_FIELDS, k=3)]
    head = b"20;%02X;%s;" % (rng.randrange(256), rng.choice((b"Cresta", b"NewKaku", b"OK", rng.randbytes(4))))
    return bytearray(head + b"ID=%x;" % rng.randrange(1 << 16) + b"".join(fields[: rng.randrange(4)]) + b"\r\n")


def _rflink_mend(frame: bytearray) -> None:
    frame[:6] = b"20;%02X;" % frame[4]
    frame[6:-3] = bytes(byte if 0x20 <= byte < 0x7F else 0x40 | byte & 0x1F for byte in frame[6:-3])
    frame[-3:] = b";\r\n"


def _visomat_garbage(rng: random.Random) -> bytearray:
    count = rng.choice((0, 1, 1, 2, 3, 12))
    clock, values = b"151103%04d" % rng.randrange(2400), b"%d%03d%03d%03d"
    record = b"".join(
        clock + values % (rng.randrange(2), rng.randrange(90, 200), rng.randrange(40, 90), rng.randrange(999))
        for _ in range(count)
    )
    return bytearray(b"M%d%02d" % (rng.randrange(1, 3), count) + (record or b"1"))


def _visomat_mend(frame: bytearray) -> None:
    frame[4:] = bytes(byte if chr(byte) in "0123456789" else 0x30 | byte & 0x07 for byte in frame[4:])
    frame[:4] = b"M%d%02d" % (1 + frame[1] % 2, len(frame) // 20)


def _contec_garbage(rng: random.Random) -> bytearray:
    if rng.random() < 0.3:
        return bytearray(rng.choice((4, 6, 15)))
    clock = (rng.randrange(30), rng.randrange(1, 14), 0, rng.randrange(1, 32), rng.randrange(25), rng.randrange(61))
    values = (rng.randrange(110, 256), rng.randrange(40, 110), rng.randrange(200), rng.randrange(60, 128))
    return bytearray((0x82, 0x80, *values, *clock, 0, rng.randrange(1, 3), 0, 0))


def _contec_mend(frame: bytearray) -> None:
    systolic = frame[2]
    frame[:] = bytes(byte | 0x80 for byte in frame)
    if len(frame) == 16:
        frame[:3], frame[8], frame[12], frame[14:] = bytes((0x82, 0x80, systolic)), 0x80, 0x80, b"\x00\x00"
    elif len(frame) == 15:
        frame[:2], frame[-1] = b"\x46\x41", 0
    else:
        frame[:] = bytes.fromhex("4a430100" if len(frame) == 4 else "484102130102")


_P1_CODES = ("1-0:1.8.1", "1-0:1.7.0", "1-0:32.7.0", "0-0:96.7.21", "0-1:24.1.0", "0-1:96.1.0", "0-1:24.2.1", "1-0:9.9")
_P1_VALUES = ("000123.456*kWh", "00.244*kW", "0230.0*V", "00013", "003", "45303030", "260103120000W", "", "*", "1*m3")


def _obis_lines(rng: random.Random) -> bytes:
    """Lines of meters that write text: mostly sane, some torn."""
    rows = [
        f"{rng.choice(_P1_CODES)}({rng.choice(_P1_VALUES)})" + f"({rng.choice(_P1_VALUES)})" * (rng.random() < 0.2)
        for _ in range(rng.randrange(12))
    ]
    return "".join(row[: rng.randrange(99)] + "\r\n" for row in rows).encode()


def _p1_garbage(rng: random.Random) -> bytearray:
    head = rng.choice((b"/ISK5\\2MT382-1000\r\n\r\n", b"/KFM5KAIFA\r\n", b"/ESY5Q3DA1004 V3.04\r\n\r\n"))
    version = rng.choice((b"", b"1-3:0.2.8(50)\r\n"))
    return bytearray(head + version + _obis_lines(rng) + (b"!0000" if version or rng.random() < 0.5 else b"!\r"))


def _p1_mend(frame: bytearray) -> None:
    if frame[-5:-4] == b"!":
        frame[-4:] = b"%04X" % dsmr_p1.crc16_arc(bytes(frame[:-4]))


_SML_ESCAPE = b"\x1b" * 4
_SML_NAMES = ("0100010800ff", "0100100700ff", "0100200700ff", "0100600100ff", "8181c78203ff")


def _sml_member(rng: random.Random, depth: int = 0) -> bytes:
    """A random value: right types and lengths mostly, also none."""
    kind = rng.choice((0, 0, 4, 5, 5, 6, 6, 7)) if depth < 12 else 0
    size = rng.choice((0, 1, 2, 3, 4, 8, 9, 13))
    if kind == 7:
        return bytes((0x70 | size,)) + b"".join(_sml_member(rng, depth + 1) for _ in range(size if depth < 3 else 1))
    if kind == 4:
        return b"\x42" + rng.randbytes(1)
    return bytes((kind << 4 | size + 1,)) + rng.randbytes(size)


def _sml_entry(rng: random.Random) -> bytes:
    name = b"\x07" + bytes.fromhex(rng.choice(_SML_NAMES))
    unit = rng.choice((b"\x62\x1e", b"\x62\x1b", b"\x62\x23", b"\x01"))
    scaler = rng.choice((b"\x52\xff", b"\x52\x00", b"\x52\x80", b"\x01"))
    return b"\x77" + name + b"\x01\x01" + unit + scaler + _sml_member(rng, 3) + b"\x01"


def _sml_garbage(rng: random.Random) -> bytearray:
    entries = [_sml_entry(rng) if rng.random() < 0.9 else _sml_member(rng) for _ in range(rng.randrange(8))]
    values = bytes((0x70 | len(entries),)) + b"".join(entries)
    response = b"\x77\x01\x05" + rng.randbytes(4) + b"\x01\x01" + values + b"\x01\x01"
    choice = rng.choice((b"\x63\x07\x01", b"\x63\x07\x01", b"\x63\x01\x01", _sml_member(rng)))
    body = b"\x76\x02\x01\x62\x00\x62\x00\x72" + choice + response + b"\x63\x00\x00\x00"
    if rng.random() < 0.2:
        body = rng.randbytes(rng.randrange(64))
    fill = -len(body) % 4
    escaped = body.replace(_SML_ESCAPE, _SML_ESCAPE * 2) + bytes(fill)
    return bytearray(_SML_ESCAPE + b"\x01" * 4 + escaped + _SML_ESCAPE + bytes((0x1A, fill, 0, 0)))


def _sml_mend(frame: bytearray) -> None:
    """The checks of the messages, as far as they can be found, and of the frame."""
    at = 8
    try:
        while at < len(frame) - 8:
            end = sml_messages.read_value(bytes(frame[:-8]), at, 0)[1]
            if frame[end - 4] == 0x63:
                frame[end - 3 : end - 1] = sml_messages.crc16(bytes(frame[at : end - 4])).to_bytes(2, "little")
            at = end
    except sml_messages.NotSmlError:
        pass
    frame[-2:] = sml_messages.crc16(bytes(frame[:-2])).to_bytes(2, "little")


def _readout_garbage(rng: random.Random) -> bytearray:
    head = rng.choice((b"/ISK5\\2MT382-1008\r\n", b"/LGZ4ZMF120AC.M32\r\n", b"/ESY5Q3DA1004 V3.04\r\n\x06050\r\n"))
    return bytearray(head + b"\x02" + _obis_lines(rng) + b"!\r\n\x03\x00")


def _readout_mend(frame: bytearray) -> None:
    start = frame.find(b"\x02") + 1
    if start:
        frame[-1] = reduce(xor, frame[start:-1], 0) & 0x7F


FAMILIES: dict[str, Family] = {
    "mbus-wired": Family(
        mbus_frames.SHAPE,
        _mbus_garbage,
        _mbus_mend,
        (b"\x68\xff\xff\x68", b"\x68\x68\x68\x68", b"\x68\x03\x03\x68", b"\x10\x40"),
    ),
    "enocean-esp3": Family(
        enocean_esp3.SHAPE,
        _esp3_garbage,
        _esp3_mend,
        tuple(
            bytes((0x55, *head, enocean_esp3.crc8(bytes(head))))
            for head in ((2, 0, 255, 1), (1, 0, 0, 1), (0, 7, 255, 1), (255, 255, 255, 255))
        ),
    ),
    "raycome-bp": Family(
        raycome_rbp.SHAPE, _rbp_garbage, _rbp_mend, (b"\xaa\x80\x02\x20", b"\xcc\x80\x03\x20", b"\xaa\x80\x02\xff")
    ),
    "dlt645-2007": Family(
        dlt645_2007.SHAPE,
        _dlt_garbage,
        _dlt_mend,
        tuple(
            b"\x68" + address * 6 + b"\x68\x91" + size for address in (b"\x00", b"\x68") for size in (b"\xc8", b"\xff")
        ),
    ),
    "modbus-rtu": Family(
        modbus_frames.SHAPE,
        _modbus_garbage,
        _modbus_mend,
        (b"\x01\x04\xfa", b"\x01\x03\xfa", b"\x02\x01\xfa", b"\x01\x10\x00\x00\x00\x7b\xf6"),
    ),
    "rflink": Family(rflink.SHAPE, _rflink_garbage, _rflink_mend, (b"20;0A;", b"20;FF;NewKaku;ID=", b"20;")),
    "visomat-jpi": Family(visomat_jpi.SHAPE, _visomat_garbage, _visomat_mend, (b"M199", b"M24015110", b"\x02M1")),
    "contec08a-hid": Family(
        contec08a_hid.SHAPE, _contec_garbage, _contec_mend, (b"\x82\x80\x94\xd5", b"\x46\x41\x80\x80", b"\x42\x8f")
    ),
    "dsmr-p1": Family(
        dsmr_p1.SHAPE,
        _p1_garbage,
        _p1_mend,
        (b"/ISK5\\2MT382-1000\r\n", b"/KFM5KAIFA\r\n1-0:1.8.1(", b"/ESY5Q3\r\n!", b"\xafISK5"),
    ),
    "sml": Family(
        sml.SHAPE,
        _sml_garbage,
        _sml_mend,
        (_SML_ESCAPE + b"\x01" * 4, _SML_ESCAPE + b"\x01" * 4 + b"\x76\x05", _SML_ESCAPE * 2 + b"\x1a\x00"),
    ),
    "iec62056-21": Family(
        iec62056_21.SHAPE,
        _readout_garbage,
        _readout_mend,
        (b"/ISK5\\2MT382-1008\r\n\x02", b"/ISK5\\2MT382-1008\r\n1.8.0(", b"/LGZ4\r\n\x02!\r\n", b"/?"),
    ),
}


@cache
def vectors(driver: str) -> tuple[dict[str, Any], ...]:
    """The recorded and made vectors of a driver."""
    lines = [
        line
        for path in sorted((CAPTURES / driver).glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return tuple(json.loads(line) for line in lines)


@cache
def good_frames(driver: str) -> tuple[bytes, ...]:
    """Every different frame that stands in a serial driver's captures, without preamble or noise."""
    found: dict[bytes, None] = {}
    for vector in vectors(driver):
        decoder = FrameDecoder(FAMILIES[driver].shape)
        stream = bytes.fromhex("".join(vector["hex"]))
        found |= {item: None for item in decoder.feed(stream, START) if isinstance(item, bytes)}
    return tuple(found)
