"""What surrounds every request, as plain ASGI so that a stream passes through unbuffered: headers, and bounds."""

from __future__ import annotations

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 * 1024
MAX_TABLE_BYTES = 2 * 1024 * 1024  # of a table for the registry
MAX_ADDRESS_BYTES = 4096  # path and query together
MAX_HEADER_BYTES = 16 * 1024
BODY_S = 10.0

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # `no-referrer` would make a browser say `Origin: null` of our own forms
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
}

_READ_BY_THE_ROUTE = {"/api/v1/registry/import": MAX_TABLE_BYTES}  # once it knows who asks, and bounded by itself
_LINKS = ("/v/", "/f/")  # who knows such an address can use it: no log gets it as a referrer


class SecurityHeaders:
    """Adds the security headers to every response; what changes by the minute is never cached."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        is_static = path.startswith("/static/")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if path.startswith(_LINKS):
                    headers.setdefault("referrer-policy", "no-referrer")
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-cache" if is_static else "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


_LATE = (408, "too-slow", f"the request did not come within {BODY_S:g} s")
_FULL = (431, "header-too-large", "the header is larger than 16 KiB")
_LONG = (414, "too-long", f"the address is longer than {MAX_ADDRESS_BYTES} bytes")
_LARGE = (413, "too-large", "the request is larger than 64 KiB, or a table larger than 2 MiB")


class RequestLimits:
    """Answers 414 to a long address, 431 to a large header, 413 to a large body, 408 to a slow one."""

    def __init__(self, app: ASGIApp, body_s: float = BODY_S) -> None:
        self._app = app
        self._body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = _READ_BY_THE_ROUTE.get(scope["path"], MAX_BODY_BYTES)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_ADDRESS_BYTES:
            await _refuse(send, *_LONG)
        elif sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            await _refuse(send, *_FULL)
        elif not announced.isdigit() or len(announced) > 18 or int(announced) > most:
            await _refuse(send, *_LARGE)
        elif scope["method"] in ("GET", "HEAD") or scope["path"] in _READ_BY_THE_ROUTE:
            await self._app(scope, receive, send)
        else:
            await self._with_body(scope, receive, send)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._body_s):
                body = await _whole(receive)
        except TimeoutError:
            await _refuse(send, *_LATE)
            return
        if body is None:
            return
        if len(body) > MAX_BODY_BYTES:
            await _refuse(send, *_LARGE)
            return
        await self._app(scope, _replay(body, receive), send)


async def _whole(receive: Receive) -> bytes | None:
    """The body, cut where it is too large; None when the client has gone."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES or not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the whole body first and then what comes after it."""
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay


async def _refuse(send: Send, status: int, code: str, message: str) -> None:
    body = f'{{"error":{{"code":"{code}","message":"{message}"}}}}'.encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
