"""The check of what the product is made of finds what is planted; the bill of materials keeps to CycloneDX's schema."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import packaging
import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

ROOT = Path(__file__).parents[2]
A, B = "a" * 64, "b" * 64


@pytest.fixture(scope="module")
def supply() -> ModuleType:
    spec = importlib.util.spec_from_file_location("supply", ROOT / ".ci" / "supply.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["supply"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def planted(supply: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock of its own and a project to which it belongs."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nversion = "1"\ndependencies = ["msgspec>=0.19"]\n[project.optional-dependencies]\n'
        'edge = ["hearthline[more]"]\nmore = ["Paho_MQTT>=2.1; python_version > \'3\'"]\n'
    )
    (tmp_path / ".ci" / "locks").mkdir(parents=True)
    monkeypatch.setattr(supply, "ROOT", tmp_path)
    monkeypatch.setattr(supply, "LOCKS", tmp_path / ".ci" / "locks")
    return tmp_path / ".ci" / "locks" / "edge.txt"


def line(pin: str, *hashes: str) -> str:
    return " \\\n".join([pin, *(f"    --hash=sha256:{each}" for each in hashes)]) + "\n    # via hearthline (x)\n"


def test_every_lock_can_be_read_and_every_line_has_its_hashes(supply: ModuleType) -> None:
    for path in (ROOT / ".ci" / "locks").glob("*.txt"):
        locked = supply.read_lock(path)
        assert len(locked) == path.read_text(encoding="utf-8").count("==") - path.read_text("utf-8").count(" == ")
        assert all(each.hashes for each in locked)
    cloud = {each.name: each for each in supply.read_lock(ROOT / ".ci" / "locks" / "cloud.txt")}
    assert cloud["cffi"].wanted_by == ("argon2-cffi-bindings", "cryptography")


def test_a_good_lock_has_no_problem(supply: ModuleType, planted: Path) -> None:
    planted.write_text(line("msgspec==0.20.0", A, B) + line("paho-mqtt==2.1.0 ; python_version > '3'", A))
    assert supply.problems() == []


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        (line("msgspec==0.20.0", A), "paho-mqtt of pyproject.toml is not in it"),
        (line("msgspec==0.18.0", A) + line("paho-mqtt==2.1.0", A), "msgspec 0.18.0 is not >=0.19"),
        (line("msgspec==0.20.0") + line("paho-mqtt==2.1.0", A), "msgspec has no hash"),
        (line("msgspec==0.20.0", "abc") + line("paho-mqtt==2.1.0", A), "msgspec has no hash"),
    ],
)
def test_what_is_planted_is_found(supply: ModuleType, planted: Path, lock: str, said: str) -> None:
    planted.write_text(lock)
    (problem,) = supply.problems()
    assert said.lower() in problem.lower()


def test_a_line_that_pins_nothing_is_refused(supply: ModuleType, planted: Path) -> None:
    planted.write_text("msgspec>=0.19\n")
    with pytest.raises(ValueError, match="pins nothing"):
        supply.read_lock(planted)


@pytest.mark.parametrize(
    ("licence", "is_wrong"),
    [
        ("GPL-3.0-only", True), ("AGPL-3.0", True), ("GPLv2", True), ("GNU General Public License v3", True),
        ("GNU Affero General Public License", True), ("", True), ("LGPL-3.0-only", False), ("MIT", False),
        ("GNU Lesser General Public License v3", False), (None, False),
    ],
)  # fmt: skip
def test_licences(supply: ModuleType, monkeypatch: pytest.MonkeyPatch, licence: str | None, is_wrong: bool) -> None:
    monkeypatch.setattr(supply, "licence_of", lambda name: licence)
    assert (supply.licence_problem("x") is not None) == is_wrong


def test_the_bill_keeps_to_the_schema_and_names_everything_once(supply: ModuleType) -> None:
    folder = Path(pytest.importorskip("cyclonedx").__file__).parent / "schema" / "_res"
    bill = supply.bill()
    names = {"bom-1.6": "bom-1.6", "spdx": "spdx", "jsf-0.82": "jsf-0.82"}
    schemas = {key: json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_text()) for key, name in names.items()}
    base = schemas["bom-1.6"]["$id"].rpartition("/")[0]
    resources = [(f"{base}/{key}.SNAPSHOT.schema.json", Resource.from_contents(each)) for key, each in schemas.items()]
    resources += [(f"{base}/{key}.schema.json", Resource.from_contents(each)) for key, each in schemas.items()]
    validator = Draft7Validator(schemas["bom-1.6"], registry=Registry().with_resources(resources))
    assert [error.message for error in validator.iter_errors(bill)] == []
    assert list(validator.iter_errors({**bill, "specVersion": 7})), "control: a wrong one is found"
    refs = [each["bom-ref"] for each in bill["components"]]
    assert len(refs) == len(set(refs)) > 30
    assert {each["ref"] for each in bill["dependencies"]} == {*refs, bill["metadata"]["component"]["bom-ref"]}
    assert supply.bill() == bill


def test_an_audit_that_could_not_be_made_says_so(tmp_path: Path) -> None:
    """A Python without pip-audit and without a network."""
    command = [sys.executable, "-S", str(ROOT / ".ci" / "supply.py"), "audit"]
    path = str(Path(packaging.__file__).parents[1])
    (tmp_path / "packaging").symlink_to(Path(path) / "packaging")
    told = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={"PYTHONPATH": str(tmp_path)}
    )
    assert told.returncode == 2
    assert "Nothing was audited" in told.stderr
