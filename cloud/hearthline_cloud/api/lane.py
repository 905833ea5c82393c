"""Turns at what is expensive: it takes few of the worker threads, so that answering an alarm finds one at any time."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hearthline.errors import RefusedError

AT_ONCE = 8  # of the 40 worker threads
OF_ONE = 4
_PATIENCE_S = 5.0


class TooManyError(RefusedError):
    """`wait_s`: when to come again, in whole seconds."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = max(1, math.ceil(wait_s))
        super().__init__(f"too many requests; come again in {self.wait_s} s")


class Lane:
    """Eight turns for all, four for one person. Used on the event loop alone."""

    def __init__(self, patience_s: float = _PATIENCE_S) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)
        self._of: Counter[str] = Counter()
        self._patience_s = patience_s

    @asynccontextmanager
    async def turn(self, who: str) -> AsyncIterator[None]:
        """Waits for a turn, without a thread. Raises TooManyError."""
        if self._of[who] >= OF_ONE:
            raise TooManyError(1)
        self._of[who] += 1
        try:
            await self._acquire()
            try:
                yield
            finally:
                self._free.release()
        finally:
            self._of[who] -= 1
            if not self._of[who]:
                del self._of[who]

    async def _acquire(self) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._free.acquire()
        except TimeoutError:
            raise TooManyError(self._patience_s) from None
