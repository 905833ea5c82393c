"""The console in a real browser: what a night-shift nurse sees, hears about and presses."""

from __future__ import annotations

import threading
import time

import pytest
from playwright.sync_api import Browser, Route, expect
from sqlalchemy import update

from browser.conftest import Shoot
from browser.rooms import ROOMS, seed
from browser.visiting import DESKTOP, NOTE_WHEN_STALE, PHONE, a_busy_night, no_sideways_scroll, visit
from hearthline_cloud.schema import remote_ask
from web.seeding import Center

pytestmark = pytest.mark.browser


def test_a_press_appears_by_itself_and_is_acknowledged_by_keyboard(browser: Browser, center: Center) -> None:
    with center.serving(), visit(browser, center, locale="en-GB") as page:
        expect(page.get_by_text("No open emergencies")).to_be_visible()
        started = time.monotonic()
        alert = center.press()
        row = page.locator(f"#alert-{alert}")
        expect(row).to_be_visible(timeout=2000)
        assert time.monotonic() - started < 2
        expect(row).to_contain_text("3号楼 502室")
        expect(row).to_contain_text("王秀兰")
        expect(page.locator("#say-now")).to_have_text("New emergency: 3号楼 502室 · 卧室")
        expect(page).to_have_title("(1) Alerts – Hearthline")
        center.press()
        expect(row).to_contain_text("pressed 2 times")
        page.keyboard.press("ArrowDown")
        expect(row).to_be_focused()
        page.keyboard.press("a")
        expect(row).to_contain_text("mei has it")
        expect(row).to_be_focused()
        expect(page).to_have_title("Alerts – Hearthline")
        page.keyboard.press("w")
        expect(row).to_contain_text("On the way")
        page.keyboard.press("o")
        page.wait_for_url(f"**/alerts/{alert}")
        expect(page.locator(".hop.attending")).to_be_visible()


def test_two_operators_see_each_other(browser: Browser, center: Center) -> None:
    with center.serving(), visit(browser, center, locale="en-GB") as page:
        alert = center.press()
        row = page.locator(f"#alert-{alert}")
        expect(row).to_be_visible()
        page.route("**/fragments/**", lambda route: route.abort())  # mei's page has not heard yet
        center.client("jun").post(f"alerts/{alert}/acknowledge", {"version": 1})
        row.get_by_role("button", name="Acknowledge").click()
        expect(page.locator("#toast")).to_have_text("jun was first: the alert is now “Acknowledged”.")
        page.unroute("**/fragments/**")


def test_two_operators_collide_and_both_see_who_has_it(browser: Browser, center: Center) -> None:
    """Both press the key before either page has heard of the other; then both close it."""
    with (
        center.serving(),
        visit(browser, center, locale="en-GB") as mei,
        visit(browser, center, locale="en-GB", name="jun") as jun,
    ):
        alert = center.press()
        held: list[Route] = []
        for page in (mei, jun):
            expect(page.locator(f"#alert-{alert}")).to_be_visible()
            page.locator(f"#alert-{alert}").focus()
            page.route("**/acknowledge", lambda route: held.append(route))
        for page in (mei, jun):
            with page.expect_request("**/acknowledge"):
                page.keyboard.press("a")
        for route in held:
            route.continue_()
        expect(mei.locator(f"#alert-{alert}")).to_contain_text("has it")
        taker = center.client("boss").get(f"alerts/{alert}").json()["alert"]["assigned_to"]
        late = {"mei": jun, "jun": mei}[taker]
        for page in (mei, jun):
            expect(page.locator(f"#alert-{alert}")).to_contain_text(f"{taker} has it")
        expect(late.locator("#toast")).to_have_text(f"{taker} was first: the alert is now “Acknowledged”.")
        expect(late.locator("#say-now")).to_have_text(f"{taker} was first: the alert is now “Acknowledged”.")
        for page in (mei, jun):
            page.goto(f"{center.url}/alerts/{alert}")
            expect(page.locator("body")).to_have_attribute("data-link", "live")
        jun.route("**/fragments/**", lambda route: route.abort())  # jun's page has not heard yet
        mei.get_by_role("button", name="Help given").click()
        expect(mei.locator("#alert-head")).to_contain_text("Closed")
        jun.get_by_role("button", name="False alarm").click()
        expect(jun.locator("#toast")).to_have_text("mei was first: the alert is now “Closed”.")
        jun.unroute("**/fragments/**")
        expect(jun.locator("#alert-head")).to_contain_text("Help given")


