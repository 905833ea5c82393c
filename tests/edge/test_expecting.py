"""Which press is marked for commissioning: the one that was asked for, once, committed with it, and no other."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec

import pytest

from hearthline.clock import NS, Stamp
from hearthline.commissioning import MARK
from hearthline.errors import ProtocolError, StorageError
from hearthline.model import EventType, Lane
from hearthline.wire import MAX_DEVICE, device_name
from hearthline_edge.arrival import Arrival, Source
from hearthline_edge.custody import Custody
from hearthline_edge.devices import GroupingRule, Press, Vital
from hearthline_edge.expecting import Expecting
from hearthline_edge.outbox import EventRow, Outbox
from hearthline_edge.taking import take_events

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
RADIO = Source("radio", "enocean-esp3", GroupingRule(0.5, release_ends=True))
P = ParamSpec("P")
PENDANT, OTHER, RUN = "enocean:1", "enocean:2", "run-1"


class At:
    """A clock that says what it is told."""

    now_is = START

    def now(self) -> Stamp:
        return self.now_is


class Terminal:
    """Whoever has given the order."""

    def __init__(self) -> None:
        self.said: list[Mapping[str, Any]] = []

    def say(self, answer: Mapping[str, Any]) -> None:
        self.said.append(answer)


class Home:
    """A gateway's outbox with what stands beside it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.custody = Custody(Outbox(folder))
        self.expecting = Expecting("gw-1", self.custody, At(), self.committed, lambda device: device == OTHER)
        self.terminal = Terminal()
        self.rows: list[EventRow] = []

    def committed(self, rows: list[EventRow]) -> None:
        self.rows += rows
        self.expecting.told(rows)

    @asynccontextmanager
    async def asked(self, device: str = PENDANT, seconds: float = 60.0) -> AsyncIterator[None]:
        order = {"do": "expect", "device": device, "run": RUN, "seconds": seconds}
        if not device:
            order = {"do": "expect", "new": True, "run": RUN, "seconds": seconds}
        waiting = asyncio.ensure_future(self.expecting.expect(order, self.terminal))
        await asyncio.sleep(0)
        try:
            yield
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def press(self, *presses: Press, after_s: float = 1.0) -> list[bool]:
        """Which of the events that were made are marked."""
        made = await self.take(*(Arrival((each,), later(after_s)) for each in presses))
        await asyncio.sleep(0)
        return [row.data.get(MARK) == RUN for row in made]

    async def take(self, *arrivals: Arrival) -> list[EventRow]:
        mark_of = self.expecting.mark_of
        made = await self.custody.submit(lambda ob: take_events(ob, RADIO, arrivals, emergency, mark_of=mark_of))
        self.committed(made)
        return made


def later(seconds: float) -> Stamp:
    ns = round(seconds * NS)
    return Stamp(START.wall_ns + ns, START.mono_ns + ns, START.boot, START.synced)


def in_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    @functools.wraps(test)
    def run(*given: P.args, **named: P.kwargs) -> None:
        asyncio.run(test(*given, **named))

    return run


def emergency(device: str, button: str) -> str:
    return "emergency"


def press(device: str = PENDANT, content: str = "AI", **more: Any) -> Press:
    return Press(device, more.pop("button", "AI"), content, content, **more)


@asynccontextmanager
async def at_home(folder: Path) -> AsyncIterator[Home]:
    home = Home(folder)
    try:
        yield home
    finally:
        await home.custody.stop()


