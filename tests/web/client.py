"""A machine that talks to the API, and a live stream being read."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlencode

import urllib3

PASSWORD = "correct horse battery"


class Client:
    """A machine that talks to the API; with `browser=True` requests it sends a cookie instead of the token."""

    def __init__(self, url: str, trust: ssl.SSLContext | None = None) -> None:
        self.url = url
        self.token = ""
        self._pool = urllib3.PoolManager(retries=False, ssl_context=trust)

    def log_in(self, name: str, password: str = PASSWORD) -> None:
        answer = self.post("login", {"name": name, "password": password})
        assert answer.status == 200, answer.data
        self.token = answer.json()["token"]

    def get(self, path: str, **query: Any) -> urllib3.BaseHTTPResponse:
        return self.request("GET", f"/api/v1/{path}" + ("?" + urlencode(query, doseq=True) if query else ""))

    def post(self, path: str, body: Any = None) -> urllib3.BaseHTTPResponse:
        return self.request("POST", f"/api/v1/{path}", body)

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        sent = {"content-type": "application/json"}
        if self.token:
            sent["authorization"] = f"Bearer {self.token}"
        sent = sent | (headers or {})
        data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        return self._pool.request(method, self.url + path, body=data, headers=sent, redirect=False)

    def stream(self, after: int | None = None) -> Stream:
        return Stream(self.url, self.token, after)


class Stream:
    """A live stream being read."""

    def __init__(self, url: str, token: str, after: int | None) -> None:
        headers = {"authorization": f"Bearer {token}"}
        if after is not None:
            headers["last-event-id"] = str(after)
        self._pool = urllib3.PoolManager(retries=False)
        self.answer = self._pool.request(
            "GET", f"{url}/api/v1/stream", headers=headers, preload_content=False, timeout=8
        )
        self._lines = self._read()

    def _read(self) -> Iterator[str]:
        inner = self.answer._original_response  # type: ignore[attr-defined]
        assert isinstance(inner, HTTPResponse)
        for line in inner:
            yield line.decode().rstrip("\n")

    def next(self) -> tuple[str, int | None, dict[str, Any]] | None:
        """(event, id, data) of the next message, or None at the end."""
        name, key, data = "", None, ""
        for line in self._lines:
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("id: "):
                key = int(line[4:])
            elif line.startswith("data: "):
                data = line[6:]
            elif not line and data:
                return name, key, json.loads(data)
        self.close()
        return None

    def journal(self) -> dict[str, Any] | None:
        """The next journal message, or None at the end."""
        while (message := self.next()) is not None:
            if message[0] == "journal":
                assert message[1] == message[2]["journal"]
                return message[2]
        return None

    def close(self) -> None:
        self.answer.close()
        self._pool.clear()
