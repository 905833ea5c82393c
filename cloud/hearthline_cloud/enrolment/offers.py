"""Offers to become a gateway, each by a one-time code, as rows.

    made --> asked: bound to the first key that proves the code --> answered: the desk has signed --> taken: it is here
      |        or refused by the desk
      +--> withdrawn by a newer code, ended by time, locked after ten wrong proofs

The center keeps no code. The role `web` keeps who may ask: a public key that the code gives. What the answer is sealed
with is kept sealed by the issuing key, which the desk alone has, together with all that the offer says: whoever has the
database, or the role web, can neither read an answer nor change whose offer it is.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from hearthline.clock import NS
from hearthline.enrolment import Keys, Kind, proves
from hearthline.errors import RefusedError
from hearthline_cloud import journal
from hearthline_cloud.database import Database
from hearthline_cloud.enrolment.texts import TEXTS
from hearthline_cloud.identity.authority import Authority, key_digest, requested_key
from hearthline_cloud.identity.certificates import is_valid, revoke
from hearthline_cloud.schema import certificate, enrolment, gateway

MOST_WRONG = 10
MOST_HOURS = 24 * 30
CODE, BUNDLE = "code", "bundle"
_PURPOSE = "offers of enrolment"
_NONCE = 12
_E = enrolment.c
_NOBODY = "00" * 32  # the verifier of an offer that does not exist: a right-looking key, and nobody's


class Refusal(StrEnum):
    """Why a request gets no answer. Only who proves the code hears anything but UNKNOWN."""

    UNKNOWN = "unknown"  # no such offer, or not its code
    USED = "used"  # by another key
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    LOCKED = "locked"
    BUNDLE = "bundle"  # the code is a file's
    REFUSED = "refused"  # by the desk


class EnrolmentError(RefusedError):
    """`refusal`: why, as a word for programs."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


_MESSAGES = {
    Refusal.UNKNOWN: "this code is not known here: look at the label again, or ask for a new code",
    Refusal.USED: "this code was used already, by another machine; ask for a new code",
    Refusal.EXPIRED: "this code has expired; ask for a new one",
    Refusal.WITHDRAWN: "this code was withdrawn, or a newer one was made for this gateway; use that one",
    Refusal.LOCKED: "this code was tried wrongly too often and is locked; ask for a new one",
    Refusal.BUNDLE: "this code belongs to a file: use it with --bundle",
}


@dataclass(frozen=True, slots=True)
class Made:
    """`ends_ns`: until when the code is good (Unix ns). `has_revoked`: certificates of a bundle that was never used."""

    offer: str
    gateway: str
    ends_ns: int
    has_revoked: bool


def offer(
    connection: Connection,
    authority: Authority,
    keys: Keys,
    gateway_id: str,
    now_ns: int,
    *,
    hours: float,
    again: bool,
    actor: str,
    kind: str = CODE,
) -> Made:
    """A new offer; older ones for this gateway are withdrawn. Raises RefusedError for what cannot be offered."""
    if not 0 < hours <= MOST_HOURS:
        raise RefusedError(TEXTS.say("bad_hours", most=MOST_HOURS))
    if connection.execute(select(gateway.c.id).where(gateway.c.id == gateway_id)).first() is None:
        raise RefusedError(TEXTS.say("no_gateway", gateway=gateway_id))
    if not again and has_certificates(connection, gateway_id, now_ns):
        raise RefusedError(TEXTS.say("has_certificates", gateway=gateway_id))
    has_revoked = _withdraw(connection, _E.gateway_id == gateway_id, now_ns, actor)
    ends_ns = now_ns + round(hours * 3600 * NS)
    facts = {"id": keys.offer, "gateway_id": gateway_id, "kind": kind, "again": again}
    facts |= {"ends_ns": ends_ns, "verifier": keys.verifier}
    sealed = _seal(authority, facts, keys.key(Kind.ANSWER))
    connection.execute(insert(enrolment).values(**facts, sealed=sealed, made_ns=now_ns, made_by=actor))
    detail = {"gateway": gateway_id, "offer": keys.offer, "hours": hours, "again": again, "kind": kind}
    journal.append(connection, "enrolment-offered", now_ns, detail, actor=actor)
    return Made(keys.offer, gateway_id, ends_ns, has_revoked)


def has_certificates(connection: Connection, gateway_id: str, now_ns: int) -> bool:
    own = select(certificate.c.serial).where(certificate.c.gateway_id == gateway_id, is_valid(now_ns))
    return connection.execute(own.limit(1)).first() is not None


def ask(database: Database, offer_id: str, request: str, proof: str, now_ns: int) -> str:
    """The sealed answer, base64; "" while the desk has not signed yet.

    Raises EnrolmentError, and RequestError for a proven request that is no signing request. Whoever proves no offer
    makes nobody wait for the writer's lock, but for the few wrong proofs that count.
    """
    with database.reading() as connection:
        row = _row(connection, offer_id)
    is_proven = proves(_NOBODY if row is None else row.verifier, offer_id, request, proof)
    if row is None:
        raise _refused(Refusal.UNKNOWN)
    if not is_proven:
        if row.wrong < MOST_WRONG and row.sealed and now_ns < row.ends_ns:
            with database.transaction() as connection:
                _count_wrong(connection, offer_id, now_ns)
        raise _refused(Refusal.UNKNOWN)
    digest = key_digest(requested_key(request.encode(), row.gateway_id))
    if not row.key:
        with database.transaction() as connection:
            row = _row(connection, offer_id) or row
            _check(row, digest, now_ns)
            if not row.key:
                _bind(connection, row, {"key": digest, "request": request, "proof": proof, "asked_ns": now_ns})
        return ""
    _check(row, digest, now_ns)
    answer: str = row.answer
    return answer


