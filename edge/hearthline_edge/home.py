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
from hearthline.log import Log
from hearthline.model import HomeSignal
from hearthline_edge.custody import Custody
from hearthline_edge.local_alarm import Pending, judge
from hearthline_edge.outbox import EventRow, RecentAlarm
from hearthline_edge.siren import REPEAT_S, Siren

TEST_S = 3.0
log = Log(__name__)


def signal_topic(gateway: str) -> str:
    return f"hearthline/home/{gateway}/signal"


def reset_topic(gateway: str) -> str:
    return f"hearthline/home/{gateway}/reset"


class Home:
    """Tells the home. Call `look()` whenever alarms were taken, received or reset."""

    def __init__(
        self,
        gateway: str,
        custody: Custody,
        clock: Clock,
        sirens: list[Siren],
        publish: Callable[[str, bytes], None],
        alarm_after_s: float,
    ) -> None:
        self._topic = signal_topic(gateway)
        self._custody = custody
        self._clock = clock
        self._sirens = sirens
        self._publish = publish
        self._alarm_after_s = alarm_after_s
        self._unstored: dict[str, list[Stamp]] = {}
        self._wake = asyncio.Event()
        self._test_until = 0.0
        self.faults: list[str] = []
        self.sounding = False

    def look(self) -> None:
        self._wake.set()

    def unstored(self, source: str, presses: list[Stamp]) -> None:
        """Presses that could not be committed: they sound at once. An empty list: they could at last."""
        self._unstored[source] = presses
        self.look()

    def test(self) -> None:
        """Drive the local output for three seconds."""
        self._test_until = asyncio.get_running_loop().time() + TEST_S
        self.look()

    def received(self, rows: list[EventRow]) -> None:
        for row in rows:
            if row.urgent:
                data = row.data
                alarm = RecentAlarm(row.id, row.device, data["button"], data["ordinal"], row.stamp.wall_ns)
                self._signal(HomeSignal.RECEIVED, alarm)

    async def accepted(self, event_id: str) -> bool:
        """Whether the event is known here, so that the right pendant could be told."""
        alarm = await self._custody.submit(lambda ob: ob.recent_alarm(event_id))
        if alarm is not None:
            self._signal(HomeSignal.ACCEPTED, alarm)
        return alarm is not None

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

    async def run(self) -> None:
        """Drive the local output until cancelled."""
        loop = asyncio.get_running_loop()
        told_at = -REPEAT_S
        while True:
            self._wake.clear()
            verdict = judge(await self._pending(), self._clock.now(), self._alarm_after_s)
            testing = loop.time() < self._test_until
            sound = verdict.sound or testing
            if sound != self.sounding or (sound and loop.time() - told_at >= REPEAT_S):
                await self._drive(sound)
                told_at = loop.time()
            try:
                async with asyncio.timeout(0.2 if testing else verdict.again_in_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _pending(self) -> list[Pending]:
        rows = await self._custody.submit(lambda ob: ob.events(64, urgent_only=True))
        stored = [Pending(row.stamp, row.silenced) for row in rows]
        return stored + [Pending(stamp, False, stored=False) for stamps in self._unstored.values() for stamp in stamps]

    async def _drive(self, sound: bool) -> None:
        if sound != self.sounding:
            log.warning("local output", sounding=sound)
        self.sounding = sound
        results = await asyncio.gather(*(siren.drive(sound) for siren in self._sirens))
        self.faults = [fault for fault in results if fault]
