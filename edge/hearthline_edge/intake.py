"""From a driver's items to rows in the outbox: what becomes an event, what a reading, what is only counted.

The functions run inside the outbox's transaction; grouping and roles decide, this module writes down. One lane a
source (a serial port, an MQTT driver), so that a source that cannot be stored never holds up another.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hearthline.clock import Stamp
from hearthline.errors import StorageError
from hearthline.log import Log
from hearthline.model import VITAL_UNITS, EventType, Reading
from hearthline.wire import MAX_PACK_BYTES, senml_device
from hearthline_edge.custody import Custody
from hearthline_edge.devices import DeviceNote, GroupingRule, Item, Press, Readings, Refused, Release, Vital
from hearthline_edge.grouping import PressState, Verdict, chatter_report, judge, release
from hearthline_edge.outbox import EventRow, Outbox

RETRY_S = 1.0
_PACK_ROOM = MAX_PACK_BYTES - 512  # the envelope, and what the estimate of a record misses
log = Log(__name__)


@dataclass(frozen=True, slots=True)
class MqttTicket:
    """A message of the local broker that waits for its PUBACK. `digest` over topic and payload."""

    mid: int
    digest: bytes
    connection: str

    @classmethod
    def of(cls, mid: int, topic: str, payload: bytes, connection: str) -> MqttTicket:
        return cls(mid, hashlib.sha256(topic.encode() + b"\0" + payload).digest(), connection)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Items that one read or one message gave, with the moment they came. `ticket` None: from a serial line."""

    items: tuple[Item, ...]
    now: Stamp
    ticket: MqttTicket | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where arrivals come from: the port's or the driver's name, its driver, and its rule of one press."""

    name: str
    driver: str
    grouping: GroupingRule


RoleOf = Callable[[str, str], str]  # (device, button) -> emergency | service | ignore


def take_events(outbox: Outbox, source: Source, arrivals: Sequence[Arrival], role_of: RoleOf) -> list[EventRow]:
    """Write the presses, vital signs, notes and refusals of the arrivals; the events made, in order."""
    made: list[EventRow] = []
    for arrival in arrivals:
        has_press = any(isinstance(item, Press) for item in arrival.items)
        if has_press and arrival.ticket is not None:
            ticket = arrival.ticket
            if not outbox.take_mqtt(source.name, ticket.mid, ticket.digest, ticket.connection):
                continue
        for item in arrival.items:
            event = _take_item(outbox, source, item, arrival.now, role_of)
            if event is not None:
                made.append(event)
    return made


def _take_item(outbox: Outbox, source: Source, item: Item, now: Stamp, role_of: RoleOf) -> EventRow | None:
    match item:
        case Press():
            return _take_press(outbox, source, item, now, role_of)
        case Release():
            for device, button, body in outbox.press_states(item.device):
                state = release(msgspec.json.decode(body, type=PressState), now)
                outbox.set_press_state(device, button, msgspec.json.encode(state))
        case Vital():
            values = (("systolic", item.systolic), ("diastolic", item.diastolic), ("heart_rate", item.heart_rate))
            data: dict[str, Any] = {
                "values": [{"quantity": q, "value": v, "unit": VITAL_UNITS[q]} for q, v in values],
                "user": item.user,
                "device_time": item.device_time,
                "raw": item.raw,
                **_origin(source, item.facts),
            }
            return outbox.append_event(EventType.VITAL, item.device, data, now, urgent=False)
        case DeviceNote():
            data = {"kind": item.kind, "detail": item.detail, **_origin(source, ())}
            return outbox.append_event(EventType.DEVICE, item.device, data, now, urgent=False)
        case Refused():
            outbox.keep_aside(source.name, item.reason, item.raw.encode(), now)
        case _:
            pass  # readings go the other lane; a device that was only seen leaves nothing to keep
    return None


def _take_press(outbox: Outbox, source: Source, press: Press, now: Stamp, role_of: RoleOf) -> EventRow | None:
    role = role_of(press.device, press.button)
    if role == "ignore":
        return None
    body = outbox.press_state(press.device, press.button)
    before = msgspec.json.decode(body, type=PressState) if body else None
    verdict, after = judge(before, press, source.grouping, now)
    outbox.set_press_state(press.device, press.button, msgspec.json.encode(after))
    if verdict is not Verdict.NEW:
        return None
    data = {
        "role": role,
        "button": press.button,
        "ordinal": outbox.next_ordinal(press.device),
        "certainty": press.certainty,
        "raw": press.raw,
        **_origin(source, press.facts),
    }
    row = outbox.append_event(EventType.ALARM, press.device, data, now, urgent=True)
    outbox.remember_alarm(row)
    return row


def take_chatter(outbox: Outbox, now: Stamp) -> list[EventRow]:
    """An event with the committed count for each button whose minute of chattering is over."""
    made = []
    for device, button, body in outbox.press_states():
        report = chatter_report(msgspec.json.decode(body, type=PressState), now)
        if report is None:
            continue
        count, after = report
        outbox.set_press_state(device, button, msgspec.json.encode(after))
        if count:
            data = {"kind": "chatter", "detail": f"{button}: {count} further presses in a minute", "count": count}
            made.append(outbox.append_event(EventType.DEVICE, device, data, now, urgent=False))
    return made


def take_readings(outbox: Outbox, arrivals: Sequence[Arrival]) -> int:
    """Write the readings of the arrivals as few packs as the wire's bound allows; how many packs."""
    packs = 0
    base: Stamp | None = None
    pack: list[tuple[Reading, int]] = []
    room = _PACK_ROOM
    for arrival in arrivals:
        for item in arrival.items:
            for reading in item.readings if isinstance(item, Readings) else ():
                size = 110 + len(senml_device(reading.device)) + len(reading.quantity)
                same_clock = base is not None and base.boot == arrival.now.boot and base.synced == arrival.now.synced
                if base is None or size > room or not same_clock:
                    if base is not None:
                        outbox.append_pack(pack, base)
                        packs += 1
                    base, pack, room = arrival.now, [], _PACK_ROOM
                pack.append((reading, max(arrival.now.mono_ns - base.mono_ns, 0)))
                room -= size
    if base is not None:
        outbox.append_pack(pack, base)
        packs += 1
    return packs


