"""Packs that the center has and the disk still holds: they leave the outbox together, at the next tick.

A pack that is acknowledged is not sent again on the same link, so the disk need not know of it at once. Before a new
link sends anything, and before the outbox is counted, it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from hearthline.errors import StorageError
from hearthline.log import Log
from hearthline.model import Lane
from hearthline_edge.custody import Custody
from hearthline_edge.outbox import Outbox
from hearthline_edge.ticks import next_tick

Ranges = Sequence[tuple[int, int]]
_RETRY_S = 1.0
log = Log(__name__)


class LandedPacks:
    """Call `add` for each acknowledgement; `run` gives up custody every `period_s` seconds, `leave` at once."""

    def __init__(self, custody: Custody, period_s: float) -> None:
        self._custody = custody
        self._period_s = period_s
        self._outbox = ""
        self._taken: list[tuple[int, int]] = []
        self._refused: list[tuple[int, int]] = []
        self._came = asyncio.Event()

    def add(self, outbox: str, taken: Ranges, refused: Ranges) -> None:
        """Acknowledged out of the outbox of this id; what was noted for another one is forgotten."""
        if outbox != self._outbox:
            self._outbox, self._taken, self._refused = outbox, [], []
        self._taken += taken
        self._refused += refused
        self._came.set()

    async def run(self) -> None:
        """Until cancelled; what was not given up by then still is, by whoever stops the custody."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._came.wait()
                await asyncio.sleep(next_tick(self._period_s) - loop.time())
                try:
                    await self.leave()
                except StorageError as error:
                    log.error("acknowledged readings not removed yet", error=str(error))
                    await asyncio.sleep(_RETRY_S)
        finally:
            if self._taken or self._refused:
                self._custody.post(self._job())

    async def leave(self) -> None:
        """Give up custody of all now. Raises StorageError when the disk takes no note; then they stay noted here."""
        self._came.clear()
        if not self._taken and not self._refused:
            return
        outbox, taken, refused = self._outbox, self._taken, self._refused
        given_up = self._custody.submit(self._job())
        self._taken, self._refused = [], []  # another call meanwhile has only what came since
        try:
            await given_up
        except StorageError:
            if outbox == self._outbox:
                self._taken, self._refused = taken + self._taken, refused + self._refused
                self._came.set()
            raise

    def _job(self) -> Callable[[Outbox], None]:
        outbox, taken, refused = self._outbox, list(self._taken), list(self._refused)

        def give_up(ob: Outbox) -> None:
            if ob.id == outbox:  # a damaged file may have been begun anew since
                ob.delete(Lane.TELEMETRY, taken)
                ob.refuse(Lane.TELEMETRY, refused)

        return give_up
