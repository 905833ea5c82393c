"""The way to the center against a broker that plays its part badly: when the agent knocks again, and that it stops."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

from hearthline import wire
from hearthline.clock import NS, Stamp
from hearthline_edge.config import UplinkConfig
from hearthline_edge.custody import Custody
from hearthline_edge.outbox import Outbox
from hearthline_edge.uplink import Ears, Uplink

HOST = "127.0.0.1"
SERVER_UNAVAILABLE = bytes.fromhex("20020003")  # CONNACK of 3.1.1
START = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class StandingClock:
    def now(self) -> Stamp:
        return START


async def status() -> wire.Status:
    return wire.Status(state="online")


async def obey(command: wire.Command) -> None:
    raise AssertionError(f"nobody ordered {command}")


@asynccontextmanager
async def uplink_at(folder: Path, serve: Serve) -> AsyncIterator[tuple[Uplink, Custody]]:
    """An uplink that is not running yet, at a broker that answers each connection with `serve`."""
    server = await asyncio.start_server(serve, HOST, 0)
    custody = Custody(Outbox(folder))
    config = UplinkConfig(host=HOST, port=server.sockets[0].getsockname()[1], protocol="3.1.1")
    ears = Ears(lambda _: None, lambda _: None, lambda: None, obey, status)
    try:
        yield Uplink("gw", config, custody, StandingClock(), ears, random.Random(1)), custody
    finally:
        server.close()
        await custody.stop()


def test_an_alarm_does_not_wait_for_the_backoff(tmp_path: Path) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        knocks: list[float] = []

        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            knocks.append(loop.time())
            await reader.read(1024)
            writer.write(SERVER_UNAVAILABLE)
            await reader.read()
            writer.close()

        async with uplink_at(tmp_path, refuse) as (uplink, _):
            running = asyncio.create_task(uplink.run(60))
            while len(knocks) < 4:  # noqa: ASYNC110 - then it rests for at least 1.4 s
                await asyncio.sleep(0.005)
            pressed = loop.time()
            uplink.woken(alarm=True)
            while len(knocks) < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            assert knocks[4] - pressed < 1.0
            assert all(later - earlier > 0.25 for earlier, later in pairwise(knocks))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(asyncio.wait_for(test(), 20))
