"""Maintenance and absence: what is not raised meanwhile, what is all the same, who may say so and what is refused."""

from __future__ import annotations

import csv
import io
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select, update

from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.alerts.windows import Declared, Scope
from hearthline_cloud.declaring import Declaration, declare, end_early
from web.seeding import Center
from web.test_watched_devices import BUTTON, RAISED, RESTORED, Watch

HOME, COMMUNITY, GATEWAY = (Scope.HOME, "h-1"), (Scope.COMMUNITY, "c-1"), (Scope.GATEWAY, "gw-east-1")


def put(watch: Watch, what: Declared, scope: tuple[Scope, str], seconds: int) -> int:
    wanted = Declaration(what, *scope, watch.now, watch.now + seconds * NS, "out of town")
    with watch.center.database.transaction() as connection:
        return declare(connection, wanted, "mei", watch.now)


@pytest.mark.parametrize("scope", [HOME, COMMUNITY, GATEWAY])
def test_in_maintenance_nothing_is_silent_and_its_end_gives_a_fresh_period(
    center: Center, scope: tuple[Scope, str]
) -> None:
    watch = Watch(center).go(300)
    put(watch, Declared.MAINTENANCE, scope, 1800)
    watch.go(1700, gateways=False)
    silent = 3 - (2 if scope == COMMUNITY else 1)
    assert len(watch.alerts("gateway-silent")) == silent
    watch.go(600)
    assert watch.alerts() == []
    watch.go(60)
    assert watch.alerts("gateway-silent") == [RESTORED] * silent
    assert watch.go(250).alerts() == [RAISED]


def test_what_is_open_stays_open_and_is_marked(served: Center) -> None:
    watch = Watch(served, now=time.time_ns() - 800 * NS).go(700)
    put(watch, Declared.MAINTENANCE, HOME, 7200)
    assert watch.go(60).alerts() == [RAISED]
    shown = served.client("mei").get("alerts", kind="device-silent").json()["alerts"][0]
    assert shown["maintenance_until"] is not None
    assert shown["away_until"] is None


@pytest.mark.parametrize(("kind", "told"), [("pendant", []), ("cuff", []), ("activity", []), ("detector", [RAISED])])
def test_while_nobody_is_at_home_what_goes_along_may_be_silent(
    center: Center, kind: str, told: list[tuple[str, str | None]]
) -> None:
    watch = Watch(center, kind=kind)
    number = put(watch, Declared.ABSENCE, HOME, 30_000)
    assert watch.go(1500).alerts() == told
    watch.go(200, gateways=False)
    assert len(watch.alerts("gateway-silent")) == 3
    with center.database.transaction() as connection:
        end_early(connection, number, "mei", watch.now)
    watch.go(400)
    assert watch.alerts() == told
    watch.go(500)
    assert watch.alerts() == [RAISED]


def test_the_page_of_a_resident_says_until_when_the_home_is_away(served: Center) -> None:
    mei, watch = served.client("mei"), Watch(served)
    headers = {"cookie": f"hearthline_session={mei.token}", "sec-fetch-site": "same-origin"}

    def page() -> str:
        answer = mei.request("GET", "/residents/r-1", headers=headers)
        assert answer.status == 200
        return answer.data.decode()

    assert 'class="tag caution away"' not in page()
    number = put(watch, Declared.ABSENCE, HOME, 7200)
    shown = page()
    assert 'class="tag caution away"' in shown
    assert "out of town" not in shown, "the reason stands where absences are declared"
    with served.database.transaction() as connection:
        end_early(connection, number, "mei", time.time_ns())
    assert 'class="tag caution away"' not in page()


def test_a_press_is_raised_in_maintenance_and_absence_and_says_so(served: Center) -> None:
    watch = Watch(served)
    put(watch, Declared.MAINTENANCE, COMMUNITY, 7200)
    put(watch, Declared.ABSENCE, HOME, 7200)
    alert = served.press()
    mei = served.client("mei")
    shown: dict[str, Any] = mei.get(f"alerts/{alert}").json()["alert"]
    assert shown["state"] == "raised"
    assert shown["maintenance_until"] is not None
    assert shown["away_until"] is not None
    html = mei.request("GET", f"/alerts/{alert}", headers={"cookie": f"hearthline_session={mei.token}"}).data.decode()
    assert "住户外出，至" in html


