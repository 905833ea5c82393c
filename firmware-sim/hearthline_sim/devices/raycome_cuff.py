"""Raycome / Maibobo RBP blood-pressure cuff, protocol version 2 or 3, on a serial line (9600 8N1; 115200 is also seen).

    CC 80 host, AA 80 device | ver 02 03 | len = type + sub + data | type | sub | data | XOR from ver to last data byte

    01 01  connect      01 02  start      01 03  stop      01 04  power off      04 04  battery, mV big-endian
    01 05  live         version 2: 00 Phi 00 00 (Plo xor Phi) 00    version 3: Phi Plo           pressure in mmHg
    01 06  result      13 bytes: user YY MM DD hh mm ss sys(2) dia(2) pulse(2), binary, big-endian
    01 07  error        1 byte: 01 over-pressure, 02 05 leak or arm, 06 no pulse, 07 battery, 09 slow, 0F leak, 10 motor

Source: the frames that public applications of the maker exchange (shared device notes, section 2); no official document
was seen, and no recording of version 3. Acknowledgements mirror the command behind AA 80; a cuff answers to its own
version only. The cuff's clock is its own and often wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Literal

from hearthline_sim.devices.emission import Burst

BAUDRATE = 9600
HOST, DEVICE = b"\xcc\x80", b"\xaa\x80"
VERSION = 0x02
VERSION_3 = 0x03

CONNECT, START, STOP, POWER_OFF = (0x01, 0x01), (0x01, 0x02), (0x01, 0x03), (0x01, 0x04)
LIVE, RESULT, ERROR, BATTERY = (0x01, 0x05), (0x01, 0x06), (0x01, 0x07), (0x04, 0x04)

ERRORS = (0x01, 0x02, 0x05, 0x06, 0x07, 0x09, 0x0F, 0x10)
LIVE_EVERY_S = 0.25
LATENCY_S = 0.02
MEASURE_S = 35.0  # a real measurement takes about this long

ClockFault = Literal["right", "ahead", "unset"]
UNSET_CLOCK = datetime(2014, 1, 1, 1, 1, 1)  # noqa: DTZ001  a cuff knows no zone


@dataclass(frozen=True, slots=True)
class Vitals:
    """One blood pressure: mmHg, mmHg, beats a minute."""

    systolic: int
    diastolic: int
    pulse: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """The live stream, then the frame that ends it: a result (`vitals`) or an error (`error`)."""

    live: tuple[Burst, ...]
    end: Burst
    vitals: Vitals | None
    error: int | None


def frame(kind: tuple[int, int], data: bytes, preamble: bytes = DEVICE, version: int = VERSION) -> bytes:
    """One frame; the XOR leaves out the preamble."""
    body = bytes((version, len(data) + 2, *kind)) + data
    check = 0
    for byte in body:
        check ^= byte
    return preamble + body + bytes((check,))


def live_frame(mmhg: int, version: int = VERSION) -> bytes:
    high, low = divmod(mmhg, 256)
    data = bytes((high, low)) if version == VERSION_3 else bytes((0, high, 0, 0, low ^ high, 0))
    return frame(LIVE, data, version=version)


def result_frame(user: int, clock: datetime, vitals: Vitals, version: int = VERSION) -> bytes:
    date = (clock.year - 2000, clock.month, clock.day, clock.hour, clock.minute, clock.second)
    values = (vitals.systolic, vitals.diastolic, vitals.pulse)
    data = bytes((user, *date)) + b"".join(value.to_bytes(2, "big") for value in values)
    return frame(RESULT, data, version=version)


def error_frame(code: int, version: int = VERSION) -> bytes:
    return frame(ERROR, bytes((code,)), version=version)


class RaycomeCuff:
    """One cuff on one arm. `stopped` is true after the host told it to stop, until the next measurement."""

    def __init__(
        self,
        rng: Random,
        *,
        battery_mv: int = 4050,
        clock: ClockFault = "ahead",
        error_rate: float = 0.05,
        measure_s: float = MEASURE_S,
        user: int = 1,
        version: int = VERSION,
    ) -> None:
        """`clock`: right, two years ahead, or never set. `error_rate`: how often a measurement fails."""
        self._rng = rng
        self._battery_mv = battery_mv
        self._clock: ClockFault = clock
        self._error_rate = error_rate
        self._measure_s = measure_s
        self._user = user
        self._version = version
        self._buffer = b""
        self.stopped = False

    def receive(self, data: bytes) -> tuple[tuple[Burst, ...], bool]:
        """The cuff's answers to bytes from the host, and whether they told it to measure."""
        self._buffer += data
        answers: list[Burst] = []
        start = False
        while (command := self._next_command()) is not None:
            kind, body = command
            if kind == BATTERY:
                answers.append(Burst(LATENCY_S, self._frame(BATTERY, self._battery_mv.to_bytes(2, "big"))))
            elif kind in (CONNECT, START, STOP, POWER_OFF):
                answers.append(Burst(LATENCY_S, self._frame(kind, body)))
            start = kind == START or (start and kind not in (STOP, POWER_OFF))
            self.stopped = self.stopped or kind in (STOP, POWER_OFF)
        return tuple(answers), start

    def measure(self, now: datetime, vitals: Vitals | None = None) -> Measurement:
        """One measurement that ends `measure_s` from `now`, the true local time. Without `vitals` they are drawn."""
        self.stopped = False
        drawn = vitals or self._draw()
        failed = self._rng.random() < self._error_rate
        live = self._stream(drawn)
        if failed:
            code = self._rng.choice(ERRORS)
            cut = self._rng.randint(1, len(live))
            return Measurement(
                live[:cut], Burst(live[cut - 1].after_s + LIVE_EVERY_S, error_frame(code, self._version)), None, code
            )
        clock = self._device_clock(now + timedelta(seconds=self._measure_s))
        end = Burst(self._measure_s, result_frame(self._user, clock, drawn, self._version))
        return Measurement(live, end, drawn, None)

    def _draw(self) -> Vitals:
        systolic = round(self._rng.gauss(134, 12))
        diastolic = min(round(self._rng.gauss(79, 8)), systolic - 20)
        return Vitals(systolic, diastolic, round(self._rng.gauss(72, 8)))

    def _stream(self, vitals: Vitals) -> tuple[Burst, ...]:
        """Inflate to above the systolic pressure in the first third, then let the air out."""
        steps = max(3, math.floor(self._measure_s / LIVE_EVERY_S))
        every_s = self._measure_s / (steps + 1)
        top, bottom = vitals.systolic + 35, max(vitals.diastolic - 25, 20)
        rise = max(1, steps // 3)
        curve = [top * (step + 1) // rise for step in range(rise)]
        curve += [top - (top - bottom) * (step + 1) // (steps - rise) for step in range(steps - rise)]
        return tuple(Burst((index + 1) * every_s, live_frame(mmhg, self._version)) for index, mmhg in enumerate(curve))

    def _frame(self, kind: tuple[int, int], data: bytes) -> bytes:
        return frame(kind, data, version=self._version)

    def _device_clock(self, now: datetime) -> datetime:
        if self._clock == "unset":
            return UNSET_CLOCK
        return now + timedelta(days=731) if self._clock == "ahead" else now

    def _next_command(self) -> tuple[tuple[int, int], bytes] | None:
        """The next whole and correct host frame; what comes before it is dropped."""
        while (start := self._buffer.find(HOST)) >= 0:
            self._buffer = self._buffer[start:]
            if len(self._buffer) < 4:
                return None
            size = self._buffer[3]
            if len(self._buffer) < 5 + size:
                return None
            whole = self._buffer[: 5 + size]
            kind, body = (whole[4], whole[5]), whole[6:-1]
            if size >= 2 and whole[2] == self._version and frame(kind, body, HOST, self._version) == whole:
                self._buffer = self._buffer[5 + size :]
                return kind, body
            self._buffer = self._buffer[1:]
        self._buffer = self._buffer[-1:]
        return None
