"""SML dumps of 19 meters, against every value that their `*.expected.json` know, and pysml on every single frame."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sml import SmlBase

from edge.outside import table
from edge.outside.recordings import START, Recording, compare_all, only, recordings, refusals
from edge.outside.table import Row
from hearthline_edge.devices import Item, Readings, Refused, SerialDriver, find_drivers
from hearthline_edge.devices.sml import SHAPE
from hearthline_edge.framing import Doubt, FrameDecoder
from trials import LONG

pytestmark = pytest.mark.captures

FRAMES = 104  # that hold, in all files
KEYS = ("bytes", "frames_crc_x25_ok", "frames_crc_bad", "smllib_frames", "smllib_errors", "first_frame", "last_frame")
BEGIN = bytes.fromhex("1b1b1b1b01010101")

QUANTITIES = {  # code -> (place, quantity)
    "1.8.0": ("", "energy_import"),
    "1.8.1": ("", "energy_import_t1"),
    "1.8.2": ("", "energy_import_t2"),
    "2.8.0": ("", "energy_export"),
    "2.8.1": ("", "energy_export_t1"),
    "2.8.2": ("", "energy_export_t2"),
    "1.7.1": ("", "power"),
    "15.7.0": ("", "power"),
    "16.7.0": ("", "power"),
    "36.7.0": (":A", "power"),
    "56.7.0": (":B", "power"),
    "76.7.0": (":C", "power"),
    "32.7.0": (":A", "voltage"),
    "52.7.0": (":B", "voltage"),
    "72.7.0": (":C", "voltage"),
    "31.7.0": (":A", "current"),
    "51.7.0": (":B", "current"),
    "71.7.0": (":C", "current"),
    "14.7.0": ("", "frequency"),
    "81.7.1": (":A-B", "phase_angle"),
    "81.7.2": (":A-C", "phase_angle"),
    "81.7.4": (":A", "phase_angle"),
    "81.7.15": (":B", "phase_angle"),
    "81.7.26": (":C", "phase_angle"),
}
UNITS: dict[int | str, tuple[str, Decimal]] = {  # their unit -> (ours, what one of theirs is)
    27: ("W", Decimal(1)),
    30: ("kWh", Decimal("0.001")),
    33: ("A", Decimal(1)),
    35: ("V", Decimal(1)),
    44: ("Hz", Decimal(1)),
    8: ("deg", Decimal(1)),
}
UNITS |= dict(zip(("W", "Wh", "A", "V", "Hz", "°"), UNITS.values(), strict=True))
LEFT_OUT = {  # known and left out, because …
    "0.0.0": "it is the meter's number as text",
    "0.0.9": "it is the meter's number, which names the device",
    "96.1.0": "it is the meter's number, which names the device",
    "96.50.1": "it is the maker's name",
    "0.2.0": "it is the version of the firmware",
    "96.90.2": "it is the check of the firmware",
    "96.5.0": "it is the word of states",
    "96.50.2": "it is a number of the maker's own, without a unit",
}
DZG_SIGN = -299.12  # smllib and the meter; pysml guesses the 356.24 that was meant
DZG = "pysml guesses +356.24 W where the DZG meter and smllib say -299.12 W; ours says what the meter says"

Series = dict[tuple[str, str, str], float]


def decode(stream: bytes) -> list[Item]:
    driver = find_drivers()["sml"]
    assert isinstance(driver, SerialDriver)
    session = driver.open_session(driver.decode_options, "port")
    return [item for data, at_s in ((stream, 0), (b"", 5)) for item in session.receive(data, START.later(at_s))]


def frames(stream: bytes) -> list[bytes]:
    return [item for item in FrameDecoder(SHAPE).feed(stream, START) if isinstance(item, bytes)]


def series(item: Item) -> Series:
    """One frame's readings without the name of the device; a series that is there twice fails."""
    assert isinstance(item, Readings)
    base = min((reading.device for reading in item.readings), key=len)
    found = {(r.device.removeprefix(":".join(base.split(":")[:2])), r.quantity, r.unit): r.value for r in item.readings}
    assert len(found) == len(item.readings), "two values of one series"
    return found


