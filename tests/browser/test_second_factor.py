"""Setting a second factor up and logging in with it in a real browser, over plain HTTP to a center with a name."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from browser.conftest import ARGUMENTS, CHROMIUM, Shoot
from browser.visiting import DESKTOP, no_sideways_scroll
from hearthline.clock import NS
from hearthline_cloud.people.codes import STEP_S
from hearthline_cloud.permissions import Role
from web.seeding import PASSWORD, Center

pytestmark = pytest.mark.browser

NAME = "center.lan"  # no name that a browser trusts without TLS, as localhost is: it sends no `Sec-Fetch-Site`


@pytest.fixture
def named(browser: Browser) -> Iterator[Browser]:
    """A browser that finds the center under its name."""
    arguments = [*ARGUMENTS, f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
    started = browser.browser_type.launch(executable_path=CHROMIUM, args=arguments)
    yield started
    started.close()


def test_a_center_with_a_name_is_used_over_plain_http(named: Browser, center: Center) -> None:
    """The browser says where a form is from by `Origin` alone; `null` would be anybody's."""
    with center.serving():
        page = named.new_page()
        page.goto(f"http://{NAME}:{center.port}/login")
        page.fill("#name", "mei")
        page.fill("#password", PASSWORD)
        with page.expect_request(lambda request: request.method == "POST") as asked:
            page.keyboard.press("Enter")
        sent = asked.value.all_headers()
        assert "sec-fetch-site" not in sent
        assert sent["origin"] == f"http://{NAME}:{center.port}"
        expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=15_000)
        page.get_by_role("button", name="English").click()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()


@pytest.mark.parametrize("locale", ["zh-CN", "en-GB"])
def test_enrolment_and_login_by_code(browser: Browser, center: Center, locale: str, shoot: Shoot) -> None:
    center.second_factor = [Role.ADMINISTRATOR]
    problems: list[str] = []
    with center.serving():
        page = browser.new_context(locale=locale, viewport={"width": DESKTOP[0], "height": DESKTOP[1]}).new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        _log_in(page, center)
        page.wait_for_url("**/account/second-factor")
        _look(page, shoot, f"enrol-1-{locale[:2]}")
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/second-factor/new")
        _look(page, shoot, f"enrol-2-{locale[:2]}")
        box = page.locator(".picture svg").bounding_box()
        assert box is not None
        assert box["width"] > 150
        app = pyotp.TOTP(page.locator(".secret").inner_text().replace(" ", ""))
        step = time.time_ns() // NS // STEP_S
        page.fill("#code", app.generate_otp(step))
        page.keyboard.press("Enter")
        expect(page.locator(".codes li")).to_have_count(10)
        _look(page, shoot, f"enrol-3-{locale[:2]}")
        page.locator("a.primary").click()
        expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=15_000)
        page.locator("form[action='/logout'] button").click()
        _log_in(page, center)
        page.wait_for_url("**/login/code")
        _look(page, shoot, f"login-code-{locale[:2]}")
        page.fill("#code", app.generate_otp(step + 1))
        page.keyboard.press("Enter")
        expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=15_000)
        page.goto(f"{center.url}/staff")
        page.locator("summary").first.click()
        _look(page, shoot, f"staff-open-{locale[:2]}")
        page.context.close()
    assert problems == []


def _log_in(page: Page, center: Center) -> None:
    page.goto(f"{center.url}/login")
    page.fill("#name", "boss")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")


def _look(page: Page, shoot: Shoot, name: str) -> None:
    shoot(page, name)
    no_sideways_scroll(page)
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
