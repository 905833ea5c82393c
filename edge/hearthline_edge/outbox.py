"""The outbox: what the gateway has taken into custody and the cloud has not yet acknowledged, in one SQLite file.

    event       one row a record of the urgent lane; never dropped, only warned about
    telemetry   one row a SenML pack; bounded, the oldest dropped and counted
    press       the state that suppresses a press's repeats, committed with the press
    received    what the center has acknowledged lately, for a center that was restored from a backup
    recent_alarm  the last alarms, so that "accepted" can be told to the right pendant after they have left
    mqtt_taken  messages of the local broker that made an event, so that one told again makes no second
    boot        per boot id, what the wall clock minus the monotonic clock was when synchronised

WAL with `synchronous=FULL`: a committed row survives the power cut. A row leaves only through `delete()`, when the
ingester has said that it committed it, or `refuse()`, which keeps it aside. Everything here is synchronous and called
from one thread (see `custody.py`); a second process is kept out by a lock file.

`id` is made anew at every opening. The file may be an older copy, whose next numbers have been used before: an
acknowledgement of such a number, repeated by a broker, must not take a new alarm away.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import uuid_utils

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError, StorageError
from hearthline.log import Log
from hearthline.model import EventType, Lane, Reading
from hearthline.wire import LaneStatus, device_name
from hearthline_edge import boots, received
from hearthline_edge.ballast import Ballast
from hearthline_edge.outbox_file import is_damage, is_damage_at_opening, lock_out_others, open_to_write
from hearthline_edge.outbox_rows import (
    Count,
    EventRow,
    Fate,
    PackRow,
    RecentAlarm,
    StoredAlarm,
    StoredEvent,
    StoredPack,
    StoredSound,
    StoredStamp,
    T,
    counters_of,
    event_row,
    pack_row,
    readings_of,
    shaped,
)
from hearthline_edge.repeats import Repeats
from hearthline_edge.salvage import kept_aside, salvage, set_aside, tidy

__all__ = ["EventRow", "Outbox", "PackRow", "RecentAlarm"]
KEPT_ASIDE_ROWS = 1000
RECENT_ALARMS = 1000
WARN_EVENT_DEPTH = 10_000

log = Log(__name__)


class Outbox(Repeats):
    """One outbox file, opened by its one owner. Raises ConfigError when it must not be touched, StorageError on I/O."""

    def __init__(self, data_dir: Path, telemetry_max_bytes: int = 64 * 1024 * 1024, *, patient: bool = False) -> None:
        """`patient`: a disk that fails is tried again at each transaction; the home is not silent meanwhile."""
        self._lock = lock_out_others(data_dir / "outbox.lock")
        self.path = data_dir / "outbox.db"
        self._telemetry_max_bytes = telemetry_max_bytes
        self.id = ""
        self.damaged: list[str] = []
        self._opened: sqlite3.Connection | None = None
        self._is_damaged = False
        self._last_mono_ns: dict[str, int] = {}  # of earlier boots, whose records only become fewer
        try:
            self.ballast = Ballast(data_dir / "ballast")
            self._open_now_or(later=patient)
        except BaseException:  # whatever stopped us, the next agent may have the outbox
            os.close(self._lock)
            raise

    def _open_now_or(self, later: bool) -> None:
        self._telemetry_bytes = self._telemetry_depth = 0
        try:
            self._open()
        except StorageError as error:
            if not later:
                raise
            log.error("outbox not opened yet", error=str(error))

    def _open(self) -> None:
        """The file, if need be with the room that the ballast gives back, or a new one if it is damaged."""
        renewed = False
        while True:
            try:
                if self._is_damaged and not renewed:
                    renewed = True
                    self._drop_connection()
                    set_aside(self.path)
                    self._is_damaged = False
                tidy(self.path)
                self._opened = open_to_write(self.path)
                salvage(self.path, self._opened)
                self._take_stock()
                return
            except (ConfigError, OSError, sqlite3.Error, UnicodeDecodeError) as error:
                self._drop_connection()
                damage = is_damage_at_opening(error)
                if damage and not renewed:
                    self._is_damaged = True
                elif isinstance(error, ConfigError) and not damage:
                    raise
                elif not self.ballast.release():
                    raise self._storage_error(error) from error

    def _take_stock(self) -> None:
        ((own_id,),) = self._read(tuple[str], "SELECT value FROM meta WHERE key = 'outbox'")
        self.id = f"{own_id}.{secrets.token_hex(8)}"
        ((self._telemetry_depth, self._telemetry_bytes),) = self._read(
            tuple[Count, Count], "SELECT count(*), coalesce(sum(length(readings)), 0) FROM telemetry"
        )
        self.look_for_damaged()

    def look_for_damaged(self) -> None:
        """`damaged`: the files that were set aside, until somebody has taken them away."""
        try:
            self.damaged = kept_aside(self.path)
        except OSError as error:  # what is known of them has to do; whether the disk lives, a commit tells
            log.error("folder of the outbox not read", error=str(error))

    def _drop_connection(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            raise StorageError(f"{self.path}: is not open")
        return self._opened

    def _storage_error(self, error: BaseException) -> StorageError:
        return StorageError(f"{self.path}: cannot be written: {error}; free space or replace the SD card")

    # --- transactions ---

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything in the block is committed together and is on the disk when the block has ended."""
        if self._opened is None or self._is_damaged:
            self._open()
        before = self._telemetry_bytes, self._telemetry_depth
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except BaseException as error:  # whatever it is, nothing of it stays: raised again below
            self._telemetry_bytes, self._telemetry_depth = before
            self._is_damaged = is_damage(error)
            self._roll_back()
            if isinstance(error, sqlite3.Error | OSError) or self._is_damaged:
                raise self._storage_error(error) from error
            raise

    def _roll_back(self) -> None:
        try:
            if self._opened is not None and self._opened.in_transaction:
                self._opened.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._storage_error(error) from error

    # --- taking into custody (inside a transaction) ---

    def append_event(
        self, type_: EventType, device: str, data: dict[str, Any], now: Stamp, urgent: bool, sounds: bool = False
    ) -> EventRow:
        """`sounds`: without "received" it drives the local output, until received or reset."""
        event_id, device = str(uuid_utils.uuid7()), device_name(device)
        cursor = self._connection.execute(
            "INSERT INTO event (id, type, device, urgent, sounds, wall_ns, mono_ns, boot, synced, data)"
            " VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                event_id,
                type_,
                device,
                urgent,
                sounds,
                now.wall_ns,
                now.mono_ns,
                now.boot,
                now.synced,
                msgspec.json.encode(data),
            ),
        )
        assert cursor.lastrowid is not None
        return EventRow(cursor.lastrowid, event_id, type_, device, urgent, now, data)

    def append_pack(self, readings: Sequence[tuple[Reading, int]], base: Stamp) -> None:
        """One pack of readings with their offsets in nanoseconds from `base`; the oldest packs make room for it.

        Raises StorageError while the ballast is out: what it gave back is for alarms alone.
        """
        if not self.ballast.laid:
            raise StorageError(f"{self.path}: the disk is nearly full, what room there is, is kept for alarms")
        rows = [(device_name(r.device), r.quantity, r.value, r.unit, offset) for r, offset in readings]
        body = msgspec.json.encode(rows)
        self._connection.execute(
            "INSERT INTO telemetry (wall_ns, mono_ns, boot, synced, readings) VALUES (?,?,?,?,?)",
            (base.wall_ns, base.mono_ns, base.boot, base.synced, body),
        )
        self._telemetry_bytes += len(body)
        self._telemetry_depth += 1
        while self._telemetry_bytes > self._telemetry_max_bytes and self._telemetry_depth > 1:
            self._drop_oldest_pack()

    def _drop_oldest_pack(self) -> None:
        ((seq, body),) = self._read(tuple[int, bytes], "SELECT seq, readings FROM telemetry ORDER BY seq LIMIT 1")
        self._connection.execute("DELETE FROM telemetry WHERE seq = ?", (seq,))
        self._telemetry_bytes -= len(body)
        self._telemetry_depth -= 1
        self.count("telemetry-readings-dropped", len(readings_of(body)))

    def next_ordinal(self, device: str) -> int:
        """The number of this press event among all that the device ever gave here: 1, 2, 3, … without a hole."""
        ((ordinal,),) = self._read(
            tuple[Count],
            "INSERT INTO ordinal VALUES (?, 1) ON CONFLICT (device) DO UPDATE SET last = last + 1 RETURNING last",
            device,
        )
        return ordinal

    def keep_aside(self, source: str, reason: str, raw: bytes, now: Stamp) -> None:
        """Keep what could not be understood: the newest thousand, and a count of all."""
        cursor = self._connection.execute(
            "INSERT INTO kept_aside (wall_ns, source, reason, raw) VALUES (?, ?, ?, ?)",
            (now.wall_ns, source, reason, raw[:4096]),
        )
        self._connection.execute("DELETE FROM kept_aside WHERE id <= ?", ((cursor.lastrowid or 0) - KEPT_ASIDE_ROWS,))
        self.count(f"refused:{source}:{reason}", 1)

    def count(self, name: str, by: int) -> None:
        self._connection.execute(
            "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            (name, by),
        )

    def remember_synced_clock(self, now: Stamp) -> None:
        """Note what the monotonic clock means while the wall clock is right, for records of this boot made before."""
        boots.remember_synced_clock(self._connection, now)

    def forget_boots(self, present: str) -> None:
        """What is kept of boots that have left no record."""
        boots.forget_boots(self._connection, present)

    def remember_alarm(self, row: EventRow) -> None:
        """Keep who pressed for the time after the record has left; the last thousand."""
        self._connection.execute(
            "INSERT INTO recent_alarm VALUES (?, ?, ?, ?, ?)",
            (row.id, row.device, row.data["button"], row.data["ordinal"], row.stamp.wall_ns),
        )
        self._connection.execute(
            "DELETE FROM recent_alarm WHERE rowid <= (SELECT max(rowid) FROM recent_alarm) - ?", (RECENT_ALARMS,)
        )

    def recent_alarm(self, event_id: str) -> RecentAlarm | None:
        rows = self._read(StoredAlarm, "SELECT * FROM recent_alarm WHERE id = ?", event_id)
        return RecentAlarm(*rows[0]) if rows else None

    def last_alarm(self, device: str, button: str) -> RecentAlarm | None:
        """The newest that this button made, whether it has left or not."""
        rows = self._read(
            StoredAlarm,
            "SELECT * FROM recent_alarm WHERE device = ? AND button = ? ORDER BY rowid DESC LIMIT 1",
            device_name(device),
            button,
        )
        return RecentAlarm(*rows[0]) if rows else None

    # --- giving up custody (inside a transaction) ---

    def delete(self, lane: Lane, ranges: Sequence[tuple[int, int]]) -> None:
        """Remove what the ingester has committed. Of events a copy stays, unless the disk is nearly full."""
        if lane is Lane.EVENT and self.ballast.laid:
            for low, high in ranges:
                received.keep(self._connection, low, high)
        self._drop(lane, ranges)

    def _drop(self, lane: Lane, ranges: Sequence[tuple[int, int]]) -> None:
        for low, high in ranges:
            if lane is Lane.TELEMETRY:
                freed = self._connection.execute(
                    "SELECT count(*), coalesce(sum(length(readings)), 0) FROM telemetry WHERE seq BETWEEN ? AND ?",
                    (low, high),
                ).fetchone()
                self._telemetry_depth -= freed[0]
                self._telemetry_bytes -= freed[1]
            self._connection.execute(f"DELETE FROM {lane} WHERE seq BETWEEN ? AND ?", (low, high))

    def refuse(self, lane: Lane, ranges: Sequence[tuple[int, int]]) -> None:
        """Set aside what the ingester will never take, so that it holds nothing up and can be looked at.

        All events are kept; of telemetry the newest thousand packs.
        """
        body = "data" if lane is Lane.EVENT else "readings"
        for low, high in ranges:
            moved = self._connection.execute(
                f"INSERT OR IGNORE INTO refused SELECT '{lane}', seq, {body} FROM {lane} WHERE seq BETWEEN ? AND ?",
                (low, high),
            )
            if moved.rowcount > 0:
                self.count(f"refused-{lane}", moved.rowcount)
        if ranges and lane is Lane.TELEMETRY:
            self._connection.execute(
                "DELETE FROM refused WHERE lane = ?1 AND seq NOT IN"
                " (SELECT seq FROM refused WHERE lane = ?1 ORDER BY seq DESC LIMIT ?2)",
                (lane, KEPT_ASIDE_ROWS),
            )
        self._drop(lane, ranges)

    def send_again(self, since_ns: int, command: str, most: int) -> int:
        """Take back into custody, behind every alarm, what the center has received since then; how many, 0: no more."""
        return received.send_again(self._connection, since_ns, command, most)

    def forget_received(self, now: Stamp) -> None:
        """What was received so long ago that no center will ask for it. `now` is synchronised."""
        received.forget_old(self._connection, now)

    def silence_alarms(self, until: Stamp) -> None:
        """Somebody at home has reset the local output: alarms made until then no longer drive it."""
        self._connection.execute(
            "UPDATE event SET sounds = 0 WHERE sounds = 1 AND (boot <> ? OR mono_ns <= ?)", (until.boot, until.mono_ns)
        )

    # --- reading ---

    def events(self, limit: int, urgent_only: bool = False) -> list[EventRow]:
        """The next events to send: alarms first, then in the order they were taken."""
        where = "WHERE urgent = 1" if urgent_only else ""
        rows = self._read(StoredEvent, f"{_SELECT_EVENT} {where} ORDER BY urgent DESC, seq LIMIT ?", limit)
        return [event_row(row) for row in rows]

    def events_in(self, ranges: Sequence[tuple[int, int]]) -> list[EventRow]:
        found: list[EventRow] = []
        for low, high in ranges:
            rows = self._read(StoredEvent, f"{_SELECT_EVENT} WHERE seq BETWEEN ? AND ? ORDER BY seq", low, high)
            found.extend(event_row(row) for row in rows)
        return found

    def fate(self, event_id: str, seq: int) -> Fate:
        """What became of an event of this file, by its id and number."""
        if self._read(tuple[Count], "SELECT count(*) FROM event WHERE id = ?", event_id)[0][0]:
            return Fate.WAITING
        where = f"lane = '{Lane.EVENT}' AND seq = ?"
        refused = self._read(tuple[Count], f"SELECT count(*) FROM refused WHERE {where}", seq)[0][0]
        return Fate.REFUSED if refused else Fate.RECEIVED

    def word(self, key: str) -> str:
        """What was written down under `key`, or nothing."""
        rows = self._read(tuple[str], "SELECT value FROM meta WHERE key = ?", key)
        return rows[0][0] if rows else ""

    def write_down(self, key: str, word: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, word))

    def events_of(self, type_: EventType) -> list[EventRow]:
        """Every event of a type that is rare."""
        rows = self._read(StoredEvent, f"{_SELECT_EVENT} WHERE type = ? ORDER BY seq", type_)
        return [event_row(row) for row in rows]

    def sounding_alarms(self, limit: int) -> list[tuple[str, Stamp]]:
        """(event id, stamp) of the oldest alarms that the center has not received and nobody has reset."""
        rows = self._read(
            StoredSound,
            "SELECT id, wall_ns, mono_ns, boot, synced FROM event WHERE sounds = 1 ORDER BY seq LIMIT ?",
            limit,
        )
        return [(event_id, Stamp(wall, mono, boot, bool(synced))) for event_id, wall, mono, boot, synced in rows]

    def packs(self, limit: int, after: int = 0) -> list[PackRow]:
        """The oldest packs beyond `after`."""
        rows = self._read(StoredPack, "SELECT * FROM telemetry WHERE seq > ? ORDER BY seq LIMIT ?", after, limit)
        return [pack_row(row) for row in rows]

    def true_time(self, stamp: Stamp, now: Stamp) -> Stamp:
        """The stamp with a right wall clock, if its boot has had a synchronised one; else as it is.

        What `remember_synced_clock` has committed goes before `now`, so that a record has one time however often it
        is sent.
        """
        return boots.true_time(self._connection, stamp, now)

    def age_s(self, stamp: Stamp, now: Stamp) -> float:
        """How old a record is by the monotonic clock. From an earlier boot: at least this boot's uptime, plus how
        long before the last record of its own boot it was made; how long the power was off nobody knows."""
        elapsed = now.seconds_since(stamp)
        if elapsed is not None:
            return max(elapsed, 0.0)
        if stamp.boot not in self._last_mono_ns:
            self._last_mono_ns[stamp.boot] = boots.last_mono_ns(self._connection, stamp.boot)
        return (now.mono_ns + max(self._last_mono_ns[stamp.boot] - stamp.mono_ns, 0)) / NS

    def lane_status(self, lane: Lane, now: Stamp, packs_per_hour: float = 0.0) -> LaneStatus:
        """Depth, age of the oldest, hours of room left at the present rate of packs (telemetry only)."""
        counters = self.counters()
        refused = counters.get(f"refused-{lane}", 0)
        oldest = self._read(StoredStamp, f"SELECT wall_ns, mono_ns, boot, synced FROM {lane} ORDER BY seq LIMIT 1")
        oldest_s = self.age_s(oldest[0].stamp(), now) if oldest else 0.0
        if lane is Lane.EVENT:
            ((depth,),) = self._read(tuple[Count], "SELECT count(*) FROM event")
            return LaneStatus(depth=depth, oldest_s=oldest_s, refused=refused)
        room_h = None
        if packs_per_hour > 0:
            mean_bytes = self._telemetry_bytes / self._telemetry_depth if self._telemetry_depth else 300.0
            room_h = max(self._telemetry_max_bytes - self._telemetry_bytes, 0) / (mean_bytes * packs_per_hour)
        dropped = counters.get("telemetry-readings-dropped", 0)
        return LaneStatus(
            depth=self._telemetry_depth, oldest_s=oldest_s, room_h=room_h, dropped=dropped, refused=refused
        )

    def counters(self) -> dict[str, int]:
        return counters_of(self._connection)

    def close(self) -> None:
        self._drop_connection()
        os.close(self._lock)

    def _read(self, shape: type[T], sql: str, *arguments: Any) -> list[T]:
        """Raises DamagedError for a row of another shape."""
        return shaped(self._connection.execute(sql, arguments), shape)


_SELECT_EVENT = "SELECT seq, id, type, device, urgent, wall_ns, mono_ns, boot, synced, data FROM event"
