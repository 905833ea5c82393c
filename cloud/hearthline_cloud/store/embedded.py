"""The embedded time-series store: one SQLite file, the default of the demo and enough for a community.

Each write is one transaction under WAL and `synchronous=FULL`. A sample's key is (series, time), so that a repeat
overwrites; a read merges the series' own orders, so that its cost is that of what it returns.
"""

from __future__ import annotations

import heapq
import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from hearthline.errors import ConfigError, LinkError
from hearthline_cloud.store import embedded_tiers as tiers
from hearthline_cloud.store.port import (
    MAX_TIME_NS,
    MIN_TIME_NS,
    Aggregate,
    Keeping,
    Point,
    Sample,
    SeriesKey,
    SeriesQuery,
    StoreState,
    Summary,
    Tags,
    series_refusal,
    value_refusal,
)
from hearthline_cloud.store.tiers import Tier

FILE_NAME = "timeseries.db"
SCHEMA_VERSION = 2
_WITHOUT_TIERS = 1  # the version before there were summaries

_SCHEMA = (
    """CREATE TABLE series (
        id INTEGER PRIMARY KEY, quantity TEXT NOT NULL, community TEXT NOT NULL, home TEXT NOT NULL,
        gateway TEXT NOT NULL, device TEXT NOT NULL, resident TEXT NOT NULL,
        UNIQUE (quantity, device, gateway, home, community, resident))""",
    """CREATE TABLE sample (
        series INTEGER NOT NULL, time INTEGER NOT NULL, value REAL NOT NULL,
        PRIMARY KEY (series, time)) WITHOUT ROWID""",
    *tiers.SCHEMA,
    f"PRAGMA user_version={SCHEMA_VERSION}",
)
_ADD_TIERS = _SCHEMA[2:]
_UPSERT = "INSERT INTO sample VALUES (?, ?, ?) ON CONFLICT (series, time) DO UPDATE SET value = excluded.value"
_FIND_SERIES = (
    "SELECT id FROM series WHERE quantity=? AND community=? AND home=? AND gateway=? AND device=? AND resident=?"
)
_ADD_SERIES = (
    "INSERT INTO series (quantity, community, home, gateway, device, resident) VALUES (?, ?, ?, ?, ?, ?) RETURNING id"
)
_AGGREGATES: dict[Aggregate, str] = {
    "mean": "avg(value)",
    "min": "min(value)",
    "max": "max(value)",
    "last": "value, max(time)",  # SQLite takes `value` from the row that has the maximum
    "sum": "total(value)",
    "spread": "max(value) - min(value)",
    "count": "count(value)",
}
_WAL_BYTES_KEPT = 64 * 2**20
_CHECKPOINT_PAGES = 4000  # each series has its own last page: fewer checkpoints write each of them less often
_WRITER_CACHE_KIB = 16 * 1024  # keeps the last pages of some 4,000 series
_RETRY_S = 0.02
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_Row = tuple[int, float, Tags]


