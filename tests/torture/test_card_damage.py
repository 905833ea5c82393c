"""A worn card: whatever it gives back for the outbox, the outbox opens, takes an alarm and gives back what it can.

Each damage hits a copy of one outbox, as a clean stop or a kill left it: pages of zeros, of noise or of another place,
single bits and bytes, torn sectors, a file cut short. What comes out must fit on the wire.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

import pytest

from hearthline import wire
from hearthline.clock import NS, Stamp
from hearthline.errors import StorageError
from hearthline.model import EventType, Lane, Reading
from hearthline_edge.outbox import Outbox
from hearthline_edge.pack_time import told_time
from hearthline_edge.taking import take_chatter
from trials import SEED, publish, rate_bound, trials

DAMAGES = trials(40, 1000)
ALARMS = 60
PAGE = 4096
NOW = Stamp(1_800_000_000 * NS, 10 * NS, "boot-1", True)
FREE = Stamp(1_000 * NS, 9 * NS, "boot-0", False)
PARTS = ("outbox.db", "outbox.db-wal")
KINDS = ("zeros", "noise", "other page", "bits", "bytes", "torn", "cut")
_TRIES = 3  # one finds the damage, one may meet a second in what was taken over

T = TypeVar("T")

pytestmark = pytest.mark.torture


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The files of one outbox after a clean stop, and as a kill leaves them."""
    folder = tmp_path_factory.mktemp("card")
    outbox = Outbox(folder)
    with outbox.transaction():
        outbox.remember_synced_clock(NOW)
        for number in range(20):
            outbox.append_pack([(Reading("meter", "energy_import", 1.0, "kWh"), 0)] * 20, FREE.later(number))
            outbox.keep_aside("port", "sanity", b"x" * 200, NOW)
        outbox.set_press_state("d", "AO", b"{}")
    for number in range(ALARMS):
        press(outbox, f"pendant-{number}", NOW if number % 2 else FREE)
    killed = {name: (folder / name).read_bytes() for name in PARTS}
    outbox.close()
    return {"stopped": {"outbox.db": (folder / "outbox.db").read_bytes()}, "killed": killed}


def press(outbox: Outbox, device: str, now: Stamp) -> str:
    with outbox.transaction():
        data = {"role": "emergency", "button": "AO", "ordinal": outbox.next_ordinal(device), "certainty": "certain"}
        row = outbox.append_event(EventType.ALARM, device, data, now, urgent=True, sounds=True)
        outbox.remember_alarm(row)
    return row.id


@pytest.mark.timeout(DAMAGES * 2 + 120)
def test_no_damage_leaves_a_home_without_an_outbox(tmp_path: Path, cards: dict[str, dict[str, bytes]]) -> None:
    rng = random.Random(SEED)
    felt, kept, lowest = 0, Counter[str](), dict.fromkeys(KINDS, ALARMS)
    for number in range(DAMAGES):
        kind, left = KINDS[number % len(KINDS)], rng.choice(["stopped", "stopped", "killed"])
        files = dict(cards[left])
        hit = rng.choice(sorted(files))
        files[hit] = damaged(files[hit], kind, rng)
        folder = tmp_path / f"card-{number}"
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
        felt += not reads_as_before(folder)
        found = use(folder, f"{kind} at {hit} {left}, damage {number} of seed {SEED}")
        kept[kind] += found
        lowest[kind] = min(lowest[kind], found)
        shutil.rmtree(folder)
    publish(
        "damage at random places of the outbox",
        damages=DAMAGES,
        felt=felt,
        alarms=DAMAGES * ALARMS,
        taken_over=kept.total(),
        lowest=lowest,
        rate_below=rate_bound(DAMAGES),
    )
    assert felt > DAMAGES // 4, "the damage did not hit what is used"
    assert kept.total() > DAMAGES * ALARMS // 2


