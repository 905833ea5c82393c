"""Memory, CPU and disk of the edge agent's process, with 50 devices at work (see footprint_home.py).

    python bench/edge_footprint.py [--seconds 300] [--press-every 20]

Starts its own mosquitto, as local broker and center, and a center that acknowledges. The agent is started twice: the
first start lays the compiled modules that an installed agent has. RSS counts shared pages whole, PSS in shares; CPU is
a share of one core. Commits are counted by SQLite itself (the change counter in the write-ahead log's index); each is
one fsync, a checkpoint brings three more. Bytes written are the pages that the agent dirtied for the disk, without the
file system's own journal; on a memory file system there are none: TMPDIR says where to work.
"""

from __future__ import annotations

import argparse
import struct
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

sys.path.extend(str(Path(__file__).resolve().parent.parent / folder) for folder in ("tests", ""))
from bench.footprint_home import GEN1_PROFILE, FootprintHome

from integration.edge.gateway import Center, Client, Gateway, wait_for
from servers import mosquitto

GOAL_MIB: Final = 60.0
MIB: Final = 1024 * 1024
EARLY_S: Final = 60.0
SETTLE_S: Final = 10.0
SESSIONS: Final = 3
FSYNCS_OF_A_CHECKPOINT: Final = 3


@dataclass(frozen=True, slots=True)
class Row:
    when: str
    rss_mib: float
    pss_mib: float
    threads: int
    cpu_percent: float | None


@dataclass(frozen=True, slots=True)
class Disk:
    """What the agent has asked of the disk so far."""

    at: float
    commits: int
    checkpoints: int
    written: int

    @classmethod
    def of(cls, pid: int, outbox: Path) -> Disk:
        """By the file format's description (walformat.html): iChange is the third word, a salt counts the restarts."""
        index = outbox.with_name(f"{outbox.name}-shm").read_bytes()[:48]
        (commits,) = struct.unpack_from("=I", index, 8)
        (restarts,) = struct.unpack_from(">I", index, 32)
        return cls(time.monotonic(), commits, restarts, psutil.Process(pid).io_counters().write_bytes)


@dataclass(frozen=True, slots=True)
class Wear:
    """Between two looks."""

    seconds: float
    commits: int
    checkpoints: int
    written: int

    @classmethod
    def between(cls, first: Disk, last: Disk) -> Wear:
        commits = (last.commits - first.commits) % 2**32
        restarts = (last.checkpoints - first.checkpoints) % 2**32
        return cls(last.at - first.at, commits, restarts, last.written - first.written)

    @property
    def fsyncs_an_hour(self) -> float:
        return (self.commits + FSYNCS_OF_A_CHECKPOINT * self.checkpoints) / self.seconds * 3600

    @property
    def mib_a_day(self) -> float:
        return self.written / MIB / self.seconds * 86400


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


@dataclass(frozen=True, slots=True)
class Committed:
    """What came of what the devices told. `lost`, `doubled`: presses; `unheard`: devices of which nothing came."""

    messages: int
    presses: int
    alarms: int
    lost: int
    doubled: int
    values: int
    stored: int
    events: int
    packs: int
    readings: int
    unheard: tuple[str, ...]


def measure(seconds: float, press_every_s: float) -> tuple[list[Row], Wear, Committed]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        broker = stack.enter_context(mosquitto(folder, extra="queue_qos0_messages true"))
        sender = Client(broker.port, ())
        stack.callback(sender.close)
        home = FootprintHome(
            folder, lambda message, qos: sender.publish(message.topic, message.payload, qos=qos, retain=message.retain)
        )
        stack.callback(home.close)
        assert (home.serial_devices, home.mqtt_devices) == (20, 30)
        gateway = Gateway(
            folder,
            "gw-bench",
            broker.port,
            top="gather_s = 5.0",  # what an installation has; the tests wait for less
            tables=f'[clock]\ntrust = "synced"\n[local_mqtt]\nport = {broker.port}\nprofiles = ["{GEN1_PROFILE}"]\n'
            f"{home.tables()}",
            log_level="info",
            environment={"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""},
        )
        center = Center(broker.port, gateway.name)
        stack.callback(center.close)
        stack.callback(gateway.end)
        gateway.start()
        gateway.stop()
        gateway.start()
        wait_for(lambda: gateway.told("local broker connected") == SESSIONS, "the local sessions")
        assert gateway.process is not None
        pid, outbox = gateway.process.pid, gateway.data / "outbox.db"
        watch = Watch(pid)
        watch.look("after start")
        home.start(press_every_s)
        early_s = min(EARLY_S, seconds / 2)
        time.sleep(early_s)
        watch.look(f"after {early_s:.0f} s")
        disk = Disk.of(pid, outbox)
        time.sleep(seconds - early_s)
        watch.look(f"after {seconds:.0f} s")
        wear = Wear.between(disk, Disk.of(pid, outbox))
        home.quiet()
        time.sleep(SETTLE_S)
        wait_for(lambda: gateway.outbox()["telemetry"]["depth"] == 0, "the outbox to empty")
        return watch.rows, wear, compare(home, center)


def compare(home: FootprintHome, center: Center) -> Committed:
    events = {event.id: event for event in center.events}.values()
    packs = {(pack.envelope.outbox, pack.envelope.seq): pack for pack in center.packs}.values()
    readings = [reading for pack in packs for reading, _ in pack.readings]
    alarms = Counter(event.subject for event in center.alarms)
    stored = Counter((reading.device, reading.quantity) for reading in readings)
    heard = {event.subject for event in events} | {reading.device for reading in readings}
    return Committed(
        messages=home.messages,
        presses=home.pressed.total(),
        alarms=alarms.total(),
        lost=(home.pressed - alarms).total(),
        doubled=(alarms - home.pressed).total(),
        values=home.told.total(),
        stored=sum(stored[key] for key in home.told),
        events=len(events),
        packs=len(packs),
        readings=len(readings),
        unheard=tuple(
            device
            for device in home.devices
            if not any(each == device or each.startswith(f"{device}:") for each in heard)
        ),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--press-every", type=float, default=20.0, help="seconds between two presses anywhere")
    arguments = parser.parse_args()
    rows, wear, committed = measure(arguments.seconds, arguments.press_every)
    print(f"{'':14} {'RSS MiB':>8} {'PSS MiB':>8} {'threads':>8} {'CPU %':>7}")
    for row in rows:
        cpu = "" if row.cpu_percent is None else f"{row.cpu_percent:.2f}"
        print(f"{row.when:14} {row.rss_mib:8.1f} {row.pss_mib:8.1f} {row.threads:8} {cpu:>7}")
    print(
        f"{committed.messages} MQTT messages; {committed.presses} presses, {committed.alarms} alarms: "
        f"{committed.lost} lost, {committed.doubled} doubled\n"
        f"{committed.values} values of meters and plugs told, {committed.stored} stored\n"
        f"committed: {committed.events} events, {committed.packs} packs of {committed.readings} readings\n"
        f"disk: {wear.commits} commits and {wear.checkpoints} checkpoints in {wear.seconds:.0f} s, "
        f"{wear.fsyncs_an_hour:.0f} fsyncs an hour, {wear.mib_a_day:.0f} MiB written a day"
    )
    if committed.unheard:
        print(f"nothing heard of: {', '.join(committed.unheard)}")
    within = rows[-1].rss_mib < GOAL_MIB
    print(f"goal: under {GOAL_MIB:.0f} MiB resident: {'met' if within else 'NOT met'}")
    return 0 if within and not committed.lost and not committed.doubled and not committed.unheard else 1


if __name__ == "__main__":
    sys.exit(main())
