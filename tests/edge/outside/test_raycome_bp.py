"""The recorded Raycome frames from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import Item, Readings, Seen, SerialDriver, Vital, find_drivers, raycome_rbp

pytestmark = pytest.mark.captures

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
RECORDINGS = 4
COMMANDS = {
    "connect": (1, 1),
    "start measurement": (1, 2),
    "stop measurement": (1, 3),
    "power off": (1, 4),
    "query battery": (4, 4),
}


def decode(recording: Path) -> list[Item]:
    driver = find_drivers()["raycome-bp"]
    assert isinstance(driver, SerialDriver)
    session, now, items = driver.open_session(driver.decode_options, "port"), START, list[Item]()
    for line in recording.read_text(encoding="ascii").split():
        for data, seconds in ((bytes.fromhex(line), 0), (b"", 1), (b"", 2)):
            items += session.receive(data, now.later(seconds))
        now = now.later(3)
    return items


def told(item: Item) -> tuple[Any, ...]:
    match item:
        case Vital():
            clock = item.device_time.replace("T", " ")
            return ("vital", item.device, dict(item.values), item.user, clock)
        case Readings():
            return ("readings", *((each.device, each.quantity, each.value, each.unit) for each in item.readings))
        case Seen():
            return ("seen", item.device)
    raise AssertionError(item)


def wanted(frame: dict[str, Any]) -> tuple[Any, ...] | None:
    assert frame["xor_ok"]
    assert frame["len_ok"]
    if frame["dir"] != "device->host":
        return None
    if "systolic" in frame:
        values = {"systolic": frame["systolic"], "diastolic": frame["diastolic"], "heart_rate": frame["pulse"]}
        return ("vital", "raycome:port", values, frame["user"], frame["clock"])
    if "pressure_mmhg" in frame:
        return ("readings", ("raycome:port", "cuff_pressure", frame["pressure_mmhg"], "mm[Hg]"))
    return ("seen", "raycome:port")


def test_every_recording(captures_dir: Path) -> None:
    paths = sorted((captures_dir / "raycome-bp").glob("*.expected.json"))
    assert len(paths) >= RECORDINGS
    for path in paths:
        expected = json.loads(path.read_text(encoding="utf-8"))["expected"]
        frames = [wanted(frame) for frame in expected["frames"]]
        items = decode(path.with_name(path.name.removesuffix(".expected.json")))
        assert [told(item) for item in items] == [frame for frame in frames if frame is not None], path.name
        for frame, meaning in zip(expected["frames"], expected.get("meaning", []), strict=False):
            if meaning in COMMANDS:
                sent = raycome_rbp.command(frame["version"], COMMANDS[meaning], b"\x00")
                assert sent.hex() == frame["hex"], meaning
