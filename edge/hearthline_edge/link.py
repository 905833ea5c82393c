"""One connection to the center's broker: how it is made, what its socket asks for, how long an answer may take.

Making it is given up at the agent's end alone. It runs in a thread that cannot be stopped (names, every address in
turn, TLS): a second attempt beside it would be thrown out by the first one's session, and the threads would run out.
Each answer of the broker has its bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any, Self

import aiomqtt

from hearthline.errors import ConfigError
from hearthline_edge.config import UplinkConfig

ANSWER_S = 6.0  # for CONNACK, SUBACK, and the end of the connection
END_S = 0.5  # for a DISCONNECT, when the agent ends or begins anew: the home is deaf meanwhile
SocketOption = tuple[int, int, int | bytes]
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME of openssl/x509_vfy.h
_AT_ONCE = struct.pack("ii", 1, 0)  # of SO_LINGER: what has not arrived by now is not sent again
_TCP_THIN_LINEAR_TIMEOUTS = 16  # of linux/tcp.h
_WISHED: list[SocketOption] = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),  # Nagle holds an alarm back by 40 ms
]
if sys.platform == "linux":  # on a line that loses a third, ask again every 0.2 s or so, not after 0.2, 0.4, 0.8, 1.6 s
    _WISHED += [
        (socket.IPPROTO_TCP, _TCP_THIN_LINEAR_TIMEOUTS, 1),
        (socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno"),  # every kernel has it; under BBR no timeout is linear
    ]


def socket_options(wished: Iterable[SocketOption] = tuple(_WISHED)) -> list[SocketOption]:
    """Those that this kernel grants: a sandbox or an administrator may refuse one, and a connection is worth more."""
    granted = []
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        for option in wished:
            with contextlib.suppress(OSError):
                probe.setsockopt(*option)
                granted.append(option)
    return granted


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Of both sessions, with their one key."""

    cert_file: str | None
    key_file: str | None
    second_cert_file: str | None


def tls_context(
    config: UplinkConfig, files: CertificateFiles | None = None, second: bool = False
) -> ssl.SSLContext | None:
    """With the certificate of the first session, or of the second if it has one of its own. Raises ConfigError.

    `files`: others than those of the configuration.
    """
    files = files or CertificateFiles(config.cert_file, config.key_file, config.second_cert_file)
    cert_file = (files.second_cert_file if second else None) or files.cert_file
    if config.ca_file is None:
        return None
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
        if cert_file is not None:
            context.load_cert_chain(cert_file, files.key_file)
    except OSError as error:
        cert_key = "second_cert_file" if second else "cert_file"
        raise ConfigError(f"uplink.ca_file, {cert_key} or key_file cannot be used: {error}") from None
    return context


def judge_times(context: ssl.SSLContext, clock_is_right: bool) -> None:
    """Whether the next handshake minds when the center's certificate begins and ends.

    A gateway without a clock of its own starts somewhere in the past, and would send no alarm until NTP answers. Whose
    certificate it is counts all the same.
    """
    if clock_is_right:
        context.verify_flags &= ~_NO_CHECK_TIME
    else:
        context.verify_flags |= _NO_CHECK_TIME


class LinkClient(aiomqtt.Client):
    """Connects in a thread that nobody has to wait for.

    aiomqtt's own worker belongs to the event loop, which waits for it at its end: on a line that swallows everything
    the home would be deaf meanwhile, for seconds, and with a name that nobody resolves for longer.
    """

    _making: Future[None]

    async def __aenter__(self) -> Self:
        self._making = Future()
        try:
            return await super().__aenter__()
        except (asyncio.CancelledError, aiomqtt.MqttError):
            if not self._making.cancel():  # it was made, and the broker has not let us in
                self._hang_up()
            raise

    def _hang_up(self) -> None:
        """At once: a line that comes back would deliver the CONNECT, by which a later session would be thrown out."""
        if isinstance(sock := self._client.socket(), socket.socket):
            self._connected = asyncio.Future()  # aiomqtt looks at it when it ends, and must not find it cancelled
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self._client.disconnect()

    def _client_connect(self) -> None:
        """In aiomqtt's worker: until it is connected, or given up."""
        threading.Thread(target=self._connect, args=(self._making,), name="connecting", daemon=True).start()
        self._making.result()

    def _connect(self, making: Future[None]) -> None:
        try:
            super()._client_connect()
        except BaseException as error:  # noqa: BLE001 - told to whoever awaits it
            with contextlib.suppress(InvalidStateError):
                making.set_exception(error)
        else:
            with contextlib.suppress(InvalidStateError):
                making.set_result(None)

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:
        """Before anything is said over it: who was given up does not throw out the session of the next run."""
        if self._making.cancelled():
            sock.close()
            client.disable_logger()
            raise ConnectionAbortedError("the connection is not wanted any more")
        super()._on_socket_open(client, userdata, sock)


@contextlib.asynccontextmanager
async def connected(client: aiomqtt.Client) -> AsyncIterator[aiomqtt.Client]:
    """Within the block the client is connected. `client.timeout` bounds CONNACK and the end. Raises MqttError."""
    await client.__aenter__()
    try:
        heed_cancellation()
        yield client
    finally:
        if _is_cancelled():
            client.timeout = END_S
        await client.__aexit__(None, None, None)
    heed_cancellation()


@contextlib.asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """The bound of one exchange with the broker, for calls of aiomqtt that were given no bound of their own.

    Its own rest on `asyncio.wait_for`, which on Python 3.11 swallows a cancellation that comes together with the
    answer: a lost session would then wait for its own tasks, and an alarm with it.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise aiomqtt.MqttError(f"the broker did not answer within {seconds:g} s") from None


@contextlib.contextmanager
def lost_together() -> Iterator[None]:
    """Around a group of tasks that share a connection. Raises MqttError when some have lost it; bugs as they are."""
    try:
        yield
    except BaseExceptionGroup as errors:
        lost, bugs = errors.split(aiomqtt.MqttError)
        if lost is None or bugs is not None:
            raise
        raise aiomqtt.MqttError(str(lost.exceptions[0])) from None


def heed_cancellation() -> None:
    """Making and ending a connection, and losing it, have only aiomqtt's own bounds: what they swallowed is here."""
    if _is_cancelled():
        raise asyncio.CancelledError


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and bool(task.cancelling())
