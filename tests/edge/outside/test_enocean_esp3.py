"""The recorded EnOcean frames from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.outside.recordings import LINE_NOISE, Recording, compare_all, only, refusals
from edge.outside.table import Row
from hearthline_edge.devices import Change, DeviceNote, Item, Press, Readings, Refused, Release, Seen

pytestmark = pytest.mark.captures

CHECKS = ("hex", "crc8h_ok", "crc8d_ok", "complete", "valid", "packet_type")
TELEGRAM = ("rorg", "sender", "status", "data", "subtel", "dest", "dbm", "security", "repeater_count", "learn")
MEANING = ("T21", "NU", "rocker_action", "energy_bow", "second_action_valid", "contact_closed")
TEACH_IN = "EEP A5-10-06, manufacturer 002"  # of the mixed stream, by EEP 2.6.7


def words(item: Item) -> tuple[Any, ...]:
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


def wanted(frame: dict[str, Any], known: dict[str, Any]) -> tuple[Any, ...] | None:
    only(frame, *CHECKS, *TELEGRAM, *MEANING)
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
        return ("note", device, "teach-in", TEACH_IN)
    if "temperature_c" in known:
        return ("readings", (device, "temperature", known["temperature_c"], "Cel"))
    if "eep" in known:
        assert known["teach_in"]
        return ("note", device, "teach-in", f"EEP {known['eep']}, manufacturer 03E")
    return ("seen", device)


def compare(recording: Recording, row: Row) -> None:
    known, told = recording.expected, recording.told()
    only(known, "frames", "each", "packets", "presses", "accepted", "temperature_c", "eep", "teach_in", "releases")
    frames = known.get("each", known["frames"])
    row.frames = len(frames)
    found = [words(item) for item, *_ in told if not isinstance(item, Refused)]
    row.same(found, [one for frame in frames if (one := wanted(frame, known)) is not None], "telegrams")
    assert len(frames) == known.get("packets", len(frames))
    if "accepted" in known:
        row.same(len(found), known["accepted"], "accepted")
    assert bool(refusals(told)) == ("accepted" in known)
    assert set(refusals(told)) <= {*LINE_NOISE}
    row.same(len(recording.presses(told)), known.get("presses", sum(one[0] == "press" for one in found)), "presses")


def test_every_recording(captures_dir: Path) -> None:
    compare_all(captures_dir, "enocean-esp3", compare, 10)
