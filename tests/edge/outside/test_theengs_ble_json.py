"""Recorded Theengs messages from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.outside.recordings import Recording, Told, compare_all, only, refusals
from edge.outside.table import Row
from hearthline_edge.devices import Change, DeviceNote, Press, Readings

pytestmark = pytest.mark.captures

BUTTONS = {1: "short", 3: "triple"}
LIGHT = {93: 87.0, 5: 36.0}  # packet -> lux, which expected.json does not name


def words(told: list[Told]) -> dict[str, Any]:
    """What one message alone says, in the words of its expected.json."""
    items = [item for item, *_ in told]
    presses = [item for item in items if isinstance(item, Press)]
    kinds = [item.kind for item in items if isinstance(item, Change)]
    values = [(r.quantity, r.value) for item in items if isinstance(item, Readings) for r in item.readings]
    assert len(presses) <= 1
    assert len(kinds) <= 1
    assert len(dict(values)) == len(values)
    return {
        "packet": dict(presses[0].facts)["packet"] if presses else None,
        "button": presses[0].button if presses else None,
        "open": kinds[0] == "open" if kinds and kinds[0] in ("open", "closed") else None,
        "motion": kinds[0] == "motion" if kinds and kinds[0] in ("motion", "no-motion") else None,
        "encrypted": any(isinstance(item, DeviceNote) and item.kind == "encrypted" for item in items),
        "values": dict(values),
    }


def wanted(frame: dict[str, Any]) -> dict[str, Any]:
    only(frame, "packet", "button", "batt", "open", "motion", "encrypted")
    values = {"battery": float(frame["batt"])} if frame["batt"] is not None else {}
    if frame["button"] is None and frame["packet"] in LIGHT:
        values["illuminance"] = LIGHT[frame["packet"]]
    packet = frame["packet"] if frame["button"] else None  # only a press tells its number
    same = {key: frame[key] for key in ("open", "motion", "encrypted")}
    return {**same, "packet": packet, "button": BUTTONS.get(frame["button"]), "values": values}


def compare(recording: Recording, row: Row) -> None:
    alone = recording.told(0.15, afresh=True)
    for number, (line, frame) in enumerate(zip(recording.lines(), recording.expected, strict=True)):
        row.same(words([one for one in alone if one.line == number]), wanted(frame), line)
        if frame["packet"] is not None and frame["button"] is None:
            row.leave_out("the number of a packet that tells no press")
    known = [
        (json.loads(line).get("mac"), frame["packet"], BUTTONS[frame["button"]])
        for line, frame in zip(recording.lines(), recording.expected, strict=True)
        if frame["button"]
    ]
    told = recording.told(0.15)
    presses = [(dict(press.facts)["packet"], press.button) for press in recording.presses(told)]
    assert len(set(known)) == len(known)
    row.same(presses, [(packet, button) for _, packet, button in known], "presses")
    assert refusals(told) == []


def test_every_recording(captures_dir: Path) -> None:
    compare_all(captures_dir, "theengs-ble-json", compare, 1)
