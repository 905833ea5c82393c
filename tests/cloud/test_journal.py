"""The journal's chain: any change of what was written is found, and the words of a note can go without breaking it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update
from typer.testing import CliRunner

from cloud_center import Cloud
from hearthline_cloud import journal
from hearthline_cloud.commands import app
from hearthline_cloud.schema import journal as table

KINDS = ["raised", "joined", "acknowledged", "note", "resolved"]


@pytest.fixture
def written(cloud: Cloud) -> Cloud:
    with cloud.database.transaction() as connection:
        for place, kind in enumerate(KINDS):
            detail: dict[str, Any] = {"text": f"第 {place} 条", "level": 0.1 + place, "to": None}
            journal.append(connection, kind, 1000 + place, detail, actor="mei" if place > 1 else "")
    return cloud


def checked(cloud: Cloud, known: str | None = None) -> journal.Verdict:
    with cloud.database.reading() as connection:
        return journal.check(connection, known)


def test_an_empty_journal_and_a_whole_one_hold(cloud: Cloud) -> None:
    assert checked(cloud) == journal.Verdict(0, journal.GENESIS)
    with cloud.database.transaction() as connection:
        journal.append(connection, "gateway", 5, {})
        first = journal.head(connection)
        journal.append(connection, "gateway", 6, {"state": "online"})
    verdict = checked(cloud, first)
    assert (verdict.entries, verdict.broken_at, verdict.known_at) == (2, None, 1)
    assert verdict.head != first


def test_the_documented_rule_gives_the_stored_hash(written: Cloud) -> None:
    def sha256(value: object) -> str:
        return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    before = "0" * 64
    for row in written.rows(table):
        before = sha256([before, row.at_ns, row.kind, row.alert_id, row.event_key, row.actor, sha256(row.detail)])
        assert row.hash == before


def _change(values: dict[str, Any]) -> Any:
    return lambda connection: connection.execute(update(table).where(table.c.id == 3).values(**values))


def _remove(connection: Connection) -> None:
    connection.execute(delete(table).where(table.c.id == 3))


def _swap(connection: Connection) -> None:
    for start, end in ((3, 99), (4, 3), (99, 4)):
        connection.execute(update(table).where(table.c.id == start).values(id=end))


def _insert(connection: Connection) -> None:
    last = connection.execute(select(table.c.hash).order_by(table.c.id.desc())).scalars().first()
    values: dict[str, Any] = {"at_ns": 9, "kind": "note", "actor": "eve", "detail": {}, "hash": last}
    connection.execute(insert(table).values(**values))


@pytest.mark.parametrize(
    ("tamper", "found_at"),
    [
        (_change({"detail": {"text": "nothing"}}), 3),
        (_change({"actor": "eve"}), 3),
        (_change({"at_ns": 1}), 3),
        (_change({"kind": "resolved"}), 3),
        (_change({"hash": "0" * 64}), 3),
        (_remove, 4),
        (_swap, 3),
        (_insert, 6),
    ],
)
def test_what_somebody_changes_is_found(written: Cloud, tamper: Any, found_at: int) -> None:
    with written.database.transaction() as connection:
        tamper(connection)
    assert checked(written).broken_at == found_at


def test_who_writes_the_end_anew_is_found_by_a_hash_noted_elsewhere(written: Cloud) -> None:
    noted = checked(written).head
    with written.database.transaction() as connection:
        connection.execute(delete(table).where(table.c.id >= 4))
        journal.append(connection, "resolved", 1004, {}, actor="mei")
    verdict = checked(written, noted)
    assert (verdict.broken_at, verdict.known_at) == (None, None)


def test_the_words_of_a_note_go_and_the_chain_holds(written: Cloud) -> None:
    note = written.rows(table)[3]
    digest = hashlib.sha256(json.dumps(note.detail, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    with written.database.transaction() as connection:
        connection.execute(update(table).where(table.c.id == note.id).values(detail={journal.ERASED: digest}))
    assert checked(written).broken_at is None


def test_what_is_rolled_back_leaves_no_hole(written: Cloud) -> None:
    def interrupted() -> None:
        with written.database.transaction() as connection:
            journal.append(connection, "note", 1, {})
            raise InterruptedError

    with pytest.raises(InterruptedError):
        interrupted()
    with written.database.transaction() as connection:
        journal.append(connection, "note", 2, {})
    assert checked(written) == journal.Verdict(6, checked(written).head)


def test_the_commands_check_and_export_a_case(cloud: Cloud, tmp_path: Path) -> None:
    config = tmp_path / "cloud.toml"
    config.write_text(f'data_dir = "{tmp_path}"\ndatabase = "{cloud.database.url}"\n', encoding="utf-8")
    cloud.take(cloud.gateway.press())
    cloud.take(cloud.gateway.press())
    runner = CliRunner()

    def run(*words: str) -> tuple[int, str]:
        result = runner.invoke(app, ["journal", *words, "--config", str(config)], standalone_mode=False)
        return int(result.return_value or 0), result.output

    status, output = run("check", "--json")
    head = json.loads(output)["head"]
    assert (status, json.loads(output)["entries"]) == (0, 2)
    status, output = run("export", "--alert", "1")
    entries = [json.loads(line) for line in output.splitlines()]
    assert (status, [entry["kind"] for entry in entries]) == (0, ["raised", "joined"])
    assert [journal.chained(entry["before"], entry) for entry in entries] == [entry["hash"] for entry in entries]
    assert run("export", "--alert", "77")[0] == 1
    assert run("check", "--head", head)[0] == 0
    assert run("check", "--head", "f" * 64)[0] == 1
    with cloud.database.transaction() as connection:
        connection.execute(update(table).where(table.c.id == 1).values(actor="eve"))
    assert run("check") == (1, "The journal is broken at entry 1: it, or one before it, is not as it was written.\n")
