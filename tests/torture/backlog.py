"""What a gateway gathers without a link: hours on a virtual clock, by real drivers and intake, in a real outbox.

    boot-a   the clock runs free for its first quarter, then it is synchronised .... re-timed, or synced from the start
    boot-b   1970, never synchronised ............................................. estimated
    (now)    the boot of this machine, free until the agent says that it is synced . re-timed

Devices' bytes come from the simulator, which knows nothing of the drivers; what it says was sent is the ledger.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from hearthline.clock import NS, Stamp
from hearthline_edge.arrival import Arrival, Source
from hearthline_edge.devices import Driver, Item, MqttDriver, MqttMessage, SerialDriver, find_drivers
from hearthline_edge.outbox import Outbox
from hearthline_edge.taking import take_events, take_readings
from hearthline_sim.devices.dlt645_meter import BAUDRATE, BITS_PER_BYTE, Dlt645Meter, MeterReply, MeterState
from hearthline_sim.devices.emission import Publish
from hearthline_sim.devices.enocean_pendant import Button, EnoceanPendant
from hearthline_sim.devices.load_curve import LoadCurve
from hearthline_sim.devices.raycome_cuff import RaycomeCuff, Vitals
from hearthline_sim.devices.shelly_plug import ShellyPlug
from hearthline_sim.devices.zigbee_sos import ZigbeeSos

MINUTE_NS = 60 * NS
METER = "000000000161"
PLUGS = tuple(f"shellyplusplugs-{number:012x}" for number in range(4))
PENDANTS = ("002EE196", "002EE197", "002EE198")
PRESSES, VITALS, NOTES = 36, 18, 12  # about; in 72 h, or as many in less
_JAN_1970_NS = 30 * 24 * 3600 * NS  # where a clock without a battery began


@dataclass(frozen=True, slots=True)
class Boot:
    """One life of the gateway in true time. `free_until_ns`: when its clock was synchronised, if ever."""

    id: str
    began_ns: int
    from_ns: int
    to_ns: int
    free_until_ns: int

    def stamp(self, true_ns: int) -> Stamp:
        mono_ns = true_ns - self.began_ns
        if true_ns >= self.free_until_ns:
            return Stamp(true_ns, mono_ns, self.id, True)
        return Stamp(_JAN_1970_NS + mono_ns, mono_ns, self.id, False)


@dataclass(slots=True)
class Told:
    """What the devices said and when it truly was: the ledger of the backlog."""

    presses: list[tuple[str, int, int]] = field(default_factory=list)  # device, ordinal, true ns
    vitals: list[tuple[int, int, int, int]] = field(default_factory=list)  # systolic, diastolic, pulse, true ns
    notes: list[tuple[str, int]] = field(default_factory=list)
    changes: list[tuple[str, int]] = field(default_factory=list)  # device, true ns
    readings: dict[tuple[str, str], list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    boots: list[Boot] = field(default_factory=list)
    last_in_boot_ns: dict[str, int] = field(default_factory=dict)

    @property
    def hours(self) -> float:
        """How long something was heard; between the last two boots there may be a pause."""
        return sum(boot.to_ns - boot.from_ns for boot in self.boots) / NS / 3600

    @property
    def reading_count(self) -> int:
        return sum(map(len, self.readings.values()))

    @property
    def event_count(self) -> int:
        return len(self.presses) + len(self.vitals) + len(self.notes) + len(self.changes)

    def boot_at(self, true_ns: int) -> Boot:
        return next(boot for boot in reversed(self.boots) if boot.from_ns <= true_ns)

    def shift_ns(self, boot: Boot) -> int:
        """How much later than the truth an estimate is: how long the power was off, nobody knows."""
        if boot is self.boots[-1] or boot.free_until_ns <= boot.to_ns:
            return 0
        return boot.to_ns - self.last_in_boot_ns[boot.id]


def plan_boots(hours: float, now: Stamp) -> list[Boot]:
    """Three boots that end now; the last is this machine's own, as long as it has been up, at most half an hour."""
    span_ns = round(hours * 3600 * NS)
    booted_ns = now.wall_ns - now.mono_ns
    recent_ns = min(now.mono_ns // 2, span_ns // 4, 30 * MINUTE_NS)
    last_ns = span_ns // 3
    first_ns = span_ns - last_ns - recent_ns
    restart_ns = booted_ns - last_ns
    start_ns = restart_ns - first_ns
    return [
        Boot("boot-a", start_ns - 3600 * NS, start_ns, restart_ns, start_ns + first_ns // 4),
        Boot("boot-b", restart_ns, restart_ns, booted_ns, 2**62),
        Boot(now.boot, booted_ns, now.wall_ns - recent_ns, now.wall_ns, 2**62),
    ]


class BacklogHome:
    """A meter and four plugs every 60 s: 8 packs with 24 readings a minute; some dozens of events in all."""

    def __init__(self, outbox: Outbox, seed: int, hours: float) -> None:
        self._minutes = hours * 60
        self._outbox = outbox
        self._rng = random.Random(seed)
        self._drivers = find_drivers()
        self._curves = [LoadCurve(seed + number) for number in range(len(PLUGS) + 1)]
        self._epoch_ns = 0
        self.told = Told()
        self._ordinals: Counter[str] = Counter()
        self._true_ns = 0

    def live(self, boots: Iterable[Boot]) -> Told:
        """Fill the outbox with everything that these boots heard."""
        self.told.boots = list(boots)
        self._epoch_ns = self.told.boots[0].from_ns
        self._make_devices()
        for boot in self.told.boots:
            self._open_sessions()
            minutes = (boot.to_ns - boot.from_ns) // MINUTE_NS
            for first in range(0, minutes, 60):
                with self._outbox.transaction():  # of an hour: the rows are those of single commits, only sooner there
                    now = boot.stamp(boot.from_ns + first * MINUTE_NS)
                    if now.synced:
                        self._outbox.remember_synced_clock(now)  # as the agent's chores do
                    for minute in range(first, min(first + 60, minutes)):
                        self._live_minute(boot, boot.from_ns + minute * MINUTE_NS)
        return self.told

    def _make_devices(self) -> None:
        rng = self._rng
        self._meter = Dlt645Meter(METER, rng, self._meter_state)
        self._plugs = [
            ShellyPlug(plug, rng, partial(self._watts, number), partial(self._watt_hours, number))
            for number, plug in enumerate(PLUGS)
        ]
        self._pendants = [EnoceanPendant(sender, rng, false_start_rate=0.0) for sender in PENDANTS]
        self._sos = ZigbeeSos("SOS 1", rng)
        self._cuff = RaycomeCuff(rng, error_rate=0.0)

    def _open_sessions(self) -> None:
        """A boot, so a new agent: its drivers remember nothing."""
        drivers = self._drivers
        options = {"dlt645-2007": {"meters": [METER]}}
        self._serial = {
            name: driver.open_session(options.get(name, {}), name)
            for name, driver in drivers.items()
            if isinstance(driver, SerialDriver)
        }
        self._mqtt = {
            name: driver.open_session({}) for name, driver in drivers.items() if isinstance(driver, MqttDriver)
        }
        self._switched: set[str] = set()  # plugs whose state the agent has told
        self._lost: set[str] = set()

    def _live_minute(self, boot: Boot, at_ns: int) -> None:
        self._poll_meter(boot, at_ns)
        for number, plug in enumerate(self._plugs):
            self._hear_plug(boot, plug, at_ns + (5 + number) * NS)
        is_first = at_ns == boot.from_ns  # each boot has one of each
        if self._happens(PRESSES, is_first):
            self._press(boot, at_ns + 20 * NS)
        if self._happens(VITALS, is_first):
            self._measure(boot, at_ns + 25 * NS)
        if self._happens(NOTES, is_first):
            self._lose_a_plug(boot, at_ns + 50 * NS)

    def _happens(self, in_all: int, surely: bool) -> bool:
        return self._rng.random() < in_all / self._minutes or surely

    def _poll_meter(self, boot: Boot, at_ns: int) -> None:
        session = self._serial["dlt645-2007"]
        for _ in range(40):
            request, wait_s = session.next_request(boot.stamp(at_ns))
            for reply in self._answers(request, at_ns):
                data = reply.burst.data
                at_ns += round((reply.burst.after_s + len(data) * BITS_PER_BYTE / BAUDRATE) * NS)
                self._take("dlt645-2007", boot, at_ns, session.receive(data, boot.stamp(at_ns)))
                assert reply.quantity is not None
                self._say(self._meter.device, reply.quantity, at_ns, reply.value)
            if not request:
                if wait_s > 1:
                    return
                at_ns += round(wait_s * NS)

    def _answers(self, request: bytes, at_ns: int) -> Iterable[MeterReply]:
        self._true_ns = at_ns
        return self._meter.receive(request) if request else ()

    def _hear_plug(self, boot: Boot, plug: ShellyPlug, at_ns: int) -> None:
        status = plug.status(at_ns)
        self._hear("shelly-gen2", boot, at_ns, status.message)
        if plug.device in self._lost:
            self.told.notes.append((plug.device, at_ns))  # it is back
        if plug.device not in self._switched:
            self.told.changes.append((plug.device, at_ns))
        self._lost.discard(plug.device)
        self._switched.add(plug.device)
        for quantity, value in status.readings.items():
            self._say(plug.device, quantity, at_ns, value)
        self._say(plug.device, "temperature", at_ns, json.loads(status.message.payload)["temperature"]["tC"])

    def _press(self, boot: Boot, at_ns: int) -> None:
        choice = self._rng.randrange(len(self._pendants) + 1)
        if choice == len(self._pendants):
            device = self._sos.device
            for message in self._sos.press("emergency", at_ns):
                moment = at_ns + round(message.after_s * NS)
                self._hear("zigbee2mqtt", boot, moment, message)
                self._say_state(device, moment, message.payload)
        else:
            pendant = self._pendants[choice]
            device = pendant.device
            session = self._serial["enocean-esp3"]
            for burst in pendant.press(self._rng.choice((Button.AO, Button.BI))).bursts:
                moment = at_ns + round(burst.after_s * NS)
                self._take("enocean-esp3", boot, moment, session.receive(burst.data, boot.stamp(moment)))
        self._ordinals[device] += 1
        self.told.presses.append((device, self._ordinals[device], at_ns))

    def _say_state(self, device: str, at_ns: int, payload: bytes) -> None:
        """What a Zigbee button's report tells beside the press; its action as plain text tells nothing more."""
        state = json.loads(payload) if payload.startswith(b"{") else {}
        for attribute, quantity in (("battery", "battery"), ("linkquality", "link_quality")):
            if state.get(attribute) is not None:
                self._say(device, quantity, at_ns, float(state[attribute]))

    def _measure(self, boot: Boot, at_ns: int) -> None:
        now = datetime.fromtimestamp(at_ns / NS, UTC).replace(tzinfo=None)
        number = len(self.told.vitals)
        vitals = Vitals(110 + number % 50, 60 + number % 50, 55 + number % 41)  # of 2050, no two alike
        burst = self._cuff.measure(now, vitals).end
        session = self._serial["raycome-bp"]
        self._take("raycome-bp", boot, at_ns, session.receive(burst.data, boot.stamp(at_ns)))
        self.told.vitals.append((vitals.systolic, vitals.diastolic, vitals.pulse, at_ns))

    def _lose_a_plug(self, boot: Boot, at_ns: int) -> None:
        plug = self._rng.choice(PLUGS)
        self._hear("shelly-gen2", boot, at_ns, Publish(0.0, f"{plug}/online", b"false"))
        self.told.notes.append((f"shelly:{plug}", at_ns))
        self._lost.add(f"shelly:{plug}")

    def _hear(self, driver: str, boot: Boot, at_ns: int, message: Publish) -> None:
        heard = MqttMessage(message.topic, message.payload, False)
        self._take(driver, boot, at_ns, self._mqtt[driver].receive(heard, boot.stamp(at_ns)))

    def _take(self, name: str, boot: Boot, at_ns: int, items: Iterable[Item]) -> None:
        driver: Driver = self._drivers[name]
        source = Source(name, name, driver.grouping)
        arrival = Arrival(tuple(items), boot.stamp(at_ns))
        take_events(self._outbox, source, [arrival.events()], lambda device, button: "emergency")
        take_readings(self._outbox, source, [arrival.readings()])
        self.told.last_in_boot_ns[boot.id] = max(at_ns, self.told.last_in_boot_ns.get(boot.id, 0))

    def _say(self, device: str, quantity: str, at_ns: int, value: float) -> None:
        self.told.readings[device, quantity].append((at_ns, value))

    def _second(self, true_ns: int) -> float:
        return max((true_ns - self._epoch_ns) / NS, 0.0)

    def _watts(self, number: int, true_ns: int) -> float:
        return self._curves[number].power_w(self._second(true_ns))

    def _watt_hours(self, number: int, true_ns: int) -> float:
        return self._curves[number].energy_wh(self._second(true_ns))

    def _meter_state(self) -> MeterState:
        watts = self._watts(len(PLUGS), self._true_ns)
        kwh = self._watt_hours(len(PLUGS), self._true_ns) / 1000
        return MeterState(1234.0 + kwh, 230.0, watts / 230.0, watts)


def build_backlog(outbox: Outbox, hours: float, now: Stamp, seed: int) -> Told:
    """`hours` without a link, ending `now`, into an open outbox."""
    return BacklogHome(outbox, seed, hours).live(plan_boots(hours, now))
