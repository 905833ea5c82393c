"""How long every query of every dashboard takes, on a simulated year of many homes; beside it the embedded store.

    python bench/dashboards.py                                      # a year of 200 homes, what no query reads left out
    python bench/dashboards.py --homes 20 --days 60 --whole --embedded   # everything through both stores
    python bench/dashboards.py --url http://127.0.0.1:8086          # data that is there already
    python bench/dashboards.py --url … --at 1795347903 --embedded-at DIR   # and in an embedded store, up to that second

Each query is asked as Grafana asks it, with everything chosen, over the range that its dashboard opens with and, where
the panel follows the time picker, over a year. The first answer is told apart: it reads from the disk. With --embedded
the same data goes into the embedded store too, and the questions that its port offers are asked of both; it fails when
they do not find the same number of values.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from hearthline.clock import NS
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store import SeriesQuery, Tier, TimeSeries
from hearthline_cloud.store.embedded import EmbeddedStore
from hearthline_cloud.store.influx import InfluxStore
from hearthline_dashboards.board import Setting
from hearthline_dashboards.boards import boards
from hearthline_dashboards.building import as_tree
from hearthline_dashboards.checking import Influx
from hearthline_dashboards.interpolation import ALL, Range, Variable, interpolated, seconds, with_variables

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from dashboards_year import DATABASE, HOME, fill_embedded, fill_lean, fill_whole
from servers import influxd

TIMES = 5
YEAR_S = 365 * 86_400
GOAL_S = 1.0


@dataclass(frozen=True, slots=True)
class Timing:
    """One query: seconds of the first answer, and the median and longest of those after it."""

    board: str
    panel: str
    span: str
    values: int
    first_s: float
    median_s: float
    longest_s: float


def timed(ask: Callable[[], int]) -> tuple[int, float, list[float]]:
    """How many values, how long the first took, how long the others."""
    took = []
    values = 0
    for _ in range(TIMES):
        began = time.perf_counter()
        values = ask()
        took.append(time.perf_counter() - began)
    return values, took[0], took[1:]


def measure(influx: Influx, now_ms: int) -> Iterator[Timing]:
    for board in boards(Setting("en")):
        tree = as_tree(board)
        if any(each["query"] == "prometheus" for each in tree["templating"]["list"] if each["type"] == "datasource"):
            continue
        variables: dict[str, Variable] = {}
        for each in tree["templating"]["list"]:
            if each["type"] != "query":
                continue
            query = with_variables(each["query"], variables)
            yield timing(board.name, f"${each['name']}", "", partial(count, influx, query))
            found = influx.values(query)
            variables[each["name"]] = Variable(
                ALL if each["includeAll"] else found[0], each.get("allValue"), tuple(found)
            )
        for panel in tree["panels"]:
            opened = panel.get("timeFrom", tree["time"]["from"])
            spans = {opened.removeprefix("now-"): seconds(opened)}
            if "timeFrom" not in panel:
                spans["365d"] = YEAR_S
            for target in panel.get("targets", ()):
                for name, back_s in spans.items():
                    span = Range(now_ms - back_s * 1000, now_ms)
                    query = interpolated(target["query"], variables, span, panel.get("interval", ""))
                    ask = partial(influx.points, query, span, 15)
                    yield timing(board.name, f"{panel['title']} {target['refId']}", name, ask)


def count(influx: Influx, query: str) -> int:
    return len(influx.values(query))


def timing(board: str, panel: str, span: str, ask: Callable[[], int]) -> Timing:
    values, first_s, later = timed(ask)
    return Timing(board, panel, span, values, first_s, median(later), max(later))


def questions(now_ns: int) -> dict[str, Callable[[TimeSeries], int]]:
    """What the port offers of what the panels ask."""
    year_ns, week_ns = now_ns - YEAR_S * NS, now_ns - 7 * 86_400 * NS
    power = SeriesQuery("power", year_ns, now_ns, limit=40_000, home=HOME)
    energy = SeriesQuery("energy_import", year_ns, now_ns, limit=100_000)
    pressure = SeriesQuery("systolic", year_ns, now_ns, limit=10_000, home=HOME)
    week = SeriesQuery("power", week_ns, now_ns, limit=2000, home=HOME)
    battery = SeriesQuery("battery", week_ns, now_ns, limit=20_000)
    newest = SeriesQuery("power", now_ns - 3600 * NS, now_ns, limit=1000, newest_first=True)
    return {
        "one home's power, a year of quarters": lambda store: len(store.summaries(Tier.QUARTER, power)),
        "every meter's days, a year": lambda store: len(store.summaries(Tier.DAILY, energy)),
        "one home's blood pressure, a year of quarters": lambda store: len(store.summaries(Tier.QUARTER, pressure)),
        "one home's power, a week of raw values": lambda store: len(store.read(week)),
        "every battery's days, a week": lambda store: len(store.summaries(Tier.DAILY, battery)),
        "every meter's newest power, an hour": lambda store: len(store.read(newest)),
    }


def tell(found: list[Timing]) -> None:
    print(f"{'dashboard':<10}{'queries':>8}{'median':>9}{'slowest':>9}{'first':>8}  slowest query")
    for board in dict.fromkeys(each.board for each in found):
        mine = [each for each in found if each.board == board]
        slow = max(mine, key=lambda each: each.median_s)
        first = max(each.first_s for each in mine)
        middle = median(each.median_s for each in mine)
        told = f"{slow.panel}, {slow.span}, {slow.values} values"
        print(f"{board:<10}{len(mine):>8}{middle:>8.3f}s{slow.median_s:>8.2f}s{first:>7.2f}s  {told}")
    over = [each for each in found if each.median_s > GOAL_S]
    print(f"{len(found)} queries; over {GOAL_S:g} s: {len(over)}")
    for each in sorted(over, key=lambda each: -each.median_s):
        print(f"  {each.board}: {each.panel}, {each.span}: {each.median_s:.2f} s, longest {each.longest_s:.2f} s")


def compare(stores: dict[str, TimeSeries], now_ns: int) -> list[str]:
    """Tells how long each took; the questions to which they found different numbers of values."""
    different = []
    print(f"\n{'question':<48}" + "".join(f"{name:>12}" for name in stores) + f"{'values':>10}")
    for name, ask in questions(now_ns).items():
        answers = [timed(partial(ask, store)) for store in stores.values()]
        values = list(dict.fromkeys(found for found, _, _ in answers))
        cells = "".join(f"{1000 * median(later):>9.1f} ms" for _, _, later in answers)
        print(f"{name:<48}{cells}{'/'.join(map(str, values)):>10}")
        if len(values) > 1:
            different.append(name)
    return different


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--homes", type=int, default=200)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--url", help="an InfluxDB 1.x that holds such data already")
    parser.add_argument("--at", type=int, help="the Unix time that is now in that data; by default this moment")
    parser.add_argument("--whole", action="store_true", help="also what no query reads, summarised by the store: long")
    parser.add_argument("--embedded", action="store_true", help="the same data in the embedded store, too: whole")
    parser.add_argument("--embedded-at", type=Path, help="a folder with an embedded store that holds such data already")
    asked = parser.parse_args()
    now_s = asked.at or int(time.time())
    with ExitStack() as stack:
        url = asked.url
        if url is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = stack.enter_context(influxd(folder)).url
            began = time.perf_counter()
            fill = fill_whole if asked.whole else fill_lean
            written = fill(url, asked.homes, asked.days, now_s)
            print(f"{asked.homes} homes, {asked.days} days: {written} written in {time.perf_counter() - began:.0f} s")
        tell(list(measure(Influx(url, DATABASE), now_s * 1000)))
        config = StoreConfig(kind="influxdb", url=url, database=DATABASE, timeout_s=60.0)
        stores: dict[str, TimeSeries] = {"influxdb": stack.enter_context(closing(InfluxStore(config)))}
        if asked.embedded:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            embedded = stack.enter_context(closing(EmbeddedStore(folder)))
            fill_embedded(embedded, asked.homes, asked.days, now_s)
            stores["embedded"] = embedded
        if asked.embedded_at:
            stores["embedded"] = stack.enter_context(closing(EmbeddedStore(asked.embedded_at)))
        different = compare(stores, now_s * NS) if asked.url or len(stores) > 1 else []
        if different:
            sys.exit(f"not the same data, or not the same answers: {'; '.join(different)}")


if __name__ == "__main__":
    main()
