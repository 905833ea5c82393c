"""Time with its quality: wall clock, monotonic clock, boot id, and whether the wall clock is synchronised.

A Raspberry Pi has no battery-backed clock. After a power cut it starts somewhere in the past, and everything it
records until NTP answers carries a wrong time. So each record carries the monotonic time and the boot id too, from
which the right time follows once the clock has been synchronised within the same boot.
"""

from __future__ import annotations

import ctypes
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

NS = 1_000_000_000

ClockTrust = Literal["auto", "synced", "free"]

# adjtimex(2): the return value TIME_ERROR means that the clock is not synchronised.
_TIME_ERROR = 5
_TIMEX_BYTES = 256
_LEAP_SECOND = re.compile(r"(T\d\d:\d\d:)60")


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment as one machine saw it. `wall_ns`: Unix time; `mono_ns`: since boot; both in nanoseconds."""

    wall_ns: int
    mono_ns: int
    boot: str
    synced: bool

    def later(self, seconds: float) -> Stamp:
        """The same clock `seconds` later, for tests and simulations."""
        delta = round(seconds * NS)
        return Stamp(self.wall_ns + delta, self.mono_ns + delta, self.boot, self.synced)

    def seconds_since(self, earlier: Stamp) -> float | None:
        """Elapsed seconds by the monotonic clock, or None across a reboot, where nobody knows."""
        if self.boot != earlier.boot:
            return None
        return (self.mono_ns - earlier.mono_ns) / NS


class Clock(Protocol):
    """Where `now` comes from. Decisions never call it; they are given a `Stamp`."""

    def now(self) -> Stamp: ...


class SystemClock:
    """The machine's clocks. `trust` overrides the kernel's own word about synchronisation."""

    def __init__(self, trust: ClockTrust = "auto") -> None:
        self._trust = trust
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        self._probe: Callable[[], bool] = kernel_clock_is_synced
        self._checked_mono_ns = 0
        self._synced = trust == "synced"

    def now(self) -> Stamp:
        mono = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        if self._trust == "auto" and (mono - self._checked_mono_ns > NS or not self._checked_mono_ns):
            self._synced = self._probe()
            self._checked_mono_ns = mono
        return Stamp(time.time_ns(), mono, self._boot, self._synced)


def kernel_clock_is_synced() -> bool:
    """What the kernel says, by adjtimex(2) with no modes set (a pure read, allowed for everybody)."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    state: int = libc.adjtimex(buffer)
    return state not in (-1, _TIME_ERROR)


def rfc3339(wall_ns: int) -> str:
    """Unix nanoseconds as RFC 3339 in UTC with microseconds: `2026-11-21T08:00:00.000000Z`."""
    seconds, rest = divmod(wall_ns, NS)
    head = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
    return f"{head}.{rest // 1000:06d}Z"


def parse_rfc3339(text: str) -> int:
    """Unix nanoseconds of an RFC 3339 time with an offset. Raises ValueError for anything else.

    Small `t` and `z` are allowed (section 5.6); a leap second, which Unix time does not have, is the second before it.
    """
    moment = datetime.fromisoformat(_LEAP_SECOND.sub(r"\g<1>59", text.upper(), count=1))
    if moment.tzinfo is None:
        raise ValueError(f"time without offset: {text!r}")
    return (int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond) * 1000
