"""What of the outbox is published next, and as which payload: what is due again, then what is new, alarms first.

A record's time is the best that is known when it goes; what was told as free-running once is never told otherwise.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Mapping

from hearthline import wire
from hearthline.clock import Clock, Stamp
from hearthline.errors import StorageError
from hearthline.model import Lane
from hearthline.ranges import to_ranges
from hearthline_edge.custody import Custody
from hearthline_edge.outbox import EventRow, Outbox
from hearthline_edge.pack_time import Told, note_told_free, told_free, told_time
from hearthline_edge.sending import EVENT_WINDOW, Flights

Timed = tuple[EventRow, Stamp, float]  # an event, its best-known time, its age when that is worth nothing


class Departures:
    """`again`: called when the outbox was found begun anew, and is to be read once more. Raises StorageError."""

    def __init__(
        self, gateway: str, custody: Custody, clock: Clock, rng: random.Random, again: Callable[[], None]
    ) -> None:
        self._source = f"hearthline/{gateway}"
        self._custody = custody
        self._clock = clock
        self._again = again
        self.events = Flights(Lane.EVENT, rng)
        self.packs = Flights(Lane.TELEMETRY, rng)
        self.caught_up = True  # no packs wait that were not sent
        self._last_pack_seq = 0
        self._outbox = custody.outbox.id
        self._unnoted: Mapping[str, int] = {}  # packs told as free, of which the disk took no note yet
        self._clock_kept = False

    def ground(self, outbox: str) -> None:
        """Of what is in flight nothing is known any more: the link is new, or the outbox is."""
        if outbox != self._outbox:
            self._unnoted = {}
        self._outbox = outbox
        self.events.grounded()
        self.packs.grounded()
        self._last_pack_seq = 0

    def next_due(self) -> float | None:
        """When something is to be sent again."""
        return min((due for due in (self.events.next_due(), self.packs.next_due()) if due is not None), default=None)

    async def keep_clock(self) -> None:
        """Before anything is sent with a time from the synchronised clock, that clock's meaning is committed."""
        stamp = self._clock.now()
        if self._clock_kept or not stamp.synced:
            return
        with contextlib.suppress(StorageError):  # a disk that takes no more holds up no alarm
            await self._custody.submit(lambda ob: ob.remember_synced_clock(stamp))
            self._clock_kept = True

    async def next_events(self, now: float) -> list[tuple[EventRow, bytes]]:
        """Events to send now with their payloads. They count as in flight. `now`: of the event loop's clock."""
        due = self.events.due(now)
        if not due and self.events.room(urgent=True) <= 0:
            return []
        stamp = self._clock.now()

        def read(ob: Outbox) -> tuple[str, list[Timed], list[Timed]]:
            again = [_with_time(ob, row, stamp) for row in ob.events_in(to_ranges(due))]
            return ob.id, again, [_with_time(ob, row, stamp) for row in ob.events(2 * EVENT_WINDOW)]

        outbox, chosen, waiting = await self._custody.submit(read)
        if self._is_new(outbox):
            return []
        self.events.landed([(seq, seq) for seq in due if seq not in {row.seq for row, _, _ in chosen}])
        for row, _, _ in chosen:
            self.events.sent(row.seq, row.urgent, now)
        for each in waiting:
            row = each[0]
            if row.seq not in self.events and self.events.room(row.urgent) > 0:
                self.events.sent(row.seq, row.urgent, now)
                chosen.append(each)
        chosen.sort(key=lambda each: not each[0].urgent)
        return [(each[0], self._payload(outbox, *each)) for each in chosen]

    async def alarms(self, limit: int) -> list[tuple[int, bytes]]:
        """The oldest alarms in the outbox by their numbers, as they are published; no word of what is in flight."""
        stamp = self._clock.now()

        def read(ob: Outbox) -> tuple[str, list[Timed]]:
            return ob.id, [_with_time(ob, row, stamp) for row in ob.events(limit, urgent_only=True)]

        outbox, alarms = await self._custody.submit(read)
        return [(each[0].seq, self._payload(outbox, *each)) for each in alarms]

    async def next_packs(self, now: float) -> list[bytes]:
        """Payloads of packs to send now. They count as in flight."""
        due = self.packs.due(now)
        room = self.packs.room()
        if not due and room <= 0:
            return []
        stamp, after, unnoted = self._clock.now(), self._last_pack_seq, self._unnoted

        def read(ob: Outbox) -> tuple[str, list[Told]]:
            packs = [pack for seq in due for pack in ob.packs(1, after=seq - 1) if pack.seq == seq]
            packs += ob.packs(max(room, 0), after=after) if room > 0 else []
            return ob.id, [told_time(ob, pack, stamp, unnoted) for pack in packs]

        outbox, found = await self._custody.submit(read)
        if self._is_new(outbox):
            return []
        if free := told_free(found, self._unnoted):
            self._unnoted = free
            with contextlib.suppress(StorageError):  # a disk that takes no more: better doubled than not told
                await self._custody.submit(lambda ob: note_told_free(ob, free) if ob.id == outbox else None)
                self._unnoted = {}
        present = {pack.seq for pack, _, _ in found}
        self.packs.landed([(seq, seq) for seq in due if seq not in present])  # dropped to make room
        self._last_pack_seq = max([after, *present])
        self.caught_up = len(present.difference(due)) < room
        for seq in present:
            self.packs.sent(seq, False, now)
        return [
            wire.encode_pack(wire.Pack(moment.wall_ns, pack.readings, _envelope(outbox, pack.seq, moment, age_s)))
            for pack, moment, age_s in found
        ]

    def _is_new(self, outbox: str) -> bool:
        """Whether the outbox was begun anew; then nothing of it is in flight, and it is read once more."""
        if outbox == self._outbox:
            return False
        self.ground(outbox)
        self._again()
        return True

    def _payload(self, outbox: str, row: EventRow, moment: Stamp, age_s: float) -> bytes:
        envelope = _envelope(outbox, row.seq, moment, age_s)
        event = wire.Event(row.id, self._source, row.type, row.device, moment.wall_ns, row.data, envelope)
        return wire.encode_event(event)


def _envelope(outbox: str, seq: int, moment: Stamp, age_s: float) -> wire.Envelope:
    age = None if moment.synced else age_s
    return wire.Envelope(outbox, seq, moment.boot, moment.synced, moment.mono_ns, age)


def _with_time(outbox: Outbox, row: EventRow, now: Stamp) -> Timed:
    """A record with its best-known time, and its age when that is worth nothing."""
    moment = outbox.true_time(row.stamp, now)
    return row, moment, 0.0 if moment.synced else outbox.age_s(row.stamp, now)
