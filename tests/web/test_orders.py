"""Work orders over HTTP: the API, the console's forms, and the volunteer's link with all that can be done to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3
from sqlalchemy import update

from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.alerts.orders import OPEN
from hearthline_cloud.links import Purpose, open_links
from web.seeding import Client
from web.street import Street

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def street(tmp_path: Path, template: Path) -> Iterator[Street]:
    (tmp_path / "hearthline.db").write_bytes(template.read_bytes())
    made = Street(tmp_path)
    made.refresh()
    made.pair()
    with made.serving():
        yield made
    made.close()


@pytest.fixture
def alert(street: Street) -> int:
    """A press that has climbed to its first volunteer: orders 1 (call back), 2 (street), 3 (volunteer)."""
    made = street.press()
    street.climb(made, 301)
    return made


def phone(street: Street, method: str, path: str, headers: dict[str, str] | None = None, **form: str) -> Any:
    """A browser without account."""
    pool = urllib3.PoolManager(retries=False)
    body = urlencode(form) if method == "POST" else None
    sent = (FORM if body is not None else {}) | {"accept-language": "en"} | (headers or {})
    answer = pool.request(method, street.url + path, body=body, headers=sent, redirect=False)
    pool.clear()
    return answer


# --- the API ------------------------------------------------------------------------------------------------------


def test_orders_are_listed_with_whom_to_call(street: Street, alert: int) -> None:
    found = street.client("mei").get("orders", state="open").json()
    assert found["next"] is None
    volunteer, desk, call = found["orders"]
    assert (call["kind"], call["phones"], call["outcomes"]) == (
        "call-back",
        ["021-5550-0142"],
        ["fine", "needs-help", "no-answer"],
    )
    assert (desk["kind"], desk["address"], desk["is_late"]) == ("street", "梧桐路18弄3号502室", False)
    assert (volunteer["volunteer_name"], volunteer["phones"]) == ("周敏", ["138-0000-0100"])
    assert volunteer["allowed"] == ["accept", "go", "arrive", "report", "decline"]
    assert "illnesses" not in f"{found}"
    assert "高血压" not in f"{found}"
    mei = street.client("mei")
    assert [each["id"] for each in mei.get("orders", kind=["street", "call-back"]).json()["orders"]] == [2, 1]
    assert mei.get("orders", alert=alert + 1).json()["orders"] == []
    assert mei.get("orders", limit=1).json()["next"] == 3


def test_two_who_reach_for_an_order_collide(street: Street, alert: int) -> None:
    jun, mei = street.client("jun"), street.client("mei")
    assert jun.post("orders/2/accept", {"version": 1}).json() == {
        "id": 2,
        "state": "accepted",
        "version": 2,
        "alert": alert,
    }
    late = mei.post("orders/2/accept", {"version": 1})
    assert late.status == 409
    assert late.json()["error"]["first"]["by"] == "jun"
    assert mei.post("orders/2/report", {"version": 2}).json()["error"]["reason"] == "needs-outcome"
    for action, status in (("expire", 422), ("withdraw", 422), ("nothing", 422)):
        assert mei.post(f"orders/2/{action}", {}).status == status
    assert mei.post("orders/99/accept", {}).status == 404
    assert Client(street.url).post("orders/2/go", {}).status == 401


def test_no_answer_is_written_down_and_the_next_step_comes(street: Street) -> None:
    alert = street.press()
    street.climb(alert, 1)
    mei = street.client("mei")
    assert mei.post("orders/1/report", {"version": 1, "outcome": "no-answer"}).status == 200
    street.climb(alert, 2)
    kinds = [(hop["kind"], hop["detail"].get("reported")) for hop in mei.get(f"alerts/{alert}").json()["timeline"]]
    assert ("work-order", "no-answer") in kinds
    assert [kind for kind, _ in kinds].count("escalated") == 2
    assert mei.get(f"alerts/{alert}").json()["alert"]["acknowledged_by"] == "mei"


# --- the console --------------------------------------------------------------------------------------------------


def _form(client: Client, path: str, **form: str) -> Any:
    headers = {"cookie": f"hearthline_session={client.token}; hearthline_language=en", "sec-fetch-site": "same-origin"}
    pool = urllib3.PoolManager(retries=False)
    return pool.request("POST", client.url + path, body=urlencode(form), headers=FORM | headers, redirect=False)


def _html(client: Client, path: str) -> str:
    headers = {"cookie": f"hearthline_session={client.token}; hearthline_language=en"}
    answer = client.request("GET", path, headers=headers)
    assert answer.status == 200, answer.data
    return answer.data.decode()


def test_the_call_back_stands_first_on_the_alerts_page_and_in_its_row(street: Street) -> None:
    alert = street.press()
    street.climb(alert, 1)
    mei = street.client("mei")
    page = _html(mei, f"/alerts/{alert}")
    assert page.index('href="tel:021-5550-0142"') < page.index('id="alert-do"')
    assert 'href="tel:021-5550-0142"' in _html(mei, "/")
    answer = _form(mei, "/orders/1", action="report", outcome="fine", version="1", alert=str(alert))
    assert (answer.status, answer.headers["location"]) == (303, f"/alerts/{alert}")
    page = _html(mei, f"/alerts/{alert}")
    assert 'id="alert-call"' not in page
    assert "Answered: fine" in page
    assert 'data-outcome="false-alarm" class="suggested"' in page


def test_the_street_desk_works_without_javascript_and_hears_of_a_collision(street: Street, alert: int) -> None:
    mei = street.client("mei")
    assert "3号楼 502室" in _html(mei, "/orders")
    for step, (action, state) in enumerate((("accept", "acknowledged"), ("go", "attending"), ("arrive", "arrived"))):
        assert _form(mei, "/orders/2", action=action, version=str(step + 1)).headers["location"] == "/orders"
        assert mei.get(f"alerts/{alert}").json()["alert"]["state"] == state
    late = _form(street.client("jun"), "/orders/2", action="decline", version="2")
    assert late.status == 409
    assert "Nothing was saved" in late.data.decode()
    report = {"action": "report", "outcome": "help-given", "words": "fell in the bath", "version": "4"}
    assert _form(mei, "/orders/2", **report).status == 303
    page = _html(mei, f"/alerts/{alert}")
    assert "fell in the bath" in page
    assert 'data-outcome="help-given" class="suggested"' in page
    assert mei.get(f"alerts/{alert}").json()["alert"]["state"] == "arrived"


def test_late_orders_come_first(street: Street, alert: int) -> None:
    with street.database.transaction() as connection:
        connection.execute(
            update(schema.work_order).where(schema.work_order.c.id == 3).values(made_ns=time.time_ns() - 400 * NS)
        )
    page = _html(street.client("mei"), "/orders")
    assert page.index('id="order-3"') < page.index('id="order-2"')
    assert page.count("Late") == 1


# --- the volunteer's link -----------------------------------------------------------------------------------------


def test_a_preview_reads_no_address_and_is_no_answer(street: Street, alert: int) -> None:
    link = street.link(3)
    for method in ("GET", "HEAD", "GET"):
        answer = phone(street, method, link)
        assert answer.status == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in answer.headers
        assert "梧桐路" not in answer.data.decode()
        assert "502" not in answer.data.decode()
    assert street.orders()[2].opened_ns is None
    assert street.orders()[2].state == "issued"


def test_the_whole_way_of_a_volunteer(street: Street, alert: int) -> None:
    link = street.link(3)
    assert phone(street, "POST", f"{link}/open").status == 303
    page = phone(street, "GET", link).data.decode()
    assert "梧桐路18弄3号502室" in page
    assert "021-5550-0199" in page
    for hidden in ("高血压", "王秀兰", "听力不好", "138-0000-0142"):
        assert hidden not in page
    assert phone(street, "POST", f"{link}/go").status == 303
    assert phone(street, "POST", f"{link}/go").status == 303  # a double tap
    assert phone(street, "POST", f"{link}/arrive").status == 303
    empty = phone(street, "POST", f"{link}/report")
    assert "Choose what you found" in empty.data.decode()
    done = phone(street, "POST", f"{link}/report", outcome="help-given", words="<b>fell</b>, is sitting now")
    assert "Thank you" in done.data.decode()
    case = street.client("mei").get(f"alerts/{alert}").json()
    assert case["alert"]["state"] == "arrived"
    assert case["alert"]["assigned_to"] == "volunteer:v-1"
    ways = [(hop["kind"], hop["actor"]) for hop in case["timeline"] if hop["actor"] == "volunteer:v-1"]
    assert [kind for kind, _ in ways] == [
        "work-order",
        "attending",
        "work-order",
        "arrived",
        "work-order",
        "work-order",
        "note",
    ]
    html = _html(street.client("mei"), f"/alerts/{alert}")
    assert "&lt;b&gt;fell&lt;/b&gt;" in html
    assert 'data-outcome="help-given" class="suggested"' in html
    for path in ("", "/report"):
        assert_dead(phone(street, "POST" if path else "GET", link + path))


def assert_dead(answer: Any, status: int = 404) -> None:
    """The one plain page in both languages, without a word on what is the matter."""
    page = answer.data.decode()
    assert answer.status == status
    assert "This link does not work any more" in page
    assert "此链接无效或已失效" in page
    assert answer.headers["cache-control"] == "no-store"
    assert not any(word in page for word in ("Traceback", "expired", "signature", "梧桐路"))


def test_dead_links_are_all_alike(street: Street, alert: int) -> None:
    link, links = street.link(3), open_links(street.config)
    flipped = link[:-1] + ("A" if link[-1] != "A" else "B")
    past = links.url(Purpose.VOLUNTEER, 3, time.time_ns() - NS)
    other = links.url(Purpose.VOLUNTEER, 3, time.time_ns() + 5 * NS)  # right, but not the one that was sent
    foreign = links.url(Purpose.VOLUNTEER, 999, time.time_ns() + 3600 * NS)
    feedback = links.token(Purpose.FEEDBACK, 3, street.orders()[2].expires_ns)
    desk = links.url(Purpose.VOLUNTEER, 2, street.orders()[1].expires_ns)
    wrong = [flipped, f"/v/{feedback}", "/v/x", "/v/" + "A" * 32, "/v/" + "A" * 3000, f"/v/{'%F0%9F'}"]
    wrong += [url.removeprefix(street.url) for url in (past, other, foreign, desk) if url is not None]
    assert len(wrong) == 10
    for each in wrong:
        assert_dead(phone(street, "GET", each))
        for action in ("open", "go", "arrive", "decline"):
            if each == flipped:
                assert_dead(phone(street, "POST", f"{each}/{action}"))
    assert phone(street, "GET", link).status == 200
    assert street.orders()[2].opened_ns is None


def test_wrong_links_are_slowed_and_right_ones_are_not(street: Street, alert: int) -> None:
    statuses = [phone(street, "GET", f"/v/{'B' * 32}").status for _ in range(25)]
    assert statuses[:20] == [404] * 20
    assert statuses[20:] == [429] * 5
    assert phone(street, "GET", street.link(3)).status == 200


def test_a_link_ends_with_the_order_and_with_the_alert(street: Street, alert: int) -> None:
    first = street.link(3)
    declined = phone(street, "POST", f"{first}/decline")
    assert "Somebody else will be asked" in declined.data.decode()
    assert_dead(phone(street, "GET", first))
    street.climb(alert, 302)
    second = street.link(4)
    assert phone(street, "GET", second).status == 200
    street.client("mei").post(f"alerts/{alert}/resolve", {"outcome": "false-alarm"})
    for path in ("", "/open", "/go", "/report"):
        assert_dead(phone(street, "POST" if path else "GET", second + path, outcome="help-given"))
    street.climb(alert, 303)
    assert not [row for row in street.orders() if row.state in OPEN]


def test_a_form_of_another_site_is_refused(street: Street, alert: int) -> None:
    link = street.link(3)
    foreign: list[dict[str, str]] = [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example.org"},
    ]
    for headers in foreign:
        assert phone(street, "POST", f"{link}/go", headers).status == 403
    assert street.orders()[2].state == "issued"
    for headers in ({"origin": "null"}, {"origin": street.url}, {"sec-fetch-site": "same-origin", "origin": "null"}):
        assert phone(street, "POST", f"{link}/go", headers).status == 303


def test_what_staff_did_meanwhile_is_no_error_for_the_volunteer(street: Street, alert: int) -> None:
    link = street.link(3)
    assert street.client("jun").post("orders/3/go", {}).status == 200  # he said so by telephone
    assert phone(street, "POST", f"{link}/go").status == 303
    assert street.orders()[2].changed_by == "jun"
    assert street.client("jun").post("orders/3/decline", {}).status == 200
    assert_dead(phone(street, "POST", f"{link}/arrive"))


@pytest.mark.parametrize(("accepted", "chosen", "tag"), [("zh-CN", "", "zh-CN"), ("en", "", "en"), ("zh", "en", "en")])
def test_the_language_is_the_phones_or_the_chosen_one(
    street: Street, alert: int, accepted: str, chosen: str, tag: str
) -> None:
    path = street.link(3) + (f"?lang={chosen}" if chosen else "")
    page = phone(street, "GET", path, {"accept-language": accepted}).data.decode()
    assert f'<html lang="{tag}">' in page
    assert "<script" not in page
