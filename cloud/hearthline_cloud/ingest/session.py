"""One persistent MQTT 5 session of the ingester: messages in batches to a worker, PUBACK only when it says so.

paho's thread only receives; the worker's thread decides, commits, and then acknowledges in the order of arrival.
A message of an earlier connection is not acknowledged on a later one: the broker sends it again.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from hearthline.config import read_secret
from hearthline.errors import ConfigError
from hearthline.log import Log
from hearthline_cloud.config import BrokerConfig
from hearthline_cloud.ingest.mqtt_client import BareClient
from hearthline_cloud.metrics.instruments import BATCH_SECONDS, CONNECTED, MESSAGES, WAITING

SESSION_EXPIRY_S = 7 * 24 * 3600
_CONNECT_TIMEOUT_S = 4.0
_SUBSCRIBE_AGAIN_S = 5.0
log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """A received publish; `mid` 0 needs no PUBACK."""

    topic: str
    payload: bytes
    retained: bool
    mid: int
    connection: int


class Answers(Protocol):
    """What a lane needs of its session."""

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> None: ...

    def acknowledge(self, messages: Sequence[Message]) -> None: ...


class Session:
    """Receives `topics` for ever; `handle(messages)` runs in the worker's thread and returns when they are committed.

    An exception in either thread ends it and is found by `failed()`: a deaf ingester must not look alive.
    """

    def __init__(
        self,
        config: BrokerConfig,
        name: str,
        topics: Sequence[str],
        receive_maximum: int,
        handle: Callable[[list[Message]], None],
        forgets: bool = False,
    ) -> None:
        """`forgets`: what waits for the worker when the connection ends is dropped; the broker sends it again."""
        self._config = config
        self._name = name
        self._topics = topics
        self._receive_maximum = receive_maximum
        self._handle = handle
        self._forgets = forgets
        self._queue: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._batch_seconds, self._messages = BATCH_SECONDS.labels(name), MESSAGES.labels(name)
        WAITING.labels(name).set_function(self._queue.qsize)
        CONNECTED.labels(name).set_function(lambda: float(self.connected))
        self._connection = 0
        self.connected = False  # and subscribed: an ingester that hears nothing is not at work
        self._client_connected = False
        self._stopping = False
        self._subscribed_at = 0.0
        self._failure: BaseException | None = None
        self._worker = threading.Thread(target=self._work, name=f"ingest-{name}", daemon=True)
        self._receiver = threading.Thread(target=self._receive, name=f"receive-{name}", daemon=True)
        self._client = self._make_client()

    def _make_client(self) -> paho.Client:
        config = self._config
        client = BareClient(
            CallbackAPIVersion.VERSION2,
            client_id=f"{config.client_id}-{self._name}",
            protocol=paho.MQTTv5,
            manual_ack=True,
        )
        if config.username is not None:
            client.username_pw_set(config.username, read_secret(config.password_file, "broker.password_file"))
        if config.ca_file is not None:
            try:
                client.tls_set(config.ca_file, config.cert_file, config.key_file)
            except (OSError, ValueError) as error:
                raise ConfigError(f"broker.ca_file, cert_file or key_file cannot be used: {error}") from None
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.reconnect_delay_set(1, 5)
        client.max_inflight_messages_set(1000)
        client.on_socket_open = _send_at_once
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._arrived
        return client

    def start(self) -> None:
        self._worker.start()
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        properties.ReceiveMaximum = self._receive_maximum
        self._client.connect_async(
            self._config.host, self._config.port, keepalive=20, clean_start=False, properties=properties
        )
        self._receiver.start()

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        self._client.publish(topic, payload, qos=qos)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """PUBACK these, in order. Call only when what they carried is committed or kept aside."""
        for message in messages:
            if message.mid and message.connection == self._connection:
                self._client.ack(message.mid, 1)

    def check(self) -> None:
        """Subscribe again where the broker has refused or not answered; call it now and then."""
        if (
            self._client_connected
            and not self.connected
            and time.monotonic() - self._subscribed_at > _SUBSCRIBE_AGAIN_S
        ):
            self._subscribe()

    def stop(self, deadline: float) -> None:
        """Finish the batch at work, until `deadline` (monotonic); what is not acknowledged comes again."""
        self._stopping = True
        self._queue.put(None)
        self._worker.join(timeout=max(deadline - time.monotonic(), 0))
        self._client.disconnect()
        if self._client_connected:  # else its thread, a daemon, may be in the middle of connecting
            self._receiver.join(timeout=max(deadline - time.monotonic(), 0))

    def failed(self) -> BaseException | None:
        return self._failure

    def _work(self) -> None:
        try:
            while True:
                batch = self._next_batch()
                if not batch:
                    return
                with self._batch_seconds.time():
                    self._handle(batch)
                self._messages.inc(len(batch))
        except BaseException as error:  # told to the main thread, which ends the process
            self._failure = error
            log.exception("ingest worker died", session=self._name)
            raise

    def _next_batch(self) -> list[Message]:
        """At least one message, and all others that wait; empty at the end."""
        first = self._queue.get()
        if first is None:
            return []
        batch = [first]
        while len(batch) < self._receive_maximum:
            try:
                message = self._queue.get_nowait()
            except queue.Empty:
                break
            if message is None:
                self._queue.put(None)
                break
            batch.append(message)
        return batch

    # --- paho's thread ---

    def _receive(self) -> None:
        try:
            self._client.loop_forever(retry_first_connection=True)
            if not self._stopping:
                raise RuntimeError("the MQTT client's loop has ended by itself")
        except BaseException as error:  # told to the main thread, which ends the process
            self._failure = error
            log.exception("ingest receiver died", session=self._name)

    def _connected(self, client: paho.Client, data: Any, flags: Any, reason: ReasonCode, props: Any) -> None:
        if reason.is_failure:
            log.error("broker refused the ingester", session=self._name, reason=str(reason))
            return
        self._connection += 1
        self._client_connected = True
        self._subscribe()
        log.info("broker connected", session=self._name, session_present=bool(flags.session_present))

    def _subscribe(self) -> None:
        self._subscribed_at = time.monotonic()
        self._client.subscribe([(topic, 1) for topic in self._topics])

    def _subscribed(self, client: paho.Client, data: Any, mid: int, reasons: list[ReasonCode], props: Any) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        self.connected = not refused
        if refused:
            log.error("broker refused a subscription", session=self._name, reasons=refused)

    def _disconnected(self, client: paho.Client, data: Any, flags: Any, reason: ReasonCode, props: Any) -> None:
        self._connection += 1
        self.connected = self._client_connected = False
        log.warning("broker lost", session=self._name, reason=str(reason))
        if self._forgets:
            self._forget()

    def _forget(self) -> None:
        """Else each reconnection adds a window of messages to the queue of a worker that cannot work."""
        kept: list[Message | None] = []
        with suppress(queue.Empty):
            while True:
                message = self._queue.get_nowait()
                if message is None or not message.mid:  # the end, or what comes only once
                    kept.append(message)
        for message in kept:
            self._queue.put(message)

    def _arrived(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        mid = message.mid if message.qos else 0
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # names no gateway: it is kept aside
        self._queue.put(Message(topic, bytes(message.payload), message.retain, mid, self._connection))


def _send_at_once(client: paho.Client, data: Any, sock: Any) -> None:
    """Without this a `down/ack` right after a PUBACK waits for the broker's TCP acknowledgement, up to 40 ms."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
