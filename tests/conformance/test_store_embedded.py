"""What only the embedded store does: its file, its schema version, a full disk, several processes."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hearthline.errors import ConfigError, LinkError
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store import Point, SeriesQuery, open_store
from hearthline_cloud.store.embedded import FILE_NAME, EmbeddedStore

EVERYTHING = SeriesQuery("power", -(2**63), 2**63, limit=100_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    with closing(EmbeddedStore(tmp_path, timeout_s=1.0)) as opened:
        yield opened


def point(index: int, device: str = "d") -> Point:
    return Point("power", "c", "h", "g", device, float(index), index)


@pytest.mark.parametrize("statement", ["PRAGMA user_version=99", "CREATE TABLE foreign_table (x)"])
def test_an_unknown_schema_is_refused_untouched(tmp_path: Path, statement: str) -> None:
    path = tmp_path / FILE_NAME
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="Nothing was changed"):
        EmbeddedStore(tmp_path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [FILE_NAME]


def test_what_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(b"these are notes, not a database\n" * 100)
    with pytest.raises(LinkError, match=r"timeseries\.db.*move it away"):
        EmbeddedStore(tmp_path)
    assert path.read_bytes() == b"these are notes, not a database\n" * 100


def put_garbage(path: Path) -> None:
    path.write_bytes(b"these are notes, not a database\n" * 100)


@pytest.mark.parametrize("spoil", [put_garbage, Path.mkdir])
def test_a_file_that_cannot_be_opened_is_tried_again_at_each_call(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    path = tmp_path / FILE_NAME
    spoil(path)
    store = open_store(StoreConfig(timeout_s=0.5), tmp_path)
    calls = [lambda: store.write([point(1)]), lambda: store.read(SeriesQuery("power", 0, 9)), store.check]
    for call in calls:
        with pytest.raises(LinkError, match=r"timeseries\.db"):
            call()
    path.rename(tmp_path / "aside")
    store.check()
    assert store.write([point(1)]) == []
    assert [sample.value for sample in store.read(SeriesQuery("power", 0, 9))] == [1.0]


def test_a_busy_file_hardly_delays_the_start(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        store = open_store(StoreConfig(timeout_s=30), tmp_path)
        assert time.monotonic() - began < 5
        with pytest.raises(LinkError, match="another process holds its lock"):
            store.check()
        other.execute("ROLLBACK")
    store.check()


def test_a_file_of_another_version_under_a_running_process_is_away(tmp_path: Path) -> None:
    """At the start it is a wrong installation; later, alarms depend on the process."""
    path = tmp_path / FILE_NAME
    put_garbage(path)
    store = open_store(StoreConfig(timeout_s=0.5), tmp_path)
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(LinkError, match="Nothing was changed"):
        store.check()
    with pytest.raises(ConfigError, match="Nothing was changed"):
        open_store(StoreConfig(), tmp_path)


def test_wrong_configuration_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data_dir"):
        EmbeddedStore(tmp_path / "missing")
    with pytest.raises(ConfigError, match=r"store\.timeout_s"):
        open_store(StoreConfig(timeout_s=0), tmp_path)


def test_every_commit_is_synced_to_the_disk(store: EmbeddedStore) -> None:
    assert store._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._writer.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_full_disk_takes_all_or_nothing(store: EmbeddedStore) -> None:
    """Series of the write that failed were rolled back with it, and are made again by the next."""
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count={pages + 4}")
    with pytest.raises(LinkError, match="full; free space"):
        store.write([point(index, device=f"d{index % 7}") for index in range(5000)])
    assert store.read(EVERYTHING) == []
    store._writer.execute("PRAGMA max_page_count=1000000")
    assert store.write([point(index, device=f"d{index % 7}") for index in range(5000)]) == []
    assert [sample.value for sample in store.read(EVERYTHING)] == [float(index) for index in range(5000)]


def test_a_fresh_file_opened_by_many_at_once(tmp_path: Path) -> None:
    problems: list[BaseException] = []
    barrier = threading.Barrier(8)

    def open_and_write(index: int) -> None:
        barrier.wait(10)
        try:
            with closing(EmbeddedStore(tmp_path)) as each:
                each.write([point(index)])
        except (LinkError, ConfigError, sqlite3.Error) as error:
            problems.append(error)

    threads = [threading.Thread(target=open_and_write, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert problems == []
    with closing(EmbeddedStore(tmp_path)) as store:
        assert [sample.time_ns for sample in store.read(EVERYTHING)] == list(range(8))


def test_windows_before_1970_begin_early_too(store: EmbeddedStore) -> None:
    store.write([point(index) for index in (-7, -5, -1, 0, 4)])
    query = SeriesQuery("power", -100, 100, window_ns=5, aggregate="sum")
    assert [(sample.time_ns, sample.value) for sample in store.read(query)] == [(-10, -7.0), (-5, -6.0), (0, 4.0)]
