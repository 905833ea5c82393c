"""The one thread that commits: groups, keeps order, lets one failing job take only itself down."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hearthline.clock import NS, Stamp
from hearthline.errors import StorageError
from hearthline.model import EventType
from hearthline_edge.custody import Custody
from hearthline_edge.outbox import EventRow, Outbox

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)


class FullDisk(Outbox):
    """An outbox whose disk is full for whatever is written, until the ballast is given back."""

    full = False

    def append_event(self, *arguments: Any, **named: Any) -> EventRow:
        if self.full and self.ballast.laid:
            raise sqlite3.OperationalError("database or disk is full")
        return super().append_event(*arguments, **named)


@asynccontextmanager
async def custody_of(outbox: Outbox) -> AsyncIterator[Custody]:
    custody = Custody(outbox)
    try:
        yield custody
    finally:
        await custody.stop()


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 10))


def append(outbox: Outbox) -> int:
    return outbox.append_event(EventType.DEVICE, "d", {}, START, urgent=False).seq


def fail(outbox: Outbox) -> int:
    append(outbox)
    raise ValueError("a bug in one job")


def test_gathered_jobs_share_a_commit_and_answer_in_order(tmp_path: Path) -> None:
    async def test() -> None:
        outbox = Outbox(tmp_path)
        async with custody_of(outbox) as custody:
            gate = threading.Event()
            blocker = custody.submit(lambda _: gate.wait(5))
            commits: list[str] = []
            outbox._connection.set_trace_callback(commits.append)
            done: list[int] = []
            futures = [custody.submit(append) for _ in range(50)]
            for number, future in enumerate(futures):
                future.add_done_callback(lambda _, number=number: done.append(number))  # type: ignore[misc]
            gate.set()
            await blocker
            assert [await future for future in futures] == list(range(1, 51))
            await asyncio.sleep(0)
            assert done == list(range(50))
            assert commits.count("COMMIT") <= 2, "every job had a commit of its own"

    run(test)


def test_one_failing_job_takes_only_itself_down(tmp_path: Path) -> None:
    async def test() -> None:
        async with custody_of(Outbox(tmp_path)) as custody:
            gate = threading.Event()
            blocker = custody.submit(lambda _: gate.wait(5))
            futures = [custody.submit(job) for job in (append, fail, append)]
            gate.set()
            await blocker
            results = await asyncio.gather(*futures, return_exceptions=True)
            assert results[0] == 1
            assert isinstance(results[1], ValueError)
            assert results[2] == 2
            assert len(await custody.submit(lambda ob: ob.events(10))) == 2

    run(test)


def test_on_a_full_disk_an_urgent_job_gets_the_ballast_and_another_does_not(tmp_path: Path) -> None:
    async def test() -> None:
        outbox = FullDisk(tmp_path)
        if not outbox.ballast.laid:
            pytest.skip("not enough room on this disk for the ballast")
        async with custody_of(outbox) as custody:
            outbox.full = True
            with pytest.raises(StorageError, match="free space"):
                await custody.submit(append)
            assert outbox.ballast.laid
            assert await custody.submit(append, urgent=True) == 1
            assert not outbox.ballast.laid

    run(test)


def test_a_posted_job_that_fails_is_logged_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with custody_of(Outbox(tmp_path)) as custody:
            custody.post(fail)
            assert await custody.submit(append) == 1

    run(test)
    assert "job not committed" in caplog.text


def test_a_job_that_fails_after_its_waiter_has_gone_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with custody_of(Outbox(tmp_path)) as custody:
            gate = threading.Event()
            custody.post(lambda _: gate.wait(5))
            custody.submit(fail).cancel()
            gate.set()

    run(test)
    assert "nobody waits for any more not committed" in caplog.text


def test_stop_finishes_what_was_handed_over(tmp_path: Path) -> None:
    async def test() -> None:
        custody = Custody(Outbox(tmp_path))
        for _ in range(20):
            custody.submit(append)
        await custody.stop()

    run(test)
    outbox = Outbox(tmp_path)
    assert len(outbox.events(100)) == 20
    outbox.close()
