"""An alert over HTTP: taken, contested, resolved, noted, and the home told."""

from __future__ import annotations

from sqlalchemy import select

from hearthline_cloud import schema
from web.seeding import Center


def test_a_press_goes_from_raised_to_resolved_and_the_home_is_told_once(served: Center) -> None:
    alert = served.press()
    served.press(ordinal=7)
    mei = served.client("mei")
    seen = mei.get(f"alerts/{alert}").json()
    assert seen["alert"]["presses"] == 2
    assert seen["allowed"] == ["acknowledge", "attend", "resolve"]
    assert [hop["kind"] for hop in seen["timeline"]].count("pressed") == 2
    assert mei.post(f"alerts/{alert}/acknowledge", {"version": 1}).json() == {
        "id": alert,
        "state": "acknowledged",
        "version": 2,
    }
    assert mei.post(f"alerts/{alert}/attend", {"version": 2}).json()["state"] == "attending"
    assert mei.post(f"alerts/{alert}/notes", {"text": "  在路上  "}).status == 201
    assert mei.post(f"alerts/{alert}/resolve", {"outcome": "help-given", "version": 3}).json()["version"] == 4
    detail = mei.get(f"alerts/{alert}").json()
    kinds = [hop["kind"] for hop in detail["timeline"]]
    assert kinds[-4:] == ["acknowledged", "attending", "note", "resolved"]
    assert detail["alert"]["outcome"] == "help-given"
    assert detail["allowed"] == []
    with served.database.reading() as connection:
        commands = connection.execute(select(schema.command)).all()
    assert [row.gateway_id for row in commands] == ["gw-east-1"]
    assert commands[0].body == {"type": "signal", "signal": "accepted", "event": detail["events"][-1]["event_id"]}
    assert commands[0].next_attempt_ns == commands[0].created_ns


def test_the_second_operator_is_told_who_was_first(served: Center) -> None:
    alert = served.press()
    mei, jun = served.client("mei"), served.client("jun")
    assert mei.post(f"alerts/{alert}/acknowledge", {"version": 1}).status == 200
    answer = jun.post(f"alerts/{alert}/acknowledge", {"version": 1})
    assert answer.status == 409
    error = answer.json()["error"]
    assert error["code"] == "conflict"
    assert error["first"]["by"] == "mei"
    assert error["first"]["state"] == "acknowledged"
    assert error["version"] == 2
    stale = jun.post(f"alerts/{alert}/resolve", {"outcome": "test", "version": 1})
    assert stale.status == 409
    assert jun.post(f"alerts/{alert}/resolve", {"outcome": "test", "version": 2}).status == 200


def test_repeating_ones_own_click_is_no_conflict_and_writes_nothing(served: Center) -> None:
    alert = served.press()
    mei = served.client("mei")
    first = mei.post(f"alerts/{alert}/acknowledge", {"version": 1})
    again = mei.post(f"alerts/{alert}/acknowledge", {"version": 1})
    assert (again.status, again.json()) == (200, first.json())
    kinds = [hop["kind"] for hop in mei.get(f"alerts/{alert}").json()["timeline"]]
    assert kinds.count("acknowledged") == 1


def test_a_press_that_joins_takes_nobodys_click_away(served: Center) -> None:
    alert = served.press()
    with served.database.transaction() as connection:
        connection.execute(schema.alert.update().values(version=2))  # even if a joining press counted as a change
    assert served.client("mei").post(f"alerts/{alert}/acknowledge", {"version": 1}).status == 200


def test_what_the_rules_refuse(served: Center) -> None:
    alert = served.press()
    mei = served.client("mei")
    assert mei.post(f"alerts/{alert}/resolve", {"outcome": "restored"}).status == 422
    assert mei.post(f"alerts/{alert}/resolve", {}).status == 422
    assert mei.post(f"alerts/{alert}/notes", {"text": "   "}).status == 422
    assert mei.post(f"alerts/{alert}/notes", {"text": "x" * 2001}).status == 422
    assert mei.post("alerts/99999/acknowledge").status == 404
    assert mei.get(f"alerts/{2**70}").status == 422
    assert mei.get(f"alerts/{alert}").json()["alert"]["state"] == "raised"


def test_lists_filter_and_page(served: Center) -> None:
    emergency = served.press()
    service = served.press("gw-east-2", "rf433:a1b2c3", role="service")
    stray = served.press("gw-stray", "rf433:ffee01")
    mei = served.client("mei")
    mei.post(f"alerts/{emergency}/resolve", {"outcome": "test"})
    assert [item["id"] for item in mei.get("alerts", state="open").json()["alerts"]] == [stray, service]
    assert [item["id"] for item in mei.get("alerts", state=["resolved"]).json()["alerts"]] == [emergency]
    assert [item["id"] for item in mei.get("alerts", kind="service").json()["alerts"]] == [service]
    page = mei.get("alerts", limit=2).json()
    assert [item["id"] for item in page["alerts"]] == [stray, service]
    assert [item["id"] for item in mei.get("alerts", before=page["next"]).json()["alerts"]] == [emergency]
    shown = page["alerts"][0]
    assert (shown["home"], shown["device_registered"]) == (None, False)


def test_events_are_read_by_cursor(served: Center) -> None:
    alert = served.press(ordinal=1)
    for ordinal in range(2, 6):
        served.press(ordinal=ordinal)
    mei = served.client("mei")
    first = mei.get("events", type="hearthline.alarm.v1", limit=3).json()
    assert [item["ordinal"] for item in first["events"]] == [1, 2, 3]
    rest = mei.get("events", type="hearthline.alarm.v1", after=first["next"], limit=3).json()
    assert [item["ordinal"] for item in rest["events"]] == [4, 5]
    assert rest["next"] is None
    event = rest["events"][0]
    assert event["alert_id"] == alert
    assert event["occurred"] < event["received"]
    assert event["occurred"].endswith("Z")
    assert mei.get("events", gateway="gw-east-2").json()["events"] == []
