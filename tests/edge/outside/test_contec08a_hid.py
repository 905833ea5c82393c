"""The recorded Contec 08A reports from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import Item, Seen, SerialDriver, Vital, find_drivers

pytestmark = pytest.mark.captures

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)


def decode(recording: Path) -> list[list[Item]]:
    """What each line gives."""
    driver = find_drivers()["contec08a-hid"]
    assert isinstance(driver, SerialDriver)
    session = driver.open_session(driver.decode_options, "port")
    return [
        list(session.receive(bytes.fromhex(line), START.later(number)))
        for number, line in enumerate(recording.read_text(encoding="ascii").split())
    ]


def test_every_recording(captures_dir: Path) -> None:
    paths = sorted((captures_dir / "contec08a-hid").glob("*.expected.json"))
    assert len(paths) >= 2
    for path in paths:
        expected = json.loads(path.read_text(encoding="utf-8"))["expected"]
        lines = decode(path.with_name(path.name.removesuffix(".expected.json")))
        if "roles" in expected:
            told = [[Seen("contec08a:port")] if role.startswith("device") else [] for role in expected["roles"]]
            assert lines == told, path.name
            continue
        found = []
        for (item,) in lines:
            assert isinstance(item, Vital)
            values = dict(item.values)
            values["pulse"], values["map"] = values.pop("heart_rate"), values.pop("mean_arterial_pressure")
            found.append({"time": item.device_time[:-3], **values})
        assert found == expected, path.name
