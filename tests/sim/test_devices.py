"""Golden bytes from the worked examples of the shared device notes, and what the emitters promise about them."""

from __future__ import annotations

from datetime import datetime
from random import Random

import msgspec
import pytest

from hearthline.model import TELEMETRY_UNITS
from hearthline_sim.devices import dlt645_meter, enocean_pendant, raycome_cuff
from hearthline_sim.devices.dlt645_meter import Dlt645Meter, MeterState
from hearthline_sim.devices.emission import Burst, Publish
from hearthline_sim.devices.enocean_pendant import FALSE_STARTS, REPEAT_WINDOW_S, Button, EnoceanPendant, Receiver
from hearthline_sim.devices.load_curve import DAY_S, LoadCurve
from hearthline_sim.devices.raycome_cuff import RaycomeCuff, Vitals
from hearthline_sim.devices.serial_relay import SerialRelay
from hearthline_sim.devices.shelly_plug import ShellyPlug
from hearthline_sim.devices.zigbee_siren import ZigbeeSiren
from hearthline_sim.devices.zigbee_sos import BATTERY_SHAPES, BatteryShape, ZigbeeSos

NOW_NS = 1_795_000_000_000_000_000
STATE = MeterState(energy_kwh=0.26, voltage_v=235.0, current_a=4.999, power_w=251.2)


def content(frame: bytes) -> tuple[str, str]:
    """Rocker and sender of the RPS telegram in `frame`, whatever stands in front of it."""
    telegram = frame[-21:]
    assert telegram[:5] == bytes.fromhex("5500070701")
    assert enocean_pendant.crc8(telegram[1:5]) == telegram[5]
    assert enocean_pendant.crc8(telegram[6:20]) == telegram[20]
    assert frame[:-21] in (*FALSE_STARTS, b"")
    return telegram[7:8].hex(), telegram[8:12].hex()


# --- EnOcean ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "rocker", "status", "dbm", "frame"),
    [
        ("002EE196", 0x30, 0x30, -74, "55000707017AF630002EE1963001FFFFFFFF4A0028"),
        ("002EE196", 0x00, 0x20, -76, "55000707017AF600002EE1962001FFFFFFFF4C00E0"),
        ("0010202B", 0x50, 0x30, -54, "55000707017AF6500010202B3001FFFFFFFF360092"),
    ],
)
def test_an_rps_telegram_is_the_recorded_one(sender: str, rocker: int, status: int, dbm: int, frame: str) -> None:
    assert enocean_pendant.rps(bytes.fromhex(sender), rocker, status, dbm) == bytes.fromhex(frame)


def test_a_press_is_one_content_then_its_release_with_copies_in_the_window() -> None:
    for seed in range(200):
        press = EnoceanPendant("002EE196", Random(seed)).press(Button.AO)
        assert {content(burst.data) for burst in press.pressed} == {("30", "002ee196")}
        assert {content(burst.data) for burst in press.released} == {("00", "002ee196")}
        assert 1 <= len(press.pressed) <= 3
        assert press.pressed[0].after_s == 0
        assert press.pressed[-1].after_s < REPEAT_WINDOW_S
        assert [burst.data[-9] & 0x0F for burst in press.pressed] == [0, 1, 2][: len(press.pressed)]
        assert press.released[0].after_s >= 0.08


def test_a_seed_replays_a_pendant_and_a_sender_is_checked() -> None:
    presses = [EnoceanPendant("002EE196", Random(7)).press(Button.BI) for _ in range(2)]
    assert presses[0] == presses[1]
    with pytest.raises(ValueError, match="eight hexadecimal digits"):
        EnoceanPendant("2EE196", Random(7))


def test_the_receiver_answers_read_id_base_and_refuses_the_rest() -> None:
    receiver = Receiver("FF800000")
    request = enocean_pendant.esp3(5, b"\x08")
    answers = receiver.receive(b"\x55\x00" + request[:3]) + receiver.receive(request[3:])
    assert [answer.data for answer in answers] == [enocean_pendant.esp3(2, bytes.fromhex("00FF800000"), b"\x0a")]
    assert receiver.receive(enocean_pendant.esp3(5, b"\x03"))[0].data[6] == 2
    assert enocean_pendant.esp3(2, b"\x00").hex() == "5500010002650000"


# --- Raycome ------------------------------------------------------------------------------------------------------


def test_raycome_frames_are_the_recorded_ones() -> None:
    when = datetime(2018, 9, 24, 23, 44, 24)  # noqa: DTZ001  a cuff knows no zone
    assert raycome_cuff.result_frame(1, when, Vitals(122, 75, 95)).hex() == "aa80020f010601120918172c18007a004b005f45"
    unset = raycome_cuff.result_frame(0, raycome_cuff.UNSET_CLOCK, Vitals(200, 134, 100))
    assert unset.hex() == "aa80020f0106000e010101010100c8008600642f"
    assert raycome_cuff.live_frame(55).hex() == "aa800208010500000000370039"


