"""The gateway's own broker: messages of Zigbee2MQTT, plugs and bridges, acknowledged only after the outbox's commit.

paho-mqtt sessions with `manual_ack`, persistent and each with its own client id, so that what cannot be stored stays
with the broker. paho runs in its own thread; what is told to the agent is told in the event loop.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import uuid
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from hearthline.config import read_secret
from hearthline.log import Log
from hearthline_edge.arrival import MqttTicket
from hearthline_edge.config import LocalMqttConfig
from hearthline_edge.devices import MqttMessage

SUBSCRIBE_AGAIN_S = 5.0  # after the broker has refused it
_STOP_ORDERS, _STOP_AGAIN_S = 100, 0.1
log = Log(__name__)


class LocalSession:
    """One persistent session at the local broker, reconnecting for ever.

    `on_message(message, ticket)` for each message, the ticket None for QoS 0; `on_session_lost` when the broker no
    longer knows the session. A subscription that the broker refuses is a fault and asked for again.
    """

    def __init__(
        self,
        name: str,
        client_id: str,
        config: LocalMqttConfig,
        subscriptions: tuple[str, ...],
        on_message: Callable[[MqttMessage, MqttTicket | None], None],
        on_session_lost: Callable[[], None],
        subscribe_again_s: float = SUBSCRIBE_AGAIN_S,
    ) -> None:
        self.name = name
        self.fault = f"local broker ({name}): not connected yet"
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._subscriptions = subscriptions
        self._on_message = on_message
        self._on_session_lost = on_session_lost
        self._subscribe_again_s = subscribe_again_s
        self._receiver = threading.Thread(target=self._receive, name=f"local-{name}", daemon=True)
        self._failure: asyncio.Future[None] = self._loop.create_future()
        self._stopping = False
        self._connection = ""  # set and read in paho's thread, where order is certain
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,
            protocol=paho.MQTTv311,
            manual_ack=True,
        )
        password = read_secret(config.password_file, "local_mqtt.password_file")
        if config.username is not None:
            self._client.username_pw_set(config.username, password)
        self._client.reconnect_delay_set(1, 10)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_connect_fail = self._connect_failed
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._arrived
        self._client.on_socket_open = _send_at_once

    def start(self) -> None:
        self._client.connect_async(self._config.host, self._config.port, keepalive=20)
        self._receiver.start()

    async def failed(self) -> None:
        """Raises the bug that ended paho's thread, if one does: a deaf agent must not look alive."""
        await self._failure

    def acknowledge(self, tickets: list[MqttTicket]) -> list[MqttTicket]:
        """PUBACK in the order of arrival; those of an earlier connection are the broker's to send again.

        Returns those that were handed over.
        """
        handed = [ticket for ticket in tickets if ticket.connection == self._connection]
        for mid in dict.fromkeys(ticket.mid for ticket in handed):  # a message of two families has two tickets
            self._client.ack(mid, 1)
        return handed

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """At least once; what cannot be sent now waits for the next connection."""
        self._client.publish(topic, payload, qos=1, retain=retain)

    def publish_now(self, topic: str, payload: bytes) -> bool:
        """At least once, if the broker is there: an order to a siren is worth nothing later."""
        if not self._client.is_connected():
            return False
        self._client.publish(topic, payload, qos=1)
        return True

    async def stop(self) -> None:
        """paho forgets an order to end that comes while it connects: it is told again until it has ended."""
        self._stopping = True
        for _ in range(_STOP_ORDERS):
            self._client.disconnect()
            await asyncio.to_thread(self._receiver.join, _STOP_AGAIN_S)
            if not self._receiver.is_alive():
                return

    # --- paho's thread ---

    def _receive(self) -> None:
        try:
            self._client.loop_forever(retry_first_connection=True)
            if not self._stopping:
                raise RuntimeError("the MQTT client's loop has ended by itself")
        except BaseException as error:  # noqa: BLE001 - told to the event loop, where it ends the agent
            self._tell(self._died, error)

    def _connected(
        self, client: paho.Client, data: Any, flags: Any, reason: ReasonCode, props: Properties | None
    ) -> None:
        if self._stopping:  # too late: the next run has a session of its own
            client.disconnect()
            return
        if reason.is_failure:
            self._tell(self._set_fault, f"local broker ({self.name}): refused the login: {reason}")
            return
        self._connection = uuid.uuid4().hex
        self._tell(self._begin, bool(flags.session_present))
        self._subscribe()

    def _subscribe(self) -> None:
        if self._subscriptions:
            self._client.subscribe([(topic, 1) for topic in self._subscriptions])

    def _subscribed(
        self, client: paho.Client, data: Any, mid: int, granted: list[ReasonCode], props: Properties | None
    ) -> None:
        pairs = zip(self._subscriptions, granted, strict=False)
        refused = [topic for topic, reason in pairs if reason.is_failure]
        self._tell(self._heed, refused, self._connection)

    def _disconnected(self, client: paho.Client, data: Any, flags: Any, reason: ReasonCode, props: Any) -> None:
        if self._connection:  # otherwise the refusal of the login was told already
            self._tell(self._set_fault, f"local broker ({self.name}): connection lost: {reason}")
        self._connection = ""

    def _connect_failed(self, client: paho.Client, data: Any) -> None:
        place = f"{self._config.host}:{self._config.port}"
        self._tell(self._set_fault, f"local broker ({self.name}): nobody answers at {place}")

    def _arrived(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        payload = bytes(message.payload)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # no driver claims it: it is acknowledged and gone
        ticket = None
        if message.qos:
            ticket = MqttTicket.of(message.mid, topic, payload, self._connection, message.dup)
        self._tell(self._on_message, MqttMessage(topic, payload, message.retain), ticket)

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop has ended; unacknowledged messages stay with the broker
            log.debug("local broker spoke after the end", name=self.name)

    # --- the event loop ---

    def _died(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    def _begin(self, session_present: bool) -> None:
        self.fault = ""
        log.info("local broker connected", session=self.name, session_present=session_present)
        if not session_present:
            self._on_session_lost()

    def _heed(self, refused: list[str], connection: str) -> None:
        if connection != self._connection:
            return
        if not refused:
            self.fault = ""
            return
        topics = ", ".join(refused)
        self._set_fault(f"local broker ({self.name}): refused to let the agent hear {topics}; allow it in its ACL")
        self._loop.call_later(self._subscribe_again_s, self._again, connection)

    def _again(self, connection: str) -> None:
        if connection == self._connection:
            self._subscribe()

    def _set_fault(self, fault: str) -> None:
        if fault != self.fault:
            log.warning("local broker does not serve", session=self.name, fault=fault)
        self.fault = fault


def _send_at_once(client: paho.Client, data: Any, sock: Any) -> None:
    """Nagle holds a signal to the home back by 40 ms while the broker delays its acknowledgement."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