class EmbeddedStore:
    """A `TimeSeries` in `data_dir`/timeseries.db. One writer at a time; readers in any thread or process never wait."""

    def __init__(self, data_dir: Path, timeout_s: float = 10.0, open_timeout_s: float | None = None) -> None:
        """Raises ConfigError for a directory that is missing or an unknown schema version.

        Raises LinkError for a file that is damaged, busy or unreadable: a person can mend that while others work.
        """
        self.path = data_dir / FILE_NAME
        self._timeout_s = timeout_s
        self._open_timeout_s = timeout_s if open_timeout_s is None else open_timeout_s
        self._lock = threading.Lock()
        self._ids: dict[SeriesKey, int] = {}
        self._idle_readers: list[sqlite3.Connection] = []
        self._writer = self._open()

    def write(self, points: Sequence[Point]) -> list[tuple[Point, str]]:
        refused: list[tuple[Point, str]] = []
        with self._locked(), self._errors("write"):
            added: dict[SeriesKey, int] = {}
            with self._transaction():
                self._writer.executemany(_UPSERT, self._rows(points, added, refused))
            self._ids.update(added)  # not before the commit: a series rolled back has no id
        return refused

    def read(self, query: SeriesQuery) -> list[Sample]:
        with self._errors("read"), self._reader() as reader, _snapshot(reader):
            streams = [_series_rows(reader, query, *series) for series in _matching_series(reader, query)]
            merged = heapq.merge(*streams, key=_time_of, reverse=query.newest_first)
            return [Sample(*row) for row in itertools.islice(merged, query.limit)]

    def check(self) -> None:
        with self._locked(), self._errors("check"):
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.execute("ROLLBACK")

    def roll_up(self, tier: Tier, from_ns: int, to_ns: int, gateway: str | None = None) -> list[str]:
        span = (_clamp(from_ns), _clamp(to_ns))
        self._for_series(gateway, lambda series: tiers.roll_up(self._writer, tier, span, series))
        return []

    def summaries(self, tier: Tier, query: SeriesQuery) -> list[Summary]:
        with self._errors("read"), self._reader() as reader, _snapshot(reader):
            return tiers.rows(reader, tier, query, _matching_series(reader, query))

    def keep(self, keeping: Keeping, now_ns: int, shorten: bool) -> list[str]:
        gone: list[int] = []
        self._for_series(None, lambda series: gone.append(tiers.let_go(self._writer, keeping, now_ns, series)))
        return [f"{sum(gone)} old rows deleted"] if any(gone) else []

    def oldest_ns(self) -> int | None:
        with self._errors("read"), self._reader() as reader:
            times = [
                reader.execute("SELECT min(time) FROM sample WHERE series=?", (series,)).fetchone()[0]
                for series in tiers.series_ids(reader, None)
            ]
        return min((time_ns for time_ns in times if time_ns is not None), default=None)

    def quantities(self) -> list[str]:
        with self._errors("read"), self._reader() as reader:
            return [row[0] for row in reader.execute("SELECT DISTINCT quantity FROM series ORDER BY 1")]

    def state(self) -> StoreState:
        with self._errors("read"), self._reader() as reader:
            series = reader.execute("SELECT count(*) FROM series").fetchone()[0]
        engine = f"embedded, SQLite {sqlite3.sqlite_version}"
        return StoreState(engine, str(self.path), None, series, self.path.stat().st_size)

    def close(self) -> None:
        with self._lock:
            for connection in (self._writer, *self._idle_readers):
                connection.close()
            self._idle_readers.clear()

    def _rows(
        self, points: Sequence[Point], added: dict[SeriesKey, int], refused: list[tuple[Point, str]]
    ) -> Iterator[tuple[int, int, float]]:
        known = self._ids
        for point in points:
            series = point.series
            number = known.get(series) or added.get(series)
            reason = value_refusal(point.value, point.time_ns)
            if number is None and reason is None:
                reason = series_refusal(series)
            if reason is not None:
                refused.append((point, reason))
                continue
            if number is None:
                number = added[series] = self._series_id(series)
            yield number, point.time_ns, point.value

    def _series_id(self, series: SeriesKey) -> int:
        row = self._writer.execute(_FIND_SERIES, series).fetchone()
        if row is None:
            row = self._writer.execute(_ADD_SERIES, series).fetchone()
        return int(row[0])

    def _for_series(self, gateway: str | None, work: Callable[[int], None]) -> None:
        """Do `work` for each series, some at a time, so that readings are written between."""
        with self._errors("read"), self._reader() as reader:
            ids = tiers.series_ids(reader, gateway)
        for first in range(0, len(ids), tiers.SERIES_AT_ONCE):
            with self._locked(), self._errors("write"), self._transaction():
                for series in ids[first : first + tiers.SERIES_AT_ONCE]:
                    work(series)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            yield
            self._writer.execute("COMMIT")
        finally:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=self._timeout_s):
            raise LinkError(f"{self.path}: another thread has been writing for {self._timeout_s:g} s; try again")
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle_readers.pop()
        except IndexError:
            connection = self._connect()
            connection.execute("PRAGMA query_only=ON")
        try:
            yield connection
        except sqlite3.Error:
            connection.close()
            raise
        self._idle_readers.append(connection)

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """SQLite's errors as LinkError; misuse of SQLite is a bug and stays what it is."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise LinkError(f"{self.path}: {doing} failed: {error}; {_advice(error)}") from None
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in _DAMAGED:
                raise
            raise LinkError(f"{self.path}: {doing} failed: {error}; restore the file from a backup") from None

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=self._timeout_s, isolation_level=None, check_same_thread=False)

    def _open(self) -> sqlite3.Connection:
        if not self.path.parent.is_dir():
            raise ConfigError(f"data_dir = {str(self.path.parent)!r} is not a directory; make it first")
        try:
            connection = self._connect()
        except sqlite3.Error as error:
            raise LinkError(f"{self.path}: cannot be opened: {error}; look at its owner and permissions") from None
        try:
            self._prepare(connection)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise LinkError(f"{self.path}: opening failed: {error}; {_advice(error)}") from None
        except ConfigError:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Refuse an unknown file untouched; then WAL and FULL; then the schema, made by one process only."""
        connection.execute(f"PRAGMA busy_timeout={round(self._open_timeout_s * 1000)}")
        connection.execute("BEGIN")
        missing = self._missing(connection)
        connection.execute("ROLLBACK")
        deadline = time.monotonic() + self._open_timeout_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError as error:  # the busy timeout does not cover this pragma
                if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_S)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES_KEPT}")
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA cache_size=-{_WRITER_CACHE_KIB}")
        if missing:
            connection.execute("BEGIN IMMEDIATE")
            for statement in self._missing(connection):
                connection.execute(statement)
            connection.execute("COMMIT")
        connection.execute(f"PRAGMA busy_timeout={round(self._timeout_s * 1000)}")

    def _missing(self, connection: sqlite3.Connection) -> tuple[str, ...]:
        """The statements that make the file this version's. Raises ConfigError for one that is not known."""
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == SCHEMA_VERSION:
            return ()
        if version == _WITHOUT_TIERS:
            return _ADD_TIERS
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if version or tables:
            raise ConfigError(
                f"{self.path}: schema version {version} is not known to this version; install the version that wrote "
                "it, or move the file away. Nothing was changed."
            )
        return _SCHEMA


