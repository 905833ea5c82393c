"""Bytes of a table into text: UTF-8 with or without a mark, UTF-16, GB18030 (GBK is a part of it); mojibake is told.

UTF-8 read as GBK ............ 王秀兰 becomes 鐜嬬鍏: its GBK bytes are UTF-8
GBK read as UTF-8 ............ it becomes ���: nothing brings that back
either read as Latin-1 ....... it becomes çŽ‹ç§€ or ÍõÐãÀ¼: its bytes are UTF-8 or GBK
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from hearthline_cloud.registry.shape import Problem, problem

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like UTF-16: asked before it
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
GARBLED_SHARE = 0.3  # of the cells with other letters than ASCII: more that are garbled, and the whole file is
_LEAST = {"gbk": 6, "cp1252": 4, "latin-1": 4}  # bytes; two letters may make sense by chance: 电话 does
_LIKELY = 0.7  # of the bytes that make sense in the other encoding


def decode(data: bytes) -> str | Problem:
    """The text, or why it cannot be read."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None) or _without_mark(data)
    if encoding is not None:
        return _strictly(data, encoding)
    text = _strictly(data, "utf-8")
    if isinstance(text, str):
        return text
    other = _strictly(data, "gb18030")
    return other if isinstance(other, str) else _undecodable(data)


def garbled(cells: Iterable[str]) -> tuple[int, int]:
    """How many cells are mojibake, of how many that hold other letters than ASCII."""
    told = [is_garbled(cell) for cell in cells if not cell.isascii()]
    return sum(told), len(told)


def is_garbled(text: str) -> bool:
    """Whether a text was read with another encoding than it was written with."""
    if "\ufffd" in text:
        return True
    foreign = "".join(letter for letter in text if not letter.isascii())
    return any(_makes_sense(foreign, wrong, right) for wrong, right in _MISREAD)


_MISREAD = (("gbk", "utf-8"), ("cp1252", "utf-8"), ("latin-1", "utf-8"), ("latin-1", "gbk"))


def _makes_sense(text: str, wrong: str, right: str) -> bool:
    """Whether the bytes that `wrong` has made this text of are Chinese in the encoding `right`."""
    raw = text.encode(wrong, "ignore")
    if len(raw) < _LEAST[wrong] or (wrong != "gbk" and len(raw) < len(text) * _LIKELY):
        return False
    found = sum("\u4e00" <= letter <= "\u9fff" for letter in raw.decode(right, "ignore"))
    return found * (3 if right == "utf-8" else 2) >= len(raw) * _LIKELY


def _without_mark(data: bytes) -> str | None:
    """UTF-16 without its mark: of a table with digits and commas every other byte is often 0."""
    head = data[:4096]
    if len(head) < 4 or b"\0" not in head:
        return None
    if head[1::2].count(0) > len(head) / 5:
        return "utf-16-le"
    return "utf-16-be" if head[0::2].count(0) > len(head) / 5 else None


def _strictly(data: bytes, encoding: str) -> str | Problem:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        return problem("undecodable", line=data[: error.start].count(b"\n") + 1)


def _undecodable(data: bytes) -> Problem:
    """The line up to which the better of the two guesses came."""
    lines = [int(dict(found.facts)["line"]) for found in (_strictly(data, "utf-8"), _strictly(data, "gb18030"))
             if isinstance(found, Problem)]  # fmt: skip
    return problem("undecodable", line=max(lines))
