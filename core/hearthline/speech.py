"""What the command line says to installers, in Chinese or English: one key, two texts, placeholders in braces.

The language is that of the terminal (`LC_ALL`, `LC_MESSAGES`, `LANG`), or what `hearthline --lang zh|en` says. Each
module of commands has a table of its own; the console's texts are the cloud's (`hearthline_cloud.console.texts`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
CHOSEN = "HEARTHLINE_LANG"
_VARIABLES = (CHOSEN, "LC_ALL", "LC_MESSAGES", "LANG")


def language(environment: Mapping[str, str] = os.environ) -> Language:
    """The first variable that is set decides, as POSIX has it; anything but Chinese is English."""
    said = next((value for name in _VARIABLES if (value := environment.get(name))), "")
    return "zh" if said.lower().startswith("zh") else "en"


class Speech:
    """A table of texts, {key: (Chinese, English)}; raises ValueError for one that lacks a text."""

    def __init__(self, texts: Mapping[str, tuple[str, str]]) -> None:
        for key, both in texts.items():
            if not all(both):
                raise ValueError(f"the text {key!r} needs both a Chinese and an English form")
        self.texts = dict(texts)

    def say(self, key: str, **values: object) -> str:
        """The text of `key` in the terminal's language; raises KeyError for one that does not exist."""
        chosen = self.texts[key][LANGUAGES.index(language())]
        return chosen.format(**values) if values else chosen
