"""Heat, water, gas and electricity meters on a wired M-Bus: 2400 8E1 (EN 13757-2 and -3).

    68 LL LL 68 | C | A | CI | data … | CS | 16     long frame: LL counts C to data; CS their sum modulo 256
    10 | C | A | CS | 16                            short frame, from the master alone: an echo of ours
    E5                                              acknowledgement

C: 40 reset (SND_NKE), 53 or 73 send (SND_UD), 5B or 7B read (REQ_UD2), 08 18 28 38 reply (RSP_UD). A: primary address
1 to 250, 253 the meter that was selected, 254 any. CI: 72 reply with variable data, 70 error, 52 selection.

Polling, one request at a time (`hearthline_edge.bus`):

    primary     SND_NKE > E5 > REQ_UD2 > RSP_UD [> REQ_UD2 with the other FCB > RSP_UD …]
    secondary   SND_UD 52 with id, manufacturer, version and medium, F any digit > E5 > REQ_UD2 to 253 > as above

The other FCB (5B after 7B) asks for the next telegram while a reply ends with DIF 1F; the same telegram again, which
meters send that know no FCB, ends the reply. A meter that does not acknowledge a reset is read without one the next
time. What was on the line in one burst counts as come at once, as a frame of 261 bytes takes 1.2 s at 2400 baud. A long
frame that holds a whole frame within itself is none: noise that claims a length never hides the reply behind it.

Records and places: mbus_records.py, mbus_readings.py. Fixed data (CI 73) and the high-byte-first modes are refused as
unsupported: no recording of them was at hand. So are encrypted telegrams. Checked against 9 recorded replies and 10
malformed frames of libmbus; the polling, the FCB of selected meters among it, is the standard's word and unverified.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any, Final

import msgspec

from hearthline.clock import NS, Stamp
from hearthline.config import Config, check_config
from hearthline.errors import ConfigError
from hearthline_edge.bus import Bus, Line, Poll, character_s
from hearthline_edge.devices import (
    DeviceNote,
    GroupingRule,
    Item,
    LineSettings,
    Readings,
    Refused,
    Seen,
    SerialDriver,
)
from hearthline_edge.devices.mbus_readings import ReplyReadings, device_id
from hearthline_edge.devices.mbus_records import HEADER, Telegram, TelegramError, read_telegram
from hearthline_edge.framing import TICK_S, Doubt, FrameDecoder, FrameShape

_LONG, _SHORT, _ACKNOWLEDGED, _END = 0x68, 0x10, 0xE5, 0x16
_OVERHEAD: Final = 6  # of a long frame, around what LL counts
_FROM_MASTER: Final = 0x40
_RESET, _SEND, _READ, _READ_OTHER = 0x40, 0x73, 0x7B, 0x5B
_REPLY_MASK, _REPLY = 0xCF, 0x08
_CI_SELECT, _CI_ERROR, _CI_REPLY = 0x52, 0x70, 0x72
_SELECTED, _ANY = 253, 254

_BURST_GAP_NS: Final = NS // 5
_SHORTEST: Final = 3 + _OVERHEAD
_LONGEST: Final = 255 + _OVERHEAD
_MOST_TELEGRAMS: Final = 16
_REPLY_BITS: Final = 330  # a meter may wait this long, and 50 ms, before it replies
_SPARE_S: Final = 0.3  # adapters, level converters and the machine
_REMEMBERED: Final = 32  # meters with a fault

_STATUS: Final = (  # bit of the status byte, note, detail
    (0x04, "low-battery", "power low: battery or supply"),
    (0x08, "error", "permanent error"),
    (0x10, "error", "temporary error"),
)
_APPLICATION_ERROR: Final = 0x02  # of the lowest two bits: 1 busy, 2 error, 3 abnormal


def _judge(buffer: bytes, at: int) -> int | Doubt:
    if buffer[at] == _LONG:
        return _judge_long(buffer, at)
    if buffer[at] == _ACKNOWLEDGED:
        return 1
    if len(buffer) > at + 1 and buffer[at + 1] & 0xC0 != _FROM_MASTER:
        return Doubt.NOT_A_FRAME
    if len(buffer) < at + 5:
        return Doubt.MORE
    if (buffer[at + 1] + buffer[at + 2]) & 0xFF != buffer[at + 3] or buffer[at + 4] != _END:
        return Doubt.BAD_CHECK
    return 5


def _judge_long(buffer: bytes, at: int) -> int | Doubt:
    have = len(buffer) - at
    if (
        (have > 1 and buffer[at + 1] < 3)
        or (have > 2 and buffer[at + 2] != buffer[at + 1])
        or (have > 3 and buffer[at + 3] != _LONG)
    ):
        return Doubt.NOT_A_FRAME
    if have < 4:
        return Doubt.MORE
    end = at + buffer[at + 1] + _OVERHEAD
    if _holds_frame(buffer, at + 1, end):
        return Doubt.NOT_A_FRAME
    if len(buffer) < end:
        return Doubt.MORE
    return end - at if _checks(buffer, at, end) else Doubt.BAD_CHECK


def _checks(buffer: bytes, at: int, end: int) -> bool:
    return buffer[end - 1] == _END and sum(buffer[at + 4 : end - 2]) & 0xFF == buffer[end - 2]


def _holds_frame(buffer: bytes, at: int, end: int) -> bool:
    """Whether a whole long frame lies within these bytes, as far as they have come."""
    end = min(end, len(buffer))
    last = max(end - _SHORTEST, 0)  # where the last one could begin
    while (at := buffer.find(_LONG, at, last + 1)) >= 0:
        size = buffer[at + 1]
        inner = at + size + _OVERHEAD
        if buffer[at + 2] == size >= 3 and buffer[at + 3] == _LONG and inner <= end and _checks(buffer, at, inner):
            return True
        at += 1
    return False


SHAPE: Final = FrameShape(starts=bytes((_LONG, _SHORT, _ACKNOWLEDGED)), judge=_judge, patience_s=0.25, limit=_LONGEST)


def short_frame(control: int, address: int) -> bytes:
    return bytes((_SHORT, control, address, (control + address) & 0xFF, _END))


def selection(mask: str) -> bytes:
    """The frame that selects a meter. `mask`: 8 digits of the id, then manufacturer, version, medium as on the wire."""
    number = bytes.fromhex(mask)
    body = bytes((_SEND, _SELECTED, _CI_SELECT, *number[3::-1], *number[4:]))
    return bytes((_LONG, len(body), len(body), _LONG)) + body + bytes((sum(body) & 0xFF, _END))


class _MeterOptions(Config, frozen=True):
    """One of the two. `secondary`: 8 digits of the id, or these and manufacturer, version, medium; F: any digit."""

    address: Annotated[int, msgspec.Meta(ge=0, le=254)] | None = None
    secondary: Annotated[str, msgspec.Meta(pattern="^([0-9A-Fa-f]{8}|[0-9A-Fa-f]{16})\\Z")] | None = None
    interval_s: Annotated[float, msgspec.Meta(ge=1)] | None = None


class _Options(Config, frozen=True):
    """`baudrate`: the port's, from which follows how long a reply takes."""

    meters: tuple[_MeterOptions, ...] = ()
    interval_s: Annotated[float, msgspec.Meta(ge=1)] = 300.0
    baudrate: Annotated[int, msgspec.Meta(ge=300, le=38400)] = 2400


