"""The outbox keeps what it has committed, refuses what is not its own, bounds telemetry and never drops an event."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError, StorageError
from hearthline.model import EventType, Lane, Reading
from hearthline.wire import MAX_DEVICE, device_name
from hearthline_edge.outbox import KEPT_ASIDE_ROWS, EventRow, Outbox
from hearthline_edge.outbox_file import APPLICATION_ID, check_schema
from hearthline_edge.salvage import KEPT_FILES

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
FREE = Stamp(1_000 * NS, 100 * NS, "boot-1", False)
SAMPLE = [(Reading("meter", "power", 1.5, "W"), 0)]


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path)
    yield outbox
    outbox.close()


def alarm(outbox: Outbox, now: Stamp = START, *, sounds: bool = True) -> EventRow:
    with outbox.transaction():
        return outbox.append_event(EventType.ALARM, "d", {"role": "emergency"}, now, urgent=True, sounds=sounds)


def packs(outbox: Outbox, count: int, now: Stamp = START) -> None:
    for _ in range(count):
        with outbox.transaction():
            outbox.append_pack(SAMPLE, now)


def roll_back(outbox: Outbox, work: Callable[[], object]) -> None:
    """A transaction that fails after its work."""
    with contextlib.suppress(ZeroDivisionError), outbox.transaction():
        work()
        raise ZeroDivisionError


def take_and_delete(outbox: Outbox, ranges: list[tuple[int, int]]) -> None:
    outbox.append_pack(SAMPLE, START)
    outbox.delete(Lane.TELEMETRY, ranges)


def test_what_was_committed_survives_kill_9(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("write_and_die.py")), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    told = [child.stdout.readline().split() for _ in range(40)]
    child.kill()
    told += [line.split() for line in child.stdout.read().splitlines() if len(line.split()) == 2]
    child.stdout.close()
    child.wait(10)
    outbox = Outbox(tmp_path)
    kept = {row.id for row in outbox.events(10_000)}
    assert {event_id for _, event_id in told[:-1]} <= kept  # the last line may have been cut by the kill
    assert outbox.lane_status(Lane.TELEMETRY, START).depth == len(kept)
    outbox.close()


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in ("outbox.lock", "ballast")}


def make_foreign(path: Path, application: int, version: int, *, table: bool, log: bool) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    if log:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA application_id={application}")
    connection.execute(f"PRAGMA user_version={version}")
    if table:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()


@pytest.mark.parametrize(
    ("application", "version", "table", "told"),
    [
        (APPLICATION_ID, 2, True, "schema 2"),
        (APPLICATION_ID, 0, True, "schema 0"),
        (0, 0, True, "some other database"),
        (7, 1, True, "some other database"),
    ],
)
@pytest.mark.parametrize("log", [False, True])
def test_an_unknown_schema_is_refused_untouched(
    tmp_path: Path, application: int, version: int, table: bool, told: str, log: bool
) -> None:
    make_foreign(tmp_path / "outbox.db", application, version, table=table, log=log)
    before = snapshot(tmp_path)
    for _ in range(2):  # the refusal lets the folder go again
        with pytest.raises(ConfigError, match=told):
            Outbox(tmp_path)
    assert snapshot(tmp_path) == before


def test_bytes_that_are_no_database_are_set_aside_as_they_are(tmp_path: Path) -> None:
    letter = b"not a database at all, but somebody's letter " * 100
    (tmp_path / "outbox.db").write_bytes(letter)
    with pytest.raises(ConfigError, match="not a readable outbox"):
        check_schema(tmp_path / "outbox.db")
    outbox = Outbox(tmp_path)
    alarm(outbox)
    assert [(tmp_path / name).read_bytes() for name in outbox.damaged] == [letter]
    outbox.close()


def test_each_opening_has_an_id_of_its_own(tmp_path: Path) -> None:
    ids = []
    for _ in range(2):
        outbox = Outbox(tmp_path)
        ids.append(outbox.id)
        outbox.close()
    assert ids[0] != ids[1]
    assert all(0 < len(each) <= 64 for each in ids), "the wire's bound"


# --- damage -----------------------------------------------------------------------------------------------------


@pytest.fixture
def filled(tmp_path: Path) -> list[str]:
    """A closed outbox of many pages; the ids of its alarms."""
    outbox = Outbox(tmp_path)
    with outbox.transaction():
        for number in range(600):
            data = {"role": "emergency", "button": "AO", "ordinal": outbox.next_ordinal("d"), "raw": "x" * 100}
            outbox.append_event(EventType.ALARM, f"d{number % 3}", data, START, urgent=True, sounds=True)
    ids = [row.id for row in outbox.events(10_000)]
    outbox.close()
    return ids


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_of_a_damaged_page_the_alarms_around_it_are_taken_over(tmp_path: Path, filled: list[str]) -> None:
    path = tmp_path / "outbox.db"
    pages = path.stat().st_size // 4096
    outbox = Outbox(tmp_path)
    overwrite(path, (pages // 2) * 4096, os.urandom(4096))
    with pytest.raises(StorageError), outbox.transaction():
        outbox.events(10_000)
    old = outbox.id
    new = alarm(outbox)
    kept = [row.id for row in outbox.events(10_000)]
    assert outbox.id != old, "an acknowledgement of the damaged file must not hit the new one"
    assert outbox.damaged
    assert set(kept) <= {*filled, new.id}
    assert len(kept) > 400, "what can be read of both sides of the damage"
    assert [each for each in filled if each in set(kept)] == kept[:-1], "in the order of the presses"
    with outbox.transaction():
        assert outbox.next_ordinal("d") == 601
    outbox.close()
    again = Outbox(tmp_path)
    assert [row.id for row in again.events(10_000)] == kept
    again.close()


def test_a_file_cut_short_gives_what_is_left_of_it(tmp_path: Path, filled: list[str]) -> None:
    path = tmp_path / "outbox.db"
    os.truncate(path, path.stat().st_size // 2)
    outbox = Outbox(tmp_path)
    with contextlib.suppress(StorageError), outbox.transaction():
        outbox.events(10_000)
    alarm(outbox)
    assert outbox.damaged
    outbox.close()


def test_an_alarm_whose_words_are_garbled_is_still_an_alarm(tmp_path: Path, filled: list[str]) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "outbox.db")) as connection:  # SQLite has no checksum there
        connection.execute("UPDATE event SET data = x'ff00', wall_ns = -5 WHERE id = ?", (filled[5],))
        connection.commit()
    outbox = Outbox(tmp_path)
    with pytest.raises(StorageError), outbox.transaction():
        outbox.events(10_000)
    with outbox.transaction():
        rows = {row.id: row for row in outbox.events(10_000)}
    assert set(rows) == set(filled)
    assert rows[filled[5]].data["certainty"] == "possible"
    assert rows[filled[5]].stamp.wall_ns > START.wall_ns - 10**18
    outbox.close()


def test_a_kill_while_damage_is_mended_costs_no_alarm(tmp_path: Path, filled: list[str]) -> None:
    (tmp_path / "outbox.db").rename(tmp_path / "outbox.db.damaged")  # as far as it came
    for _ in range(2):
        outbox = Outbox(tmp_path)
        assert [row.id for row in outbox.events(10_000)] == filled
        outbox.close()


def test_a_dying_card_does_not_fill_itself(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / "outbox.db").write_bytes(b"garbage %d " % number * 1000)
        outbox = Outbox(tmp_path)
        outbox.close()
    assert len(outbox.damaged) == KEPT_FILES
    newest = (tmp_path / outbox.damaged[-1]).read_bytes()
    assert newest.startswith(b"garbage 5")


def test_a_disk_that_does_not_let_it_be_opened_costs_the_ballast_and_is_no_wrong_file(
    tmp_path: Path, outbox: Outbox
) -> None:
    alarm(outbox)
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("outbox.db", "outbox.db-wal", "ballast"):
        (killed / name).write_bytes((tmp_path / name).read_bytes())
    (killed / "outbox.db-shm").symlink_to(
        killed / "nowhere" / "shm"
    )  # as on a full disk: the file beside the log cannot be made
    with pytest.raises(StorageError, match="free space"):
        Outbox(killed)
    assert not (killed / "ballast").exists()
    (killed / "outbox.db-shm").unlink()
    again = Outbox(killed)
    assert len(again.events(9)) == 1
    again.close()


def test_a_file_cut_short_while_it_was_made_is_finished(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "outbox.db")
    connection.execute("PRAGMA journal_mode=WAL")  # a header, and nothing else
    connection.close()
    assert (tmp_path / "outbox.db").stat().st_size
    outbox = Outbox(tmp_path)
    alarm(outbox)
    outbox.close()


def test_a_second_owner_is_refused(tmp_path: Path, outbox: Outbox) -> None:
    with pytest.raises(ConfigError, match="another agent"):
        Outbox(tmp_path)
    alarm(outbox)


def test_a_folder_that_is_not_there_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data_dir"):
        Outbox(tmp_path / "nowhere")


def test_a_full_telemetry_lane_drops_its_oldest_counted_and_no_event(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, telemetry_max_bytes=1000)
    for number in range(100):
        packs(outbox, 1, START.later(number))
        alarm(outbox, START.later(number))
    kept = outbox.packs(1000)
    status = outbox.lane_status(Lane.TELEMETRY, START.later(100))
    assert 0 < len(kept) < 100
    assert [pack.seq for pack in kept] == list(range(101 - len(kept), 101))
    assert (status.depth, status.dropped) == (len(kept), 100 - len(kept))
    assert outbox.lane_status(Lane.EVENT, START).depth == 100
    outbox.close()
    again = Outbox(tmp_path, telemetry_max_bytes=1000)
    packs(again, 1)
    assert again.lane_status(Lane.TELEMETRY, START).depth == len(kept)
    again.close()


@settings(max_examples=40, deadline=None)
@given(
    acts=st.lists(
        st.tuples(
            st.sampled_from(["event", "pack", "delete", "refuse", "fail"]), st.integers(1, 20), st.integers(0, 5)
        ),
        max_size=40,
    )
)
def test_lanes_hold_what_was_put_in_and_not_taken_out(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int, int]]
) -> None:
    outbox = Outbox(tmp_path_factory.mktemp("lanes"))
    expected: dict[Lane, set[int]] = {Lane.EVENT: set(), Lane.TELEMETRY: set()}
    refused = {Lane.EVENT: 0, Lane.TELEMETRY: 0}
    for act, low, size in acts:
        ranges = [(low, low + size)]
        if act == "event":
            expected[Lane.EVENT].add(alarm(outbox).seq)
        elif act == "pack":
            packs(outbox, 1)
            expected[Lane.TELEMETRY].add(outbox.packs(10_000)[-1].seq)
        elif act == "fail":
            roll_back(outbox, lambda ranges=ranges: take_and_delete(outbox, ranges))  # type: ignore[misc]
        else:
            for lane in Lane:
                gone = {seq for seq in expected[lane] if low <= seq <= low + size}
                expected[lane] -= gone
                refused[lane] += len(gone) if act == "refuse" else 0
                with outbox.transaction():
                    (outbox.delete if act == "delete" else outbox.refuse)(lane, ranges)
    assert {row.seq for row in outbox.events(10_000)} == expected[Lane.EVENT]
    assert {row.seq for row in outbox.packs(10_000)} == expected[Lane.TELEMETRY]
    for lane in Lane:
        status = outbox.lane_status(lane, START)
        assert (status.depth, status.refused) == (len(expected[lane]), refused[lane])
    outbox.close()


def test_refused_telemetry_is_bounded(outbox: Outbox) -> None:
    count = KEPT_ASIDE_ROWS + 50
    with outbox.transaction():
        for _ in range(count):
            outbox.append_pack(SAMPLE, START)
        outbox.refuse(Lane.TELEMETRY, [(1, count)])
    assert outbox.lane_status(Lane.TELEMETRY, START).refused == count
    with sqlite3.connect(outbox.path) as reader:
        rows = reader.execute("SELECT min(seq), count(*) FROM refused").fetchone()
    reader.close()
    assert rows == (51, KEPT_ASIDE_ROWS)


def test_kept_aside_is_bounded_and_counted(outbox: Outbox) -> None:
    with outbox.transaction():
        for _ in range(KEPT_ASIDE_ROWS + 5):
            outbox.keep_aside("radio", "noise", b"x" * 10_000, START)
    assert outbox.counters() == {"refused:radio:noise": KEPT_ASIDE_ROWS + 5}


def test_ordinals_have_no_hole_even_over_a_failed_commit(outbox: Outbox) -> None:
    with outbox.transaction():
        assert [outbox.next_ordinal("a"), outbox.next_ordinal("b"), outbox.next_ordinal("a")] == [1, 1, 2]
    roll_back(outbox, lambda: outbox.next_ordinal("a"))
    with outbox.transaction():
        assert outbox.next_ordinal("a") == 3


def test_alarms_come_before_earlier_events(outbox: Outbox) -> None:
    with outbox.transaction():
        for _ in range(3):
            outbox.append_event(EventType.VITAL, "cuff", {}, START, urgent=False)
    first = alarm(outbox)
    assert [row.seq for row in outbox.events(2)] == [first.seq, 1]
    assert [row.seq for row in outbox.events(9, urgent_only=True)] == [first.seq]


def test_reset_silences_what_was_pending_and_nothing_later(outbox: Outbox) -> None:
    before, later = alarm(outbox, START), alarm(outbox, START.later(10))
    alarm(outbox, START, sounds=False)  # a service call
    with outbox.transaction():
        outbox.silence_alarms(START.later(5))
    assert [event for event, _ in outbox.sounding_alarms(10)] == [later.id]
    assert {row.seq for row in outbox.events(10)} >= {before.seq, later.seq}, "silenced, but not forgotten"
    with outbox.transaction():
        outbox.silence_alarms(Stamp(0, 0, "boot-2", False))
    assert outbox.sounding_alarms(10) == []


def test_a_new_alarm_sounds_behind_any_number_of_silenced_ones(outbox: Outbox) -> None:
    with outbox.transaction():
        for _ in range(200):
            outbox.append_event(EventType.ALARM, "d", {}, START, urgent=True, sounds=True)
        outbox.silence_alarms(START)
    new = alarm(outbox, START.later(1))
    assert [event for event, _ in outbox.sounding_alarms(64)] == [new.id]


# --- time -------------------------------------------------------------------------------------------------------


def test_a_free_record_is_right_once_its_boot_was_synchronised(outbox: Outbox) -> None:
    now = Stamp(START.wall_ns, FREE.mono_ns + 60 * NS, "boot-1", True)
    right = outbox.true_time(FREE, now)
    assert (right.wall_ns, right.synced) == (now.wall_ns - 60 * NS, True)
    with outbox.transaction():
        outbox.remember_synced_clock(now)
    after_reboot = Stamp(now.wall_ns + 3600 * NS, 5 * NS, "boot-2", True)
    assert outbox.true_time(FREE, after_reboot) == right


def test_a_free_record_has_one_time_however_often_it_is_sent(outbox: Outbox) -> None:
    now = Stamp(START.wall_ns, FREE.mono_ns + 60 * NS, "boot-1", True)
    with outbox.transaction():
        outbox.remember_synced_clock(now)
    right = outbox.true_time(FREE, now)
    slewed = Stamp(now.wall_ns + 60 * NS + 40_000_000, now.mono_ns + 60 * NS, "boot-1", True)
    with outbox.transaction():
        outbox.remember_synced_clock(slewed)
    assert outbox.true_time(FREE, slewed) == right


def test_a_record_of_a_boot_that_was_never_synchronised_stays_free_and_has_an_age(outbox: Outbox) -> None:
    alarm(outbox, FREE)
    alarm(outbox, FREE.later(40))
    now = Stamp(5 * NS, 25 * NS, "boot-2", False)
    assert outbox.true_time(FREE, now) == FREE
    assert outbox.age_s(FREE, now) == 25 + 40
    assert outbox.age_s(FREE.later(40), now) == 25
    with outbox.transaction():
        outbox.delete(Lane.EVENT, [(2, 2)])
    assert outbox.age_s(FREE, now) == 25 + 40, "the age shrank when a later record left"
    assert outbox.age_s(FREE, FREE.later(-5)) == 0, "never negative"


def test_the_meaning_of_the_monotonic_clock_is_written_once_and_forgotten_with_its_records(outbox: Outbox) -> None:
    alarm(outbox, FREE)
    later = Stamp(START.wall_ns, FREE.mono_ns + NS, "boot-1", True)
    with outbox.transaction():
        outbox.remember_synced_clock(later)
    pages = outbox.path.with_name("outbox.db-wal").stat().st_size
    for second in range(5):
        with outbox.transaction():
            outbox.remember_synced_clock(later.later(second))
    assert outbox.path.with_name("outbox.db-wal").stat().st_size == pages, "every round wears the SD card"
    with outbox.transaction():
        outbox.delete(Lane.EVENT, [(1, 1)])
        outbox.remember_synced_clock(Stamp(START.wall_ns, NS, "boot-2", True))
    assert outbox.true_time(FREE, Stamp(0, 2 * NS, "boot-2", False)) == FREE


# --- the local broker -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("acknowledged", "digest", "connection", "again", "is_new"),
    [
        (False, b"a", "c2", True, False),  # told again, as MQTT marks it
        (False, b"a", "c2", False, False),  # told again by a broker that does not mark it
        (True, b"a", "c2", True, False),  # the acknowledgement was lost on its way
        (True, b"a", "c2", False, True),  # the identifier is used anew
        (False, b"b", "c2", True, True),  # another message
        (False, b"a", "c1", False, True),  # the same connection never tells again
    ],
)
def test_a_message_told_again_is_known(
    outbox: Outbox, acknowledged: bool, digest: bytes, connection: str, again: bool, is_new: bool
) -> None:
    with outbox.transaction():
        assert outbox.take_mqtt("z2m", 7, b"a", "c1", again=False)
        if acknowledged:
            outbox.acknowledged_mqtt("z2m", [7])
        assert outbox.take_mqtt("shelly", 7, b"a", "c2", again=True), "another source has its own identifiers"
        assert outbox.take_mqtt("z2m", 7, digest, connection, again) is is_new


def test_a_lost_session_tells_nothing_again(outbox: Outbox) -> None:
    with outbox.transaction():
        outbox.take_mqtt("z2m", 7, b"a", "c1", again=False)
        outbox.forget_mqtt("z2m")
        assert outbox.take_mqtt("z2m", 7, b"a", "c2", again=False)


# --- the ballast ------------------------------------------------------------------------------------------------


def test_without_ballast_telemetry_is_not_taken_and_alarms_are(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    if not outbox.ballast.laid:
        pytest.skip("not enough room on this disk for the ballast")
    assert outbox.ballast.release()
    assert not outbox.ballast.release()
    with pytest.raises(StorageError, match="alarms"):
        packs(outbox, 1)
    alarm(outbox)
    assert outbox.ballast.restore()
    packs(outbox, 1)
    outbox.close()


def test_a_half_laid_ballast_is_laid_anew(tmp_path: Path) -> None:
    (tmp_path / "ballast").write_bytes(b"half")
    outbox = Outbox(tmp_path)
    if not outbox.ballast.laid:
        pytest.skip("not enough room on this disk for the ballast")
    assert (tmp_path / "ballast").stat().st_size == 16 * 1024 * 1024
    outbox.close()


def test_a_device_that_calls_itself_too_long_keeps_its_alarm_and_its_readings(outbox: Outbox) -> None:
    long = "z2m:" + "房" * 400
    with outbox.transaction():
        event = outbox.append_event(EventType.ALARM, long, {"role": "emergency"}, START, urgent=True)
        outbox.append_pack([(Reading(long, "power", 1.5, "W"), 0)], START)
    (kept,) = outbox.events(10)
    assert kept.device == event.device == device_name(long)
    assert len(event.device) == MAX_DEVICE
