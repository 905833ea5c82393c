"""The volunteer's page on a phone, and the street desk's and the alert's page that belong to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from browser.conftest import Shoot
from browser.test_accessible import _OPTIONS
from browser.visiting import PHONE, no_sideways_scroll, visit
from web.street import Street

pytestmark = pytest.mark.browser

WORDS = {
    "zh-CN": ("查看地址", "我去", "我到了", "真的紧急，已叫救护车", "发送回报", "谢谢您"),
    "en-GB": ("Show the address", "I am going", "I am there", "A real emergency", "Send the report", "Thank you"),
}


@pytest.fixture
def street(tmp_path: Path, browser_template: Path) -> Iterator[Street]:
    shutil.copy(browser_template, tmp_path / "hearthline.db")
    made = Street(tmp_path)
    made.refresh()
    made.pair()
    with made.beating(), made.serving():
        yield made
    made.close()


def _look(page: Page, shoot: Shoot, name: str) -> None:
    """Nothing is cut off, axe finds nothing, and what a finger has to hit is large."""
    no_sideways_scroll(page)
    assert Axe().run(page, options=_OPTIONS).response["violations"] == []
    for button in page.locator("main button, main a.button").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 56
    shoot(page, name)


@pytest.mark.parametrize("locale", WORDS)
def test_a_volunteer_opens_goes_arrives_and_reports_on_a_phone_without_scripts(
    browser: Browser, street: Street, shoot: Shoot, locale: str
) -> None:
    show, go, there, outcome, send, thanks = WORDS[locale]
    alert = street.press()
    street.press()
    street.climb(alert, 301)
    context = browser.new_context(viewport={"width": PHONE[0], "height": PHONE[1]}, locale=locale, has_touch=True)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.goto(street.url + street.link(3))
    expect(page.get_by_text("梧桐路18弄")).to_have_count(0)
    _look(page, shoot, f"volunteer-asked-{locale[:2]}")
    page.get_by_role("button", name=show, exact=True).click()
    expect(page.get_by_text("梧桐路18弄3号502室")).to_be_visible()
    _look(page, shoot, f"volunteer-opened-{locale[:2]}")
    page.get_by_role("button", name=go, exact=True).click()
    expect(page.get_by_role("button", name=go, exact=True)).to_have_count(0)
    page.get_by_role("button", name=there, exact=True).click()
    expect(page.get_by_role("button", name=there, exact=True)).to_have_count(0)
    page.get_by_text(outcome).click()
    page.locator("#words").fill("摔倒，已坐起 fell, sitting")
    _look(page, shoot, f"volunteer-there-{locale[:2]}")
    page.get_by_role("button", name=send, exact=True).click()
    expect(page.get_by_text(thanks)).to_be_visible()
    _look(page, shoot, f"volunteer-done-{locale[:2]}")
    page.goto(street.url + street.link(3))
    expect(page.get_by_text("This link does not work any more")).to_be_visible()
    _look(page, shoot, "volunteer-dead")
    assert [url for url in asked if not url.startswith(street.url)] == []
    assert page.evaluate("document.scripts.length") == 0
    assert context.cookies() == []
    context.close()
    case = street.client("mei").get(f"alerts/{alert}").json()["alert"]
    assert (case["state"], case["assigned_to"]) == ("arrived", "volunteer:v-1")


def test_the_language_is_switched_on_the_page_and_stays(browser: Browser, street: Street) -> None:
    alert = street.press()
    street.climb(alert, 301)
    context = browser.new_context(viewport={"width": PHONE[0], "height": PHONE[1]}, locale="zh-CN")
    page = context.new_page()
    page.goto(street.url + street.link(3))
    page.get_by_role("link", name="English").click()
    page.get_by_role("button", name="Show the address").click()
    page.get_by_role("button", name="I am going").click()
    expect(page.get_by_role("button", name="I am there")).to_be_visible()
    page.get_by_role("button", name="I cannot").click()
    expect(page.get_by_text("Somebody else will be asked")).to_be_visible()
    context.close()


def test_the_desk_calls_back_sends_and_sees_the_report(browser: Browser, street: Street, shoot: Shoot) -> None:
    alert = street.press()
    street.climb(alert, 1)
    with visit(browser, street, locale="en-GB") as page:
        row = page.locator(f"#alert-{alert}")
        expect(row.get_by_role("link", name="021-5550-0142")).to_have_attribute("href", "tel:021-5550-0142")
        shoot(page, "orders-row-en")
        page.goto(f"{street.url}/alerts/{alert}")
        expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=8000)
        shoot(page, "orders-call-en")
        page.get_by_role("button", name="No answer", exact=True).click()
        expect(page.locator("#alert-call")).to_have_count(0)
        expect(page.locator("#alert-head")).to_contain_text("mei has it")
        for seconds in (10, 131, 252):  # the next step at once, and then the table's
            street.climb(alert, seconds)
        expect(page.locator("#alert-orders")).to_contain_text("周敏")
        page.get_by_role("link", name="Work orders").click()
        expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=8000)
        shoot(page, "orders-page-en")
        card = page.locator("#order-2")
        card.get_by_role("button", name="Accept").click()
        expect(card.get_by_text("Accepted", exact=True)).to_be_visible()
        card.get_by_label("Outcome").select_option("help-given")
        card.get_by_label("A few words").fill("sits in her chair again")
        card.get_by_role("button", name="Report").click()
        expect(page.locator("#orders-done")).to_contain_text("Help given")
        page.goto(f"{street.url}/alerts/{alert}")
        expect(page.locator("#do-help-given")).to_contain_text("Suggested outcome")
        expect(page.locator(".hop.work-order", has_text="Help given")).to_be_visible()
        shoot(page, "orders-alert-en")


def test_an_order_whose_alert_was_closed_meanwhile_is_explained(browser: Browser, street: Street) -> None:
    alert = street.press()
    for seconds in (1, 122, 243):
        street.climb(alert, seconds)
    with visit(browser, street, locale="zh-CN") as page:
        page.goto(f"{street.url}/orders")
        expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=8000)
        accept = page.locator("button[name=action][value=accept]").first
        expect(accept).to_be_visible()
        page.route("**/fragments/**", lambda route: route.abort())  # mei's page has not heard yet
        street.client("jun").post(f"alerts/{alert}/resolve", {"outcome": "help-given"})
        accept.click()
        expect(page.locator("#toast")).to_have_text("没有保存：工单已被他人更改或已结束，请看现在的状态。")
        page.unroute("**/fragments/**")
