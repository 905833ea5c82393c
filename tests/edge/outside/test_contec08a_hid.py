"""The recorded Contec 08A reports from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.outside.recordings import Recording, compare_all, only
from edge.outside.table import Row
from hearthline_edge.devices import Seen, Vital

pytestmark = pytest.mark.captures


def compare(recording: Recording, row: Row) -> None:
    known, told = recording.expected, recording.told()
    if isinstance(known, dict):
        only(known, "roles")
        alive = [number for number, role in enumerate(known["roles"]) if role.startswith("device")]
        row.same([(one.line, one.item) for one in told], [(line, Seen("contec08a:port")) for line in alive], "roles")
        return
    found = []
    for item, *_ in told:
        assert isinstance(item, Vital)
        values = dict(item.values)
        values["pulse"], values["map"] = values.pop("heart_rate"), values.pop("mean_arterial_pressure")
        found.append({"time": item.device_time[:-3], **values})
    row.same(found, known, "records")


def test_every_recording(captures_dir: Path) -> None:
    compare_all(captures_dir, "contec08a-hid", compare, 2)
