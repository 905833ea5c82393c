"""What a gateway says of its certificates, taken to the database: which one it uses, and that it asks for new ones.

    word of gateway G over its session --> serial is G's, valid --> proof holds --> request is good --> signed
                                                                                         |
                                                 certified before: the same ones again <-+

The broker lets a gateway speak below its own name alone. What is asked here besides: that who asks has the key of a
certificate that is valid now, so that a session that is about to be thrown out gets nothing to come back with.
Everything is one transaction, as revoking is: whichever comes first, the other sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, update

from hearthline import wire
from hearthline.clock import NS
from hearthline_cloud import journal
from hearthline_cloud.enrolment.signing import taken
from hearthline_cloud.identity.authority import Authority, RequestError, key_digest, proves, requested_key
from hearthline_cloud.identity.broker import sessions_of
from hearthline_cloud.identity.certificates import is_valid, issue
from hearthline_cloud.schema import certificate

RENEWALS_A_DAY = 5
ACTOR = "gateway"
_DAY_NS = 24 * 3600 * NS
_C = certificate.c


def is_news(connection: Connection, gateway_id: str, serial: str) -> bool:
    """Whether the gateway was not known to use this certificate, which is one of its own."""
    return connection.execute(_of(gateway_id, serial).where(_C.seen_ns.is_(None))).first() is not None


def take_use(connection: Connection, gateway_id: str, serial: str, now_ns: int) -> int:
    """The gateway uses this certificate, and so its session's twin. How many others are revoked by that."""
    row = connection.execute(_of(gateway_id, serial).where(_C.seen_ns.is_(None))).first()
    if row is None:
        return 0
    twins = (_C.gateway_id == gateway_id) & ((_C.serial == row.serial) | ((_C.key == row.key) & (_C.key != "")))
    connection.execute(update(certificate).where(twins, _C.seen_ns.is_(None)).values(seen_ns=now_ns))
    detail = {"gateway": gateway_id, "serial": row.serial}
    journal.append(connection, "certificate-in-use", now_ns, detail, actor=ACTOR)
    return taken(connection, gateway_id, row.key, now_ns)


def renew(
    connection: Connection, authority: Authority, gateway_id: str, word: wire.CertificateWord, now_ns: int
) -> wire.CertificateAnswer:
    """New certificates for the key that is asked for. Raises RequestError with what is wrong, for the gateway's log."""
    request = word.request.encode()
    key = requested_key(request, gateway_id)
    digest = key_digest(key)
    present = connection.execute(_of(gateway_id, word.serial).where(is_valid(now_ns))).first()
    if _throws_out(connection, gateway_id):  # no answer: asked again in the next session, it gets one
        raise RequestError("a revoked session of this gateway is still being thrown out")
    if present is None:
        raise RequestError("the certificate is revoked, has ended, or is not of this gateway", digest)
    if not proves(present.pem.encode(), word.proof, request):
        raise RequestError("the request is not signed by the key of the present certificate", digest)
    known = connection.execute(select(certificate).where(_C.key == digest).order_by(_C.session)).all()
    if not known:
        if _renewals(connection, gateway_id, now_ns) >= RENEWALS_A_DAY:
            raise RequestError(f"{RENEWALS_A_DAY} renewals a day are enough", digest)
        made = issue(connection, authority, gateway_id, key, now_ns, ACTOR)
        return wire.CertificateAnswer(key=digest, first=made[0].pem.decode(), second=made[1].pem.decode())
    if not _is_again(known, gateway_id, present, now_ns):
        raise RequestError("the key is not a new one", digest)
    pems = {row.session: row.pem for row in known}
    first, second = (pems[session] for session in sessions_of(gateway_id))
    return wire.CertificateAnswer(key=digest, first=first, second=second)


def _of(gateway_id: str, serial: str) -> Select[Any]:
    return select(certificate).where(_C.gateway_id == gateway_id, _C.session == gateway_id, _C.serial == serial)


def _throws_out(connection: Connection, gateway_id: str) -> bool:
    """Whether a revoked session of the gateway may still be live."""
    waits = (_C.gateway_id == gateway_id) & _C.revoked_ns.is_not(None) & _C.enforced_ns.is_(None)
    return connection.execute(select(_C.serial).where(waits).limit(1)).first() is not None


def _renewals(connection: Connection, gateway_id: str, now_ns: int) -> int:
    """How many were signed in the last day, whoever asked; a clock that was ahead then counts too."""
    recent = (_C.session == gateway_id) & (_C.issued_ns > now_ns - _DAY_NS)
    return connection.execute(select(func.count()).where(recent)).scalar_one()


def _is_again(known: Sequence[Row[Any]], gateway_id: str, present: Row[Any], now_ns: int) -> bool:
    """Whether the key was certified for this gateway by an earlier asking, whose answer was lost."""
    return all(
        row.gateway_id == gateway_id and row.revoked_ns is None and row.ends_ns > now_ns and row.key != present.key
        for row in known
    )
