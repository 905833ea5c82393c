"""A bundle of what is due, removed in one short transaction; what was removed is counted there, and told by and by.

Each bundle is looked for on a snapshot and looked at again under the writer's lock: a case that is reopened in between
stays. Killed at any point, or run by two desks, nothing goes that is not due and nothing is counted twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from hearthline.clock import NS
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import State
from hearthline_cloud.config import RetentionConfig
from hearthline_cloud.database import Database, upsert
from hearthline_cloud.journal import SYSTEM
from hearthline_cloud.retention.kinds import KINDS, Kind, table_of

JOURNAL = "journal"  # the kind of its entries
TOLD = "retention"  # the entry that says how much of each kind was removed
DAY_NS = 86_400 * NS
AT_MOST_NS = DAY_NS  # a round goes no further beyond the one before
_ENTRIES = 250  # a transaction: each is checked against the chain
_removed = schema.removed


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one kind: how long it is kept, how much is due now, and from when on there is any (None: nothing went yet)."""

    kind: str
    days: int
    due: int
    until_ns: int | None


def days_of(config: RetentionConfig) -> dict[str, int]:
    return {**{kind.name: kind.days(config) for kind in KINDS}, JOURNAL: config.journal_days}


def horizons(connection: Connection) -> dict[str, int]:
    """Of each kind from which something may have gone: what is older is gone. Unix nanoseconds."""
    return {row.kind: row.until_ns for row in connection.execute(select(_removed))}


def limits(connection: Connection, config: RetentionConfig, now_ns: int) -> dict[str, int]:
    """What is older than this goes in this round. A clock that is years ahead costs a day, not everything."""
    reached = horizons(connection)
    wanted = {name: now_ns - days * DAY_NS for name, days in days_of(config).items()}
    return {name: min(at_ns, reached.get(name, at_ns) + AT_MOST_NS) for name, at_ns in wanted.items()}


def remove_some(database: Database, kind: Kind, before_ns: int, now_ns: int) -> int:
    """One bundle of a kind; how many rows went."""
    due = select(kind.key).where(kind.is_due(before_ns))
    with database.reading() as connection:
        found = connection.execute(due.order_by(kind.key).limit(kind.at_once)).scalars().all()
    if not found:
        return 0
    with database.transaction() as connection:
        still = connection.execute(due.where(kind.key.in_(found))).scalars().all()
        if still:
            kind.remove(connection, still, now_ns)
            _count(connection, kind.name, len(still), before_ns, now_ns)
    return len(found)


def remove_entries(database: Database, before_ns: int, now_ns: int) -> int:
    """The oldest entries of the journal, a bundle of them; how many.

    They go from the front, up to the first that is not old, belongs to an open case or is not in the figures. Less than
    a bundle waits for a day, for each leaves a stub.
    """
    with database.reading() as connection:
        through, count, oldest_ns = _removable(connection, before_ns)
    if not count or (count < _ENTRIES and oldest_ns > before_ns - DAY_NS):
        return 0
    with database.transaction() as connection:
        through = min(through, _first_needed(connection) - 1)
        removed = journal.prune(connection, through, before_ns, now_ns)
        if removed:
            _count(connection, JOURNAL, removed, before_ns, now_ns)
    return removed


def _removable(connection: Connection, before_ns: int) -> tuple[int, int, int]:
    """Up to which entry, how many, and when the first of them was written."""
    table = schema.journal
    needed = _first_needed(connection)
    rows = connection.execute(
        select(table.c.id, table.c.at_ns).where(table.c.id < needed).order_by(table.c.id).limit(_ENTRIES)
    ).all()
    young = next((place for place, row in enumerate(rows) if row.at_ns >= before_ns), len(rows))
    return (rows[young - 1].id, young, rows[0].at_ns) if young else (0, 0, 0)


def _first_needed(connection: Connection) -> int:
    """The first entry of an open case, or the first that the figures do not know yet."""
    table, alert = schema.journal, schema.alert
    of_open = select(func.min(table.c.id)).join(alert, alert.c.id == table.c.alert_id)
    first_open: int | None = connection.execute(of_open.where(alert.c.state != State.RESOLVED)).scalar()
    folded: int = connection.execute(select(schema.figure_cursor.c.journal_id)).scalar_one()
    return folded + 1 if first_open is None else min(first_open, folded + 1)


def _count(connection: Connection, kind: str, rows: int, before_ns: int, since_ns: int | None) -> None:
    made = upsert(connection, _removed).values(kind=kind, until_ns=before_ns, rows=rows, since_ns=since_ns)
    known = _removed.c
    later = func.max if connection.dialect.name == "sqlite" else func.greatest
    connection.execute(
        made.on_conflict_do_update(
            index_elements=["kind"],
            set_={
                "until_ns": later(known.until_ns, before_ns),
                "rows": known.rows + rows,
                "since_ns": func.coalesce(known.since_ns, since_ns),
            },
        )
    )


def reach(database: Database, limits: dict[str, int]) -> None:
    """Note how far a round has come that left nothing."""
    with database.transaction() as connection:
        for kind, before_ns in limits.items():
            _count(connection, kind, 0, before_ns, None)


def tell(database: Database, now_ns: int, after_ns: int = 0) -> dict[str, int]:
    """Write into the journal how much went since it was told last, unless that began less than `after_ns` ago."""
    with database.reading() as connection:
        if not _to_tell(connection, now_ns - after_ns):
            return {}
    with database.transaction() as connection:
        counts = _to_tell(connection, now_ns - after_ns)
        if counts:
            journal.append(connection, TOLD, now_ns, {"removed": counts}, actor=SYSTEM)
            connection.execute(update(_removed).values(rows=0, since_ns=None))
    return counts


def _to_tell(connection: Connection, before_ns: int) -> dict[str, int]:
    rows = connection.execute(select(_removed).where(_removed.c.rows > 0).order_by(_removed.c.kind)).all()
    is_time = any(row.since_ns <= before_ns for row in rows)
    return {row.kind: row.rows for row in rows} if is_time else {}


def standing(connection: Connection, config: RetentionConfig, now_ns: int) -> list[Standing]:
    """What is due now, of each kind; nothing is removed."""
    reached = horizons(connection)
    found = []
    for kind in KINDS:
        days = kind.days(config)
        count = select(func.count()).select_from(table_of(kind)).where(kind.is_due(now_ns - days * DAY_NS))
        found.append(Standing(kind.name, days, connection.execute(count).scalar_one(), reached.get(kind.name)))
    table = schema.journal
    before_ns = now_ns - config.journal_days * DAY_NS
    kept = select(func.min(table.c.id)).where(table.c.at_ns >= before_ns).scalar_subquery()
    old = select(func.count()).where(table.c.id < func.coalesce(kept, _first_needed(connection)))
    due = connection.execute(old.where(table.c.id < _first_needed(connection))).scalar_one()
    return [*found, Standing(JOURNAL, config.journal_days, due, reached.get(JOURNAL))]
