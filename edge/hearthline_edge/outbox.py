"""The outbox: what the gateway has taken into custody and the cloud has not yet acknowledged, in one SQLite file.

    event       one row a record of the urgent lane; never dropped, only warned about
    telemetry   one row a SenML pack; bounded, the oldest dropped and counted
    press       the state that suppresses a press's repeats, committed with the press
    recent_alarm  the last alarms, so that "accepted" can be told to the right pendant after they have left
    mqtt_taken  presses taken from the local broker and perhaps not yet acknowledged to it
    boot        per boot id, what the wall clock minus the monotonic clock was when synchronised

WAL with `synchronous=FULL`: a committed row survives the power cut. A row leaves only through `delete()`, when the
ingester has said that it committed it, or `refuse()`, which keeps it aside. Everything here is synchronous and called
from one thread (see `custody.py`); a second process is kept out by a lock file.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import uuid_utils

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError, StorageError
from hearthline.model import EventType, Lane, Reading
from hearthline.wire import LaneStatus

APPLICATION_ID = 0x48454C4E  # "HELN" in the file's header
SCHEMA_VERSION = 1
BALLAST_BYTES = 16 * 1024 * 1024
KEPT_ASIDE_ROWS = 1000
RECENT_ALARMS = 1000
WARN_EVENT_DEPTH = 10_000

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, device TEXT NOT NULL,
    urgent INTEGER NOT NULL, wall_ns INTEGER NOT NULL, mono_ns INTEGER NOT NULL, boot TEXT NOT NULL,
    synced INTEGER NOT NULL, data BLOB NOT NULL, silenced INTEGER NOT NULL DEFAULT 0);
CREATE INDEX event_order ON event (urgent DESC, seq);
CREATE TABLE telemetry (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, wall_ns INTEGER NOT NULL, mono_ns INTEGER NOT NULL, boot TEXT NOT NULL,
    synced INTEGER NOT NULL, readings BLOB NOT NULL);
CREATE TABLE refused (lane TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (lane, seq));
CREATE TABLE press (device TEXT NOT NULL, button TEXT NOT NULL, state BLOB NOT NULL, PRIMARY KEY (device, button));
CREATE TABLE recent_alarm (
    id TEXT PRIMARY KEY, device TEXT NOT NULL, button TEXT NOT NULL, ordinal INTEGER NOT NULL,
    wall_ns INTEGER NOT NULL);
CREATE TABLE ordinal (device TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE boot (id TEXT PRIMARY KEY, offset_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE mqtt_taken (
    source TEXT NOT NULL, mid INTEGER NOT NULL, digest BLOB NOT NULL, connection TEXT NOT NULL,
    PRIMARY KEY (source, mid)) WITHOUT ROWID;
CREATE TABLE kept_aside (
    id INTEGER PRIMARY KEY AUTOINCREMENT, wall_ns INTEGER NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL,
    raw BLOB NOT NULL);
"""

