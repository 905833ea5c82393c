"""The cloud's roles as real processes, and a gateway over paho that keeps every record until the cloud has it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from cloud_center import TestGateway
from hearthline import wire
from hearthline.model import Lane
from hearthline.ranges import in_ranges
from personal_rows import lay_key
from servers import HOST

_RESEND_S = 0.5


def until(found: Callable[[], Any], seconds: float = 15.0, pause: float = 0.01) -> Any:
    """What `found` returns as soon as it is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (got := found()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(pause)
    return got


@dataclass
class Role:
    """`python -m hearthline_cloud --role …` with its data in `folder`."""

    folder: Path
    broker_port: int
    roles: tuple[str, ...] = ("ingest",)
    extra: str = ""
    broker_extra: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        return (self.folder / "cloud.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        config = self.folder / "cloud.toml"
        lay_key(self.folder)
        untested = "" if "[self_test]" in self.extra else "[self_test]\nenabled = false"
        config.write_text(
            f'data_dir = "{self.folder}"\n{self.extra}\n'
            f'[broker]\nhost = "{HOST}"\nport = {self.broker_port}\n{self.broker_extra}\n{untested}\n',
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "hearthline_cloud", "--config", str(config)]
        for role in self.roles:
            command += ["--role", role]
        with (self.folder / "cloud.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def stop(self, seconds: float = 5.0) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(seconds)
        self.process = None
        return code


@contextmanager
def running(role: Role) -> Iterator[Role]:
    role.start()
    try:
        yield role
    except AssertionError:
        print(role.log[-3000:])  # noqa: T201
        raise
    finally:
        role.kill()


class PlayedEdge:
    """Sends records, keeps them until `down/ack` names them, sends them again; `acked_at` by (lane, seq)."""

    def __init__(self, port: int, gateway: TestGateway | None = None, will: bool = False, resends: bool = True) -> None:
        self.gateway = gateway or TestGateway()
        self.kept: dict[tuple[Lane, int], bytes] = {}
        self.acked_at: dict[tuple[Lane, int], float] = {}
        self.refused: set[tuple[Lane, int]] = set()
        self.commands: list[wire.Command] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=self.gateway.id, protocol=paho.MQTTv5)
        self.client.reconnect_delay_set(1, 1)
        self.client.max_inflight_messages_set(1000)
        self.client.on_socket_open = _send_at_once
        self.client.on_connect = self._connected
        self.client.on_message = self._arrived
        self.client.on_subscribe = lambda *_: self._ready.set()
        if will:
            status = wire.encode(wire.Status(state="offline"))
            self.client.will_set(wire.topic(self.gateway.id, wire.UP_STATUS), status, qos=1, retain=True)
        self.client.connect_async(HOST, port, keepalive=20)
        self.client.loop_start()
        self._thread = threading.Thread(target=self._resend, daemon=True)
        if resends:
            self._thread.start()
        assert self._ready.wait(10)

    def send(self, what: wire.Event | wire.Pack) -> tuple[Lane, int]:
        lane = Lane.EVENT if isinstance(what, wire.Event) else Lane.TELEMETRY
        key = (lane, what.envelope.seq)
        with self._lock:
            self.kept[key] = self.gateway.message(what).payload
        self._publish(key)
        return key

    def say(self, state: str = "online") -> None:
        status = wire.encode(wire.Status(state=state, outbox=self.gateway.outbox))  # type: ignore[arg-type]
        self.client.publish(wire.topic(self.gateway.id, wire.UP_STATUS), status, qos=1, retain=True)

    def close(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.client.disconnect()
        self.client.loop_stop()

    def _publish(self, key: tuple[Lane, int]) -> None:
        payload = self.kept.get(key)
        if payload is not None:
            leaf = wire.UP_EVENT if key[0] is Lane.EVENT else wire.UP_TELEMETRY
            self.client.publish(wire.topic(self.gateway.id, leaf), payload, qos=1)

    def _resend(self) -> None:
        while not self._stopping.wait(_RESEND_S):
            with self._lock:
                keys = list(self.kept)
            if self.client.is_connected():
                for key in keys[:200]:
                    self._publish(key)

    def _connected(self, client: paho.Client, *_: Any) -> None:
        client.subscribe(wire.topic(self.gateway.id, "down/#"), 1)

    def _arrived(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        now = time.monotonic()
        if message.topic.endswith(wire.DOWN_COMMAND):
            self.commands.append(wire.decode_command(bytes(message.payload)))
            return
        ack = wire.decode_ack(bytes(message.payload))
        if ack.outbox != self.gateway.outbox:
            return
        with self._lock:
            for key in list(self.kept):
                named = ack.event if key[0] is Lane.EVENT else ack.telemetry
                if named is None:
                    continue
                if in_ranges(key[1], named):
                    self.acked_at.setdefault(key, now)
                    del self.kept[key]
                elif in_ranges(key[1], ack.refused):
                    self.refused.add(key)
                    del self.kept[key]


def _send_at_once(client: paho.Client, data: Any, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@contextmanager
def edge(port: int, resends: bool = True) -> Iterator[PlayedEdge]:
    made = PlayedEdge(port, resends=resends)
    try:
        yield made
    finally:
        made.close()


def play_a_home(port: int) -> None:
    """Be online until killed, with a last will."""
    home = PlayedEdge(port, will=True)
    home.say()
    time.sleep(60)
