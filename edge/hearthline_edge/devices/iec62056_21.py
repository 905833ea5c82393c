"""Meters that read themselves out by IEC 62056-21 (D0), listened to: 9600 7E1, read as 8N1.

    /ISK5\\2MT382-1008 CR LF | [ACK 050 CR LF] | STX | line CR LF … ! CR LF | ETX | BCC      asked for (modes A to C)
    /ESY5Q3DA1004 V3.04 CR LF | CR LF | line CR LF … | ! CR LF                               pushed (mode D)
    line  [A-B:]C.D.E[*F](value*unit), see obis.py;  BCC exclusive or from behind STX to ETX, seven bits

Nothing is asked: no "/?!", no acknowledgement and no change of speed in this version. It hears meters that push (mode
D) and what another reader asks for on the same optical head or loop; a request heard is passed over.

A readout with STX is taken when its BCC holds, never otherwise. One without STX has no check at all, and is taken line
by line: up to "!", or when it breaks off, up to the last whole line before the silence or the byte that no readout
has. Nothing of it is taken when one of its whole lines is none, when a code is there twice, when an ETX shows that its
STX was lost, or when the same meter was heard with a BCC before. 7E1 is read as 8N1, for a line that is set to parity
passes wrong bytes on as if they were right: the parity bits are checked here.

The meter is `iec62056:<its number>` (C.1.0, 96.1.0 or 0.0.0), or the port's name when it tells none. Past billing
periods (*01 …), the meter's clock and what is no electricity are left out. `interval_s`: how often to give readings.

Sources: IEC 62056-21:2002; a recorded excerpt of an Iskra MT382 (mtdcr/pysml issue 4) and of an EasyMeter Q3D
(dsmr_parser's tests). Unverified: STX, ETX and BCC are of the standard alone, no recording shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import reduce
from operator import xor
from typing import Annotated, Any, Final

import msgspec

from hearthline.clock import NS, Stamp
from hearthline.config import Config, check_config
from hearthline_edge.devices import GroupingRule, Item, LineSettings, Readings, Refused, Seen, SerialDriver
from hearthline_edge.devices.obis import ObisLine, Pace, number_of_device, parse_line, readings_of
from hearthline_edge.framing import TICK_S, Doubt, FrameDecoder, FrameShape

_STX: Final = 0x02
_ETX: Final = 0x03
_SILENCE: Final = b"\x04"  # EOT, fed when the line has fallen silent: it ends a readout that broke off
_SILENCE_NS: Final = 3 * NS // 2  # the standard's longest pause between two characters
_PARITY_START: Final = 0xAF  # "/" with its even parity bit
_LIMIT: Final = 8192
_PATIENCE_S: Final = 30.0  # of the longest readout at 2400 baud; silence or the next "/" ends it before
_IDLE_S: Final = 3600.0

_REQUEST: Final = re.compile(rb"/\?[0-9A-Za-z]{0,32}!\r?\n")
_NAMED: Final = rb"/[A-Za-z]{3}[0-9A-Za-z][ \"-.0-~]{0,64}\r?"
_HEAD: Final = re.compile(_NAMED + rb"\n[\r\n]*(?:\x06?[0-9][0-9A-Z][0-9]\r?\n)?[\r\n]*(\x02?)")
_NAME_BEGUN: Final = re.compile(rb"/(?:[A-Za-z]{0,3}\Z|[A-Za-z]{3}[0-9A-Za-z]|\?)")
_OPTION_BEGUN: Final = re.compile(rb"\x06[0-9]?[0-9A-Z]?[0-9]?\r?\Z")
_BEGUN: Final = re.compile(rb"(?:/[A-Za-z]{0,3}|" + _NAMED + rb"|/\?[0-9A-Za-z]{0,32}(?:!\r?)?)\Z")
_LINES: Final = re.compile(rb"[\r\n \"-.0-~]*(?:/(?![A-Za-z]{3}[0-9A-Za-z]|\?)[\r\n \"-.0-~]*)*")
_END: Final = re.compile(rb"!\r?\n")
_END_BEGUN: Final = re.compile(rb"!\r?\Z")
_PIECES: Final = re.compile(rb"[^\n]*\n|[^\n]+")
_DATA: Final = re.compile(r"(?:[^()]{0,32}\([^()]{0,128}\))+")
_NUMBERS: Final = ("C.1.0", "96.1.0", "96.1.255", "0.0.0")


def _parity_table() -> bytes:
    """Seven bits of each byte whose even parity holds; 00, which no readout has, of others.

    Kept as they are: our own EOT, and the other kind's "/", which begins the next readout.
    """
    table = bytearray(value & 0x7F if value.bit_count() % 2 == 0 else 0 for value in range(256))
    table[_SILENCE[0]] = _SILENCE[0]
    table[ord("/")] = _PARITY_START
    return bytes(table)


_SEVEN_BITS: Final = _parity_table()


def _judge(buffer: bytes, at: int) -> int | Doubt:
    if buffer[at] == _PARITY_START:
        if not _NAME_BEGUN.match(buffer[at : at + 5].translate(_SEVEN_BITS)):
            return Doubt.NOT_A_FRAME
        return _judge(buffer[at : at + _LIMIT].translate(_SEVEN_BITS), 0)
    request = _REQUEST.match(buffer, at)
    if request is not None:
        return request.end() - at
    head = _HEAD.match(buffer, at)
    if head is None:
        return Doubt.MORE if _BEGUN.match(buffer, at) else Doubt.NOT_A_FRAME
    if _OPTION_BEGUN.match(buffer, head.end()):
        return Doubt.MORE
    return _judge_checked(buffer, at, head.end()) if head[1] else _judge_unchecked(buffer, at, head.end())


def _judge_checked(buffer: bytes, at: int, start: int) -> int | Doubt:
    """`start`: behind STX."""
    end = _end_of_lines(buffer, start)
    if buffer[end : end + 1] == b"!":
        end = _end_of_lines(buffer, end + 1)
    if len(buffer) < end + 2:
        return Doubt.MORE if buffer[end:] in (b"", b"\x03") else Doubt.NOT_A_FRAME
    if buffer[end] != _ETX:
        return Doubt.NOT_A_FRAME
    return end + 2 - at if reduce(xor, buffer[start : end + 1]) == buffer[end + 1] else Doubt.BAD_CHECK


def _judge_unchecked(buffer: bytes, at: int, start: int) -> int | Doubt:
    end = _end_of_lines(buffer, start)
    if end == len(buffer):
        return Doubt.MORE
    if buffer[end] in (_STX, _ETX):
        return Doubt.BAD_CHECK
    whole = buffer.rfind(b"\n", start - 1, end) + 1
    if buffer[end : end + 1] == b"!" and whole == end:
        found = _END.match(buffer, end)
        if found is not None:
            return found.end() - at
        return Doubt.MORE if _END_BEGUN.match(buffer, end) else Doubt.NOT_A_FRAME
    broken_off = buffer[end] not in b"!/\xaf" and b"(" in buffer[start:whole]
    return end + 1 - at if broken_off else Doubt.NOT_A_FRAME


def _end_of_lines(buffer: bytes, start: int) -> int:
    """Where the first byte stands that no data line has, or another readout begins."""
    found = _LINES.match(buffer, start)
    return found.end() if found else start


SHAPE: Final = FrameShape(
    starts=bytes((0x2F, _PARITY_START)), judge=_judge, patience_s=_PATIENCE_S, limit=_LIMIT, filler=b"\r\n" + _SILENCE
)


class _Options(Config, frozen=True):
    interval_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 10.0


class ReadoutSession:
    """Listens; asks for nothing."""

    def __init__(self, options: _Options, name: str) -> None:
        self._decoder = FrameDecoder(SHAPE)
        self._pace = Pace(options.interval_s)
        self._name = name
        self._heard_mono_ns: int | None = None  # when the last byte came, while no silence has followed
        self._held = b""  # a readout without a check whose next byte is awaited: an ETX would mean that it had one
        self._checked_ident = ""  # of the last readout with a BCC: that meter sends none without

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        if data:
            self._heard_mono_ns = now.mono_ns
        elif self._heard_mono_ns is not None and now.mono_ns - self._heard_mono_ns >= _SILENCE_NS:
            self._heard_mono_ns = None
            data = _SILENCE
        items: list[Item] = []
        for piece in _PIECES.findall(data) or [b""]:  # a readout without a check ends where a piece does
            if piece:
                items += self._release(piece[0], now)
            for found in self._decoder.feed(piece, now):
                items += [found] if isinstance(found, Refused) else self._take(found, now)
        return items

    def _release(self, following: int, now: Stamp) -> list[Item]:
        """What became of the readout that was held, now that the byte behind it is known."""
        held, self._held = self._held, b""
        if not held:
            return []
        return [Refused("checksum", held.hex())] if following == _ETX else self._decode(held, now)

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        return b"", TICK_S if self._decoder.waiting else _IDLE_S

    def _take(self, frame: bytes, now: Stamp) -> list[Item]:
        head, plain = _opened(frame)
        if head is None:
            return []  # a request
        if not head[1] and plain.endswith(b"\n"):
            self._held = frame
            return []
        return self._decode(frame, now)

    def _decode(self, frame: bytes, now: Stamp) -> list[Item]:
        head, plain = _opened(frame)
        if head is None:
            return []
        ident, checked = plain[: plain.index(b"\n")].decode("ascii"), bool(head[1])
        body = plain[head.end() :].partition(b"!")[0]
        lines, sound = _parse(body[: body.rfind(b"\n") + 1].decode("ascii"))
        if checked:
            self._checked_ident = ident
        elif ident == self._checked_ident:
            return [Refused("checksum", frame.hex())]
        elif not sound:
            return [Refused("sanity", frame.hex())]
        numbers = {line.code: number_of_device(line.groups[0]) for line in reversed(lines)}
        number = next((numbers[code] for code in _NUMBERS if numbers.get(code)), self._name)
        device = f"iec62056:{number}"
        values = filter(None, (line.value for line in lines))
        readings = readings_of(device, values) if self._pace.is_due(now) else ()
        return [Readings(readings) if readings else Seen(device)]


def _opened(frame: bytes) -> tuple[re.Match[bytes] | None, bytes]:
    """The readout's head, None for a request, and its bytes without parity."""
    plain = frame.translate(_SEVEN_BITS) if frame[0] == _PARITY_START else frame
    return _HEAD.match(plain), plain


def _parse(text: str) -> tuple[list[ObisLine], bool]:
    """The OBIS lines, and whether every whole line is one of data and no code is there twice."""
    lines: list[ObisLine] = []
    sound, seen = True, set[tuple[int, int, str, int]]()
    for row in filter(None, text.replace("\r", "\n").split("\n")):
        line = parse_line(row)
        if line is None:
            sound = sound and _DATA.fullmatch(row) is not None
            continue
        key = (line.medium, line.channel, line.code, line.storage)
        sound = sound and key not in seen
        seen.add(key)
        lines.append(line)
    return lines, sound


def _open_session(options: dict[str, Any], name: str) -> ReadoutSession:
    return ReadoutSession(check_config(options, _Options, name), name)


DRIVER = SerialDriver(
    name="iec62056-21",
    line=LineSettings(9600),
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=0.0),
    decode_options={"interval_s": 0.0},
)
