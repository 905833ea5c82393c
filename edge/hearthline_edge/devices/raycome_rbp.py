"""Raycome and Maibobo blood-pressure monitors of the RBP series: serial line or Bluetooth SPP, 9600 8N1.

    AA 80 | vv | LL | tt ss | data … | XX          host: CC 80 instead of AA 80
    vv 02 or 03, LL bytes of type + sub + data, tt type, ss sub, XX XOR of everything from vv to the last data byte
    01 01 connect   01 05 live pressure   01 07 error: code   04 04 battery: millivolts, high byte first
    01 06 result: user | YY MM DD hh mm ss | systolic (2) | diastolic (2) | pulse (2), high byte first

The session says "connect" until the monitor answers, then asks for the battery now and then, never while it measures.
No official document was seen; more than ten public code bases agree on this layout.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from operator import xor
from typing import Any, Final, Literal

from hearthline.clock import NS, Stamp
from hearthline.config import Config, check_config
from hearthline.model import Reading
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
_PRESSURE: Final = (1, 5)
_RESULT: Final = (1, 6)
_ERROR: Final = (1, 7)
_BATTERY: Final = (4, 4)
_RESULT_BYTES: Final = 13

LOW_BATTERY_MV: Final = 3600  # at and below this the makers' apps refuse to start
PLAUSIBLE_MMHG: Final = range(40, 301)
_REPEAT_NS: Final = 60 * NS
_CONNECT_EVERY_NS: Final = 5 * NS
_BATTERY_EVERY_NS: Final = 600 * NS
_ANSWER_NS: Final = 10 * NS
_MEASURING_NS: Final = 10 * NS  # since the last live pressure

_ERRORS: Final = {
    0x01: "cuff pressure too high",
    0x02: "cuff leaks or the arm is not in position",
    0x05: "cuff leaks or the arm is not in position",
    0x06: "no pulse found",
    0x07: "battery too low to measure",
    0x09: "cuff deflates too slowly",
    0x0F: "cuff leaks",
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


class RaycomeSession:
    """One monitor on one port; the port's name is the device's, for the protocol carries no number."""

    def __init__(self, version: int, name: str) -> None:
        self._device = f"raycome:{name}"
        self._version = version
        self._decoder = FrameDecoder(SHAPE)
        self._connected = False
        self._due_mono_ns = 0  # of the next connect or battery query
        self._unanswered = False
        self._battery_low = False
        self._last_result = b""
        self._last_result_mono_ns = 0

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        items: list[Item] = []
        for found in self._decoder.feed(data, now):
            if isinstance(found, Refused):
                items.append(found)
            elif found[0] == _DEVICE:
                items += self._decode(found, now)
        return items

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        request = b""
        if now.mono_ns >= self._due_mono_ns:
            if self._unanswered:
                self._connected = False
            request = self._ask(now)
        delay_s = max((self._due_mono_ns - now.mono_ns) / NS, TICK_S)
        return request, TICK_S if self._decoder.waiting else delay_s

    def _ask(self, now: Stamp) -> bytes:
        self._due_mono_ns = now.mono_ns + (_ANSWER_NS if self._connected else _CONNECT_EVERY_NS)
        self._unanswered = True
        if self._connected:
            return command(self._version, _BATTERY, b"\x00")
        return command(self._version, _CONNECT, b"\x00")

    def _decode(self, frame: bytes, now: Stamp) -> list[Item]:
        """The items of one checked frame of the monitor."""
        if not self._connected:
            self._due_mono_ns = now.mono_ns  # ask for the battery at once
        self._connected, self._unanswered = True, False
        kind, data = (frame[4], frame[5]), frame[6:-1]
        if kind == _RESULT:
            self._due_mono_ns = max(self._due_mono_ns, now.mono_ns + NS)
            return self._result(frame, data, now)
        if kind == _PRESSURE:
            self._due_mono_ns = max(self._due_mono_ns, now.mono_ns + _MEASURING_NS)
            return [Seen(self._device)]
        if kind == _ERROR:
            return self._error(frame, data)
        if kind == _BATTERY:
            self._due_mono_ns = now.mono_ns + _BATTERY_EVERY_NS
            return self._battery(data)
        return [Seen(self._device)]

    def _result(self, frame: bytes, data: bytes, now: Stamp) -> list[Item]:
        if len(data) != _RESULT_BYTES:
            return [Refused("length", frame.hex())]
        repeated = data == self._last_result and now.mono_ns - self._last_result_mono_ns <= _REPEAT_NS
        self._last_result, self._last_result_mono_ns = data, now.mono_ns
        if repeated:
            return [Seen(self._device)]
        systolic, diastolic, pulse = (int.from_bytes(data[at : at + 2], "big") for at in (7, 9, 11))
        if systolic not in PLAUSIBLE_MMHG or diastolic not in PLAUSIBLE_MMHG or diastolic >= systolic:
            note = DeviceNote(self._device, "measurement-error", "implausible result, measure again")
            return [note, Refused("sanity", frame.hex())]
        values = (("systolic", systolic), ("diastolic", diastolic), ("heart_rate", pulse))
        return [Vital(self._device, values, data[0], _device_time(data[1:7]), frame.hex())]

    def _error(self, frame: bytes, data: bytes) -> list[Item]:
        if not data:
            return [Refused("length", frame.hex())]
        detail = _ERRORS.get(data[0], f"unknown error {data[0]:02X}")
        return [DeviceNote(self._device, "measurement-error", detail)]

    def _battery(self, data: bytes) -> list[Item]:
        if len(data) < 2:  # the query acknowledged, no voltage yet
            return [Seen(self._device)]
        millivolts = int.from_bytes(data[:2], "big")
        items: list[Item] = [Readings((Reading(self._device, "battery_voltage", millivolts / 1000, "V"),))]
        low = millivolts <= LOW_BATTERY_MV
        if low and not self._battery_low:
            items.insert(0, DeviceNote(self._device, "low-battery", f"{millivolts} mV"))
        self._battery_low = low
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
    return RaycomeSession(check_config(options, _Options, name).version, name)


DRIVER = SerialDriver(
    name="raycome-bp",
    line=LineSettings(9600),
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=0.0),
)
