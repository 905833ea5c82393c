"""What the desk signs for who has proved a code, and what follows when the gateway is here.

    asked, proof holds, offer as it was made --> [again: old certificates revoked] --> certificates --> sealed answer
    a certificate is used for the first time --> its offer is taken; a bundle's own key, once replaced, is revoked

The desk does not believe the role web: it looks at the proof itself, with what only the desk can open.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, Row, select, update

from hearthline.enrolment import MAX_DEVICES, Keys, Kind, Kit, KitDevice, encode_kit, proves, seal
from hearthline.errors import ConfigError, RefusedError
from hearthline_cloud import journal
from hearthline_cloud.config import IdentityConfig
from hearthline_cloud.enrolment.offers import BUNDLE, CODE, Made, has_certificates, offer, opened
from hearthline_cloud.identity.authority import ROOT_CERT, Authority, key_digest, key_pem, requested_key
from hearthline_cloud.identity.certificates import issue, revoke
from hearthline_cloud.listing import device_list
from hearthline_cloud.schema import certificate, enrolment

ACTOR = "enrolment"
_E = enrolment.c


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway finds the broker, and by what it knows it. `root`: PEM."""

    host: str
    port: int
    root: str


@dataclass(frozen=True, slots=True)
class Signed:
    """What became of a request. `refused`: why it has no answer; "": it has. `has_revoked`: the old certificates."""

    gateway: str
    has_revoked: bool = False
    refused: str = ""


