"""Memory and CPU of the edge agent's process, with one pendant, one cuff, one meter and MQTT plugs at work.

    python bench/edge_footprint.py --seconds 60 --rate 10

Starts its own mosquitto, as local broker and center, and a center that acknowledges. Serial devices speak at their real
pace: a press every 5 s, a blood-pressure result every 30 s, a meter that answers each poll at 2400 baud with 11 bits a
byte. RSS counts shared pages whole, PSS in shares; CPU is a share of one core.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from hearthline_sim.devices.dlt645_meter import Dlt645Meter, MeterState
from hearthline_sim.devices.raycome_cuff import RaycomeCuff, Vitals
from hearthline_sim.port import PtyPort
from integration.edge.gateway import Center, Client, Gateway, press_telegram, release_telegram, wait_for
from servers import mosquitto

GOAL_MIB = 60.0
METER = "000000000161"
PRESS_EVERY_S, VITAL_EVERY_S = 5.0, 30.0
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    when: str
    rss_mib: float
    pss_mib: float
    threads: int
    cpu_percent: float | None


class Watch:
    """One process, measured now and then."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.rows: list[Row] = []
        self._cpu_s = self._now_cpu_s()
        self._at = time.monotonic()

    def look(self, when: str) -> None:
        memory = self._process.memory_full_info()
        cpu_s, at = self._now_cpu_s(), time.monotonic()
        share = (cpu_s - self._cpu_s) / (at - self._at) * 100 if self.rows else None
        self._cpu_s, self._at = cpu_s, at
        self.rows.append(Row(when, memory.rss / MIB, memory.pss / MIB, self._process.num_threads(), share))

    def _now_cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)


class Devices:
    """The serial devices of one home, until stopped."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stop = threading.Event()
        self.radio = PtyPort(folder / "ttyRADIO", 10, 57600)
        self._cuff = RaycomeCuff(random.Random(1), error_rate=0.0)
        self.cuff = PtyPort(folder / "ttyCUFF", 10, 9600, self._on_cuff)
        meter = Dlt645Meter(METER, random.Random(2), lambda: MeterState(1234.5, 230.1, 1.234, 280.0))
        self._meter = meter
        self.meter = PtyPort(folder / "ttyMETER", 11, 2400, self._on_meter)
        for port in (self.radio, self.cuff, self.meter):
            stack.callback(port.close)
        stack.callback(self._stop.set)
        threading.Thread(target=self._live, daemon=True).start()

    def _on_meter(self, data: bytes) -> None:
        for reply in self._meter.receive(data):
            self._stop.wait(reply.burst.after_s)
            self.meter.send(reply.burst.data)

    def _on_cuff(self, data: bytes) -> None:
        for answer in self._cuff.receive(data)[0]:
            self._stop.wait(answer.after_s)
            self.cuff.send(answer.data)

    def _live(self) -> None:
        began, presses, vitals = time.monotonic(), 0, 0
        while not self._stop.wait(0.1):
            elapsed = time.monotonic() - began
            if elapsed >= presses * PRESS_EVERY_S:
                presses += 1
                self.radio.send(press_telegram(button=presses % 4))
                self.radio.send(release_telegram())
            if elapsed >= vitals * VITAL_EVERY_S:
                vitals += 1
                result = self._cuff.measure(datetime.now(UTC), Vitals(130 + vitals % 10, 80, 70)).end
                self.cuff.send(result.data)


def measure(seconds: float, rate: float) -> tuple[list[Row], dict[str, int]]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        broker = stack.enter_context(mosquitto(folder, extra="queue_qos0_messages true"))
        devices = Devices(folder, stack)
        gateway = Gateway(
            folder,
            "gw-bench",
            broker.port,
            broker.port,
            serial={"radio": (devices.radio.path, "enocean-esp3"), "cuff": (devices.cuff.path, "raycome-bp")},
            tables=(
                f'[[serial]]\nname = "meter"\nport = "{devices.meter.path}"\ndriver = "dlt645-2007"\nparity = "N"\n'
                f'options = {{ meters = ["{METER}"], interval_s = 5.0 }}'
            ),
            log_level="info",
        )
        center = Center(broker.port, gateway.name)
        stack.callback(center.close)
        plugs = Client(broker.port, ())
        stack.callback(plugs.close)
        gateway.start()
        stack.callback(gateway.end)
        wait_for(lambda: gateway.log_text().count("local broker connected") == 5, "the local sessions")
        assert gateway.process is not None
        watch = Watch(gateway.process.pid)
        watch.look("after start")
        sent = publish(plugs, rate, seconds)
        watch.look(f"after {seconds:.0f} s")
        wait_for(lambda: gateway.outbox()["telemetry"]["depth"] == 0, "the outbox to empty")
        told = {
            "mqtt messages": sent,
            "presses": len(center.alarms),
            "vital signs": len(center.of_type("hearthline.vital.v1")),
            "readings": sum(len(pack.readings) for pack in center.packs),
        }
        return watch.rows, told


def publish(plugs: Client, rate: float, seconds: float) -> int:
    """Plug reports at an even rate; how many."""
    began, sent = time.monotonic(), 0
    while (elapsed := time.monotonic() - began) < seconds:
        if elapsed * rate >= sent:
            body = {"id": 0, "apower": 40 + sent % 7, "voltage": 230.1, "current": 0.2, "aenergy": {"total": sent * 3}}
            plugs.publish(f"plug-{sent % 20}/status/switch:0", json.dumps(body), qos=0)
            sent += 1
        time.sleep(0.005)
    return sent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=10.0, help="MQTT messages a second")
    arguments = parser.parse_args()
    rows, told = measure(arguments.seconds, arguments.rate)
    print(f"{'':14} {'RSS MiB':>8} {'PSS MiB':>8} {'threads':>8} {'CPU %':>7}")
    for row in rows:
        cpu = "" if row.cpu_percent is None else f"{row.cpu_percent:.2f}"
        print(f"{row.when:14} {row.rss_mib:8.1f} {row.pss_mib:8.1f} {row.threads:8} {cpu:>7}")
    print(", ".join(f"{count} {name}" for name, count in told.items()))
    within = rows[-1].rss_mib < GOAL_MIB
    print(f"goal: under {GOAL_MIB:.0f} MiB resident: {'met' if within else 'NOT met'}")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
