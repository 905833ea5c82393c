"""Chinese electricity meters by DL/T 645-2007 on RS-485: 2400 8E1.

    FE × 0…4 | 68 | aaaaaaaaaaaa | 68 | cc | LL | data … | SS | 16
    a address, BCD, low byte first (AA × 6: any; one meter on the bus only); cc control: 11 read, 91 reply,
    B1 reply with more to follow, D1 error, 13/93 read address; LL bytes of data; every data byte has 33 added;
    SS sum modulo 256 from the first 68 to the last data byte; reply data = DI (4) | BCD value, both low byte first

The session polls one item at a time and goes on when a meter is silent. What others asked for is decoded too; what the
gateway itself sent comes back on many adapters and is passed over (control bit 7 is 0). DL/T 645-1997 frames look the
same but for their control codes (81), and are refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec

from hearthline.clock import NS, Stamp
from hearthline.config import Config, check_config
from hearthline.errors import ConfigError
from hearthline_edge.devices import GroupingRule, Item, LineSettings, Readings, Refused, Seen, SerialDriver
from hearthline_edge.devices.dlt645_items import ASCII_ITEMS, ITEMS, bcd_digits, decode_item
from hearthline_edge.framing import TICK_S, Doubt, FrameDecoder, FrameShape

_START: Final = 0x68
_END: Final = 0x16
_OFFSET: Final = 0x33
_HEADER: Final = 10
_MAX_DATA: Final = 200  # of a reading reply; more is a header that holds by chance
_WILDCARD: Final = "A" * 12

_READ: Final = 0x11
_REPLY: Final = 0x91
_ERROR: Final = 0xD1
_ADDRESS_REPLY: Final = 0x93
_ACKNOWLEDGED: Final = frozenset({0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C})
_FROM_METER: Final = 0x80

_TIMEOUT_NS: Final = 2 * NS
_PAUSE_NS: Final = NS // 20  # the bus rests between a reply and the next request


def _judge(buffer: bytes, at: int) -> int | Doubt:
    if len(buffer) > at + 7 and buffer[at + 7] != _START:
        return Doubt.NOT_A_FRAME
    if len(buffer) < at + _HEADER:
        return Doubt.MORE
    if buffer[at + 9] > _MAX_DATA:
        return Doubt.NOT_A_FRAME
    end = at + _HEADER + buffer[at + 9]
    if len(buffer) < end + 2:
        return Doubt.MORE
    if sum(buffer[at:end]) & 0xFF != buffer[end] or buffer[end + 1] != _END:
        return Doubt.BAD_CHECK
    return end + 2 - at


SHAPE: Final = FrameShape(
    starts=bytes((_START,)), judge=_judge, patience_s=0.8, limit=_HEADER + _MAX_DATA + 2, filler=b"\xfe"
)


def _decode(frame: bytes) -> list[Item]:
    """The items of one checked frame."""
    control, raw = frame[8], frame.hex()
    if not control & _FROM_METER:
        return []
    if control == _ERROR:
        return [Refused("error-reply", raw)]
    address = bcd_digits(frame[6:0:-1])
    if address is None:
        return [Refused("sanity", raw)]
    device = f"dlt645:{address}"
    if control == _ADDRESS_REPLY or control in _ACKNOWLEDGED:
        return [Seen(device)]
    if control != _REPLY:
        return [Refused("unsupported", raw)]
    data = bytes((byte - _OFFSET) & 0xFF for byte in frame[_HEADER:-2])
    if len(data) < 4:
        return [Refused("length", raw)]
    return [_decode_value(device, data[3::-1].hex().upper(), data[:3:-1], raw)]


def _decode_value(device: str, identifier: str, value: bytes, raw: str) -> Item:
    if identifier in ASCII_ITEMS:
        return Seen(device)
    item = ITEMS.get(identifier)
    if item is None:
        return Refused("unsupported", raw)
    if len(value) != item.size:
        return Refused("length", raw)
    reading = decode_item(device, item, value)
    return Refused("sanity", raw) if reading is None else Readings((reading,))


def request(address: str, identifier: str) -> bytes:
    """A read request with four preamble bytes. `address`: 12 digits; `identifier`: 8 hexadecimal digits."""
    data = bytes((byte + _OFFSET) & 0xFF for byte in reversed(bytes.fromhex(identifier)))
    body = bytes((_START, *reversed(bytes.fromhex(address)), _START, _READ, len(data))) + data
    return b"\xfe" * 4 + body + bytes((sum(body) & 0xFF, _END))


class _Options(Config, frozen=True):
    meters: tuple[Annotated[str, msgspec.Meta(pattern="^([0-9]{12}|A{12})\\Z")], ...] = ()
    interval_s: Annotated[float, msgspec.Meta(ge=1)] = 60.0
    items: tuple[Annotated[str, msgspec.Meta(pattern="^[0-9A-Fa-f]{8}\\Z")], ...] = (
        "00010000",
        "02010100",
        "02020100",
        "02030000",
    )


class Dlt645Session:
    """Polls the meters of one bus in turn, one request at a time."""

    def __init__(self, options: _Options) -> None:
        self._decoder = FrameDecoder(SHAPE)
        self._round = [(meter, item.upper()) for meter in options.meters for item in options.items]
        self._interval_ns = round(options.interval_s * NS)
        self._next = 0  # which of the round is asked next
        self._round_mono_ns = 0  # when the next round may begin
        self._asked: tuple[str, str] | None = None
        self._due_mono_ns = 0  # when to give up what was asked, or to ask the next

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        items: list[Item] = []
        for found in self._decoder.feed(data, now):
            if isinstance(found, Refused):
                items.append(found)
                continue
            items += _decode(found)
            if self._asked and _answers(found, *self._asked):
                self._asked = None
                self._due_mono_ns = now.mono_ns + _PAUSE_NS
        return items

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        if not self._round:
            return b"", TICK_S if self._decoder.waiting else self._interval_ns / NS
        sent = b""
        if now.mono_ns >= self._due_mono_ns:
            sent = self._ask_next(now)
        delay_s = max((self._due_mono_ns - now.mono_ns) / NS, 0.001)
        return sent, min(delay_s, TICK_S) if self._decoder.waiting else delay_s

    def _ask_next(self, now: Stamp) -> bytes:
        self._asked = None
        if self._next == 0:
            if now.mono_ns < self._round_mono_ns:
                self._due_mono_ns = self._round_mono_ns
                return b""
            self._round_mono_ns = now.mono_ns + self._interval_ns
        self._asked = self._round[self._next]
        self._next = (self._next + 1) % len(self._round)
        self._due_mono_ns = now.mono_ns + _TIMEOUT_NS
        return request(*self._asked)


def _answers(frame: bytes, address: str, identifier: str) -> bool:
    """Whether this frame settles what was asked: a reply with its item, or any other answer of that meter."""
    if not frame[8] & _FROM_METER or address not in (_WILDCARD, frame[6:0:-1].hex().upper()):
        return False
    if frame[8] != _REPLY or len(frame) < _HEADER + 4 + 2:
        return True
    return request(address, identifier)[-6:-2] == frame[_HEADER : _HEADER + 4]


def _open_session(options: dict[str, Any], name: str) -> Dlt645Session:
    checked = check_config(options, _Options, name)
    if len(set(checked.meters)) < len(checked.meters):
        raise ConfigError(f"{name}: meters: an address is there twice")
    if _WILDCARD in checked.meters and len(checked.meters) > 1:
        raise ConfigError(f"{name}: meters: {_WILDCARD} reads any meter and needs to be the only one")
    for item in checked.items:
        if item.upper() not in ITEMS:
            raise ConfigError(f"{name}: items: {item} is not known; known are {', '.join(sorted(ITEMS))}")
    return Dlt645Session(checked)


DRIVER = SerialDriver(
    name="dlt645-2007",
    line=LineSettings(2400, parity="E"),
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=0.0),
)
