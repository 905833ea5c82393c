"""Which certificates a gateway shows: whole whenever it is killed, and never without one that works."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from edge.renewed_home import GATEWAY, Home, Signer, make_home, make_signer, stamp
from hearthline import wire
from hearthline.errors import ConfigError
from hearthline_edge.doctor import _certificate
from hearthline_edge.requesting import Task, carry_out
from hearthline_edge.wallet import NEXT_KEY, Identity, Wallet, turn


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> tuple[Signer, Path]:
    folder = tmp_path_factory.mktemp("ca")
    return make_signer(folder), folder / "root" / "root.crt"


@pytest.fixture
def home(tmp_path: Path, center: tuple[Signer, Path]) -> Home:
    return make_home(tmp_path, *center)


def ask(home: Home, wallet: Wallet) -> wire.CertificateAnswer:
    task = Task(GATEWAY, str(wallet.folder / NEXT_KEY), wallet.chosen.files.key_file or "")
    return home.signer.answer(carry_out(task).request)


def renewal(home: Home) -> None:
    """All that a renewal does to the disk, from wherever an earlier one was cut off."""
    wallet = Wallet(home.config, home.data)
    if wallet.chosen.folder is None and wallet.untried() is None:
        wallet.adopt(ask(home, wallet))
    if (untried := wallet.untried()) is not None:
        wallet.prove(untried)
    wallet.settled()


def killed_at(home: Home, step: int) -> bool:
    """Whether a process that does it died by SIGKILL right before its `step`-th change to the disk."""
    process = os.fork()
    if process == 0:
        left = step

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_CREAT)
            if writes or event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"):
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

        sys.addaudithook(watch)
        try:
            renewal(home)
        except BaseException:  # noqa: BLE001 - a child of the test must not go on as one
            os._exit(1)
        os._exit(0)
    status = os.waitpid(process, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_killed_before_any_change_to_the_disk_it_shows_a_whole_pair_and_ends_renewed(
    tmp_path: Path, center: tuple[Signer, Path]
) -> None:
    """Before the key, while it is written, after it, before the answer is kept, in the middle of it, before the rename,
    after it, before it is proven, before the old one goes: whatever changes the disk is a point."""
    points = 0
    while True:
        folder = tmp_path / str(points)
        folder.mkdir()
        home = make_home(folder, *center)
        was_killed = killed_at(home, points)
        wallet = Wallet(home.config, home.data)
        assert wallet.context(wallet.chosen) is not None
        assert wallet.context(wallet.chosen, second=True) is not None
        keys = [each for each in home.data.rglob("*") if each.is_file()]
        assert {each.stat().st_mode & 0o777 for each in keys} <= {0o600}
        renewal(home)
        wallet = Wallet(home.config, home.data)
        (left,) = home.certificates.iterdir()
        assert wallet.chosen.folder == left
        assert {each.name for each in left.iterdir()} == {"uplink.key", "uplink.crt", "second.crt", "proven"}
        if not was_killed:
            break
        points += 1
    assert points >= 12


def test_a_renewal_counts_once_it_has_let_us_in_and_the_first_files_are_left_alone(home: Home) -> None:
    first = {each: each.read_bytes() for each in home.folder.iterdir() if each.is_file()}
    wallet = Wallet(home.config, home.data)
    installed = wallet.chosen
    made = wallet.adopt(ask(home, wallet))
    assert (wallet.chosen, wallet.untried()) == (installed, made)
    assert Wallet(home.config, home.data).chosen == installed
    wallet.prove(made)
    assert (wallet.chosen, wallet.untried()) == (made, None)
    assert Wallet(home.config, home.data).chosen == made
    wallet.settled()
    assert {each: each.read_bytes() for each in first} == first


def test_an_older_renewal_and_its_key_go_when_a_newer_one_is_in_use(home: Home) -> None:
    wallet = Wallet(home.config, home.data)
    for days in (62.0, 124.0):
        task = Task(GATEWAY, str(wallet.folder / NEXT_KEY), wallet.chosen.files.key_file or "")
        wallet.prove(wallet.adopt(home.signer.answer(carry_out(task).request, days)))
    assert len(list(home.certificates.iterdir())) == 2
    wallet.settled()
    (left,) = home.certificates.iterdir()
    assert wallet.chosen.folder == left


def test_newer_files_of_the_installer_count_before_a_renewal(home: Home) -> None:
    """After a revocation somebody brings new ones: the renewal's key is the thief's."""
    renewal(home)
    home.install(days=70)
    wallet = Wallet(home.config, home.data)
    assert wallet.chosen.folder is None
    wallet.settled()
    assert list(home.certificates.iterdir()) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: wire.CertificateAnswer(key=answer.key, first="no certificate", second=answer.second),
        lambda answer: wire.CertificateAnswer(key=answer.key, first=answer.first, second="no certificate"),
        lambda answer: wire.CertificateAnswer(key=answer.key),
        lambda answer: wire.CertificateAnswer(key=answer.key, first=answer.first[:400], second=answer.second),
    ],
)
def test_an_answer_that_does_not_fit_is_not_kept(home: Home, spoil: Any) -> None:
    wallet = Wallet(home.config, home.data)
    answer = ask(home, wallet)
    with pytest.raises(ConfigError):
        wallet.adopt(spoil(answer))
    assert (wallet.untried(), [each.name for each in home.certificates.iterdir()]) == (None, [NEXT_KEY])
    assert wallet.adopt(answer) == wallet.untried()


def test_certificates_of_another_key_are_not_kept(home: Home, tmp_path: Path) -> None:
    wallet = Wallet(home.config, home.data)
    answer = ask(home, wallet)
    other = home.signer.answer(carry_out(Task(GATEWAY, str(tmp_path / "x"), str(home.folder / "uplink.key"))).request)
    with pytest.raises(ConfigError):
        wallet.adopt(wire.CertificateAnswer(key=answer.key, first=other.first, second=other.second))
    assert wallet.untried() is None


def test_a_renewal_that_a_disk_has_spoilt_is_passed_over(home: Home) -> None:
    renewal(home)
    (place,) = home.certificates.iterdir()
    (place / "uplink.key").write_bytes(b"")
    assert Wallet(home.config, home.data).chosen.folder is None
    (place / "uplink.crt").unlink()
    assert Wallet(home.config, home.data).chosen.folder is None


def test_without_the_first_files_the_renewal_is_enough_and_without_both_it_says_what_is_wrong(home: Home) -> None:
    renewal(home)
    (home.folder / "uplink.key").unlink()
    assert Wallet(home.config, home.data).chosen.folder is not None
    for each in home.certificates.rglob("*.key"):
        each.unlink()
    with pytest.raises(ConfigError, match="key_file cannot be used"):
        Wallet(home.config, home.data)


def test_who_only_looks_changes_nothing_and_sees_what_the_agent_uses(home: Home) -> None:
    assert Wallet(home.config, home.data, looks_only=True).chosen.folder is None
    assert not home.certificates.exists()
    renewal(home)
    (home.certificates / "new-1").mkdir()
    (home.certificates / NEXT_KEY).write_bytes(b"another agent is at work")
    before = sorted(home.certificates.rglob("*"))
    assert Wallet(home.config, home.data, looks_only=True).chosen.folder is not None
    assert sorted(home.certificates.rglob("*")) == before


def test_doctor_tells_of_the_certificate_in_use(home: Home) -> None:
    def told(days: float, synced: bool = True) -> list[tuple[bool, str]]:
        wallet = Wallet(home.config, home.data, looks_only=True)
        return [(check.ok, check.sentence) for check in _certificate(wallet, stamp(days, synced))]

    ((ok, sentence),) = told(80)
    assert (ok, "ask the center for new files" in sentence) == (False, True)
    assert [ok for ok, _ in told(80, synced=False)] == [True]
    renewal(home)
    ((ok, sentence),) = told(80)
    assert (ok, "renews itself" in sentence) == (True, True)


def test_a_folder_that_cannot_be_made_stops_nothing(home: Home) -> None:
    home.certificates.write_bytes(b"a file where the folder belongs")
    wallet = Wallet(home.config, home.data)
    assert wallet.chosen.folder is None


def test_the_one_that_worked_is_tried_three_times_and_then_every_other_time() -> None:
    assert [turn(failures, 2) for failures in range(9)] == [0, 0, 0, 1, 0, 2, 0, 1, 0]
    assert [turn(failures, 0) for failures in range(6)] == [0] * 6


def test_one_that_has_ended_is_not_tried_by_a_clock_that_is_right(home: Home) -> None:
    renewal(home)
    wallet = Wallet(home.config, home.data)

    def shown(days: float, synced: bool) -> set[Identity]:
        return {wallet.shown(failures, stamp(days, synced)) for failures in range(6)}

    assert len(shown(80, True)) == 2
    assert shown(100, True) == {wallet.chosen}
    assert len(shown(100, False)) == 2
