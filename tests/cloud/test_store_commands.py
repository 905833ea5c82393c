"""`hearthline cloud store`: summaries come before retention; points move in and out and are not doubled."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import urllib3
from typer.testing import CliRunner

from cloud_center import Cloud
from hearthline import wire
from hearthline.clock import NS
from hearthline.model import EventType
from hearthline_cloud.commands_store import store_app
from hearthline_cloud.config import load_cloud_config
from hearthline_cloud.ingest.rolling import roll_up_due_days
from hearthline_cloud.ingest.telemetry_lane import drain_store_queue
from hearthline_cloud.schema import kept_aside, store_queue
from hearthline_cloud.store import Point, SeriesQuery, Tier, TimeSeries, open_store
from hearthline_cloud.store.lines import LineReader
from hearthline_cloud.store.tiers import DAY_NS, quarter_of
from hearthline_sim.year import CHINA, year
from servers import Influxd, influxd

ZONE = ZoneInfo("Asia/Shanghai")
EVERYTHING = (-(2**62), 2**62)


class Center:
    """A configured center and its commands."""

    def __init__(self, cloud: Cloud, store: str) -> None:
        self.cloud = cloud
        self.config = cloud.folder / "cloud.toml"
        url = cloud.database.engine.url.render_as_string(hide_password=False)
        text = f'data_dir = "{cloud.folder}"\ndatabase = "{url}"\n[store]\n{store}'
        self.config.write_text(text, encoding="utf-8")

    def run(self, *words: str, code: int = 0) -> Any:
        """The command's JSON."""
        result = CliRunner().invoke(store_app, [*words, "--config", str(self.config), "--json"], standalone_mode=False)
        assert result.exception is None, result.exception
        assert (result.return_value or 0) == code, result.output
        return json.loads(result.stdout)

    def export(self, *words: str) -> str:
        result = CliRunner().invoke(store_app, ["export", "--config", str(self.config), *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    @contextmanager
    def store(self) -> Iterator[TimeSeries]:
        settings = load_cloud_config(self.config)
        with closing(open_store(settings.store, settings.directory)) as opened:
            yield opened


@pytest.fixture
def database_url(file_url: str) -> str:
    """SQLite alone: what the commands ask the database is asked of both engines elsewhere."""
    return file_url


@pytest.fixture
def center(cloud: Cloud) -> Center:
    return Center(cloud, 'kind = "embedded"')


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influxd]:
    folder = tmp_path / "influx"
    folder.mkdir()
    with influxd(folder) as server:
        yield server


def samples(store: TimeSeries, quantity: str) -> list[tuple[int, float]]:
    return [(each.time_ns, each.value) for each in store.read(SeriesQuery(quantity, *EVERYTHING, limit=100_000))]


def failed(report: Any) -> set[str]:
    return {each["what"] for each in report["findings"] if not each["good"]}


def opened_door(cloud: Cloud) -> wire.Event:
    return replace(cloud.gateway.event(EventType.ACTIVITY, "door:1"), data={"kind": "open"})


def by_hand(server: Influxd, path: str, body: str) -> bytes:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    with urllib3.PoolManager(retries=False, timeout=5.0) as pool:
        answer = pool.request("POST", f"{server.url}{path}", body=body.encode(), headers=headers)
        assert answer.status in (200, 204), answer.data
        return answer.data


def of_days(*ages: int, now_ns: int) -> str:
    return "\n".join(f"power,gateway=g,home=h value={age} {now_ns - age * DAY_NS}" for age in ages)


@pytest.mark.integration
def test_an_influxdb_of_before_is_summarised_before_anything_of_it_expires(cloud: Cloud, influx: Influxd) -> None:
    now_ns = time.time_ns()
    by_hand(influx, "/query", "q=CREATE DATABASE hearthline")
    by_hand(influx, "/write?db=hearthline", of_days(0, 1, 30, 100, 200, 300, now_ns=now_ns))
    center = Center(cloud, f'kind = "influxdb"\nurl = "{influx.url}"')
    assert failed(center.run("check", code=1)) == {"raw values", "quarter values", "daily values"}
    changed = center.run("migrate")["changed"]
    assert changed == [
        "retention policy quarter made, for 1826 days",
        "retention policy daily made, for ever",
        "everything that is there summarised",
        "retention policy autogen from ever to 90 days",
    ]
    with center.store() as store:
        days = store.summaries(Tier.DAILY, SeriesQuery("power", *EVERYTHING))
        assert [row.last for row in days] == [300.0, 200.0, 100.0, 30.0, 1.0, 0.0]
        assert [row.time_ns % DAY_NS for row in days] == [16 * 3600 * NS] * 6  # midnight in China
    assert center.run("migrate")["changed"] == []
    assert failed(center.run("check")) == set()


@pytest.mark.integration
def test_what_cannot_be_summarised_lets_nothing_go(cloud: Cloud, influx: Influxd) -> None:
    now_ns = time.time_ns()
    by_hand(influx, "/query", "q=CREATE DATABASE hearthline")
    by_hand(influx, "/write?db=hearthline", of_days(0, 200, now_ns=now_ns))
    by_hand(influx, "/write?db=hearthline", f'spoilt,gateway=g value="text" {now_ns - 200 * DAY_NS}')
    center = Center(cloud, f'kind = "influxdb"\nurl = "{influx.url}"')
    report = center.run("migrate", code=1)
    assert any("spoilt" in problem for problem in report["problems"])
    with center.store() as store:
        state = store.state()
        assert state.days is not None
        assert state.days["raw"] == 0, "kept for ever, until somebody has mended it"
        assert [row.last for row in store.summaries(Tier.DAILY, SeriesQuery("power", *EVERYTHING))] == [200.0, 0.0]


@pytest.mark.integration
def test_a_store_that_is_away_is_said(cloud: Cloud, influx: Influxd) -> None:
    center = Center(cloud, f'kind = "influxdb"\nurl = "{influx.url}"')
    assert failed(center.run("check")) == set(), "the probe has made the database"
    influx.kill()
    assert failed(center.run("check", code=1)) == {"reachable"}


@pytest.mark.integration
def test_a_continuous_query_misses_what_comes_late_and_the_roll_up_does_not(cloud: Cloud, influx: Influxd) -> None:
    """Why there is a job of ours (decision 041): InfluxDB runs the query each second here, and the point comes late."""
    center = Center(cloud, f'kind = "influxdb"\nurl = "{influx.url}"')
    center.run("migrate")
    query = (
        'CREATE CONTINUOUS QUERY late ON hearthline BEGIN SELECT count("value") AS "count" INTO "daily"."by_query" '
        'FROM "power" GROUP BY time(1s), * END'
    )
    by_hand(influx, "/query", f"db=hearthline&q={query}")
    late_ns = time.time_ns() - 3 * 3600 * NS
    counted = "db=hearthline&q=SELECT sum(count) FROM daily.by_query"
    deadline = time.monotonic() + 60
    with center.store() as store:
        store.write([Point("power", "c", "h", "g", "d", 1.0, late_ns)])
        while b"series" not in by_hand(influx, "/query", counted):  # each turn a point of now: the query runs
            assert time.monotonic() < deadline
            store.write([Point("power", "c", "h", "g", "d", 2.0, time.time_ns())])
            time.sleep(0.1)
        by_query = by_hand(influx, "/query", f"{counted} WHERE time < {late_ns + 3600 * NS}")
        assert b"series" not in by_query, "it has summarised the present and not what came late"
        assert store.roll_up(Tier.QUARTER, *quarter_of(late_ns)) == []
        (row,) = store.summaries(Tier.QUARTER, SeriesQuery("power", 0, late_ns + 3600 * NS))
        assert (row.count, row.last) == (1, 1.0)


def test_old_values_of_the_embedded_store_go_when_their_day_is_summarised(center: Center) -> None:
    now_ns = time.time_ns()
    with center.store() as store:
        store.write([Point("power", "c", "h", "g", "d", float(age), now_ns - age * DAY_NS) for age in (1, 50, 99, 200)])
    assert failed(center.run("check", code=1)) == {"old values"}
    assert center.run("migrate")["changed"] == ["everything that is there summarised", "2 old rows deleted"]
    with center.store() as store:
        assert [value for _, value in samples(store, "power")] == [50.0, 1.0]
        days = store.summaries(Tier.DAILY, SeriesQuery("power", *EVERYTHING))
        assert [row.last for row in days] == [200.0, 99.0, 50.0, 1.0]
    assert center.run("migrate")["changed"] == []
    assert failed(center.run("check")) == set()


def test_a_simulated_week_goes_in_out_and_in_again(center: Center, tmp_path: Path) -> None:
    last = dt.datetime.now(CHINA).date() - dt.timedelta(days=1)
    lines = [line for piece in year(2, 8, 1, last) for line in piece]
    file = tmp_path / "year.lp"
    file.write_text("# a comment\n" + "\n".join(lines) + "\n\n", encoding="utf-8")
    assert center.run("import", str(file)) == {"points": len(lines), "refused": 0, "reasons": []}
    out = center.export()
    reader = LineReader()
    assert {reader.point(line) for line in out.splitlines()} == {reader.point(line) for line in lines}
    assert center.run("import", str(file), "--skip", "5001")["points"] == len(lines) - 5000
    assert sorted(center.export().splitlines()) == sorted(out.splitlines())
    with center.store() as store:
        days, _ = roll_up_due_days(center.cloud.database, store, ZONE, 90, time.time_ns())
        assert days == 8
        counters = store.summaries(
            Tier.DAILY, SeriesQuery("energy_import", *EVERYTHING, device="meter-1", home="home-0001")
        )
        assert [row.count for row in counters] == [144] * 8


def test_an_export_of_a_span_holds_that_span(center: Center) -> None:
    now_ns = time.time_ns()
    with center.store() as store:
        store.write([Point("power", "c", "h", "g", "d", float(age), now_ns - age * DAY_NS) for age in range(5)])
    begin = dt.datetime.fromtimestamp(now_ns / NS - 3.5 * 86400, dt.UTC).isoformat()
    end = dt.datetime.fromtimestamp(now_ns / NS - 1.5 * 86400, dt.UTC).isoformat()
    values = [LineReader().point(line).value for line in center.export("--from", begin, "--to", end).splitlines()]
    assert values == [3.0, 2.0]


def test_lines_that_are_not_ours_are_refused_one_by_one(center: Center, tmp_path: Path) -> None:
    now_ns = time.time_ns()
    bad = [
        "power value=1",
        f"power value=one {now_ns}",
        f"power value=nan {now_ns}",
        f"power power=1 {now_ns}",
        f"power,room=kitchen value=1 {now_ns}",
        f"power value=1,other=2 {now_ns}",
        f",home=h value=1 {now_ns}",
        f"power value=1 {now_ns + DAY_NS}",
        f"power value=1 {now_ns - 300 * DAY_NS}",
        f"battery value=900 {now_ns}",
    ]
    file = tmp_path / "bad.lp"
    file.write_text("\n".join([*bad[:5], f"power,home=a\\ b\\,c\\=d value=7i {now_ns}", *bad[5:]]), encoding="utf-8")
    report = center.run("import", str(file), code=1)
    assert (report["points"], report["refused"]) == (1, len(bad))
    with center.store() as store:
        (sample,) = store.read(SeriesQuery("power", *EVERYTHING))
        assert (sample.value, sample.tags.home) == (7.0, "a b,c=d")


def test_events_are_stored_again_and_not_doubled(center: Center) -> None:
    cloud = center.cloud
    values = [{"quantity": "systolic", "value": 132.0, "unit": "mm[Hg]"}]
    cloud.take(cloud.gateway.event(EventType.VITAL, "cuff:1", values=values, user=1))
    cloud.take(opened_door(cloud), cloud.gateway.press())
    with cloud.database.transaction() as connection:
        connection.execute(store_queue.delete())  # as if the store had been lost after it had them
    for _ in range(2):
        assert center.run("backfill")["points"] == 2
    with center.store() as store:
        (vital,) = store.read(SeriesQuery("systolic", *EVERYTHING))
        assert (vital.value, vital.tags.resident, vital.tags.home) == (132.0, "res-1", "home-1")
        assert [value for _, value in samples(store, "contact")] == [1.0]
    assert center.run("backfill", "--after", "2")["points"] == 0


@pytest.mark.integration
def test_refused_points_are_seen_and_can_be_offered_again(cloud: Cloud, influx: Influxd) -> None:
    """A type conflict lasts as long as the shard in which somebody has written a text; here until it is dropped."""
    center = Center(cloud, f'kind = "influxdb"\nurl = "{influx.url}"')
    center.run("migrate")
    by_hand(influx, "/write?db=hearthline", f'contact,gateway=x value="text" {time.time_ns()}')
    cloud.take(opened_door(cloud))
    with center.store() as store:
        drain_store_queue(cloud.database, store)
    (kept,) = center.run("refused")
    assert (kept["quantity"], kept["value"]) == ("contact", 1.0)
    assert "field type conflict" in kept["reason"]
    assert failed(center.run("check", code=1)) == {"refused points"}
    assert center.run("refused", "--retry", code=1)["points"] == 0
    assert cloud.count(kept_aside) == 1
    by_hand(influx, "/query", "db=hearthline&q=DROP MEASUREMENT contact")
    assert center.run("refused", "--retry")["points"] == 1
    assert center.run("refused") == []
    with center.store() as store:
        assert [value for _, value in samples(store, "contact")] == [1.0]
