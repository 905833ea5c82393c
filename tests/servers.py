"""Real servers for tests and benchmarks, on free loopback ports, each stopped by its own process id.

    with influxd(directory) as server:
        server.kill()   # SIGKILL
        server.start()  # the same port and data

A test that needs a server asks for it in a fixture: a missing binary skips with its name, and fails where CI=true.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from hearthline_sim.demo.broker import free_port

HOST = "127.0.0.1"
_READY_S = 20.0
_STOP_S = 20.0
_POLL_S = 0.01

S = TypeVar("S", bound="Server")


@dataclass
class Server:
    """One server process that can be stopped, killed and started again on the same port and data."""

    name: str
    command: list[str]
    port: int
    directory: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} is not running"
        return self.process.pid

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.log"

    def start(self) -> None:
        """Start it and wait until its port answers; raises RuntimeError with the end of its log."""
        assert self.process is None, f"{self.name} is running already"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self.directory
            )
        deadline = time.monotonic() + _READY_S
        while not port_answers(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                tail = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} did not answer on port {self.port}:\n{tail}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """SIGTERM and wait; SIGKILL when it does not go."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(_STOP_S)
        self.process = None

    def kill(self) -> None:
        """SIGKILL and wait."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait(_STOP_S)
        self.process = None


@dataclass
class Influxd(Server):
    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


@contextmanager
def influxd(
    directory: Path,
    *,
    auth: bool = False,
    data_options: dict[str, int] | None = None,
    http_options: dict[str, int] | None = None,
) -> Iterator[Influxd]:
    """InfluxDB 1.x with its data in `directory`. The options: numbers for its [data] and [http] sections."""
    binary = find_binary("influxd")
    port, rpc_port = free_ports(2)
    data = "".join(f"  {key} = {value}\n" for key, value in (data_options or {}).items())
    http = "".join(f"  {key} = {value}\n" for key, value in (http_options or {}).items())
    config = directory / "influxdb.conf"
    config.write_text(
        f"""reporting-disabled = true
bind-address = "{HOST}:{rpc_port}"
[meta]
  dir = "{directory / "meta"}"
[data]
  dir = "{directory / "data"}"
  wal-dir = "{directory / "wal"}"
  query-log-enabled = false
{data}[monitor]
  store-enabled = false
[http]
  bind-address = "{HOST}:{port}"
  auth-enabled = {str(auth).lower()}
  log-enabled = false
{http}[logging]
  level = "warn"
""",
        encoding="utf-8",
    )
    yield from _running(Influxd("influxd", [binary, "-config", str(config)], port, directory))


@contextmanager
def mosquitto(
    directory: Path,
    *,
    persistence: bool = False,
    username: str | None = None,
    password: str | None = None,
    extra: str = "",
) -> Iterator[Server]:
    """A mosquitto broker. With a username, anonymous clients are refused; `extra` is appended to its configuration."""
    binary = find_binary("mosquitto")
    (port,) = free_ports(1)
    lines = [
        f"listener {port} {HOST}",
        f"persistence {str(persistence).lower()}",
        "set_tcp_nodelay true",
        "max_queued_messages 100000",
        "max_inflight_messages 200",
        f"allow_anonymous {str(username is None).lower()}",
    ]
    if os.geteuid() == 0:
        lines.append("user root")  # otherwise it drops to a user that cannot write into `directory`
    if persistence:
        lines += [f"persistence_location {directory}/", "autosave_interval 1", "autosave_on_changes true"]
    if username is not None:
        passwords = directory / "passwords"
        passwords.touch(mode=0o600)
        subprocess.run(
            [find_binary("mosquitto_passwd"), "-b", str(passwords), username, password or ""], check=True, timeout=10
        )
        lines.append(f"password_file {passwords}")
    config = directory / "mosquitto.conf"
    config.write_text("\n".join([*lines, extra, ""]), encoding="utf-8")
    yield from _running(Server("mosquitto", [binary, "-c", str(config)], port, directory))


def _running(server: S) -> Iterator[S]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


def find_binary(name: str) -> str:
    """Its path, also from /usr/sbin. Without it the test is skipped visibly, or fails where CI=true."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"]))
    if found is None:
        reason = f"{name} is not installed; on Debian: apt-get install influxdb mosquitto"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different; none that an outgoing connection gets while a server is dead."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return list(ports)


def port_answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1.0).close()
    except OSError:
        return False
    return True
