"""A TCP relay before a server, which passes the beginning of its answer, then does something, then passes the rest."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from servers import HOST

_PIECE = 65_536
_PATIENCE_S = 20.0


@contextmanager
def relay(port: int, after: int, then: Callable[[], None]) -> Iterator[str]:
    """The address of a relay to `port` for one connection; it calls `then` after so many bytes of answers."""
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(_PATIENCE_S)
        thread = threading.Thread(target=_pass, args=(listener, port, after, then))
        thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            thread.join(2 * _PATIENCE_S)
            assert not thread.is_alive()


def _pass(listener: socket.socket, port: int, after: int, then: Callable[[], None]) -> None:
    with listener.accept()[0] as client, socket.create_connection((HOST, port)) as server:
        asking = threading.Thread(target=_forward, args=(client, server))
        asking.start()
        answered = 0
        while answered < after and (piece := server.recv(min(_PIECE, after - answered))):
            answered += len(piece)
            client.sendall(piece)
        assert answered == after, "the answer was too short to be cut"
        then()
        _forward(server, client)
        client.shutdown(socket.SHUT_RDWR)
        asking.join(_PATIENCE_S)


def _forward(source: socket.socket, target: socket.socket) -> None:
    """Until either side is gone."""
    try:
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    except OSError:
        return
