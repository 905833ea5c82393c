"""Dutch, Belgian, Irish and Swedish electricity meters at their P1 port: 115200 8N1; v2 and v3 9600 7E1, read as 8N1.

    /ISk5\\2MT382-1000 CR LF CR LF | line CR LF … | ! | CRC CR LF
    line  A-B:C.D.E(value*unit), more groups in brackets when it has a moment, see obis.py
    CRC   CRC-16/ARC (A001, initial 0) over "/" to "!", both included, four hexadecimal digits; some meters drop leading
          zeros. Versions 2 and 3 have none, later ones always; those begin with a version (1-3:0.2.8, 0-0:96.1.4) or a
          moment (0-0:1.0.0), and are never taken without it

    0-n:24.1.0(003)  what hangs at M-Bus channel n;  0-n:96.1.0 its number;  0-n:24.2.1(moment)(00981.443*m3)
    0-1:24.3.0(moment)(00)(60)(1)(0-1:24.2.1)(m3) CR LF (00001.001)     the same in versions 2 and 3

The meter is `dsmr:<its number>`, what hangs at a channel `dsmr:<its own number>`. Numbers are octet strings in
hexadecimal: shown as the letters that are printed on the meter when they are some. Without a number (or with zeros
alone) the port's name stands for it. The moment that a gas or water value was taken at is data that goes no further.

A telegram without a CRC is taken only whole: one line that is none, or one code that is there twice, and nothing of it
is believed. Read as 8N1, 7E1 is understood by its parity bits and these are checked, which a line set to parity does
not do: it passes wrong bytes on as if they were right. The text that EasyMeter's optical head sends after "!" is passed
over. A meter pushes every 1 to 10 s: `interval_s` says how often readings are wanted.

Sources: DSMR P1 companion standard 2.2, 3.0, 4.2.2 and 5.0.2 (Netbeheer Nederland), e-MUCS P1 1.7.1 (Fluvius), recorded
telegrams of dsmr_parser's tests (MIT). Unverified: heat and cooling channels, 7E1 read as 8N1, Sweden. Luxembourg and
Austria encrypt: not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec

from hearthline.clock import Stamp
from hearthline.config import Config, check_config
from hearthline.model import TELEMETRY_UNITS, Reading
from hearthline_edge.devices import GroupingRule, Item, LineSettings, Readings, Refused, Seen, SerialDriver
from hearthline_edge.devices.obis import (
    ABSTRACT,
    ObisLine,
    ObisValue,
    Pace,
    decimal_of,
    in_unit_of,
    number_of_device,
    parse_line,
    readings_of,
)
from hearthline_edge.framing import TICK_S, Doubt, FrameDecoder, FrameShape

_LIMIT: Final = 8192  # a version 5 telegram with its longest text (2048 digits) and 13 months of demand is under 6 KiB
_PATIENCE_S: Final = 10.0  # of the longest telegram at 9600 baud; the next one's "/" ends it before
_IDLE_S: Final = 3600.0

_PARITY_START: Final = 0xAF  # "/" with its even parity bit
_NAME_BEGUN: Final = re.compile(rb"/(?:[A-Za-z]{0,3}\Z|[A-Za-z]{3}[0-9A-Za-z])")
_NAMED: Final = rb"/[A-Za-z]{3}[0-9A-Za-z][\x02 \"-.0-~]{0,64}\r?"
_LINES: Final = rb"[\r\n \"-.0-~]*(?:/(?![A-Za-z]{3}[0-9A-Za-z])[\r\n \"-.0-~]*)*"
_TELEGRAM: Final = re.compile(_NAMED + rb"\n" + _LINES)
_TELEGRAM_BEGUN: Final = re.compile(rb"(?:/[A-Za-z]{0,3}|" + _NAMED + rb")\Z")
_END: Final = re.compile(rb"!(?:([0-9A-Fa-f]{4})|([0-9A-Fa-f]{0,3})[\r\n])")
_END_BEGUN: Final = re.compile(rb"![0-9A-Fa-f]{0,3}\Z")
_ALWAYS_CHECKED: Final = re.compile(rb"\n(?:1-3:0\.2\.8|0-0:96\.1\.4|0-0:1\.0\.0)[*(]")
_OPTICAL_HEAD: Final = re.compile(rb"[\r\n ]*\d{0,12}[\r\n ]*(?:DE\d{31})?[\r\n ]*")

_NUMBERS: Final = ("0-0:96.1.1", "0-0:96.1.0", "0-0:96.1.255", "1-0:96.1.0", "0-0:42.0.0", "1-0:0.0.0")
_CHANNEL_QUANTITIES: Final = {  # M-Bus device type (EN 13757-3) -> quantity
    2: "energy_import",
    3: "gas_volume",
    4: "heat_energy",
    6: "water_volume",
    7: "water_volume",
    10: "cooling_energy",
    11: "cooling_energy",
    12: "heat_energy",
    13: "heat_energy",
    21: "water_volume",
    22: "water_volume",
}


def _crc16_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0xA001 if value & 1 else 0)
        table.append(value)
    return tuple(table)


def _parity_table() -> bytes:
    """Seven bits of each byte whose even parity holds; 00, which no telegram has, of others."""
    return bytes(value & 0x7F if value.bit_count() % 2 == 0 else 0 for value in range(256))


_CRC16: Final = _crc16_table()
_SEVEN_BITS: Final = _parity_table()


def crc16_arc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ _CRC16[(crc ^ byte) & 0xFF]
    return crc


def _judge(buffer: bytes, at: int) -> int | Doubt:
    if buffer[at] == _PARITY_START:
        if not _NAME_BEGUN.match(buffer[at : at + 5].translate(_SEVEN_BITS)):
            return Doubt.NOT_A_FRAME
        return _judge(buffer[at : at + _LIMIT].translate(_SEVEN_BITS), 0)
    opened = _TELEGRAM.match(buffer, at)
    if opened is None:
        return Doubt.MORE if _TELEGRAM_BEGUN.match(buffer, at) else Doubt.NOT_A_FRAME
    end = opened.end()
    if end == len(buffer):
        return Doubt.MORE
    if buffer[end - 1] != 0x0A:
        return Doubt.NOT_A_FRAME
    found = _END.match(buffer, end)
    if found is None:
        return Doubt.MORE if _END_BEGUN.match(buffer, end) else Doubt.NOT_A_FRAME
    crc = found[1] or found[2]
    if not crc and _ALWAYS_CHECKED.search(buffer, at, end) is not None:
        return Doubt.BAD_CHECK
    return found.end() - at if not crc or int(crc, 16) == crc16_arc(buffer[at : end + 1]) else Doubt.BAD_CHECK


SHAPE: Final = FrameShape(
    starts=bytes((0x2F, _PARITY_START)), judge=_judge, patience_s=_PATIENCE_S, limit=_LIMIT, filler=b"\r\n"
)


def _equipment(text: str) -> str:
    """The number of a device: its letters when it is the hexadecimal of some, "" when it says nothing."""
    try:
        letters = bytes.fromhex(text).decode("ascii")
    except ValueError:
        letters = ""
    return number_of_device(letters) or number_of_device(text)


class _Telegram:
    """One telegram's lines: `values` of the meter itself, `channels` by number, `numbers` by code."""

    def __init__(self, text: str) -> None:
        self.sound = True  # whether each line is one, and no code is there twice
        self.numbers: dict[str, str] = {}
        self.values: list[ObisValue] = []
        self.channels: dict[int, dict[str, ObisLine]] = {}
        seen: set[tuple[int, int, str, int]] = set()
        for row in _rows(text):
            line = parse_line(row)
            key = (line.medium, line.channel, line.code, line.storage) if line else None
            if line is None or key is None or key in seen:
                self.sound = False
                continue
            seen.add(key)
            self._take(line)

    def _take(self, line: ObisLine) -> None:
        if line.medium == ABSTRACT and line.channel:
            code = "24.2" if line.code.startswith("24.2.") else line.code
            self.channels.setdefault(line.channel, {}).setdefault(code, line)
            return
        self.numbers[f"{line.medium}-{line.channel}:{line.code}"] = line.groups[0]
        value = line.value
        if value is not None:
            self.values.append(value)

    def device(self, name: str) -> str:
        found = (_equipment(self.numbers.get(code, "")) for code in _NUMBERS)
        return f"dsmr:{next(filter(None, found), name)}"


