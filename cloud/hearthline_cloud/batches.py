"""Many rows for one statement, made ready before the transaction: in it the driver has nothing to do but to write.

SQLAlchemy prepares each row of a statement that is executed with many, which takes longer than writing it does, and a
press would wait for that. What a personal column would refuse is refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Delete, Insert, Update
from sqlalchemy.engine import Dialect

from hearthline_cloud.personal.column import Personal


@dataclass(frozen=True, slots=True)
class Batch:
    """One statement in the database's own words, and the values of each row as its driver takes them."""

    sql: str
    rows: list[Any]

    def execute(self, connection: Connection) -> None:
        connection.exec_driver_sql(self.sql, self.rows)


def batch(dialect: Dialect, statement: Insert | Update | Delete, rows: Sequence[dict[str, Any]]) -> Batch:
    """`rows`: at least one; all with the same names. Values of types that need no conversion."""
    compiled = statement.compile(dialect=dialect, column_keys=list(rows[0]))
    personal = [name for name, bound in compiled.binds.items() if isinstance(bound.type, Personal)]
    for row in rows:
        for name in personal:
            Personal.check_sealed(row[name])
    order = compiled.positiontup
    ready = list(rows) if order is None else [tuple(row[name] for name in order) for row in rows]
    return Batch(str(compiled), ready)
