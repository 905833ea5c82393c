"""The guard: which new version it takes back, and that a kill at any of its steps changes nothing about the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearthline_edge.guard import (
    MOST_GUARDS,
    MOST_RESTARTS,
    READY_S,
    SETTLED_S,
    STEADY_S,
    Guard,
    Sight,
    Verdict,
    away_s,
    judge,
)
from hearthline_edge.outbox_rows import Fate
from hearthline_edge.update_record import Phase, Told, Update, read_update, write_told, write_update
from hearthline_edge.versions import CURRENT, GUARD, PREVIOUS, Versions

OLD, NEW = "0.1.0-aaaaaaaa", "0.2.0-bbbbbbbb"


def update(**changes: object) -> Update:
    facts = {"id": "u1", "old": OLD, "new": NEW, "phase": Phase.SWITCHING, "data_dir": "/data", "wait_s": 300.0}
    return Update(**(facts | changes))  # type: ignore[arg-type]


def told(fate: Fate, id_: str = "u1", kind: str = "updated") -> Told:
    return Told(id=id_, kind=kind, fate=fate)


@pytest.mark.parametrize(
    ("sight", "phase", "reason"),
    [
        (Sight(8, STEADY_S, True, 0, told(Fate.RECEIVED)), Phase.PROVED, ""),
        (Sight(8, STEADY_S - 1, True, 0, told(Fate.RECEIVED)), Phase.PROVING, ""),
        (Sight(8, 8, True, 0, told(Fate.WAITING)), Phase.PROVING, ""),
        (Sight(8, 8, True, 0, told(Fate.RECEIVED, kind="update-begins")), Phase.PROVING, ""),
        (Sight(8, 8, True, 0, told(Fate.RECEIVED, id_="an earlier one")), Phase.PROVING, ""),
        (Sight(8, 8, True, 0, told(Fate.REFUSED)), Phase.UNDOING, "the center refuses"),
        (Sight(8, 0, False, MOST_RESTARTS - 1, None), Phase.PROVING, ""),
        (Sight(8, 0, False, MOST_RESTARTS, None), Phase.UNDOING, "ended 3 times"),
        (Sight(20, 9, True, MOST_RESTARTS, told(Fate.RECEIVED)), Phase.UNDOING, "ended 3 times"),
        (Sight(READY_S + 1, 0, False, 0, None), Phase.UNDOING, "not ready after 60 s"),
        (Sight(READY_S + 1, 0, True, 1, None), Phase.PROVING, ""),
        (Sight(301, 290, True, 0, None), Phase.UNDOING, "outbox took no event"),
        (Sight(301, 290, True, 0, told(Fate.WAITING)), Phase.UNDOING, "center had not received"),
        (Sight(301, 0, True, 2, told(Fate.RECEIVED)), Phase.UNDOING, "not once run for 5 s"),
    ],
)
def test_what_proves_a_version_and_what_takes_it_back(sight: Sight, phase: Phase, reason: str) -> None:
    found = judge(update(), sight)
    assert found.phase is phase
    assert reason in found.reason
    assert bool(found.reason) == (phase is Phase.UNDOING)


def test_without_a_center_running_through_and_an_event_in_the_outbox_have_to_do() -> None:
    alone = update(offline=True)
    assert judge(alone, Sight(99, SETTLED_S, True, 0, told(Fate.WAITING))) == Verdict(Phase.PROVED)
    assert judge(alone, Sight(99, SETTLED_S, True, 0, None)).phase is Phase.PROVING
    assert judge(alone, Sight(99, SETTLED_S - 1, True, 0, told(Fate.WAITING))).phase is Phase.PROVING
    assert judge(update(), Sight(99, SETTLED_S, True, 0, told(Fate.WAITING))).phase is Phase.PROVING


class Killed(BaseException):
    """What a kill -9 is to the guard."""


class Machine:
    """The agent's service as systemd tells of it: each version ready at once, or one that ends at once."""

    def __init__(self, folder: Path, *, starts: bool, received: bool = True) -> None:
        self.root, self.data = folder / "root", folder / "data"
        for name in (OLD, NEW, "0.0.9-cccccccc"):
            (self.root / name / "bin").mkdir(parents=True)
        self.data.mkdir()
        self.versions = Versions(self.root, OLD)
        self.versions.point(CURRENT, OLD)
        self.versions.point(PREVIOUS, "0.0.9-cccccccc")
        self.versions.point(GUARD, OLD)
        write_update(self.root, update(data_dir=str(self.data)))
        self.starts, self.received = starts, received
        self.now_s = 0.0
        self.runs: list[tuple[str, float]] = []  # which version systemd started, and when
        self.kill_at = -1
        self.steps = 0

    def step(self) -> None:
        """Every access of the guard to the outside; one of them may be its last."""
        self.steps += 1
        if self.steps == self.kill_at:
            raise Killed

    def restart(self) -> None:
        self.step()
        name = self.versions.pointed(CURRENT)
        assert name is not None
        self.runs.append((name, self.now_s))
        if name == NEW and self.starts and self.received:
            write_told(self.data, told(Fate.RECEIVED))
        self.step()

    def state(self) -> dict[str, str]:
        self.step()
        name, since = self.runs[-1] if self.runs else (OLD, 0.0)
        ended = name == NEW and not self.starts
        return {
            "ActiveState": "activating" if ended else "active",
            "NRestarts": str(int((self.now_s - since) / 2)) if ended else "0",
            "InvocationID": str(len(self.runs)),
            "ActiveExitTimestampMonotonic": str(int(since * 1e6) + 1),
            "ActiveEnterTimestampMonotonic": str(int(since * 1e6) + 1_500_001),
        }

    def clock_s(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.step()
        self.now_s += seconds

    def guard(self) -> None:
        """As systemd does it: started again until it has ended well, as long as its link is there."""
        while self.versions.pointed(GUARD) is not None:
            try:
                Guard(self.versions, self, self.clock_s, self.sleep).run()
            except Killed:
                continue

    def record(self) -> Update:
        found = read_update(self.root)
        assert found is not None
        return found

    def links(self) -> tuple[str | None, str | None]:
        return self.versions.pointed(CURRENT), self.versions.pointed(PREVIOUS)

    def folders(self) -> set[str]:
        return {path.name for path in self.root.iterdir() if path.is_dir() and not path.is_symlink()}


@pytest.mark.parametrize("kill_at", range(-1, 16))
def test_a_good_version_stays_wherever_the_guard_is_killed(tmp_path: Path, kill_at: int) -> None:
    machine = Machine(tmp_path, starts=True)
    machine.kill_at = kill_at
    machine.guard()
    assert machine.record().phase is Phase.PROVED
    assert machine.record().away_s == 1.5
    assert machine.links() == (NEW, OLD)
    assert machine.folders() == {OLD, NEW}, "the one before the last goes"
    assert {name for name, _ in machine.runs} == {NEW}


@pytest.mark.parametrize("kill_at", range(-1, 20))
def test_a_bad_version_goes_wherever_the_guard_is_killed(tmp_path: Path, kill_at: int) -> None:
    machine = Machine(tmp_path, starts=False)
    machine.kill_at = kill_at
    machine.guard()
    assert machine.record().phase is Phase.UNDONE
    assert "ended 3 times" in machine.record().reason
    assert machine.links() == (OLD, "0.0.9-cccccccc")
    assert machine.folders() == {OLD, "0.0.9-cccccccc"}
    assert machine.runs[-1][0] == OLD


def test_one_that_is_ready_and_never_received_goes_after_its_time(tmp_path: Path) -> None:
    machine = Machine(tmp_path, starts=True, received=False)
    machine.guard()
    assert machine.record().phase is Phase.UNDONE
    assert 300 <= machine.now_s < 302
    assert machine.runs[-1][0] == OLD


def test_a_version_that_takes_the_gateway_down_with_it_goes(tmp_path: Path) -> None:
    machine = Machine(tmp_path, starts=True, received=False)
    for _ in range(MOST_GUARDS):
        machine.kill_at = machine.steps + 8
        with pytest.raises(Killed):
            Guard(machine.versions, machine, machine.clock_s, machine.sleep).run()
    machine.guard()
    assert "started anew 4 times" in machine.record().reason
    assert machine.links()[0] == OLD


@pytest.mark.parametrize("garbled", [b"", b"{", b'{"id": 1}'])
def test_a_record_that_cannot_be_read_takes_the_update_back(tmp_path: Path, garbled: bytes) -> None:
    machine = Machine(tmp_path, starts=True)
    machine.versions.point(CURRENT, NEW)
    (machine.root / "update.json").write_bytes(garbled)
    machine.guard()
    assert machine.links()[0] == OLD
    assert machine.record().reason == "the record of the update could not be read"


def test_a_disk_that_takes_no_record_keeps_no_bad_version_running(tmp_path: Path) -> None:
    machine = Machine(tmp_path, starts=False)
    (machine.root / ".update.json.new").mkdir()  # nothing can be written there, by root neither
    Guard(machine.versions, machine, machine.clock_s, machine.sleep).run()
    assert machine.links()[0] == OLD
    assert machine.runs[-1][0] == OLD
    assert machine.versions.pointed(GUARD) is None


def test_what_the_agents_folder_holds_is_not_trusted(tmp_path: Path) -> None:
    machine = Machine(tmp_path, starts=True, received=False)
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_bytes(b'{"id":"u1","kind":"updated","fate":"received"}')
    (machine.data / "update-told.json").symlink_to(elsewhere)
    machine.guard()
    assert machine.record().phase is Phase.UNDONE


@pytest.mark.parametrize("state", [{}, {"ActiveExitTimestampMonotonic": "0", "ActiveEnterTimestampMonotonic": "5"}])
def test_how_long_nobody_was_there_is_not_invented(state: dict[str, str]) -> None:
    assert away_s(state) is None
