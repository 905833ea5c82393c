"""A pseudo-terminal with the timing of a real line: paced, lossy without a listener, never blocking."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearthline.errors import ConfigError
from hearthline_sim.port import PtyPort

WAIT_S = 5.0


class Agent:
    """What opens the port like a serial device: no terminal settings of its own, so raw mode must hold."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def read(self, count: int) -> bytes:
        """`count` bytes, or fewer when the line hangs up or nothing more comes."""
        data = b""
        ends = time.monotonic() + WAIT_S
        while len(data) < count and time.monotonic() < ends:
            if select.select([self.descriptor], [], [], ends - time.monotonic())[0]:
                try:
                    piece = os.read(self.descriptor, count - len(data))
                except OSError:
                    break
                if not piece:
                    break
                data += piece
        return data

    def close(self) -> None:
        os.close(self.descriptor)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[PtyPort]:
    made = PtyPort(tmp_path / "tty0", 11, 2400)
    yield made
    made.close()
    assert not made.path.is_symlink()


def test_bytes_take_their_time_on_the_line_and_arrive_unchanged(port: PtyPort) -> None:
    agent = Agent(port.path)
    data = b"\x00\x0a\x0d\x11\x13\x04\x03\xff\x68\x16"
    before = time.monotonic_ns()
    sent = port.transmit(data)
    took_s = (time.monotonic_ns() - before) / 1e9
    assert agent.read(len(data)) == data
    assert took_s >= 10 * 11 / 2400
    assert sent.heard
    assert abs(sent.wall_ns - time.time_ns()) < 2e9
    agent.close()


def test_every_byte_is_paced(port: PtyPort) -> None:
    agent = Agent(port.path)
    sender = threading.Thread(target=port.send, args=(bytes(12),))
    began = time.monotonic()
    sender.start()
    for count in range(1, 13):
        assert agent.read(1) == b"\x00"
        assert time.monotonic() - began >= count * 11 / 2400
    sender.join()
    agent.close()


def test_two_senders_share_the_line(port: PtyPort) -> None:
    agent = Agent(port.path)
    senders = [threading.Thread(target=port.send, args=(bytes((letter,)) * 6,)) for letter in b"ab"]
    before = time.monotonic()
    for sender in senders:
        sender.start()
    assert agent.read(12) in (b"a" * 6 + b"b" * 6, b"b" * 6 + b"a" * 6)
    assert time.monotonic() - before >= 12 * 11 / 2400
    for sender in senders:
        sender.join()
    agent.close()


def test_bytes_without_a_listener_are_lost(port: PtyPort) -> None:
    assert not port.transmit(b"lost").heard
    agent = Agent(port.path)
    assert port.listening
    assert port.transmit(b"kept").heard
    assert agent.read(4) == b"kept"
    agent.close()
    assert not port.listening
    assert not port.transmit(b"lost").heard
    again = Agent(port.path)
    port.send(b"kept again")
    assert again.read(10) == b"kept again"
    assert port.lost_bytes == 8
    again.close()


def test_a_listener_that_does_not_read_blocks_nobody(tmp_path: Path) -> None:
    port = PtyPort(tmp_path / "tty0", 10, 10_000_000)
    agent = Agent(port.path)
    assert not port.transmit(bytes(60_000)).heard
    assert port.lost_bytes > 0
    agent.close()
    port.close()


def test_what_the_agent_writes_is_received(tmp_path: Path) -> None:
    got, whole = bytearray(), threading.Event()

    def receive(data: bytes) -> None:
        got.extend(data)
        if len(got) >= 6:
            whole.set()

    port = PtyPort(tmp_path / "tty0", 10, 9600, receive)
    agent = Agent(port.path)
    os.write(agent.descriptor, b"\xcc\x80\x0a")
    os.write(agent.descriptor, b"\x0d\x00\x01")
    assert whole.wait(WAIT_S)
    assert got == b"\xcc\x80\x0a\x0d\x00\x01"
    agent.close()
    port.close()


def test_unplug_hangs_up_and_replug_makes_a_new_line(port: PtyPort) -> None:
    agent = Agent(port.path)
    port.unplug()
    assert not port.path.is_symlink()
    assert not port.plugged
    assert agent.read(1) == b""
    assert not port.transmit(b"lost").heard
    agent.close()
    port.replug()
    fresh = Agent(port.path)
    assert port.transmit(b"back").heard
    assert fresh.read(4) == b"back"
    fresh.close()


def test_another_file_at_the_path_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tty0").write_text("mine")
    with pytest.raises(ConfigError, match="something else is here"):
        PtyPort(tmp_path / "tty0", 10, 9600)
    assert (tmp_path / "tty0").read_text() == "mine"
