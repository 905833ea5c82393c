"""One of several, by its number."""

from __future__ import annotations

from collections.abc import Sequence

from hearthline_edge.pairing_texts import SPEECH
from hearthline_edge.terminal import Terminal


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
