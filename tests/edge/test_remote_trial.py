"""A configuration on trial, cut short between any two steps: the old proved one or the new one, and told so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hearthline.remote import Result
from hearthline_edge.__main__ import begin
from hearthline_edge.loading import load_edge_config
from hearthline_edge.remote_trial import MAX_STARTS, Folder

OLD, NEW = {"gather_s": 1.0}, {"gather_s": 2.0, "log_level": "debug"}


class CutError(Exception):
    """The power is gone."""


class Cut(Folder):
    """Loses power at its n-th writing: before the new file takes its place, or right after."""

    def __init__(self, config_file: Path, at: int, after: bool) -> None:
        super().__init__(config_file)
        self._left = at
        self._after = after

    def _write(self, path: Path, content: bytes) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            path.with_name(f".{path.name}.new").write_bytes(content[: len(content) // 2])
            raise CutError
        super()._write(path, content)
        if self._left == 0:
            raise CutError


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "edge.toml"
    (tmp_path / "data").mkdir()
    path.write_text(f'gateway = "gw-1"\ndata_dir = "{tmp_path / "data"}"\n[uplink]\nhost = "c"\n', encoding="utf-8")
    folder = Folder(path)
    folder.propose("conf-0", OLD, 120, [])
    folder.prove()
    folder.settle("conf-0", Result.DONE, {})
    return path


def works_by(config_file: Path) -> dict[str, Any]:
    config = load_edge_config(config_file)
    return {key: getattr(config, key) for key in config.center}


def proved_way(folder: Folder) -> None:
    """What an agent does for a change that works."""
    folder.propose("conf-1", NEW, 120, [])
    begin(folder)
    folder.prove()
    folder.settle("conf-1", Result.DONE, {})


def taken_back_way(folder: Folder) -> None:
    folder.propose("conf-1", NEW, 120, [])
    begin(folder)
    folder.take_back("no word of the center")
    begin(folder)
    folder.settle("conf-1", Result.UNDONE, {})


def concluded(folder: Folder) -> Result | None:
    """What the next runs of an agent that works make of the state on the disk, and tell; None: nothing was begun."""
    while (trial := folder.trial()).stage != "quiet":
        _, on_trial = begin(folder)
        trial = folder.trial()
        if trial.stage in ("trial", "proved"):
            assert on_trial is (trial.stage == "trial")
            folder.prove()
            folder.settle(trial.command, Result.DONE, {})
        elif trial.stage == "undone":
            folder.settle(trial.command, Result.UNDONE, {})
    told = folder.trial().answer_to("conf-1")
    return None if told is None else told.result


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("way", [proved_way, taken_back_way])
def test_power_cut_between_any_two_steps(config_file: Path, way: Callable[[Folder], None], after: bool) -> None:
    results = []
    for at in range(1, 20):
        _restore(config_file)
        try:
            way(Cut(config_file, at, after))
        except CutError:
            pass
        else:
            break  # it wrote less often than that
        result = concluded(Folder(config_file))
        assert works_by(config_file) == (NEW if result is Result.DONE else OLD)
        assert Folder(config_file).trial().stage == "quiet"
        results.append(result)
    assert len(results) == (5 if way is proved_way else 4), "every writing was cut"
    assert results[0] is (Result.DONE if after else None), "before the first one nothing was begun"
    assert results[-1] is (Result.DONE if way is proved_way else Result.UNDONE)


def _restore(config_file: Path) -> None:
    """As before the change."""
    for path in (config_file.parent / "agent").glob("*center*"):
        path.unlink()
    for path in (config_file.parent / "agent").glob(".center*"):
        path.unlink()
    folder = Folder(config_file)
    folder.propose("conf-0", OLD, 120, [])
    folder.prove()
    folder.settle("conf-0", Result.DONE, {})


def test_one_that_never_comes_up_is_taken_back(config_file: Path) -> None:
    folder = Folder(config_file)
    folder.propose("conf-1", NEW, 120, [])
    assert [begin(folder)[1] for _ in range(MAX_STARTS + 2)] == [True] * MAX_STARTS + [False, False]
    assert works_by(config_file) == OLD
    assert f"{MAX_STARTS} times" in folder.trial().reason


def test_one_that_cannot_be_loaded_any_more_is_taken_back(config_file: Path) -> None:
    """The gateway's own file may have changed since it was checked."""
    folder = Folder(config_file)
    folder.propose("conf-1", {"local_mqtt": {"profiles": ["none"]}}, 120, [])
    config, on_trial = begin(folder)
    assert (config.gather_s, on_trial) == (1.0, False)
    assert "no local broker" in folder.trial().reason


def test_where_a_start_cannot_be_counted_nothing_is_tried(config_file: Path) -> None:
    Folder(config_file).propose("conf-1", NEW, 120, [])

    class Full(Folder):
        def _write(self, path: Path, content: bytes) -> None:
            raise OSError(28, "No space left on device")

    config, on_trial = begin(Full(config_file))
    assert (config.gather_s, on_trial) == (1.0, False)


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b'{"stage": "new"}', b"\xff\xfe", b"[" * 5000])
def test_a_damaged_trial_file_leaves_what_was_proved(config_file: Path, rubbish: bytes) -> None:
    (config_file.parent / "agent/center-trial.json").write_bytes(rubbish)
    assert works_by(config_file) == OLD
    assert begin(Folder(config_file))[1] is False


@pytest.mark.parametrize("rubbish", ["gather_s = ", "uplink = 1", "gather_s = 900.0", "[" * 5000, "\x00"])
def test_a_damaged_overlay_is_a_fault_and_never_a_dead_agent(config_file: Path, rubbish: str) -> None:
    (config_file.parent / "agent/center.toml").write_text(rubbish, encoding="utf-8")
    config = load_edge_config(config_file)
    assert (config.gather_s, config.center) == (5.0, ())
    assert "center.toml is set aside" in config.faults[0]


def test_sixteen_answers_are_remembered_and_another_order_s_trial_goes_on(config_file: Path) -> None:
    folder = Folder(config_file)
    folder.propose("conf-1", NEW, 120, ["port cuff"])
    for number in range(20):
        folder.settle(f"busy-{number}", Result.BUSY, {"reason": "another"})
    trial = folder.trial()
    assert (trial.stage, trial.command, trial.before) == ("trial", "conf-1", ["port cuff"])
    assert [told.command for told in trial.told] == [f"busy-{number}" for number in range(4, 20)]
    assert msgspec.json.decode((config_file.parent / "agent/center-trial.json").read_bytes())["stage"] == "trial"
