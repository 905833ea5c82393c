"""The recorded memory of a Visomat from outside, against every value that its `*.expected.json` knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import SerialDriver, Vital, find_drivers

pytestmark = pytest.mark.captures

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)


def test_every_record(captures_dir: Path) -> None:
    paths = sorted((captures_dir / "visomat-jpi").glob("*.expected.json"))
    assert paths
    driver = find_drivers()["visomat-jpi"]
    assert isinstance(driver, SerialDriver)
    for path in paths:
        expected = json.loads(path.read_text(encoding="utf-8"))["expected"]["records"]
        payload = path.with_name(path.name.removesuffix(".expected.json")).read_bytes().strip()
        for line in (payload, b"\x02" + payload + b"\x03"):
            session = driver.open_session(driver.decode_options, "port")
            found = []
            for item in [*session.receive(line, START), *session.receive(b"", START.later(2))]:
                assert isinstance(item, Vital), item
                values, digits = dict(item.values), "".join(letter for letter in item.device_time if letter.isdigit())
                found.append(
                    {
                        "user": item.user,
                        "raw_clock": digits[2:-2],
                        "flag": str(dict(item.facts)["flag"]),
                        "systolic": values["systolic"],
                        "diastolic": values["diastolic"],
                        "pulse": values["heart_rate"],
                    }
                )
            assert found == expected, path.name