def test_a_live_page_leaves_focus_and_scrolling_where_they_are(browser: Browser, center: Center) -> None:
    """The page of a gateway looks again every two seconds; focus stays in what did not change, and in what did."""
    with center.serving():
        seed(center)
        with visit(browser, center, locale="en-GB", name="boss") as page:
            page.goto(f"{center.url}/homes/gateways/gw-east-1")
            log = page.locator("#remote-log .log")
            log.evaluate("log => { log.style = 'max-height: 40px; overflow: auto'; log.scrollTop = 15; log.focus(); }")
            for _ in range(3):  # the first look has been shown when the third begins
                with page.expect_response("**/fragments/gateways/**"):
                    pass
            expect(log).to_be_focused()
            assert log.evaluate("log => log.scrollTop") == 15
            log_ask = remote_ask.c.what == "log"
            with center.database.transaction() as connection:
                detail = {"lines": ["another line"], "left_out": 3}
                connection.execute(update(remote_ask).where(log_ask).values(detail=detail))
            expect(log).to_have_text("another line", timeout=8000)
            expect(log).to_be_focused()


def test_what_is_being_typed_stays_where_calls_come_and_change(browser: Browser, center: Center) -> None:
    with center.serving(), visit(browser, center, locale="en-GB") as page:
        page.goto(f"{center.url}/service")
        expect(page.locator("body")).to_have_attribute("data-link", "live")
        call = center.press("gw-east-2", "rf433:a1b2c3", role="service")
        row, provider = page.locator(f"#alert-{call}"), page.locator(f"#who-{call}")
        folded = row.locator("[data-plan] summary")
        folded.click()
        provider.fill("Zhang")
        other = center.press(role="service")
        expect(page.locator(f"#alert-{other}")).to_be_visible()
        center.press("gw-east-2", "rf433:a1b2c3", role="service")
        expect(row).to_contain_text("pressed 2 times")
        expect(provider).to_be_visible()
        expect(provider).to_be_focused()
        expect(provider).to_have_value("Zhang")
        row.locator("[name=due]").fill(time.strftime("%Y-%m-%dT10:00", time.localtime(time.time() + 86_400)))
        provider.press("Enter")
        expect(row).to_contain_text("Zhang")
        expect(provider).to_be_hidden()
        expect(folded).to_be_focused()


def test_a_click_during_which_the_list_changes_counts(browser: Browser, center: Center) -> None:
    with center.serving(), visit(browser, center, locale="en-GB") as page:
        row = page.locator(f"#alert-{center.press()}")
        row.get_by_role("button", name="Acknowledge").hover()
        page.mouse.down()
        center.press()
        expect(row).to_contain_text("pressed 2 times")
        page.mouse.up()
        expect(row).to_contain_text("mei has it")


def test_a_list_that_is_long_in_coming_keeps_nobody_from_hearing_of_an_alarm(browser: Browser, center: Center) -> None:
    with center.serving(), visit(browser, center, locale="en-GB") as page:
        held: list[Route] = []
        page.route("**/fragments/alerts", lambda route: held.append(route), times=1)
        row = page.locator(f"#alert-{center.press()}")
        expect(page).to_have_title("(1) Alerts – Hearthline")  # what counts them makes the sound, too
        expect(row).to_have_count(0)
        held[0].continue_()
        expect(row).to_be_visible()


def test_a_connection_that_is_dead_and_does_not_say_so_is_given_up(browser: Browser, center: Center) -> None:
    with center.serving(), visit(browser, center, locale="en-GB") as page:
        page.add_init_script("""
            const real = AbortSignal.timeout.bind(AbortSignal);
            AbortSignal.timeout = (ms) => real(ms / 4);
        """)
        page.reload()
        expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=20_000)
        held: list[Route] = []
        page.route("**/fragments/**", lambda route: held.append(route), times=2)
        page.route("**/acknowledge", lambda route: held.append(route))
        row = page.locator(f"#alert-{center.press()}")
        expect(row).to_be_visible(timeout=20_000)
        assert len(held) == 2
        row.get_by_role("button", name="Acknowledge").click()
        unknown = "The server did not answer; the page shows whether it was saved."
        expect(page.locator("#toast")).to_have_text(unknown, timeout=20_000)
        expect(row.get_by_role("button", name="Acknowledge")).to_be_enabled()


