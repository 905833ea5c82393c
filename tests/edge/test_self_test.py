"""The marked alarm: made once for a command, sent first like a press, and silent in the home."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hearthline.clock import NS, Stamp
from hearthline.model import EventType
from hearthline_edge import self_test
from hearthline_edge.outbox import EventRow, Outbox
from hearthline_edge.salvage import _mended
from hearthline_edge.taking import take_events

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", False)
GATEWAY = "gw-1"


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path)
    yield outbox
    outbox.close()


def make(outbox: Outbox, command: str, now: Stamp = START) -> list[EventRow]:
    """As the agent does with a command, but for the thread."""
    with outbox.transaction():
        if self_test.was_made(outbox, GATEWAY, command):
            return []
        arrival = self_test.marked_alarm(GATEWAY, command, now)
        return take_events(outbox, self_test.SOURCE, [arrival], self_test.role_of)


def test_it_is_an_urgent_alarm_of_the_gateway_that_sounds_nowhere(outbox: Outbox) -> None:
    (row,) = make(outbox, "command-1")
    assert (row.type, row.device, row.urgent) == (EventType.ALARM, GATEWAY, True)
    assert (row.data["role"], row.data["test"], row.data["cause"]) == ("self-test", "command-1", "press")
    assert outbox.sounding_alarms(9) == []


def test_a_command_that_comes_again_makes_no_second_alarm_also_after_a_reboot_without_a_clock(outbox: Outbox) -> None:
    assert len(make(outbox, "command-1")) == 1
    assert make(outbox, "command-1", START.later(3600)) == []
    assert make(outbox, "command-1", replace(START, boot="boot-2", mono_ns=NS)) == []
    assert len(make(outbox, "command-2", START.later(86_400))) == 1
    assert make(outbox, "command-1", START.later(86_500)) == []


def test_two_copies_that_arrive_before_either_is_committed_are_one(outbox: Outbox) -> None:
    both = [self_test.marked_alarm(GATEWAY, "command-1", START.later(after)) for after in (0, 2)]
    with outbox.transaction():
        assert len(take_events(outbox, self_test.SOURCE, both, self_test.role_of)) == 1


def test_a_state_that_is_garbled_on_the_card_makes_it_anew(outbox: Outbox) -> None:
    with outbox.transaction():
        outbox.set_press_state(GATEWAY, "self-test", b"\xff")
    assert len(make(outbox, "command-1")) == 1


def test_a_damaged_outbox_gives_the_mark_back_as_it_was(outbox: Outbox) -> None:
    make(outbox, "command-1")
    with outbox.transaction():
        (stored,) = outbox._connection.execute(
            "SELECT id, type, device, urgent, sounds, wall_ns, mono_ns, boot, synced, data FROM event"
        ).fetchall()
    assert _mended(stored) == stored
