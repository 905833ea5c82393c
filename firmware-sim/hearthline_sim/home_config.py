"""The file that describes a simulated home: TOML, checked key by key.

Relative paths are taken from the folder of the file. `docs/examples/home.toml` shows every key.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import msgspec

from hearthline.config import Config, load_config
from hearthline.errors import ConfigError
from hearthline.wire import is_gateway_id
from hearthline_sim.devices import dlt645_meter, enocean_pendant, raycome_cuff, serial_relay
from hearthline_sim.devices.enocean_pendant import Button
from hearthline_sim.devices.raycome_cuff import ClockFault
from hearthline_sim.devices.zigbee_sos import BatteryShape, Dialect, LastSeenShape
from hearthline_sim.family_config import (
    BusConfig,
    FobConfig,
    GattCuffConfig,
    PlugConfig,
    PushMeterConfig,
    RflinkConfig,
    SensorConfig,
    check_bus_meter,
    check_fob,
    check_hexadecimal,
    check_push_meter,
    check_sensor,
)


class MqttConfig(Config, frozen=True):
    """The broker in the home."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password_file: str | None = None


class PendantConfig(Config, frozen=True):
    """An EnOcean pendant: which of its buttons (AI, AO, BI, BO) calls whom."""

    sender: str
    emergency: str = "AO"
    service: str = "BO"


class ContactConfig(Config, frozen=True):
    """An EnOcean door contact (D5-00-01). `every_s`: how often it changes, about; 0: on the order `sense` only."""

    sender: str
    every_s: float = 0.0


class ThermometerConfig(Config, frozen=True):
    """An EnOcean thermometer (A5-02-05), which tells the temperature every `every_s`."""

    sender: str
    every_s: float = 60.0


class RadioConfig(Config, frozen=True):
    """An ESP3 receiver on a serial port, and what it hears."""

    name: str
    path: str
    pendants: tuple[PendantConfig, ...] = ()
    contacts: tuple[ContactConfig, ...] = ()
    thermometers: tuple[ThermometerConfig, ...] = ()
    baudrate: int = enocean_pendant.BAUDRATE
    false_start_rate: float = 0.2
    max_copies: int = enocean_pendant.MAX_COPIES


class CuffConfig(Config, frozen=True):
    """A Raycome blood-pressure cuff on a serial port.

    `notify_bytes`: behind a Bluetooth serial adapter its frames arrive in pieces of so many bytes (20), regardless of
    where one ends; 0: a wire.
    """

    name: str
    path: str
    baudrate: int = raycome_cuff.BAUDRATE
    version: Literal[2, 3] = 2
    battery_mv: int = 4050
    clock: ClockFault = "ahead"
    error_rate: float = 0.0
    measure_s: float = raycome_cuff.MEASURE_S
    notify_bytes: int = 0


class MeterConfig(Config, frozen=True):
    """A DL/T 645 meter on a serial port; `energy_kwh` is what it showed at the first midnight."""

    name: str
    path: str
    address: str
    baudrate: int = dlt645_meter.BAUDRATE
    energy_kwh: float = 1200.0
    glitch_rate: float = 0.0
    half_frame_rate: float = 0.0
    echo: bool = False


class SosConfig(Config, frozen=True):
    """A Zigbee SOS button, and the actions its two buttons send. Shapes that are absent are drawn from the seed."""

    name: str
    dialect: Dialect = "1.x"
    emergency: str = "emergency"
    service: str = "single"
    battery: BatteryShape | None = None
    last_seen: LastSeenShape | None = None
    retain: bool = False


class SirenConfig(Config, frozen=True):
    """A Zigbee siren."""

    name: str


class RelayConfig(Config, frozen=True):
    """An LCUS-1 relay on a serial port."""

    name: str
    path: str
    baudrate: int = serial_relay.BAUDRATE


