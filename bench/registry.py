"""A city's registry from spreadsheets: 5,000 homes, 7,500 residents with contacts, 5,000 gateways, 20,000 devices.

    python bench/registry.py [--homes 5000] [--postgresql]

The command runs as a process of its own: a dry run of a workbook with mistakes, then the import of CSV files and, into
another database, of a workbook. Meanwhile this process commits a press every 20 ms through the ingester's own code:
how long each took, and the slowest.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from openpyxl import Workbook

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from cloud_center import Cloud
from hearthline_cloud import schema
from servers import postgresql

SURNAMES, GIVEN = "王李张刘陈杨黄赵吴周徐孙", ("秀英", "桂兰", "建国", "玉珍", "淑华", "志强", "阿宝", "大山")
KINDS = ("enocean:{:08X}", "modbus:bus:m{}", "rf433:ev1527:{:06x}", "dlt645:{:012d}")
Tables = dict[str, list[list[str]]]
_COMMAND = "import sys; from hearthline_cloud.commands import app; sys.exit(app(standalone_mode=False) or 0)"
_EVERY_S = 0.02


def tables(homes: int) -> Tables:
    made: Tables = {
        "社区": [["社区编号", "社区名称"], *([f"c-{n}", f"第{n}社区"] for n in range(20))],
        "住家": [["住家编号", "社区编号", "住家名称", "地址"]],
        "住户": [["住户编号", "住家编号", "姓名", "出生年份", "电话", "疾病", "备注"]],
        "联系人": [["住户编号", "姓名", "关系", "电话"]],
        "网关": [["网关编号", "住家编号"]],
        "设备": [["网关编号", "设备编号", "设备名称", "房间", "住户编号", "设备类型"]],
    }
    for n in range(homes):
        made["住家"].append(
            [f"h-{n}", f"c-{n % 20}", f"{n % 40}号楼{n % 600}室", f"梧桐路{n % 300}弄{n % 40}号{n % 600}室"]
        )
        for resident in range(1 + n % 2):
            name = SURNAMES[n % 12] + GIVEN[n % 8]
            key = f"r-{n}-{resident}"
            made["住户"].append(
                [key, f"h-{n}", name, str(1930 + n % 30), f"021-{n:08d}", "高血压", "听力不好，请大声说话"]
            )
            made["联系人"].append([key, SURNAMES[(n + 5) % 12] + "伟", "儿子", f"138{n:08d}"])
        made["网关"].append([f"gw-e-{n}", f"h-{n}"])
        for place, kind in enumerate(KINDS):
            room = ("卧室", "客厅", "厨房", "门厅")[place]
            made["设备"].append([f"gw-e-{n}", kind.format(n), "设备", room, f"r-{n}-0" if place == 0 else "", ""])
    return made


def spoilt(good: Tables) -> Tables:
    """A mistake of each kind in every thousandth row, as people make them."""
    bad = {sheet: [list(row) for row in rows] for sheet, rows in good.items()}
    for row in bad["住家"][500::1000]:
        row[1] = "c-999"
    for row in bad["住户"][300::1000]:
        row[3], row[4] = "2941", "无"
    for row in bad["住户"][700::2000]:
        row[0] = row[2]
    for row in bad["设备"][401::4000]:
        row[1] = "enocean:00000001"
    for row in bad["网关"][900::2000]:
        row[0] = "gw-e-1"
    return bad


def write_csv(made: Tables, folder: Path) -> list[str]:
    paths = []
    for sheet, rows in made.items():
        path = folder / f"{sheet}.csv"
        with path.open("w", encoding="gb18030", newline="") as into:
            csv.writer(into).writerows(rows)
        paths.append(str(path))
    return paths


def write_workbook(made: Tables, path: Path) -> list[str]:
    book = Workbook(write_only=True)
    for sheet, rows in made.items():
        into = book.create_sheet(sheet)
        for row in rows:
            into.append(row)
    book.save(path)
    return [str(path)]


@dataclass
class Presses:
    """A press every 20 ms, by the ingester's code, until it is left; `waits_s`: how long each commit took."""

    cloud: Cloud
    waits_s: list[float] = field(default_factory=list)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        self.waits_s.clear()
        over = threading.Event()
        thread = threading.Thread(target=self._press, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _press(self, over: threading.Event) -> None:
        while not over.wait(_EVERY_S):
            began = time.perf_counter()
            self.cloud.take(self.cloud.gateway.press())
            self.waits_s.append(time.perf_counter() - began)


def run(cloud: Cloud, words: list[str], out: Path) -> tuple[int, float, float]:
    """Exit code, seconds and the most MiB that were resident, of the command in a process of its own."""
    config = cloud.folder / "cloud.toml"
    config.write_text(f'data_dir = "{cloud.folder}"\ndatabase = "{cloud.database.url}"\n', encoding="utf-8")
    arguments = [sys.executable, "-c", _COMMAND, "registry", "import", "--config", str(config), *words]
    began = time.perf_counter()
    output = (os.POSIX_SPAWN_OPEN, 1, str(out), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    pid = os.posix_spawn(sys.executable, arguments, os.environ, file_actions=[output])
    _, status, used = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), time.perf_counter() - began, used.ru_maxrss / 1024


def report(what: str, code: int, seconds: float, mib: float, presses: Presses) -> None:
    waits = sorted(presses.waits_s)
    slowest, usual = waits[-1] * 1000, waits[len(waits) // 2] * 1000
    print(f"{what:<28}{code:>5}{seconds:>9.1f}{mib:>9.0f}{len(waits):>9}{usual:>9.1f}{slowest:>11.0f}", flush=True)


def measure(name: str, url: str | None, folder: Path, good: Tables) -> None:
    cloud = Cloud(folder, url)
    cloud.populate()
    presses, out = Presses(cloud), folder / "out.txt"
    bad = write_workbook(spoilt(good), folder / "spoilt.xlsx")
    with presses.going_on():
        found = run(cloud, ["--dry-run", *bad], out)
    report(f"{name}, dry run, mistakes", *found, presses)
    told = out.read_text(encoding="utf-8").splitlines()
    files = write_csv(good, folder) if name == "sqlite" else write_workbook(good, folder / "registry.xlsx")
    for what in ("import", "again, all of it known"):
        with presses.going_on():
            found = run(cloud, files, out)
        report(f"{name}, {what}", *found, presses)
    assert cloud.count(schema.device) >= 4 * (len(good["网关"]) - 1), out.read_text(encoding="utf-8")
    cloud.close()
    if name == "sqlite":
        print(f"\n{len(told)} lines of the dry run, some of them:")
        for line in (*told[:3], *told[len(told) // 2 : len(told) // 2 + 3], told[-1]):
            print(f"    {line}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--homes", type=int, default=5000)
    parser.add_argument(
        "--postgresql", action="store_true", help="on PostgreSQL, from a workbook; else SQLite, from CSV"
    )
    options = parser.parse_args()
    good = tables(options.homes)
    print(f"{sum(len(rows) - 1 for rows in good.values())} rows, load {os.getloadavg()[0]:.1f}")
    print(f"{'':<28}{'code':>5}{'s':>9}{'MiB':>9}{'presses':>9}{'p50 ms':>9}{'slowest ms':>11}")
    with tempfile.TemporaryDirectory(prefix="hearthline-bench-") as folder:
        if options.postgresql:
            with postgresql() as server:
                measure("postgresql", server.create("center"), Path(folder), good)
        else:
            measure("sqlite", None, Path(folder), good)


if __name__ == "__main__":
    main()
