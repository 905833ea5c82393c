"""What is watched and when nobody watched, and the figures of the cases."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table
from sqlalchemy.types import JSON

from hearthline_cloud.personal.column import Personal
from hearthline_cloud.schema.conventions import KEY, metadata

heartbeat = Table(
    "heartbeat",
    metadata,
    Column("role", String(16), primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("detail", JSON, nullable=False),  # e.g. {"broker": true, "store": true}
)

declared = Table(
    "declared",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("what", String(16), nullable=False),  # maintenance, absence
    Column("scope", String(16), nullable=False),  # community, home, gateway
    Column("scope_id", String(64), nullable=False),
    Column("from_ns", BigInteger, nullable=False),
    Column("to_ns", BigInteger, nullable=False),  # when it ends, or was ended
    Column("reason", Personal("", of="subject"), nullable=False),  # may speak of a person: shown to staff alone
    Column("subject", String(80), nullable=False),  # of `personal_key`
    Column("declared_by", String(64), nullable=False),
    Column("declared_ns", BigInteger, nullable=False),
    Column("ended_by", String(64)),
    Index("ix_declared_to", "to_ns"),
    sqlite_autoincrement=True,
)

unwatched = Table(
    "unwatched",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("why", String(16), nullable=False),  # desk: no desk ran, or its clock was set; store: telemetry waits
    Column("from_ns", BigInteger, nullable=False),
    Column("to_ns", BigInteger, nullable=False),
    Index("ix_unwatched_to", "to_ns"),
    sqlite_autoincrement=True,
)

figure = Table(  # what the journal says of each case, as far as `figure_cursor`: derived, it can be made anew
    "figure",
    metadata,
    Column("alert_id", KEY, primary_key=True, autoincrement=False),  # the case itself may be removed
    Column("kind", String(32), nullable=False),
    Column("home_id", String(64)),
    Column("gateway_id", String(64), nullable=False),
    Column("device_id", String(128), nullable=False),
    Column("journal_id", BigInteger, nullable=False),  # the last entry that went in
    Column("raised_ns", BigInteger, nullable=False),
    Column("answered_ns", BigInteger),
    Column("answered_by", String(64)),
    Column("sent_ns", BigInteger),
    Column("arrived_ns", BigInteger),
    Column("closed_ns", BigInteger),
    Column("outcome", String(32)),
    Column("handed_over", Integer, nullable=False),
    Column("reopened", Integer, nullable=False),
    Column("asked", Boolean, nullable=False),
    Column("helped", String(16)),
    Index("ix_figure_raised", "kind", "raised_ns"),
)

figure_cursor = Table(
    "figure_cursor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row: 1
    Column("journal_id", BigInteger, nullable=False),
)
