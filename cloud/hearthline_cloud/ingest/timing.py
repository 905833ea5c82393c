"""What time a record is worth: the gateway's own when its clock was synchronised, else an estimate.

An estimate is made once per gateway and boot and then kept, so that a record told twice, also by an agent that was
restarted, gets the same time twice and the store overwrites instead of doubling.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from hearthline.clock import NS
from hearthline.wire import Envelope
from hearthline_cloud.schema import boot_clock

SYNCED, ESTIMATED = "synced", "estimated"
_MIN_NS, _MAX_NS = -(2**63), 2**63 - 1
FUTURE_TOLERANCE_NS = 300 * NS


def record_time(
    connection: Connection, gateway: str, wall_ns: int, envelope: Envelope, received_ns: int
) -> tuple[int, str]:
    """(Unix nanoseconds, quality) of a record; inside the transaction that stores it."""
    if envelope.synced:
        # A year that no column holds is no year: then the center's own clock is the better witness.
        return (wall_ns, SYNCED) if _MIN_NS <= wall_ns <= _MAX_NS else (received_ns, ESTIMATED)
    where = (boot_clock.c.gateway_id == gateway) & (boot_clock.c.boot == envelope.boot)
    offset_ns = connection.execute(select(boot_clock.c.offset_ns).where(where)).scalar()
    if offset_ns is None:
        offset_ns = received_ns - round((envelope.age_s or 0.0) * NS) - envelope.mono_ns
        connection.execute(insert(boot_clock).values(gateway_id=gateway, boot=envelope.boot, offset_ns=offset_ns))
    return offset_ns + envelope.mono_ns, ESTIMATED
