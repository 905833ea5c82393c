"""The recorded frames kept outside the repository, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import (
    Change,
    DeviceNote,
    Item,
    Press,
    Readings,
    Refused,
    Release,
    Seen,
    SerialDriver,
    Vital,
    find_drivers,
)

pytestmark = pytest.mark.captures

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
DRIVERS = find_drivers()
SERIAL_FILES = {"enocean-esp3": 10, "raycome-bp": 4}


def recordings(folder: Path, count: int) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each recording with what it is expected to hold; `count` guards against an empty folder."""
    expected = sorted(folder.glob("*.expected.json"))
    assert len(expected) >= count, f"{folder}: {len(expected)} recordings, {count} were known"
    for path in expected:
        recording = path.with_name(path.name.removesuffix(".expected.json"))
        yield recording, json.loads(path.read_text(encoding="utf-8"))["expected"]


def decode_serial(name: str, recording: Path) -> list[Item]:
    driver = DRIVERS[name]
    assert isinstance(driver, SerialDriver)
    session, now, items = driver.open_session({}, "port"), START, list[Item]()
    for line in recording.read_text(encoding="ascii").split():
        items += session.receive(bytes.fromhex(line), now)
        items += session.receive(b"", now.later(1))
        items += session.receive(b"", now.later(2))
        now = now.later(3)
    return items


def summary(item: Item) -> tuple[Any, ...]:
    """What an item says, without what no expected.json can know."""
    match item:
        case Press():
            return ("press", item.device, item.button, item.content, dict(item.facts))
        case Vital():
            clock = item.device_time.replace("T", " ")
            return ("vital", *(value for _, value in item.values), item.user, clock)
        case Readings():
            return ("readings", *((r.device, r.quantity, r.value, r.unit) for r in item.readings))
        case Refused():
            return ("refused", item.reason)
        case Release() | Seen():
            return (type(item).__name__.lower(), item.device)
        case DeviceNote() | Change():
            return ("note", item.kind)


def expect_enocean(frame: dict[str, Any]) -> tuple[Any, ...] | None:
    if not (frame.get("crc8h_ok") and frame.get("crc8d_ok")) or frame["packet_type"] != 1:
        return None
    device = f"enocean:{frame['sender']}"
    if frame["rorg"] != "F6":
        return ("seen", device)
    if frame["energy_bow"] == "released":
        return ("release", device)
    facts = {"rssi_dbm": frame["dbm"], "hops": frame["repeater_count"]}
    return ("press", device, frame["rocker_action"], frame["data"], facts)


def expect_raycome(frame: dict[str, Any]) -> tuple[Any, ...] | None:
    if frame["dir"] != "device->host":
        return None
    if "systolic" not in frame:
        return ("seen", "raycome:port")
    return ("vital", *(frame[key] for key in ("systolic", "diastolic", "pulse", "user", "clock")))


EXPECT = {"enocean-esp3": expect_enocean, "raycome-bp": expect_raycome}


@pytest.mark.parametrize("name", SERIAL_FILES)
def test_serial_recordings(captures_dir: Path, name: str) -> None:
    for recording, expected in recordings(captures_dir / name, SERIAL_FILES[name]):
        found = [summary(item) for item in decode_serial(name, recording)]
        told = [one for one in found if one not in [("refused", "noise"), ("refused", "checksum")]]
        frames = [EXPECT[name](frame) for frame in expected.get("each", expected["frames"])]
        assert told == [frame for frame in frames if frame is not None], recording.name
        if "presses" in expected:
            assert sum(one[0] == "press" for one in found) == expected["presses"], recording.name