@contextmanager
def _snapshot(reader: sqlite3.Connection) -> Iterator[None]:
    """One state of the file for all statements."""
    reader.execute("BEGIN")
    try:
        yield
    finally:
        reader.execute("ROLLBACK")


def _matching_series(reader: sqlite3.Connection, query: SeriesQuery) -> list[tuple[int, Tags]]:
    where = "".join(f" AND {tag}=?" for tag in query.filters)
    rows = reader.execute(
        f"SELECT id, community, home, gateway, device, resident FROM series WHERE quantity=?{where} ORDER BY id",
        (query.quantity, *query.filters.values()),
    )
    return [(number, Tags(*tags)) for number, *tags in rows]


def _series_rows(reader: sqlite3.Connection, query: SeriesQuery, number: int, tags: Tags) -> Iterator[_Row]:
    """One series' samples in the query's order, fetched as they are asked for."""
    window = query.window_ns or 1
    order = "DESC" if query.newest_first else "ASC"
    what, group = "time, value", ""
    if query.aggregate is not None:
        # SQLite's remainder has the sign of the time: the second one makes windows before 1970 begin early too.
        what = f"time - (time % {window} + {window}) % {window} AS start, {_AGGREGATES[query.aggregate]}"
        group = "GROUP BY start"
    cursor = reader.execute(
        f"SELECT {what} FROM sample WHERE series=? AND time>=? AND time<? {group} ORDER BY 1 {order} LIMIT ?",
        (number, _clamp(query.from_ns), _clamp(query.to_ns), query.limit),
    )
    with closing(cursor):
        for row in cursor:
            yield row[0], row[1], tags


def _time_of(row: _Row) -> int:
    return row[0]


def _clamp(time_ns: int) -> int:
    return max(MIN_TIME_NS, min(time_ns, MAX_TIME_NS + 1))


def _advice(error: sqlite3.DatabaseError) -> str:
    code = error.sqlite_errorcode & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return "free space on its disk"
    if code in _DAMAGED:
        return "move it away or restore a backup"
    if code in _BUSY:
        return "another process holds its lock; if it lasts, find that process"
    return "look at the disk and at the file's permissions"
