"""Contec 08A: for recordings only, and no systolic value that nobody knows how to read."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import Refused, SerialDriver, SerialSession, Vital, find_drivers

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
RECORD = bytes.fromhex("828094d5c8e9978580818d8980910000")


def driver() -> SerialDriver:
    found = find_drivers()["contec08a-hid"]
    assert isinstance(found, SerialDriver)
    return found


def open_session() -> SerialSession:
    return driver().open_session({}, "cuff")


def test_it_serves_no_port() -> None:
    assert driver().recordings_only
    assert open_session().next_request(START)[0] == b""


@given(systolic=st.integers(0, 255), diastolic=st.integers(0, 127), mean=st.integers(0, 127))
@settings(deadline=None)
def test_only_a_systolic_value_of_one_meaning_is_told(systolic: int, diastolic: int, mean: int) -> None:
    report = bytearray(RECORD)
    report[2], report[3], report[5] = systolic, 0x80 | diastolic, 0x80 | mean
    (item,) = open_session().receive(bytes(report), START)
    if isinstance(item, Vital):
        assert systolic >= 128
        assert systolic - 128 <= diastolic <= mean < systolic
        assert dict(item.values)["systolic"] == systolic
    else:
        assert isinstance(item, Refused)
        assert (item.reason == "unsupported") == (systolic < 128 or systolic - 128 > diastolic)


@given(flip=st.integers(0, 127))
@settings(deadline=None)
def test_a_report_without_its_fixed_bits_is_none(flip: int) -> None:
    report = bytearray(RECORD)
    report[flip // 8] ^= 1 << flip % 8
    items = [*open_session().receive(bytes(report), START), *open_session().receive(b"", START.later(1))]
    fixed = flip // 8 in (0, 1, 8, 12, 14, 15) or (flip % 8 == 7 and flip // 8 != 2)
    assert not (fixed and any(isinstance(item, Vital) for item in items))
