"""The serial families against single recorded frames, byte by byte, and what the line does to them.

Sources of the frames: SDM230 on a bus, syssi/esphome-solax-x1-mini issue 20; DDSU666, firmware comment; SDM voltage,
the Eastron manual; NZR DHZ 5/63 and Kamstrup Multical 601, rscada/libmbus test-frames; DSMR, ndokter/dsmr_parser
example telegrams; SML, devZer0/libsml-testing; EnOcean, kipe/enocean and enocean-js tests; RFLink, the protocol's
reference samples in aequitas/python-rflink.
"""

from __future__ import annotations

from datetime import datetime
from random import Random

import pytest

from hearthline.model import TELEMETRY_UNITS
from hearthline_sim.devices import (
    dlt645_meter,
    dsmr_meter,
    enocean_sensor,
    mbus_meter,
    modbus_meter,
    raycome_cuff,
    sml_meter,
)
from hearthline_sim.devices.bus import Answer, Bus, LineFaults
from hearthline_sim.devices.dlt645_meter import Dlt645Meter, MeterReply, MeterState
from hearthline_sim.devices.dsmr_meter import DsmrMeter
from hearthline_sim.devices.mbus_meter import Counters, Identity, MbusMeter
from hearthline_sim.devices.modbus_meter import Load, ModbusMeter
from hearthline_sim.devices.raycome_cuff import RaycomeCuff, Vitals
from hearthline_sim.devices.rflink_stick import RflinkStick, Weather
from hearthline_sim.devices.sml_meter import ITRON_LOCKED, SmlMeter

LOAD = Load(power_w=251.2, voltage_v=228.2, energy_kwh=10909.282)


def hexed(answers: tuple[Answer, ...]) -> list[str]:
    return [answer.burst.data.hex() for answer in answers]


# --- Modbus -------------------------------------------------------------------------------------------------------


def sdm(unit: int = 1, **changes: object) -> ModbusMeter:
    return ModbusMeter(f"modbus:meters:{unit}", "sdm230", unit, Random(1), lambda: LOAD, **changes)  # type: ignore[arg-type]


def test_modbus_replies_are_the_recorded_ones() -> None:
    assert hexed(sdm().receive(bytes.fromhex("010400480002f1dd"))) == ["010404462a7521298c"]
    eastron = modbus_meter.frame(1, 4, b"\x04" + bytes.fromhex("43663334"))
    assert eastron.hex() == "010404436633341b38"
    volts = Load(power_w=0.0, voltage_v=229.89999389648438, energy_kwh=0.0)
    chint = ModbusMeter("modbus:meters:1", "ddsu666", 1, Random(1), lambda: volts)
    assert hexed(chint.receive(bytes.fromhex("0104200000027a0b"))) == ["0104044365e6663455"]


def test_a_modbus_meter_tells_all_registers_of_a_block_and_each_value_once() -> None:
    (answer,) = sdm().receive(modbus_meter.frame(1, 4, bytes.fromhex("0000004c")))
    assert len(answer.burst.data) == 5 + 2 * 0x4C
    told = {value.quantity: value.value for value in answer.values}
    assert len(told) == len(answer.values)
    assert set(told) <= set(TELEMETRY_UNITS)
    assert told["power"] == pytest.approx(251.2, rel=1e-6)
    assert told["energy_import"] == pytest.approx(10909.282, rel=1e-6)
    three = ModbusMeter("modbus:m:3", "sdm630", 3, Random(1), lambda: LOAD)
    (phases,) = three.receive(modbus_meter.frame(3, 4, bytes.fromhex("00000012")))
    assert {value.device for value in phases.values} == {"modbus:m:3:A", "modbus:m:3:B", "modbus:m:3:C"}


@pytest.mark.parametrize(
    ("function", "data", "code"),
    [
        (3, "00480002", 1),
        (4, "00010002", 2),
        (4, "00000003", 2),
        (4, "90000002", 2),
        (4, "00000052", 3),
        (6, "00000002", 1),
    ],
)
def test_a_modbus_meter_refuses_what_it_has_not(function: int, data: str, code: int) -> None:
    (answer,) = sdm().receive(modbus_meter.frame(1, function, bytes.fromhex(data)))
    assert answer.burst.data == modbus_meter.frame(1, function | 0x80, bytes((code,)))
    assert answer.values == ()


