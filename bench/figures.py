"""The figures of a year with 100,000 cases: how long the desk takes to fold the journal, and a reader to answer.

    python bench/figures.py [--cases 100000] [--database postgresql+psycopg://…]

The database must be empty; without `--database` it is a SQLite file in a temporary folder. The journal is written in
bulk, without its hashes: nine entries a case, four of them of kinds that are not folded.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, insert

from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.alerts.figures import Case, table
from hearthline_cloud.alerts.lifecycle import AlertKind
from hearthline_cloud.database import Database, sqlite_url
from hearthline_cloud.figuring import Period, fold_once, read_cases
from hearthline_cloud.personal.keys import KEY_FILE
from hearthline_cloud.personal.opening import unlock
from hearthline_cloud.personal.vault import sealed

YEAR_S = 365 * 24 * 3600
T0 = 1_767_196_800 * NS  # 2026-01-01 in Shanghai
STAFF = [f"operator-{number}" for number in range(40)]
OUTCOMES = ["help-given"] * 5 + ["false-alarm"] * 3 + ["real-emergency", "test"]


def populate(database: Database, cases: int) -> None:
    """Cases of 2,000 homes in 20 communities over a year."""
    dice = random.Random(1)
    with database.transaction() as connection:
        connection.execute(insert(schema.community), [{"id": f"c-{n}", "name": f"Community {n}"} for n in range(20)])
        homes = [{"id": f"h-{n}", "community_id": f"c-{n % 20}", "name": f"Home {n}"} for n in range(2000)]
        connection.execute(insert(schema.home), [sealed(connection, schema.home, home) for home in homes])
    for first in range(1, cases + 1, 5000):
        alerts, journal = [], []
        for number in range(first, min(first + 5000, cases + 1)):
            raised_ns = T0 + number * YEAR_S * NS // cases
            alerts.append(_alert(number, raised_ns, dice.randrange(2000)))
            journal += _entries(number, raised_ns, dice)
        with database.transaction() as connection:
            connection.execute(insert(schema.alert), alerts)
            connection.execute(insert(schema.journal), journal)


def _alert(number: int, raised_ns: int, home: int) -> dict[str, Any]:
    return {
        "id": number,
        "kind": AlertKind.EMERGENCY,
        "join_key": f"emergency:home:h-{home}:{number}",
        "state": "resolved",
        "home_id": f"h-{home}",
        "gateway_id": f"gw-{home}",
        "device_id": "enocean:01a2b3c4",
        "presses": 1,
        "raised_ns": raised_ns,
    }


def _entries(number: int, raised_ns: int, dice: random.Random) -> list[dict[str, Any]]:
    who, at_ns = dice.choice(STAFF), raised_ns
    rows = []
    for kind, actor, mean_s in (
        ("raised", "", 0),
        ("joined", "", 5),
        ("escalated", "system", 5),
        ("notified", "system", 1),
        ("acknowledged", who, 20),
        ("note", who, 60),
        ("attending", who, 60),
        ("arrived", who, 1200),
        ("resolved", who, 600),
    ):
        at_ns += round(dice.expovariate(1 / mean_s) * NS) if mean_s else 0
        detail = {"outcome": dice.choice(OUTCOMES)} if kind == "resolved" else {}
        rows.append({"at_ns": at_ns, "kind": kind, "alert_id": number, "actor": actor, "detail": detail, "hash": ""})
    return rows


def timed(what: str, work: Callable[[], Any], rounds: int = 5) -> None:
    """The median of some rounds, in milliseconds of the wall's clock and of this process."""
    walls, processes = [], []
    for _ in range(rounds):
        wall, process = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        processes.append(time.process_time() - process)
    wall_ms, process_ms = (1000 * statistics.median(each) for each in (walls, processes))
    print(f"{what:52s} {wall_ms:8.0f} ms, {process_ms:8.0f} ms of a processor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--database")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(arguments.database or sqlite_url(Path(folder) / "hearthline.db"))
        database.migrate()
        unlock(database, Path(folder) / KEY_FILE, may_make=True)
        populate(database, arguments.cases)
        measure(database)
        database.close()


@contextmanager
def transactions(database: Database) -> Iterator[list[float]]:
    """How long each one that committed held the writer's lock, the commit included."""
    took_s: list[float] = []
    begun = [0.0]

    def begin(_connection: object) -> None:
        begun[0] = time.perf_counter()

    writing = [False]

    def commit(_connection: object) -> None:
        writing[0] = True

    def checkin(_connection: object, _record: object) -> None:
        if writing[0]:
            took_s.append(time.perf_counter() - begun[0])
        writing[0] = False

    for name, hear in (("begin", begin), ("commit", commit), ("checkin", checkin)):
        event.listen(database.engine, name, hear)
    yield took_s
    for name, hear in (("begin", begin), ("commit", commit), ("checkin", checkin)):
        event.remove(database.engine, name, hear)


def measure(database: Database) -> None:
    now_ns = T0 + YEAR_S * NS
    year = Period(AlertKind.EMERGENCY, T0, now_ns)

    def read(period: Period) -> list[Case]:
        with database.reading() as connection:
            return read_cases(connection, period)

    timed("read before anything is folded", lambda: read(year), rounds=1)
    began = time.perf_counter()
    with transactions(database) as took_s:
        while fold_once(database):
            pass
    took_s.sort()
    median, longest = took_s[len(took_s) // 2], took_s[-1]
    print(f"folded in {time.perf_counter() - began:.1f} s, {len(took_s)} transactions", end="")
    print(f", median {median * 1000:.1f} ms, the longest {longest * 1000:.1f} ms")
    cases = read(year)
    print(f"{len(cases)} cases")
    timed("read a year", lambda: read(year))
    timed("read a year of one community", lambda: read(Period(AlertKind.EMERGENCY, T0, now_ns, frozenset({"c-7"}))))
    timed("read a month", lambda: read(Period(AlertKind.EMERGENCY, T0, T0 + YEAR_S * NS // 12)))
    timed("a year's table by operator", lambda: table(cases, _operator, now_ns))
    timed("a year's table by device", lambda: table(cases, _device, now_ns))
    timed("read a year, and its table by operator", lambda: table(read(year), _operator, now_ns))


def _operator(case: Case) -> str:
    return case.answered_by or ""


def _device(case: Case) -> str:
    return f"{case.gateway} {case.device}"


if __name__ == "__main__":
    main()
