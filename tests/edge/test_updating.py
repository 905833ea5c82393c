"""What refuses an update before anything is laid down; a real one is in tests/installation."""

from __future__ import annotations

import fcntl
import os
import platform
import sys
from pathlib import Path

import msgspec
import pytest

from hearthline.errors import ConfigError, RefusedError
from hearthline_edge.config import EdgeConfig, UplinkConfig
from hearthline_edge.installing import Machine
from hearthline_edge.release import MANIFEST, REQUIREMENTS, File, Manifest, read_release, write_manifest
from hearthline_edge.service import GUARD_FILE
from hearthline_edge.update_record import Phase, Update, write_update
from hearthline_edge.updating import follow, take, update
from hearthline_edge.versions import CURRENT, GUARD, PREVIOUS, Versions

BEFORE, OLD = "0.0.9-99999999", "0.1.0-aaaaaaaa"


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    root = tmp_path / "versions"
    (root / OLD).mkdir(parents=True)
    made = Versions(root, OLD)
    made.point(CURRENT, OLD)
    return made


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / REQUIREMENTS).write_text("", encoding="utf-8")
    write_manifest(folder, "2", f"{sys.version_info.major}.{sys.version_info.minor}", platform.machine())
    return folder


def test_two_updates_at_once_are_refused(versions: Versions, release: Path) -> None:
    versions.point(GUARD, OLD)
    with pytest.raises(RefusedError, match="an update is under way"):
        take(release, versions, unsigned=True, tell=print)


def begin(versions: Versions, release: Path, machine: Machine) -> Update:
    config = EdgeConfig("gw-1", str(versions.root / "data"), UplinkConfig("center"))
    how = {"wait_s": 300.0, "offline": False, "unsigned": True}
    return update(release, config, Path("/etc/edge.toml"), versions, machine, print, **how)  # type: ignore[arg-type]


def test_a_second_command_at_once_is_refused_and_the_first_goes_on(
    versions: Versions, release: Path, tmp_path: Path
) -> None:
    guard = Machine(tmp_path / "machine").path(GUARD_FILE)
    guard.parent.mkdir(parents=True)
    guard.touch()
    handle = os.open(versions.root, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(RefusedError, match="an update is under way"):
        begin(versions, release, Machine(tmp_path / "machine"))
    os.close(handle)
    versions.point(CURRENT, read_release(release).name)
    with pytest.raises(RefusedError, match="runs already"):
        begin(versions, release, Machine(tmp_path / "machine"))


def test_an_update_has_ended_when_the_next_one_may_begin(versions: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard writes how it ended, and only then takes the other version away and its own link."""
    proved = Update(id="u-1", old=OLD, new="0.2.0-00000000", phase=Phase.PROVED, data_dir=str(versions.root))
    write_update(versions.root, proved)
    versions.point(GUARD, OLD)
    looks: list[float] = []

    def look_again(pause_s: float) -> None:
        looks.append(pause_s)
        versions.drop(GUARD)

    monkeypatch.setattr("hearthline_edge.updating.time.sleep", look_again)
    assert follow(proved, versions) == proved
    assert len(looks) == 1


def test_without_a_guard_there_is_no_update(versions: Versions, release: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no guard that could take an update back"):
        begin(versions, release, Machine(tmp_path))


def test_the_version_that_runs_is_no_update(versions: Versions, release: Path) -> None:
    versions.point(CURRENT, read_release(release).name)
    with pytest.raises(RefusedError, match="runs already"):
        take(release, versions, unsigned=True, tell=print)


def test_an_update_for_which_there_is_no_room_begins_not_at_all(versions: Versions, release: Path) -> None:
    found = read_release(release).manifest
    huge = msgspec.structs.replace(found, files={**found.files, "x.whl": File(10**15, "0" * 64)})
    assert isinstance(huge, Manifest)
    (release / MANIFEST).write_bytes(msgspec.json.encode(huge))
    with pytest.raises(ConfigError, match=r"the update needs .* MiB, .* MiB are free"):
        take(release, versions, unsigned=True, tell=print)
    assert sorted(path.name for path in versions.root.iterdir()) == [OLD, CURRENT]


def test_removing_the_program_leaves_what_is_not_its_own(versions: Versions) -> None:
    versions.point(PREVIOUS, BEFORE)
    for name in (BEFORE, "bin"):
        (versions.root / name).mkdir()
    (versions.root / "release-keys").touch()
    versions.remove_all()
    assert [path.name for path in versions.root.iterdir()] == ["bin"]
    (versions.root / "bin").rmdir()
    versions.remove_all()
    assert not versions.root.exists()


def test_what_was_cut_off_is_cleared_and_what_a_link_names_stays(versions: Versions) -> None:
    versions.point(PREVIOUS, BEFORE)
    for name in (BEFORE, "0.2.0-00000000", ".incoming"):
        (versions.root / name).mkdir()
    (versions.root / "bin").mkdir()  # of a center in the same place
    (versions.root / "release-keys").touch()
    versions.forget_others()
    assert sorted(path.name for path in versions.root.iterdir()) == [
        BEFORE,
        OLD,
        "bin",
        CURRENT,
        PREVIOUS,
        "release-keys",
    ]
