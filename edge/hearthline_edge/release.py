"""A release: the wheels of one version of the agent, what they must be, and a signature over that.

    release.json ...... version, Python and machine it is for, size and SHA-256 of every other file
    release.sig ....... Ed25519 over the bytes of release.json, in hexadecimal digits
    requirements.txt .. what pip installs, each with its hash
    *.whl, install .... the wheels; the script of a first installation

A folder, or a tar of it. Nothing of it is used before its bytes have been compared while they were copied to a folder
of root's: a stick may give other bytes at the second reading.
"""

from __future__ import annotations

import hashlib
import platform
import re
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Annotated

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from hearthline.errors import ConfigError, RefusedError
from hearthline_edge.updating_texts import say

MANIFEST, SIGNATURE, REQUIREMENTS = "release.json", "release.sig", "requirements.txt"
_MOST_BYTES = 1024 * 1024  # of the manifest
_CHUNK = 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}\Z")

Version = Annotated[str, Meta(pattern=r"^[0-9][0-9A-Za-z.+]{0,60}$")]


class File(msgspec.Struct, frozen=True):
    size: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`python`: e.g. `3.11`; `machine`: as `uname -m` says it, e.g. `aarch64`."""

    format: int
    version: Version
    python: str
    machine: str
    files: dict[str, File]


class Release(msgspec.Struct, frozen=True):
    """A manifest that was read, and not yet believed. `name`: of its folder on a gateway; other bytes, other name."""

    place: Path
    raw: bytes
    signature: str
    manifest: Manifest

    @property
    def name(self) -> str:
        return f"{self.manifest.version}-{hashlib.sha256(self.raw).hexdigest()[:8]}"

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.manifest.files.values())


def read_release(place: Path) -> Release:
    """Raises ConfigError for what is none."""
    with _opened(place, {MANIFEST, SIGNATURE}) as files:
        found = {name: stream.read(_MOST_BYTES + 1) for name, stream in files}
    raw = found.get(MANIFEST)
    if raw is None:
        raise ConfigError(say("no-manifest", place=place))
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except ValueError as error:
        raise ConfigError(say("bad-manifest", place=place, error=error)) from None
    names = [*manifest.files]
    if manifest.format != 1 or REQUIREMENTS not in names or not all(map(_NAME.match, names)):
        raise ConfigError(say("other-format", place=place))
    return Release(place, raw, found.get(SIGNATURE, b"").decode("ascii", "replace").strip(), manifest)


def check_fits(manifest: Manifest) -> None:
    """Raises ConfigError for a release of another Python or machine."""
    python, machine = f"{sys.version_info.major}.{sys.version_info.minor}", platform.machine()
    if (manifest.python, manifest.machine) != (python, machine):
        wanted = f"Python {manifest.python}, {manifest.machine}"
        raise ConfigError(say("other-machine", wanted=wanted, here=f"Python {python}, {machine}"))


def check_signature(release: Release, keys: Path) -> None:
    """Raises RefusedError unless one of the keys in that file has signed it; ConfigError for a file that holds none."""
    known = _keys(keys)
    if not known:
        raise RefusedError(say("no-keys", keys=keys))
    if not release.signature:
        raise RefusedError(say("unsigned", place=release.place))
    try:
        signature = bytes.fromhex(release.signature)
    except ValueError:
        signature = b""
    for key in known:
        try:
            key.verify(signature, release.raw)
        except InvalidSignature:
            continue
        return
    raise RefusedError(say("other-key", place=release.place, keys=keys))


def read_keys(text: str, where: Path) -> list[Ed25519PublicKey]:
    """A key a line, behind it whose it is; `#` begins a remark. Raises ConfigError, naming the line."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            found.append(Ed25519PublicKey.from_public_bytes(bytes.fromhex(words[0])))
        except ValueError:
            raise ConfigError(say("bad-key", keys=where, line=number)) from None
    return found


def _keys(path: Path) -> list[Ed25519PublicKey]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(say("unreadable", path=path, error=error)) from None
    return read_keys(text, path)


def copy_release(release: Release, folder: Path) -> None:
    """Every file of the manifest into `folder`. Raises ConfigError for one that is missing or other than it says."""
    waiting = dict(release.manifest.files)
    with _opened(release.place, set(waiting)) as files:
        for name, stream in files:
            wanted = waiting.pop(name, None)
            if wanted is not None:
                _copy(stream, folder / name, wanted, release.place)
    if waiting:
        raise ConfigError(say("missing-file", place=release.place, name=min(waiting)))


def _copy(stream: IO[bytes], path: Path, wanted: File, place: Path) -> None:
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        while size <= wanted.size and (data := stream.read(_CHUNK)):
            digest.update(data)
            size += len(data)
            file.write(data)
    if (size, digest.hexdigest()) != (wanted.size, wanted.sha256):
        raise ConfigError(say("other-bytes", place=place, name=path.name))


@contextmanager
def _opened(place: Path, names: set[str]) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """The files of these names, one after the other. Raises ConfigError when `place` cannot be read."""
    try:
        if place.is_dir():
            yield _of_folder(place, names)
        else:
            with tarfile.open(place) as archive:
                yield _of_archive(archive, names)
    except (tarfile.TarError, EOFError) as error:
        raise ConfigError(say("no-archive", place=place, error=error)) from None
    except OSError as error:
        raise ConfigError(say("unreadable", path=place, error=error.strerror or error)) from None


def _of_folder(folder: Path, names: set[str]) -> Iterator[tuple[str, IO[bytes]]]:
    for name in sorted(names):
        if (folder / name).is_file():
            with (folder / name).open("rb") as stream:
                yield name, stream


def _of_archive(archive: tarfile.TarFile, names: set[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """By their last names: nothing is unpacked where the archive says."""
    for member in archive:
        name = PurePosixPath(member.name).name
        stream = archive.extractfile(member) if member.isfile() and name in names else None
        if stream is not None:
            yield name, stream


def write_manifest(folder: Path, version: str, python: str, machine: str) -> None:
    """Of everything that lies in `folder`; what was signed before no longer is."""
    files = {}
    for path in sorted(folder.iterdir()):
        if path.name not in (MANIFEST, SIGNATURE):
            content = path.read_bytes()
            files[path.name] = File(len(content), hashlib.sha256(content).hexdigest())
    manifest = Manifest(format=1, version=version, python=python, machine=machine, files=files)
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    (folder / SIGNATURE).unlink(missing_ok=True)


def sign(folder: Path, key: Ed25519PrivateKey) -> None:
    signature = key.sign((folder / MANIFEST).read_bytes())
    (folder / SIGNATURE).write_text(f"{signature.hex()}\n", encoding="ascii")
