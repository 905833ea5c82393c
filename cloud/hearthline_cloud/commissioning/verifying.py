"""Whether a report of commissioning is what its gateway wrote: its shape, its bounds, its signature.

The signature (ECDSA with SHA-256, DER in hexadecimal) is over the canonical form of the report as it came, so that
fields of tomorrow are covered. It is checked with the keys of the certificates that this center has issued to this
gateway, those of revoked ones excepted. What cannot be verified is kept, and shown as unsigned.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, select

from hearthline.commissioning import MAX_REPORT_BYTES, Report, canonical, report_of
from hearthline_cloud.schema import certificate

_SIGNATURE = re.compile("[0-9A-Fa-f]{1,256}")  # one of P-256 has at most 144


class Standing(StrEnum):
    """Of a report that has come."""

    SIGNED = "signed"
    UNSIGNED = "unsigned"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a report is kept. `document`: as it came; None: it was none, or too long. `report`: None: unreadable."""

    standing: Standing
    document: dict[str, Any] | None
    report: Report | None = None
    signature: str = ""
    verified_by: str | None = None


def read_report(connection: Connection, gateway_id: str, run: str, data: dict[str, Any], begun_ns: int) -> Kept:
    """The report in an event's data: that of this run of this gateway, or an unsigned one."""
    document, signature = data.get("report"), data.get("signature")
    try:
        signed = canonical(document)
    except (ValueError, RecursionError):
        return Kept(Standing.UNREADABLE, None)
    if not isinstance(document, dict) or len(signed) > MAX_REPORT_BYTES:
        return Kept(Standing.UNREADABLE, None)
    try:
        report = report_of(document)
    except ValueError:
        return Kept(Standing.UNREADABLE, document)
    if not isinstance(signature, str) or not _SIGNATURE.fullmatch(signature):
        return Kept(Standing.UNSIGNED, document, report)
    is_of_this_run = report.gateway == gateway_id and report.runs[-1] == run
    serial = _signer(connection, gateway_id, signed, signature, begun_ns) if is_of_this_run else None
    standing = Standing.UNSIGNED if serial is None else Standing.SIGNED
    return Kept(standing, document, report, signature, serial)


def _signer(connection: Connection, gateway_id: str, signed: bytes, signature: str, begun_ns: int) -> str | None:
    """The serial of the certificate whose key has signed it; of several of one key the newest."""
    try:
        raw = bytes.fromhex(signature)
    except ValueError:
        return None
    usable = (
        (certificate.c.gateway_id == gateway_id)
        & certificate.c.revoked_ns.is_(None)
        & (certificate.c.ends_ns > begun_ns)
        & (certificate.c.pem != "")
    )
    query = select(certificate.c.serial, certificate.c.pem).where(usable)
    for row in connection.execute(query.order_by(certificate.c.issued_ns.desc(), certificate.c.serial)):
        key = x509.load_pem_x509_certificate(row.pem.encode()).public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            continue
        try:
            key.verify(raw, signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            continue
        serial: str = row.serial
        return serial
    return None
