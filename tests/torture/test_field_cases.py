"""What users of peer systems lost at the gateway, each a case that must pass here, with the issue that tells of it.

The center's half is in test_field_cases_center.py.
"""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hearthline.clock import SystemClock
from hearthline_edge.outbox import Outbox
from servers import free_ports
from torture.backlog import build_backlog
from torture.backlog_center import soon
from torture.backlog_field import Field, field_of, pendant
from trials import SEED, publish, rate_bound, trials

pytestmark = pytest.mark.torture

TEARS = trials(60, 2000)


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    with field_of(tmp_path) as made:
        yield made


@pytest.mark.parametrize("fault", ["silent link", "stopped broker"])
def test_thingsboard_gateway_2157_first_seconds_of_a_broken_link(field: Field, fault: str) -> None:
    """Issue 2157: what was handed to a connection that nobody had found dead yet, was counted as sent and lost."""
    field.start()
    field.press(0)
    field.read(0)
    field.center.wait_seen(1, 15)
    if fault == "silent link":
        field.link.silence()
    else:
        field.broker.process.send_signal(signal.SIGSTOP)  # type: ignore[union-attr]
    for number in range(1, 11):
        field.press(number)
        field.read(number)
        soon(lambda: field.depth("event") >= number)  # noqa: B023
        time.sleep(0.4)  # spread over the seconds in which the agent cannot know
    assert len(field.center.seen_at) == 1
    if fault == "silent link":
        assert b"hearthline.alarm" in field.link.swallowed
        assert b"shelly" in field.link.swallowed
        field.link.up()
    else:
        field.broker.process.send_signal(signal.SIGCONT)  # type: ignore[union-attr]
    field.wait_for_all(range(11), range(11))


def test_thingsboard_gateway_959_and_1507_how_much_is_buffered_for_how_many_hours(tmp_path: Path) -> None:
    """Issues 959, 1507: nobody could tell how much waits, nor for how long there is room. Here both ends can."""
    (nobody,) = free_ports(1)
    with field_of(tmp_path, store=f'[store]\nkind = "influxdb"\nurl = "http://127.0.0.1:{nobody}"') as field:
        field.start()
        began = time.monotonic()
        made = 0
        while time.monotonic() - began < 6.0:  # the agent tells its rate by spans of five seconds
            field.read(made)
            made += 1
            time.sleep(0.1)
        soon(lambda: field.waiting() == (0, made))
        seconds = time.monotonic() - began
        view = field.outbox_command()
        with closing(sqlite3.connect(view["path"])) as connection:
            count, size = connection.execute("SELECT count(*), sum(length(readings)) FROM telemetry").fetchone()
        room_h = (64 * 1024 * 1024 - size) / (size / seconds * 3600)
        assert view["telemetry"]["depth"] == count > made / 2  # what arrives together is one pack
        assert 0 < view["telemetry"]["oldest_s"] < 120
        assert view["telemetry"]["room_h"] == pytest.approx(room_h, rel=0.5)
        lane = soon(lambda: told_at_the_center(field))
        assert lane["depth"] == count
        assert lane["room_h"] == pytest.approx(room_h, rel=0.5)


def told_at_the_center(field: Field) -> dict[str, float] | None:
    lane: dict[str, float] | None = field.center.gateway()["telemetry_lane"]
    return lane if lane and lane["room_h"] and lane["depth"] == field.depth("telemetry") else None


