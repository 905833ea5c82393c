"""The files that a center needs besides its database: its configuration, the secrets that it names, its keys.

    the configuration itself
    every file that a key of it names ........ keys that end in `_file`
    every folder that a key of it names ...... the certificates, what the broker reads
    what lies in data_dir .................... the key of the links; no databases

The root's key is never taken: it has no business on this machine.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from hearthline.errors import ConfigError
from hearthline_cloud.backup.manifest import DATA, FILES
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.identity.authority import ROOT_KEY
from hearthline_cloud.personal.opening import key_file

MAX_FILE = 1024 * 1024
MAX_FILES = 2000
_NOT_TAKEN = (ROOT_KEY, f"{ROOT_KEY}.new")
_DATABASE = (".db", ".db-wal", ".db-shm", ".db-journal")  # copied apart, or left


_FOLDERS = ("identity.folder", "identity.broker")  # the keys of folders that may be named from where one stands


@dataclass
class Gathered:
    """`content` by the name in the backup and the place where it lay; `left_out`: what could not be taken, and why."""

    content: dict[tuple[str, str], bytes] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def gather(config_file: Path, config: CloudConfig, never: Collection[Path]) -> Gathered:
    """Read them all. `never`: the backups' key, and they themselves. ConfigError: a named file cannot be read."""
    found = Gathered()
    data = _absolute(config.directory)
    _take(found, _absolute(config_file), data, "--config")
    if key_file(config).exists():
        _take(found, _absolute(key_file(config)), data, "personal_key_file")  # before any bound on files is reached
    folders = {data}
    for key, value in _texts(msgspec.to_builtins(config), ""):
        if key.endswith("_file"):
            _take(found, _absolute(Path(value)), data, key)
        elif value and (value.startswith("/") or key in _FOLDERS) and Path(value).is_dir():
            folders.add(_absolute(Path(value)))
    for folder in sorted(folders):
        _take_folder(found, folder, data, {_absolute(path) for path in never})
    return found


def _take_folder(found: Gathered, folder: Path, data: Path, never: Collection[Path]) -> None:
    for path in sorted(folder.rglob("*")):
        if path in never or path.name in _NOT_TAKEN or path.name.endswith(_DATABASE):
            continue
        try:
            told = path.lstat()
            if not stat.S_ISREG(told.st_mode):
                continue
            if told.st_size > MAX_FILE or len(found.content) >= MAX_FILES:
                found.left_out.append(f"{path}: too large" if told.st_size > MAX_FILE else f"{path}: too many files")
                continue
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # somebody's file of a moment
        except OSError as error:
            found.left_out.append(f"{path}: {error.strerror}")
            continue
        found.content[_name(path, data), str(path)] = content


def _take(found: Gathered, path: Path, data: Path, key: str) -> None:
    try:
        found.content[_name(path, data), str(path)] = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{key} = {str(path)!r}: cannot be read, and a center needs it: {error.strerror}") from None


def _name(path: Path, data: Path) -> str:
    return f"{DATA}{path.relative_to(data)}" if path.is_relative_to(data) else f"{FILES}{str(path).lstrip('/')}"


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every text in a configuration, with its key."""
    match value:
        case dict():
            for name, below in value.items():
                yield from _texts(below, f"{key}.{name}" if key else name)
        case list():
            for below in value:
                yield from _texts(below, key)
        case str():
            yield key, value
