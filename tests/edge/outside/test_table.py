"""Every recording is in the table, each comparison fails on a mistake, and the command decodes every recording.

The names of the folders of recordings are the names that `--driver` takes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.outside import (
    table,
    test_chirpstack_v4,
    test_contec08a_hid,
    test_dlt645_2007,
    test_dsmr_p1,
    test_enocean_esp3,
    test_iec62056_21,
    test_mbus_wired,
    test_modbus_rtu,
    test_raycome_bp,
    test_rflink,
    test_rtl433_json,
    test_shelly_gen2,
    test_sml,
    test_tasmota,
    test_theengs_ble_json,
    test_visomat_jpi,
    test_zigbee2mqtt,
)
from edge.outside.recordings import EXPECTED, LINE_NOISE, Comparison, Recording, Told, compare_all, recordings
from edge.outside.table import Row
from hearthline.cli import run
from hearthline.model import VITAL_UNITS
from hearthline_edge.devices import HAZARDS, Change, DeviceNote, Press, Readings, Refused, SerialDriver, Vital
from trials import LONG

pytestmark = pytest.mark.captures

COMPARISONS: dict[str, Comparison] = {
    "chirpstack-v4": test_chirpstack_v4.compare,
    "contec08a-hid": test_contec08a_hid.compare,
    "dlt645-2007": test_dlt645_2007.compare,
    "dsmr-p1": test_dsmr_p1.compare,
    "enocean-esp3": test_enocean_esp3.compare,
    "iec62056-21": test_iec62056_21.compare,
    "mbus-wired": test_mbus_wired.compare,
    "modbus-rtu": test_modbus_rtu.compare,
    "raycome-bp": test_raycome_bp.compare,
    "rflink": test_rflink.compare,
    "rtl433-json": test_rtl433_json.compare,
    "shelly-gen2": test_shelly_gen2.compare,
    "sml": test_sml.compare,
    "tasmota-energy": test_tasmota.compare_meter,
    "tasmota-rfbridge": test_tasmota.compare_bridge,
    "theengs-ble-json": test_theengs_ble_json.compare,
    "visomat-jpi": test_visomat_jpi.compare,
    "zigbee2mqtt-plug": test_zigbee2mqtt.compare_plug,
    "zigbee2mqtt-sensors": test_zigbee2mqtt.compare_sensor,
    "zigbee2mqtt-sos": test_zigbee2mqtt.compare_button,
}
Spoil = Callable[[list[Told]], list[Told]]


def recorded(captures: Path) -> set[str]:
    """Every file that is a recording, as folder/name. A folder without a comparison fails."""
    files = {path.relative_to(captures).as_posix() for path in captures.glob("*/*")}
    files = {name for name in files if not name.endswith((EXPECTED, ".md"))}
    unknown = {name.partition("/")[0] for name in files} - set(COMPARISONS)
    assert not unknown, f"folders of recordings without a comparison: {sorted(unknown)}"
    return files


def test_every_recording_is_in_the_table(captures_dir: Path) -> None:
    for folder, comparison in COMPARISONS.items():
        if not any(name.startswith(f"{folder}/") for name in table.rows):  # its own test has not run
            compare_all(captures_dir, folder, comparison, 1)
    assert recorded(captures_dir) == set(table.rows)
    assert all(row.frames and row.agreed for row in table.rows.values())


def test_a_recording_without_a_comparison_fails(tmp_path: Path) -> None:
    (tmp_path / "new-family").mkdir()
    (tmp_path / "new-family" / "press.hex").write_text("00\n", encoding="ascii")
    with pytest.raises(AssertionError, match="new-family"):
        recorded(tmp_path)
    (tmp_path / "sml").mkdir()
    (tmp_path / "sml" / "new.bin").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"new\.bin\.expected\.json"):
        recordings(tmp_path / "sml")


# --- the comparisons themselves -------------------------------------------------------------------------------------


def without(at: int) -> Spoil:
    return lambda told: told[:at] + told[at + 1 :]


def without_reading(at: int, which: int) -> Spoil:
    def spoil(told: list[Told]) -> list[Told]:
        item = told[at].item
        assert isinstance(item, Readings)
        fewer = replace(item, readings=item.readings[:which] + item.readings[which + 1 :])
        return [*told[:at], told[at]._replace(item=fewer), *told[at + 1 :]]

    return spoil


def with_other_value(at: int, which: int) -> Spoil:
    def spoil(told: list[Told]) -> list[Told]:
        item = told[at].item
        assert isinstance(item, Readings)
        readings = [*item.readings]
        readings[which] = replace(readings[which], value=readings[which].value + 0.5)
        return [*told[:at], told[at]._replace(item=replace(item, readings=tuple(readings))), *told[at + 1 :]]

    return spoil


def pressed_again(at: int) -> Spoil:
    """A press too many, of another content and long after, so that it is none of the others' repeats."""

    def spoil(told: list[Told]) -> list[Told]:
        item = told[at].item
        assert isinstance(item, Press)
        again = replace(item, content=f"{item.content} again")
        return [*told, told[at]._replace(item=again, at=told[-1].at.later(60))]

    return spoil


