"""Backup and restore on both databases: what comes back, what is refused, and what a fault on the way leaves."""

from __future__ import annotations

import io
import multiprocessing
import os
import resource
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner, Result

from cloud_center import Cloud, back_up_in_a_process
from cloud_processes import until
from hearthline.errors import ConfigError, HearthlineError, StorageError
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import Outcome
from hearthline_cloud.backup import BackupError, manifest, restoring
from hearthline_cloud.backup.gathering import gather
from hearthline_cloud.backup.making import make_backup
from hearthline_cloud.backup.manifest import Manifest
from hearthline_cloud.backup.restoring import NUMBERS_SKIPPED, check_backup, restore_by, restore_into
from hearthline_cloud.backup.sealed import Sealer, Unsealer, make_key, read_key
from hearthline_cloud.commands import app
from hearthline_cloud.config import load_cloud_config
from hearthline_cloud.database import Database, sqlite_url
from hearthline_cloud.desk import Desk
from hearthline_cloud.people import People
from hearthline_cloud.permissions import Role
from hearthline_cloud.personal.keys import KEY_FILE
from hearthline_cloud.personal.opening import unlock
from secret_files import write_secret
from servers import Postgresql

NOW_NS = 1_800_000_000 * 10**9
ON_SQLITE = pytest.mark.parametrize("either_url", ["sqlite"], indirect=True)


class Center:
    """A center's configuration, its secrets and its database; one case open, one closed, a work order, a session."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.cloud = cloud
        self.folder = folder
        self.key_file = folder / "backup.key"
        self.file = folder / "center.backup"
        make_key(self.key_file)
        (folder / "etc").mkdir()
        write_secret(folder / "etc" / "password", "open sesame\n")
        self.config_file = self.configure(folder / "etc" / "cloud.toml", cloud.folder, cloud.database.url)
        (cloud.folder / "link-key").write_text("a" * 64 + "\n", encoding="utf-8")
        (folder / "ca").mkdir()
        (folder / "ca" / "issuing.key").write_text("issuing", encoding="utf-8")
        (folder / "ca" / "root.key").write_text("root", encoding="utf-8")

    def configure(self, path: Path, data: Path, url: str) -> Path:
        broker = f'[broker]\nusername = "ingest"\npassword_file = "{self.folder}/etc/password"\n'
        known = f'[identity]\nfolder = "{self.folder}/ca"\nbroker = "{self.folder}/mosquitto"\nnames = ["localhost"]\n'
        path.write_text(f'data_dir = "{data}"\ndatabase = "{url}"\n{broker}{known}', encoding="utf-8")
        return path

    def work(self) -> None:
        self.cloud.take(self.cloud.gateway.press())
        desk = Desk(self.cloud.database, self.cloud.waker)
        desk.acknowledge(1, "mei", NOW_NS)
        desk.resolve(1, Outcome.REAL_EMERGENCY, "mei", NOW_NS)
        self.cloud.take(self.cloud.gateway.press(device="enocean:2"))
        values = {"alert_id": 2, "climb": 0, "step": 0, "waits_for": "step", "began_ns": 5, "due_ns": 5, "set_ns": 5}
        times = {"made_ns": NOW_NS, "changed_ns": NOW_NS, "expires_ns": NOW_NS}
        with self.cloud.database.transaction() as connection:
            connection.execute(insert(schema.escalation).values(**values, version=1))
            order = {"alert_id": 2, "escalation_id": 1, "climb": 0, "kind": "call-back", "subject": "center"}
            connection.execute(insert(schema.work_order).values(**order, **times, state="issued"))
        people = People(self.cloud.database, 12)
        people.accounts.add("mei", "a long password", Role.OPERATOR, NOW_NS)
        with self.cloud.database.transaction() as connection:
            values = {"token_hash": "t", "staff_name": "mei", "created_ns": 1, "seen_ns": 1, "expires_ns": 2**62}
            connection.execute(insert(schema.session).values(**values))

    def backup(self, **more: Any) -> Manifest:
        config = load_cloud_config(self.config_file)
        return make_backup(self.config_file, config, self.file, self.key_file, NOW_NS, **more)

    def content(self, database: Database | None = None) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, but sessions and the last entry of a restored journal."""
        with (database or self.cloud.database).reading() as connection:
            rows = {
                table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
                for table in schema.metadata.sorted_tables
                if table.name != "session"
            }
        if database is not None:
            assert rows["journal"].pop()[2] == restoring.RESTORED
        return rows


@pytest.fixture
def center(tmp_path: Path, database_url: str) -> Iterator[Center]:
    (tmp_path / "data").mkdir()
    url = database_url if "postgresql" in database_url else sqlite_url(tmp_path / "data" / "hearthline.db")
    cloud = Cloud(tmp_path / "data", url)
    cloud.populate()
    try:
        made = Center(cloud, tmp_path)
        made.work()
        yield made
    finally:
        cloud.close()


