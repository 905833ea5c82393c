"""A release is taken whole, signed by a known key, for this machine, or not at all."""

from __future__ import annotations

import platform
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hearthline.errors import ConfigError, HearthlineError, RefusedError
from hearthline_edge.release import (
    MANIFEST,
    REQUIREMENTS,
    SIGNATURE,
    check_fits,
    check_signature,
    copy_release,
    read_release,
    sign,
    write_manifest,
)

KEY = Ed25519PrivateKey.generate()
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "release"
    made.mkdir()
    (made / "a-1-py3-none-any.whl").write_bytes(b"wheel" * 1000)
    (made / REQUIREMENTS).write_text("a==1", encoding="utf-8")
    write_manifest(made, "0.2.0", PYTHON, platform.machine())
    sign(made, KEY)
    return made


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    file = tmp_path / "release-keys"
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    file.write_text(f"# whose\n{other} another office\n{KEY.public_key().public_bytes_raw().hex()} # ours\n", "utf-8")
    return file


def archive(folder: Path, how: str = "w") -> Path:
    place = folder.with_suffix(".tar")
    with tarfile.open(place, how) as tar:  # type: ignore[call-overload]
        tar.add(folder, "hearthline-0.2.0")
    return place


@pytest.mark.parametrize("pack", [lambda folder: folder, archive, lambda folder: archive(folder, "w:gz")])
def test_a_folder_and_its_tar_give_the_same(
    folder: Path, keys: Path, tmp_path: Path, pack: Callable[[Path], Path]
) -> None:
    release = read_release(pack(folder))
    check_fits(release.manifest)
    check_signature(release, keys)
    assert release.name == read_release(folder).name
    assert release.name.startswith("0.2.0-")
    out = tmp_path / "out"
    out.mkdir()
    copy_release(release, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name not in (MANIFEST, SIGNATURE)
    }


def spoil(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return do


def take(place: Path, keys: Path, out: Path) -> None:
    release = read_release(place)
    check_signature(release, keys)
    copy_release(release, out)


WHEEL = "a-1-py3-none-any.whl"


@pytest.mark.parametrize(
    ("damage", "error", "says"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), ConfigError, "no release.json"),
        (spoil(MANIFEST, lambda raw: raw[:-9]), ConfigError, "cannot be read"),
        (spoil(MANIFEST, lambda raw: raw.replace(b'"format": 1', b'"format": 2')), ConfigError, "format"),
        (spoil(MANIFEST, lambda raw: raw.replace(b'"a-1', b'"../a-1')), ConfigError, "format"),
        (spoil(MANIFEST, lambda raw: raw.replace(b"0.2.0", b"0/2/0")), ConfigError, "cannot be read"),
        (spoil(MANIFEST, lambda raw: raw.replace(b"0.2.0", b"0.2.1")), RefusedError, "no key of"),
        (spoil(SIGNATURE, lambda raw: b"00" * 64), RefusedError, "no key of"),
        (spoil(SIGNATURE, lambda raw: b"\xff none"), RefusedError, "no key of"),
        (lambda folder: (folder / SIGNATURE).unlink(), RefusedError, "is not signed"),
        (lambda folder: sign(folder, Ed25519PrivateKey.generate()), RefusedError, "no key of"),
        (spoil(WHEEL, lambda raw: raw[:-1]), ConfigError, "is not what release.json says"),
        (spoil(WHEEL, lambda raw: raw + b"!"), ConfigError, "is not what release.json says"),
        (spoil(WHEEL, lambda raw: raw[:-1] + b"!"), ConfigError, "is not what release.json says"),
        (lambda folder: (folder / WHEEL).unlink(), ConfigError, f"{WHEEL} is missing"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_damaged_or_changed_is_refused(
    folder: Path,
    keys: Path,
    tmp_path: Path,
    damage: Callable[[Path], None],
    error: type[HearthlineError],
    says: str,
    packed: bool,
) -> None:
    damage(folder)
    (tmp_path / "out").mkdir()
    with pytest.raises(error, match=says):
        take(archive(folder) if packed else folder, keys, tmp_path / "out")


def test_a_tar_that_names_places_elsewhere_writes_nothing_there(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "evil.tar"
    with tarfile.open(place, "w") as tar:
        for path in folder.iterdir():
            tar.add(path, f"../../{path.name}")
        link = tarfile.TarInfo("x/link.whl")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    out = tmp_path / "in" / "out"
    out.mkdir(parents=True)
    copy_release(read_release(place), out)
    assert sorted(path.name for path in out.iterdir()) == [WHEEL, REQUIREMENTS]
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["out"]


@pytest.mark.parametrize("content", [b"", b"no archive at all" * 100])
def test_what_is_no_release_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(ConfigError, match=r"x\.tar"):
        read_release(tmp_path / "x.tar")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_release(tmp_path / "none.tar")


@pytest.mark.parametrize(("python", "machine"), [("3.9", platform.machine()), (PYTHON, "pdp11")])
def test_a_release_for_another_machine_is_refused(folder: Path, python: str, machine: str) -> None:
    write_manifest(folder, "0.2.0", python, machine)
    with pytest.raises(ConfigError, match="take the release for it"):
        check_fits(read_release(folder).manifest)


def test_a_file_of_keys_that_says_nothing_lets_nothing_in(folder: Path, tmp_path: Path) -> None:
    release = read_release(folder)
    with pytest.raises(RefusedError, match="holds no key"):
        check_signature(release, tmp_path / "none")
    (tmp_path / "keys").write_text("# nobody\n", encoding="utf-8")
    with pytest.raises(RefusedError, match="holds no key"):
        check_signature(release, tmp_path / "keys")
    (tmp_path / "keys").write_text("# nobody\nabc\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 2 is no public key"):
        check_signature(release, tmp_path / "keys")
