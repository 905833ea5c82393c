"""The recorded EnOcean frames from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import json
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
    find_drivers,
)
from hearthline_edge.grouping import PressState, Verdict, judge, release

pytestmark = pytest.mark.captures

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
RECORDINGS = 10


def driver() -> SerialDriver:
    found = find_drivers()["enocean-esp3"]
    assert isinstance(found, SerialDriver)
    return found


def decode(recording: Path) -> list[tuple[Item, Stamp]]:
    session, now, items = driver().open_session(driver().decode_options, "port"), START, list[tuple[Item, Stamp]]()
    for line in recording.read_text(encoding="ascii").split():
        items += ((item, now) for item in session.receive(bytes.fromhex(line), now))
        for second in (1, 2):
            items += ((item, now.later(second)) for item in session.receive(b"", now.later(second)))
        now = now.later(3)
    return items


def told(item: Item) -> tuple[Any, ...]:
    """What an item says, in the words of an expected.json."""
    match item:
        case Press():
            return ("press", item.device, item.button, item.content, dict(item.facts))
        case Release() | Seen():
            return (type(item).__name__.lower(), item.device)
        case Change():
            return ("change", item.device, item.kind, item.raw)
        case DeviceNote():
            return ("note", item.device, item.kind, item.detail)
        case Readings():
            return ("readings", *((each.device, each.quantity, each.value, each.unit) for each in item.readings))
    raise AssertionError(item)


def wanted(frame: dict[str, Any], expected: dict[str, Any]) -> tuple[Any, ...] | None:
    if not (frame.get("crc8h_ok") and frame.get("complete") and frame.get("crc8d_ok")) or frame["packet_type"] != 1:
        return None
    device = f"enocean:{frame['sender']}"
    if frame["rorg"] == "F6" and frame["energy_bow"] == "pressed":
        facts = {"rssi_dbm": frame["dbm"], "hops": frame["repeater_count"]}
        return ("press", device, frame["rocker_action"], frame["data"], facts)
    if frame["rorg"] == "F6":
        return ("release", device)
    if frame["rorg"] == "D5":
        assert not frame["learn"]
        return ("change", device, "closed" if frame["contact_closed"] else "open", frame["hex"])
    if frame["rorg"] == "A5" and frame["learn"]:
        return ("note", device, "teach-in", "EEP A5-10-06, manufacturer 002")
    if "temperature_c" in expected:
        return ("readings", (device, "temperature", expected["temperature_c"], "Cel"))
    if "eep" in expected:
        assert expected["teach_in"]
        return ("note", device, "teach-in", f"EEP {expected['eep']}, manufacturer 03E")
    return ("seen", device)


def test_every_recording(captures_dir: Path) -> None:
    paths = sorted((captures_dir / "enocean-esp3").glob("*.expected.json"))
    assert len(paths) >= RECORDINGS
    for path in paths:
        expected = json.loads(path.read_text(encoding="utf-8"))["expected"]
        items = decode(path.with_name(path.name.removesuffix(".expected.json")))
        found = [told(item) for item, _ in items if not isinstance(item, Refused)]
        frames = [wanted(frame, expected) for frame in expected.get("each", expected["frames"])]
        assert found == [frame for frame in frames if frame is not None], path.name
        if "accepted" in expected:
            assert len(found) == expected["accepted"], path.name
        refused = [item.reason for item, _ in items if isinstance(item, Refused)]
        assert bool(refused) == ("accepted" in expected), path.name
        assert set(refused) <= {"noise", "checksum"}, path.name
        if "presses" in expected:
            assert presses(items) == expected["presses"], path.name


def presses(items: list[tuple[Item, Stamp]]) -> int:
    """Events after grouping."""
    states, count = dict[tuple[str, str], PressState](), 0
    for item, now in items:
        if isinstance(item, Press):
            key = (item.device, item.button)
            verdict, states[key] = judge(states.get(key), item, driver().grouping, now)
            count += verdict is Verdict.NEW
        elif isinstance(item, Release):
            for key, state in states.items():
                if key[0] == item.device:
                    states[key] = release(state, now)
    return count
