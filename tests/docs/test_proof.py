"""docs/proof.md cites tests: each of them exists, every promise has its chapter, and no trial is left out."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROOF = (ROOT / "docs" / "proof.md").read_text(encoding="utf-8")
CITED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PROOF)))
TRIALS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("torture", "power", "simulation", "fuzz", "brokers")
    for path in (ROOT / "tests" / folder).rglob("test_*.py")
)


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("path", "name"), CITED)
def test_a_cited_test_exists(path: str, name: str) -> None:
    assert (ROOT / path).is_file()
    assert not name or name in functions(path)


@pytest.mark.parametrize("trial", TRIALS)
def test_every_trial_is_in_the_proof(trial: str) -> None:
    assert trial in {path for path, _ in CITED}


def test_every_promise_has_its_chapter() -> None:
    chapters = re.findall(r"^## (\d+) ", PROOF, re.MULTILINE)
    assert [int(number) for number in chapters] == list(range(1, 11))
    for chapter in re.split(r"^## \d+ ", PROOF, flags=re.MULTILINE)[1:]:
        assert "Not proved" in chapter