class _Meter:
    """How far the reading of one meter has come. `mask` "": it is asked by its primary address."""

    def __init__(self, unit: str, address: int, mask: str) -> None:
        self.unit = unit
        self.address = address
        self.mask = mask
        self.opening = False  # what opens the reading is sent and not acknowledged
        self.other = False  # the FCB of the last request was 0
        self.reply = ReplyReadings()
        self.bodies: list[int] = []  # hashes of the records of its telegrams so far

    def open(self) -> bytes:
        """The first request of a reading."""
        self.reply, self.bodies = ReplyReadings(), []
        if self.mask:
            self.opening = True
            return selection(self.mask)
        if self.opening:
            return self.read()
        self.opening = True
        return short_frame(_RESET, self.address)

    def read(self) -> bytes:
        """The request of the first telegram."""
        self.opening, self.other = False, False
        return short_frame(_READ, self.address)

    def read_on(self) -> bytes:
        """The request of the next telegram."""
        self.other = not self.other
        return short_frame(_READ_OTHER if self.other else _READ, self.address)

    def is_mine(self, frame: bytes) -> bool:
        """Whether a reply is of this meter."""
        if not self.mask:
            return self.address in (frame[5], _ANY)
        if frame[6] != _CI_REPLY or len(frame) < 7 + HEADER:
            return True
        told = (frame[10:6:-1] + frame[11:15]).hex().upper()
        return all(wanted in ("F", digit) for wanted, digit in zip(self.mask, told, strict=True))


