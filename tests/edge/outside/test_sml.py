"""SML dumps of 19 meters, against every value that their `*.expected.json` know, and pysml on every single frame."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sml import SmlBase

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import Item, Readings, Refused, SerialDriver, find_drivers
from hearthline_edge.devices.sml import SHAPE
from hearthline_edge.framing import Doubt, FrameDecoder

pytestmark = pytest.mark.captures

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
FILES = 19
FRAMES = 104  # that hold, in all files
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

Series = dict[tuple[str, str, str], float]


def recordings(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    found = sorted(folder.glob("*.expected.json"))
    assert len(found) == FILES, folder
    return [
        (path.with_name(path.name.removesuffix(".expected.json")), json.loads(path.read_text("utf-8"))["expected"])
        for path in found
    ]


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


def expect(values: Iterable[tuple[str, Any, int | str | None]], left_out: Counter[str]) -> Series:
    """What a frame should give, by (code, value, unit) of another decoder."""
    found: Series = {}
    for code, value, unit in values:
        if code in LEFT_OUT:
            left_out[code] += 1
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


def test_the_first_and_the_last_frame_of_every_meter(captures_dir: Path) -> None:
    left_out, compared = Counter[str](), 0
    for recording, expected in recordings(captures_dir / "sml"):
        readings = [item for item in decode(recording.read_bytes()) if isinstance(item, Readings)]
        assert len(readings) == expected["frames_crc_x25_ok"], recording.name
        for which, item in (("first", readings[0]), ("last", readings[-1])):
            known = expected[f"{which}_frame"]
            if isinstance(known, list):
                wanted = expect(((code_of(name), value, unit) for name, value, unit in known), left_out)
            else:  # smllib failed on this meter; pysml did not
                parsed = expected["pysml_0_1_9"][which]
                wanted = expect(((text_code(name), *value) for name, value in parsed.items()), left_out)
            assert series(item) == wanted, (recording.name, which)
            compared += len(wanted)
    assert compared == 154
    assert set(left_out) == set(LEFT_OUT), "what is said to be left out is there, and nothing else"


def text_code(name: str) -> str:
    """1-0:1.8.0*255 -> 1.8.0"""
    assert name.startswith("1-0:")
    return name.removeprefix("1-0:").partition("*")[0]


def test_the_checks_are_counted_as_they_are_known(captures_dir: Path) -> None:
    held = 0
    for recording, expected in recordings(captures_dir / "sml"):
        stream = recording.read_bytes()
        verdicts = [SHAPE.judge(stream, at) for at in range(len(stream)) if stream.startswith(BEGIN, at)]
        assert sum(isinstance(verdict, int) for verdict in verdicts) == expected["frames_crc_x25_ok"], recording.name
        assert verdicts.count(Doubt.BAD_CHECK) == expected["frames_crc_bad"], recording.name
        assert len(frames(stream)) == expected["frames_crc_x25_ok"], recording.name
        items = decode(stream)
        bad = sum(isinstance(item, Refused) and item.reason == "checksum" for item in items)
        assert bad == expected["frames_crc_bad"], recording.name
        assert not any(isinstance(item, Refused) and item.reason in ("sanity", "unsupported") for item in items)
        held += len(frames(stream))
    assert held == FRAMES


def test_every_frame_as_pysml_reads_it(captures_dir: Path) -> None:
    left_out, guessed = Counter[str](), 0
    for recording, _ in recordings(captures_dir / "sml"):
        for frame in frames(recording.read_bytes()):
            (item,) = decode(frame)
            consumed, parsed = SmlBase.parse_frame(frame)
            assert consumed == len(frame)
            lists = [message["messageBody"] for message in parsed if "valList" in message["messageBody"]]
            entries = [entry for values in lists for entry in values["valList"] if "value" in entry]
            known = [(entry["objName"], entry["value"], entry.get("unit")) for entry in entries]
            numbers = [
                (text_code(name), round(value, 6), unit)
                for name, value, unit in known
                if isinstance(value, int | float) and isinstance(name, str) and name.startswith("1-0:")
            ]
            found, wanted = series(item), expect(numbers, left_out)
            if found != wanted:
                assert found.pop(("", "power", "W")) == DZG_SIGN
                assert wanted.pop(("", "power", "W")) == 356.24
                guessed += 1
            assert found == wanted, recording.name
    assert guessed == 1
    assert set(left_out) <= set(LEFT_OUT)


def test_no_value_of_a_frame_with_a_changed_byte(captures_dir: Path) -> None:
    """Each byte of one frame of each meter changed in turn: nothing of it comes out."""
    for recording, _ in recordings(captures_dir / "sml"):
        frame = frames(recording.read_bytes())[0]
        for at in range(len(frame)):
            broken = frame[:at] + bytes((frame[at] ^ 0x10,)) + frame[at + 1 :]
            assert all(isinstance(item, Refused) for item in decode(broken)), (recording.name, at)