def _origin(source: Source, facts: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    return {"receiver": source.name, "driver": source.driver, **dict(facts)}


@dataclass(slots=True)
class Intake:
    """One source's lane into custody: batches what has arrived, commits it, retries while the disk is full.

    `on_events`: the committed events. `on_unstored`: the stamps of presses that could not be committed (again with an
    empty list when they could at last). `on_taken`: tickets that may be acknowledged, in order of arrival.
    """

    source: Source
    custody: Custody
    role_of: RoleOf
    on_events: Callable[[list[EventRow]], None]
    on_packs: Callable[[int], None]
    on_unstored: Callable[[str, list[Stamp]], None]
    on_taken: Callable[[list[MqttTicket]], None]
    readings_lost: int = 0
    _waiting: list[Arrival] = field(default_factory=list)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, arrival: Arrival) -> None:
        self._waiting.append(arrival)
        self._wake.set()

    async def run(self) -> None:
        """Take until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            await self._take(batch)

    async def _take(self, batch: list[Arrival]) -> None:
        source, role_of = self.source, self.role_of
        events = [a for a in batch if any(not isinstance(item, Readings) for item in a.items)]
        readings = [a for a in batch if any(isinstance(item, Readings) for item in a.items)]
        storing_readings = self.custody.submit(lambda ob: take_readings(ob, readings)) if readings else None
        if events:
            await self._store_events(events, lambda ob: take_events(ob, source, events, role_of))
        if storing_readings is not None:
            await self._store_readings(readings, storing_readings)
        tickets = [arrival.ticket for arrival in batch if arrival.ticket is not None]
        if tickets:
            self.on_taken(tickets)

    async def _store_events(self, arrivals: list[Arrival], job: Callable[[Outbox], list[EventRow]]) -> None:
        presses = [a.now for a in arrivals if any(isinstance(item, Press) for item in a.items)]
        failed = False
        while True:
            try:
                self.on_events(await self.custody.submit(job, urgent=bool(presses)))
                break
            except StorageError as error:
                log.error("events not stored", source=self.source.name, presses=len(presses), error=str(error))
                failed = True
                self.on_unstored(self.source.name, presses)
                await asyncio.sleep(RETRY_S)
        if failed:
            self.on_unstored(self.source.name, [])

    async def _store_readings(self, arrivals: list[Arrival], storing: asyncio.Future[int]) -> None:
        while True:
            try:
                self.on_packs(await storing)
                return
            except StorageError as error:
                lasting = [a for a in arrivals if a.ticket is not None]  # their broker keeps them until acknowledged
                self.readings_lost += sum(
                    len(item.readings)
                    for a in arrivals
                    if a.ticket is None
                    for item in a.items
                    if isinstance(item, Readings)
                )
                log.error("readings not stored", source=self.source.name, kept=len(lasting), error=str(error))
                if not lasting:
                    return
                arrivals = lasting
                await asyncio.sleep(RETRY_S)
                storing = self._again(lasting)

    def _again(self, arrivals: list[Arrival]) -> asyncio.Future[int]:
        return self.custody.submit(lambda ob: take_readings(ob, arrivals))
