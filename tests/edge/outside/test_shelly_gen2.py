"""Recorded Shelly messages from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.outside.recordings import Recording, changes, compare_all, only, refusals, series, series_of
from edge.outside.table import Row

pytestmark = pytest.mark.captures

FIGURES = {"energy_kwh": "energy_import", "power_w": "power", "voltage_v": "voltage"}
DEVICES = {  # id, relay, and what expected.json does not name, read from the message by eye
    "plus_plug_us_getstatus.jsonl": (
        "shelly:shellyplugus-083af2018c80",
        "on",
        {"temperature": 47.9, "current": 0.133, "radio_level": -45},
    ),
    "switch_status_off.jsonl": ("shelly:example", "off", {"temperature": 44.4, "current": 0.0, "voltage": 123.3}),
}


def compare(recording: Recording, row: Row) -> None:
    known, told = recording.expected, recording.told(0.1)
    only(known, *FIGURES)
    device, state, more = DEVICES[recording.name]
    values = {quantity: known[figure] for figure, quantity in FIGURES.items() if figure in known}
    row.same(series(told), series_of(device, values | more), "values")
    row.same(changes(told), [(device, state)], "relay")
    assert (recording.presses(told), refusals(told)) == ([], [])


def test_every_recording(captures_dir: Path) -> None:
    compare_all(captures_dir, "shelly-gen2", compare, 2)
