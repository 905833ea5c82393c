"""A local broker that refuses a subscription: told, and asked again. A session that is stopped ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hearthline_edge.config import LocalMqttConfig
from hearthline_edge.devices import MqttMessage
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


def publish(topic: bytes, payload: bytes) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + payload
    return bytes([0x30, len(body)]) + body


@asynccontextmanager
async def session_at(
    speech: bytes,
    hear: Callable[[MqttMessage, object], None],
    prepare: Callable[[LocalSession], None] | None = None,
) -> AsyncIterator[LocalSession]:
    """A session whose broker says `speech` when it has subscribed. `prepare`: called before it starts."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(2):
            body = await reader.readexactly(head[1])
            if head[0] == 0x10:
                writer.write(CONNACK)
            elif head[0] == 0x82:
                writer.write(b"\x90\x03" + body[:2] + b"\x01" + speech)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    config = LocalMqttConfig(host=HOST, port=server.sockets[0].getsockname()[1])
    session = LocalSession("z", "z", config, ("t/#",), hear, lambda: None)
    if prepare is not None:
        prepare(session)
    session.start()
    try:
        yield session
    finally:
        await session.stop()
        server.close()


def test_a_topic_that_is_no_text_deafens_nobody() -> None:
    async def test() -> None:
        heard: list[MqttMessage] = []
        speech = publish(b"t/\xff", b"1") + publish(b"t/x", b"2")
        async with session_at(speech, lambda message, _: heard.append(message)):
            await until(lambda: len(heard) == 2)
        assert [(message.topic, message.payload) for message in heard] == [("", b"1"), ("t/x", b"2")]

    asyncio.run(test())


def test_a_stop_that_comes_while_the_session_is_being_made_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would go on beside the session of the agent's next run, each throwing out the other."""
    made, asked = threading.Event(), threading.Event()

    def slow_down(session: LocalSession) -> None:
        create_socket, disconnect = session._client._create_socket, session._client.disconnect

        def create_slowly() -> Any:
            sock = create_socket()
            made.set()
            assert asked.wait(10)
            return sock

        def disconnect_seen() -> None:
            disconnect()
            asked.set()

        monkeypatch.setattr(session._client, "_create_socket", create_slowly)
        monkeypatch.setattr(session._client, "disconnect", disconnect_seen)

    async def test() -> None:
        async with session_at(b"", lambda *_: None, slow_down) as session:
            await asyncio.to_thread(made.wait, 10)
            async with asyncio.timeout(5):
                await session.stop()
            assert not session._receiver.is_alive()

    asyncio.run(test())


def test_a_deaf_session_ends_the_agent() -> None:
    def stumble(*_: object) -> None:
        raise ZeroDivisionError

    async def test() -> None:
        async with session_at(publish(b"t/x", b"1"), lambda *_: None) as session:
            session._client.on_message = stumble  # a bug of ours or of paho's, in its thread
            with pytest.raises(ZeroDivisionError):
                await asyncio.wait_for(session.failed(), 5)

    asyncio.run(test())
