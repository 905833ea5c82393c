"""One gateway under test: the agent as a process, a center that plays the ingester, and what happens in the home.

    PtyPort --> agent <--> local mosquitto <--> HomeEar
                  |
           center mosquitto <--> Center

Everything waits by polling with a deadline; nothing sleeps for luck.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from hearthline import wire
from hearthline.clock import SystemClock
from hearthline.model import Lane
from hearthline_edge.loading import load_edge_config
from hearthline_edge.outbox_view import look_into
from hearthline_sim.devices.enocean_pendant import rps
from servers import HOST

T = TypeVar("T")

WAIT_S = 12.0
_POLL_S = 0.01
SENDER = "01020304"
PENDANT = f"enocean:{SENDER}"


def wait_for(get: Callable[[], T], what: str, seconds: float = WAIT_S) -> T:
    """The first true value of `get`."""
    deadline = time.monotonic() + seconds
    while True:
        value = get()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(_POLL_S)


def steady(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """It holds now and for this long: for what must not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert holds(), what
        time.sleep(_POLL_S)


def press_telegram(button: int = 0, sender: str = SENDER) -> bytes:
    return rps(bytes.fromhex(sender), button << 5 | 0x10, 0x30, -60)


def release_telegram(sender: str = SENDER) -> bytes:
    return rps(bytes.fromhex(sender), 0x00, 0x20, -60)


