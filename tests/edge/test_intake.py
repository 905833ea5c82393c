"""From items to rows: repeats, chatter, roles, packs that fit, and the two lanes of a source."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthline import wire
from hearthline.clock import NS, Stamp
from hearthline.model import Reading
from hearthline_edge.arrival import Arrival, MqttTicket, Source
from hearthline_edge.custody import Custody
from hearthline_edge.devices import DeviceNote, GroupingRule, Press, Readings, Refused, Release, Seen, Vital
from hearthline_edge.intake import MAX_WAITING, EventIntake, ReadingIntake
from hearthline_edge.outbox import EventRow, Outbox
from hearthline_edge.taking import take_chatter, take_events, take_readings

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
RADIO = Source("radio", "enocean-esp3", GroupingRule(0.5, release_ends=True))
ZIGBEE = Source("zigbee2mqtt", "zigbee2mqtt", GroupingRule(1.0))


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path)
    yield outbox
    outbox.close()


def emergency(device: str, button: str) -> str:
    return "emergency"


def press(button: str = "AI", raw: str = "00", **more: Any) -> Press:
    return Press("enocean:1", button, button, raw, **more)


def take(
    outbox: Outbox, *arrivals: Arrival, source: Source = RADIO, role: Callable[[str, str], str] = emergency
) -> int:
    with outbox.transaction():
        return len(take_events(outbox, source, arrivals, role))


def at(seconds: float, *items: Any, ticket: MqttTicket | None = None) -> Arrival:
    return Arrival(items, START.later(seconds), ticket)


def test_repeats_are_one_event_also_over_a_restart(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    assert take(outbox, at(0, press()), at(0.05, press())) == 1
    outbox.close()
    outbox = Outbox(tmp_path)
    assert take(outbox, at(0.1, press())) == 0
    assert take(outbox, at(0.2, Release("enocean:1")), at(0.4, press())) == 1
    assert [row.data["ordinal"] for row in outbox.events(9)] == [1, 2]
    outbox.close()


def test_chatter_is_five_events_and_a_count(outbox: Outbox) -> None:
    arrivals = [at(number, Release("enocean:1"), press()) for number in range(12)]
    assert take(outbox, *arrivals) == 5
    with outbox.transaction():
        assert take_chatter(outbox, START.later(30)) == []
        (told,) = take_chatter(outbox, START.later(61))
        assert take_chatter(outbox, START.later(62)) == []
    assert told.data["count"] == 7
    assert take(outbox, at(70, press())) == 1


@pytest.mark.parametrize("state", [b"{}", b"\xff", b'{"content":"\xc3"}', b"[" * 9000, b'{"content":1,"last":null}'])
def test_a_press_state_that_is_not_understood_is_dropped_and_the_press_is_new(outbox: Outbox, state: bytes) -> None:
    """Of another version, or garbled on the card: no reason to set a whole outbox aside."""
    for job in ("press", "release", "chatter"):
        with outbox.transaction():
            outbox.set_press_state("enocean:1", "AI", state)
        if job == "press":
            assert take(outbox, at(0, press())) == 1
        elif job == "release":
            assert take(outbox, at(1, Release("enocean:1"))) == 0
        else:
            with outbox.transaction():
                assert take_chatter(outbox, START) == []
    assert outbox.counters() == {"press-states-dropped": 3}
    assert outbox.damaged == []


def test_roles(outbox: Outbox) -> None:
    roles = {"AI": "emergency", "AO": "service", "BI": "ignore"}
    assert take(outbox, at(0, press("AI"), press("AO"), press("BI")), role=lambda _, button: roles[button]) == 2
    assert [row.data["role"] for row in outbox.events(9)] == ["emergency", "service"]
    assert [event for event, _ in outbox.sounding_alarms(9)] == [outbox.events(1)[0].id], (
        "a service call sounds no siren"
    )


def test_a_retained_copy_of_a_live_press_is_no_second_one(outbox: Outbox) -> None:
    assert take(outbox, at(0, press(raw="r1")), source=ZIGBEE) == 1
    assert take(outbox, at(60, press(raw="r1", certainty="possible")), source=ZIGBEE) == 0
    assert take(outbox, at(90, press(raw="r2", certainty="possible")), source=ZIGBEE) == 1
    assert outbox.events(9)[-1].data["certainty"] == "possible"


def test_a_message_told_again_makes_no_second_event_of_any_kind(outbox: Outbox) -> None:
    vital = Vital("cuff", (("systolic", 120), ("diastolic", 80), ("heart_rate", 60)), 1, "", "raw")
    first = MqttTicket.of(3, "t", b"p", "c1")
    again = MqttTicket.of(3, "t", b"p", "c2", again=True)
    assert take(outbox, at(0, vital, ticket=first), source=ZIGBEE) == 1
    assert take(outbox, at(9, vital, ticket=again), source=ZIGBEE) == 0


# --- packs ------------------------------------------------------------------------------------------------------

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=400)
values = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(readings=st.lists(st.tuples(names, values, st.floats(0, 3600)), min_size=1, max_size=120), synced=st.booleans())
def test_every_pack_fits_the_wire_and_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, readings: list[tuple[str, float, float]], synced: bool
) -> None:
    outbox = Outbox(tmp_path_factory.mktemp("packs"))
    base = Stamp(START.wall_ns, START.mono_ns, START.boot, synced)
    arrivals = [
        Arrival((Readings((Reading(device, "energy_import", value, "kWh"),)),), base.later(after))
        for device, value, after in readings
    ]
    with outbox.transaction():
        count = take_readings(outbox, RADIO, arrivals)
    rows = outbox.packs(1000)
    assert len(rows) == count
    found = []
    for row in rows:
        envelope = wire.Envelope(outbox.id, row.seq, row.stamp.boot, False, row.stamp.mono_ns, 123456.789)
        payload = wire.encode_pack(wire.Pack(row.stamp.wall_ns, row.readings, envelope))
        assert len(payload) <= wire.MAX_PACK_BYTES
        found += [(reading.device, reading.value) for reading, _ in wire.decode_pack(payload).readings]
    assert found == [(device, value) for device, value, _ in readings]
    outbox.close()


@pytest.mark.parametrize(
    "reading",
    [Reading("床" * 3000, "power", 1.0, "W"), Reading("m", "power", float("nan"), "W"), Reading("m", "p", 1e999, "W")],
)
def test_what_the_wire_cannot_carry_is_kept_aside(outbox: Outbox, reading: Reading) -> None:
    good = Reading("m", "power", 2.0, "W")
    with outbox.transaction():
        assert take_readings(outbox, RADIO, [at(0, Readings((reading, good)))]) == 1
    assert [each for each, _ in outbox.packs(1)[0].readings] == [good]
    assert outbox.counters() == {"refused:radio:sanity": 1}


# --- the two lanes ----------------------------------------------------------------------------------------------


class FailingDisk(Outbox):
    """An outbox that cannot be written while `broken`."""

    broken = False

    def append_event(self, *arguments: Any, **named: Any) -> EventRow:
        self._check()
        return super().append_event(*arguments, **named)

    def append_pack(self, *arguments: Any) -> None:
        self._check()
        super().append_pack(*arguments)

    def keep_aside(self, *arguments: Any) -> None:
        self._check()
        super().keep_aside(*arguments)

    def _check(self) -> None:
        if self.broken:
            raise sqlite3.OperationalError("disk I/O error")


class StallingDisk(Outbox):
    """An outbox that neither commits nor fails before it is let go."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.let_go = threading.Event()

    def append_event(self, *arguments: Any, **named: Any) -> EventRow:
        assert self.let_go.wait(10)
        return super().append_event(*arguments, **named)


