"""Recorded Theengs messages from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.outside.replayed import found, recordings
from hearthline.clock import NS, Stamp
from hearthline_edge.devices import Change, DeviceNote, Item, MqttMessage, Press, Readings
from hearthline_edge.devices.theengs_ble_json import DRIVER

pytestmark = pytest.mark.captures

BUTTONS = {1: "short", 3: "triple"}


def told(line: str) -> dict[str, object]:
    """What a message alone says, in the words of its expected.json."""
    session = DRIVER.open_session({})
    now = Stamp(NS, NS, "boot", True)
    items: list[Item] = list(session.receive(MqttMessage(DRIVER.example_topic, line.encode(), False), now))
    presses = [item for item in items if isinstance(item, Press)]
    kinds = {item.kind for item in items if isinstance(item, Change)}
    levels = [r.value for item in items if isinstance(item, Readings) for r in item.readings if r.quantity == "battery"]
    assert len(presses) <= 1
    return {
        "packet": dict(presses[0].facts)["packet"] if presses else None,
        "button": presses[0].button if presses else None,
        "batt": levels[0] if levels else None,
        "open": "open" in kinds if kinds & {"open", "closed"} else None,
        "motion": "motion" in kinds if kinds & {"motion", "no-motion"} else None,
        "encrypted": any(isinstance(item, DeviceNote) and item.kind == "encrypted" for item in items),
    }


def test_recordings(captures_dir: Path) -> None:
    for name, recording, expected in recordings(captures_dir / "theengs-ble-json", 1):
        lines = recording.read_text(encoding="utf-8").splitlines()
        assert len(lines) == len(expected) == 8, name
        for line, frame in zip(lines, expected, strict=True):
            wanted = {**frame, "button": BUTTONS.get(frame["button"])}
            if frame["button"] is None:
                wanted["packet"] = None  # only a press tells its number
            assert told(line) == wanted, line
        presses = {
            (json.loads(line).get("mac"), frame["packet"])
            for line, frame in zip(lines, expected, strict=True)
            if frame["button"]
        }
        assert (
            len([item for item in found("theengs-ble-json", recording) if item.event == "press"]) == len(presses) == 4
        )
