"""The content of an M-Bus reply with variable data structure (EN 13757-3), without framing.

    id (4, BCD) | manufacturer (2) | version | medium | access no. | status | configuration (2) | records …
    record = DIF [DIFE …] VIF [VIFE …] value        all low byte first
    DIF    E s ff cccc   E: a DIFE follows; s lowest bit of the storage number; ff 0 present, 1 maximum, 2 minimum,
                         3 in error; cccc coding of the value (mbus_values.py), F special
    DIFE   E u tt ssss   the next bits of subunit, tariff and storage number
    0F and 1F: what follows is the manufacturer's own; 1F: a further telegram has more records; 2F: filler

Manufacturer: three letters of five bits, A = 1. The text of a VIF 7C follows the VIF at once, before its VIFEs, as in
the recorded frame of an Elvaco CMa11. A configuration with a mode over 0 means encrypted records, which are refused.

A VIFE changes what its record means: 70…77 and 7D scale it, 3B and 3C tell forward from backward flow, FC 01…03 tell
the phase, 01…1B is an error instead of a value. Others become part of `place`, and most make the record something else
than a measurement (limits, rates, durations, offsets, future values). Behind FF they are the manufacturer's own and
part of the place too: Saia-Burgess tells phases by them, another maker something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from hearthline_edge.devices.mbus_units import (
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
from hearthline_edge.devices.mbus_values import Cursor, TelegramError, read_value

Function = Literal["present", "max", "min", "error"]

HEADER: Final = 12
_FUNCTIONS: Final[tuple[Function, ...]] = ("present", "max", "min", "error")
_ENCRYPTION_MODE: Final = 0x1F  # of the configuration's high byte
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


def read_telegram(data: bytes) -> Telegram:
    """The header and records of what follows CI 72. Raises TelegramError."""
    if len(data) < HEADER:
        raise TelegramError("length")
    if data[11] & _ENCRYPTION_MODE:
        raise TelegramError("unsupported")
    cursor, records = Cursor(data, HEADER), list[Record]()
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


def _read_record(cursor: Cursor, dif: int) -> Record:
    storage, tariff, subunit = dif >> 6 & 1, 0, 0
    for count, dife in enumerate(cursor.extensions(dif)):
        storage |= (dife & 0x0F) << 1 + 4 * count
        tariff |= (dife >> 4 & 0x03) << 2 * count
        subunit |= (dife >> 6 & 0x01) << count
    kind, vifes = _read_kind(cursor)
    meaning = _Meaning(place=_own_place(vifes)) if kind is MANUFACTURER else _heed(vifes)
    value, valid = read_value(cursor, dif & 0x0F, kind)
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


def _read_kind(cursor: Cursor) -> tuple[Kind, list[int]]:
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