class MbusSession:
    """Polls the meters of one line, and decodes whatever else replies on it."""

    def __init__(self, options: _Options, name: str) -> None:
        self._decoder = FrameDecoder(SHAPE)
        self._burst: Stamp | None = None
        self._heard_mono_ns = 0
        self._faults: dict[str, frozenset[tuple[str, str]]] = {}
        self._ids: dict[str, str] = {}  # a unit of the bus -> the meter that answered
        line = replace(LINE, baudrate=options.baudrate)
        timeout_s = 17 * character_s(line) + _REPLY_BITS / line.baudrate + 0.05 + _SPARE_S
        meters = list(_meters(options, name))
        self._meters = [meter for meter, _ in meters]
        polls = [Poll(meter.unit, meter, interval_s or options.interval_s, timeout_s) for meter, interval_s in meters]
        pace = Line(11 / line.baudrate, _LONGEST * character_s(line), names_sender=False)
        self._bus: Bus[_Meter] = Bus(polls, lambda poll: poll.ask.open(), pace)

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        if data:
            self._bus.heard(now)
        items: list[Item] = []
        for found in self._decoder.feed(data, self._line_time(data, now)):
            if not isinstance(found, Refused):
                items += self._take(found, now)
                continue
            items.append(found)
            if found.reason == "checksum":
                self._bus.spoilt()
        notes = self._bus.notes(now)
        return items + [replace(note, device=self._ids.get(note.device, note.device)) for note in notes]

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        sent, delay_s = self._bus.next_request(now)
        return sent, min(delay_s, TICK_S) if self._decoder.waiting else delay_s

    def _line_time(self, data: bytes, now: Stamp) -> Stamp:
        """The moment that the bytes of one burst share: its beginning. In silence, now."""
        if self._burst is None or now.mono_ns - self._heard_mono_ns > _BURST_GAP_NS:
            self._burst = now
        if data:
            self._heard_mono_ns = now.mono_ns
        return self._burst

    def _take(self, frame: bytes, now: Stamp) -> list[Item]:
        asked = None if self._bus.asked is None else self._bus.asked.ask
        if frame[0] == _ACKNOWLEDGED:
            if asked is not None and asked.opening:
                self._bus.go_on(asked.read(), now)
            return []
        if frame[0] == _SHORT or frame[4] & _FROM_MASTER:
            return []
        if asked is None or not asked.is_mine(frame):
            return self._take_unasked(frame, now)
        return self._take_reply(frame, asked, now)

    def _take_unasked(self, frame: bytes, now: Stamp) -> list[Item]:
        """A reply that came late. Nobody can tell whether it begins a reply or goes on with one: no values then.

        A session without meters of its own decodes recordings, each telegram for itself.
        """
        items, telegram = self._decode(frame, ReplyReadings())
        for meter in self._meters:
            if meter.is_mine(frame):
                self._bus.present(meter.unit, now)
        if telegram is None or not self._meters:
            return items
        return [Seen(device_id(telegram)) if isinstance(item, Readings) else item for item in items]

    def _take_reply(self, frame: bytes, meter: _Meter, now: Stamp) -> list[Item]:
        meter.opening = False
        body = hash(frame[7 + HEADER : -2])
        if body in meter.bodies:
            self._bus.answered(now)
            return []
        meter.bodies.append(body)
        items, telegram = self._decode(frame, meter.reply)
        if telegram is not None:
            self._ids[meter.unit] = device_id(telegram)
        if telegram is not None and telegram.more and len(meter.bodies) < _MOST_TELEGRAMS:
            self._bus.go_on(meter.read_on(), now)
        else:
            self._bus.answered(now)
        return items

    def _decode(self, frame: bytes, reply: ReplyReadings) -> tuple[list[Item], Telegram | None]:
        """The items of one checked frame from a meter."""
        raw = frame.hex()
        if frame[4] & _REPLY_MASK != _REPLY or frame[6] not in (_CI_REPLY, _CI_ERROR):
            return [Refused("unsupported", raw)], None
        if frame[6] == _CI_ERROR:
            return [Refused("error-reply", raw)], None
        try:
            telegram = read_telegram(frame[7:-2])
        except TelegramError as error:
            return [Refused(error.reason, raw)], None
        readings, sane = reply.read(telegram)
        items: list[Item] = [Readings(tuple(readings)) if readings else Seen(device_id(telegram))]
        items += self._notes(telegram)
        return items if sane else [*items, Refused("sanity", raw)], telegram

    def _notes(self, telegram: Telegram) -> list[DeviceNote]:
        """What has become true in the status byte since the meter's last telegram."""
        device = device_id(telegram)
        faults = {(kind, detail) for bit, kind, detail in _STATUS if telegram.status & bit}
        if telegram.status & 0x03 == _APPLICATION_ERROR:
            faults.add(("error", "application error"))
        before = self._faults.pop(device, frozenset())
        if faults:
            self._faults[device] = frozenset(faults)
            if len(self._faults) > _REMEMBERED:
                del self._faults[next(iter(self._faults))]
        return [DeviceNote(device, kind, detail) for kind, detail in sorted(faults - before)]