class HomeConfig(Config, frozen=True):
    """A home. `vitals_every_s` counts in the scheduled mode only; `measure_at` (HH:MM) in the daily one."""

    gateway: str
    patience_s: float = 12.0
    speed: float = 1.0
    plug_interval_s: float = 60.0
    vitals_every_s: float = 0.0
    measure_at: tuple[str, ...] = ("07:30", "19:30")
    mqtt: MqttConfig = MqttConfig()
    radios: tuple[RadioConfig, ...] = ()
    cuff: CuffConfig | None = None
    meter: MeterConfig | None = None
    sos: tuple[SosConfig, ...] = ()
    plugs: tuple[PlugConfig, ...] = ()
    buses: tuple[BusConfig, ...] = ()
    push_meters: tuple[PushMeterConfig, ...] = ()
    rflinks: tuple[RflinkConfig, ...] = ()
    fobs: tuple[FobConfig, ...] = ()
    sensors: tuple[SensorConfig, ...] = ()
    gatt_cuffs: tuple[GattCuffConfig, ...] = ()
    siren: SirenConfig | None = None
    relay: RelayConfig | None = None

    @property
    def callers(self) -> int:
        """How many things with buttons there are."""
        pendants = sum(len(radio.pendants) for radio in self.radios)
        return pendants + len(self.sos) + len(self.fobs) + sum(len(stick.fobs) for stick in self.rflinks)


def load_home(path: Path) -> HomeConfig:
    """Read and check a home. Raises ConfigError, which names the file and the key."""
    config = load_config(path, HomeConfig)
    try:
        _check(config)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    return _below(config, path.parent)


def day_second(text: str) -> int:
    """`07:30` as seconds of the day. Raises ValueError."""
    hours, _, minutes = text.partition(":")
    if not (hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60):
        raise ValueError(f"measure_at: a time of day is HH:MM, not {text!r}")
    return int(hours) * 3600 + int(minutes) * 60


def _check(config: HomeConfig) -> None:
    if not is_gateway_id(config.gateway):
        raise ValueError(f"gateway: {config.gateway!r} is no gateway id")
    for key in ("patience_s", "speed", "plug_interval_s"):
        if getattr(config, key) <= 0:
            raise ValueError(f"{key}: must be above zero")
    for text in config.measure_at:
        day_second(text)
    for radio in config.radios:
        _check_radio(radio)
    if config.meter is not None:
        dlt645_meter.line_address(config.meter.address)
    for bus in config.buses:
        for meter in bus.meters:
            check_bus_meter(bus.kind, meter)
    for fob in config.fobs:
        check_fob(fob)
    for sensor in config.sensors:
        check_sensor(sensor)
    for push in config.push_meters:
        check_push_meter(push)
    _check_unique(config)


def _check_radio(radio: RadioConfig) -> None:
    for pendant in radio.pendants:
        check_hexadecimal(pendant.sender, 8, "radios.pendants.sender")
        for name in (pendant.emergency, pendant.service):
            if name not in Button.__members__:
                raise ValueError(f"radios.pendants: no button {name!r}; there are AI, AO, BI, BO")
    for sender in (sensor.sender for sensors in (radio.contacts, radio.thermometers) for sensor in sensors):
        check_hexadecimal(sender, 8, "radios.contacts.sender, radios.thermometers.sender")


def _check_unique(config: HomeConfig) -> None:
    alone = (line for line in (config.cuff, config.meter, config.relay) if line is not None)
    serial = [*config.radios, *config.buses, *config.push_meters, *config.rflinks, *alone]
    callers = [pendant.sender.upper() for radio in config.radios for pendant in radio.pendants]
    callers += [button.name for button in config.sos]
    callers += [fob.id for fob in config.fobs] + [fob.id for stick in config.rflinks for fob in stick.fobs]
    kinds = {"name": [line.name for line in serial], "path": [line.path for line in serial], "pendant": callers}
    for kind, values in kinds.items():
        twice = [value for value, count in Counter(values).items() if count > 1]
        if twice:
            raise ValueError(f"{kind} {twice[0]!r} is given twice")


def _below(config: HomeConfig, folder: Path) -> HomeConfig:
    """The same home with its paths under `folder`; absolute ones stay."""

    def place(path: str) -> str:
        return str(folder / path)

    replace = msgspec.structs.replace
    return replace(
        config,
        radios=tuple(replace(radio, path=place(radio.path)) for radio in config.radios),
        buses=tuple(replace(bus, path=place(bus.path)) for bus in config.buses),
        push_meters=tuple(replace(meter, path=place(meter.path)) for meter in config.push_meters),
        rflinks=tuple(replace(stick, path=place(stick.path)) for stick in config.rflinks),
        cuff=config.cuff and replace(config.cuff, path=place(config.cuff.path)),
        meter=config.meter and replace(config.meter, path=place(config.meter.path)),
        relay=config.relay and replace(config.relay, path=place(config.relay.path)),
    )
