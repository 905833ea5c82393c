"""Each driver decodes its recorded vectors: whole, a byte at a time, and between noise rich in start marks.

`tests/captures/<driver>/*.jsonl`, one vector a line: `name`, `source`, then `hex` (a list of chunks of the line) or
`messages` (topic, payload, retained), and `items`: what it decodes to, `raw` left out. `options`: of a serial session.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import (
    Item,
    LineSettings,
    MqttDriver,
    MqttMessage,
    Refused,
    SerialDriver,
    SerialSession,
    find_drivers,
)

FOLDER = Path(__file__).parent.parent / "captures"
UNWRITTEN = {"source_ns": None, "lasting": False, "button": ""}  # what a vector does not write, and means
START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
DRIVERS = find_drivers()
MARKS = bytes((0x55, 0x68, 0xFE, 0xAA, 0x80, 0xCC, 0x16, 0x00, 0xFF, 0x01, 0x02, 0x07, 0x7A, 0x91))


def load(kind: type) -> list[Any]:
    """The vectors of every driver of a kind, as pytest parameters (driver name, vector)."""
    found = []
    for name, driver in DRIVERS.items():
        if isinstance(driver, kind):
            for path in sorted((FOLDER / name).glob("*.jsonl")):
                for line in path.read_text(encoding="utf-8").splitlines():
                    vector = json.loads(line)
                    found.append(pytest.param(name, vector, id=f"{name}:{vector['name']}"))
    return found


def as_json(items: list[Item], *, noise: bool = True) -> list[dict[str, Any]]:
    """Items as the vectors write them. `noise` false leaves out what the line itself may add."""
    found = []
    for item in items:
        if not noise and isinstance(item, Refused) and item.reason in ("noise", "checksum"):
            continue
        fields: dict[str, Any] = json.loads(msgspec.json.encode(item))
        fields.pop("raw", None)
        for name, usual in UNWRITTEN.items():
            if fields.get(name, usual) == usual:
                fields.pop(name, None)
        found.append({"type": type(item).__name__, **fields})
    return found


def without_noise(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in items if item.get("reason") not in ("noise", "checksum")]


def silence(session: SerialSession, now: Stamp) -> list[Item]:
    """What two quiet seconds settle."""
    return [item for second in (1, 2) for item in session.receive(b"", now.later(second))]


def open_serial(name: str, vector: dict[str, Any]) -> SerialSession:
    driver = DRIVERS[name]
    assert isinstance(driver, SerialDriver)
    return driver.open_session(vector.get("options", {}), "port")


@pytest.mark.parametrize(("name", "vector"), load(SerialDriver))
def test_whole(name: str, vector: dict[str, Any]) -> None:
    session = open_serial(name, vector)
    items = [*session.receive(bytes.fromhex("".join(vector["hex"])), START), *silence(session, START)]
    assert as_json(items) == vector["items"]


@pytest.mark.parametrize(("name", "vector"), load(SerialDriver))
def test_byte_by_byte(name: str, vector: dict[str, Any]) -> None:
    session, items = open_serial(name, vector), list[Item]()
    for count, byte in enumerate(bytes.fromhex("".join(vector["hex"]))):
        items += session.receive(bytes((byte,)), START.later(count / 1000))
    items += silence(session, START.later(1))
    assert as_json(items) == vector["items"]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("name", "vector"), load(SerialDriver))
def test_between_noise(name: str, vector: dict[str, Any], seed: int) -> None:
    dice = random.Random(seed)
    before, after = (bytes(dice.choices(MARKS, k=dice.randrange(1, 50))) for _ in range(2))
    session = open_serial(name, vector)
    items = [*session.receive(before, START), *silence(session, START)]
    now = START.later(3)
    for chunk in vector["hex"]:
        items += session.receive(before + bytes.fromhex(chunk) + after, now)
        items += silence(session, now)
        now = now.later(3)
    assert as_json(items, noise=False) == without_noise(vector["items"])


@pytest.mark.parametrize(("name", "vector"), load(MqttDriver))
def test_messages(name: str, vector: dict[str, Any]) -> None:
    driver = DRIVERS[name]
    assert isinstance(driver, MqttDriver)
    session = driver.open_session({})
    items: list[Item] = []
    for count, message in enumerate(vector["messages"]):
        topic, payload = message["topic"], message["payload"].encode()
        found = session.receive(MqttMessage(topic, payload, message.get("retained", False)), START.later(count))
        assert driver.claims(topic) or not found
        items += found
    assert as_json(items) == vector["items"]


def test_every_driver_has_vectors_with_sources() -> None:
    for name in DRIVERS:
        files = list((FOLDER / name).glob("*.jsonl"))
        assert files, f"driver {name!r} has no vectors in tests/captures/{name}/"
        for path in files:
            for line in path.read_text(encoding="utf-8").splitlines():
                assert json.loads(line)["source"], path
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} <= set(DRIVERS)


LINES = {
    "contec08a-hid": LineSettings(9600, 8, "N", 1),
    "dlt645-2007": LineSettings(2400, 8, "E", 1),
    "enocean-esp3": LineSettings(57600, 8, "N", 1),
    "mbus-wired": LineSettings(2400, 8, "E", 1),
    "modbus-rtu": LineSettings(9600, 8, "N", 1),
    "raycome-bp": LineSettings(9600, 8, "N", 1),
    "rflink": LineSettings(57600, 8, "N", 1),
    "visomat-jpi": LineSettings(9600, 8, "N", 1),
    "dsmr-p1": LineSettings(115200, 8, "N", 1),
    "iec62056-21": LineSettings(9600, 8, "N", 1),
    "sml": LineSettings(9600, 8, "N", 1),
}


@pytest.mark.parametrize(("name", "line"), LINES.items())
def test_line_settings(name: str, line: LineSettings) -> None:
    driver = DRIVERS[name]
    assert isinstance(driver, SerialDriver)
    assert driver.line == line


def test_every_serial_driver_is_in_the_table() -> None:
    assert {name for name, driver in DRIVERS.items() if isinstance(driver, SerialDriver)} <= set(LINES)
