"""The families behind the home's broker against recorded messages, and the habits that make them hard to read.

Sources of the messages: merbanan/rtl_433_tests (EV1527-Universal-Remote, DY-SQ100B-WaterLeak-EV1527, x10_sec); the
ChirpStack documentation; TheThingsNetwork/lorawan-devices (WS101); tasmota/docs (Sonoff Pow, RF protocol, Sonoff RF
bridge); theengs/decoder tests; Koenkk/zigbee2mqtt issues; the GATT Specification Supplement.
"""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from datetime import datetime
from random import Random
from typing import Any

import msgspec
import pytest

from hearthline.model import TELEMETRY_UNITS
from hearthline_sim.devices import ble, lorawan_button, rtl433, tasmota
from hearthline_sim.devices.ble import BluButton, CuffHabits, GattCuff
from hearthline_sim.devices.emission import Publish
from hearthline_sim.devices.lorawan_button import LorawanButton
from hearthline_sim.devices.raycome_cuff import Vitals
from hearthline_sim.devices.rtl433 import Ev1527Fob, LeakSensor, Rtl433, X10Contact
from hearthline_sim.devices.shelly_em import ShellyEm, ShellyInput
from hearthline_sim.devices.tasmota import RfFob, TasmotaPlug
from hearthline_sim.devices.zigbee_sensor import ZigbeePlug, ZigbeeSensor, bridge_state

NOW_NS = 1_795_000_000_000_000_000


def bodies(messages: tuple[Publish, ...]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(message.payload) for message in messages]


def without_time(messages: tuple[Publish, ...]) -> list[dict[str, Any]]:
    return [{key: value for key, value in body.items() if key != "time"} for body in bodies(messages)]


# --- rtl_433 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "id_", "unit"),
    [(0x8D3CF6, 27111, 22), (0x81898A, 3148, 10)],
)
def test_a_fob_is_told_as_the_recorded_smoke_detector(code: int, id_: int, unit: int) -> None:
    told = {"model": "Smoke-GS558", "id": id_, "unit": unit, "learn": 0, "code": f"{code:06x}"}
    assert rtl433.smoke_gs558(code) == told
    press = Ev1527Fob(f"{code & 0xFFFFF:05x}", Random(1), Rtl433("pi")).press("A", NOW_NS)
    assert without_time(press)[0] == told
    assert {message.topic for message in press} == {"rtl_433/pi/events"}


def test_a_press_is_four_or_more_decodes_and_two_keys_are_one_code() -> None:
    for seed in range(50):
        press = Ev1527Fob("d3cf6", Random(seed), Rtl433()).press("AD", NOW_NS)
        assert len(press) >= 4
        assert [message.after_s for message in press] == [pytest.approx(0.0604 * index) for index in range(len(press))]
        assert {body["code"] for body in bodies(press)} == {"9d3cf6"}
    with pytest.raises(ValueError, match="five hexadecimal digits"):
        Ev1527Fob("8d3cf6", Random(1), Rtl433())


def test_a_leak_is_the_recorded_burst_in_three_shapes() -> None:
    told = without_time(LeakSensor("0f0065", Rtl433()).leak(NOW_NS))
    common = {"model": "DY-SQ100B-WaterLeak-EV1527", "count": 1, "num_rows": 1}
    shapes = [
        {**common, "len": 24, "data": "0f0065", "code": 983141},
        {**common, "len": 25, "data": "8780328", "code": 8880178},
        {"model": "Generic-Remote", "id": 30847, "cmd": 205, "tristate": "Z1X0Z111101Z"},
    ]
    assert all(body in shapes for body in told)
    assert [told.count(shape) for shape in shapes] == [10, 21, 18]
    assert len(told) == 49


def test_an_x10_contact_is_the_recorded_one() -> None:
    opened = without_time(X10Contact("3133", Rtl433(), battery_ok=False).report(True, NOW_NS))
    expected = {"model": "X10-Security", "id": "3133", "code": "05", "event": "DS10A DOOR/WINDOW OPEN", "battery_ok": 0}
    assert opened == [expected] * 5


