"""The center's key in a file outside the database, and the sealing of one value.

    file ......... one key a line, 64 hexadecimal digits; the first seals, the others only open
    data key ..... `center key's id . data key's id . base64(nonce 12 | 32 bytes | tag 16)`
    value ........ `data key's id . base64(nonce 12 | text | tag 16)`

AES-256-GCM throughout. A center key's id is the beginning of its hash; a data key's is random.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hearthline.config import check_private
from hearthline.errors import ConfigError
from hearthline_cloud.identity.authority import write_secret

KEY_FILE = "personal-key"  # in data_dir, where no other is configured
_KEY, _NONCE = 32, 12
_ID = 8  # hexadecimal digits
_CACHED = 65_536  # data keys kept open
_REREAD_S = 1.0  # the file is looked at again for a key that is not known, e.g. after a rotation elsewhere


class Sealed(str):
    """A value as it stands in the database. No other text gets into a personal column."""

    __slots__ = ()


class UnreadableError(Exception):
    """The value was not sealed for this place with this key, or was changed."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """The key of one subject: a person, a place, or what the center's notes without either belong to."""

    id: str
    cipher: AESGCM

    def seal(self, text: str, place: str) -> Sealed:
        """`place`: table, column and row."""
        return Sealed(f"{self.id}.{_sealed(self.cipher, text.encode(), f'{place}|{self.id}')}")

    def open(self, value: str, place: str) -> str:
        """Raises UnreadableError."""
        own, _, sealed = value.partition(".")
        if own != self.id:
            raise UnreadableError("it was sealed with another key")
        return _opened(self.cipher, sealed, f"{place}|{self.id}").decode()


class Keyring:
    """The center's keys. One for each `Database`; used from several threads."""

    def __init__(self, keys: Sequence[bytes], path: Path | None = None) -> None:
        """`path`: where they are read again when a key is met that is not among them."""
        self._path = path
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._opened: dict[str, DataKey] = {}
        self._take(keys)

    @property
    def present(self) -> str:
        """The id of the key that seals."""
        return self._present

    def new_data_key(self, by: str = "") -> str:
        """Fresh, sealed by the key with this id, else by the present one. Raises UnreadableError."""
        return self._wrap(secrets.token_hex(_ID // 2), AESGCM.generate_key(256), by or self._present)

    def data_key(self, wrapped: str) -> DataKey:
        """Raises UnreadableError."""
        found = self._opened.get(wrapped)
        if found is None:
            found = DataKey(wrapped.split(".", 2)[1] if wrapped.count(".") == 2 else "", AESGCM(self._unwrap(wrapped)))
            if len(self._opened) >= _CACHED:
                self._opened.clear()
            self._opened[wrapped] = found
        return found

    def rewrapped(self, wrapped: str) -> str:
        """The same data key, sealed by the present key. Raises UnreadableError."""
        return self._wrap(wrapped.split(".", 2)[1], self._unwrap(wrapped), self._present)

    def _wrap(self, data_key_id: str, key: bytes, by: str) -> str:
        return f"{by}.{data_key_id}.{_sealed(self._cipher(by), key, f'personal_key|{data_key_id}')}"

    def _unwrap(self, wrapped: str) -> bytes:
        try:
            key_id, data_key_id, sealed = wrapped.split(".", 2)
        except ValueError:
            raise UnreadableError("it is no key") from None
        return _opened(self._cipher(key_id), sealed, f"personal_key|{data_key_id}")

    def _cipher(self, key_id: str) -> AESGCM:
        if key_id not in self._ciphers and self._path is not None:
            with self._lock:
                if time.monotonic() - self._read_at >= _REREAD_S:
                    self._read_at = time.monotonic()
                    try:
                        self._take(read_keys(self._path))
                    except ConfigError:  # gone, or half copied: what it is needed for says so
                        pass
        try:
            return self._ciphers[key_id]
        except KeyError:
            raise UnreadableError(f"it was sealed by the key {key_id}, which is not in the file") from None

    def _take(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self._present = key_id(keys[0])


def key_id(key: bytes) -> str:
    return hashlib.sha256(b"hearthline personal key\0" + key).hexdigest()[:_ID]


def new_key() -> bytes:
    return secrets.token_bytes(_KEY)


def make_key_file(path: Path) -> str:
    """A new key in a file that must not be there; its id. Raises ConfigError."""
    if path.exists():
        raise ConfigError(f"{path}: there is a file already; a key is never written over, for the database needs it")
    return write_keys(path, [new_key()])


def write_keys(path: Path, keys: Sequence[bytes]) -> str:
    """Whole or not at all, readable by its owner alone; the id of the first. Raises ConfigError."""
    try:
        write_secret(path, "".join(f"{key.hex()}\n" for key in keys).encode())
    except OSError as error:
        raise ConfigError(f"{path}: the key cannot be written: {error.strerror}") from None
    return key_id(keys[0])


def read_keys(path: Path) -> list[bytes]:
    """Raises ConfigError for a file that is missing, open to others, or holds anything but keys."""
    check_private(path, "personal_key_file")
    try:
        keys = [bytes.fromhex(line) for line in path.read_text(encoding="ascii").split()]
    except OSError as error:
        raise ConfigError(f"personal_key_file = {str(path)!r}: cannot be read: {error.strerror}") from None
    except ValueError:
        keys = []
    if not keys or any(len(key) != _KEY for key in keys):
        raise ConfigError(
            f"personal_key_file = {str(path)!r}: this is no key of personal data: lines of {_KEY * 2} hexadecimal "
            "digits are expected"
        )
    return keys


def keyring_from(path: Path) -> Keyring:
    """Raises ConfigError."""
    return Keyring(read_keys(path), path)


def _sealed(cipher: AESGCM, data: bytes, place: str) -> str:
    nonce = os.urandom(_NONCE)
    return base64.b64encode(nonce + cipher.encrypt(nonce, data, place.encode())).decode()


def _opened(cipher: AESGCM, sealed: str, place: str) -> bytes:
    try:
        raw = base64.b64decode(sealed, validate=True)
        return cipher.decrypt(raw[:_NONCE], raw[_NONCE:], place.encode())
    except (InvalidTag, binascii.Error, ValueError):
        raise UnreadableError("it was changed, or sealed for another place") from None
