"""The agent: ports and local broker -> drivers -> outbox -> uplink, and back to the home.

    serial ports --+                            +-- uplink --> center
                   +--> drivers --> intake --> outbox
    local broker --+                            +-- home <-- signals, siren

One event loop, one thread for the disk, one a local MQTT session. The parts know nothing of each other; this module
alone wires them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from pathlib import Path
from typing import Any

from hearthline import __version__, wire
from hearthline.clock import Clock, Stamp, SystemClock, rfc3339
from hearthline.errors import StorageError
from hearthline.log import Log
from hearthline.model import EventType, HomeSignal, Lane
from hearthline.service import notify, watchdog_interval_s
from hearthline_edge.config import EdgeConfig, SerialConfig
from hearthline_edge.custody import Custody
from hearthline_edge.devices import Item, MqttDriver, MqttMessage, SerialDriver, find_drivers
from hearthline_edge.home import Home, reset_topic
from hearthline_edge.intake import Arrival, Intake, MqttTicket, Source, take_chatter
from hearthline_edge.local_mqtt import LocalSession
from hearthline_edge.outbox import WARN_EVENT_DEPTH, EventRow, Outbox
from hearthline_edge.serial_port import SerialPort
from hearthline_edge.siren import open_sirens
from hearthline_edge.uplink import Ears, Uplink

_CHORES_S = 5.0
_RATE_SMOOTHING = 0.05
log = Log(__name__)


class Agent:
    """One gateway. Create it inside its event loop."""

    def __init__(self, config: EdgeConfig, outbox: Outbox, clock: Clock, rng: random.Random) -> None:
        self._config = config
        self._clock = clock
        self._custody = Custody(outbox)
        self._drivers = find_drivers()
        self._intakes: list[Intake] = []
        self._ports: list[SerialPort] = []
        self._sessions: list[LocalSession] = []
        self._stored_fault = ""
        self._ballast_gone = False
        self._packs_taken = 0
        self._packs_per_hour = 0.0
        sirens = open_sirens(config.siren, self._publish_home)
        after_s = config.local_alarm_after_s
        self._home = Home(config.gateway, self._custody, clock, sirens, self._publish_home, after_s)
        ears = Ears(self._home.received, self._home.look, self._commanded, self._status)
        self._uplink = Uplink(config.gateway, config.uplink, self._custody, clock, ears, rng)
        for port in config.serial:
            self._add_port(port)
        if config.local_mqtt is not None:
            self._add_local_sessions()

    async def run(self) -> None:
        """Run until cancelled; then stop cleanly."""
        await self._wake_old_alarms()
        for session in self._sessions:
            session.start()
        try:
            async with asyncio.TaskGroup() as group:
                for intake in self._intakes:
                    group.create_task(intake.run())
                for port in self._ports:
                    group.create_task(port.run())
                group.create_task(self._home.run())
                group.create_task(self._uplink.run(self._config.status_period_s))
                group.create_task(self._chores())
                notify("READY=1")
                log.info("agent running", gateway=self._config.gateway, outbox=self._custody.outbox.id)
        finally:
            notify("STOPPING=1")
            for session in self._sessions:
                await session.stop()
            await self._custody.stop()
            log.info("agent stopped")

    # --- wiring ---

    def _add_port(self, port: SerialConfig) -> None:
        driver = self._drivers[port.driver]
        assert isinstance(driver, SerialDriver)
        session = driver.open_session(port.options, port.name)
        intake = self._intake(Source(port.name, driver.name, driver.grouping), None)

        def offer(items: list[Item], now: Stamp) -> None:
            intake.offer(Arrival(tuple(items), now))

        self._ports.append(SerialPort(port.name, port.port, port.line(driver), session, self._clock, offer))

    def _add_local_sessions(self) -> None:
        gateway = self._config.gateway
        assert self._config.local_mqtt is not None
        home = LocalSession(
            "home",
            f"hearthline-{gateway}-home",
            self._config.local_mqtt,
            (reset_topic(gateway),),
            self._reset,
            _nothing,
        )
        self._sessions.append(home)
        for driver in self._drivers.values():
            if isinstance(driver, MqttDriver):
                self._add_mqtt_driver(driver)

    def _add_mqtt_driver(self, driver: MqttDriver) -> None:
        config = self._config.local_mqtt
        assert config is not None
        options = config.options.get(driver.name, {})
        driver = driver.configured(options)
        decoder = driver.open_session(options)
        name = driver.name

        def forget() -> None:
            self._custody.submit(lambda ob: ob.forget_mqtt(name))

        def acknowledge(tickets: list[MqttTicket]) -> None:
            session.acknowledge(tickets)
            self._custody.submit(lambda ob: ob.forget_mqtt(name, [ticket.mid for ticket in tickets]))

        def offer(message: MqttMessage, ticket: MqttTicket) -> None:
            now = self._clock.now()
            items = tuple(decoder.receive(message, now)) if driver.claims(message.topic) else ()
            intake.offer(Arrival(items, now, ticket))

        intake = self._intake(Source(name, name, driver.grouping), acknowledge)
        client_id = f"hearthline-{self._config.gateway}-{name}"
        session = LocalSession(name, client_id, config, driver.subscriptions, offer, forget)
        self._sessions.append(session)

    def _intake(self, source: Source, on_taken: Any) -> Intake:
        intake = Intake(
            source,
            self._custody,
            self._config.role,
            on_events=self._committed,
            on_packs=self._packed,
            on_unstored=self._unstored,
            on_taken=on_taken or _nothing,
        )
        self._intakes.append(intake)
        return intake

    # --- what the parts tell each other ---

    def _committed(self, rows: list[EventRow]) -> None:
        urgent = any(row.urgent for row in rows)
        if rows:
            self._uplink.woken(alarm=urgent)
        if urgent:
            self._home.look()

    def _packed(self, packs: int) -> None:
        self._packs_taken += packs
        self._uplink.woken()

    def _unstored(self, source: str, presses: list[Stamp]) -> None:
        self._home.unstored(source, presses)
        self._stored_fault = "outbox: the disk is full or broken, alarms cannot be stored" if presses else ""
        self._uplink.status_changed()

    def _reset(self, message: MqttMessage, ticket: MqttTicket) -> None:
        self._sessions[0].acknowledge([ticket])
        if not message.retained:
            log.warning("local output reset at home")
            self._custody.submit(lambda ob: ob.silence_alarms()).add_done_callback(lambda _: self._home.look())

    async def _commanded(self, command: wire.Command) -> None:
        result = "done"
        if command.type == "signal" and command.signal == HomeSignal.ACCEPTED:
            result = "done" if await self._home.accepted(command.event) else "unknown-event"
        elif command.type == "test":
            self._home.test()
        else:
            result = "unknown"
        data = {"command": command.id, "result": result}
        now = self._clock.now()
        rows = await self._custody.submit(
            lambda ob: ob.append_event(EventType.ANSWER, self._config.gateway, data, now, urgent=False)
        )
        self._committed([rows])

    def _publish_home(self, topic: str, payload: bytes) -> None:
        if self._sessions:
            self._sessions[0].publish(topic, payload)

    # --- chores ---

    async def _wake_old_alarms(self) -> None:
        waiting = await self._custody.submit(lambda ob: ob.events(1, urgent_only=True))
        self._uplink.woken(alarm=bool(waiting))

    async def _chores(self) -> None:
        """Every few seconds: the clock's meaning, chattering buttons, the ballast, the watchdog."""
        interval = min(watchdog_interval_s() or _CHORES_S, _CHORES_S)
        while True:
            now = self._clock.now()
            with contextlib.suppress(StorageError):
                self._committed(await self._custody.submit(lambda ob, now=now: _chore(ob, now)))  # type: ignore[misc]
            restored = await asyncio.to_thread(self._custody.outbox.restore_ballast)
            if self._ballast_gone == restored:
                self._ballast_gone = not restored
                self._uplink.status_changed()
            per_hour = self._packs_taken * 3600 / interval
            self._packs_per_hour += (per_hour - self._packs_per_hour) * _RATE_SMOOTHING
            self._packs_taken = 0
            notify("WATCHDOG=1")
            await asyncio.sleep(interval)

    async def _status(self) -> wire.Status:
        now = self._clock.now()
        rate = self._packs_per_hour
        event, telemetry, counters = await self._custody.submit(
            lambda ob: (ob.lane_status(Lane.EVENT, now), ob.lane_status(Lane.TELEMETRY, now, rate), ob.counters())
        )
        refusals = {name.removeprefix("refused:"): n for name, n in counters.items() if name.startswith("refused:")}
        return wire.Status(
            state="online",
            version=__version__,
            outbox=self._custody.outbox.id,
            bootid=now.boot,
            clock="synced" if now.synced else "free",
            mono=str(now.mono_ns),
            time=rfc3339(now.wall_ns),
            event=event,
            telemetry=telemetry,
            faults=self._faults(event.depth),
            refusals=refusals,
        )

    def _faults(self, event_depth: int) -> list[str]:
        faults = [port.fault for port in self._ports] + [session.fault for session in self._sessions]
        faults += [*self._home.faults, self._stored_fault]
        if self._ballast_gone:
            faults.append("outbox: the disk is nearly full, the ballast for alarms is in use")
        if event_depth > WARN_EVENT_DEPTH:
            faults.append(f"outbox: {event_depth} events wait for the center")
        lost = sum(intake.readings_lost for intake in self._intakes)
        if lost:
            faults.append(f"outbox: {lost} readings could not be stored since the start")
        return [fault for fault in faults if fault]


def _chore(outbox: Outbox, now: Stamp) -> list[EventRow]:
    if now.synced:
        outbox.remember_synced_clock(now)
    return take_chatter(outbox, now)


def _nothing(*_: Any) -> None:
    return None


async def run_agent(config: EdgeConfig) -> None:
    """Run one gateway until SIGTERM or SIGINT. Raises ConfigError when the outbox must not be touched."""
    outbox = Outbox(Path(config.data_dir), config.telemetry_max_mb * 1024 * 1024)
    agent = Agent(config, outbox, SystemClock(config.clock.trust), random.Random())
    running = asyncio.ensure_future(agent.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running
