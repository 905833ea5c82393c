"""The doctor knows what to do about every fault that the agent can tell, and which version is good."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import hearthline_edge
from hearthline_edge.config import EdgeConfig, UplinkConfig
from hearthline_edge.control import SOCKET
from hearthline_edge.doctor_running import examine_running, version_check
from hearthline_edge.fault_advice import TEXTS, is_known, what_to_do
from hearthline_edge.update_record import Phase, Update
from hearthline_edge.versions import CURRENT, GUARD, PREVIOUS, Versions

SOURCES = sorted(Path(hearthline_edge.__file__).parent.glob("*.py"))
TELLING = {"_set_fault", "_say"}  # methods whose argument becomes a fault
GIVING = {"faults", "drive", "_write"}  # functions that return faults


def templates() -> Iterator[tuple[str, str]]:
    """Every text in the agent's sources that becomes a fault, with what is filled in at its places."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for text in _faults_in(node):
                yield path.name, text


def _faults_in(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Assign(targets=[target], value=value) if _name(target) in ("fault", "faults", "refused"):
            yield from _texts(value)
        case ast.AugAssign(target=target, value=value) if _name(target) == "faults":
            yield from _texts(value)
        case ast.Call(func=function, args=args):
            appended = _name(function) == "append" and _name(getattr(function, "value", node)) in ("faults", "told")
            told = any(isinstance(each, ast.Attribute) and each.attr in TELLING for each in (function, *args))
            for each in args if appended or told else ():
                yield from _texts(each)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name in GIVING:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield from _texts(inner.value)
        case _:
            return


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _texts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)) if text:
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(part.value if isinstance(part, ast.Constant) else "x" for part in values)  # type: ignore[misc]
        case ast.IfExp(body=body, orelse=other):
            yield from _texts(body)
            yield from _texts(other)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            for each in items:
                yield from _texts(each)
        case ast.ListComp(elt=each):
            yield from _texts(each)
        case ast.BinOp(left=left, right=right):
            yield from _texts(left)
            yield from _texts(right)
        case ast.Starred(value=value):
            yield from _texts(value)
        case _:
            return


FOUND = sorted(set(templates()))


def test_the_walk_finds_the_faults_of_every_part() -> None:
    parts = {name for name, _ in FOUND}
    assert len(FOUND) >= 25
    assert parts >= {
        "agent.py",
        "control.py",
        "home.py",
        "intake.py",
        "loading.py",
        "local_mqtt.py",
        "renewing.py",
        "serial_port.py",
        "siren.py",
        "update_telling.py",
        "uplink.py",
    }


@pytest.mark.parametrize(("module", "fault"), FOUND)
def test_each_fault_has_its_advice(module: str, fault: str) -> None:
    assert is_known(fault), f"{module}: hearthline_edge/fault_advice.py says nothing of it"
    assert what_to_do(fault) != TEXTS.say("unknown")


def test_a_fault_that_nobody_knows_points_to_the_log() -> None:
    assert not is_known("the moon is away")
    assert "journalctl" in what_to_do("the moon is away")


UPDATE = Update(id="u", old="1-a", new="2-b", phase=Phase.PROVING, data_dir="/d")


@pytest.mark.parametrize(
    ("links", "update", "watched", "ok", "says"),
    [
        ({CURRENT: "1-a"}, None, True, True, "1-a runs and is the last good one."),
        ({CURRENT: "1-a", PREVIOUS: "0-z"}, None, True, True, "; 0-z before it is kept"),
        ({CURRENT: "2-b", GUARD: "1-a"}, UPDATE, True, True, "2-b is on trial (proving), the last good one is 1-a"),
        ({CURRENT: "2-b", GUARD: "1-a"}, UPDATE, False, False, "nobody watches: systemctl start hearthline-guard"),
        ({CURRENT: "1-a"}, "undone", True, False, "The update to 2-b was taken back: it ended 3 times"),
        ({CURRENT: "3-c"}, "undone", True, True, "3-c runs and is the last good one."),
        ({CURRENT: "2-b", PREVIOUS: "1-a"}, "proved", True, True, "2-b runs and is the last good one"),
    ],
)
def test_the_version_that_runs_and_the_last_good_one_are_named(
    tmp_path: Path, links: dict[str, str], update: Update | str | None, watched: bool, ok: bool, says: str
) -> None:
    versions = Versions(tmp_path, links[CURRENT])
    for link, name in links.items():
        versions.point(link, name)
    if isinstance(update, str):
        reason = "it ended 3 times in 8 s" if update == "undone" else ""
        update = Update(id="u", old="1-a", new="2-b", phase=Phase(update), data_dir="/d", reason=reason)
    check = version_check(versions, update, lambda: watched)
    assert check.ok is ok
    assert says in check.sentence


def test_an_agent_that_is_not_there_is_no_fault_of_a_machine_without_the_service(tmp_path: Path) -> None:
    assert not Path("/etc/systemd/system/hearthline-edge.service").exists()
    assert examine_running(EdgeConfig("gw-1", str(tmp_path), UplinkConfig("center"))) == []
    assert not (tmp_path / SOCKET).exists()
