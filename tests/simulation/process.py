"""A process of the simulation: tasks that end together, with or without warning."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Crash(BaseException):
    """`kill -9` at this very line."""


class Process:
    """`kill()` is what `kill -9` is: nothing of it reaches disk or network afterwards, whatever its code still does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.stopping = False
        self.failure: BaseException | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._ends: list[Callable[[], None]] = []

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine)
        task.add_done_callback(self._ended)
        self._tasks.append(task)
        return task

    def on_kill(self, end: Callable[[], None]) -> None:
        self._ends.append(end)

    def kill(self) -> None:
        if not self.alive:
            return
        self.alive = False
        for end in self._ends:
            end()
        for task in self._tasks:
            task.cancel()

    def stop(self) -> None:
        """SIGTERM: it may finish."""
        self.stopping = True
        for task in self._tasks[-1:]:
            task.cancel()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """A task that ended by an error is a bug of the product, or of the simulation."""
        if not task.cancelled() and task.exception() is not None and self.failure is None:
            self.failure = task.exception()
