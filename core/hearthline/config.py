"""Configuration files: TOML into a `msgspec.Struct` that forbids unknown fields at every level.

A wrong key names itself and its file; the process then exits with code 2 and has changed nothing.

Secrets are never in the TOML: a key that ends in `_file` names the file that holds one, and only its owner may have
any right to that file. Whatever reads a configuration refuses others, also for secrets that it would not use itself.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from hearthline.config_texts import TEXTS, in_words
from hearthline.errors import ConfigError

T = TypeVar("T")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_PUBLIC = ("ca_file", "cert_file", "second_cert_file")  # certificates: who has them can do nothing


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What every section of a configuration file derives from, repeating `frozen=True` for the type checker."""


def load_config(path: Path, shape: type[T]) -> T:
    """Read `path` as TOML and check it against `shape`, and who may read its secrets. Raises ConfigError."""
    return config_of(load_tree(path), shape, path)


def load_tree(path: Path) -> dict[str, Any]:
    """Read `path` as TOML. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise ConfigError(TEXTS.say("none", path=path)) from None
    except OSError as error:
        raise ConfigError(TEXTS.say("unread", path=path, why=error.strerror)) from None
    except (ValueError, RecursionError) as error:  # tomllib's own errors, text that is no UTF-8, numbers without end
        raise ConfigError(TEXTS.say("no-toml", path=path, why=error)) from None


def config_of(tree: dict[str, Any], shape: type[T], path: Path) -> T:
    """What `path` said, checked against `shape`, and who may read its secrets. Raises ConfigError."""
    config = check_config(tree, shape, str(path))
    for key, secret in secret_files(config):
        check_private(secret, f"{path}: {key}")
    return config


def check_config(tree: dict[str, Any], shape: type[T], where: str) -> T:
    """Convert parsed TOML into `shape`; `where` names the file (and section) in the error."""
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {in_words(str(error))}") from None


def secret_files(config: object, where: str = "") -> Iterator[tuple[str, str]]:
    """Every file that a configuration names and that holds a secret, by its key: `channel[0].url_file`."""
    for name in getattr(config, "__struct_fields__", ()):
        value, key = getattr(config, name), f"{where}{name}"
        if isinstance(value, str) and name.endswith("_file") and name not in _PUBLIC:
            yield key, value
        yield from secret_files(value, f"{key}.")
        for place, part in enumerate(value if isinstance(value, list) else ()):
            yield from secret_files(part, f"{key}[{place}].")


def check_private(path: str | Path, key: str) -> None:
    """Raises ConfigError, naming `key`, for a file to which others than its owner have any right.

    One that is not there is left to whoever needs it. What is no regular file (a pipe, a terminal) keeps nothing.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    _refuse_others(mode, str(path), key)


def read_secret(path: str | None, key: str) -> str | None:
    """The first line of a secret's file, or None when no file is configured. Raises ConfigError, naming `key`."""
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            _refuse_others(os.fstat(file.fileno()).st_mode, path, key)
            return file.read().splitlines()[0].strip()
    except IndexError:
        raise ConfigError(TEXTS.say("secret-empty", name=key, path=path)) from None
    except UnicodeDecodeError:
        raise ConfigError(TEXTS.say("secret-no-text", name=key, path=path)) from None
    except (OSError, ValueError) as error:  # ValueError: a path with U+0000
        raise ConfigError(TEXTS.say("secret-unread", name=key, path=path, why=error)) from None


def _refuse_others(mode: int, path: str, key: str) -> None:
    if stat.S_ISREG(mode) and mode & _OTHERS:
        raise ConfigError(TEXTS.say("secret-open", name=key, path=path, mode=f"{mode & 0o777:03o}"))
