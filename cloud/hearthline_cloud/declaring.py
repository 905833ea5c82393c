"""Maintenance and absence in the database: declared, ended early, read. Each is journalled; the reason is not.

A reason may say why somebody is in hospital. It stands in the table alone, which staff read; the journal's live stream
and its exports carry the window, its scope and who declared it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Row, insert, select, update

from hearthline.clock import NS, rfc3339
from hearthline.errors import RefusedError
from hearthline_cloud import journal
from hearthline_cloud.alerts.profiles import DAY_S
from hearthline_cloud.alerts.windows import Declared, Scope, Window, Windows
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.personal.vault import CENTER, sealed
from hearthline_cloud.schema import community, declared, gateway, home
from hearthline_cloud.scoping import EVERY, Communities, declared_seen, sees_place

MAX_REASON = 500
MAX_LENGTH_S = {Declared.MAINTENANCE: 31 * DAY_S, Declared.ABSENCE: 366 * DAY_S}
_BACKDATED_S = DAY_S  # who is away since yesterday is declared today
_LOOKED_BACK_S = 62 * DAY_S  # the end of a window gives periods anew, of which the longest has 31 days
WINDOW: list[Column[Any]] = [declared.c[name] for name in ("what", "scope", "scope_id", "from_ns", "to_ns")]
_TABLES = {Scope.COMMUNITY: community, Scope.HOME: home, Scope.GATEWAY: gateway}


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a person asks for."""

    what: Declared
    scope: Scope
    scope_id: str
    from_ns: int
    to_ns: int
    reason: str


def check(wanted: Declaration, now_ns: int) -> None:
    """Raises RefusedError, which says what is wrong."""
    if wanted.what is Declared.ABSENCE and wanted.scope is not Scope.HOME:
        raise RefusedError("an absence is declared for a home")
    if wanted.to_ns <= wanted.from_ns or wanted.to_ns <= now_ns:
        raise RefusedError("the end must come after the beginning, and after now")
    if wanted.from_ns < now_ns - _BACKDATED_S * NS:
        raise RefusedError("it may have begun a day ago at most")
    longest_s = MAX_LENGTH_S[wanted.what]
    if wanted.to_ns - wanted.from_ns > longest_s * NS:
        raise RefusedError(f"{wanted.what}: {longest_s // DAY_S} days at most; declare it again when they are over")
    if not 1 <= len(wanted.reason) <= MAX_REASON:
        raise RefusedError(f"a reason has 1 to {MAX_REASON} characters")


def windows(connection: Connection, now_ns: int) -> Windows:
    """Those that hold or may hold still, and those whose end may matter still."""
    rows = connection.execute(select(*WINDOW).where(declared.c.to_ns > now_ns - _LOOKED_BACK_S * NS)).all()
    return Windows(window_of(row) for row in rows)


def window_of(row: Row[Any]) -> Window:
    return Window(Declared(row.what), Scope(row.scope), row.scope_id, row.from_ns, row.to_ns)


def declare(connection: Connection, wanted: Declaration, by: str, now_ns: int, seen: Communities = EVERY) -> int:
    """Write it down; its number. Raises RefusedError, NotFoundError."""
    check(wanted, now_ns)
    table = _TABLES[wanted.scope]
    is_there = connection.execute(select(table.c.id).where(table.c.id == wanted.scope_id)).first() is not None
    if not is_there or not sees_place(connection, seen, wanted.scope, wanted.scope_id):
        raise NotFoundError(f"there is no {wanted.scope} {wanted.scope_id!r}")
    values = {
        "what": wanted.what,
        "scope": wanted.scope,
        "scope_id": wanted.scope_id,
        "from_ns": wanted.from_ns,
        "to_ns": wanted.to_ns,
    }
    subject = f"home:{wanted.scope_id}" if wanted.scope is Scope.HOME else CENTER
    row = {**values, "subject": subject, "reason": "", "declared_by": by, "declared_ns": now_ns}
    number: int = connection.execute(insert(declared).values(**row).returning(declared.c.id)).scalar_one()
    reason = sealed(connection, declared, {"id": number, "subject": subject, "reason": wanted.reason})["reason"]
    connection.execute(update(declared).where(declared.c.id == number).values(reason=reason))
    window = {"from": rfc3339(wanted.from_ns), "to": rfc3339(wanted.to_ns)}
    place = {"number": number, "scope": wanted.scope.value, "scope_id": wanted.scope_id}
    journal.append(connection, wanted.what.value, now_ns, {**place, **window}, actor=by)
    return number


def end_early(connection: Connection, number: int, by: str, now_ns: int) -> None:
    """It is over now; one that has not begun never will. Raises NotFoundError, RefusedError."""
    row = connection.execute(select(declared).where(declared.c.id == number)).first()
    if row is None:
        raise NotFoundError(f"nothing was declared under number {number}")
    if row.to_ns <= now_ns:
        raise RefusedError("it is over already")
    values = {"to_ns": max(now_ns, row.from_ns), "ended_by": by}
    connection.execute(update(declared).where(declared.c.id == number).values(**values))
    place = {"number": number, "scope": row.scope, "scope_id": row.scope_id}
    journal.append(connection, f"{row.what}-ended", now_ns, place, actor=by)


def list_declared(connection: Connection, seen: Communities, limit: int = 200) -> Sequence[Row[Any]]:
    """The newest ends first, with the names of their places."""
    query = (
        select(declared, community.c.name.label("community_name"), home.c.name.label("home_name"))
        .outerjoin(community, (community.c.id == declared.c.scope_id) & (declared.c.scope == Scope.COMMUNITY))
        .outerjoin(home, (home.c.id == declared.c.scope_id) & (declared.c.scope == Scope.HOME))
        .where(declared_seen(seen))
    )
    return connection.execute(query.order_by(declared.c.to_ns.desc(), declared.c.id.desc()).limit(limit)).all()
