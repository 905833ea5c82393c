"""What waits for the time-series store, what was kept aside, and what age has taken."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from hearthline_cloud.schema.conventions import KEY, metadata

store_queue = Table(
    "store_queue",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("point", LargeBinary, nullable=False),  # one `store.Point` as JSON
    sqlite_autoincrement=True,  # a number is never given twice: the drain deletes up to the last one it has copied
)

roll_up_due = Table(  # spans of time whose summaries in the time-series store are to be made (anew)
    "roll_up_due",
    metadata,
    Column("gateway_id", String(64), primary_key=True),  # "": all gateways
    Column("from_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("to_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("renewed", Integer, nullable=False),
    Index("ix_roll_up_due_from", "from_ns"),
)

kept_aside = Table(
    "kept_aside",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("received_ns", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("digest", String(64)),  # of topic and payload: a gateway may repeat for ever what cannot be read
    UniqueConstraint("digest"),
)

removed = Table(  # what the retention periods have taken away
    "removed",
    metadata,
    Column("kind", String(16), primary_key=True),  # of `retention.kinds`
    Column("until_ns", BigInteger, nullable=False),  # what is older is gone
    Column("rows", BigInteger, nullable=False, server_default="0"),  # since the journal was told
    Column("since_ns", BigInteger),  # when the first of them went; NULL: none
)
