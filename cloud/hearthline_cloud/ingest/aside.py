"""What cannot be used is kept aside, each once: the newest rows; the older ones are counted, in one row."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, delete, insert, select

from hearthline_cloud import schema
from hearthline_cloud.database import upsert
from hearthline_cloud.ingest.session import Message

KEPT_ROWS = 10_000
KEPT_REASON = 500
_KEPT_BYTES = 65536
COUNTER = 0  # the id of the row whose payload is the number of those that are no longer kept


def keep_aside(connection: Connection, message: Message, reason: str, now_ns: int) -> None:
    """Keep what cannot be used, once, however often it is sent."""
    topic = storable(message.topic, KEPT_REASON)
    table = schema.kept_aside
    digest = hashlib.sha256(topic.encode() + b"\0" + message.payload).hexdigest()
    if connection.execute(select(table.c.id).where(table.c.digest == digest)).first() is not None:
        return  # looked for first: an insert that finds it there would take a number all the same
    kept = connection.execute(
        insert(table)
        .values(
            received_ns=now_ns,
            topic=topic,
            payload=message.payload[:_KEPT_BYTES],
            reason=storable(reason, KEPT_REASON),
            digest=digest,
        )
        .returning(table.c.id)
    ).scalar_one()
    if kept > KEPT_ROWS:
        _drop(connection, kept - KEPT_ROWS, now_ns)


def storable(text: str, length: int) -> str:
    """A text that every database takes, of so many characters at most."""
    return text[:length].encode(errors="backslashreplace").decode().replace("\0", "\\0")[:length]


def _drop(connection: Connection, last: int, now_ns: int) -> None:
    """Let go of rows up to `last`, for a device that is never understood must not fill the disk."""
    table = schema.kept_aside
    dropped = connection.execute(delete(table).where((table.c.id > COUNTER) & (table.c.id <= last))).rowcount
    if not dropped:
        return
    before = connection.execute(select(table.c.payload).where(table.c.id == COUNTER)).scalar()
    number = int(before or 0) + dropped
    values = {"received_ns": now_ns, "payload": str(number).encode(), "reason": f"{number} older ones, only counted"}
    connection.execute(
        upsert(connection, table)
        .values(id=COUNTER, topic="", **values)
        .on_conflict_do_update(index_elements=["id"], set_=values)
    )
