"""Every text of the console, in Chinese and English: one module a room, one key, two texts; placeholders are in braces.

A room's module gives `TEXTS`, and `SCRIPT_KEYS` for those that the page's own script says. The modules are found by
themselves; a key that two rooms give stops the start.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Literal

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
HTML_LANG: dict[Language, str] = {"zh": "zh-CN", "en": "en"}


def gather(rooms: dict[str, dict[str, tuple[str, str]]]) -> dict[str, tuple[str, str]]:
    """The texts of all rooms; raises ValueError for a key that two of them give."""
    texts: dict[str, tuple[str, str]] = {}
    giver: dict[str, str] = {}
    for room, own in rooms.items():
        for key, both in own.items():
            if key in giver:
                raise ValueError(f"the text {key!r} is given by {giver[key]} and by {room}: rename one of them")
            texts[key], giver[key] = both, room
    return texts


_ROOMS = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
TEXTS = gather({room.__name__: room.TEXTS for room in _ROOMS})
# What the page's own script says; it is handed over as one attribute of the page.
SCRIPT_KEYS: tuple[str, ...] = tuple(key for room in _ROOMS for key in getattr(room, "SCRIPT_KEYS", ()))


def text(key: str, language: Language, **values: object) -> str:
    """The text of `key`; raises KeyError for one that does not exist."""
    chosen = TEXTS[key][LANGUAGES.index(language)]
    return chosen.format(**values) if values else chosen


def script_texts(language: Language) -> dict[str, str]:
    return {key: text(key, language) for key in SCRIPT_KEYS}


def choose_language(cookie: str | None, accepted: str | None) -> Language:
    """The visitor's choice, else the first of ours in `Accept-Language` by quality, else Chinese."""
    for language in LANGUAGES:
        if cookie == language:
            return language
    ranked: list[tuple[float, int, Language]] = []
    for place, item in enumerate((accepted or "").split(",")[:20]):
        tag, _, quality = item.partition(";q=")
        for language in LANGUAGES:
            if tag.strip().lower().split("-")[0] == language:
                ranked.append((-_quality(quality), place, language))
    return min(ranked)[2] if ranked else "zh"


def _quality(raw: str) -> float:
    try:
        return float(raw) if raw.strip() else 1.0
    except ValueError:
        return 0.0
