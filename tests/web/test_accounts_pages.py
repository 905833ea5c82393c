"""One's own account, the staff's page, and what a browser's session goes through."""

from __future__ import annotations

import re
import time

import pytest
from sqlalchemy import select, update

from hearthline_cloud import schema
from hearthline_cloud.people import Account
from hearthline_cloud.permissions import Role
from web.seeding import PASSWORD, Center
from web.visitor import Visitor

NEW = "an entirely new one"
_MADE = re.compile(r'<code class="secret">([^<]+)</code>')


@pytest.fixture
def mei(served: Center) -> Visitor:
    visitor = Visitor(served.url)
    visitor.log_in("mei")
    return visitor


@pytest.fixture
def boss(served: Center) -> Visitor:
    visitor = Visitor(served.url)
    visitor.log_in("boss")
    return visitor


def account(center: Center, name: str) -> Account:
    return next(each for each in center.people.accounts.all(time.time_ns()) if each.name == name)


def stands(center: Center, token: str | None) -> bool:
    return token is not None and center.people.sessions.find(token, time.time_ns()) is not None


def told(center: Center, name: str) -> list[tuple[str, dict[str, object]]]:
    query = select(schema.journal.c.actor, schema.journal.c.detail).where(schema.journal.c.kind == "account")
    with center.database.reading() as connection:
        return [(row.actor, row.detail) for row in connection.execute(query) if row.detail["account"] == name]


def test_a_login_takes_no_session_that_was_given_and_ends_the_one_before(served: Center, mei: Visitor) -> None:
    first = mei.token
    answer = mei.log_in("jun")
    assert answer.status_code == 303
    assert mei.token != first
    assert not stands(served, first)
    planted = Visitor(served.url)
    planted.token = "a-token-that-a-stranger-has-put-there"
    planted.log_in("mei")
    assert planted.token != "a-token-that-a-stranger-has-put-there"
    assert not stands(served, "a-token-that-a-stranger-has-put-there")


def test_a_new_password_ends_every_other_session_and_renews_this_one(served: Center, mei: Visitor) -> None:
    other, before = Visitor(served.url), mei.token
    other.log_in("mei")
    answer = mei.post("/account/password", password=PASSWORD, new=NEW, again=NEW)
    assert answer.headers["location"] == "/account?done=password"
    assert "password is changed" in mei.get("/account?done=password").text
    assert mei.token != before
    assert stands(served, mei.token)
    assert not stands(served, before)
    assert other.get("/").headers["location"] == "/login"
    assert other.log_in("mei").status_code == 401
    assert other.log_in("mei", NEW).status_code == 303
    assert told(served, "mei") == [("mei", {"account": "mei", "password": "changed"})]


@pytest.mark.parametrize(
    ("password", "new", "again", "words"),
    [
        ("wrong password", NEW, NEW, "present password is wrong"),
        (PASSWORD, NEW, NEW + "x", "not the same"),
        (PASSWORD, "short", "short", "too short"),
        (PASSWORD, PASSWORD, PASSWORD, "too short"),
        ("", NEW, NEW, "present password is wrong"),
    ],
)
def test_a_password_is_changed_by_who_knows_it(mei: Visitor, password: str, new: str, again: str, words: str) -> None:
    answer = mei.post("/account/password", password=password, new=new, again=again)
    assert (answer.status_code, words in answer.text) == (422, True)
    assert mei.get("/account").status_code == 200, "the session stands"


def test_guessing_at_an_open_screen_is_slowed_too(mei: Visitor) -> None:
    statuses = [mei.post("/account/password", password=f"guess {n}", new=NEW, again=NEW).status_code for n in range(11)]
    assert statuses == [422] * 10 + [429]


def test_all_other_sessions_end_at_once(served: Center, mei: Visitor) -> None:
    other = Visitor(served.url)
    other.log_in("mei")
    assert "logged in now: 2" in mei.get("/account").text
    assert mei.post("/account/sessions/end").status_code == 303
    assert not stands(served, other.token)
    assert "logged in now: 1" in mei.get("/account").text


