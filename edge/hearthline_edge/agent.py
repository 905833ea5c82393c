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
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt

from hearthline import wire
from hearthline.clock import Clock, Stamp, SystemClock, rfc3339
from hearthline.errors import StorageError
from hearthline.log import Log
from hearthline.model import BOUND, DEVICES, Lane
from hearthline.service import notify, watchdog_interval_s
from hearthline_edge import self_test
from hearthline_edge.arrival import Arrival, MqttTicket, RoleOf, Source
from hearthline_edge.binding import Binding
from hearthline_edge.cancelling import take_cancel
from hearthline_edge.config import EdgeConfig, SerialConfig
from hearthline_edge.control import SOCKET, ControlSocket, Conversation
from hearthline_edge.custody import Custody
from hearthline_edge.devices import DeviceNote, Item, MqttDriver, MqttMessage, SerialDriver, find_drivers
from hearthline_edge.expecting import Expecting
from hearthline_edge.home import Home, reset_topic
from hearthline_edge.home_orders import HomeOrders
from hearthline_edge.hops import Hops, Sight
from hearthline_edge.intake import EventIntake, ReadingIntake, lost_faults
from hearthline_edge.link import LinkClient
from hearthline_edge.local_devices import LANE, LocalDevices, OnMessage
from hearthline_edge.local_mqtt import LocalSession
from hearthline_edge.obeying import Obeying
from hearthline_edge.outbox import WARN_EVENT_DEPTH, EventRow, Outbox
from hearthline_edge.overhearing import Overhearing
from hearthline_edge.pack_rate import PackRate
from hearthline_edge.profile_mqtt import mqtt_driver
from hearthline_edge.remote import ORDERS, Host, Remote, Start
from hearthline_edge.serial_port import SerialPort
from hearthline_edge.siren import open_sirens
from hearthline_edge.taking import take_chatter
from hearthline_edge.update_telling import UpdateTelling
from hearthline_edge.uplink import Ears, Uplink
from hearthline_edge.versions import own_version, own_versions
from hearthline_edge.wallet import Wallet

_CHORES_S = 5.0
_ANSWER_S = 2.0  # for the outbox, when the status is told
log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Outside:
    """What the agent reaches the world with: its disk's thread, the center's broker, its own broker, its ports."""

    custody: Callable[[Outbox], Custody] = Custody
    client: Callable[..., aiomqtt.Client] = LinkClient
    local_session: Callable[..., LocalSession] = LocalSession
    serial_port: Callable[..., SerialPort] = SerialPort
    control: Callable[..., ControlSocket] = ControlSocket


