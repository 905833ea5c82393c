"""How root reads and writes in a folder that somebody else may change: plain files alone, or as its owner."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_MOST_READ: Final = 1024 * 1024  # bytes of one file


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


@contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """Root has meanwhile no more rights than whose the folder is: a link in it leads nowhere else. Raises OSError.

    The whole process has: for commands with one thread. Who is not root stays who he is.
    """
    if os.geteuid() != 0:
        yield
        return
    owner, group, groups = folder.stat(), os.getegid(), os.getgroups()
    try:
        os.setgroups([owner.st_gid])
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
