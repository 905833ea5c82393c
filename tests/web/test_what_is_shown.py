"""Whatever a page shows leads where that role may go: every link, form and button of every page, as each role."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from hearthline_cloud.permissions import GRANTED, ROUTES, Permission, Role, may
from web.seeding import PASSWORD, Center
from web.two_communities import NONE, OWN, account, settle
from web.visitor import Visitor

_PARAMETER = re.compile(r"\\{\w+\\}")
_TABLE = [
    (route, re.compile(_PARAMETER.sub("[^/]+", re.escape(route)) + "$")) for route in sorted(ROUTES, key=len)
]  # fmt: skip


class Shown(HTMLParser):
    """What a page leads to, as `METHOD path`; `alert` and `order` stand for the case that a script's button is of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._form: tuple[str, str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and given.get("href", "").startswith("/"):
            self._add("GET", given["href"])
        if tag == "form" and "action" in given:
            self._form = given.get("method", "get").upper(), given["action"]
            self._add(*self._form)
        if "formaction" in given:
            assert self._form is not None
            self._add(self._form[0], given["formaction"])
        for name in ("data-act", "data-form"):
            if name in given:
                self._add("POST", f"/api/v1/alerts/1/{given[name]}")
        if "data-note" in given:
            self._add("POST", "/api/v1/alerts/1/notes")
        if "data-plan" in given:
            self._add("POST", "/api/v1/alerts/1/schedule")
        if "data-order" in given:
            self._add("POST", "/api/v1/orders/1/accept")
        if "data-fragment" in given:
            self._add("GET", given["data-fragment"])
        if "data-energy" in given:
            self._add("GET", f"/api/v1/homes/{given['data-energy']}/energy")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None

    def _add(self, method: str, target: str) -> None:
        path = urlsplit(target).path
        if not path.startswith("/static/"):
            self.found.add(f"{method} {path}")


def permission_of(target: str) -> Permission | None:
    """Raises AssertionError for what leads nowhere."""
    for route, pattern in _TABLE:
        if pattern.match(target):
            return ROUTES[route]
    raise AssertionError(f"no route answers {target}")


def crawl(visitor: Visitor, first: list[str]) -> Iterator[tuple[str, str]]:
    """(page, what it leads to), for every page that can be reached."""
    waiting, seen = list(first), set(first)
    while waiting:
        path = waiting.pop()
        answer = visitor.get(path)
        if answer.is_redirect:
            targets = {f"GET {urlsplit(answer.headers['location']).path}"}
        else:
            assert answer.status_code == 200, (path, answer.status_code)
            html = answer.headers["content-type"].startswith("text/html")
            targets = Shown(answer.text).found if html else set()
        for target in targets:
            yield path, target
            method, _, there = target.partition(" ")
            if method == "GET" and there not in seen and not there.startswith("/api/"):
                seen.add(there)
                waiting.append(there)


def own_pages(role: Role, numbers: dict[str, int], is_center_wide: bool) -> list[str]:
    """Every page of the console that the role may open, also those that nothing leads to."""
    places = {"home_id": "h-1", "resident_id": "r-1", "gateway_id": "gw-east-1", **numbers}
    pages = [
        route.removeprefix("GET ").format(**places)
        for route, permission in ROUTES.items()
        if route.startswith("GET /") and "/api/" not in route and "{token}" not in route and permission is not None
        and may(role, permission, is_center_wide)
    ]  # fmt: skip
    return sorted(pages)


@pytest.mark.parametrize("role", Role)
def test_nothing_shown_is_refused(served: Center, role: Role) -> None:
    numbers = settle(served)
    now_ns = time.time_ns()
    served.people.accounts.add("whole", PASSWORD, role, now_ns)
    alert = numbers["alert_id"]
    served.client("mei").post(f"alerts/{alert}/acknowledge", {})
    for name, is_center_wide, first in (
        ("whole", True, own_pages(role, numbers, True)),
        (account(role, OWN), False, own_pages(role, numbers, False)),
        (account(role, NONE), False, ["/"]),
    ):
        visitor = Visitor(served.url)
        visitor.token = served.people.log_in(name, PASSWORD, "here", time.time_ns())[0]
        refused = {
            (page, target)
            for page, target in crawl(visitor, first)
            if (needed := permission_of(target)) is not None and not may(role, needed, is_center_wide)
        }
        assert refused == set(), name


def test_the_crawl_finds_what_there_is(served: Center) -> None:
    """An operator's crawl sees the buttons whose absence for others is the point."""
    numbers = settle(served)
    visitor = Visitor(served.url)
    visitor.token = served.people.log_in(account(Role.OPERATOR, OWN), PASSWORD, "here", time.time_ns())[0]
    found = {target for _, target in crawl(visitor, ["/"])}
    alert, gateway = numbers["alert_id"], "/homes/gateways/gw-east-1/self-tests"
    assert {f"POST {gateway}", f"GET {gateway}", f"GET /alerts/{alert}", "GET /residents/r-1"} <= found
    assert {"POST /api/v1/alerts/1/acknowledge", "POST /api/v1/alerts/1/notes", "POST /watch"} <= found
    assert {"POST /logout", "POST /account/password", "POST /account/second-factor"} <= found
    assert Permission.SELF_TEST not in GRANTED[Role.NURSE]


@pytest.mark.parametrize("role", [Role.NURSE, Role.INSTALLER, Role.AUDITOR])
def test_what_is_refused_is_a_page_of_the_console(served: Center, role: Role) -> None:
    settle(served)
    visitor = Visitor(served.url)
    visitor.token = served.people.log_in(account(role, OWN), PASSWORD, "here", time.time_ns())[0]
    for language, words in (("en", "Not allowed"), ("zh", "没有权限")):
        answer = visitor.client.get(f"/staff?lang={language}")
        assert answer.status_code == 403
        assert words in answer.text
        assert 'href="/account"' in answer.text, "the frame is there, to go on from"
        assert role not in answer.text.replace(account(role, OWN), "")
    assert visitor.client.get("/staff", headers={"accept": "*/*"}).json()["error"]["code"] == "forbidden"
    missing = visitor.get("/no-such-page")
    assert (missing.status_code, "There is no such page" in missing.text) == (404, True)
    assert visitor.get("/staff/role").status_code == 405
