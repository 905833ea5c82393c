"""A device's silence: raised once, not while nobody could listen, cleared when heard; its faults are work, no siren."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import OperationalError

from hearthline.clock import NS
from hearthline.errors import ConfigError
from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import Outcome
from hearthline_cloud.alerts.profiles import HOUR_S
from hearthline_cloud.desk import Desk, beat
from hearthline_cloud.registry.file import load_registry
from hearthline_cloud.supervising import Supervisor
from hearthline_cloud.supervising_devices import _suspects
from web.seeding import Center

CUFF, BUTTON = "bp:cuff-1", "enocean:01a2b3c4"
GATEWAYS = ("gw-east-1", "gw-east-2", "gw-stray")


@dataclass
class Watch:
    """A desk over a center with one device that is watched for `period_s`, and both clocks in hand."""

    center: Center
    period_s: int = 600
    kind: str = "detector"
    now: int = field(default_factory=time.time_ns)
    mono: int = 0

    def __post_init__(self) -> None:
        self.start_desk()
        with self.center.database.transaction() as connection:
            values = {"kind": self.kind, "supervise_s": self.period_s, "last_seen_ns": self.now}
            connection.execute(update(schema.device).where(schema.device.c.id == BUTTON).values(**values))

    def start_desk(self) -> None:
        self.desk = Supervisor(self.center.database, self.center.waker, self.now, self.mono)

    def hear(self, device: str = BUTTON) -> None:
        with self.center.database.transaction() as connection:
            where = schema.device.c.id == device
            connection.execute(update(schema.device).where(where).values(last_seen_ns=self.now, lost=""))

    def go(self, seconds: int, gateways: bool = True, ingest: bool = True, store: bool = True) -> Watch:
        """Rounds of 5 s."""
        for _ in range(0, seconds, 5):
            self.now += 5 * NS
            self.mono += 5 * NS
            with self.center.database.transaction() as connection:
                if ingest:
                    beat(connection, "ingest", self.now, {"broker": True, "store": store})
                if gateways:
                    where = schema.gateway.c.id.in_(GATEWAYS)
                    connection.execute(
                        update(schema.gateway).where(where).values(state="online", last_seen_ns=self.now)
                    )
            self.desk.round(self.now, self.mono)
        return self

    def sleep(self, seconds: int) -> Watch:
        """Time in which no desk runs."""
        self.now += seconds * NS
        self.mono += seconds * NS
        return self

    def alerts(self, kind: str = "device-silent") -> list[tuple[str, str | None]]:
        with self.center.database.reading() as connection:
            rows = connection.execute(select(schema.alert).order_by(schema.alert.c.id)).all()
        return [(row.state, row.outcome) for row in rows if row.kind == kind]


RAISED, RESTORED = ("raised", None), ("resolved", "restored")


def test_a_silence_is_told_within_90_s_of_the_periods_end_once_and_cleared_when_heard(center: Center) -> None:
    watch = Watch(center).go(600)
    assert watch.alerts() == []
    watch.go(90)
    assert watch.alerts() == [RAISED]
    with center.database.reading() as connection:
        alert = connection.execute(select(schema.alert)).one()
    assert (alert.device_id, alert.resident_id, alert.home_id) == (BUTTON, "r-1", "h-1")
    assert watch.now - alert.since_ns == 690 * NS
    assert watch.go(1000).alerts() == [RAISED]
    watch.hear()
    assert watch.go(5).alerts() == [RESTORED]
    assert watch.go(690).alerts() == [RESTORED, RAISED]


def test_what_a_person_closed_stays_closed_until_the_next_silence(center: Center) -> None:
    watch = Watch(center).go(690)
    Desk(center.database, center.waker).resolve(1, Outcome.SERVICE_DONE, "mei", watch.now)
    closed = ("resolved", "service-done")
    assert watch.go(3000).alerts() == [closed]
    watch.start_desk()
    assert watch.go(3000).alerts() == [closed]
    watch.hear()
    assert watch.go(690).alerts() == [closed, RAISED]
    with center.database.reading() as connection:
        kinds = [row.kind for row in connection.execute(select(schema.journal).order_by(schema.journal.c.id))]
    assert kinds == ["raised", "resolved", "heard-again", "raised"]


def test_heard_and_silent_again_while_no_desk_ran_is_a_new_silence(center: Center) -> None:
    watch = Watch(center).go(690)
    Desk(center.database, center.waker).resolve(1, Outcome.SERVICE_DONE, "mei", watch.now)
    watch.sleep(60).hear()
    watch.sleep(1).start_desk()
    assert watch.go(900).alerts() == [("resolved", "service-done"), RAISED]


def test_who_was_never_heard_is_told_a_period_after_it_was_first_awaited(center: Center) -> None:
    watch = Watch(center)
    with center.database.transaction() as connection:
        connection.execute(update(schema.device).values(last_seen_ns=None))
    for _ in range(6):  # the desk starts again and again; the period goes on
        watch.start_desk()
        watch.go(100)
    assert watch.alerts() == []
    assert watch.go(180).alerts() == [RAISED]


def test_a_silent_gateway_covers_its_devices_and_its_return_gives_them_grace(center: Center) -> None:
    watch = Watch(center).go(300).go(3600, gateways=False)
    assert watch.alerts() == []
    assert watch.alerts("gateway-silent") == [RAISED] * 3
    watch.go(300)
    assert watch.alerts() == []
    assert watch.alerts("gateway-silent") == [RESTORED] * 3
    assert watch.go(150).alerts() == [RAISED]


def test_a_gateway_that_comes_and_goes_delays_a_silence_and_never_hides_it(center: Center) -> None:
    watch = Watch(center)
    for _ in range(8):
        watch.go(240).go(200, gateways=False)
    assert len(watch.alerts()) == 1
    assert all(state == "resolved" for state, _ in watch.alerts("gateway-silent")[:3])


@pytest.mark.parametrize("fault", [{"ingest": False, "gateways": False}, {"store": False}])
def test_time_in_which_nobody_could_hear_does_not_count(center: Center, fault: dict[str, bool]) -> None:
    watch = Watch(center).go(300).go(7200, **fault)
    assert watch.alerts() == []
    watch.go(280)
    assert watch.alerts() == []
    assert watch.go(200).alerts() == [RAISED]


def test_time_without_a_desk_does_not_count_and_a_start_gives_grace(center: Center) -> None:
    watch = Watch(center).go(300).sleep(14 * HOUR_S)
    watch.start_desk()
    assert watch.go(300).alerts() == []
    assert watch.go(150).alerts() == [RAISED]


@pytest.mark.parametrize("step_s", [-86_400, 86_400])
def test_a_step_of_the_clock_raises_nothing_and_forgets_nothing(center: Center, step_s: int) -> None:
    watch = Watch(center).go(300)
    watch.now += step_s * NS
    watch.go(240)
    assert watch.alerts() == []
    assert watch.go(600).alerts() == [RAISED]
    watch.now -= step_s * NS
    watch.go(120)
    watch.hear()
    assert watch.go(5).alerts() == [RESTORED]


def test_two_desks_and_restarts_at_random_never_raise_twice_nor_forget(center: Center) -> None:
    """A model over a seed: every period that somebody listened through without a word is one alert."""
    chance = random.Random(7)
    watch = Watch(center)
    other = Supervisor(center.database, center.waker, watch.now, watch.mono)
    for _ in range(60):
        match chance.randrange(5):
            case 0:
                watch.hear()
                watch.go(10)
            case 1:
                watch.start_desk()
                other = Supervisor(center.database, center.waker, watch.now, watch.mono)
            case 2:
                watch.go(100)
            case 3:
                watch.sleep(chance.choice((10, 400)))
            case 4:
                watch.go(120, gateways=False)
                watch.go(30)
        other.round(watch.now, watch.mono)
        watch.desk.round(watch.now, watch.mono)
        with center.database.reading() as connection:
            lasting = connection.execute(
                select(schema.alert).where(schema.alert.c.kind == "device-silent", schema.alert.c.ended_ns.is_(None))
            ).all()
            heard = connection.execute(
                select(schema.device.c.last_seen_ns).where(schema.device.c.id == BUTTON)
            ).scalar()
        assert len(lasting) <= 1
        if lasting:
            assert watch.now - (heard or 0) > watch.period_s * NS
    watch.start_desk()
    assert watch.go(1500).alerts()[-1] == RAISED


def test_a_database_that_is_away_costs_no_silence(center: Center) -> None:
    watch = Watch(center).go(300)
    with center.database.transaction() as connection:
        connection.execute(text("ALTER TABLE device RENAME TO device_away"))
    with pytest.raises(OperationalError):
        watch.go(5)
    watch.sleep(600)
    with center.database.transaction() as connection:
        connection.execute(text("ALTER TABLE device_away RENAME TO device"))
    watch.desk.start_over(watch.now, watch.mono)
    assert watch.go(240).alerts() == []
    assert watch.go(200).alerts() == [RAISED]


def test_a_note_tells_at_once_and_a_word_of_the_device_ends_it(center: Center) -> None:
    watch = Watch(center, period_s=0).go(100)
    with center.database.transaction() as connection:
        lost = {"lost": "offline", "lost_ns": watch.now}
        connection.execute(update(schema.device).where(schema.device.c.id == BUTTON).values(**lost))
    assert watch.go(5).alerts() == []  # switched off in the registry
    with center.database.transaction() as connection:
        connection.execute(update(schema.device).where(schema.device.c.id == BUTTON).values(supervise_s=None))
    assert watch.go(5).alerts() == [RAISED]
    watch.hear()
    assert watch.go(5).alerts() == [RESTORED]


def test_twenty_thousand_devices_are_looked_through_without_their_alerts(center: Center) -> None:
    watch = Watch(center)
    with center.database.transaction() as connection:
        row = {"gateway_id": "gw-east-1", "registered": True, "kind": "detector", "last_seen_ns": watch.now}
        connection.execute(insert(schema.device), [{**row, "id": f"d-{n}", "watched_ns": 1} for n in range(20_000)])
        plain = _suspects(watch.now).compile(center.database.engine, compile_kwargs={"literal_binds": True})
        steps = [row[-1] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {plain}"))]
    assert [step for step in steps if step.startswith("SCAN")] == ["SCAN device"], steps
    assert watch.go(100).alerts() == []
    watch.now += 25 * HOUR_S * NS
    watch.mono += 25 * HOUR_S * NS
    assert watch.go(100).alerts() == []  # no desk watched them meanwhile


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('kind = "toaster"', "there is no such kind as 'toaster'"),
        ('kind = "port"', "there is no such kind"),
        ('kind = "meter"\nsupervise = "2"', "write 5min to 31d"),
        ('kind = "meter"\nsupervise = "1min"', "write 5min to 31d"),
        ('kind = "meter"\nsupervise = "32d"', "write 5min to 31d"),
        ('kind = "fob"\nsupervise = "12h"', "a fob speaks only when it is pressed"),
        ('kind = "push-button"\nsupervise = "12h"', "its silence says nothing"),
    ],
)
def test_the_registry_says_what_is_wrong_with_a_period(center: Center, tmp_path: Path, line: str, problem: str) -> None:
    file = tmp_path / "registry.toml"
    file.write_text(f'[[device]]\ngateway = "gw-east-1"\nid = "x:1"\n{line}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=problem):
        load_registry(center.database, file)


@pytest.mark.parametrize(
    ("device", "lines", "kind", "seconds"),
    [
        ("dlt645:1", "", "meter", None),
        ("dlt645:1", 'supervise = "90min"', "meter", 5400),
        ("dlt645:1", 'supervise = "off"', "meter", 0),
        ("x:1", 'kind = "pendant"\nsupervise = "2d"', "pendant", 172_800),
        ("x:1", 'kind = "cuff"\nsupervise = "7d"', "cuff", 604_800),
        ("rf433:ev1527:0a", "", "fob", None),
        ("x:1", "", "", None),
    ],
)
def test_the_registry_gives_kind_and_period(
    center: Center, tmp_path: Path, device: str, lines: str, kind: str, seconds: int | None
) -> None:
    file = tmp_path / "registry.toml"
    file.write_text(f'[[device]]\ngateway = "gw-east-1"\nid = "{device}"\n{lines}\n', encoding="utf-8")
    load_registry(center.database, file)
    with center.database.reading() as connection:
        row: Any = connection.execute(select(schema.device).where(schema.device.c.id == device)).one()
    assert (row.kind, row.supervise_s) == (kind, seconds)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_console_shows_silence_and_faults_and_what_nobody_watches(served: Center, language: str) -> None:
    Watch(served).go(690)
    with served.database.transaction() as connection:
        values = {
            "kind": "device-fault",
            "join_key": "f",
            "state": "raised",
            "gateway_id": "gw-east-2",
            "home_id": "h-2",
        }
        row = {**values, "device_id": "rf433:a1b2c3", "raised_ns": time.time_ns(), "note": "low-battery"}
        connection.execute(insert(schema.alert).values(**row))
    mei = served.client("mei")
    headers = {"cookie": f"hearthline_session={mei.token}; hearthline_language={language}"}
    queues = mei.request("GET", "/fragments/alerts", headers=headers).data.decode()
    assert 'id="queue-device-silent"' in queues
    assert {"zh": "电量低", "en": "Battery low"}[language] in queues
    homes = mei.request("GET", "/fragments/homes", headers=headers).data.decode()
    assert {"zh": "0.2 小时无信号即报警", "en": "told after 0.2 h of silence"}[language] in homes
    assert {"zh": "未登记设备类型", "en": "no kind is registered"}[language] in homes
    devices = {device["id"]: device for device in mei.get("devices").json()}
    assert (devices[BUTTON]["supervised_s"], devices[BUTTON]["unwatched"]) == (600, None)
    assert (devices[CUFF]["supervised_s"], devices[CUFF]["unwatched"]) == (0, "unknown-kind")