def test_the_whole_way_by_keyboard_handed_over_closed_and_reopened(
    browser: Browser, center: Center, shoot: Shoot
) -> None:
    with center.serving(), visit(browser, center, locale="en-GB") as page:
        alert = center.press()
        center.press()
        row = page.locator(f"#alert-{alert}")
        expect(row).to_contain_text("Urgency 2 of 3")
        for _ in range(5):  # the list may be exchanged while the key is on its way
            page.keyboard.press("ArrowDown")
        expect(row).to_be_focused()
        for key, state in (("a", "acknowledged"), ("w", "attending"), ("h", "arrived")):
            page.keyboard.press(key)
            expect(row).to_have_attribute("data-state", state)
        page.keyboard.press("o")
        page.wait_for_url(f"**/alerts/{alert}")
        page.get_by_label("Hand over to").select_option("jun")
        page.get_by_role("button", name="Hand over", exact=True).press("Enter")
        expect(page.locator("#alert-head")).to_contain_text("jun has it")
        expect(page.locator(".hop.handed-over")).to_contain_text("mei to jun")
        page.get_by_role("button", name="Take it over").click()
        expect(page.locator("#alert-head")).to_contain_text("mei has it")
        shoot(page, "alert-arrived-desktop")
        page.get_by_role("button", name="Visited, no answer").click()
        expect(page.locator("#alert-head")).to_contain_text("Closed")
        page.get_by_label("Why it is reopened").fill("She called again")
        page.get_by_role("button", name="Reopen", exact=True).click()
        expect(page.locator("#alert-head")).to_contain_text("Acknowledged")
        expect(page.locator("#alert-head .reopened")).to_be_visible()
        expect(page.locator(".hop.note")).to_contain_text("She called again")
        shoot(page, "alert-reopened-desktop")


def test_a_colleague_is_told_of_what_he_gets_and_who_was_first(browser: Browser, center: Center) -> None:
    with center.serving(), visit(browser, center, locale="zh-CN") as page:
        alert = center.press()
        jun = center.client("jun")
        jun.post(f"alerts/{alert}/acknowledge", {})
        expect(page.locator(f"#alert-{alert}")).to_contain_text("jun 已受理")
        page.route("**/fragments/**", lambda route: route.abort())  # mei's page has not heard yet
        jun.post(f"alerts/{alert}/hand-over", {"to": "mei"})
        expect(page.locator("#new-alert")).to_contain_text(f"jun 把呼叫 {alert} 转交给您")
        page.locator(f"#alert-{alert}").get_by_role("button", name="前往").click()
        expect(page.locator("#toast")).to_have_text("jun 已先转交给 mei。")
        page.unroute("**/fragments/**")


def test_a_refused_step_is_explained_in_the_operators_language(browser: Browser, center: Center) -> None:
    with center.serving(), visit(browser, center, locale="zh-CN") as page:
        alert = center.press()
        center.client("jun").post(f"alerts/{alert}/resolve", {"outcome": "test"})
        center.press()
        page.goto(f"{center.url}/alerts/{alert}")
        page.get_by_label("备注内容").fill("  ")
        page.locator("[data-note] button").click()
        expect(page.locator("#toast")).to_have_text("请写 1 到 2000 个字。")
        page.get_by_label("重新打开的原因").fill("老人又打来")
        page.get_by_role("button", name="重新打开", exact=True).click()
        expect(page.locator("#toast")).to_have_text("同一住户已有另一个未结束的呼叫，请在那里继续。")
        expect(page.get_by_label("重新打开的原因")).to_have_value("老人又打来")


@pytest.mark.parametrize(
    ("locale", "button", "words"),
    [
        ("en-GB", "Acknowledge", "database takes nothing now; nothing was saved"),
        ("zh-CN", "受理", "数据库目前不能写入，什么都没有保存"),
    ],
)
def test_a_database_that_takes_nothing_is_told_in_the_operators_language(
    browser: Browser, center: Center, shoot: Shoot, locale: str, button: str, words: str
) -> None:
    with center.serving(), visit(browser, center, locale=locale) as page:
        row = page.locator(f"#alert-{center.press()}")
        acknowledge = row.get_by_role("button", name=button)
        expect(acknowledge).to_be_visible()
        with center.read_only():
            acknowledge.click()
            expect(page.locator("#toast")).to_contain_text(words)
            expect(acknowledge).to_be_enabled()
            shoot(page, f"database-away-{locale}")
        acknowledge.click()
        expect(row).to_contain_text("mei")


