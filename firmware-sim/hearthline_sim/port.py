"""A serial line made of a pseudo-terminal whose slave is a symlink, with the byte timing of the real line.

    device --send--> paced bytes --> master | slave <-- symlink <-- the agent opens it like /dev/ttyUSB0
    device <--on_receive-- reader thread <--+

A byte takes `bits_per_byte / baudrate` seconds (11 bits for 8E1) and appears at the end of its last bit. As with a
real UART, bytes that nobody listens to are lost: while no process has the slave open, and when a listener stops
reading until the kernel's buffer is full. So writing never blocks for longer than the bytes take on the line.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hearthline.clock import NS
from hearthline.errors import ConfigError

_POLL_MS = 100  # how soon the reader notices that the port is going away
_NOBODY_S = 0.02  # how often it looks whether somebody has opened the slave


@dataclass(frozen=True, slots=True)
class Sent:
    """When the last byte was on the line, and whether a listener had the port open for all of them."""

    wall_ns: int
    heard: bool


class PtyPort:
    """One serial line. `send`, `unplug` and `replug` may be called from any thread."""

    def __init__(
        self,
        path: Path,
        bits_per_byte: int,
        baudrate: int,
        on_receive: Callable[[bytes], None] | None = None,
    ) -> None:
        """Put the symlink at `path`. `on_receive` runs in the reader thread. Raises ConfigError."""
        self.path = path
        self.lost_bytes = 0
        self._byte_ns = bits_per_byte * NS // baudrate
        self._on_receive = on_receive
        self._line = threading.Lock()  # one transmission at a time
        self._plug = threading.RLock()  # guards the master; never held while waiting
        self._free_ns = 0
        self._master: int | None = None
        self._closed = threading.Event()
        self._open()
        self._reader = threading.Thread(target=self._read, name=f"port {path.name}", daemon=True)
        self._reader.start()

    def send(self, data: bytes) -> int:
        """Put bytes on the line; returns the Unix nanoseconds at which the last of them was there."""
        return self.transmit(data).wall_ns

    def transmit(self, data: bytes) -> Sent:
        """As `send`, and says whether anybody listened."""
        heard = True
        with self._line:
            due_ns = max(time.monotonic_ns(), self._free_ns)
            for byte in data:
                due_ns += self._byte_ns
                _sleep_until(due_ns)
                heard = self._put(bytes((byte,))) and heard
            self._free_ns = due_ns
            return Sent(time.time_ns(), heard)

    @property
    def plugged(self) -> bool:
        return self._master is not None

    @property
    def listening(self) -> bool:
        """Whether a process has the slave open."""
        with self._plug:
            return self._master is not None and not _events(self._master, 0) & select.POLLHUP

    def unplug(self) -> None:
        """Pull the adapter: the link disappears and the agent's descriptor reports a hang-up."""
        with self._plug:
            if self._master is None:
                return
            self._remove_link()
            os.close(self._master)
            self._master = None

    def replug(self) -> None:
        """Put the adapter back: a new terminal at the same path."""
        with self._plug:
            if self._master is None and not self._closed.is_set():
                self._open()

    def close(self) -> None:
        """Unplug for good and end the reader."""
        self._closed.set()
        self.unplug()
        if threading.current_thread() is not self._reader:
            self._reader.join(timeout=5)

    def _open(self) -> None:
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        try:
            self._slave_name = os.ttyname(slave)
            self._make_link()
        except OSError as error:
            os.close(master)
            raise ConfigError(f"{self.path}: the simulated port cannot be put here: {error.strerror}") from None
        finally:
            os.close(slave)
        self._master = master

    def _make_link(self) -> None:
        if self.path.exists() and not self.path.is_symlink():
            raise ConfigError(f"{self.path}: something else is here; give the simulated port another path")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self._slave_name)
        fresh.replace(self.path)

    def _remove_link(self) -> None:
        with contextlib.suppress(OSError):
            if str(self.path.readlink()) == self._slave_name:
                self.path.unlink()

    def _put(self, byte: bytes) -> bool:
        """One byte to the listener, or lost."""
        with self._plug:
            if self._master is not None and not _events(self._master, 0) & select.POLLHUP:
                with contextlib.suppress(BlockingIOError):
                    os.write(self._master, byte)
                    return True
        self.lost_bytes += 1
        return False

    def _read(self) -> None:
        while not self._closed.is_set():
            with self._plug:
                data = b"" if self._master is None else _read_now(self._master)
                master = self._master
            if data:
                if self._on_receive is not None:
                    self._on_receive(data)
            elif master is None or _events(master, _POLL_MS) & (select.POLLHUP | select.POLLNVAL):
                self._closed.wait(_NOBODY_S)


def _events(descriptor: int, timeout_ms: int) -> int:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return sum(event for _, event in poll.poll(timeout_ms))


def _read_now(master: int) -> bytes:
    """What the agent has written; nothing when there is nothing or nobody (EIO)."""
    with contextlib.suppress(OSError):
        return os.read(master, 4096)
    return b""


def _sleep_until(due_ns: int) -> None:
    while (left_ns := due_ns - time.monotonic_ns()) > 0:
        time.sleep(left_ns / NS)
