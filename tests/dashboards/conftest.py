"""A real InfluxDB with some simulated weeks of a few homes, summarised by the center's own store, once a session."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
import urllib3

from hearthline.clock import NS
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store import Keeping, Tier
from hearthline_cloud.store.influx import InfluxStore
from hearthline_cloud.store.tiers import days_of
from hearthline_dashboards.checking import Influx
from hearthline_sim.year import CHINA, year
from hearthline_sim.year_center import year_center
from hearthline_sim.year_output import to_influxdb
from servers import influxd

HOMES, DAYS, SEED = 4, 6, 7
SILENT = 2  # whose gateway is silent in the end
ZONE = ZoneInfo("Asia/Shanghai")
LAST = dt.date(2026, 11, 20)
NOW_S = int(dt.datetime(2026, 11, 20, 21, 7, tzinfo=CHINA).timestamp())
DATABASE = "hearthline"


@dataclass(frozen=True, slots=True)
class Center:
    """Where the data is, what is in it, and what time it is there."""

    url: str
    lines: tuple[str, ...]
    now_ms: int = NOW_S * 1000

    @property
    def influx(self) -> Influx:
        return self.of(DATABASE)

    def of(self, database: str) -> Influx:
        return Influx(self.url, database)

    def write(self, database: str, lines: Iterable[str]) -> None:
        """Each line with its retention policy before it."""
        for line in lines:
            policy, _, text = line.partition(" ")
            target = f"{self.url}/write?{urlencode({'db': database, 'rp': policy})}"
            answer = urllib3.request("POST", target, body=text.encode())
            assert answer.status == 204, answer.data


def fill(url: str) -> tuple[str, ...]:
    numbers = (HOMES, DAYS, SEED, LAST, NOW_S)
    tags = f"community=sim-1,home=home-{SILENT:04},gateway=gw-{SILENT:04}"
    fell_silent = [f"gateway_online,{tags} value=0 {NOW_S}000000000"]
    pieces = [*year(*numbers), *year_center(*numbers), fell_silent]
    with closing(InfluxStore(StoreConfig(kind="influxdb", url=url, database=DATABASE))) as store:
        store.keep(Keeping(0, 0, 0), NOW_S * NS, shorten=False)
        to_influxdb(pieces, url, DATABASE)
        begin = (NOW_S - (DAYS + 1) * 86_400) * NS
        for span in days_of(begin, NOW_S * NS, ZONE):
            assert store.roll_up(Tier.QUARTER, *span) == store.roll_up(Tier.DAILY, *span) == []
    return tuple(itertools.chain.from_iterable(pieces))


@pytest.fixture(scope="session")
def center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    folder: Path = tmp_path_factory.mktemp("influx")
    with influxd(folder) as server:
        yield Center(server.url, fill(server.url))
