"""The desk role's ear for gateways that renew their certificates: `up/certificate` in, `down/certificate` out.

It has a connection and a thread of its own, beside the keeper, which has a second to throw a stolen gateway out, and
far from the ingester, which has alarms to take. Nothing is kept: a gateway that hears nothing asks again. Of each
gateway its last word alone waits, and words are taken slowly: one that never stops holds up no other, and no press.
"""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from sqlalchemy import delete

from hearthline import wire
from hearthline.errors import ConfigError, ProtocolError
from hearthline.log import Log
from hearthline_cloud import withdrawn
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database
from hearthline_cloud.desk import beat
from hearthline_cloud.identity.authority import Authority, RequestError
from hearthline_cloud.identity.broker import KEEPER
from hearthline_cloud.identity.certificates import utc
from hearthline_cloud.identity.keeping import keeper_password
from hearthline_cloud.identity.renewal import is_news, renew, take_use
from hearthline_cloud.ingest.mqtt_client import BareClient
from hearthline_cloud.loop import Loop, patiently
from hearthline_cloud.schema import heartbeat
from hearthline_cloud.telling import Fault, FaultKind

ROLE = "renewal"  # of the heartbeat
_MOST_WAITING = 4000  # words; whoever comes later asks again
_PERIOD_S = 1.0
_BREATH_S = 0.02  # after each word: who waits for the database's lock looks every 2 ms, and would never find it free
_PAUSE_S = 0.2  # after all that waited
_LOOK_S = 60.0  # at the issuing key: its fault is told before the first gateway asks
_SUBSCRIBE_AGAIN_S = 5.0  # the keeper may just be giving this account its rights
_CONNECT_S = 4.0
log = Log(__name__)


class Renewer(Loop):
    """Start it, ask `failed()` now and then, stop it."""

    def __init__(self, config: CloudConfig, database: Database) -> None:
        """Raises ConfigError with the key."""
        super().__init__("renewal")
        self._folder = Path(config.identity.folder)
        self._broker = config.broker
        self._withdrawn = config.withdrawn_path
        self._database = database
        self._client = self._make_client(keeper_password(config.identity))
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, bool], bytes] = {}
        self._came = threading.Event()
        self._deaf_since: float | None = None
        self._looked_at = float("-inf")
        self._told: str | None = None

    def _make_client(self, password: str) -> paho.Client:
        name = f"{KEEPER}-renewal-{secrets.token_hex(4)}"
        client = BareClient(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
        client.username_pw_set(KEEPER, password)
        if self._broker.ca_file is not None:
            client.tls_set(self._broker.ca_file, self._broker.cert_file, self._broker.key_file)
        client.connect_timeout = _CONNECT_S
        client.reconnect_delay_set(1, 5)
        client.on_connect, client.on_subscribe = self._connected, self._subscribed
        client.on_message = self._arrived
        return client

    def start(self) -> None:
        self._client.connect_async(self._broker.host, self._broker.port, keepalive=20)
        self._client.loop_start()
        super().start()

    def stop(self) -> None:
        self._stopping.set()
        self._came.set()
        super().stop()
        self._client.disconnect()
        self._client.loop_stop()

    def _work(self) -> None:
        while not self._stopping.is_set():
            patiently("gateways will ask again", lambda: self._round(time.time_ns(), time.monotonic()))
            self._came.wait(_PERIOD_S)

    def _round(self, now_ns: int, mono_s: float) -> None:
        if self._deaf_since is not None and mono_s - self._deaf_since > _SUBSCRIBE_AGAIN_S:
            self._deaf_since = None
            self._subscribe()
        if mono_s - self._looked_at > _LOOK_S:
            self._looked_at = mono_s
            self._open(now_ns)
        self._came.clear()
        with self._lock:
            words, self._waiting = self._waiting, {}
        for (gateway, _), payload in words.items():
            if self._stopping.is_set():
                return
            self._take(gateway, payload, now_ns)
            self._stopping.wait(_BREATH_S)
        self._stopping.wait(_PAUSE_S if words else 0)

    def _take(self, gateway: str, payload: bytes, now_ns: int) -> None:
        try:
            word = wire.decode_certificate_word(payload)
        except ProtocolError as error:
            log.warning("a word about a certificate was not understood", gateway=gateway, error=str(error))
            return
        with self._database.reading() as connection:
            news = is_news(connection, gateway, word.serial)
        if news:
            self._take_use(gateway, word.serial, now_ns)
        if word.request:
            answer = self._answer(gateway, word, now_ns)
            if answer is not None:
                self._client.publish(wire.topic(gateway, wire.DOWN_CERTIFICATE), wire.encode(answer), qos=1)

    def _take_use(self, gateway: str, serial: str, now_ns: int) -> None:
        with self._database.transaction() as connection:
            revoked = take_use(connection, gateway, serial, now_ns)
            line = withdrawn.revoked(connection, gateway, now_ns)
        if revoked:
            withdrawn.note_or_tell(self._withdrawn, line)

    def _answer(self, gateway: str, word: wire.CertificateWord, now_ns: int) -> wire.CertificateAnswer | None:
        authority = self._open(now_ns)
        if authority is None:
            return None
        try:
            with self._database.transaction() as connection:
                answer = renew(connection, authority, gateway, word, now_ns)
        except RequestError as error:
            log.warning("a renewal was refused", gateway=gateway, reason=str(error))
            return wire.CertificateAnswer(key=error.key, refused=str(error)) if error.key else None
        log.info("a gateway's certificates were renewed", gateway=gateway)
        return answer

    def _open(self, now_ns: int) -> Authority | None:
        """The issuing key, if it is here and may be used; that it is not is told."""
        try:
            authority = Authority(self._folder, utc(now_ns))
        except ConfigError as error:
            self._tell(str(error), now_ns)
            return None
        self._tell("", now_ns)
        return authority

    def _tell(self, why: str, now_ns: int) -> None:
        if why == self._told:
            return
        faults = [Fault(FaultKind.RENEWAL, {"why": why}).as_row()] if why else []
        if why:
            log.error("no gateway's certificate can be renewed", why=why)
        with self._database.transaction() as connection:
            beat(connection, ROLE, now_ns, {"faults": faults})
        self._told = why

    # --- paho's thread ---

    def _connected(self, client: paho.Client, data: Any, flags: Any, reason: ReasonCode, props: Any) -> None:
        if not reason.is_failure:
            self._subscribe()

    def _subscribe(self) -> None:
        self._client.subscribe(wire.topic("+", wire.UP_CERTIFICATE), 1)

    def _subscribed(self, client: paho.Client, data: Any, mid: int, reasons: list[ReasonCode], props: Any) -> None:
        self._deaf_since = time.monotonic() if any(reason.is_failure for reason in reasons) else None

    def _arrived(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        gateway = None
        with suppress(UnicodeDecodeError):
            gateway = wire.gateway_of(message.topic)
        if gateway is None or message.retain:
            return
        payload = bytes(message.payload)
        key = (gateway, b'"request"' in payload)
        with self._lock:
            if key in self._waiting or len(self._waiting) < _MOST_WAITING:
                self._waiting[key] = payload
        self._came.set()


def forget(database: Database) -> None:
    """The section is gone from the configuration: nobody waits for what it says."""
    with database.transaction() as connection:
        connection.execute(delete(heartbeat).where(heartbeat.c.role == ROLE))