StoredReadings = list[tuple[str, str, float, str, int]]  # device, quantity, value, unit, offset in ns
_readings_decoder = msgspec.json.Decoder(StoredReadings)


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event in custody. `data` is the CloudEvents data."""

    seq: int
    id: str
    type: str
    device: str
    urgent: bool
    stamp: Stamp
    data: dict[str, Any]
    silenced: bool = False


@dataclass(frozen=True, slots=True)
class RecentAlarm:
    """Whose press an alarm event was; `wall_ns` as the gateway stamped it."""

    id: str
    device: str
    button: str
    ordinal: int
    wall_ns: int


@dataclass(frozen=True, slots=True)
class PackRow:
    """One telemetry pack in custody."""

    seq: int
    stamp: Stamp
    readings: tuple[tuple[Reading, int], ...]


class Outbox:
    """One outbox file, opened by its one owner. Raises ConfigError when it must not be touched, StorageError on I/O."""

    def __init__(self, data_dir: Path, telemetry_max_bytes: int = 64 * 1024 * 1024) -> None:
        self._data_dir = data_dir
        self._lock = _lock_out_others(data_dir / "outbox.lock")
        self.path = data_dir / "outbox.db"
        self._ballast = data_dir / "ballast"
        self._telemetry_max_bytes = telemetry_max_bytes
        self._connection = open_outbox_file(self.path)
        self.id = self._scalar("SELECT value FROM meta WHERE key = 'outbox'")
        self._telemetry_bytes = int(self._scalar("SELECT coalesce(sum(length(readings)), 0) FROM telemetry"))
        self._telemetry_depth = int(self._scalar("SELECT count(*) FROM telemetry"))
        self._alarms_only = not self.restore_ballast()

    # --- transactions ---

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything in the block is committed together and is on the disk when the block has ended."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise StorageError(f"{self.path}: cannot be written: {error}; free space or replace the SD card") from error
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._telemetry_bytes = int(self._scalar("SELECT coalesce(sum(length(readings)), 0) FROM telemetry"))
        self._telemetry_depth = int(self._scalar("SELECT count(*) FROM telemetry"))

    # --- taking into custody (inside a transaction) ---

    def append_event(self, type_: EventType, device: str, data: dict[str, Any], now: Stamp, urgent: bool) -> EventRow:
        event_id = str(uuid_utils.uuid7())
        cursor = self._connection.execute(
            "INSERT INTO event (id, type, device, urgent, wall_ns, mono_ns, boot, synced, data)"
            " VALUES (?,?,?,?,?,?,?,?,?)",
            (
                event_id,
                type_,
                device,
                urgent,
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
        if self._alarms_only:
            raise StorageError(f"{self.path}: the disk is nearly full, what room there is, is kept for alarms")
        body = msgspec.json.encode([(r.device, r.quantity, r.value, r.unit, offset) for r, offset in readings])
        self._connection.execute(
            "INSERT INTO telemetry (wall_ns, mono_ns, boot, synced, readings) VALUES (?,?,?,?,?)",
            (base.wall_ns, base.mono_ns, base.boot, base.synced, body),
        )
        self._telemetry_bytes += len(body)
        self._telemetry_depth += 1
        while self._telemetry_bytes > self._telemetry_max_bytes and self._telemetry_depth > 1:
            self._drop_oldest_pack()

    def _drop_oldest_pack(self) -> None:
        seq, body = self._connection.execute("SELECT seq, readings FROM telemetry ORDER BY seq LIMIT 1").fetchone()
        self._connection.execute("DELETE FROM telemetry WHERE seq = ?", (seq,))
        self._telemetry_bytes -= len(body)
        self._telemetry_depth -= 1
        self.count("telemetry-readings-dropped", len(_readings_decoder.decode(body)))

    def next_ordinal(self, device: str) -> int:
        """The number of this press event among all that the device ever gave here: 1, 2, 3, … without a hole."""
        row = self._connection.execute(
            "INSERT INTO ordinal VALUES (?, 1) ON CONFLICT (device) DO UPDATE SET last = last + 1 RETURNING last",
            (device,),
        ).fetchone()
        return int(row[0])

    def press_state(self, device: str, button: str) -> bytes | None:
        row = self._connection.execute(
            "SELECT state FROM press WHERE device = ? AND button = ?", (device, button)
        ).fetchone()
        return row[0] if row else None

    def press_states(self, device: str | None = None) -> list[tuple[str, str, bytes]]:
        where, arguments = ("WHERE device = ?", (device,)) if device else ("", ())
        return self._connection.execute(f"SELECT device, button, state FROM press {where}", arguments).fetchall()

    def set_press_state(self, device: str, button: str, state: bytes) -> None:
        self._connection.execute("INSERT OR REPLACE INTO press VALUES (?, ?, ?)", (device, button, state))

    def take_mqtt(self, source: str, mid: int, digest: bytes, connection: str) -> bool:
        """Note a press's MQTT message as taken; False when it was taken before this connection and is told again.

        MQTT redelivers what was not acknowledged under the same packet identifier; a kill between the commit and the
        PUBACK would else make a second press of it.
        """
        row = self._connection.execute(
            "SELECT digest, connection FROM mqtt_taken WHERE source = ? AND mid = ?", (source, mid)
        ).fetchone()
        self._connection.execute(
            "INSERT OR REPLACE INTO mqtt_taken VALUES (?, ?, ?, ?)", (source, mid, digest, connection)
        )
        return row is None or row[0] != digest or row[1] == connection

    def forget_mqtt(self, source: str, mids: Sequence[int] | None = None) -> None:
        """The local broker has the acknowledgement of these, or (None) has lost the session: nothing comes again."""
        if mids is None:
            self._connection.execute("DELETE FROM mqtt_taken WHERE source = ?", (source,))
        for mid in mids or ():
            self._connection.execute("DELETE FROM mqtt_taken WHERE source = ? AND mid = ?", (source, mid))

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
        self._connection.execute("INSERT OR REPLACE INTO boot VALUES (?, ?)", (now.boot, now.wall_ns - now.mono_ns))
        self._connection.execute(
            "DELETE FROM boot WHERE id <> ? AND id NOT IN (SELECT boot FROM event UNION SELECT boot FROM telemetry)",
            (now.boot,),
        )

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
        row = self._connection.execute("SELECT * FROM recent_alarm WHERE id = ?", (event_id,)).fetchone()
        return RecentAlarm(*row) if row else None

    # --- giving up custody (inside a transaction) ---

    def delete(self, lane: Lane, ranges: Sequence[tuple[int, int]]) -> None:
        """Remove what the ingester has committed."""
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
        """Set aside what the ingester will never take, so that it holds nothing up and can be looked at."""
        body = "data" if lane is Lane.EVENT else "readings"
        for low, high in ranges:
            self._connection.execute(
                f"INSERT OR IGNORE INTO refused SELECT '{lane}', seq, {body} FROM {lane} WHERE seq BETWEEN ? AND ?",
                (low, high),
            )
        self.delete(lane, ranges)

    def silence_alarms(self) -> None:
        """Somebody at home has reset the local output: alarms pending now no longer drive it."""
        self._connection.execute("UPDATE event SET silenced = 1 WHERE urgent = 1")

    # --- reading ---

    def events(self, limit: int, urgent_only: bool = False) -> list[EventRow]:
        """The next events to send: alarms first, then in the order they were taken."""
        where = "WHERE urgent = 1" if urgent_only else ""
        rows = self._connection.execute(f"SELECT * FROM event {where} ORDER BY urgent DESC, seq LIMIT ?", (limit,))
        return [_event_row(row) for row in rows]

    def events_in(self, ranges: Sequence[tuple[int, int]]) -> list[EventRow]:
        found: list[EventRow] = []
        for low, high in ranges:
            rows = self._connection.execute("SELECT * FROM event WHERE seq BETWEEN ? AND ?", (low, high))
            found.extend(_event_row(row) for row in rows)
        return found

    def packs(self, limit: int, after: int = 0) -> list[PackRow]:
        """The oldest packs beyond `after`."""
        rows = self._connection.execute("SELECT * FROM telemetry WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
        return [
            PackRow(
                seq,
                Stamp(wall, mono, boot, bool(synced)),
                tuple((Reading(d, q, v, u), offset) for d, q, v, u, offset in _readings_decoder.decode(body)),
            )
            for seq, wall, mono, boot, synced, body in rows
        ]

    def true_time(self, stamp: Stamp, now: Stamp) -> Stamp:
        """The stamp with a right wall clock, if its boot has had a synchronised one; else as it is."""
        if stamp.synced:
            return stamp
        if now.synced and now.boot == stamp.boot:
            offset_ns = now.wall_ns - now.mono_ns
        else:
            row = self._connection.execute("SELECT offset_ns FROM boot WHERE id = ?", (stamp.boot,)).fetchone()
            if row is None:
                return stamp
            offset_ns = row[0]
        return Stamp(stamp.mono_ns + offset_ns, stamp.mono_ns, stamp.boot, True)

    def age_s(self, stamp: Stamp, now: Stamp) -> float:
        """How old a record is by the monotonic clock. From an earlier boot: at least this boot's uptime, plus how
        long before the last record of its own boot it was made; how long the power was off nobody knows."""
        elapsed = now.seconds_since(stamp)
        if elapsed is not None:
            return max(elapsed, 0.0)
        last_ns = int(
            self._scalar(
                "SELECT max(coalesce((SELECT max(mono_ns) FROM event WHERE boot = ?1), 0),"
                " coalesce((SELECT max(mono_ns) FROM telemetry WHERE boot = ?1), 0))",
                stamp.boot,
            )
        )
        return (now.mono_ns + max(last_ns - stamp.mono_ns, 0)) / NS

    def lane_status(self, lane: Lane, now: Stamp, packs_per_hour: float = 0.0) -> LaneStatus:
        """Depth, age of the oldest, hours of room left at the present rate of packs (telemetry only)."""
        refused = int(self._scalar("SELECT count(*) FROM refused WHERE lane = ?", lane))
        oldest = self._connection.execute(
            f"SELECT wall_ns, mono_ns, boot, synced FROM {lane} ORDER BY seq LIMIT 1"
        ).fetchone()
        oldest_s = 0.0 if oldest is None else self.age_s(Stamp(oldest[0], oldest[1], oldest[2], bool(oldest[3])), now)
        if lane is Lane.EVENT:
            return LaneStatus(depth=int(self._scalar("SELECT count(*) FROM event")), oldest_s=oldest_s, refused=refused)
        room_h = None
        if packs_per_hour > 0:
            mean_bytes = self._telemetry_bytes / self._telemetry_depth if self._telemetry_depth else 300.0
            room_h = max(self._telemetry_max_bytes - self._telemetry_bytes, 0) / (mean_bytes * packs_per_hour)
        dropped = self.counters().get("telemetry-readings-dropped", 0)
        return LaneStatus(
            depth=self._telemetry_depth, oldest_s=oldest_s, room_h=room_h, dropped=dropped, refused=refused
        )

    def counters(self) -> dict[str, int]:
        return dict(self._connection.execute("SELECT name, value FROM counter").fetchall())

    # --- the ballast ---

    def release_ballast(self) -> bool:
        """Give 16 MiB back to a full disk so that alarms go on; False when it was gone already."""
        self._alarms_only = True
        try:
            self._ballast.unlink()
        except FileNotFoundError:
            return False
        return True

    def restore_ballast(self) -> bool:
        """Lay the ballast in again when there is room for it twice over; whether it lies there."""
        if self._ballast.exists():
            self._alarms_only = False
            return True
        space = os.statvfs(self._data_dir)
        if space.f_bavail * space.f_frsize < 2 * BALLAST_BYTES:
            return False
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
        self._alarms_only = False
        return True

    def close(self) -> None:
        self._connection.close()
        os.close(self._lock)

    def _scalar(self, sql: str, *arguments: Any) -> Any:
        return self._connection.execute(sql, arguments).fetchone()[0]


def open_outbox_file(path: Path) -> sqlite3.Connection:
    """Open or create the file. An outbox of an unknown schema is refused untouched."""
    fresh = not path.exists() or path.stat().st_size == 0
    if not fresh:
        _refuse_unknown(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        header = f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION};"
        outbox_id = str(uuid_utils.uuid7())
        connection.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA} INSERT INTO meta VALUES ('outbox', '{outbox_id}'); {header} COMMIT;"
        )
    return connection


def _refuse_unknown(path: Path) -> None:
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise ConfigError(
            f"{path}: not a readable outbox ({error}). It was not touched: move it aside (it may hold alarms, "
            "send it to the center) and start again with an empty one."
        ) from None
    if (application, version) not in ((APPLICATION_ID, SCHEMA_VERSION), (0, 0)):
        raise ConfigError(
            f"{path}: an outbox of schema {version}, this agent knows {SCHEMA_VERSION}. It was not touched: start the "
            "version that wrote it so that it can empty it, or move the file aside."
        )


def _lock_out_others(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"{path.parent}: data_dir cannot be used: {error.strerror}; create it, owned by the agent"
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ConfigError(f"{path.parent}: another agent is using this outbox; stop it first") from None
    return handle


def _event_row(row: tuple[Any, ...]) -> EventRow:
    seq, event_id, type_, device, urgent, wall, mono, boot, synced, data, silenced = row
    return EventRow(
        seq,
        event_id,
        type_,
        device,
        bool(urgent),
        Stamp(wall, mono, boot, bool(synced)),
        msgspec.json.decode(data),
        bool(silenced),
    )
