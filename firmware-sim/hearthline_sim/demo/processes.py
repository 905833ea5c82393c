"""The demo's processes: each in a session of its own, watched, and all ended when the demo ends, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from hearthline.errors import LinkError

_PR_SET_PDEATHSIG = 1
_GRACE_S = 5.0
_LIBC = ctypes.CDLL(None)


def _die_with_parent() -> None:
    """Even when the demo is killed, nothing stays behind. The kernel means the thread that started the child."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True)
class Processes:
    """Named child processes; each writes its log into `folder/NAME.log`."""

    folder: Path
    _children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _commands: dict[str, list[str]] = field(default_factory=dict)
    _starter: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "starter"))

    def start(self, name: str, command: list[str], pipes: bool = False) -> subprocess.Popen[bytes]:
        """Start `command`; with `pipes`, its standard input and output are for the caller."""
        child = self._starter.submit(self._spawn, name, command, pipes).result()
        self._children[name] = child
        self._commands[name] = command
        return child

    def _spawn(self, name: str, command: list[str], pipes: bool) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE if pipes else subprocess.DEVNULL
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=pipe,
                stdout=subprocess.PIPE if pipes else log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demo, which then ends them in order
                preexec_fn=_die_with_parent,
            )

    def pid(self, name: str) -> int:
        return self._children[name].pid

    def kill(self, name: str) -> None:
        """`kill -9`, and wait until it is gone."""
        child = self._children[name]
        child.kill()
        child.wait()

    def restart(self, name: str) -> None:
        """Start again what was killed, with the same command."""
        self.start(name, self._commands[name])

    def dead(self) -> list[str]:
        """Those that have ended by themselves, with their exit code."""
        return [f"{name} (exit {c.returncode})" for name, c in self._children.items() if c.poll() is not None]

    def stop(self) -> None:
        """End all, the last started first: SIGTERM, and after five seconds SIGKILL."""
        for child in reversed(self._children.values()):
            if child.poll() is None:
                child.terminate()
            try:
                child.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            for stream in (child.stdin, child.stdout):
                _close(stream)
        self._children.clear()
        self._starter.shutdown()

    def tail(self, name: str, lines: int = 15) -> str:
        """The end of a process's log."""
        text = (self.folder / f"{name.split(' ')[0]}.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def _close(stream: IO[Any] | None) -> None:
    if stream is not None:
        try:
            stream.close()
        except BrokenPipeError:
            return


def wait_for_port(port: int, timeout_s: float = 10.0) -> None:
    """Return when somebody listens on the loopback port. Raises LinkError."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise LinkError(f"nobody listens on 127.0.0.1:{port} after {timeout_s:g} s (own pid {os.getpid()})")
