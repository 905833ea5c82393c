"""The installers' whole way on a machine with a real systemd: enrolled, used, updated, revoked, enrolled anew.

The center is on the same machine, with mosquitto and TLS on its loopback. Everything is typed as installers type it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hearthline_edge.service import GUARD_UNIT, UNIT
from installation.gateway import FOR_THE_TEST, until
from installation.releases import make_release, new_key, pack_wheels
from installation.system import PYTHON, Booted, base_python, booted
from installers.home import GATEWAY
from installers.terminal import Terminal

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("root"), pytest.mark.timeout(400)]
LIBRARY = "LD_LIBRARY_PATH=/opt/python/lib"
OFFICE_UNIT = f"""[Unit]
Description=the community center
[Service]
Environment={LIBRARY}
Environment=LC_ALL=C.UTF-8 PYTHONPATH=/opt/sources/firmware-sim
ExecStart={PYTHON} /opt/sources/tests/installers/serve_office.py /var/lib/office /run/office.json
"""
PRESS = """
import json, sys, time
import paho.mqtt.publish
press = json.dumps({"action": sys.argv[1], "linkquality": 90, "last_seen": int(time.time() * 1000) + int(sys.argv[2])})
paho.mqtt.publish.single("zigbee2mqtt/0x00158d0001a2b3c4", press, qos=1, hostname="127.0.0.1")
"""

MASKS = (
    (r"[0-9A-Z]{4}(-[0-9A-Z]{4}){4}", "7K3M-Q2XA-9D5T-WB61-RZ0C"),
    (r"http://127\.0\.0\.1:\d+", "https://center.example.org"),
    (r"after \d+\.\d+ s", "after 0.03 s"),
    (r"\d{4}-\d\d-\d\dT\d{6}", "2026-11-22T155850"),
)
ALERTS = """
import json, sqlite3
database = sqlite3.connect("file:/var/lib/office/hearthline.db?mode=ro", uri=True)
print(json.dumps(database.execute("SELECT id, presses FROM alert WHERE kind = 'emergency' ORDER BY id").fetchall()))
"""


@dataclass
class Pi:
    """The machine. `center`: its commands, as they are typed in the office."""

    machine: Booted
    releases: Path
    wheels: Path
    key: Path
    presses_made: int = 0

    @property
    def office(self) -> dict[str, str]:
        path = self.machine.root / "run/office.json"
        return dict(json.loads(self.machine.run("cat", "/run/office.json").stdout)) if path else {}

    def center(self, *words: str) -> str:
        command = ("env", LIBRARY, str(PYTHON), "-m", "hearthline", *words, "--config", self.office["config"])
        return self.machine.run(*command).stdout

    def ask(self, *words: str) -> Any:
        return json.loads(self.center(*words, "--json"))

    def hearthline(self, *words: str) -> str:
        return self.machine.run("env", LIBRARY, "hearthline", *words).stdout

    def terminal(self) -> Terminal:
        program = ("nsenter", "-t", str(self.machine.leader), "-m", "-u", "-i", "-n", "-p")
        return Terminal((*program, "env", LIBRARY, "hearthline"))

    def enrolment(self, by: str, *more: str) -> tuple[str, str]:
        """What is typed on the machine, and how it is shown."""
        if by == "network":
            code = self.ask("gateway", "code", GATEWAY, *more)["code"]
            typed = f"hearthline gateway enrol {code}"
            return f"{typed} --center {self.office['url']}", f"sudo {typed}"
        stick = f"/run/stick{''.join(more)}"
        code = self.ask("gateway", "bundle", GATEWAY, "--out", stick, *more)["code"]
        return f"hearthline gateway enrol --bundle {stick} {code}", ""

    def release(self, name: str) -> str:
        make_release(self.releases / name, self.wheels, self.key, {"hearthline/config.py": f"# {name}"})
        return f"/media/{name}"

    def alerts(self) -> list[Any]:
        return list(json.loads(self.machine.run("env", LIBRARY, str(PYTHON), "-c", ALERTS).stdout))

    def press(self, action: str = "emergency") -> None:
        """Zigbee2MQTT's time says that each came two seconds after the last, however fast the test is."""
        self.presses_made += 1
        self.machine.run("env", LIBRARY, str(PYTHON), "-c", PRESS, action, str(2000 * self.presses_made))

    def presses(self) -> int:
        return sum(alert[1] for alert in self.alerts())


