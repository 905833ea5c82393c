"""The series of one person leave a store, raw values and summaries; everybody else's stay."""

from __future__ import annotations

import time
from zoneinfo import ZoneInfo

import pytest

from conformance.sites import EmbeddedSite, InfluxSite, InfluxV2Site, Site, opened
from hearthline.errors import LinkError
from hearthline_cloud.store import Keeping, Point, SeriesQuery, Tier
from hearthline_cloud.store.erasing import Series, erase_series
from hearthline_cloud.store.tiers import day_of

DAY = day_of(time.time_ns() - 86_400 * 10**9, ZoneInfo("Asia/Shanghai"))
WHOSE = ("res-1", "res'2", "居民 3", "")
ERASED = [Series(resident="res'2"), Series(resident="居民 3"), Series(gateway="g1", device="meter-1")]


def points() -> list[Point]:
    vitals = [Point("systolic", "c1", "h1", "g1", "cuff", 140.0, DAY[0] + 1, resident=who) for who in WHOSE]
    meters = [Point("power", "c1", "h1", gateway, "meter-1", 7.0, DAY[0] + 1) for gateway in ("g1", "g2")]
    return [*vitals, *meters]


def left(site: Site, tier: Tier) -> set[tuple[str, str, str]]:
    found = set()
    with opened(site) as store:
        for quantity in ("systolic", "power"):
            query = SeriesQuery(quantity, 0, 2**62)
            rows = store.read(query) if tier is Tier.RAW else store.summaries(tier, query)
            found |= {(row.tags.gateway, row.tags.device, row.tags.resident) for row in rows}
    return found


def test_one_persons_series_leave_every_tier_and_a_repeat_is_harmless(site: Site) -> None:
    assert isinstance(site, EmbeddedSite | InfluxSite)
    with opened(site) as store:
        store.keep(Keeping(0, 0, 0), time.time_ns(), shorten=False)
        assert store.write(points()) == []
        for tier in (Tier.QUARTER, Tier.DAILY):
            assert store.roll_up(tier, *DAY) == []
    everything = {("g1", "cuff", who) for who in WHOSE} | {(gateway, "meter-1", "") for gateway in ("g1", "g2")}
    assert left(site, Tier.RAW) == everything
    if isinstance(site, InfluxV2Site):
        with pytest.raises(LinkError, match=r"this version deletes no series there.*resident=res'2"):
            erase_series(site.config, site.directory, ERASED)
        return
    for _ in range(2):
        erase_series(site.config, site.directory, ERASED)
        for tier in Tier:
            assert left(site, tier) == {("g1", "cuff", "res-1"), ("g1", "cuff", ""), ("g2", "meter-1", "")}, tier
