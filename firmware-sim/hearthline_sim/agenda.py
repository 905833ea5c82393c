"""Jobs at their times on one thread: the present of a simulated device or person."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

Job = Callable[[], object]  # what it returns is dropped


class Agenda:
    """Runs each job at its time, in order; a job may take time and may add others.

    A job that raises ends the agenda loudly: `on_failure` is called and the exception reaches `threading.excepthook`.
    """

    def __init__(self, name: str, on_failure: Callable[[], None]) -> None:
        self._jobs: list[tuple[float, int, Job]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._on_failure = on_failure
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def after(self, seconds: float, job: Job) -> None:
        """Do `job` in `seconds` from now."""
        with self._changed:
            heapq.heappush(self._jobs, (time.monotonic() + seconds, next(self._numbers), job))
            self._changed.notify()

    def stop(self) -> None:
        """Forget what is left; the running job is awaited."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        finished = False
        try:
            while (job := self._next()) is not None:
                job()
            finished = True
        finally:
            if not finished:
                self._on_failure()  # the exception goes on to threading.excepthook

    def _next(self) -> Job | None:
        with self._changed:
            while not self._stopped:
                left = self._jobs[0][0] - time.monotonic() if self._jobs else None
                if left is not None and left <= 0:
                    return heapq.heappop(self._jobs)[2]
                self._changed.wait(left)
        return None