def _meters(options: _Options, name: str) -> Iterable[tuple[_Meter, float | None]]:
    """The meters to poll, each with its own period."""
    for meter in options.meters:
        if meter.address is not None:
            yield _Meter(f"mbus:{name}:{meter.address}", meter.address, ""), meter.interval_s
        elif meter.secondary is not None:
            mask = meter.secondary.upper().ljust(16, "F")
            yield _Meter(f"mbus:{name}:{mask}", _SELECTED, mask), meter.interval_s


def _open_session(options: dict[str, Any], name: str) -> MbusSession:
    checked = check_config(options, _Options, name)
    for number, meter in enumerate(checked.meters):
        if (meter.address is None) == (meter.secondary is None):
            raise ConfigError(f"{name}: meters[{number}]: give either address or secondary")
        if meter.address == _SELECTED:
            raise ConfigError(f"{name}: meters[{number}]: 253 is no address of a meter; give its secondary address")
    units = [meter.unit for meter, _ in _meters(checked, name)]
    if len(set(units)) < len(units):
        raise ConfigError(f"{name}: meters: an address is there twice")
    if f"mbus:{name}:{_ANY}" in units and len(units) > 1:
        raise ConfigError(f"{name}: meters: {_ANY} reads any meter and needs to be the only one")
    return MbusSession(checked, name)


LINE: Final = LineSettings(2400, parity="E")

DRIVER = SerialDriver(name="mbus-wired", line=LINE, open_session=_open_session, grouping=GroupingRule(quiet_gap_s=0.0))
