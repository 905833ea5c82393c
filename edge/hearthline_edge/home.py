"""The home hears back: "received" and "accepted" as signals, and the local output when nobody answers.

Signals go to the local MQTT topic `hearthline/home/<gateway>/signal` as JSON, for any lamp, display or bridge to show:
`{"signal": "received", "event": id, "device": …, "button": …, "ordinal": n, "time": RFC 3339}`. Any message on
`hearthline/home/<gateway>/reset` silences the local output for the alarms that are pending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from hearthline.clock import Clock, Stamp, rfc3339
from hearthline.errors import StorageError
from hearthline.log import Log
from hearthline.model import SELF_TEST, ButtonRole, EventType, HomeSignal
from hearthline_edge.custody import Custody
from hearthline_edge.local_alarm import Pending, judge
from hearthline_edge.outbox import EventRow, RecentAlarm
from hearthline_edge.siren import REPEAT_S, Siren

TEST_S = 3.0
_RETRY_S = 1.0  # for an output that could not be told
_PENDING_ROWS = 64
_ANSWER_S = 1.0  # for the outbox; a disk that does not answer must not silence the home
log = Log(__name__)


def signal_topic(gateway: str) -> str:
    return f"hearthline/home/{gateway}/signal"


def reset_topic(gateway: str) -> str:
    return f"hearthline/home/{gateway}/reset"


class Home:
    """Tells the home. Call `look()` whenever alarms were taken or have left the outbox."""

    def __init__(
        self,
        gateway: str,
        custody: Custody,
        clock: Clock,
        sirens: list[Siren],
        publish: Callable[[str, bytes], object],
        alarm_after_s: float,
    ) -> None:
        self._topic = signal_topic(gateway)
        self._custody = custody
        self._clock = clock
        self._sirens = sirens
        self._publish = publish
        self._alarm_after_s = alarm_after_s
        self._stored: list[tuple[str, Stamp]] = []  # alarms in the outbox, as it was last read
        self._asked: asyncio.Future[list[tuple[str, Stamp]]] | None = None  # a reading that is late
        self._unstored: dict[str, list[Stamp]] = {}
        self._refused: list[Stamp] = []
        self._received: set[str] = set()  # ids of events, received, perhaps still in an outbox that cannot be written
        self._reset_at: Stamp | None = None
        self._wake = asyncio.Event()
        self._test_until = 0.0
        self._sounding: bool | None = None  # None: after a start nobody knows
        self._faults = [""] * len(sirens)

    @property
    def faults(self) -> list[str]:
        refused = f"home: the center refused {len(self._refused)} alarms; press reset" if self._refused else ""
        return [fault for fault in (*self._faults, refused) if fault]

    def look(self) -> None:
        self._wake.set()

    def unstored(self, source: str, presses: list[Stamp]) -> None:
        """Alarms that could not be committed: they sound at once. An empty list: they could at last."""
        self._unstored[source] = presses
        self.look()

    def received(self, rows: list[EventRow]) -> None:
        """The center has committed these."""
        for row in rows:
            self._received.add(row.id)
            if row.urgent and row.type == EventType.ALARM and row.data.get("role") != SELF_TEST:
                button, ordinal = row.data.get("button", ""), row.data.get("ordinal", 0)  # perhaps garbled on the card
                alarm = RecentAlarm(row.id, row.device, button, ordinal, row.stamp.wall_ns)
                self._signal(HomeSignal.RECEIVED, alarm)

    def refused(self, rows: list[EventRow]) -> None:
        """The center will never take these: nobody there sees them, so the home must hear them."""
        silent = (ButtonRole.SERVICE, SELF_TEST)
        alarms = [row for row in rows if row.urgent and row.type == EventType.ALARM]
        self._refused += [row.stamp for row in alarms if row.data.get("role") not in silent]
        self.look()

    async def accepted(self, event_id: str) -> bool:
        """Whether the event is known here, so that the right pendant could be told. Raises StorageError."""
        alarm = await self._custody.submit(lambda ob: ob.recent_alarm(event_id))
        if alarm is not None:
            self._signal(HomeSignal.ACCEPTED, alarm)
        return alarm is not None

    def reset(self, now: Stamp) -> None:
        """Somebody at home has heard: what is pending now no longer drives the local output."""
        self._reset_at = now
        self._refused.clear()
        self.look()

    def test(self) -> None:
        """Drive the local output for three seconds."""
        self._test_until = asyncio.get_running_loop().time() + TEST_S
        self.look()

    async def run(self) -> None:
        """Drive the local output until cancelled."""
        loop = asyncio.get_running_loop()
        told_at = loop.time()
        while True:
            self._wake.clear()
            verdict = judge(await self._pending(), self._clock.now(), self._alarm_after_s, self._reset_at)
            testing = loop.time() < self._test_until
            sound = verdict.sound or testing
            since_s = loop.time() - told_at
            if sound != self._sounding or (sound and since_s >= REPEAT_S):
                await self._drive(sound, everyone=True)
                told_at = loop.time()
            elif any(self._faults) and since_s >= _RETRY_S:
                await self._drive(sound, everyone=False)
            waits = [verdict.again_in_s, 0.2 if testing else None, _RETRY_S if any(self._faults) else None]
            try:
                async with asyncio.timeout(min((wait for wait in waits if wait is not None), default=None)):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _pending(self) -> list[Pending]:
        await self._read_stored()
        pending = [Pending(stamp) for event_id, stamp in self._stored if event_id not in self._received]
        pending += [Pending(stamp, at_once=True) for stamp in self._refused]
        return pending + [Pending(stamp, at_once=True) for stamps in self._unstored.values() for stamp in stamps]

    async def _read_stored(self) -> None:
        """What lies in the outbox; while it does not answer, what was last known of it has to do."""
        asked, self._asked = self._asked, None
        if asked is not None and asked.done():
            self._take_stored(asked)
            asked = None  # it was asked before what has come meanwhile
        late = asked is not None
        if asked is None:
            limit = _PENDING_ROWS + len(self._received)
            asked = self._custody.submit(lambda ob: ob.sounding_alarms(limit))
            await asyncio.wait([asked], timeout=_ANSWER_S)
        if asked.done():
            self._take_stored(asked)
            return
        self._asked = asked
        if not late:
            log.error("pending alarms not read", error="the disk does not answer")
            asked.add_done_callback(lambda _: self.look())

    def _take_stored(self, asked: asyncio.Future[list[tuple[str, Stamp]]]) -> None:
        try:
            self._stored = asked.result()
            self._received &= {event_id for event_id, _ in self._stored}
        except StorageError as error:
            log.error("pending alarms not read", error=str(error))

    async def _drive(self, sound: bool, everyone: bool) -> None:
        """Tell every output, or only those that could not be told before."""
        if self._sounding is not None and sound != self._sounding:
            log.warning("local output", sounding=sound)
        self._sounding = sound
        for index, siren in enumerate(self._sirens):
            if everyone or self._faults[index]:
                self._faults[index] = await siren.drive(sound)

    def _signal(self, signal: HomeSignal, alarm: RecentAlarm) -> None:
        message = {
            "signal": signal.value,
            "event": alarm.id,
            "device": alarm.device,
            "button": alarm.button,
            "ordinal": alarm.ordinal,
            "time": rfc3339(alarm.wall_ns),
        }
        self._publish(self._topic, msgspec.json.encode(message))