def _row(connection: Connection, offer_id: str) -> Row[Any] | None:
    return connection.execute(select(enrolment).where(_E.id == offer_id)).first()


def _count_wrong(connection: Connection, offer_id: str, now_ns: int) -> None:
    row = _row(connection, offer_id)
    if row is None or row.wrong >= MOST_WRONG:
        return
    connection.execute(update(enrolment).where(_E.id == offer_id).values(wrong=row.wrong + 1))
    detail = {"gateway": row.gateway_id, "offer": offer_id, "wrong": row.wrong + 1}
    journal.append(connection, "enrolment-wrong", now_ns, detail, actor="unknown")


def _bind(connection: Connection, row: Row[Any], asked: dict[str, Any]) -> None:
    connection.execute(update(enrolment).where(_E.id == row.id).values(**asked))
    detail = {"gateway": row.gateway_id, "offer": row.id, "key": asked["key"]}
    journal.append(connection, "enrolment-asked", asked["asked_ns"], detail, actor="gateway")


def _check(row: Row[Any], digest: str, now_ns: int) -> None:
    """Raises EnrolmentError, to who has proved the code."""
    if row.wrong >= MOST_WRONG:
        raise _refused(Refusal.LOCKED)
    if row.withdrawn_ns is not None:
        raise _refused(Refusal.WITHDRAWN)
    if row.ends_ns <= now_ns:
        raise _refused(Refusal.EXPIRED)
    if row.kind == BUNDLE:
        raise _refused(Refusal.BUNDLE)
    if row.key and row.key != digest:
        raise _refused(Refusal.USED)
    if row.refused:
        raise EnrolmentError(Refusal.REFUSED, row.refused)


def _refused(refusal: Refusal) -> EnrolmentError:
    return EnrolmentError(refusal, _MESSAGES[refusal])


def over(connection: Connection, now_ns: int) -> list[str]:
    """The offers that have ended by the wall clock, which may be wrong, and still have their secrets."""
    return list(connection.execute(select(_E.id).where(_is_over(now_ns))).scalars())


def end(connection: Connection, offers: Collection[str], now_ns: int) -> list[str]:
    """Of these what is over: secrets and answers go, a bundle that nobody used is revoked. It cannot be undone.

    In a transaction. The gateways that lost certificates.
    """
    lost = []
    for row in connection.execute(select(enrolment).where(_is_over(now_ns), _E.id.in_(offers))).all():
        lost += _end(connection, row, now_ns, "its bundle was never used")
        detail = {"gateway": row.gateway_id, "offer": row.id, "used": row.taken_ns is not None or row.answer != ""}
        journal.append(connection, "enrolment-ended", now_ns, detail, actor=journal.SYSTEM)
    return lost


def withdraw(connection: Connection, offer_id: str, now_ns: int, actor: str) -> bool:
    """This code is worth nothing any more, nor a bundle nobody used. Whether certificates were revoked by that."""
    return _withdraw(connection, _E.id == offer_id, now_ns, actor)


def _is_over(now_ns: int) -> ColumnElement[bool]:
    return (_E.ends_ns <= now_ns) & (_E.sealed != "")


def _withdraw(connection: Connection, which: ColumnElement[bool], now_ns: int, actor: str) -> bool:
    lost = []
    for row in connection.execute(select(enrolment).where(which, _E.sealed != "")).all():
        lost += _end(connection, row, now_ns, "its code was withdrawn")
        connection.execute(update(enrolment).where(_E.id == row.id).values(withdrawn_ns=now_ns))
        detail = {"gateway": row.gateway_id, "offer": row.id}
        journal.append(connection, "enrolment-withdrawn", now_ns, detail, actor=actor)
    return bool(lost)


def _end(connection: Connection, row: Row[Any], now_ns: int, reason: str) -> list[str]:
    connection.execute(update(enrolment).where(_E.id == row.id).values(sealed="", request="", proof="", answer=""))
    if row.kind != BUNDLE or row.taken_ns is not None:
        return []
    own = certificate.c.key == row.key
    return [row.gateway_id] if revoke(connection, row.gateway_id, reason, now_ns, journal.SYSTEM, only=own) else []


# --- what the desk alone can open ------------------------------------------------------------------------------------


def _seal(authority: Authority, facts: dict[str, Any], key: bytes) -> str:
    nonce = secrets.token_bytes(_NONCE)
    cipher = AESGCM(authority.secret_for(_PURPOSE))
    return base64.b64encode(nonce + cipher.encrypt(nonce, key, _bound(facts))).decode()


def opened(authority: Authority, row: Row[Any]) -> bytes | None:
    """The key that the answer is sealed with; None for a row that is not as `offer` wrote it with this issuing key."""
    facts = {name: getattr(row, name) for name in ("id", "gateway_id", "kind", "again", "ends_ns", "verifier")}
    try:
        raw = base64.b64decode(row.sealed, validate=True)
        return AESGCM(authority.secret_for(_PURPOSE)).decrypt(raw[:_NONCE], raw[_NONCE:], _bound(facts))
    except (InvalidTag, binascii.Error, ValueError):
        return None


def _bound(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True).encode()
