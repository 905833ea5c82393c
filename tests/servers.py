"""Real servers for tests and benchmarks, on free loopback ports, each stopped by its own process id.

    with influxd(directory) as server:
        server.kill()   # SIGKILL
        server.start()  # the same port and data

A test that needs a server asks for it in a fixture: a missing binary skips with its name, and fails where CI=true.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg
import pytest
from psycopg import sql

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
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} is not running"
        return self.process.pid

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.log"

    def answers(self) -> bool:
        return port_answers(self.port)

    def start(self) -> None:
        """Start it and wait until its port answers; raises RuntimeError with the end of its log."""
        assert self.process is None, f"{self.name} is running already"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                **_as_user(self.user),
            )
        deadline = time.monotonic() + _READY_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                tail = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} did not answer on port {self.port}:\n{tail}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """SIGTERM and wait; SIGKILL when it does not go."""
        if self.process is None:
            return
        self.process.send_signal(self.stop_signal)
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
def victoria_metrics(directory: Path) -> Iterator[Influxd]:
    """VictoriaMetrics, which takes what InfluxDB 2.x takes at /api/v2/write; it answers before it has written."""
    (port,) = free_ports(1)
    command = [
        find_binary("victoria-metrics"),
        f"-httpListenAddr={HOST}:{port}",
        f"-storageDataPath={directory / 'victoria'}",
        "-retentionPeriod=100y",
        "-memory.allowedBytes=64MiB",
        "-loggerLevel=WARN",
    ]
    yield from _running(Influxd("victoria-metrics", command, port, directory))


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


@dataclass
class Postgresql(Server):
    """A cluster of its own; every database of it belongs to the user `hearthline`, who needs no password."""

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://hearthline@{HOST}:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """For the test's own statements, each committed at once."""
        return psycopg.connect(
            host=HOST, port=self.port, user="hearthline", dbname=database, autocommit=True, connect_timeout=5
        )

    def create(self, database: str, template: str = "template1") -> str:
        """A new database; its URL. A copy of files, for a log of it takes seven times as long."""
        statement = "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy"
        with self.connect() as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(database), sql.Identifier(template)))
        return self.url(database)

    def drop(self, database: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))

    def answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL the postmaster; its children see that and end, and without them it can be started again."""
        children = [] if self.process is None else psutil.Process(self.pid).children()
        super().kill()
        _, left = psutil.wait_procs(children, _STOP_S)
        assert not left, left


@contextmanager
def postgresql(parent: Path | None = None, **settings: str) -> Iterator[Postgresql]:
    """PostgreSQL with its data in a folder of `parent` that its user can reach; fsync is on."""
    binaries = find_postgresql()
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    with tempfile.TemporaryDirectory(prefix="hearthline-pg-", dir=parent) as name:
        directory = Path(name)
        if user is not None:
            shutil.chown(directory, user)
        subprocess.run(
            [
                *(binaries / "initdb", "-D", directory / "data", "-U", "hearthline", "-A", "trust"),
                *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            check=True,
            timeout=60,
            cwd=directory,
            stdout=subprocess.DEVNULL,
            **_as_user(user),
        )
        (port,) = free_ports(1)
        options = {"listen_addresses": HOST, "unix_socket_directories": str(directory), "shared_buffers": "32MB"}
        command = [str(binaries / "postgres"), "-D", str(directory / "data"), "-p", str(port)]
        command += [f"--{key}={value}" for key, value in (options | settings).items()]
        fast = signal.SIGINT  # SIGTERM would wait until every client has gone
        yield from _running(Postgresql("postgresql", command, port, directory, user, fast))


def find_postgresql() -> Path:
    """The folder of its binaries, the newest version's."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        return Path(find_binary("postgres")).parent
    return found[-1].parent


def _as_user(name: str | None) -> dict[str, Any]:
    if name is None:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


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
        reason = f"{name} is not installed; on Debian: apt-get install influxdb mosquitto postgresql victoria-metrics"
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