def test_kura_2169_and_telegraf_18528_a_torn_buffer_opens_with_every_row_before_the_tear(tmp_path: Path) -> None:
    """Kura 2169, telegraf 18528: after a power cut the buffer did not open, or was thrown away."""
    rng = random.Random(SEED)
    source = tmp_path / "source"
    committed = killed_in_the_middle(source, rng.randint(60, 120))
    log = (source / "outbox.db-wal").read_bytes()
    kept = torn_off = lost = 0
    for number in range(TEARS):
        folder = tmp_path / f"tear-{number}"
        folder.mkdir()
        tear = rng.randint(32, len(log))
        for name in ("outbox.db", *(["outbox.db-shm"] if number % 2 else [])):  # the index outlives a kill, not a cut
            shutil.copy(source / name, folder / name)
        (folder / "outbox.db-wal").write_bytes(log[:tear] + torn_tail(rng, len(log) - tear))
        outbox = Outbox(folder)
        try:
            found = [row.id for row in outbox.events(10_000)]
        finally:
            outbox.close()
        before = [event for event, size in committed if size <= tear]
        lost += len(set(before) - set(found))
        assert found[: len(before)] == before, f"torn at byte {tear}"
        kept += len(before)
        torn_off += len(committed) - len(found)
        shutil.rmtree(folder)
    assert kept > TEARS  # the tears were not all at the beginning,
    assert torn_off > TEARS  # nor at the end
    publish("torn write-ahead log", tears=TEARS, rows_before_the_tears=kept, lost=lost, rate_below=rate_bound(TEARS))


def killed_in_the_middle(folder: Path, commits: int) -> list[tuple[str, int]]:
    """(id, length of the log) of each row that a process said it had committed before it was killed."""
    folder.mkdir()
    script = Path(__file__).with_name("backlog_writer.py")
    child = subprocess.Popen([sys.executable, str(script), str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        lines = [child.stdout.readline() for _ in range(commits)]
    finally:
        child.kill()
        rest = child.stdout.readlines()
        child.stdout.close()
        child.wait(10)
    whole = [line.split() for line in (*lines, *rest) if line.endswith("\n")]
    return [(event, int(size)) for _, event, size in whole]


def torn_tail(rng: random.Random, length: int) -> bytes:
    """What a cut leaves where the rest of the log should be."""
    match rng.randrange(4):
        case 0:
            return b""
        case 1:
            return bytes(length)
        case 2:
            return rng.randbytes(length)
        case _:
            return rng.randbytes(rng.randint(0, 8192))


def test_kura_2006_and_2008_a_full_store_takes_an_alarm(field: Field) -> None:
    """Kura 2006, 2008: the store was full, so it refused what was new, alarms too. Here the oldest readings go."""
    field.gateway.top += "\ntelemetry_max_mb = 1"
    field.gateway.write_config()
    outbox = Outbox(field.gateway.data, 1024 * 1024)
    told = build_backlog(outbox, 14, SystemClock("free").now(), SEED)
    outbox.close()
    before = field.gateway.outbox()["telemetry"]
    assert before["dropped"] > 0
    field.start_agent()
    for watts in range(40):
        field.read(watts)
    soon(lambda: field.gateway.outbox()["telemetry"]["dropped"] > before["dropped"] + 20)
    field.press(1)
    soon(lambda: field.depth("event") == told.event_count + 1)
    field.link.up()
    soon(lambda: pendant(1) in field.pressed())
    assert field.depth("telemetry") > 0, "the alarm came after the readings"
    soon(lambda: len(field.watts()) == 40, 60)


def test_aiomqtt_345_a_message_is_acknowledged_after_its_commit(field: Field) -> None:
    """Issue 345: a client acknowledged what the application had not worked on yet. Killed then, it was lost."""
    field.start()
    witness = field.witness(field.home_broker, "zigbee2mqtt/#")
    with closing(sqlite3.connect(field.gateway.data / "outbox.db", isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")  # the agent gets the message and cannot commit it
        field.home.publish("zigbee2mqtt/sos", '{"action":"emergency"}')
        soon(lambda: witness.messages)
        time.sleep(0.5)  # a client that acknowledges at once has done so by now
        field.gateway.kill()
        locker.execute("ROLLBACK")
    assert field.depth("event") == 0
    field.start_agent()
    field.center.wait_seen(1, 15)
    soon(lambda: field.depth("event") == 0)
    assert field.pressed() == {"z2m:sos": 1}
    assert field.center.ordinals("z2m:sos") == [1]
