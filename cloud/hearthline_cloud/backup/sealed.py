"""The encrypted file. By the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015), as age and Tink do.

    "hearthline backup 1\n" | salt (32) | commitment (32) | chunk | chunk | … | last chunk

    HKDF-SHA256(key, salt, info = "hearthline backup 1") gives 64 bytes: the file's key, and the commitment
    chunk = AES-256-GCM under the file's key of 256 KiB (the last: up to that) with its tag of 16 bytes;
            nonce = number of the chunk (11 bytes, from 0) | 1 for the last, 0 for the others; all before it as data

A changed bit, a chunk that is cut, put in, taken out or moved, and the end of another file all fail at their tag. The
commitment tells a wrong key from damage, and lets one file be opened by one key only. Nobody without the key can make a
file that opens, either.
"""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hearthline.config import check_private
from hearthline.errors import ConfigError
from hearthline_cloud.backup import BackupError
from hearthline_cloud.identity.authority import write_secret

CHUNK = 256 * 1024
TAG = 16
_NAME = b"hearthline backup 1"
_MAGIC = _NAME + b"\n"
_SALT = _COMMITMENT = _KEY = 32
HEADER = len(_MAGIC) + _SALT + _COMMITMENT


def make_key(path: Path) -> None:
    """A new key in a file of its own, which must not be there. Raises ConfigError."""
    if path.exists():
        raise ConfigError(f"{path}: there is a file already; a key is never written over, for old backups need it")
    try:
        write_secret(path, f"{secrets.token_hex(_KEY)}\n".encode())
    except OSError as error:
        raise ConfigError(f"{path}: the key cannot be written: {error.strerror}") from None


def read_key(path: Path) -> bytes:
    """Raises ConfigError for a file that is missing, open to others, or holds no key."""
    check_private(path, "key of backups")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        key = b""
    if len(key) != _KEY:
        raise ConfigError(f"{path}: this is no key of backups: {_KEY * 2} hexadecimal digits are expected")
    return key


class Sealer:
    """Encrypts what is written to it into a file, and flushes to the disk as it goes."""

    def __init__(self, file: BinaryIO, key: bytes) -> None:
        salt = secrets.token_bytes(_SALT)
        self._file = file
        file_key, commitment = _derived(key, salt)
        self._cipher = AESGCM(file_key)
        self._header = _MAGIC + salt + commitment
        self._number = 0
        self._kept = bytearray()
        file.write(self._header)

    def write(self, data: bytes) -> int:
        self._kept += data
        while len(self._kept) > CHUNK:  # a full chunk is kept until it is known not to be the last
            self._put(bytes(self._kept[:CHUNK]), is_last=False)
            del self._kept[:CHUNK]
        return len(data)

    def finish(self) -> None:
        """Without it the file is one that was cut off."""
        self._put(bytes(self._kept), is_last=True)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _put(self, chunk: bytes, is_last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, is_last), chunk, self._header))
        self._number += 1
        if self._number % 16 == 0:  # a center's commit never waits for more than this of ours
            self._file.flush()
            os.fdatasync(self._file.fileno())


class Unsealer:
    """Reads what was sealed; every byte that it returns is authentic and in its place. Raises BackupError."""

    def __init__(self, file: BinaryIO, key: bytes) -> None:
        self._file = file
        self._header = file.read(HEADER)
        if not self._header.startswith(_MAGIC):
            raise BackupError("this is no backup of Hearthline, or one of a version that is not known here")
        file_key, commitment = _derived(key, self._header[len(_MAGIC) : len(_MAGIC) + _SALT])
        if not hmac.compare_digest(commitment, self._header[len(_MAGIC) + _SALT :]):
            raise BackupError("this backup was sealed with another key, or its first bytes are damaged")
        self._cipher = AESGCM(file_key)
        self._number = 0
        self._sealed = file.read(CHUNK + TAG)
        self._open = b""
        self._at = 0
        self._is_over = False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the authentic end only."""
        while self._at == len(self._open) and not self._is_over:
            self._next()
        found = self._open[self._at : self._at + size]
        self._at += len(found)
        return found

    def _next(self) -> None:
        following = self._file.read(CHUNK + TAG)
        is_last = not following
        try:
            self._open = self._cipher.decrypt(_nonce(self._number, is_last), self._sealed, self._header)
        except InvalidTag:
            raise BackupError(
                f"this backup is damaged or was cut off, at byte {HEADER + self._number * (CHUNK + TAG)} or later"
            ) from None
        self._sealed, self._at, self._is_over = following, 0, is_last
        self._number += 1


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11) + bytes([is_last])


def _derived(key: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """The file's key, and what commits to it."""
    both = HKDF(SHA256(), _KEY + _COMMITMENT, salt, _NAME).derive(key)
    return both[:_KEY], both[_KEY:]
