"""The way to the center against a broker that plays its part badly: when the agent knocks again, and that it stops."""

from __future__ import annotations

import asyncio
import random
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from hearthline import wire
from hearthline.clock import NS, Stamp
from hearthline.model import EventType, Lane, Reading
from hearthline_edge.config import UplinkConfig
from hearthline_edge.custody import Custody
from hearthline_edge.link import socket_options
from hearthline_edge.outbox import Outbox
from hearthline_edge.outbox_file import DamagedError
from hearthline_edge.uplink import Ears, Uplink
from hearthline_edge.wallet import Wallet

HOST = "127.0.0.1"
SERVER_UNAVAILABLE = bytes.fromhex("20020003")  # CONNACK of 3.1.1
START = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class StandingClock:
    stamp: Stamp = START

    def now(self) -> Stamp:
        return self.stamp


def disk_error(name: str, by: int = 1) -> None:
    raise sqlite3.OperationalError("disk I/O error")


async def status() -> wire.Status:
    return wire.Status(state="online")


async def slow_to_end() -> wire.Status:
    """Holds up the end of a session, so that something can happen within it."""
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.2)
    raise AssertionError


async def obey(command: wire.Command) -> None:
    raise AssertionError(f"nobody ordered {command}")


@dataclass
class BadBroker:
    """MQTT 3.1.1 as far as the uplink needs it; it says nothing about what is published on `swallows`."""

    swallows: str = "nothing"
    sessions: int = 0
    published: list[str] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        self.writers.append(writer)
        try:
            while True:
                writer.write(self._answer(*await read_packet(reader)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, kind: int, body: bytes) -> bytes:
        match kind >> 4:
            case 1:
                return bytes.fromhex("20020000")
            case 8:
                return bytes.fromhex("9004") + body[:2] + b"\1\1"
            case 3:
                length = int.from_bytes(body[:2], "big")
                topic = body[2 : 2 + length].decode()
                self.published.append(topic)
                return b"" if topic.endswith(self.swallows) else b"\x40\2" + body[2 + length : 4 + length]
            case _:
                return b""


async def read_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind, length, shift = (await reader.readexactly(1))[0], 0, 0
    while True:
        (digit,) = await reader.readexactly(1)
        length |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            return kind, await reader.readexactly(length)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what it waits for happens at the broker
            await asyncio.sleep(0.005)


async def turned(broker: BadBroker, turns: int) -> None:
    """So many turns of the event loop after the first connection."""
    while not broker.sessions:  # noqa: ASYNC110 - turn by turn
        await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)


class SlowToConnect(aiomqtt.Client):
    """The name takes its time, or an address that says nothing comes first; in a thread that cannot be stopped."""

    connecting = most = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "timeout": 0.3})

    def _client_connect(self) -> None:
        SlowToConnect.connecting += 1
        SlowToConnect.most = max(SlowToConnect.most, SlowToConnect.connecting)
        time.sleep(0.8)
        super()._client_connect()
        SlowToConnect.connecting -= 1


@asynccontextmanager
async def uplink_at(
    folder: Path,
    serve: Serve,
    tell: Callable[[], Awaitable[wire.Status]] = status,
    make_client: Callable[..., aiomqtt.Client] = aiomqtt.Client,
) -> AsyncIterator[tuple[Uplink, Custody]]:
    """An uplink that is not running yet, at a broker that answers each connection with `serve`."""
    server = await asyncio.start_server(serve, HOST, 0)
    custody = Custody(Outbox(folder))
    config = UplinkConfig(host=HOST, port=server.sockets[0].getsockname()[1], protocol="3.1.1")
    ears = Ears(lambda _: None, lambda _: None, lambda: None, obey, tell, lambda _: None)
    try:
        wallet = Wallet(config, folder)
        yield Uplink("gw", config, custody, StandingClock(), ears, random.Random(1), wallet, make_client), custody
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
            await until(lambda: len(knocks) == 4)  # then it rests for at least 1.4 s
            pressed = loop.time()
            uplink.woken(alarm=True)
            await until(lambda: len(knocks) == 5)
            assert knocks[4] - pressed < 1.0
            assert all(later - earlier > 0.25 for earlier, later in pairwise(knocks))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(asyncio.wait_for(test(), 20))


