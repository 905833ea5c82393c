"""Where a key stands in a TOML text: every key that `tomllib` finds has a line, and it is the right one."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from hearthline_cloud.policy_lines import KeyPath, key_lines, line_of, spell, syntax_line

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
STEPS = """# a comment with a key = 1
otherwise = "a = b # no comment"

[policy.day]   # [not.this]
repeat_s=300
quiet_hours = { from = 22:00:00, to = 07:00:00, zone = "Asia/Shanghai" }
[[policy.day.step]]
after_s = 0
to = [
  "contact", # first ]
  "staff:mei" ,
]
[[policy.day.step]]
"after_s" = 60
to = ["everyone", 'staff:jun']
"""
ODD = '''text = """
key = 1
[table]
\\"""quoted\\""" """
raw = \'\'\'
# = ]\'\'\'
a.b.c = 1
a."b".d = 2
["quo.ted".x]
y = [[1, 2], [
3]]
[[list]]
[[list.inner]]
v = {w = {x = [{z = 1}]}}
[[list.inner]]
v = 1979-05-27T07:32:00Z
[[list]]
inner = []
'''


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        (STEPS, ("otherwise",), 2),
        (STEPS, ("policy", "day"), 4),
        (STEPS, ("policy", "day", "repeat_s"), 5),
        (STEPS, ("policy", "day", "quiet_hours", "zone"), 6),
        (STEPS, ("policy", "day", "step", 0), 7),
        (STEPS, ("policy", "day", "step", 0, "to"), 9),
        (STEPS, ("policy", "day", "step", 0, "to", 0), 10),
        (STEPS, ("policy", "day", "step", 0, "to", 1), 11),
        (STEPS, ("policy", "day", "step", 1), 13),
        (STEPS, ("policy", "day", "step", 1, "after_s"), 14),
        (STEPS, ("policy", "day", "step", 1, "to", 1), 15),
        (STEPS, ("policy", "day", "step", 1, "missing"), 13),
        (STEPS, ("policy", "day", "progress_s"), 4),
        (STEPS, ("nowhere", "x"), 1),
        (ODD, ("raw",), 5),
        (ODD, ("a", "b", "d"), 8),
        (ODD, ("quo.ted", "x", "y", 1, 0), 11),
        (ODD, ("list", 0, "inner", 0, "v", "w", "x", 0, "z"), 14),
        (ODD, ("list", 0, "inner", 1, "v"), 16),
        (ODD, ("list", 1, "inner"), 18),
        (STEPS.replace("\n", "\r\n"), ("policy", "day", "step", 1, "after_s"), 14),
        ("", ("otherwise",), 1),
        ("a = 1", ("a",), 1),
    ],
)
def test_where_a_key_stands(text: str, path: KeyPath, line: int) -> None:
    assert line_of(key_lines(text), path) == line


def paths(tree: Any, before: KeyPath = ()) -> set[KeyPath]:
    if isinstance(tree, dict):
        items: list[tuple[str | int, Any]] = list(tree.items())
    else:
        items = list(enumerate(tree)) if isinstance(tree, list) else []
    return {(*before, key) for key, _ in items}.union(*(paths(value, (*before, key)) for key, value in items))


@pytest.mark.parametrize("text", [STEPS, ODD, *(path.read_text("utf-8") for path in sorted(EXAMPLES.glob("*.toml")))])
def test_every_key_has_a_line_and_nothing_else_has(text: str) -> None:
    lines = key_lines(text)
    assert set(lines) == paths(tomllib.loads(text))
    rows = text.split("\n")
    for path, line in lines.items():
        if isinstance(path[-1], str):
            assert path[-1] in rows[line - 1]


@pytest.mark.parametrize(
    ("text", "line"), [("a = 1\nb = \n", 2), ("a = 1\n\n[x\n", 3), ("a = 1\nb = [1,\n", 2), ("a = 1\na = 2\n", 2)]
)
def test_where_the_syntax_is_wrong(text: str, line: int) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as raised:
        tomllib.loads(text)
    assert syntax_line(text, str(raised.value)) == line


def test_a_path_as_people_write_it() -> None:
    assert spell(("policy", "day", "step", 0, "to")) == "policy.day.step[0].to"