class Lanes:
    """One source's two lanes with everything they told."""

    def __init__(self, outbox: Outbox) -> None:
        self.custody = Custody(outbox)
        self.events: list[EventRow] = []
        self.packs = 0
        self.unstored: list[int] = []
        self.taken: list[int] = []
        self.taken_readings: list[int] = []
        self.event_lane = EventIntake(
            ZIGBEE, self.custody, emergency, self.events.extend, self._unstored, lambda t: self.taken.extend(mids(t))
        )
        self.reading_lane = ReadingIntake(
            ZIGBEE, self.custody, self._packed, lambda t: self.taken_readings.extend(mids(t))
        )

    def _unstored(self, source: str, presses: list[Stamp]) -> None:
        self.unstored.append(len(presses))

    def _packed(self, packs: int) -> None:
        self.packs += packs


def mids(tickets: list[MqttTicket]) -> list[int]:
    return [ticket.mid for ticket in tickets]


def ticket(mid: int) -> MqttTicket:
    return MqttTicket.of(mid, "t", str(mid).encode(), "c1")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - what it waits for happens in the custody thread
            await asyncio.sleep(0.005)


def test_readings_that_nobody_keeps_for_us_do_not_fill_the_memory_while_the_disk_hangs(tmp_path: Path) -> None:
    async def test() -> None:
        lanes = Lanes(Outbox(tmp_path))
        one = Readings((Reading("m", "power", 1.0, "W"), Reading("m", "voltage", 230.0, "V")))
        for _ in range(MAX_WAITING + 5):
            lanes.reading_lane.offer(at(0, one))
        lanes.reading_lane.offer(at(0, one, ticket=ticket(1)))
        assert lanes.reading_lane.lost == 10
        task = asyncio.create_task(lanes.reading_lane.run())
        await until(lambda: lanes.taken_readings == [1])
        assert lanes.reading_lane.lost == 10
        lanes.reading_lane.offer(at(1, one, ticket=ticket(2)))
        await until(lambda: lanes.taken_readings == [1, 2])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await lanes.custody.stop()

    asyncio.run(test())


