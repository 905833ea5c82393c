"""Registry, cards, vital signs, energy, readiness."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text, update

from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.api import ready as ready_module
from hearthline_cloud.database import Database
from hearthline_cloud.store import Point
from web.seeding import Center

DAY = round(datetime(2026, 11, 21, tzinfo=UTC).timestamp()) * NS


def test_gateways_say_what_they_are(served: Center) -> None:
    with served.database.transaction() as connection:
        late = update(schema.gateway).where(schema.gateway.c.id == "gw-east-2")
        connection.execute(late.values(last_seen_ns=time.time_ns() - 80 * NS))
    by_id = {item["id"]: item for item in served.client("mei").get("gateways").json()}
    assert (by_id["gw-east-1"]["state"], by_id["gw-east-1"]["clock"]) == ("online", "synced")
    assert by_id["gw-east-1"]["telemetry_lane"]["depth"] == 12
    assert (by_id["gw-east-2"]["state"], by_id["gw-east-2"]["clock"]) == ("silent", "free")
    assert by_id["gw-stray"]["registered"] is False


def test_homes_and_devices(served: Center) -> None:
    mei = served.client("mei")
    homes = {item["id"]: item for item in mei.get("homes").json()}
    assert homes["h-1"]["residents"] == [{"id": "r-1", "name": "王秀兰"}]
    devices = mei.get("devices").json()
    assert (devices[0]["id"], devices[0]["registered"]) == ("rf433:ffee01", False)


@pytest.mark.parametrize(("language", "words"), [("en", "Battery low"), ("zh", "电量低")])
def test_what_a_device_told_last_is_in_words(served: Center, language: str, words: str) -> None:
    page = served.client("mei").request("GET", "/homes", headers={"accept-language": language}).data.decode()
    assert f'<span class="tag caution">{words}</span> <span class="faint">3 %</span>' in page


def test_a_card_leaves_a_trace_and_a_missing_one_does_not(served: Center) -> None:
    mei = served.client("mei")
    card = mei.get("residents/r-1").json()
    assert card["name"] == "王秀兰"
    assert card["contacts"] == [{"name": "王建国", "relation": "儿子", "phone": "138-0000-0142"}]
    assert mei.get("residents/r-9").status == 404
    with served.database.reading() as connection:
        rows = connection.execute(select(schema.journal).where(schema.journal.c.kind == "card-shown")).all()
    assert [(row.actor, row.detail) for row in rows] == [("mei", {"resident": "r-1"})]


def test_vital_signs_come_with_their_units(served: Center) -> None:
    served.measure("r-1", DAY, systolic=142, diastolic=88, heart_rate=71)
    served.measure("r-1", DAY + NS, systolic=128, diastolic=79)
    vitals = served.client("mei").get("residents/r-1/vitals").json()
    assert [len(item["values"]) for item in vitals] == [2, 3]
    assert vitals[1]["values"][0] == {"quantity": "systolic", "value": 142, "unit": "mm[Hg]"}
    assert served.client("mei").get("residents/r-9/vitals").status == 404


def test_a_days_energy_is_the_sum_of_the_meters_forward_steps(served: Center) -> None:
    def meter(minutes: int, value: float, device: str = "meter-1") -> Point:
        return Point("energy_import", "c-1", "h-1", "gw-east-1", device, value, DAY + minutes * 60 * NS)

    served.store.write([meter(-5, 100.0), meter(5, 100.5), meter(600, 103.0), meter(700, 1.0), meter(800, 2.5)])
    served.store.write([meter(10, 7.0, "meter-2"), meter(20, 7.25, "meter-2"), meter(1500, 99.0)])
    mei = served.client("mei")
    energy = mei.get("homes/h-1/energy", day="2026-11-21").json()
    assert energy["kwh"] == pytest.approx(4.75)
    assert [item["kwh"] for item in energy["devices"]] == pytest.approx([4.5, 0.25])
    assert mei.get("homes/h-1/energy", day="2026-11-19").json()["kwh"] is None
    shanghai = mei.get("homes/h-1/energy", day="2026-11-21", utc_offset_min=480).json()
    assert shanghai["kwh"] == pytest.approx(4.75)
    samples = mei.get("readings", quantity="energy_import", device="meter-2", **{"from": "2026-11-21T00:00:00Z"})
    assert [item["value"] for item in samples.json()["samples"]] == [7.0, 7.25]
    assert samples.json()["unit"] == "kWh"


def test_a_store_that_is_away_takes_nothing_else_with_it(served: Center) -> None:
    served.store.away = True
    alert = served.press()
    mei = served.client("mei")
    answer = mei.get("homes/h-1/energy")
    assert (answer.status, answer.json()["error"]["code"]) == (503, "store-away")
    assert mei.get(f"alerts/{alert}").status == 200


def test_ready_means_that_alarms_can_come_through(served: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready_module, "KEPT_S", 0)
    client = served.client()

    def ready() -> tuple[int, dict[str, str]]:
        answer = client.request("GET", "/readyz")
        return answer.status, answer.json()["parts"]

    served.heartbeat()
    assert ready() == (200, {"database": "ok", "ingest": "ok", "broker": "ok", "store": "ok", "journal": "ok"})
    served.heartbeat(broker=False)
    assert ready()[1]["broker"] == "away"
    served.heartbeat(store=False)
    assert (ready()[0], ready()[1]["store"]) == (503, "away")
    served.heartbeat(age_s=6)
    status, parts = ready()
    assert (status, parts["ingest"], parts["broker"]) == (503, "not heard for 5 s", "unknown")
    assert client.request("GET", "/healthz").status == 200


def test_asking_in_a_loop_makes_one_write_in_a_while(served: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    probe = ready_module._probe

    def counted(database: Database, now_ns: int) -> ready_module.Look:
        looks.append(now_ns)
        return probe(database, now_ns)

    monkeypatch.setattr(ready_module, "_probe", counted)
    client = served.client()
    began = time.monotonic()
    for _ in range(100):
        assert client.request("GET", "/readyz").status in (200, 503)  # the heartbeats grow old meanwhile
    assert len(looks) <= 1 + (time.monotonic() - began) / ready_module.KEPT_S
    served.heartbeat(broker=False)
    while client.request("GET", "/readyz").json()["parts"]["broker"] != "away":
        assert time.monotonic() - began < 30
    assert len(looks) <= 2 + (time.monotonic() - began) / ready_module.KEPT_S


def test_a_database_that_cannot_be_written_is_not_ready(served: Center) -> None:
    served.heartbeat()
    with served.database.transaction() as connection:
        connection.execute(text("CREATE TRIGGER full BEFORE UPDATE ON heartbeat BEGIN SELECT RAISE(ABORT, 'x'); END"))
        connection.execute(text("CREATE TRIGGER full2 BEFORE INSERT ON heartbeat BEGIN SELECT RAISE(ABORT, 'x'); END"))
    answer = served.client().request("GET", "/readyz")
    assert (answer.status, answer.json()["parts"]["database"]) == (503, "cannot be written")


def test_a_locked_database_is_told_within_seconds(served: Center) -> None:
    served.heartbeat()
    with served.database.transaction():
        started = time.monotonic()
        answer = served.client().request("GET", "/readyz")
        assert time.monotonic() - started < 3
    assert (answer.status, answer.json()["parts"]["database"]) == (503, "does not answer")


def test_kept_aside_is_counted_by_reason(served: Center) -> None:
    with served.database.transaction() as connection:
        row = {"received_ns": DAY, "topic": "t", "payload": b"x", "reason": "not an event"}
        connection.execute(schema.kept_aside.insert(), [row, row])
    answer = served.client("mei").get("kept-aside").json()
    assert answer == [{"reason": "not an event", "count": 2, "last": "2026-11-21T00:00:00.000000Z"}]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"alerts?before={2**63}", 422),
        (f"audit?before={2**63}", 422),
        (f"stream?after={2**64}", 422),
        ("homes/h-1/energy?day=0001-01-01&utc_offset_min=60", 422),
        ("homes/h-1/energy?day=9999-12-31", 422),
        ("readings?quantity=power&from=1500-01-01T00:00:00Z", 400),
        ("readings?quantity=power&to=9999-12-31T23:59:59-23:59", 400),
    ],
)
def test_what_no_column_holds_is_the_callers_mistake(served: Center, path: str, status: int) -> None:
    answer = served.client("boss").request("GET", f"/api/v1/{path}")
    assert answer.status == status
    assert answer.json()["error"]["message"]


def test_a_last_event_id_without_end_does_not_break_the_stream(served: Center) -> None:
    client = served.client("mei")
    answer = client._pool.request(
        "GET",
        f"{served.url}/api/v1/stream",
        headers={"authorization": f"Bearer {client.token}", "last-event-id": "9" * 5000},
        preload_content=False,
    )
    assert answer.status == 200
    answer.close()
