"""A local broker that refuses a subscription: told, and asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hearthline_edge.config import LocalMqttConfig
from hearthline_edge.local_mqtt import LocalSession

HOST = "127.0.0.1"
CONNACK = bytes.fromhex("20020000")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - what it waits for happens in paho's thread
            await asyncio.sleep(0.005)


def test_a_refused_subscription_is_a_fault_and_asked_for_again() -> None:
    async def test() -> None:
        answers = [b"\x80\x01", b"\x01\x80", b"\x01\x01"]
        asked = 0
        faults: list[str] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal asked
            while head := await reader.read(2):  # every packet here is short: one byte of length
                body = await reader.readexactly(head[1])
                if head[0] == 0x10:
                    writer.write(CONNACK)
                elif head[0] == 0x82:
                    faults.append(session.fault)
                    writer.write(b"\x90\x04" + body[:2] + answers[asked])
                    asked += 1
            writer.close()

        server = await asyncio.start_server(serve, HOST, 0)
        config = LocalMqttConfig(host=HOST, port=server.sockets[0].getsockname()[1])
        topics = ("plug/#", "siren/#")
        session = LocalSession("z", "z", config, topics, lambda *_: None, lambda: None, subscribe_again_s=0.05)
        session.start()
        await until(lambda: asked == 3)
        await until(lambda: not session.fault)
        assert ["plug/#" in fault for fault in faults] == [False, True, False]
        assert ["siren/#" in fault for fault in faults] == [False, False, True]
        await session.stop()
        server.close()

    asyncio.run(test())
