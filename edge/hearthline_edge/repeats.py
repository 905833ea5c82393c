"""What the outbox remembers so that a repeat makes no second event: presses, and messages of the local broker.

It is committed with the event that it belongs to: everything here runs inside the outbox's transaction.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence


class Repeats(ABC):
    """The tables `press` and `mqtt_taken` of an outbox."""

    @property
    @abstractmethod
    def _connection(self) -> sqlite3.Connection: ...

    @abstractmethod
    def count(self, name: str, by: int) -> None: ...

    def press_state(self, device: str, button: str) -> tuple[bytes, bytes] | None:
        """(the state, the digest of the last telegram that made or repeated a press)"""
        row: tuple[bytes, bytes] | None = self._connection.execute(
            "SELECT state, telegram FROM press WHERE device = ? AND button = ?", (device, button)
        ).fetchone()
        return row

    def press_states(self, device: str | None = None) -> list[tuple[str, str, bytes]]:
        where, arguments = ("WHERE device = ?", (device,)) if device else ("", ())
        return self._connection.execute(f"SELECT device, button, state FROM press {where}", arguments).fetchall()

    def set_press_state(self, device: str, button: str, state: bytes, telegram: bytes | None = None) -> None:
        self._connection.execute(
            "INSERT INTO press VALUES (?1, ?2, ?3, coalesce(?4, x'')) ON CONFLICT (device, button)"
            " DO UPDATE SET state = ?3, telegram = coalesce(?4, telegram)",
            (device, button, state, telegram),
        )

    def drop_press_state(self, device: str, button: str) -> None:
        """One that cannot be understood: in doubt the next telegram is a new press."""
        self._connection.execute("DELETE FROM press WHERE device = ? AND button = ?", (device, button))
        self.count("press-states-dropped", 1)

    def take_mqtt(self, source: str, mid: int, digest: bytes, connection: str, again: bool) -> bool:
        """Note a message that makes an event as taken; False when an earlier connection gave it and it is told again.

        MQTT tells again what was not acknowledged, under the same packet identifier and marked as told again
        (`again`); a kill of either side between the commit and the PUBACK would else make a second press of it. A
        broker that does not mark it is believed while the acknowledgement was not handed over.
        """
        row = self._connection.execute(
            "SELECT digest, connection, acknowledged FROM mqtt_taken WHERE source = ? AND mid = ?", (source, mid)
        ).fetchone()
        self._connection.execute(
            "INSERT OR REPLACE INTO mqtt_taken VALUES (?, ?, ?, ?, 0)", (source, mid, digest, connection)
        )
        return row is None or row[0] != digest or row[1] == connection or (bool(row[2]) and not again)

    def acknowledged_mqtt(self, source: str, mids: Sequence[int]) -> None:
        """The acknowledgement of these was handed over to the local broker."""
        for mid in mids:
            self._connection.execute(
                "UPDATE mqtt_taken SET acknowledged = 1 WHERE source = ? AND mid = ?", (source, mid)
            )

    def forget_mqtt(self, source: str) -> None:
        """The local broker has lost the session: nothing comes again."""
        self._connection.execute("DELETE FROM mqtt_taken WHERE source = ?", (source,))
