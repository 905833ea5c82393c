"""Who lives and works there: an elder who presses again when nobody answers, a meter, buttons, an operator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from hearthline.errors import RefusedError
from hearthline_cloud.alerts.lifecycle import Outcome
from hearthline_sim.devices.dlt645_meter import Dlt645Meter, MeterState
from hearthline_sim.devices.enocean_pendant import Button, EnoceanPendant, Receiver
from hearthline_sim.devices.zigbee_sos import ZigbeeSos
from simulation.center import Center
from simulation.gateway import METER, Gateway
from simulation.trace import Trace

PENDANT = "002EE196"
SOS_SESSION = "hearthline-{gateway}-devices"
_PRESSES_AGAIN = 3
_TAKEN_S = 0.6  # within which a gateway that nothing ails has committed a press
_APART_S = 13.0  # fewer than six in a minute: no chatter


@dataclass(frozen=True, slots=True)
class Pressed:
    """One press as it happened. `owed`: the local broker had taken it for the agent."""

    gateway: str
    device: str
    at: float
    until: float
    owed: bool = False


class Elder:
    """One person with a pendant, and a corridor's SOS buttons beside."""

    def __init__(self, trace: Trace, gateway: Gateway) -> None:
        self.presses: list[Pressed] = []
        self._trace = trace
        self._gateway = gateway
        self._rng = trace.rng(f"{gateway.id}:elder")
        self._pendant = EnoceanPendant(PENDANT, self._rng)
        self._buttons: dict[int, ZigbeeSos] = {}
        self._loop = asyncio.get_running_loop()
        self._received = asyncio.Event()
        self.on_press: Callable[[], None] = lambda: None
        gateway.on_signal = self._hears
        meter = Dlt645Meter(METER, trace.rng(f"{gateway.id}:meter"), self._power, glitch_rate=0.02)
        gateway.lines["meter"].answer = lambda data: self._meter_answers(meter, data)
        stick = Receiver()
        gateway.lines["radio"].answer = lambda data: self._stick_answers(stick, data)
        self._measured = 0

    async def live(self, wishes: list[float]) -> None:
        """Press at the times of `wishes`, and again while nobody says "received"."""
        for wish in wishes:
            await asyncio.sleep(max(wish - self._trace.now(), _APART_S if self.presses else 0.0))
            for _ in range(1 + _PRESSES_AGAIN):
                self._received.clear()
                self.press()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_APART_S + self._rng.uniform(0, 12)):
                        await self._received.wait()
                    break

    def press(self) -> None:
        burst = self._pendant.press(Button.AI)
        now = self._trace.now()
        self._trace.note(self._gateway.id, f"PRESS of the pendant, {len(burst.pressed)} telegrams")
        press = Pressed(self._gateway.id, self._pendant.device, now, now + burst.pressed[-1].after_s)
        self.presses.append(press)
        self._loop.call_later(_TAKEN_S, self._gateway.check_taken, press.device, press.at, press.until)
        for each in burst.bursts:
            self._loop.call_later(each.after_s, self._gateway.lines["radio"].emit, each.data)
        self.on_press()

    def press_sos(self, number: int) -> None:
        """A Zigbee button: what the local broker has taken, it keeps for the agent."""
        gateway = self._gateway
        button = self._buttons.setdefault(number, ZigbeeSos(f"sos-{number}", self._rng, last_seen="absent"))
        session = gateway.local.sessions.get(SOS_SESSION.format(gateway=gateway.id))
        owed = gateway.local.running and session is not None and bool(session.filters)
        now = self._trace.now()
        self._trace.note(gateway.id, f"PRESS of {button.device}{'' if owed else ', nobody hears it'}")
        self.presses.append(Pressed(gateway.id, button.device, now, now, owed))
        for message in button.press("emergency", self._trace.wall_ns()):
            self._loop.call_later(message.after_s, self._publish, message.topic, message.payload)

    def _publish(self, topic: str, payload: bytes) -> None:
        if self._gateway.local.running:
            self._gateway.local.route(topic, payload, 1)

    def _hears(self, signal: dict[str, Any]) -> None:
        if signal["signal"] == "received" and signal["device"] == self._pendant.device:
            self._received.set()

    def _power(self) -> MeterState:
        self._measured += 1  # each value once, so that a reading can be told from every other
        return MeterState(0.0, 230.0, 0.1, self._measured / 10)

    def _meter_answers(self, meter: Dlt645Meter, data: bytes) -> None:
        for reply in meter.receive(data):
            self._loop.call_later(reply.burst.after_s, self._gateway.lines["meter"].emit, reply.burst.data)

    def _stick_answers(self, stick: Receiver, data: bytes) -> None:
        for burst in stick.receive(data):
            self._loop.call_later(burst.after_s, self._gateway.lines["radio"].emit, burst.data)


class Operator:
    """Takes each alert of a press after a while, and closes some."""

    def __init__(self, trace: Trace, center: Center) -> None:
        self._trace = trace
        self._center = center

    async def work(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            for alert, state, raised_ns, taken_ns in self._center.ask(
                "SELECT id, state, raised_ns, acknowledged_ns FROM alert"
                " WHERE state <> 'resolved' AND kind = 'emergency' ORDER BY id"
            ):
                with suppress(SQLAlchemyError, RefusedError):
                    self._look_at(alert, state, raised_ns, taken_ns)

    def _look_at(self, alert: int, state: str, raised_ns: int, taken_ns: int | None) -> None:
        now_ns = self._trace.wall_ns()
        rng = Random(f"{self._trace.seed}:alert:{alert}")
        takes_after_s, closes_after_s, closes = rng.uniform(1, 25), rng.uniform(2, 30), rng.random() < 0.6
        if state == "raised" and now_ns - raised_ns > takes_after_s * 1e9:
            self._center.desk.acknowledge(alert, "lin", now_ns)
            self._trace.note("operator", f"takes alert {alert}")
        elif closes and taken_ns is not None and now_ns - taken_ns > closes_after_s * 1e9:
            self._center.desk.resolve(alert, Outcome.HELP_GIVEN, "lin", now_ns)
            self._trace.note("operator", f"closes alert {alert}")
