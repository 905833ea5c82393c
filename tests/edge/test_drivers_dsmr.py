"""The P1 port's driver: framing in a hurry, telegrams without a check, how often readings are given."""

from __future__ import annotations

import pytest

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline_edge.devices import Item, Readings, Refused, Seen
from hearthline_edge.devices.dsmr_p1 import DRIVER, crc16_arc

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
NUMBER = "0-0:96.1.1(45303030313233343536)"  # E000123456
VERSION = "1-3:0.2.8(50)"
ENERGY = "1-0:1.8.1(000123.456*kWh)"


def telegram(*lines: str, crc: bool = True, ident: str = "ISK5\\2MT382-1000") -> bytes:
    text = f"/{ident}\r\n\r\n{''.join(f'{line}{chr(13)}{chr(10)}' for line in lines)}!".encode()
    return text + (b"%04X" % crc16_arc(text) if crc else b"") + b"\r\n"


def decode(*chunks: bytes, **options: float) -> list[Item]:
    session = DRIVER.open_session({"interval_s": 0, **options}, "hall")
    return [item for chunk in chunks for item in session.receive(chunk, START)]


def values(item: Item) -> dict[tuple[str, str], float]:
    assert isinstance(item, Readings)
    return {(reading.device, reading.quantity): reading.value for reading in item.readings}


def test_crc_of_the_catalogue() -> None:
    assert crc16_arc(b"123456789") == 0xBB3D


def test_a_telegram_that_was_cut_does_not_cost_the_next_one() -> None:
    whole = telegram(VERSION, NUMBER, ENERGY)
    for cut in range(1, len(whole) - 2):
        items = decode(whole[:cut] + whole)
        assert [item for item in items if not isinstance(item, Refused)] == decode(whole), cut


def test_two_merged_telegrams_without_a_check_are_not_taken_for_one() -> None:
    first, second = (telegram(NUMBER, f"1-0:1.8.1(0012{n}.000*kWh)", crc=False) for n in (1, 2))
    merged = first[: first.index(b"!")] + second[second.index(b"0-0:") :]
    assert decode(merged) == [Refused("sanity", merged[:-1].hex())]


@pytest.mark.parametrize("line", [VERSION, "0-0:96.1.4(50217)", "0-0:1.0.0(260103120000W)"])
def test_a_version_with_a_check_is_never_taken_without_it(line: str) -> None:
    assert not [item for item in decode(telegram(line, NUMBER, ENERGY, crc=False)) if isinstance(item, Readings)]


def test_a_meter_heard_with_a_check_is_not_believed_without() -> None:
    plain = [NUMBER, ENERGY]
    session = DRIVER.open_session({"interval_s": 0}, "hall")
    kinds = []
    for one in (telegram(*plain, crc=False), telegram(*plain), telegram(*plain, crc=False)):
        (item,) = session.receive(one, START)
        kinds.append(item.reason if isinstance(item, Refused) else type(item).__name__)
    assert kinds == ["Readings", "Readings", "checksum"]


def test_wrong_parity_is_noticed_where_parity_is_seen() -> None:
    good = bytes(byte | (0x80 if byte.bit_count() % 2 else 0) for byte in telegram(NUMBER, ENERGY, crc=False))
    assert values(decode(good)[0]) == {("dsmr:E000123456", "energy_import_t1"): 123.456}
    at = good.index(b"\xb1\xb2")  # 12 of 123.456, with parity bits
    for bit in range(8):
        broken = good[:at] + bytes((good[at] ^ 1 << bit,)) + good[at + 1 :]
        assert not [item for item in decode(broken) if not isinstance(item, Refused)]


@pytest.mark.parametrize(
    ("number", "device"),
    [
        ("0-0:96.1.1(45303030313233343536)", "dsmr:E000123456"),
        ("0-0:96.1.1(3960221976967177082151037881335713)", "dsmr:3960221976967177082151037881335713"),
        ("0-0:96.1.1(00000000000000)", "dsmr:hall"),
        ("0-0:96.1.1()", "dsmr:hall"),
        ("0-0:96.1.1(../../etc)", "dsmr:hall"),
        (f"0-0:96.1.1({'1' * 97})", "dsmr:hall"),
        ("0-0:96.1.0(09610)", "dsmr:09610"),
    ],
)
def test_the_meters_name(number: str, device: str) -> None:
    assert list(values(decode(telegram(VERSION, number, ENERGY))[0])) == [(device, "energy_import_t1")]


