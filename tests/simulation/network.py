"""Connections that delay, lose and go dumb, and a broker with MQTT's sessions over them.

What travels is a call at the other end: `connection.up(broker.method, …)`, `connection.down(client.method, …)`. Each
direction keeps its order, as TCP does. A cut loses what is under way and both ends hear of it; a dumb connection
swallows, and its ends find out by their keepalive only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from simulation.trace import Trace

KEEPALIVE_S = 20.0
_IN_ORDER_S = 1e-7


@dataclass(slots=True)
class Delivery:
    """A publish on its way to one session; `mid` 0 has QoS 0."""

    topic: str
    payload: bytes
    qos: int
    retained: bool = False
    mid: int = 0
    dup: bool = False


class Client(Protocol):
    """What the broker tells a client; called at the client's end of the connection."""

    def on_connack(self, session_present: bool) -> None: ...
    def on_suback(self) -> None: ...
    def on_puback(self, mid: int) -> None: ...
    def on_publish(self, delivery: Delivery) -> None: ...
    def on_lost(self, connection: Connection, reason: str) -> None: ...


@dataclass(slots=True)
class Weather:
    """How the network is now: the delay of a packet, and who cannot connect (`refused` at once, or `hanging`)."""

    delay_s: tuple[float, float] = (0.001, 0.02)
    refused: set[str] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)


class Connection:
    """One TCP connection between a client and the broker."""

    def __init__(self, trace: Trace, weather: Weather, rng: Random, client_id: str, client: Client) -> None:
        self.client_id = client_id
        self.client = client
        self.is_open = True
        self.dumb_up = self.dumb_down = False
        self.since = trace.now()
        self._trace = trace
        self._weather = weather
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._last = [0.0, 0.0]

    @property
    def whole(self) -> bool:
        return self.is_open and not (self.dumb_up or self.dumb_down)

    def up(self, deliver: Callable[..., None], *values: Any) -> None:
        if not self.dumb_up:
            self._send(0, deliver, values)

    def down(self, deliver: Callable[..., None], *values: Any) -> None:
        if not self.dumb_down:
            self._send(1, deliver, values)

    def _send(self, way: int, deliver: Callable[..., None], values: tuple[Any, ...]) -> None:
        if not self.is_open:
            return
        at = max(self._loop.time() + self._rng.uniform(*self._weather.delay_s), self._last[way] + _IN_ORDER_S)
        self._last[way] = at
        self._loop.call_at(at, self._deliver, way, deliver, values)

    def _deliver(self, way: int, deliver: Callable[..., None], values: tuple[Any, ...]) -> None:
        if self.is_open and not (self.dumb_down if way else self.dumb_up):
            deliver(*values)


@dataclass(slots=True)
class ServerSession:
    """What the broker keeps of one client."""

    client_id: str
    lasting: bool
    window: int
    filters: list[str] = field(default_factory=list)
    waiting: deque[Delivery] = field(default_factory=deque)
    in_flight: dict[int, Delivery] = field(default_factory=dict)
    will: tuple[str, bytes] | None = None
    connection: Connection | None = None
    last_mid: int = 0


