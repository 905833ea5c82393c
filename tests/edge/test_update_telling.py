"""What the agent tells of an update: once for each step, from the outbox, with what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearthline.clock import NS, Stamp
from hearthline.model import EventType, Lane
from hearthline_edge.config import EdgeConfig, UplinkConfig
from hearthline_edge.custody import Custody
from hearthline_edge.outbox import EventRow, Outbox
from hearthline_edge.outbox_rows import Fate
from hearthline_edge.update_record import Phase, Told, Update, read_told, write_update
from hearthline_edge.update_telling import Note, UpdateTelling, note_of, tell_once, version_told
from hearthline_edge.versions import Versions

NOW = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
NOTE = Note("u1", "updated", "1 to 2")


def update(phase: Phase, reason: str = "") -> Update:
    return Update(id="u1", old="1", new="2", phase=phase, data_dir="/data", reason=reason)


@pytest.mark.parametrize(
    ("phase", "of_old", "of_new"),
    [
        (Phase.ASKING, "update-begins", None),
        (Phase.SWITCHING, None, "updated"),
        (Phase.PROVING, None, "updated"),
        (Phase.PROVED, None, "updated"),
        (Phase.UNDOING, "update-undone", None),
        (Phase.UNDONE, "update-undone", None),
        (Phase.CALLED_OFF, None, None),
    ],
)
def test_each_version_tells_its_own_part(phase: Phase, of_old: str | None, of_new: str | None) -> None:
    for own, kind in (("1", of_old), ("2", of_new), ("3", None)):
        note = note_of(update(phase), own)
        assert (note.kind if note is not None else None) == kind


def test_the_reason_and_the_good_version_are_told() -> None:
    undone = note_of(update(Phase.UNDONE, "it ended 3 times"), "1")
    assert undone is not None
    assert undone.detail == "2: it ended 3 times; 1 is back"
    assert version_told(update(Phase.PROVING), "2") == "2, on trial; last good 1"
    assert [version_told(each, "2") for each in (update(Phase.PROVED), None)] == ["2", "2"]


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    opened = Outbox(tmp_path)
    yield opened
    opened.close()


def told(outbox: Outbox, note: Note = NOTE) -> tuple[EventRow | None, Fate]:
    with outbox.transaction():
        return tell_once(outbox, "gw-1", note, NOW)


def test_a_note_is_one_event_and_its_fate_is_known(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    row, fate = told(outbox)
    assert row is not None
    assert (row.type, row.data, fate) == (EventType.DEVICE, {"kind": "updated", "detail": "1 to 2"}, Fate.WAITING)
    outbox.close()
    outbox = Outbox(tmp_path)  # the agent was started anew
    assert told(outbox) == (None, Fate.WAITING)
    assert len(outbox.events(9)) == 1
    with outbox.transaction():
        outbox.delete(Lane.EVENT, [(row.seq, row.seq)])
    assert told(outbox) == (None, Fate.RECEIVED)
    outbox.close()


def test_what_the_center_refuses_is_not_received(outbox: Outbox) -> None:
    row, _ = told(outbox)
    assert row is not None
    with outbox.transaction():
        outbox.refuse(Lane.EVENT, [(row.seq, row.seq)])
    assert told(outbox) == (None, Fate.REFUSED)


def test_only_the_last_notes_are_remembered(outbox: Outbox) -> None:
    for number in range(20):
        told(outbox, Note(f"u{number}", "updated", ""))
    assert told(outbox, Note("u19", "updated", ""))[0] is None
    assert len(outbox.events(99)) == 20
    assert len(outbox.word("update-notes")) < 1000


class Clock:
    def now(self) -> Stamp:
        return NOW


def test_the_file_beside_the_outbox_says_received_as_soon_as_it_is(tmp_path: Path) -> None:
    root, data = tmp_path / "root", tmp_path / "data"
    root.mkdir()
    data.mkdir()
    write_update(root, update(Phase.PROVING))
    config = EdgeConfig("gw-1", str(data), UplinkConfig("center"))

    async def says(fate: Fate) -> None:
        while read_told(data) != Told(id="u1", kind="updated", fate=fate):  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)

    async def live() -> None:
        custody = Custody(Outbox(data))
        given: list[EventRow] = []
        telling = UpdateTelling(config, Versions(root, "2"), custody, Clock(), given.extend)
        running = asyncio.create_task(telling.run())
        async with asyncio.timeout(20):
            await says(Fate.WAITING)
            assert telling.version == "2, on trial; last good 1"
            await custody.submit(lambda ob: ob.delete(Lane.EVENT, [(given[0].seq, given[0].seq)]))
            await says(Fate.RECEIVED)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await custody.stop()
        assert len(given) == 1

    asyncio.run(live())
