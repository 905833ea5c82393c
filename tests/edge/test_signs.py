"""Signs of life: one a device and hour, none where a value says the same, and a bound for a street full of devices."""

from __future__ import annotations

import pytest

from hearthline.clock import NS, Stamp
from hearthline.model import SIGN_OF_LIFE, Reading
from hearthline_edge import signs
from hearthline_edge.arrival import Arrival
from hearthline_edge.devices import DeviceNote, Item, Readings, Seen
from hearthline_edge.signs import SignsOfLife

DOOR, METER = "zigbee:door", "zigbee:meter"


def at(seconds: float) -> Stamp:
    return Stamp(1_800_000_000 * NS, round(seconds * NS), "boot", True)


def told(life: SignsOfLife, seconds: float, *items: Item) -> list[tuple[str, str]]:
    kept = life.of(items, at(seconds))
    return [(each.device, each.quantity) for item in kept if isinstance(item, Readings) for each in item.readings]


def power(device: str = METER) -> Readings:
    return Readings((Reading(device, "power", 1.0, "W"),))


def test_a_device_that_repeats_itself_is_told_of_once_an_hour() -> None:
    life = SignsOfLife()
    times = [second for second in range(0, 7300, 20) if told(life, second, Seen(DOOR))]
    assert times == [0, 3600, 7200]


def test_a_device_that_gives_values_needs_no_sign() -> None:
    life = SignsOfLife()
    assert told(life, 0, Seen(METER), power()) == [(METER, "power")]
    assert told(life, 3599, Seen(METER)) == []
    assert told(life, 3600, Seen(METER)) == [(METER, SIGN_OF_LIFE)]


def test_a_street_full_of_devices_is_bounded_and_hides_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs, "MOST", 3)
    monkeypatch.setattr(signs, "_REMEMBERED", 10)
    life = SignsOfLife()
    assert len(told(life, 0, *(Seen(f"ble:{n}") for n in range(9)))) == 3
    assert told(life, 10, Seen(DOOR), power()) == [(METER, "power")]
    assert told(life, 3600, Seen(DOOR)) == [(DOOR, SIGN_OF_LIFE)]
    for n in range(100):
        assert told(life, 3700 + n, power(f"ble:{n}")) == [(f"ble:{n}", "power")]


def test_a_sign_is_for_the_telemetry_lane_alone() -> None:
    arrival = Arrival((Seen(DOOR), DeviceNote(DOOR, "tamper", "")), at(0))
    assert arrival.readings().items == (Seen(DOOR),)
    assert arrival.events().items == (DeviceNote(DOOR, "tamper", ""),)