def test_declared_by_the_api_listed_ended_and_journalled_without_the_reason(served: Center) -> None:
    mei = served.client("mei")
    ends = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    begins = datetime.now(UTC).isoformat()
    body = {"home": "h-1", "begins": begins, "ends": ends, "reason": "Huashan hospital"}
    answer = mei.post("absences", body)
    assert answer.status == 201
    number = answer.json()["id"]
    (listed,) = mei.get("declared").json()
    assert (listed["what"], listed["place"], listed["reason"]) == ("absence", "3号楼 502室", "Huashan hospital")
    assert mei.post(f"declared/{number}/end", {}).status == 200
    assert mei.get("declared").json()[0]["ended_by"] == "mei"
    assert mei.post(f"declared/{number}/end", {}).status == 422
    with served.database.reading() as connection:
        rows = connection.execute(select(schema.journal).order_by(schema.journal.c.id)).all()
    assert [(row.kind, row.actor) for row in rows] == [("absence", "mei"), ("absence-ended", "mei")]
    assert "Huashan" not in str([row.detail for row in rows])


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"home": "h-9"}, 404),
        ({"ends": "2020-01-01T00:00:00Z"}, 422),
        ({"begins": "2020-01-01T00:00:00Z"}, 422),
        ({"ends": "2126-01-01T00:00:00Z"}, 422),
        ({"reason": ""}, 422),
    ],
)
def test_what_makes_no_sense_is_refused(served: Center, changes: dict[str, str], status: int) -> None:
    now = datetime.now(UTC)
    body = {"home": "h-1", "begins": now.isoformat(), "ends": (now + timedelta(days=1)).isoformat(), "reason": "x"}
    mei = served.client("mei")
    assert mei.post("absences", body | changes).status == status
    assert mei.get("declared").json() == []


def test_the_form_takes_the_centers_clock_and_works_without_a_script(served: Center) -> None:
    mei = served.client("mei")
    headers = {"cookie": f"hearthline_session={mei.token}", "sec-fetch-site": "same-origin"}
    headers["content-type"] = "application/x-www-form-urlencoded"
    local = datetime.fromtimestamp(time.time() + 8 * 3600 + 7200, UTC).strftime("%Y-%m-%dT%H:%M")
    form = {"what": "maintenance", "place": "gateway:gw-east-1", "ends": local, "reason": "new battery"}
    mei.request("POST", "/watch", body=urlencode(form).encode(), headers=headers)
    (made,) = mei.get("declared").json()
    ends = datetime.fromisoformat(made["ends"]).timestamp()
    assert abs(ends - time.time() - 7200) < 120
    page = mei.request("GET", "/watch", headers=headers).data.decode()
    assert "new battery" in page
    bad = mei.request("POST", "/watch", body=urlencode(form | {"ends": ""}).encode(), headers=headers)
    assert bad.status == 422


def test_protected_hours_of_a_month_by_api_csv_and_page(served: Center) -> None:
    now = time.time_ns()
    hour = 3600 * NS
    month = datetime.fromtimestamp(now / NS + 8 * 3600, UTC).strftime("%Y-%m")
    with served.database.transaction() as connection:
        connection.execute(update(schema.gateway).values(watched_ns=now - 10 * hour))
        where = schema.device.c.id == BUTTON
        connection.execute(update(schema.device).where(where).values(kind="push-button"))
        row = {"kind": "gateway-silent", "join_key": "gateway-silent:gw-east-1", "state": "resolved", "device_id": ""}
        times = {"raised_ns": now - hour, "since_ns": now - 3 * hour, "ended_ns": now - hour}
        connection.execute(schema.alert.insert().values(**row, **times, gateway_id="gw-east-1"))
    mei = served.client("mei")
    answer: list[dict[str, Any]] = mei.get("protection", month=month).json()
    hours = {each["resident"]: each for each in answer}
    watched = hours["r-1"]["watched_h"]
    assert hours["r-1"]["pendant"] == "not-watched"
    assert hours["r-2"]["pendant"] == "none"
    assert hours["r-2"]["protected_h"] == hours["r-2"]["watched_h"] == watched
    assert hours["r-1"]["protected_h"] == pytest.approx(watched - hours["r-1"]["gateway_silent_h"], abs=0.01)
    text = mei.request("GET", f"/api/v1/protection.csv?month={month}").data.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["resident"] for row in rows] == [each["resident"] for each in answer]
    assert "王秀兰" not in text
    page = mei.request("GET", "/protection", headers={"cookie": f"hearthline_session={mei.token}"}).data.decode()
    assert "王秀兰" in page
    assert mei.get("protection", month="2026-13").status == 422
