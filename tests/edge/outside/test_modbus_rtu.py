"""Modbus RTU recorded by others, against every value that their `*.expected.json` know."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from edge.outside.recordings import LINE_NOISE, START, Recording, compare_all, only
from edge.outside.table import Row
from hearthline_edge.devices import Item, Readings, Refused, Seen
from hearthline_edge.devices.modbus_frames import SHAPE, Reply, Request, parse
from hearthline_edge.framing import FrameDecoder

pytestmark = pytest.mark.captures

LISTENED = {  # what each recording's replies are: readings of (quantity, unit), seen, or refused
    "chint_ddsu666_voltage.hex": [("voltage", "V")],
    "eastron_manual_voltage.hex": [("voltage", "V")],
    "leading_ff_glitch.hex": ["seen"],  # no request was recorded
    "long_reply_84_bytes.hex": ["refused"],
    "sdm230_bus_part1.hex": ["seen", ("energy_import", "kWh"), ("energy_import", "kWh")],
}
WHY_NOT = {
    "leading_ff_glitch.hex": "no request was recorded, so nobody knows which registers these are",
    "long_reply_84_bytes.hex": "a temperature controller's registers: refused, as beyond what an SDM630 may say",
    "sdm230_bus_part1.hex": "register 0x000B by function 03 is in no known map: alive, no reading",
}


def frames(recording: Recording) -> list[Request | Reply]:
    decoder, found = FrameDecoder(SHAPE), list[Request | Reply]()
    for line in recording.lines():
        for one in decoder.feed(bytes.fromhex(line), START):
            parsed = parse(one) if isinstance(one, bytes) else None
            found += [parsed] if isinstance(parsed, Request | Reply) else []
    return found


def registers(reply: Reply) -> list[int]:
    return [word for (word,) in struct.iter_unpack(">H", reply.data)]


def rounded(values: list[float]) -> list[Any]:
    """The figures of expected.json are rounded ones of 32-bit floats."""
    return [pytest.approx(value, rel=1e-7) for value in values]


def words(one: Request | Reply) -> dict[str, Any]:
    """A frame in the words of its expected.json."""
    if isinstance(one, Request):
        return {"unit": one.unit, "fc": one.function, "kind": "request", "start": one.register, "count": one.count}
    return {"unit": one.unit, "fc": one.function, "kind": "response", "registers": registers(one)}


def compare_frame(one: Request | Reply, frame: dict[str, Any], row: Row) -> None:
    only(frame, "hex", "unit", "fc", "crc_ok", "kind", "start", "count", "registers", "float32_be")
    assert frame["crc_ok"]
    known = {key: frame[key] for key in frame if key not in ("hex", "crc_ok", "float32_be")}
    if "start" in known:
        known["start"] = int(known["start"], 16)
    row.same(words(one), known, frame["hex"])
    if "float32_be" in frame:
        assert isinstance(one, Reply)
        row.same(rounded([value for (value,) in struct.iter_unpack(">f", one.data)]), frame["float32_be"], "floats")


def compare(recording: Recording, row: Row) -> None:
    known, found = recording.expected, frames(recording)
    only(known, "frames", "frames_found", "registers", "volts")
    row.frames = len(found)
    if "frames_found" in known:
        row.same([len(registers(one)) for one in found if isinstance(one, Reply)], [known["registers"]], "registers")
    else:
        assert len(found) == len(known["frames"])
        for one, frame in zip(found, known["frames"], strict=True):
            compare_frame(one, frame, row)
    compare_readings(recording, row)


def compare_readings(recording: Recording, row: Row) -> None:
    """Replies become readings by the request before them."""
    items = [one.item for one in recording.told()]
    items = [item for item in items if not (isinstance(item, Refused) and item.reason in LINE_NOISE)]
    assert [_kind(item) for item in items] == LISTENED[recording.name]
    readings = [reading for item in items if isinstance(item, Readings) for reading in item.readings]
    row.same(rounded([reading.value for reading in readings]), _known_values(recording.expected), "readings")
    assert {reading.device for reading in readings} <= {"modbus:port:1"}
    if recording.name in WHY_NOT:
        row.leave_out(WHY_NOT[recording.name], sum(isinstance(item, Refused | Seen) for item in items))


def _kind(item: Item) -> object:
    match item:
        case Readings(readings=(reading,)):
            return (reading.quantity, reading.unit)
        case Seen():
            return "seen"
        case Refused(reason="sanity"):
            return "refused"
    return item


def _known_values(expected: dict[str, Any]) -> list[float]:
    """The values of the replies that hold one; `volts` where the source says what it is."""
    singles = [frame["float32_be"] for frame in expected.get("frames", []) if len(frame.get("float32_be", [])) == 1]
    assert "volts" not in expected or singles == [[expected["volts"]]]
    return [value for (value,) in singles]


def test_every_recording(captures_dir: Path) -> None:
    compare_all(captures_dir, "modbus-rtu", compare, 5)
