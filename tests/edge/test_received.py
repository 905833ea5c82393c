"""What the center has received can be asked for again: bounded, once more in custody, behind every alarm, marked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearthline.clock import NS, Stamp
from hearthline.model import RESENT, SELF_TEST, EventType, Lane
from hearthline_edge import received
from hearthline_edge.outbox import EventRow, Outbox

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
FREE = Stamp(1_000 * NS, 100 * NS, "boot-1", False)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path)
    yield outbox
    outbox.close()


def later(seconds: float, of: Stamp = START) -> Stamp:
    return Stamp(of.wall_ns + round(seconds * NS), of.mono_ns + round(seconds * NS), of.boot, of.synced)


def take(outbox: Outbox, now: Stamp = START, type_: EventType = EventType.ALARM, role: str = "emergency") -> EventRow:
    with outbox.transaction():
        return outbox.append_event(type_, "d", {"role": role}, now, urgent=type_ is EventType.ALARM, sounds=True)


def acknowledge(outbox: Outbox, *rows: EventRow) -> None:
    with outbox.transaction():
        outbox.delete(Lane.EVENT, [(row.seq, row.seq) for row in rows])


def again(outbox: Outbox, since_ns: int = 0, most: int = 100) -> int:
    with outbox.transaction():
        return outbox.send_again(since_ns, "command-1", most)


def test_what_was_received_since_then_is_in_custody_again_with_its_id_and_marked(outbox: Outbox) -> None:
    old, alarm, vital = take(outbox), take(outbox, later(60)), take(outbox, later(70), EventType.VITAL)
    acknowledge(outbox, old, alarm, vital)
    assert outbox.events(10) == []
    assert again(outbox, later(30).wall_ns) == 2
    found = outbox.events(10)
    assert [(row.id, row.type, row.stamp) for row in found] == [(row.id, row.type, row.stamp) for row in (alarm, vital)]
    assert [row.data[RESENT] for row in found] == ["command-1", "command-1"]
    assert outbox.sounding_alarms(10) == []
    assert again(outbox, later(30).wall_ns) == 0
    acknowledge(outbox, *found)
    assert again(outbox, later(30).wall_ns) == 2  # once more, for a center that is restored once more


def test_a_new_alarm_goes_before_all_that_is_sent_again(outbox: Outbox) -> None:
    acknowledge(outbox, *(take(outbox, later(place)) for place in range(40)))
    assert again(outbox) == 40
    pressed = take(outbox, later(100))
    assert outbox.events(1) == [pressed]


def test_a_bundle_at_a_time_and_none_twice(outbox: Outbox) -> None:
    rows = [take(outbox, later(place)) for place in range(5)]
    acknowledge(outbox, *rows)
    assert [again(outbox, most=2) for _ in range(4)] == [2, 2, 1, 0]
    assert [row.id for row in outbox.events(10)] == [row.id for row in rows]


def test_what_proves_or_answers_is_not_sent_again(outbox: Outbox) -> None:
    acknowledge(outbox, take(outbox, role=SELF_TEST), take(outbox, type_=EventType.ANSWER), take(outbox))
    assert again(outbox) == 2
    assert [row.data["role"] for row in outbox.events(10)] == ["emergency"]
    assert again(outbox) == 0


def test_what_was_refused_is_not_sent_again(outbox: Outbox) -> None:
    row = take(outbox)
    with outbox.transaction():
        outbox.refuse(Lane.EVENT, [(row.seq, row.seq)])
    assert again(outbox) == 0


def test_a_clock_that_ran_free_may_have_meant_any_time(outbox: Outbox) -> None:
    acknowledge(outbox, take(outbox, FREE))
    assert again(outbox, later(30).wall_ns) == 1


def test_many_doors_crowd_no_alarm_out_and_old_copies_go(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(received, "KEPT_OTHERS", 5)
    monkeypatch.setattr(received, "KEPT_ALARMS", 3)
    alarms = [take(outbox, later(place)) for place in range(5)]
    acknowledge(outbox, *alarms, *(take(outbox, later(10 + place), EventType.ACTIVITY) for place in range(9)))
    with outbox.transaction():
        outbox.forget_received(later(received.KEPT_DAYS * 86_400 + 2.5))
    assert again(outbox) == 7
    found = outbox.events(20)
    assert [row.id for row in found if row.type == EventType.ALARM] == [row.id for row in alarms[3:]]


def test_a_disk_that_is_nearly_full_takes_no_copy(outbox: Outbox) -> None:
    row = take(outbox)
    assert outbox.ballast.release()
    acknowledge(outbox, row)
    assert outbox.events(1) == []
    assert again(outbox) == 0


def test_an_outbox_of_before_gets_the_table_and_keeps_what_it_has(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    row = take(outbox)
    outbox.close()
    with sqlite3.connect(tmp_path / "outbox.db") as connection:
        connection.executescript("DROP TABLE received")
    connection.close()
    opened = Outbox(tmp_path)
    assert opened.damaged == []
    acknowledge(opened, row)
    assert again(opened) == 1
    opened.close()
