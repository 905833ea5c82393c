"""On which line of a TOML text each key stands, so that an error can say where.

`tomllib` keeps no lines. This reads a text that `tomllib` has accepted once more, and only as far as keys, brackets
and the ends of values go:

    [[policy.day.step]]            ("policy", "day", "step", 0)            line 1
    to = ["staff:mei",             ("policy", "day", "step", 0, "to")      line 2, and (…, "to", 0)
          "contact"]               (…, "to", 1)                            line 3
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""+' r"|'''.*?'''+" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_OTHER = re.compile(r"[^,\]}\n#]+")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def key_lines(text: str) -> dict[KeyPath, int]:
    """Each key of a valid TOML text with its line, the first is 1. Elements of a list have their place as a key."""
    return _Scan(text.replace("\r\n", "\n")).lines


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """The line of a key; of a key that is not there, that of what should hold it; 1 for the file."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


def syntax_line(text: str, message: str) -> int:
    """The line that one of `tomllib`'s messages names; the last one where it says "at end of document"."""
    found = _AT_LINE.search(message)
    return int(found[1]) if found else max(1, len(text.splitlines()))


def spell(path: KeyPath) -> str:
    """`policy.day.step[0].to`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


class _Scan:
    """Reads a text from its beginning to its end; `lines` is what it found."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._lists: dict[KeyPath, int] = {}  # how many tables a [[list]] has by now
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(text):
            if text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        """What `pattern` takes from here; nothing where it does not fit."""
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found[0] if found else ""

    def _note(self, path: KeyPath) -> None:
        self.lines.setdefault(path, self._text.count("\n", 0, self._at) + 1)

    def _header(self) -> KeyPath:
        width = 2 if self._text.startswith("[[", self._at) else 1
        self._at += width
        path: KeyPath = ()
        names = self._key()
        for place, name in enumerate(names):
            path = (*path, name)
            if width == 2 and place == len(names) - 1:
                self._lists[path] = self._lists.get(path, -1) + 1
            self._note(path)
            if path in self._lists:
                path = (*path, self._lists[path])
                self._note(path)
        self._at += width
        return path

    def _key(self) -> list[str]:
        """The names of a dotted key, up to the `=` or `]` behind it."""
        names = []
        while True:
            self._skip(_SPACE)
            raw = self._skip(_BARE) or self._skip(_STRING)
            names.append(raw if _BARE.fullmatch(raw) else str(tomllib.loads(f"x = {raw}")["x"]))
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return names
            self._at += 1

    def _pair(self, table: KeyPath) -> None:
        started = self._at
        path = table
        names = self._key()
        ended, self._at = self._at, started
        for name in names:
            path = (*path, name)
            self._note(path)
        self._at = ended + 1
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        match self._text[self._at]:
            case "[":
                self._items(path, "]")
            case "{":
                self._items(path, "}")
            case _:
                self._skip(_STRING) or self._skip(_OTHER)

    def _items(self, path: KeyPath, end: str) -> None:
        """A list, or the pairs of an inline table."""
        self._at += 1
        place = 0
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == end:
                self._at += 1
                return
            if end == "]":
                self._note((*path, place))
                self._value((*path, place))
            else:
                self._pair(path)
            place += 1
            self._skip(_BLANK)
            if self._text[self._at] == ",":
                self._at += 1
