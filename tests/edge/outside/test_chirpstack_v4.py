"""Recorded ChirpStack messages from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from edge.outside.replayed import found, recordings
from hearthline.clock import NS, Stamp
from hearthline_edge.devices import MqttMessage, Press, Seen
from hearthline_edge.devices.chirpstack_v4 import DRIVER

pytestmark = pytest.mark.captures

NOW = Stamp(NS, NS, "boot", True)


def message(recording: Path) -> tuple[str, dict[str, Any]]:
    (line,) = recording.read_text(encoding="utf-8").splitlines()
    told = json.loads(line)
    return told["topic"], json.loads(told["payload"])


def test_recordings(captures_dir: Path) -> None:
    checked = []
    for name, recording, expected in recordings(captures_dir / "chirpstack-v4", 3):
        items = found("chirpstack-v4", recording)
        presses = [item.button for item in items if item.event == "press"]
        if "button" in expected:
            assert [f"{button} press" for button in presses] == [expected["button"]], name
            wrapped = DRIVER.wrap(bytes.fromhex(recording.read_text("ascii"))) if DRIVER.wrap else None
            assert wrapped is not None
            assert json.loads(wrapped.payload)["fPort"] == expected["fPort"]
        else:
            assert items == [], name
        checked.append(name)
    assert len(checked) == 3


def test_the_uplink(captures_dir: Path) -> None:
    """Its device and its omitted zeros; the values that only a press shows, on the same uplink with a press in it."""
    recording = captures_dir / "chirpstack-v4" / "up.jsonl"
    expected = json.loads(recording.with_name("up.jsonl.expected.json").read_text(encoding="utf-8"))["expected"]
    topic, uplink = message(recording)
    device = f"lorawan:{expected['devEui']}"
    assert (uplink["fPort"], base64.b64decode(uplink["data"]).hex()) == (expected["fPort"], expected["data_hex"])
    session = DRIVER.open_session({})
    assert list(session.receive(MqttMessage(topic, json.dumps(uplink).encode(), False), NOW)) == [Seen(device)]
    pressed = {**uplink, "fPort": 85, "data": base64.b64encode(b"\xff\x2e\x01").decode()}
    (press,) = session.receive(MqttMessage(topic, json.dumps(pressed).encode(), False), NOW)
    assert isinstance(press, Press)
    facts = dict(press.facts)
    assert (press.device, facts["frame"], facts["rssi_dbm"], facts["snr_db"]) == (
        device,
        expected["fCnt"],
        expected["rssi"],
        expected["snr"],
    )
