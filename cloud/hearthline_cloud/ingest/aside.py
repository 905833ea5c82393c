"""What cannot be used is kept aside, each once: the newest rows; the older ones are counted, in one row."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from hearthline_cloud import schema
from hearthline_cloud.ingest.session import Message

KEPT_ROWS = 10_000
KEPT_REASON = 500
_KEPT_BYTES = 65536
_COUNTER = 0  # the id of the row whose payload is the number of those that are no longer kept


def keep_aside(connection: Connection, message: Message, reason: str, now_ns: int) -> None:
    """Keep what cannot be used, once, however often it is sent."""
    topic = storable(message.topic, KEPT_REASON)
    kept = connection.execute(
        upsert(schema.kept_aside)
        .values(
            received_ns=now_ns,
            topic=topic,
            payload=message.payload[:_KEPT_BYTES],
            reason=storable(reason, KEPT_REASON),
            digest=hashlib.sha256(topic.encode() + b"\0" + message.payload).hexdigest(),
        )
        .on_conflict_do_nothing(index_elements=["digest"])
        .returning(schema.kept_aside.c.id)
    ).scalar()
    if kept is not None and kept > KEPT_ROWS:
        _drop(connection, kept - KEPT_ROWS, now_ns)


def storable(text: str, length: int) -> str:
    """A text that every database takes."""
    return text[:length].encode(errors="backslashreplace").decode().replace("\0", "\\0")


def _drop(connection: Connection, last: int, now_ns: int) -> None:
    """Let go of rows up to `last`, for a device that is never understood must not fill the disk."""
    table = schema.kept_aside
    dropped = connection.execute(delete(table).where((table.c.id > _COUNTER) & (table.c.id <= last))).rowcount
    if not dropped:
        return
    before = connection.execute(select(table.c.payload).where(table.c.id == _COUNTER)).scalar()
    number = int(before or 0) + dropped
    values = {"received_ns": now_ns, "payload": str(number).encode(), "reason": f"{number} older ones, only counted"}
    connection.execute(
        upsert(table).values(id=_COUNTER, topic="", **values).on_conflict_do_update(index_elements=["id"], set_=values)
    )
