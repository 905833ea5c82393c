"""Web servers on this machine: one of any answers, and one that keeps what it is sent, fails or hangs when told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from servers import HOST


@dataclass(frozen=True)
class Request:
    method: str
    headers: Message
    body: bytes


@contextmanager
def served(answer: Callable[[Request], tuple[int, dict[str, str]]], port: int = 0) -> Iterator[int]:
    """The port on which `answer` gives status and headers, each request in its own thread, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                return  # it did not wait for us

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers = answer(Request(self.command, self.headers, body))
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer((HOST, port), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@dataclass
class OutsideService:
    """`got`: (method, JSON of the body) of each request that was answered with 200."""

    port: int = 0
    status: int = 200
    hangs: bool = False
    hanging: int = 0
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    freed: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/ping"

    def take(self, request: Request) -> tuple[int, dict[str, str]]:
        if self.hangs:
            self.hanging += 1
            self.freed.wait(20)
        if self.status == 200:
            self.got.append((request.method, json.loads(request.body) if request.body else {}))
        return self.status, {}


@contextmanager
def outside_service(port: int = 0) -> Iterator[OutsideService]:
    service = OutsideService()
    with served(service.take, port) as service.port:
        try:
            yield service
        finally:
            service.freed.set()
