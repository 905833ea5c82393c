"""Heat, water, gas and electricity meters on a wired M-Bus: 2400 8E1 (EN 13757-2 and -3).

Polling, one request at a time (`hearthline_edge.bus`):

    primary     SND_NKE > E5 > REQ_UD2 > RSP_UD [> REQ_UD2 with the other FCB > RSP_UD …]
    secondary   SND_UD 52 with id, manufacturer, version and medium, F any digit > E5 > REQ_UD2 to 253 > as above

The other FCB (5B after 7B) asks for the next telegram while a reply ends with DIF 1F; the same telegram again, which
meters send that know no FCB, ends the reply. A meter that does not acknowledge a reset is read without one the next
time. What was on the line in one burst counts as come at once, as a frame of 261 bytes takes 1.2 s at 2400 baud.

Frames: mbus_frames.py; records: mbus_records.py; readings, places and ids: mbus_readings.py. Fixed data (CI 73) and the
high-byte-first modes are refused as unsupported: no recording of them was at hand. So are encrypted telegrams. Checked
against 9 recorded replies and 10 malformed frames of libmbus; the polling, with the FCB of selected meters, is the
standard's word alone and unverified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final, Protocol

import msgspec

from hearthline.clock import Stamp
from hearthline.config import Config, check_config
from hearthline.errors import ConfigError
from hearthline.model import Reading
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
from hearthline_edge.devices.mbus_frames import (
    ACKNOWLEDGED,
    ANY,
    CI_ERROR,
    CI_REPLY,
    FROM_MASTER,
    LONGEST,
    READ,
    READ_OTHER,
    REPLY,
    REPLY_MASK,
    RESET,
    SELECTED,
    SHAPE,
    SHORT,
    selection,
    short_frame,
)
from hearthline_edge.devices.mbus_profile import ProfileReadings, rules_of
from hearthline_edge.devices.mbus_readings import ReplyReadings, device_id
from hearthline_edge.devices.mbus_records import HEADER, Telegram, read_telegram
from hearthline_edge.devices.mbus_values import TelegramError
from hearthline_edge.framing import TICK_S, Bursts, FrameDecoder
from hearthline_edge.profile import Profile

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


class _MeterOptions(Config, frozen=True):
    """One of the two. `secondary`: 8 digits of the id, or these and manufacturer, version, medium; F: any digit.

    `profile`: the table that its name stands for.
    """

    address: Annotated[int, msgspec.Meta(ge=0, le=254)] | None = None
    secondary: Annotated[str, msgspec.Meta(pattern="^([0-9A-Fa-f]{8}|[0-9A-Fa-f]{16})\\Z")] | None = None
    interval_s: Annotated[float, msgspec.Meta(ge=1)] | None = None
    profile: Profile | None = None


class _Options(Config, frozen=True):
    """`baudrate`: the port's, from which follows how long a reply takes. `profile`: of meters that name none."""

    meters: tuple[_MeterOptions, ...] = ()
    interval_s: Annotated[float, msgspec.Meta(ge=1)] = 300.0
    baudrate: Annotated[int, msgspec.Meta(ge=300, le=38400)] = 2400
    profile: Profile | None = None


class _Reader(Protocol):
    """What finds the readings of one reply, telegram by telegram."""

    def read(self, telegram: Telegram) -> tuple[list[Reading], bool]: ...


def _reader_of(profile: Profile | None) -> Callable[[], _Reader]:
    """Raises ValueError for a profile whose selectors are wrong."""
    return ReplyReadings if profile is None else partial(ProfileReadings, rules_of(profile))


class _Meter:
    """How far the reading of one meter has come. `mask` "": it is asked by its primary address."""

    def __init__(self, unit: str, address: int, mask: str, reader: Callable[[], _Reader]) -> None:
        self.unit = unit
        self.address = address
        self.mask = mask
        self.opening = False  # what opens the reading is sent and not acknowledged
        self.other = False  # the FCB of the last request was 0
        self._reader = reader
        self.reply = reader()
        self.bodies: list[int] = []  # hashes of the records of its telegrams so far

    def open(self) -> bytes:
        """The first request of a reading."""
        self.reply, self.bodies = self._reader(), []
        if self.mask:
            self.opening = True
            return selection(self.mask)
        if self.opening:
            return self.read()
        self.opening = True
        return short_frame(RESET, self.address)

    def read(self) -> bytes:
        """The request of the first telegram."""
        self.opening, self.other = False, False
        return short_frame(READ, self.address)

    def read_on(self) -> bytes:
        """The request of the next telegram."""
        self.other = not self.other
        return short_frame(READ_OTHER if self.other else READ, self.address)

    def is_mine(self, frame: bytes) -> bool:
        """Whether a reply is of this meter."""
        if not self.mask:
            return self.address in (frame[5], ANY)
        if frame[6] != CI_REPLY or len(frame) < 7 + HEADER:
            return True
        told = (frame[10:6:-1] + frame[11:15]).hex().upper()
        return all(wanted in ("F", digit) for wanted, digit in zip(self.mask, told, strict=True))


