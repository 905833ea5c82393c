"""After a restore each gateway is asked to send again what the center had received; what comes is known by its mark.

The command goes out as every other, until the gateway answers; a gateway that is away may come back within thirty days,
for so long it keeps what it has sent. What the center knows already is a repeat. What it does not know was pressed in
the time that the backup lacks: it raises or joins an alert like any press, for nobody knows whether it was dealt with,
and the alert says that it was sent again. The mark counts only where this center has asked this gateway for it.
"""

from __future__ import annotations

from typing import Any

import uuid_utils
from sqlalchemy import Connection, insert, select

from hearthline.clock import NS, rfc3339
from hearthline.model import RESEND, RESENT
from hearthline_cloud import schema

MARGIN_S = 3600  # before the backup: clocks differ, and what is known does no harm


def ask_all(connection: Connection, since_ns: int, now_ns: int) -> int:
    """Ask every gateway for what it has made since then; how many."""
    gateways = connection.execute(select(schema.gateway.c.id).order_by(schema.gateway.c.id)).scalars().all()
    body = {"type": RESEND, "since": rfc3339(since_ns - MARGIN_S * NS)}
    times = {"created_ns": now_ns, "next_attempt_ns": now_ns}
    rows = [{"id": str(uuid_utils.uuid7()), "gateway_id": name, "body": body, **times} for name in gateways]
    if rows:
        connection.execute(insert(schema.command), rows)
    return len(rows)


def is_resent(connection: Connection, data: dict[str, Any], gateway: str) -> bool:
    """Whether this center has asked this gateway to send it again."""
    mark = data.get(RESENT)
    if not isinstance(mark, str) or len(mark) > 64 or not (mark.isascii() and mark.isprintable()):
        return False
    asked = (schema.command.c.id == mark) & (schema.command.c.gateway_id == gateway)
    body = connection.execute(select(schema.command.c.body).where(asked)).scalar()
    return body is not None and body.get("type") == RESEND
