"""Files that are there whole or not at all, also after a power cut: written beside, flushed, put in the old place.

Nothing is followed on the way: a link that stands where the file or its draft is to be is replaced, and root gives a
file away before it has its name, so that whoever owns the folder cannot put another one under root's hand.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600  # for its owner alone
PUBLIC: Final = 0o644


def write_whole(path: Path, content: bytes, mode: int = PRIVATE, owner: os.stat_result | None = None) -> None:
    """Replaces what is there. `owner`: whose it becomes, for root to say. Raises OSError; then all is as before."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if owner is not None:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)  # what a full disk has taken of it is room again
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """What was made, renamed or removed in it stays so."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
