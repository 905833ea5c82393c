"""The pages of charts: whose they are, what they leave behind, and that a store that hangs holds up nobody."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3
from sqlalchemy import func, select

from hearthline_cloud import schema
from hearthline_cloud.api.bounded import WAIT_S
from hearthline_cloud.store import Sample, SeriesQuery, Summary, Tier
from web.client import Client
from web.seeding import Center
from web.values import months_of_values

VITALS, ENERGY = "/residents/r-1/charts", "/homes/h-1/energy"
MARCH = "range=month&day=2026-03-20"
HANGS_S = 60.0


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Center]:
    """One for all tests that only look."""
    folder = tmp_path_factory.mktemp("measured")
    shutil.copy(template, folder / "hearthline.db")
    made = Center(folder)
    made.refresh()
    months_of_values(made.store)
    with made.serving():
        yield made
    made.close()


def seen(center: Center, path: str, who: str = "mei", language: str = "en") -> urllib3.BaseHTTPResponse:
    headers = {"accept-language": language, "authorization": f"Bearer {token_of(center, who)}"}
    return Client(center.url).request("GET", path, headers=headers)


_TOKENS: dict[tuple[Path, str], str] = {}  # hashing a password takes longer than a page


def token_of(center: Center, who: str) -> str:
    key = (center.folder, who)
    if key not in _TOKENS:
        _TOKENS[key] = center.client(who).token
    return _TOKENS[key]


def test_a_month_of_vital_signs(measured: Center) -> None:
    body = seen(measured, f"{VITALS}?{MARCH}").data.decode()
    plots = re.findall(r'<svg class="plot".*?</svg>', body, re.DOTALL)
    assert len(plots) == 2  # blood pressure, heart rate
    assert plots[0].count("<polyline") == 4  # two lines, broken once
    assert plots[1].count("<polyline") == 2
    assert plots[0].count('class="limit"') == 2
    for plot in plots:
        assert "<title>" in plot
        assert "<desc" in plot
    assert body.count('<th scope="row">2026-03-') == 28  # of 31 days: on three nobody measured
    assert "2026-03-11" not in body
    assert "2026-03-01 to 2026-03-31" in body


def test_no_style_and_no_script_stands_in_the_page(measured: Center) -> None:
    for path in (f"{VITALS}?{MARCH}", f"{ENERGY}?{MARCH}"):
        body = seen(measured, path).data.decode()
        assert not re.search(r"<style|\sstyle=|<script(?! type=\"module\" src=)|\son[a-z]+=", body)


@pytest.mark.parametrize(
    ("asked", "first", "last", "rows"),
    [
        ("range=day&day=2026-03-18", "03-18 07:26", "03-18 19:26", 2),
        ("range=week&day=2026-03-18", "03-16 07:24", "03-22 19:30", 14),
        ("range=year&day=2026-03-18", "2026-02-20", "2026-04-02", 39),
    ],
)
def test_a_day_a_week_a_year(measured: Center, asked: str, first: str, last: str, rows: int) -> None:
    times = re.findall(r'<th scope="row">(.*?)</th>', seen(measured, f"{VITALS}?{asked}").data.decode())
    assert (times[-1], times[0], len(times)) == (first, last, rows)


def test_a_month_of_energy(measured: Center) -> None:
    body = seen(measured, f"{ENERGY}?{MARCH}").data.decode()
    found = dict(re.findall(r'<th scope="row">(03-\d\d)</th><td class="number">(.*?)</td>', body))
    assert len(found) == 31
    assert found["03-05"] == "<b>4.88</b>"
    assert found["03-11"] == "–"
    assert found["03-13"] == "<b>19.52</b>"  # with the three days before
    assert "with the time before" in body
    assert "another meter" in body
    assert found["03-31"] == "<b>4.88</b>"  # not summarised yet: from raw values


def test_a_day_of_energy_has_its_hours(measured: Center) -> None:
    body = seen(measured, f"{ENERGY}?range=day&day=2026-03-18").data.decode()
    hours = dict(re.findall(r'<th scope="row">(\d\d:00)</th><td class="number">(.*?)</td>', body))
    assert len(hours) == 24
    assert (hours["03:00"], hours["11:00"]) == ("<b>0.12</b>", "<b>0.62</b>")


def test_in_chinese(measured: Center) -> None:
    body = seen(measured, f"{VITALS}?{MARCH}", language="zh").data.decode()
    assert "收缩压" in body
    assert "没有测量的时间不连线" in body


def test_each_look_leaves_its_trace_and_energy_names_nobody(measured: Center) -> None:
    with measured.database.reading() as connection:
        before = connection.execute(select(func.max(schema.journal.c.id))).scalar() or 0
    seen(measured, f"{VITALS}?{MARCH}")
    body = seen(measured, f"{ENERGY}?{MARCH}").data.decode()
    with measured.database.reading() as connection:
        looks = connection.execute(select(schema.journal).where(schema.journal.c.id > before)).all()
        name = connection.execute(select(schema.resident.c.name).where(schema.resident.c.id == "r-1")).scalar_one()
    assert [(row.actor, row.detail) for row in looks] == [("mei", {"resident": "r-1"})]
    assert name not in body


def test_who_may_not_see_cards_sees_no_vital_signs(measured: Center) -> None:
    assert seen(measured, VITALS, "wall").status == 403
    assert seen(measured, ENERGY, "wall").status == 403
    assert measured.client("mei").request("GET", "/residents/nobody/charts").status == 404
    assert measured.client("mei").request("GET", "/homes/nowhere/energy").status == 404


def test_odd_questions_are_refused(measured: Center) -> None:
    for asked in ("range=decade", "day=tomorrow", "day=0001-01-01", "day=9999-12-31", "day=2026-02-30"):
        assert seen(measured, f"{ENERGY}?{asked}").status == 422, asked


def test_the_ends_of_time_are_empty(measured: Center) -> None:
    for asked in ("range=year&day=1970-06-01", "range=year&day=2261-01-01", "range=day&day=1970-01-05"):
        for path in (VITALS, ENERGY):
            answer = seen(measured, f"{path}?{asked}")
            assert (answer.status, "No values in this time" in answer.data.decode()) == (200, True), asked


def test_a_store_that_is_away_is_told(measured: Center) -> None:
    measured.store.away = True
    try:
        for path in (f"{VITALS}?{MARCH}", f"{ENERGY}?{MARCH}"):
            answer = seen(measured, path)
            assert answer.status == 200
            assert "has not answered in time" in answer.data.decode()
            assert '<svg class="plot"' not in answer.data.decode()
    finally:
        measured.store.away = False


@contextmanager
def hanging(center: Center) -> Iterator[None]:
    """A store that answers nobody until the end."""
    over = threading.Event()

    def read(query: SeriesQuery) -> list[Sample]:
        over.wait(HANGS_S)
        return []

    def summaries(tier: Tier, query: SeriesQuery) -> list[Summary]:
        over.wait(HANGS_S)
        return []

    center.store.read, center.store.summaries = read, summaries  # type: ignore[method-assign]
    try:
        yield
    finally:
        over.set()


def test_a_store_that_hangs_is_told_within_the_bound_and_the_rest_does_not_wait(served: Center) -> None:
    """It hangs for a minute: what is answered within half of that has not waited, however busy the machine is."""
    clients = [served.client(name) for name in ("mei", "jun", "boss")]
    token_of(served, "mei")
    with hanging(served), ThreadPoolExecutor(8) as pool:
        began = time.monotonic()
        asked = [pool.submit(clients[n % 2].request, "GET", f"{ENERGY}?{MARCH}") for n in range(4)]
        assert clients[2].request("GET", "/homes").status == 200
        answers = [each.result() for each in asked]
        assert WAIT_S <= time.monotonic() - began < HANGS_S / 2
        assert "has not answered in time" in seen(served, f"{ENERGY}?{MARCH}").data.decode()  # a fifth, at once
        assert time.monotonic() - began < HANGS_S / 2
    assert [each.status for each in answers] == [200] * 4