@in_a_loop
async def test_whoever_presses_on_after_the_asked_for_press_is_an_alarm_soon(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home, home.asked():
        assert await home.press(press()) == [True]
        pressed_on = [await home.press(press(), after_s=1.0 + tenths / 10) for tenths in range(4, 80, 4)]
        assert [each for each in pressed_on if each] == [[False]], "one alarm, and no second one while it lasts"
        assert pressed_on.index([False]) == 12, "after 5.2 s"


@in_a_loop
async def test_a_pendant_that_was_tried_many_times_within_a_minute_is_heard_at_once(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        for second in range(1, 40, 4):
            async with home.asked():
                assert await home.press(press(), after_s=second) == [True]
        assert [await home.press(press(), after_s=second) for second in (42, 46, 50)] == [[False]] * 3


@in_a_loop
async def test_the_asked_for_press_is_marked_and_told_and_the_next_one_is_an_alarm(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home, home.asked():
        assert await home.press(press(facts=(("rssi_dbm", -67),))) == [True]
        assert await home.press(press(), after_s=5.0) == [False]
        (asked, told) = home.terminal.said
        assert asked == {"expected": PENDANT}
        assert told["pressed"]["event"] == home.rows[0].id
        assert (told["pressed"]["marked"], told["pressed"]["ordinal"], told["pressed"]["radio_level"]) == (True, 1, -67)


@in_a_loop
async def test_a_device_with_too_long_an_id_is_this_homes_by_its_name_on_the_wire(tmp_path: Path) -> None:
    own = "z2m:" + "x" * MAX_DEVICE
    async with at_home(tmp_path) as home:
        home.expecting = Expecting(
            "gw-1", home.custody, At(), home.committed, lambda device: device == device_name(own)
        )
        async with home.asked(""):
            assert await home.press(press(own)) == [False], "of this home already"
            assert await home.press(press(f"{own}2")) == [True]


@in_a_loop
async def test_a_pendant_that_is_being_bound_is_asked_for_without_its_name_and_this_homes_own_are_alarms(
    tmp_path: Path,
) -> None:
    async with at_home(tmp_path) as home, home.asked(""):
        assert await home.press(press(OTHER)) == [False], "of this home already"
        assert [list(told) for told in home.terminal.said] == [["expected"]], "it goes on waiting"
        assert await home.press(press()) == [True]
        assert await home.press(press("enocean:3"), press(content="B0"), after_s=5.0) == [False, False]
        assert home.terminal.said[-1]["pressed"]["marked"]


@in_a_loop
async def test_whatever_else_is_pressed_meanwhile_is_an_alarm_like_any_other(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home, home.asked():
        others = [press(OTHER), press("enocean:12"), press(PENDANT.upper())]
        assert await home.press(*others) == [False, False, False]
        assert await home.press(press(), after_s=9.0) == [True]


@pytest.mark.parametrize(
    "odd",
    [
        press(button="smoke"),  # a detector's telegram is nobody's press
        press(certainty="possible"),
        press(source_ns=START.wall_ns - 60 * NS),  # made before anybody asked for it
    ],
)
@in_a_loop
async def test_the_devices_own_alarm_is_no_answer_and_the_installer_hears_that_it_went_out(
    tmp_path: Path, odd: Press
) -> None:
    async with at_home(tmp_path) as home, home.asked():
        assert await home.press(odd) == [False]
        assert home.terminal.said[-1]["pressed"]["marked"] is False
        assert await home.press(press(content="next"), after_s=5.0) == [False], "nothing is asked for any more"


@in_a_loop
async def test_the_asked_for_measurement_is_marked_and_another_cuffs_is_not(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home, home.asked("cuff:1"):
        for device in ("cuff:2", "cuff:1", "cuff:1"):
            await home.take(Arrival((Vital(device, (("systolic", 132.0),), 1, "", "02"),), later(1)))
            await asyncio.sleep(0)
        assert [row.data.get(MARK) for row in home.rows] == [None, RUN, None]
        assert home.terminal.said[-1]["pressed"]["event"] == home.rows[1].id


@in_a_loop
async def test_two_presses_in_one_batch_get_one_mark(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home, home.asked():
        assert await home.press(press(), press(content="other button"), press(OTHER)) == [True, False, False]


@in_a_loop
async def test_a_press_too_late_before_the_order_or_after_a_reboot_is_an_alarm(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home, home.asked(seconds=10.0):
        assert await home.press(press(), after_s=10.1) == [False]
    async with at_home(tmp_path / "read-before") as home, home.asked():
        assert await home.press(press(), after_s=-0.1) == [False]
    async with at_home(tmp_path / "booted") as home, home.asked():
        (made,) = await home.take(Arrival((press(),), Stamp(later(2).wall_ns, 101 * NS, "boot-2", True)))
        assert MARK not in made.data


@in_a_loop
async def test_a_clock_that_jumps_changes_nothing(tmp_path: Path) -> None:
    """Elapsed time is of the monotonic clock."""
    async with at_home(tmp_path) as home, home.asked():
        jumped = Stamp(START.wall_ns + 10**6 * NS, START.mono_ns + NS, START.boot, True)
        (made,) = await home.take(Arrival((press(),), jumped))
        assert made.data[MARK] == RUN


@in_a_loop
async def test_a_client_that_leaves_takes_its_wish_along(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        async with home.asked():
            pass
        assert await home.press(press()) == [False]


@in_a_loop
async def test_the_time_is_over(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        order = {"device": PENDANT, "run": RUN, "seconds": 0.01}
        await home.expecting.expect(order, home.terminal)
        assert home.terminal.said[-1] == {"over": "time"}
        assert await home.press(press(), after_s=0.005) == [False]


@in_a_loop
async def test_a_job_that_is_tried_again_marks_the_same_press_again_and_no_other(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home, home.asked():

        def fails(outbox: Outbox) -> None:
            take_events(outbox, RADIO, [Arrival((press(),), later(1))], emergency, mark_of=home.expecting.mark_of)
            raise StorageError("the disk is full")

        with pytest.raises(StorageError):
            await home.custody.submit(fails)
        assert await home.press(press(content="another"), after_s=1.5) == [False]
        assert await home.press(press(), after_s=1.0) == [False], "its number is another by now: in doubt an alarm"
    async with at_home(tmp_path / "again") as home, home.asked():
        with pytest.raises(StorageError):
            await home.custody.submit(fails)
        assert await home.press(press(), after_s=1.0) == [True]


@in_a_loop
async def test_a_mark_that_a_device_tells_of_itself_is_no_mark(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.press(press(facts=((MARK, RUN),)))
        assert MARK not in home.rows[0].data


@pytest.mark.parametrize(
    "order",
    [
        {"device": 7, "run": RUN, "seconds": 1},
        {"device": PENDANT, "run": "", "seconds": 1},
        {"device": PENDANT, "run": "客厅", "seconds": 1},
        {"device": PENDANT, "run": "x" * 65, "seconds": 1},
        {"device": PENDANT, "seconds": 1},
        {"device": PENDANT, "run": RUN},
        {"device": PENDANT, "run": RUN, "seconds": 0},
        {"device": PENDANT, "run": RUN, "seconds": 301},
        {"device": PENDANT, "run": RUN, "seconds": True},
        {"device": PENDANT, "run": RUN, "seconds": float("nan")},
    ],
)
@in_a_loop
async def test_a_wrong_order_is_told_and_expects_nothing(tmp_path: Path, order: dict[str, Any]) -> None:
    async with at_home(tmp_path) as home:
        with pytest.raises(ProtocolError):
            await home.expecting.expect(order, home.terminal)
        assert await home.press(press()) == [False]


@in_a_loop
async def test_an_order_takes_back_the_one_before(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home, home.asked(PENDANT), home.asked(OTHER):
        assert await home.press(press()) == [False]
        assert await home.press(press(OTHER), after_s=2) == [True]
    async with at_home(tmp_path / "none") as home, home.asked():
        await home.expecting.expect({"device": None}, home.terminal)
        assert await home.press(press()) == [False]


@in_a_loop
async def test_the_begin_of_a_run_leaves_before_its_presses(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        words = [{"run": RUN, "state": "begun"}, {"run": RUN, "state": "ended"}]
        for data in words:
            order = {"type": EventType.COMMISSIONING, "data": data}
            await home.expecting.tell(order, home.terminal)
            async with home.asked():
                await home.press(press(content=data["state"]), after_s=1.0)
        waiting = await home.custody.submit(lambda ob: ob.events(10))
        assert [row.data.get("state", "press") for row in waiting] == ["begun", "press", "press", "ended"]
        assert [answer["event"] for answer in home.terminal.said if "event" in answer] == [waiting[0].id, waiting[3].id]
        assert await home.custody.submit(lambda ob: len(ob.sounding_alarms(9))) == 2, "no siren for a word"
        with pytest.raises(ProtocolError):
            await home.expecting.tell({"type": EventType.ALARM, "data": {}}, home.terminal)


@in_a_loop
async def test_what_was_tried_once_is_not_sent_again_after_a_restore(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home, home.asked():
        await home.press(press(), press(OTHER))

        def received_and_asked_for(outbox: Outbox) -> list[str]:
            outbox.delete(Lane.EVENT, [(1, 10)])
            outbox.send_again(0, "again", 10)
            return [row.device for row in outbox.events(10)]

        assert await home.custody.submit(received_and_asked_for) == [OTHER]


_COMMITS_AND_DIES = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from edge.test_expecting import *
async def run():
    home = Home(Path(sys.argv[1]))
    async with home.asked():
        await home.press(press(), press(OTHER))
        os.kill(os.getpid(), 9)
asyncio.run(run())
"""


def test_a_gateway_that_is_killed_has_the_mark_in_the_row_and_expects_nothing(tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    subprocess.run([sys.executable, "-c", _COMMITS_AND_DIES, str(tmp_path), tests], timeout=30, check=False)

    async def after() -> None:
        async with at_home(tmp_path) as home:
            waiting = await home.custody.submit(lambda ob: ob.events(10))
            assert [(row.device, row.data.get(MARK)) for row in waiting] == [(PENDANT, RUN), (OTHER, None)]
            assert await home.press(press(), after_s=9) == [False]

    asyncio.run(after())
