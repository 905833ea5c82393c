"""What a backup holds: its first part, as JSON."""

from __future__ import annotations

from typing import Literal

import msgspec
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from hearthline import __version__
from hearthline.clock import rfc3339
from hearthline_cloud import journal
from hearthline_cloud.alerts.lifecycle import State
from hearthline_cloud.backup import BackupError
from hearthline_cloud.schema import alert as alert_table
from hearthline_cloud.schema import journal as journal_table

NAME = "manifest.json"
SQLITE, POSTGRESQL, READINGS = "database.sqlite", "database.pgdump", "timeseries.sqlite"
DATA, FILES = "data/", "files/"  # what lay in data_dir, and elsewhere
FORMAT = 1


class Member(msgspec.Struct, frozen=True):
    """One part. `origin`: where it lay."""

    name: str
    origin: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`head` and `entries` are those of the journal; `left_out` is what could not be taken along, each with why."""

    format: int = FORMAT
    made_ns: int
    software: str
    engine: Literal["sqlite", "postgresql"]
    schema: str
    entries: int
    head: str
    open_cases: int
    closed_cases: int
    members: tuple[Member, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def made_at(self) -> str:
        return rfc3339(self.made_ns)


def facts(connection: Connection, now_ns: int) -> Manifest:
    """Of the database as this snapshot has it. Raises BackupError for one that is not a center's."""
    schema = MigrationContext.configure(connection).get_current_revision()
    if schema is None:
        raise BackupError("there is no center's database there yet: nothing to back up")
    try:
        counted = connection.execute(
            select(
                func.count(),
                func.count().filter(alert_table.c.state == State.RESOLVED),
            ).select_from(alert_table)
        ).one()
        entries = connection.execute(select(func.count()).select_from(journal_table)).scalar_one()
        head = journal.head(connection)
    except SQLAlchemyError as error:
        raise BackupError(f"the database of schema {schema} cannot be read by this version: {error}") from None
    return Manifest(
        made_ns=now_ns,
        software=__version__,
        engine="postgresql" if connection.dialect.name == "postgresql" else "sqlite",
        schema=schema,
        entries=entries,
        head=head,
        open_cases=counted[0] - counted[1],
        closed_cases=counted[1],
    )


def decode(data: bytes) -> Manifest:
    """Raises BackupError for one that this version cannot read."""
    try:
        version = msgspec.json.decode(data, type=_Version).format
        if version > FORMAT:
            raise BackupError(f"this backup is of format {version}; this version knows {FORMAT}: update it first")
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BackupError(f"the manifest of this backup cannot be read: {error}") from None


class _Version(msgspec.Struct):
    format: int
