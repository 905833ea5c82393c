"""Migrations, the registry file, the wake: what is refused is refused untouched, and says what to do."""

from __future__ import annotations

import multiprocessing
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect, select, text
from sqlalchemy.schema import CreateTable

from cloud_center import Cloud, migrate, migrate_in_a_process
from hearthline.errors import ConfigError, StorageError
from hearthline_cloud import schema
from hearthline_cloud.database import Database, sqlite_url
from hearthline_cloud.registry.file import load_registry
from hearthline_cloud.roles import parse_roles
from hearthline_cloud.wake import WakeListener, Waker
from servers import Postgresql


def dump(url: str) -> list[str]:
    """All that a database holds, its structure and its rows."""
    database = Database(url)
    found = MetaData()
    with database.reading() as connection:
        found.reflect(connection)
        lines = [str(CreateTable(table).compile(connection)) for table in found.sorted_tables]
        for table in found.sorted_tables:
            lines += sorted(str(index.name) for index in table.indexes)
            lines += sorted(map(str, connection.execute(select(table))))
    database.close()
    return lines


_POSTGRESQL = (
    "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default "
    "FROM information_schema.columns WHERE table_schema = 'public'",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace",
)


def structure(connection: Connection) -> list[str]:
    """What the database itself says of its tables, in whatever order their columns are."""
    if connection.dialect.name == "postgresql":
        found = [str(row) for query in _POSTGRESQL for row in connection.exec_driver_sql(query)]
    else:
        made = connection.exec_driver_sql("SELECT tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL").all()
        found = [f"{name}: {part.strip()}" for name, sql in made for part in re.split(r"[,\n]", sql)]
    return sorted(line for line in found if "alembic_version" not in line)


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a database that nobody has migrated yet."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "h.db")
        return
    server: Postgresql = request.getfixturevalue("postgres")
    yield server.create("fresh")
    server.drop("fresh")


def test_a_fresh_database_has_the_schema_and_a_repeat_changes_nothing(fresh_url: str) -> None:
    migrate(fresh_url)
    before = dump(fresh_url)
    migrate(fresh_url)
    assert dump(fresh_url) == before
    database = Database(fresh_url)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
        assert set(inspect(connection).get_table_names()) == {"alembic_version", *schema.metadata.tables}
    database.close()


def test_the_migrations_build_to_the_letter_what_the_schema_says(fresh_url: str) -> None:
    """Also what Alembic does not compare: defaults, conditions of indexes, numbers that are never given twice."""
    migrate(fresh_url)
    with closing(Database(fresh_url)) as database, database.transaction() as connection:
        migrated = structure(connection)
        schema.metadata.drop_all(connection)
        assert inspect(connection).get_table_names() == ["alembic_version"]
        schema.metadata.create_all(connection)
        assert structure(connection) == migrated


def test_a_newer_schema_is_refused_untouched(fresh_url: str) -> None:
    migrate(fresh_url)
    database = Database(fresh_url)
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    before = dump(fresh_url)
    with pytest.raises(ConfigError, match=r"'9999' is not known.*Nothing was changed"):
        migrate(fresh_url)
    assert dump(fresh_url) == before


def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    path.write_bytes(b"this is a letter to my aunt" * 200)
    with pytest.raises(StorageError, match=r"h\.db"):
        migrate(sqlite_url(path))
    assert path.read_bytes() == b"this is a letter to my aunt" * 200
    with pytest.raises(StorageError, match=r"h\.db"):
        migrate(sqlite_url(tmp_path / "no such folder" / "h.db"))


