"""The registry file: communities, homes, residents, gateways, devices, volunteers; TOML, loaded as often as one likes.

What the file names is inserted or brought up to date; what it does not name is left alone. Everything or nothing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection, Table, delete, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError

from hearthline.config import Config, load_config
from hearthline.errors import ConfigError
from hearthline.wire import is_gateway_id
from hearthline_cloud import schema
from hearthline_cloud.alerts.notes import PORT
from hearthline_cloud.alerts.profiles import DAY_S, HOUR_S, MAX_PERIOD_S, MIN_PERIOD_S, PROFILES, kind_of
from hearthline_cloud.database import Database
from hearthline_cloud.personal.vault import sealed

_PERIOD = re.compile(r"(\d{1,6})(min|h|d)")
_UNITS_S = {"min": 60, "h": HOUR_S, "d": DAY_S}


class ContactEntry(Config, frozen=True):
    name: str
    relation: str = ""
    phone: str = ""


class CommunityEntry(Config, frozen=True):
    id: str
    name: str


class HomeEntry(Config, frozen=True):
    id: str
    community_id: str = msgspec.field(name="community")
    name: str
    address: str = ""


class ResidentEntry(Config, frozen=True):
    """`id` is a pseudonym: it stands on the wire and in the store, so it must not be a name."""

    id: str
    home_id: str = msgspec.field(name="home")
    name: str
    birth_year: Annotated[int, msgspec.Meta(ge=1850, le=2100)] | None = None
    phone: str = ""
    illnesses: str = ""
    notes: str = ""
    contacts: list[ContactEntry] = []


class GatewayEntry(Config, frozen=True):
    id: str
    home_id: str = msgspec.field(name="home")


class DeviceEntry(Config, frozen=True):
    """`id` as the gateway names it, e.g. enocean:002EE196; `user`: which user of a shared cuff the resident is.

    `kind` of `alerts.profiles`, by default what the id tells; `supervise`: which silence is a fault ("12h"), or "off".
    """

    gateway_id: str = msgspec.field(name="gateway")
    id: str
    name: str = ""
    room: str = ""
    resident_id: str | None = msgspec.field(name="resident", default=None)
    user_number: int | None = msgspec.field(name="user", default=None)
    kind: str = ""
    supervise: str | None = None


class VolunteerEntry(Config, frozen=True):
    """`id` is a pseudonym: the journal names a volunteer by it. `phone` gets the work orders' links."""

    id: str
    community_id: str = msgspec.field(name="community")
    name: str
    phone: str


class PairingEntry(Config, frozen=True):
    """Who is asked to go to a home, one after the other; it takes the place of what was there for this home."""

    home: str
    volunteers: list[str]


class Registry(Config, frozen=True):
    community: list[CommunityEntry] = []
    home: list[HomeEntry] = []
    resident: list[ResidentEntry] = []
    gateway: list[GatewayEntry] = []
    device: list[DeviceEntry] = []
    volunteer: list[VolunteerEntry] = []
    pairing: list[PairingEntry] = []


def load_registry(database: Database, path: Path) -> dict[str, int]:
    """Load the file into the database; how many entries of each kind. Raises ConfigError, and then changed nothing."""
    registry = load_config(path, Registry)
    sections: list[tuple[Table, list[Any]]] = [
        (schema.community, registry.community),
        (schema.home, registry.home),
        (schema.resident, registry.resident),
        (schema.gateway, registry.gateway),
        (schema.device, registry.device),
        (schema.volunteer, registry.volunteer),
    ]
    for table, entries in sections:
        _check(path, table, entries)
    with database.transaction() as connection:
        for table, entries in sections:
            for entry in entries:
                try:
                    _put(connection, path, table, entry)
                except IntegrityError:
                    raise ConfigError(
                        f"{path}: {table.name} {entry.id!r} refers to a community, home, gateway or resident that is "
                        "neither in the file nor in the database; nothing was changed"
                    ) from None
                except (DataError, OverflowError):
                    raise ConfigError(
                        f"{path}: {table.name} {entry.id!r} holds a number that is too great or the character NUL; "
                        "nothing was changed"
                    ) from None
        for pairing in registry.pairing:
            _pair(connection, path, pairing)
    return {table.name: len(entries) for table, entries in sections} | {"pairing": len(registry.pairing)}


