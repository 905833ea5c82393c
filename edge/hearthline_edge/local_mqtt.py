"""The gateway's own broker: messages of Zigbee2MQTT, plugs and bridges, acknowledged only after the outbox's commit.

One paho-mqtt session a driver, with `manual_ack`, persistent and with its own client id, so that messages of a family
that cannot be stored stay with the broker without holding up another family's. paho runs in its own thread; everything
here happens in the event loop.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from hearthline.config import read_secret
from hearthline.log import Log
from hearthline_edge.config import LocalMqttConfig
from hearthline_edge.devices import MqttMessage
from hearthline_edge.intake import MqttTicket

log = Log(__name__)


class LocalSession:
    """One persistent session at the local broker, reconnecting for ever.

    `on_message(message, ticket)` for each message; `on_session_lost` when the broker no longer knows the session.
    """

    def __init__(
        self,
        name: str,
        client_id: str,
        config: LocalMqttConfig,
        subscriptions: tuple[str, ...],
        on_message: Callable[[MqttMessage, MqttTicket], None],
        on_session_lost: Callable[[], None],
    ) -> None:
        self.name = name
        self.fault = f"local broker ({name}): not connected yet"
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._subscriptions = subscriptions
        self._on_message = on_message
        self._on_session_lost = on_session_lost
        self._connection = ""
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
        self._client.on_message = self._arrived

    def start(self) -> None:
        self._client.connect_async(self._config.host, self._config.port, keepalive=20)
        self._client.loop_start()

    def acknowledge(self, tickets: list[MqttTicket]) -> None:
        """PUBACK in the order of arrival; those of an earlier connection are the broker's to send again."""
        for ticket in tickets:
            if ticket.connection == self._connection and ticket.mid:
                self._client.ack(ticket.mid, 1)

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """At least once while connected; what cannot be sent now is queued by paho for the next connection."""
        self._client.publish(topic, payload, qos=1, retain=retain)

    async def stop(self) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    # --- paho's thread ---

    def _connected(
        self, client: paho.Client, data: Any, flags: Any, reason: ReasonCode, props: Properties | None
    ) -> None:
        if reason.is_failure:
            self._tell(self._set_fault, f"local broker ({self.name}): refused the login: {reason}")
            return
        if self._subscriptions:
            client.subscribe([(topic, 1) for topic in self._subscriptions])
        self._tell(self._begin, uuid.uuid4().hex, bool(flags.session_present))

    def _disconnected(self, client: paho.Client, data: Any, flags: Any, reason: ReasonCode, props: Any) -> None:
        self._tell(self._set_fault, f"local broker ({self.name}): connection lost: {reason}")

    def _connect_failed(self, client: paho.Client, data: Any) -> None:
        place = f"{self._config.host}:{self._config.port}"
        self._tell(self._set_fault, f"local broker ({self.name}): nobody answers at {place}")

    def _arrived(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        self._tell(
            self._deliver, message.topic, bytes(message.payload), message.retain, message.mid if message.qos else 0
        )

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop has ended; unacknowledged messages stay with the broker
            log.debug("local broker spoke after the end", name=self.name)

    # --- the event loop ---

    def _begin(self, connection: str, session_present: bool) -> None:
        self._connection = connection
        self.fault = ""
        log.info("local broker connected", session=self.name, session_present=session_present)
        if not session_present:
            self._on_session_lost()

    def _set_fault(self, fault: str) -> None:
        if not self.fault:
            log.warning("local broker lost", session=self.name, fault=fault)
        self.fault = fault

    def _deliver(self, topic: str, payload: bytes, retained: bool, mid: int) -> None:
        ticket = MqttTicket.of(mid, topic, payload, self._connection)
        self._on_message(MqttMessage(topic, payload, retained), ticket)
