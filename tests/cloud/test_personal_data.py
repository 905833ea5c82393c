"""Personal data at rest: sealed, bound to its row, opened by its key alone; the key rotated; old rows sealed."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, text, update

from cloud_center import Cloud
from hearthline.errors import ConfigError
from hearthline_cloud import journal, schema
from hearthline_cloud.console.history import homes_called
from hearthline_cloud.database import Database
from hearthline_cloud.desk import Desk
from hearthline_cloud.personal.column import ERASED, UNREADABLE
from hearthline_cloud.personal.keys import KEY_FILE, Keyring, make_key_file, new_key, read_keys, write_keys
from hearthline_cloud.personal.opening import unlock
from hearthline_cloud.personal.rotating import rotate
from hearthline_cloud.personal.vault import destroy, open_notes, sealed
from hearthline_cloud.registry.file import load_registry
from personal_rows import change, put, with_key

PLANTED = (
    "王秀兰", "Nanjing Road 5", "13800000142", "diabetes", "1941", "王建国", "she fell twice", "Wu Lan", "in hospital",
)  # fmt: skip


@pytest.fixture
def lived_in(cloud: Cloud) -> Cloud:
    """People, a volunteer, an absence, a case with a note: each planted text once."""
    with cloud.database.transaction() as connection:
        change(connection, schema.home, "home-1", address="Nanjing Road 5")
        contacts = [{"name": "王建国", "relation": "son", "phone": "13800000142"}]
        person = {"name": "王秀兰", "birth_year": 1941, "illnesses": "diabetes", "contacts": contacts}
        change(connection, schema.resident, "res-1", **person)
        put(connection, schema.volunteer, id="v-1", community_id="com-1", name="Wu Lan", phone="13800000142")
        window = {"what": "absence", "scope": "home", "scope_id": "home-1", "from_ns": 1, "to_ns": 2}
        window |= {"declared_by": "mei", "declared_ns": 1, "subject": "home:home-1"}
        put(connection, schema.declared, **window, reason="in hospital")
    cloud.take(cloud.gateway.press())
    Desk(cloud.database, cloud.waker).note(1, "she fell twice", "mei", time.time_ns())
    return cloud


def everything(database: Database) -> str:
    """Every value of every row as the database has it, past our types."""
    lines = []
    with database.reading() as connection:
        for table in schema.metadata.sorted_tables:
            lines += [repr(tuple(row)) for row in connection.execute(text(f'SELECT * FROM "{table.name}"'))]
    return "\n".join(lines)


def note_of(database: Database) -> dict[str, Any]:
    with database.reading() as connection:
        rows = connection.execute(select(schema.journal).where(schema.journal.c.kind == "note")).all()
        (found,) = open_notes(connection, rows)
    return found


def test_nothing_personal_stands_in_the_database_and_all_of_it_is_read(lived_in: Cloud) -> None:
    stored = everything(lived_in.database)
    assert [word for word in PLANTED if re.search(rf"(?<!\d){word}(?!\d)", stored)] == []  # 1941 is in many a time
    assert re.search(r"(?<!\d)home-1(?!\d)", stored)  # the search finds what is not sealed
    (person,) = lived_in.rows(schema.resident)
    assert (person.name, person.birth_year, person.illnesses) == ("王秀兰", 1941, "diabetes")
    assert person.contacts == [{"name": "王建国", "relation": "son", "phone": "13800000142"}]
    assert lived_in.rows(schema.home)[0].address == "Nanjing Road 5"
    assert lived_in.rows(schema.volunteer)[0].name == "Wu Lan"
    assert lived_in.rows(schema.declared)[0].reason == "in hospital"
    assert note_of(lived_in.database) == {"text": "she fell twice"}


def test_the_file_of_the_database_has_none_of_it_either(tmp_path: Path) -> None:
    """Nor its log, nor what was overwritten: no plain text ever came there."""
    cloud = Cloud(tmp_path)
    cloud.populate()
    with cloud.database.transaction() as connection:
        change(connection, schema.resident, "res-1", name="王秀兰", illnesses="diabetes")
    found = b"".join(path.read_bytes() for path in tmp_path.glob("hearthline.db*"))
    assert b"res-1" in found
    assert "王秀兰".encode() not in found
    assert b"diabetes" not in found
    cloud.close()


@pytest.mark.parametrize("column", ["name", "contacts"])
def test_plain_text_is_refused(cloud: Cloud, column: str) -> None:
    with pytest.raises(Exception, match="sealed values only"), cloud.database.transaction() as connection:
        connection.execute(update(schema.resident).values({column: "Li"}))
    assert cloud.rows(schema.resident)[0].name == "Li"


def test_a_sealed_value_is_neither_compared_nor_sorted_by() -> None:
    with pytest.raises(TypeError, match="open it first"):
        schema.resident.c.name == "Li"  # noqa: B015
    with pytest.raises(TypeError, match="open it first"):
        schema.home.c.name.desc()


def _raw(connection: Connection, table: str, column: str, row: str) -> str:
    found: str = connection.execute(text(f"SELECT {column} FROM {table} WHERE id = :row"), {"row": row}).scalar_one()
    return found


def _put_raw(connection: Connection, table: str, column: str, row: str, value: str) -> None:
    connection.execute(text(f"UPDATE {table} SET {column} = :value WHERE id = :row"), {"value": value, "row": row})


@pytest.mark.parametrize("source", [("home", "name", "home-1"), ("home", "address", "home-2")])
def test_a_value_moved_to_another_row_or_column_is_not_shown_there(
    lived_in: Cloud, source: tuple[str, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Even when the thief moves the data key along: who could swap addresses would send help to the wrong door."""
    with lived_in.database.transaction() as connection:
        change(connection, schema.home, "home-2", address="Beijing Road 7")
        value = _raw(connection, *source)
        _put_raw(connection, "home", "address", "home-1", value)
        key = connection.execute(
            select(schema.personal_key.c.sealed).where(schema.personal_key.c.subject == f"place:{source[2]}")
        ).scalar_one()
        mine = schema.personal_key.c.subject == "place:home-1"
        connection.execute(update(schema.personal_key).where(mine).values(sealed=key))
    shown = {row.id: row for row in lived_in.rows(schema.home)}
    assert shown["home-1"].address == UNREADABLE
    assert shown["home-2"].address == "Beijing Road 7"
    assert "Beijing" not in caplog.text


