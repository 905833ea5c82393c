"""The content of an M-Bus reply with variable data structure (EN 13757-3), without framing.

    id (4, BCD) | manufacturer (2) | version | medium | access no. | status | configuration (2) | records …
    record = DIF [DIFE …] VIF [VIFE …] value        all low byte first
    DIF    E s ff cccc   E: a DIFE follows; s lowest bit of the storage number; ff 0 present, 1 maximum, 2 minimum,
                         3 in error; cccc coding: 1 2 3 4 6 7 integer of 1 2 3 4 6 8 bytes, 5 float32, 9 A B C E BCD of
                         2 4 6 8 12 digits, D length in the first byte, 0 and 8 nothing, F special
    DIFE   E u tt ssss   the next bits of subunit, tariff and storage number
    0F and 1F: what follows is the manufacturer's own; 1F: a further telegram has more records; 2F: filler

Manufacturer: three letters of five bits, A = 1. A BCD number whose first nibble is F is negative. The smallest integer
of what has a unit (80 00) and a NaN are no values. The text of a VIF 7C follows the VIF at once, before its VIFEs, as
in the recorded frame of an Elvaco CMa11. A configuration with a mode over 0 means encrypted records, which are refused.

A VIFE changes what its record means: 70…77 and 7D scale it, 3B and 3C tell forward from backward flow, FC 01…03 tell
the phase, 01…1B is an error instead of a value. Others become part of `place`, and most make the record something else
than a measurement (limits, rates, durations, offsets, future values). Behind FF they are the manufacturer's own and
part of the place too: Saia-Burgess tells phases by them, another maker something else.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from hearthline_edge.devices import RefusalReason
from hearthline_edge.devices.mbus_units import (
    DATE,
    DATE_TIME,
    MANUFACTURER,
    MANUFACTURER_SPECIFIC,
    PLAIN_TEXT,
    PRIMARY,
    SECOND,
    SECOND_TABLE,
    THIRD,
    THIRD_TABLE,
    UNKNOWN,
    Kind,
)

Function = Literal["present", "max", "min", "error"]

HEADER: Final = 12
_FUNCTIONS: Final[tuple[Function, ...]] = ("present", "max", "min", "error")
_SIZES: Final = (0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, None, 6)
_FLOAT, _VARIABLE, _FIRST_BCD = 0x5, 0xD, 0x9
_ENCRYPTION_MODE: Final = 0x1F  # of the configuration's high byte
_MORE: Final = 0x80
_MOST_EXTENSIONS: Final = 10  # DIFEs or VIFEs of one record
_MOST_INTEGER: Final = 8  # bytes of an integer that is a number; a longer one is a code
_LONG_BINARY: Final = {0xF0: 16, 0xF1: 20, 0xF2: 24, 0xF3: 28, 0xF4: 32, 0xF5: 48, 0xF6: 64}
_PHASES: Final = {1: "A", 2: "B", 3: "C", 4: "N", 5: "AB", 6: "BC", 7: "CA"}
_EXTENDED: Final = 0x7C  # VIFE: the next one is of a further table
_LAST_ERROR: Final = 0x1B
_NO_MEASUREMENT: Final = frozenset({0x3D, 0x7E, *range(0x1C, 0x3A), *range(0x40, 0x70), *range(0x78, 0x7C)})


@dataclass(frozen=True, slots=True)
class Record:
    """One data record. `value`: a number in `unit`, the text, an ISO 8601 date (local time), or None when it has none.

    `place`: what VIFEs tell apart, "" when nothing. `valid` false: the meter sent something that is no value. `plain`
    false: a limit, a rate, a date of something: not a measurement of `name`.
    """

    name: str
    unit: str
    value: Decimal | str | None
    function: Function = "present"
    storage: int = 0
    tariff: int = 0
    subunit: int = 0
    direction: Literal["", "forward", "backward"] = ""
    place: str = ""
    valid: bool = True
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Telegram:
    """A decoded reply. `own`: the manufacturer's own bytes at the end, as hex; `more`: records follow in a next one."""

    identification: str  # 8 digits, at times with A to F
    manufacturer_code: int
    version: int
    medium: int
    access_number: int
    status: int
    records: tuple[Record, ...]
    own: str | None
    more: bool

    @property
    def manufacturer(self) -> str:
        """Three letters, or what stands in ASCII for a number that is none of a letter (`@` for 0)."""
        return "".join(chr(64 + (self.manufacturer_code >> shift & 0x1F)) for shift in (10, 5, 0))


