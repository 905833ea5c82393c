"""The dead-man ping: sent only while every part of the center works, and in nobody's way when it cannot be sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from cloud_center import Cloud
from cloud_processes import until
from hearthline.clock import NS
from hearthline.errors import ConfigError
from hearthline_cloud import journal, schema
from hearthline_cloud.config import DeadmanConfig, WebConfig
from hearthline_cloud.deadman import ROLE, DeadMan, forget, missing, readiness
from hearthline_cloud.desk import beat
from outside_service import OutsideService, outside_service
from secret_files import write_secret
from servers import free_ports

NOW = 1_790_000_000 * NS
FRESH: dict[str, tuple[int, dict[str, Any]]] = {
    "ingest": (NOW - NS, {"broker": True, "store": False}),
    "escalation": (NOW - 6 * NS, {}),
    "desk": (NOW - 6 * NS, {}),
}


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({}, ""),  # a time-series store that is away stops no alarm
        ({"ingest": None}, "ingester is not heard"),
        ({"ingest": (NOW - 6 * NS, {"broker": True})}, "ingester is not heard"),
        ({"ingest": (NOW + 3600 * NS, {"broker": True})}, "ingester is not heard"),  # the clock was set back
        ({"ingest": (NOW, {"broker": False})}, "no broker"),
        ({"ingest": (NOW, {})}, "no broker"),
        ({"escalation": None}, "role escalation"),
        ({"escalation": (NOW - 16 * NS, {})}, "role escalation"),
        ({"desk": None}, "role desk"),
        ({"desk": (NOW - 31 * NS, {})}, "role desk"),
    ],
)
def test_which_part_is_missing(changed: dict[str, Any], word: str) -> None:
    beats = {role: each for role, each in {**FRESH, **changed}.items() if each is not None}
    assert (word in missing(beats, NOW)) if word else missing(beats, NOW) == ""


@pytest.mark.parametrize(
    ("detail", "age_s", "expected"),
    [
        ({"fault": "", "period_s": 60.0}, 100, "ok"),
        ({"fault": "the ingester is not heard", "period_s": 60.0}, 1, "the ingester is not heard"),
        ({"fault": "", "period_s": 60.0}, 151, "not heard"),
    ],
)
def test_readiness(detail: dict[str, Any], age_s: int, expected: str) -> None:
    assert readiness(NOW - age_s * NS, detail, NOW) == expected


@pytest.mark.parametrize(
    ("key", "config"),
    [
        ("needs url", DeadmanConfig()),
        ("not both", DeadmanConfig(url="http://h/", url_file=__file__)),
        ("no http", DeadmanConfig(url="ftp://h/")),
        ("no http", DeadmanConfig(url="http://")),
        ("period_s", DeadmanConfig(url="http://h/", period_s=0)),
        ("timeout_s", DeadmanConfig(url="http://h/", timeout_s=31)),
        ("url_file", DeadmanConfig(url_file="/nowhere")),
    ],
)
def test_a_wrong_configuration_names_its_key(key: str, config: DeadmanConfig, tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    with pytest.raises(ConfigError, match=key):
        DeadMan(config, cloud.database, None)
    cloud.close()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    yield made
    made.close()


@pytest.fixture
def service() -> Iterator[OutsideService]:
    with outside_service() as made:
        yield made


def alive(cloud: Cloud) -> bool:
    with cloud.database.transaction() as connection:
        for role in ("ingest", "escalation", "desk"):
            beat(connection, role, time.time_ns(), {"broker": True})
    return True


@contextmanager
def pinging(
    cloud: Cloud, service: OutsideService, web: WebConfig | None = None, **config: Any
) -> Iterator[Callable[[], str]]:
    """A running dead man; what his heartbeat says."""
    config = {"url": service.url, "period_s": 1.0, "timeout_s": 1.0, **config}
    man = DeadMan(DeadmanConfig(**config), cloud.database, web)
    man.start()

    def fault() -> str:
        with cloud.database.reading() as connection:
            row = connection.execute(select(schema.heartbeat).where(schema.heartbeat.c.role == ROLE)).first()
        return "" if row is None else str(row.detail["fault"])

    try:
        yield fault
    finally:
        began = time.monotonic()
        man.stop()
        assert time.monotonic() - began < 2, "a service that hangs held up the stop"
        assert man.failed() is None


def test_the_ping_carries_the_head_of_the_journal(cloud: Cloud, service: OutsideService) -> None:
    with cloud.database.transaction() as connection:
        journal.append(connection, "note", NOW, {"text": "x"})
        head = journal.head(connection)
    alive(cloud)
    with pinging(cloud, service):
        until(lambda: service.got)
    method, body = service.got[0]
    assert (method, body["head"]) == ("POST", head)
    assert body["at"].startswith("20")


def test_a_service_that_wants_get_and_a_secret_url(cloud: Cloud, service: OutsideService, tmp_path: Path) -> None:
    secret = write_secret(tmp_path / "url", service.url + "\n")
    alive(cloud)
    with pinging(cloud, service, url=None, url_file=str(secret), method="GET"):
        until(lambda: service.got)
    assert service.got[0] == ("GET", {})


def test_an_outside_service_that_fails_is_tried_again_and_told(cloud: Cloud, service: OutsideService) -> None:
    alive(cloud)
    service.status = 503
    with pinging(cloud, service, period_s=60.0) as fault:
        until(lambda: "HTTP 503" in fault())
        service.status = 200
        until(lambda: service.got)  # long before the next period
        until(lambda: fault() == "")


def test_one_that_hangs_is_given_up_and_tried_again(cloud: Cloud, service: OutsideService) -> None:
    alive(cloud)
    service.hangs = True
    with pinging(cloud, service) as fault:
        until(lambda: "Timeout" in fault())
        alive(cloud)
        service.hangs = False
        until(lambda: service.got)
        service.hangs = True
        until(lambda: service.hanging)


def test_no_ping_while_the_console_of_this_process_does_not_answer(cloud: Cloud, service: OutsideService) -> None:
    alive(cloud)
    (port,) = free_ports(1)
    with ExitStack() as stack, pinging(cloud, service, WebConfig(port=port)) as fault:
        until(lambda: "console" in fault())
        assert service.got == []
        console = stack.enter_context(outside_service(port))
        until(lambda: alive(cloud) and service.got)
        console.status = 500
        until(lambda: alive(cloud) and "console" in fault())
        assert ("GET", {}) in console.got


def test_no_ping_while_the_database_cannot_be_written(cloud: Cloud, service: OutsideService) -> None:
    alive(cloud)
    with cloud.database.transaction() as connection:
        connection.execute(text("CREATE TRIGGER full BEFORE INSERT ON heartbeat BEGIN SELECT RAISE(ABORT, 'x'); END"))
    man = DeadMan(DeadmanConfig(url=service.url, period_s=1.0), cloud.database, None)
    assert man._round() == "the database cannot be written"
    assert service.got == []
    with cloud.database.transaction() as connection:
        connection.execute(text("DROP TRIGGER full"))
    assert man._round() == ""
    assert len(service.got) == 1


def test_a_section_that_is_gone_leaves_no_heartbeat_behind(cloud: Cloud, service: OutsideService) -> None:
    alive(cloud)
    with pinging(cloud, service):
        until(lambda: service.got)
    forget(cloud.database)
    assert ROLE not in {row.role for row in cloud.rows(schema.heartbeat)}