def expect(values: Iterable[tuple[str, Any, int | str | None]], row: Row | None = None) -> Series:
    """What a frame should give, by (code, value, unit) of another decoder."""
    found: Series = {}
    for code, value, unit in values:
        if code in LEFT_OUT:
            if row is not None:
                row.leave_out(LEFT_OUT[code])
            continue
        assert unit is not None, code
        (place, quantity), (ours, factor) = QUANTITIES[code], UNITS[unit]
        assert (place, quantity, ours) not in found, code
        found[place, quantity, ours] = float(Decimal(str(value)) * factor)
    return found


def code_of(name: str) -> str:
    """0100010800ff -> 1.8.0; of another medium, channel or storage only what is left out."""
    octets = bytes.fromhex(name)
    code = ".".join(str(octet) for octet in octets[2:5])
    assert octets[:2] == b"\x01\x00"
    assert octets[5] == 0xFF or code in LEFT_OUT, name
    return code


def text_code(name: str) -> str:
    """1-0:1.8.0*255 -> 1.8.0"""
    assert name.startswith("1-0:")
    return name.removeprefix("1-0:").partition("*")[0]


def compare(recording: Recording, row: Row) -> None:
    known, told = recording.expected, recording.told()
    only(known, *KEYS, "pysml_0_1_9")
    stream = recording.path.read_bytes()
    verdicts = [SHAPE.judge(stream, at) for at in range(len(stream)) if stream.startswith(BEGIN, at)]
    readings = [item for item, *_ in told if isinstance(item, Readings)]
    row.frames = len(frames(stream))
    held, bad = (sum(isinstance(one, int) for one in verdicts), verdicts.count(Doubt.BAD_CHECK))
    row.same((held, bad), (known["frames_crc_x25_ok"], known["frames_crc_bad"]), "checks")
    row.same((len(readings), refusals(told).count("checksum")), (held, bad), "frames told and refused")
    assert not {"sanity", "unsupported"} & {*refusals(told)}
    for which, item in (("first", readings[0]), ("last", readings[-1])):
        listed = known[f"{which}_frame"]
        if isinstance(listed, list):
            wanted = expect(((code_of(name), value, unit) for name, value, unit in listed), row)
            row.same(series(item), wanted, f"{which} frame by smllib")
        else:
            assert listed.startswith("smllib error")  # pysml read it
        parsed = known["pysml_0_1_9"][which].items()
        same_but_sign(series(item), expect(((text_code(name), *value) for name, value in parsed), row), row)
    for item, frame in zip(readings, frames(stream), strict=True):
        same_but_sign(series(item), expect(read_by_pysml(frame)), Row(row.driver, row.file))


def same_but_sign(found: Series, wanted: Series, row: Row) -> None:
    if found != wanted and wanted.get(("", "power", "W")) == 356.24:
        wanted = wanted | {("", "power", "W"): DZG_SIGN}
        row.differ(DZG)
        row.agreed -= 1
    row.same(found, wanted, "frame by pysml")


def read_by_pysml(frame: bytes) -> list[tuple[str, float, int | str | None]]:
    """The numbers of a frame by the library as it is installed, not as it was when the expectations were written."""
    consumed, parsed = SmlBase.parse_frame(frame)
    assert consumed == len(frame)
    lists = [message["messageBody"] for message in parsed if "valList" in message["messageBody"]]
    known = [(e["objName"], e["value"], e.get("unit")) for values in lists for e in values["valList"] if "value" in e]
    return [
        (text_code(name), round(value, 6), unit)
        for name, value, unit in known
        if isinstance(value, int | float) and isinstance(name, str) and name.startswith("1-0:")
    ]


def test_every_recording(captures_dir: Path) -> None:
    compare_all(captures_dir, "sml", compare, 19)
    mine = [row for row in table.rows.values() if row.driver == "sml"]
    assert sum(row.frames for row in mine) >= FRAMES
    assert {why for row in mine for why in row.left_out} == {*LEFT_OUT.values()}, "said to be left out, and not there"


def test_no_value_of_a_frame_with_a_changed_byte(captures_dir: Path) -> None:
    """Each byte of one frame of each meter changed in turn (in the short form each fourth): nothing of it comes out."""
    for recording in recordings(captures_dir / "sml"):
        frame = frames(recording.path.read_bytes())[0]
        for at in range(0, len(frame), 1 if LONG else 4):
            broken = frame[:at] + bytes((frame[at] ^ 0x10,)) + frame[at + 1 :]
            assert all(isinstance(item, Refused) for item in decode(broken)), (recording.name, at)
