"""The commissioning of a gateway in the console and the API: to-dos first, hostile reports shown as what they are."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select

from commissioned_home import report
from hearthline.clock import NS
from hearthline.commissioning import Step, StepState, What
from hearthline_cloud import schema
from hearthline_cloud.commissioning.reminding import remind
from hearthline_cloud.permissions import Role
from web.client import Client
from web.seeding import Center
from web.tried_out import HOSTILE, PENDANT, TriedOut, commission
from web.two_communities import OTHER, OWN, logged_in, settle

PATH = "/homes/gateways/gw-east-1/commissioning"
API = "gateways/gw-east-1/commissioning"


@pytest.fixture
def tried(served: Center) -> Center:
    commission(served)
    return served


def found(client: Client) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(API).json()
    return answer


def test_what_is_left_to_do_stands_first_and_the_report_after_it(tried: Center) -> None:
    page = tried.client("mei").request("GET", PATH)
    text = page.data.decode()
    assert page.status == 200
    assert text.index('id="to-dos"') < text.index('id="report"') < text.index('id="runs"')
    assert HOSTILE not in text
    assert "<img src=x>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;b&gt;客厅" in text
    assert "王秀兰" not in text
    homes = tried.client("mei").request("GET", "/homes", headers={"accept-language": "en"}).data.decode()
    assert "3 to do" in homes
    assert "Not commissioned yet" in homes


def test_each_press_has_what_the_center_knows_of_it_also_while_a_run_goes_on(tried: Center) -> None:
    shown = found(tried.client("mei"))
    assert (shown["home"], shown["gateway"]) == ("h-1", "gw-east-1")
    assert [item["reason"] for item in shown["to_dos"]] == ["<i>tomorrow", "not-heard", "battery"]
    run = shown["shown"]["run"]
    assert (run["standing"], run["verified_by"], run["passed"], run["steps"]) == ("unsigned", None, 3, 6)
    steps = shown["shown"]["steps"]
    assert [step["press"] is not None for step in steps] == [True, True, False, False, False, False]
    assert steps[0]["name"] == "挂件"
    assert (steps[0]["committed_s"], steps[0]["received_s"], steps[0]["radio_dbm"]) == (0.012, 0.131, -67)
    assert steps[0]["press"]["messages"] is None, "no desk runs here"

    mei = tried.client("mei")
    answer = mei.get("gateways/gw-east-2/commissioning").json()
    assert [press["device"] for press in answer["live"]] == [PENDANT]
    assert answer["runs"][0]["is_open"]
    page = mei.request("GET", "/fragments/gateways/gw-east-2/commissioning")
    assert (page.status, PENDANT in page.data.decode()) == (200, True)


def test_a_report_is_downloaded_as_it_came(tried: Center) -> None:
    mei = tried.client("mei")
    number = found(mei)["shown"]["run"]["id"]
    answer = mei.request("GET", f"/api/v1/{API}/report?run={number}")
    body = answer.json()
    with tried.database.reading() as connection:
        kept = connection.execute(select(schema.commissioning).where(schema.commissioning.c.id == number)).one()
    assert (body["report"], body["signature"], body["standing"]) == (kept.report, "", "unsigned")
    assert answer.headers["content-disposition"] == f'attachment; filename="commissioning-gw-east-1-{number}.json"'
    assert mei.get(f"{API}/report?run={number + 1}").status == 404, "it is of another gateway"
    assert mei.get(f"{API}?run={number + 1}").status == 404
    assert mei.get(f"{API}?run=0").status == 422
    with tried.database.transaction() as connection:
        times = {"home_id": "h-1", "begun_ns": 5, "until_ns": 5}
        later = [{"gateway_id": "gw-east-1", "run": f"later-{each}", **times} for each in range(40)]
        connection.execute(insert(schema.commissioning), later)
    for wanted in ("", f"?run={number}"):
        answer = mei.get(f"{API}{wanted}").json()
        assert (answer["shown"]["run"]["id"], len(answer["runs"])) == (number, 30), "however many runs came after it"


def test_a_person_closes_what_is_left_to_do_with_a_reason(tried: Center) -> None:
    mei = tried.client("mei")
    first, second, third = (item["id"] for item in found(mei)["to_dos"])
    assert mei.post(f"{API}/to-dos", {"to_do": first, "why": "because"}).status == 422
    assert mei.post(f"{API}/to-dos", {"to_do": first, "why": "replaced"}).status == 204
    assert mei.post(f"{API}/to-dos", {"to_do": first, "why": "replaced"}).status == 422, "closed already"
    assert mei.post(f"{API}/to-dos", {"to_do": 10**9, "why": "replaced"}).status == 404
    assert mei.post("gateways/gw-east-2/commissioning/to-dos", {"to_do": second, "why": "tried"}).status == 404
    for number in (second, second):
        form = urlencode({"to_do": number, "why": "not-used"}).encode()
        answer = mei.request("POST", PATH, form, {"content-type": "application/x-www-form-urlencoded"})
        assert (answer.status, answer.headers["location"]) == (303, PATH), "whoever comes second finds it closed"
    assert [item["id"] for item in found(mei)["to_dos"]] == [third]
    with tried.database.reading() as connection:
        rows = connection.execute(select(schema.journal).where(schema.journal.c.kind == "commissioning-closed")).all()
    assert [(row.actor, row.detail["why"]) for row in rows] == [("mei", "replaced"), ("mei", "not-used")]


def test_installers_and_care_staff_of_the_community_may(tried: Center) -> None:
    to_dos = iter(found(tried.client("mei"))["to_dos"])
    settle(tried)
    for role in (Role.INSTALLER, Role.NURSE):
        closing = {"to_do": next(to_dos)["id"], "why": "tried"}
        stranger, own = logged_in(tried, role, OTHER), logged_in(tried, role, OWN)
        assert [stranger.get(API).status, stranger.post(f"{API}/to-dos", closing).status] == [404, 404]
        assert [own.get(API).status, own.post(f"{API}/to-dos", closing).status] == [200, 204]
    auditor, closing = logged_in(tried, Role.AUDITOR, OWN), {"to_do": next(to_dos)["id"], "why": "tried"}
    assert [auditor.get(API).status, auditor.post(f"{API}/to-dos", closing).status] == [403, 403]


def test_the_call_for_a_monthly_test_stands_among_the_service_calls(tried: Center) -> None:
    month_later_ns = time.time_ns() + 31 * 86_400 * NS
    assert remind(tried.database, 30, ZoneInfo("Asia/Shanghai"), month_later_ns) == 1
    mei = tried.client("mei")
    (call,) = mei.get("service").json()["calls"]
    assert (call["call"]["category"], call["call"]["state"], call["call"]["home"]) == (
        "pendant-test",
        "scheduled",
        "h-1",
    )
    for path in ("/service", f"/alerts/{call['call']['id']}"):
        page = mei.request("GET", path, headers={"accept-language": "en"})
        assert (page.status, "Pendant test" in page.data.decode()) == (200, True), path


def test_a_report_that_cannot_be_read_is_shown_and_breaks_no_page(served: Center) -> None:
    tried = TriedOut(served)
    step = Step(device=PENDANT, room="", what=What.PRESS, state=StepState.FAILED, reason="late")
    odd: list[Any] = [None, ["x"], {"steps": [[[]]]}, report(step, run="run-3", gateway="gw-east-1")]
    mei = served.client("mei")
    for number, document in enumerate(odd):
        run = f"run-{number}"
        tried.take(tried.word("begun", run), tried.word("ended", run, report=document))
        assert mei.request("GET", PATH).status == 200, document
        assert mei.get(f"{API}/report?run={number + 1}").status == 200
    assert [run["standing"] for run in found(mei)["runs"]] == ["unsigned", "unreadable", "unreadable", "unreadable"]
