"""Commands go down until they are answered; the store's copy of events is drained once; packs become points."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from cloud_center import Cloud
from hearthline import wire
from hearthline.clock import NS
from hearthline.errors import LinkError
from hearthline.model import SIGN_OF_LIFE, EventType, Lane
from hearthline_cloud import schema
from hearthline_cloud.ingest import aside
from hearthline_cloud.ingest.commands import GIVE_UP_AFTER_S, due_commands, has_due_commands
from hearthline_cloud.ingest.session import Message
from hearthline_cloud.ingest.telemetry_lane import TelemetryLane, drain_store_queue
from hearthline_cloud.store import Point, SeriesQuery
from hearthline_cloud.store.embedded import EmbeddedStore

SOON = 10**9


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    made = EmbeddedStore(tmp_path)
    yield made
    made.close()


def everything(store: EmbeddedStore, quantity: str) -> list[tuple[float, str]]:
    samples = store.read(SeriesQuery(quantity, -(2**62), 2**62))
    return [(sample.value, sample.tags.resident) for sample in samples]


# --- commands -----------------------------------------------------------------------------------------------------


def queue_command(cloud: Cloud, now_ns: int) -> None:
    with cloud.database.transaction() as connection:
        body = {"type": "signal", "signal": "accepted", "event": "e-1"}
        values = {"id": "c-1", "gateway_id": "gw-1", "body": body, "created_ns": now_ns, "next_attempt_ns": now_ns}
        connection.execute(insert(schema.command).values(**values))


def test_commands_are_sent_again_with_backoff_and_given_up_after_a_day(cloud: Cloud) -> None:
    start = 1_795_000_000 * NS
    queue_command(cloud, start)
    sent_at = []
    while (row := cloud.rows(schema.command)[0]).answered_ns is None:
        with cloud.database.transaction() as connection:
            assert not has_due_commands(connection, row.next_attempt_ns - 1)
            assert has_due_commands(connection, row.next_attempt_ns)
            for gateway, command in due_commands(connection, row.next_attempt_ns):
                assert gateway == "gw-1"
                assert command == wire.Command(id="c-1", type="signal", event="e-1", signal="accepted")
                sent_at.append((row.next_attempt_ns - start) // NS)
    pauses = [after - before for before, after in itertools.pairwise(sent_at)]
    assert pauses[:6] == [2, 4, 8, 16, 32, 60]
    assert set(pauses[6:]) == {60}
    assert sent_at[-1] <= GIVE_UP_AFTER_S
    (row,) = cloud.rows(schema.command)
    assert row.result == "expired"


def test_a_command_does_not_wait_for_a_clock_that_was_set_back(cloud: Cloud) -> None:
    start = 1_795_000_000 * NS
    queue_command(cloud, start)
    with cloud.database.transaction() as connection:
        assert due_commands(connection, start)
        assert not has_due_commands(connection, start)
        earlier = start - 3600 * NS
        assert has_due_commands(connection, earlier)
        assert due_commands(connection, earlier)
        assert not has_due_commands(connection, earlier)
        assert due_commands(connection, earlier + 4 * NS), "by the clock as it is now"


# --- the store's copy of events -----------------------------------------------------------------------------------


class Away:
    def write(self, points: Sequence[Point]) -> list[tuple[Point, str]]:
        raise LinkError("away")

    def read(self, query: SeriesQuery) -> list[object]:
        raise LinkError("away")

    def check(self) -> None:
        raise LinkError("away")


def pressure(cloud: Cloud, value: float) -> wire.Event:
    values = [{"quantity": "systolic", "value": value, "unit": "mm[Hg]"}]
    return cloud.gateway.event(EventType.VITAL, "cuff:1", values=values, user=1)


def test_vital_signs_reach_the_store_once(cloud: Cloud, store: EmbeddedStore) -> None:
    event = pressure(cloud, 132.0)
    cloud.take(event, event, pressure(cloud, 140.0))
    with pytest.raises(LinkError):
        drain_store_queue(cloud.database, Away())  # type: ignore[arg-type]
    assert cloud.count(schema.store_queue) == 2
    assert drain_store_queue(cloud.database, store) == 2
    assert drain_store_queue(cloud.database, store) == 0
    assert sorted(everything(store, "systolic")) == [(132.0, "res-1"), (140.0, "res-1")]


def test_what_is_queued_after_another_drained_everything_is_not_deleted_unseen(
    cloud: Cloud, store: EmbeddedStore
) -> None:
    """Two ingesters drain: a number of the queue is never given twice, or the slower one deletes what it never saw."""

    class Slow:
        def write(self, points: Sequence[Point]) -> list[tuple[Point, str]]:
            drain_store_queue(cloud.database, store)
            cloud.take(pressure(cloud, 150.0))
            return store.write(points)

    cloud.take(pressure(cloud, 132.0))
    drain_store_queue(cloud.database, Slow())  # type: ignore[arg-type]
    drain_store_queue(cloud.database, store)
    assert {value for value, _ in everything(store, "systolic")} == {132.0, 150.0}


def test_a_row_that_is_no_point_does_not_block_the_queue(cloud: Cloud, store: EmbeddedStore) -> None:
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.store_queue).values(point=b'{"quantity":7}'))
    cloud.take(pressure(cloud, 132.0))
    assert drain_store_queue(cloud.database, store) == 2
    assert len(everything(store, "systolic")) == 1
    assert "not a point" in cloud.rows(schema.kept_aside)[0].reason


# --- telemetry ----------------------------------------------------------------------------------------------------


class Ears:
    """Takes what the lane says to the broker."""

    def __init__(self) -> None:
        self.acks: list[wire.Ack] = []
        self.acknowledged: list[Message] = []

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        self.acks.append(wire.decode_ack(payload))

    def acknowledge(self, messages: Sequence[Message]) -> None:
        self.acknowledged += messages


def handle(cloud: Cloud, store: EmbeddedStore, *whats: wire.Pack | bytes) -> Ears:
    lane, ears = TelemetryLane(cloud.database, store, threading.Event()), Ears()
    lane.attach(ears)
    messages = [cloud.gateway.message(what, wire.UP_TELEMETRY) for what in whats]
    lane.handle(messages)
    assert ears.acknowledged == messages
    return ears


def test_packs_become_points_and_odd_ones_are_kept_aside(cloud: Cloud, store: EmbeddedStore) -> None:
    gateway = cloud.gateway
    good, wrong_unit = gateway.pack(1.0, 2.0), gateway.pack(3.0, 4.0, unit="kW")
    broken = wire.encode_pack(gateway.pack(5.0)).replace(b'"v":5.0', b'"vs":"five"')
    far = gateway.pack(7.0)
    far = replace(far, wall_ns=10**26)
    ears = handle(cloud, store, good, wrong_unit, broken, far, b"[" * 9000)
    assert ears.acks == [wire.make_ack("outbox-1", Lane.TELEMETRY, [(1, 2), (4, 4)], [(3, 3)])]
    assert sorted(value for value, _ in everything(store, "power")) == [1.0, 2.0]
    assert cloud.count(schema.kept_aside) == 4
    assert {d.id for d in cloud.rows(schema.device)} >= {"meter:1"}


def test_a_sign_of_life_is_heard_of_a_device_that_is_known_and_stores_nothing(
    cloud: Cloud, store: EmbeddedStore
) -> None:
    lost = {"lost": "offline", "lost_ns": 1, "last_seen_ns": None}
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.device).values(**lost))
    sign = {"quantity": SIGN_OF_LIFE, "unit": "/"}
    known, passing = (cloud.gateway.pack(1.0, device=device, **sign) for device in ("enocean:1", "ble:passer-by"))
    measured = cloud.gateway.pack(21.0, quantity="temperature", unit="Cel", device="ble:new")
    handle(cloud, store, known, passing, measured)
    devices = {row.id: (row.lost, row.last_seen_ns is not None) for row in cloud.rows(schema.device)}
    assert devices == {"cuff:1": ("offline", False), "enocean:1": ("", True), "ble:new": ("", True)}
    assert everything(store, SIGN_OF_LIFE) == []
    assert len(everything(store, "temperature")) == 1
    assert cloud.rows(schema.kept_aside) == []


def test_only_the_readings_that_are_refused_are_kept_aside(cloud: Cloud, store: EmbeddedStore) -> None:
    pack, odd = cloud.gateway.pack(1.0), cloud.gateway.pack(3.0, unit="kW")
    handle(cloud, store, replace(pack, readings=pack.readings + odd.readings))
    assert [value for value, _ in everything(store, "power")] == [1.0]
    (kept,) = cloud.rows(schema.kept_aside)
    assert json.loads(kept.payload) == {
        "outbox": "outbox-1",
        "seq": 1,
        "readings": [{"device": "meter:1", "quantity": "power", "value": 3.0, "unit": "kW"}],
    }
    assert (kept.reason, kept.topic) == ("power in 'kW', not in 'W'", "hearthline/v1/gw-1/up/telemetry")


def test_the_newest_are_kept_aside_and_the_others_counted(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "KEPT_ROWS", 5)
    for number in [*range(12), 11, 10]:
        cloud.take(f"odd {number}".encode())
    counter, *kept = cloud.rows(schema.kept_aside)
    assert [row.payload for row in kept] == [f"odd {number}".encode() for number in range(7, 12)]
    assert (counter.payload, counter.reason) == (b"7", "7 older ones, only counted")


@pytest.mark.parametrize("age", [None, 0.0, float(wire.MAX_AGE_S - 1)])
@pytest.mark.parametrize("mono", [0, wire.MAX_MONO_NS - 1])
def test_free_clocks_at_their_bounds(cloud: Cloud, store: EmbeddedStore, age: float | None, mono: int) -> None:
    pack = cloud.gateway.pack(1.0)
    odd = replace(pack, wall_ns=0, envelope=replace(pack.envelope, synced=False, mono_ns=mono, age_s=age))
    other = replace(odd, envelope=replace(odd.envelope, mono_ns=wire.MAX_MONO_NS - 1 - mono))
    handle(cloud, store, odd, odd, other)
    handle(cloud, store, odd)
    assert len(everything(store, "power")) <= 2
    assert cloud.count(schema.boot_clock) == 1


def test_a_free_clock_is_estimated_for_packs_too(cloud: Cloud, store: EmbeddedStore) -> None:
    pack = cloud.gateway.pack(1.0)
    before = time.time_ns()
    free = replace(pack, wall_ns=0, envelope=replace(pack.envelope, synced=False, age_s=30.0))
    handle(cloud, store, free)
    handle(cloud, store, replace(free, envelope=replace(free.envelope, outbox="opened again", age_s=90.0)))
    (sample,) = store.read(SeriesQuery("power", 0, 2**62))
    assert abs(sample.time_ns - (before - 30 * NS)) < 5 * SOON
