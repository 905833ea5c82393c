"""A tree of texts, numbers, truths, lists and tables as TOML 1.0 text, for the files that a program keeps for people.

key = value        first
[table]            then the tables, what lies in them inline
[[list]]           then the lists of tables, one a table

Why not tomli-w 1.2 (MIT, 230 lines): it has no comments, and whether a list is one array or tables, and a table of a
table inline or apart, follows there from the length of what is in them. A list of devices would change its form with
a longer name, and an installer reads and compares it; here it is always written as the examples write it.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(tree: dict[str, Any], note: str = "") -> str:
    """`note` stands above as a comment. Raises ValueError for what TOML cannot say, such as None."""
    lines = [f"# {line}" for line in note.splitlines()]
    lists = {key: value for key, value in tree.items() if _is_tables(value)}
    tables = {key: value for key, value in tree.items() if isinstance(value, dict)}
    lines += [f"{_key(key)} = {_inline(value)}" for key, value in tree.items() if key not in lists | tables]
    for key, table in tables.items():
        lines += ["", f"[{_key(key)}]", *_pairs(table)]
    for key, entries in lists.items():
        for entry in entries:
            lines += ["", f"[[{_key(key)}]]", *_pairs(entry)]
    return "\n".join(lines) + "\n"


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _pairs(table: dict[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_inline(value)}" for key, value in table.items()]


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _inline(key)


def _inline(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
        case list():
            return f"[{', '.join(map(_inline, value))}]"
        case dict():
            return f"{{ {', '.join(_pairs(value))} }}" if value else "{}"
        case _:
            raise ValueError(f"{type(value).__name__} has no text in TOML")
