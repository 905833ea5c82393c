"""A page of another origin, in the browser of an operator who is logged in: it cannot act, frame, read or listen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, expect
from sqlalchemy import func, select

from browser.hostile import hostile_page
from hearthline_cloud import schema
from hearthline_cloud.api import access
from web.seeding import PASSWORD
from web.street import Street

pytestmark = pytest.mark.browser

ORIGINS = ("127.0.0.1", "localhost")  # the same site, to which cookies are sent; another site
PREVIEWS = (
    {"user-agent": "WhatsApp/2.23.20.0"},
    {"user-agent": "facebookexternalhit/1.1"},
    {"user-agent": "Mozilla/5.0 MicroMessenger/8.0"},
    {"purpose": "prefetch", "sec-purpose": "prefetch;prerender"},
)


@pytest.fixture
def street(tmp_path: Path, browser_template: Path) -> Iterator[Street]:
    shutil.copy(browser_template, tmp_path / "hearthline.db")
    made = Street(tmp_path)
    made.refresh()
    made.pair()
    with made.beating(), made.serving():
        yield made
    made.close()


def state(street: Street) -> dict[str, Any]:
    """All that a page could have changed."""
    with street.database.reading() as connection:
        counted = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar()
            for table in (schema.journal, schema.session, schema.declared, schema.policy, schema.feedback)
        }
        rows = [tuple(row) for row in connection.execute(select(schema.alert.c.id, schema.alert.c.state))]
        orders = [(row.id, row.state, row.opened_ns) for row in connection.execute(select(schema.work_order))]
    return {**counted, "alerts": rows, "orders": orders}


def logged_in(browser: Browser, street: Street) -> BrowserContext:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(f"{street.url}/")
    page.fill("#name", "boss")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=15_000)
    page.close()
    return context


def session_cookie(context: BrowserContext) -> str:
    return next((cookie["value"] for cookie in context.cookies() if cookie["name"] == "hearthline_session"), "")


@pytest.mark.parametrize("host", ORIGINS)
def test_a_hostile_page_cannot_act_read_frame_or_listen(browser: Browser, street: Street, host: str) -> None:
    alert = street.press()
    street.climb(alert, 301)
    link = street.link(3)
    context = logged_in(browser, street)
    before, cookie = state(street), session_cookie(context)
    writes = [f"/api/v1/alerts/{alert}/{step}" for step in ("acknowledge", "resolve", "notes")]
    writes += ["/logout", "/api/v1/logout", "/policy", "/watch", "/orders/2", f"{link}/open", f"{link}/decline"]
    reads = [f"/alerts/{alert}", "/api/v1/alerts", "/history.csv", "/logout", link, f"{link}/open"]
    paths = [("path", f"POST {path}") for path in writes] + [("path", f"GET {path}") for path in reads]
    with hostile_page() as port:
        page = context.new_page()
        page.goto(f"http://{host}:{port}/?" + urlencode([("victim", street.url), *paths]))
        got = page.evaluate("attack()")
        framed = [frame for frame in page.frames if frame.url.startswith(street.url)]
        shown = "".join(frame.evaluate("document.body ? document.body.innerText : ''") for frame in framed)

    assert got.pop("severed") is True, "cross-origin-opener-policy"
    served = {name for name in got if name.startswith(("no-cors", "object")) and link in name}
    for name in served:
        got.pop(name)  # a link's page may be fetched by anybody, and can be read by nobody else
    assert {name: value for name, value in got.items() if value != "refused"} == {}
    assert "王秀兰" not in shown
    assert not any(word in shown for word in ("Acknowledge", "Show the address", "Log in"))
    assert state(street) == before
    assert session_cookie(context) == cookie
    still = context.new_page()
    still.goto(f"{street.url}/")
    expect(still.locator("body")).to_have_attribute("data-link", "live", timeout=15_000)
    context.close()


def test_the_same_page_logs_out_where_nothing_is_checked(
    browser: Browser, street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: the attack reaches the center, and it is the check that stops it."""
    monkeypatch.setattr(access, "check_origin", lambda request, needs_proof: None)
    context = logged_in(browser, street)
    with hostile_page() as port:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/?" + urlencode({"victim": street.url}))
        with page.expect_response(lambda answer: answer.url == f"{street.url}/logout"):
            page.evaluate("go('/logout', {})")
    assert state(street)["session"] == 0
    context.close()


@pytest.mark.parametrize("host", ORIGINS)
def test_nobody_is_logged_in_by_a_hostile_page(browser: Browser, street: Street, host: str) -> None:
    """Login CSRF: whoever works in the attacker's account writes down for him what he sees."""
    context = browser.new_context()
    fields = {"name": "mei", "password": PASSWORD}
    with hostile_page() as port:
        page = context.new_page()
        page.goto(f"http://{host}:{port}/?" + urlencode({"victim": street.url}))
        sent = ["/login", fields, "application/x-www-form-urlencoded"]
        page.evaluate("([path, fields, type]) => form('POST', path, fields, type)", sent)
        body = "{method: 'POST', mode: 'no-cors', credentials: 'include', body: JSON.stringify(fields)}"
        page.evaluate(f"(fields) => fetch(victim + '/api/v1/login', {body}).catch(() => 0)", fields)
        with page.expect_response(lambda answer: answer.url == f"{street.url}/login") as refused:
            page.evaluate("(fields) => go('/login', fields)", fields)
    assert refused.value.status == 403
    assert session_cookie(context) == ""
    with street.database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(schema.session)).scalar() == 0
    context.close()


def test_a_messengers_preview_of_a_link_does_nothing_and_reads_no_address(street: Street) -> None:
    alert = street.press()
    street.climb(alert, 301)
    link, before = street.link(3), state(street)
    for headers in PREVIEWS:
        for method in ("HEAD", "GET"):
            answer = street.client().request(method, link, headers=headers)
            assert answer.status == 200
            assert not any(word in answer.data.decode() for word in ("王秀兰", "梧桐", "502室"))
        for step in ("open", "go", "arrive", "decline", "report"):
            assert street.client().request("GET", f"{link}/{step}", headers=headers).status in (404, 405)
    assert state(street) == before
