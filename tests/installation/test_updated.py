"""Updates of the agent under a real systemd, with a real broker and ingester: taken, and gone back from.

One gateway lives through all of it: installed from a release, then one release after the other. Every press that is
made meanwhile must be in the center's database once in the end.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hearthline_edge.service import GUARD_UNIT, UNIT
from installation.releases import make_release, new_key, pack_wheels
from installation.system import PYTHON, Booted, base_python, booted

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("root"), pytest.mark.timeout(600)]
LONG = os.environ.get("HEARTHLINE_TORTURE") == "long"

CONFIG = """gateway = "gw-1"
data_dir = "/var/lib/hearthline-edge"
[uplink]
host = "127.0.0.1"
port = 1884
[local_mqtt]
port = 1884
"""
CENTER = """data_dir = "/var/lib/center"
[broker]
host = "127.0.0.1"
port = 1884
[self_test]
enabled = false
"""
START_CENTER = f"""
mkdir -p /var/lib/center
systemd-run --quiet --unit=center --property=Environment=LD_LIBRARY_PATH=/opt/python/lib \
    {PYTHON} -m hearthline_cloud --config /etc/center.toml --role ingest
"""
# Another pendant each quarter of a second, until it is told to stop; prints how many.
PRESS = """
import os, time
import paho.mqtt.client as paho
client = paho.Client(paho.CallbackAPIVersion.VERSION2)
client.connect("127.0.0.1", 1884)
client.loop_start()
number = 0
while not os.path.exists("/run/stop-pressing"):
    press = '{"action": "emergency", "linkquality": 90}'
    client.publish(f"zigbee2mqtt/SOS-{number}", press, qos=1).wait_for_publish(10)
    number += 1
    time.sleep(0.25)
print(number)
"""
STORED = """
import json, sqlite3
rows = sqlite3.connect("file:/var/lib/center/hearthline.db?mode=ro", uri=True).execute(
    "SELECT type, device_id, data FROM event ORDER BY id").fetchall()
print(json.dumps([[kind, device, json.loads(data)] for kind, device, data in rows]))
"""
# An installation waits longer; and an interpreter that was moved finds its own library only if it is told.
FOR_THE_TEST = """[Service]
RestartSec=200ms
Environment=LD_LIBRARY_PATH=/opt/python/lib
"""
# Each is fine when it is asked beforehand (`--check`), and fails once it is the service.
AS_A_SERVICE = "import os\nif 'NOTIFY_SOCKET' in os.environ:\n    "
ENDS = {"hearthline_edge/agent.py": f"{AS_A_SERVICE}raise ImportError('a part is missing')"}


@dataclass
class Gateway:
    machine: Booted
    folder: Path
    wheels: Path
    key: Path

    def release(self, name: str, spoilt: dict[str, str] | None = None) -> str:
        """A new one each time: a remark in it makes it another. Its place, as the gateway sees it."""
        other = {"hearthline/config.py": f"# {name}"}
        make_release(self.folder / name, self.wheels, self.key, {**other, **(spoilt or {})})
        return f"/media/{name}"

    def hearthline(self, *words: str, code: int = 0) -> str:
        done = self.machine.run("env", "LD_LIBRARY_PATH=/opt/python/lib", "hearthline", *words, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    @contextmanager
    def pressed_meanwhile(self) -> Iterator[None]:
        """Every press arrives at the center once, those of the block too."""
        with ThreadPoolExecutor(1) as threads:
            pressing = threads.submit(self.machine.run, str(PYTHON), "-c", PRESS)
            try:
                yield
            finally:
                self.machine.run("touch", "/run/stop-pressing")
                count = int(pressing.result().stdout)
        assert count > 10
        wanted = sorted(f"z2m:SOS-{number}" for number in range(count))

        def arrived() -> list[str]:
            return sorted(device for kind, device, _ in self.stored() if kind == "hearthline.alarm.v1")

        until(lambda: set(arrived()) >= set(wanted), "every press at the center")
        assert arrived() == wanted

    def stored(self) -> list[tuple[str, str, dict[str, str]]]:
        found = json.loads(self.machine.run(str(PYTHON), "-c", STORED).stdout)
        return [(kind, device, data) for kind, device, data in found]

    def notes(self) -> list[tuple[str, str]]:
        return [(data["kind"], data["detail"]) for kind, _, data in self.stored() if kind == "hearthline.device.v1"]

    def current(self) -> str:
        return os.readlink(self.machine.root / "opt/hearthline/current")

    def versions(self) -> list[str]:
        root = self.machine.root / "opt/hearthline"
        return sorted(path.name for path in root.iterdir() if path.is_dir() and not path.is_symlink())


def until(holds: Callable[[], object], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"after {seconds:.0f} s not yet: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("updated")
    releases = folder / "releases"
    releases.mkdir()
    wheels, key = folder / "wheels", folder / "key"
    pack_wheels(wheels)
    public = new_key(key)
    with booted(folder, "multi-user.target" if LONG else "basic.target", {releases: "/media"}) as machine:
        (machine.root / "etc/hearthline").mkdir(exist_ok=True)
        (machine.root / "etc/hearthline/edge.toml").write_text(CONFIG, encoding="utf-8")
        (machine.root / "etc/center.toml").write_text(CENTER, encoding="utf-8")
        (machine.root / "etc/keys").write_text(f"{public} # for this test\n", encoding="utf-8")
        for unit in (UNIT, GUARD_UNIT):
            dropped = machine.root / f"etc/systemd/system/{unit}.d"
            dropped.mkdir(parents=True)
            (dropped / "soon.conf").write_text(FOR_THE_TEST, encoding="utf-8")
        gateway = Gateway(machine, releases, wheels, key)
        script = f"{gateway.release('first')}/install"
        environment = ("env", "LD_LIBRARY_PATH=/opt/python/lib", f"PYTHON={base_python()}")
        machine.run(*environment, "sh", script, "--keys", "/etc/keys")
        machine.run("sh", "-c", START_CENTER)
        yield gateway


def test_a_good_version_stays_and_a_bad_one_goes_back(gateway: Gateway) -> None:
    machine, first = gateway.machine, gateway.current()
    assert machine.property(UNIT, "ActiveState") == "active"
    until(lambda: (machine.root / "var/lib/center/hearthline.db").exists(), "the center's database")
    with gateway.pressed_meanwhile():
        said = gateway.hearthline("edge", "update", gateway.release("second"))
        second = gateway.current()
        assert second != first
        assert f"{second} runs, and the center has received from it" in said
        said = gateway.hearthline("edge", "update", gateway.release("ends", ENDS), code=1)
        assert f"{second} runs: it ended 3 times" in said
    assert gateway.current() == second
    assert machine.property(UNIT, "ActiveState") == "active"
    assert gateway.versions() == sorted([first, second]), "the bad one is gone, the one before is kept"
    until(lambda: gateway.notes()[-1:] and gateway.notes()[-1][0] == "update-undone", "the center was told")
    assert [kind for kind, _ in gateway.notes()] == ["update-begins", "updated", "update-begins", "update-undone"]
