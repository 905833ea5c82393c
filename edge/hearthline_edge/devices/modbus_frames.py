"""Frames of Modbus RTU: found on a line where nothing marks their start, and told apart.

    request   uu | 01…04 | register hi lo | count hi lo | CRC lo hi                       8 bytes
    reply     uu | 01…04 | nn | nn bytes, registers high byte first | CRC lo hi           5 + nn
    exception uu | function + 80 | code | CRC lo hi                                       5
    write     uu | 05, 06 | register hi lo | value hi lo | CRC, and the same as reply     8
              uu | 0F, 10 | register hi lo | count hi lo | nn | nn bytes | CRC            9 + nn; its reply  8

CRC-16, polynomial A001 reflected, from FFFF, low byte first, over everything before it. On the line 3.5 characters of
silence part two frames; behind a USB adapter nobody can see them, so a frame is told by unit, function, length and CRC
alone, and the search slides byte by byte: a glitch byte in front of a frame, an echo or half a frame costs no other.

Sources: MODBUS Application Protocol V1.1b3, MODBUS over Serial Line V1.02 (2.5.1, 6.2.2); requests and replies, one of
them behind a glitch byte, are recorded. Unverified by a recording: exceptions, bits and writes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from hearthline_edge.framing import Doubt, FrameShape

READ_HOLDING: Final = 3
READ_INPUT: Final = 4
MOST_REGISTERS: Final = 125
EXCEPTIONS: Final = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
_BITS: Final = (1, 2)
_REGISTERS: Final = (READ_HOLDING, READ_INPUT)
_WRITES: Final = (5, 6)
_WRITES_MANY: Final = (15, 16)
_KNOWN: Final = frozenset((*_BITS, *_REGISTERS, *_WRITES, *_WRITES_MANY))
_ERROR: Final = 0x80
_MOST_BITS: Final = 2000
_LIMIT: Final = 256


def _table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ 0xA001 if byte & 1 else byte >> 1
        found.append(byte)
    return tuple(found)


_TABLE: Final = _table()


def crc16(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def with_crc(body: bytes) -> bytes:
    return body + crc16(body).to_bytes(2, "little")


def read_request(unit: int, function: int, register: int, count: int) -> bytes:
    return with_crc(struct.pack(">BBHH", unit, function, register, count))


@dataclass(frozen=True, slots=True)
class Request:
    """A read of `count` registers from `register` on."""

    unit: int
    function: int
    register: int
    count: int


@dataclass(frozen=True, slots=True)
class Reply:
    unit: int
    function: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Exceptional:
    """An exception reply. `function`: the one that was asked for."""

    unit: int
    function: int
    code: int


@dataclass(frozen=True, slots=True)
class Other:
    """Bits and writes: another master's business."""

    unit: int


def parse(frame: bytes) -> Request | Reply | Exceptional | Other:
    """What a frame that `SHAPE` has found is."""
    unit, function = frame[0], frame[1]
    if function & _ERROR:
        return Exceptional(unit, function & ~_ERROR, frame[2])
    if function not in _REGISTERS:
        return Other(unit)
    if len(frame) == 8:  # a reply with three bytes would have half a register
        return Request(*struct.unpack(">BBHH", frame[:6]))
    return Reply(unit, function, frame[3:-2])


def _judge(buffer: bytes, at: int) -> int | Doubt:
    left = len(buffer) - at
    if left > 1 and buffer[at + 1] & ~_ERROR not in _KNOWN:
        return Doubt.NOT_A_FRAME
    if left < 3:
        return Doubt.MORE
    doubt = Doubt.NOT_A_FRAME
    for length in _lengths(buffer[at : at + 7]):
        if length > left:
            return Doubt.MORE
        if crc16(buffer[at : at + length]) == 0:
            return length
        doubt = Doubt.BAD_CHECK
    return doubt


def _lengths(head: bytes) -> list[int]:
    """The lengths that a frame with this beginning may have, the shortest first."""
    function, third = head[1], head[2]
    if function & _ERROR:
        return [5] if third in EXCEPTIONS else []
    if function in _WRITES:
        return [8]
    if function in _WRITES_MANY:
        if len(head) < 7 or not head[6]:
            return [8]
        return [8, 9 + head[6]] if head[6] <= _LIMIT - 9 else [8]
    most, least_step = (MOST_REGISTERS, 2) if function in _REGISTERS else (_MOST_BITS, 1)
    lengths = [] if len(head) >= 6 and not 1 <= head[4] << 8 | head[5] <= most else [8]
    if third and third <= 250 and third % least_step == 0:
        lengths.append(5 + third)
    return sorted(lengths)


SHAPE: Final = FrameShape(starts=bytes(range(1, 248)), judge=_judge, patience_s=0.8, limit=_LIMIT)
