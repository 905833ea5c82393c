"""Buses, push meters and RFLink sticks on their serial lines.

A bus answers in its port's own thread, as it is half duplex; what pushes by itself has an agenda.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Protocol

from hearthline_sim.agenda import Agenda
from hearthline_sim.devices import dlt645_meter, dsmr_meter, mbus_meter, modbus_meter, rflink_stick, sml_meter
from hearthline_sim.devices.bus import Answer, Bus, BusMeter, LineFaults, Value
from hearthline_sim.devices.dlt645_meter import Dlt645Meter, MeterState
from hearthline_sim.devices.dsmr_meter import DsmrMeter
from hearthline_sim.devices.emission import Burst
from hearthline_sim.devices.mbus_meter import Counters, MbusMeter
from hearthline_sim.devices.modbus_meter import Load, ModbusMeter
from hearthline_sim.devices.rflink_stick import RflinkStick, Weather
from hearthline_sim.devices.sml_meter import HOLLEY, ITRON_LOCKED, SmlMeter
from hearthline_sim.family_config import BusConfig, BusMeterConfig, PushMeterConfig, RflinkConfig, RflinkSensorConfig
from hearthline_sim.ledger import Ledger, SentReading
from hearthline_sim.loads import Loads
from hearthline_sim.notice import OnSent, Sensor
from hearthline_sim.port import PtyPort

_LOOK_S = 0.05  # how often a push meter looks whether somebody listens


class _AsBusMeter:
    """A DL/T 645 meter in the words of a bus."""

    def __init__(self, meter: Dlt645Meter) -> None:
        self.device = meter.device
        self._meter = meter

    def receive(self, data: bytes) -> tuple[Answer, ...]:
        return tuple(
            Answer(reply.burst, (Value(self.device, reply.quantity, reply.value),) if reply.quantity else ())
            for reply in self._meter.receive(data)
        )


class BusLine:
    """One port and the meters on its wires."""

    def __init__(self, config: BusConfig, rng: Random, loads: Loads, ledger: Ledger) -> None:
        self._ledger = ledger
        meters = [_bus_meter(config, meter, Random(rng.getrandbits(64)), loads) for meter in config.meters]
        self.devices = [meter.device for meter in meters]
        self._bus = Bus(meters, rng, LineFaults(config.glitch_rate, config.half_frame_rate, config.echo))
        baudrate, bits = {
            "modbus": (modbus_meter.BAUDRATE, modbus_meter.BITS_PER_BYTE),
            "dlt645": (dlt645_meter.BAUDRATE, dlt645_meter.BITS_PER_BYTE),
            "mbus": (mbus_meter.BAUDRATE, mbus_meter.BITS_PER_BYTE),
        }[config.kind]
        self.port = PtyPort(Path(config.path), bits, config.baudrate or baudrate, self._received)

    def close(self) -> None:
        self.port.close()

    def _received(self, data: bytes) -> None:
        for answer in self._bus.receive(data):
            time.sleep(answer.burst.after_s)
            sent = self.port.transmit(answer.burst.data)
            if sent.heard:
                _record(self._ledger, answer.values, sent.wall_ns)


def _bus_meter(config: BusConfig, meter: BusMeterConfig, rng: Random, loads: Loads) -> BusMeter:
    kwh, watts, volts = loads.energy_kwh, loads.power_w, loads.voltage_v
    total = meter.total
    if config.kind == "modbus":
        device = f"modbus:{config.name}:{meter.address}"
        return ModbusMeter(
            device,
            modbus_meter.model(meter.model),
            int(meter.address),
            rng,
            lambda: Load(watts(), volts(), total + kwh()),
            error_rate=meter.error_rate,
            dead=meter.dead,
        )
    if config.kind == "dlt645":

        def state() -> MeterState:
            power, voltage = watts(), volts()
            return MeterState(total + kwh(), voltage, power / voltage, power)

        device_645 = Dlt645Meter(
            meter.address, rng, state, slow_first=True, error_rate=meter.error_rate, dead=meter.dead
        )
        return _AsBusMeter(device_645)
    rate = 0.18 if meter.model == "water" else 1.0  # m3/h of an open tap; heat and electricity as drawn
    return MbusMeter(
        mbus_meter.medium(meter.model),
        meter.manufacturer,
        meter.address,
        meter.primary,
        rng,
        lambda: Counters(total + kwh() * rate, rate if meter.model == "water" else watts(), volts()),
        dead=meter.dead,
    )


class _PushMeter(Protocol):
    def __call__(self) -> tuple[bytes, tuple[Value, ...]]: ...


class PushLine:
    """A meter that pushes. Who opens the port hears the rest of a telegram first, and then whole ones."""

    def __init__(
        self, config: PushMeterConfig, rng: Random, loads: Loads, ledger: Ledger, failed: Callable[[], None]
    ) -> None:
        self._rng = rng
        self._ledger = ledger
        self._broken_rate = config.broken_rate
        self._checked = config.kind == "sml" or config.version != "2.2"
        self._push: _PushMeter
        if config.kind == "dsmr":
            self._push = _dsmr(config, loads)
            usual_s, baudrate, bits = (
                dsmr_meter.PERIODS_S[config.version],
                dsmr_meter.BAUDRATES[config.version],
                dsmr_meter.BITS_PER_BYTE,
            )
        else:
            self._push = _sml(config, loads)
            usual_s, baudrate, bits = 2.0, sml_meter.BAUDRATE, sml_meter.BITS_PER_BYTE
        self._interval_s = config.interval_s or usual_s
        self._listened = False
        self._agenda = Agenda(f"push {config.name}", failed)
        self.port = PtyPort(Path(config.path), bits, config.baudrate or baudrate)
        self._agenda.after(0, self._go_on)

    def close(self) -> None:
        self._agenda.stop()
        self.port.close()

    def _go_on(self) -> None:
        listening = self.port.listening
        if listening:
            self._tell(begins=not self._listened)
        self._listened = listening
        self._agenda.after(self._interval_s if listening else _LOOK_S, self._go_on)

    def _tell(self, *, begins: bool) -> None:
        data, values = self._push()
        if begins:
            data, values = data[self._rng.randrange(1, len(data)) :], ()
        elif self._rng.random() < self._broken_rate:
            data, values = self._damaged(data), ()
        sent = self.port.transmit(data)
        if sent.heard:
            _record(self._ledger, values, sent.wall_ns)

    def _damaged(self, data: bytes) -> bytes:
        """A flipped bit where a checksum finds it, else a telegram cut short."""
        at = self._rng.randrange(len(data) // 4, len(data) // 2)
        return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :] if self._checked else data[:at]


def _dsmr(config: PushMeterConfig, loads: Loads) -> _PushMeter:
    meter = DsmrMeter(config.version, config.id, gas_id=config.gas_id)

    def push() -> tuple[bytes, tuple[Value, ...]]:
        energy, kw = config.total + loads.energy_kwh(), round(loads.power_w() / 1000, 3)
        volts = round(loads.voltage_v(), 1)
        phases = (round(kw / 3, 3), round(kw / 3, 3), round(kw / 3, 3))
        decimals = 2 if config.version == "5" else 0
        amps = round(kw * 1000 / 3 / volts, decimals)
        shown = dsmr_meter.Display(
            clock=datetime.now().astimezone().replace(tzinfo=None),
            import_kwh=(round(energy * 0.4, 3), round(energy * 0.6, 3)),
            power_kw=kw,
            voltages=(volts, volts, volts),
            currents=(amps, amps, amps),
            powers_kw=phases,
            gas_m3=round(energy / 10, 3),
        )
        return meter.push(shown)

    return push


def _sml(config: PushMeterConfig, loads: Loads) -> _PushMeter:
    meter = SmlMeter(
        config.id, maker="ITR" if config.locked else "HLY", layout=ITRON_LOCKED if config.locked else HOLLEY
    )
    return lambda: meter.push(sml_meter.Display((config.total + loads.energy_kwh()) * 1000, loads.power_w()))


class RflinkLine:
    """The stick and what it hears."""

    def __init__(
        self, config: RflinkConfig, rng: Random, loads: Loads, ledger: Ledger, failed: Callable[[], None]
    ) -> None:
        self._loads = loads
        self._ledger = ledger
        self._agenda = Agenda(f"rflink {config.name}", failed)
        self._stick = RflinkStick(rng)
        self.port = PtyPort(Path(config.path), rflink_stick.BITS_PER_BYTE, config.baudrate, self._received)
        self.sensors = [
            Sensor(rflink_device(pir.protocol, pir.id), ("motion", ""), pir.every_s, partial(self._moved, pir))
            for pir in config.pirs
        ]
        self._agenda.after(0, lambda: self.port.send(self._stick.greet()))
        for weather in config.weather:
            self._agenda.after(weather.every_s, partial(self._report, weather))

    def press(self, protocol: str, id_: str, switch: str, sent: OnSent) -> None:
        self._agenda.after(0, lambda: self._send(self._stick.key(protocol, id_, switch), sent))

    def close(self) -> None:
        self._agenda.stop()
        self.port.close()

    def _moved(self, pir: RflinkSensorConfig, _active: bool, sent: OnSent) -> None:
        self._agenda.after(0, lambda: self._send(self._stick.motion(pir.protocol, pir.id), sent))

    def _send(self, bursts: Iterable[Burst], sent: OnSent) -> None:
        first, *rest = bursts
        told = self.port.transmit(first.data)
        sent(told.wall_ns, told.heard)
        self._later(rest)

    def _report(self, config: RflinkSensorConfig) -> None:
        shown = Weather(round(self._loads.celsius(), 1), 47)
        device = rflink_device(config.protocol, config.id)
        told = self.port.transmit(self._stick.weather(config.protocol, config.id, shown))
        if told.heard:
            values = (Value(device, "temperature", shown.celsius), Value(device, "humidity", shown.humidity))
            _record(self._ledger, values, told.wall_ns)
        self._agenda.after(config.every_s, partial(self._report, config))

    def _received(self, data: bytes) -> None:
        self._later(self._stick.receive(data))

    def _later(self, bursts: Iterable[Burst]) -> None:
        for burst in bursts:
            self._agenda.after(burst.after_s, partial(self.port.send, burst.data))


def rflink_device(protocol: str, id_: str) -> str:
    return f"rflink:{protocol.lower()}:{id_.lower()}"


def _record(ledger: Ledger, values: Iterable[Value], wall_ns: int) -> None:
    for value in values:
        ledger.reading(SentReading(value.device, value.quantity, value.value, wall_ns))
