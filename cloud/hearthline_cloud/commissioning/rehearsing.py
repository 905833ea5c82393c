"""What the desk would have done with each press of commissioning, as of one that nobody answers."""

from __future__ import annotations

from sqlalchemy import select, update

from hearthline.clock import NS
from hearthline.commissioning import PAIRING
from hearthline_cloud.alerts.lifecycle import AlertKind, alert_kind
from hearthline_cloud.database import Database
from hearthline_cloud.schema import commissioning, commissioning_press, event, heartbeat, home
from hearthline_cloud.selftesting import Rules, rehearse

_AT_ONCE = 20
_ALIVE_S = 15  # within which escalation has beaten


def decide(database: Database, rules: Rules, now_ns: int) -> int:
    """Take the presses that nobody has judged through escalation's own decisions; how many. Nobody is told."""
    table = commissioning_press
    query = (
        select(table.c.id, commissioning.c.home_id, home.c.community_id, event.c.data)
        .join(commissioning, commissioning.c.id == table.c.commissioning_id)
        .outerjoin(home, home.c.id == commissioning.c.home_id)
        .outerjoin(event, event.c.id == table.c.event_key)
        .where(table.c.decided_ns.is_(None), ~commissioning.c.run.startswith(PAIRING, autoescape=True))
    )
    with database.reading() as connection:
        rows = connection.execute(query.order_by(table.c.id).limit(_AT_ONCE)).all()
        if not rows:
            return 0
        beaten = connection.execute(select(heartbeat.c.at_ns).where(heartbeat.c.role == "escalation")).scalar()
        if beaten is None or now_ns - beaten > _ALIVE_S * NS:
            return 0  # nobody would be told of a press now either
        found = []
        for row in rows:
            kind = AlertKind.EMERGENCY if row.data is None else alert_kind(str(row.data.get("role", "")))
            found.append((row.id, rehearse(connection, *rules(), row.home_id, row.community_id, now_ns, kind)))
    with database.transaction() as connection:
        for key, decision in found:
            where = (table.c.id == key) & table.c.decided_ns.is_(None)
            connection.execute(update(table).where(where).values(decided_ns=now_ns, decision=decision))
    return len(found)
