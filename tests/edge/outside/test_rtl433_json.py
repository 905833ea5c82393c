"""Recorded rtl_433 messages from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.outside.replayed import found, recordings
from hearthline_edge.replay import Found

pytestmark = pytest.mark.captures

RECORDINGS = 6


def told(items: list[Found], event: str) -> list[Found]:
    return [item for item in items if item.event == event]


def test_recordings(captures_dir: Path) -> None:
    for name, recording, expected in recordings(captures_dir / "rtl433-json", RECORDINGS):
        items = found("rtl433-json", recording)
        lines = recording.read_text(encoding="utf-8").split("\n")
        presses = told(items, "press")
        alarms = [item for item in items if item.kind == "event" and item.button is not None]
        assert len(presses) == len(alarms) == expected.get("presses", expected.get("alarms", 0)), name
        assert not [item for item in items if item.kind == "refused"], name
        checked = 0
        if "buttons" in expected:
            assert [(item.device_id, item.button) for item in presses] == [
                (f"rf433:ev1527:{expected['id20']}", button) for button in expected["buttons"]
            ], name
            checked += 1
        if "code24" in expected:
            assert presses[0].device_id == f"rf433:ev1527:{expected['code24']}", name
            checked += 1
        if "cmd" in expected:
            assert (presses[0].device_id, presses[0].button) == (
                f"rf433:pt2262:{expected['id']:04x}",
                str(expected["cmd"]),
            ), name
            checked += 1
        if "contact_sequence" in expected:
            contacts = [item.event for item in items if item.event in ("open", "closed")]
            assert contacts == expected["contact_sequence"], name
            assert len(told(items, "low-battery")) == expected["battery_low"], name
            checked += 1
        assert checked == 1, name
        count = expected.get("messages", expected.get("telegrams"))
        assert count in (None, sum(bool(line.strip()) for line in lines)), name


def test_the_same_without_times(captures_dir: Path, tmp_path: Path) -> None:
    """As over MQTT, where only the moment of arrival counts."""
    for name, recording, expected in recordings(captures_dir / "rtl433-json", RECORDINGS):
        lines = [json.loads(line) for line in recording.read_text(encoding="utf-8").splitlines() if line.strip()]
        copy = tmp_path / name
        copy.write_text("\n".join(json.dumps({**line, "time": "2026-11-21 08:00:00"}) for line in lines), "utf-8")
        presses = told(found("rtl433-json", copy), "press")
        assert len(presses) == expected.get("presses", expected.get("alarms", 0)), name