class Broker:
    """QoS 0 and 1, lasting and clean sessions, retained messages, last wills; acknowledges before it delivers."""

    def __init__(self, trace: Trace, name: str, weather: Weather, rng: Random) -> None:
        self.name = name
        self.weather = weather
        self.running = True
        self.refuses: set[str] = set()  # topics' beginnings whose publishes it acknowledges and drops
        self.sessions: dict[str, ServerSession] = {}
        self.retained: dict[str, bytes] = {}
        self._trace = trace
        self._rng = rng
        self._loop = asyncio.get_running_loop()

    # --- what clients do ---

    def dial(self, client_id: str, client: Client) -> Connection | None:
        """A new connection, or None: nobody listens."""
        if not self.running or client_id in self.weather.refused:
            return None
        return Connection(self._trace, self.weather, self._rng, client_id, client)

    def connect(
        self, connection: Connection, lasting: bool, window: int, will: tuple[str, bytes] | None = None
    ) -> None:
        if not self.running:
            self._hang_up(connection, "broker gone")
            return
        old = self.sessions.get(connection.client_id)
        if old is not None and old.connection is not None:
            self._taken_over(old)
            old = self.sessions.get(connection.client_id)
        present = old is not None and lasting
        if old is None or not lasting:
            self.sessions[connection.client_id] = old = ServerSession(connection.client_id, lasting, window)
        session = old
        session.connection, session.will, session.window = connection, will, window
        self._trace.note(self.name, f"{connection.client_id} connected, session {'kept' if present else 'new'}")
        connection.down(connection.client.on_connack, present)
        for delivery in session.in_flight.values():
            delivery.dup = True
            connection.down(connection.client.on_publish, delivery)
        self._pump(session)

    def subscribe(self, connection: Connection, filters: Iterable[str]) -> None:
        session = self.sessions[connection.client_id]
        if session.connection is not connection:
            return
        filters = list(filters)
        session.filters += [each for each in filters if each not in session.filters]
        connection.down(connection.client.on_suback)
        for topic, payload in self.retained.items():
            if any(matches(each, topic) for each in filters):
                session.waiting.append(Delivery(topic, payload, 1, retained=True))
        self._pump(session)

    def publish(self, connection: Connection, topic: str, payload: bytes, qos: int, retain: bool, mid: int) -> None:
        refused = any(topic.startswith(each) for each in self.refuses)
        if qos:
            connection.down(connection.client.on_puback, mid)
        if refused:
            self._trace.note(self.name, f"drops {topic}")
            return
        self.route(topic, payload, qos, retain)

    def puback(self, connection: Connection, mid: int) -> None:
        session = self.sessions.get(connection.client_id)
        if session is not None and session.connection is connection:
            session.in_flight.pop(mid, None)
            self._pump(session)

    def goodbye(self, connection: Connection) -> None:
        """DISCONNECT: no last will."""
        session = self._session_of(connection)
        if session is not None:
            session.will = None
        self.lost(connection)

    def lost(self, connection: Connection) -> None:
        """The broker notices that the connection has ended."""
        connection.is_open = False
        session = self._session_of(connection)
        if session is not None:
            self._ended(session)

    # --- what happens to it ---

    def route(self, topic: str, payload: bytes, qos: int, retain: bool = False) -> None:
        """To everybody who asked for it. A device of the home publishes so, too."""
        self._trace.note(self.name, f"routes {topic} {len(payload)}")
        if retain:
            self.retained[topic] = payload
        for session in list(self.sessions.values()):
            if not any(matches(each, topic) for each in session.filters):
                continue
            if qos:
                session.waiting.append(Delivery(topic, payload, 1))
                self._pump(session)
            elif session.connection is not None:
                session.connection.down(session.connection.client.on_publish, Delivery(topic, payload, 0))

    def cut(self, client_id: str) -> None:
        """Both ends hear of it; what is under way is lost."""
        session = self.sessions.get(client_id)
        if session is None or session.connection is None:
            return
        connection = session.connection
        connection.is_open = False
        self._loop.call_later(self._rng.uniform(0, 0.05), connection.client.on_lost, connection, "cut")
        self._loop.call_later(self._rng.uniform(0, 0.05), self.lost, connection)

    def go_dumb(self, client_id: str, up: bool, down: bool) -> None:
        """Nobody hears of it before his keepalive."""
        session = self.sessions.get(client_id)
        if session is None or session.connection is None:
            return
        connection = session.connection
        connection.dumb_up, connection.dumb_down = connection.dumb_up or up, connection.dumb_down or down
        self._loop.call_later(self._rng.uniform(1, 2) * KEEPALIVE_S, self._give_up, connection)
        if up:
            self._loop.call_later(self._rng.uniform(1, 1.5) * KEEPALIVE_S, self.lost, connection)

    def _give_up(self, connection: Connection) -> None:
        """The client's keepalive has passed; its end of the connection is closed, the broker's may not know."""
        connection.client.on_lost(connection, "keepalive")
        if not connection.dumb_up:
            self.lost(connection)

    def stop(self, loses_all: bool) -> None:
        self.running = False
        for session in list(self.sessions.values()):
            if (connection := session.connection) is not None:
                self._hang_up(connection, "broker gone")
                session.connection = None
            if loses_all or not session.lasting:
                del self.sessions[session.client_id]
        if loses_all:
            self.retained.clear()

    def start(self) -> None:
        self.running = True

    # ---

    def _session_of(self, connection: Connection) -> ServerSession | None:
        session = self.sessions.get(connection.client_id)
        return session if session is not None and session.connection is connection else None

    def _taken_over(self, session: ServerSession) -> None:
        assert session.connection is not None
        self._hang_up(session.connection, "taken over")
        self._ended(session)

    def _hang_up(self, connection: Connection, reason: str) -> None:
        connection.is_open = False
        self._loop.call_later(self._rng.uniform(0, 0.02), connection.client.on_lost, connection, reason)

    def _ended(self, session: ServerSession) -> None:
        session.connection = None
        will, session.will = session.will, None
        if not session.lasting:
            del self.sessions[session.client_id]
        self._trace.note(self.name, f"{session.client_id} gone{', last will' if will else ''}")
        if will is not None:
            self.route(*will, qos=1, retain=True)

    def _pump(self, session: ServerSession) -> None:
        while session.connection is not None and session.waiting and len(session.in_flight) < session.window:
            delivery = session.waiting.popleft()
            session.last_mid = delivery.mid = session.last_mid % 65535 + 1
            session.in_flight[delivery.mid] = delivery
            session.connection.down(session.connection.client.on_publish, delivery)


def matches(pattern: str, topic: str) -> bool:
    """Whether a topic filter takes a topic."""
    if pattern == topic:
        return True
    if "+" not in pattern and "#" not in pattern:
        return False
    wanted, given = pattern.split("/"), topic.split("/")
    for place, word in enumerate(wanted):
        if word == "#":
            return True
        if place >= len(given) or word not in ("+", given[place]):
            return False
    return len(wanted) == len(given)
