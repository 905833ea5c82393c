"""The registry file: communities, homes, residents, gateways, devices, volunteers; TOML, loaded as often as one likes.

What the file names is inserted or brought up to date; what it does not name is left alone. Everything or nothing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert
from sqlalchemy.exc import IntegrityError

from hearthline.config import Config, load_config
from hearthline.errors import ConfigError
from hearthline_cloud import schema
from hearthline_cloud.database import Database
from hearthline_cloud.registry.checking import Entry, Found, Place, Rules
from hearthline_cloud.registry.importing import bring_in
from hearthline_cloud.registry.shape import Kind
from hearthline_cloud.registry.texts import in_words

ACTOR = "registry file"


class ContactEntry(Config, frozen=True):
    name: str
    relation: str = ""
    phone: str = ""


class CommunityEntry(Config, frozen=True):
    id: str
    name: str


class HomeEntry(Config, frozen=True):
    id: str
    community: str
    name: str
    address: str = ""


class ResidentEntry(Config, frozen=True):
    """`id` is a pseudonym: it stands on the wire and in the store, so it must not be a name."""

    id: str
    home: str
    name: str
    birth_year: int | None = None
    phone: str = ""
    illnesses: str = ""
    notes: str = ""
    contacts: list[ContactEntry] = []


class GatewayEntry(Config, frozen=True):
    id: str
    home: str


class DeviceEntry(Config, frozen=True):
    """`id` as the gateway names it, e.g. enocean:002EE196; `user`: which user of a shared cuff the resident is.

    `kind` of `alerts.profiles`, by default what the id tells; `supervise`: which silence is a fault ("12h"), or "off".
    """

    gateway: str
    id: str
    name: str = ""
    room: str = ""
    resident: str | None = None
    user: int | None = None
    kind: str = ""
    supervise: str | None = None


class VolunteerEntry(Config, frozen=True):
    """`id` is a pseudonym: the journal names a volunteer by it. `phone` gets the work orders' links."""

    id: str
    community: str
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


def load_registry(database: Database, path: Path, actor: str = ACTOR) -> dict[str, int]:
    """Load the file into the database; how many entries of each kind. Raises ConfigError, and then changed nothing."""
    registry = load_config(path, Registry)
    sections: dict[str, list[Any]] = {
        name: getattr(registry, name) for name in registry.__struct_fields__ if name != "pairing"
    }
    entries = [
        Entry(Kind(name), msgspec.to_builtins(each), Place(str(path), name, number))
        for name, section in sections.items()
        for number, each in enumerate(section, 1)
    ]

    def pair(connection: Connection) -> None:
        for pairing in registry.pairing:
            _pair(connection, path, pairing)

    plan = bring_in(database, entries, Rules(update=True), actor, time.time_ns(), also=pair)
    if plan.problems:
        raise ConfigError("; ".join(_line(found) for found in plan.problems) + "; nothing was changed")
    return {name: len(section) for name, section in sections.items()} | {"pairing": len(registry.pairing)}


def _line(found: Found) -> str:
    entry, problem = found.entry, found.problem
    return f"{entry.where} ({entry.raw.get('id')!r}), {problem.field}: {in_words(problem)}"


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
