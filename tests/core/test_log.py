"""Every line is one JSON object, whatever the facts are."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearthline.log import Excerpt, Log, configure_logging


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    made = io.StringIO()
    configure_logging("info", made)
    yield made
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line(stream: io.StringIO) -> None:
    Log("hearthline.x").info("gateway silent", gateway="gw-1", age_s=75)
    Log("hearthline.x").debug("not shown")
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info", "logger": "hearthline.x", "message": "gateway silent", "gateway": "gw-1", "age_s": 75
    }  # fmt: skip


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


def test_odd_values_never_cost_the_line(stream: io.StringIO) -> None:
    circle: list[object] = []
    circle.append(circle)
    odd: dict[str, object] = {
        "path": Path("/x"),
        "data": b"\xff",
        "half": "\ud800",
        "line": "a\nb",
        "huge": 10**6000,
        "inf": float("inf"),
        "keys": {(1, 2): 3, None: 4},
        "circle": circle,
        "thing": Unspeakable(),
        "error": ValueError("\udfff"),
    }
    log = Log("hearthline.x")
    for name, value in odd.items():
        log.info("odd", **{name: value})
    log.info("all odd", **odd)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["message"] for line in lines] == ["odd"] * len(odd) + ["all odd"]
    for name, line in zip(odd, lines, strict=False):
        assert name in line


def test_facts_do_not_hide_the_line_itself(stream: io.StringIO) -> None:
    Log("hearthline.x").warning("clock jumped", time="yesterday", level=3, logger="me")
    line = json.loads(stream.getvalue())
    assert (line["level"], line["message"], line["logger"]) == ("warning", "clock jumped", "hearthline.x")
    assert (line["time_"], line["level_"], line["logger_"]) == ("yesterday", 3, "me")


def test_an_exception_carries_its_traceback(stream: io.StringIO) -> None:
    try:
        raise ValueError("half \ud800")
    except ValueError:
        Log("hearthline.x").exception("broke", gateway="gw-1")
    line = json.loads(stream.getvalue())
    assert "ValueError" in line["traceback"]
    assert line["gateway"] == "gw-1"


def test_the_last_lines_are_kept_in_memory_and_no_more(stream: io.StringIO) -> None:
    excerpt = Excerpt(3, 100)
    configure_logging("info", stream, excerpt)
    for number in range(5):
        Log("test").info("a line", number=number)
    Log("test").debug("not at this level")
    Log("test").info("a long one", text="x" * 5000)
    lines = excerpt.last(10)
    assert [json.loads(line)["number"] for line in lines[:2]] == [3, 4]
    assert (len(lines), len(lines[2]), lines[2][-1]) == (3, 100, "…")
    assert excerpt.last(1) == lines[2:]
    assert excerpt.last(0) == []
    assert stream.getvalue().count("\n") == 6, "the log itself has all of it"
