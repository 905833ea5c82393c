"""EnOcean beyond the rocker: profiles by sender, teach-in, changes told once, what repeaters tell again."""

from __future__ import annotations

from collections.abc import Callable
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
    Refused,
    Release,
    Seen,
    SerialDriver,
    SerialSession,
    enocean_eep,
    find_drivers,
)
from hearthline_edge.grouping import PressState, Verdict, judge, release
from hearthline_sim.devices.enocean_pendant import esp3

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
SENDER = "0181B744"
DEVICE = f"enocean:{SENDER}"


def driver() -> SerialDriver:
    found = find_drivers()["enocean-esp3"]
    assert isinstance(found, SerialDriver)
    return found


def session_for(*eeps: str, sender: str = SENDER) -> SerialSession:
    return driver().open_session({"devices": [{"id": sender, "eep": eep} for eep in eeps]}, "port")


def telegram(rorg: int, payload: str, *, sender: str = SENDER, status: int = 0) -> bytes:
    data = bytes((rorg,)) + bytes.fromhex(payload + sender) + bytes((status,))
    return esp3(1, data, bytes.fromhex("01FFFFFFFF4A00"))


def values(item: Item) -> dict[str, float]:
    assert isinstance(item, Readings)
    return {reading.quantity: reading.value for reading in item.readings}


@pytest.mark.parametrize(
    ("eep", "payload", "found"),
    [
        ("A5-02-01", "0000FF08", {"temperature": -40.0}),
        ("A5-02-05", "00005508", {"temperature": 26.7}),  # recorded
        ("a5-02-0b", "00000008", {"temperature": 100.0}),
        ("A5-02-10", "0000FF08", {"temperature": -60.0}),
        ("A5-02-1B", "00000008", {"temperature": 130.0}),
        ("A5-02-20", "0003FF08", {"temperature": -10.0}),
        ("A5-02-20", "00000008", {"temperature": 41.2}),
        ("A5-02-30", "00000008", {"temperature": 62.3}),
        ("A5-04-01", "0078640A", {"humidity": 48.0, "temperature": 16.0}),
        ("A5-04-01", "00786408", {"humidity": 48.0}),
        ("A5-04-02", "0078640A", {"humidity": 48.0, "temperature": 12.0}),
        ("A5-04-02", "00FBFA0A", {"temperature": 60.0}),
        ("A5-04-03", "FF03FF08", {"humidity": 100.0, "temperature": 60.0}),
        ("A5-07-03", "FA3E8008", {"battery_voltage": 5.0, "illuminance": 250.0}),
        ("A5-07-03", "FBFA4008", {}),
    ],
)
def test_values_by_profile(eep: str, payload: str, found: dict[str, float]) -> None:
    items = list(session_for(eep).receive(telegram(0xA5, payload), START))
    told = [values(item) for item in items if isinstance(item, Readings)]
    assert told == ([found] if found else [])


