"""One rendering for all who ask at once, and nobody is given one that began before what he knows of."""

from __future__ import annotations

import asyncio
import threading

from hearthline_cloud.console.shared import SPACING_S, Shared


class Board:
    """What is rendered: how far the journal is, read as a thread does."""

    def __init__(self) -> None:
        self.journal = 1
        self.renderings: list[int] = []
        self.shared: Shared[int] = Shared(lambda: self.journal)
        self.begun, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def render(self) -> int:
        seen = self.journal
        self.renderings.append(seen)
        self.begun.set()
        self.gate.wait(10)
        return seen

    async def get(self) -> int:
        return await self.shared.get("board", self.render)


def test_many_who_ask_at_once_share_one_rendering() -> None:
    board = Board()

    async def ask() -> list[int]:
        return await asyncio.gather(*(board.get() for _ in range(50)))

    assert asyncio.run(ask()) == [1] * 50
    assert board.renderings == [1]


def test_who_knows_of_more_than_the_rendering_underway_waits_for_the_next() -> None:
    board = Board()

    async def ask() -> list[int]:
        board.gate.clear()
        early = asyncio.create_task(board.get())
        await asyncio.to_thread(board.begun.wait, 10)
        board.journal = 2
        late = [asyncio.create_task(board.get()) for _ in range(10)]
        await asyncio.sleep(0)
        board.gate.set()
        return await asyncio.gather(early, *late)

    assert asyncio.run(ask()) == [1] + [2] * 10
    assert board.renderings == [1, 2]


def test_a_storm_is_rendered_at_a_bounded_rate() -> None:
    board = Board()

    async def storm() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(2, 7):
            board.journal = number
            assert await board.get() == number
        return loop.time() - began

    assert asyncio.run(storm()) >= 4 * SPACING_S


def test_a_rendering_that_fails_is_tried_again_by_the_next() -> None:
    board = Board()

    def fail() -> int:
        raise OSError("the database is away")

    async def ask() -> int:
        try:
            await board.shared.get("board", fail)
        except OSError:
            return await board.get()
        raise AssertionError("the failure was hidden")

    assert asyncio.run(ask()) == 1
