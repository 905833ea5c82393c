"""A site for every store: the embedded one, InfluxDB 1.x, and what 2.x is written by, before the same server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.sites import EmbeddedSite, InfluxSite, InfluxV2Site, Site, opened
from conformance.v2_proxy import Proxy, v2_proxy
from hearthline_cloud.store import TimeSeries
from servers import Influxd, influxd

STORES = [
    "embedded",
    pytest.param("influxdb", marks=pytest.mark.integration),
    pytest.param("influxdb2", marks=pytest.mark.integration),
]


@pytest.fixture(scope="module")
def shared_influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    with influxd(tmp_path_factory.mktemp("influxd")) as server:
        yield server


@pytest.fixture(scope="module")
def shared_proxy(shared_influxd: Influxd) -> Iterator[Proxy]:
    with v2_proxy(shared_influxd) as proxy:
        yield proxy


@pytest.fixture(params=STORES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    match request.param:
        case "embedded":
            return EmbeddedSite(tmp_path)
        case "influxdb":
            return InfluxSite(tmp_path, request.getfixturevalue("shared_influxd"))
        case _:
            return InfluxV2Site(tmp_path, request.getfixturevalue("shared_proxy"))


@pytest.fixture
def store(site: Site) -> Iterator[TimeSeries]:
    with opened(site) as opened_store:
        yield opened_store
