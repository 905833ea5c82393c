"""What PostgreSQL does otherwise: servers that go and come back, stopped writers, hostile texts, other machines."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from cloud_center import Cloud, stop_in_a_write
from cloud_processes import until
from hearthline import wire
from hearthline.errors import ConfigError, NotInstalledError, StorageError
from hearthline.model import EventType
from hearthline_cloud import schema
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database, is_away
from hearthline_cloud.listening import Listening
from hearthline_cloud.registry.file import load_registry
from hearthline_cloud.wake import WakeListener
from servers import Postgresql, postgresql

pytestmark = pytest.mark.integration


@pytest.fixture
def url(postgres: Postgresql) -> Iterator[str]:
    yield postgres.create("of_its_own", "migrated")
    postgres.drop("of_its_own")


def test_a_stopped_writer_holds_the_others_up_for_seconds_and_fails_none_of_them(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    holding = context.Event()
    stopped = context.Process(target=stop_in_a_write, args=(url, holding))
    stopped.start()
    database = Database(url)
    try:
        assert holding.wait(60)
        began = time.monotonic()
        with database.transaction() as connection:
            assert connection.execute(text("SELECT count(*) FROM community")).scalar() == 0
        assert 1 < time.monotonic() - began < 10
    finally:
        database.close()
        stopped.kill()
        stopped.join(10)


def test_a_writer_loses_patience_and_takes_nothing_with_it(url: str, postgres: Postgresql) -> None:
    """The holder is no writer of ours: nothing puts it out."""
    database = Database(url)
    with postgres.connect("of_its_own") as holder:
        holder.execute(f"SELECT pg_advisory_lock({int.from_bytes(b'hearthln', 'big')})")
        with pytest.raises(SQLAlchemyError) as caught, database.transaction():
            pytest.fail("two writers at once")
    assert is_away(caught.value)
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO community VALUES ('c', 'C')"))
    database.close()


def test_commits_are_durable_whatever_the_server_has_by_default(url: str, postgres: Postgresql) -> None:
    with postgres.connect() as connection:
        connection.execute("ALTER DATABASE of_its_own SET synchronous_commit = off")
        connection.execute("ALTER DATABASE of_its_own SET default_transaction_isolation = 'serializable'")
    database = Database(url)
    with database.transaction() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed"
    with database.reading() as connection:
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "repeatable read"
        assert connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "on"
    database.close()


def test_a_server_that_forgets_or_mangles_is_refused(tmp_path: Path) -> None:
    wrong = pytest.raises(ConfigError, match="fsync of this PostgreSQL is off: set it to on")
    with postgresql(fsync="off") as server, closing(Database(server.create("unsafe"))) as unsafe, wrong:
        unsafe.migrate()
    with pytest.raises(StorageError, match="of_nobody") as caught:
        Database(server.url("of_nobody")).migrate()
    assert "refused" in str(caught.value)


def test_another_encoding_is_refused(postgres: Postgresql) -> None:
    with postgres.connect() as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    wrong = pytest.raises(ConfigError, match="server_encoding of this PostgreSQL is LATIN1: make the database again")
    with closing(Database(postgres.url("latin"))) as database, wrong:
        database.migrate()


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql+pg8000://x/y", "postgresql+psycopg2://x/y"])
def test_another_engine_or_driver_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"write .*postgresql\+psycopg://"):
        Database(url)


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(NotInstalledError, match=r"pip install 'hearthline\[postgresql\]'"):
        Database("postgresql://x/y")


def test_the_server_goes_and_comes_back_under_open_connections(tmp_path: Path) -> None:
    with postgresql() as server:
        cloud = Cloud(tmp_path, server.create("center"))
        cloud.populate()
        cloud.take(cloud.gateway.press())
        for end in (server.kill, server.stop):
            end()
            with pytest.raises(SQLAlchemyError) as caught:
                cloud.count(schema.event)
            assert is_away(caught.value)
            late = threading.Thread(target=cloud.take, args=(cloud.gateway.press(),))
            late.start()  # it waits, as a lane does
            server.start()
            late.join(30)
            assert not late.is_alive()
        assert cloud.rows(schema.alert)[0].presses == 3
        with server.connect() as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'center'")
        assert cloud.count(schema.event) == 3, "a connection that was cut costs nobody an error"
        cloud.close()


# --- hostile texts ------------------------------------------------------------------------------------------------

LONG = "x" * 10_000
HOSTILE: list[dict[str, Any]] = [
    {"id": LONG},
    {"id": "a\0b"},
    {"subject": LONG},
    {"subject": "a\0b"},
    {"source": LONG},
    {"source": "\0"},
    {"type": f"hearthline.alarm.{LONG}"},
    {"type": "hearthline.alarm.\0"},
    {"bootid": LONG},
    {"bootid": "\0"},
    {"outbox": "\0", "seq": 1},
    {"outbox": LONG, "seq": 1},
    {"seq": 2**63 - 1},
    {"data": {"role": "\0", "cause": "\0", "ordinal": 10**300, "x\0": LONG, "certainty": "\ud800"}},
    {"data": {"event": "\0", "command": "\0", "result": "\0" * 64, "kind": "\0", "detail": "\0", "receiver": "\0"}},
    {"data": {"event": LONG, "command": LONG, "result": LONG, "kind": "port-lost", "detail": "\0", "receiver": LONG}},
]


UNREADABLE = 11


@pytest.mark.parametrize("kind", EventType)
def test_hostile_texts_break_no_batch_and_hide_no_alarm(
    cloud: Cloud, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    odd = [cloud.gateway.odd(cloud.gateway.event(kind), **changes) for changes in HOSTILE]
    press = cloud.gateway.press()
    cloud.take(*odd, press, *odd)
    assert press.id in {row.event_id for row in cloud.rows(schema.event)}
    assert not caplog.records, "each was judged before the database had to refuse it"
    stored, aside = cloud.count(schema.event) - 1, cloud.count(schema.kept_aside)
    if kind == EventType.ALARM:
        (alert,) = cloud.rows(schema.alert)
        assert (stored, aside, alert.presses) == (len(HOSTILE), UNREADABLE, len(HOSTILE) + 1)
    else:
        assert stored + aside >= len(HOSTILE)


def test_a_hostile_status_is_taken_or_kept(cloud: Cloud) -> None:
    for changes in ({"outbox": "\0"}, {"outbox": LONG}, {"version": "\0" + LONG}, {"faults": ["\0"]}):
        payload = wire.encode(wire.Status(state="online"))
        merged = payload[:-1] + b"," + wire._encode(changes)[1:]
        cloud.take(cloud.gateway.message(merged, wire.UP_STATUS))
    assert cloud.rows(schema.gateway)[0].state == "online"


@pytest.mark.parametrize(
    ("before", "after"), [("birth_year = 1940", f"birth_year = {2**63 - 1}"), ('"王"', '"a\\u0000b"')]
)
def test_a_registry_with_what_no_column_holds_changes_nothing(
    url: str, tmp_path: Path, before: str, after: str
) -> None:
    cloud = Cloud(tmp_path, url)
    path = tmp_path / "registry.toml"
    entry = '[[community]]\nid = "c"\nname = "王"\n[[home]]\nid = "h"\ncommunity = "c"\nname = "F"\n'
    entry += '[[resident]]\nid = "r"\nhome = "h"\nname = "L"\nbirth_year = 1940\n'
    assert before in entry
    path.write_text(entry.replace(before, after), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"nothing was changed|<= 2100"):
        load_registry(cloud.database, path)
    assert cloud.count(schema.community) == 0
    cloud.close()


# --- other machines -----------------------------------------------------------------------------------------------


def test_a_commit_wakes_the_roles_of_another_machine(url: str, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    cloud = Cloud(here, url)
    cloud.populate()
    database = Database(url)
    ear, listening = WakeListener(there, "web"), Listening(CloudConfig(data_dir=str(there)), database)
    listening.start()
    try:
        until(lambda: _listens(cloud))
        cloud.take(cloud.gateway.press())
        ear.socket.settimeout(20)
        assert ear.socket.recv(16) == b"w"
        with cloud.database.transaction() as connection:
            connection.exec_driver_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^LISTEN'")
        until(lambda: _listens(cloud))
        ear.drain()
        cloud.take(cloud.gateway.press())
        ear.socket.settimeout(20)
        assert ear.socket.recv(16) == b"w"
    finally:
        listening.stop()
        ear.close()
        database.close()
        cloud.close()
    assert listening.failed() is None


def _listens(cloud: Cloud) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ~ '^LISTEN'"
    with cloud.database.reading() as connection:
        return bool(connection.exec_driver_sql(query).scalar())
