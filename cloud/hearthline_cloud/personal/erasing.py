"""One resident leaves: everything personal goes in one transaction, the time series after it, the list at the end.

    1. database ...... the person's key, row, consents, vital values, queued messages and points; `erasure` says who
    2. time series ... of the person, and of the devices that were the person's; again until the store has done it
    3. list .......... data_dir/erased.json, for a restore of an older backup

Killed at any point, the same command goes on: what is left is derived from the table `erasure`. What stays is without a
person: cases, their times and figures, and notes that nobody can open. The journal's chain is not touched.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, insert, or_, select, update

from hearthline.errors import ConfigError, RefusedError
from hearthline.model import DEVICES, EventType
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import LATCHED, State
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.database import Database
from hearthline_cloud.identity.authority import write_secret
from hearthline_cloud.listing import make_list_due
from hearthline_cloud.personal.vault import destroy
from hearthline_cloud.store import Point
from hearthline_cloud.store.erasing import Series, erase_series

ERASED = "resident-erased"  # the kind of the journal's entry
LIST_FILE = "erased.json"  # in data_dir
_erasure, _alert, _event = schema.erasure, schema.alert, schema.event


def erase(database: Database, who: str, actor: str, now_ns: int) -> bool:
    """The first step; False when it was done before. Raises RefusedError, and then changed nothing."""
    with database.transaction() as connection:
        if connection.execute(select(_erasure.c.at_ns).where(_erasure.c.resident_id == who)).first() is not None:
            return False
        home = connection.execute(select(schema.resident.c.home_id).where(schema.resident.c.id == who)).scalar()
        if home is None:
            raise RefusedError(f"there is no resident {who!r}")
        _check_no_case(connection, who, home)
        remove_person(connection, who, actor, now_ns)
    return True


def remove_person(connection: Connection, who: str, actor: str, now_ns: int) -> None:
    """All that the database knows of a resident, also one who has a case that is open."""
    person = schema.resident
    home = connection.execute(select(person.c.home_id).where(person.c.id == who)).scalar()
    others = select(person.c.id).where(person.c.home_id == home, person.c.id != who)
    is_last = home is not None and connection.execute(others).first() is None
    series = _forget_devices(connection, who)
    cases = _forget_cases(connection, who, now_ns)
    _forget_points(connection, who, series)
    connection.execute(delete(schema.consent).where(schema.consent.c.resident_id == who))
    connection.execute(delete(person).where(person.c.id == who))
    destroy(connection, [f"resident:{who}", *([f"home:{home}"] if is_last else [])])
    told: list[dict[str, str]] = msgspec.to_builtins(series)
    connection.execute(insert(_erasure).values(resident_id=who, at_ns=now_ns, erased_by=actor, series=told))
    journal.append(connection, ERASED, now_ns, {"resident": who, "cases": cases}, actor=actor)


def finish(database: Database, store: StoreConfig, data_dir: Path, now_ns: int) -> int:
    """The other steps, for everybody for whom they are left; how many time series stores had to forget.

    Raises LinkError while the store cannot.
    """
    with database.reading() as connection:
        left = connection.execute(select(_erasure).where(_erasure.c.series_gone_ns.is_(None))).all()
    try:
        for row in left:
            erase_series(store, data_dir, [Series(**each) for each in row.series])
            done = (_erasure.c.resident_id == row.resident_id) & (_erasure.c.at_ns == row.at_ns)
            with database.transaction() as connection:
                connection.execute(update(_erasure).where(done).values(series_gone_ns=now_ns))
    finally:
        write_list(database, data_dir)
    return len(left)


def write_list(database: Database, data_dir: Path) -> None:
    """Who was erased, as pseudonyms. Raises ConfigError."""
    with database.reading() as connection:
        rows = connection.execute(select(_erasure).order_by(_erasure.c.at_ns)).all()
    listed = [{"resident": row.resident_id, "at_ns": row.at_ns, "by": row.erased_by} for row in rows]
    path = data_dir / LIST_FILE
    try:
        write_secret(path, (json.dumps(listed, indent=1) + "\n").encode())
    except OSError as error:
        raise ConfigError(f"{path}: the list of who was erased cannot be written: {error.strerror}") from None


def apply_list(database: Database, path: Path) -> list[str]:
    """Erase anew whom an older backup has brought back; who that was. Raises ConfigError for a list that is none."""
    try:
        listed = msgspec.json.decode(path.read_bytes(), type=list[_Listed])
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path}: this is no list of who was erased: {error}") from None
    back = []
    for each in listed:
        with database.transaction() as connection:
            known = select(_erasure.c.at_ns).where(_erasure.c.resident_id == each.resident)
            if connection.execute(known).first() is not None:
                continue
            is_back = select(schema.resident.c.id).where(schema.resident.c.id == each.resident)
            if connection.execute(is_back).first() is not None:
                back.append(each.resident)
            remove_person(connection, each.resident, each.by, each.at_ns)
    return back


class _Listed(msgspec.Struct):
    resident: str
    at_ns: int
    by: str


def _check_no_case(connection: Connection, who: str, home: str) -> None:
    """An open case of the person, or one of the home that may be about the person."""
    may_be = (_alert.c.home_id == home) & _alert.c.resident_id.is_(None) & _alert.c.kind.in_([*LATCHED])
    is_open = (_alert.c.state != State.RESOLVED) & or_(_alert.c.resident_id == who, may_be)
    found = connection.execute(select(_alert.c.id).where(is_open).order_by(_alert.c.id)).scalars().all()
    if found:
        numbers = ", ".join(str(number) for number in found)
        raise RefusedError(f"{who} has an open case ({numbers}): close it first; nothing was changed")


def _forget_devices(connection: Connection, who: str) -> list[Series]:
    """They belong to nobody from now on; the time series that go."""
    device = schema.device
    own = connection.execute(select(device.c.gateway_id, device.c.id).where(device.c.resident_id == who)).all()
    connection.execute(
        update(device).where(device.c.resident_id == who).values(resident_id=None, user_number=None, name="")
    )
    make_list_due(connection, {row.gateway_id for row in own})
    for row in own:
        _forget_names(connection, row.gateway_id, row.id)
    return [Series(resident=who), *(Series(gateway=row.gateway_id, device=row.id) for row in own)]


def _forget_names(connection: Connection, gateway: str, device: str) -> None:
    """Of a device, in what was bound in the home and in the lists that its gateway was sent."""
    bound = (_event.c.gateway_id == gateway) & (_event.c.type == EventType.BINDING)
    for row in connection.execute(select(_event.c.id, _event.c.data).where(bound)).all():
        if row.data.get("device") == device and row.data.get("name"):
            connection.execute(update(_event).where(_event.c.id == row.id).values(data=row.data | {"name": ""}))
    command = schema.command
    for row in connection.execute(select(command.c.id, command.c.body).where(command.c.gateway_id == gateway)).all():
        listed = row.body["devices"] if row.body.get("type") == DEVICES else []
        if any(each["id"] == device for each in listed):
            bare = [_nobodys(each) if each["id"] == device else each for each in listed]
            connection.execute(update(command).where(command.c.id == row.id).values(body=row.body | {"devices": bare}))


def _nobodys(listed: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in listed.items() if name not in ("name", "user")}


def _forget_cases(connection: Connection, who: str, now_ns: int) -> int:
    """Cases and events are nobody's; values, reports, messages and questions go. How many cases."""
    cases = connection.execute(select(_alert.c.id).where(_alert.c.resident_id == who)).scalars().all()
    note, question, order = schema.notification, schema.feedback, schema.work_order
    queued = note.c.alert_id.in_(cases) & (note.c.state == "queued")
    connection.execute(update(note).where(queued).values(state="dropped", done_ns=now_ns, result="erased"))
    unanswered = question.c.alert_id.in_(cases) & question.c.helped.is_(None)
    connection.execute(update(question).where(unanswered).values(expires_ns=now_ns))
    connection.execute(update(order).where(order.c.subject == f"resident:{who}").values(words=""))
    vital = (_event.c.resident_id == who) & (_event.c.type == EventType.VITAL)
    connection.execute(update(_event).where(vital).values(data={}))
    connection.execute(update(_event).where(_event.c.resident_id == who).values(resident_id=None))
    connection.execute(update(_alert).where(_alert.c.resident_id == who).values(resident_id=None))
    return len(cases)


def _forget_points(connection: Connection, who: str, series: Sequence[Series]) -> None:
    """What waits for the time-series store."""
    queue: Any = schema.store_queue
    devices = {(each.gateway, each.device) for each in series}
    last = connection.execute(select(func.max(queue.c.id))).scalar() or 0
    for row in connection.execute(select(queue).where(queue.c.id <= last)).all():
        point = msgspec.json.decode(row.point, type=Point)
        if point.resident == who or (point.gateway, point.device) in devices:
            connection.execute(delete(queue).where(queue.c.id == row.id))
