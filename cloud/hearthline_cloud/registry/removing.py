"""One entry of the registry taken away, in the caller's transaction; refused while something still refers to it.

Cases, events and the journal keep their ids. A gateway that has had certificates stays as one that nobody registered:
what was revoked is never forgotten. A resident goes by erasure (`personal.erasing`), and in no other way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select, update

from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import State
from hearthline_cloud.personal.vault import destroy
from hearthline_cloud.registry.checking import Contacts, Entry, Found
from hearthline_cloud.registry.editing import RegistryError, put_contacts
from hearthline_cloud.registry.reading import find
from hearthline_cloud.registry.shape import Key, Kind, Problem, problem
from hearthline_cloud.registry.writing import REMOVED, note
from hearthline_cloud.scoping import EVERY, Communities

_SOME = 5  # named in a message


@dataclass(frozen=True, slots=True)
class Along:
    """What may go with it: of a home its gateways, of a gateway its devices."""

    gateways: bool = False
    devices: bool = False


ALONE = Along()


def remove(
    connection: Connection,
    kind: Kind,
    key: Key,
    actor: str,
    now_ns: int,
    seen: Communities = EVERY,
    along: Along = ALONE,
) -> None:
    """Raises NotFoundError; RegistryError with everything that still refers to it, and then changed nothing.

    In a `Database.transaction()`. Not for residents and contacts.
    """
    find(connection, kind, key, seen)
    match kind:
        case Kind.COMMUNITY:
            _refuse(kind, _of_community(connection, key[0]))
            connection.execute(delete(schema.community).where(schema.community.c.id == key[0]))
        case Kind.HOME:
            _remove_home(connection, key[0], actor, now_ns, along)
        case Kind.GATEWAY:
            _remove_gateway(connection, key[0], actor, now_ns, along)
        case Kind.DEVICE:
            _remove_devices(connection, key[0], schema.device.c.id == key[1])
        case _:
            _refuse(kind, [problem("erase", "id", id=key[0])])
    note(connection, REMOVED, kind, ["/".join(key)], actor, now_ns)


def remove_contact(
    connection: Connection, resident: str, number: int, actor: str, now_ns: int, seen: Communities = EVERY
) -> None:
    """`number`: from 1, in the order in which they are told. Raises NotFoundError, RegistryError."""
    found: Contacts = find(connection, Kind.RESIDENT, (resident,), seen)["contacts"]
    if not 1 <= number <= len(found):
        _refuse(Kind.CONTACT, [problem("no-contact", "number", id=resident, count=len(found))])
    if _waits_for_contact(connection, resident):
        _refuse(Kind.CONTACT, [problem("still-messages", "number", id=resident)])
    put_contacts(connection, resident, found[: number - 1] + found[number:])
    note(connection, REMOVED, Kind.CONTACT, [resident], actor, now_ns)


def _refuse(kind: Kind, problems: list[Problem]) -> None:
    if problems:
        raise RegistryError([Found(Entry(kind, {}), each) for each in problems])


def _of_community(connection: Connection, community: str) -> list[Problem]:
    home, volunteer, staff = schema.home.c, schema.volunteer.c, schema.staff_community.c
    return [
        *_still(connection, "still-homes", community, home.id, home.community_id == community),
        *_still(connection, "still-volunteers", community, volunteer.id, volunteer.community_id == community),
        *_still(connection, "still-staff", community, staff.staff_name, staff.community_id == community),
    ]


def _remove_home(connection: Connection, home: str, actor: str, now_ns: int, along: Along) -> None:
    person, gateway, alert = schema.resident.c, schema.gateway.c, schema.alert.c
    open_case = (alert.home_id == home) & (alert.state != State.RESOLVED)
    problems = [
        *_still(connection, "still-residents", home, person.id, person.home_id == home),
        *_still(connection, "still-open", home, alert.id, open_case),
    ]
    if not along.gateways:
        problems += _still(connection, "still-gateways", home, gateway.id, gateway.home_id == home)
    _refuse(Kind.HOME, problems)
    for name in (
        connection.execute(select(gateway.id).where(gateway.home_id == home).order_by(gateway.id)).scalars().all()
    ):
        _remove_gateway(connection, name, actor, now_ns, Along(devices=True))
        note(connection, REMOVED, Kind.GATEWAY, [name], actor, now_ns)
    connection.execute(delete(schema.pairing).where(schema.pairing.c.home_id == home))
    connection.execute(delete(schema.home).where(schema.home.c.id == home))
    destroy(connection, [f"place:{home}"])


def _remove_gateway(connection: Connection, gateway: str, actor: str, now_ns: int, along: Along) -> None:
    device, alert, certificate = schema.device.c, schema.alert.c, schema.certificate.c
    own = (device.gateway_id == gateway) & device.registered
    open_case = (alert.gateway_id == gateway) & (alert.state != State.RESOLVED)
    is_valid = (certificate.gateway_id == gateway) & certificate.revoked_ns.is_(None) & (certificate.ends_ns > now_ns)
    problems = [
        *_still(connection, "still-open", gateway, alert.id, open_case),
        *_still(connection, "still-certified", gateway, certificate.serial, is_valid),
    ]
    if not along.devices:
        problems += _still(connection, "still-devices", gateway, device.id, own)
    _refuse(Kind.GATEWAY, problems)
    if gone := connection.execute(select(device.id).where(own).order_by(device.id)).scalars().all():
        note(connection, REMOVED, Kind.DEVICE, [f"{gateway}/{each}" for each in gone], actor, now_ns)
    _remove_devices(connection, gateway, device.gateway_id == gateway)
    connection.execute(delete(schema.enrolment).where(schema.enrolment.c.gateway_id == gateway))  # its codes end
    row = schema.gateway.c.id == gateway
    if _is_kept(connection, gateway):
        unheard = {"home_id": None, "state": "unknown", "last_seen_ns": None, "status": None, "watched_ns": None}
        connection.execute(update(schema.gateway).where(row).values(**unheard))
    else:
        connection.execute(delete(schema.gateway).where(row))


def _is_kept(connection: Connection, gateway: str) -> bool:
    """Whether anything but its devices refers to the row, e.g. its certificates."""
    for table in schema.metadata.sorted_tables:
        for column in table.columns:
            refers = any(key.column is schema.gateway.c.id for key in column.foreign_keys)
            if not refers or table is schema.device:
                continue
            if connection.execute(select(column).where(column == gateway).limit(1)).first() is not None:
                return True
    return False


def _remove_devices(connection: Connection, gateway: str, which: ColumnElement[bool]) -> None:
    connection.execute(delete(schema.device).where(schema.device.c.gateway_id == gateway, which))


def _waits_for_contact(connection: Connection, resident: str) -> bool:
    """A message names its contact by the place in the list: with another list it would go to somebody else."""
    message, alert = schema.notification, schema.alert
    home = select(schema.resident.c.home_id).where(schema.resident.c.id == resident).scalar_subquery()
    whose = (alert.c.resident_id == resident) | (alert.c.resident_id.is_(None) & (alert.c.home_id == home))
    waits = select(message.c.id).join(alert, alert.c.id == message.c.alert_id)
    waits = waits.where(message.c.state == "queued", message.c.contact >= 0, whose).limit(1)
    return connection.execute(waits).first() is not None


def _still(
    connection: Connection, code: str, name: str, column: ColumnElement[Any], condition: ColumnElement[bool]
) -> list[Problem]:
    found = connection.execute(select(column).where(condition).order_by(column)).scalars().all()
    if not found:
        return []
    some = ", ".join(str(each) for each in found[:_SOME]) + (", …" if len(found) > _SOME else "")
    return [problem(code, "id", id=name, count=len(found), some=some)]
