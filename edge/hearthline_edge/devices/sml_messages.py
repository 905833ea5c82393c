"""What an SML file says: its messages as nested values, and the entries of its lists of values. No framing.

    76 | transaction | group | abort on error | 72 message body | CRC | 00      a message: a list of six
    TL   high nibble: bit 7 more length follows, bits 6-4 type: 0 octets, 4 boolean, 5 integer, 6 unsigned, 7 list
         low nibble: length with the TL bytes themselves, of a list the number of its members; 01 is "absent", 00 an end
    72 | 63 07 01 | 77 client | server | list name | sensor time | values | signature | gateway time    GetList.Res
    77 | OBIS code (6) | status | time | unit | scaler | value | signature                             one of its values

The CRC of a message is X.25's (polynomial 8408, initial and final FFFF) over all of it before the CRC itself; meters
with the same polynomial and 0000 (Holley DTZ541 of early firmware) are taken as well: the frame's own CRC covers all.

Sources: BSI TR-03109-1 annex SML 1.04, FNN Lastenheft EDL 1.0, DLMS blue book (units); 19 recorded meters. The 0000
variant is unverified: no such frame was at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from hearthline_edge.devices import RefusalReason
from hearthline_edge.devices.obis import ObisValue

_DEPTH: Final = 8  # lists in lists; a list of values needs 6
_MEMBERS: Final = 512
_GET_LIST_RESPONSE: Final = 0x0701
_UNITS: Final = {
    8: "deg",
    13: "m3",
    14: "m3",
    27: "W",
    28: "VA",
    29: "var",
    30: "Wh",
    31: "VAh",
    32: "varh",
    33: "A",
    35: "V",
    44: "Hz",
}

Value = bytes | int | bool | list["Value"] | None


class NotSmlError(ValueError):
    """The bytes are no SML file."""

    reason: RefusalReason = "sanity"


class MessageCheckError(NotSmlError):
    """A message fails its own check."""

    reason = "checksum"


@dataclass(frozen=True, slots=True)
class MeterList:
    """One list of values: `server` is the meter's own number as it sends it."""

    server: bytes
    values: tuple[ObisValue, ...]


def _crc16_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x8408 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC16: Final = _crc16_table()


def crc16(data: bytes, start: int = 0xFFFF) -> int:
    """CRC-16/X-25, as its two bytes are read low byte first. `start` 0: CRC-16/Kermit."""
    crc = start
    for byte in data:
        crc = crc >> 8 ^ _CRC16[(crc ^ byte) & 0xFF]
    return crc ^ start


def meter_lists(body: bytes) -> list[MeterList]:
    """The lists of values in an unescaped SML file without its fill bytes. Raises NotSmlError."""
    found, at = [], 0
    while at < len(body):
        message, end = read_value(body, at, 0)
        if not isinstance(message, list) or len(message) != 6:
            raise NotSmlError("not a message")
        _check(body, at, end)
        choice = message[3]
        if isinstance(choice, list) and len(choice) == 2 and choice[0] == _GET_LIST_RESPONSE:
            found.append(_meter_list(choice[1]))
        at = end
    return found


def _check(body: bytes, at: int, end: int) -> None:
    """The message's own CRC: its last member but the end mark, with or without a leading 00."""
    for size in (3, 2):
        start = end - 1 - size
        if body[start] == 0x60 | size and body[end - 1] == 0:
            crc = int.from_bytes(body[start + 1 : end - 1].rjust(2, b"\x00"), "little")
            if crc in (crc16(body[at:start]), crc16(body[at:start], 0)):
                return
    raise MessageCheckError("the check of a message")


def read_value(body: bytes, at: int, depth: int) -> tuple[Value, int]:
    """The value at `at` and where the next one begins."""
    kind, length, start = _type_and_length(body, at)
    if kind == 7:
        if depth >= _DEPTH or length > _MEMBERS:
            raise NotSmlError("lists without end")
        members: list[Value] = []
        for _ in range(length):
            member, start = read_value(body, start, depth + 1)
            members.append(member)
        return members, start
    if (kind, length) == (0, 0):
        return None, start
    end = at + length
    content = body[start:end]
    if end > len(body) or end < start:
        raise NotSmlError("a value beyond the end")
    if kind == 0:
        return content or None, end
    if kind in (5, 6) and 1 <= len(content) <= 8:
        return int.from_bytes(content, "big", signed=kind == 5), end
    if kind == 4 and len(content) == 1:
        return content != b"\x00", end
    raise NotSmlError("no such type")


def _type_and_length(body: bytes, at: int) -> tuple[int, int, int]:
    """(type, length, where what follows begins) of the TL field at `at`, which has one to three bytes."""
    length = 0
    for start in range(at, min(at + 3, len(body))):
        length = length << 4 | body[start] & 0x0F
        if not body[start] & 0x80:
            return body[at] >> 4 & 0x07, length, start + 1
    raise NotSmlError("no length")


def _meter_list(response: Value) -> MeterList:
    if not isinstance(response, list) or len(response) != 7 or not isinstance(response[4], list):
        raise NotSmlError("not a list of values")
    server = response[1]
    values = (_obis_value(entry) for entry in response[4])
    return MeterList(server if isinstance(server, bytes) else b"", tuple(filter(None, values)))


def _obis_value(entry: Value) -> ObisValue | None:
    """The number of one entry; None for one without a number (a text, a key, an absent value)."""
    if not isinstance(entry, list) or len(entry) != 7:
        raise NotSmlError("not an entry")
    name, _, _, unit, scaler, value, _ = entry
    if not isinstance(name, bytes) or len(name) != 6 or not isinstance(value, int) or isinstance(value, bool):
        return None
    if unit is not None and unit not in _UNITS:
        return None
    ten_to = scaler if isinstance(scaler, int) and not isinstance(scaler, bool) else 0
    if not -20 <= ten_to <= 20:
        return None
    number = Decimal(value).scaleb(ten_to)
    code = f"{name[2]}.{name[3]}.{name[4]}"
    return ObisValue(name[0], name[1], code, number, _UNITS[unit] if isinstance(unit, int) else "", name[5])
