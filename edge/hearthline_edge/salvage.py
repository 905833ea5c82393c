"""A damaged outbox is set aside, and what can still be read of its events goes into the new one.

    outbox.db (damaged) -> outbox.db.damaged -> rows that can be read -> outbox.db (new)
                                             -> outbox.db.damaged-NUMBER-TIME, for whoever looks at it

Killed in between, the next start finds `outbox.db.damaged` and does it again: an event has its id and stays one.
Readings stay behind: a home that hears its pendants again is worth more than they are.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from hearthline.log import Log
from hearthline.model import SELF_TEST, ButtonRole, EventType
from hearthline.wire import MAX_MONO_NS
from hearthline_edge.outbox_file import DamagedError, open_to_read, open_under_own_schema
from hearthline_edge.outbox_rows import Count, Flag, Mono, Offset, StoredAlarm, shaped

KEPT_FILES = 3  # of those set aside, the newest: a dying SD card must not fill itself with them
_PROBES = 10_000  # from either end of a table, single steps over what cannot be read; one lost page hides some 5,000
_PATIENCE_S = 1.0  # for these: a card that answers each with an error after a second must not keep the home waiting
_SHAPES: dict[str, Any] = {
    "event": tuple[str, str, str, Flag, Flag, int, Mono, str, Flag, bytes],
    "recent_alarm": StoredAlarm,
    "ordinal": tuple[str, Count],
    "boot": tuple[str, Offset],
    "mqtt_taken": tuple[str, int, bytes, str, Flag],
}
_WITHOUT_ROWID = frozenset({"ordinal", "boot", "mqtt_taken"})
_PARTS = ("", "-wal", "-shm")
_ROLES = frozenset({*ButtonRole, SELF_TEST})
log = Log(__name__)


def set_aside(path: Path) -> None:
    """Take a damaged file out of the way. Raises OSError."""
    aside = _aside(path)
    if aside.exists():
        _rename(aside, _kept_name(path))
    log.error("outbox damaged, set aside", path=str(aside))
    _rename(path, aside)


def tidy(path: Path) -> None:
    """Before the file is opened: end what a kill has cut in two, forget logs whose file was taken away.

    Raises OSError, but not for a folder that cannot be listed: the outbox may be whole all the same.
    """
    aside = _aside(path)
    if aside.exists() and not path.exists():
        _rename(path, aside)  # its log
    with contextlib.suppress(OSError):
        names = kept_aside(path)
        for each in path.parent.glob(f"{path.name}.damaged*"):
            if each.name.endswith(_PARTS[1:]) and each.name[:-4] not in names:
                each.unlink(missing_ok=True)


def salvage(path: Path, fresh: sqlite3.Connection) -> None:
    """Take over what was set aside and can be read, if there is something. Raises sqlite3.Error, OSError."""
    aside = _aside(path)
    if not aside.exists():
        return
    fresh.execute("BEGIN IMMEDIATE")
    taken = {table: _take_over(table, aside, fresh) for table in _SHAPES}
    fresh.execute("COMMIT")
    log.warning("events of a damaged outbox taken over", **taken)
    _rename(aside, _kept_name(path))
    for name in kept_aside(path)[:-KEPT_FILES]:
        for part in _PARTS:
            path.with_name(name + part).unlink(missing_ok=True)


def kept_aside(path: Path) -> list[str]:
    """The names of the files that were set aside and are still there, the newest last. Raises OSError."""
    names = [each.name for each in path.parent.glob(f"{path.name}.damaged*")]
    return sorted((name for name in names if not name.endswith(_PARTS[1:])), key=lambda name: (_number(name), name))


def _take_over(table: str, aside: Path, fresh: sqlite3.Connection) -> int:
    """How many rows of a table could be taken over."""
    columns = [name for _, name, *_ in fresh.execute(f"PRAGMA table_info({table})")]
    skipped = int(columns[0] == "seq")  # the new file numbers for itself
    names, marks = ", ".join(columns[skipped:]), ", ".join("?" * len(columns[skipped:]))
    taken = 0
    for row in _readable(aside, table):
        values = row[skipped:]
        with contextlib.suppress(DamagedError):
            (whole,) = shaped([_mended(values) if table == "event" else values], _SHAPES[table])
            insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
            taken += fresh.execute(insert, whole).rowcount
    return taken


def _readable(aside: Path, table: str) -> list[tuple[Any, ...]]:
    """What can be read of a table, by place and not by name, in order, some rows perhaps twice."""
    with (
        contextlib.suppress(sqlite3.Error, UnicodeDecodeError),
        contextlib.closing(_opened(aside, table)) as connection,
    ):
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        if table in _WITHOUT_ROWID:
            return [*_by_key(connection, table, "ASC"), *reversed([*_by_key(connection, table, "DESC")])]
        found = dict.fromkeys([*_by_number(connection, table, 1), *_by_number(connection, table, -1)])
        return [row for _, *row in sorted(found, key=lambda row: row[0])]  # type: ignore[misc]
    return []


def _opened(aside: Path, table: str) -> sqlite3.Connection:
    """The file with its log, or if its schema no longer knows the table, its pages under ours."""
    connection = open_to_read(aside)
    try:
        connection.execute("PRAGMA writable_schema=ON")  # a garbled table is passed over, not the whole file
        connection.execute(f"SELECT * FROM {table} LIMIT 0")  # its columns are named, no page of it is read
    except (sqlite3.Error, UnicodeDecodeError):
        connection.close()
        return open_under_own_schema(aside)
    return connection


def _by_key(connection: sqlite3.Connection, table: str, order: str) -> Iterator[tuple[Any, ...]]:
    """From one end up to the damage."""
    with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
        yield from connection.execute(f"SELECT * FROM {table} ORDER BY 1 {order}")


def _by_number(connection: sqlite3.Connection, table: str, step: int) -> Iterator[tuple[Any, ...]]:
    """From one end to the other, over what cannot be read number by number; each row with its number."""
    order, beyond = ("ASC", ">") if step > 0 else ("DESC", "<")
    select = f"SELECT rowid, * FROM {table} NOT INDEXED WHERE rowid {beyond} ? ORDER BY rowid {order}"
    last = _last_number(connection, table)
    at = 0 if step > 0 else last + 1
    until = time.monotonic() + _PATIENCE_S
    for _ in range(_PROBES):
        if not 0 <= at <= last + 1:
            return
        try:
            for row in connection.execute(select, (at,)):
                yield row
                if (row[0] - at) * step <= 0:
                    break  # a page in another's place leads back to where we were
                at = row[0]
            else:
                return
        except (sqlite3.Error, UnicodeDecodeError):
            if time.monotonic() > until:
                return
        at += step


def _last_number(connection: sqlite3.Connection, table: str) -> int:
    """The highest that the table has, or may have given."""
    last = []
    for select in (
        f"SELECT max(rowid) FROM {table} NOT INDEXED",
        f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'",
    ):
        with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
            last += [value for (value,) in connection.execute(select) if type(value) is int and value < 2**62]
    return max(last, default=_PROBES)


def _mended(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """An event that can be sent, whatever became of its parts: an alarm that is hard to read is still an alarm."""
    try:
        event_id, type_, device, urgent, sounds, wall_ns, mono_ns, boot, synced, body = values
        urgent, sounds, synced = int(bool(urgent)), int(bool(sounds)), int(bool(synced))
        wall_ns = wall_ns if wall_ns > 0 else time.time_ns()
        mono_ns = mono_ns if 0 <= mono_ns < MAX_MONO_NS else 0
        data = _words(body)
    except (TypeError, ValueError, AttributeError):  # not a row of events at all
        return values
    if type_ == EventType.COMMISSIONING:
        urgent = 0  # the begin of a run goes before its presses, and is none
    if urgent:
        type_ = EventType.ALARM.value
    if not data or (urgent and not _tells_an_alarm(data)):
        found = {key: data[key] for key, kind in (("button", str), ("ordinal", int)) if type(data.get(key)) is kind}
        data = {"button": "", "ordinal": 0, **found, "role": ButtonRole.EMERGENCY.value, "certainty": "possible"}
    return (event_id, type_, device, urgent, sounds, wall_ns, mono_ns, boot, synced, msgspec.json.encode(data))


def _words(body: bytes) -> dict[str, Any]:
    """What an event says; without the letters that are none, or nothing."""
    try:
        return msgspec.json.decode(body.decode("utf-8", "replace"), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {}


def _tells_an_alarm(data: dict[str, Any]) -> bool:
    return data.get("role") in _ROLES and type(data.get("button")) is str and type(data.get("ordinal")) is int


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")


def _kept_name(path: Path) -> Path:
    """By a number that rises, whatever the clock says."""
    number = max((_number(name) for name in kept_aside(path)), default=0) + 1
    return path.with_name(f"{path.name}.damaged-{number:06d}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")


def _number(name: str) -> int:
    found = re.search(r"\.damaged-(\d{6})-\d{8}T", name)
    return int(found[1]) if found else 0


def _rename(path: Path, to: Path) -> None:
    """The log last: killed in between, `tidy` finds it."""
    for part in _PARTS:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + part).rename(to.with_name(to.name + part))
