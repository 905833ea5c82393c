"""Raycome and Maibobo blood-pressure monitors of the RBP series: serial line or Bluetooth SPP, 9600 8N1.

    AA 80 | vv | LL | tt ss | data … | XX          host: CC 80 instead of AA 80
    vv 02 or 03, LL bytes of type + sub + data, tt type, ss sub, XX XOR of everything from vv to the last data byte
    01 01 connect   01 02 start   01 03 stop   01 04 power off   04 04 battery: millivolts, high byte first
    01 05 live pressure, mmHg: version 2  .. HH .. .. LL^HH ..   version 3  HH LL
    01 06 result: user | YY MM DD hh mm ss | systolic (2) | diastolic (2) | pulse (2), high byte first
    01 07 error: code

The monitor acknowledges a command by its own type and sub. The session says "connect" until the monitor answers, then
asks for the battery now and then, never while it measures. `start = "on-connect"`: for a monitor that stands ready on
somebody's arm whenever it is switched on: once its battery is known to suffice, a measurement is started, and stopped
when nothing was heard of it for a minute, or when it has no end after three; once in ten minutes at most. Only a
monitor that has left two "connect" unanswered was switched on: one that stands there when the gateway starts, or loses
a frame, is left alone, and so is one that measures already. Otherwise the monitor's own key starts it.
`live_pressure`: each live pressure as a reading, some four a second; without it they only show life.

A result or an error is told once a minute at most: monitors repeat them. A pulse that no heart has is left out. Presses
there are none, so there is nothing to group.

Source: no official document was seen; more than ten public code bases, some derived from the maker's kit, agree on this
layout, and the frames of version 2 are recorded. Version 3, and the words of the errors, are of one or two code bases
each (PyPI `maibobo` among them). 9600 baud by these; one kiosk uses 115200 (set `baudrate`). Unverified on hardware.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from operator import xor
from typing import Any, Final, Literal

from hearthline.clock import NS, Stamp
from hearthline.config import Config, check_config
from hearthline.model import TELEMETRY_UNITS, Reading
from hearthline_edge.devices import (
    DeviceNote,
    GroupingRule,
    Item,
    LineSettings,
    Readings,
    Refused,
    Seen,
    SerialDriver,
    Vital,
)
from hearthline_edge.framing import TICK_S, Doubt, FrameDecoder, FrameShape

_DEVICE: Final = 0xAA
_HOST: Final = 0xCC
_SECOND: Final = 0x80
_MAX_BODY: Final = 32

_CONNECT: Final = (1, 1)
_START: Final = (1, 2)
_STOP: Final = (1, 3)
_PRESSURE: Final = (1, 5)
_RESULT: Final = (1, 6)
_ERROR: Final = (1, 7)
_BATTERY: Final = (4, 4)
_MEASURING: Final = (_START, _STOP, _PRESSURE, _RESULT, _ERROR)
_RESULT_BYTES: Final = 13

LOW_BATTERY_MV: Final = 3600  # at and below this the makers' apps refuse to start
PLAUSIBLE_MMHG: Final = range(40, 301)
_PLAUSIBLE_PULSE: Final = range(20, 301)
_REPEAT_NS: Final = 60 * NS
_CONNECT_EVERY_NS: Final = 5 * NS
_SWITCHED_OFF: Final = 2  # "connect" that nobody answered, before the monitor counts as off
_BATTERY_EVERY_NS: Final = 600 * NS
_ANSWER_NS: Final = 10 * NS
_MEASURING_NS: Final = 10 * NS  # since the last live pressure
_SILENT_NS: Final = 60 * NS  # of a measurement that we started
_ENDLESS_NS: Final = 180 * NS
_START_EVERY_NS: Final = 600 * NS  # a line that comes and goes must not squeeze somebody's arm again and again

_ERRORS: Final = {
    0x01: "cuff pressure too high, it was let off",
    0x02: "no signal, or the upper bladder of the cuff leaks: check cuff and arm, measure again",
    0x05: "no signal, or the lower bladder of the cuff leaks: check cuff and arm, measure again",
    0x06: "no pulse found, or the sensor fails: measure again",
    0x07: "battery too low to measure",
    0x09: "cuff deflates wrongly",
    0x0F: "cuff or hose leaks",
    0x10: "pump motor fails",
}


def _judge(buffer: bytes, at: int) -> int | Doubt:
    head = buffer[at + 1 : at + 4]
    if head[:1] not in (b"", bytes((_SECOND,))) or (len(head) > 1 and head[1] not in (2, 3)):
        return Doubt.NOT_A_FRAME
    if len(head) < 3:
        return Doubt.MORE
    if not 2 <= head[2] <= _MAX_BODY:
        return Doubt.NOT_A_FRAME
    checked = buffer[at + 2 : at + 4 + head[2]]
    end = at + 4 + head[2]
    if end >= len(buffer):
        return Doubt.MORE
    return end + 1 - at if reduce(xor, checked) == buffer[end] else Doubt.BAD_CHECK


SHAPE: Final = FrameShape(starts=bytes((_DEVICE, _HOST)), judge=_judge, patience_s=0.5, limit=_MAX_BODY + 5)


class _Options(Config, frozen=True):
    version: Literal[2, 3] = 2
    start: Literal["by-hand", "on-connect"] = "by-hand"
    live_pressure: bool = False


class _Conversation:
    """What is said to the monitor, and when.

    connecting -- any frame --> ready -- battery suffices, start wanted --> measuring -- result, error, stop --> ready
    """

    def __init__(self, version: int, start_on_connect: bool) -> None:
        self._version = version
        self._start_on_connect = start_on_connect
        self._connected = False
        self._fresh = False  # switched on, and neither its battery known nor a measurement heard since
        self._calls = 0  # "connect" said in vain, and the one that is awaited
        self._unanswered = False
        self._due_mono_ns = 0  # of the next command
        self._wanted: tuple[int, int] | None = None  # start or stop, to be said next
        self._started_mono_ns: int | None = None  # of the measurement that we started and that goes on
        self._no_start_before_mono_ns = 0

    def heard(self, kind: tuple[int, int], now: Stamp) -> None:
        """A checked frame of the monitor."""
        self._unanswered = False
        if not self._connected:
            self._connected, self._fresh = True, self._calls > _SWITCHED_OFF
            self._due_mono_ns = now.mono_ns  # ask for the battery at once
        self._calls = 0
        if kind in _MEASURING:
            self._fresh = False
            self._wanted = None if self._wanted == _START else self._wanted
        if kind in (_RESULT, _ERROR, _STOP):
            ours, self._started_mono_ns = self._started_mono_ns is not None, None
            self._due_mono_ns = now.mono_ns + NS if ours else max(self._due_mono_ns, now.mono_ns + NS)
        elif kind in (_PRESSURE, _START) and self._started_mono_ns is None:
            self._due_mono_ns = max(self._due_mono_ns, now.mono_ns + _MEASURING_NS)
        elif kind in (_PRESSURE, _START):
            self._due_mono_ns = now.mono_ns + _SILENT_NS

    def battery_known(self, suffices: bool, now: Stamp) -> None:
        self._due_mono_ns = now.mono_ns + _BATTERY_EVERY_NS
        wanted, self._fresh = self._start_on_connect and self._fresh, False
        if wanted and suffices and now.mono_ns >= self._no_start_before_mono_ns:
            self._wanted, self._due_mono_ns = _START, now.mono_ns
            self._no_start_before_mono_ns = now.mono_ns + _START_EVERY_NS

    def gives_up(self, now: Stamp) -> bool:
        """Whether the measurement that we started has just been given up; stop is said next then."""
        started = self._started_mono_ns
        if started is None or (now.mono_ns < self._due_mono_ns and now.mono_ns - started < _ENDLESS_NS):
            return False
        self._started_mono_ns, self._wanted, self._due_mono_ns = None, _STOP, now.mono_ns
        return True

    def next_command(self, now: Stamp) -> tuple[bytes, float]:
        """What to say now, or b"", and the seconds until asked again."""
        said = b""
        if now.mono_ns >= self._due_mono_ns:
            if self._unanswered:
                self._connected, self._wanted = False, None
            said = self._say(now)
        due = self._due_mono_ns
        if self._started_mono_ns is not None:
            due = min(due, self._started_mono_ns + _ENDLESS_NS)
        return said, max((due - now.mono_ns) / NS, TICK_S)

    def _say(self, now: Stamp) -> bytes:
        kind, self._wanted = self._wanted or (_BATTERY if self._connected else _CONNECT), None
        self._calls += kind == _CONNECT
        self._unanswered = kind != _START  # its silence is a matter of the measurement
        wait_ns = _ANSWER_NS if self._connected else _CONNECT_EVERY_NS
        if kind == _START:
            self._started_mono_ns, wait_ns = now.mono_ns, _SILENT_NS
        self._due_mono_ns = now.mono_ns + wait_ns
        return command(self._version, kind, b"\x00")


class RaycomeSession:
    """One monitor on one port; the port's name is the device's, for the protocol carries no number."""

    def __init__(self, options: _Options, name: str) -> None:
        self._device = f"raycome:{name}"
        self._live_pressure = options.live_pressure
        self._conversation = _Conversation(options.version, options.start == "on-connect")
        self._decoder = FrameDecoder(SHAPE)
        self._battery_low = False
        self._told: dict[tuple[int, int], tuple[bytes, int]] = {}  # the last result and error, and when they came

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        items: list[Item] = []
        for found in self._decoder.feed(data, now):
            if isinstance(found, Refused):
                items.append(found)
            elif found[0] == _DEVICE:
                items += self._decode(found, now)
        if self._conversation.gives_up(now):
            items.append(DeviceNote(self._device, "measurement-error", "no result came, the measurement is stopped"))
        return items

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        request, wait_s = self._conversation.next_command(now)
        return request, TICK_S if self._decoder.waiting else wait_s

    def _decode(self, frame: bytes, now: Stamp) -> list[Item]:
        """The items of one checked frame of the monitor."""
        kind, data = (frame[4], frame[5]), frame[6:-1]
        self._conversation.heard(kind, now)
        if kind == _RESULT:
            return self._result(frame, data, now)
        if kind == _PRESSURE:
            return self._pressure(frame, data)
        if kind == _ERROR:
            return self._error(frame, data, now)
        if kind == _BATTERY:
            return self._battery(data, now)
        return [Seen(self._device)]

    def _pressure(self, frame: bytes, data: bytes) -> list[Item]:
        if len(data) == 6:
            mmhg = data[1] << 8 | (data[4] ^ data[1])
        elif len(data) == 2:
            mmhg = data[0] << 8 | data[1]
        else:
            return [Refused("length", frame.hex())]
        if mmhg > PLAUSIBLE_MMHG[-1]:
            return [Refused("sanity", frame.hex())]
        if not self._live_pressure:
            return [Seen(self._device)]
        return [Readings((Reading(self._device, "cuff_pressure", float(mmhg), TELEMETRY_UNITS["cuff_pressure"]),))]

    def _result(self, frame: bytes, data: bytes, now: Stamp) -> list[Item]:
        if len(data) != _RESULT_BYTES:
            return [Refused("length", frame.hex())]
        if self._is_repeated(_RESULT, data, now):
            return [Seen(self._device)]
        systolic, diastolic, pulse = (int.from_bytes(data[at : at + 2], "big") for at in (7, 9, 11))
        if systolic not in PLAUSIBLE_MMHG or diastolic not in PLAUSIBLE_MMHG or diastolic >= systolic:
            note = DeviceNote(self._device, "measurement-error", "implausible result, measure again")
            return [note, Refused("sanity", frame.hex())]
        pressures = (("systolic", systolic), ("diastolic", diastolic))
        values = (*pressures, ("heart_rate", pulse)) if pulse in _PLAUSIBLE_PULSE else pressures
        return [Vital(self._device, values, data[0], _device_time(data[1:7]), frame.hex())]

    def _is_repeated(self, kind: tuple[int, int], data: bytes, now: Stamp) -> bool:
        last, mono_ns = self._told.get(kind, (b"", 0))
        self._told[kind] = data, now.mono_ns
        return data == last and now.mono_ns - mono_ns <= _REPEAT_NS

    def _error(self, frame: bytes, data: bytes, now: Stamp) -> list[Item]:
        if not data:
            return [Refused("length", frame.hex())]
        if self._is_repeated(_ERROR, data, now):
            return [Seen(self._device)]
        detail = _ERRORS.get(data[0], f"unknown error {data[0]:02X}")
        return [DeviceNote(self._device, "measurement-error", detail)]

    def _battery(self, data: bytes, now: Stamp) -> list[Item]:
        if len(data) < 2:  # the query acknowledged, no voltage yet
            return [Seen(self._device)]
        millivolts = int.from_bytes(data[:2], "big")
        items: list[Item] = [Readings((Reading(self._device, "battery_voltage", millivolts / 1000, "V"),))]
        low = millivolts <= LOW_BATTERY_MV
        if low and not self._battery_low:
            items.insert(0, DeviceNote(self._device, "low-battery", f"{millivolts} mV"))
        self._battery_low = low
        self._conversation.battery_known(not low, now)
        return items


def command(version: int, kind: tuple[int, int], data: bytes) -> bytes:
    """A frame of the host. The third byte of version 3's connect is 00 as well; its checksum differs by the version."""
    body = bytes((version, 2 + len(data), *kind)) + data
    return bytes((_HOST, _SECOND)) + body + bytes((reduce(xor, body),))


def _device_time(clock: bytes) -> str:
    """The monitor's own clock, without a zone and often wrong by years; empty when it is no time at all."""
    year, month, day, hour, minute, second = clock
    try:
        return datetime(2000 + year, month, day, hour, minute, second).isoformat()  # noqa: DTZ001
    except ValueError:
        return ""


def _open_session(options: dict[str, Any], name: str) -> RaycomeSession:
    return RaycomeSession(check_config(options, _Options, name), name)


DRIVER = SerialDriver(
    name="raycome-bp",
    line=LineSettings(9600),
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=0.0),
    decode_options={"live_pressure": True},
)
