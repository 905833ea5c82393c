"""A file is there whole or as before, whoever and whatever stands in its way."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hearthline.whole_file import PRIVATE, PUBLIC, write_whole


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@contextmanager
def room(most_bytes: int) -> Iterator[None]:
    """The kernel lets no file of this process become larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("mode", [PRIVATE, PUBLIC])
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_its_rights_are_those_that_were_asked_for(tmp_path: Path, mode: int, umask: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"before")
    path.chmod(0o666)
    before = os.umask(umask)
    try:
        write_whole(path, b"after", mode)
    finally:
        os.umask(before)
    assert (path.read_bytes(), mode_of(path)) == (b"after", mode)
    assert list(tmp_path.iterdir()) == [path]


def test_where_it_finds_no_room_all_is_as_before(tmp_path: Path) -> None:
    path = tmp_path / "list"
    write_whole(path, b"before")
    with room(1000), pytest.raises(OSError) as full:
        write_whole(path, bytes(2000))
    assert full.value.errno == errno.EFBIG
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path], "what was written of it takes no room"


def test_what_a_kill_has_left_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "list"
    (tmp_path / ".list.new").write_bytes(b"torn")
    write_whole(path, b"whole")
    assert [each.name for each in tmp_path.iterdir()] == ["list"]


@pytest.mark.parametrize("name", ["list", ".list.new"])
def test_no_link_is_followed(tmp_path: Path, name: str) -> None:
    """Root writes into folders that are others'."""
    others = tmp_path / "shadow"
    others.write_bytes(b"root's")
    others.chmod(0o600)
    (tmp_path / name).symlink_to(others)
    write_whole(tmp_path / "list", b"ours", PUBLIC)
    assert (others.read_bytes(), mode_of(others)) == (b"root's", 0o600)
    assert ((tmp_path / "list").read_bytes(), (tmp_path / "list").is_symlink()) == (b"ours", False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_it_away_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "agent"
    folder.mkdir()
    os.chown(folder, 12345, 23456)
    renamed: list[tuple[int, int]] = []
    rename = Path.replace

    def looked_at(self: Path, target: Path) -> Path:
        renamed.append((self.stat().st_uid, self.stat().st_gid))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", looked_at)
    write_whole(folder / "list", b"theirs", owner=folder.stat())
    assert renamed == [(12345, 23456)]
    assert (folder / "list").stat().st_uid == 12345