@pytest.mark.parametrize(
    ("command", "answer", "starts"),
    [
        ("cc80020301010001", "aa80020301010001", False),
        ("cc80020304040001", "aa8002040404100016", False),
        ("cc80020301020002", "aa80020301020002", True),
        ("cc80020301030003", "aa80020301030003", False),
        ("cc80020301040004", "aa80020301040004", False),
    ],
)
def test_the_cuff_answers_whole_and_cut_commands(command: str, answer: str, starts: bool) -> None:
    whole = RaycomeCuff(Random(1), battery_mv=4096)
    answers, start = whole.receive(b"\x00\xcc" + bytes.fromhex(command))
    assert ([burst.data.hex() for burst in answers], start) == ([answer], starts)
    cut = RaycomeCuff(Random(1), battery_mv=4096)
    pieces = [cut.receive(bytes((byte,))) for byte in bytes.fromhex(command)]
    assert [burst.data.hex() for answers, _ in pieces for burst in answers] == [answer]
    assert any(start for _, start in pieces) is starts


def test_a_measurement_is_a_live_stream_and_then_its_result_or_an_error() -> None:
    now = datetime(2026, 11, 21, 8, 0, 0)  # noqa: DTZ001
    good = RaycomeCuff(Random(3), error_rate=0.0, measure_s=30).measure(now, Vitals(141, 88, 70))
    assert good.vitals == Vitals(141, 88, 70)
    assert good.end.data == raycome_cuff.result_frame(1, datetime(2028, 11, 21, 8, 0, 30), Vitals(141, 88, 70))  # noqa: DTZ001
    assert len(good.live) == 120
    times = [burst.after_s for burst in (*good.live, good.end)]
    assert times == sorted(times)
    bad = RaycomeCuff(Random(3), error_rate=1.0).measure(now)
    assert bad.vitals is None
    assert bad.error in raycome_cuff.ERRORS
    assert bad.end.data[4:6] == b"\x01\x07"


# --- DL/T 645 -----------------------------------------------------------------------------------------------------


def test_dlt645_frames_are_the_recorded_ones() -> None:
    address = dlt645_meter.line_address("223002000066")
    reply = dlt645_meter.frame(address, 0x91, bytes.fromhex("00010102") + dlt645_meter.bcd(2350, 4))
    assert reply.hex() == "686600000230226891063334343583" + "56ca16"
    assert dlt645_meter.frame(bytes.fromhex("111111111111"), 0xD1, b"\x02").hex() == "6811111111111168d101353d16"


@pytest.mark.parametrize(
    ("request_hex", "reply_hex", "quantity", "value"),
    [
        ("68610100000000681104333334331416", "6861010000000068910833333433593333338a16", "energy_import", 0.26),
        ("68610100000000681104333435351816", "6861010000000068910733343535cc7c331616", "current", 4.999),
        ("68610100000000681104333336351816", "6861010000000068910733333635455833" + "6b16", "power", 251.2),
    ],
)
def test_the_meter_answers_reads(request_hex: str, reply_hex: str, quantity: str, value: float) -> None:
    meter = Dlt645Meter("000000000161", Random(5), lambda: STATE)
    for lead in (b"", b"\xfe" * 4, b"\x68\x00\xff"):
        (reply,) = meter.receive(lead + bytes.fromhex(request_hex)) or meter.receive(bytes.fromhex(request_hex))
        assert reply.burst.data.lstrip(b"\xfe").hex() == reply_hex
        assert len(reply.burst.data) - len(reply_hex) // 2 <= 4
        assert reply.quantity == quantity
        assert reply.value == pytest.approx(value)
        assert quantity in TELEMETRY_UNITS


@pytest.mark.parametrize(
    ("block", "data", "quantity", "value"),
    [("00ff0102", "5023" + "ff" * 4, "voltage", 235.0), ("00ff0202", "994900" + "ff" * 6, "current", 4.999)],
)
def test_a_block_of_the_phases_has_the_only_one(block: str, data: str, quantity: str, value: float) -> None:
    meter, address = Dlt645Meter("000000000161", Random(5), lambda: STATE), dlt645_meter.line_address("000000000161")
    (reply,) = meter.receive(dlt645_meter.frame(address, 0x11, bytes.fromhex(block)))
    assert reply.burst.data.lstrip(b"\xfe") == dlt645_meter.frame(address, 0x91, bytes.fromhex(block + data))
    assert (reply.quantity, reply.value) == (quantity, value)


def test_the_meter_is_silent_for_others_and_refuses_unknown_items() -> None:
    meter = Dlt645Meter("111111111111", Random(5), lambda: STATE)
    other = dlt645_meter.frame(dlt645_meter.line_address("000000000161"), 0x11, bytes.fromhex("00000100"))
    assert meter.receive(other) == ()
    unknown = dlt645_meter.frame(dlt645_meter.line_address("111111111111"), 0x11, bytes.fromhex("99990002"))
    (refused,) = meter.receive(unknown)
    assert refused.burst.data.endswith(bytes.fromhex("6811111111111168d101353d16"))
    (known,) = meter.receive(bytes.fromhex("68aaaaaaaaaaaa681300df16"))
    assert known.burst.data.lstrip(b"\xfe")[8:16] == bytes.fromhex("9306") + b"\x44" * 6


