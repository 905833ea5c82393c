"""A press climbs through three steps over real channels, while the desks that do it are killed and started again."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from cloud_center import Cloud
from cloud_processes import Role, edge, running, until
from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import Outcome
from hearthline_cloud.desk import Desk
from hearthline_cloud.notify.sending import LEASE_S
from notify.receivers import mail_server
from outside_service import Request, served
from personal_rows import change
from secret_files import write_secret
from servers import HOST, mosquitto

pytestmark = pytest.mark.integration

POLICY = """
otherwise = "all"
[policy.all]
repeat_s = 600
progress_s = 900
[[policy.all.step]]
after_s = 1
to = ["channel:duty"]
[[policy.all.step]]
after_s = 5
to = ["contact"]
[[policy.all.step]]
after_s = 9
to = ["everyone"]
"""


@dataclass
class Hook:
    """Answers 503 to the first try of each message and 200 to the next; `got` by key, each with its body."""

    port: int = 0
    tries: Counter[str] = field(default_factory=Counter)
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def take(self, request: Request) -> tuple[int, dict[str, str]]:
        key = request.headers["Idempotency-Key"]
        self.tries[key] += 1
        if self.tries[key] == 1:
            return 503, {}
        self.got.append((key, json.loads(request.body)))
        return 200, {}


@contextmanager
def hook_server() -> Iterator[Hook]:
    hook = Hook()
    with served(hook.take) as hook.port:
        yield hook


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    made.populate()
    contacts = [{"name": "Li Na", "phone": "861"}, {"name": "Li Wei", "phone": "862"}]
    with made.database.transaction() as connection:
        change(connection, schema.resident, contacts=contacts)
    yield made
    made.close()


def channels(folder: Path, hook: Hook, mail_url: str) -> str:
    """The keys of cloud.toml: a webhook for the duty desk, e-mail for the family."""
    files = {"secret": "geheim", "mail-url": mail_url}
    for name, text in files.items():
        write_secret(folder / name, text)
    return f"""[[channel]]
name = "duty"
kind = "webhook"
url = "http://{HOST}:{hook.port}/"
secret_file = "{folder}/secret"
timeout_s = 5
[[channel]]
name = "family"
kind = "apprise"
url_file = "{folder}/mail-url"
contacts = true
trusted = true
"""


def fired(cloud: Cloud) -> list[tuple[int, int]]:
    rows = cloud.rows(schema.escalation)
    return [(row.climb, row.step) for row in rows if row.fired_ns is not None and row.waits_for == "step"]


def sent(cloud: Cloud) -> int:
    return sum(row.state == "sent" for row in cloud.rows(schema.notification))


def put(cloud: Cloud, version: int, text: str) -> None:
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.policy).values(version=version, at_ns=0, saved_by="boss", text=text))


@pytest.mark.timeout(300)
def test_three_steps_through_kills_with_two_desks_each_told_once(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    put(cloud, 1, POLICY)
    with mosquitto(tmp_path / "b") as broker, hook_server() as hook, mail_server() as mail:
        extra = channels(tmp_path, hook, mail.url("{phone}@sms.example.org"))
        first, second, ingest = (Role(tmp_path, broker.port, (role,), extra) for role in ("desk", "desk", "ingest"))
        with running(first), running(second), running(ingest), edge(broker.port) as home:
            key = home.send(home.gateway.press())
            until(lambda: key in home.acked_at, 60)
            until(lambda: sent(cloud) >= 1, 30)
            first.kill()
            second.kill()
            first.start()
            second.start()
            until(lambda: sent(cloud) >= 2, 60)
            second.kill()
            until(
                lambda: {row.state for row in cloud.rows(schema.notification)} == {"sent"} and len(fired(cloud)) == 3,
                LEASE_S + 60,
            )
            told = [row.kind for row in cloud.rows(schema.journal)]
            Desk(cloud.database, cloud.waker).resolve(1, Outcome.TEST, "mei", time.time_ns())
            until(lambda: all(row.fired_ns is not None for row in cloud.rows(schema.escalation)))
            assert first.stop() == 0
    assert fired(cloud) == [(0, 0), (0, 1), (0, 2)]
    messages = cloud.rows(schema.notification)
    assert [(row.channel, row.contact) for row in messages] == [
        ("duty", -1),
        ("family", 0),
        ("duty", -1),
        ("family", 0),
        ("family", 1),
    ]
    answered = told.count("notified") + told.count("not-notified")
    cut_off = sum(row.attempts for row in messages) - answered  # killed between sending and writing down
    assert told.count("escalated") == 3
    assert cut_off <= 3
    assert set(hook.tries) == {f"hearthline-1-{row.id}" for row in messages if row.channel == "duty"}
    assert 2 <= len(hook.got) <= 2 + cut_off
    assert 3 <= len(mail.got) <= 3 + cut_off
    assert {recipients[0][:3] for recipients, _ in mail.got} == {"861", "862"}


def test_a_running_desk_takes_a_new_policy_and_no_wrong_one_stops_it(cloud: Cloud, tmp_path: Path) -> None:
    def status() -> dict[str, Any]:
        with cloud.database.reading() as connection:
            found = connection.execute(select(schema.heartbeat.c.detail).where(schema.heartbeat.c.role == "escalation"))
            return found.scalar() or {}

    role = Role(tmp_path, 1, ("desk",), channels(tmp_path, Hook(port=1), "json://127.0.0.1:1/{phone}"))
    with running(role):
        until(lambda: status().get("policy") == 0, 60)
        put(cloud, 1, POLICY)
        until(lambda: status()["policy"] == 1, 30)
        put(cloud, 2, POLICY.replace("channel:duty", "chanel:duty"))
        until(lambda: any(fault["kind"] == "policy" for fault in status()["faults"]), 30)
        assert status()["policy"] == 1
        cloud.take(cloud.gateway.press())
        until(lambda: fired(cloud) == [(0, 0)], 30)
        assert role.stop() == 0
    assert "policy version 2 cannot be used, version 1 holds instead: line 8: policy.all.step[0].to[0]" in role.log
