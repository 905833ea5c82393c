"""The wall view: figures of the day, order of the cases, and how little a screen on a wall may see."""

from __future__ import annotations

import re
import time

import pytest
from sqlalchemy import insert

from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import AlertKind, State
from hearthline_cloud.console.wall import Call, Today, figures, midnight_ns
from hearthline_cloud.people import VIEWER_DAYS
from web.seeding import PASSWORD, STAFF, Center

NOW = 1_800_000_000 * NS


def _call(ago_s: float, after_s: float | None = None, outcome: str | None = None) -> Call:
    raised = NOW - round(ago_s * NS)
    return Call(raised, None if after_s is None else raised + round(after_s * NS), outcome)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([], Today(0, None, None, None, 0)),
        ([_call(30)], Today(1, None, None, None, 0)),  # still in time
        ([_call(61)], Today(1, None, 0, None, 0)),  # too late for the one, not yet for the other
        ([_call(181)], Today(1, None, 0, 0, 0)),
        ([_call(500, 60), _call(400, 180)], Today(2, 120.0, 50, 100, 0)),
        ([_call(500, 60.001)], Today(1, 60.001, 0, 100, 0)),
        ([_call(900, 5), _call(800, 9), _call(700, 11), _call(600)], Today(4, 9, 75, 75, 0)),
        ([_call(900, 5, "false-alarm"), _call(800, 7, "test")], Today(2, 6, 100, 100, 1)),
        ([_call(900, 1)] * 199 + [_call(900, 61)], Today(200, 1, 99, 100, 0)),  # 99.5 is not all
    ],
)
def test_figures_of_the_day(calls: list[Call], expected: Today) -> None:
    assert figures(calls, NOW) == expected


def _open_case(center: Center, kind: AlertKind, age_s: int, presses: int = 1, state: State = State.RAISED) -> int:
    values = {
        "kind": kind,
        "join_key": f"{kind}:{age_s}:{presses}",
        "state": state,
        "home_id": "h-1",
        "gateway_id": "gw-east-1",
        "device_id": "enocean:01a2b3c4",
        "presses": presses,
        "raised_ns": time.time_ns() - age_s * NS,
    }
    with center.database.transaction() as connection:
        made: int = connection.execute(insert(schema.alert).values(**values).returning(schema.alert.c.id)).scalar_one()
    return made


def _fragment(center: Center, name: str = "wall", offset: int = 480) -> str:
    answer = center.client(name).request("GET", f"/fragments/wall?utc_offset_min={offset}")
    assert answer.status == 200, answer.data
    return answer.data.decode()


def test_the_most_urgent_come_first_and_the_rest_is_counted(served: Center) -> None:
    expected = [
        _open_case(served, AlertKind.EMERGENCY, 10, presses=3),
        _open_case(served, AlertKind.EMERGENCY, 20, presses=2),
        _open_case(served, AlertKind.EMERGENCY, 900),
        _open_case(served, AlertKind.EMERGENCY, 600),
        _open_case(served, AlertKind.SERVICE, 9000),
        _open_case(served, AlertKind.EMERGENCY, 9001, presses=3, state=State.ATTENDING),
        _open_case(served, AlertKind.SERVICE, 100, state=State.ACKNOWLEDGED),
    ]
    _open_case(served, AlertKind.SERVICE, 90_000, presses=3, state=State.SCHEDULED)  # its day has not come
    for age in range(4):
        _open_case(served, AlertKind.SERVICE, age, state=State.ARRIVED)
    for age in range(8):
        _open_case(served, AlertKind.GATEWAY_SILENT, age)
    _open_case(served, AlertKind.CENTER_BLIND, 1)
    page = _fragment(served)
    assert [int(number) for number in re.findall(r'data-number="(\d+)"', page)] == expected
    assert "还有 5 个未显示" in page
    assert page.count('class="wall-silence"') == 6
    assert "还有 2 个未显示" in page