def test_roles_that_start_together_migrate_once(fresh_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    racers = [context.Process(target=migrate_in_a_process, args=(fresh_url, start)) for _ in range(4)]
    for racer in racers:
        racer.start()
    start.set()
    for racer in racers:
        racer.join(100)
        assert racer.exitcode == 0


@pytest.mark.parametrize("url", ["nonsense", "nosuch://x/y", "sqlite:///:memory:x?timeout=z"])
def test_a_url_that_cannot_be_used(url: str) -> None:
    with pytest.raises((ConfigError, StorageError)):
        Database(url).migrate()


def test_readers_neither_wait_nor_make_wait(fresh_url: str) -> None:
    database = Database(fresh_url)
    database.migrate()
    with database.transaction() as writer, database.reading() as reader:
        writer.execute(text("INSERT INTO community VALUES ('c', 'C')"))
        assert reader.execute(text("SELECT count(*) FROM community")).scalar() == 0
    database.close()


# --- the registry -------------------------------------------------------------------------------------------------

REGISTRY = """
[[community]]
id = "com-9"
name = "East"
[[home]]
id = "home-9"
community = "com-9"
name = "Flat 9"
[[resident]]
id = "res-9"
home = "home-9"
name = "王"
contacts = [{ name = "Jun", relation = "son", phone = "110" }]
[[gateway]]
id = "gw-9"
home = "home-9"
[[device]]
gateway = "gw-9"
id = "enocean:9"
resident = "res-9"
user = 1
[[volunteer]]
id = "v-9"
community = "com-9"
name = "周"
phone = "120"
[[pairing]]
home = "home-9"
volunteers = ["v-9"]
"""


def test_the_registry_is_loaded_as_often_as_one_likes(cloud: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "registry.toml"
    path.write_text(REGISTRY, encoding="utf-8")
    for _ in range(2):
        assert load_registry(cloud.database, path) == dict.fromkeys(
            ["community", "home", "resident", "gateway", "device", "volunteer", "pairing"], 1
        )
    path.write_text(REGISTRY.replace("Flat 9", "Flat 10"), encoding="utf-8")
    load_registry(cloud.database, path)
    assert {home.id: home.name for home in cloud.rows(schema.home)}["home-9"] == "Flat 10"


def test_registering_a_gateway_that_was_heard_keeps_what_is_known_of_it(cloud: Cloud, tmp_path: Path) -> None:
    with cloud.database.transaction() as connection:
        connection.execute(schema.gateway.insert().values(id="gw-9", last_seen_ns=7, state="online"))
    path = tmp_path / "registry.toml"
    path.write_text(REGISTRY, encoding="utf-8")
    load_registry(cloud.database, path)
    row = {gateway.id: gateway for gateway in cloud.rows(schema.gateway)}["gw-9"]
    assert (row.home_id, row.last_seen_ns, row.state) == ("home-9", 7, "online")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('home = "home-9"\nname', 'home = "home-x"\nname', "[resident]:1 ('res-9'), home: there is no home 'home-x'"),
        ('resident = "res-9"', 'resident = "res-x"', "('enocean:9'), resident: there is no resident 'res-x'"),
        ('id = "gw-9"\nhome', 'id = "网关"\nhome', "'网关' cannot be an id"),
        ('id = "res-9"', 'id = ""', "[resident]:1 (''), id: this must be given"),
        ('id = "res-9"', f'id = "{"r" * 65}"', "it has 65 characters, of 64 at most"),
        (
            "[[device]]",
            '[[gateway]]\nid = "gw-9"\nhome = "home-9"\n[[device]]',
            "('gw-9'), id: it is there twice: also in ",
        ),
        ("user = 1", "usr = 1", "unknown key `usr`"),
        ('volunteers = ["v-9"]', 'volunteers = ["v-8"]', "pairing of 'home-9'"),
        ('volunteers = ["v-9"]', 'volunteers = ["v-9", "v-9"]', "a volunteer is there twice"),
        ('id = "v-9"', f'id = "{"v" * 49}"', "of 48 at most"),
        ("user = 1", 'user = "one"', "Expected `int | null`"),
    ],
)
def test_a_wrong_registry_changes_nothing(cloud: Cloud, tmp_path: Path, before: str, after: str, said: str) -> None:
    assert before in REGISTRY
    path = tmp_path / "registry.toml"
    path.write_text(REGISTRY.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_registry(cloud.database, path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert cloud.count(schema.community) == 1


# --- wake and roles -----------------------------------------------------------------------------------------------


def test_a_wake_reaches_its_role_and_never_fails(tmp_path: Path) -> None:
    waker = Waker(tmp_path)
    waker.wake("web")  # nobody listens yet
    listener = WakeListener(tmp_path, "web")
    dead = tmp_path / "wake" / "web.999999"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
        sock.bind(str(dead))
    woken = threading.Event()

    def listen() -> None:
        listener.wait(10)
        woken.set()

    thread = threading.Thread(target=listen)
    thread.start()
    for _ in range(2000):
        waker.wake("web")
    assert woken.wait(5)
    thread.join()
    assert not dead.exists()
    listener.drain()
    listener.wait(0.01)
    listener.close()
    waker.wake("web")
    waker.close()


def test_a_data_directory_that_holds_no_socket_is_named(tmp_path: Path) -> None:
    (tmp_path / "wake").write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match="data_dir"):
        WakeListener(tmp_path, "web")


def test_roles() -> None:
    assert parse_roles([]) == ["ingest", "desk", "web"]
    assert parse_roles(["web", "ingest"]) == ["ingest", "web"]
    with pytest.raises(ConfigError, match="--role cook: there is no such role"):
        parse_roles(["cook"])


def test_a_writer_has_the_lock_soon_after_it_is_free(cloud: Cloud) -> None:
    """Left to itself, SQLite would look at 228 and at 328 ms after the wait began, and let an alarm wait between."""
    lags = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(5):
            with cloud.database.transaction():
                taken = pool.submit(take_lock, cloud.database)
                time.sleep(0.24)
            free = time.monotonic()
            lags.append(taken.result(10) - free)
    assert sorted(lags)[2] < 0.05


def take_lock(database: Database) -> float:
    with database.transaction():
        return time.monotonic()
