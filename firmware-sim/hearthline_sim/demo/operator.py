"""The demo's operator: uses the center as a person's browser does, over its public API and its event stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import urllib3

from hearthline.errors import HearthlineError, LinkError

_TIMEOUT = urllib3.Timeout(connect=2, read=10)
_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Notice:
    """One row of the journal as the stream told it; `at_ns` is when it was read from the socket (Unix time)."""

    id: int
    body: dict[str, Any]
    at_ns: int


class Operator:
    """Logged in as one member of staff."""

    def __init__(self, url: str, name: str, password: str) -> None:
        self._url = url
        self._name = name
        self._password = password
        self._http = urllib3.PoolManager(timeout=_TIMEOUT, retries=False, maxsize=4)
        self._headers: dict[str, str] = {}

    def log_in(self) -> None:
        answer = self._call("POST", "/api/v1/login", {"name": self._name, "password": self._password})
        self._headers = {"Authorization": f"Bearer {answer['token']}"}

    def is_ready(self) -> bool:
        """Whether `/readyz` says so."""
        try:
            return self._http.request("GET", self._url + "/readyz").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def get(self, path: str, **query: object) -> Any:
        fields = {key: str(value) for key, value in query.items() if value is not None}
        return self._call("GET", path, fields=fields)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._call("POST", path, body or {})

    def alarm_events(self) -> list[dict[str, Any]]:
        """Every alarm event the center has."""
        return list(self.events("hearthline.alarm.v1"))

    def events(self, type_: str) -> Iterator[dict[str, Any]]:
        after: int | None = 0
        while after is not None:
            page = self.get("/api/v1/events", type=type_, after=after, limit=1000)
            yield from page["events"]
            after = page["next"]

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, fields: dict[str, str] | None = None
    ) -> Any:
        while True:
            try:
                answer = self._http.request(
                    method,
                    self._url + path,
                    fields=fields,
                    body=None if body is None else msgspec.json.encode(body),
                    headers={**self._headers, "X-Hearthline": "1", "Content-Type": "application/json"}
                    if body is not None
                    else self._headers,
                )
            except urllib3.exceptions.HTTPError as error:
                raise LinkError(f"{method} {path}: {error}") from None
            if answer.status != _TOO_MANY:
                break
            time.sleep(float(answer.headers.get("Retry-After", "1")))
        if answer.status >= 400:
            raise HearthlineError(f"{method} {path}: {answer.status} {answer.data[:300].decode(errors='replace')}")
        return msgspec.json.decode(answer.data) if answer.data else None


class StreamWatch:
    """Follows the operator's event stream in a thread, for ever again with Last-Event-ID, as a browser does."""

    def __init__(self, operator: Operator, url: str, on_notice: Callable[[Notice], None]) -> None:
        self._operator = operator
        self._url = url
        self._on_notice = on_notice
        self._last_id = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)
        self.connected = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except (urllib3.exceptions.HTTPError, HearthlineError, OSError):
                self._stopping.wait(0.1)
            self.connected.clear()

    def _follow(self) -> None:
        http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=5), retries=False)
        headers = {**self._operator._headers, "Last-Event-ID": str(self._last_id)}
        answer = http.request("GET", f"{self._url}/api/v1/stream", headers=headers, preload_content=False)
        if answer.status != 200:
            raise LinkError(f"stream: {answer.status}")
        self.connected.set()
        kept = b""
        while not self._stopping.is_set():
            data = answer.read1(65536)
            if not data:
                return
            now_ns = time.time_ns()
            *frames, kept = (kept + data).split(b"\n\n")
            for frame in frames:
                self._take(frame, now_ns)

    def _take(self, frame: bytes, now_ns: int) -> None:
        fields = dict(line.split(b": ", 1) for line in frame.split(b"\n") if b": " in line)
        if fields.get(b"event") == b"journal" and b"data" in fields:
            notice = Notice(int(fields[b"id"]), msgspec.json.decode(fields[b"data"]), now_ns)
            if notice.id > self._last_id:
                self._last_id = notice.id
                self._on_notice(notice)
