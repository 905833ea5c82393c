"""Child of test_disk_fsync: owns an outbox or the center's database, and does what its standard input says.

    commit   append an alarm or a row: its id, or null when the disk did not take it
    turn     begin the write-ahead log from its start again, over what it held
    show     the ids of all

`believing`: the log that an earlier process left is believed, as SQLite alone would.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from hearthline.clock import NS, Stamp
from hearthline.errors import StorageError
from hearthline.model import EventType

NOW = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
Answers = dict[str, Callable[[], Any]]


def edge(folder: Path, believing: bool) -> Answers:
    from hearthline_edge import outbox_file
    from hearthline_edge.outbox import Outbox

    if believing:
        setattr(outbox_file, "write_again", lambda path: None)  # noqa: B010 - the control knows what it replaces
    outbox = Outbox(folder)

    def commit() -> str | None:
        data = {"role": "emergency", "button": "AO", "ordinal": 1, "raw": "x" * 500}
        try:
            with outbox.transaction():
                return outbox.append_event(EventType.ALARM, "d", data, NOW, urgent=True).id
        except StorageError:
            return None

    return {
        "commit": commit,
        "turn": lambda: turn(outbox.path),
        "show": lambda: [row.id for row in outbox.events(10_000)],
    }


def center(folder: Path, believing: bool) -> Answers:
    from sqlalchemy import insert, select
    from sqlalchemy.exc import SQLAlchemyError

    from hearthline_cloud import database, schema

    if believing:
        setattr(database, "write_again", lambda path: None)  # noqa: B010 - the control knows what it replaces
    path = folder / "hearthline.db"
    center = database.Database(database.sqlite_url(path))
    center.migrate()

    def commit() -> str | None:
        row = str(uuid.uuid4())
        try:
            with center.transaction() as connection:
                connection.execute(insert(schema.community).values(id=row, name="x" * 500))
        except SQLAlchemyError:
            return None
        return row

    def show() -> list[str]:
        with center.reading() as connection:
            return list(connection.execute(select(schema.community.c.id)).scalars())

    return {"commit": commit, "turn": lambda: turn(path), "show": show}


def turn(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return bool(connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] == 0)


def main() -> None:
    kind, folder, *believing = sys.argv[1:]
    answers = {"edge": edge, "center": center}[kind](Path(folder), bool(believing))  # imports the one room only
    for line in sys.stdin:
        print(json.dumps(answers[line.strip()]()), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