def test_a_session_that_swallows_an_alarm_is_given_up(tmp_path: Path) -> None:
    async def test() -> None:
        broker = BadBroker(swallows=wire.UP_EVENT)
        async with uplink_at(tmp_path, broker.serve) as (uplink, custody):
            await custody.submit(lambda ob: ob.append_event(EventType.ALARM, "d", {}, START, urgent=True))
            running = asyncio.create_task(uplink.run(60))
            await until(lambda: broker.sessions == 2)
            await until(lambda: broker.published.count(wire.topic("gw", wire.UP_EVENT)) >= 2)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(asyncio.wait_for(test(), 20))


@pytest.mark.parametrize("turns", range(0, 60, 2))
def test_a_stop_at_any_moment_is_a_stop(tmp_path: Path, turns: int) -> None:
    """Also at the very turn of the event loop that brings CONNACK, SUBACK or PUBACK."""

    async def test() -> None:
        broker = BadBroker(swallows=wire.UP_EVENT)
        async with uplink_at(tmp_path, broker.serve) as (uplink, custody):
            await custody.submit(lambda ob: ob.append_event(EventType.ALARM, "d", {}, START, urgent=True))
            running = asyncio.create_task(uplink.run(60))
            await turned(broker, turns)
            running.cancel()
            await asyncio.wait([running], timeout=3)
            assert running.cancelled()

    asyncio.run(asyncio.wait_for(test(), 20))


@pytest.mark.parametrize("turns", range(0, 60, 6))
def test_a_link_lost_at_any_moment_is_made_anew(tmp_path: Path, turns: int) -> None:
    """No task of a lost session may outlive it: the next alarm would wait for that task."""

    async def test() -> None:
        broker = BadBroker()
        async with uplink_at(tmp_path, broker.serve) as (uplink, custody):
            await custody.submit(lambda ob: ob.append_event(EventType.ALARM, "d", {}, START, urgent=True))
            running = asyncio.create_task(uplink.run(60))
            await turned(broker, turns)
            broker.writers[0].close()
            await until(lambda: broker.sessions == 2 and uplink.connected)
            running.cancel()
            await asyncio.wait([running], timeout=3)
            assert running.cancelled()

    asyncio.run(asyncio.wait_for(test(), 20))


def test_a_stop_while_the_session_is_being_lost_is_a_stop(tmp_path: Path) -> None:
    async def test() -> None:
        broker = BadBroker()
        async with uplink_at(tmp_path, broker.serve, slow_to_end) as (uplink, _):
            running = asyncio.create_task(uplink.run(60))
            for session in (1, 2):  # a lost session alone is none
                await until(lambda: uplink.connected)
                await asyncio.sleep(0.05)
                broker.writers[-1].close()
                if session == 1:
                    await until(lambda: not uplink.connected)
            await asyncio.sleep(0.1)
            running.cancel()
            await asyncio.wait([running], timeout=2)
            assert running.cancelled()

    asyncio.run(asyncio.wait_for(test(), 20))


def test_a_connection_that_takes_longer_than_an_answer_is_made_and_only_once(tmp_path: Path) -> None:
    async def test() -> None:
        broker = BadBroker()
        async with uplink_at(tmp_path, broker.serve, make_client=SlowToConnect) as (uplink, _):
            running = asyncio.create_task(uplink.run(60))
            uplink.woken(alarm=True)
            await until(lambda: uplink.connected)
            assert (broker.sessions, SlowToConnect.most) == (1, 1)
            running.cancel()
            await asyncio.wait([running], timeout=3)
            assert running.cancelled()

    asyncio.run(asyncio.wait_for(test(), 20))


def test_a_socket_option_that_is_refused_is_done_without() -> None:
    unheard_of = (socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"unheard-of")
    no_delay = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert socket_options([unheard_of, no_delay]) == [no_delay]


