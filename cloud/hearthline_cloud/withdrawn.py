"""What was taken from somebody for good stays taken, also when the center comes back from an older backup.

A backup of the morning does not know that a gateway was stolen at noon and that an account was closed in the afternoon.
So each revocation and each closed account is written, after its commit, as a line of JSON at the end of a file beside
the database (`withdrawn_file`: better on another disk), and a restored center is told of it before it starts.

    {"at_ns": …, "what": "gateway", "name": "gw-1", "certificates": [{"serial": …, "session": …, "ends_ns": …}]}
    {"at_ns": …, "what": "staff", "name": "mei", "closed": true}

It names gateways, certificates and accounts; no secret and no resident.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy import Connection, insert, select, update

from hearthline.errors import ConfigError
from hearthline.log import Log
from hearthline_cloud import journal
from hearthline_cloud.database import Database
from hearthline_cloud.identity import certificates
from hearthline_cloud.people import People
from hearthline_cloud.schema import certificate, gateway, staff

REASON = "withdrawn before the restore"
_ACTOR = "restore"
log = Log(__name__)


class Certificate(msgspec.Struct, frozen=True):
    """One that must never get in again, also where the backup does not know it."""

    serial: str
    session: str
    ends_ns: int


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """`closed`: of an account, whether it was closed or opened again."""

    at_ns: int
    what: str
    name: str
    certificates: tuple[Certificate, ...] = ()
    closed: bool = True


@dataclass(frozen=True, slots=True)
class Applied:
    """Names of what was withdrawn again."""

    gateways: list[str]
    staff: list[str]


def revoked(connection: Connection, name: str, now_ns: int) -> Line:
    """The line of a gateway that has just been revoked."""
    own = (certificate.c.gateway_id == name) & certificate.c.revoked_ns.is_not(None) & (certificate.c.ends_ns > now_ns)
    rows = connection.execute(select(certificate.c.serial, certificate.c.session, certificate.c.ends_ns).where(own))
    return Line(now_ns, "gateway", name, tuple(Certificate(*row) for row in rows))


def note(path: Path, line: Line) -> None:
    """Append it, on the disk when this returns. Raises ConfigError when the file cannot be written."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(handle).st_size
            is_torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"  # by a power cut: it spoils itself alone
            os.write(handle, b"\n" * is_torn + msgspec.json.encode(line) + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise ConfigError(
            f"withdrawn_file {path}: cannot be written: {error.strerror}. It was done all the same; a restore from a "
            "backup of before would undo it"
        ) from None


def note_or_tell(path: Path, line: Line) -> None:
    """For a loop, which goes on: what cannot be written is told in the log."""
    try:
        note(path, line)
    except ConfigError as error:
        log.error("a withdrawal was not noted", gateway=line.name, error=str(error))


def read(path: Path) -> list[Line]:
    """A last line that a power cut has torn says nothing. Raises ConfigError for any other that cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    *whole, _torn = content.split(b"\n")
    lines = []
    for number, text in enumerate(whole, 1):
        try:
            lines.append(msgspec.json.decode(text, type=Line))
        except msgspec.DecodeError as error:
            raise ConfigError(f"{path}:{number}: is no line of withdrawals: {error}; nothing was changed") from None
    return lines


def withdraw_again(database: Database, people: People, lines: list[Line], now_ns: int) -> Applied:
    """Bring the database to what the lines say; as often as one likes."""
    with database.transaction() as connection:
        gateways = sorted({line.name for line in lines if line.what == "gateway" and _revoke(connection, line, now_ns)})
    closed = {line.name: line.closed for line in lines if line.what == "staff"}  # the last one holds
    with database.reading() as connection:
        rows = connection.execute(select(staff.c.name).where(staff.c.name.in_(closed), ~staff.c.disabled))
        names = sorted(name for name in rows.scalars() if closed[name])
    for name in names:
        people.accounts.set_disabled(name, True, now_ns, _ACTOR)
    return Applied(gateways, names)


def _revoke(connection: Connection, line: Line, now_ns: int) -> bool:
    """The certificates of the line, known or not. A gateway that got new ones since keeps those."""
    if connection.execute(select(gateway.c.id).where(gateway.c.id == line.name)).first() is None:
        connection.execute(insert(gateway).values(id=line.name))
    changed = []
    for each in line.certificates:
        row = connection.execute(select(certificate.c.revoked_ns).where(certificate.c.serial == each.serial)).first()
        if row is not None and row.revoked_ns is not None:
            continue
        fate = {"revoked_ns": line.at_ns, "reason": REASON}
        if row is None:
            known = {"serial": each.serial, "gateway_id": line.name, "session": each.session, "ends_ns": each.ends_ns}
            connection.execute(insert(certificate).values(**known, **fate, issued_ns=line.at_ns))
        else:
            connection.execute(update(certificate).where(certificate.c.serial == each.serial).values(**fate))
        changed.append(each.serial)
    if changed:
        detail = {"gateway": line.name, "serials": changed, "reason": REASON}
        journal.append(connection, certificates.REVOKED, now_ns, detail, actor=_ACTOR)
    return bool(changed)
