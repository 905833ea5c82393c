"""Many entries into the database: checked and sealed on a snapshot, then one short transaction; everything or nothing.

SQLite has one writer, and so has our PostgreSQL: a press waits for a transaction that is going on. So what takes long
is done before it. Where the registry was changed meanwhile, all of it is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

from sqlalchemy import Connection

from hearthline.errors import RefusedError
from hearthline_cloud.database import Database
from hearthline_cloud.registry.checking import Entry, Plan, Rules, check
from hearthline_cloud.registry.shape import REGISTERED
from hearthline_cloud.registry.writing import prepare, write

_TRIES = 5


class Stage(StrEnum):
    CHECK = "check"
    SEAL = "seal"
    WRITE = "write"


class Progress(Protocol):
    def __call__(self, stage: Stage, done: int, total: int) -> None: ...


def silent(stage: Stage, done: int, total: int) -> None:
    """Of who does not look."""


def nothing(connection: Connection) -> None:
    """Of who has nothing to add to the transaction."""


def look_through(
    database: Database, entries: Sequence[Entry], rules: Rules, now_ns: int, progress: Progress = silent
) -> Plan:
    """What the entries would change, and every problem; nothing is changed."""
    with database.reading() as connection:
        return check(connection, entries, now_ns, rules, _staged(progress, Stage.CHECK, len(entries)))


def bring_in(
    database: Database,
    entries: Sequence[Entry],
    rules: Rules,
    actor: str,
    now_ns: int,
    progress: Progress = silent,
    also: Callable[[Connection], None] = nothing,
) -> Plan:
    """Write all entries, or none where there is a problem. `also` is done in the same transaction.

    Raises RefusedError while others keep changing the registry.
    """
    for _ in range(_TRIES):
        with database.reading() as connection:
            plan = check(connection, entries, now_ns, rules, _staged(progress, Stage.CHECK, len(entries)))
            if plan.problems:
                return plan
            ready = prepare(connection, plan, _staged(progress, Stage.SEAL, len(plan.moves)))
        progress(Stage.WRITE, 0, 1)
        with database.transaction() as connection:
            if write(connection, ready, actor, now_ns):
                also(connection)
                done = True
            else:
                done = False
        if done:
            progress(Stage.WRITE, 1, 1)
            return plan
    raise RefusedError("the registry is being changed by others all the time; nothing was changed, try again")


def counts(plan: Plan) -> dict[str, dict[str, int]]:
    """By kind, as far as there is anything of it: new, changed, same."""
    told = {
        kind.value: {
            "new": plan.count(kind, is_new=True),
            "changed": plan.count(kind, is_new=False),
            "same": plan.same[kind],
        }
        for kind in REGISTERED
    }
    return {kind: each for kind, each in told.items() if any(each.values())}


def _staged(progress: Progress, stage: Stage, total: int) -> Callable[[int], None]:
    return lambda done: progress(stage, done, total)
