"""Questions to the time-series store that hold up nobody: a few threads of their own, and a bound in time.

A store that hangs keeps its question's thread until its own time-out. When all threads hang, whoever asks next hears at
once that the store does not answer; the console's other pages have threads of their own and do not notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from hearthline.errors import LinkError

WAIT_S = 3.0
_THREADS = 4
T = TypeVar("T")


class Bounded:
    """Use from one event loop."""

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="readings")
        self._asked = 0

    async def ask(self, question: Callable[[], T]) -> T:
        """Its answer. Raises LinkError, also when there is none in time."""
        if self._asked >= _THREADS:
            raise LinkError("the time-series store has not answered earlier questions yet; try again in a while")
        self._asked += 1
        answer = asyncio.get_running_loop().run_in_executor(self._threads, question)
        answer.add_done_callback(self._answered)
        try:
            return await asyncio.wait_for(asyncio.shield(answer), self._wait_s)
        except TimeoutError:
            raise LinkError(f"the time-series store has not answered within {self._wait_s:g} s; try again") from None

    def _answered(self, answer: asyncio.Future[T]) -> None:
        self._asked -= 1
        if not answer.cancelled():
            answer.exception()  # whoever gave up waiting does not hear of it
