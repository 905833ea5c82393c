"""From a driver's items to rows in the outbox: what becomes an event, what a reading, what is only counted.

    arrival --+--> EventIntake   presses, vital signs, notes, refusals; tried for ever, a press at once and by ballast
              +--> ReadingIntake readings; on a full disk lost and counted, or left with the local broker

Two lanes for each serial port and two for the local broker, so that neither a port nor a reading that cannot be stored
ever holds up a press. The functions run inside the outbox's transaction; grouping and roles decide, this module
writes down.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from hearthline.clock import Stamp
from hearthline.commissioning import MARK
from hearthline.errors import StorageError
from hearthline.log import Log
from hearthline.model import VITAL_UNITS, ButtonRole, Cause, EventType, Reading
from hearthline.wire import MAX_PACK_BYTES, senml_device
from hearthline_edge.cancelling import CANCEL, WINDOW_S, take_cancel
from hearthline_edge.custody import Custody
from hearthline_edge.devices import (
    HAZARDS,
    Change,
    DeviceNote,
    GroupingRule,
    Item,
    Press,
    Readings,
    Refused,
    Release,
    Seen,
    Vital,
)
from hearthline_edge.grouping import PressState, Verdict, asked_for, chatter_report, judge, release
from hearthline_edge.outbox import EventRow, Outbox
from hearthline_edge.signs import SignsOfLife
from hearthline_edge.ticks import next_tick

RETRY_S = 1.0
STALL_S = 3.0  # a commit that takes longer is told as one that failed, and still awaited
_MANY = 250  # readings that wait for no tick
MAX_WAITING = 1000  # arrivals; beyond it only what matters, and what the local broker keeps, is still taken
WINDOW = 10  # unacknowledged messages; brokers give 20 or more, then nothing until one is acknowledged
_PACK_ROOM = MAX_PACK_BYTES - 512  # the envelope, and what the estimate of a record misses
_RECORD_BYTES = 110  # of a SenML record, without its names
log = Log(__name__)


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


def take_events(
    outbox: Outbox,
    source: Source,
    arrivals: Sequence[Arrival],
    role_of: RoleOf,
    cancel_window_s: float = WINDOW_S,
    mark_of: MarkOf = unmarked,
) -> list[EventRow]:
    """Write the presses, vital signs, notes and refusals of the arrivals; the events made, in order."""
    made: list[EventRow] = []
    for arrival in arrivals:
        ticket, of = arrival.ticket, arrival.source or source
        makes_event = any(isinstance(item, Press | Vital | Change | DeviceNote) for item in arrival.items)
        if ticket is not None and makes_event and not _is_new(outbox, of, ticket):
            continue
        for item in arrival.items:
            event = _take_item(outbox, of, item, arrival.now, role_of, cancel_window_s, mark_of)
            if event is not None:
                made.append(event)
    return made


def _is_new(outbox: Outbox, source: Source, ticket: MqttTicket) -> bool:
    return outbox.take_mqtt(source.name, ticket.mid, ticket.digest, ticket.connection, ticket.again)


def _take_item(
    outbox: Outbox, source: Source, item: Item, now: Stamp, role_of: RoleOf, cancel_window_s: float, mark_of: MarkOf
) -> EventRow | None:
    match item:
        case Press():
            return _take_press(outbox, source, item, now, role_of, cancel_window_s, mark_of)
        case Release():
            for device, button, body in outbox.press_states(item.device):
                state = _known(outbox, device, button, body)
                if state is not None and item.button in ("", button):
                    outbox.set_press_state(device, button, msgspec.json.encode(release(state, now)))
        case Vital():
            data: dict[str, Any] = {
                "values": [{"quantity": q, "value": v, "unit": VITAL_UNITS[q]} for q, v in item.values],
                "user": item.user,
                "device_time": item.device_time,
                "raw": item.raw,
                **_origin(source, item.facts),
                **({} if (run := mark_of(item, now, 0)) is None else {MARK: run}),
            }
            return outbox.append_event(EventType.VITAL, item.device, data, now, urgent=False)
        case Change():
            data = {"kind": item.kind, "raw": item.raw, **_origin(source, ())}
            return outbox.append_event(EventType.ACTIVITY, item.device, data, now, urgent=False)
        case DeviceNote():
            data = {"kind": item.kind, "detail": item.detail, **_origin(source, ())}
            return outbox.append_event(EventType.DEVICE, item.device, data, now, urgent=False)
        case Refused():
            outbox.keep_aside(source.name, item.reason, item.raw.encode(), now)
        case _:
            pass  # readings go the other lane
    return None


def _take_press(
    outbox: Outbox,
    source: Source,
    press: Press,
    now: Stamp,
    role_of: RoleOf,
    cancel_window_s: float,
    mark_of: MarkOf,
) -> EventRow | None:
    role = role_of(press.device, press.button)
    if role == CANCEL and press.button in HAZARDS:
        role = ButtonRole.EMERGENCY.value
    if role == "ignore":
        return None
    telegram = hashlib.sha256(press.raw.encode()).digest()
    kept = outbox.press_state(press.device, press.button)
    if press.certainty == "possible" and kept is not None and kept[1] == telegram:
        return None  # the retained copy of a press that was taken live
    before = _known(outbox, press.device, press.button, kept[0]) if kept else None
    verdict, after = judge(before, press, source.grouping, now)
    outbox.set_press_state(press.device, press.button, msgspec.json.encode(after), telegram)
    if verdict is not Verdict.NEW:
        return None
    if role == CANCEL:
        facts = {"button": press.button, "raw": press.raw, **_origin(source, press.facts)}
        is_live = press.certainty == "certain"
        return take_cancel(outbox, role_of, press.device, cancel_window_s, now, facts) if is_live else None
    ordinal = outbox.next_ordinal(press.device)
    data = {
        "role": role,
        "button": press.button,
        "ordinal": ordinal,
        "certainty": press.certainty,
        "cause": press.button if press.button in HAZARDS else Cause.PRESS.value,
        "raw": press.raw,
        **_origin(source, press.facts),
    }
    data.pop(MARK, None)  # whatever a device tells of itself
    if (run := mark_of(press, now, ordinal)) is not None:
        data[MARK] = run
        outbox.set_press_state(press.device, press.button, msgspec.json.encode(asked_for(after)), telegram)
    sounds = role == ButtonRole.EMERGENCY
    row = outbox.append_event(EventType.ALARM, press.device, data, now, urgent=True, sounds=sounds)
    outbox.remember_alarm(row)
    return row


def _known(outbox: Outbox, device: str, button: str, body: bytes) -> PressState | None:
    """A press's state, or None when it was garbled on the card or written by another version: then it is dropped."""
    try:
        return msgspec.json.decode(body, type=PressState)
    except (ValueError, TypeError, RecursionError) as error:
        log.error("press state not understood, the next telegram is a new press", device=device, error=str(error))
        outbox.drop_press_state(device, button)
        return None