def _rows(text: str) -> list[str]:
    """The telegram's lines without the first, the empty ones and the last; what continues a line is joined to it."""
    rows: list[str] = []
    for row in text.replace("\r", "").rstrip("\n").split("\n")[1:-1]:
        if row.startswith("(") and rows:
            rows[-1] += row
        elif row:
            rows.append(row)
    return rows


def _channel_reading(meter: str, number: int, lines: dict[str, ObisLine]) -> Reading | None:
    """What the device at an M-Bus channel tells, or None."""
    kind = lines.get("24.1.0")
    quantity = _CHANNEL_QUANTITIES.get(int(kind.groups[0]) if kind and kind.groups[0].isdecimal() else 0, "volume")
    figure = _channel_figure(lines)
    value = in_unit_of(quantity, *figure) if figure else None
    if value is None:
        return None
    named = lines.get("96.1.0") or lines.get("96.1.1")
    equipment = _equipment(named.groups[0]) if named else ""
    device = f"dsmr:{equipment}" if equipment else f"{meter}:{number}"
    return Reading(device, quantity, value, TELEMETRY_UNITS[quantity])


def _channel_figure(lines: dict[str, ObisLine]) -> tuple[Decimal, str] | None:
    """Number and unit, from the one line of today or from the two of versions 2 and 3, joined."""
    line = lines.get("24.2")
    if line is not None:
        value = line.value
        return (value.number, value.unit) if value else None
    old = lines.get("24.3.0")
    if old is None or len(old.groups) != 7:
        return None
    number = decimal_of(old.groups[6])
    return (number, old.groups[5]) if number is not None else None


