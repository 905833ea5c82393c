"""Looking for cases: filters, paging, names that stay out of addresses, and an export without them."""

from __future__ import annotations

import csv
import io
import re
import time
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from sqlalchemy import update

from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.console import history
from hearthline_cloud.console.case import spell
from personal_rows import put
from web.seeding import Center, Client

DAY_NS = 86_400 * NS
_FORM = {"content-type": "application/x-www-form-urlencoded", "x-hearthline": "1", "accept": "text/html"}


def _post(client: Client, **fields: str | list[str]) -> tuple[int, str, str]:
    """(status, where it leads to, page)."""
    answer = client.request("POST", "/history", urlencode(fields, doseq=True).encode(), _FORM)
    return answer.status, answer.headers.get("location", ""), answer.data.decode()


def _shown(client: Client, query: str = "") -> list[int]:
    answer = client.request("GET", f"/history?{query}" if query else "/history")
    assert answer.status == 200, answer.data
    return [int(number) for number in re.findall(r'<a href="/alerts/(\d+)"', answer.data.decode())]


def _cases(center: Center) -> dict[str, int]:
    """Four cases of three homes; the oldest is of three days ago and closed as a false alarm."""
    old = center.press()
    center.client("jun").post(f"alerts/{old}/resolve", {"outcome": "false-alarm"})
    with center.database.transaction() as connection:
        long_ago = time.time_ns() - 3 * DAY_NS
        values = {"raised_ns": long_ago, "acknowledged_ns": long_ago + 41 * NS, "resolved_ns": long_ago + 600 * NS}
        connection.execute(update(schema.alert).where(schema.alert.c.id == old).values(**values))
    return {
        "old": old,
        "new": center.press(),
        "service": center.press("gw-east-2", "rf433:a1b2c3", role="service"),
        "stray": center.press("gw-stray", "rf433:ffee01"),
    }


def test_every_filter_finds_its_cases(served: Center) -> None:
    cases = _cases(served)
    mei = served.client("mei")
    today = time.strftime("%Y-%m-%d", time.gmtime())
    before = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86_400))
    for query, expected in (
        ("", ["stray", "service", "new", "old"]),
        ("state=open", ["stray", "service", "new"]),
        ("state=resolved", ["old"]),
        ("state=raised&kind=service", ["service"]),
        ("outcome=false-alarm", ["old"]),
        ("cause=smoke", []),
        ("cause=press&kind=emergency", ["stray", "new", "old"]),
        ("home=h-1", ["new", "old"]),
        ("home=h-1&home=h-2", ["service", "new", "old"]),
        ("home=nowhere", []),
        (f"last={before}", ["old"]),
        (f"first={today}", ["stray", "service", "new"]),
        (f"before={cases['service']}", ["new", "old"]),
    ):
        assert _shown(mei, query) == [cases[name] for name in expected], query


@pytest.mark.parametrize(
    "query", ["kind=fire", "state=asleep", "first=yesterday", "first=0001-01-01", "before=0", "name=x", "cause=1"]
)
def test_a_query_that_means_nothing_is_refused(served: Center, query: str) -> None:
    for path in ("history", "history.csv"):
        assert served.client("mei").request("GET", f"/{path}?{query}").status == 422