def test_a_modbus_meter_is_silent_for_others_when_dead_and_for_damaged_requests() -> None:
    request = bytes.fromhex("010400480002f1dd")
    assert sdm(unit=2).receive(request) == ()
    assert sdm(dead=True).receive(request) == ()
    assert sdm().receive(request[:-1] + b"\x00") == ()
    meter = sdm()
    pieces = [meter.receive(bytes((byte,))) for byte in b"\x55\x00" + request]
    assert [hexed(answers) for answers in pieces if answers] == [["010404462a7521298c"]]


def test_the_first_modbus_reply_is_slow_and_some_are_device_failures() -> None:
    meter, request = sdm(), bytes.fromhex("010400480002f1dd")
    delays = [meter.receive(request)[0].burst.after_s for _ in range(3)]
    assert delays[0] > 0.3 > max(delays[1:])
    (failed,) = sdm(error_rate=1.0).receive(request)
    assert failed.burst.data[1:3] == b"\x84\x04"


# --- the bus ------------------------------------------------------------------------------------------------------


def test_a_bus_echoes_glitches_halves_and_never_counts_what_it_broke() -> None:
    request = bytes.fromhex("010400480002f1dd")
    echo, reply = Bus([sdm(1), sdm(2)], Random(1), LineFaults(echo=True)).receive(request)
    assert (echo.burst.data, echo.values) == (request, ())
    assert reply.burst.data.hex() == "010404462a7521298c"
    (half,) = Bus([sdm()], Random(1), LineFaults(half_frame_rate=1.0)).receive(request)
    assert (half.burst.data.hex(), half.values) == ("010404462a75"[:8], ())
    (glitched,) = Bus([sdm()], Random(1), LineFaults(glitch_rate=1.0)).receive(request)
    assert glitched.burst.data[0] in (0x00, 0xFF)
    assert glitched.burst.data[1:].hex() == "010404462a7521298c"
    assert len(glitched.values) == 1


class _AsBusMeter:
    """A DL/T 645 meter with its answers in the bus's words, as the simulated home has it."""

    def __init__(self, address: str) -> None:
        state = MeterState(energy_kwh=0.26, voltage_v=235.0, current_a=4.999, power_w=251.2)
        self._meter = Dlt645Meter(address, Random(5), lambda: state)
        self.device = self._meter.device

    def receive(self, data: bytes) -> tuple[Answer, ...]:
        replies: tuple[MeterReply, ...] = self._meter.receive(data)
        return tuple(Answer(reply.burst) for reply in replies)


def test_two_meters_answering_one_broadcast_destroy_each_other() -> None:
    read_address = bytes.fromhex("68aaaaaaaaaaaa681300df16")
    alone = Bus([_AsBusMeter("111111111111")], Random(1), LineFaults())
    assert alone.receive(read_address)[0].burst.data.lstrip(b"\xfe")[8:16] == bytes.fromhex("9306") + b"\x44" * 6
    pair = Bus([_AsBusMeter("111111111111"), _AsBusMeter("222222222222")], Random(1), LineFaults())
    (mixed,) = pair.receive(read_address)
    data = mixed.burst.data
    whole = [
        dlt645_meter.frame(dlt645_meter.line_address(a), 0x93, dlt645_meter.line_address(a))
        for a in ("1" * 12, "2" * 12)
    ]
    assert not any(frame in data for frame in whole)


def test_dlt645_refuses_sometimes_is_slow_first_or_dead() -> None:
    state = MeterState(energy_kwh=0.26, voltage_v=235.0, current_a=4.999, power_w=251.2, export_kwh=1.5)
    request = bytes.fromhex("68610100000000681104333334331416")
    slow = Dlt645Meter("000000000161", Random(5), lambda: state, slow_first=True)
    first, second = (slow.receive(request)[0].burst.after_s for _ in range(2))
    assert first > 0.3 > second
    (refused,) = Dlt645Meter("000000000161", Random(5), lambda: state, error_rate=1.0).receive(request)
    assert refused.burst.data.lstrip(b"\xfe")[8] == 0xD1
    assert Dlt645Meter("000000000161", Random(5), lambda: state, dead=True).receive(request) == ()


# --- M-Bus --------------------------------------------------------------------------------------------------------

NZR = "6832326808057208061030523b0102010000000403fa04000004837ffa04000002fd48440902fd5b0000022b00000c78080610300f0e7116"


def test_an_mbus_reply_is_the_recorded_one() -> None:
    shown = Counters(total=1.274, rate=0.0, voltage_v=237.2)
    records = mbus_meter.electricity_records("30100608", shown)
    data = b"".join(record.encode() for record in records) + bytes.fromhex("0f0e")
    assert mbus_meter.reply(5, Identity("30100608", "NZR", 1, 2), 1, 0, data).hex() == NZR