class Client:
    """A paho client that is connected when made, with every message in the order of arrival."""

    def __init__(self, port: int, topics: tuple[str, ...], login: tuple[str, str] | None = None) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        if login is not None:
            self._client.username_pw_set(*login)
        self._topics = topics
        self._ready = threading.Event()
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._arrived
        self._client.reconnect_delay_set(1, 1)
        self._client.connect_async(HOST, port)
        self._client.loop_start()
        if topics:
            assert self._ready.wait(WAIT_S), "the test's client could not subscribe"
        wait_for(self._client.is_connected, "the test's client")

    def _connected(self, client: paho.Client, *_: Any) -> None:
        if self._topics:
            client.subscribe([(topic, 1) for topic in self._topics])

    def _arrived(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        self.messages.append((message.topic, bytes(message.payload), message.retain))

    @property
    def connected(self) -> bool:
        return self._client.is_connected()

    def publish(self, topic: str, payload: bytes | str, *, qos: int = 1, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(WAIT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Center(Client):
    """Plays the ingester for one gateway: collects, and acknowledges when told to (or at once)."""

    def __init__(
        self, port: int, gateway: str, *, acknowledge: bool = True, login: tuple[str, str] | None = None
    ) -> None:
        self.gateway = gateway
        self.acknowledge = acknowledge
        self.events: list[wire.Event] = []
        self.packs: list[wire.Pack] = []
        self.statuses: list[wire.Status] = []
        self.retained: list[wire.Status] = []
        self.order: list[str] = []  # "event" or "telemetry", as they came
        super().__init__(port, (wire.topic(gateway, "up/#"),), login)

    def _arrived(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        payload = bytes(message.payload)
        if message.topic.endswith(wire.UP_EVENT):
            event = wire.decode_event(payload)
            self.events.append(event)
            self.order.append("event")
            if self.acknowledge:
                self.ack([event])
        elif message.topic.endswith(wire.UP_TELEMETRY):
            assert len(payload) <= wire.MAX_PACK_BYTES
            pack = wire.decode_pack(payload)
            self.packs.append(pack)
            self.order.append("telemetry")
            if self.acknowledge:
                self.down(wire.DOWN_ACK, wire.make_ack(pack.envelope.outbox, Lane.TELEMETRY, [_one(pack)], []))
        elif payload:
            (self.retained if message.retain else self.statuses).append(wire.decode_status(payload))

    def ack(self, events: list[wire.Event]) -> None:
        for event in events:
            self.down(wire.DOWN_ACK, wire.make_ack(event.envelope.outbox, Lane.EVENT, [_one(event)], []))

    def refuse(self, event: wire.Event) -> None:
        self.down(wire.DOWN_ACK, wire.make_ack(event.envelope.outbox, Lane.EVENT, [], [_one(event)]))

    def down(self, leaf: str, message: wire.Ack | wire.Command) -> None:
        self._client.publish(wire.topic(self.gateway, leaf), wire.encode(message), qos=1)

    @property
    def alarms(self) -> list[wire.Event]:
        return self.of_type("hearthline.alarm.v1")

    def of_type(self, type_: str) -> list[wire.Event]:
        """One of each id, in the order of arrival."""
        return list({event.id: event for event in self.events if event.type == type_}.values())

    def wait_alarms(self, count: int, seconds: float = WAIT_S) -> list[wire.Event]:
        wait_for(lambda: len(self.alarms) >= count, f"{count} alarms, {len(self.alarms)} came", seconds)
        return self.alarms

    def fault(self, text: str) -> bool:
        """Whether the last status tells of it."""
        return bool(self.statuses) and any(text in fault for fault in self.statuses[-1].faults)


def _one(record: wire.Event | wire.Pack) -> tuple[int, int]:
    return record.envelope.seq, record.envelope.seq


class HomeEar(Client):
    """What the home hears: signals and the Zigbee siren."""

    def __init__(self, port: int, gateway: str, siren: str = "zigbee2mqtt/siren") -> None:
        self._gateway = gateway
        self._siren = f"{siren}/set"
        super().__init__(port, (f"hearthline/home/{gateway}/#", self._siren))

    def signals(self, kind: str) -> list[dict[str, Any]]:
        topic = f"hearthline/home/{self._gateway}/signal"
        bodies = [json.loads(body) for name, body, _ in list(self.messages) if name == topic]
        return [body for body in bodies if body["signal"] == kind]

    @property
    def siren(self) -> list[str]:
        """The modes that the siren was told, repeats left out."""
        modes = [json.loads(body)["warning"]["mode"] for name, body, _ in list(self.messages) if name == self._siren]
        return [mode for index, mode in enumerate(modes) if index == 0 or modes[index - 1] != mode]

    @property
    def sounding(self) -> bool:
        return self.siren[-1:] == ["emergency"]

    def reset(self) -> None:
        self.publish(f"hearthline/home/{self._gateway}/reset", b"")


@dataclass
class Gateway:
    """The agent as a process, with its configuration and its folder."""

    folder: Path
    name: str
    center_port: int
    local_port: int | None = None
    serial: dict[str, tuple[Path, str]] = field(default_factory=dict)  # name: (port, driver)
    top: str = ""  # further top-level keys, as TOML
    tables: str = ""  # further tables
    uplink: str = ""
    log_level: str = "debug"
    data_dir: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    began: int = 0  # where in its log the last start is

    @property
    def config(self) -> Path:
        return self.folder / "edge.toml"

    @property
    def data(self) -> Path:
        return self.data_dir or self.folder / "data"

    def write_config(self) -> Path:
        lines = [f'gateway = "{self.name}"', f'data_dir = "{self.data}"', f'log_level = "{self.log_level}"', self.top]
        if "gather_s" not in self.top:
            lines.append("gather_s = 0.2")  # a test need not wait for as long as a card wants
        lines += ["[uplink]", f'host = "{HOST}"', f"port = {self.center_port}", self.uplink]
        if self.local_port is not None:
            lines += ["[local_mqtt]", f"port = {self.local_port}"]
        for name, (port, driver) in self.serial.items():
            lines += ["[[serial]]", f'name = "{name}"', f'port = "{port}"', f'driver = "{driver}"', 'parity = "N"']
        self.data.mkdir(parents=True, exist_ok=True)
        self.config.write_text("\n".join([*lines, self.tables, ""]), encoding="utf-8")
        return self.config

    def start(self, *, ready: bool = True) -> None:
        self.write_config()
        self.began = len(self.log_text())
        with (self.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hearthline_edge", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONWARNINGS": "error", **self.environment},
            )
        if ready:
            wait_for(lambda: self.told("agent running"), "the agent's start")

    def told(self, message: str) -> int:
        """How often the agent has logged this since its last start."""
        return self.log_text()[self.began :].count(message)

    def log_text(self) -> str:
        log = self.folder / "agent.log"
        return log.read_text(encoding="utf-8") if log.exists() else ""

    def send_signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL and wait."""
        self._end(signal.SIGKILL)

    def end(self) -> None:
        """Whatever its state: away with it."""
        if self.process is not None:
            self.kill()

    def stop(self) -> int:
        """SIGTERM and wait; the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(WAIT_S)
        self.process = None
        return code

    def outbox(self) -> dict[str, Any]:
        """What `hearthline edge outbox --json` says, also beside the running agent."""
        view = look_into(load_edge_config(self.config), SystemClock().now())
        found: dict[str, Any] = msgspec.to_builtins(view)
        return found


class NotifySocket:
    """A supervisor's NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        while True:
            try:
                self.heard.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard

    def close(self) -> None:
        self._socket.close()
