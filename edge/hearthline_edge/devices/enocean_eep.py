"""EnOcean Equipment Profiles: what the payload of a telegram means. Nothing in a data telegram names its profile.

    F6 RPS  F6-01-01 push button   F6-02-xx rocker, pendant   F6-05-01 liquid leakage   F6-05-02 smoke
            F6-10-00 window handle
    D5 1BS  D5-00-01 contact: the only one. DB0.3 is 0 in a teach-in, DB0.0 is 1 when closed
    A5 4BS  DB3 DB2 DB1 DB0; DB0.3 is 0 in a teach-in; DB0.7 is 1 in a teach-in that names its profile:
            FFFFFFTT TTTTTMMM MMMMMMMM 1...0...   function, type, manufacturer
    D2 VLD  D2-03-0A push button with a battery: percent | 1 short, 2 double, 3 long press, 4 released
    D4 UTE  .. query: bu qq 0000 | channels | manufacturer (low 8) | manufacturer (high 3) | type | function | RORG
            qq 0 teach in, 1 delete, 2 either

Bits are counted from DB3.7 = 0, as EEP 2.6.7 counts them, which is the source; two independent public tables agree on
every field. Recorded frames confirm D5-00-01, A5-02-05, a 4BS teach-in and a UTE query; the rest is unverified.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

from hearthline.model import TELEMETRY_UNITS, Reading

_WRITTEN: Final = re.compile(r"([0-9A-Fa-f]{2})-([0-9A-Fa-f]{2})-([0-9A-Fa-f]{2})\Z")


class Field(NamedTuple):
    """A linear value. `raw` at either end of its scale means `scale`; beyond `raw` the specification reserves codes.

    `digits`: decimal places that lose nothing of the sensor's step. `given`: a bit that is 1 when the value is there.
    """

    quantity: str
    offset: int
    size: int
    raw: tuple[int, int]
    scale: tuple[str, str]
    digits: int
    given: int | None = None


@dataclass(frozen=True, slots=True)
class FourBs:
    """`motion`: the bit that is 1 while somebody moves (A5-07) or what stands for it."""

    fields: tuple[Field, ...] = ()
    motion: int | None = None


class Teach(NamedTuple):
    """What a device says of itself when it is taught in."""

    eep: int
    manufacturer: int
    delete: bool = False


def eep_code(written: str) -> int | None:
    """`A5-02-05` as a number; None when it is not written so."""
    parts = _WRITTEN.match(written)
    return None if parts is None else int("".join(parts.groups()), 16)


def eep_text(code: int) -> str:
    return f"{code >> 16:02X}-{code >> 8 & 0xFF:02X}-{code & 0xFF:02X}"


PUSH_BUTTON: Final = 0xF60101
LEAKAGE: Final = 0xF60501
SMOKE: Final = 0xF60502
WINDOW_HANDLE: Final = 0xF61000
CONTACT: Final = 0xD50001
BATTERY_BUTTON: Final = 0xD2030A
_ROCKERS: Final = (0xF60201, 0xF60202)

BATTERY_BUTTON_PRESSES: Final = {1: "single", 2: "double", 3: "long"}
BATTERY_BUTTON_RELEASED: Final = 4


def _temperature(low: int, high: int) -> FourBs:
    return FourBs((Field("temperature", 16, 8, (255, 0), (str(low), str(high)), 1),))


def _ten_bits(low: str, high: str) -> FourBs:
    return FourBs((Field("temperature", 14, 10, (1023, 0), (low, high), 2),))


def _climate(low: str, high: str) -> FourBs:
    humidity = Field("humidity", 8, 8, (0, 250), ("0", "100"), 1)
    return FourBs((humidity, Field("temperature", 16, 8, (0, 250), (low, high), 2, given=30)))


_SUPPLY: Final = Field("battery_voltage", 0, 8, (0, 250), ("0", "5"), 2)

FOUR_BS: Final[dict[int, FourBs]] = {
    **{0xA50201 + step: _temperature(low, low + 40) for step, low in enumerate(range(-40, 61, 10))},
    **{0xA50210 + step: _temperature(low, low + 80) for step, low in enumerate(range(-60, 51, 10))},
    0xA50220: _ten_bits("-10", "41.2"),
    0xA50230: _ten_bits("-40", "62.3"),
    0xA50401: _climate("0", "40"),
    0xA50402: _climate("-20", "60"),
    0xA50403: FourBs(
        (
            Field("humidity", 0, 8, (0, 255), ("0", "100"), 1),
            Field("temperature", 14, 10, (0, 1023), ("-20", "60"), 2),
        )
    ),
    0xA50701: FourBs((_SUPPLY._replace(given=31),), motion=16),
    0xA50702: FourBs((_SUPPLY,), motion=24),
    0xA50703: FourBs((_SUPPLY, Field("illuminance", 8, 10, (0, 1000), ("0", "1000"), 0)), motion=24),
}

SUPPORTED: Final = frozenset((*FOUR_BS, PUSH_BUTTON, *_ROCKERS, LEAKAGE, SMOKE, WINDOW_HANDLE, CONTACT, BATTERY_BUTTON))


def bits(payload: bytes, offset: int, size: int = 1) -> int:
    """`size` bits of a payload, the first of them at `offset` from its highest."""
    return int.from_bytes(payload, "big") >> len(payload) * 8 - offset - size & (1 << size) - 1


def readings(profile: FourBs, device: str, payload: bytes) -> tuple[Reading, ...]:
    """The values of a 4BS data telegram; reserved codes and what is not given are left out."""
    found = []
    for field in profile.fields:
        raw = bits(payload, field.offset, field.size)
        if min(field.raw) <= raw <= max(field.raw) and (field.given is None or bits(payload, field.given)):
            low, high = (Fraction(end) for end in field.scale)
            share = Fraction(raw - field.raw[0], field.raw[1] - field.raw[0])
            value = float(round(low + share * (high - low), field.digits))
            found.append(Reading(device, field.quantity, value, TELEMETRY_UNITS[field.quantity]))
    return tuple(found)


def four_bs_teach_in(payload: bytes) -> Teach | None:
    """The profile that a 4BS teach-in names, or None when it names none."""
    if not bits(payload, 24):
        return None
    return Teach(0xA50000 | bits(payload, 0, 6) << 8 | bits(payload, 6, 7), bits(payload, 13, 11))


def ute_query(payload: bytes) -> Teach | None:
    """What a UTE telegram of seven bytes asks for; None for an answer to one."""
    if payload[0] & 0x0F:
        return None
    rorg, function, kind = payload[6], payload[5], payload[4]
    manufacturer = (payload[3] & 0x07) << 8 | payload[2]
    return Teach(rorg << 16 | function << 8 | kind, manufacturer, delete=payload[0] >> 4 & 0x03 == 1)
