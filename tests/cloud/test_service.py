"""Service calls: when the kitchen takes orders, what is planned when, and what a planned call does to its timer."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from datetime import time as clock

import pytest

from cloud_center import Cloud
from hearthline.clock import NS
from hearthline.errors import ConfigError
from hearthline_cloud import schema
from hearthline_cloud.alerts.escalation import SHIPPED, AlertView, Timer, Waits, advance
from hearthline_cloud.alerts.lifecycle import Category, ImpossibleError, Plan, Refusal, State
from hearthline_cloud.alerts.service import MAX_AHEAD_S, SHIPPED_MEALS, Timetable, check_plan
from hearthline_cloud.config import MealConfig, ServiceConfig
from hearthline_cloud.desk import Desk
from hearthline_cloud.escalating import escalate_once
from hearthline_cloud.meals import open_timetable

DAY = 86_400 * NS


def at(text: str) -> int:
    """A time of Shanghai."""
    return int(datetime.fromisoformat(f"{text}+08:00").timestamp()) * NS


def meal(text: str) -> Plan:
    return Plan(Category.MEAL, at(text))


def refused(plan: Plan, now: str) -> Refusal | None:
    try:
        check_plan(plan, SHIPPED_MEALS, at(now))
    except ImpossibleError as error:
        return error.reason
    return None


@pytest.mark.parametrize(
    ("due", "now", "reason"),
    [
        ("2026-11-23T07:00:00", "2026-11-22T17:59:59", None),
        ("2026-11-23T07:00:00", "2026-11-22T18:00:00", Refusal.ORDERS_CLOSED),
        ("2026-11-22T11:30:00", "2026-11-22T09:59:59", None),
        ("2026-11-22T11:30:00", "2026-11-22T10:00:00", Refusal.ORDERS_CLOSED),
        ("2026-11-22T12:15:00", "2026-11-22T10:00:00", Refusal.ORDERS_CLOSED),  # a lunch, too
        ("2026-11-22T17:30:00", "2026-11-22T15:59:59", None),
        ("2026-11-22T17:30:00", "2026-11-22T16:00:00", Refusal.ORDERS_CLOSED),
        ("2026-11-23T11:30:00", "2026-11-22T20:00:00", None),
        ("2026-11-22T11:30:00", "2026-11-22T11:32:00", Refusal.DUE_NOT_AHEAD),
    ],
)
def test_meals_are_ordered_before_the_kitchen_closes_its_orders(due: str, now: str, reason: Refusal | None) -> None:
    assert refused(meal(due), now) is reason
    if reason is Refusal.ORDERS_CLOSED:
        assert refused(replace(meal(due), category=Category.CHAT), now) is None


@pytest.mark.parametrize(
    ("ahead_s", "is_fine"), [(-61, False), (-59, True), (MAX_AHEAD_S, True), (MAX_AHEAD_S + 1, False)]
)
def test_what_is_planned_lies_ahead_and_within_a_year(ahead_s: int, is_fine: bool) -> None:
    now = at("2026-11-22T12:00:00")
    plan = Plan(Category.REPAIR, now + ahead_s * NS)
    if is_fine:
        check_plan(plan, SHIPPED_MEALS, now)
    else:
        with pytest.raises(ImpossibleError) as caught:
            check_plan(plan, SHIPPED_MEALS, now)
        assert caught.value.reason is Refusal.DUE_NOT_AHEAD


def test_the_next_serving_of_each_meal_is_offered_soonest_first() -> None:
    offered = SHIPPED_MEALS.orders(at("2026-11-22T10:30:00"))
    assert [(order.meal, order.served_ns) for order in offered] == [
        ("supper", at("2026-11-22T17:30:00")),
        ("breakfast", at("2026-11-23T07:00:00")),
        ("lunch", at("2026-11-23T11:30:00")),
    ]
    assert offered[1].closes_ns == at("2026-11-22T18:00:00")
    assert Timetable((), SHIPPED_MEALS.zone).meant(at("2026-11-22T10:30:00")) is None


GOOD = MealConfig(name="tea", served=clock(15), order_until=clock(14))


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (ServiceConfig(zone="Mars/Base"), r"service.zone = 'Mars/Base'"),
        (ServiceConfig(meal=[GOOD, GOOD]), r"service.meal\[1\].name = 'tea'"),
        (
            ServiceConfig(meal=[MealConfig(name="", served=GOOD.served, order_until=GOOD.order_until)]),
            r"meal\[0\].name",
        ),
        (ServiceConfig(meal=[MealConfig(name="t", served=GOOD.order_until, order_until=GOOD.served)]), "order_until"),
    ],
)
def test_a_wrong_timetable_names_its_key(config: ServiceConfig, error: str) -> None:
    assert open_timetable(ServiceConfig(meal=[GOOD])).meals[0].name == "tea"
    assert open_timetable(ServiceConfig()) == SHIPPED_MEALS
    with pytest.raises(ConfigError, match=error):
        open_timetable(config)


# --- the timer ----------------------------------------------------------------------------------------------------

T0 = 1_800_000_000 * NS
POLICY = SHIPPED.policies["service"]


def planned(due_ns: int) -> AlertView:
    return AlertView("service", State.SCHEDULED, T0, 2, due_ns=due_ns)


def climbing(version: int = 1) -> Timer:
    return Timer(0, 0, Waits.STEP, T0, T0 + 1800 * NS, T0, version)


def test_a_planned_call_is_left_alone_until_its_time_and_its_visit_are_over() -> None:
    due = T0 + 5 * DAY
    move = advance(POLICY, planned(due), climbing(), 0, T0 + NS)
    over = due + round(POLICY.visit_s * NS)
    assert move.timer is not None
    assert (move.timer.waits_for, move.timer.due_ns) == (Waits.PROGRESS, over)
    assert advance(POLICY, planned(due), move.timer, 0, over - 1).timer == move.timer
    later = advance(POLICY, planned(due), move.timer, 0, over)
    assert later.expired
    assert later.timer is not None
    assert (later.timer.climb, later.timer.waits_for) == (1, Waits.STEP)


def test_a_call_planned_in_the_past_of_a_stepped_clock_has_its_visit_from_now() -> None:
    now = T0 + 10 * DAY
    move = advance(POLICY, planned(T0), climbing(), 0, now)
    assert move.timer is not None
    assert move.timer.due_ns == now + round(POLICY.visit_s * NS)


def test_a_clock_that_is_set_back_moves_no_planned_time() -> None:
    due = T0 + 2 * DAY
    first = advance(POLICY, planned(due), climbing(), 0, T0 + DAY).timer
    again = advance(POLICY, planned(due), first, 0, T0).timer
    assert first is not None
    assert again is not None
    assert again.due_ns == first.due_ns


def test_a_planned_call_in_the_database_climbs_when_its_time_has_passed(cloud: Cloud) -> None:
    cloud.take(cloud.gateway.press("service"))
    (call,) = cloud.rows(schema.alert)
    desk, due = Desk(cloud.database, cloud.waker), time.time_ns() + 3 * DAY
    desk.schedule(call.id, Plan(Category.REPAIR, due, "Zhang"), "mei", time.time_ns())

    def round_at(now_ns: int) -> list[str]:
        while escalate_once(cloud.database, SHIPPED, (), now_ns):
            pass
        return [row.kind for row in cloud.rows(schema.journal) if row.alert_id == call.id]

    over = due + round(POLICY.visit_s * NS)
    assert round_at(over - NS) == ["raised", "scheduled"]
    assert round_at(over)[2] == "expired"
    assert round_at(over + 1801 * NS)[-1] == "escalated"
