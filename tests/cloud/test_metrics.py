"""What a running role shows is what docs/metrics.md says, in both directions; names and text are Prometheus' own."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import urllib3
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert

from cloud_center import Cloud
from hearthline import wire
from hearthline.clock import NS
from hearthline.errors import ConfigError, LinkError
from hearthline.model import EventType
from hearthline_cloud import schema
from hearthline_cloud.config import CloudConfig, MetricsConfig
from hearthline_cloud.database import Database
from hearthline_cloud.metrics.measured_store import MeasuredStore
from hearthline_cloud.metrics.serving import MetricsPage
from hearthline_cloud.metrics.state import KEPT_S, StateOfCenter
from hearthline_cloud.roles import parse_roles
from hearthline_cloud.store import Point, Sample, SeriesQuery
from hearthline_cloud.wake import Role
from hearthline_sim.demo.broker import free_port

DOCUMENT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
SECTIONS = {"ingest": "## Role ingest", "desk": "## Role desk", "web": "## Role web"}
EVERY = "## Every process of the center"
UNITS = ("_seconds", "_bytes")
Families = dict[str, Metric]


def documented(heading: str) -> dict[str, tuple[str, set[str]]]:
    """Name -> kind and labels, of the tables below a heading."""
    section = DOCUMENT.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| (.*?) ?\| .*\|$", section, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`([a-z_]+)`", labels))) for name, kind, labels in rows}


@contextmanager
def page(database: Database, folder: Path, *roles: Role) -> Iterator[str]:
    config = CloudConfig(data_dir=str(folder), metrics=MetricsConfig(port=free_port()))
    served = MetricsPage(config, database, roles)
    served.start()
    try:
        yield f"http://127.0.0.1:{served.port}"
    finally:
        served.stop()


def scraped(url: str) -> Families:
    answer = urllib3.request("GET", f"{url}/metrics", timeout=5)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(answer.data.decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "a family stands twice"
    return {as_documented(family): family for family in families}


def as_documented(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def values(family: Metric, suffix: str = "") -> dict[tuple[str, ...], float]:
    """Label values -> value."""
    name = family.name + (suffix or ("_total" if family.type == "counter" else ""))
    return {tuple(each.labels.values()): each.value for each in family.samples if each.name == name}


@pytest.fixture
def database_url(file_url: str) -> str:
    """SQLite alone, but for the test on `either`."""
    return file_url


def make_busy(cloud: Cloud) -> None:
    """With a row of everything that labels a series."""
    told = {"event": {"depth": 3, "oldest_s": 7.5}, "telemetry": {"depth": "many"}, "faults": ["a"]}
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.gateway).values(id="gw-2", state="online", status=told))
        connection.execute(insert(schema.heartbeat).values(role="ingest", at_ns=time.time_ns() - 2 * NS, detail={}))
        connection.execute(insert(schema.heartbeat).values(role="figures", at_ns=1, detail={"fault": "died by a bug"}))
    cloud.take(cloud.gateway.press(), b"rubbish")
    with closing(sqlite3.connect(cloud.folder / "timeseries.db")) as file:
        file.execute("CREATE TABLE sample (value)")


@pytest.mark.parametrize("roles", [("ingest", "desk", "web"), ("ingest",), ("desk",), ("web",)])
def test_a_process_shows_what_the_document_says_and_nothing_else(cloud: Cloud, roles: tuple[Role, ...]) -> None:
    make_busy(cloud)
    expected = documented(EVERY)
    for role in roles:
        expected |= documented(SECTIONS[role])
    with page(cloud.database, cloud.folder, *roles) as url:
        found = scraped(url)
    assert set(found) == set(expected)
    for name, family in found.items():
        kind, labels = expected[name]
        assert family.type == kind, name
        assert family.documentation, name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == labels, name


def test_names_are_by_the_conventions() -> None:
    every = {name: kind for section in (EVERY, *SECTIONS.values()) for name, (kind, _) in documented(section).items()}
    assert len(every) > 40
    for name, kind in every.items():
        assert re.fullmatch(r"(hearthline|process)_[a-z]+(_[a-z]+)*", name), name
        assert name.endswith("_total") == (kind == "counter"), name
        assert kind != "histogram" or name.endswith(UNITS), name
        assert not re.search(r"_(ms|ns|s|min|hours|minutes|kb|mb|count|sum|bucket|created)$", name), name


def test_the_center_as_the_database_has_it(either: Cloud) -> None:
    make_busy(either)
    with page(either.database, either.folder, "desk") as url:
        found = scraped(url)
    assert values(found["hearthline_alerts_open"]) == {("emergency", "raised"): 1.0}
    assert values(found["hearthline_gateways"]) == {("online",): 1.0, ("unknown",): 1.0}
    assert values(found["hearthline_gateways_with_faults"]) == {(): 1.0}
    assert values(found["hearthline_gateway_outbox_records"]) == {("event",): 3.0, ("telemetry",): 0.0}
    assert values(found["hearthline_gateway_outbox_oldest_seconds"])["event",] == 7.5
    assert values(found["hearthline_devices"]) == {("heard",): 2.0}
    assert values(found["hearthline_kept_aside_records"]) == {(): 1.0}
    assert values(found["hearthline_journal_entries_total"]) == {(): 1.0}
    assert 2.0 <= values(found["hearthline_heartbeat_age_seconds"])["ingest",] < 60.0
    assert values(found["hearthline_part_faulty"]) == {("figures",): 1.0, ("ingest",): 0.0}
    assert values(found["hearthline_database_up"]) == {(): 1.0}
    assert values(found["hearthline_database_size_bytes"])[()] > 100_000
    assert values(found["hearthline_store_size_bytes"])[()] > 0
    assert values(found["hearthline_alert_oldest_untaken_seconds"])["emergency",] < 60.0


def test_a_database_that_is_away_leaves_its_figures_out(tmp_path: Path) -> None:
    gone = Database(f"sqlite:///{tmp_path}/no/such/folder.db")
    with page(gone, tmp_path, "desk") as url:
        found = scraped(url)
    assert values(found["hearthline_database_up"]) == {(): 0.0}
    assert "hearthline_alerts_open" not in found
    assert "hearthline_escalation_lag_seconds" in found


def test_many_who_ask_cost_one_look(cloud: Cloud) -> None:
    now = [100.0]
    state = StateOfCenter(cloud.database, cloud.folder, mono_s=lambda: now[0])

    def gateways() -> float:
        family = next(each for each in state.collect() if each.name == "hearthline_gateways")
        return sum(sample.value for sample in family.samples)

    before = gateways()
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.gateway).values(id="gw-9"))
    now[0] += KEPT_S - 0.1
    assert gateways() == before
    now[0] += 0.2
    assert gateways() == before + 1


def test_alarms_are_counted_once_and_timed_where_the_clock_is_right(cloud: Cloud) -> None:
    def looked() -> tuple[float, float, float]:
        found = scraped(url)
        alarms = values(found["hearthline_alarms_total"]).get(("emergency",), 0.0)
        stored = found["hearthline_alarm_stored_seconds"]
        return alarms, values(stored, "_count")[()], values(stored, "_sum")[()]

    with page(cloud.database, cloud.folder, "ingest") as url:
        before = looked()
        press = cloud.gateway.press()
        late = wire.Event("e-2", press.source, EventType.ALARM, "enocean:1", press.wall_ns - 40 * NS,
                          {"role": "emergency"}, cloud.gateway.envelope())  # fmt: skip
        free = wire.Event("e-3", press.source, EventType.ALARM, "enocean:1", press.wall_ns,
                          {"role": "emergency"}, cloud.gateway.envelope(synced=False, age_s=1000.0))  # fmt: skip
        cloud.take(press, late, free)
        cloud.take(press)  # a repeat
        after = looked()
    assert after[0] - before[0] == 3
    assert after[1] - before[1] == 2
    assert 40.0 <= after[2] - before[2] < 60.0


def test_nothing_else_is_there(cloud: Cloud) -> None:
    with page(cloud.database, cloud.folder, "web") as url:
        assert urllib3.request("GET", f"{url}/", timeout=5).status == 404
        assert urllib3.request("POST", f"{url}/metrics", body=b"x", timeout=5).status == 404


def test_a_port_that_is_taken_is_told_by_its_key(cloud: Cloud) -> None:
    with page(cloud.database, cloud.folder, "ingest") as url:
        port = int(url.rpartition(":")[2])
        config = CloudConfig(data_dir=str(cloud.folder), metrics=MetricsConfig(port=port))
        with pytest.raises(ConfigError, match=r"metrics\.port"):
            MetricsPage(config, cloud.database, ["ingest"])
        desk = MetricsPage(config, cloud.database, parse_roles(["desk"]))
        assert desk.port == port + 1
        desk.stop()


class _Away:
    def write(self, points: list[Point]) -> list[tuple[Point, str]]:
        return [(points[0], "bad")]

    def read(self, query: SeriesQuery) -> list[Sample]:
        raise LinkError("away")

    def check(self) -> None:
        return


def test_the_stores_requests_are_measured(cloud: Cloud) -> None:
    def looked() -> list[float]:
        found = scraped(url)
        points = values(found["hearthline_store_points_total"])
        answered = values(found["hearthline_store_request_seconds"], "_count")
        failed = values(found["hearthline_store_failures_total"])
        asked = ((points, "stored"), (points, "refused"), (answered, "write"), (answered, "read"), (failed, "read"))
        return [table.get((key,), 0.0) for table, key in asked]

    store = MeasuredStore(_Away())  # type: ignore[arg-type]
    point = Point("power", "c", "h", "g", "d", 1.0, 1)
    with page(cloud.database, cloud.folder, "ingest") as url:
        before = looked()
        store.write([point, point, point])
        with pytest.raises(LinkError):
            store.read(SeriesQuery("power", 0, 1))
        after = looked()
    assert [b - a for a, b in zip(before, after, strict=True)] == [2, 1, 1, 0, 1]
