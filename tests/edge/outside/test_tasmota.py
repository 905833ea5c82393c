"""Recorded Tasmota messages from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from edge.outside.recordings import Recording, changes, compare_all, only, refusals, series, series_of
from edge.outside.table import Row
from hearthline_edge.devices import Press

pytestmark = pytest.mark.captures

FIGURES = {"energy_kwh": "energy_import", "power_w": "power", "voltage_v": "voltage", "current_a": "current"}
TELEINFO = "tasmota:emoncms/ch2i/factory/denky_D6C0C0"
MORE = {  # what expected.json does not name, read from the message by eye
    "pow_sensor.jsonl": series_of(
        "tasmota:pow1", {"apparent_power": 2650, "reactive_power": 282, "power_factor": 0.99}
    ),
    "teleinfo_sensor_1.jsonl": series_of(TELEINFO, {"current": 1.0})
    + series_of(f"{TELEINFO}:ESP32", {"temperature": 36.1}),
}
DEVICES = {"pow_sensor.jsonl": "tasmota:pow1", "teleinfo_sensor_1.jsonl": TELEINFO}
LETTERS = {8: "A", 4: "B", 2: "C", 1: "D"}


def compare_meter(recording: Recording, row: Row) -> None:
    known, told = recording.expected, recording.told(0.1)
    only(known, *FIGURES)
    values = {quantity: known[figure] for figure, quantity in FIGURES.items() if figure in known}
    wanted = series_of(DEVICES[recording.name], values) + MORE[recording.name]
    row.same(series(told), sorted(wanted), "values")
    assert (recording.presses(told), changes(told), refusals(told)) == ([], [], [])


def compare_bridge(recording: Recording, row: Row, gap_s: float = 0.05) -> None:
    known, told = recording.expected, recording.told(gap_s)
    only(known, "presses", "telegrams", "code24", "id20", "buttons_nibble", "data_pattern", "time_has_no_zone")
    telegrams, presses = [item for item, *_ in told if isinstance(item, Press)], recording.presses(told)
    row.same(len(telegrams), known.get("telegrams", 1), "telegrams")
    row.same(len(presses), known["presses"], "presses")
    assert (changes(told), series(told), refusals(told)) == ([], [], [])
    facts = dict(telegrams[0].facts)
    if "code24" in known:
        button = LETTERS[int(known["buttons_nibble"], 16)]
        row.same([(each.device, each.button) for each in presses], [(f"rf433:ev1527:{known['id20'].lower()}", button)])
        row.same(facts["code"].upper(), known["code24"], "code")
    if "data_pattern" in known:
        row.same(facts["code"][:-2].translate(str.maketrans("01", "10")), known["data_pattern"], "pattern")
    if known.get("time_has_no_zone"):
        payload = json.loads(json.loads(recording.lines()[0])["payload"])
        row.same(facts["device_time"], payload["Time"], "the device's own time")


def test_meters(captures_dir: Path) -> None:
    compare_all(captures_dir, "tasmota-energy", compare_meter, 2)


@pytest.mark.parametrize("gap_s", [0.05, 0.5, 2.0])
def test_radio_buttons(captures_dir: Path, gap_s: float) -> None:
    compare_all(captures_dir, "tasmota-rfbridge", partial(compare_bridge, gap_s=gap_s), 2)
