"""What the command, the guard and the agent tell each other about an update, in two files.

    asking --> switching --> proving --> proved
      |             |           +------> undoing --> undone
      +--> called-off           (a guard that cannot read the record undoes, too)

`update.json` beside the versions is root's: which update there is, and how far it is. `update-told.json` in the data
folder is the agent's: what became of its note. Versions of different age read both, so a field is only ever added.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec

from hearthline.errors import StorageError
from hearthline.whole_file import PUBLIC, write_whole
from hearthline_edge.foreign_folder import read_plain
from hearthline_edge.outbox_rows import Fate

T = TypeVar("T")


class Phase(StrEnum):
    ASKING = "asking"  # the old agent proves that the center is there
    SWITCHING = "switching"
    PROVING = "proving"
    UNDOING = "undoing"
    PROVED = "proved"
    UNDONE = "undone"
    CALLED_OFF = "called-off"  # nothing was switched


GUARDED = frozenset({Phase.SWITCHING, Phase.PROVING, Phase.UNDOING})


class Update(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One update. `old`, `new`: names of versions; `reason`: why it was undone or called off, a sentence in English.

    `guards`: how often the guard was started for it. `away_s`: how long no agent was there, by systemd's stamps.
    """

    id: str
    old: str
    new: str
    phase: Phase
    data_dir: str
    wait_s: float = 300.0
    offline: bool = False
    guards: int = 0
    reason: str = ""
    away_s: float | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the note `kind` of update `id`: it is in the outbox, and perhaps received or refused."""

    id: str
    kind: str
    fate: Fate


def read_update(root: Path) -> Update | None:
    """None when there has been none. Raises StorageError when it cannot be read."""
    return _read(root / "update.json", Update)


def write_update(root: Path, update: Update) -> None:
    """Everybody may read it, and it is on the disk afterwards. Raises OSError."""
    write_whole(root / "update.json", msgspec.json.encode(update), PUBLIC)


def read_told(data_dir: Path) -> Told | None:
    """None too for what cannot be read: the folder is the agent's, and what stands in it is not to be trusted."""
    try:
        return _read(data_dir / "update-told.json", Told)
    except StorageError:
        return None


def write_told(data_dir: Path, told: Told) -> None:
    """Raises OSError."""
    write_whole(data_dir / "update-told.json", msgspec.json.encode(told))


def _read(path: Path, shape: type[T]) -> T | None:
    """Never follows a link and never waits for a pipe: a root process reads what another user wrote."""
    try:
        return msgspec.json.decode(read_plain(path), type=shape)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: cannot be read: {error}") from None