# --- Zigbee2MQTT --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sense", "field", "active"),
    [("door", "contact", False), ("motion", "occupancy", True), ("smoke", "smoke", True), ("leak", "water_leak", True)],
)
def test_a_zigbee_sensor_tells_its_sense(sense: Any, field: str, active: bool) -> None:
    sensor = ZigbeeSensor("Flur: Tür/奶奶", sense, Random(3))
    assert {body[field] for body in bodies(sensor.happen(True))} == {active}
    assert {body[field] for body in bodies(sensor.happen(False))} == {not active}
    online, state = sensor.announce()
    assert (online.topic, online.retain) == ("zigbee2mqtt/Flur: Tür/奶奶/availability", True)
    assert msgspec.json.decode(state.payload)[field] is None


def test_the_bridge_speaks_both_dialects() -> None:
    assert bridge_state("offline", "1.x").payload == b"offline"
    assert bridge_state("offline", "2.x").payload == b'{"state":"offline"}'
    assert bridge_state("online", "2.x").retain


def test_a_zigbee_plug_has_the_fields_of_the_recorded_one() -> None:
    (message,), values = ZigbeePlug("plug_zigbee23", Random(1)).status(3.2, 8.4249)
    body = msgspec.json.decode(message.payload)
    recorded = "child_lock current energy indicator_mode linkquality power state update update_available voltage"
    assert sorted(body) == recorded.split()
    assert (body["power"], body["energy"]) == (3, 8.42)
    assert {value.quantity for value in values} == {"power", "energy_import", "voltage", "current"}


# --- ChirpStack ---------------------------------------------------------------------------------------------------


def test_ws101_payloads_are_the_recorded_vectors() -> None:
    assert lorawan_button.payload("short").hex() == "ff2e01"
    assert lorawan_button.payload("short", 16).hex() == "017510ff2e01"


def test_an_uplink_leaves_out_zeros_and_names_each_gateway_once() -> None:
    button = LorawanButton("24E124535B316056", Random(1))
    join, log, status = button.join(NOW_NS)
    assert [message.topic.rsplit("/", 1)[1] for message in (join, log, status)] == ["join", "log", "status"]
    ((first,), (second,)) = (bodies(button.press("short", NOW_NS)) for _ in range(2))
    assert "fCnt" not in first
    assert second["fCnt"] == 1
    assert b64decode(first["data"]).hex() == "01755f" + "ff2e01"
    assert b64decode(second["data"]).hex() == "ff2e01"
    assert len({heard["gatewayId"] for heard in first["rxInfo"]}) == 2
    assert first["deduplicationId"] != second["deduplicationId"]
    assert first["time"] == "2026-11-18T11:06:40.000000000+00:00"
    button.join(NOW_NS)
    (again,) = bodies(button.press("long", NOW_NS))
    assert "fCnt" not in again
    assert again["devAddr"] != first["devAddr"]


# --- Tasmota ------------------------------------------------------------------------------------------------------


def test_a_sniffed_word_is_the_recorded_one() -> None:
    recorded = "AA B1 03 07F9 0124 37DC 010101010101101001010101101010100102 55"
    assert tasmota.b1((0x07F9, 0x0124, 0x37DC), "010101010101101001010101101010100102") == recorded


def test_a_bridge_hears_a_fob_several_times_with_other_times() -> None:
    received = bodies(RfFob("rf1", "7028d", Random(1)).press("C", NOW_NS))
    assert {body["RfReceived"]["Data"] for body in received} == {"0x7028D2"}
    assert {(body["RfReceived"]["Bits"], body["RfReceived"]["Protocol"]) for body in received} == {(24, 1)}
    raw = [
        body["RfRaw"]["Data"].split()
        for body in bodies(RfFob("rf1", "7028d", Random(4), report="raw").press("C", NOW_NS))
    ]
    assert len({parts[-2] for parts in raw}) == 1
    assert len({tuple(parts[3:6]) for parts in raw}) > 1
    assert len(raw[0][-2]) == 50


