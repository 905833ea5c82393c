"""The readout recorded outside, against what its `*.expected.json` knows and every number in its text."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from edge.outside.recordings import START, Recording, compare_all, only, recordings
from edge.outside.table import Row
from hearthline_edge.devices import Item, Readings, SerialDriver, find_drivers

pytestmark = pytest.mark.captures

QUANTITIES = {
    "1.7.0": ("power", "W"),
    "2.7.0": ("power_export", "W"),
    "1.8.0": ("energy_import", "kWh"),
    "1.8.1": ("energy_import_t1", "kWh"),
    "1.8.2": ("energy_import_t2", "kWh"),
    "1.8.3": ("energy_import_t3", "kWh"),
    "1.8.4": ("energy_import_t4", "kWh"),
}
FACTORS = {"kWh": 1, "kW": 1000}
LEFT_OUT = {"0.9.1": "215658", "0.9.2": "210528"}  # the meter's own clock: data that goes no further


def decode(stream: bytes) -> list[Item]:
    driver = find_drivers()["iec62056-21"]
    assert isinstance(driver, SerialDriver)
    session = driver.open_session(driver.decode_options, "port")
    return [item for data, at_s in ((stream, 0), (b"", 2)) for item in session.receive(data, START.later(at_s))]


def compare(recording: Recording, row: Row) -> None:
    known, stream = recording.expected, recording.path.read_bytes()
    only(known, "ident", "baud_char", "1-0:1.8.0", "date", "time", "complete")
    assert f"/{known['ident']}".encode() in stream
    row.leave_out("the meter's name and its clock: data that goes no further", 4)
    lines = dict(re.findall(r"1-0:([0-9.]+)\((.+)\)", stream.decode("ascii")))
    assert {code: lines.pop(code) for code in LEFT_OUT} == LEFT_OUT
    assert (known["date"], known["time"]) == ("2021-05-28", "21:56:58")

    wanted = {}
    for code, text in lines.items():
        figure, unit = text.split("*")
        quantity, ours = QUANTITIES[code]
        wanted["iec62056:port", quantity, ours] = float(Decimal(figure) * FACTORS[unit])
    assert wanted["iec62056:port", "energy_import", "kWh"] == known["1-0:1.8.0"]

    (item,) = (one.item for one in recording.told())
    assert isinstance(item, Readings)
    row.same({(r.device, r.quantity, r.unit): r.value for r in item.readings}, wanted, "numbers of the text")
    assert len(item.readings) == len(wanted)


def test_every_recording(captures_dir: Path) -> None:
    compare_all(captures_dir, "iec62056-21", compare, 1)


def test_a_readout_that_is_cut_gives_no_half_of_a_value(captures_dir: Path) -> None:
    """Cut at every byte: each value that comes out is one of the whole readout, and from a line that is whole."""
    for recording in recordings(captures_dir / "iec62056-21"):
        stream = recording.path.read_bytes()
        (whole,) = decode(stream)
        assert isinstance(whole, Readings)
        for end in range(len(stream)):
            told = [reading for item in decode(stream[:end]) if isinstance(item, Readings) for reading in item.readings]
            assert len(told) <= stream[:end].count(b"*kW")
            assert set(told) <= set(whole.readings), end
