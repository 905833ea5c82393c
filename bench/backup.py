"""A backup of 100,000 cases while presses are written: its size and seconds, and how long a writer waits.

    python bench/backup.py [--cases 100000] [--rate 20] [--way copy|vacuum] [--postgresql] [--folder DIR]

A press is one batch of the event lane, durable when it returns: a transaction with an event, an alert, a journal entry.
First for so long without a backup as one takes, then while one is made. `vacuum` makes the copy by SQLite's VACUUM INTO
instead, for comparison, without sealing it.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from sqlalchemy import insert

from hearthline.clock import NS
from hearthline_cloud import journal, schema
from hearthline_cloud.backup.making import make_backup
from hearthline_cloud.backup.restoring import check_backup, restore_into
from hearthline_cloud.backup.sealed import make_key
from hearthline_cloud.config import load_cloud_config

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from cloud_center import Cloud
from servers import postgresql

_BATCH = 2000
_ENTRIES = ("raised", "acknowledged", "attending", "arrived", "resolved")


def fill(cloud: Cloud, cases: int) -> None:
    """Closed cases, each with its event, two timers, two messages and five entries of the journal."""
    now_ns = time.time_ns()
    for first in range(1, cases + 1, _BATCH):
        with cloud.database.transaction() as connection:
            numbers = range(first, min(first + _BATCH, cases + 1))
            times = {number: now_ns - (cases - number) * 60 * NS for number in numbers}
            connection.execute(insert(schema.alert), [_alert(number, times[number]) for number in numbers])
            connection.execute(insert(schema.event), [_event(number, times[number]) for number in numbers])
            timers = [_timer(number, step, times[number]) for number in numbers for step in (0, 1)]
            connection.execute(insert(schema.escalation), timers)
            messages = [_message(number, step, times[number]) for number in numbers for step in (0, 1)]
            connection.execute(insert(schema.notification), messages)
            for number in numbers:
                for kind in _ENTRIES:
                    detail = {"presses": 1, "home": "home-1", "device": "enocean:1"}
                    journal.append(connection, kind, times[number], detail, alert=number, actor="mei")
    if cloud.database.is_server:  # the numbers were given by us
        with cloud.database.transaction() as connection:
            for table in ("alert", "escalation"):
                connection.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
                )


def _alert(number: int, at_ns: int) -> dict[str, object]:
    people = {"acknowledged_by": "mei", "resolved_by": "mei", "acknowledged_ns": at_ns, "resolved_ns": at_ns}
    where = {"home_id": "home-1", "gateway_id": "gw-1", "device_id": "enocean:1", "outcome": "help-given"}
    told = {"id": number, "kind": "emergency", "join_key": f"k-{number}", "state": "resolved", "presses": 1}
    return {**told, **where, **people, "raised_ns": at_ns}


def _event(number: int, at_ns: int) -> dict[str, object]:
    columns = schema.event.c.keys()
    told = {"event_id": f"event-{number:032}", "gateway_id": "gw-1", "device_id": "enocean:1", "alert_id": number}
    of = {"type": "hearthline.alarm.v1", "occurred_ns": at_ns, "received_ns": at_ns, "boot": "boot-1", "outbox": "o"}
    rest = {"data": {"role": "emergency", "button": "A0", "ordinal": number}, "quality": "synced", "seq": number}
    rest |= {"time_quality": "synced", "mono_ns": at_ns, "source": "hearthline/gw-1"}
    return {key: value for key, value in (told | of | rest).items() if key in columns}


def _timer(number: int, step: int, at_ns: int) -> dict[str, object]:
    times = {"began_ns": at_ns, "due_ns": at_ns, "set_ns": at_ns, "fired_ns": at_ns}
    place = {"id": number * 2 + step, "alert_id": number, "climb": 0, "step": step, "waits_for": "step", "version": 1}
    return place | times


def _message(number: int, step: int, at_ns: int) -> dict[str, object]:
    place = {"escalation_id": number * 2 + step, "alert_id": number, "channel": "duty", "contact": -1, "state": "sent"}
    return place | {"created_ns": at_ns, "next_try_ns": at_ns, "done_ns": at_ns, "result": "200 OK"}


def waits(cloud: Cloud, rate: float, work: Callable[[], object]) -> list[float]:
    """Seconds of each press's commit while `work` runs."""
    done = threading.Event()
    taken: list[float] = []

    def press() -> None:
        while not done.is_set():
            message = cloud.gateway.message(cloud.gateway.press())
            began = time.perf_counter()
            cloud.take(message)
            taken.append(time.perf_counter() - began)
            done.wait(1 / rate)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        work()
    finally:
        done.set()
        thread.join()
    return sorted(taken)


def say(name: str, taken: list[float]) -> None:
    p99 = taken[min(len(taken) - 1, int(len(taken) * 0.99))]
    figures = f"p50 {taken[len(taken) // 2] * 1000:.0f}, p99 {p99 * 1000:.0f}, longest {taken[-1] * 1000:.0f} ms"
    print(f"{name}: {len(taken)} presses, {figures}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--way", choices=("copy", "vacuum"), default="copy")
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.folder)))
        url = None
        if arguments.postgresql:
            url = stack.enter_context(postgresql(arguments.folder)).create("center")
        measure(folder, url, arguments)


def measure(folder: Path, url: str | None, arguments: argparse.Namespace) -> None:
    data, key, file, config = folder / "data", folder / "key", folder / "backup", folder / "cloud.toml"
    data.mkdir()
    cloud = Cloud(data, url)
    cloud.populate()
    fill(cloud, arguments.cases)
    config.write_text(f'data_dir = "{data}"\ndatabase = "{cloud.database.url}"\n', encoding="utf-8")
    make_key(key)
    settings = load_cloud_config(config)
    took: list[float] = []

    def back_up() -> None:
        began = time.perf_counter()
        if arguments.way == "vacuum":
            with closing(sqlite3.connect(data / "hearthline.db", isolation_level=None)) as source:
                source.execute("VACUUM INTO ?", (str(file),))
        else:
            make_backup(config, settings, file, key, time.time_ns())
        took.append(time.perf_counter() - began)

    say("nothing else", waits(cloud, arguments.rate, lambda: time.sleep(10)))
    for _ in range(3):
        say("backup", waits(cloud, arguments.rate, back_up))
        file_mb = file.stat().st_size / 1e6
        print(f"  {took[-1]:.1f} s, {file_mb:.0f} MB")
        if arguments.way == "vacuum":
            file.unlink()
    if arguments.way == "copy":
        began = time.perf_counter()
        check_backup(file, key)
        checked = time.perf_counter()
        restore_into(file, key, folder / "out", time.time_ns())
        print(f"check {checked - began:.1f} s, restore {time.perf_counter() - checked:.1f} s")
    print(f"memory at its highest: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    cloud.close()


if __name__ == "__main__":
    main()
