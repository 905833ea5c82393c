"""The figures by the API, as CSV and as a page: months, who may see whom, names that would be formulas, bad periods."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from sqlalchemy import insert, update

from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome
from hearthline_cloud.api.figures_csv import MARK, guarded
from hearthline_cloud.figuring import fold_once
from web.client import Client
from web.past import Call, add
from web.seeding import Center

CALLS = [
    Call("2026-02-28 23:59", 20, "mei", 60, 1800, 2000),
    Call("2026-03-01 00:00", 90, "jun", closed_s=400, outcome=Outcome.FALSE_ALARM),
    Call("2026-03-15 12:00", 30, "mei", 70, 3000, 4000, home="h-2", gateway="gw-east-2", device="rf433:a1b2c3"),
    Call("2026-03-15 13:00", 5, "mei", closed_s=9, outcome=Outcome.TEST),
    Call("2026-03-31 23:00", home=None, gateway="gw-stray", device="rf433:ffee01"),
    Call("2026-03-20 10:00", 100, "jun", closed_s=9000, outcome=Outcome.SERVICE_DONE, kind=AlertKind.SERVICE),
]
SPRING = {"from": "2026-02", "to": "2026-03"}


@pytest.fixture
def past(served: Center) -> Center:
    with served.database.transaction() as connection:
        for call in CALLS:
            add(connection, call)
    return served


def figures(center: Center, name: str = "boss", **query: str) -> dict[str, Any]:
    answer = center.client(name).get("figures", **SPRING | query)
    assert answer.status == 200, answer.data
    found: dict[str, Any] = answer.json()
    return found


def cases(found: dict[str, Any]) -> dict[str, int]:
    return {line["key"]: line["cases"] for line in found["lines"]}


def test_months_begin_where_the_community_is(past: Center) -> None:
    found = figures(past)
    assert (found["zone"], found["by"], found["kind"]) == ("Asia/Shanghai", "month", "emergency")
    assert cases(found) == {"2026-02": 1, "2026-03": 3}
    assert found["total"]["cases"] == 4
    assert found["total"]["answer"]["within"]["60"] == {"count": 2, "of": 4, "percent": None}
    assert found["total"]["answer"]["missing"] == 1
    assert found["total"]["arrival"]["within"]["2700"] == {"count": 1, "of": 2, "percent": None}
    assert cases(figures(past, **{"from": "2026-03"})) == {"2026-03": 3}


def test_the_answer_is_the_same_before_and_after_the_desk_has_folded(past: Center) -> None:
    before = [figures(past, by=by) for by in ("month", "community", "operator", "device")]
    while fold_once(past.database):
        pass
    assert [figures(past, by=by) for by in ("month", "community", "operator", "device")] == before


def test_groups_have_names(past: Center) -> None:
    by_community = figures(past, by="community")
    assert [(line["key"], line["name"], line["cases"]) for line in by_community["lines"]] == [
        ("", "", 1),
        ("c-1", "梧桐苑社区", 3),
    ]
    assert figures(past, by="community", community="c-1")["total"]["cases"] == 3
    assert figures(past, by="community", community="nowhere")["lines"] == []
    by_device = figures(past, by="device")["lines"]
    assert by_device[0]["key"] == "gw-east-1 enocean:01a2b3c4"  # the most false alarms first
    assert by_device[0]["name"] == "3号楼 502室 · 卧室 · 挂件"
    assert by_device[0]["false_alarm"] == {"count": 1, "of": 2, "percent": None}
    assert cases(figures(past, kind="service", by="operator")) == {"jun": 1}


def test_an_operator_sees_the_own_figures_the_administrator_everybodys(past: Center) -> None:
    assert cases(figures(past, by="operator")) == {"": 1, "jun": 1, "mei": 2}
    own = figures(past, "mei", by="operator")
    assert (cases(own), own["own_only"], own["total"]["cases"]) == ({"mei": 2}, True, 4)
    rows = spreadsheet(past.client("jun"), by="operator")
    assert [row["key"] for row in rows] == ["jun", "total"]
    page = html(past, "mei", by="operator")
    assert '<th scope="row">mei</th>' in page
    assert '<th scope="row">jun</th>' not in page
    assert past.client().get("figures").status == 401


def test_the_role_of_now_counts_not_that_of_the_login(past: Center) -> None:
    """Who becomes administrator in the middle of a session sees what that role sees from the next request on."""
    mei = past.client("mei")
    assert mei.get("figures", by="operator", **SPRING).json()["own_only"] is True
    with past.database.transaction() as connection:
        connection.execute(update(schema.staff).where(schema.staff.c.name == "mei").values(role="administrator"))
    assert mei.get("figures", by="operator", **SPRING).json()["own_only"] is False


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-13"},
        {"from": "yesterday"},
        {"to": "2026-1"},
        {"from": "2026-04", "to": "2026-03"},
        {"from": "2006-03", "to": "2026-03"},
        {"by": "resident"},
        {"kind": "gateway-silent"},
        {"format": "xlsx"},
        {"community": "c" * 65},
    ],
)
def test_what_is_no_question_is_refused_by_name(past: Center, query: dict[str, str]) -> None:
    answer = past.client("mei").get("figures", **SPRING | query)
    assert answer.status == 422
    assert answer.json()["error"]["message"]


def test_without_a_period_the_last_twelve_months_are_meant(past: Center) -> None:
    found = past.client("mei").get("figures").json()
    (first_year, first_month), (last_year, last_month) = (
        map(int, found[name].split("-")) for name in ("first", "last")
    )
    assert last_year * 12 + last_month - first_year * 12 - first_month == 11


# --- CSV ----------------------------------------------------------------------------------------------------------


def spreadsheet(client: Client, **query: str) -> list[dict[str, str]]:
    answer = client.get("figures", **SPRING | {"format": "csv"} | query)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="figures-')
    text = answer.data.decode()
    assert text.startswith(MARK)
    return list(csv.DictReader(io.StringIO(text.removeprefix(MARK))))


def test_the_spreadsheet_says_what_the_json_says(past: Center) -> None:
    rows = spreadsheet(past.client("boss"), by="community")
    assert [(row["key"], row["name"], row["cases"]) for row in rows] == [
        ("", "", "1"),
        ("c-1", "梧桐苑社区", "3"),
        ("total", "", "4"),
    ]
    total = figures(past, by="community")["total"]
    assert rows[-1]["answer_within_60_s_count"] == str(total["answer"]["within"]["60"]["count"])
    assert rows[-1]["answer_within_60_s_percent"] == ""  # of four
    assert rows[-1]["answer_median_s"] == "30.0"
    assert (rows[-1]["answer_p90_s"], rows[-1]["arrival_p90_s"]) == ("", "3000.0")
    assert rows[-1]["false_alarm_of"] == "3"


def test_a_name_that_a_spreadsheet_would_run_is_shown_as_text(past: Center) -> None:
    with past.database.transaction() as connection:
        connection.execute(insert(schema.community).values(id="+c-2", name='=HYPERLINK("http://evil.example")'))
        connection.execute(update(schema.home).where(schema.home.c.id == "h-2").values(community_id="+c-2"))
    rows = spreadsheet(past.client("boss"), by="community")
    assert ("'+c-2", '\'=HYPERLINK("http://evil.example")') in [(row["key"], row["name"]) for row in rows]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "＝1", "＋1", "－1", "＠x"])
def test_every_beginning_of_a_formula_is_guarded(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert guarded(f"a{text}") == f"a{text}"


# --- the page -----------------------------------------------------------------------------------------------------


def html(center: Center, name: str = "boss", language: str = "en", status: int = 200, **query: str) -> str:
    client = center.client(name)
    headers = {"cookie": f"hearthline_session={client.token}; hearthline_language={language}"}
    path = "/figures?" + "&".join(f"{key}={value}" for key, value in (SPRING | query).items())
    answer = client.request("GET", path, headers=headers)
    assert answer.status == status
    return answer.data.decode()


def test_the_page_shows_counts_where_a_percentage_would_say_nothing(past: Center) -> None:
    page = html(past)
    assert "2 of 4" in page
    assert "50.0 %" not in page
    assert "too few to say" in page
    assert "not reached" in page  # the 90th percentile of the answers


def test_the_page_of_many_calls_has_percentages_and_says_whether_a_target_is_met(past: Center) -> None:
    with past.database.transaction() as connection:
        for number in range(40):
            call = Call(f"2026-02-10 {number // 4:02d}:{number % 4 * 15:02d}", 10 if number else 100, closed_s=200)
            add(connection, call)
    page = html(past, to="2026-02")
    assert "97.6 %" in page  # 40 of 41 within 60 s
    assert ">Met<" in page
    assert "100.0 %" in page
    assert "of 1" in page


def test_a_period_that_is_none_is_said_and_the_usual_one_is_shown(past: Center) -> None:
    assert "That is no period" in html(past, status=422, to="2026-13")
    assert "时间范围不正确" in html(past, status=422, language="zh", to="x")


def test_a_month_without_calls_says_so(past: Center) -> None:
    assert "There were no calls" in html(past, kind="service", to="2026-02")
