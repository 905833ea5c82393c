"""Rows of the outbox in the shapes they were written with; what comes back in another shape is damage.

SQLite has no checksum over a row: a worn card gives back a letter, a number or a whole page that is not what was
written. Whatever is read for the center or the home goes through here, so that it ends as damage, never as a bug.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from hearthline.clock import Stamp
from hearthline.model import Reading
from hearthline.wire import MAX_MONO_NS
from hearthline_edge.outbox_file import DamagedError

T = TypeVar("T")


class Fate(StrEnum):
    """What became of an event that was taken into custody."""

    WAITING = "waiting"
    RECEIVED = "received"
    REFUSED = "refused"


Flag = Literal[0, 1]
Count = Annotated[int, Meta(ge=0, lt=2**53)]
Seq = Annotated[int, Meta(gt=0, lt=2**63 - 1)]
Mono = Annotated[int, Meta(ge=0, lt=MAX_MONO_NS)]
Offset = Annotated[int, Meta(ge=-(2**62), lt=2**62)]


class StoredStamp(NamedTuple):
    wall_ns: int
    mono_ns: Mono
    boot: str
    synced: Flag

    def stamp(self) -> Stamp:
        return Stamp(self.wall_ns, self.mono_ns, self.boot, bool(self.synced))


class StoredEvent(NamedTuple):
    seq: Seq
    id: str
    type: str
    device: str
    urgent: Flag
    wall_ns: int
    mono_ns: Mono
    boot: str
    synced: Flag
    data: bytes


class StoredReceived(NamedTuple):
    place: Seq
    id: str
    type: str
    device: str
    wall_ns: int
    mono_ns: Mono
    boot: str
    synced: Flag
    data: bytes


class StoredSound(NamedTuple):
    id: str
    wall_ns: int
    mono_ns: Mono
    boot: str
    synced: Flag


class StoredPack(NamedTuple):
    seq: Seq
    wall_ns: int
    mono_ns: Mono
    boot: str
    synced: Flag
    readings: bytes


class StoredAlarm(NamedTuple):
    id: str
    device: str
    button: str
    ordinal: Count
    wall_ns: int


StoredReadings = Annotated[list[tuple[str, str, float, str, Offset]], Meta(min_length=1)]

_data_decoder = msgspec.json.Decoder(dict[str, Any])
_readings_decoder: msgspec.json.Decoder[list[tuple[str, str, float, str, int]]] = msgspec.json.Decoder(StoredReadings)


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event in custody. `data` is the CloudEvents data; `urgent` goes first."""

    seq: int
    id: str
    type: str
    device: str
    urgent: bool
    stamp: Stamp
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecentAlarm:
    """Whose press an alarm event was; `wall_ns` as the gateway stamped it."""

    id: str
    device: str
    button: str
    ordinal: int
    wall_ns: int


@dataclass(frozen=True, slots=True)
class PackRow:
    """One telemetry pack in custody."""

    seq: int
    stamp: Stamp
    readings: tuple[tuple[Reading, int], ...]


def shaped(rows: Iterable[Any], shape: type[T]) -> list[T]:
    """Rows as they must be. Raises DamagedError."""
    try:
        return msgspec.convert(list(rows), type=list[shape], builtin_types=[bytes])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        raise DamagedError(f"a row of another shape than it was written in: {error}") from None


def decoded(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The words of a column. Raises DamagedError."""
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError) as error:  # of msgspec's own errors, and of Unicode
        raise DamagedError(f"a column that cannot be decoded: {error}") from None


def event_row(row: StoredEvent) -> EventRow:
    seq, event_id, type_, device, urgent, wall, mono, boot, synced, data = row
    return EventRow(
        seq, event_id, type_, device, bool(urgent), Stamp(wall, mono, boot, bool(synced)), decoded(data, _data_decoder)
    )


def event_data(body: bytes) -> dict[str, Any]:
    """Raises DamagedError."""
    return decoded(body, _data_decoder)


def pack_row(row: StoredPack) -> PackRow:
    seq, wall, mono, boot, synced, body = row
    return PackRow(seq, Stamp(wall, mono, boot, bool(synced)), readings_of(body))


def readings_of(body: bytes) -> tuple[tuple[Reading, int], ...]:
    return tuple((Reading(d, q, v, u), offset) for d, q, v, u, offset in decoded(body, _readings_decoder))


def counters_of(connection: sqlite3.Connection) -> dict[str, int]:
    return dict(shaped(connection.execute("SELECT name, value FROM counter"), tuple[str, Count]))
