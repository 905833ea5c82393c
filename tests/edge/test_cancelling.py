"""Which press a cancel takes back, and that the press itself never waits for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hearthline.clock import NS, Stamp
from hearthline.model import EventType, Lane
from hearthline_edge.arrival import Arrival, Source
from hearthline_edge.cancelling import CANCEL, Pressed, meant, take_cancel
from hearthline_edge.devices import GroupingRule, Item, Press, Release
from hearthline_edge.outbox import EventRow, Outbox
from hearthline_edge.taking import take_events

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
RADIO = Source("radio", "enocean-esp3", GroupingRule(0.5, release_ends=True))
ROLES = {"AI": "emergency", "BI": "service", "AO": CANCEL, "smoke": CANCEL}
A, B = "enocean:A", "enocean:B"


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path)
    yield outbox
    outbox.close()


def take(outbox: Outbox, seconds: float, *items: Item, now: Stamp | None = None) -> list[EventRow]:
    arrival = Arrival(items, now or START.later(seconds))
    with outbox.transaction():
        return take_events(outbox, RADIO, [arrival], lambda _, button: ROLES[button])


def press(device: str = A, button: str = "AI", **more: str) -> Press:
    return Press(device, button, button, "raw", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pressed", "device", "expected"),
    [
        ([], A, None),
        ([(A, 1.0)], A, A),
        ([(A, 5.0)], A, A),
        ([(A, 5.1)], A, None),
        ([(A, None)], A, None),  # from before a reboot without a clock
        ([(A, -0.1)], A, None),
        ([(A, 3.0), (B, 1.0)], A, A),  # its own, though another was later
        ([(B, 1.0)], A, B),  # a button at the wall, and one pendant
        ([(B, 1.0), ("enocean:C", 2.0)], A, None),  # and two: it could be either's
        ([(B, 1.0), (A, 9.0)], A, B),
        ([(A, 3.0)], None, A),  # the reset input: of one pendant
        ([(A, 3.0), (B, 1.0)], None, None),  # and of two neither
        ([(A, 6.0)], None, None),
    ],
)
def test_which_press_is_meant(
    pressed: list[tuple[str, float | None]], device: str | None, expected: str | None
) -> None:
    found = meant([Pressed(name, "AI", ago_s) for name, ago_s in pressed], device, 5.0)
    assert (found.device if found else None) == expected


def test_a_cancel_is_an_event_of_its_own_behind_the_press(outbox: Outbox) -> None:
    (alarm,) = take(outbox, 0, press())
    (cancel,) = take(outbox, 2, press(button="AO"))
    assert alarm.urgent
    assert not cancel.urgent
    assert (cancel.type, cancel.device, cancel.data["event"]) == (EventType.CANCEL, A, alarm.id)
    assert [row.id for row in outbox.events(9)] == [alarm.id, cancel.id]
    assert [event for event, _ in outbox.sounding_alarms(9)] == [alarm.id], "it closes nothing, at home neither"
    assert take(outbox, 2.1, press(button="AO")) == [], "its telegrams' repeats are the same cancel"


def test_a_service_call_is_taken_back_too_and_the_last_press_is_meant(outbox: Outbox) -> None:
    take(outbox, 0, press())
    (service,) = take(outbox, 1, press(button="BI"))
    (cancel,) = take(outbox, 2, press(button="AO"))
    assert cancel.data["event"] == service.id


def test_the_second_press_of_a_button_is_the_one_that_is_taken_back(outbox: Outbox) -> None:
    take(outbox, 0, press())
    (second,) = take(outbox, 1, Release(A), press())
    assert take(outbox, 5.5, press(button="AO"))[0].data["event"] == second.id


def test_what_is_too_late_takes_back_nothing_and_is_counted(outbox: Outbox) -> None:
    take(outbox, 0, press())
    assert take(outbox, 6, press(button="AO")) == []
    assert outbox.counters()["cancels-without-a-press"] == 1


def test_a_hazard_is_never_taken_back_and_never_takes_back(outbox: Outbox) -> None:
    take(outbox, 0, press())
    (smoke,) = take(outbox, 1, press(B, "smoke"))
    assert (smoke.type, smoke.data["role"], smoke.data["cause"]) == (EventType.ALARM, "emergency", "smoke")
    with outbox.transaction():
        assert take_cancel(outbox, lambda *_: "emergency", B, 5.0, START.later(8), {}) is None


def test_a_retained_copy_of_a_cancel_takes_back_nothing(outbox: Outbox) -> None:
    take(outbox, 0, press())
    assert take(outbox, 1, press(button="AO", certainty="possible")) == []


def test_a_clock_that_is_set_in_between_changes_nothing(outbox: Outbox) -> None:
    (alarm,) = take(outbox, 0, press())
    set_back = Stamp(START.wall_ns - 3600 * NS, START.mono_ns + 2 * NS, START.boot, True)
    (cancel,) = take(outbox, 0, press(button="AO"), now=set_back)
    assert cancel.data["event"] == alarm.id


def test_after_a_kill_the_press_is_still_known(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    (alarm,) = take(outbox, 0, press())
    with outbox.transaction():
        outbox.delete(Lane.EVENT, [(alarm.seq, alarm.seq)])  # the center has it already
    outbox.close()
    outbox = Outbox(tmp_path)
    (cancel,) = take(outbox, 3, press(button="AO"))
    assert cancel.data["event"] == alarm.id
    outbox.close()
