"""Maintenance and absence in the database: declared, ended early, read. Each is journalled; the reason is not.

A reason may say why somebody is in hospital. It stands in the table alone, which staff read; the journal's live stream
and its exports carry the window, its scope and who declared it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline_cloud.alerts.profiles import DAY_S
from hearthline_cloud.alerts.windows import Declared, Scope, Window, Windows
from hearthline_cloud.schema import community, declared, gateway, home

MAX_REASON = 500
MAX_LENGTH_S = {Declared.MAINTENANCE: 31 * DAY_S, Declared.ABSENCE: 366 * DAY_S}
_BACKDATED_S = DAY_S  # who is away since yesterday is declared today
_LOOKED_BACK_S = 62 * DAY_S  # the end of a window gives periods anew, of which the longest has 31 days
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
    rows = connection.execute(select(declared).where(declared.c.to_ns > now_ns - _LOOKED_BACK_S * NS)).all()
    return Windows(window_of(row) for row in rows)


def window_of(row: Row[Any]) -> Window:
    return Window(Declared(row.what), Scope(row.scope), row.scope_id, row.from_ns, row.to_ns)
