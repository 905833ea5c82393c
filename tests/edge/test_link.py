"""Whose certificate counts, and from when until when; and what the end of the agent waits for on a dead line."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from aiomqtt import MqttError, ProtocolVersion

from edge.renewed_home import NOW, Signer, make_signer
from hearthline_edge.config import UplinkConfig
from hearthline_edge.link import END_S, LinkClient, connected, judge_times, tls_context
from servers import HOST as LOCAL

HOST = "center.example.org"


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("center")
    make_signer(folder)
    return folder


def serving(signer: Signer, folder: Path, days: float, name: str = HOST) -> ssl.SSLContext:
    """A broker whose certificate was made so many days from now, for a year."""
    issued, key = signer.authority.issue_server([name], NOW + timedelta(days=days))
    (folder / "server.crt").write_bytes(issued.pem)
    (folder / "server.key").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    return context


def shake(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """A handshake without a network. Raises SSLError."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(down, up, server_hostname=HOST)
    far = server.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for end in (near, far):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert near.getpeercert()


@pytest.mark.parametrize("days", [-400.0, 30.0])
def test_an_ended_or_future_certificate_is_taken_only_while_nobody_knows_the_time(
    center: Path, tmp_path: Path, days: float
) -> None:
    signer = Signer.opened(center)
    server = serving(signer, tmp_path, days)
    context = tls_context(UplinkConfig(host=HOST, ca_file=str(center / "root" / "root.crt")))
    assert context is not None
    judge_times(context, clock_is_right=False)
    shake(context, server)
    judge_times(context, clock_is_right=True)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"expired|not yet valid"):
        shake(context, server)
    shake(context, serving(signer, tmp_path, 0))


def test_another_name_or_another_authority_is_never_taken(center: Path, tmp_path: Path) -> None:
    context = tls_context(UplinkConfig(host=HOST, ca_file=str(center / "root" / "root.crt")))
    assert context is not None
    judge_times(context, clock_is_right=False)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid for"):
        shake(context, serving(Signer.opened(center), tmp_path, 0, "evil.example.org"))
    (tmp_path / "evil").mkdir()
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate"):
        shake(context, serving(make_signer(tmp_path / "evil"), tmp_path, 0))


@contextmanager
def swallowing() -> Iterator[tuple[socket.socket, list[socket.socket]]]:
    """A place that answers no SYN until somebody accepts the connections that fill its queue."""
    with socket.socket() as listening, ExitStack() as opened:
        listening.bind((LOCAL, 0))
        listening.listen(0)
        fillers = [opened.enter_context(socket.socket()) for _ in range(2)]
        for filler in fillers:
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect(listening.getsockname())
        yield listening, fillers


def connecting() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "connecting"]


def test_the_end_waits_for_no_connection_that_is_being_made_and_one_that_comes_late_says_nothing() -> None:
    async def test(port: int) -> None:
        making = asyncio.ensure_future(LinkClient(LOCAL, port).__aenter__())
        while not connecting():  # noqa: ASYNC110 - a thread tells nobody
            await asyncio.sleep(0.005)
        making.cancel()
        assert isinstance((await asyncio.gather(making, return_exceptions=True))[0], asyncio.CancelledError)

    with swallowing() as (listening, fillers):
        asyncio.run(test(listening.getsockname()[1]))
        (left,) = connecting()
        listening.settimeout(10)
        own = {filler.getsockname() for filler in fillers}
        while (accepted := listening.accept())[1] in own:
            accepted[0].close()
        with accepted[0] as late:
            late.settimeout(10)
            assert late.recv(100) == b"", "no CONNECT, by which the next run's session would be thrown out"
        left.join(10)
        assert not connecting()


async def hear_all(sock: socket.socket) -> None:
    while await asyncio.get_running_loop().sock_recv(sock, 100):
        pass


@pytest.mark.parametrize("ends", [False, True], ids=["given up", "at the agent's end"])
def test_a_connection_that_the_broker_does_not_answer_ends_when_it_is_given_up(ends: bool) -> None:
    async def test(listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        client = LinkClient(LOCAL, listening.getsockname()[1], timeout=60.0 if ends else 0.05)
        making = asyncio.ensure_future(client.__aenter__())
        broker, _ = await loop.sock_accept(listening)
        with broker:
            assert await loop.sock_recv(broker, 1)
            if ends:
                making.cancel()
            gone = (await asyncio.gather(making, return_exceptions=True))[0]
            assert isinstance(gone, asyncio.CancelledError if ends else MqttError)
            async with asyncio.timeout(10):
                with pytest.raises(ConnectionResetError):
                    await hear_all(broker)
                await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    with socket.create_server((LOCAL, 0)) as listening:
        listening.setblocking(False)
        asyncio.run(test(listening))


def test_the_end_waits_half_a_second_for_a_line_that_takes_nothing_more() -> None:
    taken: list[asyncio.StreamWriter] = []

    async def hear_connect_alone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(bytes.fromhex("20020000"))
        taken.append(writer)

    async def hold(client: LinkClient, full: asyncio.Event) -> None:
        async with connected(client):
            with suppress(MqttError):
                await client.publish("up", bytes(32 * 1024 * 1024), timeout=0.05)
            full.set()
            await asyncio.get_running_loop().create_future()

    async def test() -> float:
        loop, full = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(hear_connect_alone, LOCAL, 0) as server:
            port = server.sockets[0].getsockname()[1]
            client = LinkClient(LOCAL, port, protocol=ProtocolVersion.V311, timeout=10)
            holding = asyncio.ensure_future(hold(client, full))
            await full.wait()
            began = loop.time()
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)
            taken[0].transport.abort()
            return loop.time() - began

    assert END_S * 0.9 < asyncio.run(test()) < 8
