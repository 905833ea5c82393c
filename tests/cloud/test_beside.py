"""A part that dies by a bug is made anew, again and again; what presses wait for goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from cloud_center import Cloud
from hearthline.errors import ConfigError
from hearthline_cloud import schema
from hearthline_cloud.api.ready import _probe
from hearthline_cloud.beside import Beside
from hearthline_cloud.deadman import missing
from hearthline_cloud.desk import beat


@dataclass
class Stumbling:
    """Dies as soon as it is started, the first `deaths` times."""

    deaths: int = 2
    made: int = 0
    wrong: bool = False
    stopped: list[int] = field(default_factory=list)
    started: list[int] = field(default_factory=list)

    def make(self) -> _Part:
        if self.wrong:
            raise ConfigError("figures.zone: there is no such time zone")
        self.made += 1
        return _Part(self, self.made)


@dataclass
class _Part:
    of: Stumbling
    number: int
    bug: BaseException | None = None

    def start(self) -> None:
        self.of.started.append(self.number)
        if self.number <= self.of.deaths:
            self.bug = TypeError("a row that nobody has thought of")

    def stop(self) -> None:
        self.of.stopped.append(self.number)

    def failed(self) -> BaseException | None:
        return self.bug


def fault(cloud: Cloud, role: str = "figures") -> str | None:
    with cloud.database.reading() as connection:
        row = connection.execute(select(schema.heartbeat).where(schema.heartbeat.c.role == role)).first()
    return None if row is None else row.detail["fault"]


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_part_that_dies_is_started_anew_and_says_so_until_it_runs(cloud: Cloud) -> None:
    stumbling = Stumbling()
    beside = Beside("figures", cloud.database, stumbling.make, pauses_s=(0.01, 0.02), settled_s=0.1)
    beside.start()
    until(lambda: bool(fault(cloud)))
    assert fault(cloud) == "died by a bug: TypeError"
    assert "figures died by a bug: TypeError" in _probe(cloud.database, time.time_ns()).warnings
    until(lambda: fault(cloud) == "")
    assert beside.failed() is None
    beside.stop()
    assert stumbling.started == [1, 2, 3]
    assert stumbling.stopped == [1, 2, 3]


def test_what_a_process_of_before_has_left_is_cleared(cloud: Cloud) -> None:
    with cloud.database.transaction() as connection:
        beat(connection, "figures", 1, {"fault": "died by a bug: KeyError"})
    beside = Beside("figures", cloud.database, Stumbling(deaths=0).make, settled_s=0.1)
    beside.start()
    until(lambda: fault(cloud) == "")
    beside.stop()


def test_a_configuration_that_went_wrong_meanwhile_is_tried_again(cloud: Cloud) -> None:
    stumbling = Stumbling(deaths=1)
    beside = Beside("figures", cloud.database, stumbling.make, pauses_s=(0.01, 0.02), settled_s=0.1)
    stumbling.wrong = True
    beside.start()
    until(lambda: len(stumbling.stopped) > 1)
    stumbling.wrong = False
    until(lambda: stumbling.started == [1, 2])
    beside.stop()


def test_a_wrong_configuration_is_told_at_the_start(cloud: Cloud) -> None:
    with pytest.raises(ConfigError, match=r"figures\.zone"):
        Beside("figures", cloud.database, Stumbling(wrong=True).make)


def test_a_part_that_is_down_holds_no_stop_up(cloud: Cloud) -> None:
    stumbling = Stumbling(deaths=99)
    beside = Beside("figures", cloud.database, stumbling.make, pauses_s=(300.0, 300.0))
    beside.start()
    until(lambda: bool(stumbling.stopped))
    beside.stop()
    assert not any(thread.name == "beside-figures" for thread in threading.enumerate())


def test_dead_supervision_is_no_ready_center_and_stops_the_ping(cloud: Cloud) -> None:
    now = time.time_ns()
    beats: dict[str, tuple[int, dict[str, Any]]] = {
        "ingest": (now, {"broker": True}),
        "escalation": (now, {}),
        "desk": (now, {}),
        "supervision": (now, {"fault": ""}),
    }
    assert missing(beats, now) == ""
    beats["supervision"] = (now, {"fault": "died by a bug: TypeError"})
    assert missing(beats, now) == "supervision died by a bug: TypeError"
    with cloud.database.transaction() as connection:
        beat(connection, "supervision", now, {"fault": "died by a bug: TypeError"})
    assert _probe(cloud.database, now).parts["supervision"] == "died by a bug: TypeError"
