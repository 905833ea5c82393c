"""The page of the policies in a real browser: an administrator mends what is wrong."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from browser.conftest import Shoot
from browser.visiting import DESKTOP, PHONE, no_sideways_scroll, visit
from web.seeding import Center

pytestmark = pytest.mark.browser
WRONG = """otherwise = "a"
[policy.a]
repeat_s = 1
progress_s = 900
[[policy.a.step]]
after_s = 0
to = ["call-bak"]
"""


@pytest.mark.parametrize(("locale", "size"), [("zh-CN", DESKTOP), ("en-GB", DESKTOP), ("zh-CN", PHONE)])
def test_an_administrator_mends_the_policies(
    browser: Browser, center: Center, shoot: Shoot, locale: str, size: tuple[int, int]
) -> None:
    with center.serving(), visit(browser, center, size, locale, "boss") as page:
        page.goto(f"{center.url}/policy")
        text = page.locator("#policy-text")
        text.fill(WRONG)
        page.locator("form[action='/policy'] button").click()
        expect(page.locator("#problems li")).to_have_count(2)
        expect(page.locator("#problems li").nth(1)).to_contain_text("policy.a.step[0].to[0]")
        expect(text).to_have_value(WRONG)
        no_sideways_scroll(page)
        shoot(page, f"policy-wrong-{locale}-{size[0]}")
        text.fill(WRONG.replace("= 1\n", "= 60\n").replace("call-bak", "call-back"))
        page.locator("form[action='/policy'] button").click()
        page.wait_for_url("**/policy?saved=true")
        expect(page.locator(".saved")).to_be_visible()
        shoot(page, f"policy-saved-{locale}-{size[0]}")
