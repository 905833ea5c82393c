"""Files that are there whole or not at all, also after a power cut, and that only their owner can read.

And such files of a folder that somebody else may write: what is none is not read.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

_MOST_READ: Final = 1024 * 1024  # bytes of one file


def write_secret(path: Path, content: bytes) -> None:
    """Replaces what is there; mode 0600. Raises OSError."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def read_plain(path: Path) -> bytes:
    """A regular file of at most 1 MiB: no link is followed, no pipe waited for. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "no plain file", str(path))
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(_MOST_READ + 1)
    finally:
        os.close(handle)
    if len(content) > _MOST_READ:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def sync_folder(folder: Path) -> None:
    """What was made, renamed or removed in it stays so."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
