"""What may be believed of a disk.

After a failed fsync the kernel may call the pages that it could not write clean: they are seen, and are not there. A
process that starts afterwards knows nothing of it, reads a committed transaction in a write-ahead log, appends to it,
and has lost both with the next power cut, although its own fsync succeeded.
"""

from __future__ import annotations

import os
from pathlib import Path

_CHUNK = 1024 * 1024


def write_again(path: Path) -> None:
    """Write a file's bytes where they stand and wait until they are on the disk; nothing when there is no such file.

    Only while nobody else changes it. Raises OSError when the disk does not take them.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        at = 0
        while data := os.pread(handle, _CHUNK, at):
            at += os.pwrite(handle, data, at)
        os.fsync(handle)
    finally:
        os.close(handle)
