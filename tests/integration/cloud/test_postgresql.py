"""A center on PostgreSQL, each role as on a machine of its own, while roles, backends and the server are killed."""

from __future__ import annotations

import os
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import insert

from cloud_center import Cloud
from cloud_processes import PlayedEdge, Role, edge, running, until
from hearthline_cloud import journal, schema
from hearthline_cloud.notify.sending import LEASE_S
from notify.receivers import MailServer, mail_server
from secret_files import write_secret
from servers import HOST, Postgresql, free_ports, mosquitto, postgresql

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
after_s = 6
to = ["channel:duty"]
[[policy.all.step]]
after_s = 12
to = ["everyone"]
"""


@dataclass
class Center:
    """`roles` by name; each has a folder, and so a wake-up, of its own."""

    cloud: Cloud
    server: Postgresql
    roles: dict[str, Role]
    home: PlayedEdge
    mail: MailServer
    web_port: int

    def supervise(self) -> None:
        """As systemd does: a role that found no database at its start has ended, and is started again."""
        for role in self.roles.values():
            if role.process is not None and role.process.poll() is not None:
                role.kill()
                role.start()

    def has_acked(self, wanted: int) -> bool:
        self.supervise()
        return len(self.home.acked_at) >= wanted

    def is_ready(self) -> bool:
        self.supervise()
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.web_port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture
def center(tmp_path: Path) -> Iterator[Center]:
    (web_port,) = free_ports(1)
    with ExitStack() as stack:
        server = stack.enter_context(postgresql())
        mail = stack.enter_context(mail_server())
        broker_folder = tmp_path / "broker"
        broker_folder.mkdir()
        broker = stack.enter_context(mosquitto(broker_folder, persistence=True))
        cloud = Cloud(tmp_path, server.create("center"))
        stack.callback(cloud.close)
        cloud.populate()
        with cloud.database.transaction() as connection:
            connection.execute(insert(schema.policy).values(version=1, at_ns=0, saved_by="boss", text=POLICY))
        write_secret(tmp_path / "mail-url", mail.url("duty@example.org"))
        extra = f'database = "{cloud.database.url}"\n[web]\nport = {web_port}\n'
        extra += f'[[channel]]\nname = "duty"\nkind = "apprise"\nurl_file = "{tmp_path}/mail-url"\n'
        roles = {}
        for name in ("ingest", "desk-1", "desk-2", "web"):
            folder = tmp_path / name
            folder.mkdir()
            roles[name] = Role(folder, broker.port, (name.partition("-")[0],), extra)
            stack.enter_context(running(roles[name]))
        home = stack.enter_context(edge(broker.port, resends=False))
        made = Center(cloud, server, roles, home, mail, web_port)
        until(made.is_ready, 60, 0.1)
        yield made


def kill_a_backend(center: Center) -> None:
    """The server ends every other connection with it, and recovers."""
    with center.server.connect() as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = 'center' AND pid <> pg_backend_pid() LIMIT 1"
        (pid,) = connection.execute(query).fetchone() or (0,)
    assert pid
    os.kill(pid, signal.SIGKILL)


def kill_the_server(center: Center) -> None:
    center.server.kill()
    center.server.start()


def kill_role(name: str) -> Callable[[Center], None]:
    def kill(center: Center) -> None:
        center.roles[name].kill()
        center.roles[name].start()

    return kill


@pytest.mark.timeout(300)
def test_nothing_is_lost_doubled_or_told_twice_whatever_is_killed(center: Center) -> None:
    faults = [*map(kill_role, center.roles), kill_a_backend, kill_the_server]
    sent: list[str] = []
    over = threading.Event()

    def press_on() -> None:
        while not over.wait(0.2):
            press = center.home.gateway.press()
            sent.append(press.id)
            center.home.send(press)

    presser = threading.Thread(target=press_on)
    presser.start()
    try:
        for fault in faults:
            wanted = len(center.home.acked_at) + 5
            fault(center)
            until(partial(center.has_acked, wanted), 60)
    finally:
        over.set()
        presser.join()
    until(partial(center.has_acked, len(sent)), 60)
    until(center.is_ready, 60, 0.1)
    until(lambda: _is_told(center.cloud), LEASE_S + 60, 0.1)

    events, (alert,) = center.cloud.rows(schema.event), center.cloud.rows(schema.alert)
    assert sorted(event.event_id for event in events) == sorted(sent)
    assert alert.presses == len(sent)
    entries = center.cloud.rows(schema.journal)
    told = [entry.kind for entry in entries]
    assert (told.count("raised"), told.count("joined"), told.count("escalated")) == (1, len(sent) - 1, 3)
    with center.cloud.database.reading() as connection:
        assert journal.check(connection).broken_at is None
    messages = center.cloud.rows(schema.notification)
    cut_off = sum(row.attempts for row in messages) - told.count("notified") - told.count("not-notified")
    assert 3 <= len(center.mail.got) <= 3 + cut_off, "twice only where a desk died in the act"


def _is_told(cloud: Cloud) -> bool:
    rows = cloud.rows(schema.notification)
    return len(rows) == 3 and all(row.state == "sent" for row in rows)