class _Options(Config, frozen=True):
    interval_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 10.0


class DsmrSession:
    """Listens; a meter whose request line is held pushes by itself."""

    def __init__(self, options: _Options, name: str) -> None:
        self._decoder = FrameDecoder(SHAPE)
        self._pace = Pace(options.interval_s)
        self._name = name
        self._checked_ident = ""  # of the last telegram with a CRC: that meter sends none without

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        items: list[Item] = []
        for found in self._decoder.feed(data, now):
            if isinstance(found, Refused):
                if not _OPTICAL_HEAD.fullmatch(bytes.fromhex(found.raw)):
                    items.append(found)
            else:
                items.append(self._decode(found, now))
        return items

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        return b"", TICK_S if self._decoder.waiting else _IDLE_S

    def _decode(self, frame: bytes, now: Stamp) -> Item:
        plain = frame.translate(_SEVEN_BITS) if frame[0] == _PARITY_START else frame
        text = plain.decode("ascii")
        ident, checked = text[: text.index("\n")], text.rstrip()[-1] != "!"
        telegram = _Telegram(text)
        if checked:
            self._checked_ident = ident
        elif ident == self._checked_ident:
            return Refused("checksum", frame.hex())
        elif not telegram.sound:
            return Refused("sanity", frame.hex())
        device = telegram.device(self._name)
        readings = _readings(device, telegram) if self._pace.is_due(now) else ()
        return Readings(readings) if readings else Seen(device)


def _readings(device: str, telegram: _Telegram) -> tuple[Reading, ...]:
    series: dict[tuple[str, str], Reading] = {}
    channels = (_channel_reading(device, number, lines) for number, lines in sorted(telegram.channels.items()))
    for reading in (*readings_of(device, telegram.values), *filter(None, channels)):
        series.setdefault((reading.device, reading.quantity), reading)
    return tuple(series.values())


def _open_session(options: dict[str, Any], name: str) -> DsmrSession:
    return DsmrSession(check_config(options, _Options, name), name)


DRIVER = SerialDriver(
    name="dsmr-p1",
    line=LineSettings(115200),
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=0.0),
    decode_options={"interval_s": 0.0},
)
