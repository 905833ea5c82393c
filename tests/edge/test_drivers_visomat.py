"""Visomat: each record once, a memory that is asked for now and then, a block that is not whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline_edge.devices import Item, Refused, Seen, SerialDriver, SerialSession, Vital, find_drivers
from hearthline_edge.devices.visomat_jpi import REQUEST

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
RECORD = "15110321300134097083"  # recorded: 2015-11-03 21:30, 134/97, pulse 83


def open_session(**options: float) -> SerialSession:
    driver = find_drivers()["visomat-jpi"]
    assert isinstance(driver, SerialDriver)
    return driver.open_session(options, "cuff")


def answer(first: list[str], second: list[str]) -> bytes:
    blocks = [f"M{user}{len(records):02d}{''.join(records) or '1'}" for user, records in ((1, first), (2, second))]
    return b"\x02" + "".join(blocks).encode("ascii") + b"\x03"


def vitals(items: list[Item]) -> list[Vital]:
    return [item for item in items if isinstance(item, Vital)]


@given(
    systolic=st.integers(0, 999),
    diastolic=st.integers(0, 999),
    pulse=st.integers(0, 999),
    flag=st.integers(0, 9),
)
@settings(deadline=None)
def test_a_record_is_read_as_it_stands_or_refused(systolic: int, diastolic: int, pulse: int, flag: int) -> None:
    record = f"1303121145{flag}{systolic:03d}{diastolic:03d}{pulse:03d}"
    item, rest = open_session().receive(answer([], [record]), START)
    assert item == Seen("visomat:cuff")
    if 30 <= diastolic < systolic <= 300 and 20 <= pulse <= 250:
        assert isinstance(rest, Vital)
        assert rest.values == (("systolic", systolic), ("diastolic", diastolic), ("heart_rate", pulse))
        assert (rest.user, rest.device_time, rest.facts) == (2, "2013-03-12T11:45:00", (("flag", flag),))
    else:
        assert rest == Refused("sanity", f"M2 {record}")


def test_each_record_is_told_once() -> None:
    session = open_session()
    assert len(vitals(list(session.receive(answer([RECORD], []), START)))) == 1
    assert not vitals(list(session.receive(answer([RECORD], []), START.later(60))))
    newer = RECORD.replace("2130", "2131", 1)
    (told,) = vitals(list(session.receive(answer([newer, RECORD], []), START.later(120))))
    assert told.device_time == "2015-11-03T21:31:00"


def test_a_refused_record_is_refused_once() -> None:
    session, odd = open_session(), RECORD.replace("1511", "1513", 1)
    assert [type(item) for item in session.receive(answer([odd], []), START)] == [Refused, Seen]
    assert [type(item) for item in session.receive(answer([odd], []), START.later(60))] == [Seen, Seen]


def test_the_memory_is_asked_for_now_and_then() -> None:
    session = open_session(interval_s=30)
    assert session.next_request(START) == (REQUEST, 30.0)
    assert session.next_request(START.later(1)) == (b"", 29.0)
    session.receive(b"\x02M1", START.later(2))
    assert session.next_request(START.later(2))[1] <= 0.25
    assert session.next_request(START.later(30))[0] == REQUEST


@given(cut=st.integers(1, 40))
@settings(deadline=None)
def test_a_cut_answer_gives_only_whole_blocks(cut: int) -> None:
    whole = answer([RECORD], [RECORD])
    session = open_session()
    items = [*session.receive(whole[:-cut], START), *session.receive(b"", START.later(2))]
    assert len(vitals(items)) == (2 if cut == 1 else 1 if cut <= 25 else 0)


def test_a_full_memory_at_9600_baud_is_read() -> None:
    records = [f"1511{day:02d}{hour:02d}300134097083" for day in range(1, 8) for hour in range(10)]
    session, items = open_session(), list[Item]()
    for count, byte in enumerate(answer(records, [])):
        items += session.receive(bytes((byte,)), START.later(count / 960))
    assert len(vitals(items)) == 70


def test_wrong_options_are_named() -> None:
    with pytest.raises(ConfigError, match=r"^cuff: interval_s"):
        open_session(interval_s=1)
