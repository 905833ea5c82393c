"""One case that cannot be handled stops no other: it is rolled back, told as a fault, and tried again each round.

A bug ends a process, and the next one starts from the database. A row that leads to the bug is still there then, so the
loops over cases take each of them alone once one has failed. A database that is away is nobody's fault, and is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from hearthline.log import Log
from hearthline_cloud.database import Database, is_away
from hearthline_cloud.telling import Fault, FaultKind

_TOLD = 5
log = Log(__name__)

Fail = Callable[[int, Exception], None]
"""Gets the row's number and what was raised; it may raise it again."""


def is_of_the_database(error: Exception) -> bool:
    return isinstance(error, SQLAlchemyError) and is_away(error)


def take_each(
    database: Database, keys: Sequence[int], take: Callable[[Connection, int], int], fail: Fail | None
) -> int:
    """What `take` says of the rows in sum: all in one transaction, or one each where that cannot be.

    Without `fail` the first error is raised.
    """
    try:
        with database.transaction() as connection:
            return sum(take(connection, key) for key in keys)
    except Exception as error:
        if fail is None or is_of_the_database(error):
            raise
        if len(keys) == 1:
            fail(keys[0], error)
            return 0
    return sum(take_each(database, [key], take, fail) for key in keys)


class Stuck:
    """The alerts for which the last round could not do what was due."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}
        self._found: dict[int, str] = {}

    def failed(self, alert: int, error: Exception) -> None:
        name = type(error).__name__
        if self._known.get(alert) != name and len(self._found) < _TOLD:
            log.exception("what is due for an alert cannot be done", alert=alert)
        self._found[alert] = name

    def end_round(self) -> None:
        self._known, self._found = self._found, {}

    def faults(self) -> list[Fault]:
        first = sorted(self._known.items())[:_TOLD]
        return [Fault(FaultKind.ALERT, {"alert": str(alert), "error": name}) for alert, name in first]
