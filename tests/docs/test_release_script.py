"""What a release is made of: all that the gateway's code imports, by the locks, and nothing of the center's."""

from __future__ import annotations

import ast
import importlib.util
import stat
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from packaging.utils import canonicalize_name

from hearthline_edge.release import check_signature, read_release

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / ".ci"))
    spec = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(ROOT / ".ci"))


def imported() -> set[str]:
    """The top names of all that core and edge import, whenever they do it."""
    names: set[str] = set()
    for path in [*(ROOT / "core").rglob("*.py"), *(ROOT / "edge").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return {name for name in names if name not in sys.stdlib_module_names and not name.startswith("hearthline")}


def test_a_release_has_every_package_that_a_gateway_imports(script: ModuleType) -> None:
    locked = set(script.gateway_locks())
    of_module = packages_distributions()
    assert {"typer", "msgspec", "cryptography"} <= imported()
    lacking = {name for name in imported() if not locked & {canonicalize_name(each) for each in of_module[name]}}
    assert lacking == set()
    assert not locked & {"fastapi", "sqlalchemy", "uvicorn"}


def test_a_key_is_its_owners_and_never_written_over(script: ModuleType, tmp_path: Path) -> None:
    public = script.new_key(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        script.new_key(tmp_path / "key")
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex((tmp_path / "key").read_text().strip()))
    assert private.public_key().public_bytes_raw().hex() == public


def test_what_the_script_signs_a_gateway_believes(script: ModuleType, tmp_path: Path) -> None:
    folder, keys = tmp_path / "release", tmp_path / "keys"
    folder.mkdir()
    (folder / "hearthline-0.1.0-py3-none-any.whl").write_bytes(b"wheel")
    keys.write_text(f"{script.new_key(tmp_path / 'key')} # ours\n", encoding="ascii")
    assert script.finish(folder, "3.11", "aarch64", tmp_path / "key") == "0.1.0"
    release = read_release(folder)
    check_signature(release, keys)
    assert sorted(release.manifest.files) == ["hearthline-0.1.0-py3-none-any.whl", "install", "requirements.txt"]
    assert (folder / "requirements.txt").read_text().startswith("hearthline[edge,cli]==0.1.0 --hash=sha256:")
