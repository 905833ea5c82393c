"""RFLink: keys as buttons, detectors by the port's options, one press for all its lines, a silent gateway."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline_edge.devices import (
    Change,
    DeviceNote,
    Item,
    Press,
    Readings,
    Release,
    Seen,
    SerialDriver,
    SerialSession,
    find_drivers,
)
from hearthline_edge.grouping import Verdict, judge

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
DOOR = {"id": "newkaku:00c2d3e4", "switch": "1", "is": "contact"}


def driver() -> SerialDriver:
    found = find_drivers()["rflink"]
    assert isinstance(found, SerialDriver)
    return found


def open_session(*devices: dict[str, str]) -> SerialSession:
    return driver().open_session({"devices": list(devices)}, "radio")


def hear(session: SerialSession, body: str, at_s: float = 0.0, counter: int = 0) -> list[Item]:
    return list(session.receive(f"20;{counter & 0xFF:02X};{body}\r\n".encode("ascii"), START.later(at_s)))


def words(items: list[Item]) -> list[str]:
    return [item.kind if isinstance(item, Change) else type(item).__name__ for item in items]


@given(raw=st.integers(0, 0xFFFF))
@settings(deadline=None)
def test_temperature_has_a_sign_bit_and_bounds(raw: int) -> None:
    (found,) = hear(open_session(), f"Cresta;ID=3001;TEMP={raw:04x};")
    tenths = -(raw & 0x7FFF) if raw & 0x8000 else raw
    if -500 <= tenths <= 800:
        assert isinstance(found, Readings)
        assert [reading.value for reading in found.readings] == [tenths / 10]
    else:
        assert not isinstance(found, Readings)


@given(humidity=st.integers(0, 999))
@settings(deadline=None)
def test_humidity_is_decimal(humidity: int) -> None:
    (found,) = hear(open_session(), f"Cresta;ID=3001;HUM={humidity};")
    assert isinstance(found, Readings) == (humidity <= 100)
    if isinstance(found, Readings):
        assert found.readings[0].value == humidity


def test_a_held_key_is_one_press_and_pressed_again_two() -> None:
    session, state, new = open_session(), None, 0
    for number, at_s in enumerate((0.0, 0.06, 0.12, 0.9, 2.0, 3.4, 5.0, 5.06)):
        (press,) = hear(session, "NewKaku;ID=008440e6;SWITCH=a;CMD=ON;", at_s, number)
        assert isinstance(press, Press)
        verdict, state = judge(state, press, driver().grouping, START.later(at_s))
        new += verdict is Verdict.NEW
    assert new == 2


def test_on_and_off_are_two_buttons_and_neither_releases_the_other() -> None:
    session = open_session()
    items = [*hear(session, "Kaku;ID=41;SWITCH=1;CMD=ON;"), *hear(session, "Kaku;ID=41;SWITCH=1;CMD=OFF;", 0.3)]
    assert [item.button for item in items if isinstance(item, Press)] == ["1", "1:off"]
    assert not any(isinstance(item, Release) for item in items)


def test_a_door_contact_that_speaks_as_a_remote() -> None:
    session = open_session(DOOR)
    told = [
        *hear(session, "NewKaku;ID=00c2d3e4;SWITCH=1;CMD=ON;"),
        *hear(session, "NewKaku;ID=00c2d3e4;SWITCH=1;CMD=ON;", 60),
        *hear(session, "NewKaku;ID=00c2d3e4;SWITCH=1;CMD=OFF;", 90),
        *hear(session, "NewKaku;ID=00c2d3e4;SWITCH=2;CMD=ON;", 95),  # another switch of the same id
        *hear(session, "NewKaku;ID=00c2d3e4;SWITCH=1;CMD=ALLON;", 99),  # what no contact says
    ]
    assert words(told) == ["open", "Seen", "closed", "Press", "Press"]


def test_a_leak_detector_that_speaks_as_a_remote() -> None:
    session = open_session({"id": "ev1527:0f0065", "is": "leak"})
    (leak,) = hear(session, "EV1527;ID=0f0065;SWITCH=05;CMD=ON;")
    assert isinstance(leak, Press)
    assert (leak.button, leak.lasting) == ("leak", True)
    assert hear(session, "EV1527;ID=0f0065;SWITCH=05;CMD=OFF;", 60) == [Release("rflink:ev1527:0f0065", "leak")]


def test_motion_without_an_end_is_told_again_after_two_minutes() -> None:
    session = open_session({"id": "newkaku:00c2d3e4", "is": "motion"})
    told = [item for at_s in (0, 60, 120, 241) for item in hear(session, "NewKaku;ID=00c2d3e4;SWITCH=1;CMD=ON;", at_s)]
    assert words(told) == ["motion", "Seen", "Seen", "motion"]
    told = [item for at_s in (0, 60, 120, 241) for item in hear(session, "Pir;ID=aa66;PIR=ON;", at_s)]
    assert words(told) == ["motion", "Seen", "Seen", "motion"]


def test_values_told_again_within_the_quiet_are_one_telegram() -> None:
    session = open_session()
    told = [item for at_s in (0, 1, 2, 60) for item in hear(session, "Cresta;ID=3001;TEMP=00b4;", at_s, round(at_s))]
    assert words(told) == ["Readings", "Seen", "Seen", "Readings"]


def test_smoke_of_an_unknown_word_is_smoke() -> None:
    (smoke,) = hear(open_session(), "SmokeAlert;ID=1234;SMOKEALERT=TEST;")
    assert isinstance(smoke, Press)
    assert smoke.button == "smoke"


def test_the_gateway_is_asked_whether_it_lives() -> None:
    session = open_session()
    assert session.next_request(START) == (b"10;PING;\r\n", 60.0)
    assert session.next_request(START.later(10)) == (b"", 50.0)
    assert hear(session, "PONG;", 10) == [Seen("rflink:radio")]
    notes: list[Item] = []
    for second in range(60, 600):
        notes += session.receive(b"", START.later(second))
        session.next_request(START.later(second))
    assert notes == [DeviceNote("rflink:radio", "no-reply", "3 questions to the receiver without an answer")]
    press, back = hear(session, "Kaku;ID=41;SWITCH=1;CMD=ON;", 600)
    assert (type(press), back) == (Press, DeviceNote("rflink:radio", "reply", "answers again"))
    assert not list(session.receive(b"", START.later(601)))


def test_names_without_end_do_not_grow_memory() -> None:
    session: Any = open_session()
    for number in range(500):
        hear(session, f"Cresta;ID={number:x};TEMP=00b4;", number)
    assert len(session._sensors) == 64


@given(cut=st.integers(0, 40))
@settings(deadline=None)
def test_a_good_line_behind_a_cut_one_is_heard(cut: int) -> None:
    line = b"20;06;NewKaku;ID=008440e6;SWITCH=a;CMD=OFF;\r\n"
    found = open_session().receive(line[:cut] + line, START)
    assert [item.button for item in found if isinstance(item, Press)] == ["a:off"]


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        ([DOOR, DOOR], r"devices\[1\]\.id = 'newkaku:00c2d3e4' is there twice"),
        ([DOOR | {"is": "fire"}], r"devices\[0\]\.is"),
        ([DOOR | {"id": "NewKaku"}], r"devices\[0\]\.id"),
        ([{"id": "newkaku:1"}], "is"),
    ],
)
def test_wrong_options_are_named(devices: list[dict[str, str]], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"^radio: .*{said}"):
        open_session(*devices)
