"""The journal: what happened, appended in the transaction that did it, each entry chained to the one before it.

    hash(n) = SHA-256 of JSON [hash(n-1), at_ns, kind, alert_id, event_key, actor, SHA-256 of the detail's JSON]

Whoever changes, removes, inserts or reorders an entry breaks every hash after it, unless he writes all of them anew;
whoever noted a hash elsewhere finds that out too. The words of a note go in as they stand here, sealed (`personal`):
the chain is checked without their key, and holds when that is destroyed. There is one writer at a time on every
database.

The oldest entries may be removed, from the front alone. Who removes them leaves a stub at the end, an entry that holds
the hash of the last one removed: with it the chain begins. A stub is part of the chain, so nobody slips one in unseen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from hearthline.clock import rfc3339
from hearthline_cloud.schema import journal

SYSTEM = "system"  # the actor of what nobody did
CARD_SHOWN = "card-shown"  # somebody looked at a resident's card: never on the live stream
GENESIS = "0" * 64
PRUNED = "journal-pruned"  # the stub: {"through": id, "hash": of that entry, "entries": removed so far, "before": time}
NOTE = "note"  # of a person's own words: {"sealed": …, "of": whose key opens it}
ERASED = "erased"  # a detail {"erased": <digest>} is one whose words are gone
_PAGE = 5000


def append(
    connection: Connection,
    kind: str,
    now_ns: int,
    detail: dict[str, Any],
    *,
    alert: int | None = None,
    event: int | None = None,
    actor: str = "",
) -> None:
    """Add an entry, in a `Database.transaction()`. `alert` and `event` are keys of those tables."""
    before = connection.execute(select(journal.c.hash).order_by(journal.c.id.desc()).limit(1)).scalar()
    values = {"at_ns": now_ns, "kind": kind, "alert_id": alert, "event_key": event, "actor": actor, "detail": detail}
    connection.execute(insert(journal).values(**values, hash=chained(before or GENESIS, values)))


def chained(before: str, entry: dict[str, Any]) -> str:
    """The hash of an entry after one whose hash is `before`."""
    detail = entry["detail"]
    erased = detail.get(ERASED) if isinstance(detail, dict) and set(detail) == {ERASED} else None
    told = erased if isinstance(erased, str) else digest(detail)
    place = [before, *(entry[name] for name in ("at_ns", "kind", "alert_id", "event_key", "actor"))]
    return digest([*place, told])


def digest(value: object) -> str:
    """As which a detail goes into the chain."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found. `broken_at`: the first entry whose hash is not that of its content and its predecessor.

    `known_at`: the entry that has the hash which was asked for; None when no entry has it. `removed`: how many older
    entries there were, which the retention periods have taken away.
    """

    entries: int
    head: str
    broken_at: int | None = None
    known_at: int | None = None
    removed: int = 0


def check(connection: Connection, known: str | None = None) -> Verdict:
    """Walk the whole chain. An empty journal holds; its head is `GENESIS`."""
    begin = _begin(connection)
    entries, before = 0, begin.hash
    known_at = begin.through if begin.hash == known else None
    for row in _rows(connection):
        entries += 1
        if chained(before, row._asdict()) != row.hash:
            return Verdict(entries, before, row.id, known_at, begin.removed)
        before = row.hash
        known_at = row.id if before == known else known_at
    return Verdict(entries, before, None, known_at, begin.removed)


def head(connection: Connection) -> str:
    """The hash of the last entry."""
    return connection.execute(select(journal.c.hash).order_by(journal.c.id.desc()).limit(1)).scalar() or GENESIS


def case(connection: Connection, alert_id: int) -> Iterator[dict[str, Any]]:
    """The entries of one alert with their hashes and those before them, so that each can be checked by itself."""
    for row in connection.execute(select(journal).where(journal.c.alert_id == alert_id).order_by(journal.c.id)):
        before = select(journal.c.hash).where(journal.c.id < row.id).order_by(journal.c.id.desc()).limit(1)
        yield {
            "id": row.id,
            "at": rfc3339(row.at_ns),
            **{name: getattr(row, name) for name in ("at_ns", "kind", "alert_id", "event_key", "actor", "detail")},
            "before": connection.execute(before).scalar() or _begin(connection).hash,
            "hash": row.hash,
        }


def _rows(connection: Connection) -> Iterator[Row[Any]]:
    last = 0
    while True:
        page = connection.execute(select(journal).where(journal.c.id > last).order_by(journal.c.id).limit(_PAGE)).all()
        if not page:
            return
        yield from page
        last = page[-1].id


@dataclass(frozen=True, slots=True)
class _Begin:
    """What the first entry is chained to: the last one that was removed, or nothing."""

    through: int
    hash: str
    removed: int


def _begin(connection: Connection) -> _Begin:
    stub = select(journal.c.detail).where(journal.c.kind == PRUNED).order_by(journal.c.id.desc()).limit(1)
    match connection.execute(stub).scalar():
        case {"through": int(through), "hash": str(hash_), "entries": int(removed)}:
            return _Begin(through, hash_, removed)
        case _:
            return _Begin(0, GENESIS, 0)


# --- what goes with age --------------------------------------------------------------------------------------------


def prune(connection: Connection, through: int, before_ns: int, now_ns: int) -> int:
    """Remove the entries up to `through`, in a transaction, and leave the stub; how many.

    `before_ns`: they are all older; the stub says so. An entry in between that is not chained keeps the rest: what was
    tampered with is not swept away.
    """
    begin, removed = _begin(connection), 0
    before, last = begin.hash, begin.through
    for row in connection.execute(select(journal).where(journal.c.id <= through).order_by(journal.c.id)):
        if chained(before, row._asdict()) != row.hash:
            break
        before, last, removed = row.hash, row.id, removed + 1
    if removed:
        connection.execute(delete(journal).where(journal.c.id <= last))
        stub = {"through": last, "hash": before, "entries": begin.removed + removed, "before": rfc3339(before_ns)}
        append(connection, PRUNED, now_ns, stub, actor=SYSTEM)
    return removed


def erase_words(connection: Connection, alert: int) -> int:
    """Put the digest in the place of the words of a case's notes; how many. The chain holds."""
    notes = select(journal.c.id, journal.c.detail).where(journal.c.alert_id == alert, journal.c.kind == NOTE)
    worded = [row for row in connection.execute(notes) if set(row.detail) != {ERASED}]
    for row in worded:
        gone = {ERASED: digest(row.detail)}
        connection.execute(update(journal).where(journal.c.id == row.id).values(detail=gone))
    return len(worded)