def test_heat_records_begin_as_the_recorded_ones() -> None:
    kamstrup = "0c78175885060406e791000004142cdb000004"
    records = [mbus_meter.Record(b"\x0c", b"\x78", 6855817), mbus_meter.Record(b"\x04", b"\x06", 37351)]
    records.append(mbus_meter.Record(b"\x04", b"\x14", 56108))
    assert b"".join(record.encode() for record in records).hex() == kamstrup[:-2]
    assert mbus_meter.manufacturer_code("KAM").hex() == "2d2c"
    assert mbus_meter.manufacturer_code("HYD").hex() == "2423"
    shown = mbus_meter.heat_records(
        "06855817", Counters(total=37351.9, rate=34700.0, flow_celsius=101.69, return_celsius=46.16)
    )
    assert [record.encode().hex() for record in shown[:2]] == ["0c7817588506", "0406e7910000"]
    assert [record.encode().hex() for record in shown[3:7]] == [
        "0459b9270000",
        "045d08120000",
        "0461b1150000",
        "042d5b010000",
    ]
    told = {record.quantity: record.value for record in shown if record.quantity}
    assert set(told) <= set(TELEMETRY_UNITS)
    assert (told["heat_energy"], told["flow_temperature"], told["heat_power"]) == (37351, 101.69, 34700)


def mbus(number: str = "12345678", primary: int = 5, *, dead: bool = False) -> MbusMeter:
    counters = Counters(total=123.456, rate=0.12)
    return MbusMeter("water", "HYD", number, primary, Random(1), lambda: counters, dead=dead)


def short(control: int, address: int) -> bytes:
    return bytes((0x10, control, address, control + address & 0xFF, 0x16))


def select(number: str, manufacturer: str = "ffff", rest: str = "ffff") -> bytes:
    body = b"\x52" + bytes.fromhex(number)[::-1] + bytes.fromhex(manufacturer + rest)
    return mbus_meter.long_frame(0x73, 0xFD, body)


def test_an_mbus_meter_by_its_primary_address() -> None:
    meter = mbus()
    assert hexed(meter.receive(short(0x40, 5))) == ["e5"]
    (first,) = meter.receive(short(0x7B, 5))
    assert first.burst.data[7:11].hex() == "78563412"
    told = {(value.device, value.quantity): value.value for value in first.values}
    assert told["mbus:HYD:12345678", "water_volume"] == 123.456
    assert told["mbus:HYD:12345678:s1", "water_volume"] == 61.728
    (repeated,) = meter.receive(short(0x7B, 5))
    (following,) = meter.receive(short(0x5B, 5))
    access = [answer.burst.data[15] for answer in (first, repeated, following)]
    assert access[0] == access[1] == (access[2] - 1) & 0xFF
    assert meter.receive(short(0x7B, 6)) == ()
    assert meter.receive(short(0x40, 0xFF)) == ()
    assert mbus(dead=True).receive(short(0x40, 5)) == ()


@pytest.mark.parametrize(
    ("asked", "answers"),
    [("12345678", True), ("ffffffff", True), ("1234ffff", True), ("12345679", False), ("2fffffff", False)],
)
def test_an_mbus_meter_by_selection(asked: str, answers: bool) -> None:
    meter = mbus()
    assert hexed(meter.receive(select(asked))) == (["e5"] if answers else [])
    assert bool(meter.receive(short(0x5B, 0xFD))) is answers
    assert hexed(meter.receive(select("12345678", manufacturer="2423"))) == ["e5"]
    assert meter.receive(select("12345678", manufacturer="2d2c")) == ()
    meter.receive(select(asked))
    meter.receive(short(0x40, 0xFD))
    assert meter.receive(short(0x5B, 0xFD)) == ()


def test_an_mbus_meter_finds_a_request_behind_noise_and_cut_anywhere() -> None:
    meter = mbus()
    stream = b"\x68\x03\x10\x00\x68" + short(0x5B, 5) + b"\x10\x5b\x05\x00\x16" + short(0x7B, 5)
    answers = [answer for byte in stream for answer in meter.receive(bytes((byte,)))]
    assert len(answers) == 2


# --- DSMR ---------------------------------------------------------------------------------------------------------

