"""A TCP proxy in front of a broker that knows where MQTT packets begin and end, and misbehaves in one way at a time.

    delay       every packet waits up to a second; the order stays
    cut         now and then a connection ends in the middle of a packet
    double      every QoS 1 PUBLISH is passed on twice, the second marked DUP
    swallow     PUBACKs disappear; TCP loses nothing on a living connection, so those that lost something end with it
    hold        one direction stands still and is released at the end

Each direction of each connection draws from the seed by itself. `done` counts what was done, packet by packet.
"""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

_PUBLISH, _PUBACK = 3, 4
_DUP, _QOS = 0x08, 0x06
_LONGEST_DELAY_S = 1.0
_CUT_SHARE = 0.2
_SWALLOW_SHARE = 0.5
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


class Proxy:
    """Forwards its `port` to `target` on loopback, from construction until `close`."""

    WAYS = frozenset({"delay", "cut", "double", "swallow", "hold"})

    def __init__(self, target: int, seed: int, address: str = "127.0.0.1") -> None:
        self.done: Counter[str] = Counter()
        self._target = target
        self._seed = seed
        self._numbers = itertools.count(1)
        self._way: str | None = None
        self._held = 0  # which direction stands still: 0 up, 1 down
        self._changed = threading.Condition()
        self._closed = False
        self._pairs: set[_Pair] = set()
        self._server = socket.create_server((address, 0))
        self.port = int(self._server.getsockname()[1])
        self._acceptor = threading.Thread(target=self._accept, name=f"proxy {self.port}", daemon=True)
        self._acceptor.start()

    @contextmanager
    def misbehaving(self, way: str, held: int = 0) -> Iterator[None]:
        """Misbehave in one of `WAYS`; `held`: the direction for "hold", 0 towards the broker, 1 away from it."""
        assert way in self.WAYS, way
        self._set(way, held)
        try:
            yield
        finally:
            self._set(None, 0)
            for pair in [pair for pair in self._snapshot() if pair.maimed]:
                pair.end()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._acceptor.join(5)
        for pair in self._snapshot():
            pair.end()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _set(self, way: str | None, held: int) -> None:
        with self._changed:
            self._way, self._held = way, held
            self._changed.notify_all()

    def _snapshot(self) -> list[_Pair]:
        with self._changed:
            return list(self._pairs)

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target), timeout=2)
            except OSError:
                _reset(near)
                continue
            far.settimeout(None)
            pair = _Pair(near, far)
            with self._changed:
                self._pairs.add(pair)
            number = next(self._numbers)
            for direction, (source, sink) in enumerate(((near, far), (far, near))):
                rng = Random(f"{self._seed}:{number}:{direction}")
                pump = threading.Thread(target=self._pump, args=(pair, source, sink, direction, rng), daemon=True)
                pump.start()

    def _pump(self, pair: _Pair, source: socket.socket, sink: socket.socket, direction: int, rng: Random) -> None:
        try:
            for packet in packets(source):
                self._pass_on(pair, packet, sink, direction, rng)
        except OSError:
            pass  # one end went away: so does the other
        finally:
            pair.end()
            with self._changed:
                self._pairs.discard(pair)

    def _pass_on(self, pair: _Pair, packet: bytes, sink: socket.socket, direction: int, rng: Random) -> None:
        way, kind = self._way, packet[0] >> 4
        if way == "hold" and direction == self._held:
            self.done["packets held back"] += 1
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._way != "hold" or self._held != direction)
        elif way == "delay":
            self.done["packets delayed"] += 1
            with self._changed:
                self._changed.wait_for(lambda: self._closed, rng.uniform(0, _LONGEST_DELAY_S))
        elif way == "cut" and len(packet) > 2 and rng.random() < _CUT_SHARE:
            self.done["packets cut"] += 1
            sink.sendall(packet[: rng.randrange(1, len(packet))])
            raise ConnectionAbortedError
        elif way == "swallow" and kind == _PUBACK and rng.random() < _SWALLOW_SHARE:
            self.done["acknowledgements swallowed"] += 1
            pair.maimed = True
            return
        sink.sendall(packet)
        if way == "double" and kind == _PUBLISH and packet[0] & _QOS:
            self.done["messages doubled"] += 1
            sink.sendall(bytes((packet[0] | _DUP,)) + packet[1:])


class _Pair:
    """The two sockets of one connection."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self._sockets = (near, far)
        self.maimed = False  # something is missing in it: it must not go on
        for each in self._sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def end(self) -> None:
        for each in self._sockets:
            _reset(each)


def _reset(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        sock.shutdown(socket.SHUT_RDWR)  # wakes who reads from it
    with suppress(OSError):
        sock.close()


def packets(sock: socket.socket) -> Iterator[bytes]:
    """Whole MQTT packets, until the other end closes: a type byte, a length of one to four bytes, the body."""
    kept = b""
    while data := sock.recv(65536):
        kept += data
        while (size := packet_size(kept)) is not None and len(kept) >= size:
            yield kept[:size]
            kept = kept[size:]


def packet_size(data: bytes) -> int | None:
    """The size of the packet that begins here; None while its length is not known yet."""
    length = 0
    for place, byte in enumerate(data[1:5]):
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return 2 + place + length
    return None