def test_an_acknowledgement_does_not_reach_into_an_outbox_that_was_begun_anew(tmp_path: Path) -> None:
    """A damaged file is begun anew with other numbers, at the very moment when an acknowledgement is in hand."""

    def fill(ob: Outbox) -> None:
        for number in range(1, 13):
            data = {"button": "AO", "ordinal": 1, "role": "emergency"}
            ob.append_event(EventType.ALARM, f"pendant-{number}", data, START, urgent=True)
        ob.delete(Lane.EVENT, [(1, 4)])

    def find_damage(ob: Outbox) -> None:
        raise DamagedError("a page of something else")

    async def test() -> None:
        async with uplink_at(tmp_path, BadBroker().serve) as (uplink, custody):
            await custody.submit(fill)
            before, gate = custody.outbox.id, threading.Event()
            jobs: list[Awaitable[Any]] = [custody.submit(lambda _: gate.wait(5)), custody.submit(find_damage)]
            jobs.append(asyncio.create_task(uplink._acknowledged(wire.Ack(outbox=before, event=[(5, 6)]))))
            await asyncio.sleep(0)
            gate.set()
            await asyncio.gather(*jobs, return_exceptions=True)
            left = [row.device for row in await custody.submit(lambda ob: ob.events(100))]
            assert custody.outbox.id != before
            assert left == [f"pendant-{number}" for number in range(5, 13)]

    asyncio.run(asyncio.wait_for(test(), 20))


def test_what_the_clock_means_is_committed_before_a_record_is_sent_with_it(tmp_path: Path) -> None:
    async def test() -> None:
        broker = BadBroker()
        free = Stamp(1_000 * NS, 40 * NS, START.boot, False)
        async with uplink_at(tmp_path, broker.serve) as (uplink, custody):
            await custody.submit(lambda ob: ob.append_event(EventType.ALARM, "d", {}, free, urgent=True))
            running = asyncio.create_task(uplink.run(60))
            await until(lambda: wire.topic("gw", wire.UP_EVENT) in broker.published)
            after_reboot = Stamp(START.wall_ns, NS, "boot-2", False)
            right = await custody.submit(lambda ob: ob.true_time(free, after_reboot))
            assert (right.wall_ns, right.synced) == (START.wall_ns - 60 * NS, True)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(asyncio.wait_for(test(), 20))


def test_a_pack_keeps_the_time_it_was_told_with_though_the_disk_took_no_note_of_it(tmp_path: Path) -> None:
    async def test() -> None:
        free = Stamp(1_000 * NS, 40 * NS, START.boot, False)
        async with uplink_at(tmp_path, BadBroker().serve) as (uplink, custody):
            readings = [(Reading("meter:1", "power", 1.0, "W"), 0)]
            await custody.submit(lambda ob: ob.append_pack(readings, free))
            departures = uplink._departures
            departures._clock, right = StandingClock(free), departures._clock
            custody.outbox.count = disk_error  # type: ignore[method-assign]
            told = await departures.next_packs(0.0)
            departures.ground(custody.outbox.id)  # a new link, on which it is told again
            departures._clock = right
            again = await departures.next_packs(0.0)
            envelopes = [wire.decode_pack(payload).envelope for payload in told + again]
            assert [(each.synced, each.mono_ns) for each in envelopes] == [(False, free.mono_ns)] * 2
            del custody.outbox.count  # the disk is whole again
            departures.ground(custody.outbox.id)
            await departures.next_packs(0.0)
            assert await custody.submit(lambda ob: ob.counters()) == {f"told-free:{START.boot}": 1}

    asyncio.run(asyncio.wait_for(test(), 20))


def test_a_new_link_sends_no_pack_that_the_center_has(tmp_path: Path) -> None:
    """Acknowledged on the link before, and not yet gone from the disk."""

    async def test() -> None:
        broker = BadBroker()
        async with uplink_at(tmp_path, broker.serve) as (uplink, custody):
            for _ in range(2):
                await custody.submit(lambda ob: ob.append_pack([(Reading("m", "power", 1.0, "W"), 0)], START))
            uplink.landed.add(custody.outbox.id, [(1, 1)], [])
            running = asyncio.create_task(uplink.run(60))
            await until(lambda: wire.topic("gw", wire.UP_TELEMETRY) in broker.published)
            await custody.submit(lambda ob: ob.append_event(EventType.ALARM, "d", {}, START, urgent=True))
            uplink.woken(alarm=True)
            await until(lambda: wire.topic("gw", wire.UP_EVENT) in broker.published)
            assert broker.published.count(wire.topic("gw", wire.UP_TELEMETRY)) == 1
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(asyncio.wait_for(test(), 20))
