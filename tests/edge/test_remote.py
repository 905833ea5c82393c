"""What the center asks of a gateway, where its files, its drivers or its disk are not as they should be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hearthline import wire
from hearthline.clock import SystemClock
from hearthline.errors import ConfigError
from hearthline.model import EventType
from hearthline.remote import Result, config_digest
from hearthline_edge import remote
from hearthline_edge.custody import Custody
from hearthline_edge.devices import SerialDriver, enocean_esp3
from hearthline_edge.loading import load_changed, load_edge_config
from hearthline_edge.outbox import EventRow, Outbox
from hearthline_edge.remote import Host, Remote, Start
from hearthline_edge.remote_trial import Folder

EXAMINE = wire.Command(id="look-1", type="examine")
LOG = wire.Command(id="log-1", type="log", lines=1)
CONFIGURE = wire.Command(id="conf-1", type="configure", config={"gather_s": 1.0})


class Agent:
    """An agent's outbox and folder, and what remote hands have done with it."""

    def __init__(self, folder: Path) -> None:
        (folder / "data").mkdir()
        self.file = folder / "edge.toml"
        self.file.write_text(
            f'gateway = "gw-1"\ndata_dir = "{folder / "data"}"\n[uplink]\nhost = "127.0.0.1"\nport = 1\n',
            encoding="utf-8",
        )
        self.folder = Folder(self.file)
        self.folder.center_file.parent.mkdir()
        self.rows: list[EventRow] = []
        self.unstored = self.status_fails = False
        self.begun_anew = 0

    async def _status(self) -> wire.Status:
        if self.status_fails:
            raise LookupError("nobody has thought of this")
        return wire.Status(state="online")

    def _begin_anew(self) -> None:
        assert not self.unstored, "a press would be lost"
        self.begun_anew += 1

    def answers(self, result: Result, command: str) -> list[dict[str, Any]]:
        told = [row.data for row in self.rows if row.type == EventType.ANSWER]
        return [data["detail"] for data in told if (data["command"], data["result"]) == (command, result)]

    def during(self, test: Callable[[Remote], Awaitable[None]], on_trial: bool = False) -> None:
        async def run() -> None:
            custody = Custody(Outbox(self.file.parent / "data"))
            host = Host(self.rows.extend, list, self._status, self._begin_anew, lambda: self.unstored)
            hands = Remote(load_edge_config(self.file), Start(self.folder, on_trial), custody, SystemClock(), host)
            running = asyncio.ensure_future(hands.run())
            try:
                await test(hands)
                assert not running.done() or on_trial, "no order ends the agent"
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await custody.stop()

        asyncio.run(run())


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what it waits for tells nobody
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("content", [b"gather_s = = 1\n", b"\xff\xfe\0"])
def test_an_unreadable_file_of_the_center_is_a_failed_check(agent: Agent, content: bytes) -> None:
    agent.folder.center_file.write_bytes(content)

    async def test(hands: Remote) -> None:
        await hands.take(EXAMINE)
        await until(lambda: agent.answers(Result.DONE, "look-1"))

    agent.during(test)
    (found,) = agent.answers(Result.DONE, "look-1")
    assert found["state"]["center_digest"] == config_digest({})
    check = found["checks"][-1]
    assert (check["name"], check["ok"]) == ("center.toml", False)
    assert str(agent.folder.center_file) in check["sentence"]
    assert "send the configuration from the center again" in check["sentence"]


def test_an_order_that_dies_is_refused_and_the_next_one_carried_out(agent: Agent) -> None:
    agent.status_fails = True

    async def test(hands: Remote) -> None:
        await hands.take(EXAMINE)
        await hands.take(LOG)
        await until(lambda: agent.answers(Result.DONE, "log-1"))

    agent.during(test)
    (refused,) = agent.answers(Result.REFUSED, "look-1")
    assert "report it" in refused["reason"]


def test_options_that_trip_a_driver_are_a_configuration_that_is_not_tried(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trips(options: dict[str, Any], name: str) -> Any:
        return options["nobody"]["has"]

    driver = enocean_esp3.DRIVER
    tripping = SerialDriver(name=driver.name, line=driver.line, open_session=trips, grouping=driver.grouping)
    monkeypatch.setattr(enocean_esp3, "DRIVER", tripping)
    port = {"name": "radio", "port": "/dev/ttyUSB0", "driver": driver.name}
    with pytest.raises(ConfigError, match="KeyError"):
        load_changed(agent.file, {"serial": [port]})

    async def test(hands: Remote) -> None:
        await hands.take(wire.Command(id="conf-1", type="configure", config={"serial": [port]}))
        await until(lambda: agent.answers(Result.REFUSED, "conf-1"))

    agent.during(test)
    assert "a driver cannot work with it" in agent.answers(Result.REFUSED, "conf-1")[0]["reason"]
    assert agent.begun_anew == 0


def test_a_press_that_comes_while_a_change_is_written_is_waited_for(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    propose = agent.folder.propose

    def pressed_meanwhile(command: str, config: dict[str, Any], within_s: float, before: list[str]) -> None:
        propose(command, config, within_s, before)
        agent.unstored = True

    monkeypatch.setattr(agent.folder, "propose", pressed_meanwhile)
    monkeypatch.setattr(remote, "_LOOK_S", 0.01)

    async def test(hands: Remote) -> None:
        await hands.take(CONFIGURE)
        await until(lambda: agent.unstored)
        await asyncio.sleep(0.1)  # ten looks: the agent goes on
        assert agent.begun_anew == 0
        agent.unstored = False
        await until(lambda: agent.begun_anew)

    agent.during(test)


def test_a_change_is_taken_back_once_every_press_is_on_the_disk(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    agent.folder.propose("conf-1", {"gather_s": 1.0}, 0.05, [])
    agent.unstored = True
    monkeypatch.setattr(remote, "_LOOK_S", 0.01)

    async def test(_: Remote) -> None:
        await until(lambda: agent.folder.trial().stage == "undone")
        await asyncio.sleep(0.1)  # ten looks: the agent goes on
        assert agent.begun_anew == 0
        agent.unstored = False
        await until(lambda: agent.begun_anew)

    agent.during(test, on_trial=True)


def test_a_trial_that_cannot_be_written_as_toml_ends_no_agent(agent: Agent) -> None:
    agent.folder.propose("conf-1", {"gather_s": None}, 5.0, [])
    with pytest.raises(ValueError, match="no text in TOML"):
        agent.folder.prove()
    assert agent.folder.trial().stage == "proved"

    async def test(hands: Remote) -> None:
        await hands.take(LOG)
        await until(lambda: agent.answers(Result.DONE, "log-1"))
        await asyncio.sleep(0.1)

    agent.during(test)
