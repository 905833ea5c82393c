"""The agent's configuration file (`--config FILE`); every key is described in docs/operations.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from hearthline.clock import ClockTrust
from hearthline.config import Config, load_config
from hearthline.errors import ConfigError
from hearthline.wire import is_gateway_id
from hearthline_edge.devices import LineSettings, SerialDriver, find_drivers

Role = Literal["emergency", "service", "ignore"]


class UplinkConfig(Config, frozen=True):
    """The way to the center's broker. `protocol` auto: MQTT 5, falling back to 3.1.1."""

    host: str
    port: int = 1883
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None  # giving it switches TLS on
    cert_file: str | None = None
    key_file: str | None = None
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    keepalive_s: int = 20


class LocalMqttConfig(Config, frozen=True):
    """The gateway's own broker. `options`: per MQTT driver, its own table."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password_file: str | None = None
    options: dict[str, dict[str, Any]] = {}


class SerialConfig(Config, frozen=True):
    """One serial port; the line settings default to the driver's."""

    name: str
    port: str
    driver: str
    baudrate: int | None = None
    bytesize: Literal[5, 6, 7, 8] | None = None
    parity: Literal["N", "E", "O"] | None = None
    stopbits: Literal[1, 2] | None = None
    options: dict[str, Any] = {}

    def line(self, driver: SerialDriver) -> LineSettings:
        return LineSettings(
            self.baudrate or driver.line.baudrate,
            self.bytesize or driver.line.bytesize,
            self.parity or driver.line.parity,
            self.stopbits or driver.line.stopbits,
        )


class DeviceConfig(Config, frozen=True):
    """What a device's buttons mean; `*` stands for every other button. Without an entry: emergency."""

    id: str
    buttons: dict[str, Role] = {}


class SirenConfig(Config, frozen=True):
    """A local output. `target` is the siren's Zigbee2MQTT topic, or the serial port of an LCUS-1 relay."""

    kind: Literal["zigbee", "relay"]
    target: str


class ClockConfig(Config, frozen=True):
    trust: ClockTrust = "auto"


class EdgeConfig(Config, frozen=True):
    gateway: str
    data_dir: str
    uplink: UplinkConfig
    local_mqtt: LocalMqttConfig | None = None
    serial: list[SerialConfig] = []
    device: list[DeviceConfig] = []
    siren: list[SirenConfig] = []
    clock: ClockConfig = ClockConfig()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    telemetry_max_mb: int = 64
    local_alarm_after_s: float = 10.0
    status_period_s: float = 30.0

    def role(self, device: str, button: str) -> Role:
        """In doubt an emergency: a button that nobody has described still raises."""
        for entry in self.device:
            if entry.id == device:
                return entry.buttons.get(button, entry.buttons.get("*", "emergency"))
        return "emergency"


def load_edge_config(path: Path) -> EdgeConfig:
    """Raises ConfigError, naming file and key, for anything that could not work."""
    config = load_config(path, EdgeConfig)
    if not is_gateway_id(config.gateway):
        raise ConfigError(f"{path}: gateway = {config.gateway!r} must be 1 to 64 letters, digits, '.', '_' or '-'")
    drivers = find_drivers()
    serial_drivers = sorted(name for name, driver in drivers.items() if isinstance(driver, SerialDriver))
    names: set[str] = set()
    for index, port in enumerate(config.serial):
        if port.driver not in serial_drivers:
            known = ", ".join(serial_drivers)
            raise ConfigError(
                f"{path}: serial[{index}].driver = {port.driver!r} is not a serial driver; there are: {known}"
            )
        if port.name in names:
            raise ConfigError(f"{path}: serial[{index}].name = {port.name!r} is used twice")
        names.add(port.name)
    for driver_name in config.local_mqtt.options if config.local_mqtt else ():
        if driver_name not in drivers or driver_name in serial_drivers:
            raise ConfigError(f"{path}: local_mqtt.options.{driver_name}: there is no such MQTT driver")
    return config
