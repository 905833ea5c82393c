"""Meters and sensors that speak Modbus RTU on RS-485, each by a profile: 9600 8N1.

    meters = [{ unit = 1, profile = "eastron-sdm120", interval_s = 10, name = "kitchen" }]

The frames are drawn in modbus_frames.py, the registers in modbus_registers.py. The session asks each meter for the
registers of its profile, in as few requests as the profile's `gap` allows. A reply counts when unit, function and
length are those of what was asked: it names no register, so what is late is waited out (bus.py), and what follows the
request of another master on the same line is his. The device is `modbus:<port>:<unit>`, or `modbus:<port>:<name>`, so
that a meter keeps its series when its unit is changed.

A reply has to come in within 0.8 s: at 2400 baud 80 registers at once, at 1200 baud 40 (`most_registers`).

An exception is refused as "error-reply"; the first of each kind of each request is told as a note as well.

With `listen` replies are interpreted by the request heard before them, for recordings of other masters: by the meter's
profile, by `profile`, or else by the shipped register maps of Eastron SDM and CHINT DDSU666, of them the one that knows
the most of the registers asked for. That is a guess, so one value beyond a map's limits refuses the reply.

Sources: MODBUS Application Protocol V1.1b3, MODBUS over Serial Line V1.02; of the maps, what their profiles say.
Unverified: exceptions, and function 03 of the DDSU666 (its voltage is recorded with 04), have no recorded frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from hearthline.clock import NS, Stamp
from hearthline.config import Config, check_config, load_config
from hearthline.errors import ConfigError
from hearthline_edge.bus import Bus, Line, Poll, character_s, silence_s
from hearthline_edge.devices import DeviceNote, GroupingRule, Item, LineSettings, Readings, Refused, Seen, SerialDriver
from hearthline_edge.devices.modbus_frames import (
    EXCEPTIONS,
    MOST_REGISTERS,
    READ_HOLDING,
    READ_INPUT,
    SHAPE,
    Exceptional,
    Other,
    Reply,
    Request,
    parse,
    read_request,
)
from hearthline_edge.devices.modbus_registers import Block, block_of, blocks, read_values
from hearthline_edge.framing import TICK_S, FrameDecoder
from hearthline_edge.profile import Profile, Word
from hearthline_edge.profile_check import check_profile

LINE: Final = LineSettings(9600)
_SLOWEST: Final = LineSettings(2400, parity="E")
_PAUSE_S: Final = 0.02  # over 3.5 characters at 2400 baud, and what a USB adapter holds back
_REQUEST_LASTS_NS: Final = 10 * NS  # a heard request explains no reply after that
_NOTED: Final = 256  # exceptions that are remembered as told
_MAPS: Final = Path(__file__).parent / "profiles"
_GUESSES: Final = (
    ("eastron-sdm120", (READ_INPUT,)),
    ("eastron-sdm230", (READ_INPUT,)),
    ("eastron-sdm630", (READ_INPUT,)),
    ("chint-ddsu666", (READ_HOLDING, READ_INPUT)),
)


class _Meter(Config, frozen=True):
    unit: Annotated[int, msgspec.Meta(ge=1, le=247)]
    profile: Profile | None = None
    interval_s: Annotated[float, msgspec.Meta(ge=0.5)] | None = None
    name: Word | None = None


class _Options(Config, frozen=True):
    """`profile`: of every meter that names none. `pause_s`: rest of the line before each request."""

    meters: tuple[_Meter, ...] = ()
    profile: Profile | None = None
    listen: bool = False
    pause_s: Annotated[float, msgspec.Meta(ge=0.002, le=1)] = _PAUSE_S
    most_registers: Annotated[int, msgspec.Meta(ge=4, le=MOST_REGISTERS)] = MOST_REGISTERS


@dataclass(frozen=True, slots=True)
class _Ask:
    device: str
    unit: int
    block: Block


@dataclass(frozen=True, slots=True)
class _Heard:
    """A request on the line that is not ours."""

    request: Request
    mono_ns: int


class ModbusSession:
    """Polls the meters of one line; the requests and replies of another master are told apart from its own."""

    def __init__(self, options: _Options, name: str) -> None:
        self._decoder = FrameDecoder(SHAPE)
        self._port = name
        self._listen = options.listen
        self._profile = options.profile
        self._profiles: dict[int, Profile] = {}
        self._names: dict[int, str] = {}
        self._noted: dict[tuple[int, Block, int], None] = {}
        self._heard: _Heard | None = None
        polls: list[Poll[_Ask]] = []
        for meter in options.meters:
            profile = meter.profile or options.profile
            assert profile is not None
            self._profiles[meter.unit] = profile
            self._names[meter.unit] = meter.name or str(meter.unit)
            polls += self._polls(meter, profile, options.most_registers)
        pause_s = max(options.pause_s, silence_s(LINE))
        self._bus = Bus(polls, _encode, Line(pause_s, SHAPE.limit * character_s(_SLOWEST)))

    def _polls(self, meter: _Meter, profile: Profile, most: int) -> Iterable[Poll[_Ask]]:
        way, device = profile.modbus, self._device(meter.unit)
        assert way is not None
        for block in blocks(profile, most):
            label = f"registers {block.register} to {block.register + block.count - 1}"
            ask = _Ask(device, meter.unit, block)
            yield Poll(device, ask, meter.interval_s or way.interval_s, way.timeout_s, label)

    def _device(self, unit: int) -> str:
        return f"modbus:{self._port}:{self._names.get(unit, unit)}"

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        if data:
            self._bus.heard(now)
        found = self._decoder.feed(data, now)
        items = self._bus.taken(found, lambda frame: self._take(frame, now))
        return items + self._bus.notes(now)

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        sent, delay_s = self._bus.next_request(now)
        if sent:
            self._heard = None
        return sent, min(delay_s, TICK_S) if self._decoder.waiting else delay_s

    def _take(self, frame: bytes, now: Stamp) -> list[Item]:
        asked = None if self._bus.asked is None else self._bus.asked.ask
        match parse(frame):
            case Request() as request:
                if asked is None or frame != _request_of(asked):  # else an echo
                    self._heard = _Heard(request, now.mono_ns)
                return []
            case Exceptional() as refusal:
                return self._take_exception(refusal, asked, frame, now)
            case Reply() as reply:
                if self._heard is None and asked is not None and asked.block.is_answered_by(asked.unit, reply):
                    self._bus.answered(now)
                    return _values(asked.device, asked.block, reply, frame, whole=False)
                self._bus.present(self._device(reply.unit), now)
                return self._overhear(reply, frame, now)
            case Other():
                self._heard = None
                return []

    def _take_exception(self, refusal: Exceptional, asked: _Ask | None, frame: bytes, now: Stamp) -> list[Item]:
        items: list[Item] = [Refused("error-reply", frame.hex())]
        if self._heard is None and asked and (refusal.unit, refusal.function) == (asked.unit, asked.block.function):
            self._bus.answered(now)
            key = (asked.unit, asked.block, refusal.code)
            if key not in self._noted and len(self._noted) < _NOTED:
                self._noted[key] = None
                items.append(DeviceNote(asked.device, "error", _refusal_in_words(asked.block, refusal.code)))
        else:
            self._bus.present(self._device(refusal.unit), now)
        self._heard = None
        return items

    def _overhear(self, reply: Reply, frame: bytes, now: Stamp) -> list[Item]:
        """A reply that this gateway has not asked for, or no longer awaits."""
        heard, self._heard = self._heard, None
        seen: list[Item] = [Seen(self._device(reply.unit))]
        if not self._listen or heard is None or now.mono_ns - heard.mono_ns > _REQUEST_LASTS_NS:
            return seen
        block = self._explain(heard.request)
        if not block.values or not block.is_answered_by(heard.request.unit, reply):
            return seen
        return _values(self._device(reply.unit), block, reply, frame, whole=reply.unit not in self._profiles)

    def _explain(self, request: Request) -> Block:
        """What a heard request asks for, by the unit's own profile or by the map that knows the most of it."""
        own = self._profiles.get(request.unit, self._profile)
        if own is not None and own.modbus is not None:
            values = own.value if request.function == own.modbus.function else ()
            return block_of(request, values)
        guesses = [block_of(request, profile.value) for profile, functions in _maps() if request.function in functions]
        return max(guesses, key=lambda block: len(block.values))


