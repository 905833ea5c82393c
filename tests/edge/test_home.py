"""The home sounds also when the outbox does not answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from hearthline.clock import NS, Stamp
from hearthline.model import EventType
from hearthline_edge.custody import Custody
from hearthline_edge.home import Home
from hearthline_edge.outbox import EventRow, Outbox

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)


class StandingClock:
    def now(self) -> Stamp:
        return START.later(60)


class Horn:
    """A local output that keeps what it was told."""

    def __init__(self) -> None:
        self.sounds: list[bool] = []

    async def drive(self, sound: bool) -> str:
        self.sounds.append(sound)
        return ""


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - what it waits for happens in the custody thread
            await asyncio.sleep(0.005)


def alarm(outbox: Outbox) -> EventRow:
    return outbox.append_event(EventType.ALARM, "d", {"role": "emergency"}, START, urgent=True, sounds=True)


def test_the_home_sounds_while_the_outbox_stalls_and_knows_the_stored_alarm_after_it(tmp_path: Path) -> None:
    async def test() -> None:
        custody = Custody(Outbox(tmp_path))
        horn, let_go = Horn(), threading.Event()
        home = Home("gw", custody, StandingClock(), [horn], lambda _, __: None, 10.0)
        running = asyncio.create_task(home.run())
        await until(lambda: horn.sounds == [False])
        custody.post(lambda _: let_go.wait(10))
        home.unstored("radio", [START])
        await until(lambda: horn.sounds == [False, True])
        stored = custody.submit(alarm)  # behind the reading that is late
        let_go.set()
        await stored
        home.unstored("radio", [])
        home.look()
        for _ in range(3):  # the reading that is late, and a new one
            await custody.submit(lambda _: None)
        assert horn.sounds == [False, True], "the stored alarm sounds on"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await custody.stop()

    asyncio.run(test())


def test_an_alarm_whose_keys_are_garbled_is_received_and_refused_as_one(tmp_path: Path) -> None:
    async def test() -> None:
        custody = Custody(Outbox(tmp_path))
        told: list[bytes] = []
        home = Home("gw", custody, StandingClock(), [Horn()], lambda _, message: told.append(message), 10.0)
        row = EventRow(1, "e1", EventType.ALARM, "d", True, START, {"rome": "emergency", "butt": "AO"})
        home.received([row])
        home.refused([row])
        assert b'"event":"e1"' in told[0]
        assert "refused 1 alarms" in home.faults[0]
        await custody.stop()

    asyncio.run(test())
