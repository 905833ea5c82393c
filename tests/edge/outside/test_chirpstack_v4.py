"""Recorded ChirpStack messages from outside, against every value that their `*.expected.json` knows."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from edge.outside.recordings import START, Recording, compare_all, only, refusals, series
from edge.outside.table import Row
from hearthline_edge.devices import MqttMessage, Press, Seen
from hearthline_edge.devices.chirpstack_v4 import DRIVER

pytestmark = pytest.mark.captures


def compare(recording: Recording, row: Row) -> None:
    known, told = recording.expected, recording.told(0.15)
    only(known, "not_an_alarm", "fPort", "button", "devEui", "fCnt", "data_hex", "rssi", "snr")
    presses = [f"{press.button} press" for press in recording.presses(told)]
    row.same(presses, [known["button"]] if "button" in known else [], "presses")
    assert (refusals(told), series(told)) == ([], [])
    if "button" in known:
        assert DRIVER.wrap is not None
        (line,) = recording.lines()
        wrapped = json.loads(DRIVER.wrap(bytes.fromhex(line)).payload)
        row.same((wrapped["fPort"], base64.b64decode(wrapped["data"]).hex()), (known["fPort"], line), "frame")
    else:
        device = f"lorawan:{json.loads(recording.lines()[0])['topic'].split('/')[3]}"
        row.same([item for item, *_ in told], [Seen(device)], "sign of life")
    if "devEui" in known:
        compare_uplink(recording, row)


def compare_uplink(recording: Recording, row: Row) -> None:
    """Its omitted zeros, and the values that only a press shows: on the same uplink with a press in it."""
    known = recording.expected
    message = json.loads(recording.lines()[0])
    uplink = json.loads(message["payload"])
    data = base64.b64decode(uplink["data"]).hex()
    row.same((uplink["fPort"], data), (known["fPort"], known["data_hex"]), "frame")
    pressed = json.dumps({**uplink, "fPort": 85, "data": base64.b64encode(b"\xff\x2e\x01").decode()})
    (press,) = DRIVER.open_session({}).receive(MqttMessage(message["topic"], pressed.encode(), False), START)
    assert isinstance(press, Press)
    facts = dict(press.facts)
    row.same(
        (press.device, facts["frame"], facts["rssi_dbm"], facts["snr_db"]),
        (f"lorawan:{known['devEui']}", known["fCnt"], known["rssi"], known["snr"]),
        "uplink",
    )


def test_every_recording(captures_dir: Path) -> None:
    compare_all(captures_dir, "chirpstack-v4", compare, 3)
