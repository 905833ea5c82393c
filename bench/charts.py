"""How large the embedded store grows, and how long the console's charts take out of it, on a simulated year.

    python bench/charts.py                          # 10 homes, 90 days raw and a year of summaries
    python bench/charts.py --homes 50 --days 400

The year comes from `hearthline sim year`. It is written and summarised as the center does; then each chart is asked
for five times, with the page cache warm.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

from hearthline_cloud.charts.reading import energy, values
from hearthline_cloud.charts.spans import Range, midnight_ns, shown
from hearthline_cloud.store import Point, Tier
from hearthline_cloud.store.embedded import FILE_NAME, EmbeddedStore
from hearthline_cloud.store.lines import LineReader
from hearthline_cloud.store.tiers import days_of

ZONE = ZoneInfo("Asia/Shanghai")
LAST = dt.date(2026, 11, 20)
BATCH = 5000
TIMES = 5


def points(homes: int, days: int) -> Iterator[Point]:
    command = [sys.executable, "-m", "hearthline", "sim", "year", "--out", "-", "--last", str(LAST)]
    command += ["--homes", str(homes), "--days", str(days)]
    reader = LineReader()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as made:
        assert made.stdout is not None
        for line in made.stdout:
            yield reader.point(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--homes", type=int, default=10)
    parser.add_argument("--days", type=int, default=365)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, closing(EmbeddedStore(Path(name))) as store:
        everything = points(asked.homes, asked.days)
        seen: dict[str, Point] = {}
        count, writing_s = 0, 0.0
        while batch := list(itertools.islice(everything, BATCH)):
            began = time.perf_counter()
            store.write(batch)
            writing_s += time.perf_counter() - began
            count += len(batch)
            for point in batch:
                if point.quantity == "systolic" or point.quantity == "energy_import":
                    seen.setdefault(point.quantity, point)
        print(f"{count} points of {asked.homes} homes and {asked.days} days: {count / writing_s:.0f}/s")
        print(f"raw: {size(name) / count:.1f} bytes a point, {size(name) / 1e6:.0f} MB")
        raw = size(name)
        began = time.perf_counter()
        begin_ns, end_ns = midnight_ns(LAST - dt.timedelta(days=asked.days), ZONE), midnight_ns(LAST, ZONE)
        for span in days_of(begin_ns, end_ns, ZONE):
            store.roll_up(Tier.QUARTER, *span)
            store.roll_up(Tier.DAILY, *span)
        print(f"summaries: {(size(name) - raw) / 1e6:.0f} MB, {(time.perf_counter() - began) / asked.days:.2f} s a day")
        home, resident = seen["energy_import"].home, seen["systolic"].resident
        for range_ in Range:
            on = shown(range_, LAST - dt.timedelta(days=3), ZONE)
            for what in ("energy", "vitals"):
                took = []
                for _ in range(TIMES):
                    began = time.perf_counter()
                    found = len(
                        energy(store, home, on) if what == "energy" else values(store, "systolic", resident, on)
                    )
                    took.append(time.perf_counter() - began)
                print(f"{what:7} {range_:6} {found:5} values  median {median(took) * 1000:6.1f} ms  "
                      f"longest {max(took) * 1000:6.1f} ms")  # fmt: skip


def size(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).glob(f"{FILE_NAME}*"))


if __name__ == "__main__":
    main()
