"""The second session to the broker: repeats the alarms that wait, no others, and comes back for ever."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import aiomqtt
import pytest

from hearthline_edge.second_line import PATIENCE_S, SecondLine

TOPIC = "hearthline/v1/gw/up/event"


class Center:
    """A broker with an outbox before it: what waits, and what was said when."""

    def __init__(self) -> None:
        self.waiting: dict[int, bytes] = {}
        self.said: list[tuple[float, bytes]] = []
        self.sessions = 0
        self.began: list[float] = []
        self.ended = asyncio.Event()
        self.deaf = False
        self.pending_calls_threshold = 0
        self.line = SecondLine(self.connect, TOPIC, self.alarms, random.Random(1))

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[aiomqtt.Client]:
        self.sessions += 1
        self.began.append(asyncio.get_running_loop().time())
        self.ended.clear()
        yield self  # type: ignore[misc]

    async def alarms(self, limit: int) -> list[tuple[int, bytes]]:
        return sorted(self.waiting.items())[:limit]

    async def publish(self, topic: str, payload: bytes, qos: int, retain: bool, timeout: float) -> None:
        assert (topic, qos, retain, timeout) == (TOPIC, 1, False, math.inf)
        self.said.append((asyncio.get_running_loop().time(), payload))
        if self.deaf:
            await asyncio.sleep(3600)

    @property
    async def messages(self) -> AsyncIterator[aiomqtt.Message]:
        await self.ended.wait()
        raise aiomqtt.MqttError("the end")
        yield  # an iterator of nothing

    def press(self, seq: int) -> None:
        self.waiting[seq] = b"alarm %d" % seq
        self.line.woken()


async def until(test: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not test():  # noqa: ASYNC110 - a test waits for what it cannot be told
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running() -> AsyncIterator[Center]:
    center = Center()
    task = asyncio.create_task(center.line.run())
    try:
        await until(lambda: center.sessions == 1)
        yield center
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_an_alarm_that_is_not_acknowledged_is_said_here_and_again() -> None:
    async def check() -> None:
        async with running() as center:
            began = asyncio.get_running_loop().time()
            center.press(7)
            await until(lambda: len(center.said) == 2)
            (first, _), (second, _) = center.said
            assert [payload for _, payload in center.said] == [b"alarm 7"] * 2
            assert first - began >= PATIENCE_S * 0.9
            assert second - first >= 1.4

    asyncio.run(check())


def test_an_alarm_that_is_acknowledged_in_time_is_not_said() -> None:
    async def check() -> None:
        async with running() as center:
            center.press(7)
            del center.waiting[7]  # within the patience
            center.press(8)
            await until(lambda: bool(center.said))
            assert {payload for _, payload in center.said} == {b"alarm 8"}

    asyncio.run(check())


def test_a_crowd_waits_for_the_first_session() -> None:
    async def check() -> None:
        async with running() as center:
            for seq in range(1, 101):
                center.waiting[seq] = b"alarm %d" % seq
            center.line.woken()
            await until(lambda: len(center.said) == 8)
            await until(lambda: len(center.said) == 16)  # the same again
            assert len({payload for _, payload in center.said}) == 8

    asyncio.run(check())


def test_a_lost_session_is_made_anew_and_says_what_waits_at_once() -> None:
    async def check() -> None:
        async with running() as center:
            center.waiting[3] = b"alarm 3"
            center.ended.set()
            await until(lambda: bool(center.said))
            assert center.sessions == 2

    asyncio.run(check())


def test_a_broker_that_swallows_is_left() -> None:
    async def check() -> None:
        async with running() as center:
            center.deaf = True
            center.press(1)
            await until(lambda: center.sessions == 2)
            times = [at for at, _ in center.said]
            assert all(after - before >= 0.9 for before, after in pairwise(times))

    asyncio.run(check())


def test_sessions_that_end_soon_are_made_ever_more_rarely() -> None:
    async def check() -> None:
        async with running() as center:
            for sessions in (2, 3):
                center.ended.set()
                await until(lambda sessions=sessions: center.sessions == sessions)  # type: ignore[misc]
            first, second, third = center.began
            assert third - second > (second - first) * 1.05  # 1 and 2 s, each more or less 30 %

    asyncio.run(check())
