"""Logged-in visits to the console, and a busy night to look at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from hearthline.clock import NS
from hearthline_cloud.store import Point
from web.seeding import PASSWORD, Center

DESKTOP = (1360, 850)
PHONE = (412, 915)
# Asking a page takes up to a second, and twenty of them longer than any: each notes its own moment, in ms.
NOTE_WHEN_STALE = """() => new MutationObserver(() => {
  if (document.body.dataset.link === "stale") window.staleAt ??= Date.now();
}).observe(document.body, {attributes: true})"""


@contextmanager
def visit(
    browser: Browser, center: Center, size: tuple[int, int] = DESKTOP, locale: str = "zh-CN", name: str = "mei"
) -> Iterator[Page]:
    """A logged-in page that fails the test on any script error and on any request to another host."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale=locale, timezone_id="Asia/Shanghai"
    )
    page = context.new_page()
    problems: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text and "net::" not in message.text:
            problems.append(message.text)

    def on_request(request: Request) -> None:
        if not request.url.startswith(center.url):
            problems.append(f"foreign request: {request.url}")

    page.on("console", on_console)
    page.on("request", on_request)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{center.url}/")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=8000)
    yield page
    context.close()
    assert problems == []


def no_sideways_scroll(page: Page) -> None:
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0, page.url


def a_busy_night(center: Center) -> int:
    """Alerts in every state; the newest open emergency is taken by nobody. Returns the one to look at."""
    now = time.time_ns()
    done = center.press()
    mei = center.client("mei")
    mei.post(f"alerts/{done}/resolve", {"outcome": "false-alarm"})
    alert = center.press()
    center.press(ordinal=9)
    center.press(ordinal=10)
    mei.post(f"alerts/{alert}/notes", {"text": "电话已接通，老人说在卫生间滑倒。 Called back."})
    stray = center.press("gw-stray", "rf433:ffee01")
    center.client("jun").post(f"alerts/{stray}/acknowledge", {})
    center.press("gw-east-2", "rf433:a1b2c3", role="service")
    for hours, values in ((1, (142, 88, 71)), (13, (138, 84, 69)), (25, (151, 93, 76))):
        center.measure("r-1", now - hours * 3600 * NS, systolic=values[0], diastolic=values[1], heart_rate=values[2])
    local = now + 8 * 3600 * NS
    midnight = local - local % (86_400 * NS) - 8 * 3600 * NS
    for place, value in ((-60, 1200.0), (1, 1204.2)):
        at = midnight + place * NS
        center.store.write([Point("energy_import", "c-1", "h-1", "gw-east-1", "modbus:1", value, at)])
    return alert
