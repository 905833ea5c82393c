"""A signed webhook: one JSON object by POST.

    X-Hearthline-Timestamp: 1763782800
    X-Hearthline-Signature: sha256=<hex of HMAC-SHA256(secret, "<timestamp>." + body)>
    Idempotency-Key: <the message's key, the same at every attempt>

Whoever receives it computes the same and refuses a timestamp that is older than a few minutes. Any 2xx is "sent".
408, 425, 429 and 5xx, and everything before an answer, are tried again, not before what `Retry-After` says; other
answers will not change.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import msgspec
import urllib3
from urllib3.util import Timeout

from hearthline.errors import ConfigError
from hearthline_cloud.notify.port import Message, Result

_RETRIED = frozenset({408, 425, 429})


class Webhook:
    """Raises ConfigError for a URL that is none."""

    def __init__(self, url: str, secret: str, timeout_s: float, now_s: Callable[[], float] = time.time) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"url = {url!r} is no http or https URL")
        self._url = url
        self._secret = secret.encode()
        self._now_s = now_s
        self._pool = urllib3.PoolManager(num_pools=1, retries=False, timeout=Timeout(total=timeout_s))

    def send(self, message: Message) -> Result:
        body = msgspec.json.encode(
            {"id": message.key, "title": message.title, "text": message.text, "to": message.to, **message.facts}
        )
        stamp = str(int(self._now_s()))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": message.key,
            "X-Hearthline-Timestamp": stamp,
            "X-Hearthline-Signature": f"sha256={signature(self._secret, stamp, body)}",
        }
        try:
            answer = self._pool.request("POST", self._url, body=body, headers=headers, preload_content=False)
            answer.close()  # the status is all that counts; a long or slow body holds nobody up
        except urllib3.exceptions.HTTPError as error:
            return Result(False, type(error).__name__, retry=True)
        sent = 200 <= answer.status < 300
        after_s = retry_after_s(answer.headers.get("Retry-After", ""), self._now_s())
        retry = answer.status >= 500 or answer.status in _RETRIED
        return Result(sent, f"HTTP {answer.status}", retry, after_s)


def retry_after_s(header: str, now_s: float) -> float:
    """What `Retry-After` asks for: seconds, or an HTTP date. 0 for what is neither."""
    if header.strip().isascii() and header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now_s)
    except (ValueError, OverflowError):
        return 0.0


def signature(secret: bytes, stamp: str, body: bytes) -> str:
    return hmac.new(secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
