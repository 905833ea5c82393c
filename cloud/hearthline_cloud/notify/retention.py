"""Old messages leave the queue: what became of each stands in the journal for good."""

from __future__ import annotations

from sqlalchemy import delete, select

from hearthline.clock import NS
from hearthline_cloud.database import Database
from hearthline_cloud.notify.sending import give_up
from hearthline_cloud.schema import notification

BATCH = 500
UNSENT = "no desk has had its channel since"


def delete_finished(database: Database, days: int, now_ns: int) -> int:
    """Delete what was finished `days` ago, a batch of it. Looks at the oldest rows alone, so it costs the same always.

    What still waits after so long has a channel that no desk has any more: it is given up, or it would stand in front
    of all that comes after it.
    """
    before_ns = now_ns - days * 86_400 * NS
    columns = (notification.c.id, notification.c.done_ns, notification.c.created_ns)
    oldest = select(*columns).order_by(notification.c.id).limit(BATCH)
    with database.reading() as connection:
        rows = connection.execute(oldest).all()
    old = [row.id for row in rows if row.done_ns is not None and row.done_ns < before_ns]
    lost = [row.id for row in rows if row.done_ns is None and row.created_ns < before_ns]
    if old or lost:
        with database.transaction() as connection:
            connection.execute(delete(notification).where(notification.c.id.in_(old)))
            for each in lost:
                give_up(connection, each, UNSENT, now_ns)
    return len(old)
