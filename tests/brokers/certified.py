"""A center with its own certificate authority and mosquitto as `hearthline cloud broker-config` writes it, with TLS.

An observer that the product does not have may hear every topic: what crosses from one gateway to another is seen by it
wherever it goes.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.enums import MQTTProtocolVersion as Version
from sqlalchemy import insert, select

from cloud_processes import until
from hearthline.clock import NS
from hearthline_cloud import commands_identity as commands
from hearthline_cloud import schema
from hearthline_cloud.database import Database, sqlite_url
from hearthline_cloud.identity import certificates
from hearthline_cloud.identity.authority import Authority, key_pem, write_secret
from hearthline_cloud.identity.broker import CONF, INGEST, STATE
from servers import HOST, Server, find_binary, free_ports

PATIENCE_S = 20.0
OBSERVER = ("observer", "sees all")
V311, V5 = Version.MQTTv311, Version.MQTTv5


@dataclass
class Place:
    """The center's folder: cloud.toml, pki, broker, root, and one folder a gateway."""

    folder: Path
    port: int
    local_port: int
    server: Server

    @property
    def config(self) -> Path:
        return self.folder / "cloud.toml"

    @property
    def broker(self) -> Path:
        return self.folder / "broker"

    @property
    def state(self) -> dict[str, Any]:
        """The plugin writes its file in place: whoever reads in the middle of it reads again."""

        def read() -> dict[str, Any] | None:
            with suppress(json.JSONDecodeError):
                found: dict[str, Any] = json.loads((self.broker / STATE).read_bytes())
                return found
            return None

        found: dict[str, Any] = until(read, PATIENCE_S)
        return found

    def database(self) -> Database:
        return Database(sqlite_url(self.folder / "hearthline.db"))

    def register(self, *gateways: str) -> None:
        database = self.database()
        database.migrate()
        with database.transaction() as connection:
            for gateway in gateways:
                connection.execute(insert(schema.gateway).values(id=gateway))
        database.close()

    def issue(self, gateway: str, folder: str = "") -> Path:
        out = self.folder / (folder or gateway)
        commands.issue(gateway, out, self.config)
        return out

    def issue_aged(self, gateway: str, days: float, folder: str = "") -> Path:
        """Certificates that were made so many days ago."""
        out = self.folder / (folder or gateway)
        out.mkdir(mode=0o700, exist_ok=True)
        key, at_ns = ec.generate_private_key(ec.SECP256R1()), time.time_ns() - round(days * 24 * 3600) * NS
        authority = Authority(self.folder / "pki", datetime.now(UTC))
        database = self.database()
        with database.transaction() as connection:
            made = certificates.issue(connection, authority, gateway, key.public_key(), at_ns, "mei")
        database.close()
        write_secret(out / commands.KEY, key_pem(key))
        for name, each in zip((commands.CERTIFICATE, commands.SECOND_CERTIFICATE), made, strict=True):
            (out / name).write_bytes(each.pem)
        (out / commands.ROOT).write_bytes((self.folder / "root" / "root.crt").read_bytes())
        return out

    def password(self, name: str) -> str:
        return (self.broker / f"{name}.password").read_text(encoding="ascii").strip()


def identity_table(folder: Path, port: int, host: str = HOST, names: Sequence[str] = (HOST, "localhost")) -> str:
    """`[identity]` of a center in this folder, whose broker gateways find at these names."""
    known = ", ".join(f'"{name}"' for name in names)
    return (
        f'[identity]\nfolder = "{folder}/pki"\nbroker = "{folder}/broker"\nnames = [{known}]\n'
        f'host = "{host}"\nport = {port}\n'
    )


def broker_login(folder: Path) -> str:
    """Of the ingester, as lines of `[broker]`."""
    return f'username = "{INGEST}"\npassword_file = "{folder}/broker/{INGEST}.password"\n'


def place(
    folder: Path,
    gateways: tuple[str, ...],
    extra: str = "",
    host: str = HOST,
    names: Sequence[str] = (HOST, "localhost"),
) -> Place:
    """Everything made by the product's own commands; the broker does not run yet."""
    port, local_port = free_ports(2)
    config = folder / "cloud.toml"
    config.write_text(
        f'data_dir = "{folder}"\n'
        f'[broker]\nhost = "{HOST}"\nport = {local_port}\n{broker_login(folder)}'
        f"{identity_table(folder, port, host, names)}{extra}\n[self_test]\nenabled = false\n",
        encoding="utf-8",
    )
    commands.init(folder / "root", "East")
    commands.issuing(folder / "root", config, "East")
    command = [find_binary("mosquitto"), "-c", str(folder / "broker" / CONF)]
    made = Place(folder, port, local_port, Server("mosquitto", command, local_port, folder))
    made.register(*gateways)
    for gateway in gateways:
        made.issue(gateway)
    commands.broker_config(config)
    if os.geteuid() == 0:  # else it drops to a user that cannot read the folder
        with (made.broker / CONF).open("a", encoding="utf-8") as file:
            file.write("user root\n")
    return made


