"""Releases for a test, with no network: the packages that it runs with, packed into wheels again, and this Hearthline.

A spoilt version is this one with a line more in a module, so that what runs differs by nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import platform
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
# No gateway of these tests imports them, and compiling each file three times is most of their time.
_UNUSED = ("hearthline_cloud/", "hearthline_dashboards/", "hearthline_sim/", "pygments/lexers/", "pygments/styles/")
_LEFT_OUT = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")


def _release_script() -> ModuleType:
    """`.ci/release.py`, which lies in no package."""
    sys.path.insert(0, str(ROOT / ".ci"))
    try:
        spec = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(ROOT / ".ci"))


SCRIPT = _release_script()


def pack_wheels(folder: Path) -> None:
    """One of each package that a gateway needs and that runs here, and Hearthline's own."""
    folder.mkdir()
    for name in SCRIPT.gateway_locks():
        try:
            installed = distribution(name)
        except PackageNotFoundError:  # for another system
            continue
        _pack(folder, installed)
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def make_release(folder: Path, wheels: Path, key: Path, spoilt: dict[str, str]) -> Path:
    """`spoilt`: file in the wheel -> lines that go before its first import."""
    folder.mkdir()
    for wheel in wheels.iterdir():
        if wheel.name.startswith("hearthline-"):
            _spoil(wheel, folder / wheel.name, spoilt)
        else:
            (folder / wheel.name).hardlink_to(wheel)
    SCRIPT.finish(folder, THIS, platform.machine(), key)
    return folder


def new_key(path: Path) -> str:
    return str(SCRIPT.new_key(path))


def _pack(folder: Path, installed: Distribution) -> None:
    files = dict(_files(installed))
    about = next(name for name in files if name.endswith(".dist-info/WHEEL")).rpartition("/")[0]
    lines = files[f"{about}/WHEEL"].decode().splitlines()
    tag = next(line.split()[1] for line in lines if line.startswith("Tag:") and "py2" not in line)
    _write_wheel(folder / f"{about.removesuffix('.dist-info')}-{tag}.whl", files, f"{about}/RECORD")


def _files(installed: Distribution) -> Iterator[tuple[str, bytes]]:
    for file in installed.files or ():
        if ".." not in file.parts and file.suffix != ".pyc" and file.name not in _LEFT_OUT:
            yield str(file), Path(str(file.locate())).read_bytes()


def _spoil(wheel: Path, other: Path, spoilt: dict[str, str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    record = next(name for name in files if name.endswith("/RECORD"))
    del files[record]
    for name, lines in spoilt.items():
        before, mark, after = files[name].decode().partition("from __future__ import annotations\n")
        assert mark, name
        files[name] = f"{before}{mark}{lines}\n{after}".encode()
    _write_wheel(other, files, record)


def _write_wheel(path: Path, files: dict[str, bytes], record: str) -> None:
    lines = []
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in sorted(files.items()):
            if name.startswith(_UNUSED):
                continue
            archive.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(content)}")
        archive.writestr(record, "\n".join([*lines, f"{record},,"]) + "\n")
