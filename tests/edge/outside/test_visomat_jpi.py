"""The recorded memory of a Visomat from outside, against every value that its `*.expected.json` knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.outside.recordings import START, Recording, compare_all, only, recordings
from edge.outside.table import Row
from hearthline_edge.devices import SerialDriver, Vital

pytestmark = pytest.mark.captures


def compare(recording: Recording, row: Row) -> None:
    only(recording.expected, "records")
    found = []
    for item, *_ in recording.told():
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
    row.frames = len(recording.expected["records"])
    row.same(found, recording.expected["records"], "records")


def test_every_recording(captures_dir: Path) -> None:
    compare_all(captures_dir, "visomat-jpi", compare, 1)


def test_the_same_between_stx_and_etx(captures_dir: Path) -> None:
    """The recording shows the payload alone."""
    for recording in recordings(captures_dir / "visomat-jpi"):
        assert isinstance(recording.driver, SerialDriver)
        session = recording.driver.open_session(recording.driver.decode_options, "port")
        framed = b"\x02" + recording.path.read_bytes().strip() + b"\x03"
        assert list(session.receive(framed, START)) == [item for item, *_ in recording.told()]
