"""Chinese electricity meters by DL/T 645-2007 on RS-485: 2400 8E1.

    FE × 0…4 | 68 | aaaaaaaaaaaa | 68 | cc | LL | data … | SS | 16
    a address, BCD, low byte first (AA × 6: any; one meter on the bus only); LL bytes of data; every data byte has 33
    added; SS sum modulo 256 from the first 68 to the last data byte; cc control:

    asked                           answered
    11  read      DI                91  DI | value; B1: the same, and more follows      DI and value low byte first
    12  read on   DI | seq          92  DI | value | seq; B2: and still more follows    seq 1, 2, …
    13  address   nothing           93  address
                                    D1, D2, D3  error word                              bit 7 of cc: from the meter

The session polls one item at a time (bus.py) and goes on when a meter is silent. What others asked for is decoded too,
for every reply says whose and what it is; what the gateway itself sent comes back on many adapters and is passed over.
The values of a reply that goes on are put together first. A frame of 212 bytes takes 1.9 s at 1200 baud: what was on
the line in one burst counts as come at once, and a header that claims a frame with a whole one in it is none. DL/T
645-1997 frames look the same but for their control codes (81), and are refused. An error reply is refused, and each
error word of a meter is told once as a note.

Source: DL/T 645-2007, chapters 5 to 7 and appendices A and C. Requests, replies, address replies and error word 02 are
recorded. Unverified by a recording: reading on (12), the other error words, blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from hearthline.clock import Stamp
from hearthline.config import check_config
from hearthline_edge.bus import Bus, Line, Poll, character_s
from hearthline_edge.devices import DeviceNote, GroupingRule, Item, LineSettings, Readings, Refused, Seen, SerialDriver
from hearthline_edge.devices.dlt645_items import ASCII_ITEMS, MeterItem, bcd_digits, decode_data
from hearthline_edge.devices.dlt645_lists import DISCOVER, WILDCARD, Ask, reading_lists
from hearthline_edge.devices.dlt645_lists import Options as _Options
from hearthline_edge.framing import TICK_S, Bursts, Doubt, FrameDecoder, FrameShape

LINE: Final = LineSettings(2400, parity="E")
_SLOWEST: Final = LineSettings(1200, parity="E")
_START: Final = 0x68
_END: Final = 0x16
_OFFSET: Final = 0x33
_WITHOUT_OFFSET: Final = bytes((byte - _OFFSET) & 0xFF for byte in range(256))
_HEADER: Final = 10
_MAX_DATA: Final = 200  # of a reading reply; more is a header that holds by chance
_PAUSE_S: Final = 0.05  # the bus rests between a reply and the next request

_READ: Final = 0x11
_READ_ON: Final = 0x12
_READ_ADDRESS: Final = 0x13
_REPLY: Final = 0x91
_REPLY_AND_MORE: Final = 0xB1
_FURTHER: Final = 0x92
_FURTHER_AND_MORE: Final = 0xB2
_ADDRESS_REPLY: Final = 0x93
_ERRORS: Final = frozenset({0xD1, 0xD2, 0xD3})
_ACKNOWLEDGED: Final = frozenset({0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C})
_FROM_METER: Final = 0x80
_ERROR_WORDS: Final = (
    "other error",
    "no requested data",
    "wrong password or not authorized",
    "the line speed cannot be changed",
    "too many year zones",
    "too many day periods",
    "too many tariffs",
)
_MOST_FRAMES: Final = 16  # of one reply
_TOLD: Final = 64  # error words that are remembered as told


def _judge(buffer: bytes, at: int) -> int | Doubt:
    if len(buffer) > at + 7 and buffer[at + 7] != _START:
        return Doubt.NOT_A_FRAME
    if len(buffer) < at + _HEADER:
        return Doubt.MORE
    if buffer[at + 9] > _MAX_DATA:
        return Doubt.NOT_A_FRAME
    end = at + _HEADER + buffer[at + 9]
    if _holds_frame(buffer, at + 1, end + 2):
        return Doubt.NOT_A_FRAME
    if len(buffer) < end + 2:
        return Doubt.MORE
    return end + 2 - at if _checks(buffer, at, end) else Doubt.BAD_CHECK


def _checks(buffer: bytes, at: int, end: int) -> bool:
    """`end`: where the sum stands."""
    return buffer[end + 1] == _END and sum(buffer[at:end]) & 0xFF == buffer[end]


def _holds_frame(buffer: bytes, at: int, end: int) -> bool:
    """Whether a whole frame lies within these bytes, as far as they have come: it is taken, whatever the split.

    None lies in the numbers of a good frame: 16 less 33 is no BCD.
    """
    limit = min(end, len(buffer))
    beyond = max(limit - _HEADER - 1, 0)  # the last place where one could begin
    while (at := buffer.find(_START, at, beyond)) >= 0:
        end = at + _HEADER + buffer[at + 9]
        if buffer[at + 7] == _START and end + 2 <= limit and _checks(buffer, at, end):
            return True
        at += 1
    return False


SHAPE: Final = FrameShape(
    starts=bytes((_START,)), judge=_judge, patience_s=0.8, limit=_HEADER + _MAX_DATA + 2, filler=b"\xfe"
)


def request(address: str, identifier: str) -> bytes:
    """A read request with four preamble bytes. `address`: 12 digits; `identifier`: 8 hexadecimal digits."""
    return _to_line(address, _READ, bytes.fromhex(identifier)[::-1])


def read_on_request(address: str, identifier: str, sequence: int) -> bytes:
    """Asks for the part of an item that is still to come. `sequence`: 1 for the first."""
    return _to_line(address, _READ_ON, bytes.fromhex(identifier)[::-1] + bytes((sequence,)))


def address_request() -> bytes:
    """Asks the only meter on the line for its address."""
    return _to_line(WILDCARD, _READ_ADDRESS, b"")


def _to_line(address: str, control: int, data: bytes) -> bytes:
    body = bytes((_START, *reversed(bytes.fromhex(address)), _START, control, len(data)))
    body += bytes((byte + _OFFSET) & 0xFF for byte in data)
    return b"\xfe" * 4 + body + bytes((sum(body) & 0xFF, _END))


@dataclass(frozen=True, slots=True)
class _Frame:
    """A checked frame from a meter; `data` without the 33, `identifier` "" where it is too short for one."""

    address: str
    device: str
    control: int
    identifier: str
    data: bytes
    raw: bytes

    @property
    def more(self) -> bool:
        return self.control in (_REPLY_AND_MORE, _FURTHER_AND_MORE)


@dataclass(slots=True)
class _Parts:
    """A reply that goes on. `sequence`: of the frame that comes next."""

    address: str
    identifier: str
    data: bytes
    sequence: int = 1

    def continued_by(self, frame: _Frame) -> bool:
        ours = (frame.address, frame.identifier) == (self.address, self.identifier)
        return ours and len(frame.data) > 4 and frame.data[-1] == self.sequence


class Dlt645Session:
    """Polls the meters of one line, and decodes whatever else replies on it."""

    def __init__(self, options: _Options, name: str) -> None:
        self._decoder = FrameDecoder(SHAPE)
        self._bursts = Bursts()
        lists = reading_lists(options, name)
        self._own: dict[str, dict[str, MeterItem]] = {each.address: each.own for each in lists.targets.values()}
        self._usual = self._own.get(WILDCARD) or self._own.get(DISCOVER) or lists.usual  # of whoever else is heard
        self._answered_by: dict[str, str] = {}  # a target that is any meter -> the device that answered
        self._parts: dict[bool, _Parts] = {}  # of the reply that was asked for, and of another master's
        self._told: dict[tuple[str, int], None] = {}
        longest_s = (4 + SHAPE.limit) * character_s(_SLOWEST)
        self._bus: Bus[Ask] = Bus(lists.polls, _encode, Line(_PAUSE_S, longest_s))

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        if data:
            self._bus.heard(now)
        found = self._decoder.feed(data, self._bursts.line_time(data, now))
        items = self._bus.taken(found, lambda frame: self._take(frame, now))
        notes = self._bus.notes(now)
        return items + [replace(note, device=self._answered_by.get(note.device, note.device)) for note in notes]

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        sent, delay_s = self._bus.next_request(now)
        if sent and sent.lstrip(SHAPE.filler)[8] != _READ_ON:
            self._parts.pop(True, None)
        return sent, min(delay_s, TICK_S) if self._decoder.waiting else delay_s

    # --- frames ---

    def _take(self, raw: bytes, now: Stamp) -> list[Item]:
        if not raw[8] & _FROM_METER:
            if raw[8] == _READ:  # what was begun before is not gone on with
                self._parts.pop(False, None)
            return []
        address = bcd_digits(raw[6:0:-1])
        if address is None:
            return [Refused("sanity", raw.hex())]
        data = raw[_HEADER:-2].translate(_WITHOUT_OFFSET)
        identifier = data[3::-1].hex().upper() if len(data) >= 4 else ""
        frame = _Frame(address, f"dlt645:{address}", raw[8], identifier, data, raw)
        poll = self._bus.asked
        asked = poll is not None and self._is_answer(frame, poll.ask)
        items = self._decode(frame, poll.ask.identifier if poll is not None and asked else "")
        if poll is None or not asked:
            self._bus.present(frame.device, now)
        else:
            self._settle(frame, poll, now)
        return items

    def _is_answer(self, frame: _Frame, ask: Ask) -> bool:
        """Whether it is what was asked for, or a refusal of it."""
        if ask.target.discovers:
            return frame.control in (_ADDRESS_REPLY, 0xD3)
        if ask.target.line_address not in (WILDCARD, frame.address) or frame.control == _ADDRESS_REPLY:
            return False
        if frame.control in (_FURTHER, _FURTHER_AND_MORE):
            parts = self._parts.get(True)
            return parts is not None and parts.identifier == ask.identifier and parts.continued_by(frame)
        if frame.control in (_REPLY, _REPLY_AND_MORE):
            return frame.identifier in (ask.identifier, "")
        return frame.control not in _ACKNOWLEDGED  # of another master's writing

    def _settle(self, frame: _Frame, poll: Poll[Ask], now: Stamp) -> None:
        target, identifier = poll.ask.target, poll.ask.identifier
        target.unanswered = False
        if target.unit != frame.device:
            self._answered_by[target.unit] = frame.device
        if frame.control == _ADDRESS_REPLY:
            target.found = frame.address
            self._bus.go_on(request(frame.address, identifier), now)
        elif frame.more and True in self._parts:
            self._bus.go_on(read_on_request(target.line_address, identifier, self._parts[True].sequence), now)
        else:
            self._bus.answered(now)

    # --- their content ---

    def _decode(self, frame: _Frame, asked: str) -> list[Item]:
        """The items of one frame. `asked`: the identifier that it answers, where that is known."""
        if frame.control in _ERRORS:
            return [Refused("error-reply", frame.raw.hex()), *self._error_note(frame, asked)]
        if frame.control == _ADDRESS_REPLY or frame.control in _ACKNOWLEDGED:
            return [Seen(frame.device)]
        if frame.control in (_FURTHER, _FURTHER_AND_MORE):
            return self._decode_further(frame, bool(asked))
        if frame.control not in (_REPLY, _REPLY_AND_MORE):
            return [Refused("unsupported", frame.raw.hex())]
        if len(frame.data) < 4:
            return [Refused("length", frame.raw.hex())]
        if frame.more:
            self._parts[bool(asked)] = _Parts(frame.address, frame.identifier, frame.data[4:])
            return [Seen(frame.device)]
        return self._decode_value(frame, frame.data[4:])

    def _decode_further(self, frame: _Frame, asked: bool) -> list[Item]:
        """One more part of a reply, or the last one, with which its values are whole."""
        parts = self._parts.get(asked)
        if parts is None or not parts.continued_by(frame) or parts.sequence >= _MOST_FRAMES:
            self._parts.pop(asked, None)
            return [Refused("sanity" if parts else "unsupported", frame.raw.hex())]
        parts.data += frame.data[4:-1]
        parts.sequence += 1
        if frame.more:
            return [Seen(frame.device)]
        del self._parts[asked]
        return self._decode_value(frame, parts.data)

    def _decode_value(self, frame: _Frame, data: bytes) -> list[Item]:
        if frame.identifier in ASCII_ITEMS:
            return [Seen(frame.device)]
        own = self._own.get(frame.address, self._usual)
        readings, reason = decode_data(frame.device, frame.identifier, data, own)
        items: list[Item] = [Readings(tuple(readings))] if readings else []
        if reason is not None:
            return [*items, Refused(reason, frame.raw.hex())]
        return items or [Seen(frame.device)]

    def _error_note(self, frame: _Frame, asked: str) -> list[Item]:
        word = frame.data[0] if frame.data else 0
        if (frame.address, word) in self._told or len(self._told) >= _TOLD:
            return []
        self._told[frame.address, word] = None
        reasons = [words for bit, words in enumerate(_ERROR_WORDS) if word & 1 << bit]
        what = f"{asked} is answered with an error" if asked else "answers with an error"
        return [DeviceNote(frame.device, "error", f"{what}: {', '.join(reasons) or 'unknown'} ({word:02X})")]


def _encode(poll: Poll[Ask]) -> bytes:
    """The request of a poll that begins. An address that was found and no longer answers is asked for again."""
    target = poll.ask.target
    if target.unanswered:
        target.found = None
    target.unanswered = True
    return address_request() if target.discovers else request(target.line_address, poll.ask.identifier)


def _open_session(options: dict[str, Any], name: str) -> Dlt645Session:
    return Dlt645Session(check_config(options, _Options, name), name)


DRIVER = SerialDriver(
    name="dlt645-2007",
    line=LINE,
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=0.0),
)
