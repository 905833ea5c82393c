"""The tables of a home file for buses, push meters, RFLink sticks, and what speaks at the broker by families.

Checks raise ValueError, which names the key.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from hearthline.config import Config
from hearthline.model import ButtonRole
from hearthline_sim.devices import ble, dlt645_meter, lorawan_button, mbus_meter, modbus_meter, rflink_stick
from hearthline_sim.devices.dsmr_meter import Version
from hearthline_sim.devices.raycome_cuff import ClockFault
from hearthline_sim.devices.tasmota import RfReport
from hearthline_sim.devices.zigbee_sensor import Sense
from hearthline_sim.devices.zigbee_sos import Dialect

BusKind = Literal["modbus", "dlt645", "mbus"]
FobKind = Literal["rtl433", "tasmota", "theengs", "chirpstack", "shelly"]
PlugKind = Literal["shelly", "shelly-em", "tasmota", "z2m"]

FOB_KEYS: Final[dict[FobKind, tuple[str, ...]]] = {
    "rtl433": ("A", "B", "C", "D"),
    "tasmota": ("A", "B", "C", "D"),
    "theengs": tuple(ble.BUTTON_EVENTS),
    "chirpstack": tuple(lorawan_button.PRESSES),
    "shelly": ("single_push", "double_push", "long_push"),
}


class BusMeterConfig(Config, frozen=True):
    """A meter on a bus. `address`: a unit number (modbus), twelve digits (dlt645) or eight (mbus).

    `model`: sdm120, sdm230, sdm630, ddsu666 (modbus); water, heat, electricity (mbus). `total`: kWh or m3 at the first
    midnight. `error_rate`: how often it refuses a good request (modbus, dlt645). `dead`: it never answers.
    """

    address: str
    model: str = ""
    primary: int = 0
    manufacturer: str = "HYD"
    total: float = 100.0
    error_rate: float = 0.0
    dead: bool = False


class BusConfig(Config, frozen=True):
    """Meters that share one serial port: RS-485 or M-Bus. `baudrate` absent: the usual one of the kind."""

    name: str
    path: str
    kind: BusKind
    meters: tuple[BusMeterConfig, ...]
    baudrate: int | None = None
    glitch_rate: float = 0.0
    half_frame_rate: float = 0.0
    echo: bool = False


class PushMeterConfig(Config, frozen=True):
    """A meter that pushes telegrams: DSMR P1 or SML. `interval_s` absent: the usual one of the version.

    `id`: the equipment id (dsmr), or the server id of ten bytes in hexadecimal (sml). `locked`: SML without its PIN.
    `broken_rate`: how often a telegram is damaged on the line.
    """

    name: str
    path: str
    kind: Literal["dsmr", "sml"]
    id: str
    version: Version = "5"
    gas_id: str = ""
    locked: bool = False
    baudrate: int | None = None
    interval_s: float | None = None
    total: float = 1200.0
    broken_rate: float = 0.0


class RflinkFobConfig(Config, frozen=True):
    """A remote that an RFLink stick hears: its protocol, its id, and the switches of its keys."""

    id: str
    protocol: str = "NewKaku"
    emergency: str = "1"
    service: str = "2"


class RflinkSensorConfig(Config, frozen=True):
    """A motion detector (`every_s`: how often somebody moves) or a weather sensor (how often it reports)."""

    id: str
    protocol: str = "Cresta"
    every_s: float = 60.0


class RflinkConfig(Config, frozen=True):
    """An RFLink stick on a serial port, and what it hears."""

    name: str
    path: str
    fobs: tuple[RflinkFobConfig, ...] = ()
    pirs: tuple[RflinkSensorConfig, ...] = ()
    weather: tuple[RflinkSensorConfig, ...] = ()
    baudrate: int = rflink_stick.BAUDRATE


class FobConfig(Config, frozen=True):
    """A button whose receiver publishes at the broker, by `kind`:

    rtl433    an EV1527 key fob; `id` five hexadecimal digits, keys A B C D, several together too (AD)
    tasmota   the same behind a Sonoff RF bridge; `id` in the order of the air; `report` received or raw
    theengs   a Shelly BLU button; `id` its MAC, keys short double triple long
    chirpstack  a Milesight WS101; `id` its devEui, keys short long double
    shelly    a Shelly button input; `id` of the module, keys single_push double_push long_push

    `heard_by`: the host, the bridge's topic or the gateways that hear it. Absent keys: the first and the second.
    """

    kind: FobKind
    id: str
    emergency: str | None = None
    service: str | None = None
    heard_by: tuple[str, ...] = ()
    report: RfReport = "received"

    def key(self, role: ButtonRole) -> str:
        """The key of a role."""
        given = self.emergency if role is ButtonRole.EMERGENCY else self.service
        return given or FOB_KEYS[self.kind][0 if role is ButtonRole.EMERGENCY else 1]


class SensorConfig(Config, frozen=True):
    """A detector whose receiver publishes at the broker: kind z2m (any sense) or rtl433 (door: X10, leak: EV1527).

    `name`: its friendly name, its X10 id, or its code of six hexadecimal digits. `every_s` as of a contact.
    `attributes`: Zigbee2MQTT publishes each attribute on its own topic as well.
    """

    kind: Literal["z2m", "rtl433"]
    name: str
    sense: Sense
    dialect: Dialect = "2.x"
    every_s: float = 0.0
    attributes: bool = False


class PlugConfig(Config, frozen=True):
    """A metering plug. `id`: of a shelly or shelly-em, a Tasmota topic, or a Zigbee name."""

    id: str
    kind: PlugKind = "shelly"
    phases: Literal[1, 3] = 1


class GattCuffConfig(Config, frozen=True):
    """A Bluetooth cuff whose raw values a bridge publishes."""

    mac: str
    bridge: str = "bridge"
    kpa: bool = False
    clock: ClockFault = "right"


def check_bus_meter(kind: BusKind, meter: BusMeterConfig) -> None:
    if kind == "dlt645":
        dlt645_meter.line_address(meter.address)
        return
    models = get_args(modbus_meter.Model if kind == "modbus" else mbus_meter.Medium)
    if meter.model not in models:
        raise ValueError(f"buses.meters.model: {kind} has {', '.join(models)}, not {meter.model!r}")
    if kind == "modbus" and not (meter.address.isdigit() and 1 <= int(meter.address) <= 247):
        raise ValueError(f"buses.meters.address: a Modbus unit is 1 to 247, not {meter.address!r}")
    if kind == "mbus":
        if len(meter.address) != 8 or not meter.address.isdigit():
            raise ValueError(f"buses.meters.address: an M-Bus number has eight digits, not {meter.address!r}")
        if len(meter.manufacturer) != 3 or not (meter.manufacturer.isascii() and meter.manufacturer.isupper()):
            raise ValueError(f"buses.meters.manufacturer: three capital letters, not {meter.manufacturer!r}")


def check_fob(fob: FobConfig) -> None:
    if fob.kind in ("rtl433", "tasmota"):
        check_hexadecimal(fob.id, 5, "fobs.id")
    keys = FOB_KEYS[fob.kind]
    several = fob.kind in ("rtl433", "tasmota")
    for role in ButtonRole:
        key = fob.key(role)
        if not (set(key) <= set(keys) if several else key in keys):
            raise ValueError(f"fobs: {fob.kind} has no key {key!r}; there are {', '.join(keys)}")


def check_hexadecimal(text: str, digits: int, key: str) -> None:
    words = {5: "five", 6: "six", 8: "eight", 20: "twenty"}
    if len(text) != digits or not all(digit in "0123456789abcdefABCDEF" for digit in text):
        raise ValueError(f"{key}: {words[digits]} hexadecimal digits, not {text!r}")


def check_sensor(sensor: SensorConfig) -> None:
    if sensor.kind == "rtl433" and sensor.sense not in ("door", "leak"):
        raise ValueError(f"sensors.sense: rtl433 has door and leak, not {sensor.sense!r}")
    if sensor.kind == "rtl433" and sensor.sense == "leak":
        check_hexadecimal(sensor.name, 6, "sensors.name")


def check_push_meter(meter: PushMeterConfig) -> None:
    if meter.kind == "sml":
        check_hexadecimal(meter.id, 20, "push_meters.id")
