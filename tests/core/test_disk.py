"""A file that is written again is the same file, and all of it was handed to the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hearthline.disk import write_again


@pytest.mark.parametrize("size", [0, 1, 4096, 3 * 1024 * 1024 + 7])
def test_every_byte_is_written_and_none_is_changed(tmp_path: Path, size: int) -> None:
    path = tmp_path / "log"
    data = os.urandom(size)
    path.write_bytes(data)
    before = written()
    write_again(path)
    assert path.read_bytes() == data
    assert written() - before >= size


def written() -> int:
    """What this process has given to write calls."""
    return int(Path("/proc/self/io").read_text(encoding="ascii").split("wchar: ")[1].split()[0])


def test_no_file_is_nothing_to_do_and_no_file_is_made(tmp_path: Path) -> None:
    write_again(tmp_path / "log")
    assert not (tmp_path / "log").exists()