def test_a_damaged_value_keeps_nothing_else_from_the_screen(lived_in: Cloud) -> None:
    with lived_in.database.transaction() as connection:
        for column in ("name", "contacts", "birth_year"):
            value = _raw(connection, "resident", column, "res-1")
            other = "A" if value[-10] != "A" else "B"
            _put_raw(connection, "resident", column, "res-1", value[:-10] + other + value[-9:])
        _put_raw(connection, "resident", "notes", "res-1", "no value at all")
    (person,) = lived_in.rows(schema.resident)
    assert (person.name, person.contacts, person.birth_year) == (UNREADABLE, None, None)
    assert person.illnesses == "diabetes"


def test_a_destroyed_key_leaves_the_chain_whole_and_the_words_unreadable(lived_in: Cloud) -> None:
    before = everything(lived_in.database)
    with lived_in.database.transaction() as connection:
        destroy(connection, ["resident:res-1"])
    assert note_of(lived_in.database) == {"text": ERASED}
    with lived_in.database.reading() as connection:
        assert journal.check(connection).broken_at is None
    with lived_in.database.transaction() as connection:  # a new key for the same person opens nothing of before
        change(connection, schema.resident, "res-1", phone="1")
    assert note_of(lived_in.database) == {"text": ERASED}
    assert "she fell" not in before


