"""Recorded rtl_433 messages from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge.outside.recordings import Recording, changes, compare_all, only, recordings, refusals
from edge.outside.table import Row
from hearthline_edge.devices import DeviceNote

pytestmark = pytest.mark.captures

RECORDINGS = 6
PRESS = ("presses", "alarms", "buttons", "id20", "code24", "id", "cmd", "messages", "telegrams", "interval_ms")
X10 = "rf433:x10-security:3133"


def compare(recording: Recording, row: Row) -> None:
    known, told = recording.expected, recording.told(0.15)
    only(known, *PRESS, "battery_low", "contact_sequence")
    presses = [(press.device, press.button) for press in recording.presses(told)]
    row.same(len(presses), known.get("presses", known.get("alarms", 0)), "presses")
    if "buttons" in known:
        row.same(presses, [(f"rf433:ev1527:{known['id20']}", button) for button in known["buttons"]], "buttons")
    elif "code24" in known:
        row.same([device for device, _ in presses], [f"rf433:ev1527:{known['code24']}"], "code")
    elif "cmd" in known:
        row.same(presses, [(f"rf433:pt2262:{known['id']:04x}", str(known["cmd"]))], "buttons")
    else:
        row.same(changes(told), [(X10, kind) for kind in known["contact_sequence"]], "contact")
        notes = [(item.device, item.kind) for item, *_ in told if isinstance(item, DeviceNote)]
        row.same(notes, [(X10, "low-battery")] * known["battery_low"], "battery")
    assert bool(changes(told)) == ("contact_sequence" in known)
    assert refusals(told) == []
    if "interval_ms" in known:
        times_s = [float(json.loads(line)["time"][1:-1]) for line in recording.lines()]
        assert round(1000 * (times_s[-1] - times_s[0]) / (len(times_s) - 1), 1) == known["interval_ms"]
        row.leave_out("the time between telegrams is the radio's; what they say counts")
    count = known.get("messages", known.get("telegrams"))
    row.same(len(recording.lines()), len(recording.lines()) if count is None else count, "messages in the file")


def test_every_recording(captures_dir: Path) -> None:
    compare_all(captures_dir, "rtl433-json", compare, RECORDINGS)


def test_the_same_without_times(captures_dir: Path, tmp_path: Path) -> None:
    """As over MQTT, where only the moment of arrival counts."""
    folder = tmp_path / "rtl433-json"
    folder.mkdir()
    for recording in recordings(captures_dir / "rtl433-json"):
        timeless = [json.dumps({**json.loads(line), "time": "2026-11-21 08:00:00"}) for line in recording.lines()]
        copy = replace(recording, path=folder / recording.name)
        copy.path.write_text("\n".join(timeless), encoding="utf-8")
        known = recording.expected
        assert len(copy.presses(copy.told(0.15))) == known.get("presses", known.get("alarms", 0)), recording.name
