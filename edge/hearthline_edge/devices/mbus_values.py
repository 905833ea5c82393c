"""The values of M-Bus records (EN 13757-3, annex A): integers, BCD, float32, texts and dates.

    coding  1 2 3 4 6 7 integer of 1 2 3 4 6 8 bytes, 5 float32, 9 A B C E BCD of 2 4 6 8 12 digits, 0 and 8 nothing,
            D variable, by its first byte: 00…BF that many characters, C0…C9 D0…D9 BCD (negative) of that many bytes,
            E0…EF integer, F0…F6 long binary
    date    type G, 2 bytes  yyyddddd yyyymmmm      type F, 4 bytes  minutes (top bit: invalid), hours and hundreds of
            years, then G      type I, 6 bytes  seconds, minutes, hours, then G      type J, 3 bytes  seconds to hours

All low byte first; texts are sent backwards. A BCD number whose first nibble is F is negative. The smallest integer of
what has a unit (80 00) and a NaN are no values. A year without hundreds is 2000 to 2080 or 1981 to 1999.
"""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from typing import Final

from hearthline_edge.devices import RefusalReason
from hearthline_edge.devices.mbus_units import DATE, DATE_TIME, Kind

_SIZES: Final = (0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, None, 6)
_FLOAT, _VARIABLE, _FIRST_BCD = 0x5, 0xD, 0x9
_MORE: Final = 0x80
_MOST_EXTENSIONS: Final = 10  # DIFEs or VIFEs of one record
_MOST_INTEGER: Final = 8  # bytes of an integer that is a number; a longer one is a code
_LONG_BINARY: Final = {0xF0: 16, 0xF1: 20, 0xF2: 24, 0xF3: 28, 0xF4: 32, 0xF5: 48, 0xF6: 64}


class TelegramError(Exception):
    """The content of a frame cannot be understood, and why."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason)
        self.reason: RefusalReason = reason


class Cursor:
    """Reads on through a telegram's records; raises TelegramError beyond the end."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise TelegramError("length")
        self.at += 1
        return self.data[self.at - 1]

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        if len(taken) < count:
            raise TelegramError("length")
        self.at += count
        return taken

    def extensions(self, first: int) -> list[int]:
        """The extension bytes that the top bit of each byte announces."""
        found: list[int] = []
        while first & _MORE:
            if len(found) == _MOST_EXTENSIONS:
                raise TelegramError("sanity")
            first = self.byte()
            found.append(first)
        return found


def read_value(cursor: Cursor, coding: int, kind: Kind) -> tuple[Decimal | str | None, bool]:
    """The raw number, text or date, and whether what was sent is a value at all (nothing sent is no fault)."""
    if coding == _VARIABLE:
        return _read_variable(cursor, kind)
    raw = cursor.take(_SIZES[coding] or 0)
    if not raw:
        return None, True
    if kind.name in (DATE, DATE_TIME) and coding < _FIRST_BCD and coding != _FLOAT:
        moment = _date(raw)
        return moment, moment is not None
    if coding == _FLOAT:
        (value,) = struct.unpack("<f", raw)
        return (Decimal(value), True) if math.isfinite(value) else (None, False)
    number = _bcd(raw) if coding >= _FIRST_BCD else _integer(raw, kind)
    return number, number is not None


def _read_variable(cursor: Cursor, kind: Kind) -> tuple[Decimal | str | None, bool]:
    """A value whose first byte tells its length and coding."""
    length = cursor.byte()
    if length < 0xC0:
        return cursor.take(length)[::-1].decode("latin-1"), True
    if 0xC0 <= length <= 0xC9 or 0xD0 <= length <= 0xD9:
        raw = cursor.take(length & 0x0F)
        number = _bcd(raw) if raw else None
        if number is not None and length >= 0xD0:
            number = -number
        return number, number is not None or not raw
    if 0xE0 <= length <= 0xEF:
        raw = cursor.take(length & 0x0F)
        if len(raw) > _MOST_INTEGER or not raw:
            return raw[::-1].hex() or None, True
        number = _integer(raw, kind)
        return number, number is not None
    if length not in _LONG_BINARY:
        raise TelegramError("unsupported")
    return cursor.take(_LONG_BINARY[length])[::-1].hex(), True


def _integer(raw: bytes, kind: Kind) -> Decimal | None:
    number = int.from_bytes(raw, "little", signed=True)
    return None if kind.unit and number == -1 << 8 * len(raw) - 1 else Decimal(number)


def _bcd(raw: bytes) -> Decimal | None:
    digits = raw[::-1].hex()
    sign = ""
    if digits[0] == "f":
        sign, digits = "-", digits[1:]
    return Decimal(sign + digits) if digits.isdecimal() else None


def _date(raw: bytes) -> str | None:
    """Types G (2 bytes: date), F (4: minutes), I (6: seconds) and J (3: time of day); None when it is none."""
    if len(raw) == 3:
        return _clock(raw[2] & 0x1F, raw[1] & 0x3F, raw[0] & 0x3F)
    if len(raw) == 2:
        return _day(raw[0], raw[1], 0)
    if len(raw) == 4:
        day, clock = _day(raw[2], raw[3], raw[1] >> 5 & 3), _clock(raw[1] & 0x1F, raw[0] & 0x3F, 0)
        return f"{day}T{clock}" if day and clock and not raw[0] & 0x80 else None
    if len(raw) == 6:
        day, clock = _day(raw[3], raw[4], 0), _clock(raw[2] & 0x1F, raw[1] & 0x3F, raw[0] & 0x3F)
        return f"{day}T{clock}" if day and clock and not raw[1] & 0x80 else None
    return None


def _day(low: int, high: int, hundreds: int) -> str | None:
    day, month, year = low & 0x1F, high & 0x0F, low >> 5 | (high & 0xF0) >> 1
    if not (day >= 1 and 1 <= month <= 12 and year <= 99):
        return None
    century = 1900 + 100 * hundreds if hundreds else 2000 if year <= 80 else 1900
    return f"{century + year:04d}-{month:02d}-{day:02d}"


def _clock(hour: int, minute: int, second: int) -> str | None:
    return f"{hour:02d}:{minute:02d}:{second:02d}" if hour < 24 and minute < 60 and second < 60 else None
