"""A gateway that was installed from a release, with a real broker and ingester, for the tests of updates."""

from __future__ import annotations

import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hearthline_edge.release import read_release
from hearthline_edge.service import GUARD_UNIT, UNIT
from installation.releases import make_release, new_key, pack_wheels
from installation.system import PYTHON, Booted, base_python, booted

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
CENTER_UNIT = f"""[Unit]
After=mosquitto.service
[Service]
Environment=LD_LIBRARY_PATH=/opt/python/lib
StateDirectory=center
ExecStart={PYTHON} -m hearthline_cloud --config /etc/center.toml --role ingest
Restart=always
[Install]
WantedBy=multi-user.target
"""
# Another pendant each quarter of a second, until it is told to stop; prints how many.
PRESS = """
import os, sys, time
import paho.mqtt.client as paho
client = paho.Client(paho.CallbackAPIVersion.VERSION2)
client.connect("127.0.0.1", 1884)
client.loop_start()
number = 0
while not os.path.exists("/run/stop-pressing"):
    press = '{"action": "emergency", "linkquality": 90}'
    client.publish(f"zigbee2mqtt/{sys.argv[1]}-{number}", press, qos=1).wait_for_publish(10)
    number += 1
    time.sleep(0.25)
print(number)
"""
PRESS_ONCE = """
import sys
import paho.mqtt.publish
press = '{"action": "emergency", "linkquality": 90}'
paho.mqtt.publish.single(f"zigbee2mqtt/ONE-{sys.argv[1]}", press, qos=1, hostname="127.0.0.1", port=1884)
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
AGENT, UPLINK = "hearthline_edge/agent.py", "hearthline_edge/uplink.py"
ENDS = {AGENT: f"{AS_A_SERVICE}raise ImportError('a part is missing')"}
HANGS = {AGENT: f"{AS_A_SERVICE}import time; time.sleep(3600)"}
FALLS = {AGENT: f"{AS_A_SERVICE}import threading; threading.Timer(3, os._exit, (1,)).start()"}
IS_NOT_HEARD = {UPLINK: f"{AS_A_SERVICE}import hearthline.wire as w; w.UP_EVENT = 'up/nowhere'"}
CANNOT_BE_IMPORTED = {AGENT: "import a_part_that_is_missing"}


@dataclass
class Gateway:
    machine: Booted
    folder: Path
    wheels: Path
    key: Path
    pressed: int = 0

    def release(self, name: str, spoilt: dict[str, str] | None = None) -> str:
        """A new one each time: a remark in it makes it another. Its place, as the gateway sees it."""
        other = {"hearthline/config.py": f"# {name}"}
        make_release(self.folder / name, self.wheels, self.key, {**other, **(spoilt or {})})
        return f"/media/{name}"

    def lay(self, place: str, like: str) -> None:
        """A release's version, as it lies there when its update was cut off: a copy of another, to save pip's time."""
        release = read_release(self.folder / Path(place).name)
        root = self.machine.root / "opt/hearthline"
        shutil.copytree(root / like, root / release.name, symlinks=True)
        with zipfile.ZipFile(next(release.place.glob("hearthline-*.whl"))) as wheel:
            wheel.extractall(next((root / release.name / "lib").glob("python3.*")) / "site-packages")

    def hearthline(self, *words: str, code: int = 0) -> str:
        done = self.machine.run("env", "LD_LIBRARY_PATH=/opt/python/lib", "hearthline", *words, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    @contextmanager
    def pressed_meanwhile(self) -> Iterator[None]:
        """Every press arrives at the center once, those of the block too."""
        self.pressed += 1
        name = f"SOS-{self.pressed}"
        self.machine.run("rm", "-f", "/run/stop-pressing")
        with ThreadPoolExecutor(1) as threads:
            pressing = threads.submit(self.machine.run, str(PYTHON), "-c", PRESS, name)
            try:
                yield
            finally:
                self.machine.run("touch", "/run/stop-pressing")
                count = int(pressing.result().stdout)
        assert count > 10
        wanted = sorted(f"z2m:{name}-{number}" for number in range(count))

        def arrived() -> list[str]:
            return sorted(device for _, device, _ in self.stored() if device.startswith(f"z2m:{name}-"))

        until(lambda: set(arrived()) >= set(wanted), "every press at the center")
        assert arrived() == wanted

    def press_arrives_once(self) -> None:
        """A single one, now."""
        self.pressed += 1
        name = f"z2m:ONE-{self.pressed}"
        self.machine.run(str(PYTHON), "-c", PRESS_ONCE, str(self.pressed))
        until(lambda: [device for _, device, _ in self.stored()].count(name) == 1, f"{name} at the center")

    def stored(self) -> list[tuple[str, str, dict[str, str]]]:
        found = json.loads(self.machine.run(str(PYTHON), "-c", STORED).stdout)
        return [(kind, device, data) for kind, device, data in found]

    def notes(self) -> list[tuple[str, str]]:
        return [(data["kind"], data["detail"]) for kind, _, data in self.stored() if kind == "hearthline.device.v1"]

    def begin(self, place: str) -> None:
        """An update that may be cut off."""
        command = ("env", "LD_LIBRARY_PATH=/opt/python/lib", "hearthline", "edge", "update", place)
        self.machine.run(*command, check=False)

    def record(self) -> dict[str, str]:
        path = self.machine.root / "opt/hearthline/update.json"
        return dict(json.loads(path.read_bytes())) if path.exists() else {}

    def reaches(self, phase: str, last: dict[str, str]) -> None:
        """Until the update after `last` is so far; a phase may be shorter than a look at it."""
        phases = ("asking", "switching", "proving", "undoing", "undone", "proved")
        so_far = phases[phases.index(phase) :]
        end = time.monotonic() + 100
        while (record := self.record()).get("id") == last.get("id") or record["phase"] not in so_far:
            assert time.monotonic() < end, f"after 100 s not yet {phase}: {record}"
            time.sleep(0.002)

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


@contextmanager
def installed_gateway(folder: Path, target: str) -> Iterator[Gateway]:
    """`target`: what its systemd boots to; `multi-user.target` starts the services by itself."""
    releases = folder / "releases"
    releases.mkdir()
    wheels, key = folder / "wheels", folder / "key"
    pack_wheels(wheels)
    public = new_key(key)
    with booted(folder, target, {releases: "/media"}) as machine:
        (machine.root / "etc/hearthline").mkdir(exist_ok=True)
        (machine.root / "etc/hearthline/edge.toml").write_text(CONFIG, encoding="utf-8")
        (machine.root / "etc/center.toml").write_text(CENTER, encoding="utf-8")
        (machine.root / "etc/systemd/system/center.service").write_text(CENTER_UNIT, encoding="utf-8")
        (machine.root / "etc/keys").write_text(f"{public} # for this test\n", encoding="utf-8")
        for unit in (UNIT, GUARD_UNIT):
            dropped = machine.root / f"etc/systemd/system/{unit}.d"
            dropped.mkdir(parents=True)
            (dropped / "soon.conf").write_text(FOR_THE_TEST, encoding="utf-8")
        gateway = Gateway(machine, releases, wheels, key)
        script = f"{gateway.release('first')}/install"
        environment = ("env", "LD_LIBRARY_PATH=/opt/python/lib", f"PYTHON={base_python()}")
        machine.run(*environment, "sh", script, "--keys", "/etc/keys")
        machine.run("systemctl", "enable", "--now", "center")
        stored = (str(PYTHON), "-c", STORED)
        until(lambda: machine.run(*stored, check=False).returncode == 0, "the center's database")
        yield gateway
