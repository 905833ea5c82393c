"""The IEC 62056-21 listener: checked readouts, pushed ones, and what is left of one that broke off."""

from __future__ import annotations

from functools import reduce
from operator import xor

import pytest

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import Item, Readings, Refused, Seen
from hearthline_edge.devices.iec62056_21 import DRIVER

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
NUMBER, ENERGY, POWER = "C.1.0(30123456)", "1.8.0(010192.57*kWh)", "1.7.0(001.322*kW)"
DEVICE = "iec62056:30123456"


def pushed(*lines: str) -> bytes:
    return b"/ISK5\\2MT382-1008\r\n\r\n" + "".join(f"{line}\r\n" for line in lines).encode() + b"!\r\n"


def checked(*lines: str) -> bytes:
    data = "".join(f"{line}\r\n" for line in lines).encode() + b"!\r\n\x03"
    return b"/ISK5\\2MT382-1008\r\n\x02" + data + bytes((reduce(xor, data),))


def decode(*chunks: bytes, silence_s: float = 2) -> list[Item]:
    session = DRIVER.open_session({"interval_s": 0}, "cellar")
    items = [item for chunk in chunks for item in session.receive(chunk, START)]
    return [*items, *session.receive(b"", START.later(silence_s))]


def values(items: list[Item]) -> list[dict[tuple[str, str], float]]:
    return [
        {(reading.device, reading.quantity): reading.value for reading in item.readings}
        for item in items
        if isinstance(item, Readings)
    ]


TOLD = {(DEVICE, "energy_import"): 10192.57, (DEVICE, "power"): 1322.0}


def test_a_readout_with_a_check() -> None:
    assert values(decode(checked(NUMBER, ENERGY, POWER), silence_s=0)) == [TOLD]


def test_any_changed_byte_behind_stx_costs_the_readout() -> None:
    good = checked(NUMBER, ENERGY, POWER)
    for at in range(good.index(b"\x02") + 1, len(good)):
        for bit in range(7):
            broken = good[:at] + bytes((good[at] ^ 1 << bit,)) + good[at + 1 :]
            assert all(isinstance(item, Refused) for item in decode(broken)), (at, bit)


def test_a_readout_with_a_check_that_was_cut_gives_nothing_and_the_next_one_all() -> None:
    good = checked(NUMBER, ENERGY, POWER)
    for cut in range(1, len(good)):
        assert not values(decode(good[:cut])), cut
        assert values(decode(good[:cut] + good)) == [TOLD], cut


def test_a_pushed_readout_waits_for_what_stands_behind_it() -> None:
    one = pushed(NUMBER, ENERGY, POWER)
    assert not decode(one, silence_s=1)
    assert values(decode(one, silence_s=2)) == [TOLD]
    assert values(decode(one, one, silence_s=0)) == [TOLD]
    assert values(decode(one + one, silence_s=2)) == [TOLD, TOLD]


@pytest.mark.parametrize("split", [True, False])
def test_a_check_whose_stx_was_lost_is_no_readout_without_a_check(split: bool) -> None:
    broken = checked(NUMBER, ENERGY, POWER).replace(b"\x02", b"")
    chunks = [bytes((byte,)) for byte in broken] if split else [broken]
    refused = [item for item in decode(*chunks) if isinstance(item, Refused)]
    assert not values(decode(*chunks))
    assert refused[0].reason == "checksum"


def test_a_readout_that_broke_off_gives_its_whole_lines() -> None:
    one = pushed(NUMBER, ENERGY, POWER)
    at = one.index(b"1.7.0")
    for cut in range(at, at + len(POWER) + 2):
        assert values(decode(one[:cut])) == [{(DEVICE, "energy_import"): 10192.57}], cut
    assert not decode(one[: one.index(b"C.1.0")])


def test_nothing_of_a_readout_without_a_check_when_one_line_is_none() -> None:
    (item,) = decode(pushed(NUMBER, "1.8.0(010192.57*kWh", POWER))
    assert isinstance(item, Refused)
    assert item.reason == "sanity"


def test_other_lines_of_meters_do_no_harm() -> None:
    others = (
        "F.F(00000000)",
        "6.8(0012.1*MWh)6.26(0123.4*m3)",
        "P.01(210528)(00)(15)",
        "1.8.0*01(009999.00*kWh)",
        "0.9.1()",
    )
    for readout in (checked, pushed):
        assert values(decode(readout(NUMBER, *others, ENERGY, POWER))) == [TOLD]


def test_a_maximum_and_its_moment() -> None:
    found = values(decode(checked(NUMBER, "1.6.0(003.21*kW)(2105281200)")))
    assert found == [{(DEVICE, "power_demand_max"): 3210.0}]


def test_requests_of_others_are_passed_over() -> None:
    assert decode(b"/?!\r\n", b"/?30123456!\r\n", b"/?!\n") == []


def test_slow_bytes_of_one_readout_are_one_readout() -> None:
    """At 300 baud a byte takes 33 ms; the line is asked for silence all the while."""
    session, items = DRIVER.open_session({"interval_s": 0}, "cellar"), list[Item]()
    one = checked(NUMBER, ENERGY, POWER)
    for count, byte in enumerate(one):
        items += session.receive(bytes((byte,)), START.later(count / 30))
        items += session.receive(b"", START.later(count / 30 + 0.02))
    assert values(items) == [TOLD]


def test_parity_is_left_to_the_driver_and_a_wrong_one_is_never_believed() -> None:
    assert (DRIVER.line.bytesize, DRIVER.line.parity) == (8, "N")  # a line set to parity passes wrong bytes on
    good = bytes(byte | (0x80 if byte.bit_count() % 2 else 0) for byte in pushed(NUMBER, ENERGY, POWER))
    assert values(decode(good)) == [TOLD]
    for at in range(good.index(b"(") + 1, len(good)):
        for bit in range(8):
            broken = good[:at] + bytes((good[at] ^ 1 << bit,)) + good[at + 1 :]
            for told in values(decode(broken)):
                assert set(told.values()) <= set(TOLD.values()), (at, bit)


def test_readings_at_the_pace_that_is_wanted() -> None:
    session = DRIVER.open_session({}, "cellar")
    found = [item for count in range(21) for item in session.receive(checked(NUMBER, ENERGY), START.later(count))]
    assert [count for count, item in enumerate(found) if isinstance(item, Readings)] == [0, 10, 20]
    assert found[1] == Seen(DEVICE)
