"""The wall view on a big screen: what it shows without a hand on it, and that it says when it is stale."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import insert

from browser.conftest import Shoot
from browser.visiting import NOTE_WHEN_STALE
from hearthline.clock import NS
from hearthline_cloud import schema
from web.seeding import PASSWORD, Center

pytestmark = pytest.mark.browser

SCREENS = [(1920, 1080), (1366, 768), (3840, 2160)]


@contextmanager
def _screen(browser: Browser, center: Center, locale: str = "zh-CN") -> Iterator[Page]:
    """A screen whose account logs in once; nobody touches it afterwards."""
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, locale=locale, timezone_id="Asia/Shanghai")
    page = context.new_page()
    page.goto(f"{center.url}/")
    page.fill("#name", "wall")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/wall")
    expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=8000)
    yield page
    context.close()


def _a_bad_evening(center: Center) -> None:
    """More open cases and silent gateways than a screen has room for."""
    now = time.time_ns()
    kinds = ["emergency", "emergency", "service", "emergency", "service", "emergency"]
    causes = ["press", "smoke", "press", "fall", "press", "press"]
    rows = [
        {
            "kind": kinds[number % 6],
            "cause": causes[number % 6],
            "join_key": f"case-{number}",
            "state": ["raised", "raised", "attending", "acknowledged", "arrived"][number % 5],
            "home_id": ["h-1", "h-2", None][number % 3],
            "gateway_id": "gw-east-1",
            "device_id": "enocean:01a2b3c4",
            "presses": 1 + number % 4,
            "raised_ns": now - (number * 97 + 20) * NS,
            "acknowledged_ns": None if number % 5 < 2 else now - number * 60 * NS,
        }
        for number in range(14)
    ]
    silent = [
        {
            **rows[0],
            "kind": "gateway-silent",
            "state": "raised",
            "cause": "press",
            "presses": 0,
            "acknowledged_ns": None,
        }
        | {"join_key": f"silent-{number}", "gateway_id": f"gw-west-{number}", "home_id": None}
        for number in range(9)
    ]
    with center.database.transaction() as connection:
        connection.execute(insert(schema.alert), rows + silent)


@pytest.mark.parametrize("locale", ["zh-CN", "en-GB"])
def test_a_full_wall_needs_no_scrolling_and_is_read_from_afar(
    browser: Browser, center: Center, shoot: Shoot, locale: str
) -> None:
    with center.serving(), _screen(browser, center, locale) as page:
        expect(page.locator("#wall-cases .empty")).to_be_visible()
        shoot(page, f"wall-empty-{locale[:2]}")
        _a_bad_evening(center)
        center.press()
        expect(page.locator(".wall-case")).to_have_count(7)
        for width, height in SCREENS:
            page.set_viewport_size({"width": width, "height": height})
            shoot(page, f"wall-full-{locale[:2]}-{width}")
            lowest = page.evaluate(
                "Math.max(...[...document.querySelectorAll('.wall-case, .wall-silence, .figure')]"
                ".map((e) => e.getBoundingClientRect().bottom))"
            )
            assert lowest <= height, (width, height)
            assert page.evaluate("document.documentElement.scrollHeight") <= height, (width, height)
            smallest = page.evaluate(
                "Math.min(...[...document.querySelectorAll('.wall-case .place, .wall-case .age')]"
                ".map((e) => parseFloat(getComputedStyle(e).fontSize))) / innerWidth"
            )
            assert smallest > 0.022, "42 of 1920 pixels: 27 mm on a screen of 55 inches"
        page.set_viewport_size({"width": 1920, "height": 1080})
        page.emulate_media(color_scheme="dark")
        shoot(page, f"wall-full-{locale[:2]}-dark")


def test_a_press_comes_by_itself_and_a_lost_center_shows_within_five_seconds(
    browser: Browser, center: Center, shoot: Shoot
) -> None:
    with center.serving():
        showing = _screen(browser, center, "en-GB")
        page = showing.__enter__()
        started = time.monotonic()
        alert = center.press()
        expect(page.locator(f".wall-case[data-number='{alert}']")).to_contain_text("Unanswered", timeout=3000)
        assert time.monotonic() - started < 3
        center.client("mei").post(f"alerts/{alert}/acknowledge", {})
        expect(page.locator(f".wall-case[data-number='{alert}']")).to_contain_text("Acknowledged", timeout=3000)
        expect(page.locator(".figure.prompt")).to_contain_text("100 %")
        page.evaluate(NOTE_WHEN_STALE)
    lost = time.time()
    expect(page.locator("body")).to_have_attribute("data-link", "stale", timeout=6000)
    assert page.evaluate("window.staleAt") / 1000 - lost < 5
    expect(page.locator("#stale")).to_contain_text("not up to date")
    shoot(page, "wall-stale")
    with center.serving():
        expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=10_000)
        expect(page.locator("#stale")).to_be_hidden()
        showing.__exit__(None, None, None)
