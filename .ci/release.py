"""Make a release of the agent for gateways, which `hearthline edge update` and its own script `install` take.

    python .ci/release.py key FILE ...... make the key of an office's releases; prints the line for `release-keys`
    python .ci/release.py build [--out DIR] [--key FILE] [--python 3.11] [--machine aarch64] [--wheels DIR]

Wheels come as the hashed locks say, from wherever pip is configured to look, or from a folder. A gateway needs none.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from supply import LOCKS, ROOT, Locked, read_lock, wanted

from hearthline_edge.release import REQUIREMENTS, sign, write_manifest

_GLIBC = range(17, 37)  # wheels for these and older ones run on Debian 12 and Raspberry Pi OS of the same age
_HERE = platform.machine()
_THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


def gateway_locks() -> dict[str, Locked]:
    """What the extras `edge` and `cli` need: the lock of `edge`, and of `cloud` what the command line brings."""
    edge = {each.name: each for each in read_lock(LOCKS / "edge.txt")}
    others = {each.name: each for each in read_lock(LOCKS / "cloud.txt") if each.name not in edge}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {canonicalize_name(Requirement(text).name) for text in wanted(project, "cli")}
    while more := {each.name for each in others.values() if names.intersection(each.wanted_by)} - names:
        names |= more
    return edge | {name: others[name] for name in sorted(names) if name in others}


def fetch(wheels: Path, python: str, machine: str, given: Path | None) -> None:
    """One wheel of each locked package, its hash compared by pip. Ends the program where one is missing."""
    locked = gateway_locks()
    lines = [
        f"{each.name}=={each.version} {' '.join(f'--hash=sha256:{h}' for h in each.hashes)}" for each in locked.values()
    ]
    lock = wheels / "lock.txt"
    lock.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(wheels), "--requirement", str(lock)]
    if given is not None:
        command += ["--no-index", "--find-links", str(given)]
    if (python, machine) != (_THIS, _HERE):
        command += ["--python-version", python, "--implementation", "cp"]
        for tag in (f"manylinux2014_{machine}", *(f"manylinux_2_{minor}_{machine}" for minor in _GLIBC)):
            command += ["--platform", tag]
    subprocess.run(command, check=True)
    lock.unlink()


def own_wheel(wheels: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-build-isolation", "--no-index", "--wheel-dir", str(wheels), str(ROOT)]
    subprocess.run(command, check=True)


def write_requirements(folder: Path) -> str:
    """Every wheel by its hash; returns Hearthline's version."""
    import hashlib

    own, lines = "", []
    for wheel in sorted(folder.glob("*.whl")):
        name, version, _, _ = parse_wheel_filename(wheel.name)
        if name == "hearthline":
            own = str(version)
        extras = "[edge,cli]" if name == "hearthline" else ""
        lines.append(f"{name}{extras}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}")
    (folder / REQUIREMENTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return own


def finish(folder: Path, python: str, machine: str, key: Path | None) -> str:
    """What makes a folder of wheels a release; returns its version."""
    version = write_requirements(folder)
    shutil.copyfile(ROOT / ".ci" / "release-install", folder / "install")
    write_manifest(folder, version, python, machine)
    if key is not None:
        sign(folder, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key.read_text(encoding="ascii").strip())))
    return version


def build(out: Path, key: Path | None, python: str, machine: str, given: Path | None) -> Path:
    """Returns the release's folder; beside it lies its tar."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as made:
        folder = Path(made) / "release"
        folder.mkdir()
        own_wheel(folder)
        fetch(folder, python, machine, given)
        version = finish(folder, python, machine, key)
        place = out / f"hearthline-{version}-{machine}-python{python}"
        shutil.rmtree(place, ignore_errors=True)
        folder.chmod(0o755)
        folder.replace(place)
    with tarfile.open(f"{place}.tar", "w") as archive:
        archive.add(place, place.name)
    return place


def new_key(path: Path) -> str:
    """Returns the line that gateways keep. Raises FileExistsError."""
    key = Ed25519PrivateKey.generate()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(f"{key.private_bytes_raw().hex()}\n")
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    orders = parser.add_subparsers(dest="order", required=True)
    orders.add_parser("key").add_argument("file", type=Path)
    building = orders.add_parser("build")
    building.add_argument("--out", type=Path, default=ROOT / "dist")
    building.add_argument("--key", type=Path)
    building.add_argument("--python", default=_THIS)
    building.add_argument("--machine", default=_HERE)
    building.add_argument("--wheels", type=Path)
    given = parser.parse_args()
    try:
        if given.order == "key":
            print(f"{new_key(given.file)} # releases of this office")
            return 0
        if not re.fullmatch(r"3\.[0-9]+", given.python):
            print(f"--python {given.python}: write it as 3.11", file=sys.stderr)
            return 2
        place = build(given.out, given.key, given.python, given.machine, given.wheels)
    except subprocess.CalledProcessError as error:
        print(f"pip ended with {error.returncode}; see what it says above", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{place}\n{place}.tar")
    if given.key is None:
        print("It is not signed: a gateway takes it with --unsigned only. Sign with --key FILE.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
