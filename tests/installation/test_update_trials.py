"""Every way in which an update goes wrong, and the power with it: in the end a good version runs, no press is lost."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hearthline_edge.service import GUARD_UNIT, UNIT
from installation.gateway import CANNOT_BE_IMPORTED, ENDS, FALLS, HANGS, IS_NOT_HEARD, Gateway, until

pytestmark = [pytest.mark.torture, pytest.mark.usefixtures("root"), pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("spoilt", "options", "reason"),
    [
        pytest.param(HANGS, (), "it was not ready after 60 s", id="hangs"),
        pytest.param(FALLS, (), "it ended 3 times", id="is received and falls over"),
        pytest.param(
            IS_NOT_HEARD, ("--minutes", "0.5"), "after 30 s the center had not received its first event", id="not heard"
        ),
    ],
)
def test_each_bad_version_goes_back(
    gateway: Gateway, request: pytest.FixtureRequest, spoilt: dict[str, str], options: tuple[str, ...], reason: str
) -> None:
    before = gateway.current()
    with gateway.pressed_meanwhile():
        name = request.node.callspec.id.replace(" ", "-")
        said = gateway.hearthline("edge", "update", gateway.release(name, spoilt), *options, code=1)
    assert f"{before} runs: {reason}" in said
    assert gateway.current() == before
    until(lambda: gateway.notes()[-1][0] == "update-undone", "the center was told")
    assert reason in gateway.notes()[-1][1]
    assert "was taken back" in gateway.hearthline("edge", "doctor", code=1)


def test_what_shows_beforehand_changes_nothing(gateway: Gateway) -> None:
    machine, before, agent = gateway.machine, gateway.current(), gateway.machine.property(UNIT, "MainPID")
    said = gateway.hearthline("edge", "update", gateway.release("unimportable", CANNOT_BE_IMPORTED), code=2)
    assert "nothing was switched: ModuleNotFoundError" in said
    place = gateway.release("unsigned", {})
    (gateway.folder / "unsigned/release.sig").unlink()
    assert "is not signed" in gateway.hearthline("edge", "update", place, code=1)
    place = gateway.release("cut-off", {})
    wheel = next((gateway.folder / "cut-off").glob("rich-*.whl"))
    content = wheel.read_bytes()
    wheel.unlink()
    wheel.write_bytes(content[:-1])
    assert f"{wheel.name} is not what release.json says" in gateway.hearthline("edge", "update", place, code=2)
    machine.run("systemctl", "stop", "center")
    said = gateway.hearthline("edge", "update", gateway.release("no-center", {}), code=1)
    assert "the center did not say `received` within 45 s" in said
    assert (gateway.current(), machine.property(UNIT, "MainPID")) == (before, agent)
    assert machine.property(GUARD_UNIT, "ActiveState") == "inactive"
    said = gateway.hearthline("edge", "update", "/media/no-center", "--offline")
    assert "no center has proved it" in said
    assert gateway.current() != before
    machine.run("systemctl", "start", "center")
    gateway.press_arrives_once()


@pytest.mark.parametrize(
    ("spoilt", "phase", "later_s"),
    [
        (None, "laying", 1.0),
        (None, "asking", 0.0),
        (None, "switching", 0.0),
        (None, "proving", 0.0),
        (None, "proving", 1.0),
        (None, "proving", 3.0),
        (None, "proved", 0.0),
        (ENDS, "switching", 0.0),
        (ENDS, "proving", 0.0),
        (ENDS, "proving", 1.0),
        (ENDS, "undoing", 0.0),
        (ENDS, "undone", 0.0),
    ],
)
def test_the_power_goes(gateway: Gateway, spoilt: dict[str, str] | None, phase: str, later_s: float) -> None:
    """And comes back: the update ends by itself, or had not begun and can be begun again."""
    machine, before, last = gateway.machine, gateway.current(), gateway.record()
    name = f"cut-{phase}-{later_s}-{spoilt is None}"
    place = gateway.release(name, spoilt)
    gateway.press_arrives_once()
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(gateway.begin, place)
        if phase != "laying":
            gateway.reaches(phase, last)
        time.sleep(later_s)
        machine.cut()
        running.result()
    machine.boot()
    guard = machine.root / "opt/hearthline/guard"
    until(lambda: not guard.is_symlink() and machine.property(UNIT, "ActiveState") == "active", "an end")
    record = gateway.record()
    if phase in ("laying", "asking"):
        assert gateway.current() == before
        gateway.hearthline("edge", "update", place)
    else:
        assert record["phase"] == ("proved" if spoilt is None else "undone")
        assert (gateway.current() == before) == (spoilt is not None)
    assert [path.name for path in (machine.root / "opt/hearthline").glob(".incoming")] == []
    gateway.press_arrives_once()
    assert len(gateway.versions()) == 2
