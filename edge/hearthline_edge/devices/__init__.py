"""What a device driver is: sans-IO, one file a family, found by itself.

A driver turns bytes or MQTT messages into items: presses, changes, vital signs, readings, notes and refusals. It does
no I/O and reads no clock; `now` is an argument. A new family is one file in this folder with
`DRIVER = SerialDriver(…)` or `DRIVER = MqttDriver(…)` and one folder of captures in `tests/captures/<driver name>/`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from hearthline.clock import Stamp
from hearthline.errors import ConfigError
from hearthline.log import Log
from hearthline.model import Cause, Reading

HAZARDS: Final = tuple(cause.value for cause in Cause if cause is not Cause.PRESS)
CHANGES: Final = ("open", "closed", "motion", "no-motion", "present", "absent", "vibration", "on", "off")
LASTING_S: Final = 600.0

log = Log(__name__)

RefusalReason = Literal["noise", "length", "checksum", "sanity", "unsupported", "error-reply", "echo", "driver-error"]


@dataclass(frozen=True, slots=True)
class LineSettings:
    """A serial line: `parity` N, E or O."""

    baudrate: int
    bytesize: int = 8
    parity: Literal["N", "E", "O"] = "N"
    stopbits: int = 1


@dataclass(frozen=True, slots=True)
class GroupingRule:
    """When a telegram repeats the press before it. `quiet_gap_s`: silence that ends a press's repeats.

    `release_ends`: a release telegram ends the press, so that what follows is a new one even within the gap.
    `remember`: of how many presses the content is compared. Over 1 for families that number their presses (a packet
    counter, a deduplication id in `Press.content`), whose late copies may come after the next press.
    """

    quiet_gap_s: float
    release_ends: bool = False
    remember: int = 1


@dataclass(frozen=True, slots=True)
class Press:
    """One telegram of a pressed button, or of a hazard that a sensor tells. Raises an alert by itself.

    `button`: as the device names it, or a word of `HAZARDS`. `content`: what repeats have in common; `raw` goes to the
    operator. `certainty` possible: it may be an old one told again (a retained message with a newer timestamp).
    `source_ns`: when it was sent by the clock of whoever received the radio (Zigbee2MQTT's last_seen), in ns since any
    fixed moment: telegrams that waited at a broker are told apart by it. `lasting`: a state that is told again and
    again while it lasts (smoke): its repeats are one press for `LASTING_S` from the first, unless a `Release` ends it.
    """

    device: str
    button: str
    content: str
    raw: str
    certainty: Literal["certain", "possible"] = "certain"
    facts: tuple[tuple[str, Any], ...] = ()  # rssi_dbm, hops, battery, device_time …
    source_ns: int | None = None
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """A button let go, or a hazard over. `button` "": every button of the device (RPS names none on release)."""

    device: str
    button: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A sensor's state has changed: `kind` of `CHANGES`. Told once a change, not once a report.

    No alert by itself: it is evidence of activity in the home (`hearthline.activity.v1`).
    """

    device: str
    kind: str
    raw: str


@dataclass(frozen=True, slots=True)
class Vital:
    """One result of a cuff. `values`: quantity of `VITAL_UNITS` and value, in its unit; what is absent is left out.

    `user` as the device numbers it, None when it does not; `device_time` is data, "" when it has none.
    """

    device: str
    values: tuple[tuple[str, float], ...]
    user: int | None
    device_time: str
    raw: str
    facts: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Readings:
    """Values measured at one moment."""

    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class DeviceNote:
    """Something about a device that staff should see: `kind` low-battery, tamper, test, error, offline, no-reply …"""

    device: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The device is alive and had nothing to say (an announce, a heartbeat, an acknowledgement)."""

    device: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Bytes or a payload that were not taken, counted by reason and kept aside."""

    reason: RefusalReason
    raw: str


Item = Press | Release | Change | Vital | Readings | DeviceNote | Seen | Refused


class SerialSession(Protocol):
    """One serial port's conversation, without I/O. Never raises on bytes, whatever they are."""

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        """Bytes that arrived, in any split; gives the items that they complete.

        `b""` lets time pass: a frame that never ended is given up then. Called so before each `next_request` that
        the passing of time brings about.
        """
        ...

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        """(bytes to send now or b"", seconds until asked again). Called at start and after each receive."""
        ...


@dataclass(frozen=True, slots=True)
class SerialDriver:
    """`open_session(options, name)`: `options` is the port's own TOML table, `name` the port's configured name.

    Raises ConfigError for wrong options. `decode_options`: options with which a recording is decoded when nobody gives
    any. `recordings_only`: why it may not serve a port yet; it only decodes recordings then.
    """

    name: str
    line: LineSettings
    open_session: Callable[[dict[str, Any], str], SerialSession]
    grouping: GroupingRule
    decode_options: dict[str, Any] = field(default_factory=dict)
    recordings_only: str = ""


@dataclass(frozen=True, slots=True)
class MqttMessage:
    topic: str
    payload: bytes
    retained: bool


class MqttSession(Protocol):
    """The state that a family needs between messages, without I/O. Never raises on a payload."""

    def receive(self, message: MqttMessage, now: Stamp) -> Iterable[Item]: ...


@dataclass(frozen=True, slots=True)
class MqttDriver:
    """`subscriptions` are MQTT topic filters; `claims(topic)` says which of the arriving topics are this driver's.

    `configure(options)`: this driver with the subscriptions and claims that options ask for; None when options change
    neither. Use `configured(options)`. Raises ConfigError for wrong options.

    For recordings: `aliases` are further names that it is found by; `example_topic` stands for the topic of a line
    that is a bare payload; `wrap` makes a message of a radio payload that was recorded without what carried it. A
    recording's topics are fed whether claimed or not.
    """

    name: str
    subscriptions: tuple[str, ...]
    claims: Callable[[str], bool]
    open_session: Callable[[dict[str, Any]], MqttSession]
    grouping: GroupingRule
    configure: Callable[[dict[str, Any]], MqttDriver] | None = None
    aliases: tuple[str, ...] = ()
    example_topic: str = ""
    wrap: Callable[[bytes], MqttMessage] | None = None

    def configured(self, options: dict[str, Any]) -> MqttDriver:
        """The driver to subscribe and claim with under these options."""
        return self if self.configure is None else self.configure(options)


Driver = SerialDriver | MqttDriver


def run_driver(name: str, receive: Callable[[], Iterable[Item]], raw: str) -> tuple[Item, ...]:
    """The items that a session makes. Its mistake is kept, counted and logged, and never stops what follows."""
    try:
        return tuple(receive())
    except Exception:  # a driver's mistake is not the next frame's fault
        log.exception("driver failed", driver=name)
        return (Refused("driver-error", raw),)


def find_drivers() -> dict[str, Driver]:
    """Every driver of this folder by name. Two drivers of one name are a mistake that fails at start."""
    drivers: dict[str, Driver] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        driver = getattr(module, "DRIVER", None)
        if driver is None:
            continue
        if driver.name in drivers:
            raise ConfigError(f"two drivers are named {driver.name!r}; the second is {module.__name__}")
        drivers[driver.name] = driver
    return drivers


def driver_named(name: str, drivers: dict[str, Driver]) -> Driver | None:
    """The driver of that name or alias, among these."""
    aliased = (each for each in drivers.values() if isinstance(each, MqttDriver) and name in each.aliases)
    return drivers.get(name) or next(aliased, None)