V5 = r"""/ISk5\2MT382-1000

1-3:0.2.8(50)
0-0:1.0.0(170102192002W)
0-0:96.1.1(4B384547303034303436333935353037)
1-0:1.8.1(000004.426*kWh)
1-0:1.8.2(000002.399*kWh)
1-0:2.8.1(000002.444*kWh)
1-0:2.8.2(000000.000*kWh)
0-0:96.14.0(0002)
1-0:1.7.0(00.244*kW)
1-0:2.7.0(00.000*kW)
0-0:96.7.21(00013)
0-0:96.7.9(00000)
1-0:99.97.0(0)(0-0:96.7.19)
1-0:32.32.0(00000)
1-0:52.32.0(00000)
1-0:72.32.0(00000)
1-0:32.36.0(00000)
1-0:52.36.0(00000)
1-0:72.36.0(00000)
0-0:96.13.0()
1-0:32.7.0(0230.0*V)
1-0:52.7.0(0230.0*V)
1-0:72.7.0(0229.0*V)
1-0:31.7.0(0.48*A)
1-0:51.7.0(0.44*A)
1-0:71.7.0(0.86*A)
1-0:21.7.0(00.070*kW)
1-0:41.7.0(00.032*kW)
1-0:61.7.0(00.142*kW)
1-0:22.7.0(00.000*kW)
1-0:42.7.0(00.000*kW)
1-0:62.7.0(00.000*kW)
0-1:24.1.0(003)
0-1:96.1.0(3232323241424344313233343536373839)
0-1:24.2.1(170102161005W)(00000.107*m3)
0-2:24.1.0(003)
0-2:96.1.0()
!6EEE
"""

SHOWN = dsmr_meter.Display(
    clock=datetime(2017, 1, 2, 19, 20, 2),  # noqa: DTZ001  a meter's own clock
    import_kwh=(4.426, 2.399),
    export_kwh=(2.444, 0.0),
    power_kw=0.244,
    currents=(0.48, 0.44, 0.86),
    powers_kw=(0.070, 0.032, 0.142),
    failures=13,
    gas_m3=0.107,
    gas_clock=datetime(2017, 1, 2, 16, 10, 5),  # noqa: DTZ001
)


def test_a_dsmr_telegram_of_version_5_is_the_recorded_one() -> None:
    meter = DsmrMeter("5", "K8EG004046395507", gas_id="2222ABCD123456789", empty_channel=True)
    data, values = meter.push(SHOWN)
    assert data == V5.replace("\n", "\r\n").encode()
    told = {(value.device, value.quantity): value.value for value in values}
    assert told["dsmr:K8EG004046395507", "energy_import_t1"] == 4.426
    assert told["dsmr:K8EG004046395507", "power"] == 244
    assert told["dsmr:2222ABCD123456789", "gas_volume"] == 0.107
    assert {quantity for _, quantity in told} <= set(TELEMETRY_UNITS)


def test_older_versions_have_their_own_lines_and_checks() -> None:
    four, _ = DsmrMeter("4", "E0025005016821714", kind="KFM5KAIFA-METER").push(SHOWN)
    assert b"1-3:0.2.8(42)\r\n" in four
    assert b"1-0:31.7.0(000*A)\r\n" in four
    assert f"{dsmr_meter.crc16(four[:-6]):04X}\r\n".encode() == four[-6:]
    two, values = DsmrMeter("2.2", "0" * 7, gas_id="0" * 6, kind=r"ISk5\2MT382-1004").push(SHOWN)
    assert two.endswith(b"\r\n!\r\n")
    for line in (
        b"1-0:1.8.1(00004.426*kWh)",
        b"1-0:1.7.0(0000.24*kW)",
        b"(0-1:24.2.1)(m3)\r\n(00000.107)\r\n0-1:24.4.0(1)",
    ):
        assert line in two
    assert {value.value for value in values if value.quantity == "power"} == {240}


# --- SML ----------------------------------------------------------------------------------------------------------

HOLLEY = (
    "1b1b1b1b01010101760400000162006200726500000101760101070000017162a80b0a01484c5902000d6be672620165017162a801638c8800"
    "7604000002620062007265000007017707ffffffffffff0b0a01484c5902000d6be6070100620affff72620165017162a874770701006032010"
    "10101010104484c590177070100600100ff010101010b0a01484c5902000d6be60177070100010800ff65001c010472620165017162a8621e52"
    "ff6501677c7a0177070100100700ff0101621b520053017801010163764d00760400000362006200726500000201710163e823001b1b1b1b1a0"
    "01b4c"
)
ITRON = (
    "1b1b1b1b0101010176099b62240606a4afd3620062007265000001017601010900000000085b47e10b0a01495452000347f04072620165085b4"
    "9910163d0d20076099b62240606a4afd46200620072650000070177010b0a01495452000347f040070100620affff72620165085b4991737707"
    "01006032010101010101044954520177070100600100ff010101010b0a01495452000347f0400177070100010800ff65001c010401621e52036"
    "900000000000064580101016351ef0076099b62240606a4afd562006200726500000201710163b5f10000001b1b1b1b1a025292"
)


