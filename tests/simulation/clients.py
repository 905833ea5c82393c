"""The MQTT clients of the product as the simulation's network has them: aiomqtt's, the local session's, the ingester's.

Each takes the place of the class that the product would make, keeps what the product relies on in it (what is
acknowledged by itself and what by hand, what is repeated on a new connection), and ends with its process: what it has
sent by then still arrives.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import aiomqtt

from hearthline_cloud.ingest.session import Message
from hearthline_edge.arrival import MqttTicket
from hearthline_edge.control import ControlSocket
from hearthline_edge.devices import MqttMessage
from simulation.network import Broker, Connection, Delivery
from simulation.process import Crash, Process

_DIAL_S = 5.0  # after which paho gives up an address that says nothing


class Wire:
    """What all clients share: one connection to one broker, dialled, answered, lost."""

    def __init__(self, broker: Broker, process: Process, client_id: str) -> None:
        self.broker = broker
        self.process = process
        self.client_id = client_id
        self.connection: Connection | None = None
        self.loop = asyncio.get_running_loop()
        process.on_kill(self.end)

    def end(self) -> None:
        """The process has died: its socket is closed without a word, after what was written to it."""
        if (connection := self.connection) is not None:
            self.connection = None
            connection.up(self.broker.lost, connection)

    def answers(self, mid: int) -> None:
        """PUBACK."""
        if self.connection is not None:
            self.connection.up(self.broker.puback, self.connection, mid)

    def sends(self, topic: str, payload: bytes, qos: int, retain: bool, mid: int) -> None:
        if self.connection is not None:
            self.connection.up(self.broker.publish, self.connection, topic, payload, qos, retain, mid)


class GatewayClient(Wire):
    """Instead of `aiomqtt.Client`: acknowledges by itself, forgets everything with its connection."""

    pending_calls_threshold = 10

    def __init__(
        self,
        broker: Broker,
        process: Process,
        watch: Callable[[str, str, str, bytes], None],
        host: str,
        port: int,
        **options: Any,
    ) -> None:
        super().__init__(broker, process, options["identifier"])
        will = options["will"]
        self._will = None if will is None else (will.topic, will.payload)
        self._answer_s = options["timeout"]
        self._watch = watch
        self._pending: dict[int, asyncio.Future[None]] = {}
        self._lost = ""
        self._last_mid = 0
        self._came: deque[aiomqtt.Message] = deque()
        self._waiter: asyncio.Future[None] | None = None

    async def __aenter__(self) -> GatewayClient:
        if self.client_id in self.broker.weather.hanging:
            await asyncio.sleep(_DIAL_S)
            raise aiomqtt.MqttError("timed out")
        connection = self.broker.dial(self.client_id, self)
        if connection is None or not self.process.alive:
            await asyncio.sleep(0.002)
            raise aiomqtt.MqttError("connection refused")
        self.connection = connection
        answer = self._ask(0)
        connection.up(self.broker.connect, connection, False, 65535, self._will)
        try:
            async with asyncio.timeout(self._answer_s):
                await answer
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None
        self._watch(self.client_id, "new", "", b"")
        return self

    async def __aexit__(self, *error: object) -> None:
        if (connection := self.connection) is not None:
            self.connection = None
            connection.up(self.broker.goodbye, connection)

    async def subscribe(self, topics: list[tuple[str, int]], timeout: float) -> list[int]:
        answer = self._ask(-1)
        if self.connection is not None:
            self.connection.up(self.broker.subscribe, self.connection, [topic for topic, _ in topics])
        await answer
        return [1 for _ in topics]

    async def publish(self, topic: str, payload: bytes, qos: int, retain: bool, timeout: float) -> None:
        self._last_mid = mid = self._last_mid % 65535 + 1
        answer = self._ask(mid)
        self._watch(self.client_id, "up", topic, payload)
        self.sends(topic, payload, qos, retain, mid)
        await answer

    @property
    def messages(self) -> GatewayClient:
        return self

    def __aiter__(self) -> GatewayClient:
        return self

    async def __anext__(self) -> aiomqtt.Message:
        while not self._came:
            if self._lost:
                raise aiomqtt.MqttError("Disconnected during message iteration")
            self._waiter = self.loop.create_future()
            await self._waiter
        message = self._came.popleft()
        self._watch(self.client_id, "down", str(message.topic), bytes(message.payload))
        return message

    def _ask(self, number: int) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self.loop.create_future()
        if self._lost or not self.process.alive:
            future.set_exception(aiomqtt.MqttError(self._lost or "dead"))
        else:
            self._pending[number] = future
        return future

    def _answered(self, number: int) -> None:
        future = self._pending.pop(number, None)
        if future is not None and not future.done():
            future.set_result(None)

    def on_connack(self, session_present: bool) -> None:
        self._answered(0)

    def on_suback(self) -> None:
        self._answered(-1)

    def on_puback(self, mid: int) -> None:
        self._answered(mid)

    def on_publish(self, delivery: Delivery) -> None:
        if self.connection is None:
            return
        if delivery.mid:
            self.answers(delivery.mid)
        message = aiomqtt.Message(delivery.topic, delivery.payload, delivery.qos, delivery.retained, delivery.mid, None)
        self._came.append(message)
        self._wake()

    def on_lost(self, connection: Connection, reason: str) -> None:
        if self.connection is not connection:
            return
        self.connection = None
        self._lost = reason
        pending, self._pending = self._pending, {}
        for future in pending.values():
            if not future.done():
                future.set_exception(aiomqtt.MqttError(f"Disconnected: {reason}"))
                future.exception()  # nobody may be waiting for it any more
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class LastingClient(Wire):
    """What the ingester's and the local sessions share: paho's reconnection, and its memory of what it sent."""

    window = 20
    retry_s = (1.0, 5.0)

    def __init__(self, broker: Broker, process: Process, client_id: str, topics: Sequence[str], rng: Random) -> None:
        super().__init__(broker, process, client_id)
        self._topics = list(topics)
        self._rng = rng
        self._unsent: dict[int, tuple[str, bytes, bool]] = {}
        self._last_mid = 0
        self._pause_s = self.retry_s[0]
        self._retry: asyncio.TimerHandle | None = None
        self.generation = 0  # odd while connected
        self.connected = False  # and subscribed

    @property
    def is_linked(self) -> bool:
        return self.connection is not None and self.generation % 2 == 1

    def dial(self) -> None:
        self._retry = None
        if not self.process.alive:
            return
        hangs = self.client_id in self.broker.weather.hanging
        connection = None if hangs else self.broker.dial(self.client_id, self)
        if connection is None:
            self._dial_later(4.0 if hangs else 0.0)
            return
        self.connection = connection
        connection.up(self.broker.connect, connection, True, self.window)

    def _dial_later(self, after_s: float) -> None:
        self._retry = self.loop.call_later(after_s + self._pause_s, self.dial)
        self._pause_s = min(self._pause_s * 2, self.retry_s[1])

    def end(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self.connected = False
        super().end()

    def tell(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        """At least once; what is not acknowledged is sent again on the next connection. QoS 0: now or never."""
        if not self.process.alive:
            return
        if qos:
            self._last_mid = self._last_mid % 65535 + 1
            self._unsent[self._last_mid] = (topic, payload, retain)
        if self.is_linked:
            self.sends(topic, payload, qos, retain, self._last_mid if qos else 0)

    def on_publish(self, delivery: Delivery) -> None:
        raise NotImplementedError

    def on_connack(self, session_present: bool) -> None:
        if self.connection is None:
            return
        self._pause_s = self.retry_s[0]
        self.generation += 1
        self.connection.up(self.broker.subscribe, self.connection, self._topics)
        for mid, (topic, payload, retain) in self._unsent.items():
            self.sends(topic, payload, 1, retain, mid)

    def on_suback(self) -> None:
        self.connected = self.connection is not None

    def on_puback(self, mid: int) -> None:
        self._unsent.pop(mid, None)

    def on_lost(self, connection: Connection, reason: str) -> None:
        if self.connection is not connection or not self.process.alive:
            return
        was_linked, self.connection, self.connected = self.is_linked, None, False
        self.generation += was_linked
        self._dial_later(0.0)


class LocalClient(LastingClient):
    """Instead of `LocalSession`: acknowledged by hand, with tickets."""

    retry_s = (1.0, 10.0)

    def __init__(
        self,
        broker: Broker,
        process: Process,
        rng: Random,
        name: str,
        client_id: str,
        config: object,
        subscriptions: tuple[str, ...],
        on_message: Callable[[MqttMessage, MqttTicket | None], None],
        on_session_lost: Callable[[], None],
    ) -> None:
        super().__init__(broker, process, client_id, subscriptions, rng)
        self.name = name
        self.fault = "local broker: not connected yet"
        self._on_message = on_message
        self._on_session_lost = on_session_lost

    def start(self) -> None:
        self.dial()

    async def stop(self) -> None:
        if (connection := self.connection) is not None:
            self.connection = None
            connection.up(self.broker.goodbye, connection)
        self.end()

    async def failed(self) -> None:
        """The thread that could die of a bug is none here."""
        await asyncio.get_running_loop().create_future()

    def acknowledge(self, tickets: list[MqttTicket]) -> list[MqttTicket]:
        handed = [ticket for ticket in tickets if ticket.connection == self._key and self.connection is not None]
        for ticket in handed:
            self.answers(ticket.mid)
        return handed

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        self.tell(topic, payload, 1, retain)

    def publish_now(self, topic: str, payload: bytes) -> bool:
        if not self.connected:
            return False
        self.tell(topic, payload)
        return True

    @property
    def _key(self) -> str:
        return f"{self.process.name}:{self.generation}"

    def on_connack(self, session_present: bool) -> None:
        super().on_connack(session_present)
        self.fault = ""
        if not session_present:
            self._on_session_lost()

    def on_publish(self, delivery: Delivery) -> None:
        if self.connection is None:
            return
        ticket = None
        if delivery.mid:
            ticket = MqttTicket.of(delivery.mid, delivery.topic, delivery.payload, self._key, delivery.dup)
        self._on_message(MqttMessage(delivery.topic, delivery.payload, delivery.retained), ticket)

    def on_lost(self, connection: Connection, reason: str) -> None:
        super().on_lost(connection, reason)
        self.fault = f"local broker: {reason}"


class NoControl(ControlSocket):
    """Nobody with tools is in a simulated home."""

    async def run(self) -> None:
        return


class HomeEars(LastingClient):
    """Whoever listens at home: lamps, the siren."""

    def __init__(
        self,
        broker: Broker,
        process: Process,
        client_id: str,
        topics: Sequence[str],
        rng: Random,
        hear: Callable[[Delivery], None],
    ) -> None:
        super().__init__(broker, process, client_id, topics, rng)
        self._hear = hear
        self.dial()

    def on_publish(self, delivery: Delivery) -> None:
        if self.connection is not None:
            self.answers(delivery.mid)
            self._hear(delivery)


class Pause(BaseException):
    """Out of the lane's `stopping.wait()`: the worker would wait so long and then begin its batch again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class IngestSession(LastingClient):
    """Instead of the ingester's `Session`: a worker that takes what waits, decides, and answers by hand."""

    def __init__(
        self,
        broker: Broker,
        process: Process,
        rng: Random,
        name: str,
        topics: Sequence[str],
        receive_maximum: int,
        handle: Callable[[list[Message]], None],
        forgets: bool = False,
    ) -> None:
        super().__init__(broker, process, f"ingest-{name}", topics, rng)
        self.window = receive_maximum
        self.dies_at_answer = False  # between the commit and what follows from it
        self._handle = handle
        self._forgets = forgets
        self._queue: deque[Message] = deque()
        self._came = asyncio.Event()

    async def run(self) -> None:
        self.dial()
        while True:
            await self._came.wait()
            self._came.clear()
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), self.window))]
                await self._work(batch)

    async def _work(self, batch: list[Message]) -> None:
        while True:
            await asyncio.sleep(self._rng.uniform(0.0005, 0.008))
            try:
                self._handle(batch)
                return
            except Pause as pause:
                await asyncio.sleep(pause.seconds)
            except Crash:
                self.process.kill()
                return

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        if self.dies_at_answer:
            raise Crash
        self.tell(topic, payload, qos)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.mid and message.connection == self.generation:
                self.answers(message.mid)

    def on_publish(self, delivery: Delivery) -> None:
        if self.connection is None:
            return
        self._queue.append(Message(delivery.topic, delivery.payload, delivery.retained, delivery.mid, self.generation))
        self._came.set()

    def on_lost(self, connection: Connection, reason: str) -> None:
        super().on_lost(connection, reason)
        if self._forgets:
            self._queue = deque(message for message in self._queue if not message.mid)
