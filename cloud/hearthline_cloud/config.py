"""The cloud's configuration file (`hearthline cloud … --config FILE`); every key is described in docs/operations.md."""

from __future__ import annotations

import datetime as dt
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hearthline.config import Config, load_config
from hearthline.errors import ConfigError
from hearthline_cloud.permissions import Role

ALWAYS_TWO = (Role.ADMINISTRATOR, Role.AUDITOR)  # they see every home, or everything that anybody did
MAX_ASK_AFTER_MIN = 7 * 24 * 60
_LEAST_RAW_DAYS = 7  # an outage of so many days comes late and is taken all the same
_MOST_DAYS = 36_500


class BrokerConfig(Config, frozen=True):
    """The MQTT broker that the gateways reach."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None  # giving it switches TLS on
    cert_file: str | None = None
    key_file: str | None = None
    client_id: str = "hearthline-ingest"  # two sessions: -event and -telemetry


class StoreConfig(Config, frozen=True):
    """Where time series go: `embedded` (a SQLite file in `data_dir`), `influxdb` (1.x), `influxdb2` (2.x to Cloud)."""

    kind: Literal["embedded", "influxdb", "influxdb2"] = "embedded"
    url: str = "http://127.0.0.1:8086"
    database: str = "hearthline"  # of influxdb2: the bucket; those of the summaries have its name and /quarter, /daily
    username: str | None = None
    password_file: str | None = None
    org: str = ""  # of influxdb2: the organisation; 3.x has none
    token_file: str | None = None  # of influxdb2
    timeout_s: float = 10.0
    raw_days: int = 90  # how long each value is kept; 0: for ever
    quarter_days: int = 1826  # how long the summaries of 15 minutes are kept; 0: for ever
    daily_days: int = 0  # those of days
    zone: str = "Asia/Shanghai"  # at whose midnight a day begins


class WebConfig(Config, frozen=True):
    """Where the console and the API listen. Put a TLS reverse proxy in front of it outside one's own machine."""

    host: str = "127.0.0.1"
    port: int = 8080
    secure_cookies: bool = False  # true behind TLS
    session_hours: int = 12
    idle_minutes: int = 60  # without a request and without an open page
    trusted_proxies: list[str] = []  # whose X-Forwarded-For is believed: addresses or networks
    wall_names: bool = False  # whether the wall view names homes and rooms; else it gives their pseudonymous ids
    public_url: str | None = None  # what a link in a message begins with
    center_phone: str = ""  # which volunteers call
    link_key_file: str | None = None  # what links are signed with; by default link-key in data_dir
    second_factor: list[Role] | None = None  # roles that need one; by default ALWAYS_TWO with secure_cookies, else none

    @property
    def second_factor_roles(self) -> list[Role]:
        if self.second_factor is not None:
            return self.second_factor
        return list(ALWAYS_TWO) if self.secure_cookies else []


class MealConfig(Config, frozen=True):
    """A meal that service calls order: local times of a day."""

    name: str
    served: dt.time
    order_until: dt.time
    day_before: bool = False  # orders close on the day before


class ServiceConfig(Config, frozen=True):
    """What service calls are planned by; without a meal the shipped ones hold."""

    zone: str = "Asia/Shanghai"
    meal: list[MealConfig] = []


class ChannelConfig(Config, frozen=True):
    """One way to tell people outside the console. What a kind needs and does not have is refused at the start."""

    name: str
    kind: Literal["webhook", "apprise"]
    url: str | None = None  # of a webhook
    secret_file: str | None = None  # what a webhook's messages are signed with
    url_file: str | None = None  # of Apprise: its URL holds the password, so it is a secret
    language: Literal["zh", "en"] = "zh"
    trusted: bool = False  # may carry names and addresses
    contacts: bool = False  # reaches a resident's contacts, by their telephone number
    staff: list[str] = []  # whom of the staff it reaches
    template: str | None = None
    timeout_s: float = 10.0


class SelfTestConfig(Config, frozen=True):
    """Once a day each gateway proves its way to the center, at its own moment between two local times."""

    enabled: bool = True
    begin: dt.time = msgspec.field(name="from", default=dt.time(10))
    end: dt.time = msgspec.field(name="to", default=dt.time(11))
    zone: str = "Asia/Shanghai"
    answer_within_s: float = 900.0


class CommissioningConfig(Config, frozen=True):
    """After so many days without a press a commissioned home is called, so that its pendant is tried; 0: never."""

    remind_days: int = 30


class DeadmanConfig(Config, frozen=True):
    """An outside service that is pinged while the whole center works, and calls people when it is not."""

    url: str | None = None
    url_file: str | None = None  # instead of `url` where the URL is a secret
    method: Literal["POST", "GET"] = "POST"
    period_s: float = 60.0
    timeout_s: float = 10.0


class IdentityConfig(Config, frozen=True):
    """The center's certificates, and the broker that is kept by them. With `folder` the desk role is its keeper."""

    folder: str = ""  # the issuing key, its certificate and the root's
    broker: str = ""  # what `broker-config` has written: the broker reads it, and keeps its own state there
    names: list[str] = []  # under which gateways reach the broker: host names or addresses
    host: str = "0.0.0.0"  # where it listens for gateways
    port: int = 8883
    plugin: str | None = None  # mosquitto_dynamic_security.so; by default where Debian has it
    keeper_password_file: str | None = None  # by default hearthline-keeper.password in `broker`
    reload: list[
        str
    ] = []  # a command that makes the broker read its revocation list; by default SIGHUP by its pid file


class FiguresConfig(Config, frozen=True):
    """The desk's figures, and the one question after a case is closed."""

    zone: str = "Asia/Shanghai"  # whose midnight a month begins at
    ask_feedback: list[str] = []  # in which communities somebody is asked whether there was help
    ask_whom: Literal["contact", "resident"] = "contact"
    ask_after_min: int = 60  # after the case was closed


