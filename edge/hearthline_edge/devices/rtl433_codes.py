"""Fixed 24-bit codes of 433 MHz transmitters, as rtl_433's decoders tell them: one code, whatever the decoder.

    on the air   sync pulse, 24 pulses (short 0, long 1), again and again while the button is held
    EV1527       AAAAAAAA AAAAAAAA AAAA DDDD   20 bits of address, 4 of data; told here with the last bit first, as
                                               the data nibble and the address: 8d3cf6 = data 8 (A), address d3cf6
    PT2262       TTTTTTTT TTTTTTTT CCCCCCCC    address and command in pairs: 00, 11, 01 (open); 10 never occurs

    Smoke-GS558      code "8d3cf6"             the 24 bits, the last first
    Generic-Remote   id, cmd, tristate         the first 24 of 25 bits: shifted by one if a sync pulse came before
    Akhan-100F14     id, data "0x1 (Lock)"     20 and 4 bits
    Chuango          id, cmd_id                20 and 4 bits
    Kerui            id, cmd, state            20 and 4 bits
    a flex decoder   len, data / rows / codes  24 bits inverted (a short pulse is 1), or 25 with a sync pulse

Which decoder takes a code depends on the transmitter's timing and changes from press to press, so a device is known
by its bits and never by the model that rtl_433 names. A code without a pair 10 in its first 20 bits is a PT2262's; 6 %
of all EV1527 addresses have none and are named so too, always in the same way. A 25-bit row may have its sync pulse
before or after the code: the device that the installer has named decides, or what has been heard of the code in an
unshifted shape, and else the pulse counts as the next word's, as it does for rtl_433's own decoders. A flex decoder
must not be told to invert.

Sources: the EV1527 and PT2262 data sheets; rtl_433's decoders smoke_gs558, generic_remote, akhan_100F14, chuango and
kerui as their source documents them; the recordings of rtl_433_tests (EV1527-Universal-Remote, generic_remote,
DY-SQ100B-WaterLeak-EV1527), and Debian's rtl_433 22.11 on synthesised pulses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from hearthline.clock import NS, Stamp

_MASK: Final = 0xFFFFFF
_CODE: Final = re.compile(r"[0-9a-fA-F]{6}\Z")
_ROW: Final = re.compile(r"\{(2[45])\}([0-9a-fA-F]{6,8})\Z")
_NIBBLE: Final = re.compile(r"0x([0-9a-fA-F])(?: |\Z)")
_TRISTATE: Final = re.compile(r"[0Z1X]{12}\Z")
_PAIRS: Final = {"0": 0, "Z": 1, "X": 2, "1": 3}
_KEYS: Final = ((8, "A"), (4, "B"), (2, "C"), (1, "D"))
_ROWS_LIMIT: Final = 50  # rtl_433 has as many
_KNOWN: Final = 1000
_RECENT: Final = 32
_QUIET_NS: Final = 2 * NS


@dataclass(frozen=True, slots=True)
class Shape:
    """One decode: the codes on the air that it may stand for, likeliest first. `flex`: nobody has named its fields."""

    codes: tuple[int, ...]
    flex: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """A transmission: its device, its buttons, its code as 6 hexadecimal digits, and its data for the installer."""

    device: str
    buttons: tuple[str, ...]
    code: str
    data: str


@dataclass(slots=True)
class _Heard:
    codes: tuple[int, ...]
    told: Told
    last_ns: int


class CodeBook:
    """What has been heard: one burst in several shapes is one transmission of one device.

    `expected`: devices that the installer has named. A shape that may be one of them is that one.
    """

    def __init__(self, expected: frozenset[str] = frozenset()) -> None:
        self._expected = expected
        self._recent: list[_Heard] = []
        self._known: dict[int, bool] = {}  # codes heard unshifted, and whether only a flex decoder told them

    def tell(self, shape: Shape, now: Stamp) -> Told:
        self._recent = [heard for heard in self._recent if 0 <= now.mono_ns - heard.last_ns <= _QUIET_NS]
        if len(shape.codes) == 1:
            self._learn(shape.codes[0], shape.flex)
        for heard in self._recent:
            if any(code in heard.codes for code in shape.codes):
                heard.last_ns = now.mono_ns
                return heard.told
        told = self._likeliest(shape)
        self._recent = [*self._recent[-_RECENT:], _Heard(shape.codes, told, now.mono_ns)]
        return told

    def _likeliest(self, shape: Shape) -> Told:
        names = (name(code, flex) for code in shape.codes for flex in (False, True))
        expected = next((told for told in names if told.device in self._expected), None)
        if expected is not None:
            return expected
        code = next((code for code in shape.codes if code in self._known), shape.codes[0])
        return name(code, self._known.get(code, shape.flex))

    def _learn(self, code: int, flex: bool) -> None:
        flex = self._known.pop(code, True) and flex
        self._known[code] = flex
        if len(self._known) > _KNOWN:
            del self._known[next(iter(self._known))]


def name(code: int, flex: bool) -> Told:
    """The device and the buttons of a code on the air.

    One or two data bits are keys pressed. Any other data is no key, and neither are two data bits of which only a flex
    decoder knows: the transmitter may be a sensor, whose whole code is its address, and its only button is "code".
    """
    if not any((code >> place) & 3 == 2 for place in range(4, 24, 2)):
        command = str(code & 0xFF)
        return Told(f"rf433:pt2262:{code >> 8:04x}", (command,), f"{code:06x}", command)
    last_first = int(f"{code:024b}"[::-1], 2)
    data = last_first >> 20
    keys = tuple(key for bit, key in _KEYS if data & bit)
    if flex and len(keys) != 1:
        whole = f"{code ^ _MASK:06x}"
        return Told(f"rf433:ev1527:{whole}", ("code",), whole, "code")
    word = f"0x{data:x}"
    return Told(
        f"rf433:ev1527:{last_first & 0xFFFFF:05x}", keys if len(keys) in (1, 2) else (word,), f"{last_first:06x}", word
    )


def shapes(value: dict[str, Any]) -> list[Shape]:
    """The shapes of a decode; empty when it is no fixed code."""
    found = _named(value)
    if found is not None:
        return [found]
    rows = [_row(row) for row in _raw_rows(value)]
    return list(dict.fromkeys(Shape(codes, flex=True) for codes in rows if codes))


def _named(value: dict[str, Any]) -> Shape | None:
    """The shape of a decoder that names its fields."""
    code, tristate, number = value.get("code"), value.get("tristate"), value.get("id")
    if isinstance(tristate, str) and _TRISTATE.match(tristate):
        bits = 0
        for pair in tristate:
            bits = bits << 2 | _PAIRS[pair]
        return Shape((bits,) if bits >> 23 else (bits, bits << 1))  # the bit that was cut off is always 0
    if isinstance(code, str) and _CODE.match(code) and "unit" in value and "learn" in value:
        return Shape((int(f"{int(code, 16):024b}"[::-1], 2),))
    if not isinstance(number, int) or not 0 <= number < 1 << 20:
        return None
    data, cmd = value.get("data"), value.get("cmd_id")
    if "state" in value and cmd is None:
        cmd = value.get("cmd")
    match = _NIBBLE.match(data) if isinstance(data, str) else None
    if match:
        cmd = int(match[1], 16)
    if isinstance(cmd, bool) or not isinstance(cmd, int) or not 0 <= cmd < 16:
        return None
    return Shape((number << 4 | cmd,))


def _raw_rows(value: dict[str, Any]) -> list[tuple[int, str]]:
    """(bits, hexadecimal digits) of each row that a flex decoder tells, in its three forms."""
    rows, codes = value.get("rows"), value.get("codes")
    found: list[tuple[Any, Any]] = [(value.get("len"), value.get("data"))]
    if isinstance(rows, list):
        found += [(row.get("len"), row.get("data")) for row in rows[:_ROWS_LIMIT] if isinstance(row, dict)]
    if isinstance(codes, list):
        matches = [_ROW.match(code) for code in codes[:_ROWS_LIMIT] if isinstance(code, str)]
        found += [(int(match[1]), match[2]) for match in matches if match]
    return [(bits, text) for bits, text in found if bits in (24, 25) and isinstance(text, str)]


def _row(row: tuple[int, str]) -> tuple[int, ...]:
    """The codes that a row of 24 or 25 bits may be: the short sync pulse, a 1, comes after or before them."""
    bits, text = row
    if not re.match(r"[0-9a-fA-F]{6,8}\Z", text) or 4 * len(text) < bits:
        return ()
    raw = int(text, 16) >> (4 * len(text) - bits)
    if bits == 24:
        return (raw ^ _MASK,)
    before, after = raw & _MASK ^ _MASK, raw >> 1 ^ _MASK
    return tuple(code for code, sync in ((after, raw & 1), (before, raw >> 24)) if sync) or (after,)
