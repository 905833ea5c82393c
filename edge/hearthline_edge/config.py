"""What the agent's configuration file (`--config FILE`) may say; every key is shown in docs/examples/edge.toml."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from hearthline.clock import ClockTrust
from hearthline.config import Config
from hearthline_edge.cancelling import WINDOW_S
from hearthline_edge.device_list import DeviceConfig, ListedDevice, Role, role_in
from hearthline_edge.devices import LineSettings, SerialDriver
from hearthline_edge.profile import Profile

Word = Annotated[str, Meta(min_length=1)]
TcpPort = Annotated[int, Meta(ge=1, le=65535)]


class UplinkConfig(Config, frozen=True):
    """The way to the center's broker. `protocol` auto: MQTT 5, falling back to 3.1.1."""

    host: Word
    port: TcpPort = 1883
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None  # giving it switches TLS on
    cert_file: str | None = None
    key_file: str | None = None
    second_cert_file: str | None = None  # of the second session; the key is the same
    replace_key: bool = False  # the key came in a file: another one at the first contact
    renew: bool = True  # ask the center for new certificates before these end
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    keepalive_s: Annotated[int, Meta(ge=1, le=3600)] = 20


class LocalMqttConfig(Config, frozen=True):
    """The gateway's own broker. `options`: per MQTT driver, its own table.

    `profiles`: names of shipped MQTT profiles that are on; those of the installer's own folder always are.
    """

    host: Word = "127.0.0.1"
    port: TcpPort = 1883
    username: str | None = None
    password_file: str | None = None
    profiles: list[Word] = []
    options: dict[str, dict[str, Any]] = {}


class LineConfig(Config, frozen=True):
    """Line settings; they default to the driver's. termios(3) knows nothing slower, USB adapters nothing faster."""

    baudrate: Annotated[int, Meta(ge=50, le=12_000_000)] | None = None
    bytesize: Literal[5, 6, 7, 8] | None = None
    parity: Literal["N", "E", "O"] | None = None
    stopbits: Literal[1, 2] | None = None


class SerialConfig(LineConfig, frozen=True, kw_only=True):
    """One serial port."""

    name: Word
    port: Word
    driver: str
    options: dict[str, Any] = {}

    def line(self, driver: SerialDriver) -> LineSettings:
        return LineSettings(
            self.baudrate or driver.line.baudrate,
            self.bytesize or driver.line.bytesize,
            self.parity or driver.line.parity,
            self.stopbits or driver.line.stopbits,
        )


class SirenConfig(Config, frozen=True):
    """A local output. `target` is the siren's Zigbee2MQTT topic, or the serial port of an LCUS-1 relay."""

    kind: Literal["zigbee", "relay"]
    target: Word


class ClockConfig(Config, frozen=True):
    trust: ClockTrust = "auto"


class MetricsConfig(Config, frozen=True):
    """Where the agent shows Prometheus how it is."""

    host: Word = "127.0.0.1"
    port: TcpPort = 9467


class EdgeFile(Config, frozen=True):
    """What the file may say. `profile_dir`: absent: `profiles` beside the file, if there is such a folder."""

    gateway: str
    data_dir: Word
    uplink: UplinkConfig
    local_mqtt: LocalMqttConfig | None = None
    serial: list[SerialConfig] = []
    device: list[DeviceConfig] = []
    siren: list[SirenConfig] = []
    clock: ClockConfig = ClockConfig()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    telemetry_max_mb: Annotated[int, Meta(ge=1)] = 64
    gather_s: Annotated[float, Meta(ge=0.0, le=60)] = 5.0  # readings of all sources share a commit so often
    local_alarm_after_s: Annotated[float, Meta(ge=0)] = 10.0
    cancel_window_s: Annotated[float, Meta(ge=0, le=60)] = WINDOW_S
    status_period_s: Annotated[float, Meta(ge=1)] = 30.0
    profile_dir: Word | None = None
    metrics: MetricsConfig | None = None


class EdgeConfig(EdgeFile, frozen=True):
    """What the agent works by: the file, the profiles that its ports name put in their places.

    `mqtt_profiles`: those that are on. `center`: the keys that the center has changed. `faults`: what was set aside, in
    words; `wrong_lines`: those of them that are about line settings. `device`: of the file, then of `devices.toml`,
    which is in `folder`; `listed`: all of the latter.
    """

    mqtt_profiles: tuple[Profile, ...] = ()
    center: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    wrong_lines: tuple[str, ...] = ()
    folder: str = ""
    listed: tuple[ListedDevice, ...] = ()
    list_fault: str = ""

    def role(self, device: str, button: str) -> Role:
        """In doubt an emergency: a button that nobody has described still raises."""
        return role_in(self.device, device, button)
