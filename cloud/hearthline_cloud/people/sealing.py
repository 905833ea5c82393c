"""Secrets of the staff's second factors, sealed: whoever has the database without the center's key makes no code.

Each account has a data key of its own (`personal.vault`), which goes with the factor: rotation of the center's key and
its backup hold for them too. The account's name is bound, so that a secret is no other account's.
"""

from __future__ import annotations

from sqlalchemy import Connection

from hearthline.errors import RefusedError
from hearthline_cloud.personal import keys, vault


class UnreadableError(RefusedError):
    """The secret was sealed with another key, or for another account."""


def seal(connection: Connection, name: str, secret: str) -> str:
    """In a `Database.transaction()`."""
    return vault.data_key(connection, _subject(name)).seal(secret, _place(name))


def opened(connection: Connection, name: str, sealed: str) -> str:
    """Raises UnreadableError."""
    try:
        return vault.data_key(connection, _subject(name)).open(sealed, _place(name))
    except keys.UnreadableError:
        raise UnreadableError(
            "the second factor cannot be read on this machine: use a recovery code, or have it reset"
        ) from None


def destroy(connection: Connection, name: str) -> None:
    vault.destroy(connection, [_subject(name)])


def _subject(name: str) -> str:
    return f"staff:{name}"


def _place(name: str) -> str:
    return f"second_factor|secret|{name}"
