"""What a resident has agreed to, who agreed, on which document, and since when it is withdrawn.

| kind | what is agreed to | once withdrawn |
|---|---|---|
| alarm | alarms are taken and answered | shown to staff; no alarm is ever refused: the devices have to be fetched |
| vitals | vital signs are kept and shown | new values are not stored, those that are stored are not shown |
| family | contacts are told of an alarm and asked after it | no contact is told: everyone on duty instead |
| activity | movements and doors are kept | shown to staff; the sensors have to be fetched |

A kind that nobody has recorded anything about goes on as before: it is withdrawal that stops something.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, exists, insert, select, update

from hearthline.errors import RefusedError
from hearthline_cloud import journal
from hearthline_cloud.personal.vault import sealed
from hearthline_cloud.schema import consent, resident

MAX_DOCUMENT = 200
MAX_GUARDIAN = 100
AGREED, WITHDRAWN = "consent-agreed", "consent-withdrawn"  # kinds of the journal's entries


class Kind(StrEnum):
    ALARM = "alarm"
    VITALS = "vitals"
    FAMILY = "family"
    ACTIVITY = "activity"


class By(StrEnum):
    RESIDENT = "resident"
    GUARDIAN = "guardian"


def is_stopped(kind: Kind, whose: Any) -> ColumnElement[bool]:
    """Whether the resident with this id has withdrawn the kind, and not agreed anew."""
    of = (consent.c.resident_id == whose) & (consent.c.kind == kind)
    return exists().where(of) & ~exists().where(of, consent.c.withdrawn_ns.is_(None))


def has_stopped(connection: Connection, kind: Kind, whose: str) -> bool:
    return bool(connection.execute(select(is_stopped(kind, whose))).scalar())


def agree(
    connection: Connection, who: str, kind: Kind, by: By, guardian: str, document: str, actor: str, now_ns: int
) -> int:
    """Write down an agreement; its number. `guardian`: the name, for one who agrees in the resident's place.

    Raises RefusedError.
    """
    _check_resident(connection, who)
    document, guardian = document.strip(), guardian.strip()
    if not 1 <= len(document) <= MAX_DOCUMENT:
        raise RefusedError(f"say which document and version was signed, in 1 to {MAX_DOCUMENT} characters")
    if (by is By.GUARDIAN) != bool(guardian):
        raise RefusedError("a guardian who agrees has a name; a resident who agrees needs none")
    if _standing(connection, who, kind):
        raise RefusedError(f"{kind} is agreed to already; withdraw it first where another document takes its place")
    values: dict[str, Any] = {"resident_id": who, "kind": kind, "agreed_by": by, "document": document}
    values |= {"agreed_ns": now_ns, "recorded_by": actor}
    number: int = connection.execute(insert(consent).values(**values).returning(consent.c.id)).scalar_one()
    if guardian:
        ready = sealed(connection, consent, {"id": number, "resident_id": who, "guardian": guardian})
        connection.execute(update(consent).where(consent.c.id == number).values(guardian=ready["guardian"]))
    detail = {"resident": who, "consent": number, "kind": kind.value, "by": by.value, "document": document}
    journal.append(connection, AGREED, now_ns, detail, actor=actor)
    return number


def withdraw(connection: Connection, who: str, kind: Kind, actor: str, now_ns: int) -> int:
    """It is withdrawn now; its number. Also what nobody had recorded can be withdrawn. Raises RefusedError."""
    _check_resident(connection, who)
    standing = _standing(connection, who, kind)
    if standing:
        number: int = standing[0].id
        values = {"withdrawn_ns": now_ns, "withdrawn_by": actor}
        connection.execute(update(consent).where(consent.c.id == number).values(**values))
    elif has_stopped(connection, kind, who):
        raise RefusedError(f"{kind} is withdrawn already")
    else:
        row: dict[str, Any] = {
            "resident_id": who,
            "kind": kind,
            "agreed_by": By.RESIDENT,
            "document": "",
            "recorded_by": actor,
        }
        row |= {"agreed_ns": now_ns, "withdrawn_ns": now_ns, "withdrawn_by": actor}
        number = connection.execute(insert(consent).values(**row).returning(consent.c.id)).scalar_one()
    detail = {"resident": who, "consent": number, "kind": kind.value}
    journal.append(connection, WITHDRAWN, now_ns, detail, actor=actor)
    return number


def list_consents(connection: Connection, who: str) -> list[Row[Any]]:
    """All that was ever agreed, the oldest first."""
    return list(connection.execute(select(consent).where(consent.c.resident_id == who).order_by(consent.c.id)))


def _standing(connection: Connection, who: str, kind: Kind) -> list[Row[Any]]:
    of = (consent.c.resident_id == who) & (consent.c.kind == kind) & consent.c.withdrawn_ns.is_(None)
    return list(connection.execute(select(consent.c.id).where(of)))


def _check_resident(connection: Connection, who: str) -> None:
    if connection.execute(select(resident.c.id).where(resident.c.id == who)).first() is None:
        raise RefusedError(f"there is no resident {who!r}")
