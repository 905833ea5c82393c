"""The data keys in the database: found or made when something is sealed, destroyed when a person is erased.

What reads opens values by itself (`column`); what writes calls `sealed` with the row's values, notes of the journal
`note`. A data key is looked up in the writer's own transaction, so that nothing is sealed under one that was destroyed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, insert, select

from hearthline_cloud import journal
from hearthline_cloud.personal.column import Personal, keyring_of, opened, place_of
from hearthline_cloud.personal.keys import DataKey
from hearthline_cloud.schema import personal_key

NOTE = "note"
SEALED = "sealed"
CENTER = "center"  # the subject of what belongs to no person and no home


def subject_of_case(alert: Row[Any]) -> str:
    """Whose words about an alert are: its resident's, else its home's."""
    if alert.resident_id is not None:
        return f"resident:{alert.resident_id}"
    return CENTER if alert.home_id is None else f"home:{alert.home_id}"


def personal_columns(table: Table) -> dict[str, Personal]:
    return {column.name: column.type for column in table.columns if isinstance(column.type, Personal)}


def sealed(connection: Connection, table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """`values` of one row, with its `id`, ready to be written: what is personal is sealed for that row."""
    keys: dict[str, DataKey] = {}
    ready = dict(values)
    for name, kind in personal_columns(table).items():
        if ready.get(name) is None or ready[name] == "":
            continue
        subject = kind.subject_of(values)
        if subject not in keys:
            keys[subject] = data_key(connection, subject)
        ready[name] = keys[subject].seal(kind.as_text(ready[name]), place_of(table.name, name, values["id"]))
    return ready


def data_key(connection: Connection, subject: str) -> DataKey:
    """The subject's key, made where there is none: by the key that seals the center's, for ours may be of before.

    In a `Database.transaction()`. Raises UnreadableError.
    """
    keyring = keyring_of(connection.dialect)
    query = select(personal_key.c.subject, personal_key.c.sealed)
    found = connection.execute(query.where(personal_key.c.subject.in_((subject, CENTER)))).all()
    keys = {row.subject: row.sealed for row in found}
    wrapped: str | None = keys.get(subject)
    if wrapped is None:
        wrapped = keyring.new_data_key(keys[CENTER].split(".", 1)[0] if CENTER in keys else "")
        connection.execute(insert(personal_key).values(subject=subject, sealed=wrapped))
    return keyring.data_key(wrapped)


def destroy(connection: Connection, subjects: Iterable[str]) -> None:
    """Nothing that was sealed for them opens ever again."""
    connection.execute(delete(personal_key).where(personal_key.c.subject.in_(list(subjects))))


def note(connection: Connection, alert: Row[Any], words: str, actor: str, now_ns: int) -> None:
    """A person's words about an alert, into its journal."""
    subject = subject_of_case(alert)
    text = data_key(connection, subject).seal(words, note_place(alert.id, now_ns))
    journal.append(connection, NOTE, now_ns, {SEALED: text, "of": subject}, alert=alert.id, actor=actor)


def open_notes(connection: Connection, rows: Iterable[Row[Any]]) -> list[dict[str, Any]]:
    """The details of entries of the journal, in their order; those of notes as {"text": their words}."""
    rows = list(rows)
    subjects = {row.detail.get("of") for row in rows if _is_sealed(row)}
    query = select(personal_key.c.subject, personal_key.c.sealed).where(personal_key.c.subject.in_(subjects))
    keys = {row.subject: row.sealed for row in connection.execute(query)} if subjects else {}
    return [_open_note(connection, row, keys) if _is_sealed(row) else row.detail for row in rows]


def _open_note(connection: Connection, row: Row[Any], keys: dict[str, str]) -> dict[str, Any]:
    wrapped, text = keys.get(row.detail["of"], ""), row.detail[SEALED]
    return {"text": opened(keyring_of(connection.dialect), wrapped, text, note_place(row.alert_id, row.at_ns))}


def _is_sealed(row: Row[Any]) -> bool:
    return row.kind == NOTE and isinstance(row.detail, dict) and SEALED in row.detail


def note_place(alert: int, at_ns: int) -> str:
    return place_of("journal", NOTE, f"{alert}|{at_ns}")
