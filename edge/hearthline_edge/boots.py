"""What each boot's monotonic clock meant: noted while the wall clock is synchronised, for records made before it was.

A boot is forgotten when no record of it is left. Everything here runs inside the outbox's transaction.
"""

from __future__ import annotations

import sqlite3

from hearthline.clock import NS, Stamp
from hearthline_edge.outbox_rows import Mono, Offset, shaped

TOLD_FREE = "told-free:"  # and a boot's id: a counter, see `pack_time.py`
_CLOCK_STEP_NS = NS // 20  # a smaller change of what the monotonic clock means is not worth a write


def remember_synced_clock(connection: sqlite3.Connection, now: Stamp) -> None:
    offset_ns = now.wall_ns - now.mono_ns
    known = _offset_ns(connection, now.boot)
    if known is not None and abs(known - offset_ns) < _CLOCK_STEP_NS:
        return
    connection.execute("INSERT OR REPLACE INTO boot VALUES (?, ?)", (now.boot, offset_ns))
    if known is None:
        forget_boots(connection, now.boot)


def forget_boots(connection: sqlite3.Connection, present: str) -> None:
    """All but the present one and those that have left records."""
    connection.execute(
        "DELETE FROM boot WHERE id <> ? AND id NOT IN (SELECT boot FROM event UNION SELECT boot FROM telemetry)",
        (present,),
    )
    connection.execute(
        "DELETE FROM counter WHERE substr(name, 1, ?1) = ?2 AND substr(name, ?1 + 1) <> ?3"
        " AND substr(name, ?1 + 1) NOT IN (SELECT boot FROM telemetry)",
        (len(TOLD_FREE), TOLD_FREE, present),
    )


def true_time(connection: sqlite3.Connection, stamp: Stamp, now: Stamp) -> Stamp:
    if stamp.synced:
        return stamp
    offset_ns = _offset_ns(connection, stamp.boot)
    if offset_ns is None:
        if not (now.synced and now.boot == stamp.boot):
            return stamp
        offset_ns = now.wall_ns - now.mono_ns
    return Stamp(stamp.mono_ns + offset_ns, stamp.mono_ns, stamp.boot, True)


def last_mono_ns(connection: sqlite3.Connection, boot: str) -> int:
    """Of the last record that a boot has left."""
    rows = connection.execute(
        "SELECT max(coalesce((SELECT max(mono_ns) FROM event WHERE boot = ?1), 0),"
        " coalesce((SELECT max(mono_ns) FROM telemetry WHERE boot = ?1), 0))",
        (boot,),
    )
    return shaped(rows, tuple[Mono])[0][0]


def _offset_ns(connection: sqlite3.Connection, boot: str) -> int | None:
    rows = shaped(connection.execute("SELECT offset_ns FROM boot WHERE id = ?", (boot,)), tuple[Offset])
    return rows[0][0] if rows else None