def _encode(poll: Poll[_Ask]) -> bytes:
    return _request_of(poll.ask)


def _request_of(ask: _Ask) -> bytes:
    return read_request(ask.unit, ask.block.function, ask.block.register, ask.block.count)


def _values(device: str, block: Block, reply: Reply, frame: bytes, *, whole: bool) -> list[Item]:
    """The readings of a reply, and a refusal for values that are none. `whole`: all of its values, or none."""
    readings, refused = read_values(device, block, reply.data)
    items: list[Item] = [Readings(tuple(readings))] if readings and not (whole and refused) else []
    return [*items, Refused("sanity", frame.hex())] if refused else items


def _refusal_in_words(block: Block, code: int) -> str:
    last = block.register + block.count - 1
    return f"refuses to read registers {block.register} to {last}: {EXCEPTIONS[code]} ({code})"


@cache
def _maps() -> list[tuple[Profile, tuple[int, ...]]]:
    return [(load_config(_MAPS / f"{name}.toml", Profile), functions) for name, functions in _GUESSES]


def _open_session(options: dict[str, Any], name: str) -> ModbusSession:
    checked = check_config(options, _Options, name)
    units = [meter.unit for meter in checked.meters]
    names = [meter.name or str(meter.unit) for meter in checked.meters]
    for what, found in (("unit", units), ("name", names)):
        for index, each in enumerate(found):
            if each in found[:index]:
                raise ConfigError(f"{name}: meters[{index}].{what} = {each!r} is there twice; a device has its own")
    if checked.profile is not None:
        _check_profile(checked.profile, f"{name}: profile")
    for index, meter in enumerate(checked.meters):
        if meter.profile is not None:
            _check_profile(meter.profile, f"{name}: meters[{index}].profile")
        elif checked.profile is None:
            raise ConfigError(f"{name}: meters[{index}].profile is missing: what its registers mean")
    return ModbusSession(checked, name)


def _check_profile(profile: Profile, where: str) -> None:
    """A profile may also stand in the options as a table, which nobody has checked."""
    if profile.modbus is None:
        raise ConfigError(f"{where}: {profile.name!r} is no [modbus] profile")
    check_profile(profile, where)


DRIVER = SerialDriver(
    name="modbus-rtu",
    line=LINE,
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=0.0),
    decode_options={"listen": True},
)
