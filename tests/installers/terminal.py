"""A terminal of the installer's: commands typed into a real pseudo-terminal, prompts answered, the screen kept."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence

import pexpect

PATIENCE_S = 60
_COLUMNS = 110
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

Answer = str | Callable[[], object]


class Terminal:
    """`screen`: everything that was seen, line by line, as a person would copy it."""

    def __init__(self, environment: Mapping[str, str] | None = None, prompt: str = "$ ") -> None:
        self.screen = ""
        self._prompt = prompt
        self._environment = {**os.environ, "LC_ALL": "C.UTF-8", "COLUMNS": str(_COLUMNS), **(environment or {})}

    def type(self, typed: str, *steps: tuple[str, Answer], code: int = 0, shown: str | None = None) -> str:
        """Run `hearthline …`; at each step wait for a text, then type the answer (or do what it says).

        `shown`: what the screen has in the place of the command. What was said; its exit code must be that.
        """
        words = typed.split()
        assert words[0] == "hearthline"
        child = pexpect.spawn(
            sys.executable,
            ["-m", "hearthline", *words[1:]],
            env=self._environment,
            encoding="utf-8",
            timeout=PATIENCE_S,
            dimensions=(40, _COLUMNS),
        )
        said = ""
        try:
            for expected, answer in steps:
                child.expect_exact(expected)
                said += f"{child.before}{child.after}"
                if isinstance(answer, str):
                    child.sendline(answer)
                else:
                    answer()
            child.expect(pexpect.EOF)
            said += str(child.before)
        except pexpect.ExceptionPexpect as error:
            raise AssertionError(f"{typed}: {said}{child.before!r}: {error}") from error
        finally:
            child.close()
        text = _CONTROL.sub("", said).replace("\r\n", "\n").replace("\r", "")
        assert child.exitstatus == code, f"{typed}: {text}"
        self.screen += f"{self._prompt}{shown or typed}\n{text}"
        return text


def masked(screen: str, rules: Sequence[tuple[str, str]]) -> list[str]:
    """The lines of a screen, what differs from run to run replaced."""
    for pattern, text in rules:
        screen = re.sub(pattern, text, screen)
    return [line.rstrip() for line in screen.splitlines()]
