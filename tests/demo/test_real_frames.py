"""Recorded frames through the whole product: pseudo-terminal or broker, agent, broker, ingester, database and store.

Each file's `*.expected.json` says what must come out; a missing or an extra press fails, and so does a missing value.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from hearthline.clock import rfc3339
from hearthline_sim.demo.stack import Plan, Stack
from hearthline_sim.port import PtyPort

pytestmark = [pytest.mark.captures, pytest.mark.demo, pytest.mark.timeout(180)]

# DL/T 645-2007 data identifiers (the first four digits) -> quantity, and the scale from the file's unit to ours
DLT645 = {
    "0000": ("energy_import", 1.0),
    "0001": ("energy_import", 1.0),
    "0002": ("energy_export", 1.0),
    "0201": ("voltage", 1.0),
    "0202": ("current", 1.0),
    "0203": ("power", 1000.0),
    "0204": ("reactive_power", 1000.0),
    "0205": ("apparent_power", 1000.0),
    "0206": ("power_factor", 1.0),
    "0280": ("temperature", 1.0),
}


class Product:
    """The running product without a simulated home: frames come from files."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        dev = stack.folder / "dev"
        self.ports = {name: PtyPort(dev / name, 10, 115_200) for name in ("radio", "cuff", "meter")}
        self.mqtt = paho.Client(CallbackAPIVersion.VERSION2, client_id="replay", protocol=paho.MQTTv311)

    def start(self) -> None:
        self.stack.start()
        self.mqtt.connect("127.0.0.1", self.stack.home_broker.port_v311)
        self.mqtt.loop_start()
        self.stack.wait_for_gateway()
        wait_until(lambda: all(port.listening for port in self.ports.values()))

    def stop(self) -> None:
        self.mqtt.disconnect()
        self.mqtt.loop_stop()
        for port in self.ports.values():
            port.close()
        self.stack.stop()

    def send(self, port: str, file: Path) -> None:
        for line in file.read_text("ascii").split():
            self.ports[port].send(bytes.fromhex(line))

    def publish(self, file: Path, topic_when_null: str = "") -> None:
        for line in file.read_text("utf-8").splitlines():
            message = json.loads(line)
            self.mqtt.publish(message["topic"] or topic_when_null, message["payload"], qos=1).wait_for_publish(5)

    def presses(self, family: str) -> Counter[str]:
        devices = [event["device"] for event in self.stack.operator.alarm_events()]
        return Counter(device for device in devices if device.startswith(family))

    def values(self, quantity: str, device: str) -> list[float]:
        since = {"from": rfc3339(time.time_ns() - 3600 * 10**9)}
        samples = self.stack.operator.get("/api/v1/readings", quantity=quantity, limit=10_000, **since)["samples"]
        return [sample["value"] for sample in samples if sample["device"].startswith(device)]

    def has_value(self, quantity: str, device: str, value: float) -> bool:
        return value in self.values(quantity, device)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("product")
    (folder / "dev").mkdir()
    running = Product(Stack(folder, Plan(meter_interval_s=3600.0)))
    try:
        running.start()
        yield running
    finally:
        running.stop()


def wait_until(test: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not test():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


def files(folder: Path, pattern: str) -> list[tuple[Path, dict[str, Any]]]:
    found = [
        (file, json.loads(file.with_name(file.name + ".expected.json").read_text("utf-8"))["expected"])
        for file in sorted(folder.glob(pattern))
    ]
    assert found, f"no recorded frames in {folder}"
    return found


def frames_of(expected: dict[str, Any]) -> list[dict[str, Any]]:
    """The frames as the file describes them: a stream of several telegrams lists them in `each`."""
    return list(expected.get("each") or expected["frames"])


def test_enocean_presses(product: Product, captures_dir: Path) -> None:
    wanted: Counter[str] = Counter()
    for file, expected in files(captures_dir / "enocean-esp3", "*.hex"):
        product.send("radio", file)
        wanted += Counter(
            f"enocean:{frame['sender']}" for frame in frames_of(expected) if frame.get("energy_bow") == "pressed"
        )
    assert wanted.total() >= 5
    wait_until(lambda: product.presses("enocean:").total() >= wanted.total())
    assert product.presses("enocean:") == wanted


def test_raycome_results(product: Product, captures_dir: Path) -> None:
    wanted = []
    for file, expected in files(captures_dir / "raycome-bp", "*.hex"):
        product.send("cuff", file)
        wanted += [
            (frame["systolic"], frame["diastolic"], frame["pulse"])
            for frame in expected["frames"]
            if "systolic" in frame
        ]
    assert len(wanted) == 2

    def stored() -> list[tuple[float, ...]]:
        columns = [product.values(quantity, "raycome:cuff") for quantity in ("systolic", "diastolic", "heart_rate")]
        return sorted(zip(*columns, strict=True)) if len({len(column) for column in columns}) == 1 else []

    wait_until(lambda: len(stored()) >= len(wanted))
    assert stored() == sorted(wanted)
    events = list(product.stack.operator.events("hearthline.vital.v1"))
    assert [event["data"]["device_time"][:10] for event in events] == ["2018-09-24", "2014-01-01"]


def test_dlt645_values(product: Product, captures_dir: Path) -> None:
    wanted: Counter[tuple[str, str, float]] = Counter()
    for file, expected in files(captures_dir / "dlt645-2007", "*.hex"):
        product.send("meter", file)
        for frame in expected["frames"]:
            if frame.get("control") == "91" and "value" in frame:
                quantity, scale = DLT645[frame["di"][:4]]
                wanted[f"dlt645:{frame['address']}", quantity, round(frame["value"] * scale, 6)] += 1
    assert wanted.total() >= 10

    def missing() -> Counter[tuple[str, str, float]]:
        stored = Counter(
            (device, quantity, round(value, 6))
            for device, quantity in {(device, quantity) for device, quantity, _ in wanted}
            for value in product.values(quantity, device)
        )
        return wanted - stored

    wait_until(lambda: not missing())


def test_zigbee2mqtt_sos_presses(product: Product, captures_dir: Path) -> None:
    wanted: Counter[str] = Counter()
    for file, expected in files(captures_dir / "zigbee2mqtt-sos", "*.jsonl"):
        product.publish(file)
        topic = json.loads(file.read_text("utf-8").splitlines()[0])["topic"]
        wanted["z2m:" + topic.removeprefix("zigbee2mqtt/")] += expected["presses"]
    wait_until(lambda: product.presses("z2m:").total() >= wanted.total())
    assert product.presses("z2m:") == wanted


def test_shelly_values(product: Product, captures_dir: Path) -> None:
    names = {"energy_kwh": "energy_import", "power_w": "power", "voltage_v": "voltage"}
    for file, expected in files(captures_dir / "shelly-gen2", "*.jsonl"):
        product.publish(file, "shellyplug-replay/status/switch:0")
        device = "shelly:shellyplug-replay" if "off" in file.name else "shelly:shellyplugus-083af2018c80"
        for key, quantity in names.items():
            if key in expected:
                wait_until(partial(product.has_value, quantity, device, expected[key]))