class MbusSession:
    """Polls the meters of one line, and decodes whatever else replies on it."""

    def __init__(self, options: _Options, name: str) -> None:
        self._decoder = FrameDecoder(SHAPE)
        self._reader = _reader_of(options.profile)
        self._bursts = Bursts()
        self._faults: dict[str, frozenset[tuple[str, str]]] = {}
        self._ids: dict[str, str] = {}  # a unit of the bus -> the meter that answered
        line = replace(LINE, baudrate=options.baudrate)
        timeout_s = 17 * character_s(line) + _REPLY_BITS / line.baudrate + 0.05 + _SPARE_S
        meters = list(_meters(options, name))
        self._meters = [meter for meter, _ in meters]
        polls = [Poll(meter.unit, meter, interval_s or options.interval_s, timeout_s) for meter, interval_s in meters]
        pace = Line(11 / line.baudrate, LONGEST * character_s(line), names_sender=False, garbage_was_reply=False)
        self._bus: Bus[_Meter] = Bus(polls, lambda poll: poll.ask.open(), pace)

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        if data:
            self._bus.heard(now)
        found = self._decoder.feed(data, self._bursts.line_time(data, now))
        items = self._bus.taken(found, lambda frame: self._take(frame, now))
        notes = self._bus.notes(now)
        return items + [replace(note, device=self._ids.get(note.device, note.device)) for note in notes]

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        sent, delay_s = self._bus.next_request(now)
        return sent, min(delay_s, TICK_S) if self._decoder.waiting else delay_s

    def _take(self, frame: bytes, now: Stamp) -> list[Item]:
        asked = None if self._bus.asked is None else self._bus.asked.ask
        if frame[0] == ACKNOWLEDGED:
            if asked is not None and asked.opening:
                self._bus.go_on(asked.read(), now)
            return []
        if frame[0] == SHORT or frame[4] & FROM_MASTER:
            return []
        if asked is None or not asked.is_mine(frame):
            return self._take_unasked(frame, now)
        return self._take_reply(frame, asked, now)

    def _take_unasked(self, frame: bytes, now: Stamp) -> list[Item]:
        """A reply that came late. Nobody can tell whether it begins a reply or goes on with one: no values then.

        A session without meters of its own decodes recordings, each telegram for itself.
        """
        items, telegram = self._decode(frame, self._reader())
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

    def _decode(self, frame: bytes, reply: _Reader) -> tuple[list[Item], Telegram | None]:
        """The items of one checked frame from a meter."""
        raw = frame.hex()
        if frame[4] & REPLY_MASK != REPLY or frame[6] not in (CI_REPLY, CI_ERROR):
            return [Refused("unsupported", raw)], None
        if frame[6] == CI_ERROR:
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


def _meters(options: _Options, name: str) -> Iterable[tuple[_Meter, float]]:
    """The meters to poll, each with its own period."""
    for meter in options.meters:
        profile = meter.profile or options.profile
        mask = "" if meter.secondary is None else meter.secondary.upper().ljust(16, "F")
        address = SELECTED if meter.address is None else meter.address
        interval_s = options.interval_s if profile is None or profile.mbus is None else profile.mbus.interval_s
        one = _Meter(f"mbus:{name}:{mask or address}", address, mask, _reader_of(profile))
        yield one, meter.interval_s or interval_s


def _open_session(options: dict[str, Any], name: str) -> MbusSession:
    checked = check_config(options, _Options, name)
    for number, meter in enumerate(checked.meters):
        if (meter.address is None) == (meter.secondary is None):
            raise ConfigError(f"{name}: meters[{number}]: give either address or secondary")
        if meter.address == SELECTED:
            raise ConfigError(f"{name}: meters[{number}]: 253 is no address of a meter; give its secondary address")
    addresses = [(meter.address, (meter.secondary or "").upper().ljust(16, "F")) for meter in checked.meters]
    if len(set(addresses)) < len(addresses):
        raise ConfigError(f"{name}: meters: an address is there twice")
    if len(addresses) > 1 and any(address == ANY for address, _ in addresses):
        raise ConfigError(f"{name}: meters: {ANY} reads any meter and needs to be the only one")
    try:
        return MbusSession(checked, name)
    except ValueError as error:
        raise ConfigError(f"{name}: profile: {error}") from None


LINE: Final = LineSettings(2400, parity="E")

DRIVER = SerialDriver(name="mbus-wired", line=LINE, open_session=_open_session, grouping=GroupingRule(quiet_gap_s=0.0))
