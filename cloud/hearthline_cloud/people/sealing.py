"""Secrets of the staff's second factors, sealed: whoever has the database without the key's file makes no code.

    base64( nonce (12) | AES-256-GCM of the secret | tag (16) ); the account's name is bound as associated data

so that a secret is no other account's. The cipher's key is HKDF-SHA256 of the file's first line.
"""

from __future__ import annotations

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hearthline.errors import RefusedError

KEY_FILE = "second-factor-key"  # in data_dir
_PURPOSE = b"hearthline second factor 1"
_NONCE = 12


class UnreadableError(RefusedError):
    """The secret was sealed with another key, or for another account."""


class Seal:
    """Seals and opens by one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), 32, None, _PURPOSE).derive(key))

    def seal(self, name: str, secret: str) -> str:
        nonce = os.urandom(_NONCE)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, secret.encode(), name.encode())).decode()

    def open(self, name: str, sealed: str) -> str:
        """Raises UnreadableError."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], name.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise UnreadableError(
                "the second factor cannot be read on this machine: use a recovery code, or have it reset"
            ) from None
