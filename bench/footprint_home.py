"""The home of `edge_footprint.py`: 20 devices on three serial ports and 30 behind the local broker, at real rates.

    ttyRADIO  EnOcean receiver, 57600   4 pendants; 2 contacts, 2 thermometers: when something changes, or by themselves
    ttyMETERS Modbus RTU, 9600          8 meters, every register of their profiles in 10 s; one is dead
    ttyHALL   DL/T 645, 2400            4 meters, four items each in 60 s
    Zigbee    3 doors, 3 motion detectors, 3 thermometers, 2 SOS buttons, 3 plugs (every 10 s)
    Shelly    3 plugs and a three-phase meter every 15 s, and by profile a plug of the first generation every 30 s
    Tasmota   3 plugs every 60 s, an RF bridge with a fob
    433 MHz   3 weather stations every 48 s, and 8 of the neighbours': one decode every 5 s, repeats come on top
    Bluetooth 2 buttons heard by two gateways every 10 s, and what nobody decodes, a phone or watch every 5 s
    LoRaWAN   2 buttons

Everyone speaks once in the first seconds, but the buttons: they are pressed one after the other, far more often than
in a home, because each press must become one alarm; a run of eleven presses hears them all. MQTT messages have the QoS
that their senders use: 0, and 1 for the SOS buttons.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from hearthline_sim.agenda import Agenda, Job
from hearthline_sim.devices import dlt645_meter, enocean_pendant, enocean_sensor, modbus_meter
from hearthline_sim.devices.ble import BluButton
from hearthline_sim.devices.bus import Bus, LineFaults, Value
from hearthline_sim.devices.dlt645_meter import Dlt645Meter, MeterState
from hearthline_sim.devices.emission import Burst, Publish
from hearthline_sim.devices.enocean_pendant import Button, EnoceanPendant, Receiver
from hearthline_sim.devices.lorawan_button import LorawanButton
from hearthline_sim.devices.modbus_meter import Load, ModbusMeter, Model
from hearthline_sim.devices.rtl433 import Rtl433
from hearthline_sim.devices.shelly_em import ShellyEm
from hearthline_sim.devices.shelly_plug import ShellyPlug
from hearthline_sim.devices.tasmota import RfFob, TasmotaPlug
from hearthline_sim.devices.zigbee_sensor import Sense, ZigbeePlug, ZigbeeSensor
from hearthline_sim.devices.zigbee_sos import ZigbeeSos
from hearthline_sim.port import PtyPort

PENDANTS: Final = ("002EE190", "002EE191", "002EE192", "002EE193")
CONTACTS: Final = ("01825DA0", "01825DA1")
THERMOMETERS: Final = ("0181B740", "0181B741")
METERS: Final[tuple[tuple[int, Model, str], ...]] = (
    (1, "sdm120", "eastron-sdm120"),
    (2, "sdm120", "eastron-sdm120"),
    (3, "sdm120", "eastron-sdm120"),
    (4, "sdm230", "eastron-sdm230"),
    (5, "sdm230", "eastron-sdm230"),
    (6, "sdm630", "eastron-sdm630"),
    (7, "ddsu666", "chint-ddsu666"),
    (8, "ddsu666", "chint-ddsu666"),
)
DEAD_UNIT: Final = 5
HALL_METERS: Final = ("000000000161", "000000000162", "000000000163", "000000000164")
GEN1_PROFILE: Final = "shelly-gen1-plug"
NEIGHBOURS: Final = 8
FIRST_S: Final = 10.0  # within which everyone speaks for the first time

Told = tuple[tuple[Publish, ...], tuple[Value, ...]]  # messages, and the values in them
Send = Callable[[Publish, int], None]  # a message and its QoS


class FootprintHome:
    """Opens its ports when made; speaks from `start` to `quiet`.

    `devices`: the ids that the center must hear of, the dead meter's too. `pressed`: presses by device. `told`: values
    by device and quantity, of the meters and plugs. `messages`: how many went to the broker.
    """

    def __init__(self, folder: Path, send: Send) -> None:
        self.devices: list[str] = []
        self.pressed: Counter[str] = Counter()
        self.told: Counter[tuple[str, str]] = Counter()
        self.messages = 0
        self._send_mqtt = send
        self._rng = Random(1)
        self._agenda = Agenda("home", lambda: None)
        self._quiet = threading.Event()
        self._began = time.monotonic()
        self._callers: list[tuple[str, Job]] = []
        self._starts: list[Job] = []
        self._receiver = Receiver()
        self.radio = PtyPort(folder / "ttyRADIO", 10, enocean_pendant.BAUDRATE, self._ask_receiver)
        self.meters = PtyPort(
            folder / "ttyMETERS", modbus_meter.BITS_PER_BYTE, modbus_meter.BAUDRATE, self._modbus_bus()
        )
        self.hall = PtyPort(folder / "ttyHALL", dlt645_meter.BITS_PER_BYTE, dlt645_meter.BAUDRATE, self._hall_bus())
        self._enocean()
        self.serial_devices = len(self.devices)
        self._zigbee()
        self._shelly()
        self._tasmota()
        self._rtl433()
        self._bluetooth()
        self._lorawan()
        self.mqtt_devices = len(self.devices) - self.serial_devices

    def tables(self) -> str:
        """The agent's configuration of these devices."""
        meters = ", ".join(
            f'{{ unit = {unit}, profile = "{profile}", interval_s = 10 }}' for unit, _, profile in METERS
        )
        sensors = ", ".join(f'{{ id = "{sender}", eep = "A5-02-05" }}' for sender in THERMOMETERS)
        hall = ", ".join(f'"{address}"' for address in HALL_METERS)
        ports = (
            ("radio", self.radio.path, "enocean-esp3", f"devices = [{sensors}]"),
            ("meters", self.meters.path, "modbus-rtu", f"meters = [{meters}]"),
            ("hall", self.hall.path, "dlt645-2007", f"meters = [{hall}], interval_s = 60"),
        )
        return "\n".join(
            f'[[serial]]\nname = "{name}"\nport = "{path}"\ndriver = "{driver}"\nparity = "N"\n'
            f"options = {{ {options} }}"
            for name, path, driver, options in ports
        )

    def start(self, press_every_s: float) -> None:
        for start in self._starts:
            start()
        callers = cycle(self._callers)

        def press() -> None:
            device, job = next(callers)
            self.pressed[device] += 1
            job()

        self._every(press_every_s, press)

    def quiet(self) -> None:
        """Nobody speaks any more; what was begun is awaited."""
        self._quiet.set()
        self._agenda.stop()

    def close(self) -> None:
        self.quiet()
        for port in (self.radio, self.meters, self.hall):
            port.close()

    # --- serial -------------------------------------------------------------------------------------------------------

    def _enocean(self) -> None:
        for sender in PENDANTS:
            pendant = EnoceanPendant(sender, self._own_rng())
            self._caller(pendant.device, partial(self._press_pendant, pendant))
        for sender in CONTACTS:
            self.devices.append(f"enocean:{sender}")
            self._at_start(300.0, partial(self._swing, bytes.fromhex(sender), cycle((False, True))))
        for sender in THERMOMETERS:
            self.devices.append(f"enocean:{sender}")
            self._at_start(100.0, partial(self._warm, bytes.fromhex(sender)))

    def _press_pendant(self, pendant: EnoceanPendant) -> None:
        self._bursts(pendant.press(Button.AI).bursts)

    def _swing(self, sender: bytes, closed: Iterator[bool]) -> None:
        self.radio.send(enocean_sensor.contact(sender, closed=next(closed)))

    def _warm(self, sender: bytes) -> None:
        self.radio.send(enocean_sensor.temperature(sender, self._rng.uniform(19, 24))[0])

    def _ask_receiver(self, data: bytes) -> None:
        self._bursts(self._receiver.receive(data))

    def _bursts(self, bursts: Iterable[Burst]) -> None:
        for burst in bursts:
            self._agenda.after(burst.after_s, partial(self.radio.send, burst.data))

    def _modbus_bus(self) -> Callable[[bytes], None]:
        def load(unit: int) -> Load:
            return Load(self._watts(), 230.1, unit * 100 + self._kwh())

        meters = []
        for unit, model, _ in METERS:
            device = f"modbus:meters:{unit}"
            self.devices.append(device)
            meters.append(
                ModbusMeter(device, model, unit, self._own_rng(), partial(load, unit), dead=unit == DEAD_UNIT)
            )
        bus = Bus(meters, self._own_rng(), LineFaults())

        def answer(data: bytes) -> None:
            for each in bus.receive(data):
                self._reply(self.meters, each.burst, each.values)

        return answer

    def _hall_bus(self) -> Callable[[bytes], None]:
        meters = [
            Dlt645Meter(address, self._own_rng(), lambda: MeterState(self._kwh(), 230.1, 1.234, 280.0))
            for address in HALL_METERS
        ]
        self.devices += [meter.device for meter in meters]

        def answer(data: bytes) -> None:
            for meter in meters:
                for each in meter.receive(data):
                    values = () if each.quantity is None else (Value(meter.device, each.quantity, each.value),)
                    self._reply(self.hall, each.burst, values)

        return answer

    def _reply(self, port: PtyPort, burst: Burst, values: Iterable[Value]) -> None:
        if not self._quiet.wait(burst.after_s) and port.transmit(burst.data).heard:
            self._count(values)

    # --- MQTT ---------------------------------------------------------------------------------------------------------

    def _zigbee(self) -> None:
        senses: tuple[tuple[Sense, float], ...] = (("door", 300.0), ("motion", 90.0))
        for sense, every_s in senses:
            for number in range(3):
                sensor = ZigbeeSensor(f"{sense} {number}", sense, self._own_rng())
                self.devices.append(sensor.device)
                self._at_start(every_s, partial(self._happen, sensor))
        for number in range(3):
            name = f"climate {number}"
            self.devices.append(f"z2m:{name}")
            self._at_start(300.0, partial(self._climate, name))
        for number in range(2):
            button = ZigbeeSos(f"SOS {number}", self._own_rng(), dialect="2.x")
            self._caller(button.device, partial(self._press_sos, button))
        for number in range(3):
            plug = ZigbeePlug(f"plug {number}", self._own_rng())
            self._meter(plug.device, 10.0, partial(self._zigbee_plug, plug))

    def _happen(self, sensor: ZigbeeSensor) -> None:
        self._publish(sensor.happen(not sensor.active))

    def _press_sos(self, button: ZigbeeSos) -> None:
        self._publish(button.press("emergency", time.time_ns()), qos=1)

    def _zigbee_plug(self, plug: ZigbeePlug) -> Told:
        return plug.status(self._watts(), self._kwh())

    def _climate(self, name: str) -> None:
        """An Aqara WSDCGQ11LM's words, by its page at zigbee2mqtt.io."""
        body = {
            "battery": 97,
            "humidity": round(self._rng.uniform(40, 55), 2),
            "linkquality": 98,
            "pressure": 1009.5,
            "temperature": round(self._rng.uniform(19, 24), 2),
            "voltage": 2995,
        }
        self._publish((Publish(0.0, f"zigbee2mqtt/{name}", msgspec.json.encode(body)),))

    def _shelly(self) -> None:
        for number in range(3):
            plug = ShellyPlug(
                f"shellyplugsg3-{number}", self._own_rng(), lambda _: self._watts(), lambda _: self._kwh() * 1000
            )
            self._meter(plug.device, 15.0, partial(self._shelly_plug, plug))
        meter = ShellyEm("shellypro3em-0", self._own_rng())
        self._meter(meter.device, 15.0, lambda: meter.status(self._watts(), self._kwh() * 1000))
        self._meter(f"{GEN1_PROFILE}:shellyplug-s-041234", 30.0, self._gen1_plug)

    def _shelly_plug(self, plug: ShellyPlug) -> Told:
        return plug.report(time.time_ns())

    def _gen1_plug(self) -> Told:
        """A Plug S of the first generation: one topic a value, watt-minutes."""
        device, watts, watt_minutes = "shellyplug-s-041234", round(self._watts(), 2), round(self._kwh() * 60_000)
        texts = (("relay/0", "on"), ("relay/0/power", str(watts)), ("relay/0/energy", str(watt_minutes)))
        values = (
            Value(f"{GEN1_PROFILE}:{device}", "power", watts),
            Value(f"{GEN1_PROFILE}:{device}", "energy_import", watt_minutes / 60_000),
        )
        return tuple(Publish(0.0, f"shellies/{device}/{topic}", text.encode()) for topic, text in texts), values

    def _tasmota(self) -> None:
        for number in range(3):
            plug = TasmotaPlug(f"pow{number}", self._own_rng())
            self._meter(plug.device, 60.0, partial(self._tasmota_plug, plug))
        fob = RfFob("rfbridge", "7028d", self._own_rng())
        self._caller(fob.device, lambda: self._publish(fob.press("A", time.time_ns())))

    def _tasmota_plug(self, plug: TasmotaPlug) -> Told:
        return plug.status(self._watts(), self._kwh(), time.time_ns())

    def _rtl433(self) -> None:
        radio = Rtl433()
        for number in range(3 + NEIGHBOURS):
            id_, ours = 100 + number, number < 3
            if ours:
                self.devices.append(f"rf433:nexus-th:{id_}:1")
            self._at_start(48.0 if ours else 5.0 * NEIGHBOURS, partial(self._weather, radio, id_))

    def _weather(self, radio: Rtl433, id_: int) -> None:
        """A Nexus-TH as rtl_433 tells it, with the repeat that often is a decode of its own."""
        fields = {
            "model": "Nexus-TH",
            "id": id_,
            "channel": 1,
            "battery_ok": 1,
            "temperature_C": round(self._rng.uniform(-5, 30), 1),
            "humidity": self._rng.randint(30, 90),
        }
        copies = self._rng.randint(1, 2)
        self._publish(radio.message(0.2 * copy, time.time_ns(), fields) for copy in range(copies))

    def _bluetooth(self) -> None:
        for number in range(2):
            button = BluButton(f"BC:02:6E:AA:BB:C{number}", ("hall", "bath"), self._own_rng())
            self._caller(button.device, partial(self._press_blu, button))
            self._at_start(10.0, partial(self._beacon, button))
        self._at_start(5.0, self._phone)

    def _press_blu(self, button: BluButton) -> None:
        self._publish(button.press("short"))

    def _beacon(self, button: BluButton) -> None:
        """With the last press still in it; before the first there is nothing to tell."""
        if self.pressed[button.device]:
            self._publish(button.beacon())

    def _phone(self) -> None:
        mac = bytes(self._rng.randrange(256) for _ in range(6)).hex(":").upper()
        body = msgspec.json.encode({"id": mac, "mac_type": 1, "rssi": self._rng.randint(-99, -60)})
        self._publish((Publish(0.0, f"home/hall/BTtoMQTT/{mac.replace(':', '')}", body),))

    def _lorawan(self) -> None:
        for number in range(2):
            button = LorawanButton(f"24e124535b31605{number}", self._own_rng())
            self._starts.append(partial(self._join, button))
            self._caller(button.device, partial(self._press_lorawan, button))

    def _join(self, button: LorawanButton) -> None:
        self._publish(button.join(time.time_ns()))

    def _press_lorawan(self, button: LorawanButton) -> None:
        self._publish(button.press("short", time.time_ns()))

    # --- what they share ----------------------------------------------------------------------------------------------

    def _caller(self, device: str, press: Job) -> None:
        self.devices.append(device)
        self._callers.append((device, press))

    def _meter(self, device: str, every_s: float, report: Callable[[], Told]) -> None:
        """Something that measures and pushes."""

        def tell() -> None:
            messages, values = report()
            self._publish(messages)
            self._count(values)

        self.devices.append(device)
        self._at_start(every_s, tell)

    def _at_start(self, every_s: float, job: Job) -> None:
        self._starts.append(partial(self._every, every_s, job))

    def _every(self, seconds: float, job: Job) -> None:
        def again() -> None:
            self._agenda.after(seconds, again)
            job()

        self._agenda.after(self._rng.uniform(0, min(seconds, FIRST_S)), again)

    def _publish(self, messages: Iterable[Publish], qos: int = 0) -> None:
        for message in messages:
            if message.after_s:
                self._agenda.after(message.after_s, partial(self._put, message, qos))
            else:
                self._put(message, qos)

    def _put(self, message: Publish, qos: int) -> None:
        self.messages += 1
        self._send_mqtt(message, qos)

    def _count(self, values: Iterable[Value]) -> None:
        self.told.update((value.device, value.quantity) for value in values)

    def _own_rng(self) -> Random:
        return Random(self._rng.getrandbits(64))

    def _watts(self) -> float:
        return self._rng.uniform(40, 2000)

    def _kwh(self) -> float:
        return 1000 + (time.monotonic() - self._began) / 3600
