"""Serial devices on their lines: a port, the device behind it, and an agenda for what it says later.

Each says what left it to the ledger and to `tell`, the stream of happenings.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Protocol

from hearthline.model import ButtonRole
from hearthline_sim.agenda import Agenda
from hearthline_sim.devices import dlt645_meter, enocean_sensor
from hearthline_sim.devices.dlt645_meter import Dlt645Meter, MeterState
from hearthline_sim.devices.emission import Burst
from hearthline_sim.devices.enocean_pendant import Button, EnoceanPendant, Receiver
from hearthline_sim.devices.output import OutputChange
from hearthline_sim.devices.raycome_cuff import Measurement, RaycomeCuff, Vitals
from hearthline_sim.devices.serial_relay import SerialRelay
from hearthline_sim.home_config import CuffConfig, MeterConfig, RadioConfig, RelayConfig, ThermometerConfig
from hearthline_sim.ledger import Ledger, SentReading, Vital
from hearthline_sim.loads import Loads
from hearthline_sim.notice import OnSent, Sensor
from hearthline_sim.port import PtyPort, Sent

_8N1 = 10
_NOTIFY_S = 0.015  # between two Bluetooth notifications
_HOP_S = 0.012  # a repeater's copy comes so much later


class Tell(Protocol):
    """Where happenings go: a kind and its facts."""

    def __call__(self, kind: str, **facts: object) -> None: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Something with buttons: what each role's button is called, and how to press it."""

    device: str
    buttons: dict[ButtonRole, str]
    send: Callable[[str, OnSent], None]


class RadioLine:
    """The receiver that hears pendants, contacts and thermometers."""

    def __init__(
        self, config: RadioConfig, rng: Random, loads: Loads, ledger: Ledger, failed: Callable[[], None]
    ) -> None:
        self.pendants = {
            pendant.sender.upper(): EnoceanPendant(
                pendant.sender,
                Random(rng.getrandbits(64)),
                max_copies=config.max_copies,
                false_start_rate=config.false_start_rate,
            )
            for pendant in config.pendants
        }
        self._agenda = Agenda(f"radio {config.name}", failed)
        self._receiver = Receiver()
        self._loads = loads
        self._ledger = ledger
        self._hops = Random(rng.getrandbits(64))
        self._max_copies = config.max_copies
        self.port = PtyPort(Path(config.path), _8N1, config.baudrate, self._received)
        self.sensors = [
            Sensor(
                f"enocean:{contact.sender.upper()}",
                ("open", "closed"),
                contact.every_s,
                partial(self._swung, contact.sender),
            )
            for contact in config.contacts
        ]
        for thermometer in config.thermometers:
            self._agenda.after(thermometer.every_s, partial(self._teach_and_report, thermometer))

    def press(self, sender: str, button: Button, sent: OnSent) -> None:
        """Put a press on the air. `sent` is told when the last byte of its first telegram was on the line."""
        first, *rest = self.pendants[sender].press(button).bursts
        self._agenda.after(first.after_s, lambda: sent(*self._transmit(first)))
        for burst in rest:
            self._later(burst)

    def close(self) -> None:
        self._agenda.stop()
        self.port.close()

    def _swung(self, sender: str, active: bool, sent: OnSent) -> None:
        self._agenda.after(0, lambda: self._send_contact(bytes.fromhex(sender), active, sent))

    def _send_contact(self, sender: bytes, active: bool, sent: OnSent) -> None:
        """The telegram and its repeaters' copies, with more hops and other levels."""
        copies = self._hops.randint(1, self._max_copies)
        levels = [self._hops.randint(-92, -45) for _ in range(copies)]
        first, *rest = (
            Burst(hops * _HOP_S, enocean_sensor.contact(sender, closed=not active, hops=hops, dbm=dbm))
            for hops, dbm in enumerate(levels)
        )
        sent(*self._transmit(first))
        for burst in rest:
            self._later(burst)

    def _teach_and_report(self, config: ThermometerConfig) -> None:
        """A thermometer's installer presses its learn button once: nothing else names its profile."""
        if self._transmit(Burst(0.0, enocean_sensor.temperature_teach_in(bytes.fromhex(config.sender))))[1]:
            self._report(config)
        else:
            self._agenda.after(config.every_s, partial(self._teach_and_report, config))

    def _report(self, config: ThermometerConfig) -> None:
        telegram, celsius = enocean_sensor.temperature(bytes.fromhex(config.sender), self._loads.celsius())
        wall_ns, heard = self._transmit(Burst(0.0, telegram))
        if heard:
            self._ledger.reading(SentReading(f"enocean:{config.sender.upper()}", "temperature", celsius, wall_ns))
        self._agenda.after(config.every_s, partial(self._report, config))

    def _received(self, data: bytes) -> None:
        for burst in self._receiver.receive(data):
            self._later(burst)

    def _later(self, burst: Burst) -> None:
        self._agenda.after(burst.after_s, partial(self.port.send, burst.data))

    def _transmit(self, burst: Burst) -> tuple[int, bool]:
        sent = self.port.transmit(burst.data)
        return sent.wall_ns, sent.heard


