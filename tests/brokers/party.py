"""The brokers that the product ships or documents, each with exactly that configuration, and clients to speak to them.

mosquitto-center    docs/operations.md section 1
mosquitto-home      docs/operations.md section 4
mosquitto-default   Debian's own defaults: what the two above are there for
rumqttd             the demo's embedded broker
"""

from __future__ import annotations

import os
import re
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.enums import MQTTProtocolVersion as Version
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cloud_processes import until
from hearthline_sim.demo.broker import plan_broker
from servers import HOST, Server, find_binary, free_ports

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
V311, V5 = Version.MQTTv311, Version.MQTTv5
VERSIONS = {"3.1.1": V311, "5": V5}
PATIENCE_S = 20.0
_SECTIONS = {"mosquitto-center": "## 1 ", "mosquitto-home": "## 4 "}
_OF_THE_TEST = ("listener", "allow_anonymous", "password_file", "acl_file")  # places and logins, not behaviour


@dataclass
class Broker:
    """A running broker. `port(version)`: where it speaks that MQTT."""

    name: str
    server: Server
    ports: dict[Version, int]

    def port(self, version: Version) -> int:
        return self.ports[version]


def documented(name: str) -> list[str]:
    """The lines of mosquitto's configuration that docs/operations.md gives for this broker."""
    if name == "mosquitto-default":
        return []
    section = OPERATIONS.read_text(encoding="utf-8").split(_SECTIONS[name], 1)[1]
    block = re.search(r"```\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return [line for line in block[1].splitlines() if line and not line.startswith(_OF_THE_TEST)]


@contextmanager
def broker(name: str, folder: Path, extra: tuple[str, ...] = ()) -> Iterator[Broker]:
    """The named broker, until the block ends."""
    if name == "rumqttd":
        plan = plan_broker(folder, "tested")
        if "iotcore" not in plan.command:
            assert os.environ.get("CI") != "true", "CI needs the demo's embedded broker"
            pytest.skip("the demo's embedded broker has no wheel for this machine")
        made = Broker(name, Server(name, plan.command, plan.port_v5, folder), {V311: plan.port_v311, V5: plan.port_v5})
    else:
        (port,) = free_ports(1)
        # Debian's mosquitto.conf itself sets persistence and its place.
        lines = [
            f"listener {port} {HOST}",
            "allow_anonymous true",
            "persistence true",
            f"persistence_location {folder}/",
        ]
        if os.geteuid() == 0:
            lines.append("user root")
        config = folder / f"{name}.conf"
        config.write_text("\n".join([*lines, *documented(name), *extra, ""]), encoding="utf-8")
        command = [find_binary("mosquitto"), "-c", str(config)]
        made = Broker(name, Server(name, command, port, folder), {V311: port, V5: port})
    try:
        made.server.start()
        yield made
    finally:
        made.server.stop()


@dataclass(frozen=True, slots=True)
class Heard:
    topic: str
    payload: bytes
    mid: int
    dup: bool
    retained: bool


class Client:
    """A paho client that acknowledges by hand, reconnects never, and remembers what it heard.

    `window`: the receive maximum that it asks for (MQTT 5). `will`: its last will, (topic, payload).
    """

    def __init__(
        self,
        port: int,
        version: Version = V5,
        name: str = "",
        *,
        persistent: bool = True,
        window: int | None = None,
        will: tuple[str, bytes] | None = None,
        username: str | None = None,
    ) -> None:
        self.name = name or f"c-{uuid.uuid4().hex[:12]}"
        self.heard: list[Heard] = []
        self.session_present: bool | None = None
        self.ended = threading.Event()
        self.refused: str = ""
        self.subscribed = threading.Event()
        options: dict[str, Any] = {"clean_session": not persistent} if version == V311 else {}
        self.paho = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.name,
            protocol=version,
            manual_ack=True,
            reconnect_on_failure=False,
            **options,
        )
        if username is not None:
            self.paho.username_pw_set(username, "secret")
        if will is not None:
            self.paho.will_set(*will, qos=1, retain=True)
        self.paho.max_inflight_messages_set(1000)
        self.paho.on_connect = self._connected
        self.paho.on_message = self._message
        self.paho.on_subscribe = lambda *_: self.subscribed.set()
        self.paho.on_disconnect = self._disconnected
        start: dict[str, Any] = {}
        if version == V5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = 3600 if persistent else 0
            if window is not None:
                properties.ReceiveMaximum = window
            start = {"clean_start": not persistent, "properties": properties}
        self.paho.connect(HOST, port, keepalive=20, **start)
        self.paho.loop_start()
        until(lambda: self.session_present is not None or self.ended.is_set(), PATIENCE_S)

    def subscribe(self, topic: str, qos: int = 1) -> Client:
        self.paho.subscribe(topic, qos)
        assert self.subscribed.wait(PATIENCE_S)
        return self

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        """Returns when the broker has acknowledged."""
        self.paho.publish(topic, payload, qos, retain).wait_for_publish(PATIENCE_S)

    def publish_all(self, topic: str, payloads: list[bytes], qos: int = 1) -> None:
        sent = [self.paho.publish(topic, payload, qos) for payload in payloads]
        for each in sent:
            each.wait_for_publish(PATIENCE_S)

    def wait(self, count: int) -> list[Heard]:
        """The messages heard, as soon as there are this many."""
        until(lambda: len(self.heard) >= count, PATIENCE_S)
        return list(self.heard)

    def settle(self) -> None:
        """Two round trips to the broker: what it had to send to us before is here."""
        for number in range(2):
            self.subscribed.clear()
            self.subscribe(f"settled/{self.name}/{number}")

    def ack(self, *messages: Heard) -> None:
        for message in messages:
            self.paho.ack(message.mid, 1)

    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.heard]

    def leave(self) -> None:
        """A clean DISCONNECT; the session stays. What was acknowledged before has been read by the broker."""
        self.paho.disconnect()
        self.paho.loop_stop()

    def break_off(self) -> None:
        """The connection ends without a word."""
        link = self.paho.socket()
        if isinstance(link, socket.socket):
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        self.paho.loop_stop()

    def _connected(self, client: paho.Client, data: Any, flags: Any, reason: Any, props: Any) -> None:
        if not reason.is_failure:
            self.session_present = bool(flags.session_present)

    def _message(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        self.heard.append(
            Heard(message.topic, bytes(message.payload), message.mid, bool(message.dup), bool(message.retain))
        )

    def _disconnected(self, client: paho.Client, data: Any, flags: Any, reason: Any, props: Any) -> None:
        self.refused = str(reason)
        self.ended.set()
