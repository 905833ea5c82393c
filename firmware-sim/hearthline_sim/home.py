"""A simulated home: its devices on their lines and on the local broker, and the elder who uses them.

    radios, cuff, meter, relay        serial ports (`lines`), each with its own thread
    buses, push meters, RFLink        the same (`wired`)
    buttons, sensors, plugs, siren    messages on the local broker (`wireless`, `local_mqtt`)
    elder                             presses, listens to hearthline/home/<gateway>/signal, presses again

Everything the elder does and decides runs on one agenda. Protocol timing is always real; `speed` hurries the day only
(the loads and the hours of the measurements).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from random import Random

from hearthline.errors import ProtocolError
from hearthline.model import ButtonRole
from hearthline_sim.agenda import Agenda
from hearthline_sim.devices.dlt645_meter import MeterState
from hearthline_sim.devices.enocean_pendant import Button
from hearthline_sim.devices.output import OutputChange
from hearthline_sim.devices.zigbee_siren import ZigbeeSiren
from hearthline_sim.elder import Elder, Heard
from hearthline_sim.home_config import HomeConfig, day_second
from hearthline_sim.ledger import Ledger, Output, Press
from hearthline_sim.lines import Caller, CuffLine, MeterLine, RadioLine, RelayLine, Tell
from hearthline_sim.loads import Loads
from hearthline_sim.local_mqtt import LocalMqtt
from hearthline_sim.notice import Notices, OnSent, Sensor
from hearthline_sim.port import PtyPort
from hearthline_sim.schedule import Call, HomeTime, next_measurement
from hearthline_sim.wired import BusLine, PushLine, RflinkLine, rflink_device
from hearthline_sim.wireless import Air, Wireless

Line = RadioLine | CuffLine | MeterLine | RelayLine | BusLine | PushLine | RflinkLine

TICK_S = 0.1
DEFERRED_S = 0.25  # a wished call looks this often whether its pendant is free


def signal_topic(gateway: str) -> str:
    return f"hearthline/home/{gateway}/signal"


class Home:
    """One home, living from construction until `close`. `failed` is called when a thread of it died."""

    def __init__(self, config: HomeConfig, seed: int, ledger: Ledger, tell: Tell, failed: Callable[[], None]) -> None:
        """Raises ConfigError when a port cannot be put at its path."""
        self._config = config
        self._seed = seed
        self._ledger = ledger
        self._tell = tell
        self._failed = failed
        self._time = HomeTime.starting(time.time_ns(), config.speed)
        self._elder = Elder(ledger, config.patience_s)
        self._wished = 0
        self._loads = Loads(seed, self._time, self._rng("mains"))
        self._sensors: list[Sensor] = []
        self._closers: list[Callable[[], None]] = []
        self.ports: dict[str, PtyPort] = {}
        self._siren = ZigbeeSiren(config.siren.name) if config.siren else None
        try:
            self._agenda = Agenda("elder", failed)
            self._closers.append(self._agenda.stop)
            self.pendants = self._make_pendants()
            self._cuff = self._make_cuff()
            self._make_meter_and_relay()
            self._make_buses_and_push_meters()
            remotes = self._make_rflinks()
            air = Air(lambda message, acknowledged: self._mqtt.publish(message, acknowledged), self._agenda)
            self._wireless = Wireless(config, air, self._rng, self._loads, ledger, tell)
            self._mqtt = self._connect()
            self._closers.append(self._mqtt.close)
        except BaseException:
            self.close()
            raise
        self.sos = self._wireless.sos
        self.fobs = [*self._wireless.fobs, *remotes]
        self.callers = [*self.pendants, *self.sos, *self.fobs]
        sensors = [*self._sensors, *self._wireless.sensors]
        self.notices = Notices(sensors, self._agenda, self._rng("notices"), ledger, tell)
        self._by_device = {caller.device: caller for caller in self.callers}
        self._agenda.after(config.plug_interval_s, self._report_plugs)
        self._agenda.after(TICK_S, self._tick)
        self._mqtt.start()

    def wait_connected(self, seconds: float) -> bool:
        """Whether the local broker has answered within `seconds`."""
        return self._mqtt.connected.wait(seconds)

    def call(self, caller: Caller, role: ButtonRole) -> None:
        """Press a button now."""
        self._agenda.after(0, partial(self._press, caller, role))

    def wish(self, plan: list[Call]) -> None:
        """Make the calls of a schedule; one whose pendant is not free waits until it is."""
        self._agenda.after(0, partial(self._add_wishes, len(plan)))
        for call in plan:
            self._agenda.after(call.at_s, partial(self._call_when_free, self.callers[call.caller]))

    @property
    def unanswered(self) -> int:
        """Wished calls not made yet, and cries without "received"."""
        return self._wished + self._elder.cries

    def measure(self) -> bool:
        """Use every cuff; false when there is none."""
        if self._cuff is not None:
            self._cuff.measure()
        return self._wireless.measure() or self._cuff is not None

    def turn_zigbee(self, on: bool) -> bool:
        """Stop or start Zigbee2MQTT; false when there is none."""
        self._agenda.after(0, partial(self._wireless.turn_zigbee, on))
        return self._wireless.has_zigbee

    def reset(self, device: str) -> bool:
        """Set a plug's counter to zero; false when it has none that can be."""
        return self._wireless.reset(device)

    def measure_daily(self) -> None:
        """Use the cuff at the elder's hours, every day of the home's time."""
        second = self._time.second(time.time_ns())
        due = next_measurement(self._seed, [day_second(text) for text in self._config.measure_at], second)
        if due is not None and (self._cuff is not None or self._config.gatt_cuffs):
            self._agenda.after(self._time.wait_s(due, time.time_ns()), self._measure_and_go_on)

    def measure_every(self, seconds: float) -> None:
        """Use the cuff now and then every `seconds`."""
        self.measure()
        self._agenda.after(seconds, partial(self.measure_every, seconds))

    def close(self) -> None:
        """Stop everything; the ports and their links are gone afterwards."""
        while self._closers:
            self._closers.pop()()

    # --- building ---------------------------------------------------------------------------------------------

    def _rng(self, device: str) -> Random:
        return Random(f"{self._seed}:{device}")

    def _connect(self) -> LocalMqtt:
        handlers = {signal_topic(self._config.gateway): self._signalled}
        if self._siren is not None:
            handlers[self._siren.topic] = self._siren_told
        name = f"hearthline-sim-{self._config.gateway}"
        return LocalMqtt(self._config.mqtt, name, handlers, self._linked)

    def _add_port(self, name: str, line: Line) -> None:
        self.ports[name] = line.port
        self._closers.append(line.close)

    def _make_pendants(self) -> list[Caller]:
        callers = []
        for config in self._config.radios:
            radio = RadioLine(config, self._rng(config.name), self._loads, self._ledger, self._failed)
            self._add_port(config.name, radio)
            self._sensors += radio.sensors
            for pendant in config.pendants:
                sender = pendant.sender.upper()
                buttons = {ButtonRole.EMERGENCY: pendant.emergency, ButtonRole.SERVICE: pendant.service}
                send = partial(self._press_enocean, radio, sender)
                callers.append(Caller(radio.pendants[sender].device, buttons, send))
        return callers

    @staticmethod
    def _press_enocean(radio: RadioLine, sender: str, button: str, sent: OnSent) -> None:
        radio.press(sender, Button[button], sent)

    def _make_cuff(self) -> CuffLine | None:
        config = self._config.cuff
        if config is None:
            return None
        cuff = CuffLine(config, self._rng(config.name), self._ledger, self._tell, self._failed)
        self._add_port(config.name, cuff)
        return cuff

    def _make_meter_and_relay(self) -> None:
        if (meter := self._config.meter) is not None:
            loads = self._loads

            def state() -> MeterState:
                power, voltage = loads.power_w(), loads.voltage_v()
                return MeterState(meter.energy_kwh + loads.energy_kwh(), voltage, power / voltage, power)

            self._add_port(meter.name, MeterLine(meter, self._rng(meter.name), state, self._ledger))
        if (relay := self._config.relay) is not None:
            self._add_port(relay.name, RelayLine(relay, partial(self._output_changed, "relay")))

    def _make_buses_and_push_meters(self) -> None:
        for bus in self._config.buses:
            self._add_port(bus.name, BusLine(bus, self._rng(bus.name), self._loads, self._ledger))
        for push in self._config.push_meters:
            rng = self._rng(push.name)
            self._add_port(push.name, PushLine(push, rng, self._loads, self._ledger, self._failed))

    def _make_rflinks(self) -> list[Caller]:
        callers = []
        for config in self._config.rflinks:
            stick = RflinkLine(config, self._rng(config.name), self._loads, self._ledger, self._failed)
            self._add_port(config.name, stick)
            self._sensors += stick.sensors
            for fob in config.fobs:
                buttons = {ButtonRole.EMERGENCY: fob.emergency, ButtonRole.SERVICE: fob.service}
                send = partial(stick.press, fob.protocol, fob.id)
                callers.append(Caller(rflink_device(fob.protocol, fob.id), buttons, send))
        return callers

    # --- living, on the elder's agenda ------------------------------------------------------------------------

    def _press(self, caller: Caller, role: ButtonRole) -> None:
        button = caller.buttons[role]
        press = self._elder.press(caller.device, button, role.value, time.time_ns())
        caller.send(button, partial(self._pressed, press))

    def _pressed(self, press: Press, wall_ns: int, heard: bool) -> None:
        self._ledger.sent(press, wall_ns, heard)
        told = ("device", "ordinal", "button", "role", "again_of")
        facts = {name: getattr(press, name) for name in told}
        self._tell("press", **facts, sent_wall_ns=wall_ns, heard=heard)

    def _add_wishes(self, count: int) -> None:
        self._wished += count

    def _call_when_free(self, caller: Caller) -> None:
        if self._elder.may_call(caller.device, time.time_ns()):
            self._press(caller, ButtonRole.EMERGENCY)
            self._wished -= 1
        else:
            self._agenda.after(DEFERRED_S, partial(self._call_when_free, caller))

    def _tick(self) -> None:
        now_ns = time.time_ns()
        for press in self._elder.impatient(now_ns):
            self._press(self._by_device[press.device], ButtonRole(press.role))
        if self._siren is not None and (change := self._siren.expire(now_ns)) is not None:
            self._output_changed("siren", change)
        self._agenda.after(TICK_S, self._tick)

    def _measure_and_go_on(self) -> None:
        self.measure()
        self.measure_daily()

    def _report_plugs(self) -> None:
        self._wireless.report()
        self._agenda.after(self._config.plug_interval_s, self._report_plugs)

    # --- being told, from other threads -----------------------------------------------------------------------

    def _linked(self, up: bool) -> None:
        self._tell("mqtt", connected=up)
        if up:
            self._agenda.after(0, self._wireless.greet)

    def _signalled(self, payload: bytes, wall_ns: int) -> None:
        self._agenda.after(0, partial(self._hear, payload, wall_ns))

    def _hear(self, payload: bytes, wall_ns: int) -> None:
        heard: Heard | None = None
        with contextlib.suppress(ProtocolError):  # the elder does not understand it and goes on waiting
            heard = self._elder.hear(payload, wall_ns)
        if heard is not None:
            kind = f"duplicate_{heard.kind}" if heard.duplicate else heard.kind
            press = heard.press
            self._tell(kind, device=press.device, ordinal=press.ordinal, event=heard.event, wall_ns=wall_ns)

    def _siren_told(self, payload: bytes, wall_ns: int) -> None:
        self._agenda.after(0, partial(self._obey_siren, payload, wall_ns))

    def _obey_siren(self, payload: bytes, wall_ns: int) -> None:
        if self._siren is not None and (change := self._siren.receive(payload, wall_ns)) is not None:
            self._output_changed("siren", change)

    def _output_changed(self, kind: str, change: OutputChange) -> None:
        self._ledger.output(Output(change.output, change.on, change.wall_ns, change.mode))
        self._tell(kind, device=change.output, on=change.on, mode=change.mode, wall_ns=change.wall_ns)