@pytest.mark.parametrize(
    ("offset_min", "hours_ago"), [(0, 8), (480, 16), (-60, 7), (-480, 0), (-481, 24 - 1 / 60), (345, 13.75)]
)
def test_today_begins_at_the_screens_midnight(offset_min: int, hours_ago: float) -> None:
    eight = NOW // (86_400 * NS) * 86_400 * NS + 8 * 3600 * NS  # 08:00 UTC
    assert eight - midnight_ns(eight, offset_min) == round(hours_ago * 3600) * NS


def test_only_todays_calls_are_counted(served: Center) -> None:
    _open_case(served, AlertKind.EMERGENCY, 2 * 86_400)
    assert 'class="figure calls"><dt>呼叫</dt><dd>0</dd>' in _fragment(served)
    _open_case(served, AlertKind.EMERGENCY, 0)
    assert 'class="figure calls"><dt>呼叫</dt><dd>1</dd>' in _fragment(served)


@pytest.mark.parametrize("names", [False, True])
def test_no_wall_names_a_person_and_a_home_only_where_the_center_wants_it(center: Center, names: bool) -> None:
    center.wall_names = names
    with center.serving():
        center.press()
        center.press("gw-stray", "rf433:ffee01")
        page = _fragment(center)
    assert ("3号楼 502室" in page, "卧室" in page, "h-1" in page) == (names, names, not names)
    assert "gw-stray" in page
    for personal in ("王秀兰", "梧桐路", "高血压", "0142"):
        assert personal not in page


def test_a_screen_sees_the_wall_and_nothing_else(served: Center) -> None:
    alert = served.press()
    screen = served.client("wall")
    for path in ("/homes", "/history", "/history.csv", f"/alerts/{alert}", "/residents/r-1", "/fragments/alerts"):
        assert screen.request("GET", path).status == 403, path
    for path in ("alerts", f"alerts/{alert}", "events", "staff", "homes", "gateways", "residents/r-1", "audit"):
        assert screen.get(path).status == 403, path
    for action in ("acknowledge", "attend", "notes"):
        assert screen.post(f"alerts/{alert}/{action}", {"text": "x"}).status == 403, action
    assert screen.request("GET", "/wall").status == 200
    for path in ("/", "/login"):
        answer = screen.request("GET", path, headers={"cookie": f"hearthline_session={screen.token}"})
        assert (answer.status, answer.headers["location"]) == (303, "/wall")
    assert served.client().request("GET", "/fragments/wall").status == 401


def test_a_screen_hears_that_something_happened_and_not_what(served: Center) -> None:
    stream = served.client("wall").stream(after=0)
    served.press()
    message = stream.next()
    while message is not None and message[0] != "journal":
        message = stream.next()
    assert message == ("journal", 1, {"journal": 1})
    stream.close()


def test_nobody_hands_a_case_to_a_screen(served: Center) -> None:
    alert = served.press()
    mei = served.client("mei")
    mei.post(f"alerts/{alert}/acknowledge", {})
    assert mei.post(f"alerts/{alert}/hand-over", {"to": "wall"}).json()["error"]["reason"] == "unknown-person"
    assert [person["name"] for person in mei.get("staff").json()] == sorted(set(STAFF) - {"wall"})


def test_a_screen_stays_logged_in_for_a_season(served: Center) -> None:
    _, session = served.people.log_in("wall", PASSWORD, "here", NOW)
    assert session.expires_ns - NOW == VIEWER_DAYS * 86_400 * NS
    form = {"content-type": "application/x-www-form-urlencoded", "origin": served.url}
    answer = served.client().request("POST", "/login", f"name=wall&password={PASSWORD}".encode(), form)
    age = int(re.findall(r"Max-Age=(\d+)", answer.headers["set-cookie"])[0])
    assert VIEWER_DAYS * 86_400 - 60 < age <= VIEWER_DAYS * 86_400