def test_sml_files_are_the_recorded_ones() -> None:
    holley = SmlMeter("0a01484c5902000d6be6", second=0x017162A8)
    data, values = holley.push(sml_meter.Display(2355929.0, 376))
    assert data.hex() == HOLLEY
    assert {value.quantity: value.value for value in values} == {"energy_import": 2355.929, "power": 376}
    itron = SmlMeter(
        "0a01495452000347f040",
        maker="ITR",
        layout=ITRON_LOCKED,
        transaction=0x9B62240606A4AFD3,
        second=0x085B4991,
        file_number=0x085B47E1,
    )
    data, values = itron.push(sml_meter.Display(25688999.0, 376))
    assert data.hex() == ITRON
    assert {value.quantity: value.value for value in values} == {"energy_import": 25688}


def test_sml_negative_power_and_an_escape_inside_a_file() -> None:
    assert b"\x53\xfe\x88\x01" in SmlMeter("0a01484c5902000d6be6").push(sml_meter.Display(0.0, -376.0))[0]
    inside = SmlMeter("0a01484c5902000d6be6", second=0x1B1B1B1B).push(sml_meter.Display(0.0, 1.0))[0]
    assert b"\x1b" * 8 in inside[8:-8]
    assert len(inside) % 4 == 0


# --- EnOcean sensors, RFLink, Raycome 3 ----------------------------------------------------------------------------


def test_enocean_contacts_and_thermometers_are_the_recorded_ones() -> None:
    sender = bytes.fromhex("01825DAB")
    assert enocean_sensor.contact(sender, closed=False, dbm=-54).hex() == "55000707017ad50801825dab0001ffffffff360053"
    assert enocean_sensor.contact(sender, closed=True, dbm=-54).hex() == "55000707017ad50901825dab0001ffffffff3600c7"
    telegram, celsius = enocean_sensor.temperature(bytes.fromhex("0181B744"), 26.6667, dbm=-45)
    assert telegram.hex() == "55000a0701eba5000055080181b7440001ffffffff2d0075"
    assert celsius == pytest.approx(26.6667, abs=1e-4)
    assert enocean_sensor.contact(sender, closed=True, hops=2)[11:13] == b"\xab\x02"
    assert enocean_sensor.contact_teach_in(sender)[7] & 0x08 == 0
    assert enocean_sensor.temperature_teach_in(sender)[7:11].hex() == "082fff80"


def test_rflink_lines_are_the_samples_of_its_reference() -> None:
    stick = RflinkStick(Random(1), max_repeats=1)
    numbered = [stick.line("Mebus", "ID=c201;TEMP=00cf") for _ in range(0x31)]
    assert numbered[-1] == b"20;31;Mebus;ID=c201;TEMP=00cf;\r\n"
    fresh = RflinkStick(Random(1), max_repeats=1)
    for _ in range(3):
        fresh.line("Debug", "ID=0")
    assert fresh.weather("Cresta", "3001", Weather(18.0, 50)) == b"20;04;Cresta;ID=3001;TEMP=00b4;HUM=50;BAT=OK;\r\n"
    assert b"TEMP=8017;" in fresh.weather("Mebus", "ea01", Weather(-2.3, 40))
    (pressed,) = fresh.key("Kaku", "41", "1")
    assert pressed.data == b"20;06;Kaku;ID=41;SWITCH=1;CMD=ON;\r\n"
    (moved,) = fresh.motion("Pir", "aa66")
    assert moved.data == b"20;07;Pir;ID=aa66;PIR=ON;\r\n"
    assert fresh.receive(b"10;PI") == ()
    assert [answer.data for answer in fresh.receive(b"NG;\r\n")] == [b"20;08;PONG;\r\n"]


def test_raycome_version_3_has_its_own_live_frame_and_hears_its_own_commands() -> None:
    assert raycome_cuff.live_frame(0x0137, version=3).hex() == "aa8003040105013735"
    cuff = RaycomeCuff(Random(1), version=3, error_rate=0.0, measure_s=1.0)
    answers, start = cuff.receive(bytes.fromhex("CC80030301010000CC80030301020003"))
    assert [answer.data.hex() for answer in answers] == ["aa80030301010000", "aa80030301020003"]
    assert start
    assert cuff.receive(bytes.fromhex("CC80020301020002")) == ((), False)
    now = datetime(2026, 11, 21, 8, 0, 0)  # noqa: DTZ001
    end = cuff.measure(now, Vitals(141, 88, 70)).end.data
    assert end[:6].hex() == "aa80030f0106"
