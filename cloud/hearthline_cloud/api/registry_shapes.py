"""What is sent to change the registry: of a new entry what it needs, of a change only what is given; null clears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, StringConstraints, with_config
from typing_extensions import TypedDict  # as pydantic needs it before Python 3.12

from hearthline_cloud.registry.cleaning import FIRST_YEAR, MAX_USER

Key = Annotated[str, StringConstraints(min_length=1, max_length=64)]
DeviceKey = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Short = Annotated[str, StringConstraints(max_length=200)]
Address = Annotated[str, StringConstraints(max_length=400)]
Long = Annotated[str, StringConstraints(max_length=2000)]
Phone = Annotated[str, StringConstraints(max_length=40)]
Word = Annotated[str, StringConstraints(max_length=64)]
Year = Annotated[int, Field(ge=FIRST_YEAR, le=2100)]
User = Annotated[int, Field(ge=0, le=MAX_USER)]
_exact = with_config(ConfigDict(extra="forbid"))


@_exact
class NewCommunity(TypedDict):
    id: Key
    name: Name


@_exact
class CommunityChange(TypedDict):
    name: Name


@_exact
class NewHome(TypedDict):
    id: Key
    community: Key
    name: Name
    address: NotRequired[Address]


@_exact
class HomeChange(TypedDict, total=False):
    community: Key
    name: Name
    address: Address | None


class _Person(TypedDict, total=False):
    birth_year: Year | None
    phone: Phone | None
    illnesses: Long | None
    notes: Long | None


@_exact
class NewResident(_Person):
    id: Key
    home: Key
    name: Name


@_exact
class ResidentChange(_Person, total=False):
    home: Key
    name: Name


@_exact
class NewContact(TypedDict):
    name: Name
    relation: NotRequired[Word]
    phone: NotRequired[Phone]


@_exact
class ContactChange(TypedDict, total=False):
    name: Name
    relation: Word
    phone: Phone


@_exact
class NewGateway(TypedDict):
    id: Key
    home: Key


@_exact
class GatewayChange(TypedDict):
    home: Key


class _Device(TypedDict, total=False):
    name: Short
    room: Short
    resident: Key | None
    user: User | None
    kind: Word
    supervise: Annotated[str | None, Field(max_length=16, description="12h, off; null: as its kind has it")]


@_exact
class NewDevice(_Device):
    id: DeviceKey


@_exact
class DeviceChange(_Device):
    pass


@dataclass(frozen=True, slots=True)
class Community:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Changed:
    """`did`: added, changed, removed, erased."""

    kind: str
    id: str
    did: str


@dataclass(frozen=True, slots=True)
class Counts:
    new: int
    changed: int
    same: int


@dataclass(frozen=True, slots=True)
class ImportProblem:
    """`row` as a spreadsheet numbers it; null: of the whole file or sheet. `column` as it is headed there."""

    sheet: str
    row: int | None
    column: str
    field: str
    code: str
    message: str
    message_zh: str


@dataclass(frozen=True, slots=True)
class Imported:
    """`written`: false of a dry run. `counts`: by kind."""

    written: bool
    counts: dict[str, Counts]
    problems: list[ImportProblem]


def import_problem(row: dict[str, Any]) -> ImportProblem:
    return ImportProblem(**{name: value for name, value in row.items() if name != "file"})
