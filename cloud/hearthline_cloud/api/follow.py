"""One follower of the journal for each process, which fans out to every listener of the live stream.

Woken by a datagram after each commit, or by itself once a second. A listener that falls behind is cut: it comes back
and resumes from the last id it has. The heartbeat stops when the journal cannot be read, so that a console never
believes in silence; it also says whether the ingester is alive.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from hearthline.clock import rfc3339
from hearthline.log import Log
from hearthline_cloud.api.journal import Frame, frames_after, last_id, server_event
from hearthline_cloud.api.ready import ingest_state
from hearthline_cloud.database import Database
from hearthline_cloud.people import People, Session
from hearthline_cloud.wake import WakeListener

HEARTBEAT_S = 2.0
_POLL_S = 1.0
_SESSION_CHECK_S = 0.5
_FRESH_S = 3.0  # a heartbeat vouches for a journal read at most this long ago
_QUEUE = 256  # messages that a listener may lag behind
MAX_LISTENERS = 1000

_log = Log("hearthline.web")
T = TypeVar("T")


class Listener:
    """One open stream. `cut` is set when it must end."""

    def __init__(self, session: Session, cursor: int) -> None:
        self.session = session
        self.cursor = cursor  # the journal up to here is not in the queue
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUE)
        self.cut = asyncio.Event()

    def offer(self, message: bytes) -> None:
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.cut.set()


class Follower:
    """Reads the journal once for all listeners. Lives on the event loop; reads happen in its own threads."""

    def __init__(self, database: Database, data_dir: Path, people: People) -> None:
        self._database = database
        self._data_dir = data_dir
        self._people = people
        self._listeners: set[Listener] = set()
        self._cursor = 0
        self._read_at = 0.0
        self._heartbeat = b""
        self._woken = asyncio.Event()
        self._recheck = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="journal")
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
            self._cursor = await self._start()
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

    def attach(self, session: Session) -> Listener | None:
        """A listener that gets everything from now on; None when there are too many or the process is stopping."""
        if self.closed or len(self._listeners) >= MAX_LISTENERS:
            return None
        listener = Listener(session, self._cursor)
        if self.is_fresh and self._heartbeat:
            listener.offer(self._heartbeat)
        self._listeners.add(listener)
        return listener

    def detach(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def recheck_sessions(self) -> None:
        """Look at the sessions now, e.g. after a logout. May be called from any thread."""
        if self._loop is not None and not self.closed:
            self._loop.call_soon_threadsafe(self._recheck.set)

    async def backlog(self, after: int, up_to: int) -> list[Frame]:
        """A page of what a returning listener has missed."""
        return await self._read(lambda: self._frames(after, up_to))

    def _on_wake(self, listener: WakeListener) -> None:
        listener.drain()
        self._woken.set()

    async def _start(self) -> int:
        while True:
            try:
                return await self._read(self._last_id)
            except (OperationalError, PoolTimeoutError) as error:
                _log.error("the journal cannot be read", kind=type(error).__name__)
                await asyncio.sleep(_POLL_S)

    async def _follow(self) -> None:
        while True:
            self._woken.clear()
            try:
                frames = await self._read(lambda: self._frames(self._cursor, None))
            except (OperationalError, PoolTimeoutError) as error:
                _log.error("the journal cannot be read", kind=type(error).__name__)
                frames = []
            else:
                self._read_at = time.monotonic()
            for key, message in frames:
                self._cursor = key
                for listener in self._listeners:
                    listener.offer(message)
            if not frames:
                await _wait(self._woken, _POLL_S)

    async def _beat(self) -> None:
        while True:
            try:
                state = await self._read(lambda: ingest_state(self._database, time.time_ns()))
            except (OperationalError, PoolTimeoutError):
                state = None
            if state is not None and self.is_fresh:
                self._heartbeat = server_event("heartbeat", {"now": rfc3339(time.time_ns()), **state})
                for listener in self._listeners:
                    listener.offer(self._heartbeat)
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
                standing = await self._read(partial(self._people.sessions, hashes, time.time_ns()))
            except (OperationalError, PoolTimeoutError):
                standing = {}  # who cannot be checked is cut; the browser comes back
            for listener in listeners:
                now = standing.get(listener.session.token_hash)
                if now is None or now.role is not listener.session.role:
                    listener.cut.set()

    async def _read(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    def _last_id(self) -> int:
        with self._database.reading() as connection:
            return last_id(connection)

    def _frames(self, after: int, up_to: int | None) -> list[Frame]:
        with self._database.reading() as connection:
            return frames_after(connection, after, up_to)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
