"""A terminal, or a pipe, whose lines are waited for together with what the agent says."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol

_CHUNK = 4096
LEAVE = ("q", "quit", "退出")
_YES, _NO = ("", "y", "yes", "是"), ("n", "no", "否")


class LeftError(Exception):
    """Whoever sits there wants no more."""


class Speaker(Protocol):
    def fileno(self) -> int: ...


class Terminal:
    """Lines in, lines out. `say` writes one; control characters of what devices call themselves are taken out."""

    def __init__(self, say: Callable[[str], None], source: int | None = None, *, quiet: bool = False) -> None:
        """`quiet`: standard output is for a program, so nothing is asked there."""
        self._say = say
        self._quiet = quiet
        self._given = source
        self._rest = b""
        self._is_over = False

    def say(self, text: str) -> None:
        self._say("".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text))

    def ask(self, prompt: str) -> str:
        """One line. Raises LeftError at the end of the input, or for `q`."""
        print(prompt, end="", file=sys.stderr if self._quiet else sys.stdout, flush=True)
        while (line := self.typed([], None)) is None:
            pass
        return line

    def agrees(self, question: str) -> bool:
        """Yes, also for Enter alone. Raises LeftError as `ask` does."""
        while (answer := self.ask(f"{question} [Y/n]: ").lower()) not in (*_YES, *_NO):
            pass
        return answer in _YES

    def typed(self, others: Sequence[Speaker], seconds: float | None) -> str | None:
        """The line that was typed, or None: one of the others has spoken, or the time is over."""
        source = sys.stdin.fileno() if self._given is None else self._given
        deadline = None if seconds is None else time.monotonic() + seconds
        while b"\n" not in self._rest:
            if self._is_over:
                raise LeftError
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            ready = select.select([source, *others], [], [], left)[0]
            if source not in ready:
                return None
            chunk = os.read(source, _CHUNK)
            self._is_over = not chunk
            self._rest += chunk or (b"\n" if self._rest else b"")
        line, _, self._rest = self._rest.partition(b"\n")
        text = line.decode(errors="replace").strip()
        if text.lower() in LEAVE:
            raise LeftError
        return text
