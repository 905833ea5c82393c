"""Readings of all sources share a commit, and so do their acknowledgements; what matters waits for neither."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from hearthline.clock import NS, Stamp
from hearthline.errors import StorageError
from hearthline.model import EventType, Lane, Reading
from hearthline_edge.arrival import Arrival, MqttTicket, Source
from hearthline_edge.custody import Custody
from hearthline_edge.device_list import Role
from hearthline_edge.devices import GroupingRule, Item, Press, Readings
from hearthline_edge.intake import WINDOW, EventIntake, ReadingIntake
from hearthline_edge.landed import LandedPacks
from hearthline_edge.outbox import Outbox

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
LONG_S = 3600.0  # a tick that does not come within a test
POWER = Readings((Reading("m", "power", 1.0, "W"),))


def emergency(device: str, button: str) -> Role:
    return "emergency"


class Sources:
    """Two sources of readings, one of presses, over one outbox."""

    def __init__(self, outbox: Outbox, gather_s: float) -> None:
        self.commits: list[str] = []
        outbox._connection.set_trace_callback(self.commits.append)
        self.custody = Custody(outbox)
        self.taken: list[int] = []
        self.alarms = 0
        self.radio, self.meter = (
            ReadingIntake(Source(name, name, GroupingRule(0.5)), self.custody, lambda _: None, self._taken, gather_s)
            for name in ("radio", "meter")
        )
        source = Source("buttons", "radio", GroupingRule(0.5))
        self.presses = EventIntake(source, self.custody, emergency, self._alarm, lambda *_: None, self._taken)
        self.tasks = [asyncio.create_task(lane.run()) for lane in (self.radio, self.meter, self.presses)]

    def _taken(self, tickets: Sequence[MqttTicket]) -> None:
        self.taken += [ticket.mid for ticket in tickets]

    def _alarm(self, rows: Sequence[object]) -> None:
        self.alarms += len(rows)

    async def cancelled(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def end(self) -> None:
        await self.cancelled()
        await self.custody.stop()


def arrival(*items: Item, mid: int | None = None) -> Arrival:
    ticket = None if mid is None else MqttTicket.of(mid, "t", str(mid).encode(), "c1")
    return Arrival(items, START, ticket)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what it waits for happens in the custody thread
            await asyncio.sleep(0.005)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_readings_of_all_sources_share_the_commits_of_the_tick(tmp_path: Path) -> None:
    async def test() -> None:
        sources = Sources(Outbox(tmp_path), gather_s=0.3)
        before = sources.commits.count("COMMIT")
        for mid in range(1, WINDOW - 1):
            sources.radio.offer(arrival(POWER, mid=mid))
            sources.meter.offer(arrival(POWER, mid=100 + mid))
            await asyncio.sleep(0)
        await until(lambda: len(sources.taken) == 2 * (WINDOW - 2))
        assert sources.commits.count("COMMIT") - before <= 2, "one for whoever came first to the tick, one for the rest"
        await sources.end()

    run(test)


def test_a_press_waits_for_no_tick(tmp_path: Path) -> None:
    async def test() -> None:
        sources = Sources(Outbox(tmp_path), gather_s=LONG_S)
        sources.radio.offer(arrival(POWER, mid=1))
        sources.presses.offer(arrival(Press("p", "A", "A", "00")))
        await until(lambda: sources.alarms == 1)
        assert sources.taken == []
        await sources.end()

    run(test)


def test_a_local_broker_that_holds_back_until_it_is_answered_waits_for_no_tick(tmp_path: Path) -> None:
    async def test() -> None:
        sources = Sources(Outbox(tmp_path), gather_s=LONG_S)
        for mid in range(WINDOW):
            sources.radio.offer(arrival(POWER, mid=mid))
        await until(lambda: sources.taken == list(range(WINDOW)))
        await sources.end()

    run(test)


def test_an_agent_that_is_stopped_keeps_what_nobody_else_keeps(tmp_path: Path) -> None:
    async def test() -> None:
        sources = Sources(Outbox(tmp_path), gather_s=LONG_S)
        for _ in range(3):
            sources.meter.offer(arrival(POWER))
        sources.radio.offer(arrival(POWER, mid=1))
        await asyncio.sleep(0)
        await sources.end()

    run(test)
    outbox = Outbox(tmp_path)
    assert sum(len(pack.readings) for pack in outbox.packs(10)) == 3, "the broker keeps the fourth"
    outbox.close()


# --- acknowledgements -------------------------------------------------------------------------------------------


class Disk(Outbox):
    """An outbox that cannot be written while `broken`."""

    broken = False

    def delete(self, lane: Lane, ranges: Sequence[tuple[int, int]]) -> None:
        if self.broken:
            raise sqlite3.OperationalError("disk I/O error")
        super().delete(lane, ranges)


def filled(folder: Path, packs: int) -> Disk:
    outbox = Disk(folder)
    with outbox.transaction():
        outbox.append_event(EventType.ALARM, "d", {}, START, urgent=True)
        for _ in range(packs):
            outbox.append_pack([(Reading("m", "power", 1.0, "W"), 0)], START)
    return outbox


async def left(custody: Custody) -> list[int]:
    return await custody.submit(lambda ob: [pack.seq for pack in ob.packs(100)])


def test_acknowledged_packs_leave_together(tmp_path: Path) -> None:
    async def test() -> None:
        custody = Custody(filled(tmp_path, 5))
        landed = LandedPacks(custody, LONG_S)
        running = asyncio.create_task(landed.run())
        landed.add(custody.outbox.id, [(1, 2)], [])
        landed.add(custody.outbox.id, [(4, 4)], [(5, 5)])
        await asyncio.sleep(0)
        assert await left(custody) == [1, 2, 3, 4, 5]
        await landed.leave()
        assert await left(custody) == [3]
        assert await custody.submit(lambda ob: ob.counters()["refused-telemetry"]) == 1
        assert len(await custody.submit(lambda ob: ob.events(10))) == 1, "the other lane's numbers are not touched"
        landed.add(custody.outbox.id, [(3, 3)], [])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await custody.stop()

    run(test)
    outbox = Outbox(tmp_path)
    assert outbox.packs(10) == [], "a stop gives up the last ones too"
    outbox.close()


def test_they_leave_at_the_tick(tmp_path: Path) -> None:
    async def test() -> None:
        custody = Custody(filled(tmp_path, 1))
        landed = LandedPacks(custody, 0.05)
        running = asyncio.create_task(landed.run())
        landed.add(custody.outbox.id, [(1, 1)], [])
        async with asyncio.timeout(10):
            while await left(custody):  # noqa: ASYNC110 - what it waits for happens in the custody thread
                await asyncio.sleep(0.005)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await custody.stop()

    run(test)


def test_a_disk_that_takes_no_note_is_asked_again(tmp_path: Path) -> None:
    async def test() -> None:
        outbox = filled(tmp_path, 2)
        custody = Custody(outbox)
        landed = LandedPacks(custody, LONG_S)
        landed.add(outbox.id, [(1, 2)], [])
        outbox.broken = True
        with pytest.raises(StorageError):
            await landed.leave()
        outbox.broken = False
        assert await left(custody) == [1, 2]
        await landed.leave()
        assert await left(custody) == []
        await custody.stop()

    run(test)


def test_an_acknowledgement_of_an_outbox_that_is_no_more_touches_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        custody = Custody(filled(tmp_path, 2))
        landed = LandedPacks(custody, LONG_S)
        landed.add("another", [(1, 1)], [])
        await landed.leave()
        assert await left(custody) == [1, 2]
        landed.add("another", [(1, 1)], [])
        landed.add(custody.outbox.id, [(2, 2)], [])
        await landed.leave()
        assert await left(custody) == [1]
        await custody.stop()

    run(test)


def test_two_who_ask_at_once_forget_nothing_that_came_in_between(tmp_path: Path) -> None:
    """The tick, and whoever counts the outbox for the status."""

    async def test() -> None:
        custody = Custody(filled(tmp_path, 4))
        landed = LandedPacks(custody, LONG_S)
        landed.add(custody.outbox.id, [(1, 1), (2, 2)], [])
        both = [asyncio.create_task(landed.leave()) for _ in range(2)]
        await asyncio.sleep(0)
        landed.add(custody.outbox.id, [(3, 3), (4, 4)], [])
        await asyncio.gather(*both)
        await landed.leave()
        assert await left(custody) == []
        await custody.stop()

    run(test)
