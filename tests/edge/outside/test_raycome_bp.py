"""The recorded Raycome frames from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.outside.recordings import Recording, compare_all, only
from edge.outside.table import Row
from hearthline_edge.devices import Item, Readings, Seen, Vital, raycome_rbp

pytestmark = pytest.mark.captures

LAYOUT = ("hex", "dir", "version", "len", "type", "sub", "xor_ok", "len_ok")
COMMANDS = {
    "connect": (1, 1),
    "start measurement": (1, 2),
    "stop measurement": (1, 3),
    "power off": (1, 4),
    "query battery": (4, 4),
}


def words(item: Item) -> tuple[Any, ...]:
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
    only(frame, *LAYOUT, "systolic", "diastolic", "pulse", "user", "clock", "pressure_mmhg")
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


def compare(recording: Recording, row: Row) -> None:
    known = recording.expected
    only(known, "frames")
    frames = [wanted(frame) for frame in known["frames"]]
    found = [words(item) for item, *_ in recording.told()]
    row.same(found, [frame for frame in frames if frame is not None], "frames")
    for frame, meaning in zip(known["frames"], known.get("meaning", []), strict=False):
        if meaning in COMMANDS:
            sent = raycome_rbp.command(frame["version"], COMMANDS[meaning], b"\x00")
            row.same(sent.hex(), frame["hex"], meaning)


def test_every_recording(captures_dir: Path) -> None:
    compare_all(captures_dir, "raycome-bp", compare, 4)
