"""Modbus RTU recorded by others, against every value that their `*.expected.json` know."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import Item, Readings, Refused, Seen, SerialDriver, find_drivers
from hearthline_edge.devices.modbus_frames import SHAPE, Reply, Request, parse
from hearthline_edge.framing import FrameDecoder

pytestmark = pytest.mark.captures

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
FILES = 5
LISTENED = {  # what each recording's replies are: readings of (quantity, unit), seen, or refused
    "chint_ddsu666_voltage.hex": [("voltage", "V")],
    "eastron_manual_voltage.hex": [("voltage", "V")],
    "leading_ff_glitch.hex": ["seen"],  # no request was recorded
    "long_reply_84_bytes.hex": ["refused"],  # another kind of device: its values are beyond what an SDM630 may say
    "sdm230_bus_part1.hex": ["seen", ("energy_import", "kWh"), ("energy_import", "kWh")],
}


def recordings(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    found = sorted(folder.glob("*.expected.json"))
    assert len(found) >= FILES, folder
    return [
        (path.with_name(path.name.removesuffix(".expected.json")), json.loads(path.read_text("utf-8"))["expected"])
        for path in found
    ]


def decode(recording: Path) -> list[Item]:
    driver = find_drivers()["modbus-rtu"]
    assert isinstance(driver, SerialDriver)
    session, now, items = driver.open_session(driver.decode_options, "port"), START, list[Item]()
    for line in recording.read_text("ascii").split():
        for chunk, after_s in ((bytes.fromhex(line), 0), (b"", 1), (b"", 2)):
            items += session.receive(chunk, now.later(after_s))
        now = now.later(3)
    return items


def frames(recording: Path) -> list[Request | Reply]:
    decoder, found = FrameDecoder(SHAPE), list[Request | Reply]()
    for line in recording.read_text("ascii").split():
        for one in decoder.feed(bytes.fromhex(line), START):
            parsed = parse(one) if isinstance(one, bytes) else None
            found += [parsed] if isinstance(parsed, Request | Reply) else []
    return found


def registers(reply: Reply) -> list[int]:
    return [word for (word,) in struct.iter_unpack(">H", reply.data)]


def test_every_frame_is_found_with_every_value(captures_dir: Path) -> None:
    for recording, expected in recordings(captures_dir / "modbus-rtu"):
        found = frames(recording)
        if isinstance(expected.get("registers"), int):
            assert [len(registers(one)) for one in found if isinstance(one, Reply)] == [expected["registers"]]
            continue
        assert len(found) == len(expected["frames"]), recording.name
        for one, frame in zip(found, expected["frames"], strict=True):
            assert (one.unit, one.function) == (frame["unit"], frame["fc"])
            if isinstance(one, Request):
                assert frame["kind"] == "request"
                assert (one.register, one.count) == (int(frame["start"], 16), frame["count"])
            else:
                assert registers(one) == frame["registers"]
                floats = [value for (value,) in struct.iter_unpack(">f", one.data)] if "float32_be" in frame else []
                assert floats == pytest.approx(frame.get("float32_be", []), rel=1e-6)


def test_replies_become_readings_by_the_request_before_them(captures_dir: Path) -> None:
    for recording, expected in recordings(captures_dir / "modbus-rtu"):
        noise = ("noise", "checksum")
        items = [item for item in decode(recording) if not (isinstance(item, Refused) and item.reason in noise)]
        told = [_told(item) for item in items]
        assert told == LISTENED[recording.name], recording.name
        readings = [reading for item in items if isinstance(item, Readings) for reading in item.readings]
        assert [reading.value for reading in readings] == pytest.approx(_known_values(expected), rel=1e-7)
        assert {reading.device for reading in readings} <= {"modbus:port:1"}


def _told(item: Item) -> object:
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
