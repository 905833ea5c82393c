"""Old messages leave the queue: what became of each stands in the journal for good."""

from __future__ import annotations

from sqlalchemy import delete, select

from hearthline.clock import NS
from hearthline_cloud.database import Database
from hearthline_cloud.schema import notification

KEPT_DAYS = 30
BATCH = 500


def delete_finished(database: Database, now_ns: int) -> int:
    """Delete what was finished long ago, a batch of it. Looks at the oldest rows alone, so it costs the same always."""
    before_ns = now_ns - KEPT_DAYS * 86_400 * NS
    oldest = select(notification.c.id, notification.c.done_ns).order_by(notification.c.id).limit(BATCH)
    with database.reading() as connection:
        rows = connection.execute(oldest).all()
    old = [row.id for row in rows if row.done_ns is not None and row.done_ns < before_ns]
    if old:
        with database.transaction() as connection:
            connection.execute(delete(notification).where(notification.c.id.in_(old)))
    return len(old)