@pytest.mark.parametrize(
    ("kind", "figure", "expected"),
    [
        ("003", "(260103120000W)(00000.107*m3)", ("gas_volume", 0.107)),
        ("007", "(260103120000W)(00872.234*m3)", ("water_volume", 872.234)),
        ("006", "(260103120000W)(00872.234*m3)", ("water_volume", 872.234)),
        ("004", "(260103120000W)(12.600*GJ)", ("heat_energy", 3500.0)),
        ("012", "(260103120000W)(3.6*MJ)", ("heat_energy", 1.0)),
        ("010", "(260103120000W)(0.5*MWh)", ("cooling_energy", 500.0)),
        ("002", "(260103120000W)(00012.5*kWh)", ("energy_import", 12.5)),
        ("099", "(260103120000W)(00012.5*m3)", ("volume", 12.5)),
        ("004", "(260103120000W)(00012.5*m3)", None),  # the volume of a heat meter is no heat
        ("003", "(260103120000W)(--------*m3)", None),
        ("003", "(632525252525S)()", None),
        ("003", "()", None),
    ],
)
def test_what_hangs_at_a_channel(kind: str, figure: str, expected: tuple[str, float] | None) -> None:
    lines = (f"0-2:24.1.0({kind})", "0-2:96.1.0(47313233)", f"0-2:24.2.1{figure}")
    found = values(decode(telegram(VERSION, NUMBER, ENERGY, *lines))[0])
    found.pop(("dsmr:E000123456", "energy_import_t1"))
    assert found == ({("dsmr:G123", expected[0]): expected[1]} if expected else {})


def test_two_codes_of_one_series_give_one_value() -> None:
    lines = ["1-0:1.7.0(01.000*kW)", "1-0:16.7.0(-00.500*kW)", "1-0:21.7.0(00.100*kW)", "1-0:36.7.0(-00.200*kW)"]
    for order in (lines, lines[::-1]):
        assert values(decode(telegram(VERSION, NUMBER, *order))[0]) == {
            ("dsmr:E000123456", "power"): -500.0,
            ("dsmr:E000123456:A", "power"): -200.0,
        }


@pytest.mark.parametrize(
    "line",
    [
        "1-0:1.8.1*01(000001.000*kWh)",  # a past billing period
        "1-2:1.8.1(000001.000*kWh)",  # another channel
        "1-0:1.8.1(000001.000*kW)",  # the unit of another quantity
        "1-0:1.8.1(000001.000)",
        "1-0:1.8.1(1e3*kWh)",
        "1-0:1.8.1(999999999999999999*kWh)",
        "1-0:1.8.1((000001.000*kWh))",
        "7-0:3.0.0(000001.000*m3)",
        "no line at all",
    ],
)
def test_what_is_no_value_gives_none(line: str) -> None:
    assert decode(telegram(VERSION, NUMBER, line)) == [Seen("dsmr:E000123456")]


def test_readings_at_the_pace_that_is_wanted() -> None:
    session = DRIVER.open_session({}, "hall")
    taken = []
    for second in range(60):
        (item,) = session.receive(telegram(VERSION, NUMBER, ENERGY), START.later(second))
        assert isinstance(item, Readings | Seen)
        taken += [second] if isinstance(item, Readings) else []
    assert taken == [0, 10, 20, 30, 40, 50]


def test_a_telegram_a_little_early_is_not_missed() -> None:
    session = DRIVER.open_session({"interval_s": 10}, "hall")
    items = [session.receive(telegram(VERSION, NUMBER, ENERGY), START.later(at_s)) for at_s in (0, 9.8, 19.7, 29.9)]
    assert all(isinstance(item, Readings) for (item,) in items)


@pytest.mark.parametrize("options", [{"interval_s": -1}, {"interval_s": 7200}, {"interval": 1}, {"interval_s": "1"}])
def test_wrong_options_are_named(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"^hall: .*interval"):
        DRIVER.open_session(options, "hall")


def test_the_longest_belgian_telegram_fits() -> None:
    months = "".join(f"(26{month:02d}01000000W)(26{month:02d}15120000W)(03.695*kW)" for month in range(1, 13))
    lines = [VERSION, NUMBER, ENERGY, f"0-0:98.1.0(12){months}", f"0-0:96.13.0({'30' * 1024})", "1-0:1.7.0(00.500*kW)"]
    one = telegram(*lines)
    assert 2500 < len(one) < 8192
    session = DRIVER.open_session({"interval_s": 0}, "hall")
    items = [item for at in range(len(one)) for item in session.receive(one[at : at + 1], START.later(at * 10 / 9600))]
    assert values(items[0])["dsmr:E000123456", "power"] == 500.0
