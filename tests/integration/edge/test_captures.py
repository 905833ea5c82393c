"""Real frames through the running agent: every recording arrives at the center with the values it is known to hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hearthline.model import SIGN_OF_LIFE
from hearthline_sim.port import PtyPort
from integration.edge.conftest import MakeGateway
from integration.edge.gateway import Center, Client, steady, wait_for
from servers import Server

pytestmark = [pytest.mark.integration, pytest.mark.captures]

BAUD = {"enocean-esp3": 57600, "raycome-bp": 57600, "dlt645-2007": 57600}  # the pace is not what is tested here
METER_UNITS = {
    "kWh": ("energy_import", "kWh", 1),
    "V": ("voltage", "V", 1),
    "A": ("current", "A", 1),
    "C": ("temperature", "Cel", 1),
    "kW": ("power", "W", 1000),
    "kvar": ("reactive_power", "var", 1000),
    "kVA": ("apparent_power", "VA", 1000),
    "": ("power_factor", "/", 1),
}
SETTLED_S = 1.2  # silence after which what was skipped on the line has been told


def recordings(folder: Path, at_least: int) -> list[tuple[Path, dict[str, Any]]]:
    files = sorted(folder.glob("*.expected.json"))
    assert len(files) >= at_least, folder
    return [
        (path.with_name(path.name.removesuffix(".expected.json")), json.loads(path.read_text("utf-8"))["expected"])
        for path in files
    ]


class Bench:
    """One agent with one port a recording, and the center."""

    def __init__(self, driver: str, files: list[Path], make: MakeGateway, folder: Path, stack: ExitStack) -> None:
        self.ports: dict[str, PtyPort] = {}
        for path in files:
            port = PtyPort(folder / f"tty{path.stem}", 10, BAUD[driver])
            stack.callback(port.close)
            self.ports[path.stem] = port
        self.gateway = make(serial={stem: (port.path, driver) for stem, port in self.ports.items()})
        self.gateway.start()
        wait_for(lambda: self.gateway.told("port open") == len(self.ports), "the agent at every port")

    def play(self, path: Path) -> None:
        for line in path.read_text(encoding="ascii").split():
            self.ports[path.stem].send(bytes.fromhex(line))


def of_receiver(center: Center, type_: str, receiver: str) -> list[dict[str, Any]]:
    return [
        event.data | {"subject": event.subject} for event in center.of_type(type_) if event.data["receiver"] == receiver
    ]


def test_enocean(
    captures_dir: Path, make_gateway: MakeGateway, tmp_path: Path, stack: ExitStack, make_center: Callable[..., Center]
) -> None:
    files = recordings(captures_dir / "enocean-esp3", 10)
    bench = Bench("enocean-esp3", [path for path, _ in files], make_gateway, tmp_path, stack)
    center = make_center(bench.gateway)
    wanted: list[tuple[str, str]] = []
    for path, expected in files:
        presses = [
            (f"enocean:{frame['sender']}", frame["rocker_action"])
            for frame in expected.get("each", expected["frames"])
            if frame.get("crc8d_ok") and frame.get("rorg") == "F6" and frame["energy_bow"] != "released"
        ]
        assert len(presses) == expected.get("presses", len(presses)), path.name
        wanted += presses
        bench.play(path)
    assert len(wanted) >= 5
    center.wait_alarms(len(wanted))
    steady(lambda: len(center.alarms) == len(wanted), SETTLED_S, "more alarms than presses")
    assert sorted((alarm.subject, alarm.data["button"]) for alarm in center.alarms) == sorted(wanted)


def test_raycome(
    captures_dir: Path, make_gateway: MakeGateway, tmp_path: Path, stack: ExitStack, make_center: Callable[..., Center]
) -> None:
    files = recordings(captures_dir / "raycome-bp", 4)
    bench = Bench("raycome-bp", [path for path, _ in files], make_gateway, tmp_path, stack)
    center = make_center(bench.gateway)
    results = 0
    for path, _ in files:
        bench.play(path)
    for path, expected in files:
        frames = [f for f in expected["frames"] if f["dir"] == "device->host" and "systolic" in f]
        results += len(frames)
        for number, frame in enumerate(frames):
            wait_for(
                lambda path=path, number=number: len(of_receiver(center, "hearthline.vital.v1", path.stem)) > number,  # type: ignore[misc]
                path.name,
            )
            vital = of_receiver(center, "hearthline.vital.v1", path.stem)[number]
            assert [each["value"] for each in vital["values"]] == [
                frame["systolic"],
                frame["diastolic"],
                frame["pulse"],
            ]
            assert vital["user"] == frame["user"]
            assert vital["device_time"].replace("T", " ") == frame["clock"]
    assert results >= 2
    assert len(center.of_type("hearthline.vital.v1")) == results


def test_dlt645(
    captures_dir: Path, make_gateway: MakeGateway, tmp_path: Path, stack: ExitStack, make_center: Callable[..., Center]
) -> None:
    files = recordings(captures_dir / "dlt645-2007", 7)
    bench = Bench("dlt645-2007", [path for path, _ in files], make_gateway, tmp_path, stack)
    center = make_center(bench.gateway)
    wanted: list[tuple[str, str, float, str]] = []
    for path, expected in files:
        for frame in expected.get("each", expected["frames"]):
            if int(frame["control"], 16) >= 0x80 and "value" in frame:
                quantity, unit, factor = METER_UNITS[frame["unit"]]
                value = float(Decimal(str(frame["value"])) * factor)
                wanted.append((f"dlt645:{frame['address']}", quantity, value, unit))
        bench.play(path)
    assert wanted
    wait_for(lambda: len(readings(center)) >= len(wanted), f"{len(wanted)} readings")
    assert sorted(readings(center)) == sorted(wanted)


def readings(center: Center) -> list[tuple[str, str, float, str]]:
    """Without the signs of life of devices that told no value."""
    told = [r for pack in list(center.packs) for r, _ in pack.readings if r.quantity != SIGN_OF_LIFE]
    return [(r.device, r.quantity, r.value, r.unit) for r in told]


def messages(path: Path) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [(line["topic"] or "example/status/switch:0", line["payload"]) for line in lines]


@pytest.fixture
def bridge(local_broker: Server, stack: ExitStack) -> Client:
    client = Client(local_broker.port, ())
    stack.callback(client.close)
    return client


def test_zigbee2mqtt(
    captures_dir: Path, make_gateway: MakeGateway, bridge: Client, make_center: Callable[..., Center]
) -> None:
    gateway = make_gateway()
    gateway.start()
    center = make_center(gateway)
    wait_for(lambda: gateway.told("local broker connected") == 3, "the local sessions")
    presses, tampers, levels = 0, 0, []
    for path, expected in recordings(captures_dir / "zigbee2mqtt-sos", 4):
        for topic, payload in messages(path):
            bridge.publish(topic, payload)
        presses += expected["presses"]
        tampers += bool(expected.get("tamper"))
        levels += [expected["battery_pct"]] if "battery_pct" in expected else []
        center.wait_alarms(presses)
    wait_for(
        lambda: len([e for e in center.of_type("hearthline.device.v1") if e.data["kind"] == "tamper"]) == tampers, ""
    )
    wait_for(lambda: set(levels) <= {value for _, quantity, value, _ in readings(center) if quantity == "battery"}, "")
    steady(lambda: len(center.alarms) == presses, 0.3, "a press was doubled")


def test_shelly(
    captures_dir: Path, make_gateway: MakeGateway, bridge: Client, make_center: Callable[..., Center]
) -> None:
    gateway = make_gateway()
    gateway.start()
    center = make_center(gateway)
    wait_for(lambda: gateway.told("local broker connected") == 3, "the local sessions")
    for path, expected in recordings(captures_dir / "shelly-gen2", 2):
        center.packs.clear()
        for topic, payload in messages(path):
            bridge.publish(topic, payload)
        wait_for(lambda: readings(center), path.name)
        values = {quantity: value for _, quantity, value, _ in readings(center)}
        figures = {"energy_kwh": "energy_import", "power_w": "power", "voltage_v": "voltage"}
        known = {quantity: expected[figure] for figure, quantity in figures.items() if figure in expected}
        assert known
        assert {quantity: values[quantity] for quantity in known} == known, path.name
