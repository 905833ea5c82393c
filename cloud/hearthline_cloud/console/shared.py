"""What every operator sees alike is rendered once for all of them, not once for each.

A rendering serves whoever asked before it began, and everybody until the journal goes on; changes that the journal does
not know, such as a home's new name, show after `FRESH_S`. Two renderings of one thing begin `SPACING_S` apart, so that
a storm of presses costs the web role a bounded share of its time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

FRESH_S = 2.0
SPACING_S = 0.2
T = TypeVar("T")


@dataclass
class _Slot(Generic[T]):
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    content: T | None = None
    cursor: int = -1  # of the journal, read before the content was
    began: float = float("-inf")


class Shared(Generic[T]):
    """Contents by key. `cursor` reads the journal's last id; it runs in a thread, as what renders does."""

    def __init__(self, cursor: Callable[[], int]) -> None:
        self._cursor = cursor
        self._slots: dict[str, _Slot[T]] = {}

    async def get(self, key: str, render: Callable[[], T]) -> T:
        """The content, as new as this call or newer."""
        slot = self._slots.setdefault(key, _Slot())
        wanted = await run_in_threadpool(self._cursor)
        async with slot.lock:
            if slot.content is not None and slot.cursor >= wanted and time.monotonic() - slot.began < FRESH_S:
                return slot.content
            await asyncio.sleep(max(0.0, slot.began + SPACING_S - time.monotonic()))
            slot.began = time.monotonic()
            cursor = await run_in_threadpool(self._cursor)
            slot.content = content = await run_in_threadpool(render)
            slot.cursor = cursor
            return content
