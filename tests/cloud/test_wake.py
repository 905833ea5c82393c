"""The wake-up between roles, also from a data_dir whose path is longer than a socket's may be."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from hearthline_cloud.wake import WakeListener, Waker


@pytest.mark.parametrize("depth", [1, 30])
def test_a_wake_arrives(tmp_path: Path, depth: int) -> None:
    data_dir = tmp_path.joinpath(*["deeper"] * depth)
    data_dir.mkdir(parents=True)
    listener, waker = WakeListener(data_dir, "web"), Waker(data_dir)
    try:
        waker.wake("ingest")
        waker.wake("web")
        listener.socket.settimeout(1)
        assert listener.socket.recv(16) == b"w"
    finally:
        listener.close()
        waker.close()
    assert list((data_dir / "wake").iterdir()) == []


def test_a_dead_ear_is_removed(tmp_path: Path) -> None:
    listener, waker = WakeListener(tmp_path, "web"), Waker(tmp_path)
    listener.socket.close()
    waker.wake("web")
    waker.close()
    assert list((tmp_path / "wake").iterdir()) == []


def test_a_process_without_a_free_file_handle_goes_on(tmp_path: Path) -> None:
    listener, waker = WakeListener(tmp_path, "web"), Waker(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        with pytest.raises(OSError, match="Too many open files"):
            os.dup(0)
        waker.wake("web")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    waker.wake("web")
    listener.wait(1)
    listener.close()
    waker.close()