def _pair(connection: Connection, path: Path, entry: PairingEntry) -> None:
    """Put the home's volunteers in the place of those it had. Raises ConfigError."""
    if len(set(entry.volunteers)) < len(entry.volunteers):
        raise ConfigError(f"{path}: pairing of {entry.home!r}: a volunteer is there twice; nothing was changed")
    connection.execute(delete(schema.pairing).where(schema.pairing.c.home_id == entry.home))
    try:
        for place, volunteer in enumerate(entry.volunteers):
            values = {"home_id": entry.home, "place": place, "volunteer_id": volunteer}
            connection.execute(insert(schema.pairing).values(**values))
    except IntegrityError:
        raise ConfigError(
            f"{path}: pairing of {entry.home!r}: the home or a volunteer is neither in the file nor in the database; "
            "nothing was changed"
        ) from None


def _check(path: Path, table: Table, entries: list[Any]) -> None:
    """Raise ConfigError for an id that cannot be one, or that two entries have."""
    seen: set[tuple[Any, ...]] = set()
    longest = table.c.id.type.length or 0  # type: ignore[attr-defined]
    for entry in entries:
        if table is schema.gateway and not is_gateway_id(entry.id):
            raise ConfigError(f"{path}: gateway id {entry.id!r} must be 1 to 64 letters, digits, '.', '_' or '-'")
        if not 0 < len(entry.id) <= longest:
            raise ConfigError(f"{path}: {table.name} id {entry.id!r} must have 1 to {longest} characters")
        key = tuple(getattr(entry, column.name) for column in table.primary_key)
        if key in seen:
            raise ConfigError(f"{path}: {table.name} {entry.id!r} is there twice; nothing was changed")
        seen.add(key)
        if isinstance(entry, DeviceEntry):
            _supervise_s(path, entry)


def _supervise_s(path: Path, entry: DeviceEntry) -> int | None:
    """The device's own period in seconds; 0: off; None: its kind's. Raises ConfigError."""
    where = f"{path}: device {entry.id!r}"
    if entry.kind and (entry.kind not in PROFILES or entry.kind == PORT):
        kinds = ", ".join(kind for kind in PROFILES if kind != PORT)
        raise ConfigError(f"{where}: kind = {entry.kind!r}: there is no such kind; there are: {kinds}")
    if entry.supervise is None or entry.supervise == "off":
        return None if entry.supervise is None else 0
    profile = PROFILES.get(entry.kind or kind_of(entry.id))
    if profile is not None and not profile.can_be:
        raise ConfigError(
            f"{where}: supervise = {entry.supervise!r}: a {entry.kind or kind_of(entry.id)} speaks only when it is "
            "pressed, so its silence says nothing; leave the key out"
        )
    match = _PERIOD.fullmatch(entry.supervise)
    period_s = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not MIN_PERIOD_S <= period_s <= MAX_PERIOD_S:
        raise ConfigError(f"{where}: supervise = {entry.supervise!r}: write 5min to 31d, as in 12h, or off")
    return period_s


def _put(connection: Connection, path: Path, table: Table, entry: Config) -> None:
    values = {name: msgspec.to_builtins(getattr(entry, name)) for name in entry.__struct_fields__}
    if isinstance(entry, DeviceEntry):
        del values["supervise"]
        values |= {"registered": True, "kind": entry.kind or kind_of(entry.id)}
        values["supervise_s"] = _supervise_s(path, entry)
    where = [column == values[column.name] for column in table.primary_key]
    known = connection.execute(select(*table.primary_key).where(*where)).first()
    if table is schema.resident and _is_erased(connection, values["id"]):
        raise ConfigError(
            f"{path}: resident {values['id']!r} was erased: take the entry out of the file; who comes back gets "
            "another id. Nothing was changed."
        )
    ready = sealed(connection, table, values)
    if known is None:
        connection.execute(insert(table).values(**ready))
    else:
        connection.execute(update(table).where(*where).values(**ready))


def _is_erased(connection: Connection, resident: str) -> bool:
    gone = schema.erasure.c.resident_id
    return connection.execute(select(gone).where(gone == resident)).first() is not None
