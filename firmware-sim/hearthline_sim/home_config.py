"""The file that describes a simulated home: TOML, checked key by key.

Relative paths are taken from the folder of the file. `docs/examples/home.toml` shows every key.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from hearthline.config import Config, load_config
from hearthline.errors import ConfigError
from hearthline.wire import is_gateway_id
from hearthline_sim.devices import dlt645_meter, enocean_pendant, raycome_cuff, serial_relay
from hearthline_sim.devices.enocean_pendant import Button
from hearthline_sim.devices.raycome_cuff import ClockFault
from hearthline_sim.devices.zigbee_sos import BatteryShape, Dialect, LastSeenShape


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


class RadioConfig(Config, frozen=True):
    """An ESP3 receiver on a serial port, and the pendants it hears."""

    name: str
    path: str
    pendants: tuple[PendantConfig, ...] = ()
    baudrate: int = enocean_pendant.BAUDRATE
    false_start_rate: float = 0.2
    max_copies: int = enocean_pendant.MAX_COPIES


class CuffConfig(Config, frozen=True):
    """A Raycome blood-pressure cuff on a serial port."""

    name: str
    path: str
    baudrate: int = raycome_cuff.BAUDRATE
    battery_mv: int = 4050
    clock: ClockFault = "ahead"
    error_rate: float = 0.0
    measure_s: float = raycome_cuff.MEASURE_S


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


class PlugConfig(Config, frozen=True):
    """A Shelly plug."""

    id: str


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
    siren: SirenConfig | None = None
    relay: RelayConfig | None = None


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
    for pendant in (pendant for radio in config.radios for pendant in radio.pendants):
        if len(pendant.sender) != 8 or not all(digit in "0123456789abcdefABCDEF" for digit in pendant.sender):
            raise ValueError(f"radios.pendants.sender: eight hexadecimal digits, not {pendant.sender!r}")
        for name in (pendant.emergency, pendant.service):
            if name not in Button.__members__:
                raise ValueError(f"radios.pendants: no button {name!r}; there are AI, AO, BI, BO")
    if config.meter is not None:
        dlt645_meter.line_address(config.meter.address)
    _check_unique(config)


def _check_unique(config: HomeConfig) -> None:
    serial = [*config.radios, *(line for line in (config.cuff, config.meter, config.relay) if line is not None)]
    callers = [pendant.sender.upper() for radio in config.radios for pendant in radio.pendants]
    callers += [button.name for button in config.sos]
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
        cuff=config.cuff and replace(config.cuff, path=place(config.cuff.path)),
        meter=config.meter and replace(config.meter, path=place(config.meter.path)),
        relay=config.relay and replace(config.relay, path=place(config.relay.path)),
    )
