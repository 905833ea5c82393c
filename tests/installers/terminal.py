"""What an installer types, prompt by prompt, and the screen as a person would copy it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from terminal import Screen

PATIENCE_S = 60.0
HERE = (sys.executable, "-m", "hearthline")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

Answer = str | Callable[[], object]


class Terminal:
    """`screen`: everything that was seen."""

    def __init__(self, program: Sequence[str] = HERE) -> None:
        """`program`: what `hearthline` is."""
        self.screen = ""
        self._program = program

    def type(self, typed: str, *steps: tuple[str, Answer], code: int = 0, shown: str | None = None) -> str:
        """Run `hearthline …`; at each step wait for a text, then type the answer (or do what it says).

        `shown`: what the screen has in the place of the command. What was said; its exit code must be that.
        """
        words = typed.split()
        assert words[0] == "hearthline"
        with closing(Screen([*self._program, *words[1:]], Path.cwd(), "C.UTF-8")) as screen:
            for expected, answer in steps:
                screen.expect(re.escape(expected), PATIENCE_S)
                if isinstance(answer, str):
                    screen.type(answer)
                else:
                    answer()
            try:
                ended = screen.ended(PATIENCE_S)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{typed} does not end: {screen.text}") from None
        text = _CONTROL.sub("", screen.text).replace("\r", "")
        assert ended == code, f"{typed}: {text}"
        self.screen += f"$ {shown or typed}\n{text}"
        return text