def test_the_days_are_the_viewers(served: Center) -> None:
    alert = served.press()
    late_ns = 1_780_000_000 // 86_400 * DAY_NS + 17 * 3600 * NS  # 17:00 UTC: the next day in Shanghai
    with served.database.transaction() as connection:
        connection.execute(update(schema.alert).where(schema.alert.c.id == alert).values(raised_ns=late_ns))
    day, next_day = (time.strftime("%Y-%m-%d", time.gmtime(late_ns // NS + plus)) for plus in (0, 86_400))
    mei = served.client("mei")
    assert _shown(mei, f"first={day}&last={day}") == [alert]
    assert _shown(mei, f"first={day}&last={day}&utc_offset_min=480") == []
    assert _shown(mei, f"first={next_day}&last={next_day}&utc_offset_min=480") == [alert]


@pytest.mark.parametrize("who", ["王秀", "王秀兰", "502", "3号楼"])
def test_a_name_becomes_homes_and_never_an_address(served: Center, who: str) -> None:
    cases = _cases(served)
    mei = served.client("mei")
    status, to, _ = _post(mei, who=who, state="open", kind="", first="")
    assert (status, parse_qs(urlsplit(to).query)) == (303, {"home": ["h-1"], "state": ["open"]})
    assert who not in to
    assert quote(who) not in to
    assert _shown(mei, urlsplit(to).query) == [cases["new"]]


def test_the_homes_found_stay_until_they_are_taken_out(served: Center) -> None:
    _cases(served)
    mei = served.client("mei")
    page = mei.request("GET", "/history?home=h-1&home=h-2").data.decode()
    assert re.findall(r'name="home" value="([^"]+)" checked> ([^<]+)<', page) == [
        ("h-1", "3号楼 502室"),
        ("h-2", "7号楼 101室"),
    ]
    assert _post(mei, home=["h-2"], outcome="test")[1] == "/history?outcome=test&home=h-2"
    assert _post(mei)[1] == "/history"


def test_what_is_not_found_is_said(served: Center) -> None:
    mei = served.client("mei")
    with served.database.transaction() as connection:
        for number in range(history.MAX_HOMES + 1):
            values = {"id": f"big-{number}", "community_id": "c-1", "name": f"大楼 {number}%室"}
            put(connection, schema.home, **values)
    status, _, page = _post(mei, who="无此人", lang="en")
    assert (status, "没有找到这个姓名或住处。" in page, 'value="无此人"' in page) == (422, True, True)
    assert "符合的住户太多" in _post(mei, who="大楼")[2]
    assert _post(mei, who="7%")[1] == "/history?home=big-17&home=big-7"  # a per cent sign is itself, no pattern
    assert "没有找到" in _post(mei, who="_")[2]
    assert _post(mei, first="31 May")[0] == 422


def test_a_number_leads_to_its_case(served: Center) -> None:
    alert = served.press()
    mei = served.client("mei")
    assert _post(mei, number=f" {alert} ")[:2] == (303, f"/alerts/{alert}")
    for wrong in ("99", "abc", "9" * 20, "-1", "²"):
        status, _, page = _post(mei, number=wrong)
        assert (status, "没有这个编号的呼叫。" in page) == (422, True)


def test_older_cases_come_page_by_page(served: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = _cases(served)
    monkeypatch.setattr("hearthline_cloud.console.history.PAGE", 2)
    monkeypatch.setattr("hearthline_cloud.console.pages_history.PAGE", 2)
    mei = served.client("mei")
    page = mei.request("GET", "/history?utc_offset_min=480").data.decode()
    older = re.findall(r'href="/history\?([^"]*before=\d+)"', page)[0].replace("&amp;", "&")
    assert "4 条记录" in page
    assert _shown(mei, older) == [cases["new"], cases["old"]]
    assert "4 条记录" in mei.request("GET", f"/history?{older}").data.decode()


def test_the_export_has_ids_and_times_and_nobodys_name(served: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = _cases(served)
    monkeypatch.setattr(history, "_EXPORT_PAGE", 3)
    mei = served.client("mei")
    mei.post(f"alerts/{cases['new']}/notes", {"text": "心脏病"})
    answer = mei.request("GET", "/history.csv?kind=emergency")
    text = answer.data.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert answer.headers["content-type"].startswith("text/csv")
    assert [int(row["number"]) for row in rows] == [cases["stray"], cases["new"], cases["old"]]
    assert (rows[2]["outcome"], rows[2]["answered_s"], rows[2]["closed_s"]) == ("false-alarm", "41.000", "600.000")
    assert (rows[0]["home"], rows[1]["home"], rows[1]["answered_s"]) == ("", "h-1", "")
    for personal in ("王秀兰", "3号楼", "梧桐路", "心脏病", "mei", "jun"):
        assert personal not in text


def test_looking_at_results_is_no_look_at_a_card(served: Center) -> None:
    _cases(served)
    mei = served.client("mei")
    _post(mei, who="王秀兰")
    _shown(mei, "home=h-1")
    assert served.client("boss").get("audit").json() == []


def test_history_is_for_staff(served: Center) -> None:
    assert served.client().request("GET", "/history.csv").status == 401
    foreign = _FORM | {"origin": "http://evil.example"}
    assert served.client("mei").request("POST", "/history", b"who=x", foreign).status == 403


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.3, "0.30 s"),
        (-0.25, "−0.25 s"),
        (-0.001, "0.00 s"),
        (9.999, "10.00 s"),
        (41.2, "41 s"),
        (59.7, "1 min 0 s"),
        (61, "1 min 1 s"),
        (3599.6, "1 h 0 min"),
        (7380, "2 h 3 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_lengths_of_time_as_people_say_them(seconds: float, words: str) -> None:
    shapes = {"span.s": "{s} s", "span.min": "{min} min {s} s", "span.h": "{h} h {min} min", "span.d": "{d} d {h} h"}
    assert spell(seconds, lambda key, **values: shapes[key].format(**values)) == words