def observe_all(made: Place) -> None:
    """Give this broker an account that may do everything; before its start."""
    from hearthline_cloud.identity.broker import _hashed

    state = made.state
    kinds = ("publishClientSend", "publishClientReceive", "subscribePattern")
    acls = [
        {"acltype": kind, "topic": topic, "priority": 0, "allow": True}
        for kind in kinds
        for topic in ("#", "$SYS/#", "$CONTROL/#", "$share/#")
    ]
    state["roles"].append({"rolename": "all", "acls": acls})
    state["clients"].append({"username": OBSERVER[0], "roles": [{"rolename": "all"}], **_hashed(OBSERVER[1])})
    (made.broker / STATE).write_text(json.dumps(state), encoding="utf-8")


@contextmanager
def running(made: Place) -> Iterator[Place]:
    try:
        made.server.start()
        yield made
    finally:
        made.server.stop()


class Client:
    """A paho client that reconnects never and remembers what it was told. `at`: its certificates; else a password."""

    def __init__(
        self,
        made: Place,
        *,
        at: Path | None = None,
        second: bool = False,
        login: tuple[str, str] | None = None,
        version: Version = V5,
        name: str = "some",
        will: tuple[str, bytes] | None = None,
        persistent: bool = False,
        port: int | None = None,
    ) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.connected: bool | None = None
        self.session_present = False
        self.ended = threading.Event()
        self.why = ""
        self._published: dict[int, str] = {}
        self._granted: dict[int, list[bool]] = {}
        options: dict[str, Any] = {"clean_session": not persistent} if version == V311 else {}
        self.paho = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=version, reconnect_on_failure=False, **options
        )
        self.paho.max_inflight_messages_set(1000)
        if login is not None:
            self.paho.username_pw_set(*login)
        if at is not None:
            self.paho.tls_set_context(tls(made, at, second))
        if will is not None:
            self.paho.will_set(*will, qos=1, retain=True)
        self.paho.on_connect = self._on_connect
        self.paho.on_disconnect = self._on_disconnect
        self.paho.on_message = lambda client, data, message: self.heard.append((message.topic, bytes(message.payload)))
        self.paho.on_publish = lambda client, data, mid, reason, props: self._published.update({mid: str(reason)})
        self.paho.on_subscribe = lambda client, data, mid, reasons, props: self._granted.update(
            {mid: [not reason.is_failure for reason in reasons]}
        )
        try:
            self.paho.connect(HOST, port or (made.local_port if at is None else made.port), keepalive=20)
        except OSError as error:
            self.connected, self.why = False, str(error)
            self.ended.set()
            return
        self.paho.loop_start()
        until(lambda: self.connected is not None or self.ended.is_set(), PATIENCE_S)

    @property
    def is_in(self) -> bool:
        return bool(self.connected) and not self.ended.is_set()

    def subscribe(self, *filters: str) -> list[bool]:
        """Which of them were granted; one packet each."""
        asked = [self.paho.subscribe(each, 1)[1] or 0 for each in filters]
        until(lambda: all(mid in self._granted for mid in asked) or self.ended.is_set(), PATIENCE_S)
        return [mid in self._granted and self._granted[mid][0] for mid in asked]

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> paho.MQTTMessageInfo:
        return self.paho.publish(topic, payload, qos, retain)

    def told(self, info: paho.MQTTMessageInfo) -> str:
        """What the broker answered."""
        until(lambda: info.mid in self._published or self.ended.is_set(), PATIENCE_S)
        return self._published.get(info.mid, "")

    def wait(self, topic: str, payload: bytes) -> None:
        until(lambda: (topic, payload) in self.heard, PATIENCE_S)

    def break_off(self) -> None:
        """The connection ends without a word: the broker sends the last will."""
        link = self.paho.socket()
        if isinstance(link, socket.socket):
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        self.paho.loop_stop()

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()

    def _on_connect(self, client: paho.Client, data: Any, flags: Any, reason: Any, props: Any) -> None:
        self.session_present = bool(flags.session_present)
        self.why = str(reason)
        self.connected = not reason.is_failure

    def _on_disconnect(self, client: paho.Client, data: Any, flags: Any, reason: Any, props: Any) -> None:
        self.ended_at = time.monotonic()
        self.why = str(reason)
        self.ended.set()


def tls(made: Place, at: Path, second: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=made.folder / "root" / "root.crt")
    context.load_cert_chain(at / (commands.SECOND_CERTIFICATE if second else commands.CERTIFICATE), at / commands.KEY)
    return context


def ingester(made: Place, **more: Any) -> Client:
    return Client(made, login=(INGEST, made.password(INGEST)), name="hearthline-ingest-test", **more)


def observer(made: Place) -> Client:
    return Client(made, login=OBSERVER, name="observer")


@contextmanager
def roles(made: Place, *names: str) -> Iterator[subprocess.Popen[bytes]]:
    """The cloud's roles as a process, as the product runs them."""
    command = [sys.executable, "-m", "hearthline_cloud", "--config", str(made.config)]
    for name in names:
        command += ["--role", name]
    with (made.folder / "cloud.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def faults(made: Place) -> dict[str, str]:
    """What the keeper says that is wrong, by kind; {"keeper": "not heard"} before it has said anything."""
    database = made.database()
    with database.reading() as connection:
        row = connection.execute(select(schema.heartbeat).where(schema.heartbeat.c.role == "keeper")).first()
    database.close()
    if row is None:
        return {"keeper": "not heard"}
    return {fault["kind"]: fault["text"] for fault in row.detail.get("faults", ())}
