"""The gateway's disk: how long a commit takes, when it fails, and at which line the power of a job ends.

The outbox is the product's own over a real file; only what the operating system would say is drawn.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Literal

from hearthline.clock import Stamp
from hearthline.model import Lane, Reading
from hearthline_edge.ballast import BALLAST_BYTES, Ballast
from hearthline_edge.custody import Custody
from hearthline_edge.outbox import EventRow, Outbox, PackRow
from simulation.process import Crash, Process

Mode = Literal["whole", "stalling", "failing", "full"]


class Disk:
    """What is wrong with it now. `dies`: the process ends at its next commit, before it, or when it is done."""

    def __init__(self, rng: Random) -> None:
        self.mode: Mode = "whole"
        self.dies: Literal["", "before", "after"] = ""
        self.since = 0.0
        self._rng = rng

    def turn(self, mode: Mode, now: float) -> None:
        if mode != self.mode:
            self.mode, self.since = mode, now

    def commit_s(self) -> float:
        return self._rng.uniform(1.0, 8.0) if self.mode == "stalling" else self._rng.uniform(0.0005, 0.02)

    def answer_s(self) -> float:
        return self._rng.uniform(0.0, 0.002)


class SparseBallast(Ballast):
    """As heavy as the real one to whoever asks, and it takes no room."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        super().__init__(path)

    def _lay(self) -> bool:
        if self._disk.mode == "full":
            return False
        with self._path.open("wb") as file:
            file.truncate(BALLAST_BYTES)
        return True


class Book:
    """What a gateway's outbox told of itself; `Gateway` listens."""

    def committed(self, rows: list[EventRow], packs: list[tuple[Sequence[tuple[Reading, int]], Stamp]]) -> None: ...
    def leaves(self, lane: Lane, rows: list[Any]) -> None: ...
    def dropped(self, pack: PackRow) -> None: ...


class WatchedOutbox(Outbox):
    """Tells the book what was committed and what is let go; fails as the disk does."""

    def __init__(self, folder: Path, disk: Disk, book: Book, telemetry_max_bytes: int) -> None:
        self._disk = disk
        self._book = book
        self._rows: list[EventRow] = []
        self._packs: list[tuple[Sequence[tuple[Reading, int]], Stamp]] = []
        self._dropped: list[PackRow] = []
        super().__init__(folder, telemetry_max_bytes)
        self.ballast = SparseBallast(folder / "ballast", disk)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._rows, self._packs, self._dropped = [], [], []
        changes = self._connection.total_changes
        with super().transaction():
            yield
            wrote = self._connection.total_changes > changes
            if wrote:
                self._fail()
        self._book.committed(self._rows, self._packs)
        for pack in self._dropped:
            self._book.dropped(pack)
        if wrote and self._disk.dies == "after":
            self._disk.dies = ""
            raise Crash

    def _fail(self) -> None:
        if self._disk.dies == "before":
            self._disk.dies = ""
            raise Crash
        if self._disk.mode == "failing":
            raise sqlite3.OperationalError("disk I/O error")
        if self._disk.mode == "full" and self.ballast.laid:
            raise sqlite3.OperationalError("database or disk is full")

    def append_event(self, *arguments: Any, **named: Any) -> EventRow:
        row = super().append_event(*arguments, **named)
        self._rows.append(row)
        return row

    def append_pack(self, readings: Sequence[tuple[Reading, int]], base: Stamp) -> None:
        super().append_pack(readings, base)
        self._packs.append((readings, base))

    def _drop_oldest_pack(self) -> None:
        oldest = self.packs(1)[0]
        super()._drop_oldest_pack()
        self._dropped.append(oldest)

    def delete(self, lane: Lane, ranges: Sequence[tuple[int, int]]) -> None:
        rows: list[Any] = self.events_in(ranges) if lane is Lane.EVENT else self._packs_in(ranges)
        self._book.leaves(lane, rows)
        super().delete(lane, ranges)

    def _packs_in(self, ranges: Sequence[tuple[int, int]]) -> list[Any]:
        return [pack for low, high in ranges for pack in self.packs(high - low + 1, low - 1) if pack.seq <= high]


class LoopCustody(Custody):
    """The product's custody with a task where its thread is."""

    def __init__(self, outbox: Outbox, disk: Disk, process: Process) -> None:
        self._disk = disk
        self._process = process
        self._answered_at = 0.0
        self._closed = False
        super().__init__(outbox)
        process.on_kill(self._close)

    def _begin(self) -> None:
        self._came = asyncio.Event()
        self._over = asyncio.Event()
        self._process.run(self._serve())

    def _handed_over(self) -> None:
        self._came.set()

    async def _serve(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            while (first := self._next()) is not None:
                await asyncio.sleep(self._disk.commit_s())
                orders, last = self._gather(first)
                try:
                    self._commit(orders)
                except Crash:
                    self._process.kill()
                    return
                if last:
                    self._over.set()
                    return

    def _next(self) -> Any:
        try:
            order = self._queue.get_nowait()
        except queue.Empty:
            return None
        if order is None:
            self._over.set()
        return order

    def _answer(self, answers: list[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
        tell: Callable[..., None] = super()._answer
        self._answered_at = max(self._answered_at + 1e-7, self._loop.time() + self._disk.answer_s())
        self._loop.call_at(self._answered_at, tell, answers)

    async def stop(self) -> None:
        if not self._process.alive:
            return
        self._queue.put(None)
        self._came.set()
        await self._over.wait()
        self._close()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self.outbox.close()