def test_another_key_is_refused_and_says_which_is_wanted(lived_in: Cloud, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    make_key_file(other)
    wanted = Keyring(read_keys(lived_in.folder / KEY_FILE)).present
    database = Database(lived_in.database.url)
    before = everything(lived_in.database)
    with pytest.raises(ConfigError, match=f"sealed with the key {wanted}; put that one there"):
        unlock(database, other, may_make=False)
    with pytest.raises(ConfigError, match=r"is not there; put it back from a backup"):
        unlock(database, tmp_path / "none", may_make=True)
    assert not (tmp_path / "none").exists()
    other.chmod(0o644)
    with pytest.raises(ConfigError, match=r"others may read it .*chmod 600"):
        unlock(database, other, may_make=False)
    other.chmod(0o600)
    other.write_text("no key")
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        unlock(database, other, may_make=False)
    assert everything(lived_in.database) == before
    database.close()


def test_without_its_key_a_database_opens_nothing(lived_in: Cloud) -> None:
    database = Database(lived_in.database.url)
    with pytest.raises(ConfigError, match="personal_key_file"), database.reading() as connection:
        connection.execute(select(schema.home)).all()
    with database.reading() as connection:  # and what needs no name, needs no key
        assert connection.execute(select(schema.home.c.id).order_by(schema.home.c.id)).scalars().all() == [
            "home-1",
            "home-2",
        ]
        assert journal.check(connection).broken_at is None
    database.close()


def test_a_rotation_is_seen_by_who_has_the_old_key_in_memory(lived_in: Cloud) -> None:
    file = lived_in.folder / KEY_FILE
    values = [row.name for row in lived_in.rows(schema.home)]
    old = read_keys(file)
    other = with_key(Database(lived_in.database.url), lived_in.folder)
    done = rotate(other, file, forget_old=True)
    assert (done.kept, len(read_keys(file))) == (0, 1)
    assert read_keys(file) != old
    assert [row.name for row in lived_in.rows(schema.home)] == values
    with lived_in.database.transaction() as connection:  # made by it, now, under the key that the file still has
        put(connection, schema.volunteer, id="v-2", community_id="com-1", name="Sun", phone="1")
    fresh = with_key(Database(lived_in.database.url), lived_in.folder)
    with fresh.reading() as connection:
        assert [row.name for row in connection.execute(select(schema.volunteer))] == ["Wu Lan", "Sun"]
    for database in (other, fresh):
        database.close()


def test_a_rotation_that_was_killed_goes_on(lived_in: Cloud) -> None:
    """Killed when the file had both keys and the database knew nothing of the new one."""
    file = lived_in.folder / KEY_FILE
    old = read_keys(file)
    write_keys(file, [new_key(), *old])
    planned = read_keys(file)
    database = with_key(Database(lived_in.database.url), lived_in.folder)
    assert database is not None
    done = rotate(database, file, forget_old=False)
    assert read_keys(file) == planned  # no third key
    assert (done.present, done.kept) == (Keyring(planned).present, 1)
    assert done.data_keys == lived_in.count(schema.personal_key)
    assert rotate(database, file, forget_old=True).kept == 0
    assert lived_in.rows(schema.home)[0].address == "Nanjing Road 5"
    database.close()


def test_a_rotation_that_was_killed_between_two_bundles_goes_on(lived_in: Cloud) -> None:
    """Some data keys are under the new key, the center's is not: no third key, and nothing is lost."""
    file = lived_in.folder / KEY_FILE
    write_keys(file, [new_key(), *read_keys(file)])
    planned = read_keys(file)
    keyring = Keyring(planned)
    key = schema.personal_key
    with lived_in.database.transaction() as connection:
        row = connection.execute(select(key).where(key.c.subject == "resident:res-1")).one()
        of_person = key.c.subject == row.subject
        connection.execute(update(key).where(of_person).values(sealed=keyring.rewrapped(row.sealed)))
        put(connection, schema.volunteer, id="v-9", community_id="com-1", name="Sun", phone="1")
    database = with_key(Database(lived_in.database.url), lived_in.folder)
    assert rotate(database, file, forget_old=True).data_keys == lived_in.count(key) - 1
    assert read_keys(file) == planned[:1]
    assert lived_in.rows(schema.resident)[0].name == "王秀兰"
    assert [row.name for row in lived_in.rows(schema.volunteer)] == ["Wu Lan", "Sun"]
    database.close()


def test_a_name_is_found_in_memory_within_the_communities_seen(lived_in: Cloud) -> None:
    with lived_in.database.reading() as connection:
        assert [place.id for place in homes_called(connection, "秀兰", None)] == ["home-1"]
        assert [place.id for place in homes_called(connection, "HOME", None)] == ["home-1", "home-2"]
        assert homes_called(connection, "秀兰", frozenset({"com-2"})) == []
        assert homes_called(connection, "%", None) == []


def test_the_registry_file_is_sealed_on_its_way_in(cloud: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "registry.toml"
    file.write_text(
        '[[resident]]\nid = "res-7"\nhome = "home-2"\nname = "王秀兰"\nbirth_year = 1941\n'
        'contacts = [{ name = "王建国", phone = "13800000142" }]\n',
        encoding="utf-8",
    )
    load_registry(cloud.database, file)
    assert [word for word in PLANTED if word in everything(cloud.database)] == []
    assert {row.id: row.birth_year for row in cloud.rows(schema.resident)} == {"res-1": None, "res-7": 1941}


def test_two_values_that_are_equal_do_not_look_equal(cloud: Cloud) -> None:
    with cloud.database.transaction() as connection:
        first, second = (sealed(connection, schema.home, {"id": "home-1", "name": "x"})["name"] for _ in range(2))
    assert first != second