def test_a_tasmota_plug_and_its_phases() -> None:
    (message,), values = TasmotaPlug("pow1", Random(1)).status(2635.2, 6.2944, NOW_NS)
    energy = msgspec.json.decode(message.payload)["ENERGY"]
    assert (message.topic, energy["Total"], energy["Power"]) == ("tele/pow1/SENSOR", 6.294, 2635)
    (message,), values = TasmotaPlug("pow3", Random(1), phases=3).status(300.0, 6.2944, NOW_NS)
    energy = msgspec.json.decode(message.payload)["ENERGY"]
    assert energy["Power"] == [100, 100, 100]
    assert Counter(value.device for value in values) == {
        "tasmota:pow3": 1,
        "tasmota:pow3:A": 4,
        "tasmota:pow3:B": 4,
        "tasmota:pow3:C": 4,
    }


# --- Bluetooth ----------------------------------------------------------------------------------------------------


def test_a_blu_press_is_one_packet_number_at_every_gateway_and_lingers() -> None:
    button = BluButton("BC:02:6E:AA:BB:CC", ("hall", "bath"), Random(1))
    first, second = button.press("short"), button.press("long")
    assert {message.topic for message in first} == {f"home/{name}/BTtoMQTT/BC026EAABBCC" for name in ("hall", "bath")}
    packets = [{body["packet"] for body in bodies(press)} for press in (first, second)]
    assert packets[1] == {packet + 1 for packet in packets[0]}
    recorded = {"brand", "model", "model_id", "type", "acts", "cont", "packet", "batt", "button"}
    assert recorded <= set(bodies(first)[0])
    assert {body["button"] for body in bodies(second)} == {4}
    assert {body["packet"] for body in bodies(button.beacon())} == packets[1]
    assert first[-1].after_s >= 1.0


def test_a_blood_pressure_value_by_the_specification() -> None:
    clock = datetime(2026, 11, 21, 8, 0, 30)  # noqa: DTZ001  a cuff knows no zone
    vitals = Vitals(122, 75, 95)
    value = ble.blood_pressure(vitals, clock, CuffHabits(reserved=False))
    assert value.hex() == "0ec4f4eef2ff07" + "ea070b1508001e" + "b6f301"
    bare = ble.blood_pressure(vitals, clock, CuffHabits(timed=False, user=None))
    assert bare.hex() == "24c4f4eef2ff07b6f3"
    kilopascal = ble.blood_pressure(vitals, clock, CuffHabits(kpa=True, timed=False, user=None, reserved=False))
    assert kilopascal[:5].hex() == "05a3f064f0"
    message, drawn = GattCuff("bridge1", "C4:64:E3:00:00:01", Random(1), CuffHabits()).measure(clock)
    assert message.topic == "hearthline/ble/bridge1/C4:64:E3:00:00:01/2a35"
    assert bytes.fromhex(msgspec.json.decode(message.payload)["value"]) == ble.blood_pressure(
        drawn, clock, CuffHabits()
    )


# --- Shelly -------------------------------------------------------------------------------------------------------


def test_a_shelly_em_tells_phases_and_totals_in_watt_hours() -> None:
    (now, counted), values = ShellyEm("shellypro3em-a0", Random(1)).status(300.0, 3000.0)
    assert (now.topic, counted.topic) == ("shellypro3em-a0/status/em:0", "shellypro3em-a0/status/emdata:0")
    assert msgspec.json.decode(now.payload)["total_act_power"] == 300.0
    assert msgspec.json.decode(counted.payload)["total_act"] == 3000.0
    told = {(value.device, value.quantity): value.value for value in values}
    assert told["shelly:shellypro3em-a0", "energy_import"] == 3.0
    assert told["shelly:shellypro3em-a0:B", "power"] == 100.0
    assert len(told) == len(values)
    assert {quantity for _, quantity in told} <= set(TELEMETRY_UNITS)


@pytest.mark.parametrize("event", ["single_push", "double_push", "long_push"])
def test_a_shelly_button_goes_down_and_up_and_is_named_once(event: str) -> None:
    press = ShellyInput("shellyplusi4-b0").press(event, NOW_NS)
    events = [body["params"]["events"][0]["event"] for body in bodies(press)]
    assert Counter(events) == {"btn_down": 1, "btn_up": 1, event: 1}
    assert events[0] == "btn_down"
    assert [message.after_s for message in press] == sorted(message.after_s for message in press)
