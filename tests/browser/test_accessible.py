"""Every page for everybody: WCAG 2.2 AA by axe-core in both languages and schemes, at a desk and on a phone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from browser.conftest import Shoot
from browser.rooms import ROOMS, Room, Seeded, seed
from browser.visiting import DESKTOP, PHONE, no_sideways_scroll
from hearthline_cloud.permissions import ROUTES
from web.seeding import Center

pytestmark = pytest.mark.browser

SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
LOCALES = ["zh-CN", "en-GB"]
LOOKED_AT_ELSEWHERE = {"/login/code", "/account/second-factor/new", "/v/{token}"}  # test_second_factor, test_volunteer
NO_PAGES = {"/healthz", "/readyz", "/history.csv"}
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_OPTIONS = {
    "runOnly": {"type": "tag", "values": _TAGS},
    "rules": {"target-size": {"enabled": True}},  # WCAG 2.5.8, which axe leaves out by default
    "resultTypes": ["violations"],
}


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory, browser_template: Path) -> Iterator[Seeded]:
    folder = tmp_path_factory.mktemp("accessible")
    shutil.copy(browser_template, folder / "hearthline.db")
    center = Center(folder)
    center.refresh()
    with center.beating(), center.serving():
        yield seed(center)
    center.close()


@pytest.fixture(scope="module")
def tokens(seeded: Seeded) -> dict[str, str]:
    """One session for each visitor: hashing a password takes longer than looking at a page."""
    return {name: seeded.center.client(name).token for name in {room.visitor for room in ROOMS} if name}


@contextmanager
def _inside(browser: Browser, seeded: Seeded, tokens: dict[str, str], room: Room, locale: str) -> Iterator[Page]:
    context = browser.new_context(locale=locale, timezone_id="Asia/Shanghai", reduced_motion="reduce")
    if room.visitor is not None:
        cookie = {"name": "hearthline_session", "value": tokens[room.visitor], "url": seeded.center.url}
        context.add_cookies([cookie])  # type: ignore[list-item]
    page = context.new_page()
    page.goto(seeded.center.url + room.path(seeded))
    if room.is_live:
        expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=8000)
    yield page
    context.close()


def test_every_page_stands_in_the_list(seeded: Seeded) -> None:
    paths = {room.path(seeded).partition("?")[0] for room in ROOMS}
    asked = {route.removeprefix("GET ") for route in ROUTES if re.match(r"GET /(?!api/|fragments/)", route)}
    missing = {
        path for path in asked if not any(re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), each) for each in paths)
    }
    assert missing == LOOKED_AT_ELSEWHERE | NO_PAGES


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.label)
def test_axe_finds_nothing(
    browser: Browser, seeded: Seeded, tokens: dict[str, str], room: Room, locale: str, shoot: Shoot
) -> None:
    found = {}
    with _inside(browser, seeded, tokens, room, locale) as page:
        for width, height in (DESKTOP, PHONE):
            page.set_viewport_size({"width": width, "height": height})
            scheme = SCHEMES[(LOCALES.index(locale) + (width == PHONE[0])) % 2]  # each with each width and language
            page.emulate_media(color_scheme=scheme)
            for violation in Axe().run(page, options=_OPTIONS).response["violations"]:
                for node in violation["nodes"]:
                    found[violation["id"], node["html"][:200]] = f"{width} px, {scheme}: {node['failureSummary']}"
            shoot(page, f"{room.label}-{locale[:2]}-{width}-{scheme}")
            no_sideways_scroll(page)
        assert found == {}
        assert page.evaluate("document.getAnimations().length") == 0  # reduced motion was asked for


_FOCUS = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const style = getComputedStyle(element), box = element.getBoundingClientRect();
  const path = [];
  for (let at = element; at.parentElement; at = at.parentElement) path.push([...at.parentElement.children].indexOf(at));
  const covering = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return {
    key: path.join("."), what: element.outerHTML.slice(0, 120),
    outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
    inView: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    covered: Boolean(covering) && !element.contains(covering) && !covering.contains(element)
      && !covering.closest("label")?.contains(element),
  };
}"""
_REACHABLE = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, [tabindex]")]
  .filter((e) => e.tabIndex >= 0 && !e.disabled && e.type !== "hidden" && e.checkVisibility())
  /* the radio buttons of one group are one stop */
  .filter((e) => e.type !== "radio" || e === e.form.querySelector(`[type=radio][name="${e.name}"]`))
  .length"""


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.label)
def test_every_control_is_reached_by_the_tab_key_and_shows_it(
    browser: Browser, seeded: Seeded, tokens: dict[str, str], room: Room
) -> None:
    with _inside(browser, seeded, tokens, room, "en-GB") as page:
        page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        page.evaluate("document.activeElement?.blur()")
        count = page.evaluate(_REACHABLE)
        seen: dict[str, str] = {}
        last = ""
        for _ in range(4 * count + 5):
            page.keyboard.press("Tab")
            focus = page.evaluate(_FOCUS)
            if focus is None:  # past the end: on to the first
                continue
            if focus["key"] == last:  # a date has several stops of its own
                continue
            if focus["key"] in seen:
                break
            last = focus["key"]
            seen[focus["key"]] = focus["what"]
            assert focus["outline"] >= 2, f"the focus cannot be seen: {focus['what']}"
            assert focus["inView"], f"the focus is out of sight: {focus['what']}"
            assert not focus["covered"], f"the focus is covered: {focus['what']}"
        assert len(seen) >= count, sorted(seen.values())
