"""An event loop whose clock jumps to the next deadline, so that an hour takes as long as its events take to compute.

When nothing is ready, time is what the next timer waits for. When there is no timer either, everything waits for ever:
`Deadlock`. Nothing of the machine gets in: no sockets, no threads, no signals, and tasks lie in sets in the order in
which they were made, not by their address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

_RESOLUTION_S = 1e-6  # of the clock: more than a float loses over a year
_MAX_TURNS = 100_000  # of the loop without a step of its clock: something chases its own tail


class Deadlock(Exception):  # noqa: N818 - the word for it
    """Every task waits for something that will never happen, or never stops at one moment."""


class OrderedTask(asyncio.Task[Any]):
    """A task whose hash is its number: a TaskGroup cancels what it holds in the order of a set."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class _Jump:
    """Stands where a selector stands: it is asked to wait, and moves the clock instead."""

    def __init__(self, loop: JumpingLoop) -> None:
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout == 0:
            self._turns += 1
            if self._turns > _MAX_TURNS:
                raise Deadlock(f"{_MAX_TURNS} turns at {self._loop.time():.6f} s")
            return []
        self._turns = 0
        if timeout is None:
            raise Deadlock(f"everything waits for ever at {self._loop.time():.6f} s")
        self._loop.jump()
        return []

    def close(self) -> None:
        pass


class JumpingLoop(asyncio.BaseEventLoop):
    """`asyncio.Runner(loop_factory=JumpingLoop)`. Time begins at 0."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._made = 0
        self._clock_resolution = _RESOLUTION_S
        self._selector = _Jump(self)
        self.set_task_factory(self._make_task)  # type: ignore[arg-type]

    def time(self) -> float:
        return self._now

    def jump(self) -> None:
        scheduled = self._scheduled  # type: ignore[attr-defined]
        self._now = max(self._now, scheduled[0].when())

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """In line: what a thread would do takes no time here."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - belongs to whoever awaits the future
            future.set_exception(error)
        return future

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any
    ) -> OrderedTask:
        self._made += 1
        task = OrderedTask(coro, loop=loop, **options)
        task.number = self._made
        return task

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