@pytest.fixture
def pi(tmp_path: Path) -> Iterator[Pi]:
    releases, wheels, key = tmp_path / "releases", tmp_path / "wheels", tmp_path / "key"
    releases.mkdir()
    pack_wheels(wheels)
    public = new_key(key)
    with booted(tmp_path, "basic.target", {releases: "/media"}) as machine:
        (machine.root / "etc/systemd/system/office.service").write_text(OFFICE_UNIT, encoding="utf-8")
        (machine.root / "etc/keys").write_text(f"{public} # for this test\n", encoding="utf-8")
        for unit in (UNIT, GUARD_UNIT):
            dropped = machine.root / f"etc/systemd/system/{unit}.d"
            dropped.mkdir(parents=True)
            (dropped / "soon.conf").write_text(FOR_THE_TEST, encoding="utf-8")
        machine.run("systemctl", "start", "office")
        made = Pi(machine, releases, wheels, key)
        script = f"{made.release('first')}/install"
        machine.run("env", LIBRARY, f"PYTHON={base_python()}", "sh", script, "--keys", "/etc/keys")
        until(lambda: machine.run("test", "-e", "/run/office.json", check=False).returncode == 0, "the office")
        yield made


def masked(screen: str) -> list[str]:
    """The lines of a screen, what differs from run to run replaced."""
    for pattern, text in MASKS:
        screen = re.sub(pattern, text, screen)
    return [line.rstrip() for line in screen.strip().splitlines()]


def recorded() -> list[str]:
    page = (Path(__file__).parents[2] / "docs/installers.md").read_text(encoding="utf-8")
    return page.split("<!-- recorded -->\n```console\n")[1].split("```")[0].splitlines()


@pytest.mark.parametrize("by", ["network", pytest.param("stick", marks=pytest.mark.long)])
def test_ten_minutes_of_a_new_installer_an_update_and_a_dead_card(pi: Pi, by: str) -> None:
    machine, terminal = pi.machine, pi.terminal()
    typed, shown = pi.enrolment(by)
    terminal.type(typed, shown=shown)
    assert machine.property(UNIT, "ActiveState") == "active"
    until(lambda: "uplink connected" in machine.log(UNIT), "the uplink")
    terminal.type(
        "hearthline device add",
        ("[1] > ", "2"),
        ("or type or scan its label", pi.press),
        ("Enter takes", ""),
        ("Name", "pendant"),
        ("A number, or any word: ", "7"),
        ("[1]: ", ""),
        ("Its other buttons", ""),
        ("once more to confirm", pi.press),
        ("Label: ", ""),
        ("Bind another one", "n"),
        shown="sudo hearthline device add",
    )
    rooms = "--rooms bedroom,bathroom"
    steps = [("press pendant", partial(pi.press, action)) for action in ("emergency", "single")]
    terminal.type(f"hearthline gateway commission {rooms}", *steps, shown=f"sudo hearthline gateway commission {rooms}")
    assert pi.alerts() == [], "nobody was paged"
    assert by == "stick" or masked(terminal.screen) == recorded(), (
        f"docs/installers.md has:\n{chr(10).join(masked(terminal.screen))}"
    )
    pi.press()
    until(lambda: pi.presses() == 1, "the press at the center")
    if by == "stick":
        until(lambda: "changes over" in machine.log(UNIT), "a key of its own in the place of the stick's")

    said = pi.hearthline("edge", "update", pi.release("second"))
    assert "the center has received from it" in said
    pi.press()
    until(lambda: pi.presses() == 2, "the press after the update")

    pi.center("cloud", "ca", "revoke", GATEWAY, "--reason", "stolen")
    until(lambda: "uplink lost" in machine.log(UNIT), "the broker to throw it out")
    machine.run("systemctl", "stop", UNIT)
    machine.run("rm", "-rf", "/etc/hearthline", "/var/lib/hearthline-edge")
    typed, _ = pi.enrolment(by, "--again")
    said = pi.hearthline(*typed.split()[1:])
    assert "with 1 devices" in said, "the center knows what was bound"
    pi.press()
    until(lambda: pi.presses() == 3, "the press after it was enrolled again")