def take_chatter(outbox: Outbox, now: Stamp) -> list[EventRow]:
    """An event with the committed count for each button whose minute of chattering is over."""
    made = []
    for device, button, body in outbox.press_states():
        state = _known(outbox, device, button, body)
        report = chatter_report(state, now) if state is not None else None
        if report is None:
            continue
        count, after = report
        outbox.set_press_state(device, button, msgspec.json.encode(after))
        if count:
            data = {"kind": "chatter", "detail": f"{button}: {count} further presses in a minute", "count": count}
            made.append(outbox.append_event(EventType.DEVICE, device, data, now, urgent=False))
    return made


def take_readings(outbox: Outbox, source: Source, arrivals: Sequence[Arrival]) -> int:
    """Write the readings of the arrivals as few packs as the wire's bound allows; how many packs.

    What the wire cannot carry (a name beyond the bound of a pack, a value that is no number) is kept aside.
    """
    packs = 0
    base: Stamp | None = None
    pack: list[tuple[Reading, int]] = []
    room = 0
    for reading, now, of in _readings_of(arrivals):
        size = _RECORD_BYTES + len(senml_device(reading.device)) + len(reading.quantity)
        if size > _PACK_ROOM or not math.isfinite(reading.value):
            outbox.keep_aside((of or source).name, "sanity", repr(reading).encode("utf-8", "replace"), now)
            continue
        same_clock = base is not None and base.boot == now.boot and base.synced == now.synced
        if base is None or size > room or not same_clock:
            if base is not None:
                outbox.append_pack(pack, base)
                packs += 1
            base, pack, room = now, [], _PACK_ROOM
        pack.append((reading, max(now.mono_ns - base.mono_ns, 0)))
        room -= size
    if base is not None:
        outbox.append_pack(pack, base)
        packs += 1
    return packs


