"""The agent as a service of a real systemd: installed, used, killed, frozen, removed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.enrolment_kits import Center
from hearthline.enrolment import SCRYPT_N
from hearthline_edge.service import BROKER_FILE, SERVICE_FILE, UNIT, USER
from installation.system import PYTHON, Booted, booted

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("root")]

CONFIG = """gateway = "gw-1"
data_dir = "/var/lib/hearthline-edge"
[uplink]
host = "127.0.0.1"
port = 18830
[local_mqtt]
port = 1884
"""
PRESS = """
import paho.mqtt.client as paho
client = paho.Client(paho.CallbackAPIVersion.VERSION2)
client.connect("127.0.0.1", 1884)
client.loop_start()
client.publish("zigbee2mqtt/SOS", '{"action": "emergency", "linkquality": 90}', qos=1).wait_for_publish(10)
"""
# Runs as the service does, before it: what the agent needs it can do, and nothing else.
SHUT_IN = """
import ctypes, os, socket
assert ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(256)) != -1, "whether the clock is synchronised"
assert open("/proc/sys/kernel/random/boot_id").read()
open("/var/lib/hearthline-edge/tried", "w").close()
os.unlink("/var/lib/hearthline-edge/tried")
def refused(attempt):
    try:
        attempt()
    except OSError:
        return True
assert refused(lambda: open("/etc/tried", "w"))
assert refused(lambda: open("/var/lib/tried", "w"))
assert refused(lambda: os.listdir("/root"))
assert refused(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
assert refused(lambda: open("/dev/mem", "rb"))
assert os.getuid() != 0
"""
# An installation waits longer; and an interpreter that was moved finds its own library only if it is told.
FOR_THE_TEST = """[Service]
WatchdogSec=3
Environment=LD_LIBRARY_PATH=/opt/python/lib
ExecStartPre=/opt/environment/bin/python /opt/environment/shut_in.py
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    with booted(tmp_path_factory.mktemp("machine")) as machine:
        folder = machine.root / "etc/hearthline"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "edge.toml").write_text(CONFIG, encoding="utf-8")
        dropped = machine.root / f"etc/systemd/system/{UNIT}.d"
        dropped.mkdir(parents=True)
        (dropped / "soon.conf").write_text(FOR_THE_TEST, encoding="utf-8")
        (machine.root / "opt/environment/shut_in.py").write_text(SHUT_IN, encoding="utf-8")
        yield machine


def hearthline(machine: Booted, *words: str, code: int = 0) -> str:
    script = "import sys; from hearthline.cli import main; sys.exit(main())"
    done = machine.run(str(PYTHON), "-c", script, *words, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def waiting(machine: Booted) -> int:
    return int(json.loads(hearthline(machine, "edge", "outbox", "--json"))["event"]["depth"])


def until(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, f"after 60 s not yet: {what}"
        time.sleep(0.1)


def pid(machine: Booted) -> str:
    return machine.property(UNIT, "MainPID")


def test_the_whole_life_of_an_installation(machine: Booted) -> None:
    said = hearthline(machine, "edge", "install", "--python", str(PYTHON))
    assert f"written   {SERVICE_FILE}" in said
    assert machine.property(UNIT, "ActiveState") == "active", "Type=notify: it has said that it is ready"
    assert machine.property(UNIT, "UnitFileState") == "enabled"
    owner = machine.run("stat", "--format=%U %a", "/var/lib/hearthline-edge", "/var/lib/hearthline-edge/outbox.db")
    assert owner.stdout.split() == [USER, "700", USER, "600"]
    until(lambda: "local broker connected" in machine.log(UNIT), "the agent at the broker of the home")

    before = waiting(machine)
    machine.run(str(PYTHON), "-c", PRESS)
    until(lambda: waiting(machine) == before + 1, "the press in the outbox")
    first = pid(machine)
    machine.run("kill", "-KILL", first)
    until(lambda: pid(machine) not in ("0", first) and machine.property(UNIT, "ActiveState") == "active", "a new agent")
    assert waiting(machine) == before + 1

    second = pid(machine)
    machine.run("kill", "-STOP", second)
    until(lambda: pid(machine) not in ("0", second), "the watchdog's new agent")
    until(lambda: machine.property(UNIT, "ActiveState") == "active", "the watchdog's new agent ready")
    assert machine.property(UNIT, "NRestarts") == "2"

    third = pid(machine)
    said = hearthline(machine, "edge", "install", "--python", str(PYTHON))
    assert "written" not in said
    until(lambda: machine.property(UNIT, "ActiveState") == "active" and pid(machine) != third, "started anew")

    said = hearthline(machine, "edge", "remove", "--data", code=1)
    assert f"{waiting(machine)} events wait for the center" in said
    assert machine.property(UNIT, "ActiveState") == "active"
    hearthline(machine, "edge", "remove")
    assert machine.property(UNIT, "LoadState") == "not-found" or machine.property(UNIT, "ActiveState") == "inactive"
    assert not (machine.root / str(SERVICE_FILE)[1:]).exists()
    assert not (machine.root / str(BROKER_FILE)[1:]).exists()
    assert waiting(machine) == before + 1, "the outbox stays"
    hearthline(machine, "edge", "remove", "--data", "--lose-events")
    assert machine.run("test", "-e", "/var/lib/hearthline-edge", check=False).returncode == 1


def test_a_configuration_that_is_wrong_changes_nothing(machine: Booted, tmp_path: Path) -> None:
    wrong = machine.root / "etc/hearthline/wrong.toml"
    wrong.write_text(CONFIG.replace("/var/lib/", "var/lib/"), encoding="utf-8")
    said = hearthline(machine, "edge", "install", "--config", "/etc/hearthline/wrong.toml", code=2)
    assert "data_dir = 'var/lib/hearthline-edge': a service needs the whole path" in said
    assert not (machine.root / str(SERVICE_FILE)[1:]).exists()


def test_a_stick_makes_the_machine_a_gateway_and_starts_it(machine: Booted) -> None:
    """The key is the service's alone, what the agent writes its own, and what it goes by root's."""
    before = machine.log(UNIT).count("local broker connected")
    center = Center(cost=SCRYPT_N)
    center.bundle(machine.root / "stick", until_ns=2**62)
    script = "from hearthline_edge.commands_gateway import app; app()"
    enrol = (str(PYTHON), "-c", script, "enrol", center.code.text, "--bundle", "/stick")
    said = machine.run("env", "LANG=C.UTF-8", *enrol).stdout
    assert "This machine is gw-1 now." in said
    assert "Ports and other settings of this machine were taken over" in said
    assert machine.property(UNIT, "ActiveState") == "active"
    until(lambda: machine.log(UNIT).count("local broker connected") > before, "the agent with the ports of before")
    names = ("", "/edge.toml", "/uplink.key", "/agent", "/agent/devices.toml")
    told = machine.run("stat", "--format=%U %a", *(f"/etc/hearthline{name}" for name in names)).stdout
    assert told.splitlines() == ["root 755", "root 640", f"{USER} 600", f"{USER} 755", f"{USER} 600"]
    assert machine.run(*enrol).stdout.startswith("This machine is gw-1 by this code already.")
    assert machine.property(UNIT, "ActiveState") == "active"
    assert machine.property(UNIT, "NRestarts") == "0"
    hearthline(machine, "edge", "remove", "--data", "--lose-events")
