"""The monthly test: who has not pressed for a month is called, once a home, until somebody has pressed or said no."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, insert, update

from cloud_center import Cloud
from commissioned_home import PENDANT, begun, ended, pressed, report, step, to_do
from hearthline.clock import NS
from hearthline.errors import ConfigError
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.escalation import SHIPPED, Policies, Reach
from hearthline_cloud.alerts.lifecycle import Outcome
from hearthline_cloud.alerts.reminders import call_at_ns
from hearthline_cloud.api.service_reads import list_service
from hearthline_cloud.commissioning.caring import Caring
from hearthline_cloud.commissioning.rehearsing import decide
from hearthline_cloud.commissioning.reminding import remind
from hearthline_cloud.config import CloudConfig, CommissioningConfig
from hearthline_cloud.database import Database
from hearthline_cloud.desk import Desk, beat
from personal_rows import put

SHANGHAI = ZoneInfo("Asia/Shanghai")
REACHES = (Reach("duty"), Reach("family", contacts=True))
DAY_NS = 86_400 * NS
EVERY = 30


@pytest.fixture
def database_url(file_url: str) -> str:
    """SQLite alone, but for the tests on `either`."""
    return file_url


def later(days: float) -> int:
    return time.time_ns() + round(days * DAY_NS)


def look(cloud: Cloud, days: float) -> int:
    return remind(cloud.database, EVERY, SHANGHAI, later(days))


def calls(cloud: Cloud) -> list[tuple[str, str | None]]:
    return [(row.state, row.outcome) for row in cloud.rows(schema.alert) if row.category == "pendant-test"]


def commission(cloud: Cloud) -> None:
    cloud.take(begun(cloud), ended(cloud, report(step())))


# --- who is called, and when ----------------------------------------------------------------------------------------


def test_a_home_whose_pendant_nobody_has_pressed_for_a_month_is_called_once(either: Cloud) -> None:
    commission(either)
    assert look(either, 29.9) == 0
    assert look(either, 30.1) == 1
    assert look(either, 31) == 0
    (call,) = either.rows(schema.alert)
    assert (call.kind, call.state, call.category) == ("service", "scheduled", "pendant-test")
    assert (call.home_id, call.resident_id, call.gateway_id, call.device_id) == ("home-1", "res-1", "gw-1", PENDANT)
    assert later(30) < call.due_ns < later(39)
    (entry,) = [row for row in either.rows(schema.journal) if row.alert_id == call.id]
    assert (entry.kind, entry.actor, entry.detail["devices"]) == ("scheduled", "system", [PENDANT])
    with either.database.reading() as connection:
        (shown,) = list_service(connection, time.time_ns(), 10, None).calls
        assert journal.check(connection).broken_at is None
    assert (shown.call.category, shown.overdue) == ("pendant-test", False)


def test_a_home_that_was_never_commissioned_is_left_alone(cloud: Cloud) -> None:
    cloud.take(cloud.gateway.press(), begun(cloud))
    assert look(cloud, 400) == 0


@pytest.mark.parametrize("is_test", [True, False])
def test_a_press_for_help_or_for_a_test_begins_the_month_anew(cloud: Cloud, is_test: bool) -> None:
    commission(cloud)
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.commissioning).values(ended_ns=later(-25)))
    cloud.take(begun(cloud, "second"), pressed(cloud, "second") if is_test else cloud.gateway.press())
    assert look(cloud, 29) == 0
    assert look(cloud, 30.1) == 1


def test_of_two_pendants_the_one_that_was_not_pressed_is_enough(cloud: Cloud) -> None:
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.device).values(gateway_id="gw-1", id="enocean:2", registered=True))
    cloud.take(ended(cloud, report(step(), step("enocean:2"), to_do("kitchen", "enocean:nobody-has-it"))))
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.commissioning).values(ended_ns=later(-31)))
    cloud.take(cloud.gateway.press(device="enocean:2"))
    assert look(cloud, 0.1) == 1
    (call,) = [row for row in cloud.rows(schema.alert) if row.category == "pendant-test"]
    assert call.device_id == PENDANT
    cloud.take(cloud.gateway.press())
    assert look(cloud, 0.2) == 1
    assert calls(cloud) == [("resolved", "service-done")]


def test_a_press_closes_the_call_unless_somebody_is_on_the_way(either: Cloud) -> None:
    commission(either)
    with either.database.transaction() as connection:
        connection.execute(update(schema.commissioning).values(ended_ns=later(-31)))
    assert look(either, -0.1) == 1
    either.take(either.gateway.press())
    assert look(either, 0.1) == 1
    assert calls(either) == [("resolved", "service-done")]
    assert look(either, 29) == 0
    assert look(either, 31) == 1
    Desk(either.database, either.waker).attend(either.rows(schema.alert)[-1].id, "mei", time.time_ns())
    with either.database.transaction() as connection:
        connection.execute(update(schema.event).values(received_ns=later(32)))
    assert look(either, 33) == 0
    assert calls(either)[-1] == ("attending", None)


def test_a_call_that_a_person_has_closed_comes_again_after_a_month(cloud: Cloud) -> None:
    commission(cloud)
    look(cloud, 31)
    number = cloud.rows(schema.alert)[0].id
    Desk(cloud.database, cloud.waker).resolve(number, Outcome.DECLINED, "mei", later(32))
    assert look(cloud, 61) == 0
    assert look(cloud, 62.1) == 1


def test_who_is_away_is_not_called(cloud: Cloud) -> None:
    commission(cloud)
    window = {"what": "absence", "scope": "home", "scope_id": "home-1", "from_ns": later(20), "to_ns": later(45)}
    by = {"declared_by": "mei", "declared_ns": later(20), "subject": "home:home-1"}
    with cloud.database.transaction() as connection:
        put(connection, schema.declared, **window, **by, reason="hospital")
    assert look(cloud, 31) == 0
    assert look(cloud, 45.1) == 1


def test_a_pendant_that_the_registry_does_not_know_any_more_is_not_asked_for(cloud: Cloud) -> None:
    commission(cloud)
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.device).where(schema.device.c.id == PENDANT).values(registered=False))
    assert look(cloud, 400) == 0
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.gateway).values(home_id=None))
        connection.execute(delete(schema.event))
    assert look(cloud, 400) == 0


def test_calls_of_homes_that_were_set_up_on_one_day_are_spread() -> None:
    now = round(datetime(2026, 11, 22, 15, 30, tzinfo=UTC).timestamp()) * NS
    local = [datetime.fromtimestamp(call_at_ns(f"h-{n}", now, SHANGHAI) // NS, SHANGHAI) for n in range(1000)]
    days = Counter(at.date() for at in local)
    assert len(days) == 7
    assert min(days.values()) > 100
    assert {at.hour for at in local} == set(range(9, 17))
    assert all(at.timestamp() * NS > now for at in local)


def _look_in_a_process(url: str, now_ns: int, start: Any) -> None:
    database = Database(url)
    start.wait(20)
    for _ in range(20):
        remind(database, EVERY, SHANGHAI, now_ns)
    database.close()


def test_two_desks_plan_one_call_and_killing_one_loses_none(either: Cloud) -> None:
    with either.database.transaction() as connection:
        connection.execute(update(schema.gateway).values(home_id="home-1"))
    commission(either)
    url = str(either.database.engine.url.render_as_string(hide_password=False))
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    desks = [context.Process(target=_look_in_a_process, args=(url, later(31), start)) for _ in range(2)]
    for desk in desks:
        desk.start()
    start.set()
    desks[0].join(0.3)
    desks[0].kill()
    for desk in desks:
        desk.join(30)
    look(either, 31)
    assert calls(either) == [("scheduled", None)]


# --- what the desk makes of the presses -----------------------------------------------------------------------------


def rules() -> tuple[Policies, tuple[Reach, ...]]:
    return SHIPPED, REACHES


def test_the_desk_decides_whom_each_press_would_have_told_and_tells_nobody(either: Cloud) -> None:
    either.take(begun(either), pressed(either), pressed(either, ordinal=2, role="service"))
    now = time.time_ns()
    assert decide(either.database, rules, now) == 0, "while escalation is dead, nobody would be told"
    with either.database.transaction() as connection:
        beat(connection, "escalation", now, {})
    assert decide(either.database, rules, now) == 2
    assert decide(either.database, rules, now) == 0
    emergency, service = (row.decision for row in either.rows(schema.commissioning_press))
    assert emergency["policy"] != service["policy"]
    assert emergency["messages"] >= 1
    assert either.count(schema.notification) == 0


def test_the_part_of_the_desk_does_both(cloud: Cloud) -> None:
    commission(cloud)
    cloud.take(begun(cloud, "second"), pressed(cloud, "second"))
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.commissioning).values(ended_ns=later(-31)))
        connection.execute(update(schema.event).values(received_ns=later(-31)))
        beat(connection, "escalation", time.time_ns(), {})
    part = Caring(CloudConfig(data_dir=str(cloud.folder)), cloud.database, cloud.waker, rules)
    part.start()
    try:
        deadline = time.monotonic() + 30
        while not calls(cloud) and part.failed() is None and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        part.stop()
    assert part.failed() is None
    assert calls(cloud) == [("scheduled", None)]
    assert cloud.rows(schema.commissioning_press)[0].decided_ns is not None


def test_a_wrong_period_names_its_key(cloud: Cloud) -> None:
    config = CloudConfig(data_dir=str(cloud.folder), commissioning=CommissioningConfig(remind_days=-1))
    with pytest.raises(ConfigError, match=r"commissioning\.remind_days"):
        Caring(config, cloud.database, cloud.waker, rules)
