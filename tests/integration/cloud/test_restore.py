"""The rehearsal: a center that is backed up under load, killed, deleted, restored and started."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, Table, insert, select

from cloud_center import Cloud, TestGateway
from cloud_processes import PlayedEdge, Role, edge, running, until
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import Outcome, State
from hearthline_cloud.database import Database, sqlite_url
from hearthline_cloud.desk import Desk
from hearthline_cloud.people import People
from hearthline_cloud.permissions import Role as StaffRole
from outside_service import Request, served
from secret_files import write_secret
from servers import HOST, mosquitto

pytestmark = pytest.mark.integration

CLOSED, OPEN = 6, 5
POLICY = """
otherwise = "all"
[policy.all]
repeat_s = 600
progress_s = 900
[[policy.all.step]]
after_s = 1
to = ["channel:duty"]
[[policy.all.step]]
after_s = 8
to = ["everyone"]
"""


@dataclass
class Hook:
    """How often each message came, by its key."""

    port: int = 0
    got: Counter[str] = field(default_factory=Counter)

    def take(self, request: Request) -> tuple[int, dict[str, str]]:
        self.got[request.headers["Idempotency-Key"]] += 1
        return 200, {}


@contextmanager
def hook_server() -> Iterator[Hook]:
    hook = Hook()
    with served(hook.take) as hook.port:
        yield hook


def populate(folder: Path, url: str) -> None:
    """Cases that are closed, others that are open, the people and the policy."""
    cloud = Cloud(folder, url)
    try:
        cloud.populate()
        People(cloud.database, 12).accounts.add("mei", "a long password", StaffRole.OPERATOR, time.time_ns())
        with cloud.database.transaction() as connection:
            connection.execute(insert(schema.policy).values(version=1, at_ns=0, saved_by="boss", text=POLICY))
        desk = Desk(cloud.database, cloud.waker)
        for number in range(1, CLOSED + OPEN + 1):
            gateway = TestGateway(f"gw-old-{number}")
            cloud.take(gateway.message(gateway.press()))
            if number <= CLOSED:
                desk.acknowledge(number, "mei", time.time_ns())
                desk.resolve(number, Outcome.HELP_GIVEN, "mei", time.time_ns())
    finally:
        cloud.close()


def rows(url: str, table: Table) -> list[Row[Any]]:
    database = Database(url)
    try:
        with database.reading() as connection:
            return list(connection.execute(select(table).order_by(*table.primary_key)))
    finally:
        database.close()


def cloud_command(*arguments: object) -> str:
    command = [sys.executable, "-m", "hearthline", "cloud", *(str(argument) for argument in arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def press_on(home: PlayedEdge, done: threading.Event, sent: dict[str, Any], name: str) -> None:
    number = 0
    while not done.wait(0.05):
        number += 1
        press = home.gateway.press(device=f"enocean:{name}-{number % 4}")
        sent[press.id] = home.send(press)


@contextmanager
def pressing(home: PlayedEdge, name: str) -> Iterator[dict[str, Any]]:
    """Presses all the while; which ones, by their event's id."""
    sent: dict[str, Any] = {}
    done = threading.Event()
    thread = threading.Thread(target=press_on, args=(home, done, sent, name))
    thread.start()
    try:
        yield sent
    finally:
        done.set()
        thread.join()


@pytest.mark.timeout(300)
def test_a_restored_center_has_every_closed_case_takes_up_every_open_one_and_each_press_once(tmp_path: Path) -> None:
    center, key, file = (tmp_path / name for name in ("center", "backup.key", "center.backup"))
    for folder in (center, tmp_path / "b"):
        folder.mkdir()
    url = sqlite_url(center / "hearthline.db")
    populate(center, url)
    cloud_command("backup-key", "--key-file", key)
    with mosquitto(tmp_path / "b", persistence=True) as broker, hook_server() as hook:
        channel = f'[[channel]]\nname = "duty"\nkind = "webhook"\nurl = "http://{HOST}:{hook.port}/"\n'
        secret = write_secret(tmp_path / "secret", "geheim")
        extra = f'database = "{url}"\n{channel}secret_file = "{secret}"\n'
        role = Role(center, broker.port, ("ingest", "desk"), extra)
        with running(role), edge(broker.port) as home:
            with pressing(home, "before") as before:
                until(lambda: len(home.acked_at) >= 20, 60)
                known = {event for event, place in list(before.items()) if place in home.acked_at}
                made = cloud_command(
                    *("backup", "--config", center / "cloud.toml", "--to", file, "--key-file", key, "--json")
                )
            role.kill()
            told = json.loads(made)["manifest"]
            heard = Counter(hook.got)
            shutil.rmtree(center)
            with pressing(home, "outage") as outage:
                until(lambda: len(outage) >= 20, 60)
            unknown = {event for event, place in (before | outage).items() if place in home.kept}
            assert set(outage) <= unknown
            cloud_command("restore", file, "--to", center, "--key-file", key)
            restored = {row.id: row for row in rows(url, schema.alert)}
            restored_events = {row.event_id for row in rows(url, schema.event)}
            assert known <= restored_events
            assert told["open_cases"] == sum(row.state != State.RESOLVED for row in restored.values()) >= OPEN
            role.start()
            until(lambda: not home.kept, 90)
            still_open = {number for number, row in restored.items() if row.state != State.RESOLVED}
            until(lambda: still_open <= climbed(url), 90)
            until(lambda: {row.state for row in rows(url, schema.notification)} == {"sent"}, 60)
            assert role.stop(20) == 0
    alerts = {row.id: row for row in rows(url, schema.alert)}
    closed = [row for row in alerts.values() if row.state == State.RESOLVED]
    assert [(row.id, row.outcome, row.resolved_by) for row in closed] == [
        (number, Outcome.HELP_GIVEN, "mei") for number in range(1, CLOSED + 1)
    ]
    events = Counter(row.event_id for row in rows(url, schema.event))
    assert set(events) >= restored_events | unknown
    assert set(events.values()) == {1}
    messages = {f"hearthline-{row.alert_id}-{row.id}" for row in rows(url, schema.notification)}
    again = hook.got - heard
    assert messages - {key for key, count in heard.items() if count} <= set(again)
    assert max(again.values(), default=0) <= 1, "no message was sent more than once more"
    assert rows(url, schema.session) == []
    database = Database(url)
    with database.reading() as connection:
        verdict = journal.check(connection, told["head"])
    database.close()
    assert (verdict.broken_at, verdict.known_at is None) == (None, False)


def climbed(url: str) -> set[int]:
    """The alerts whose second step has been taken."""
    return {row.alert_id for row in rows(url, schema.escalation) if row.step >= 1 and row.fired_ns is not None}
