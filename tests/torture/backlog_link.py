"""A TCP way to a broker that can be taken away: refused, or silent as a cable that was pulled.

    up       bytes go both ways
    down     nobody listens, as behind a router that is off
    silent   connections live and are made, bytes go nowhere, nobody is told

What was swallowed is lost: when the link heals, connections that lived through the silence are reset.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Self

from servers import HOST, free_ports

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset
_LOOK_S = 0.1


class Link:
    """Forwards its `port` to `target`. Starts down."""

    def __init__(self, target: int) -> None:
        self._target = target
        (self.port,) = free_ports(1)
        self._server: socket.socket | None = None
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._silent = threading.Event()
        self.swallowed = bytearray()  # what the near side sent into the silence

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        for thread in self._threads:
            thread.join(5)

    def up(self) -> None:
        """Let bytes through from now on; what lived through a silence is reset."""
        if self._silent.is_set():
            self._hang_up()
            self._silent.clear()
        if self._server is None:
            server = socket.create_server((HOST, self.port))
            server.settimeout(_LOOK_S)
            self._server = server
            self._run(self._serve, server)

    def silence(self) -> None:
        self._silent.set()

    def down(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self._hang_up()

    def _hang_up(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for each in (one for pair in pairs for one in pair):
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _serve(self, server: socket.socket) -> None:
        while self._server is server:
            try:
                near, _ = server.accept()
                far = socket.create_connection((HOST, self._target))
            except TimeoutError:
                continue
            except OSError:  # closed, or the broker is away
                continue
            for each in (near, far):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._pairs.append((near, far))
            self._run(self._pump, near, far, True)
            self._run(self._pump, far, near, False)

    def _pump(self, one: socket.socket, other: socket.socket, upward: bool) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if self._silent.is_set():
                    if upward:
                        self.swallowed += data
                    continue
                other.sendall(data)
        if not self._silent.is_set():
            for each in (one, other):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _run(self, function: object, *arguments: object) -> None:
        assert callable(function)
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
