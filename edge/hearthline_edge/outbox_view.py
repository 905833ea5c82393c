"""What waits in an outbox, read beside a running agent without touching the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError, StorageError
from hearthline.model import Lane
from hearthline.wire import LaneStatus
from hearthline_edge.config import EdgeConfig
from hearthline_edge.outbox_file import check_schema, open_to_read
from hearthline_edge.outbox_rows import StoredStamp, counters_of, shaped

_RATE_PACKS = 500  # the newest packs, from which the present rate is told


@dataclass(frozen=True, slots=True)
class OutboxView:
    """`refusals`: by source and reason; `kept_aside`: how many of them are still there to be looked at."""

    path: str
    outbox: str
    event: LaneStatus
    telemetry: LaneStatus
    kept_aside: int
    refusals: dict[str, int]


def look_into(config: EdgeConfig, now: Stamp) -> OutboxView:
    """Raises ConfigError when there is no outbox of this schema, StorageError when it cannot be read."""
    path = Path(config.data_dir) / "outbox.db"
    if not path.exists():
        raise ConfigError(f"{path}: there is no outbox yet; start the agent, or set data_dir to where it is")
    try:
        if not check_schema(path):
            raise ConfigError(f"{path}: the outbox is empty; start the agent once")
        with closing(open_to_read(path)) as connection:
            connection.execute("BEGIN")
            return _view(connection, path, config.telemetry_max_mb * 1024 * 1024, now)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path}: cannot be read: {error}") from None


def _view(connection: sqlite3.Connection, path: Path, telemetry_max_bytes: int, now: Stamp) -> OutboxView:
    counters = counters_of(connection)
    lanes = {}
    for lane in Lane:
        (depth,) = connection.execute(f"SELECT count(*) FROM {lane}").fetchone()
        refused = counters.get(f"refused-{lane}", 0)
        lanes[lane] = LaneStatus(depth=depth, oldest_s=_oldest_s(connection, lane, now), refused=refused)
    telemetry = lanes[Lane.TELEMETRY]
    telemetry.dropped = counters.get("telemetry-readings-dropped", 0)
    telemetry.room_h = _room_h(connection, telemetry_max_bytes)
    return OutboxView(
        str(path),
        connection.execute("SELECT value FROM meta WHERE key = 'outbox'").fetchone()[0],
        lanes[Lane.EVENT],
        telemetry,
        connection.execute("SELECT count(*) FROM kept_aside").fetchone()[0],
        {name[8:]: count for name, count in counters.items() if name.startswith("refused:")},
    )


def _oldest_s(connection: sqlite3.Connection, lane: Lane, now: Stamp) -> float:
    """By the monotonic clock, or from an earlier boot by the wall clock."""
    rows = shaped(
        connection.execute(f"SELECT wall_ns, mono_ns, boot, synced FROM {lane} ORDER BY seq LIMIT 1"), StoredStamp
    )
    if not rows:
        return 0.0
    wall_ns, mono_ns, boot, _ = rows[0]
    elapsed_ns = now.mono_ns - mono_ns if boot == now.boot else now.wall_ns - wall_ns
    return float(max(elapsed_ns / NS, 0.0))


def _room_h(connection: sqlite3.Connection, telemetry_max_bytes: int) -> float | None:
    """Hours until the lane is full at the rate of the packs that wait; None while there are too few to tell.

    Each boot counts for as long as it gave packs: after a restart, too, the answer is there.
    """
    size, span_ns = connection.execute(
        "SELECT sum(size), sum(span_ns) FROM"
        " (SELECT sum(length(readings)) AS size, max(mono_ns) - min(mono_ns) AS span_ns FROM"
        " (SELECT * FROM telemetry ORDER BY seq DESC LIMIT ?) GROUP BY boot)",
        (_RATE_PACKS,),
    ).fetchone()
    if not span_ns or span_ns < 0:
        return None
    (used,) = connection.execute("SELECT sum(length(readings)) FROM telemetry").fetchone()
    bytes_per_hour = size / (span_ns / NS / 3600)
    return float(max(telemetry_max_bytes - used, 0) / bytes_per_hour)
