"""The press or measurement that an installer was just asked for is marked with the run's id, and no other ever is.

    order "expect" --> the next new press of that device within the time --> marked, committed with the event
    anything else  --> an alarm like any other: another device, a repeat, a second press, too late, a detector

The center decides what a mark is worth. Here the mark is given once, in the transaction that stores the press; a job
that custody tries again gives it to the same press again. What is expected lives in memory: an agent that is killed
expects nothing, and in doubt a press is a real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hearthline.clock import NS, Clock, Stamp
from hearthline.commissioning import MARK, RunState
from hearthline.errors import ProtocolError
from hearthline.model import EventType
from hearthline.wire import MAX_ID, device_name
from hearthline_edge.custody import Custody
from hearthline_edge.devices import HAZARDS, Press, Vital
from hearthline_edge.outbox import EventRow

LONGEST_WAIT_S: Final = 300.0  # for one press
_OLD_S: Final = 5.0  # before the order; whoever received such a telegram has kept it back
_ANSWERS: Final = frozenset({EventType.ALARM, EventType.VITAL})
_TOLD: Final = frozenset({EventType.COMMISSIONING})


class Listener(Protocol):
    """Who has given an order over the control socket."""

    def say(self, answer: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class _Asked:
    """One press that is waited for. `device` "": of a device that is not this home's yet, which is being bound."""

    device: str
    run: str
    since: Stamp
    seconds: float

    def covers(self, item: Press | Vital, now: Stamp, is_bound: Callable[[str], bool]) -> bool:
        waited_s = now.seconds_since(self.since)
        is_in_time = waited_s is not None and 0 <= waited_s <= self.seconds
        device = device_name(item.device)
        is_meant = device == self.device if self.device else not is_bound(device)
        return is_meant and is_in_time and (isinstance(item, Vital) or self._suits(item))

    def _suits(self, press: Press) -> bool:
        is_old = press.source_ns is not None and press.source_ns < self.since.wall_ns - _OLD_S * NS
        return press.button not in HAZARDS and press.certainty == "certain" and not is_old


class Expecting:
    """What is expected now: at most one press. `mark_of` is called in custody's thread, all else in the event loop."""

    def __init__(
        self,
        gateway: str,
        custody: Custody,
        clock: Clock,
        committed: Callable[[list[EventRow]], None],
        is_bound: Callable[[str], bool],
    ) -> None:
        """`is_bound`: whether a device, named as on the wire, is this home's already."""
        self._is_bound = is_bound
        self._gateway = gateway
        self._custody = custody
        self._clock = clock
        self._committed = committed
        self._asked: _Asked | None = None
        self._given: tuple[_Asked, Stamp, int] | None = None  # to which press
        self._waiting: asyncio.Queue[EventRow] | None = None

    def mark_of(self, item: Press | Vital, now: Stamp, ordinal: int) -> str | None:
        """The run that this new press or measurement was asked for in, if it was."""
        asked = self._asked
        if asked is None or not asked.covers(item, now, self._is_bound):
            return None
        if self._given is not None and self._given[0] is asked and self._given[1:] != (now, ordinal):
            return None
        self._given = (asked, now, ordinal)
        return asked.run

    def told(self, rows: Iterable[EventRow]) -> None:
        """These were committed."""
        asked = self._asked
        for row in rows:
            if asked is None or row.type not in _ANSWERS:
                continue
            is_marked = row.data.get(MARK) == asked.run
            if is_marked:
                self._asked = None
            if self._waiting is not None and (row.device == asked.device or (is_marked and not asked.device)):
                self._waiting.put_nowait(row)

    # --- orders of the control socket ---

    async def expect(self, order: dict[str, Any], client: Listener) -> None:
        """Wait for one press, and say how it was stored; without a device nothing is expected any more."""
        asked = self._understood(order)
        self._asked = asked
        if asked is None:
            client.say({"expected": None})
            return
        waiting = self._waiting = asyncio.Queue()
        client.say({"expected": asked.device})
        try:
            async with asyncio.timeout(asked.seconds):
                row = await waiting.get()
            client.say({"pressed": _described(row, asked.run)})
        except TimeoutError:
            client.say({"over": "time"})
        finally:
            if self._asked is asked:
                self._asked = None
            if self._waiting is waiting:
                self._waiting = None

    def _understood(self, order: dict[str, Any]) -> _Asked | None:
        """Raises ProtocolError with what to tell the client."""
        device, run, seconds = order.get("device"), order.get("run"), order.get("seconds")
        is_new = order.get("new") is True
        if device is None and not is_new:
            return None
        is_id = isinstance(run, str) and 0 < len(run) <= MAX_ID and run.isascii() and run.isprintable()
        if not (is_id and (is_new or (isinstance(device, str) and device))):
            raise ProtocolError("expect needs a device and the id of a run")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST_WAIT_S:
            raise ProtocolError(f"expect waits for more than 0 and at most {LONGEST_WAIT_S:g} seconds")
        return _Asked("" if is_new else device_name(str(device)), str(run), self._clock.now(), float(seconds))

    async def tell(self, order: dict[str, Any], client: Listener) -> None:
        """Put an event of the gateway itself into the outbox. Raises StorageError.

        The begin of a run is as urgent as an alarm: it must be at the center before the presses of the run.
        """
        kind, data = order.get("type"), order.get("data")
        if kind not in _TOLD or not isinstance(data, dict):
            raise ProtocolError(f"tell takes data of one of the types: {', '.join(sorted(_TOLD))}")
        now, urgent = self._clock.now(), data.get("state") == RunState.BEGUN
        row = await self._custody.submit(
            lambda ob: ob.append_event(EventType(kind), self._gateway, data, now, urgent=urgent), urgent=urgent
        )
        self._committed([row])
        client.say({"event": row.id})


def _described(row: EventRow, run: str) -> dict[str, Any]:
    data = row.data
    return {
        "event": row.id,
        "button": data.get("button"),
        "ordinal": data.get("ordinal"),
        "marked": data.get(MARK) == run,
        "radio_level": data.get("rssi_dbm", data.get("radio_level")),
        "link_quality": data.get("link_quality", data.get("linkquality")),
    }