@pytest.fixture
def empty_url(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Of a database with nothing in it, of the same engine."""
    if "postgresql" not in database_url:
        yield sqlite_url(tmp_path / "new" / "hearthline.db")
        return
    server: Postgresql = request.getfixturevalue("postgres")
    yield server.create("restored")
    server.drop("restored")


def test_a_restored_center_has_every_row_no_session_and_gives_no_number_twice(center: Center, empty_url: str) -> None:
    told = center.backup()
    before = center.content()
    with center.cloud.database.reading() as connection:
        head = journal.head(connection)
    assert (told.open_cases, told.closed_cases, told.entries, told.head) == (1, 1, len(before["journal"]), head)
    (center.folder / "new").mkdir()
    new = center.configure(center.folder / "new.toml", center.folder / "new", empty_url)
    restored = restore_by(center.file, center.key_file, load_cloud_config(new), NOW_NS + 5)
    assert restored.broken_at is None
    database = Database(empty_url)
    unlock(database, center.folder / "new" / KEY_FILE, may_make=False)  # the key came along
    after = center.content(database)
    assert next(row for row in after["command"] if row not in before["command"])[2]["type"] == "resend"
    assert after | {"command": before["command"]} == before
    with database.reading() as connection:
        verdict = journal.check(connection, head)
        assert connection.execute(select(schema.session)).all() == []
    assert verdict.broken_at is None
    assert verdict.known_at == before["journal"][-1][0]
    with database.transaction() as connection:
        connection.execute(schema.work_order.update().values(state="expired"))
        order = {"alert_id": 2, "escalation_id": 1, "climb": 0, "kind": "call-back", "subject": "center"}
        times = {"made_ns": NOW_NS, "changed_ns": NOW_NS, "expires_ns": NOW_NS}
        number = connection.execute(
            insert(schema.work_order).values(**order, **times, state="issued")
        ).inserted_primary_key
        assert number is not None
        assert number[0] == before["work_order"][-1][0] + NUMBERS_SKIPPED + 1
        asked = insert(schema.feedback).values(alert_id=1, whom="contact", expires_ns=1)
        first = connection.execute(asked).inserted_primary_key
        assert first is not None
        assert first[0] > NUMBERS_SKIPPED
    database.close()


def test_the_files_come_back_apart_from_the_roots_key_and_the_backups_own(center: Center) -> None:
    shutil.copy(center.key_file, center.cloud.folder / "backup.key")
    center.key_file = center.cloud.folder / "backup.key"
    center.file = center.cloud.folder / "center.backup"
    center.backup()
    center.backup()
    out = center.folder / "out"
    restore_into(center.file, center.key_file, out, NOW_NS)
    assert (out / "link-key").read_text() == "a" * 64 + "\n"
    elsewhere = out / restoring.ELSEWHERE / "files" / str(center.folder).lstrip("/")
    assert (elsewhere / "ca" / "issuing.key").read_text() == "issuing"
    assert (elsewhere / "etc" / "password").read_text() == "open sesame\n"
    assert (elsewhere / "etc" / "cloud.toml").read_bytes() == center.config_file.read_bytes()
    found = {path.name for path in out.rglob("*")}
    assert not {"root.key", "backup.key", "center.backup", "center.backup.new"} & found
    assert {path.stat().st_mode & 0o077 for path in out.rglob("*")} == {0}


def test_a_copy_leaves_nothing_beside_the_database(center: Center) -> None:
    before = {path.name for path in center.cloud.folder.iterdir()}
    center.backup()
    assert {path.name for path in center.cloud.folder.iterdir()} - before <= {"hearthline.db-wal", "hearthline.db-shm"}
    assert not center.file.with_name("center.backup.new").exists()


@ON_SQLITE
def test_readings_of_the_embedded_store_come_along_where_wanted(center: Center) -> None:
    with closing(sqlite3.connect(center.cloud.folder / "timeseries.db")) as store:
        store.executescript("CREATE TABLE sample (value REAL); INSERT INTO sample VALUES (5.5);")
    assert manifest.READINGS not in {member.name for member in center.backup().members}
    center.backup(with_readings=True)
    restore_into(center.file, center.key_file, center.folder / "out", NOW_NS)
    with closing(sqlite3.connect(center.folder / "out" / "timeseries.db")) as store:
        assert store.execute("SELECT value FROM sample").fetchall() == [(5.5,)]


# --- what is refused ---------------------------------------------------------------------------------------------


def listed(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def refused(center: Center, *, code: int = 1, words: str, file: Path | None = None, key: Path | None = None) -> None:
    """By the check and by the restore, which leaves nothing behind."""
    before = listed(center.folder)
    for attempt in (
        lambda: check_backup(file or center.file, key or center.key_file),
        lambda: restore_into(file or center.file, key or center.key_file, center.folder / "out", NOW_NS),
    ):
        with pytest.raises(HearthlineError, match=words) as caught:
            attempt()
        assert caught.value.exit_code == code
    assert listed(center.folder) == before


@ON_SQLITE
def test_a_damaged_cut_or_foreign_file_is_refused_and_nothing_is_left(center: Center) -> None:
    center.backup()
    whole = center.file.read_bytes()
    for damaged, words in (
        (whole[:-1], "damaged or was cut off"),
        (whole[: len(whole) // 2], "damaged or was cut off"),
        (whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:], "damaged or was cut off"),
        (b"", "no backup"),
        (b"SQLite format 3\0", "no backup"),
    ):
        center.file.write_bytes(damaged)
        refused(center, words=words)
    center.file.write_bytes(whole)
    other = center.folder / "other.key"
    make_key(other)
    refused(center, words="another key", key=other)
    refused(center, words="No such file", key=center.folder / "absent.key", code=2)
    refused(center, words="No such file", file=center.folder / "absent", code=2)


def rewritten(center: Center, change: dict[str, Any], extra: str = "", drop: str = "") -> None:
    """The backup with another manifest, sealed with the right key."""
    key = read_key(center.key_file)
    with (
        center.file.open("rb") as file,
        tarfile.open(fileobj=cast("Any", Unsealer(file, key)), mode="r|") as tar,
    ):
        parts = [(entry.name, cast("Any", tar.extractfile(entry)).read()) for entry in tar]
    told = msgspec.json.decode(parts[0][1]) | change
    parts[0] = (manifest.NAME, msgspec.json.encode(told))
    parts = [part for part in parts if part[0] != drop] + ([(extra, b"x")] if extra else [])
    with center.file.open("wb") as target:
        sealer = Sealer(target, key)
        with tarfile.open(fileobj=cast("Any", sealer), mode="w|") as tar:
            for name, content in parts:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        sealer.finish()


@ON_SQLITE
def test_a_newer_format_a_newer_schema_and_a_manifest_that_lies_are_refused(center: Center) -> None:
    told = msgspec.to_builtins(center.backup())
    whole = center.file.read_bytes()
    out = center.folder / "out"
    lying = [member | {"sha256": "0" * 64} for member in told["members"]]
    leading = [member | {"name": "data/../../planted"} for member in told["members"][:1]]
    for change, more, words in (
        ({"format": 2}, {}, "format 2"),
        ({"schema": "0999"}, {}, "'0999'"),
        ({"members": lying}, {}, "checksum"),
        ({"members": leading}, {}, "missing|leads out"),
        ({"head": "0" * 64, "entries": 1}, {}, "the manifest says 1"),
        ({}, {"extra": "data/planted"}, "more than its manifest"),
        ({}, {"drop": manifest.SQLITE}, "missing"),
    ):
        center.file.write_bytes(whole)
        rewritten(center, change, **more)
        before = listed(center.folder)
        with pytest.raises(BackupError, match=words):
            restore_into(center.file, center.key_file, out, NOW_NS)
        assert listed(center.folder) == before


def test_a_place_where_anything_is_stays_as_it_is(center: Center) -> None:
    center.backup()
    out = center.folder / "out"
    out.mkdir()
    (out / "hearthline.db").write_bytes(b"somebody's")
    with pytest.raises(ConfigError, match="empty place only"):
        restore_into(center.file, center.key_file, out, NOW_NS)
    assert [path.read_bytes() for path in out.iterdir()] == [b"somebody's"]
    before = center.content()
    (center.folder / "new").mkdir()
    same = center.configure(center.folder / "same.toml", center.folder / "new", center.cloud.database.url)
    with pytest.raises(ConfigError, match="empty"):
        restore_by(center.file, center.key_file, load_cloud_config(same), NOW_NS)
    assert center.content() == before


@ON_SQLITE
def test_what_a_killed_restore_has_left_is_no_obstacle(center: Center) -> None:
    center.backup()
    out = center.folder / "out"
    (out / ".restoring" / "half").mkdir(parents=True)
    (out / ".restoring-hearthline.db").write_bytes(b"half")
    restore_into(center.file, center.key_file, out, NOW_NS)
    assert not [path for path in out.iterdir() if path.name.startswith(".restoring")]
    assert (out / "hearthline.db").exists()


# --- faults while one is made -------------------------------------------------------------------------------------


@ON_SQLITE
def test_a_damaged_database_replaces_no_good_backup(center: Center) -> None:
    center.backup()
    good = center.file.read_bytes()
    center.cloud.close()
    path = center.cloud.folder / "hearthline.db"
    data = bytearray(path.read_bytes())
    for at in range(8192, len(data), 4096):
        data[at : at + 200] = os.urandom(200)
    path.write_bytes(data)
    with pytest.raises(BackupError, match=r"damaged|cannot be read|malformed"):
        center.backup()
    assert center.file.read_bytes() == good
    assert not center.file.with_name("center.backup.new").exists()


@ON_SQLITE
def test_a_disk_that_fills_leaves_the_old_backup(center: Center) -> None:
    center.backup()
    good = center.file.read_bytes()
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) - 1000, hard))  # room for the copy, none for the backup
    try:
        with pytest.raises(StorageError, match="untouched"):
            center.backup()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
    assert center.file.read_bytes() == good
    assert not center.file.with_name("center.backup.new").exists()


def changed(path: Path, seen_ns: int) -> bool:
    return path.stat().st_mtime_ns != seen_ns


@ON_SQLITE
def test_a_kill_at_any_moment_leaves_a_whole_backup_and_no_plain_text(center: Center) -> None:
    center.backup()
    context = multiprocessing.get_context("spawn")
    for moment in range(6):
        begun_ns = center.file.stat().st_mtime_ns
        process = context.Process(target=back_up_in_a_process, args=(center.config_file, center.file, center.key_file))
        process.start()
        until(partial(changed, center.file, begun_ns), 60)
        time.sleep(moment * 0.013)
        process.kill()
        process.join()
        assert check_backup(center.file, center.key_file).closed_cases == 1
    center.backup()
    assert [path for path in center.cloud.folder.glob(".copying-*") if path.stat().st_size] == []
    assert not center.file.with_name("center.backup.new").exists()


@ON_SQLITE
def test_a_center_that_is_started_amid_a_restore_keeps_its_database(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    center.backup()
    out = center.folder / "out"
    settle = restoring._settle

    def start(*arguments: Any) -> int | None:
        (out / "hearthline.db").write_bytes(b"of a center")
        return settle(*arguments)

    monkeypatch.setattr(restoring, "_settle", start)
    out.mkdir()
    with pytest.raises(BackupError, match="meanwhile"):
        restore_into(center.file, center.key_file, out, NOW_NS)
    assert (out / "hearthline.db").read_bytes() == b"of a center"


@ON_SQLITE
def test_what_is_missing_is_named(center: Center) -> None:
    (center.folder / "etc" / "password").unlink()
    with pytest.raises(ConfigError, match=r"broker\.password_file"):
        center.backup()
    assert not center.file.exists()
    bare = center.configure(center.config_file, center.folder / "etc", sqlite_url(center.folder / "etc" / "none.db"))
    with pytest.raises(ConfigError, match="nothing to back up"):
        make_backup(bare, load_cloud_config(bare), center.file, center.key_file, NOW_NS)
    assert not (center.folder / "etc" / "none.db").exists()


@pytest.mark.parametrize("either_url", ["postgresql"], indirect=True)
def test_without_postgresqls_own_programs_it_says_what_to_install(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(center.folder))
    with pytest.raises(BackupError, match="postgresql-client"):
        center.backup()
    assert not center.file.exists()


# --- the commands ------------------------------------------------------------------------------------------------


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@ON_SQLITE
def test_the_commands(center: Center) -> None:
    key = ("--key-file", center.folder / "made.key")
    assert "outside of this machine" in run("backup-key", *key).stdout
    made = run("backup", "--config", center.config_file, "--to", center.file, *key, "--json")
    told = msgspec.json.decode(made.stdout)
    assert told["bytes"] == center.file.stat().st_size
    checked = run("restore", center.file, "--check", *key)
    assert "is whole" in checked.stdout
    assert told["manifest"]["head"] in checked.stdout
    restored = run("restore", center.file, "--to", center.folder / "out", *key)
    assert "log in again" in restored.stdout
    assert "from-elsewhere" in restored.stdout
    assert (center.folder / "out" / "hearthline.db").exists()
    neither = run("restore", center.file, *key)
    assert isinstance(neither.exception, ConfigError)


def test_a_center_without_certificates_takes_nothing_of_where_it_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "somebodys").mkdir()
    (tmp_path / "somebodys" / "letter").write_text("dear", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "somebodys")
    file = tmp_path / "cloud.toml"
    file.write_text(f'data_dir = "{tmp_path / "data"}"\n', encoding="utf-8")
    assert [place for _, place in gather(file, load_cloud_config(file), ()).content] == [str(file)]
