"""A web server on this machine that keeps what it is sent, and fails or hangs when it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from servers import HOST


@dataclass
class OutsideService:
    """`got`: (method, JSON of the body) of each request that was answered with 200."""

    port: int
    status: int = 200
    hangs: bool = False
    hanging: int = 0
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    freed: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/ping"

    def take(self, method: str, body: bytes) -> int:
        if self.hangs:
            self.hanging += 1
            self.freed.wait(20)
        if self.status == 200:
            self.got.append((method, json.loads(body) if body else {}))
        return self.status


@contextmanager
def outside_service(port: int = 0) -> Iterator[OutsideService]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def _answer(self, method: str) -> None:
            status = service.take(method, self.rfile.read(int(self.headers.get("Content-Length", 0))))
            try:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except ConnectionError:
                return  # it did not wait for us

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer((HOST, port), Handler) as server:
        server.daemon_threads = True
        service = OutsideService(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield service
        finally:
            service.freed.set()
            server.shutdown()
            thread.join()
