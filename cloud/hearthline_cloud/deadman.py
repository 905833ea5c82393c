"""The dead-man ping: an outside service hears that the whole center works, and calls people when it hears nothing.

    every period:  write the database --> ingester fresh, with its broker --> escalation, supervision fresh
                   --> the console answers, where it runs here --> one request to the outside, with the journal's head

A part that is missing means no ping; so does a death of this process, of its machine, or of the line. What it sends is
an anchor too: whoever keeps the hashes finds out when the journal was written anew. It is a thread of its own, for an
outside service that hangs must hold nothing up.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import urllib3
from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError
from urllib3.util import Timeout

from hearthline.clock import NS, rfc3339
from hearthline.config import read_secret
from hearthline.errors import ConfigError
from hearthline.log import Log
from hearthline_cloud import journal
from hearthline_cloud.alerts.supervision import is_alive
from hearthline_cloud.config import DeadmanConfig, WebConfig
from hearthline_cloud.database import Database
from hearthline_cloud.desk import beat
from hearthline_cloud.loop import Loop
from hearthline_cloud.schema import heartbeat
from hearthline_cloud.supervising import SUPERVISION

ROLE = "deadman"  # of the heartbeat that says how it stands
ESCALATION_FRESH_S = 15  # it says every 5 s that it lives
DESK_FRESH_S = 30
_WEB_TIMEOUT_S = 2.0
_RETRY_S = (1.0, 16.0)
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
log = Log(__name__)

Beats = Mapping[str, tuple[int, Mapping[str, Any]]]  # role -> (when it last said that it lives, what it said)


class DeadMan(Loop):
    """Start it, ask `failed()` now and then, stop it. `web`: where this process's console listens, if it has one."""

    def __init__(self, config: DeadmanConfig, database: Database, web: WebConfig | None) -> None:
        """Raises ConfigError with the key."""
        super().__init__("deadman")
        self._config = config
        self._url = _url_of(config)
        self._healthz = None if web is None else _healthz_of(web)
        self._database = database
        self._pool = urllib3.PoolManager(num_pools=2, retries=False)
        self._told = ""

    def _work(self) -> None:
        pause_s, longest_s = _RETRY_S
        while not self._stopping.is_set():
            fault = self._round()
            if fault != self._told:
                log.warning("no dead-man ping", fault=fault) if fault else log.info("dead-man ping sent")
                self._told = fault
            self._stopping.wait(min(pause_s, self._config.period_s) if fault else self._config.period_s)
            pause_s = min(pause_s * 2, longest_s) if fault else _RETRY_S[0]

    def _round(self) -> str:
        """Ping if everything works; what went wrong, in words, else an empty string."""
        now_ns = time.time_ns()
        try:
            with self._database.transaction() as connection:
                detail = {"fault": self._told, "period_s": self._config.period_s}
                beat(connection, ROLE, now_ns, detail)
                head = journal.head(connection)
                beats = {row.role: (row.at_ns, row.detail) for row in connection.execute(select(heartbeat))}
            fault = missing(beats, now_ns) or self._ask_web() or self._ping(head, now_ns)
            if fault != self._told:
                with self._database.transaction() as connection:
                    beat(connection, ROLE, now_ns, {**detail, "fault": fault})
        except SQLAlchemyError:  # away, full, read-only: whatever it is, the center does not work
            return "the database cannot be written"
        return fault

    def _ask_web(self) -> str:
        if self._healthz is None:
            return ""
        status = self._request("GET", self._healthz, None, _WEB_TIMEOUT_S)
        return "" if status == "HTTP 200" else f"the console does not answer: {status}"

    def _ping(self, head: str, now_ns: int) -> str:
        body = msgspec.json.encode({"head": head, "at": rfc3339(now_ns)})
        is_post = self._config.method == "POST"
        status = self._request(self._config.method, self._url, body if is_post else None, self._config.timeout_s)
        return "" if status.startswith("HTTP 2") else f"the outside service did not take it: {status}"

    def _request(self, method: str, url: str, body: bytes | None, timeout_s: float) -> str:
        headers = {} if body is None else {"Content-Type": "application/json"}
        timeout = Timeout(total=timeout_s)
        try:
            answer = self._pool.request(
                method, url, body=body, headers=headers, timeout=timeout, preload_content=False, redirect=False
            )
            answer.close()
        except urllib3.exceptions.HTTPError as error:
            return type(error).__name__
        return f"HTTP {answer.status}"


def missing(beats: Beats, now_ns: int) -> str:
    """Which part of the center does not work, by the heartbeats; an empty string when all do."""
    at_ns, ingest = beats.get("ingest", (None, {}))
    if not is_alive(at_ns, now_ns):
        return "the ingester is not heard"
    if ingest.get("broker") is not True:
        return "the ingester has no broker"
    for role, limit_s in (("escalation", ESCALATION_FRESH_S), ("desk", DESK_FRESH_S)):
        at_ns, _ = beats.get(role, (None, {}))
        if at_ns is None or abs(now_ns - at_ns) > limit_s * NS:
            return f"the role {role} is not heard"
    _, supervision = beats.get(SUPERVISION, (0, {}))
    return f"supervision {supervision['fault']}" if supervision.get("fault") else ""


def readiness(at_ns: int, detail: Mapping[str, Any], now_ns: int) -> str:
    """`ok`, or why an outside service does not hear of this center, by the ping's own heartbeat."""
    if now_ns - at_ns > (2 * float(detail.get("period_s", 60)) + DESK_FRESH_S) * NS:
        return "not heard"
    return str(detail.get("fault") or "ok")


def forget(database: Database) -> None:
    """The section is gone from the configuration: nobody waits for its heartbeat."""
    with database.transaction() as connection:
        connection.execute(delete(heartbeat).where(heartbeat.c.role == ROLE))


def _url_of(config: DeadmanConfig) -> str:
    if not 1 <= config.period_s <= 3600:
        raise ConfigError(f"deadman.period_s = {config.period_s:g}: must be 1 to 3600 seconds")
    if not 0 < config.timeout_s <= 30:
        raise ConfigError(f"deadman.timeout_s = {config.timeout_s:g}: must be over 0, 30 at most")
    if (config.url is None) == (config.url_file is None):
        raise ConfigError("deadman needs url, or url_file where the URL is a secret, and not both")
    url = read_secret(config.url_file, "deadman.url_file") or config.url or ""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("deadman.url is no http or https URL")
    return url


def _healthz_of(web: WebConfig) -> str:
    host = _ANYWHERE.get(web.host, web.host)
    return f"http://[{host}]:{web.port}/healthz" if ":" in host else f"http://{host}:{web.port}/healthz"
