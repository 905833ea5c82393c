"""Many rows for one table, made ready before the transaction: in it the driver has nothing to do but to write.

SQLAlchemy prepares each row of a statement that is executed with many, which takes longer than writing it does, and a
press would wait for that. So statements are compiled before, for many rows each: on SQLite for some hundred, on
PostgreSQL for all, whose columns go over the line as arrays. What a personal column would refuse is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, Connection, Insert, Text, Update, bindparam, cast, func, select
from sqlalchemy.engine import Dialect

from hearthline_cloud.personal.column import Personal

_AT_ONCE = 200  # rows of an INSERT on SQLite, which takes 32,766 values
Row = dict[str, Any]
Order = Callable[[Sequence[Row]], Any]  # rows into the values of a statement


@dataclass(frozen=True, slots=True)
class Batch:
    """One statement in the database's own words, and its values as the driver takes them, once or many times."""

    sql: str
    values: Any

    def execute(self, connection: Connection) -> None:
        connection.exec_driver_sql(self.sql, self.values)


def inserts(dialect: Dialect, statement: Callable[[], Insert], rows: Sequence[Row]) -> Iterator[Batch]:
    """`statement`: makes the INSERT, without values. `rows`: all with the same names, of types without conversion."""
    for name in rows[0] if rows else ():
        _check(statement().table.c[name].type, (row[name] for row in rows))
    if rows and dialect.name == "postgresql":
        yield _by_arrays(dialect, statement(), rows)
        return
    made: dict[int, tuple[str, Order]] = {}
    for first in range(0, len(rows), _AT_ONCE):
        part = rows[first : first + _AT_ONCE]
        if len(part) not in made:
            made[len(part)] = _by_values(dialect, statement(), part[0], len(part))
        sql, order = made[len(part)]
        yield Batch(sql, order(part))


def updates(dialect: Dialect, statement: Update, rows: Sequence[Row]) -> Batch:
    """One UPDATE with the values of each row."""
    compiled = statement.compile(dialect=dialect, column_keys=list(rows[0]))
    for name, bound in compiled.binds.items():
        _check(bound.type, (row[name] for row in rows))
    order = compiled.positiontup
    return Batch(str(compiled), list(rows) if order is None else [tuple(row[name] for name in order) for row in rows])


def _by_arrays(dialect: Dialect, statement: Insert, rows: Sequence[Row]) -> Batch:
    names = list(rows[0])
    columns = [func.unnest(cast(bindparam(name), ARRAY(_plain(statement.table.c[name].type)))) for name in names]
    compiled = statement.from_select(names, select(*columns)).compile(dialect=dialect)
    return Batch(str(compiled), {name: [row[name] for row in rows] for name in names})


def _by_values(dialect: Dialect, statement: Insert, row: Row, count: int) -> tuple[str, Order]:
    """The statement for so many rows, and what puts their values into its order."""
    marked = [{name: (place, name) for name in row} for place in range(count)]
    compiled = statement.values(marked).compile(dialect=dialect)
    marks: dict[str, tuple[int, str]] = dict(compiled.params)
    order = [marks[bound] for bound in compiled.positiontup or ()]
    return str(compiled), lambda rows: tuple(rows[place][name] for place, name in order)


def _plain(kind: Any) -> Any:
    return Text() if isinstance(kind, Personal) else kind


def _check(kind: object, values: Iterable[Any]) -> None:
    if isinstance(kind, Personal):
        for value in values:
            kind.check_sealed(value)
