"""Raycome: measurements that the host starts, live pressure of both versions, errors in words."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline_edge.devices import (
    DeviceNote,
    Item,
    Readings,
    Refused,
    Seen,
    SerialDriver,
    SerialSession,
    Vital,
    find_drivers,
    raycome_rbp,
)

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
CONNECT, BEGIN, STOP, BATTERY = (
    bytes.fromhex(text) for text in ("cc80020301010001", "cc80020301020002", "cc80020301030003", "cc80020304040001")
)
CONNECTED = bytes.fromhex("aa80020301010001")
RESULT = bytes.fromhex("aa80020f010601120918172c18007a004b005f45")
LIVE = bytes.fromhex("aa800208010500000000370039")


def open_session(**options: Any) -> SerialSession:
    driver = find_drivers()["raycome-bp"]
    assert isinstance(driver, SerialDriver)
    return driver.open_session(options, "port")


def answer(kind: tuple[int, int], data: bytes, version: int = 2) -> bytes:
    frame = bytearray(raycome_rbp.command(version, kind, data))
    frame[0] = 0xAA
    return bytes(frame)


def battery(millivolts: int) -> bytes:
    return answer((4, 4), millivolts.to_bytes(2, "big"))


def switched_on(session: SerialSession) -> None:
    """A monitor that was off for ten seconds and answers at START."""
    for before_s in (10, 5, 0):
        assert session.next_request(START.later(-before_s))[0] == CONNECT
    session.receive(CONNECTED, START)


def started(session: SerialSession) -> None:
    """A monitor with a full battery that was switched on, whose measurement begins at START."""
    switched_on(session)
    assert session.next_request(START)[0] == BATTERY
    session.receive(battery(4000), START)
    assert session.next_request(START) == (BEGIN, 60.0)


def test_a_monitor_that_was_connected_is_started_once_its_battery_suffices() -> None:
    session = open_session(start="on-connect")
    started(session)
    assert list(session.receive(answer((1, 2), b"\x00"), START.later(0.1))) == [Seen("raycome:port")]
    assert session.next_request(START.later(0.1))[0] == b""
    assert [type(item) for item in session.receive(RESULT, START.later(40))] == [Vital]
    assert session.next_request(START.later(40))[0] == b""
    assert session.next_request(START.later(41.1))[0] == BATTERY


def test_a_weak_battery_starts_nothing() -> None:
    session = open_session(start="on-connect")
    switched_on(session)
    session.next_request(START)
    assert [type(item) for item in session.receive(battery(3600), START)] == [DeviceNote, Readings]
    assert session.next_request(START) == (b"", 600.0)


def test_by_hand_nothing_is_started() -> None:
    session = open_session()
    switched_on(session)
    session.next_request(START)
    session.receive(battery(4000), START)
    assert session.next_request(START) == (b"", 600.0)


def test_a_monitor_that_stands_there_when_the_gateway_starts_is_left_alone() -> None:
    session = open_session(start="on-connect")
    assert session.next_request(START)[0] == CONNECT
    session.receive(CONNECTED, START)
    assert session.next_request(START)[0] == BATTERY
    session.receive(battery(4000), START)
    assert session.next_request(START) == (b"", 600.0)


@pytest.mark.parametrize("heard", [LIVE, RESULT, answer((1, 7), b"\x06"), answer((1, 2), b"\x00")])
def test_a_monitor_that_somebody_has_used_since_it_was_switched_on_is_not_started(heard: bytes) -> None:
    session = open_session(start="on-connect")
    switched_on(session)
    session.receive(heard, START.later(1))
    for second in range(2, 60):
        request = session.next_request(START.later(second))[0]
        assert request != BEGIN
        if request == BATTERY:
            session.receive(battery(4000), START.later(second))


@pytest.mark.parametrize("pulse", [0, 19, 301, 0xFFFF])
def test_a_pulse_that_no_heart_has_is_left_out(pulse: int) -> None:
    data = RESULT[6:-3] + pulse.to_bytes(2, "big")
    (vital,) = open_session().receive(answer((1, 6), data), START)
    assert isinstance(vital, Vital)
    assert vital.values == (("systolic", 122), ("diastolic", 75))


def test_an_error_that_the_monitor_repeats_is_told_once() -> None:
    session, frame = open_session(), answer((1, 7), b"\x07")
    told = [item for second in range(200) for item in session.receive(frame, START.later(second))]
    assert [type(item) for item in told] == [DeviceNote] + [Seen] * 199
    assert [type(item) for item in session.receive(answer((1, 7), b"\x06"), START.later(200))] == [DeviceNote]
    assert [type(item) for item in session.receive(frame, START.later(201))] == [DeviceNote]


def test_a_silent_measurement_is_stopped_and_told() -> None:
    session = open_session(start="on-connect")
    started(session)
    session.receive(LIVE, START.later(20))
    assert not list(session.receive(b"", START.later(79)))
    (note,) = session.receive(b"", START.later(80))
    assert note == DeviceNote("raycome:port", "measurement-error", "no result came, the measurement is stopped")
    assert session.next_request(START.later(80)) == (STOP, 10.0)
    assert list(session.receive(answer((1, 3), b"\x00"), START.later(80.2))) == [Seen("raycome:port")]
    assert not list(session.receive(b"", START.later(200)))


def test_a_measurement_without_end_is_stopped() -> None:
    session = open_session(start="on-connect")
    started(session)
    notes: list[Item] = []
    for second in range(1, 190):
        notes += [item for item in session.receive(LIVE, START.later(second)) if isinstance(item, DeviceNote)]
        if session.next_request(START.later(second))[0] == STOP:
            assert second == 180
            break
    assert len(notes) == 1


def starts(*, answers_battery: int, answers_connect: int = 1) -> list[int]:
    """The seconds after the first start at which it is started again, when every so many queries are answered."""
    session, begun, queries, calls = open_session(start="on-connect"), [], 0, 0
    started(session)
    session.receive(answer((1, 7), b"\x06"), START.later(20))
    for second in range(21, 1900):
        now = START.later(second)
        session.receive(b"", now)
        request = session.next_request(now)[0]
        if request == BEGIN:
            begun.append(second)
        elif request == CONNECT:
            calls += 1
            if calls % answers_connect == 0:
                session.receive(CONNECTED, now)
        elif request == BATTERY:
            queries += 1
            if queries % answers_battery == 0:
                session.receive(battery(4000), now)
    return begun


def test_a_connection_is_started_once() -> None:
    assert starts(answers_battery=1) == []


def test_a_line_that_loses_a_frame_starts_nothing() -> None:
    assert starts(answers_battery=2) == []


def test_a_monitor_that_comes_and_goes_is_started_once_in_ten_minutes() -> None:
    begun = [0, *starts(answers_battery=2, answers_connect=3)]
    assert len(begun) > 1
    assert all(later - earlier >= 600 for earlier, later in pairwise(begun))


@given(mmhg=st.integers(0, 300))
@settings(deadline=None)
def test_live_pressure_of_both_versions(mmhg: int) -> None:
    high, low = divmod(mmhg, 256)
    for frame in (
        answer((1, 5), bytes((0, high, 0, 0, low ^ high, 0))),
        answer((1, 5), bytes((high, low)), version=3),
    ):
        (found,) = open_session(live_pressure=True).receive(frame, START)
        assert isinstance(found, Readings)
        assert [(each.quantity, each.value) for each in found.readings] == [("cuff_pressure", mmhg)]


@pytest.mark.parametrize("version", [2, 3])
def test_host_frames_of_both_versions_give_nothing(version: int) -> None:
    for kind in ((1, 1), (1, 2), (1, 3), (1, 4), (4, 4)):
        assert not list(open_session().receive(raycome_rbp.command(version, kind, b"\x00"), START))


def test_commands_of_version_3_are_those_of_the_kits() -> None:
    commands = [raycome_rbp.command(3, kind, b"\x00").hex() for kind in ((1, 1), (1, 2), (1, 3))]
    assert commands == ["cc80030301010000", "cc80030301020003", "cc80030301030002"]


def test_a_pressure_beyond_any_cuff_is_refused() -> None:
    assert [type(item) for item in open_session().receive(answer((1, 5), b"\x04\x00", 3), START)] == [Refused]


@pytest.mark.parametrize("options", [{"start": "always"}, {"live_pressure": 1}, {"version": "2"}])
def test_wrong_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"^port: {next(iter(options))}"):
        open_session(**options)
