"""Requests counted by the pattern of their route, never by their path: paths hold ids, and the tokens of links."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hearthline_cloud.metrics.instruments import REQUEST_SECONDS, REQUESTS

_STREAM = "/api/v1/stream"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT"})


class MeasuredRequests:
    """Around every request, as plain ASGI so that a stream passes through unbuffered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        began = time.perf_counter()

        async def send_and_see(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_see)
        finally:
            route = _route_of(scope)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            REQUESTS.labels(method, route, f"{status // 100}xx").inc()
            if route != _STREAM:
                REQUEST_SECONDS.labels(_area_of(route)).observe(time.perf_counter() - began)


def _route_of(scope: Scope) -> str:
    """The pattern that matched, which Starlette has left in the scope; of what no route has, "none"."""
    if scope["path"].startswith("/static/"):
        return "/static"
    path = getattr(scope.get("route"), "path", "none")
    return str(path)


def _area_of(route: str) -> str:
    for begin, area in (("/api/", "api"), ("/fragments/", "fragment"), ("/static", "static"), ("/", "page")):
        if route.startswith(begin):
            return area
    return "none"