def mistakes(recording: Recording) -> Iterator[tuple[str, Spoil]]:
    """Each thing that the driver tells left out or wrong, and each press told once too often."""
    told = recording.told()
    pressed = set()
    for at, (item, *_) in enumerate(told):
        if isinstance(item, Vital | Change | DeviceNote):
            yield f"without {item}", without(at)
        elif isinstance(item, Press):
            button = (item.device, item.button)
            if button not in pressed:
                yield f"again {item}", pressed_again(at)
            pressed.add(button)
        elif isinstance(item, Readings):
            for which, reading in enumerate(item.readings):
                yield f"without {reading}", without_reading(at, which)
                yield f"another value of {reading}", with_other_value(at, which)
    for device, key in pressed:
        yield (
            f"without every press of {key}",
            lambda told, device=device, key=key: [  # type: ignore[misc]
                one
                for one in told
                if not (isinstance(one.item, Press) and (one.item.device, one.item.button) == (device, key))
            ],
        )


def notices(recording: Recording, spoil: Spoil) -> bool:
    """Whether the comparison fails, by its own word or on something that is missing."""
    try:
        COMPARISONS[recording.path.parent.name](replace(recording, spoil=spoil), Row("", recording.file))
    except (AssertionError, ValueError, LookupError):
        return True
    return False


@pytest.mark.parametrize("folder", COMPARISONS)
def test_a_comparison_fails_on_a_mistake(captures_dir: Path, folder: str) -> None:
    planted = 0
    some = recordings(captures_dir / folder)
    for recording in some if LONG else some[:4]:
        assert not notices(recording, list), "it fails on what is right"
        for what, spoil in mistakes(recording):
            assert notices(recording, spoil), f"{recording.file}: {what} was not noticed"
            planted += 1
    assert planted


# --- the command ----------------------------------------------------------------------------------------------------

Line = tuple[str | float | None, ...]
DECODED = ("device_id", "kind", "event", "button", "quantity", "value", "unit", "reason")


def lines_of(recording: Recording, told: list[Told]) -> Counter[Line]:
    """What the command should print of these items, without what belongs to no frame."""
    found: list[Line] = []
    for press in recording.presses(told):
        event = press.button if press.button in HAZARDS else "press"
        found.append((press.device, "event", event, press.button, None, None, None, None))
    for item, *_ in told:
        match item:
            case Vital():
                found.append((item.device, "event", "vital", None, None, None, None, None))
                for quantity, value in item.values:
                    unit = VITAL_UNITS[quantity]
                    found.append((item.device, "reading", None, None, quantity, value, unit, None))
            case Change() | DeviceNote():
                found.append((item.device, "event", item.kind, None, None, None, None, None))
            case Readings():
                for each in item.readings:
                    found.append((each.device, "reading", None, None, each.quantity, each.value, each.unit, None))
            case Refused() if item.reason not in LINE_NOISE:
                found.append((None, "refused", None, None, None, None, None, item.reason))
    return Counter(found)


@pytest.mark.parametrize("folder", COMPARISONS)
def test_the_command_prints_the_same(captures_dir: Path, folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = 0
    for recording in recordings(captures_dir / folder):
        code = run(["edge", "decode", "--driver", folder, str(recording.path)])
        captured = capsys.readouterr()
        assert (code, captured.err) == (0, ""), recording.file
        lines = [json.loads(line) for line in captured.out.splitlines()]
        found = Counter(tuple(line[key] for key in DECODED) for line in lines if line["reason"] not in LINE_NOISE)
        told = recording.told(3.0 if isinstance(recording.driver, SerialDriver) else 0.15, by_line=folder == "rflink")
        assert found == lines_of(recording, told), recording.file
        groups = [line["group"] for line in lines if line["event"] == "vital"]
        values = {line["group"] for line in lines if line["quantity"] in VITAL_UNITS}
        assert len(set(groups)) == len(groups)
        assert values == set(groups), "values of a cuff without its event, or an event without values"
        printed += len(lines)
    assert printed
