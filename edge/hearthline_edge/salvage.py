"""A damaged outbox is set aside, and what can still be read of its events goes into the new one.

    outbox.db (damaged) -> outbox.db.damaged -> rows that can be read -> outbox.db (new)
                                             -> outbox.db.damaged-TIME, for whoever looks at it

Killed in between, the next start finds `outbox.db.damaged` and does it again: an event has its id and stays one.
Readings stay behind: a home that hears its pendants again is worth more than they are.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

import msgspec

from hearthline.clock import NS
from hearthline.log import Log
from hearthline.model import ButtonRole, EventType
from hearthline_edge.outbox_file import open_to_read

KEPT_FILES = 3  # of those set aside, the newest: a dying SD card must not fill itself with them
_TABLES = {"event": "seq", "ordinal": "device", "recent_alarm": "rowid", "boot": "id", "mqtt_taken": "source"}
_TYPES = {"INTEGER": int, "TEXT": str, "BLOB": bytes}
_PARTS = ("", "-wal", "-shm")
_LAST_NS = 253_402_300_800 * NS  # the end of the year 9999
log = Log(__name__)


def set_aside(path: Path) -> None:
    """Take a damaged file out of the way. Raises OSError."""
    aside = _aside(path)
    if aside.exists():
        _rename(aside, _kept_name(path))
    log.error("outbox damaged, set aside", path=str(aside))
    _rename(path, aside)


def salvage(path: Path, fresh: sqlite3.Connection) -> None:
    """Take over what was set aside and can be read, if there is something. Raises sqlite3.Error, OSError."""
    aside = _aside(path)
    if not aside.exists():
        return
    fresh.execute("BEGIN IMMEDIATE")
    taken = {table: _take_over(table, aside, fresh) for table in _TABLES}
    fresh.execute("COMMIT")
    log.warning("events of a damaged outbox taken over", **taken)
    _rename(aside, _kept_name(path))
    for name in sorted(kept_aside(path))[:-KEPT_FILES]:
        for part in _PARTS:
            path.with_name(name + part).unlink(missing_ok=True)


def kept_aside(path: Path) -> list[str]:
    """The names of the files that were set aside and are still there."""
    names = [each.name for each in path.parent.glob(f"{path.name}.damaged*")]
    return sorted(name for name in names if not name.endswith(_PARTS[1:]))


def _take_over(table: str, aside: Path, fresh: sqlite3.Connection) -> int:
    """How many rows of a table could be taken over."""
    columns = {name: _TYPES[kind] for _, name, kind, *_ in fresh.execute(f"PRAGMA table_info({table})")}
    columns.pop("seq", None)  # the new file numbers for itself
    names = ", ".join(columns)
    marks = ", ".join("?" * len(columns))
    taken = 0
    for row in _readable(aside, table, names):
        if all(type(value) is kind for value, kind in zip(row, columns.values(), strict=True)):
            record = dict(zip(columns, row, strict=True))
            values = _mended(record) if table == "event" else record
            insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
            taken += fresh.execute(insert, tuple(values.values())).rowcount
    return taken


def _readable(aside: Path, table: str, names: str) -> list[tuple[Any, ...]]:
    """The rows from the first one up to the damage, and from the last one down to it; in order, some perhaps twice."""
    found = []
    for order in ("ASC", "DESC"):
        rows: list[tuple[Any, ...]] = []
        with contextlib.suppress(sqlite3.Error), contextlib.closing(open_to_read(aside)) as connection:
            select = f"SELECT {names} FROM {table} NOT INDEXED ORDER BY {_TABLES[table]} {order}"
            for row in connection.execute(select):
                rows.append(row)
        found.append(rows)
    return found[0] + found[1][::-1]


def _mended(event: dict[str, Any]) -> dict[str, Any]:
    """An event that can be sent, whatever became of its parts: an alarm that is hard to read is still an alarm."""
    try:
        data = msgspec.json.decode(event["data"])
    except msgspec.DecodeError:
        data = None
    is_alarm = event["type"].startswith(EventType.ALARM.value)
    if not isinstance(data, dict) or (is_alarm and not {"button", "ordinal"} <= data.keys()):
        data = {"role": ButtonRole.EMERGENCY.value, "button": "", "ordinal": 0, "certainty": "possible"}
    wall_ns = event["wall_ns"] if 0 < event["wall_ns"] < _LAST_NS else time.time_ns()
    mono_ns = event["mono_ns"] if 0 <= event["mono_ns"] < 2**62 else 0
    return {**event, "wall_ns": wall_ns, "mono_ns": mono_ns, "data": msgspec.json.encode(data)}


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")


def _kept_name(path: Path) -> Path:
    stem = f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    number = sum(name.startswith(stem) for name in kept_aside(path))
    return path.with_name(f"{stem}-{number}" if number else stem)


def _rename(path: Path, to: Path) -> None:
    """The log last: a file without its log is whole, a log without its file is nothing."""
    for part in _PARTS:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + part).rename(to.with_name(to.name + part))