def place_of(identity: IdentityConfig) -> Place:
    """Raises ConfigError."""
    path = Path(identity.folder) / ROOT_CERT
    try:
        return Place(identity.names[0], identity.port, path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def waiting(connection: Connection, now_ns: int) -> list[str]:
    """The offers that were asked for in time, go on, and have no answer."""
    open_ = (
        (_E.ends_ns > now_ns)
        & (_E.key != "")
        & (_E.answer == "")
        & (_E.refused == "")
        & (_E.sealed != "")
        & (_E.kind == CODE)
    )
    return list(connection.execute(select(_E.id).where(open_).order_by(_E.asked_ns)).scalars())


def sign(connection: Connection, authority: Authority, place: Place, offer_id: str, now_ns: int) -> Signed | None:
    """Answer one that waits, or write down why not. None for one that does not wait (any more): nothing was done."""
    row = connection.execute(select(enrolment).where(_E.id == offer_id)).first()
    if row is None or not row.key or row.answer or row.refused or not row.sealed or row.ends_ns <= now_ns:
        return None
    try:
        return _sign(connection, authority, place, row, now_ns)
    except RefusedError as error:
        connection.execute(update(enrolment).where(_E.id == row.id).values(refused=str(error)))
        detail = {"gateway": row.gateway_id, "offer": row.id, "why": str(error)}
        journal.append(connection, "enrolment-refused", now_ns, detail, actor=ACTOR)
        return Signed(row.gateway_id, refused=str(error))


def _sign(connection: Connection, authority: Authority, place: Place, row: Row[Any], now_ns: int) -> Signed:
    secret = opened(authority, row)
    if secret is None or not proves(row.verifier, row.id, row.request, row.proof):
        raise RefusedError("this offer was changed, or made with another issuing key; ask for a new code")
    key = requested_key(row.request.encode(), row.gateway_id)
    if key_digest(key) != row.key:
        raise RefusedError("the request was changed at the center; ask for a new code")
    revoked = 0
    if row.again:
        revoked = revoke(connection, row.gateway_id, "another machine took its place", now_ns, ACTOR)
    elif has_certificates(connection, row.gateway_id, now_ns):
        raise RefusedError(f"{row.gateway_id} got certificates on another way meanwhile; ask for a code with --again")
    kit = make_kit(connection, authority, place, row.gateway_id, key, now_ns)
    answer = seal(secret, Kind.ANSWER, row.id, encode_kit(kit), row.key)
    values = {"answer": base64.b64encode(answer).decode(), "answered_ns": now_ns}
    connection.execute(update(enrolment).where(_E.id == row.id).values(**values))
    detail = {"gateway": row.gateway_id, "offer": row.id, "key": row.key, "revoked": revoked}
    journal.append(connection, "enrolment-answered", now_ns, detail, actor=ACTOR)
    return Signed(row.gateway_id, has_revoked=revoked > 0)


def make_bundle(
    connection: Connection,
    authority: Authority,
    place: Place,
    keys: Keys,
    gateway_id: str,
    now_ns: int,
    *,
    hours: float,
    again: bool,
    actor: str,
) -> tuple[Made, bytes]:
    """An offer and the sealed file for it, with a key that is good until the gateway has replaced it."""
    made = offer(connection, authority, keys, gateway_id, now_ns, hours=hours, again=again, actor=actor, kind=BUNDLE)
    key = ec.generate_private_key(ec.SECP256R1())
    kit = make_kit(connection, authority, place, gateway_id, key.public_key(), now_ns, key, made.ends_ns)
    values = {"key": key_digest(key.public_key()), "answered_ns": now_ns}
    connection.execute(update(enrolment).where(_E.id == keys.offer).values(**values))
    return made, seal(keys.key(Kind.BUNDLE), Kind.BUNDLE, keys.offer, encode_kit(kit))


def make_kit(
    connection: Connection,
    authority: Authority,
    place: Place,
    gateway_id: str,
    public: ec.EllipticCurvePublicKey,
    now_ns: int,
    key: ec.EllipticCurvePrivateKey | None = None,
    until_ns: int = 0,
) -> Kit:
    """Certificates, freshly issued, and what else makes a machine this gateway."""
    first, second = (each.pem.decode() for each in issue(connection, authority, gateway_id, public, now_ns, ACTOR))
    return Kit(
        gateway=gateway_id,
        host=place.host,
        port=place.port,
        first=first,
        second=second,
        root=place.root,
        devices=devices_of(connection, gateway_id),
        key="" if key is None else key_pem(key).decode(),
        until_ns=until_ns,
    )


def devices_of(connection: Connection, gateway_id: str) -> tuple[KitDevice, ...]:
    """What the gateway would be told by command. An entry that cannot be carried is left out: its press raises."""
    found = []
    for entry in device_list(connection, gateway_id)[:MAX_DEVICES]:
        with suppress(msgspec.ValidationError):
            found.append(msgspec.convert(entry, KitDevice))
    return tuple(found)


def taken(connection: Connection, gateway_id: str, key: str, now_ns: int) -> int:
    """A gateway uses a certificate of this key for the first time. How many certificates are revoked by that.

    In a transaction. A bundle's own key ends what was before it; its replacement ends the bundle's.
    """
    latest = select(enrolment).where(_E.gateway_id == gateway_id, _E.answered_ns.is_not(None))
    row = connection.execute(latest.order_by(_E.made_ns.desc(), _E.withdrawn_ns.is_not(None)).limit(1)).first()
    if row is None or row.replaced_ns is not None:
        return 0
    if key != row.key and (row.kind == CODE or row.taken_ns is None):
        return 0  # an ordinary renewal
    others, reason = 0, ""
    if key == row.key:
        connection.execute(update(enrolment).where(_E.id == row.id, _E.taken_ns.is_(None)).values(taken_ns=now_ns))
        reason = "another machine took its place" if row.kind == BUNDLE and row.again else ""
    else:
        connection.execute(update(enrolment).where(_E.id == row.id).values(replaced_ns=now_ns))
        reason = "the key of a bundle, which was replaced"
    if reason:
        others = revoke(connection, gateway_id, reason, now_ns, ACTOR, only=certificate.c.key != key)
    detail = {"gateway": gateway_id, "offer": row.id, "revoked": others}
    journal.append(connection, "enrolment-taken", now_ns, detail, actor=ACTOR)
    return others