def test_a_lost_center_shows_within_five_seconds_and_heals_by_itself(
    browser: Browser, center: Center, shoot: Shoot
) -> None:
    with center.serving():
        visiting = visit(browser, center, locale="en-GB")
        page = visiting.__enter__()
        page.evaluate(NOTE_WHEN_STALE)
    lost = time.time()
    expect(page.locator("body")).to_have_attribute("data-link", "stale", timeout=6000)
    assert page.evaluate("window.staleAt") / 1000 - lost < 5
    expect(page.get_by_text("This page is not up to date")).to_be_visible()
    shoot(page, "stale-desktop")
    alert = center.press()
    with center.serving():
        expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=10_000)
        expect(page.locator(f"#alert-{alert}")).to_be_visible()
        expect(page.get_by_text("This page is not up to date")).to_be_hidden()
        visiting.__exit__(None, None, None)


def test_a_frozen_center_is_told_and_comes_back_by_itself(
    browser: Browser, center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A center that ends closes its connections; one that hangs, or whose cable is pulled, leaves them open and says
    nothing."""
    app, thawed = center.app(), threading.Event()
    monkeypatch.setattr(center, "app", lambda: app)
    with center.serving(), visit(browser, center, locale="en-GB") as page:
        page.evaluate(NOTE_WHEN_STALE)
        app.state.parts.follower._loop.call_soon_threadsafe(thawed.wait)
        frozen = time.time()
        try:
            expect(page.get_by_text("This page is not up to date")).to_be_visible(timeout=20_000)
            assert page.evaluate("window.staleAt") / 1000 - frozen < 5.5
            alert = center.press()
        finally:
            thawed.set()
        expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=20_000)
        expect(page.locator(f"#alert-{alert}")).to_be_visible()


def test_every_live_page_shows_within_five_seconds_that_the_center_is_lost(browser: Browser, center: Center) -> None:
    with center.serving():
        seeded = seed(center)
        tokens = {name: center.client(name).token for name in {room.visitor for room in ROOMS} if name}
        pages = []
        for room in (room for room in ROOMS if room.is_live):
            context = browser.new_context(locale="en-GB")  # of its own: a browser has six connections to one host
            if room.visitor is not None:
                cookie = {"name": "hearthline_session", "value": tokens[room.visitor], "url": center.url}
                context.add_cookies([cookie])  # type: ignore[list-item]
            page = context.new_page()
            page.goto(center.url + room.path(seeded))
            expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=8000)
            page.evaluate(NOTE_WHEN_STALE)
            pages.append(page)
    lost = time.time()
    for page in pages:
        expect(page.locator("body")).to_have_attribute("data-link", "stale", timeout=20_000)
        expect(page.locator("#stale")).to_be_visible()
    late = {page.url: page.evaluate("window.staleAt") / 1000 - lost for page in pages}
    assert max(late.values()) < 5.5, late
    with center.serving():
        for page in pages:
            expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=10_000)
            expect(page.locator("#stale")).to_be_hidden()
    for page in pages:
        page.context.close()


def test_a_page_that_cannot_fetch_says_so_though_the_center_lives(browser: Browser, center: Center) -> None:
    with center.serving(), visit(browser, center, locale="en-GB") as page:
        page.route("**/fragments/alerts", lambda route: route.fulfill(status=503, body="{}"))
        started = time.monotonic()
        alert = center.press()
        expect(page.locator("body")).to_have_attribute("data-link", "stale", timeout=6000)
        assert time.monotonic() - started < 6
        page.unroute("**/fragments/alerts")
        expect(page.locator(f"#alert-{alert}")).to_be_visible()
        expect(page.locator("body")).to_have_attribute("data-link", "live")
        expect(page.locator("#stale")).to_be_hidden()


def test_a_center_without_its_ingester_says_so(browser: Browser, center: Center) -> None:
    with center.serving(), visit(browser, center, locale="en-GB") as page:
        expect(page.locator("#center")).to_be_hidden()
        center.beat_broker = False
        expect(page.locator("#center")).to_contain_text("message broker", timeout=6000)
        center.beat_broker = True
        expect(page.locator("#center")).to_be_hidden(timeout=6000)


def test_logging_out_elsewhere_leads_to_the_login_page(browser: Browser, center: Center) -> None:
    with center.serving(), visit(browser, center) as page:
        token = next(item["value"] for item in page.context.cookies() if item["name"] == "hearthline_session")
        other = center.client()
        other.token = token
        other.post("logout")
        page.wait_for_url("**/login", timeout=4000)


def test_noting_and_resolving(browser: Browser, center: Center) -> None:
    with center.serving(), visit(browser, center, locale="en-GB") as page:
        alert = center.press()
        page.goto(f"{center.url}/alerts/{alert}")
        page.get_by_label("Text of the note").fill("Called back, she fell")
        page.get_by_role("button", name="Save the note").click()
        expect(page.locator(".hop.note")).to_contain_text("Called back, she fell")
        page.get_by_label("Text of the note").fill("half a sent")
        center.press()
        expect(page.locator(".hop.joined")).to_be_visible()
        expect(page.get_by_label("Text of the note")).to_have_value("half a sent")
        page.get_by_role("button", name="Help given").click()
        expect(page.locator("#alert-head")).to_contain_text("Closed")
        page.goto(f"{center.url}/")
        expect(page.locator("#queue-closed")).to_contain_text("Help given")


def test_an_alarm_shows_on_every_page(browser: Browser, center: Center) -> None:
    with center.serving(), visit(browser, center, locale="en-GB") as page:
        page.goto(f"{center.url}/homes")
        expect(page.locator("body")).to_have_attribute("data-link", "live")
        alert = center.press()
        expect(page.locator("#new-alert")).to_contain_text("New emergency")
        page.locator("#new-alert-link").click()
        page.wait_for_url(f"**/alerts/{alert}")


def test_sound_says_when_it_is_blocked_and_when_it_plays(browser: Browser, center: Center) -> None:
    with center.serving(), visit(browser, center, locale="en-GB") as page:
        page.evaluate("document.body.dataset.sound")
        button = page.locator("#sound")
        button.click()
        first = page.locator("body").get_attribute("data-sound")
        button.click()
        second = page.locator("body").get_attribute("data-sound")
        assert {first, second} <= {"on", "off"}
        assert first != second


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("locale", ["zh-CN", "en-GB"])
def test_every_page_fits(browser: Browser, center: Center, shoot: Shoot, size: tuple[int, int], locale: str) -> None:
    name = f"{locale[:2]}-{size[0]}"
    with center.serving(), visit(browser, center, size, locale) as page:
        shoot(page, f"list-empty-{name}")
        alert = a_busy_night(center)
        page.goto(f"{center.url}/")
        expect(page.locator("body")).to_have_attribute("data-link", "live")
        expect(page.locator(f"#alert-{alert}")).to_be_visible()
        for path, label in (
            ("/", "list"),
            (f"/alerts/{alert}", "alert"),
            ("/homes", "homes"),
            ("/residents/r-1", "resident"),
        ):
            page.goto(f"{center.url}{path}")
            expect(page.locator("body")).to_have_attribute("data-link", "live")
            if label in ("alert", "resident"):
                expect(page.locator(".energy")).to_have_text("4.20 kWh")
            assert page.locator("html").get_attribute("lang") == ("zh-CN" if locale == "zh-CN" else "en")
            no_sideways_scroll(page)
            shoot(page, f"{label}-{name}")
        page.emulate_media(color_scheme="dark")
        page.goto(f"{center.url}/")
        shoot(page, f"list-dark-{name}")
        page.goto(f"{center.url}/alerts/{alert}")
        shoot(page, f"alert-dark-{name}")
        page.get_by_role("button", name="English" if locale == "zh-CN" else "中文").click()
        expect(page.locator("html")).to_have_attribute("lang", "en" if locale == "zh-CN" else "zh-CN")
        page.get_by_role("button", name="退出" if locale == "en-GB" else "Log out").click()
        page.wait_for_url("**/login")
        no_sideways_scroll(page)
        shoot(page, f"login-{name}")
