"""P1 telegrams recorded by others, against every number that their `*.expected.json` know, and dsmr-parser itself."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from dsmr_parser import telegram_specifications as specifications
from dsmr_parser.parsers import TelegramParser

from edge.outside.recordings import START, Recording, compare_all, only, recordings
from edge.outside.table import Row
from hearthline_edge.devices import Item, Readings, Refused, SerialDriver, find_drivers
from hearthline_edge.devices.dsmr_p1 import SHAPE
from hearthline_edge.framing import FrameDecoder

pytestmark = pytest.mark.captures

SPECIFICATIONS = {
    "telegram_esy5q3da1004_v304.txt": specifications.Q3D,
    "telegram_fluvius_v171.txt": specifications.BELGIUM_FLUVIUS,
    "telegram_iskra_ie.txt": specifications.ISKRA_IE,
    "telegram_v2_2.txt": specifications.V2_2,
    "telegram_v4_2.txt": specifications.V4,
    "telegram_v5.txt": specifications.V5,
}
NUMBERS = {  # the meter's own number
    "telegram_esy5q3da1004_v304.txt": "1ESY1336001560",
    "telegram_fluvius_v171.txt": "1SAG3101021605",
    "telegram_iskra_ie.txt": "09610",
    "telegram_v2_2.txt": "port",  # its number is zeros
    "telegram_v4_2.txt": "3960221976967177082151037881335713",
    "telegram_v5.txt": "K8EG004046395507",
}
PHASES = {0: "", 20: ":A", 40: ":B", 60: ":C"}
TOTALS = {
    "1.8.0": "energy_import",
    "1.8.1": "energy_import_t1",
    "1.8.2": "energy_import_t2",
    "2.8.1": "energy_export_t1",
    "2.8.2": "energy_export_t2",
    "1.4.0": "power_demand",
    "17.0.0": "power_limit",
}
BY_PHASE = {"1.7": "power", "2.7": "power_export", "11.7": "current", "11.4": "current_limit", "12.7": "voltage"}
UNITS = {"kWh": ("kWh", 1), "kW": ("W", 1000), "W": ("W", 1), "V": ("V", 1), "A": ("A", 1)}

# dsmr_parser's names -> (place behind the meter's number, quantity); what has no number or only a name is LEFT_OUT
PARSER_NAMES = {
    "ELECTRICITY_USED_TARIFF_1": ("", "energy_import_t1"),
    "ELECTRICITY_USED_TARIFF_2": ("", "energy_import_t2"),
    "ELECTRICITY_DELIVERED_TARIFF_1": ("", "energy_export_t1"),
    "ELECTRICITY_DELIVERED_TARIFF_2": ("", "energy_export_t2"),
    "CURRENT_ELECTRICITY_USAGE": ("", "power"),
    "CURRENT_ELECTRICITY_DELIVERY": ("", "power_export"),
    "SHORT_POWER_FAILURE_COUNT": ("", "power_failures"),
    "LONG_POWER_FAILURE_COUNT": ("", "long_power_failures"),
    "BELGIUM_CURRENT_AVERAGE_DEMAND": ("", "power_demand"),
    "BELGIUM_MAXIMUM_DEMAND_MONTH": ("", "power_demand_max"),
    "ACTUAL_TRESHOLD_ELECTRICITY": ("", "power_limit"),
    "FUSE_THRESHOLD_L1": (":A", "current_limit"),
}
for _number, _place in (("1", ":A"), ("2", ":B"), ("3", ":C")):
    PARSER_NAMES |= {
        f"INSTANTANEOUS_ACTIVE_POWER_L{_number}_POSITIVE": (_place, "power"),
        f"INSTANTANEOUS_ACTIVE_POWER_L{_number}_NEGATIVE": (_place, "power_export"),
        f"INSTANTANEOUS_VOLTAGE_L{_number}": (_place, "voltage"),
        f"INSTANTANEOUS_CURRENT_L{_number}": (_place, "current"),
        f"VOLTAGE_SAG_L{_number}_COUNT": (_place, "voltage_sags"),
        f"VOLTAGE_SWELL_L{_number}_COUNT": (_place, "voltage_swells"),
    }
LEFT_OUT = {  # known and left out, because …
    "P1_MESSAGE_HEADER": "it is the version of the telegram",
    "P1_MESSAGE_TIMESTAMP": "it is the meter's clock",
    "BELGIUM_VERSION_INFORMATION": "it is the version of the telegram",
    "EQUIPMENT_IDENTIFIER": "it is the device's name, checked as such",
    "BELGIUM_EQUIPMENT_IDENTIFIER": "it is the device's name, checked as such",
    "EQUIPMENT_IDENTIFIER_GAS": "it is the device's name, checked as such",
    "ELECTRICITY_ACTIVE_TARIFF": "it says which tariff counts now",
    "ACTUAL_SWITCH_POSITION": "it is the position of a breaker",
    "POWER_EVENT_FAILURE_LOG": "it is a list of past failures; their count is read",
    "BELGIUM_MAXIMUM_DEMAND_13_MONTHS": "it is a list of past months; the running one is read",
    "TEXT_MESSAGE": "it is a text of the grid operator",
    "TEXT_MESSAGE_CODE": "it is a text of the grid operator",
    "MBUS_DEVICES": "they are checked one by one",
}
CHANNELS = {  # recording -> what hangs at its M-Bus channels
    "telegram_fluvius_v171.txt": {
        ("dsmr:7FLO2119033733", "gas_volume", "m3"): 112.384,
        ("dsmr:8SAG1234567890", "water_volume", "m3"): 872.234,
    },
    "telegram_v2_2.txt": {("dsmr:port:1", "gas_volume", "m3"): 1.001},
    "telegram_v4_2.txt": {("dsmr:4819243993373755377509728609491464", "gas_volume", "m3"): 981.443},
    "telegram_v5.txt": {("dsmr:2222ABCD123456789", "gas_volume", "m3"): 0.107},
}
READINGS_OF = ("MBUS_METER_READING", "HOURLY_GAS_METER_READING", "GAS_METER_READING")

Series = dict[tuple[str, str, str], float]


def decode(stream: bytes) -> list[Item]:
    driver = find_drivers()["dsmr-p1"]
    assert isinstance(driver, SerialDriver)
    session = driver.open_session(driver.decode_options, "port")
    return [
        item
        for chunk, at_s in ((stream, 0), (b"", 20), (b"", 40))
        for item in session.receive(chunk, START.later(at_s))
    ]


def series(items: list[Item]) -> Series:
    """The one telegram's readings; a series that is there twice fails."""
    (item,) = items
    assert isinstance(item, Readings)
    found = {(r.device, r.quantity, r.unit): r.value for r in item.readings}
    assert len(found) == len(item.readings), "two values of one series"
    return found