@given(eep=st.sampled_from(sorted(enocean_eep.FOUR_BS)), payload=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_every_value_lies_within_its_scale(eep: int, payload: int) -> None:
    data = (payload | 0x08).to_bytes(4, "big")
    scales = {field.quantity: field.scale for field in enocean_eep.FOUR_BS[eep].fields}
    for reading in enocean_eep.readings(enocean_eep.FOUR_BS[eep], DEVICE, data):
        low, high = (float(end) for end in scales[reading.quantity])
        assert low <= reading.value <= high


@given(eep=st.integers(0, 0xFFFFFF))
@settings(deadline=None)
def test_profiles_are_written_as_they_are_read(eep: int) -> None:
    assert enocean_eep.eep_code(enocean_eep.eep_text(eep)) == eep


@given(function=st.integers(0, 63), kind=st.integers(0, 127), manufacturer=st.integers(0, 2047))
@settings(deadline=None)
def test_a_teach_in_names_its_profile(function: int, kind: int, manufacturer: int) -> None:
    payload = (function << 26 | kind << 19 | manufacturer << 8 | 0x80).to_bytes(4, "big")
    assert enocean_eep.four_bs_teach_in(payload) == (0xA50000 | function << 8 | kind, manufacturer, False)


def test_the_installer_knows_better_than_a_teach_in() -> None:
    session = session_for("A5-02-05")
    assert isinstance(next(iter(session.receive(telegram(0xA5, "08080D80"), START))), DeviceNote)  # A5-02-01
    (found,) = session.receive(telegram(0xA5, "00005508"), START.later(1))
    assert values(found) == {"temperature": 26.7}


def test_a_profile_of_another_kind_of_telegram_says_nothing() -> None:
    session = session_for("A5-02-05")
    (press,) = session.receive(telegram(0xF6, "30", status=0x30), START)
    assert isinstance(press, Press)
    assert press.button == "AO"


def test_a_contact_is_told_as_it_changes() -> None:
    session = session_for()
    told = [next(iter(session.receive(telegram(0xD5, bits), START.later(at)))) for at, bits in enumerate(("09",) * 3)]
    assert [type(item) for item in told] == [Change, Seen, Seen]
    (opened,) = session.receive(telegram(0xD5, "08"), START.later(9))
    assert isinstance(opened, Change)
    assert opened.kind == "open"


def test_a_late_copy_does_not_open_the_door_again() -> None:
    session = session_for()
    session.receive(telegram(0xD5, "08"), START)
    closed = telegram(0xD5, "09")
    assert isinstance(next(iter(session.receive(closed, START.later(5)))), Change)
    assert list(session.receive(telegram(0xD5, "09", status=2), START.later(5.05))) == [Seen(DEVICE)]


def test_a_repeated_reading_is_one_reading() -> None:
    session = session_for("A5-02-05")
    told = [
        next(iter(session.receive(telegram(0xA5, "00005508", status=hops), START.later(at))))
        for at, hops in ((0, 0), (0.03, 1), (0.06, 2), (100, 0), (200, 1))
    ]
    assert [type(item) for item in told] == [Readings, Seen, Seen, Readings, Readings]


def test_motion_without_an_end_is_told_again_after_two_minutes() -> None:
    session = session_for("A5-07-02")
    moving = telegram(0xA5, "00000088")
    told = [next(iter(session.receive(moving, START.later(at)))) for at in (0, 100, 200, 321)]
    assert [type(item) for item in told] == [Change, Seen, Seen, Change]


@pytest.mark.parametrize(
    ("eep", "payload", "items"),
    [
        ("F6-05-01", "11", ["leak"]),
        ("F6-05-01", "00", [Release(DEVICE, "leak")]),
        ("F6-05-02", "10", ["smoke"]),
        ("F6-05-02", "00", [Release(DEVICE, "smoke")]),
        ("F6-05-02", "30", [DeviceNote(DEVICE, "low-battery", "energy low")]),
        ("F6-05-02", "70", [Seen(DEVICE), "unsupported"]),
        ("F6-01-01", "10", ["push"]),
        ("F6-10-00", "E8", ["open"]),
        ("F6-02-01", "70", ["BO"]),
    ],
)
def test_rps_by_profile(eep: str, payload: str, items: list[Any]) -> None:
    found = session_for(eep).receive(telegram(0xF6, payload, status=0x30), START)
    words = [
        item.button if isinstance(item, Press) else getattr(item, "reason", getattr(item, "kind", ""))
        for item in found
        if isinstance(item, Press | Change | Refused)
    ]
    others = [item for item in found if not isinstance(item, Press | Change | Refused)]
    assert (words, others) == ([each for each in items if isinstance(each, str)], [e for e in items if e not in words])


def test_smoke_lasts_until_it_is_over() -> None:
    session = session_for("F6-05-02")
    (smoke,) = session.receive(telegram(0xF6, "10", status=0x31), START)
    assert isinstance(smoke, Press)
    assert smoke.lasting
    assert dict(smoke.facts) == {"rssi_dbm": -74, "hops": 1}


def test_a_low_battery_is_told_once() -> None:
    session = session_for("F6-05-02")
    told = [next(iter(session.receive(telegram(0xF6, "30"), START.later(at)))) for at in (0, 60)]
    assert [type(item) for item in told] == [DeviceNote, Seen]


def test_three_keys_at_once_are_no_window_handle() -> None:
    (press,) = session_for().receive(telegram(0xF6, "70", status=0x20), START)
    assert isinstance(press, Press)
    assert press.button == "several"


def test_one_press_through_two_repeaters_is_one_event() -> None:
    session, state, new = session_for(), None, 0
    for at, payload, status in (
        (0.0, "30", 0x30),
        (0.012, "30", 0x31),
        (0.025, "30", 0x32),
        (0.03, "00", 0x20),
        (0.04, "30", 0x32),  # overtaken by the release
        (0.05, "00", 0x21),
        (0.4, "30", 0x30),  # pressed again
    ):
        now = START.later(at)
        for item in session.receive(telegram(0xF6, payload, status=status), now):
            if isinstance(item, Press):
                verdict, state = judge(state, item, driver().grouping, now)
                new += verdict is Verdict.NEW
            elif isinstance(item, Release):
                assert isinstance(state, PressState)
                state = release(state, now)
    assert new == 2


@pytest.mark.parametrize("rorg", [0x30, 0x31, 0x33, 0x35])
def test_an_encrypted_pendant_is_told_once_and_each_telegram_is_kept(rorg: int) -> None:
    session = session_for()
    told = [item for at in range(3) for item in session.receive(telegram(rorg, "0E8F3C11"), START.later(at))]
    assert [type(item) for item in told] == [DeviceNote, Refused, Refused, Refused]
    assert isinstance(told[0], DeviceNote)
    assert (told[0].device, told[0].kind) == (DEVICE, "encrypted")


def lives(
    session: SerialSession, from_s: int, to_s: int, answers: Callable[[int], bool]
) -> list[tuple[int, DeviceNote]]:
    """What is told while a stick is asked, and answers at these moments."""
    notes: list[tuple[int, DeviceNote]] = []
    for second in range(from_s, to_s):
        now = START.later(second)
        items = list(session.receive(b"", now))
        request, wait_s = session.next_request(now)
        assert 0 < wait_s <= 60
        if request:
            assert request == esp3(5, b"\x08", b"")
            if answers(second):
                items += session.receive(esp3(2, bytes.fromhex("00FF8A3C00"), b"\x0a"), now)
        notes += [(second, item) for item in items if isinstance(item, DeviceNote)]
    return notes


def test_a_stick_that_answers_nothing_is_told_and_told_back() -> None:
    session = session_for()
    assert not lives(session, 0, 3600, lambda second: True)
    notes = lives(session, 3600, 8000, lambda second: second > 5000)
    assert [(note.device, note.kind) for _, note in notes] == [("enocean:port", "no-reply"), ("enocean:port", "reply")]
    assert notes[0][0] <= 3600 + 241


def test_a_stick_that_was_never_there_is_told_once_and_any_frame_is_its_life() -> None:
    session = session_for()
    assert [note.kind for _, note in lives(session, 0, 7200, lambda second: False)] == ["no-reply"]
    press, back = session.receive(telegram(0xF6, "30", status=0x30), START.later(7200))
    assert isinstance(press, Press)
    assert back == DeviceNote("enocean:port", "reply", "answers again")


def test_a_stick_that_comes_and_goes_is_told_of_once_an_hour() -> None:
    notes = lives(session_for(), 0, 4 * 3600, lambda second: second % 600 < 60)
    assert [note.kind for _, note in notes] == ["no-reply", "reply"] * 4


def test_senders_without_end_do_not_grow_memory() -> None:
    session: Any = session_for()
    for number in range(1000):
        session.receive(telegram(0xD5, "09", sender=f"{number:08X}"), START.later(number))
    assert len(session._senders) == 256


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"devices": [{"id": "0181B7", "eep": "A5-02-05"}]}, r"devices\[0\]\.id"),
        (
            {"devices": [{"id": SENDER, "eep": "A5-20-01"}]},
            r"devices\[0\]\.eep = 'A5-20-01' is not known; there are: A5",
        ),
        ({"devices": [{"id": SENDER, "eep": "temperature"}]}, r"devices\[0\]\.eep"),
        ({"devices": [{"id": SENDER, "eep": "A5-02-05"}] * 2}, r"devices\[1\]\.id = '0181B744' is there twice"),
        ({"devices": [{"id": SENDER}]}, "eep"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"^port: .*{said}"):
        driver().open_session(options, "port")
