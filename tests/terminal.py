"""A command of the home in a terminal of its own, driven as a person does: by what it says and what is typed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

_SHARED = (
    "import sys\n"
    "from importlib.metadata import EntryPoint\n"
    "from hearthline import cli\n"
    "cli.entry_points = lambda group: [EntryPoint(sys.argv[1], sys.argv[2], group)]\n"
    "sys.exit(cli.run(sys.argv[3:]))\n"
)


def command(entry: str, target: str, *arguments: str) -> list[str]:
    """`hearthline …` with this one entry point, whatever is installed."""
    return [sys.executable, "-c", _SHARED, entry, target, *arguments]


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Screen:
    """What the command has said, as text; `type` answers. Close it."""

    def __init__(self, arguments: list[str], folder: Path, lang: str = "en_US.UTF-8") -> None:
        self.text = ""
        self._seen = 0
        self._master, inside = pty.openpty()
        environment = {**os.environ, "LC_ALL": lang, "COLUMNS": "100", "PYTHONUTF8": "1"}
        environment.pop("HEARTHLINE_LANG", None)
        self.process = subprocess.Popen(
            arguments,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            cwd=folder,
            env=environment,
            start_new_session=True,
            preexec_fn=_own_terminal,  # so that Ctrl-C reaches it
        )
        os.close(inside)

    def expect(self, pattern: str, seconds: float = 20.0) -> re.Match[str]:
        """Wait until it has said this after what was expected before."""
        deadline = time.monotonic() + seconds
        while True:
            if (match := re.search(pattern, self.text[self._seen :])) is not None:
                self._seen += match.end()
                return match
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"{pattern!r} was not said: {self.text[self._seen :]!r}\n---\n{self.text}")

    def _read(self, seconds: float) -> bool:
        if seconds <= 0 or not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            chunk = os.read(self._master, 65536)
        except OSError:  # the other end is closed
            return False
        self.text += chunk.decode(errors="replace").replace("\r\n", "\n")
        return bool(chunk)

    def type(self, line: str) -> None:
        os.write(self._master, f"{line}\n".encode())

    def interrupt(self) -> None:
        os.write(self._master, b"\x03")

    def ended(self, seconds: float = 20.0) -> int:
        """Its exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(0.1)
        while self._read(0.1):
            pass
        return self.process.wait(1)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        os.close(self._master)
