"""The console's pages: in both languages, nothing inline, every text in the catalogue."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from hearthline.clock import NS
from hearthline.model import Cause
from hearthline_cloud import journal
from hearthline_cloud.alerts.escalation import TargetKind
from hearthline_cloud.alerts.figures import ASKED, HELPED, REPLIED
from hearthline_cloud.alerts.lifecycle import (
    CANCELLED_AT_HOME,
    JOURNAL_KIND,
    Action,
    AlertKind,
    Outcome,
    Refusal,
    State,
)
from hearthline_cloud.alerts.orders import VISIT_OUTCOMES, Answer, OrderKind, OrderState
from hearthline_cloud.api.routes_orders import PeoplesAction
from hearthline_cloud.console import view
from hearthline_cloud.console.navigation import NAVIGATION, entries_for, first_page, is_here
from hearthline_cloud.console.texts import LANGUAGES, SCRIPT_KEYS, TEXTS, choose_language, gather
from hearthline_cloud.people import Session
from hearthline_cloud.permissions import Role
from web.seeding import PASSWORD, Center, Client

TEMPLATES = sorted((view.HERE / "templates").glob("*.html"))
SCRIPTS = sorted((view.HERE / "static").glob("*.js"))
_CJK = re.compile("[\u4e00-\u9fff]")


def _page(client: Client, path: str, language: str = "zh") -> str:
    headers = {"cookie": f"hearthline_session={client.token}; hearthline_language={language}"}
    answer = client.request("GET", path, headers=headers)
    assert answer.status == 200, (path, answer.status)
    return answer.data.decode()


def test_every_text_is_there_in_both_languages_with_the_same_placeholders() -> None:
    for key, texts in TEXTS.items():
        assert len(texts) == len(LANGUAGES), key
        assert all(texts), key
        holes = [sorted(re.findall(r"\{(\w+)\}", item)) for item in texts]
        assert holes[0] == holes[1], key


def test_a_key_that_two_rooms_give_stops_the_start() -> None:
    both = ("甲", "one")
    assert gather({"alerts": {"a": both}, "homes": {"b": both}}) == {"a": both, "b": both}
    with pytest.raises(ValueError, match="'a' is given by alerts and by homes"):
        gather({"alerts": {"a": both}, "homes": {"a": both}})


def test_the_navigation_names_every_room_once() -> None:
    assert [entry.text for entry in NAVIGATION if entry.text not in TEXTS] == []
    assert len({entry.path for entry in NAVIGATION}) == len(NAVIGATION)
    boss = Session("boss", Role.ADMINISTRATOR, "", 0)
    assert entries_for(boss) == list(NAVIGATION)
    assert len([entry for entry in NAVIGATION if is_here(entry, "/homes/h-1")]) == 1
    assert [entry.path for entry in NAVIGATION if is_here(entry, "/")] == ["/"]


@pytest.mark.parametrize(
    ("role", "first"),
    [("operator", "/"), ("nurse", "/"), ("installer", "/homes"), ("auditor", "/figures"), ("viewer", "/wall")],
)
def test_each_role_begins_on_a_page_that_it_may_see(role: str, first: str) -> None:
    assert first_page(Session("x", Role(role), "", 0)) == first


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_use_keys_that_exist_and_no_words_of_their_own(template: Path) -> None:
    source = template.read_text(encoding="utf-8")
    for key in re.findall(r"""\bt\('([^']+)'[,)]""", source):
        assert key in TEXTS, key
    bare = re.sub(r"\{[{%#].*?[%}#]\}", " ", source, flags=re.DOTALL)
    bare = re.sub(r"<[^>]*>", " ", bare)
    bare = re.sub(r"中文|English|UTC|dBm|kWh", "", bare)  # the languages' own names, and units
    assert not re.findall(r"[A-Za-z]{2,}|[\u4e00-\u9fff]", bare)


def test_composed_keys_exist() -> None:
    composed = [f"kind.{kind}" for kind in AlertKind] + [f"new.{kind}" for kind in AlertKind]
    composed += [f"state.{state}" for state in State] + [f"outcome.{outcome}" for outcome in Outcome]
    composed += [f"told.{kind}" for kind in TargetKind]
    composed += [f"action.{action}" for action in Action]
    composed += [f"cause.{cause}" for cause in Cause if cause is not Cause.PRESS]
    hops = "pressed received raised joined note restored home-told"
    composed += [f"hop.{kind}" for kind in hops.split()]
    composed += [f"hop.{kind}" for kind in (*JOURNAL_KIND.values(), CANCELLED_AT_HOME, ASKED, REPLIED)]
    composed += [f"helped.{word}" for word in HELPED]
    composed += [f"refused.{reason}" for reason in Refusal]
    composed += [f"order.kind.{kind}" for kind in OrderKind] + [f"order.state.{state}" for state in OrderState]
    composed += [f"order.action.{action}" for action in PeoplesAction] + [f"answer.{answer}" for answer in Answer]
    composed += [f"report.{outcome}" for outcome in VISIT_OUTCOMES] + ["hop.work-order", "order.state.opened"]
    assert [key for key in composed if key not in TEXTS] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_get_every_text_that_they_ask_for(script: Path) -> None:
    source = script.read_text(encoding="utf-8")
    for key in re.findall(r"""fill\("([^"]+)\"""", source):
        assert key in SCRIPT_KEYS, key
    assert not _CJK.search(source)


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("en", "zh-CN", "en"),
        ("xx", "en-GB,en;q=0.9", "en"),
        (None, "fr, en;q=0.5, zh;q=0.8", "zh"),
        (None, "EN-us", "en"),
        (None, "de", "zh"),
        (None, "en;q=nonsense, zh;q=0.1", "zh"),
        (None, None, "zh"),
    ],
)
def test_the_language_is_chosen_by_cookie_then_header(cookie: str | None, accepted: str | None, language: str) -> None:
    assert choose_language(cookie, accepted) == language


