"""Configuration files: TOML into a `msgspec.Struct` that forbids unknown fields at every level.

A wrong key names itself and its file; the process then exits with code 2 and has changed nothing.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from hearthline.errors import ConfigError

T = TypeVar("T")


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What every section of a configuration file derives from, repeating `frozen=True` for the type checker."""


def load_config(path: Path, shape: type[T]) -> T:
    """Read `path` as TOML and check it against `shape`. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            tree = tomllib.load(file)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file; give its place with --config FILE") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # tomllib's own errors, text that is no UTF-8, numbers without end
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    return check_config(tree, shape, str(path))


def check_config(tree: dict[str, Any], shape: type[T], where: str) -> T:
    """Convert parsed TOML into `shape`; `where` names the file (and section) in the error."""
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {_for_people(str(error))}") from None


def read_secret(path: str | None, key: str) -> str | None:
    """The first line of a secret's file, or None when no file is configured. Secrets are never in the TOML."""
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()[0].strip()
    except IndexError:
        raise ConfigError(
            f"{key} = {path!r}: this file should hold the secret in its first line; it is empty"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a path with U+0000
        raise ConfigError(f"{key} = {path!r}: the secret cannot be read from this file: {error}") from None


def _for_people(message: str) -> str:
    """msgspec says `Object contains unknown field `x` - at `$.serial[0]``; say `serial[0]: unknown key `x``."""
    text, _, place = message.partition(" - at `$")
    place = place.rstrip("`").lstrip(".")
    text = text.replace("Object contains unknown field", "unknown key")
    text = text.replace("Object missing required field", "missing key")
    return f"{place}: {text}" if place else text
