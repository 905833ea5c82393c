"""A port that is pulled out and plugged in again: back soon, and told only when it lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hearthline.clock import Stamp, SystemClock
from hearthline_edge.devices import Item, LineSettings, Release, SerialDriver, find_drivers
from hearthline_edge.serial_port import SerialPort, open_line
from hearthline_sim.port import PtyPort
from integration.edge.gateway import press_telegram, release_telegram

BACK_S = 5.0


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(BACK_S):
        while not holds():  # noqa: ASYNC110 - what it waits for happens in the kernel
            await asyncio.sleep(0.005)


class Watched:
    """A port with what it tells."""

    def __init__(self, path: Path, report_after_s: float) -> None:
        driver = find_drivers()["enocean-esp3"]
        assert isinstance(driver, SerialDriver)
        self.items: list[Item] = []
        self.faults: list[str] = []
        session = driver.open_session({}, "radio")
        self.port = SerialPort(
            "radio", str(path), driver.line, session, SystemClock("synced"), self._take, self._fault, report_after_s
        )

    def _take(self, items: tuple[Item, ...], now: Stamp) -> None:
        self.items += items

    def _fault(self, fault: str, now: Stamp) -> None:
        self.faults.append(fault)


def run(tmp_path: Path, report_after_s: float, story: Callable[[Watched, PtyPort], Any]) -> Watched:
    async def test() -> Watched:
        line = PtyPort(tmp_path / "ttyRADIO", 10, 57600)
        watched = Watched(line.path, report_after_s)
        running = asyncio.get_running_loop().create_task(watched.port.run())
        try:
            await until(lambda: not watched.port.fault)
            await story(watched, line)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            line.close()
        return watched

    return asyncio.run(test())


async def press(watched: Watched, line: PtyPort) -> None:
    before = len(watched.items)
    await asyncio.to_thread(line.send, press_telegram() + release_telegram())
    await until(lambda: any(isinstance(item, Release) for item in watched.items[before:]))


@pytest.mark.parametrize("times", [1, 3])
def test_plugged_in_again_it_works_within_5_s_and_nobody_is_told(tmp_path: Path, times: int) -> None:
    async def story(watched: Watched, line: PtyPort) -> None:
        for _ in range(times):
            line.unplug()
            await until(lambda: "was lost" in watched.port.fault)
            line.replug()
            await until(lambda: not watched.port.fault)
            await press(watched, line)

    watched = run(tmp_path, 60.0, story)
    assert watched.faults == []


def test_a_port_that_stays_away_is_told_once_and_its_return(tmp_path: Path) -> None:
    async def story(watched: Watched, line: PtyPort) -> None:
        line.unplug()
        await until(lambda: watched.faults)
        assert "ttyRADIO cannot be opened: No such file or directory" in watched.faults[0]
        line.replug()
        await until(lambda: not watched.port.fault)
        await press(watched, line)

    watched = run(tmp_path, 0.0, story)
    assert watched.faults[1:] == [""]


@pytest.mark.parametrize(
    ("settings", "cause"),
    [(LineSettings(10**12), "signed int"), (LineSettings(-1), "Not a valid baudrate")],
)
def test_settings_that_trip_the_library_are_a_fault_of_the_port(
    tmp_path: Path, settings: LineSettings, cause: str
) -> None:
    line = PtyPort(tmp_path / "ttyRADIO", 10, 57600)
    port = SerialPort("radio", str(line.path), settings, Asking(), SystemClock(), lambda *_: None, lambda *_: None)

    async def test() -> None:
        running = asyncio.ensure_future(port.run())
        await until(lambda: "cannot be opened" in port.fault)
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(test())
    line.close()
    assert cause in port.fault


def test_a_url_is_no_port() -> None:
    """pyserial would wait for a network, and with it every other port."""
    with pytest.raises(OSError, match="No such file"):
        open_line("socket://127.0.0.1:1", LineSettings(9600))


class Hung(asyncio.Transport):
    """An adapter that takes `takes` writes and no byte more."""

    def __init__(self, takes: int) -> None:
        super().__init__()
        self.unsent: list[bytes] = []
        self._takes = takes

    def write(self, data: Any) -> None:
        if self._takes:
            self._takes -= 1
        else:
            self.unsent.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.unsent))


class Asking:
    """A session that asks each time it may; `fails`: how often that goes wrong first."""

    def __init__(self, fails: int = 0) -> None:
        self.asked = 0
        self._fails = fails

    def receive(self, data: bytes, now: Stamp) -> list[Item]:
        return []

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        self.asked += 1
        if self.asked <= self._fails:
            raise ZeroDivisionError
        return b"?", 0.01


def opened(session: Asking, transport: Hung) -> SerialPort:
    line = LineSettings(9600)
    port = SerialPort("bus", "/dev/none", line, session, SystemClock("synced"), lambda *_: None, lambda *_: None)
    port.connection_made(transport)
    return port


def test_requests_do_not_pile_up_before_an_adapter_that_takes_none() -> None:
    session, transport = Asking(), Hung(takes=1)

    async def test() -> None:
        port = opened(session, transport)
        await until(lambda: session.asked > 10)
        port.connection_lost(None)

    asyncio.run(test())
    assert transport.unsent == [b"?"]


def test_a_session_that_fails_to_ask_is_asked_again() -> None:
    session, told = Asking(fails=1), list[dict[str, Any]]()

    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        port = opened(Asking(), Hung(takes=1000))
        port._session = session
        await until(lambda: session.asked > 1)
        port.connection_lost(None)

    asyncio.run(test())
    assert [type(context["exception"]) for context in told] == [ZeroDivisionError]
