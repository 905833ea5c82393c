"""The wire is what the golden files say, byte for byte; docs/wire.md shows the same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hearthline import wire
from hearthline.model import EventType
from wire_contract import CASES, GOLDEN

DOCS = Path(__file__).parents[2] / "docs" / "wire.md"
_EXAMPLE = re.compile(r"<!-- golden: (\S+) -->\n```json\n(.*?)\n```", re.DOTALL)


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes()


def test_every_golden_file_has_a_case() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_encode_equals_golden(name: str) -> None:
    case = CASES[name]
    assert case.encode(case.value) == golden(name)


@pytest.mark.parametrize("name", CASES)
def test_decode_golden(name: str) -> None:
    case = CASES[name]
    assert case.decode(golden(name)) == case.value


@pytest.mark.parametrize("name", CASES)
def test_unknown_fields_are_ignored(name: str) -> None:
    tree = json.loads(golden(name))
    for part in tree if isinstance(tree, list) else [tree]:
        part["tomorrow"] = {"deep": [1, None, {"x": "é"}]}
    assert CASES[name].decode(json.dumps(tree).encode()) == CASES[name].value


def test_every_event_type_has_a_golden_file() -> None:
    assert {json.loads(golden(name))["type"] for name in CASES if name.startswith("event-")} == set(EventType)


def test_golden_files_keep_to_their_standards() -> None:
    for name in CASES:
        tree = json.loads(golden(name))
        if name.startswith("event-"):
            # CloudEvents 1.0.2 section 3: names of attributes are lower-case letters and digits, up to 20 of them
            assert all(re.fullmatch(r"[a-z0-9]{1,20}", key) for key in tree), name
            assert -(2**31) <= tree["seq"] < 2**31
        if name.startswith("pack"):
            # RFC 8428 section 4.5.1
            base = ""
            for record in tree:
                base = record.get("bn", base)
                assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*", base + record["n"]), name
            assert tree[0]["bt"] >= 2**28
            assert not [key for record in tree for key in record if key.endswith("_")]  # section 4.4: must-understand


def examples() -> Iterator[tuple[str, Any]]:
    for name, text in _EXAMPLE.findall(DOCS.read_text(encoding="utf-8")):
        yield name, json.loads(text)


def test_the_examples_in_the_docs_are_the_golden_files() -> None:
    shown = dict(examples())
    assert set(shown) == set(CASES)
    for name, tree in shown.items():
        assert tree == json.loads(golden(name)), name


def test_the_docs_name_every_topic() -> None:
    text = DOCS.read_text(encoding="utf-8")
    up = (wire.UP_EVENT, wire.UP_TELEMETRY, wire.UP_STATUS, wire.UP_CERTIFICATE)
    for leaf in (*up, wire.DOWN_ACK, wire.DOWN_COMMAND, wire.DOWN_CERTIFICATE):
        assert f"`{leaf}`" in text
