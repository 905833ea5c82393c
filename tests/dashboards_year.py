"""The data that bench/dashboards.py asks: all of it through the center's store, or only what some query reads.

A year of 200 homes is 49 million raw values and as many quarters of an hour again, and no query reads most of them.
Lean data is that year without what no query of any dashboard reads: raw values older than eight days, and most
quarters, except of the one home that the dashboard of a home shows. What a query reads is whole.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import urllib3

from hearthline.clock import NS
from hearthline.model import CENTER_UNITS, VITAL_UNITS
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store import Keeping, Point, Tier, TimeSeries
from hearthline_cloud.store.embedded import EmbeddedStore
from hearthline_cloud.store.influx import InfluxStore
from hearthline_cloud.store.tiers import days_of
from hearthline_sim.year import CHINA, DAY_S, year
from hearthline_sim.year_center import year_center
from hearthline_sim.year_output import to_influxdb

ZONE = ZoneInfo("Asia/Shanghai")
SEED, DATABASE, HOME = 1, "hearthline", "home-0001"
QUARTER_S, RECENT_S, BATCH = 900, 8 * DAY_S, 20_000
FOR_EVER = Keeping(0, 0, 0)
OF_GATEWAYS = {"gateway_online", "outbox_events", "outbox_readings", "outbox_dropped", "outbox_room", "device_silent"}
OF_COMMUNITIES = set(CENTER_UNITS) - OF_GATEWAYS
QUARTERS_FOR_A_WEEK = {"power", "gateway_online", "outbox_events", "outbox_readings"}
QUARTERS_FOR_EVER = OF_COMMUNITIES
DAYS = {"energy_import", "battery", "radio_level"} | set(VITAL_UNITS) | OF_COMMUNITIES


def pieces(homes: int, days: int, until_s: int) -> Iterator[list[str]]:
    last = dt.datetime.fromtimestamp(until_s, CHINA).date()
    numbers = (homes, days, SEED, last, until_s)
    return chain(year(*numbers), year_center(*numbers))


def fill_whole(url: str, homes: int, days: int, until_s: int) -> int:
    """Everything, summarised by the store; how many raw values."""
    with closing(_influx(url)) as store:
        store.keep(FOR_EVER, until_s * NS, shorten=False)
        written = to_influxdb(pieces(homes, days, until_s), url, DATABASE)
        _summarise(store, days, until_s)
    return written


def fill_embedded(store: EmbeddedStore, homes: int, days: int, until_s: int) -> None:
    store.keep(FOR_EVER, until_s * NS, shorten=False)
    for lines in pieces(homes, days, until_s):
        refused = store.write([_point(line) for line in lines])
        assert not refused, refused[:1]
    _summarise(store, days, until_s)


def fill_lean(url: str, homes: int, days: int, until_s: int) -> int:
    """What some query reads; how many rows."""
    with closing(_influx(url)) as store:
        store.keep(FOR_EVER, until_s * NS, shorten=False)
    tiers: dict[str, list[str]] = {"autogen": [], "quarter": [], "daily": []}
    written = 0
    with urllib3.PoolManager(retries=False, timeout=60.0) as pool:
        for lines in pieces(homes, days, until_s):
            _sort(lines, until_s - RECENT_S, tiers)
            for policy, rows in tiers.items():
                if len(rows) >= BATCH:
                    written += _write(pool, url, policy, rows)
        for policy, rows in tiers.items():
            written += _write(pool, url, policy, rows)
    return written


def _sort(lines: list[str], recent_s: int, tiers: dict[str, list[str]]) -> None:
    """A home's or the center's day into the tiers that some query reads it from."""
    quarters: dict[tuple[str, int], list[float]] = defaultdict(list)
    days: dict[tuple[str, int], list[float]] = defaultdict(list)
    for line in lines:
        head, field, at = line.split(" ")
        quantity, at_s = head[: head.index(",")], int(at[:-9])
        is_recent = at_s >= recent_s
        if is_recent:
            tiers["autogen"].append(line)
        if quantity in QUARTERS_FOR_EVER or (is_recent and quantity in QUARTERS_FOR_A_WEEK) or f",home={HOME}," in head:
            quarters[head, at_s // QUARTER_S * QUARTER_S].append(float(field[6:]))
        if quantity in DAYS:
            days[head, (at_s + 8 * 3600) // DAY_S * DAY_S - 8 * 3600].append(float(field[6:]))
    tiers["quarter"] += (_row(head, at_s, values) for (head, at_s), values in quarters.items())
    tiers["daily"] += (_row(head, at_s, values) for (head, at_s), values in days.items())


def _row(head: str, at_s: int, values: list[float]) -> str:
    mean = sum(values) / len(values)
    fields = f"count={len(values)}i,mean={mean!r},min={min(values)!r},max={max(values)!r},last={values[-1]!r}"
    return f"{head} {fields} {at_s}000000000"


def _write(pool: urllib3.PoolManager, url: str, policy: str, rows: list[str]) -> int:
    written = len(rows)
    if rows:
        answer = pool.request(
            "POST", f"{url}/write?{urlencode({'db': DATABASE, 'rp': policy})}", body="\n".join(rows).encode()
        )
        assert answer.status == 204, answer.data[:300]
        rows.clear()
    return written


def _influx(url: str) -> InfluxStore:
    return InfluxStore(StoreConfig(kind="influxdb", url=url, database=DATABASE, timeout_s=60.0))


def _summarise(store: TimeSeries, days: int, until_s: int) -> None:
    for span in days_of((until_s - (days + 1) * DAY_S) * NS, until_s * NS, ZONE):
        for tier in (Tier.QUARTER, Tier.DAILY):
            problems = store.roll_up(tier, *span)
            assert not problems, problems[:1]


def _point(line: str) -> Point:
    head, field, at = line.split(" ")
    quantity, *pairs = head.split(",")
    tags = dict(pair.split("=") for pair in pairs)
    community, home, gateway, device = (tags.get(name, "") for name in ("community", "home", "gateway", "device"))
    return Point(quantity, community, home, gateway, device, float(field[6:]), int(at), tags.get("resident", ""))