class Agent:
    """One gateway. Create it inside its event loop."""

    def __init__(
        self,
        config: EdgeConfig,
        outbox: Outbox,
        clock: Clock,
        rng: random.Random,
        outside: Outside | None = None,
        start: Start | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._outside = outside or Outside()
        self._custody = self._outside.custody(outbox)
        self._drivers = find_drivers() | {driver.name: driver for driver in map(mqtt_driver, config.mqtt_profiles)}
        self._events: list[EventIntake] = []
        self._readings: list[ReadingIntake] = []
        self._ports: list[SerialPort] = []
        self._sessions: list[LocalSession] = []
        self._ballast_gone = False
        self._told_faults: list[str] = []
        self._packs = PackRate()
        sirens = open_sirens(config.siren, self._order_siren)
        after_s = config.local_alarm_after_s
        self._home = Home(config.gateway, self._custody, clock, sirens, self._publish_home, after_s)
        self._hops, self._overhearing = Hops(), Overhearing(config.gateway)
        self._binding = Binding(config, self._custody, clock, self._committed, self._tell_of_faults)
        self._expecting = Expecting(config.gateway, self._custody, clock, self._committed, self._binding.has)
        self._obeying = Obeying(config.gateway, self._custody, clock, self._committed)
        ears = Ears(self._received, self._home.refused, self._home.look, self._obeying.take, self._status, self._sent)
        wallet = Wallet(config.uplink, Path(config.data_dir))
        reach = (config.gateway, config.uplink, self._custody, clock, ears, rng, wallet)
        self._uplink = Uplink(*reach, self._outside.client, config.gather_s)
        versions = own_versions()
        self._update = (
            None if versions is None else UpdateTelling(config, versions, self._custody, clock, self._committed)
        )
        host = Host(self._committed, self._own_faults, self._status, self._begin_anew, self._has_unstored)
        self._remote = Remote(config, start or Start(), self._custody, clock, host)
        self._running: asyncio.Task[None] | None = None
        self.begins_anew = False  # once it has stopped: for a changed configuration
        self.ended_s = 0.0
        self._self_test = self._event_intake(self_test.SOURCE, _nothing, self_test.role_of)
        self._obeying.handlers |= HomeOrders(
            config.gateway, self._custody, clock, self._home, self._self_test, self._uplink.woken, self._overhearing.hop
        ).handlers
        self._obeying.handlers |= dict.fromkeys(ORDERS, self._remote.take)
        self._obeying.handlers |= {BOUND: self._binding.bound, DEVICES: self._binding.devices}
        orders = {"state": self._state, "hear": self._overhearing.hear, "follow": self._overhearing.follow}
        orders |= {"bind": self._binding.bind, "unbind": self._binding.unbind}
        orders |= {"expect": self._expecting.expect, "tell": self._expecting.tell}
        self._control = self._outside.control(Path(config.data_dir) / SOCKET, orders)
        for port in config.serial:
            self._add_port(port)
        if config.local_mqtt is not None:
            self._add_local_sessions()

    async def run(self) -> None:
        """Run until cancelled, or until a changed configuration wants another run; then stop cleanly."""
        self._running = asyncio.current_task()
        await self._wake_old_alarms()
        for session in self._sessions:
            session.start()
        try:
            async with asyncio.TaskGroup() as group:
                for events in self._events:
                    group.create_task(events.run())
                for readings in self._readings:
                    group.create_task(readings.run())
                for port in self._ports:
                    group.create_task(port.run())
                for session in self._sessions:
                    group.create_task(session.failed())
                group.create_task(self._home.run())
                group.create_task(self._uplink.run(self._config.status_period_s))
                group.create_task(self._uplink.second.run())
                group.create_task(self._chores())
                group.create_task(self._live())
                group.create_task(self._control.run())
                group.create_task(self._binding.run())
                if self._update is not None:
                    group.create_task(self._update.run())
                group.create_task(self._remote.run())
                if self._config.metrics is not None:
                    from hearthline_edge import metrics  # its library is in memory only where it is wanted

                    group.create_task(metrics.serve(self._config.metrics, self._look))
                notify("READY=1")
                log.info("agent running", gateway=self._config.gateway, outbox=self._custody.outbox.id)
        finally:
            await asyncio.gather(*(session.stop() for session in self._sessions))
            for events in self._events:  # what came after their run
                events.leave()
            for readings in self._readings:
                readings.leave()
            await self._custody.stop()
            log.info("agent stopped")

    # --- wiring ---

    def _add_port(self, port: SerialConfig) -> None:
        driver = self._drivers[port.driver]
        assert isinstance(driver, SerialDriver)
        session = driver.open_session(port.options, port.name)
        source = Source(port.name, driver.name, driver.grouping)
        events, readings = self._event_intake(source, _nothing), self._reading_intake(source, _nothing)

        def offer(items: tuple[Item, ...], now: Stamp) -> None:
            arrival = Arrival(items, now)
            if (of_events := arrival.events()).items:
                events.offer(of_events)
            if (of_readings := arrival.readings()).items:
                readings.offer(of_readings)

        def tell_fault(fault: str, now: Stamp) -> None:
            kind, detail = ("port-lost", fault) if fault else ("port-back", f"port {port.name} is there again")
            offer((DeviceNote(self._config.gateway, kind, detail),), now)

        made = self._outside.serial_port(
            port.name, port.port, port.line(driver), session, self._clock, offer, tell_fault
        )
        self._ports.append(made)

    def _add_local_sessions(self) -> None:
        gateway, config = self._config.gateway, self._config.local_mqtt
        assert config is not None

        def open_session(
            name: str, topics: tuple[str, ...], on_message: OnMessage, on_lost: Callable[[], None]
        ) -> LocalSession:
            client_id = f"hearthline-{gateway}-{name}"
            session = self._outside.local_session(name, client_id, config, topics, on_message, on_lost)
            self._sessions.append(session)
            return session

        open_session("home", (reset_topic(gateway),), self._reset, _nothing)
        events = self._event_intake(LANE, lambda tickets: devices.taken(tickets))
        readings = self._reading_intake(LANE, lambda tickets: devices.taken_readings(tickets))
        drivers = [driver for driver in self._drivers.values() if isinstance(driver, MqttDriver)]
        devices = LocalDevices(
            drivers, config.options, self._clock, self._custody, open_session, events.offer, readings.offer
        )

    def _event_intake(
        self, source: Source, on_taken: Callable[[list[MqttTicket]], None], role_of: RoleOf | None = None
    ) -> EventIntake:
        roles = role_of or self._binding.role
        intake = EventIntake(source, self._custody, roles, self._committed, self._unstored, on_taken)
        intake.cancel_window_s, intake.overheard = self._config.cancel_window_s, self._overhearing.arrived
        intake.mark_of = self._expecting.mark_of
        self._events.append(intake)
        return intake

    def _reading_intake(self, source: Source, on_taken: Callable[[list[MqttTicket]], None]) -> ReadingIntake:
        intake = ReadingIntake(source, self._custody, self._packed, on_taken, self._config.gather_s)
        intake.overheard = self._overhearing.arrived
        self._readings.append(intake)
        return intake

    # --- what the parts tell each other ---

    def _committed(self, rows: list[EventRow]) -> None:
        now = self._clock.now()
        self._hops.committed(rows, now)
        urgent = any(row.urgent for row in rows)
        if rows:
            self._uplink.woken(alarm=urgent)
        if urgent:
            self._home.look()
        self._overhearing.committed(rows, now)
        self._expecting.told(rows)

    def _received(self, rows: list[EventRow]) -> None:
        now = self._clock.now()
        self._hops.acknowledged(rows, now)
        self._home.received(rows)
        for row in rows:
            self._overhearing.hop("received", row.id, now)
        self._remote.received(rows)

    def _sent(self, row: EventRow) -> None:
        now = self._clock.now()
        self._hops.sent(row, now)
        self._overhearing.hop("sent", row.id, now)

    def _packed(self, packs: int) -> None:
        self._packs.taken += packs
        self._uplink.woken()

    def _unstored(self, source: str, presses: list[Stamp]) -> None:
        self._home.unstored(source, presses)
        self._uplink.status_changed()

    def _reset(self, message: MqttMessage, ticket: MqttTicket | None) -> None:
        if ticket is not None:
            self._sessions[0].acknowledge([ticket])
        if not message.retained:
            now = self._clock.now()
            log.warning("local output reset at home")
            self._home.reset(now)
            taking = self._custody.submit(lambda ob: self._take_reset(ob, now), urgent=True)
            taking.add_done_callback(self._reset_taken)

    def _take_reset(self, outbox: Outbox, now: Stamp) -> EventRow | None:
        """In the custody's thread: the outputs are silent, and a press of the last seconds is taken back."""
        outbox.silence_alarms(now)
        facts = {"receiver": "reset"}
        return take_cancel(outbox, self._binding.role, None, self._config.cancel_window_s, now, facts)

    def _reset_taken(self, done: asyncio.Future[EventRow | None]) -> None:
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            log.error("reset not stored", error=str(error))
        elif (cancel := done.result()) is not None:
            self._committed([cancel])

    def _has_unstored(self) -> bool:
        return any(events.fault for events in self._events)

    def _begin_anew(self) -> None:
        if self._running is not None and not self._running.cancelling():
            self.begins_anew = True
            self.ended_s = time.monotonic()
            self._running.cancel()

    def _publish_home(self, topic: str, payload: bytes) -> None:
        if self._sessions:
            self._sessions[0].publish(topic, payload)

    def _order_siren(self, topic: str, payload: bytes) -> bool:
        return bool(self._sessions) and self._sessions[0].publish_now(topic, payload)

    # --- chores ---

    async def _wake_old_alarms(self) -> None:
        with contextlib.suppress(StorageError):
            waiting = await self._custody.submit(lambda ob: ob.events(1, urgent_only=True))
            self._uplink.woken(alarm=bool(waiting))

    async def _chores(self) -> None:
        """Every few seconds what needs the disk: the clock's meaning, chattering buttons, the ballast."""
        while True:
            now = self._clock.now()
            try:
                self._committed(await self._custody.submit(lambda ob, now=now: _chore(ob, now)))  # type: ignore[misc]
            except StorageError as error:
                log.error("chores not stored", error=str(error))
            restored = await asyncio.to_thread(self._custody.outbox.ballast.restore)
            if self._ballast_gone == restored:
                self._ballast_gone = not restored
                self._uplink.status_changed()
            await asyncio.sleep(_CHORES_S)

    async def _live(self) -> None:
        """Every few seconds what needs no disk: a restart for a disk that stalls would silence the home."""
        interval = min(watchdog_interval_s() or _CHORES_S, _CHORES_S)
        while True:
            self._packs.tick(self._clock.now())
            self._tell_of_faults()
            notify("WATCHDOG=1")
            await asyncio.sleep(interval)

    async def _status(self) -> wire.Status:
        now = self._clock.now()
        status = wire.Status(
            state="online",
            version=own_version() if self._update is None else self._update.version,
            outbox=self._custody.outbox.id,
            bootid=now.boot,
            clock="synced" if now.synced else "free",
            mono=str(now.mono_ns),
            time=rfc3339(now.wall_ns),
            hops=self._hops.to_tell(now),
        )
        rate = self._packs.per_hour
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._uplink.landed.leave()
                event, status.telemetry, counters = await self._custody.submit(
                    lambda ob: (
                        ob.lane_status(Lane.EVENT, now),
                        ob.lane_status(Lane.TELEMETRY, now, rate),
                        ob.counters(),
                    )
                )
        except (StorageError, TimeoutError) as error:
            status.faults = [*self._faults(0), f"outbox: cannot be read: {str(error) or 'the disk does not answer'}"]
            return status
        status.refusals = {name[8:]: count for name, count in counters.items() if name.startswith("refused:")}
        status.event, status.faults = event, self._faults(event.depth)
        return status

    async def _state(self, order: dict[str, Any], client: Conversation) -> None:
        status, link = await self._status(), {"connected": self._uplink.connected, "fault": self._uplink.fault}
        lanes = {"event": status.event, "telemetry": status.telemetry}
        about = {"gateway": self._config.gateway, "version": status.version, "link": link, "lanes": lanes}
        client.say({**about, "faults": status.faults, "devices": self._binding.view(self._overhearing.last_heard)})

    async def _look(self) -> Sight:
        durations = {
            "commit_seconds": ("A commit of the outbox", self._custody.commits),
            "alarm_kept_seconds": ("From an alarm's telegram to its being on the disk", self._hops.kept),
            "alarm_received_seconds": ("From its telegram to the center's word that it has it", self._hops.received),
        }
        return Sight(await self._status(), self._uplink.connected, durations)

    def _tell_of_faults(self) -> None:
        """A fault that has come or gone is told at once, not with the next status in half a minute."""
        faults = self._faults(0)
        if faults != self._told_faults:
            self._told_faults = faults
            self._uplink.status_changed()

    def _own_faults(self) -> list[str]:
        """Of what the configuration names: profiles, ports, the local broker, local outputs."""
        faults = [*self._config.faults, *(port.fault for port in self._ports)]
        faults += [session.fault for session in self._sessions] + self._home.faults
        return [fault for fault in faults if fault]

    def _faults(self, event_depth: int) -> list[str]:
        faults = [events.fault for events in self._events] + [readings.fault for readings in self._readings]
        faults += [self._uplink.fault, self._control.fault, "" if self._update is None else self._update.fault]
        faults = [fault for fault in faults if fault]
        faults += self._own_faults() + self._binding.faults
        faults += self._uplink.renewal.faults(self._clock.now())
        if self._ballast_gone:
            faults.append("outbox: the disk is nearly full, what room there is, is kept for alarms; free space")
        faults += [f"outbox: was damaged and set aside as {name}" for name in self._custody.outbox.damaged]
        if event_depth > WARN_EVENT_DEPTH:
            faults.append(f"outbox: {event_depth} events wait for the center")
        return faults + lost_faults(self._events, self._readings)


def _chore(outbox: Outbox, now: Stamp) -> list[EventRow]:
    outbox.look_for_damaged()
    if now.synced:
        outbox.remember_synced_clock(now)
        outbox.forget_received(now)
    return take_chatter(outbox, now)


def _nothing(*_: Any) -> None:
    return None


async def run_agent(config: EdgeConfig, start: Start) -> float | None:
    """Run one gateway until SIGTERM or SIGINT: None; or until another configuration wants a new run: since when.

    Raises ConfigError when the outbox must not be touched.
    """
    outbox = Outbox(Path(config.data_dir), config.telemetry_max_mb * 1024 * 1024, patient=True)
    try:
        agent = Agent(config, outbox, SystemClock(config.clock.trust), random.Random(), start=start)
    except BaseException:  # whatever it is: another run may begin in this process
        outbox.close()
        raise
    loop = asyncio.get_running_loop()
    running = loop.create_task(agent.run())

    def stop() -> None:
        notify("STOPPING=1")
        agent.begins_anew = False
        if not running.cancelling():  # a second signal must not cut short what the first one began
            running.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return agent.ended_s if agent.begins_anew else None
