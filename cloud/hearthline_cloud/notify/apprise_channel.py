"""Apprise: e-mail, SMS gateways, DingTalk, WeCom, Telegram, ntfy and a hundred more, by one URL a channel.

`{phone}` in the URL stands for the telephone number of the contact that a message is for. Apprise says only whether
it has sent, so what it could not send is tried again.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any
from urllib.parse import quote

from hearthline.errors import ConfigError, NotInstalledError
from hearthline_cloud.notify.port import Message, Result

_PHONE = "{phone}"


class AppriseChannel:
    """Raises ConfigError for a URL that Apprise does not know, NotInstalledError without Apprise."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = f"{url}{'&' if '?' in url else '?'}cto={timeout_s:g}&rto={timeout_s:g}"
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # of what Apprise imports, its services at the first URL
            self._apprise = _load()
            is_known = self._open("+8610000000") is not None
        if not is_known:
            raise ConfigError("the URL in url_file is none that Apprise knows")

    @property
    def takes_phone(self) -> bool:
        return _PHONE in self._url

    def send(self, message: Message) -> Result:
        opened = self._open(message.to)
        if opened is None:
            return Result(False, "Apprise takes no such recipient")
        if opened.notify(title=message.title, body=message.text):
            return Result(True, "Apprise has sent it")
        return Result(False, "Apprise could not send it", retry=True)

    def _open(self, phone: str) -> Any | None:
        asset = self._apprise.AppriseAsset(
            app_id="Hearthline",
            async_mode=False,  # one worker a channel; no threads or event loops of its own
            storage_mode=self._apprise.PersistentStoreMode.MEMORY,
        )
        opened = self._apprise.Apprise(asset=asset)
        return opened if opened.add(self._url.replace(_PHONE, quote(phone, safe=""))) else None


def _load() -> Any:
    """Only a center that has such a channel carries Apprise."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it logs recipients
    try:
        import apprise
    except ModuleNotFoundError:
        raise NotInstalledError(
            "a channel of kind apprise needs the package apprise: pip install 'hearthline[cloud]'"
        ) from None
    return apprise
