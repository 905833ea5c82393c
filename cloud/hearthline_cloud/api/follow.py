"""One follower of the journal for each process, which fans out to every listener of the live stream.

Woken by a datagram after each commit, or by itself once a second. The latest messages are kept once for all; a listener
holds no more than its place among them, and one that lags reads the rest from the database. One that takes nothing
for some seconds is cut: it comes back and resumes. The heartbeat stops when the journal cannot be read, so that a
console never believes in silence; it also says whether the ingester is alive.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from hearthline.clock import NS, rfc3339
from hearthline.log import Log
from hearthline_cloud.api.journal import PAGE, Frame, frames_after, last_id, progress, server_event
from hearthline_cloud.api.ready import ingest_state
from hearthline_cloud.database import Database, is_away
from hearthline_cloud.metrics.instruments import ALARM_STREAMED_SECONDS, LISTENERS, STREAMED
from hearthline_cloud.people import People, Session
from hearthline_cloud.permissions import Permission
from hearthline_cloud.tracing import Noted, note_streamed
from hearthline_cloud.wake import WakeListener

HEARTBEAT_S = 2.0
_POLL_S = 1.0
_SESSION_CHECK_S = 0.5
_FRESH_S = 3.0  # a heartbeat vouches for a journal read at most this long ago
_RECENT = 4096  # messages kept in memory
_NOTED = 1000
_STUCK_S = 15.0  # a listener that takes nothing for so long is cut
MAX_LISTENERS = 1000
MAX_OF_ONE = 32  # of one session

_log = Log("hearthline.web")
T = TypeVar("T")


class _AwayError(Exception):
    """The database cannot be read now; which error says so."""


class Listener:
    """One open stream: how far it has been told, and the heartbeat it has yet to hear. `cut` ends it."""

    def __init__(self, session: Session, cursor: int, heartbeat: bytes) -> None:
        self.session = session
        self.cursor = cursor
        self.heartbeat = heartbeat
        self.woken = asyncio.Event()
        self.cut = asyncio.Event()
        self.asked_at = time.monotonic()  # when it last came for more


class Follower:
    """Reads the journal once for all listeners. Lives on the event loop; reads happen in its own threads."""

    def __init__(self, database: Database, data_dir: Path, people: People) -> None:
        self._database = database
        self._data_dir = data_dir
        self._people = people
        self._listeners: set[Listener] = set()
        LISTENERS.set_function(lambda: len(self._listeners))
        self._cursor = 0
        self._recent: deque[Frame] = deque()  # every message after `_recent_from` up to `_cursor`
        self._recent_from = 0
        self._streamed: deque[Noted] = deque(maxlen=_NOTED)  # alarms, until it is written down when they were
        self._read_at = 0.0
        self._heartbeat = b""
        self._woken = asyncio.Event()
        self._recheck = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="journal")
        self.started = asyncio.Event()  # before that nobody knows where the journal ends
        self.closed = False
        self.failed = False  # the server then stops: a console without a journal must not look alive

    @property
    def is_fresh(self) -> bool:
        """Whether the journal was read just now."""
        return time.monotonic() - self._read_at < _FRESH_S

    async def run(self) -> None:
        """Follow until cancelled. Anything but a database that is away is a bug and ends the process."""
        self._loop = asyncio.get_running_loop()
        listener = WakeListener(self._data_dir, "web")
        try:
            self._loop.add_reader(listener.socket, self._on_wake, listener)
            self._cursor = self._recent_from = await self._start()
            self.started.set()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow())
                tasks.create_task(self._beat())
                tasks.create_task(self._watch_sessions())
        finally:
            self._loop.remove_reader(listener.socket)
            listener.close()
            self.close()
            self._threads.shutdown(wait=False)

    def close(self) -> None:
        """End every stream at once and take no more."""
        self.closed = True
        for listener in self._listeners:
            listener.cut.set()

    def attach(self, session: Session, after: int | None) -> Listener | None:
        """A listener from `after` (None: from now) on; None for one too many, or while the process starts or stops."""
        own = sum(listener.session.token_hash == session.token_hash for listener in self._listeners)
        if own >= MAX_OF_ONE:
            return None
        if self.closed or not self.started.is_set() or len(self._listeners) >= MAX_LISTENERS:
            return None
        cursor = self._cursor if after is None else min(after, self._cursor)
        listener = Listener(session, cursor, self._heartbeat if self.is_fresh else b"")
        self._listeners.add(listener)
        return listener

    def detach(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def recheck_sessions(self) -> None:
        """Look at the sessions now, e.g. after a logout. May be called from any thread."""
        if self._loop is not None and not self.closed:
            self._loop.call_soon_threadsafe(self._recheck.set)

    async def messages(self, listener: Listener) -> bytes:
        """What the listener has to hear next; waits until there is something."""
        listener.asked_at = time.monotonic()
        while True:
            listener.woken.clear()
            heartbeat, listener.heartbeat = listener.heartbeat, b""
            frames = await self._next_frames(listener.cursor)
            if frames:
                listener.cursor = frames[-1].id
            if frames or heartbeat:
                return heartbeat + _told(listener, frames)
            await listener.woken.wait()
            listener.asked_at = time.monotonic()

    async def _next_frames(self, after: int) -> list[Frame]:
        """At most a page; from memory when it reaches back far enough."""
        if after >= self._cursor:
            return []
        if after < self._recent_from:
            frames = await self._read(partial(self._frames, after, self._cursor))
            if frames:
                return frames
        newer = list(takewhile(lambda frame: frame.id > after, reversed(self._recent)))
        return newer[::-1][:PAGE]

    def _on_wake(self, listener: WakeListener) -> None:
        listener.drain()
        self._woken.set()

    async def _start(self) -> int:
        while True:
            try:
                return await self._read(self._last_id)
            except _AwayError as error:
                _log.error("the journal cannot be read", kind=str(error))
                await asyncio.sleep(_POLL_S)

    async def _follow(self) -> None:
        while True:
            self._woken.clear()
            try:
                frames = await self._read(partial(self._frames, self._cursor, None))
            except _AwayError as error:
                _log.error("the journal cannot be read", kind=str(error))
                frames = []
            else:
                self._read_at = time.monotonic()
            if frames:
                self._publish(frames)
            else:
                await _wait(self._woken, _POLL_S)

    def _publish(self, frames: list[Frame]) -> None:
        self._recent.extend(frames)
        self._cursor = frames[-1].id
        now_ns = time.time_ns()
        _count(frames, now_ns)
        self._streamed.extend((frame.alarm[0], now_ns) for frame in frames if frame.alarm is not None)
        while len(self._recent) > _RECENT:
            self._recent_from = self._recent.popleft().id
        for listener in self._listeners:
            listener.woken.set()

    async def _beat(self) -> None:
        while True:
            if self._streamed:
                with suppress(_AwayError):  # then their traces go without this hop
                    await self._read(self._note_streamed)
            try:
                state = await self._read(lambda: ingest_state(self._database, time.time_ns()))
            except _AwayError:
                state = None
            if state is not None and self.is_fresh:
                self._heartbeat = server_event("heartbeat", {"now": rfc3339(time.time_ns()), **state})
                for listener in self._listeners:
                    listener.heartbeat = self._heartbeat
                    listener.woken.set()
            await asyncio.sleep(HEARTBEAT_S)

    async def _watch_sessions(self) -> None:
        while True:
            await _wait(self._recheck, _SESSION_CHECK_S)
            self._recheck.clear()
            listeners = list(self._listeners)
            hashes = sorted({listener.session.token_hash for listener in listeners})
            if not hashes:
                continue
            try:
                standing = await self._read(partial(self._people.sessions.standing, hashes, time.time_ns()))
            except _AwayError:
                standing = {}  # who cannot be checked is cut; the browser comes back
            for listener in listeners:
                now = standing.get(listener.session.token_hash)
                stuck = time.monotonic() - listener.asked_at > _STUCK_S
                if stuck or now is None or now.rights != listener.session.rights:
                    listener.cut.set()

    async def _read(self, function: Callable[[], T]) -> T:
        """Raises _AwayError for a database that cannot be read now."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function)
        except SQLAlchemyError as error:
            if not is_away(error):
                raise
            raise _AwayError(type(error).__name__) from None

    def _note_streamed(self) -> None:
        noted = [self._streamed.popleft() for _ in range(len(self._streamed))]
        with self._database.transaction() as connection:
            note_streamed(connection, noted)

    def _last_id(self) -> int:
        with self._database.reading() as connection:
            return last_id(connection)

    def _frames(self, after: int, up_to: int | None) -> list[Frame]:
        with self._database.reading() as connection:
            return frames_after(connection, after, up_to)


def _count(frames: list[Frame], now_ns: int) -> None:
    STREAMED.inc(len(frames))
    for frame in frames:
        if frame.alarm is not None:
            ALARM_STREAMED_SECONDS.observe(max(now_ns - frame.alarm[1], 0) / NS)


def _told(listener: Listener, frames: list[Frame]) -> bytes:
    """What is theirs, and how far the journal has come. Who does not see alerts hears only that it went on."""
    session = listener.session
    theirs = [frame for frame in frames if frame.is_for(session.communities)]
    if theirs and not session.may(Permission.ALERTS):
        return theirs[-1].hint
    told = b"".join(frame.message for frame in theirs)
    is_behind = frames and (not theirs or theirs[-1].id != frames[-1].id)
    return told + progress(frames[-1].id) if is_behind else told


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
