"""What came from a device, when, and on whose behalf it is to be acknowledged: on its way to the outbox."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from hearthline.clock import Stamp
from hearthline_edge.devices import GroupingRule, Item, Press, Readings, Seen, Vital


@dataclass(frozen=True, slots=True)
class MqttTicket:
    """A message of the local broker that waits for its PUBACK. `digest` over topic and payload.

    `again`: marked as told again (DUP). `source`: of the arrival that the ticket goes with.
    """

    mid: int
    digest: bytes
    connection: str
    again: bool
    source: str = ""

    @classmethod
    def of(cls, mid: int, topic: str, payload: bytes, connection: str, again: bool = False) -> MqttTicket:
        return cls(mid, hashlib.sha256(topic.encode() + b"\0" + payload).digest(), connection, again)


@dataclass(frozen=True, slots=True)
class Source:
    """Where arrivals come from: the port's or the driver's name, its driver, and its rule of one press."""

    name: str
    driver: str
    grouping: GroupingRule


@dataclass(frozen=True, slots=True)
class Arrival:
    """Items that one read or one message gave, with the moment they came.

    `ticket` None: nobody keeps them for us (a serial line, a message of QoS 0). `source` None: the intake's own.
    """

    items: tuple[Item, ...]
    now: Stamp
    ticket: MqttTicket | None = None
    source: Source | None = None

    def events(self) -> Arrival:
        """Without what is for the other lane."""
        return replace(self, items=tuple(item for item in self.items if not isinstance(item, Readings | Seen)))

    def readings(self) -> Arrival:
        """What is for the telemetry lane; of a device that said nothing new, that it was heard."""
        return replace(self, items=tuple(item for item in self.items if isinstance(item, Readings | Seen)))


RoleOf = Callable[[str, str], str]  # (device, button) -> emergency | service | ignore
MarkOf = Callable[[Press | Vital, Stamp, int], str | None]  # (what is new, when, its ordinal) -> the run that asked


def unmarked(item: Press | Vital, now: Stamp, ordinal: int) -> None:
    """Nobody has asked for it: somebody needs help."""


Overheard = Callable[[Source, Arrival], None]
