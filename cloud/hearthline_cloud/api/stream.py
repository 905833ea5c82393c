"""`GET /api/v1/stream`: the journal as server-sent events, resumed by `Last-Event-ID`, ended with its session."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Query
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.follow import Follower, Listener
from hearthline_cloud.api.model import MAX_ID, refusals

router = APIRouter(prefix="/api/v1", tags=["stream"])

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # a reverse proxy must pass every message on at once
]
_HELLO = b"retry: 1000\n\n"
_FAREWELL_S = 0.3
_LAST_EVENT_ID = re.compile(r"[0-9]{1,19}")


class EventStream(Response):
    """Sends what the follower has for its listener. asyncio sets TCP_NODELAY on every connection by itself."""

    def __init__(self, follower: Follower, listener: Listener) -> None:
        super().__init__(media_type="text/event-stream")
        self._follower = follower
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tasks = [
            asyncio.create_task(self._send(send)),
            asyncio.create_task(_disconnected(receive)),
            asyncio.create_task(_cut(self._listener)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._follower.detach(self._listener)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not tasks[0].cancelled():
            tasks[0].result()  # the sender never ends by itself: this raises what ended it
        if self._listener.cut.is_set():
            await _farewell(send)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await _write(send, _HELLO)
        while True:
            await _write(send, await self._follower.messages(self._listener))


@router.get(
    "/stream",
    summary="The live journal",
    response_class=Response,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "Server-sent events without end"},
        **refusals(401, 422, 503),
    },
)
async def stream(
    parts: PartsOf,
    session: Staff,
    after: Annotated[int | None, Query(ge=0, le=MAX_ID, description="resume after this journal id")] = None,
    last_event_id: Annotated[str | None, Header(description="as browsers send it; wins over `after`")] = None,
) -> Response:
    """`event: journal` for each row of the journal (its id is the event's id) and `event: heartbeat` every 2 s.

    A console that hears no heartbeat for 5 s is stale. The stream ends within a second of logout or loss of role,
    and when the listener takes nothing for 15 s; whoever comes back with the last id misses nothing. A screen's
    account (`viewer`) hears that something happened, and not what.
    """
    if last_event_id is not None and _LAST_EVENT_ID.fullmatch(last_event_id):
        after = min(int(last_event_id), MAX_ID)
    listener = parts.follower.attach(session, after)
    if listener is None:
        raise HTTPException(503, "not now: the journal is not being followed, or too many streams are open")
    return EventStream(parts.follower, listener)


async def _write(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cut(listener: Listener) -> None:
    await listener.cut.wait()


async def _farewell(send: Send) -> None:
    """End the response properly, unless the listener does not even read."""
    try:
        async with asyncio.timeout(_FAREWELL_S):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    except TimeoutError:
        return