def _readings_of(arrivals: Sequence[Arrival]) -> list[tuple[Reading, Stamp, Source | None]]:
    return [
        (reading, arrival.now, arrival.source)
        for arrival in arrivals
        for item in arrival.items
        if isinstance(item, Readings)
        for reading in item.readings
    ]


def _origin(source: Source, facts: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    return {"receiver": source.name, "driver": source.driver, **dict(facts)}


@dataclass(slots=True)
class EventIntake:
    """One source's way of events into custody: batches what has arrived, commits it, tries again for ever.

    `on_events`: the committed events. `on_unstored`: the stamps of the emergencies that could not be committed, or not
    within `stall_s` (again with an empty list when they could at last). `on_taken`: tickets that may be acknowledged,
    in order of arrival.
    """

    source: Source
    custody: Custody
    role_of: RoleOf
    on_events: Callable[[list[EventRow]], None]
    on_unstored: Callable[[str, list[Stamp]], None]
    on_taken: Callable[[list[MqttTicket]], None]
    stall_s: float = STALL_S
    cancel_window_s: float = WINDOW_S
    overheard: Overheard | None = None  # told of each arrival, after it was taken
    mark_of: MarkOf = unmarked
    lost: int = 0  # notes, refusals and releases that found no room while the disk could not be written
    fault: str = ""
    _waiting: list[Arrival] = field(default_factory=list)
    _submitted: int = 0  # how many of those waiting are in the hands of custody
    _stalled: bool = False
    _left: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _press_came: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, arrival: Arrival) -> None:
        if not arrival.items and arrival.ticket is None:
            return
        if len(self._waiting) >= MAX_WAITING and not _must_stay(arrival):
            self.lost += 1
            return
        self._waiting.append(arrival)
        self._wake.set()
        if self._left:
            self.leave()
        elif self.fault:  # not at once: another driver may find a press in the same message
            asyncio.get_running_loop().call_soon(self._keep_the_window_open)
        if self._presses([arrival]):
            self._press_came.set()
            if self._stalled:
                self._tell_stalled()
        if self.overheard is not None:
            self.overheard(arrival.source or self.source, arrival)

    async def run(self) -> None:
        """Take until cancelled, then `leave`."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await self._take(list(self._waiting))
        finally:
            self.leave()

    def leave(self) -> None:
        """Hand over what was not yet, and nobody keeps for us; whatever arrives after it is handed over at once.

        The local broker is heard a while longer than `run` runs, and keeps no copy of what it sends with QoS 0.
        """
        self._left = True
        rest = [arrival for arrival in self._waiting[self._submitted :] if arrival.ticket is None]
        self._submitted = len(self._waiting)
        if rest:
            self._submit(rest).add_done_callback(_tell_unstored)

    async def _take(self, batch: list[Arrival]) -> None:
        self._press_came.clear()
        if any(arrival.items for arrival in batch):
            self._submitted = len(batch)
            late = asyncio.get_running_loop().call_later(self.stall_s, self._tell_stalled)
            try:
                made = await self._submit(batch)
            except StorageError as error:
                self._submitted = 0
                await self._failed(batch, error)
                return
            finally:
                late.cancel()
                self._stalled = False
            self._submitted = 0
            self.on_events(made)
        tickets = [arrival.ticket for arrival in self._waiting[: len(batch)] if arrival.ticket is not None]
        del self._waiting[: len(batch)]
        if self.fault:
            self.fault = ""
            self.on_unstored(self.source.name, [])
        if tickets:
            self.on_taken(tickets)

    def _submit(self, batch: list[Arrival]) -> asyncio.Future[list[EventRow]]:
        source, roles, window_s, mark_of = self.source, self.role_of, self.cancel_window_s, self.mark_of
        matters = any(_matters(arrival) for arrival in batch)
        return self.custody.submit(lambda ob: take_events(ob, source, batch, roles, window_s, mark_of), urgent=matters)

    def _tell_stalled(self) -> None:
        """A disk that neither commits nor fails: the home must hear of a press all the same."""
        presses = self._presses(self._waiting)
        if not self._stalled:
            log.error("events not stored yet", source=self.source.name, alarms=len(presses), after_s=self.stall_s)
        self._stalled = True
        self.fault = f"outbox: events of {self.source.name} cannot be stored: the disk does not answer"
        self.on_unstored(self.source.name, presses)
        self._keep_the_window_open()

    def _keep_the_window_open(self) -> None:
        """A broker whose window is full of notes that cannot be stored would keep the next press to itself.

        So what is no press is acknowledged before it is stored, in order, and kept here as if nobody kept it for us.
        """
        if sum(arrival.ticket is not None for arrival in self._waiting) < WINDOW:
            return
        first = next((index for index, arrival in enumerate(self._waiting) if _matters(arrival)), len(self._waiting))
        kept = self._waiting[first].ticket if first < len(self._waiting) else None
        early: list[MqttTicket] = []
        for index, arrival in enumerate(self._waiting[:first]):
            if arrival.ticket is not None and (kept is None or arrival.ticket.mid != kept.mid):
                early.append(arrival.ticket)
                self._waiting[index] = replace(arrival, ticket=None)
        while len(self._waiting) > max(MAX_WAITING, self._submitted) and not _must_stay(self._waiting[-1]):
            self.lost += bool(self._waiting.pop().items)
        if early:
            self.on_taken(early)

    async def _failed(self, batch: list[Arrival], error: StorageError) -> None:
        """Say so, then wait: a press that comes meanwhile is tried at once."""
        presses = self._presses(batch)
        log.error("events not stored", source=self.source.name, alarms=len(presses), lost=self.lost, error=str(error))
        self.fault = f"outbox: events of {self.source.name} cannot be stored: {error}"
        self.on_unstored(self.source.name, presses)
        self._waiting[: len(batch)] = [each for each in self._waiting[: len(batch)] if not _is_noise(each)]
        self._keep_the_window_open()
        try:
            async with asyncio.timeout(RETRY_S):
                await self._press_came.wait()
        except TimeoutError:
            pass

    def _presses(self, batch: Sequence[Arrival]) -> list[Stamp]:
        return [
            arrival.now
            for arrival in batch
            if any(
                isinstance(item, Press) and self.role_of(item.device, item.button) == ButtonRole.EMERGENCY
                for item in arrival.items
            )
        ]


def _matters(arrival: Arrival) -> bool:
    return any(isinstance(item, Press | Vital) for item in arrival.items)


def _must_stay(arrival: Arrival) -> bool:
    return arrival.ticket is not None or _matters(arrival)


def _is_noise(arrival: Arrival) -> bool:
    """What a disk that cannot be written makes us forget, so that a hissing line does not fill the memory."""
    return arrival.ticket is None and all(isinstance(item, Refused) for item in arrival.items)


@dataclass(slots=True)
class ReadingIntake:
    """One source's way of readings into custody. `on_packs`: how many packs were committed.

    They wait for the tick of all sources (`gather_s`), unless so many wait that their broker or our memory would fill.
    """

    source: Source
    custody: Custody
    on_packs: Callable[[int], None]
    on_taken: Callable[[list[MqttTicket]], None]
    gather_s: float = 0.0
    overheard: Overheard | None = None  # told of each arrival that brings something
    lost: int = 0
    fault: str = ""
    signs: SignsOfLife = field(default_factory=SignsOfLife)
    _waiting: list[Arrival] = field(default_factory=list)
    _submitted: int = 0  # how many of those waiting are in the hands of custody
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _enough: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, arrival: Arrival) -> None:
        if arrival.items:
            arrival = replace(arrival, items=self.signs.of(arrival.items, arrival.now))
        if not arrival.items and arrival.ticket is None:
            return
        if len(self._waiting) >= MAX_WAITING and arrival.ticket is None:
            self.lost += len(_readings_of([arrival]))  # a disk that hangs must not fill the memory
            return
        self._waiting.append(arrival)
        self._wake.set()
        if self._is_enough():
            self._enough.set()
        if self.overheard is not None:
            self.overheard(arrival.source or self.source, arrival)

    def _is_enough(self) -> bool:
        return len(self._waiting) >= _MANY or sum(each.ticket is not None for each in self._waiting) >= WINDOW

    async def run(self) -> None:
        """Take until cancelled, then `leave`."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._gather()
                await self._take(list(self._waiting))
                if self._waiting:
                    self._wake.set()
        finally:
            self.leave()

    def leave(self) -> None:
        """Hand over what was not yet, and nobody else keeps: again when nothing can arrive any more."""
        rest = [arrival for arrival in self._waiting[self._submitted :] if arrival.ticket is None]
        self._submitted = len(self._waiting)
        if rest:
            self._submit(rest).add_done_callback(_tell_unstored)

    async def _gather(self) -> None:
        """Until the next tick, or until many wait."""
        self._enough.clear()
        if self._is_enough():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(next_tick(self.gather_s)):
                await self._enough.wait()

    def _submit(self, batch: list[Arrival]) -> asyncio.Future[int]:
        source = self.source
        return self.custody.submit(lambda ob: take_readings(ob, source, batch))

    async def _take(self, batch: list[Arrival]) -> None:
        if any(arrival.items for arrival in batch):
            self._submitted = len(batch)
            try:
                self.on_packs(await self._submit(batch))
            except StorageError as error:
                self._submitted = 0
                await self._failed(batch, error)
                return
            self._submitted = 0
        self.fault = ""
        del self._waiting[: len(batch)]
        tickets = [arrival.ticket for arrival in batch if arrival.ticket is not None]
        if tickets:
            self.on_taken(tickets)

    async def _failed(self, batch: list[Arrival], error: StorageError) -> None:
        """The local broker keeps its messages until they are acknowledged; the rest is lost, and counted."""
        self._waiting[: len(batch)] = [arrival for arrival in batch if arrival.ticket is not None]
        lost = len(_readings_of([arrival for arrival in batch if arrival.ticket is None]))
        self.lost += lost
        log.error("readings not stored", source=self.source.name, lost=lost, kept=len(self._waiting), error=str(error))
        self.fault = f"outbox: readings of {self.source.name} cannot be stored: {error}"
        await asyncio.sleep(RETRY_S)


def lost_faults(events: Sequence[EventIntake], readings: Sequence[ReadingIntake]) -> list[str]:
    """What found no room while the disk could not be written."""
    lost = (
        ("readings", sum(intake.lost for intake in readings)),
        ("notes and refusals", sum(intake.lost for intake in events)),
    )
    return [f"outbox: {count} {what} could not be stored since the start" for what, count in lost if count]


def _tell_unstored(future: asyncio.Future[Any]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        log.error("the last arrivals not stored", error=str(error))
