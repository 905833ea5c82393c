"""The journal: what happened, appended in the transaction that did it, each entry chained to the one before it.

    hash(n) = SHA-256 of JSON [hash(n-1), at_ns, kind, alert_id, event_key, actor, SHA-256 of the detail's JSON]

Whoever changes, removes, inserts or reorders an entry breaks every hash after it, unless he writes all of them anew;
whoever noted a hash elsewhere finds that out too. The detail goes in as its digest, so that the words of a note can be
erased one day, leaving the digest, and the chain still holds. There is one writer at a time on every database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from hearthline.clock import rfc3339
from hearthline_cloud.schema import journal

SYSTEM = "system"  # the actor of what nobody did
CARD_SHOWN = "card-shown"  # somebody looked at a resident's card: never on the live stream
GENESIS = "0" * 64
ERASED = "erased"  # a detail {"erased": <its digest>} is one whose words are gone
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
    erased = detail.get(ERASED) if isinstance(detail, dict) and len(detail) == 1 else None
    digest = erased if isinstance(erased, str) else _sha256(detail)
    place = [before, *(entry[name] for name in ("at_ns", "kind", "alert_id", "event_key", "actor"))]
    return _sha256([*place, digest])


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found. `broken_at`: the first entry whose hash is not that of its content and its predecessor.

    `known_at`: the entry that has the hash which was asked for; None when no entry has it.
    """

    entries: int
    head: str
    broken_at: int | None = None
    known_at: int | None = None


def check(connection: Connection, known: str | None = None) -> Verdict:
    """Walk the whole chain. An empty journal holds; its head is `GENESIS`."""
    entries, before = 0, GENESIS
    known_at = 0 if known == GENESIS else None
    for row in _rows(connection):
        entries += 1
        if chained(before, row._asdict()) != row.hash:
            return Verdict(entries, before, row.id, known_at)
        before = row.hash
        known_at = row.id if before == known else known_at
    return Verdict(entries, before, None, known_at)


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
            "before": connection.execute(before).scalar() or GENESIS,
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
