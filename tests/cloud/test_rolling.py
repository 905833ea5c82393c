"""Summaries are made when their time is over, and again for what comes late; nothing acknowledged is missing."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cloud_center import Cloud
from hearthline import wire
from hearthline.clock import NS
from hearthline.errors import LinkError
from hearthline.model import EventType, Reading
from hearthline_cloud.ingest.rolling import (
    EVERYBODY,
    LAG_NS,
    Marker,
    mark,
    mark_days,
    plans,
    roll_up_due_days,
)
from hearthline_cloud.ingest.session import Message
from hearthline_cloud.ingest.telemetry_lane import TelemetryLane, drain_store_queue
from hearthline_cloud.schema import roll_up_due
from hearthline_cloud.store import Point, SeriesQuery, Summary, Tier
from hearthline_cloud.store.embedded import EmbeddedStore
from hearthline_cloud.store.tiers import DAY_NS, QUARTER_NS, day_of, quarter_of

ZONE = ZoneInfo("Asia/Shanghai")
NOW = day_of(1_795_000_000 * NS, ZONE)[0] + 12 * 3600 * NS  # noon of a day of that zone
RAW_DAYS = 90


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    made = EmbeddedStore(tmp_path)
    yield made
    made.close()


class Broker:
    def publish(self, topic: str, payload: bytes, qos: int = 1) -> None: ...

    def acknowledge(self, messages: Sequence[Message]) -> None: ...


@dataclass
class Center:
    """The telemetry lane and the roll-up on one clock."""

    cloud: Cloud
    store: EmbeddedStore
    now_ns: int = NOW
    lane: TelemetryLane = field(init=False)

    def __post_init__(self) -> None:
        stopping = threading.Event()
        self.lane = TelemetryLane(self.cloud.database, self.store, stopping, lambda: self.now_ns, raw_days=RAW_DAYS)
        self.lane.attach(Broker())

    def take(self, *timed: tuple[int, float]) -> None:
        """One pack of power readings at these times."""
        first = timed[0][0]
        readings = tuple((Reading("meter:1", "power", value, "W"), at_ns - first) for at_ns, value in timed)
        pack = replace(self.cloud.gateway.pack(1.0), wall_ns=first, readings=readings)
        self.lane.handle([self.cloud.gateway.message(pack, wire.UP_TELEMETRY)])

    def roll_up(self, store: EmbeddedStore | None = None) -> int:
        days, problems = roll_up_due_days(self.cloud.database, store or self.store, ZONE, RAW_DAYS, self.now_ns)
        assert problems == []
        return days

    def rows(self, tier: Tier) -> list[Summary]:
        return self.store.summaries(tier, SeriesQuery("power", 0, 2**62))


@pytest.fixture
def center(cloud: Cloud, store: EmbeddedStore) -> Center:
    return Center(cloud, store)


def test_a_quarter_is_summarised_when_it_is_over_and_its_readings_had_time(center: Center) -> None:
    start, end = quarter_of(NOW)
    center.take((start + NS, 10.0), (start + 2 * NS, 30.0))
    center.now_ns = end + LAG_NS - 1
    assert center.roll_up() == 0
    center.now_ns += 1
    assert center.roll_up() == 1
    assert [(row.time_ns, row.count, row.mean) for row in center.rows(Tier.QUARTER)] == [(start, 2, 20.0)]
    assert [(row.time_ns, row.count) for row in center.rows(Tier.DAILY)] == [(day_of(NOW, ZONE)[0], 2)]
    assert center.cloud.count(roll_up_due) == 0
    assert center.roll_up() == 0


def test_an_outage_of_days_gets_into_every_summary_it_belongs_to(center: Center) -> None:
    """What a gateway kept for three days comes in any order, while the present goes on; a batch is told twice."""
    rng = random.Random(3)
    center.take((NOW - 3 * DAY_NS - NS, 7.0))
    center.now_ns += DAY_NS
    center.roll_up()
    kept = [(NOW - 3 * DAY_NS + index * 600 * NS, float(index)) for index in range(3 * 144)]
    packs = [sorted(kept[first : first + 48]) for first in range(0, len(kept), 48)]
    rng.shuffle(packs)
    for number, pack in enumerate([*packs, packs[0]]):
        center.take(*pack)
        center.take((center.now_ns, 1000.0))
        center.now_ns += QUARTER_NS + LAG_NS
        if number % 3 == 0:
            center.roll_up()
    center.roll_up()
    late = [row for row in center.rows(Tier.QUARTER) if row.last < 1000]
    assert sum(row.count for row in late) == len(kept) + 1
    made = {row.time_ns: (row.count, row.max) for row in late}
    for at_ns, value in kept:
        assert made[quarter_of(at_ns)[0]][1] >= value
    assert sum(row.count for row in center.rows(Tier.DAILY)) == len(kept) + 1 + len(packs) + 1


def test_a_mark_that_is_renewed_while_its_quarter_is_summarised_stays(center: Center) -> None:
    start, end = quarter_of(NOW)

    class Meanwhile(EmbeddedStore):
        def roll_up(self, tier: Tier, from_ns: int, to_ns: int, gateway: str | None = None) -> list[str]:
            problems = super().roll_up(tier, from_ns, to_ns, gateway)
            if tier is Tier.DAILY:
                center.take((start + 5 * NS, 90.0))
            return problems

    center.take((start + NS, 10.0))
    center.now_ns = end + LAG_NS
    meanwhile = Meanwhile(center.store.path.parent)
    assert center.roll_up(meanwhile) == 1
    meanwhile.close()
    assert center.cloud.count(roll_up_due) == 1
    assert center.roll_up() == 1
    assert [(row.count, row.max) for row in center.rows(Tier.QUARTER)] == [(2, 90.0)]


def test_a_store_that_goes_away_in_the_middle_costs_nothing(center: Center) -> None:
    class Away(EmbeddedStore):
        def roll_up(self, tier: Tier, from_ns: int, to_ns: int, gateway: str | None = None) -> list[str]:
            if tier is Tier.DAILY:
                raise LinkError("away; wait")
            return super().roll_up(tier, from_ns, to_ns, gateway)

    center.take((NOW, 10.0))
    center.now_ns += DAY_NS
    away = Away(center.store.path.parent)
    with pytest.raises(LinkError):
        center.roll_up(away)
    away.close()
    assert center.rows(Tier.DAILY) == []
    assert center.roll_up() == 1
    assert len(center.rows(Tier.DAILY)) == 1


def test_a_day_that_has_begun_to_expire_is_not_made_anew(center: Center) -> None:
    old = NOW - 80 * DAY_NS
    center.take((old, 5.0), (old + 3600 * NS, 6.0))
    center.now_ns += 3600 * NS
    center.roll_up()
    before = center.rows(Tier.DAILY)
    mark_days(center.cloud.database, old, old + 1, ZONE)
    center.now_ns += 30 * DAY_NS
    center.store._writer.execute("DELETE FROM sample WHERE value=5.0")  # as retention would
    assert center.roll_up() == 1
    assert center.rows(Tier.DAILY) == before
    assert center.cloud.count(roll_up_due) == 0


def test_vital_signs_are_summarised_too(center: Center) -> None:
    values = [{"quantity": "systolic", "value": 132.0, "unit": "mm[Hg]"}]
    event = center.cloud.gateway.event(EventType.VITAL, "cuff:1", values=values, user=1)
    center.cloud.take(replace(event, wall_ns=NOW))
    drain_store_queue(center.cloud.database, center.store, now_ns=lambda: NOW)
    center.now_ns += DAY_NS
    center.roll_up()
    (row,) = center.store.summaries(Tier.DAILY, SeriesQuery("systolic", 0, 2**62))
    assert (row.count, row.last, row.tags.resident) == (1, 132.0, "res-1")


def test_marks_are_written_once_a_quarter_while_it_lasts_and_always_afterwards() -> None:
    start, end = quarter_of(NOW)
    point = Point("power", "c", "h", "g", "d", 1.0, start)
    marker = Marker()
    assert marker.needed([point, point], start) == {("g", start, end)}
    marker.written({("g", start, end)})
    assert marker.needed([point], end) == set()
    assert marker.needed([point], end + LAG_NS) == {("g", start, end)}


def test_many_gateways_are_asked_for_together(cloud: Cloud) -> None:
    start, end = quarter_of(NOW)
    with cloud.database.transaction() as connection:
        mark(connection, [(f"gw-{number}", start, end) for number in range(30)])
        mark(connection, [("gw-1", start - DAY_NS, end - DAY_NS), (EVERYBODY, *day_of(start - 2 * DAY_NS, ZONE))])
    with cloud.database.reading() as connection:
        made = plans(connection.execute(roll_up_due.select()).all(), ZONE)
    assert [plan.asked for plan in made] == [[None], ["gw-1"], [None]]
    assert made[1].span == (start - DAY_NS, end - DAY_NS)


def test_whole_days_can_be_asked_for(center: Center) -> None:
    center.store.write([Point("power", "c", "h", "g", "d", float(day), NOW - day * DAY_NS) for day in range(4)])
    center.now_ns += DAY_NS
    assert mark_days(center.cloud.database, NOW - 3 * DAY_NS, NOW + 1, ZONE) == 4
    assert center.roll_up() == 4
    assert [row.last for row in center.rows(Tier.DAILY)] == [3.0, 2.0, 1.0, 0.0]
