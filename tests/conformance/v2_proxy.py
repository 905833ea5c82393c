"""An InfluxDB 2.x as far as its documents go, in front of a real 1.x: writes, buckets and their retention, InfluxQL.

    POST /api/v2/write?bucket=DB/RP   --> /write?db=DB&rp=RP, the same bytes
    GET, POST, PATCH /api/v2/buckets  --> retention policies
    POST /query, GET /ping            --> as they are, an answer as it comes

It answers as 2.x does: errors as JSON with `code` and `message`, 401 without its token, 503 while 1.x is away.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import urllib3

from servers import HOST, Influxd

TOKEN = "a-token-of-2.x"
_CODES = {400: "invalid", 401: "unauthorized", 404: "not found", 413: "request too large", 503: "unavailable"}
_DAY_S = 86_400
_PIECE = 65_536
Reply = tuple[int, Any]


class Proxy:
    """What it has been asked for; `url` is its address."""

    def __init__(self, server: Influxd) -> None:
        self.server = server
        self.url = ""
        self.written: list[bytes] = []
        self._pool = urllib3.PoolManager(retries=False, timeout=30.0)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        parts = urlsplit(target)
        asked = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if parts.path != "/ping" and headers.get("Authorization") != f"Token {TOKEN}":
            return 401, "unauthorized access"
        ways: dict[tuple[str, str], Callable[[], Reply]] = {
            ("POST", "/api/v2/write"): lambda: self._write(asked, body),
            ("POST", "/query"): lambda: self._streamed(body),
            ("GET", "/ping"): lambda: (204, b""),
            ("GET", "/api/v2/orgs"): lambda: (200, {"orgs": [{"id": "0a", "name": asked.get("org", "")}]}),
            ("GET", "/api/v2/buckets"): lambda: (200, {"buckets": self._buckets(asked["name"])}),
            ("POST", "/api/v2/buckets"): lambda: self._make(json.loads(body)),
        }
        way = ways.get((method, parts.path))
        if method == "PATCH" and parts.path.startswith("/api/v2/buckets/"):
            return self._alter(json.loads(body))
        return way() if way is not None else (404, "path not found")

    def close(self) -> None:
        self._pool.clear()

    def _write(self, asked: dict[str, str], body: bytes) -> Reply:
        database, _, policy = asked["bucket"].partition("/")
        query = {"db": database, "precision": asked["precision"]} | ({"rp": policy} if policy else {})
        status, answer = self._passed(f"/write?{urlencode(query)}", body)
        if status == 404:
            return 404, f'bucket "{asked["bucket"]}" not found'
        if status == 204:
            self.written.append(body)
            return 204, b""
        return status, json.loads(answer).get("error", "") if answer else ""

    def _buckets(self, name: str) -> list[dict[str, Any]]:
        database, _, policy = name.partition("/")
        found = self._do(f'SHOW RETENTION POLICIES ON "{database}"')
        rows = [row for each in found.get("series", ()) for row in each.get("values", ())]
        for row in rows:
            if row[0] == (policy or "autogen"):
                hours, _, _ = row[1].partition("h")  # 2160h0m0s; for ever: 0s
                seconds = int(hours) * 3600 if hours.isdigit() else 0
                rule = {"type": "expire", "everySeconds": seconds}
                return [{"id": name.replace("/", "-"), "orgID": "0a", "name": name, "retentionRules": [rule]}]
        return []

    def _make(self, wanted: dict[str, Any]) -> Reply:
        database, _, policy = wanted["name"].partition("/")
        kept = _duration(wanted)
        if policy:
            self._do(f'CREATE RETENTION POLICY "{policy}" ON "{database}" DURATION {kept} REPLICATION 1')
        else:
            self._do(f'CREATE DATABASE "{database}" WITH DURATION {kept} NAME "autogen"')
        return 201, self._buckets(wanted["name"])[0]

    def _alter(self, wanted: dict[str, Any]) -> Reply:
        database, _, policy = wanted["name"].partition("/")
        self._do(f'ALTER RETENTION POLICY "{policy or "autogen"}" ON "{database}" DURATION {_duration(wanted)}')
        return 200, self._buckets(wanted["name"])[0]

    def _do(self, text: str) -> dict[str, Any]:
        _, answer = self._passed("/query", urlencode({"q": text}).encode())
        (result,) = json.loads(answer)["results"]
        found: dict[str, Any] = result
        return found

    def _streamed(self, body: bytes) -> Reply:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        url = f"{self.server.url}/query"
        answer = self._pool.request("POST", url, body=body, headers=headers, preload_content=False)
        return answer.status, answer.stream(_PIECE)

    def _passed(self, target: str, body: bytes) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self._pool.request("POST", f"{self.server.url}{target}", body=body, headers=headers)
        return answer.status, answer.data


def _duration(wanted: dict[str, Any]) -> str:
    (rule,) = wanted["retentionRules"]
    return f"{rule['everySeconds'] // _DAY_S}d" if rule["everySeconds"] else "INF"


@contextmanager
def v2_proxy(server: Influxd) -> Iterator[Proxy]:
    """A `Proxy` that serves on a free loopback port."""
    proxy = Proxy(server)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, said = proxy.answer(self.command, self.path, dict(self.headers), body)
            except urllib3.exceptions.HTTPError as error:
                status, said = 503, f"the storage is away: {error}"
            if isinstance(said, Iterator):
                self._pass_on(status, said)
                return
            if isinstance(said, str):
                said = {"code": _CODES.get(status, "internal error"), "message": said}
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("X-Influxdb-Version", "v2.7.0-played")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if status != 204:
                self.wfile.write(data)

        def _pass_on(self, status: int, pieces: Iterator[bytes]) -> None:
            """Without its end when what is behind goes away."""
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Influxdb-Version", "v2.7.0-played")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                for piece in pieces:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")
            except urllib3.exceptions.HTTPError:
                self.close_connection = True

        do_GET = do_POST = do_PATCH = _serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer((HOST, 0), Handler) as listening:
        listening.daemon_threads = True
        proxy.url = f"http://{HOST}:{listening.server_address[1]}"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            listening.shutdown()
            thread.join(10)
            proxy.close()
