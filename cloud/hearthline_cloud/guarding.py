"""Slowing down whoever guesses, without ever locking anybody out. In the memory of this process.

`Throttle` counts attempts for a key. `Guard` is for passwords:

    each name and source .. at most ten attempts a minute
    a name under attack ... after ten wrong attempts in an hour from anywhere, each unknown source waits between its own
                            attempts: 2 s, 4 s, … up to a minute. A source's first attempt never waits.
    a known source ........ a browser that the person has logged in with before: it has a count and a lane of its own,
                            which nothing that others do can fill
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from threading import BoundedSemaphore, Lock

from hearthline.clock import NS

ATTEMPTS_PER_MINUTE = 10
_ENTRIES = 10_000
_WINDOW_NS = 60 * NS
_NAME_WINDOW_NS = 3600 * NS
_NAME_ENTRIES = 2_000
_FREE = 10  # attempts for a name in an hour before unknown sources are slowed
_DOUBLES = 6  # 2, 4, … 64 seconds
_LONGEST_S = 60.0
_HASHING = 3  # argon2 takes 64 MiB and a core each time
_WAITING = 12  # logins that may hold a thread at once; the rest of the threads answer alarms


class Throttle:
    """At most `limit` attempts a window for each key; the oldest keys are forgotten when there are too many."""

    def __init__(self, limit: int = ATTEMPTS_PER_MINUTE, window_ns: int = _WINDOW_NS) -> None:
        self._limit = limit
        self._window_ns = window_ns
        self._attempts: OrderedDict[tuple[str, str], list[int]] = OrderedDict()
        self._lock = Lock()

    def allow(self, name: str, address: str, now_ns: int) -> bool:
        """Count one attempt; False when it is one too many."""
        key = (name.casefold(), address)
        with self._lock:
            recent = _recent(self._attempts.pop(key, []), now_ns, self._window_ns)
            allowed = len(recent) < self._limit
            if allowed:
                recent.append(now_ns)
            self._attempts[key] = recent
            if len(self._attempts) > _ENTRIES:
                self._attempts.popitem(last=False)
            return allowed

    def last_ns(self, name: str, address: str) -> int | None:
        """When the last allowed attempt was."""
        with self._lock:
            attempts = self._attempts.get((name.casefold(), address))
            return attempts[-1] if attempts else None

    def take_back(self, name: str, address: str) -> None:
        """The last attempt was a right one and does not count; the others do."""
        with self._lock:
            attempts = self._attempts.get((name.casefold(), address))
            if attempts:  # none: forgotten meanwhile, or the clock was set back
                attempts.pop()

    def forget(self, name: str, address: str) -> None:
        """A right password clears the count."""
        with self._lock:
            self._attempts.pop((name.casefold(), address), None)


class Lane(StrEnum):
    KNOWN = "known"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Source:
    """Who tries to log in as `name`: an address, or a browser that is known."""

    name: str
    place: str
    lane: Lane


class Guard:
    """Whether a login may be tried now."""

    def __init__(self) -> None:
        self._sources = Throttle()
        self._names: OrderedDict[str, list[int]] = OrderedDict()  # attempts from unknown sources
        self._lock = Lock()
        self._hashing = {Lane.KNOWN: BoundedSemaphore(1), Lane.UNKNOWN: BoundedSemaphore(_HASHING)}
        self._waiting = {Lane.KNOWN: BoundedSemaphore(_WAITING), Lane.UNKNOWN: BoundedSemaphore(_WAITING)}

    def wait_s(self, source: Source, now_ns: int) -> float:
        """How long this source has to wait before it may try; 0 counts as an attempt."""
        with self._lock:  # looked at and counted at once: many requests of one moment are not one attempt
            if source.lane is Lane.UNKNOWN:
                last_ns = self._sources.last_ns(source.name, source.place)
                passed_s = _LONGEST_S if last_ns is None or last_ns > now_ns else (now_ns - last_ns) / NS
                wait_s = delay_s(self._attempts(source.name, now_ns)) - passed_s
                if wait_s > 0:
                    return wait_s
            if not self._sources.allow(source.name, source.place, now_ns):
                return _LONGEST_S
            if source.lane is Lane.UNKNOWN:
                self._count(source.name, now_ns)
            return 0.0

    def succeeded(self, source: Source) -> None:
        """A right password clears the source's own count, not what others do to the name."""
        self._sources.forget(source.name, source.place)
        if source.lane is Lane.UNKNOWN:
            with self._lock:
                attempts = self._names.get(source.name.casefold())
                if attempts:  # none: forgotten meanwhile, or the clock was set back
                    attempts.pop()

    @contextmanager
    def turn(self, lane: Lane) -> Iterator[bool]:
        """A turn at checking a password; False when too many wait already."""
        if not self._waiting[lane].acquire(blocking=False):
            yield False
            return
        try:
            with self._hashing[lane]:
                yield True
        finally:
            self._waiting[lane].release()

    def _attempts(self, name: str, now_ns: int) -> int:
        return len(_recent(self._names.get(name.casefold(), []), now_ns, _NAME_WINDOW_NS))

    def _count(self, name: str, now_ns: int) -> None:
        recent = _recent(self._names.pop(name.casefold(), []), now_ns, _NAME_WINDOW_NS)
        self._names[name.casefold()] = [*recent, now_ns][-_FREE * (_DOUBLES + 1) :]
        if len(self._names) > _NAME_ENTRIES:
            self._names.popitem(last=False)


def delay_s(attempts: int) -> float:
    """Between two attempts of one unknown source, after so many from all of them in the last hour."""
    return min(2.0 ** (attempts // _FREE), _LONGEST_S) if attempts >= _FREE else 0.0


def _recent(attempts: list[int], now_ns: int, window_ns: int) -> list[int]:
    """Those within the window; what a clock that was ahead has written is none of them."""
    return [at for at in attempts if 0 <= now_ns - at < window_ns]
