"""A terminal, or a pipe, whose lines are waited for together with what the agent says."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from hearthline_edge.pairing_texts import SPEECH

_CHUNK = 4096
LEAVE = ("q", "quit", "退出")


class LeftError(Exception):
    """Whoever sits there wants no more."""


class Speaker(Protocol):
    def fileno(self) -> int: ...


class Terminal:
    """Lines in, lines out. `say` writes one; control characters of what devices call themselves are taken out."""

    def __init__(self, say: Callable[[str], None], source: int | None = None) -> None:
        self._say = say
        self._given = source
        self._rest = b""
        self._is_over = False

    def say(self, text: str) -> None:
        self._say("".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text))

    def ask(self, prompt: str) -> str:
        """One line. Raises LeftError at the end of the input, or for `q`."""
        sys.stdout.write(prompt)
        sys.stdout.flush()
        while (line := self.typed([], None)) is None:
            pass
        return line

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


def chosen(terminal: Terminal, title: str, options: Sequence[str], default: int | None = None) -> int:
    """The index of the option that somebody has chosen by its number."""
    terminal.say(title)
    for number, option in enumerate(options, 1):
        terminal.say(f"  {number}) {option}")
    while True:
        text = terminal.ask("> " if default is None else f"[{default + 1}] > ")
        if not text and default is not None:
            return default
        if text.isdecimal() and 0 < int(text) <= len(options):
            return int(text) - 1
        terminal.say(SPEECH.say("no-such-number"))
