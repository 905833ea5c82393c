"""The one thread that owns the outbox: jobs in, one transaction for all that have gathered, answers out.

An fsync on an SD card can take 100 ms. So the event loop never touches the disk: it hands over jobs and is called back
when they are committed. Jobs that gathered meanwhile share one commit. A job that fails takes only itself down: the
rest is tried again without it. Results come back in the order in which the jobs were handed over.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from hearthline.errors import StorageError
from hearthline.log import Log
from hearthline_edge.hops import Tally
from hearthline_edge.outbox import Outbox

T = TypeVar("T")
Job = Callable[[Outbox], Any]

_MAX_GROUP = 500
log = Log(__name__)


@dataclass(frozen=True, slots=True)
class _Order:
    job: Job
    future: asyncio.Future[Any]
    urgent: bool


class Custody:
    """Runs jobs over the outbox in its own thread. Use from one event loop.

    Only `_begin`, `_handed_over`, `_answer` and `stop` know of the thread, so that a simulation does without.
    """

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self.commits = Tally()
        self._begin()

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._work, name="custody", daemon=True)
        self._thread.start()

    def _handed_over(self) -> None:
        """An order lies in the queue; the thread sees for itself."""

    def submit(self, job: Callable[[Outbox], T], urgent: bool = False) -> asyncio.Future[T]:
        """Hand over a job; its future holds the result once everything it did is on the disk.

        The future raises StorageError when it could not be committed. `urgent`: worth the ballast on a full disk.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Order(job, future, urgent))
        self._handed_over()
        return future

    def post(self, job: Job, urgent: bool = False) -> None:
        """Hand over a job whose result nobody awaits; a failure is logged."""
        self.submit(job, urgent).add_done_callback(_log_failure)

    async def stop(self) -> None:
        """Finish what was handed over, then close the outbox."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self.outbox.close()

    def _work(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            orders, last = self._gather(first)
            self._commit(orders)
            if last:
                return

    def _gather(self, first: _Order) -> tuple[list[_Order], bool]:
        """With `first` all orders that wait, and whether they are the last."""
        orders = [first]
        while len(orders) < _MAX_GROUP:
            try:
                order = self._queue.get_nowait()
            except queue.Empty:
                break
            if order is None:
                return orders, True
            orders.append(order)
        return orders, False

    def _commit(self, orders: list[_Order]) -> None:
        began = time.perf_counter()
        try:
            with self.outbox.transaction():
                results = [order.job(self.outbox) for order in orders]
            self.commits.observe(time.perf_counter() - began)
        except StorageError as error:
            if len(orders) > 1:
                for order in orders:
                    self._commit([order])
                return
            self._commit_on_a_full_disk(orders[0], error)
            return
        except Exception as error:  # noqa: BLE001 - a bug in one job belongs to whoever awaits that job's future
            if len(orders) > 1:
                for order in orders:
                    self._commit([order])
            else:
                self._answer([(orders[0].future, None, error)])
            return
        self._answer([(order.future, result, None) for order, result in zip(orders, results, strict=True)])

    def _commit_on_a_full_disk(self, order: _Order, error: StorageError) -> None:
        if not (order.urgent and self.outbox.ballast.release()):
            self._answer([(order.future, None, error)])
            return
        log.error("disk full, ballast released for alarms", error=str(error))
        self._commit([order])

    def _answer(self, answers: list[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
        try:
            self._loop.call_soon_threadsafe(_resolve, answers)
        except RuntimeError:  # the loop has ended; what is committed stays committed
            log.debug("answers after the end of the loop", count=len(answers))


def _resolve(answers: list[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
    for future, result, error in answers:
        if future.cancelled():
            if error is not None:  # at a stop nobody else tells of it
                log.error("job that nobody waits for any more not committed", error=str(error))
        elif error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def _log_failure(future: asyncio.Future[Any]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        log.error("job not committed", error=str(error))
