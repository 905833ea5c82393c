"""What becomes of a reading that is not as it should be: each rule of docs/data.md, by the ingester's own lanes."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import update

from cloud_center import Cloud
from hearthline import wire
from hearthline.clock import NS
from hearthline.model import TELEMETRY_UNITS, VITAL_UNITS, EventType, Lane
from hearthline_cloud import schema
from hearthline_cloud.ingest.plausible import BOUNDS, oddity
from hearthline_cloud.ingest.session import Message
from hearthline_cloud.ingest.telemetry_lane import TelemetryLane, drain_store_queue
from hearthline_cloud.ingest.timing import FUTURE_TOLERANCE_NS
from hearthline_cloud.store import SeriesQuery
from hearthline_cloud.store.embedded import EmbeddedStore
from hearthline_cloud.store.tiers import DAY_NS, MARGIN_DAYS

RAW_DAYS = 90
OLDEST_NS = (RAW_DAYS - MARGIN_DAYS) * DAY_NS


@dataclass(frozen=True)
class Bad:
    """One reading beside a good one in a pack, and the reason under which it is kept aside."""

    reason: str
    quantity: str = "temperature"
    unit: str = "Cel"
    value: float = 21.0
    late_ns: int = 0


BAD = {
    "impossible": Bad("temperature of 5000 is impossible", value=5000.0),
    "below zero kelvin": Bad("temperature of -300 is impossible", value=-300.0),
    "battery over full": Bad("battery of 180 is impossible", "battery", "%EL", 180.0),
    "counter of nonsense": Bad("energy_import of 4e+12 is impossible", "energy_import", "kWh", 4e12),
    "unit changed": Bad("temperature in 'K', not in 'Cel'", unit="K", value=294.0),
    "kWh in Wh": Bad("energy_import in 'Wh', not in 'kWh'", "energy_import", "Wh", 1234.0),
    "future": Bad("was measured in the future", late_ns=-FUTURE_TOLERANCE_NS - 60 * NS),
    "next century": Bad("was measured in the future", late_ns=-100 * 365 * DAY_NS),
    "older than the retention": Bad("longer ago than values are kept", late_ns=OLDEST_NS + 60 * NS),
}


class Ears:
    def __init__(self) -> None:
        self.acks: list[wire.Ack] = []

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        self.acks.append(wire.decode_ack(payload))

    def acknowledge(self, messages: Sequence[Message]) -> None: ...


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    made = EmbeddedStore(tmp_path)
    yield made
    made.close()


def take(cloud: Cloud, store: EmbeddedStore, *payloads: bytes) -> list[wire.Ack]:
    lane, ears = TelemetryLane(cloud.database, store, threading.Event(), raw_days=RAW_DAYS), Ears()
    lane.attach(ears)
    lane.handle([cloud.gateway.message(payload, wire.UP_TELEMETRY) for payload in payloads])
    return ears.acks


def stored(store: EmbeddedStore, quantity: str) -> list[tuple[str, float]]:
    return [(each.tags.device, each.value) for each in store.read(SeriesQuery(quantity, 0, 2**62))]


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_one_odd_reading_is_kept_aside_and_its_neighbour_is_stored(
    cloud: Cloud, store: EmbeddedStore, bad: Bad
) -> None:
    odd = cloud.gateway.pack(bad.value, quantity=bad.quantity, unit=bad.unit)
    odd = replace(odd, wall_ns=odd.wall_ns - bad.late_ns)
    good = cloud.gateway.pack(100.0)
    acks = take(cloud, store, wire.encode_pack(odd), wire.encode_pack(good))
    assert acks[-1].telemetry is not None, "a repeat would be just as odd: it is taken, not asked for again"
    assert stored(store, bad.quantity) == []
    assert stored(store, "power") == [("meter:1", 100.0)]
    (kept,) = cloud.rows(schema.kept_aside)
    assert bad.reason in kept.reason
    assert json.loads(kept.payload)["readings"][0]["value"] == bad.value


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_costs_its_pack_alone(cloud: Cloud, store: EmbeddedStore, word: str) -> None:
    """JSON has no such numbers: whoever writes them writes no SenML, so nothing of that pack can be believed."""
    payload = wire.encode_pack(cloud.gateway.pack(5.0)).replace(b'"v":5.0', f'"v":{word}'.encode())
    assert word.encode() in payload
    acks = take(cloud, store, payload, wire.encode_pack(cloud.gateway.pack(6.0)))
    assert acks == [wire.make_ack("outbox-1", Lane.TELEMETRY, [(2, 2)], [])], "its envelope cannot be read either"
    assert stored(store, "power") == [("meter:1", 6.0)]
    assert cloud.count(schema.kept_aside) == 1


@pytest.mark.parametrize("value", [-5.0, 900.0])
def test_an_impossible_vital_sign_stays_in_its_event_alone(cloud: Cloud, store: EmbeddedStore, value: float) -> None:
    values = [{"quantity": "systolic", "value": value, "unit": "mm[Hg]"}]
    cloud.take(cloud.gateway.event(EventType.VITAL, "cuff:1", values=values, user=1))
    drain_store_queue(cloud.database, store, raw_days=RAW_DAYS)
    assert stored(store, "systolic") == []
    assert "impossible" in cloud.rows(schema.kept_aside)[0].reason
    assert cloud.rows(schema.event)[0].data["values"] == values


def test_a_renamed_device_begins_a_series_and_keeps_the_old_one(cloud: Cloud, store: EmbeddedStore) -> None:
    before = cloud.gateway.pack(1.0, device="meter:1")
    take(cloud, store, wire.encode_pack(before))
    take(cloud, store, wire.encode_pack(cloud.gateway.pack(2.0, device="meter:kitchen")))
    assert stored(store, "power") == [("meter:1", 1.0), ("meter:kitchen", 2.0)]
    tags = {sample.tags.home for sample in store.read(SeriesQuery("power", 0, 2**62))}
    assert len(tags) == 1, "both belong to the same home, so a home's panel shows both"


def test_one_device_id_on_two_gateways_is_two_series(cloud: Cloud, store: EmbeddedStore) -> None:
    mine = wire.encode_pack(cloud.gateway.pack(1.0))
    take(cloud, store, mine)
    cloud.gateway.id = "gw-2"
    take(cloud, store, mine)
    found = store.read(SeriesQuery("power", 0, 2**62))
    assert [(each.tags.gateway, each.value) for each in found] == [("gw-1", 1.0), ("gw-2", 1.0)]


def test_what_a_gateway_measured_before_it_moved_stays_with_its_old_home(cloud: Cloud, store: EmbeddedStore) -> None:
    take(cloud, store, wire.encode_pack(cloud.gateway.pack(1.0)))
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.gateway).values(home_id="home-2"))
    take(cloud, store, wire.encode_pack(cloud.gateway.pack(2.0)))
    found = store.read(SeriesQuery("power", 0, 2**62))
    assert [(each.tags.home, each.value) for each in found] == [("home-1", 1.0), ("home-2", 2.0)]


def test_of_two_values_of_one_series_and_moment_the_last_stays(cloud: Cloud, store: EmbeddedStore) -> None:
    """Two devices that claim one id on one gateway cannot be told apart here: see what the gateway says of them."""
    one = cloud.gateway.pack(1.0)
    other = replace(cloud.gateway.pack(2.0), wall_ns=one.wall_ns)
    take(cloud, store, wire.encode_pack(one), wire.encode_pack(other))
    assert stored(store, "power") == [("meter:1", 2.0)]


def test_bounds_let_through_what_somebody_has_to_see() -> None:
    now = time.time_ns()
    for quantity, value in {"systolic": 260.0, "heart_rate": 30.0, "temperature": 60.0, "humidity": 101.0}.items():
        assert oddity(quantity, value, now, now, RAW_DAYS) is None
    for quantity in BOUNDS:
        assert quantity in TELEMETRY_UNITS or quantity in VITAL_UNITS
        assert oddity(quantity, math.nan, now, now, RAW_DAYS)


def test_what_is_kept_for_ever_has_no_age() -> None:
    now = time.time_ns()
    assert oddity("power", 1.0, now - 5000 * DAY_NS, now, 0) is None
    assert oddity("power", 1.0, now - OLDEST_NS + NS, now, RAW_DAYS) is None
