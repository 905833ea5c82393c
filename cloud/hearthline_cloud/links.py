"""Signed links that expire: what a phone without an account may do, and nothing else.

    token = base64url( purpose (1 byte) | subject (6) | expiry, Unix seconds (4) | 13 bytes of an HMAC-SHA256 )

24 bytes are 32 characters without padding, short enough for an SMS, and each character counts: there is one token a
link. The subject is a row's number; nothing personal stands in a URL. Whether a link has been used up is the business
of what it opens, which the database knows; a signature alone never ends.

The key is made at the first start in `data_dir`, readable by its owner alone, and never in the database: who reads the
database can make no link. With several machines they share it as `web.link_key_file`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from hearthline.clock import NS
from hearthline.config import read_secret
from hearthline.errors import ConfigError, RefusedError
from hearthline_cloud.config import CloudConfig

KEY_FILE = "link-key"  # in data_dir
MIN_KEY = 32  # characters
TOKEN_LENGTH = 32
_DOMAIN = b"hearthline-link-1"
_HEAD, _SUBJECT, _EXPIRY, _MAC = 11, 6, 4, 13


class Purpose(IntEnum):
    """What a link is for; one for the one opens nothing of the other. The value is its path's first part, too."""

    VOLUNTEER = 1  # /v/: a work order of the street's volunteer
    FEEDBACK = 2  # /f/: one question after an alert was closed

    @property
    def path(self) -> str:
        return {Purpose.VOLUNTEER: "/v/", Purpose.FEEDBACK: "/f/"}[self]


class DeadLinkError(RefusedError):
    """The link is wrong, altered, expired or used up; whoever holds it is never told which."""


@dataclass(frozen=True, slots=True)
class Link:
    """What an opened token says. `subject`: the number of the row that it is about."""

    purpose: Purpose
    subject: int
    expires_ns: int


class Links:
    """Makes and opens links by one key."""

    def __init__(self, key: bytes, public_url: str | None = None) -> None:
        self._key = key
        self._public_url = public_url

    def token(self, purpose: Purpose, subject: int, expires_ns: int) -> str:
        """The same for the same arguments, so that a message that is sent again carries the same link."""
        head = bytes([purpose]) + subject.to_bytes(_SUBJECT) + (expires_ns // NS).to_bytes(_EXPIRY)
        return base64.urlsafe_b64encode(head + self._mac(head)).decode()

    def url(self, purpose: Purpose, subject: int, expires_ns: int) -> str | None:
        """The whole address, or None where `web.public_url` does not say what it begins with."""
        if self._public_url is None:
            return None
        return f"{self._public_url}{purpose.path}{self.token(purpose, subject, expires_ns)}"

    def open(self, purpose: Purpose, token: str, now_ns: int) -> Link:
        """What the token is about. DeadLinkError: not ours, altered, expired, of another kind."""
        try:
            raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raise DeadLinkError("not a link") from None
        if len(token) != TOKEN_LENGTH or not hmac.compare_digest(raw[_HEAD:], self._mac(raw[:_HEAD])):
            raise DeadLinkError("not a link")
        expires_ns = int.from_bytes(raw[_HEAD - _EXPIRY : _HEAD]) * NS
        if raw[0] != purpose or now_ns >= expires_ns:
            raise DeadLinkError("not a link any more")
        return Link(purpose, int.from_bytes(raw[1 : 1 + _SUBJECT]), expires_ns)

    def _mac(self, head: bytes) -> bytes:
        return hmac.digest(self._key, _DOMAIN + head, hashlib.sha256)[:_MAC]


def open_links(config: CloudConfig) -> Links:
    """By the configured key, or by the one in `data_dir`, which is made when it is not there. Raises ConfigError."""
    configured = config.web.link_key_file
    path = Path(configured) if configured is not None else _made(config.directory / KEY_FILE)
    key = read_secret(str(path), "web.link_key_file") or ""
    if len(key) < MIN_KEY:
        raise ConfigError(
            f"web.link_key_file = {str(path)!r}: the key of the links has {MIN_KEY} characters at least; "
            "`openssl rand -hex 32` makes one"
        )
    return Links(key.encode(), config.web.public_url)


def _made(path: Path) -> Path:
    """The key's file, whole or not at all, made by one of the processes that start at once."""
    if path.exists():
        return path
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{secrets.token_hex(32)}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)  # fails where another was first
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    except OSError as error:
        raise ConfigError(f"{path}: the key of the links cannot be written: {error.strerror}") from None
    return path
