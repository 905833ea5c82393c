"""Child of the power cuts: an outbox and its custody thread, used by many tasks at once as the agent's tasks use it.

Tells what it found in the outbox when it opened it, then each row after its commit. `mode` ballast: the disk runs full
and empty again all the while. `mode` checkpoint: the log is copied into the file every few commits.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from hearthline.clock import NS, Stamp
from hearthline.errors import StorageError
from hearthline.model import Lane, Reading
from hearthline.ranges import to_ranges
from hearthline_edge.arrival import Arrival, Source
from hearthline_edge.custody import Custody
from hearthline_edge.devices import GroupingRule, Press, Readings
from hearthline_edge.outbox import EventRow, Outbox
from hearthline_edge.taking import take_events, take_readings
from power.telling import make_durably, serve, tell

PENDANTS = 64  # one press a second in turn: no button chatters
PRESSES = 3  # at a time
SOURCE = Source("port", "enocean-esp3", GroupingRule(quiet_gap_s=0.5, release_ends=True))
METER = Source("meter", "dlt645-2007", GroupingRule(quiet_gap_s=0.0))
START_S = 1_790_000_000
BOOT_S = 1_000_000
KEPT = 30  # records of a lane that wait for their acknowledgement
FILES = {"outbox.db", "outbox.db-wal", "outbox.db-shm", "outbox.lock", "ballast"}
FILLER_STEPS = (1 << 22, 1 << 18, 1 << 14, 1 << 12)


def stamp(boot: int, seconds: float) -> Stamp:
    mono_ns = round(seconds * NS)
    return Stamp((START_S + boot * BOOT_S) * NS + mono_ns, mono_ns, f"boot-{boot}", True)


def press_of(number: int) -> Press:
    return Press(f"enocean:{number % PENDANTS:08X}", "A0", "A0", f"telegram {number}")


def take_press(outbox: Outbox, press: Press, now: Stamp) -> list[EventRow]:
    return take_events(outbox, SOURCE, [Arrival((press,), now)], lambda device, button: "emergency")


def found(outbox: Outbox, heard: dict[str, Any]) -> dict[str, Any]:
    """What an outbox holds, and how many events the last press makes when its telegram is repeated now."""
    again = 0
    if heard["last_press"] is not None and heard["mode"] != "killed":  # which only looks, and flushes nothing by it
        boot, second, number = heard["last_press"]
        moment = stamp(boot, second + 0.3)
        with outbox.transaction():
            again = len(take_press(outbox, press_of(number), Stamp(moment.wall_ns, NS, f"boot-{heard['boot']}", True)))
    return {
        "outbox": outbox.id.partition(".")[0],  # of the file; what follows is of this opening
        "strange": sorted(set(os.listdir(outbox.path.parent)) - FILES),
        "integrity": outbox._connection.execute("PRAGMA integrity_check").fetchall()[0][0],
        "events": [[row.seq, row.id, row.device, row.data["ordinal"]] for row in outbox.events(1_000_000)],
        "packs": [[pack.seq, pack.readings[0][0].value] for pack in outbox.packs(1_000_000)],
        "again": again,
        "ballast": outbox.ballast.laid,
    }


class Home:
    """The tasks of one boot. They end with the power."""

    def __init__(self, custody: Custody, heard: dict[str, Any], filler: Path) -> None:
        self._custody = custody
        self._boot: int = heard["boot"]
        self._ballast: bool = heard["mode"] == "ballast"
        self._numbers: Iterator[int] = itertools.count(heard["press"])
        self._first: int = heard["press"]
        self._filler = filler
        self._last_pack = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(PRESSES):
                group.create_task(self._press())
            group.create_task(self._measure())
            for lane in Lane:
                group.create_task(self._acknowledge(lane))
            if self._ballast:
                group.create_task(self._run_full_and_empty())

    async def _press(self) -> None:
        for number in self._numbers:
            second = 100 + number - self._first
            press, now = press_of(number), stamp(self._boot, second)
            (row,) = await self._take(press, now)
            tell("event", row.seq, row.id, row.device, row.data["ordinal"], [self._boot, second, number])
            if number % 2:
                assert await self._take(press, now.later(0.1)) == []

    async def _take(self, press: Press, now: Stamp) -> list[EventRow]:
        """On a disk that runs full faster than the ballast helps, tried again, as the agent does."""
        while True:
            with suppress(StorageError) if self._ballast else nullcontext():
                return await self._custody.submit(lambda ob: take_press(ob, press, now), urgent=True)
            await asyncio.sleep(0.01)

    async def _measure(self) -> None:
        for number in itertools.count():
            value = float(self._boot * BOOT_S + number)
            arrival = Arrival((Readings((Reading("meter", "power", value, "W"),)),), stamp(self._boot, 100 + number))
            with suppress(StorageError) if self._ballast else nullcontext():
                self._last_pack = await self._custody.submit(lambda ob, a=arrival: self._take_pack(ob, a))  # type: ignore[misc]
                tell("pack", self._last_pack, value)
            await asyncio.sleep(0.002)  # fewer of them than alarms

    def _take_pack(self, outbox: Outbox, arrival: Arrival) -> int:
        take_readings(outbox, METER, [arrival])
        return outbox.packs(1_000_000, after=self._last_pack)[-1].seq

    async def _acknowledge(self, lane: Lane) -> None:
        while True:
            waiting = await self._custody.submit(lambda ob: _waiting(ob, lane))
            if len(waiting) > KEPT:
                ranges = to_ranges(waiting[: KEPT // 2])
                tell("deleting", lane, ranges)
                with suppress(StorageError) if self._ballast else nullcontext():
                    await self._custody.submit(lambda ob, r=ranges: ob.delete(lane, r), urgent=True)  # type: ignore[misc]
                    tell("deleted", lane, ranges)
            await asyncio.sleep(0.005)

    async def _run_full_and_empty(self) -> None:
        ballast = self._custody.outbox.ballast
        while True:
            while ballast.laid:
                await asyncio.to_thread(fill, self._filler)
                await asyncio.sleep(0.001)
            tell("released")
            await asyncio.sleep(0.02)
            await asyncio.to_thread(self._filler.unlink)
            while not await asyncio.to_thread(ballast.restore):  # noqa: ASYNC110 - asked again, as the agent does
                await asyncio.sleep(0.005)
            tell("restored")


def _waiting(outbox: Outbox, lane: Lane) -> list[int]:
    rows = outbox.events(2 * KEPT) if lane is Lane.EVENT else outbox.packs(2 * KEPT)
    return sorted(row.seq for row in rows)


def fill(path: Path) -> None:
    """Take all the room that the disk has."""
    with path.open("ab") as filler:
        for step in FILLER_STEPS:
            with suppress(OSError):
                while True:
                    os.posix_fallocate(filler.fileno(), os.fstat(filler.fileno()).st_size, step)


async def boot(heard: dict[str, Any]) -> None:
    folder = Path(heard["data"])
    make_durably(folder)
    outbox = Outbox(folder)
    if heard["control"]:
        outbox._connection.execute("PRAGMA synchronous=NORMAL")
    if heard["mode"] == "checkpoint":
        outbox._connection.execute("PRAGMA wal_autocheckpoint=12")
    filler = folder.parent / "filler"
    filler.unlink(missing_ok=True)  # the outbox has been opened on a full disk
    outbox.ballast.restore()
    tell("opened", found(outbox, heard))
    await Home(Custody(outbox), heard, filler).run()


serve(lambda heard: asyncio.run(boot(heard)))
