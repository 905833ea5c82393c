"""Devices that reach the home's broker: SOS buttons and fobs, sensors, plugs, Bluetooth cuffs.

They live on the home's agenda and publish through `Air`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from random import Random

from hearthline.model import ButtonRole
from hearthline_sim.agenda import Agenda
from hearthline_sim.devices.ble import BluButton, CuffHabits, GattCuff
from hearthline_sim.devices.bus import Value
from hearthline_sim.devices.emission import Publish
from hearthline_sim.devices.lorawan_button import LorawanButton
from hearthline_sim.devices.raycome_cuff import UNSET_CLOCK, Vitals
from hearthline_sim.devices.rtl433 import Ev1527Fob, LeakSensor, Rtl433, X10Contact
from hearthline_sim.devices.shelly_em import ShellyEm, ShellyInput
from hearthline_sim.devices.shelly_plug import ShellyPlug
from hearthline_sim.devices.tasmota import RfFob, TasmotaPlug
from hearthline_sim.devices.zigbee_sensor import WORDS, ZigbeePlug, ZigbeeSensor, bridge_state
from hearthline_sim.devices.zigbee_sos import ZigbeeSos
from hearthline_sim.family_config import FobConfig, GattCuffConfig, PlugConfig, SensorConfig
from hearthline_sim.home_config import HomeConfig, SosConfig
from hearthline_sim.ledger import Ledger, SentReading, Vital
from hearthline_sim.lines import Caller, Tell
from hearthline_sim.loads import Loads
from hearthline_sim.notice import OnSent, Sensor

Announce = Callable[[], Iterable[Publish]]
Report = Callable[[int], tuple[tuple[Publish, ...], tuple[Value, ...]]]  # at a wall time


@dataclass(frozen=True, slots=True)
class Air:
    """How a message leaves: `publish` says whether the broker was there, and tells when it has acknowledged."""

    publish: Callable[[Publish, Callable[[int], None]], bool]
    agenda: Agenda

    def send(self, messages: Iterable[Publish], sent: OnSent) -> None:
        """The messages of one happening, the first at once; `sent` hears of that one."""
        first, *rest = messages
        if not self.publish(first, lambda wall_ns: sent(wall_ns, True)):
            sent(time.time_ns(), False)
        self.later(rest)

    def later(self, messages: Iterable[Publish]) -> None:
        for message in messages:
            self.agenda.after(message.after_s, partial(self.publish, message, _nothing))


class Wireless:
    """All of a home's devices at the broker. `rng`: of a device, by its name."""

    def __init__(
        self, config: HomeConfig, air: Air, rng: Callable[[str], Random], loads: Loads, ledger: Ledger, tell: Tell
    ) -> None:
        self._air = air
        self._rng = rng
        self._loads = loads
        self._ledger = ledger
        self._tell = tell
        self._zigbee_up = True
        self._zigbee = Air(lambda message, told: self._zigbee_up and air.publish(message, told), air.agenda)
        self._announcements: list[Announce] = []
        self._resets: dict[str, Callable[[], None]] = {}
        self._reports: list[Report] = []
        dialects = [button.dialect for button in config.sos]
        dialects += [sensor.dialect for sensor in config.sensors if sensor.kind == "z2m"]
        self._dialect = dialects[0] if dialects else None
        self.sos = [self._sos(button) for button in config.sos]
        self.fobs = [self._fob(fob) for fob in config.fobs]
        self.sensors = [self._sensor(sensor) for sensor in config.sensors]
        for plug in config.plugs:
            self._plug(plug)
        self._cuffs = [(self._gatt_cuff(cuff), cuff) for cuff in config.gatt_cuffs]

    def greet(self) -> None:
        """The broker is there (again): who announces itself does so, and what measures reports."""
        if self._dialect is not None and self._zigbee_up:
            self._air.later((bridge_state("online", self._dialect),))
        for announce in self._announcements:
            messages = tuple(announce())
            zigbee = messages[0].topic.startswith("zigbee2mqtt/")
            (self._zigbee if zigbee else self._air).later(messages)
        self.report()

    def report(self) -> None:
        """Every meter tells its values."""
        for report in self._reports:
            messages, values = report(time.time_ns())
            *before, last = messages
            air = self._zigbee if values[0].device.startswith("z2m:") else self._air
            air.later(before)
            air.publish(last, partial(self._record, values))

    @property
    def has_zigbee(self) -> bool:
        return self._dialect is not None

    def turn_zigbee(self, on: bool) -> None:
        """Stop or start Zigbee2MQTT, through which nothing passes meanwhile."""
        self._zigbee_up = on
        if on:
            self.greet()
        elif self._dialect is not None:
            self._air.later((bridge_state("offline", self._dialect),))

    def reset(self, device: str) -> bool:
        """Set a plug's counter to zero, as its app can; false when it has none that can be."""
        reset = self._resets.get(device)
        if reset is not None:
            reset()
        return reset is not None

    def measure(self) -> bool:
        """Use the Bluetooth cuffs; false when there is none."""
        for cuff, config in self._cuffs:
            clock = datetime.now().astimezone().replace(tzinfo=None)
            if config.clock != "right":
                clock = UNSET_CLOCK if config.clock == "unset" else clock + timedelta(days=731)
            message, vitals = cuff.measure(clock)
            self._air.send((message,), partial(self._measured, cuff.device, vitals))
        return bool(self._cuffs)

    def _measured(self, device: str, vitals: Vitals, wall_ns: int, heard: bool) -> None:
        vital = Vital(device, vitals.systolic, vitals.diastolic, vitals.pulse, wall_ns, heard)
        self._ledger.vital(vital)
        told = ("device", "sys", "dia", "pulse", "sent_wall_ns", "heard")
        self._tell("vital", **{name: getattr(vital, name) for name in told})

    def _record(self, values: tuple[Value, ...], wall_ns: int) -> None:
        for value in values:
            self._ledger.reading(SentReading(value.device, value.quantity, value.value, wall_ns))

    # --- buttons ----------------------------------------------------------------------------------------------

    def _sos(self, config: SosConfig) -> Caller:
        button = ZigbeeSos(
            config.name,
            self._rng(config.name),
            dialect=config.dialect,
            battery=config.battery,
            last_seen=config.last_seen,
            retain=config.retain,
        )
        self._announcements.append(lambda: button.announce(time.time_ns()))
        actions = {ButtonRole.EMERGENCY: config.emergency, ButtonRole.SERVICE: config.service}
        press = self._sending(lambda key: button.press(key, time.time_ns()), self._zigbee)
        return Caller(button.device, actions, press)

    def _fob(self, config: FobConfig) -> Caller:
        rng, heard_by = self._rng(config.id), config.heard_by
        press: Callable[[str], tuple[Publish, ...]]
        match config.kind:
            case "rtl433":
                fob = Ev1527Fob(config.id, rng, Rtl433(*heard_by[:1]))
                device, press = fob.device, lambda key: fob.press(key, time.time_ns())
            case "tasmota":
                remote = RfFob((*heard_by, "rfbridge")[0], config.id, rng, report=config.report)
                device, press = remote.device, lambda key: remote.press(key, time.time_ns())
            case "theengs":
                blu = BluButton(config.id, heard_by or ("gateway",), rng)
                device, press = blu.device, blu.press
            case "chirpstack":
                lora = LorawanButton(config.id, rng, gateways=heard_by or ("0016c001f153a14c", "0016c001f153a14d"))
                self._announcements.append(lambda: lora.join(time.time_ns()))
                device, press = lora.device, lambda key: lora.press(key, time.time_ns())
            case "shelly":
                module = ShellyInput(config.id)
                self._announcements.append(lambda: (module.online(),))
                device, press = module.device, lambda key: module.press(key, time.time_ns())
        return Caller(device, {role: config.key(role) for role in ButtonRole}, self._sending(press, self._air))

    @staticmethod
    def _sending(press: Callable[[str], tuple[Publish, ...]], air: Air) -> Callable[[str, OnSent], None]:
        return lambda key, sent: air.send(press(key), sent)

    # --- sensors, meters, cuffs -------------------------------------------------------------------------------

    def _sensor(self, config: SensorConfig) -> Sensor:
        rng = self._rng(config.name)
        if config.kind == "z2m":
            sensor = ZigbeeSensor(config.name, config.sense, rng, dialect=config.dialect, attributes=config.attributes)
            self._announcements.append(sensor.announce)
            tell = partial(self._notice, self._zigbee, sensor.happen)
            return Sensor(sensor.device, WORDS[config.sense], config.every_s, tell)
        if config.sense == "leak":
            leak = LeakSensor(config.name, Rtl433())
            tell = partial(self._notice, self._air, lambda _active: leak.leak(time.time_ns()))
            return Sensor(leak.device, ("leak", ""), config.every_s, tell)
        contact = X10Contact(config.name, Rtl433())
        tell = partial(self._notice, self._air, lambda active: contact.report(active, time.time_ns()))
        return Sensor(contact.device, WORDS["door"], config.every_s, tell)

    @staticmethod
    def _notice(air: Air, happen: Callable[[bool], tuple[Publish, ...]], active: bool, sent: OnSent) -> None:
        air.send(happen(active), sent)

    def _plug(self, config: PlugConfig) -> None:
        rng, watts, watt_hours = self._rng(config.id), self._loads.plug_power_w, self._loads.plug_energy_wh
        match config.kind:
            case "shelly":
                plug = ShellyPlug(config.id, rng, watts, watt_hours)
                self._announcements.append(lambda: (plug.online(),))
                self._reports.append(plug.report)
                self._resets[plug.device] = lambda: plug.reset_counter(time.time_ns())
            case "shelly-em":
                meter = ShellyEm(config.id, rng)
                self._announcements.append(lambda: (meter.online(),))
                self._reports.append(lambda now: meter.status(watts(now), watt_hours(now)))
            case "tasmota":
                tasmota = TasmotaPlug(config.id, rng, phases=config.phases)
                self._announcements.append(lambda: (tasmota.online(),))
                self._reports.append(lambda now: tasmota.status(watts(now), watt_hours(now) / 1000, now))
            case "z2m":
                zigbee = ZigbeePlug(config.id, rng)
                self._reports.append(lambda now: zigbee.status(watts(now), watt_hours(now) / 1000))

    def _gatt_cuff(self, config: GattCuffConfig) -> GattCuff:
        return GattCuff(config.bridge, config.mac, self._rng(config.mac), CuffHabits(kpa=config.kpa))


def _nothing(_wall_ns: int) -> None:
    """Nobody waits for this acknowledgement."""