def test_an_administrator_adds_an_account_whose_password_is_shown_once(served: Center, boss: Visitor) -> None:
    answer = boss.post("/staff", name=" lan ", role="nurse", place=["c-1"])
    made = _MADE.search(answer.text)
    assert made is not None
    assert made[1] not in boss.get("/staff").text
    added = account(served, "lan")
    assert (added.role, added.communities) == (Role.NURSE, ["c-1"])
    lan = Visitor(served.url)
    assert lan.log_in("lan", made[1]).headers["location"] == "/"
    assert told(served, "lan") == [("boss", {"account": "lan", "role": "nurse", "communities": ["c-1"]})]
    for form in ({"name": "lan", "place": ["c-1"]}, {"name": "x"}, {"name": "", "everywhere": "true"}):
        assert boss.post("/staff", role="nurse", **form).status_code == 422, form
    assert boss.post("/staff", name="x", role="king", everywhere="true").status_code == 422


def test_an_administrator_changes_an_account(served: Center, boss: Visitor) -> None:
    jun = Visitor(served.url)
    changes: list[tuple[str, dict[str, str | list[str]]]] = [
        ("role", {"role": "nurse"}),
        ("communities", {"place": ["c-1"]}),
        ("communities", {"everywhere": "true", "place": ["c-1"]}),
        ("logout", {}),
        ("second-factor", {}),
        ("disable", {}),
    ]
    for action, form in changes:
        jun.log_in("jun")
        assert stands(served, jun.token)
        answer = boss.post(f"/staff/{action}", name="jun", **form)
        assert answer.headers["location"] == f"/staff?done={action}"
        assert not stands(served, jun.token), action
    assert account(served, "jun") == Account("jun", Role.NURSE, None, True, 0, False)
    assert jun.log_in("jun").status_code == 401
    boss.post("/staff/enable", name="jun")
    made = _MADE.search(boss.post("/staff/password", name="jun").text)
    assert made is not None
    assert jun.log_in("jun", made[1]).status_code == 303
    assert {actor for actor, _ in told(served, "jun")} == {"boss"}


def test_nobody_changes_their_own_account_by_a_slip(served: Center, boss: Visitor) -> None:
    for action in ("role", "communities", "disable", "second-factor", "password"):
        answer = boss.post(f"/staff/{action}", name="boss", role="nurse", everywhere="true")
        assert (answer.status_code, "your own account" in answer.text) == (422, True)
    assert account(served, "boss").role is Role.ADMINISTRATOR
    assert boss.post("/staff/role", name="nobody", role="nurse").status_code == 422
    assert boss.post("/staff/explode", name="jun").status_code == 422


def test_an_account_that_is_closed_meanwhile_gets_no_new_session(served: Center, mei: Visitor) -> None:
    served.people.accounts.set_disabled("mei", True, time.time_ns())
    assert mei.get("/account").headers["location"] == "/login"
    assert served.people.sessions.open("mei", time.time_ns(), with_factor=True) is None


def test_what_breaks_is_a_page_that_tells_nothing(served: Center, mei: Visitor) -> None:
    with served.database.transaction() as connection:
        connection.execute(update(schema.staff).where(schema.staff.c.name == "mei").values(role="king"))
    for language, words in (("en", "Something went wrong"), ("zh", "出错了")):
        answer = mei.client.get(f"/account?lang={language}")
        assert (answer.status_code, words in answer.text) == (500, True)
        assert "king" not in answer.text
        assert "Traceback" not in answer.text
    assert mei.client.get("/account", headers={"accept": "*/*"}).json()["error"]["code"] == "internal"


def test_a_database_that_does_not_answer_is_said_so(served: Center, mei: Visitor) -> None:
    with served.database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE session RENAME TO away")
    answer = mei.get("/account")
    assert (answer.status_code, "does not answer now" in answer.text) == (503, True)
    assert "sqlite" not in answer.text.lower()
