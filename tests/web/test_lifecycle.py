"""An alert over HTTP: taken, contested, resolved, noted, and the home told."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from hearthline.model import EventType
from hearthline_cloud import schema
from hearthline_cloud.api.alert_reads import AlertFilter, list_queue
from web.seeding import Center
from web.tried_out import PENDANT, TriedOut


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
    assert detail["allowed"] == ["reopen"]
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


@pytest.mark.parametrize(
    ("language", "said", "hop"),
    [
        ("en", "Taken back at home: check all the same", "Taken back at home (closes nothing)"),
        ("zh", "家中已取消，仍须核实", "家中取消（未结束）"),
    ],
)
def test_what_the_elder_takes_back_is_shown_and_closes_nothing(
    served: Center, language: str, said: str, hop: str
) -> None:
    home, mei = TriedOut(served), served.client("mei")

    def page(path: str) -> str:
        return mei.request("GET", path, headers={"accept-language": language}).data.decode()

    home.take(home.sender.press(device=PENDANT))
    (alert,) = mei.get("alerts", state="open").json()["alerts"]
    assert said not in page("/") + page(f"/alerts/{alert['id']}")
    home.take(home.sender.event(EventType.CANCEL, PENDANT))
    (alert,) = mei.get("alerts", state="open").json()["alerts"]
    assert (alert["state"], alert["cancelled"] is None) == ("raised", False)
    assert said in page("/")
    assert said in page(f"/alerts/{alert['id']}")
    assert hop in page(f"/alerts/{alert['id']}")
    assert mei.post(f"alerts/{alert['id']}/acknowledge", {}).status == 200


def taken(served: Center, *steps: str, by: str = "mei") -> int:
    """The id of an alert on which somebody has taken `steps`."""
    alert, client = served.press(), served.client(by)
    for step in steps:
        body = {"outcome": "help-given"} if step == "resolve" else {}
        assert client.post(f"alerts/{alert}/{step}", body).status == 200
    return alert


def test_on_the_way_and_arrived_are_two_steps(served: Center) -> None:
    alert = taken(served, "acknowledge", "attend", "arrive")
    detail = served.client("jun").get(f"alerts/{alert}").json()
    assert detail["alert"]["state"] == "arrived"
    assert detail["alert"]["attending"] < detail["alert"]["arrived"]
    assert [hop["kind"] for hop in detail["timeline"]][-3:] == ["acknowledged", "attending", "arrived"]
    assert detail["allowed"] == ["hand-over", "resolve"]


def test_handing_over_changes_who_has_it_and_both_stand_in_the_journal(served: Center) -> None:
    alert = taken(served, "acknowledge", "attend")
    boss = served.client("boss")  # anyone on duty may do it
    assert [member["name"] for member in boss.get("staff").json()] == ["boss", "jun", "mei"]
    answer = boss.post(f"alerts/{alert}/hand-over", {"to": "jun", "version": 3})
    assert answer.json() == {"id": alert, "state": "attending", "version": 4}
    detail = boss.get(f"alerts/{alert}").json()
    assert (detail["alert"]["assigned_to"], detail["alert"]["acknowledged_by"]) == ("jun", "mei")
    hop = detail["timeline"][-1]
    assert (hop["kind"], hop["actor"], hop["detail"]["from"], hop["detail"]["to"]) == (
        "handed-over", "boss", "mei", "jun",
    )  # fmt: skip
    assert boss.post(f"alerts/{alert}/hand-over", {"to": "jun", "version": 3}).json() == answer.json()  # a repeat
    late = served.client("mei").post(f"alerts/{alert}/hand-over", {"to": "boss", "version": 3})
    assert late.status == 409
    first = late.json()["error"]["first"]
    assert (first["by"], first["did"], first["to"]) == ("boss", "handed-over", "jun")
    elsewhere = boss.post(f"alerts/{alert}/hand-over", {"to": "mei", "version": 3})
    assert elsewhere.status == 409  # one's own, but another receiver: no repeat


def test_a_closed_alert_is_reopened_by_a_person_with_a_reason(served: Center) -> None:
    alert = taken(served, "acknowledge", "attend", "arrive", "resolve")
    jun = served.client("jun")
    assert jun.post(f"alerts/{alert}/reopen", {"reason": "   ", "version": 5}).status == 422
    answer = jun.post(f"alerts/{alert}/reopen", {"reason": " She called again ", "version": 5})
    assert answer.json() == {"id": alert, "state": "acknowledged", "version": 6}
    detail = jun.get(f"alerts/{alert}").json()
    shown = detail["alert"]
    assert (shown["assigned_to"], shown["acknowledged_by"], shown["reopened"]) == ("jun", "mei", 1)
    gone = ("outcome", "resolved", "resolved_by", "attending", "arrived")
    assert [shown[key] for key in gone] == [None] * len(gone)
    assert [hop["kind"] for hop in detail["timeline"]][-3:] == ["resolved", "reopened", "note"]
    assert detail["timeline"][-1]["detail"] == {"text": "She called again"}
    with served.database.reading() as connection:
        assert len(connection.execute(select(schema.command)).all()) == 1  # the home was told already
    assert served.press() == alert  # a further press joins what is open again


def test_a_closed_alert_stays_closed_while_another_of_its_home_is_open(served: Center) -> None:
    alert = taken(served, "resolve")
    other = served.press()
    answer = served.client("mei").post(f"alerts/{alert}/reopen", {"reason": "too early"})
    assert (answer.status, answer.json()["error"]["reason"]) == (422, "another-is-open")
    assert f"alert {other} is open" in answer.json()["error"]["message"]
    assert served.client("mei").get(f"alerts/{alert}").json()["alert"]["state"] == "resolved"


def test_what_is_impossible_is_refused_with_the_reason_and_changes_nothing(served: Center) -> None:
    alert = taken(served)
    mei = served.client("mei")
    before = mei.get(f"alerts/{alert}").json()
    for path, body, reason in (
        ("arrive", {"version": 1}, "not-from-here"),
        ("arrive", {}, "not-from-here"),
        ("hand-over", {"to": "jun"}, "not-from-here"),
        ("reopen", {"reason": "so", "version": 1}, "not-from-here"),
        ("resolve", {"outcome": "restored"}, "not-for-people"),
    ):
        answer = mei.post(f"alerts/{alert}/{path}", body)
        assert (answer.status, answer.json()["error"].get("reason")) == (422, reason), path
    assert mei.get(f"alerts/{alert}").json() == before
    mei.post(f"alerts/{alert}/acknowledge", {})
    for to, reason in (("mei", "has-it-already"), ("nobody", "unknown-person")):
        answer = mei.post(f"alerts/{alert}/hand-over", {"to": to})
        assert (answer.status, answer.json()["error"]["reason"]) == (422, reason)
    assert mei.post(f"alerts/{alert}/reopen", {"reason": "so"}).json()["error"]["reason"] == "not-from-here"
    again = served.client("jun").post(f"alerts/{alert}/reopen", {"reason": "so"})
    assert (again.status, again.json()["error"]["first"]["by"]) == (409, "mei")  # whoever says not what he saw


def test_closing_twice_with_two_outcomes_is_a_conflict(served: Center) -> None:
    alert = taken(served, "acknowledge")
    mei = served.client("mei")
    assert mei.post(f"alerts/{alert}/resolve", {"outcome": "test", "version": 2}).status == 200
    assert mei.post(f"alerts/{alert}/resolve", {"outcome": "test", "version": 2}).status == 200
    assert mei.post(f"alerts/{alert}/resolve", {"outcome": "help-given", "version": 2}).status == 409
    assert mei.get(f"alerts/{alert}").json()["alert"]["outcome"] == "test"


def test_the_urgent_come_first_and_what_nobody_has_before_all(served: Center) -> None:
    quiet = served.press("gw-stray", "rf433:ffee01")
    taken_one = served.press("gw-east-2", "rf433:a1b2c3")
    urgent = served.press()
    assert [served.press(), served.press()] == [urgent, urgent]
    served.press("gw-east-2", "rf433:a1b2c3")
    served.client("mei").post(f"alerts/{taken_one}/acknowledge", {})
    with served.database.reading() as connection:
        queue = list_queue(connection, AlertFilter(kind="emergency"), None)
        newest = list_queue(connection, AlertFilter(kind="emergency", limit=1), None)
    assert [(item.id, item.urgency) for item in queue] == [(urgent, 3), (quiet, 1), (taken_one, 2)]
    assert [item.id for item in newest] == [urgent]


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
