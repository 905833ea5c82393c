"""Gateway and center lose their power while elders press: what the home was told is in the center's database.

    pendants --> agent on its own rig <--> broker <--> ingester on its own rig
                   +--> home: "received"    |
                                            +--> an ear that hears each event

An event that left the gateway, once, was committed there and comes to the center, whatever is cut. An event that the
home was told "received" of is in the center's database, once, in an alert.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hearthline import wire
from hearthline_sim.port import PtyPort
from integration.edge.gateway import Center, HomeEar, press_telegram, wait_for
from power.cloud_witness import CloudWitness
from power.rig import Rig
from power.told import Script
from servers import HOST, find_binary, mosquitto
from trials import LONG, SEED, publish, trials

CUTS = trials(3, 30)
GATEWAY = "gw-power"
PRESS_EVERY_S = 0.1
PATIENCE_S = 60.0


@dataclass
class Side:
    """Gateway or center: one process of the product over a disk of its own. `config` is TOML without data_dir."""

    rig: Rig
    folder: Path
    package: str
    config: str
    arguments: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def data(self) -> Path:
        return self.rig.mount / "data"

    def install(self) -> None:
        self.rig.power_on()
        self.rig.run(["mkdir", str(self.data)])
        self.rig.run(["sync"])
        (self.folder / "config.toml").write_text(f'data_dir = "{self.data}"\n{self.config}', encoding="utf-8")
        self._start()

    def cut_and_start_again(self) -> None:
        self.cut()
        self.rig.power_on()
        self._start()

    def cut(self) -> None:
        self.rig.cut()

    def _start(self) -> None:
        command = [sys.executable, "-m", self.package, "--config", str(self.folder / "config.toml"), *self.arguments]
        self._process = self.rig.start(command, self.folder / "log")
        self.rig.dies_with_the_power(self._kill)

    def _kill(self) -> None:
        assert self._process is not None
        ended = self._process.poll()
        self._process.kill()
        self._process.communicate(timeout=PATIENCE_S)
        log = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
        assert ended is None, f"{self.package} had ended with {ended}\n{log[-3000:]}"


class Elders:
    """Press one pendant after the other until told to stop; no pendant twice, so that a press is a device."""

    def __init__(self, port: PtyPort) -> None:
        self.presses = 0
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="elders")

    def __enter__(self) -> Elders:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(PRESS_EVERY_S):
            self.presses += 1
            self._port.send(press_telegram(sender=f"{self.presses:08X}"))


@contextmanager
def side(folder: Path, package: str, config: str, *arguments: str) -> Iterator[Side]:
    folder.mkdir()
    with Rig(folder / "rig") as rig:
        made = Side(rig, folder, package, config, arguments)
        made.install()
        yield made


@contextmanager
def pendants_port(path: Path) -> Iterator[PtyPort]:
    port = PtyPort(path, 10, 57600)
    try:
        yield port
    finally:
        port.close()


def stored_at_the_center(center: Side) -> dict[str, Any]:
    """What the center's database holds after one cut more."""
    center.cut()
    center.rig.power_on()
    with Script(center.rig, "cloud_writer.py", center.folder / "writer.log") as script:
        boot = script.boot(data=str(center.data), control=False, mode="last", boot=0, **CloudWitness().orders())
        found: dict[str, Any] = boot.wait_for("opened")[1]
        center.cut()
    return found


@pytest.mark.power
@pytest.mark.integration
@pytest.mark.usefixtures("root")
@pytest.mark.timeout(900 if LONG else 180)
def test_what_the_home_was_told_outlives_cuts_of_both_sides(tmp_path: Path) -> None:
    find_binary("mosquitto")
    began = time.monotonic()
    rng = random.Random(f"{SEED} whole chain")
    cuts: Counter[str] = Counter()
    with ExitStack() as stack:
        broker = stack.enter_context(mosquitto(tmp_path))
        port = stack.enter_context(pendants_port(tmp_path / "ttyENOCEAN"))
        at_broker = f'host = "{HOST}"\nport = {broker.port}\n'
        serial = f'[[serial]]\nname = "radio"\nport = "{port.path}"\ndriver = "enocean-esp3"\n'
        home = f'gateway = "{GATEWAY}"\nstatus_period_s = 1\n[clock]\ntrust = "synced"\n'
        uplinks = f"[uplink]\n{at_broker}[local_mqtt]\nport = {broker.port}\n"
        ear = HomeEar(broker.port, GATEWAY)
        stack.callback(ear.close)
        line = Center(broker.port, GATEWAY, acknowledge=False)
        stack.callback(line.close)
        sides = {
            "center": stack.enter_context(
                side(tmp_path / "center", "hearthline_cloud", f"[broker]\n{at_broker}", "--role", "ingest")
            ),
            "gateway": stack.enter_context(side(tmp_path / "gateway", "hearthline_edge", home + uplinks + serial)),
        }
        with Elders(port) as elders:
            for number in range(CUTS):
                heard = len(ear.signals("received")) + rng.randrange(1, 10)
                wait_for(lambda heard=heard: len(ear.signals("received")) >= heard, "received", PATIENCE_S)  # type: ignore[misc]
                time.sleep(rng.uniform(0.0, PRESS_EVERY_S))
                victim = sorted(sides)[number % len(sides)]
                sides[victim].cut_and_start_again()
                cuts[victim] += 1
        told = len(line.statuses)
        wait_for(lambda: is_empty(line.statuses[told + 1 :]), "an empty outbox", PATIENCE_S)
        found = stored_at_the_center(sides["center"])
    witness = CloudWitness()
    witness.look(found)
    alarms = Counter(event_id for _, _, event_id, kind, *_ in found["events"] if kind == "hearthline.alarm.v1")
    received = {signal["event"] for signal in ear.signals("received")}
    sent = {event.id for event in line.alarms}
    devices = Counter(event.subject for event in line.alarms)
    publish(
        "power cuts: gateway and center",
        cuts=dict(cuts),
        presses=elders.presses,
        sent=len(sent),
        received=len(received),
        lost=len((sent | received) - alarms.keys()),
        doubled=sum(count > 1 for count in (*alarms.values(), *devices.values())),
        seconds=round(time.monotonic() - began, 1),
    )
    assert witness.mistakes == []
    assert (sent | received) <= alarms.keys()
    assert set(alarms.values()) == {1}
    assert set(devices.values()) == {1}, "one press has become two events"


def is_empty(statuses: list[wire.Status]) -> bool:
    """Whether the gateway, in the last of its statuses, says that it holds no event."""
    return bool(statuses) and statuses[-1].event is not None and statuses[-1].event.depth == 0
