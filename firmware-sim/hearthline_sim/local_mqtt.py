"""The home's broker: publishes at QoS 1 and says when each message was acknowledged; reconnects for ever.

While the broker is away a message is lost, as Zigbee2MQTT and Shelly devices lose theirs ("Cannot send message").
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from hearthline.config import read_secret
from hearthline_sim.devices.emission import Publish
from hearthline_sim.home_config import MqttConfig

Acknowledged = Callable[[int], None]
Handler = Callable[[bytes, int], None]

_QOS = 1
_RECONNECT_S = (1, 4)


class LocalMqtt:
    """One session. Handlers and acknowledgements run in the client's thread and must be quick."""

    def __init__(
        self,
        config: MqttConfig,
        client_id: str,
        handlers: Mapping[str, Handler],
        on_link: Callable[[bool], None],
    ) -> None:
        """`handlers`: what to do with a payload and its arrival (Unix nanoseconds), by topic."""
        self._handlers = dict(handlers)
        self._on_link = on_link
        self._lock = threading.Lock()
        self._waiting: dict[int, Acknowledged] = {}
        self._early: dict[int, int] = {}  # acknowledged before publish() had told us the id
        self.connected = threading.Event()
        # A kept session: a signal sent while the broker or we were away still arrives.
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, clean_session=False)
        if config.username is not None:
            self._client.username_pw_set(config.username, read_secret(config.password_file, "mqtt.password_file"))
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._message
        self._client.on_publish = self._published
        self._client.reconnect_delay_set(*_RECONNECT_S)
        self._client.connect_async(config.host, config.port, keepalive=15)

    def start(self) -> None:
        """Connect, and go on trying; from now on the callbacks come."""
        self._client.loop_start()

    def publish(self, message: Publish, acknowledged: Acknowledged) -> bool:
        """Hand over a message; false when it is lost because the broker is away."""
        if not self.connected.is_set():
            return False
        info = self._client.publish(message.topic, message.payload, _QOS, message.retain)
        with self._lock:
            wall_ns = self._early.pop(info.mid, None)
            if wall_ns is None:
                self._waiting[info.mid] = acknowledged
        if wall_ns is not None:
            acknowledged(wall_ns)
        return True

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(
        self, client: mqtt.Client, _user: Any, _flags: mqtt.ConnectFlags, reason: ReasonCode, _props: Properties | None
    ) -> None:
        if reason.is_failure:
            return
        if self._handlers:
            client.subscribe([(topic, _QOS) for topic in self._handlers])
        self.connected.set()
        self._on_link(True)

    def _disconnected(
        self,
        _client: mqtt.Client,
        _user: Any,
        _flags: mqtt.DisconnectFlags,
        _reason: ReasonCode,
        _props: Properties | None,
    ) -> None:
        if self.connected.is_set():
            self.connected.clear()
            self._on_link(False)

    def _message(self, _client: mqtt.Client, _user: Any, message: mqtt.MQTTMessage) -> None:
        handler = self._handlers.get(message.topic)
        if handler is not None:
            handler(bytes(message.payload), time.time_ns())

    def _published(self, _client: mqtt.Client, _user: Any, mid: int, _reason: ReasonCode, _props: Properties) -> None:
        wall_ns = time.time_ns()
        with self._lock:
            acknowledged = self._waiting.pop(mid, None)
            if acknowledged is None:
                self._early[mid] = wall_ns
        if acknowledged is not None:
            acknowledged(wall_ns)
