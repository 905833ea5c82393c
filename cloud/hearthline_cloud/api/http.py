"""HTTP/1.1 with a bound on how long a request may take to arrive; uvicorn's own waits for ever.

header of a request .. 10 s from its connection, or its first byte on a kept connection; 16 KiB
body ................. 10 s in all, 64 KiB (`shield`)
between two .......... 5 s
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_S = 10.0


class BoundedH11(H11Protocol):
    """Closes a connection on which no whole header has come in time."""

    header_s = HEADER_S
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._bound()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._bound()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unbound()
        super().connection_lost(exc)

    def _bound(self) -> None:
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._unbound()
        elif self._deadline is None and self.timeout_keep_alive_task is None:
            self._deadline = self.loop.call_later(self.header_s, self.transport.abort)

    def _unbound(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