class TelegramError(Exception):
    """The content of a frame cannot be understood, and why."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason)
        self.reason: RefusalReason = reason


class _Cursor:
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


def read_telegram(data: bytes) -> Telegram:
    """The header and records of what follows CI 72. Raises TelegramError."""
    if len(data) < HEADER:
        raise TelegramError("length")
    if data[11] & _ENCRYPTION_MODE:
        raise TelegramError("unsupported")
    cursor, records = _Cursor(data, HEADER), list[Record]()
    own, more = None, False
    while cursor.at < len(data):
        dif = cursor.byte()
        if dif & 0x0F != 0x0F:
            records.append(_read_record(cursor, dif))
        elif dif in (0x0F, 0x1F):
            own, more = data[cursor.at :].hex(), dif == 0x1F
            break
        elif dif not in (0x2F, 0x7F):
            raise TelegramError("unsupported")
    return Telegram(
        identification=data[3::-1].hex().upper(),
        manufacturer_code=data[4] | data[5] << 8,
        version=data[6],
        medium=data[7],
        access_number=data[8],
        status=data[9],
        records=tuple(records),
        own=own,
        more=more,
    )


def _read_record(cursor: _Cursor, dif: int) -> Record:
    storage, tariff, subunit = dif >> 6 & 1, 0, 0
    for count, dife in enumerate(cursor.extensions(dif)):
        storage |= (dife & 0x0F) << 1 + 4 * count
        tariff |= (dife >> 4 & 0x03) << 2 * count
        subunit |= (dife >> 6 & 0x01) << count
    kind, vifes = _read_kind(cursor)
    meaning = _Meaning(place=_own_place(vifes)) if kind is MANUFACTURER else _heed(vifes)
    value, valid = _read_value(cursor, dif & 0x0F, kind)
    if isinstance(value, Decimal):
        if kind.factor != 1:
            value *= kind.factor
        exponent = kind.exponent + meaning.exponent
        value = value.scaleb(exponent) if exponent else value
    return Record(
        kind.name,
        kind.unit,
        None if meaning.failed else value,
        _FUNCTIONS[dif >> 4 & 3],
        storage,
        tariff,
        subunit,
        meaning.direction,
        meaning.place,
        valid or meaning.failed,
        meaning.plain,
    )


def _read_kind(cursor: _Cursor) -> tuple[Kind, list[int]]:
    """What is measured, and the VIFEs that are left to change it."""
    vif = cursor.byte()
    if vif & 0x7F == PLAIN_TEXT:
        unit = cursor.take(cursor.byte())[::-1].decode("latin-1")
        return Kind("text", unit), cursor.extensions(vif)
    vifes = cursor.extensions(vif)
    if vif in (SECOND_TABLE, THIRD_TABLE):
        table = SECOND if vif == SECOND_TABLE else THIRD
        return table.get(vifes[0] & 0x7F, UNKNOWN), vifes[1:]
    if vif & 0x7F == MANUFACTURER_SPECIFIC:
        return MANUFACTURER, vifes
    return PRIMARY.get(vif & 0x7F, UNKNOWN), vifes


@dataclass(slots=True)
class _Meaning:
    """What the VIFEs of a record make of it."""

    exponent: int = 0
    direction: Literal["", "forward", "backward"] = ""
    place: str = ""
    failed: bool = False
    plain: bool = True


_UNCHANGED: Final = _Meaning()


def _heed(vifes: list[int]) -> _Meaning:
    if not vifes:
        return _UNCHANGED
    meaning, left = _Meaning(), iter(vifes)
    for vife in left:
        code = vife & 0x7F
        if code == MANUFACTURER_SPECIFIC:
            meaning.place += _own_place(list(left))
        elif code == _EXTENDED:
            further = next(left, 0) & 0x7F
            meaning.place += f":{_PHASES.get(further, f'x{further:02x}')}"
        elif 0x70 <= code <= 0x77:
            meaning.exponent += code - 0x76
        elif code == 0x7D:
            meaning.exponent += 3
        elif code in (0x3B, 0x3C):
            meaning.direction = "forward" if code == 0x3B else "backward"
        elif 0x00 < code <= _LAST_ERROR:
            meaning.failed = True
        elif code:
            meaning.place += f":v{code:02x}"
            meaning.plain &= code not in _NO_MEASUREMENT
    return meaning


def _own_place(vifes: list[int]) -> str:
    """The place that VIFEs of the manufacturer's own make: `:m` and their codes."""
    return ":m" + "".join(f"{vife & 0x7F:02x}" for vife in vifes)


def _read_value(cursor: _Cursor, coding: int, kind: Kind) -> tuple[Decimal | str | None, bool]:
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


def _read_variable(cursor: _Cursor, kind: Kind) -> tuple[Decimal | str | None, bool]:
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
