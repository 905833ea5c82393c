"""What a worn card garbles ends as damage, never as a bug, and each alarm that can be read is taken over."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import pytest

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError, StorageError
from hearthline.model import EventType, Lane, Reading
from hearthline_edge.config import EdgeConfig, UplinkConfig
from hearthline_edge.doctor import _outbox as examine_outbox
from hearthline_edge.outbox import Outbox
from hearthline_edge.outbox_file import APPLICATION_ID
from hearthline_edge.outbox_view import look_into
from hearthline_edge.pack_time import note_told_free, told_free, told_time
from hearthline_edge.salvage import KEPT_FILES
from trials import SEED

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
SAMPLE = [(Reading("meter", "power", 1.5, "W"), 0)]
ALARMS = 400


@pytest.fixture
def ids(tmp_path: Path) -> list[str]:
    """Of the alarms in a closed outbox."""
    outbox = Outbox(tmp_path)
    with outbox.transaction():
        outbox.remember_synced_clock(START)
        for number in range(ALARMS):
            data = {"role": "emergency", "button": "AO", "ordinal": outbox.next_ordinal("d"), "raw": "x" * 100}
            row = outbox.append_event(EventType.ALARM, f"d{number % 3}", data, START, urgent=True, sounds=True)
            outbox.remember_alarm(row)
        outbox.append_pack(SAMPLE, START)
    found = [row.id for row in outbox.events(10_000)]
    outbox.close()
    return found


def sql(text: str) -> Callable[[Path, list[str]], None]:
    def spoil(path: Path, ids: list[str]) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA ignore_check_constraints=ON")
            connection.execute("PRAGMA writable_schema=ON")
            connection.execute(text, {"id": ids[5]} if ":id" in text else {})
            connection.commit()

    return spoil


def letters(old: bytes, new: bytes) -> Callable[[Path, list[str]], None]:
    def spoil(path: Path, ids: list[str]) -> None:
        data = path.read_bytes()
        assert old in data
        assert len(old) == len(new)
        path.write_bytes(data.replace(old, new, 1))

    return spoil


def header(at: int, new: bytes) -> Callable[[Path, list[str]], None]:
    def spoil(path: Path, ids: list[str]) -> None:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(new)

    return spoil


def without_one_in_the_index(path: Path, ids: list[str]) -> None:
    """An alarm that no query over the index would ever send."""
    with closing(sqlite3.connect(path)) as connection:
        (text,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'event_order'").fetchone()
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'event_order'", (f"{text} WHERE seq <> 6",))
        connection.commit()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("REINDEX event_order")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'event_order'", (text,))
        connection.commit()


DAMAGE: dict[str, Callable[[Path, list[str]], None]] = {
    "a letter beyond ASCII in the words": letters(b'"emergency"', b'"eme\x8agency"'),
    "a letter beyond ASCII in a key": letters(b'"button"', b'"but\x84on"'),
    "a letter beyond ASCII in a name": letters(b"hearthline.alarm.v1", b"hearthline.al\xffrm.v1"),
    "words that are no JSON": sql("UPDATE event SET data = x'ff00' WHERE id = :id"),
    "JSON that is no object": sql("UPDATE event SET data = CAST('[1]' AS BLOB) WHERE id = :id"),
    "JSON without end": sql(
        "UPDATE event SET data = CAST(replace(hex(zeroblob(9000)),'00','[') AS BLOB) WHERE id = :id"
    ),
    "words of another type": sql('UPDATE event SET data = \'{"role":"emergency"}\' WHERE seq = 9000'),
    "an impossible time": sql("UPDATE event SET mono_ns = -5, wall_ns = -7 WHERE id = :id"),
    "neither urgent nor not": sql("UPDATE event SET urgent = 77 WHERE id = :id"),
    "no id": sql("DELETE FROM meta"),
    "a column of another name": letters(b"CREATE TABLE meta (key", b"CREATE TABLE meta (jey"),
    "a column of the events of another name": letters(b"type TEXT NOT NULL, device", b"tyqe TEXT NOT NULL, device"),
    "a table of another name": letters(b"CREATE TABLE mqtt_taken", b"CREATE TABLE mqtt_takem"),
    "a table that no SQL is": letters(b"CREATE TABLE ordinal (device TEXT", b"CREATE TABLE ordinal (device\xadTEXT"),
    "an index that has lost an alarm": without_one_in_the_index,
    "another application": header(68, b"\0\1\2\3"),
    "another version": header(60, b"\0\0\1\1"),
    "a format that may not be written": header(18, b"\7"),
    "another format of the schema": header(44, b"\0\0\0\x50"),
    "an ordinal beyond all": sql("UPDATE ordinal SET last = 9223372036854775807"),
    "what a boot's clock meant": sql("UPDATE boot SET offset_ns = 9223372036854775807"),
    "a counter": sql("INSERT INTO counter VALUES ('refused-event', -9)"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_alarm_is_taken_over(tmp_path: Path, ids: list[str], damage: str) -> None:
    DAMAGE[damage](tmp_path / "outbox.db", ids)
    outbox = Outbox(tmp_path)
    for _ in range(3):
        try:
            with outbox.transaction():
                row = outbox.append_event(EventType.ALARM, "d", {"role": "emergency"}, START, urgent=True)
                number = outbox.next_ordinal("d")
                kept = [row.id for row in outbox.events(10_000) if row.type == EventType.ALARM and row.urgent]
                outbox.true_time(Stamp(0, 0, "boot-1", False), START)
                outbox.lane_status(Lane.EVENT, START)
            break
        except StorageError:
            continue
    assert kept == [*ids, row.id]
    assert number == (1 if damage == "an ordinal beyond all" else ALARMS + 1)
    assert bool(outbox.damaged) == (damage != "words of another type"), "the control: nothing was changed"
    outbox.close()
    again = Outbox(tmp_path)
    assert (again.damaged, len(again.events(10_000))) == (outbox.damaged, ALARMS + 1)
    again.close()


def test_a_page_of_another_table_is_no_alarm(tmp_path: Path, ids: list[str]) -> None:
    """Rows whose columns hold NULL, or a word for a number."""
    path = tmp_path / "outbox.db"
    raw, here = path.read_bytes(), leaves(path)
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'telemetry'").fetchone()
    for page in here[2:4]:
        header(page * 4096, raw[(root - 1) * 4096 : root * 4096])(path, ids)
    outbox = Outbox(tmp_path)
    with outbox.transaction():
        kept = [row.id for row in outbox.events(10_000)]
    assert set(kept) < set(ids)
    assert len(kept) > ALARMS - 60
    outbox.close()


def leaves(path: Path) -> list[int]:
    """The pages that hold events."""
    raw = path.read_bytes()
    pages = [raw[at : at + 4096] for at in range(0, len(raw), 4096)]
    return [number for number, page in enumerate(pages) if page[0] == 0x0D and page.count(b'"raw":"xxx') > 3]


def test_what_lies_between_two_holes_is_taken_over(tmp_path: Path, ids: list[str]) -> None:
    path, rng = tmp_path / "outbox.db", random.Random(SEED)
    pages = leaves(path)
    assert len(pages) > 20
    for page in (pages[0], pages[5], pages[15], pages[-1]):
        header(page * 4096, rng.randbytes(4096))(path, ids)
    outbox = Outbox(tmp_path)
    kept = [row.id for row in outbox.events(10_000)]
    in_a_page = ALARMS / len(pages)
    assert ALARMS - len(kept) < 4 * (in_a_page + 3), "more than the four pages is gone"
    assert [each for each in ids if each in set(kept)] == kept, "in the order of the presses"
    outbox.close()


def test_damage_that_is_met_later_is_mended_as_well(tmp_path: Path, ids: list[str]) -> None:
    outbox = Outbox(tmp_path)
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as connection:
        connection.execute("UPDATE event SET data = x'7b22c3227d' WHERE id = ?", (ids[5],))
        connection.commit()
    with pytest.raises(StorageError, match="cannot be decoded"), outbox.transaction():
        outbox.events(10_000)
    with outbox.transaction():
        rows = {row.id: row for row in outbox.events(10_000)}
    assert list(rows) == ids
    assert rows[ids[5]].data == {"role": "emergency", "button": "", "ordinal": 0, "certainty": "possible"}
    outbox.close()


def test_a_garbled_letter_costs_no_other_word(tmp_path: Path, ids: list[str]) -> None:
    letters(b'"emergency","button"', b'"emer\x8aency","button"')(tmp_path / "outbox.db", ids)
    outbox = Outbox(tmp_path)
    for _ in range(2):
        try:
            with outbox.transaction():
                rows = outbox.events(10_000)
        except StorageError:
            continue
    odd = [row.data for row in rows if row.data.get("certainty") == "possible"]
    assert [(data["role"], data["button"]) for data in odd] == [("emergency", "AO")]
    assert odd[0]["ordinal"] > 0
    outbox.close()


@pytest.mark.parametrize("text", ["DELETE FROM meta", "UPDATE counter SET value = -1"])
def test_who_only_looks_tells_of_damage(tmp_path: Path, ids: list[str], text: str) -> None:
    config = EdgeConfig("gw-1", str(tmp_path), UplinkConfig("center"))
    sql("INSERT INTO counter VALUES ('refused-event', 1)")(tmp_path / "outbox.db", ids)
    assert look_into(config, START).event.depth == ALARMS
    sql(text)(tmp_path / "outbox.db", ids)
    with pytest.raises(ConfigError):
        look_into(config, START)
    assert examine_outbox(config).ok == (text != "DELETE FROM meta")


def test_another_version_of_ours_is_still_refused_untouched(tmp_path: Path, ids: list[str]) -> None:
    path = tmp_path / "outbox.db"
    sql("CREATE TABLE of_the_next_version (a)")(path, ids)
    header(60, b"\0\0\0\2")(path, ids)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="schema 2"):
        Outbox(tmp_path)
    assert path.read_bytes() == before
    assert APPLICATION_ID.to_bytes(4, "big") == before[68:72]


# --- the folder -------------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_listed_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> NoReturn:
        raise OSError(5, "Input/output error")

    outbox = Outbox(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(os, "scandir", fail)
        with pytest.raises(OSError, match="Input"):
            list(tmp_path.glob("*"))  # the control
        with outbox.transaction():
            outbox.look_for_damaged()
            outbox.append_event(EventType.ALARM, "d", {"role": "emergency"}, START, urgent=True)
        outbox.close()
        outbox = Outbox(tmp_path)
        assert len(outbox.events(9)) == 1
    outbox.close()


def test_an_error_of_the_system_in_a_transaction_is_one_of_storage(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    with pytest.raises(StorageError), outbox.transaction():
        raise OSError(5, "Input/output error")
    with outbox.transaction():
        outbox.count("alive", 1)
    assert outbox.damaged == []
    outbox.close()


def test_the_newest_is_kept_whatever_the_clock_says(tmp_path: Path) -> None:
    for number in (7, 8, 9):
        (tmp_path / f"outbox.db.damaged-{number:06d}-29990101T000000").write_bytes(b"of a clock that ran ahead")
    for number in range(12):  # more than ten in a second
        (tmp_path / "outbox.db").write_bytes(b"garbage %d " % number * 1000)
        outbox = Outbox(tmp_path)
        outbox.close()
        assert len(outbox.damaged) == KEPT_FILES
        assert (tmp_path / outbox.damaged[-1]).read_bytes().startswith(b"garbage %d " % number)


def test_the_log_of_a_file_that_was_taken_away_goes_too(tmp_path: Path) -> None:
    name = "outbox.db.damaged-000001-20261122T000000"
    for part in ("-wal", "-shm"):
        (tmp_path / f"{name}{part}").write_bytes(b"left behind")
    kept = tmp_path / "outbox.db.damaged-000002-20261122T000000-wal"
    kept.write_bytes(b"of a file that is there")
    kept.with_name(kept.name[:-4]).write_bytes(b"there")
    Outbox(tmp_path).close()
    assert not list(tmp_path.glob(f"{name}*"))
    assert kept.exists()


def test_a_kill_between_the_file_and_its_log_costs_no_alarm(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    with outbox.transaction():
        row = outbox.append_event(EventType.ALARM, "d", {"role": "emergency"}, START, urgent=True)
    assert (tmp_path / "outbox.db-wal").stat().st_size
    for name in ("outbox.db", "outbox.db-wal"):  # as a kill leaves them
        (tmp_path / f"{name}.copy").write_bytes((tmp_path / name).read_bytes())
    outbox.close()
    (tmp_path / "outbox.db").unlink()
    (tmp_path / "outbox.db.copy").rename(tmp_path / "outbox.db.damaged")
    (tmp_path / "outbox.db-wal.copy").rename(tmp_path / "outbox.db-wal")  # not yet beside its file
    outbox = Outbox(tmp_path)
    assert [each.id for each in outbox.events(9)] == [row.id]
    outbox.close()


# --- what piles up ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("synced", [True, False])
def test_boots_leave_no_counter_behind(tmp_path: Path, synced: bool) -> None:
    outbox = Outbox(tmp_path)
    for number in range(30):
        now = Stamp(10 * NS, 10 * NS, f"boot-{number}", False)
        with outbox.transaction():
            outbox.append_pack(SAMPLE, now)
            if number == 0:
                outbox.append_pack(SAMPLE, now)  # one that stays
            told = [told_time(outbox, pack, now) for pack in outbox.packs(8)]
            note_told_free(outbox, told_free(told))
            gone = outbox.packs(100)[-1].seq
            outbox.delete(Lane.TELEMETRY, [(gone, gone)])
            if synced:
                outbox.remember_synced_clock(Stamp(START.wall_ns, 20 * NS, f"boot-{number}", True))
    left = outbox.counters()
    assert len(left) <= 3
    assert left["told-free:boot-0"] == 2, "of packs that wait it is still known"
    outbox.close()
