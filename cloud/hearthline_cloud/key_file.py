"""A secret key of the center in a file: where the configuration says, or in `data_dir`, made at the first start."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from hearthline.config import read_secret
from hearthline.errors import ConfigError

MIN_KEY = 32  # characters


def open_key(configured: str | None, by_default: Path, key: str, what: str) -> bytes:
    """The file's first line. `key` and `what` name the configuration's key and what the secret is for.

    Raises ConfigError for a file that cannot be read or written, is open to others, or holds less than `MIN_KEY`.
    """
    path = Path(configured) if configured is not None else _made(by_default, what)
    secret = read_secret(str(path), key) or ""
    if len(secret) < MIN_KEY:
        raise ConfigError(
            f"{key} = {str(path)!r}: the key of {what} has {MIN_KEY} characters at least; "
            "`openssl rand -hex 32` makes one"
        )
    return secret.encode()


def _made(path: Path, what: str) -> Path:
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
        raise ConfigError(f"{path}: the key of {what} cannot be written: {error.strerror}") from None
    return path
