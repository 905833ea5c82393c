"""The channels of cloud.toml, opened and checked at the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hearthline.config import read_secret
from hearthline.errors import ConfigError
from hearthline_cloud.alerts.escalation import Reach
from hearthline_cloud.config import ChannelConfig
from hearthline_cloud.notify.apprise_channel import AppriseChannel
from hearthline_cloud.notify.port import Channel
from hearthline_cloud.notify.webhook import Webhook

MAX_CHANNELS = 32
MAX_NAME = 64
MAX_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A channel with what it is trusted with and whom it reaches."""

    config: ChannelConfig
    channel: Channel

    @property
    def reach(self) -> Reach:
        return reach_of(self.config)


def reach_of(config: ChannelConfig) -> Reach:
    """Whom a channel reaches, without opening it."""
    return Reach(config.name, frozenset(config.staff), config.contacts)


def open_channels(configs: Sequence[ChannelConfig]) -> list[Opened]:
    """Connects to nothing yet. Raises ConfigError with the channel and the key."""
    if len(configs) > MAX_CHANNELS:
        raise ConfigError(f"channel: {len(configs)} of them; {MAX_CHANNELS} at most, for each has a thread")
    opened: list[Opened] = []
    for place, config in enumerate(configs):
        where = f"channel[{place}]"
        if not 1 <= len(config.name) <= MAX_NAME:
            raise ConfigError(f"{where}.name = {config.name!r}: must have 1 to {MAX_NAME} characters")
        if any(other.config.name == config.name for other in opened):
            raise ConfigError(f"{where}.name = {config.name!r}: another channel has this name")
        try:
            opened.append(Opened(config, _open(config)))
        except ConfigError as error:
            raise ConfigError(f"{where} {config.name!r}: {error}") from None
    return opened


def _open(config: ChannelConfig) -> Channel:
    if not 0 < config.timeout_s <= MAX_TIMEOUT_S:
        raise ConfigError(f"timeout_s = {config.timeout_s:g}: must be over 0, {MAX_TIMEOUT_S:g} at most")
    if config.contacts and not config.trusted:
        raise ConfigError("contacts = true needs trusted = true: the channel learns the telephone numbers of people")
    if config.kind == "webhook":
        _absent(config, "url_file")
        secret = read_secret(config.secret_file, "secret_file")
        if config.url is None or secret is None:
            raise ConfigError("a webhook needs url and secret_file")
        return Webhook(config.url, secret, config.timeout_s)
    _absent(config, "url", "secret_file")
    url = read_secret(config.url_file, "url_file")
    if url is None:
        raise ConfigError("Apprise needs url_file, a file that holds its URL")
    channel = AppriseChannel(url, config.timeout_s)
    if channel.takes_phone != config.contacts:
        raise ConfigError("the URL in url_file has {phone} in it where contacts = true, and only there")
    return channel


def _absent(config: ChannelConfig, *keys: str) -> None:
    for key in keys:
        if getattr(config, key) is not None:
            raise ConfigError(f"{key}: a channel of kind {config.kind} has no such key")