def test_line_faults_are_no_readings() -> None:
    request = bytes.fromhex("68610100000000681104333334331416")
    (half,) = Dlt645Meter("000000000161", Random(5), lambda: STATE, half_frame_rate=1.0).receive(request)
    assert half.quantity is None
    assert not half.burst.data.endswith(b"\x8a\x16")
    (glitched,) = Dlt645Meter("000000000161", Random(5), lambda: STATE, glitch_rate=1.0).receive(request)
    assert glitched.burst.data[0] in (0x00, 0xFF)
    echo, _ = Dlt645Meter("000000000161", Random(5), lambda: STATE, echo=True).receive(request)
    assert echo.burst == Burst(0.0, request)


def test_energy_never_falls_and_is_the_integral_of_the_power() -> None:
    curve = LoadCurve(11)
    marks = [curve.energy_wh(minute * 60.0) for minute in range(2 * 24 * 60 + 1)]
    assert marks == sorted(marks)
    summed = sum(curve.power_w(second) for second in range(DAY_S)) / 3600
    assert curve.energy_wh(DAY_S) == pytest.approx(summed, rel=0.01)
    assert LoadCurve(11).energy_wh(1.5 * DAY_S) == curve.energy_wh(1.5 * DAY_S)
    assert max(curve.power_w(second) for second in range(DAY_S)) > 2000


# --- Zigbee2MQTT, Shelly, outputs -----------------------------------------------------------------------------------


def actions(messages: tuple[Publish, ...]) -> list[tuple[str, str | None]]:
    return [
        (message.topic, msgspec.json.decode(message.payload)["action"])
        if message.payload.startswith(b"{")
        else (message.topic, message.payload.decode())
        for message in messages
    ]


def test_a_zigbee_press_in_both_dialects() -> None:
    topic = "zigbee2mqtt/Bad: Oma/奶奶"
    old = ZigbeeSos("Bad: Oma/奶奶", Random(1), dialect="1.x").press("emergency", NOW_NS)
    assert actions(old) == [(topic, "emergency"), (topic, ""), (f"{topic}/action", "emergency")]
    new = ZigbeeSos("Bad: Oma/奶奶", Random(1), dialect="2.x").press("emergency", NOW_NS)
    assert actions(new) == [(topic, "emergency"), (f"{topic}/action", "emergency")]


def test_an_announce_has_a_null_action() -> None:
    event, state = ZigbeeSos("sos", Random(1)).announce(NOW_NS)
    assert msgspec.json.decode(event.payload)["type"] == "device_announce"
    assert msgspec.json.decode(state.payload)["action"] is None


@pytest.mark.parametrize("shape", BATTERY_SHAPES)
def test_battery_shapes(shape: BatteryShape) -> None:
    first, *_ = ZigbeeSos("sos", Random(1), battery=shape).press("emergency", NOW_NS)
    expected = {"number": 100, "fraction": 51.5, "text": "100.00", "null": None, "absent": "none at all"}[shape]
    assert msgspec.json.decode(first.payload).get("battery", "none at all") == expected


def test_a_plug_counts_in_watt_hours_and_can_be_reset() -> None:
    plug = ShellyPlug("shellyplus-1", Random(1), lambda _: 10.7, lambda ns: 10.7 * (ns - NOW_NS) / 3.6e12 + 46791.0)
    status = plug.status(NOW_NS)
    shown = msgspec.json.decode(status.message.payload)
    assert status.message.topic == "shellyplus-1/status/switch:0"
    assert shown["aenergy"]["total"] == 46791.0
    assert shown["aenergy"]["by_minute"] == pytest.approx([178.333] * 3, abs=0.1)
    assert status.readings["energy_import"] == pytest.approx(46.791)
    assert set(status.readings) <= set(TELEMETRY_UNITS)
    plug.reset_counter(NOW_NS)
    assert msgspec.json.decode(plug.status(NOW_NS).message.payload)["aenergy"]["total"] == 0


def test_a_siren_obeys_warnings_and_falls_silent_after_a_duration() -> None:
    siren = ZigbeeSiren("siren")
    assert siren.topic == "zigbee2mqtt/siren/set"
    assert siren.receive(b"not json", 1) is None
    assert siren.receive(b'{"state":"ON"}', 1) is None
    assert siren.ignored == 2
    for on, payload in (
        (True, b'{"warning":{"mode":"emergency","strobe":true}}'),
        (False, b'{"warning":{"mode":"stop"}}'),
    ):
        change = siren.receive(payload, 5)
        assert change is not None
        assert change.on is on
    siren.receive(b'{"warning":{"mode":"burglar","duration":2}}', 10)
    assert siren.expire(10 + 1_999_999_999) is None
    assert siren.expire(10 + 2_000_000_000) is not None
    assert [change.on for change in siren.changes] == [True, False, True, False]


def test_a_relay_obeys_its_two_frames_only() -> None:
    relay = SerialRelay("relay0")
    assert relay.receive(bytes.fromhex("00A00101"), 1) == ()
    assert [change.on for change in relay.receive(bytes.fromhex("A2A00101A3A00100A1"), 2)] == [True, False]
