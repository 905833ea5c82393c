"""One gateway: the real agent with its real outbox, drivers and ports, over a simulated disk, clock and network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from hearthline import wire
from hearthline.clock import NS, Stamp
from hearthline.model import EventType, HomeSignal, Lane, Reading
from hearthline_edge.agent import Agent, Outside
from hearthline_edge.config import (
    EdgeConfig,
    LocalMqttConfig,
    SerialConfig,
    SirenConfig,
    UplinkConfig,
)
from hearthline_edge.home import reset_topic, signal_topic
from hearthline_edge.outbox import EventRow, PackRow
from hearthline_edge.serial_port import SerialPort
from simulation.clients import GatewayClient, HomeEars, LocalClient, NoControl
from simulation.disk import Book, Disk, LoopCustody, WatchedOutbox
from simulation.network import Broker, Delivery, Weather
from simulation.process import Process
from simulation.trace import EPOCH_NS, Trace

METER = "000012345678"
METER_DEVICE = f"dlt645:{METER}"  # whose every reading has a value of its own
SIREN = "zigbee2mqtt/siren"
EVENT_BOUND, PACK_BOUND = 32, 8
_SETTLED_S = 4.0
_LOCAL_S = 0.02  # within which the home has heard all that a killed agent had told


class GatewayClock:
    """Wall clock with its error, monotonic clock and boot id of the running boot."""

    def __init__(self, trace: Trace, name: str) -> None:
        self._trace = trace
        self._name = name
        self.boots: dict[str, float] = {}  # boot id -> true time of its beginning
        self.synced_boots: set[str] = set()
        self.error_s = 0.0
        self.synced = True
        self.boot = ""
        self.reboot()

    def reboot(self) -> None:
        self.boot = f"{self._name}-boot-{len(self.boots) + 1}"
        self.boots[self.boot] = self._trace.now() - 20.0

    def now(self) -> Stamp:
        now = self._trace.now()
        if self.synced:
            self.synced_boots.add(self.boot)
        mono_ns = round((now - self.boots[self.boot]) * NS)
        return Stamp(EPOCH_NS + round((now + self.error_s) * NS), mono_ns, self.boot, self.synced)

    def true_ns(self, boot: str, mono_ns: int) -> int:
        return EPOCH_NS + round(self.boots[boot] * NS) + mono_ns


class Line:
    """A serial line of the home; nobody may be listening at it."""

    def __init__(self) -> None:
        self.port: SerialPort | None = None
        self.answer: Callable[[bytes], None] = lambda data: None

    def emit(self, data: bytes) -> None:
        if self.port is not None:
            self.port.data_received(data)


class _Transport(asyncio.Transport):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def write(self, data: Any) -> None:
        self._line.answer(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self._line.port = None


class LinePort(SerialPort):
    """The product's port, open from the start, on a line of the simulation."""

    def __init__(self, lines: dict[str, Line], *arguments: Any) -> None:
        super().__init__(*arguments)
        self._at = lines[self.name]

    async def run(self) -> None:
        transport = _Transport(self._at)
        self._at.port = self
        self.connection_made(transport)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._stop_asking()
            if self._at.port is self:
                self._at.port = None


@dataclass(slots=True)
class Committed:
    """An event that the outbox has committed."""

    row: EventRow
    pressed_at: float  # by the true clock, what its stamp means
    at: float
    left_at: float | None = None  # let go
    in_cloud_at: float | None = None
    on_lost_card: bool = False


class Truth:
    """What the center has, asked of its database and store themselves."""

    def has_event(self, gateway: str, event_id: str) -> bool:
        raise NotImplementedError

    def has_pack(self, gateway: str, pack: PackRow) -> bool:
        raise NotImplementedError

    def is_accepted(self, gateway: str, event_id: str) -> bool:
        raise NotImplementedError


