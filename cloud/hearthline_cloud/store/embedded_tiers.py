"""The summaries of the embedded store: two tables beside the raw samples, made and let go of by SQL alone."""

from __future__ import annotations

import heapq
import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from hearthline.clock import NS
from hearthline_cloud.store.port import Keeping, SeriesQuery, Summary, Tags
from hearthline_cloud.store.tiers import DAY_NS, Span, Tier, oldest_whole_ns, windows_of

SCHEMA: Final = tuple(
    f"""CREATE TABLE {tier} (
        series INTEGER NOT NULL, time INTEGER NOT NULL, count INTEGER NOT NULL, mean REAL NOT NULL, min REAL NOT NULL,
        max REAL NOT NULL, last REAL NOT NULL, PRIMARY KEY (series, time)) WITHOUT ROWID"""
    for tier in (Tier.QUARTER, Tier.DAILY)
)
_LONGEST_DAY_NS: Final = 25 * 3600 * NS
SERIES_AT_ONCE: Final = 200  # a transaction: who writes readings waits for it


def series_ids(connection: sqlite3.Connection, gateway: str | None) -> list[int]:
    where, values = ("", ()) if gateway is None else (" WHERE gateway=?", (gateway,))
    return [row[0] for row in connection.execute(f"SELECT id FROM series{where} ORDER BY id", values)]


def roll_up(connection: sqlite3.Connection, tier: Tier, span: Span, series: int) -> None:
    """The summaries of one series in a span, inside the caller's transaction."""
    start = f"{span[0]}"
    if (windows := windows_of(tier, span)) is not None:
        width, offset = windows
        # SQLite's remainder has the sign of the time: the second one makes windows before 1970 begin early too.
        start = f"time - ((time - {offset}) % {width} + {width}) % {width}"
    connection.execute(
        f"""INSERT INTO {tier} SELECT ?1, made.start, made.number, made.mean, made.least, made.most, newest.value
            FROM (SELECT {start} AS start, count(*) AS number, avg(value) AS mean, min(value) AS least,
                         max(value) AS most, max(time) AS last_time
                  FROM sample WHERE series=?1 AND time>=?2 AND time<?3 GROUP BY 1) AS made
            JOIN sample AS newest ON newest.series=?1 AND newest.time=made.last_time
            WHERE true
            ON CONFLICT (series, time) DO UPDATE SET count=excluded.count, mean=excluded.mean, min=excluded.min,
                max=excluded.max, last=excluded.last""",
        (series, *span),
    )


def rows(reader: sqlite3.Connection, tier: Tier, query: SeriesQuery, matching: list[tuple[int, Tags]]) -> list[Summary]:
    streams = [_rows(reader, tier, query, *series) for series in matching]
    merged = heapq.merge(*streams, key=lambda row: row.time_ns, reverse=query.newest_first)
    return list(itertools.islice(merged, query.limit))


def let_go(connection: sqlite3.Connection, keeping: Keeping, now_ns: int, series: int) -> int:
    """Delete what one series need not keep; how many rows. A raw value stays until its day is summarised."""
    oldest = oldest_whole_ns(now_ns, keeping.raw_days)
    gone = connection.execute(
        """DELETE FROM sample WHERE series=?1 AND time<?2 AND EXISTS (
               SELECT 1 FROM daily WHERE daily.series=?1 AND daily.time<=sample.time AND daily.time>sample.time-?3)""",
        (series, oldest, _LONGEST_DAY_NS),
    ).rowcount
    for tier, days in ((Tier.QUARTER, keeping.quarter_days), (Tier.DAILY, keeping.daily_days)):
        if days:
            where = (series, now_ns - days * DAY_NS)
            gone += connection.execute(f"DELETE FROM {tier} WHERE series=? AND time<?", where).rowcount
    return gone


def _rows(reader: sqlite3.Connection, tier: Tier, query: SeriesQuery, series: int, tags: Tags) -> Iterator[Summary]:
    order = "DESC" if query.newest_first else "ASC"
    cursor = reader.execute(
        f"SELECT time, count, mean, min, max, last FROM {tier} WHERE series=? AND time>=? AND time<? "
        f"ORDER BY time {order} LIMIT ?",
        (series, query.from_ns, query.to_ns, query.limit),
    )
    with closing(cursor):
        for row in cursor:
            yield Summary(row[0], row[1], row[2], row[3], row[4], row[5], tags)