def test_tickets_come_back_in_order_after_the_commit_and_a_press_passes_unstorable_noise(tmp_path: Path) -> None:
    async def test() -> None:
        outbox = FailingDisk(tmp_path)
        lanes = Lanes(outbox)
        tasks = [asyncio.create_task(lane.run()) for lane in (lanes.event_lane, lanes.reading_lane)]
        lanes.event_lane.offer(at(0, press("A"), ticket=ticket(1)))
        lanes.event_lane.offer(at(0, ticket=ticket(2)))
        lanes.event_lane.offer(at(0, press("B"), ticket=ticket(3)))
        await until(lambda: lanes.taken == [1, 2, 3])
        outbox.broken = True
        lanes.reading_lane.offer(at(1, Readings((Reading("m", "power", 1.0, "W"),)), ticket=ticket(9)))
        lanes.reading_lane.offer(at(1, Readings((Reading("m", "power", 1.0, "W"),))))
        lanes.event_lane.offer(at(1, Refused("sanity", "?"), ticket=ticket(4)))
        await until(lambda: lanes.unstored == [0])
        lanes.event_lane.offer(at(2, press("C"), ticket=ticket(5)))
        await until(lambda: lanes.unstored == [0, 1])  # tried at once, though the refusal before it waits
        assert lanes.event_lane.fault
        assert lanes.taken == [1, 2, 3]
        await until(lambda: lanes.reading_lane.lost == 1)
        outbox.broken = False
        outbox.ballast.restore()  # it was given back for the press
        await until(lambda: lanes.taken == [1, 2, 3, 4, 5])
        await until(lambda: lanes.taken_readings == [9])
        assert lanes.unstored[-1] == 0
        assert not lanes.event_lane.fault
        assert [row.data["button"] for row in lanes.events] == ["A", "B", "C"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await lanes.custody.stop()

    asyncio.run(test())


def test_notes_that_cannot_be_stored_do_not_use_up_the_brokers_window(tmp_path: Path) -> None:
    async def test() -> None:
        outbox = FailingDisk(tmp_path)
        outbox.broken = True
        lanes = Lanes(outbox)
        task = asyncio.create_task(lanes.event_lane.run())
        note = DeviceNote("z2m:x", "low-battery", "")
        lanes.event_lane.offer(at(0, note, ticket=ticket(0)))
        await until(lambda: lanes.unstored == [0])
        assert lanes.taken == []
        for mid in range(1, MAX_WAITING + 20):
            lanes.event_lane.offer(at(0, *([note] if mid % 2 else []), ticket=ticket(mid)))
        await until(lambda: len(lanes.taken) > MAX_WAITING + 5)
        assert 0 < lanes.event_lane.lost <= 10
        lost = lanes.event_lane.lost
        lanes.event_lane.offer(at(1, ticket=ticket(3000)))
        lanes.event_lane.offer(at(1, press("A"), ticket=ticket(3000)))  # what two drivers claim
        lanes.event_lane.offer(at(1, press("B"), ticket=ticket(3001)))
        await until(lambda: 2 in lanes.unstored)
        assert 3000 not in lanes.taken
        outbox.broken = False
        await until(lambda: lanes.taken[-1:] == [3001])
        assert lanes.taken == [*range(MAX_WAITING + 20), 3000, 3000, 3001]
        kinds = [row.data.get("kind", "press") for row in lanes.events]
        assert kinds == ["low-battery"] * (MAX_WAITING // 2 + 11 - lost) + ["press"] * 2
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await lanes.custody.stop()

    asyncio.run(test())


def test_what_was_acknowledged_early_while_the_disk_stalls_is_acknowledged_once(tmp_path: Path) -> None:
    async def test() -> None:
        outbox = StallingDisk(tmp_path)
        lanes = Lanes(outbox)
        lanes.event_lane.stall_s = 0.02
        task = asyncio.create_task(lanes.event_lane.run())
        note = DeviceNote("z2m:x", "low-battery", "")
        lanes.event_lane.offer(at(0, note, ticket=ticket(0)))
        await until(lambda: lanes.unstored == [0])
        for mid in range(1, 15):
            lanes.event_lane.offer(at(0, note, ticket=ticket(mid)))
        lanes.event_lane.offer(at(1, press("A"), ticket=ticket(15)))
        await until(lambda: lanes.taken == list(range(15)))
        outbox.let_go.set()
        await until(lambda: lanes.taken[-1:] == [15])
        assert lanes.taken == list(range(16))
        assert len(lanes.events) == 16
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await lanes.custody.stop()

    asyncio.run(test())


def test_a_disk_that_stalls_is_told_and_the_press_still_stored_once(tmp_path: Path) -> None:
    async def test() -> None:
        outbox = StallingDisk(tmp_path)
        lanes = Lanes(outbox)
        lanes.event_lane.stall_s = 0.02
        task = asyncio.create_task(lanes.event_lane.run())
        lanes.event_lane.offer(at(0, press("A"), ticket=ticket(1)))
        await until(lambda: lanes.unstored == [1])
        assert lanes.event_lane.fault
        lanes.event_lane.offer(at(1, press("B")))
        assert lanes.unstored == [1, 2], "a press that comes meanwhile sounds at once"
        assert lanes.taken == []
        outbox.let_go.set()
        await until(lambda: len(lanes.events) == 2)
        await until(lambda: not lanes.event_lane.fault)
        assert lanes.unstored[-1] == 0
        assert lanes.taken == [1]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await lanes.custody.stop()

    asyncio.run(test())


def test_a_disk_that_stalls_does_not_fill_the_memory_and_takes_every_press(tmp_path: Path) -> None:
    async def test() -> None:
        outbox = StallingDisk(tmp_path)
        lanes = Lanes(outbox)
        task = asyncio.create_task(lanes.event_lane.run())
        lanes.event_lane.offer(at(0, press("A")))
        for _ in range(MAX_WAITING + 50):
            lanes.event_lane.offer(at(1, Release("enocean:1")))
        lanes.event_lane.offer(at(2, press("B")))
        assert lanes.event_lane.lost == 51
        outbox.let_go.set()
        await until(lambda: len(lanes.events) == 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await lanes.custody.stop()

    asyncio.run(test())


def test_a_device_that_was_only_seen_is_no_event() -> None:
    assert at(0, Seen("d"), Release("d"), Readings(())).events() == at(0, Release("d"))


def test_a_press_that_came_with_the_stop_is_still_committed(tmp_path: Path) -> None:
    async def test() -> None:
        lanes = Lanes(FailingDisk(tmp_path))
        task = asyncio.create_task(lanes.event_lane.run())
        await asyncio.sleep(0)
        lanes.event_lane.offer(at(0, press("A")))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await lanes.custody.stop()

    asyncio.run(test())
    outbox = Outbox(tmp_path)
    assert len(outbox.events(9)) == 1
    outbox.close()


def test_what_comes_after_the_end_of_a_lane_is_committed_once_unless_the_broker_keeps_it(tmp_path: Path) -> None:
    async def test() -> None:
        lanes = Lanes(FailingDisk(tmp_path))
        power = Readings((Reading("m", "power", 1.0, "W"),))
        tasks = [asyncio.create_task(lane.run()) for lane in (lanes.event_lane, lanes.reading_lane)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        lanes.event_lane.offer(at(0, press("A")))
        lanes.event_lane.offer(at(1, press("B"), ticket=ticket(1)))
        lanes.event_lane.offer(at(2, press("C")))
        lanes.reading_lane.offer(at(0, power))
        lanes.reading_lane.offer(at(1, power, ticket=ticket(1)))
        lanes.event_lane.leave()
        lanes.reading_lane.leave()
        await lanes.custody.stop()

    asyncio.run(test())
    outbox = Outbox(tmp_path)
    assert [row.data["button"] for row in outbox.events(9)] == ["A", "C"]
    assert [len(pack.readings) for pack in outbox.packs(9)] == [1]
    outbox.close()
