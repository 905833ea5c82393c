"""A pack has one time however often it is told, also when the clock is synchronised in between."""

from __future__ import annotations

from pathlib import Path

from hearthline.clock import NS, Stamp
from hearthline.model import Lane, Reading
from hearthline_edge.outbox import Outbox
from hearthline_edge.pack_time import Told, note_told_free, told_free, told_time

FREE = Stamp(1_000 * NS, 100 * NS, "boot-1", False)
SYNCED = Stamp(1_790_000_000 * NS, 160 * NS, "boot-1", True)


def tell(outbox: Outbox, now: Stamp) -> list[Told]:
    with outbox.transaction():
        told = [told_time(outbox, pack, now) for pack in outbox.packs(10)]
    with outbox.transaction():
        note_told_free(outbox, told_free(told))
    return told


def append(outbox: Outbox, base: Stamp) -> None:
    with outbox.transaction():
        outbox.append_pack([(Reading("meter:1", "power", 1.0, "W"), 0)], base)


def test_a_pack_told_with_a_free_clock_stays_so_when_the_clock_is_right(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    append(outbox, FREE)
    assert [moment.synced for _, moment, _ in tell(outbox, FREE.later(1))] == [False]
    append(outbox, FREE.later(2))
    outbox.close()

    outbox = Outbox(tmp_path)  # an agent that was killed knows it, too
    with outbox.transaction():
        outbox.remember_synced_clock(SYNCED)
    first, second = tell(outbox, SYNCED)
    assert first[1] == FREE
    assert first[2] == 60.0, "its age goes with it, for the ingester may have to estimate"
    assert second[1].synced, "what was never told has the right time"
    assert second[1].wall_ns == SYNCED.wall_ns - 58 * NS
    outbox.close()


def test_boots_are_told_apart_and_a_synchronised_pack_needs_no_note(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    append(outbox, SYNCED)
    append(outbox, Stamp(0, 5 * NS, "boot-2", False))
    told = tell(outbox, SYNCED.later(1))
    assert told_free(told) == {"boot-2": 2}
    assert told[0][1:] == (SYNCED, 0.0)
    tell(outbox, SYNCED.later(2))
    assert outbox.counters() == {"told-free:boot-2": 2}
    with outbox.transaction():
        outbox.delete(Lane.TELEMETRY, [(1, 2)])
    outbox.close()
