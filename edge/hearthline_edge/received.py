"""What the center has received stays here a while longer: a center that comes back from a backup asks for it again.

    ack --> row of `event` --> row of `received` --(command resend)--> row of `event`, marked, behind alarms --> ack

A second copy, for the case that the center's own is lost: the newest thousand alarms and four thousand others, of
thirty days at most. It is committed with the end of custody, and costs no write to the disk of its own. What is sent
again has its old id, so a center that knows it takes no notice; the mark says that nobody has pressed just now.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from hearthline.clock import NS, Stamp
from hearthline.commissioning import MARK
from hearthline.model import RESENT, SELF_TEST, EventType
from hearthline_edge.outbox_file import RECEIVED_COLUMNS as _COLUMNS
from hearthline_edge.outbox_rows import StoredReceived, event_data, shaped

KEPT_ALARMS: Final = 1000
KEPT_OTHERS: Final = 4000
KEPT_DAYS: Final = 30
_FORGOTTEN_AT_ONCE: Final = 50


def keep(connection: sqlite3.Connection, low: int, high: int) -> None:
    """Copy the events of this range, before they leave. An answer to a command is worth nothing later."""
    connection.execute(
        f"INSERT OR REPLACE INTO received ({_COLUMNS}, alarm) SELECT {_COLUMNS}, type = ? FROM event"
        " WHERE seq BETWEEN ? AND ? AND type <> ? ORDER BY seq",
        (EventType.ALARM, low, high, EventType.ANSWER),
    )
    for alarm, most in ((1, KEPT_ALARMS), (0, KEPT_OTHERS)):
        connection.execute(
            "DELETE FROM received WHERE alarm = ?1 AND place <="
            " (SELECT place FROM received WHERE alarm = ?1 ORDER BY place DESC LIMIT 1 OFFSET ?2)",
            (alarm, most),
        )


def forget_old(connection: sqlite3.Connection, now: Stamp) -> None:
    """A few of the oldest, if their time is over. `now` is synchronised."""
    connection.execute(
        "DELETE FROM received WHERE synced = 1 AND wall_ns < ? AND place IN"
        " (SELECT place FROM received ORDER BY place LIMIT ?)",
        (now.wall_ns - KEPT_DAYS * 86_400 * NS, _FORGOTTEN_AT_ONCE),
    )


def send_again(connection: sqlite3.Connection, since_ns: int, command: str, most: int) -> int:
    """Put back into custody what was made since then, the first of it; how many. 0: there is no more.

    What a free-running clock has stamped may be of any time: it goes, too. A self-test and the presses of commissioning
    do not: they proved what was, and their run is over.
    """
    found = shaped(
        connection.execute(
            f"SELECT place, {_COLUMNS} FROM received WHERE wall_ns >= ? OR synced = 0 ORDER BY place LIMIT ?",
            (since_ns, most),
        ),
        StoredReceived,
    )
    for row in found:
        data: dict[str, Any] = event_data(row.data)
        if data.get("role") != SELF_TEST and MARK not in data:
            connection.execute(
                "INSERT OR IGNORE INTO event (id, type, device, urgent, sounds, wall_ns, mono_ns, boot, synced, data)"
                " VALUES (?,?,?,0,0,?,?,?,?,?)",
                (*row[1:7], row.synced, msgspec.json.encode(data | {RESENT: command})),
            )
        connection.execute("DELETE FROM received WHERE place = ?", (row.place,))
    return len(found)
