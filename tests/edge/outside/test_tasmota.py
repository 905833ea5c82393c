"""Recorded Tasmota messages from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.outside.mqtt_recordings import decode, quantities, recordings
from hearthline_edge.devices import Press

pytestmark = pytest.mark.captures

FIGURES = {"energy_kwh": "energy_import", "power_w": "power", "voltage_v": "voltage", "current_a": "current"}
DEVICES = {
    "pow_sensor.jsonl": "tasmota:pow1",
    "teleinfo_sensor_1.jsonl": "tasmota:emoncms/ch2i/factory/denky_D6C0C0",
}
LETTERS = {8: "A", 4: "B", 2: "C", 1: "D"}


def test_meters(captures_dir: Path) -> None:
    for name, recording, expected in recordings(captures_dir / "tasmota-energy", 2):
        decoded = decode("tasmota-energy", recording)
        values = quantities(decoded.values, DEVICES[name])
        known = {quantity: expected[figure] for figure, quantity in FIGURES.items() if figure in expected}
        assert len(known) >= 2, name
        assert {quantity: values[quantity] for quantity in known} == known, name
        assert (decoded.presses, decoded.changes, decoded.refused) == ([], [], []), name


@pytest.mark.parametrize("apart_s", [0.05, 0.5, 2.0])
def test_radio_buttons(captures_dir: Path, apart_s: float) -> None:
    for name, recording, expected in recordings(captures_dir / "tasmota-rfbridge", 2):
        decoded = decode("tasmota-rfbridge", recording, apart_s)
        telegrams = [item for item in decoded.items if isinstance(item, Press)]
        lines = recording.read_text(encoding="utf-8").splitlines()
        assert len(telegrams) == len(lines) == expected.get("telegrams", 1), name
        assert len(decoded.presses) == expected["presses"], name
        assert (decoded.changes, decoded.values, decoded.refused) == ([], {}, []), name
        facts = dict(telegrams[0].facts)
        if "code24" in expected:
            assert facts["code"].upper() == expected["code24"], name
            button = LETTERS[int(expected["buttons_nibble"], 16)]
            assert decoded.presses == [(f"rf433:ev1527:{expected['id20'].lower()}", button)], name
        if "data_pattern" in expected:
            assert facts["code"][:-2].translate(str.maketrans("01", "10")) == expected["data_pattern"], name
        if expected.get("time_has_no_zone"):
            assert facts["device_time"] == json.loads(json.loads(lines[0])["payload"])["Time"], name
