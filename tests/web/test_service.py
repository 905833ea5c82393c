"""Service calls over HTTP: planned, refused, asked again, in the order in which they need somebody."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hearthline.clock import NS, rfc3339
from web.client import Client
from web.seeding import Center

HOUR = 3600 * NS


def green(served: Center, gateway: str = "gw-east-2", device: str = "rf433:a1b2c3") -> int:
    return served.press(gateway, device, role="service")


def plan(client: Client, call: int, ahead_ns: int, category: str = "repair", **more: Any) -> Any:
    body = {"category": category, "due": rfc3339(time.time_ns() + ahead_ns), **more}
    return client.post(f"alerts/{call}/schedule", body)


def queue(client: Client) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = client.get("service").json()["calls"]
    return calls


def test_a_call_is_planned_and_done(served: Center) -> None:
    call, mei = green(served), served.client("mei")
    assert plan(mei, call, 48 * HOUR, provider=" Zhang ", version=1).json() == {
        "id": call,
        "state": "scheduled",
        "version": 2,
    }
    detail = mei.get(f"alerts/{call}").json()
    alert = detail["alert"]
    assert (alert["category"], alert["provider"], alert["assigned_to"]) == ("repair", "Zhang", "mei")
    assert detail["allowed"] == ["attend", "arrive", "schedule", "hand-over", "resolve"]
    assert detail["timeline"][-1]["detail"]["category"] == "repair"
    assert plan(mei, call, 72 * HOUR, version=2).json()["version"] == 3
    assert mei.post(f"alerts/{call}/attend", {"version": 3}).json()["state"] == "attending"
    assert mei.post(f"alerts/{call}/resolve", {"outcome": "service-done"}).status == 200
    assert queue(mei) == []
    assert mei.post(f"alerts/{call}/reopen", {"reason": "it drips again"}).json()["state"] == "acknowledged"


def test_a_green_press_while_a_call_is_planned_is_another_call_and_both_say_so(served: Center) -> None:
    first, mei = green(served), served.client("mei")
    assert green(served) == first
    plan(mei, first, 48 * HOUR)
    second = green(served)
    assert second != first
    assert green(served) == second
    asked, waiting = queue(mei)
    assert (asked["call"]["id"], asked["call"]["state"], asked["planned"]) == (second, "raised", [first])
    assert (waiting["call"]["id"], waiting["asked_again"]) == (first, asked["call"]["last_press"])
    assert mei.post(f"alerts/{second}/resolve", {"outcome": "already-planned"}).status == 200
    (alone,) = queue(mei)
    assert alone["asked_again"] is None
    green(served)
    assert mei.post(f"alerts/{first}/resolve", {"outcome": "not-needed"}).status == 200
    assert mei.post(f"alerts/{first}/reopen", {"reason": "wrong one"}).status == 200


def test_what_is_due_the_longest_comes_first(served: Center) -> None:
    mei = served.client("mei")
    later = green(served)
    plan(mei, later, HOUR)
    fresh = green(served)
    with served.database.transaction() as connection:
        connection.exec_driver_sql(f"UPDATE alert SET due_ns = {time.time_ns() - 24 * HOUR} WHERE id = {later}")
    assert [(item["call"]["id"], item["overdue"]) for item in queue(mei)] == [(later, True), (fresh, False)]


@pytest.mark.parametrize(
    ("category", "ahead_ns", "status", "reason"),
    [
        ("repair", -HOUR, 422, "due-not-ahead"),
        ("repair", 400 * 24 * HOUR, 422, "due-not-ahead"),
        ("meal", 60 * NS, 422, "orders-closed"),
        ("party", HOUR, 422, None),
    ],
)
def test_an_impossible_plan_is_refused_with_its_reason(
    served: Center, category: str, ahead_ns: int, status: int, reason: str | None
) -> None:
    mei, call = served.client("mei"), green(served)
    answer = plan(mei, call, ahead_ns, category)
    assert (answer.status, answer.json()["error"].get("reason")) == (status, reason)
    assert mei.get(f"alerts/{call}").json()["alert"]["state"] == "raised"


def test_an_emergency_is_not_planned_and_a_time_is_a_time(served: Center) -> None:
    mei, alert = served.client("mei"), served.press()
    assert plan(mei, alert, HOUR).json()["error"]["reason"] == "not-from-here"
    assert mei.post(f"alerts/{green(served)}/schedule", {"category": "chat", "due": "noon"}).status == 422
    wrong = mei.post(f"alerts/{alert}/resolve", {"outcome": "declined"})
    assert wrong.json()["error"]["reason"] == "of-another-kind"


def test_two_who_plan_one_call_collide_clearly(served: Center) -> None:
    call, mei, jun = green(served), served.client("mei"), served.client("jun")
    due = rfc3339(time.time_ns() + HOUR)
    wish = {"category": "chat", "due": due, "version": 1}
    assert mei.post(f"alerts/{call}/schedule", wish).status == 200
    assert mei.post(f"alerts/{call}/schedule", wish).json()["version"] == 2  # her own click, repeated
    assert jun.post(f"alerts/{call}/schedule", {**wish, "category": "meal"}).json()["error"]["first"]["by"] == "mei"


def test_the_meals_that_can_be_ordered_lie_ahead(served: Center) -> None:
    orders = served.client("mei").get("service/meals").json()
    assert {order["meal"] for order in orders} == {"breakfast", "lunch", "supper"}
    now = rfc3339(time.time_ns())
    assert all(now < order["closes"] < order["served"] for order in orders)
    call = green(served)
    answer = served.client("mei").post(f"alerts/{call}/schedule", {"category": "meal", "due": orders[0]["served"]})
    assert answer.status == 200


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_shows_each_call_with_what_can_be_done(served: Center, language: str) -> None:
    mei = served.client("mei")
    first = green(served)
    plan(mei, first, 48 * HOUR, provider="<Zhang>")
    green(served)
    headers = {"cookie": f"hearthline_language={language}", "accept": "text/html"}
    shown = mei.request("GET", "/service", headers=headers).data.decode()
    assert "&lt;Zhang&gt;" in shown
    assert {"zh": "住户又按了服务按钮", "en": "Asked again"}[language] in shown
    assert shown.count('data-act="schedule"') == 6
    assert mei.request("GET", "/fragments/service").status == 200
    assert 'href="/service"' in mei.request("GET", "/", headers=headers).data.decode()
    assert 'data-form="schedule"' in mei.request("GET", f"/alerts/{first}", headers=headers).data.decode()