def expected_series(name: str, codes: dict[str, list[Any]]) -> Series:
    """Every number that expected.json read from the text, by our own reading of the code."""
    found: Series = {}
    for code, (number, unit) in codes.items():
        c, d, _ = code.split(":")[1].split(".")
        our_unit, factor = UNITS[unit]
        place, quantity = "", TOTALS.get(code.split(":")[1])
        if quantity is None:
            offset = int(c) // 20 * 20
            place, quantity = PHASES[offset], BY_PHASE[f"{int(c) - offset}.{d}"]
        value = float(Decimal(str(number)) * factor)
        found[f"dsmr:{NUMBERS[name]}{place}", quantity, our_unit] = value
    assert len(found) == len(codes)
    return found


def by_parser(name: str, known: dict[str, Any], row: Row) -> Series:
    """What dsmr_parser made of it, in our words."""
    found = dict(CHANNELS.get(name, {}))
    for key, entry in known.items():
        if key in PARSER_NAMES:
            place, quantity = PARSER_NAMES[key]
            unit, factor = UNITS.get(entry["unit"], ("count", 1))
            found[f"dsmr:{NUMBERS[name]}{place}", quantity, unit] = float(Decimal(str(entry["value"])) * factor)
        else:
            assert key in LEFT_OUT, f"{name}: {key} is neither read nor said to be left out"
            row.leave_out(LEFT_OUT[key])
    told = [one[key]["value"] for one in known.get("MBUS_DEVICES", []) for key in READINGS_OF if key in one]
    assert sorted(told) == sorted(CHANNELS.get(name, {}).values())
    return found


def compare(recording: Recording, row: Row) -> None:
    known, name = recording.expected, recording.name
    only(known, "crc_present", "crc16_arc_computed", "crc_ok", "obis_numeric", "dsmr_parser_1_11_2")
    (frame,) = (one for one in FrameDecoder(SHAPE).feed(recording.path.read_bytes(), START) if isinstance(one, bytes))
    row.same(frame.partition(b"!")[2].strip().decode("ascii"), known["crc_present"] or "", "CRC")
    assert known.get("crc16_arc_computed") == known["crc_present"]
    assert known.get("crc_ok", True)
    found = series([item for item, *_ in recording.told()])
    numbers = expected_series(name, known["obis_numeric"])
    parsed = by_parser(name, known["dsmr_parser_1_11_2"], row)
    row.same({key: found.get(key) for key in numbers}, numbers, "numbers of the text")
    row.same({key: found.get(key) for key in parsed}, parsed, "values of dsmr_parser")
    assert set(found) == set(numbers) | set(parsed), "values beside"


def test_every_recording(captures_dir: Path) -> None:
    compare_all(captures_dir, "dsmr-p1", compare, 6)


def test_the_parser_itself_agrees(captures_dir: Path) -> None:
    """The library as it is installed, not as it was when the expectations were written."""
    for recording in recordings(captures_dir / "dsmr-p1"):
        text = recording.path.read_bytes().decode("ascii")
        found = series([item for item, *_ in recording.told()])
        telegram = TelegramParser(SPECIFICATIONS[recording.name]).parse(text)
        compared = 0
        for key, (place, quantity) in PARSER_NAMES.items():
            entry = getattr(telegram, key, None)
            if entry is not None:
                unit, factor = UNITS.get(entry.unit, ("count", 1))
                value = float(Decimal(str(entry.value)) * factor)
                assert found[f"dsmr:{NUMBERS[recording.name]}{place}", quantity, unit] == value, (recording.name, key)
                compared += 1
        assert compared >= 4, recording.name


def test_no_value_of_a_changed_telegram_that_has_a_check(captures_dir: Path) -> None:
    """Each digit of each checked telegram changed in turn: nothing of it comes out."""
    changed = 0
    for recording in recordings(captures_dir / "dsmr-p1"):
        stream = recording.path.read_bytes()
        if recording.expected["crc_present"] is None:
            continue
        for at in range(stream.index(b"/") + 5, stream.index(b"!")):
            if chr(stream[at]).isdigit():
                broken = stream[:at] + bytes((stream[at] ^ 1,)) + stream[at + 1 :]
                items = decode(broken)
                assert all(isinstance(item, Refused) for item in items), (recording.name, at)
                changed += 1
    assert changed > 1000