def test_every_page_in_both_languages(served: Center) -> None:
    alert = served.press()
    served.press("gw-stray", "rf433:ffee01")
    served.press("gw-east-2", "rf433:a1b2c3", role="service")
    served.measure("r-1", time.time_ns() - 3600 * NS, systolic=142, diastolic=88, heart_rate=71)
    mei = served.client("mei")
    mei.post(f"alerts/{alert}/notes", {"text": "<script>alert(1)</script>"})
    for path in ("/", f"/alerts/{alert}", "/homes", "/residents/r-1"):
        for language, tag in (("zh", "zh-CN"), ("en", "en")):
            html = _page(mei, path, language)
            assert f'<html lang="{tag}">' in html
            assert not re.search(r"<script(?! type=\"module\" src=)|<style|\son\w+=|\sstyle=|javascript:", html)
            assert not re.search(r"(src|href)=\"(https?:)?//", html)
    assert "王秀兰" in _page(mei, "/")
    assert "Unknown device" in _page(mei, "/", "en")
    assert "138-0000-0142" in _page(mei, f"/alerts/{alert}")
    assert "<b>142</b>" in _page(mei, "/residents/r-1")


def test_a_stranger_is_led_to_the_login_page(served: Center) -> None:
    answer = served.client().request("GET", "/", headers={"accept": "text/html"})
    assert (answer.status, answer.headers["location"]) == (303, "/login")
    assert served.client().request("GET", "/fragments/alerts").status == 401
    missing = served.client("mei").request("GET", "/alerts/99", headers={"accept": "text/html"})
    assert (missing.status, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")


def test_logging_in_by_form(served: Center) -> None:
    client = served.client()
    form = {"content-type": "application/x-www-form-urlencoded", "origin": served.url}
    answer = client.request("POST", "/login", f"name=mei&password={PASSWORD}".encode(), form)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    wrong = client.request("POST", "/login", b"name=mei&password=wrongwrong", form)
    assert (wrong.status, wrong.headers.get("set-cookie")) == (401, None)
    foreign = form | {"origin": "http://evil.example"}
    assert client.request("POST", "/login", f"name=mei&password={PASSWORD}".encode(), foreign).status == 403


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_the_language_switch_leads_to_our_own_pages_only(served: Center, back: str) -> None:
    form = {"content-type": "application/x-www-form-urlencoded", "origin": served.url}
    answer = served.client().request("POST", "/language", f"lang=en&back={back}".encode(), form)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert "hearthline_language=en" in answer.headers["set-cookie"]


def test_a_journal_kind_of_a_newer_version_hides_nothing(served: Center) -> None:
    alert = served.press()
    with served.database.transaction() as connection:
        detail = {"outcome": "unheard-of"}
        journal.append(connection, "escalated", time.time_ns(), detail, alert=alert, actor="system")
    assert "escalated" in _page(served.client("mei"), f"/alerts/{alert}")


def test_refreshing_an_alert_leaves_no_further_trace(served: Center) -> None:
    alert = served.press()
    mei = served.client("mei")
    _page(mei, f"/alerts/{alert}")
    for _ in range(3):
        _page(mei, f"/fragments/alerts/{alert}")
    assert len(served.client("boss").get("audit").json()) == 1


def test_pages_work_while_the_store_is_away(served: Center) -> None:
    served.store.away = True
    alert = served.press()
    assert "data-energy" in _page(served.client("mei"), f"/alerts/{alert}")


def test_static_files_are_ours_and_revalidated(served: Center) -> None:
    answer = served.client().request("GET", "/static/console.css")
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-cache")
    assert "url(" not in answer.data.decode()


_PAIRS = [
    ("ink", "ground"), ("ink", "panel"), ("faint", "ground"), ("faint", "panel"), ("accent", "ground"),
    ("accent", "panel"), ("accent-ink", "accent"), ("alarm", "panel"), ("alarm", "alarm-soft"), ("alarm-ink", "alarm"),
    ("ink", "alarm-soft"), ("service", "panel"), ("service", "service-soft"), ("service-ink", "service"),
    ("ink", "service-soft"), ("caution", "panel"), ("caution", "caution-soft"), ("top-ink", "top"),
    ("top-faint", "top"), ("panel", "ink"),
]  # fmt: skip


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_pair_of_ink_and_ground_keeps_wcag_aa(scheme: int) -> None:
    css = (view.HERE / "static" / "console.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", css, re.DOTALL)[scheme]))
    low = {pair: round(_contrast(*(colours[name] for name in pair)), 2) for pair in _PAIRS}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}


def _contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
