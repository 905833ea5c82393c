"""Readings a second through the real path: publisher -> mosquitto -> the ingester's process -> store -> `down/ack`.

    python bench/ingest.py --seconds 8

Starts its own mosquitto and influxd on loopback. Counted are readings that the ingester has acknowledged, each in its
store; at most `--window` packs are not yet acknowledged. CPU is that of the ingester's process alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from hearthline import wire
from hearthline.model import Reading

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from cloud_processes import Role, until
from servers import HOST, influxd, mosquitto

GATEWAYS = 50
QUANTITIES = (("power", "W"), ("voltage", "V"), ("current", "A"), ("energy_import", "kWh"))
WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True)
class Result:
    store: str
    pack: int
    readings: int
    seconds: float
    cpu_s: float

    def __str__(self) -> str:
        rate = self.readings / self.seconds
        return (
            f"{self.store:<10}{self.pack:>6}{rate:>13,.0f}{rate / self.pack:>10,.0f}"
            f"{self.cpu_s * 100_000 / max(self.readings, 1):>14.2f}{100 * self.cpu_s / self.seconds:>8.0f}"
        )


class Publisher:
    """Many gateways' packs over one connection, at most `window` of them unacknowledged."""

    def __init__(self, port: int, pack: int, window: int) -> None:
        self.pack = pack
        self.acked = 0
        self._room = threading.Semaphore(window)
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bench", protocol=paho.MQTTv5)
        self._client.max_inflight_messages_set(10_000)
        self._client.on_message = self._arrived
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect(HOST, port)
        self._client.loop_start()
        self._client.subscribe(wire.topic("+", wire.DOWN_ACK), 0)
        assert self._ready.wait(10)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._room.release()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _run(self) -> None:
        seq = 0
        base_ns = time.time_ns()
        while True:
            seq += 1
            for gateway in range(GATEWAYS):
                self._room.acquire()
                if self._stopping.is_set():
                    return
                readings = tuple(
                    (Reading(f"meter:{place // 4}", *self._one(seq, place)), 0) for place in range(self.pack)
                )
                envelope = wire.Envelope(f"outbox-{gateway}", seq, "boot", True, seq)
                payload = wire.encode_pack(wire.Pack(base_ns + seq * 1_000_000, readings, envelope))
                self._client.publish(wire.topic(f"gw-{gateway}", wire.UP_TELEMETRY), payload, qos=1)

    def _one(self, seq: int, place: int) -> tuple[str, float, str]:
        quantity, unit = QUANTITIES[place % 4]
        return quantity, 230.0 + place + seq % 97 / 10, unit

    def _arrived(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        for low, high in wire.decode_ack(bytes(message.payload)).telemetry or ():
            self.acked += high - low + 1
            self._room.release(high - low + 1)


def cpu_s(pid: int) -> float:
    """User and system time of another process, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(store: str, pack: int, seconds: float, window: int) -> Result:
    with ExitStack() as stack:
        folders = {}
        for name in ("broker", "influx", "cloud"):
            folders[name] = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        broker = stack.enter_context(mosquitto(folders["broker"], extra="max_inflight_messages 1000"))
        extra = ""
        if store == "influxdb":
            server = stack.enter_context(influxd(folders["influx"]))
            extra = f'[store]\nkind = "influxdb"\nurl = "{server.url}"'
        role = Role(folders["cloud"], broker.port, extra=extra)
        role.start()
        stack.callback(role.kill)
        until(lambda: role.log.count("broker connected") == 2)
        publisher = Publisher(broker.port, pack, window)
        stack.callback(publisher.close)
        until(lambda: publisher.acked)
        time.sleep(WARM_UP_S)
        began, acked, cpu = time.perf_counter(), publisher.acked, cpu_s(role.pid)
        time.sleep(seconds)
        elapsed = time.perf_counter() - began
        return Result(store, pack, (publisher.acked - acked) * pack, elapsed, cpu_s(role.pid) - cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each of the four measurements lasts")
    parser.add_argument("--window", type=int, default=1000, help="packs sent and not yet acknowledged")
    arguments = parser.parse_args()
    print(f"{'store':<10}{'pack':>6}{'readings/s':>13}{'packs/s':>10}{'CPU s/100k':>14}{'CPU %':>8}")
    for store in ("embedded", "influxdb"):
        for pack in (1, 20):
            print(measure(store, pack, arguments.seconds, arguments.window), flush=True)


if __name__ == "__main__":
    main()
