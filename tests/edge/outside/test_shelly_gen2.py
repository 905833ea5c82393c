"""Recorded Shelly messages from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.outside.mqtt_recordings import decode, quantities, recordings

pytestmark = pytest.mark.captures

FIGURES = {"energy_kwh": "energy_import", "power_w": "power", "voltage_v": "voltage"}
DEVICES = {
    "plus_plug_us_getstatus.jsonl": ("shelly:shellyplugus-083af2018c80", "on", 47.9, 0.133),
    "switch_status_off.jsonl": ("shelly:example", "off", 44.4, 0.0),
}


def test_every_recording(captures_dir: Path) -> None:
    for name, recording, expected in recordings(captures_dir / "shelly-gen2", 2):
        device, state, temperature, current = DEVICES[name]
        decoded = decode("shelly-gen2", recording)
        values = quantities(decoded.values, device)
        known = {quantity: expected[figure] for figure, quantity in FIGURES.items() if figure in expected}
        assert len(known) >= 2, name
        assert {quantity: values[quantity] for quantity in known} == known, name
        assert (values["temperature"], values["current"]) == (temperature, current), name
        assert {owner for owner, _ in decoded.values} == {device}, name
        assert decoded.changes == [(device, state)], name
        assert (decoded.presses, decoded.refused) == ([], []), name
