"""The lanes of a source: what has arrived is gathered, committed, and tried again when the disk does not take it.

    arrival --+--> EventIntake   presses, vital signs, notes, refusals; tried for ever, a press at once and by ballast
              +--> ReadingIntake readings; on a full disk lost and counted, or left with the local broker

Two for each serial port and two for the local broker, so that neither a port nor a reading that cannot be stored ever
holds up a press. What becomes of an arrival in the outbox is in `taking.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hearthline.clock import Stamp
from hearthline.errors import StorageError
from hearthline.log import Log
from hearthline.model import ButtonRole
from hearthline_edge.arrival import Arrival, MarkOf, MqttTicket, Overheard, RoleOf, Source, unmarked
from hearthline_edge.cancelling import WINDOW_S
from hearthline_edge.custody import Custody
from hearthline_edge.devices import Press, Refused, Vital
from hearthline_edge.outbox import EventRow
from hearthline_edge.signs import SignsOfLife
from hearthline_edge.taking import readings_of, take_events, take_readings
from hearthline_edge.ticks import next_tick

RETRY_S = 1.0
STALL_S = 3.0  # a commit that takes longer is told as one that failed, and still awaited
_MANY = 250  # readings that wait for no tick
MAX_WAITING = 1000  # arrivals; beyond it only what matters, and what the local broker keeps, is still taken
WINDOW = 10  # unacknowledged messages; brokers give 20 or more, then nothing until one is acknowledged
log = Log(__name__)


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
            self.lost += len(readings_of([arrival]))  # a disk that hangs must not fill the memory
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
        lost = len(readings_of([arrival for arrival in batch if arrival.ticket is None]))
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