def damaged(raw: bytes, kind: str, rng: random.Random) -> bytes:
    data, pages = bytearray(raw), max(len(raw) // PAGE, 1)
    if kind == "cut":
        return raw[: rng.randrange(len(raw))]
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(pages) * PAGE
        match kind:
            case "zeros":
                data[at : at + PAGE] = bytes(PAGE)
            case "noise":
                data[at : at + PAGE] = rng.randbytes(PAGE)
            case "other page":
                other = rng.randrange(pages) * PAGE
                data[at : at + PAGE] = raw[other : other + PAGE]
            case "bits":
                for _ in range(8):
                    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            case "bytes":
                for _ in range(30):
                    data[min(at + rng.randrange(PAGE), len(data) - 1)] = rng.randrange(256)
            case _:
                data[at : at + 512] = bytes(512)
    return bytes(data)


def reads_as_before(folder: Path) -> bool:
    """The control: what SQLite alone makes of it, on a copy."""
    copy = folder / "copy"
    copy.mkdir()
    for name in PARTS:
        if (folder / name).exists():
            shutil.copy(folder / name, copy / name)
    try:
        with closing(sqlite3.connect(copy / "outbox.db")) as connection:
            whole: str = connection.execute("PRAGMA integrity_check").fetchone()[0]
            rows = connection.execute("SELECT data FROM event").fetchall()
        good = sum(b'"role":"emergency"' in data and b'"ordinal":1' in data for (data,) in rows)
    except (sqlite3.Error, UnicodeDecodeError, TypeError):
        return False
    finally:
        shutil.rmtree(copy)
    return whole == "ok" and good == ALARMS


def use(folder: Path, name: str) -> int:
    """Open it as the agent does and do what the agent does; how many of the first alarms it still gives."""
    outbox = Outbox(folder, patient=True)
    try:
        new = tried(outbox, lambda: press(outbox, "fresh", NOW), name)
        found = tried(outbox, lambda: everything(outbox), name)
        assert new in found, f"{name}: the alarm taken after the damage is not given back"
    finally:
        outbox.close()
    again = Outbox(folder)  # what was made of it is whole
    try:
        assert everything(again) == found, name
        assert again.damaged == outbox.damaged, name
    finally:
        again.close()
    return len(found) - 1


def tried(outbox: Outbox, work: Callable[[], T], name: str) -> T:
    """As custody does: what fails is tried again, and anything but a StorageError is a bug."""
    for _ in range(_TRIES):
        with suppress(StorageError):
            return work()
    raise AssertionError(f"{name}: still not usable after {_TRIES} tries")


def everything(outbox: Outbox) -> list[str]:
    """Read what the agent reads, and put on the wire what it puts there; the ids of the alarms."""
    with outbox.transaction():
        rows = outbox.events(10_000)
        packs = [told_time(outbox, pack, NOW) for pack in outbox.packs(1000)]
        for lane in Lane:
            outbox.lane_status(lane, NOW)
        outbox.sounding_alarms(1000)
        outbox.keep_aside("port", "sanity", b"", NOW)
        take_chatter(outbox, NOW)
        moments = [outbox.true_time(row.stamp, NOW) for row in rows]
        for row in rows:
            outbox.recent_alarm(row.id)
            outbox.age_s(row.stamp, NOW)
    for row, moment in zip(rows, moments, strict=True):
        envelope = wire.Envelope(outbox.id, row.seq, moment.boot, moment.synced, moment.mono_ns, 0.0)
        wire.encode_event(wire.Event(row.id, "hearthline/gw", row.type, row.device, moment.wall_ns, row.data, envelope))
    for pack, moment, age_s in packs:
        envelope = wire.Envelope(outbox.id, pack.seq, moment.boot, moment.synced, moment.mono_ns, age_s)
        wire.encode_pack(wire.Pack(moment.wall_ns, pack.readings, envelope))
    return [row.id for row in rows if row.type == EventType.ALARM and row.urgent]