class CuffLine:
    """The cuff: measures when the elder or the host says so, one measurement at a time."""

    def __init__(self, config: CuffConfig, rng: Random, ledger: Ledger, tell: Tell, failed: Callable[[], None]) -> None:
        self.device = f"raycome:{config.name}"
        self._ledger = ledger
        self._tell = tell
        self._agenda = Agenda(f"cuff {config.name}", failed)
        self._current: Measurement | None = None
        self._notify_bytes = config.notify_bytes
        self._cuff = RaycomeCuff(
            rng,
            battery_mv=config.battery_mv,
            clock=config.clock,
            error_rate=config.error_rate,
            measure_s=config.measure_s,
            version=config.version,
        )
        self.port = PtyPort(Path(config.path), _8N1, config.baudrate, self._received)

    def measure(self, vitals: Vitals | None = None) -> None:
        """Start a measurement, unless one runs."""
        self._agenda.after(0, lambda: self._begin(vitals))

    def close(self) -> None:
        self._agenda.stop()
        self.port.close()

    def _received(self, data: bytes) -> None:
        self._agenda.after(0, lambda: self._obey(data))

    def _obey(self, data: bytes) -> None:
        answers, start = self._cuff.receive(data)
        for answer in answers:
            self._agenda.after(answer.after_s, partial(self.port.send, answer.data))
        if self._cuff.stopped:
            self._current = None
        if start:
            self._begin(None)

    def _begin(self, vitals: Vitals | None) -> None:
        if self._current is not None:
            return
        measurement = self._cuff.measure(datetime.now().astimezone(), vitals)
        self._current = measurement
        live = measurement.live[:-1] if self._notify_bytes else measurement.live
        for burst in live:
            self._agenda.after(burst.after_s, partial(self._live, measurement, burst))
        self._agenda.after(measurement.end.after_s, lambda: self._end(measurement))

    def _transmit_end(self, measurement: Measurement) -> Sent:
        """The frame that ends it; by Bluetooth together with the last pressure, in notifications."""
        if not self._notify_bytes:
            return self.port.transmit(measurement.end.data)
        data = measurement.live[-1].data + measurement.end.data
        pieces = [data[at : at + self._notify_bytes] for at in range(0, len(data), self._notify_bytes)]
        for piece in pieces[:-1]:
            self.port.send(piece)
            time.sleep(_NOTIFY_S)
        return self.port.transmit(pieces[-1])

    def _live(self, measurement: Measurement, burst: Burst) -> None:
        if self._current is measurement:
            self.port.send(burst.data)

    def _end(self, measurement: Measurement) -> None:
        if self._current is not measurement:
            return
        self._current = None
        sent = self._transmit_end(measurement)
        got = measurement.vitals
        if got is None:
            self._tell("cuff_error", device=self.device, code=measurement.error, sent_wall_ns=sent.wall_ns)
            return
        vital = Vital(self.device, got.systolic, got.diastolic, got.pulse, sent.wall_ns, sent.heard)
        self._ledger.vital(vital)
        self._tell(
            "vital",
            device=vital.device,
            sys=vital.sys,
            dia=vital.dia,
            pulse=vital.pulse,
            sent_wall_ns=vital.sent_wall_ns,
            heard=vital.heard,
        )


class MeterLine:
    """The meter, which answers in the port's own thread: the bus is half duplex."""

    def __init__(self, config: MeterConfig, rng: Random, state: Callable[[], MeterState], ledger: Ledger) -> None:
        self._ledger = ledger
        self._meter = Dlt645Meter(
            config.address,
            rng,
            state,
            glitch_rate=config.glitch_rate,
            half_frame_rate=config.half_frame_rate,
            echo=config.echo,
        )
        self.port = PtyPort(Path(config.path), dlt645_meter.BITS_PER_BYTE, config.baudrate, self._received)

    def close(self) -> None:
        self.port.close()

    def _received(self, data: bytes) -> None:
        for reply in self._meter.receive(data):
            time.sleep(reply.burst.after_s)
            sent = self.port.transmit(reply.burst.data)
            if reply.quantity is not None and sent.heard:
                self._ledger.reading(SentReading(self._meter.device, reply.quantity, reply.value, sent.wall_ns))


class RelayLine:
    """The relay, which only listens."""

    def __init__(self, config: RelayConfig, changed: Callable[[OutputChange], None]) -> None:
        self._relay = SerialRelay(config.name)
        self._changed = changed
        self.port = PtyPort(Path(config.path), _8N1, config.baudrate, self._received)

    def close(self) -> None:
        self.port.close()

    def _received(self, data: bytes) -> None:
        for change in self._relay.receive(data, time.time_ns()):
            self._changed(change)
