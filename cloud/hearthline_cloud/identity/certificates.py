"""The certificates that were issued to gateways, as rows: issued, revoked, and what the broker has to be told of them.

    issued --> seen: its gateway uses it --> ends by itself after 90 days
       |
       +--> revoked --> enforced: on the broker's revocation list, and its session thrown out

A gateway may speak to the broker while one of its certificates is valid. Its two sessions have one each, of one key.
One that was renewed is not revoked: that would throw the gateway's live session out, for a key that ends in a month.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import ColumnElement, Connection, case, func, insert, select, update

from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline_cloud import journal
from hearthline_cloud.identity.authority import Authority, Issued, Revoked, key_digest
from hearthline_cloud.identity.broker import sessions_of
from hearthline_cloud.schema import certificate, gateway

TOLD_BEFORE_END_S = 20 * 24 * 3600
LISTED_AFTER_END_S = 24 * 3600  # an ended certificate stays on the list a little longer, for clocks that differ


_UNTIL = certificate.c.ends_ns
_SEEN_UNTIL = case((certificate.c.seen_ns.is_not(None), _UNTIL))
REVOKED = "certificate-revoked"  # the kind of the journal's entry


@dataclass(frozen=True, slots=True)
class Held:
    """One certificate, for people. Times are Unix nanoseconds."""

    serial: str
    gateway: str
    session: str
    issued_ns: int
    ends_ns: int
    revoked_ns: int | None
    reason: str
    seen_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the broker must have: who may come, which certificates are not valid any more, and who must be thrown out.

    `unenforced`: serial -> session. `ending`: gateway -> when it will be locked out, where that is soon (Unix ns): what
    it is known to use counts, not what was signed for it.
    """

    gateways: frozenset[str]
    revoked: tuple[Revoked, ...]
    unenforced: dict[str, str]
    ending: dict[str, int] = field(default_factory=dict)


def issue(
    connection: Connection,
    authority: Authority,
    gateway_id: str,
    key: ec.EllipticCurvePublicKey,
    now_ns: int,
    actor: str,
) -> tuple[Issued, ...]:
    """A certificate of this key for each of the gateway's sessions. Raises RefusedError for one that nobody knows."""
    if connection.execute(select(gateway.c.id).where(gateway.c.id == gateway_id)).first() is None:
        raise RefusedError(f"there is no gateway {gateway_id}; `hearthline cloud registry load` makes it known")
    made = tuple(authority.issue_client(session, key, utc(now_ns)) for session in sessions_of(gateway_id))
    for each in made:
        values = {"serial": each.serial, "gateway_id": gateway_id, "session": each.name}
        times = {"issued_ns": now_ns, "ends_ns": round(each.ends.timestamp()) * NS}
        connection.execute(insert(certificate).values(**values, **times, key=key_digest(key), pem=each.pem.decode()))
    detail = {"gateway": gateway_id, "serials": [each.serial for each in made], "ends": f"{made[0].ends:%Y-%m-%d}"}
    journal.append(connection, "certificate-issued", now_ns, detail, actor=actor)
    return made


def revoke(
    connection: Connection,
    gateway_id: str,
    reason: str,
    now_ns: int,
    actor: str,
    *,
    only: ColumnElement[bool] | None = None,
) -> int:
    """Every certificate of the gateway that is still valid; how many. The broker hears of it from the keeper.

    `only`: of those, the rows that are meant.
    """
    valid = (certificate.c.gateway_id == gateway_id) & is_valid(now_ns)
    valid = valid if only is None else valid & only
    serials = connection.execute(select(certificate.c.serial).where(valid)).scalars().all()
    connection.execute(update(certificate).where(valid).values(revoked_ns=now_ns, reason=reason))
    if serials:
        detail = {"gateway": gateway_id, "serials": list(serials), "reason": reason}
        journal.append(connection, REVOKED, now_ns, detail, actor=actor)
    return len(serials)


def standing(connection: Connection, now_ns: int) -> Standing:
    """As of now."""
    newest = (  # of each session
        select(certificate.c.gateway_id, func.coalesce(func.max(_SEEN_UNTIL), func.max(_UNTIL)).label("ends_ns"))
        .where(is_valid(now_ns))
        .group_by(certificate.c.gateway_id, certificate.c.session)
        .subquery()
    )
    valid = connection.execute(
        select(newest.c.gateway_id, func.min(newest.c.ends_ns).label("ends_ns")).group_by(newest.c.gateway_id)
    ).all()
    revoked = connection.execute(
        select(certificate.c.serial, certificate.c.session, certificate.c.revoked_ns, certificate.c.enforced_ns)
        .where(certificate.c.revoked_ns.is_not(None), certificate.c.ends_ns > now_ns - LISTED_AFTER_END_S * NS)
        .order_by(certificate.c.revoked_ns, certificate.c.serial)
    ).all()
    return Standing(
        frozenset(row.gateway_id for row in valid),
        tuple(Revoked(row.serial, utc(row.revoked_ns)) for row in revoked),
        {row.serial: row.session for row in revoked if row.enforced_ns is None},
        {row.gateway_id: row.ends_ns for row in valid if row.ends_ns < now_ns + TOLD_BEFORE_END_S * NS},
    )


def enforced(connection: Connection, serials: Iterable[str], now_ns: int) -> None:
    """The broker has thrown them out and lets them in no more."""
    connection.execute(update(certificate).where(certificate.c.serial.in_(serials)).values(enforced_ns=now_ns))


def held(connection: Connection) -> list[Held]:
    """Every certificate that was ever issued, by gateway, the newest first."""
    rows = connection.execute(
        select(certificate).order_by(
            certificate.c.gateway_id, certificate.c.issued_ns.desc(), certificate.c.session, certificate.c.serial
        )
    )
    return [
        Held(
            row.serial, row.gateway_id, row.session, row.issued_ns, row.ends_ns, row.revoked_ns, row.reason, row.seen_ns
        )
        for row in rows
    ]


def utc(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // NS, UTC)


def is_valid(now_ns: int) -> ColumnElement[bool]:
    """A row that is neither revoked nor ended."""
    return certificate.c.revoked_ns.is_(None) & (certificate.c.ends_ns > now_ns)