class Gateway(Book):
    """A home's gateway and what it committed. `start`, `kill`, `stop`; the nemeses do the rest."""

    def __init__(self, trace: Trace, name: str, folder: Path, center: Broker, truth: Truth, telemetry_kb: int) -> None:
        self.id = name
        self.trace = trace
        self.center = center
        self.truth = truth
        self.folder = folder
        self.telemetry_kb = telemetry_kb
        self.rng = trace.rng(f"{name}:agent")
        self.clock = GatewayClock(trace, name)
        self.disk = Disk(trace.rng(f"{name}:disk"))
        self.lines = {"radio": Line(), "meter": Line()}
        self.local = Broker(trace, f"{name}/local", Weather((0.0005, 0.004)), trace.rng(f"{name}:local"))
        self.process: Process | None = None
        self.agent: Agent | None = None
        self.alive_since = 0.0
        self.incarnation = 0
        self.cards = 0
        self.events: dict[str, Committed] = {}
        self.readings: list[tuple[Reading, int, float, str, int]] = []  # reading, true time, commit, boot, SD card
        self.dropped_values: set[float] = set()
        self._gone: dict[Lane, set[int]] = {lane: set() for lane in Lane}  # of this SD card
        self.siren_on = False
        self.reset_at = -1.0
        self._received: dict[str, float] = {}  # when the home was told so last
        self.whole_since: float | None = None
        self.on_signal: Callable[[dict[str, Any]], None] = lambda signal: None
        self.on_agent: Callable[[Agent], None] = lambda agent: None  # where a mutation is planted
        self._in_flight: dict[Lane, set[int]] = {lane: set() for lane in Lane}
        self.most_in_flight: dict[Lane, int] = dict.fromkeys(Lane, 0)
        topics = [f"{SIREN}/set", signal_topic(name)]
        HomeEars(self.local, Process("home"), f"{name}-home", topics, trace.rng(f"{name}:home"), self._heard_at_home)

    # --- life ---

    def config(self) -> EdgeConfig:
        options = {"meters": [METER], "interval_s": 8.0, "items": ["02030000"]}
        return EdgeConfig(
            gateway=self.id,
            data_dir=str(self.folder),
            uplink=UplinkConfig(host="center"),
            local_mqtt=LocalMqttConfig(),
            serial=[
                SerialConfig(name="radio", port="radio", driver="enocean-esp3"),
                SerialConfig(name="meter", port="meter", driver="dlt645-2007", options=options),
            ],
            siren=[SirenConfig(kind="zigbee", target=SIREN)],
            gather_s=0.2,  # the less waits, the more meets a fault
        )

    def start(self) -> None:
        if self.process is not None and self.process.alive:
            return
        self.incarnation += 1
        process = self.process = Process(f"{self.id}#{self.incarnation}")
        self.trace.note(self.id, f"agent starts, {self.clock.boot}, {'synced' if self.clock.synced else 'free'}")
        folder = self.folder / f"card{self.cards}"
        folder.mkdir(exist_ok=True)
        with (folder / "ballast").open("ab") as file:
            file.truncate(16 * 1024 * 1024)
        outbox = WatchedOutbox(folder, self.disk, self, self.telemetry_kb * 1024)
        outside = Outside(
            custody=lambda outbox: LoopCustody(outbox, self.disk, process),
            client=partial(GatewayClient, self.center, process, self._watch),  # type: ignore[arg-type]
            local_session=partial(LocalClient, self.local, process, self.rng),  # type: ignore[arg-type]
            serial_port=partial(LinePort, self.lines),
            control=NoControl,
        )
        self.agent = Agent(self.config(), outbox, self.clock, self.rng, outside)
        self.on_agent(self.agent)
        process.on_kill(self._died)
        self.alive_since = self.trace.now()
        process.run(self.agent.run())

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def _died(self) -> None:
        self.trace.note(self.id, "agent killed")

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.alive and not self.process.stopping

    def new_card(self) -> None:
        """Another SD card: what the old one holds is out of reach."""
        assert not self.alive
        self.cards += 1
        self._gone = {lane: set() for lane in Lane}
        for committed in self.events.values():
            if committed.left_at is None:
                committed.on_lost_card = True

    # --- the book ---

    def committed(self, rows: list[EventRow], packs: list[tuple[Sequence[tuple[Reading, int]], Stamp]]) -> None:
        now = self.trace.now()
        for row in rows:
            pressed_at = (self.clock.true_ns(row.stamp.boot, row.stamp.mono_ns) - EPOCH_NS) / NS
            self.events[row.id] = Committed(row, pressed_at, now)
            self.trace.note(self.id, f"commits {self.trace.name(row.id, 'e')} {row.type} {row.device} seq {row.seq}")
        for pack, base in packs:
            for reading, offset_ns in pack:
                if reading.device != METER_DEVICE:
                    continue
                true_ns = self.clock.true_ns(base.boot, base.mono_ns + offset_ns)
                self.readings.append((reading, true_ns, now, base.boot, self.cards))
            self.trace.note(self.id, f"commits a pack of {len(pack)}")

    def leaves(self, lane: Lane, rows: list[Any]) -> None:
        """Custody is given up: the cloud must have it."""
        for row in rows:
            self._gone[lane].add(row.seq)
            if isinstance(row, EventRow):
                self.trace.note(self.id, f"lets go {self.trace.name(row.id, 'e')}")
                if not self.truth.has_event(self.id, row.id):
                    self.trace.breaks(f"{self.id} gives up an event that the center's database does not have")
                self.events[row.id].left_at = self.trace.now()
            elif isinstance(row, PackRow) and not self.truth.has_pack(self.id, row):
                self.trace.breaks(f"{self.id} gives up a pack that the time-series store does not have")

    def dropped(self, pack: PackRow) -> None:
        """The bound of the telemetry lane: counted, and no longer owed."""
        self.trace.note(self.id, f"drops a pack of {len(pack.readings)}")
        self._in_flight[Lane.TELEMETRY].discard(pack.seq)
        self._gone[Lane.TELEMETRY].add(pack.seq)
        self.dropped_values |= {reading.value for reading, _ in pack.readings}

    # --- the home ---

    def _heard_at_home(self, delivery: Delivery) -> None:
        if delivery.topic == f"{SIREN}/set":
            on = msgspec.json.decode(delivery.payload)["warning"]["mode"] != "stop"
            if on != self.siren_on:
                self.trace.note(self.id, f"siren {'on' if on else 'off'}")
            self.siren_on = on
        elif delivery.topic == signal_topic(self.id):
            signal = msgspec.json.decode(delivery.payload)
            self.trace.note(self.id, f"home hears {signal['signal']} {self.trace.name(signal['event'], 'e')}")
            self._check_signal(signal)
            if signal["signal"] == HomeSignal.RECEIVED:
                self._received[signal["event"]] = self.trace.now()
            self.on_signal(signal)

    def _check_signal(self, signal: dict[str, Any]) -> None:
        if signal["signal"] == HomeSignal.RECEIVED and not self.truth.has_event(self.id, signal["event"]):
            self.trace.breaks(f"{self.id}: 'received' for an event that the center's database does not have")
        if signal["signal"] == HomeSignal.ACCEPTED and not self.truth.is_accepted(self.id, signal["event"]):
            self.trace.breaks(f"{self.id}: 'accepted' for an event that no person has taken")

    def reset_at_home(self) -> None:
        if self.local.running:
            self.reset_at = self.trace.now()
            self.local.route(reset_topic(self.id), b"", 1)

    @property
    def home_is_linked(self) -> bool:
        session = self.local.sessions.get(f"hearthline-{self.id}-home")
        linked = session is not None and session.connection is not None and self.local.running
        return linked and self.trace.now() - session.connection.since > _SETTLED_S  # type: ignore[union-attr]

    def is_here(self, committed: Committed) -> bool:
        """Whether it lies in the outbox that the gateway has now."""
        return committed.left_at is None and not committed.on_lost_card

    def is_pending(self, committed: Committed) -> bool:
        """Whether the home must hear of it, once it is old enough."""
        heard = committed.row.id in self._received
        return self.is_here(committed) and not heard and committed.at > self.reset_at

    def may_sound(self, committed: Committed) -> bool:
        """Pending; or an agent that was killed before the removal was committed had told "received". The next one
        cannot know, and trusts its outbox: a sound too many until the center has told it again, never one too few.
        """
        told_at = self._received.get(committed.row.id, self.alive_since)
        by_another = told_at < self.alive_since + _LOCAL_S
        return self.is_here(committed) and by_another and committed.at > self.reset_at

    def packs_waiting(self) -> int:
        if self.agent is None or not self.alive:
            return 0
        return self.agent._custody.outbox._telemetry_depth

    def check_taken(self, device: str, at: float, until: float) -> None:
        """A press that was heard by an agent and a disk in order is an event."""
        ailing = not self.alive or self.alive_since > at - 1 or self.disk.mode != "whole" or self.disk.since > at - 10
        taken = any(
            each.row.device == device and at - 1e-6 <= each.pressed_at <= until + 0.01 for each in self.emergencies()
        )
        if not ailing and not taken:
            self.trace.breaks(f"{self.id}: {device} pressed at {at:.3f} s was heard and made no event")

    def emergencies(self) -> list[Committed]:
        return [each for each in self.events.values() if each.row.type == EventType.ALARM]

    # --- the uplink, as the broker's end of the line sees it ---

    def _watch(self, client_id: str, way: str, topic: str, payload: bytes) -> None:
        if client_id != self.id:
            return  # the second line only repeats
        if topic.endswith(wire.UP_EVENT):
            self._fly(Lane.EVENT, wire.read_envelope(Lane.EVENT, payload), EVENT_BOUND)
        elif topic.endswith(wire.UP_TELEMETRY):
            self._fly(Lane.TELEMETRY, wire.read_envelope(Lane.TELEMETRY, payload), PACK_BOUND)
        elif way == "down" and topic.endswith(wire.DOWN_ACK):
            ack = wire.decode_ack(payload)
            for lane, ranges in ((Lane.EVENT, ack.event), (Lane.TELEMETRY, ack.telemetry)):
                for low, high in [*(ranges or ()), *ack.refused]:
                    self._in_flight[lane] -= set(range(low, high + 1))
        elif way == "new":
            for seqs in self._in_flight.values():
                seqs.clear()

    def _fly(self, lane: Lane, envelope: tuple[str, int] | None, bound: int) -> None:
        assert envelope is not None
        flying = self._in_flight[lane]
        flying.add(envelope[1])
        flying -= self._gone[lane]  # dropped meanwhile to make room, or a repeat that its acknowledgement has crossed
        self.most_in_flight[lane] = max(self.most_in_flight[lane], len(flying))
        if len(flying) > bound:
            self.trace.breaks(f"{self.id}: {len(flying)} records of the lane {lane} in flight, not {bound}")
