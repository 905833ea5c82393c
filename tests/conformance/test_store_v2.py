"""What only the way by influxdb-client does: its bytes, its errors, buckets; and another maker's `/api/v2/write`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import urllib3

from conformance.points import SECOND, START_NS, point
from conformance.sites import everything, values
from conformance.v2_proxy import TOKEN, Proxy, v2_proxy
from hearthline.errors import ConfigError, LinkError
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store import Keeping, Point, Tier
from hearthline_cloud.store.influx import InfluxStore
from hearthline_cloud.store.influx_text import line, line_head
from secret_files import write_secret
from servers import Influxd, influxd, victoria_metrics

pytestmark = pytest.mark.integration
KEPT = Keeping(90, 1826, 0)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with influxd(tmp_path_factory.mktemp("influxd")) as server, v2_proxy(server) as made:
        yield made


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    with victoria_metrics(tmp_path_factory.mktemp("victoria")) as server:
        yield server


def store_at(url: str, folder: Path, database: str, token: str = TOKEN, timeout_s: float = 5.0) -> InfluxStore:
    secret = str(write_secret(folder / "token", token))
    return InfluxStore(
        StoreConfig("influxdb2", url, database=database, org="center", token_file=secret, timeout_s=timeout_s)
    )


def test_the_bytes_are_those_that_1x_gets(proxy: Proxy, tmp_path: Path) -> None:
    batch = [point(index, index / 7) for index in range(100)]
    with closing(store_at(proxy.url, tmp_path, "bytes")) as store:
        store.keep(KEPT, time.time_ns(), shorten=False)
        proxy.written.clear()
        assert store.write(batch) == []
    text = "\n".join(line(line_head(each.series), each.value, each.time_ns) for each in batch)
    assert proxy.written == [text.encode()]


def test_buckets_are_made_changed_and_then_left_alone(proxy: Proxy, tmp_path: Path) -> None:
    with closing(store_at(proxy.url, tmp_path, "kept")) as store:
        made = store.keep(KEPT, time.time_ns(), shorten=False)
        assert made == [
            "bucket kept made, for 90 days",
            "bucket kept/quarter made, for 1826 days",
            "bucket kept/daily made, for ever",
        ]
        shorter = Keeping(30, 1826, 0)
        assert store.keep(shorter, time.time_ns(), shorten=False) == []
        assert store.keep(shorter, time.time_ns(), shorten=True) == ["bucket kept from 90 days to 30 days"]
        assert store.keep(KEPT, time.time_ns(), shorten=False) == ["bucket kept from 30 days to 90 days"]
        assert store.state().days == {"raw": 90, "quarter": 1826, "daily": 0}


def test_a_bucket_that_is_missing_and_a_wrong_token_are_said(proxy: Proxy, tmp_path: Path) -> None:
    with closing(store_at(proxy.url, tmp_path, "nowhere")) as store, pytest.raises(LinkError, match=r"404.*not found"):
        store.write([point(1)])
    with closing(store_at(proxy.url, tmp_path, "kept", token="another")) as store:
        for call in (lambda: store.write([point(1)]), lambda: store.read(everything()), store.check):
            with pytest.raises(LinkError, match=r"401.*store\.token_file"):
                call()
        with pytest.raises(LinkError, match="401"):
            store.keep(KEPT, time.time_ns(), shorten=True)


def test_a_type_conflict_is_refused_alone(proxy: Proxy, tmp_path: Path) -> None:
    with closing(store_at(proxy.url, tmp_path, "conflict")) as store:
        store.keep(Keeping(0, 0, 0), time.time_ns(), shorten=False)
        with urllib3.PoolManager(retries=False) as pool:
            body = f'power,device=x value="text" {START_NS}'.encode()
            assert pool.request("POST", f"{proxy.server.url}/write?db=conflict", body=body).status == 204
        good = [point(index, quantity="voltage") for index in range(50)]
        ((bad, reason),) = store.write([*good[:20], point(7), *good[20:]])
        assert (bad, "field type conflict" in reason) == (point(7), True)
        assert values(store, everything("voltage")) == [float(index) for index in range(50)]


def test_nobody_there_is_said(tmp_path: Path) -> None:
    with closing(store_at("http://127.0.0.1:9", tmp_path, "x", timeout_s=1.0)) as store:
        calls = [lambda: store.write([point(1)]), lambda: store.read(everything()), store.check, store.state]
        for call in calls:
            with pytest.raises(LinkError, match=r"127\.0\.0\.1:9 cannot be reached"):
                call()


def test_a_lost_token_names_its_key() -> None:
    with pytest.raises(ConfigError, match=r"store\.token_file"):
        InfluxStore(StoreConfig("influxdb2", token_file="/nowhere/token"))


# --- VictoriaMetrics ------------------------------------------------------------------------------------------------


def exported(server: Influxd, quantity: str) -> dict[int, float]:
    """What VictoriaMetrics holds of a quantity, by milliseconds: it keeps no finer times."""
    with urllib3.PoolManager(retries=False, timeout=10.0) as pool:
        pool.request("GET", f"{server.url}/internal/force_flush")
        fields = {"match[]": f'{{__name__="{quantity}_value"}}', "end": str(time.time() + 3600)}
        answer = pool.request("GET", f"{server.url}/api/v1/export", fields=fields)
    assert answer.status == 200, answer.data
    rows = [json.loads(text) for text in answer.data.splitlines()]
    return {at: value for row in rows for at, value in zip(row["timestamps"], row["values"], strict=True)}


def test_victoria_metrics_takes_the_same_bytes(victoria: Influxd, tmp_path: Path) -> None:
    now_ns = time.time_ns() // 1_000_000 * 1_000_000
    batch = [
        Point("power", "c1", "h1", "g1", "客厅 插座", 20 + index / 7, now_ns - index * SECOND) for index in range(200)
    ]
    with closing(store_at(victoria.url, tmp_path, "hearthline")) as store:
        store.check()
        for _ in range(2):  # a repeat doubles nothing
            assert store.write(batch) == []
    found = exported(victoria, "power")
    assert {at * 1_000_000: value for at, value in found.items()} == {
        each.time_ns: pytest.approx(each.value, rel=1e-12) for each in batch
    }


def test_victoria_metrics_away_is_said_and_passes(victoria: Influxd, tmp_path: Path) -> None:
    now_ns = time.time_ns() // 1_000_000 * 1_000_000
    first, second = (Point("outage", "", "", "g1", "d", float(index), now_ns + index * SECOND) for index in range(2))
    with closing(store_at(victoria.url, tmp_path, "hearthline")) as store:
        assert store.write([first]) == []
        victoria.stop()  # in an orderly way: it answers before it has written, so a kill may cost what it took
        with pytest.raises(LinkError, match="cannot be reached"):
            store.write([second])
        victoria.start()
        assert store.write([second]) == []
    assert sorted(exported(victoria, "outage").values()) == [0.0, 1.0]


def test_victoria_metrics_is_never_taken_for_an_empty_store(victoria: Influxd, tmp_path: Path) -> None:
    """Whatever it is asked at /query, it tells the names of databases."""
    for store in (store_at(victoria.url, tmp_path, "hearthline"), InfluxStore(StoreConfig("influxdb", victoria.url))):
        asked = (store.quantities, store.oldest_ns, partial(store.read, everything()))
        with closing(store):
            for ask in (*asked, partial(store.summaries, Tier.DAILY, everything())):
                with pytest.raises(LinkError, match="must answer InfluxQL"):
                    ask()