class MetricsConfig(Config, frozen=True):
    """Where each process shows Prometheus how it is: ingest on `port`, a desk alone on the next, a web after that."""

    host: str = "127.0.0.1"
    port: int = 9464


class RetentionConfig(Config, frozen=True):
    """How many days what is kept. What they are long for, and why: docs/operations.md."""

    enabled: bool = True
    words_days: int = 1095  # of notes, reports and reasons, after the case was closed
    vitals_days: int = 1095
    activity_days: int = 90  # doors, movements
    self_tests_days: int = 90  # proofs that came through
    messages_days: int = 30  # attempts to tell people, and commands to gateways
    aside_days: int = 90  # what could not be read
    cases_days: int = 1825
    journal_days: int = 1825


LEAST_DAYS = {  # less would take away what the desk still works with
    "words_days": 30, "vitals_days": 30, "activity_days": 7, "self_tests_days": 90, "messages_days": 7,
    "aside_days": 7, "cases_days": 400,
}  # fmt: skip


class CloudConfig(Config, frozen=True):
    data_dir: str
    database: str | None = None  # SQLAlchemy URL; by default hearthline.db in data_dir
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    withdrawn_file: str | None = None  # what was revoked and closed; by default withdrawn.jsonl in data_dir
    personal_key_file: str | None = None  # what personal data is sealed with; by default personal-key in data_dir
    broker: BrokerConfig = BrokerConfig()
    store: StoreConfig = StoreConfig()
    web: WebConfig = WebConfig()
    channel: list[ChannelConfig] = []
    self_test: SelfTestConfig = SelfTestConfig()
    commissioning: CommissioningConfig = CommissioningConfig()
    deadman: DeadmanConfig | None = None
    service: ServiceConfig = ServiceConfig()
    figures: FiguresConfig = FiguresConfig()
    identity: IdentityConfig = IdentityConfig()
    metrics: MetricsConfig | None = None
    retention: RetentionConfig = RetentionConfig()

    @property
    def directory(self) -> Path:
        return Path(self.data_dir)

    @property
    def withdrawn_path(self) -> Path:
        return Path(self.withdrawn_file) if self.withdrawn_file else self.directory / "withdrawn.jsonl"

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.directory / 'hearthline.db'}"


def load_cloud_config(path: Path) -> CloudConfig:
    """Raises ConfigError, naming the key."""
    config = load_config(path, CloudConfig)
    if not config.directory.is_dir():
        raise ConfigError(f"{path}: data_dir = {config.data_dir!r} is not a directory; make it first")
    _check_web(path, config.web)
    _check_public_url(path, config.web.public_url)
    _check_figures(path, config)
    _check_store(path, config.store)
    _check_identity(path, config.identity)
    _check_retention(path, config.retention)
    return config


def _check_retention(path: Path, retention: RetentionConfig) -> None:
    """A case is shown with its words and its entries of the journal."""
    least = {**LEAST_DAYS, "journal_days": retention.cases_days}
    for key, days in least.items():
        found = getattr(retention, key)
        if found < days:
            why = " (retention.cases_days)" if key == "journal_days" else ""
            raise ConfigError(f"{path}: retention.{key} = {found}: must be {days}{why} or more")


def _check_identity(path: Path, identity: IdentityConfig) -> None:
    """All or nothing: raise ConfigError for the key that is missing."""
    missing = [key for key in ("folder", "broker", "names") if not getattr(identity, key)]
    if missing and len(missing) < 3:
        raise ConfigError(f"{path}: identity.{missing[0]} must be set too, for the broker is to be kept")


def _check_zone(path: Path, key: str, zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"{path}: {key} = {zone!r}: there is no such time zone on this machine") from None


def _check_store(path: Path, store: StoreConfig) -> None:
    _check_zone(path, "store.zone", store.zone)
    for key, days, least in (
        ("raw_days", store.raw_days, _LEAST_RAW_DAYS),
        ("quarter_days", store.quarter_days, store.raw_days),
        ("daily_days", store.daily_days, store.raw_days),
    ):
        if days != 0 and not least <= days <= _MOST_DAYS:
            raise ConfigError(f"{path}: store.{key} = {days}: must be 0 (for ever) or {least} to {_MOST_DAYS} days")


def _check_figures(path: Path, config: CloudConfig) -> None:
    _check_zone(path, "figures.zone", config.figures.zone)
    wait = config.figures.ask_after_min
    if not 0 <= wait <= MAX_ASK_AFTER_MIN:
        raise ConfigError(f"{path}: figures.ask_after_min = {wait}: must be 0 to {MAX_ASK_AFTER_MIN} minutes")


def _check_web(path: Path, web: WebConfig) -> None:
    for key, value in (("session_hours", web.session_hours), ("idle_minutes", web.idle_minutes)):
        if value < 1:
            raise ConfigError(f"{path}: web.{key} = {value}: must be 1 or more")
    if Role.VIEWER in web.second_factor_roles:
        raise ConfigError(f"{path}: web.second_factor: a viewer is a screen on a wall, and has no phone")
    for proxy in web.trusted_proxies:
        try:
            ip_network(proxy)
        except ValueError as error:
            raise ConfigError(f"{path}: web.trusted_proxies: {error}") from None


def _check_public_url(path: Path, url: str | None) -> None:
    """Raise ConfigError for what no link can begin with."""
    if url is None:
        return
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or url != f"{parts.scheme}://{parts.netloc}":
        raise ConfigError(
            f"{path}: web.public_url = {url!r}: write https://HOST or https://HOST:PORT, no path behind it"
        )
