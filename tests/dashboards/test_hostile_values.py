"""A variable's value cannot break out of a query: each query of each panel with hostile values, on a real InfluxDB."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from dashboards.conftest import DATABASE, Center
from hearthline.errors import LinkError
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store import Point
from hearthline_cloud.store.influx import InfluxStore
from hearthline_dashboards.board import Setting
from hearthline_dashboards.boards import boards
from hearthline_dashboards.building import as_tree
from hearthline_dashboards.checking import Influx
from hearthline_dashboards.interpolation import (
    ALL,
    Range,
    UnknownFormatError,
    Variable,
    interpolated,
    interval_s,
    with_variables,
)

HOSTILE = (
    "it's",
    'say "when"',
    "a/b",
    "a\\",
    "\\' OR 1=1 --",
    "'; DROP DATABASE hearthline; SELECT '1",
    ')$/ OR "home" =~ /.*',
    ")$/; DROP DATABASE hearthline --",
    "\\)$/ OR true",
    ".*",
    "home-000.",
    "(home-0001|home-0002)",
    "李奶奶家 3/402",
    "$timeFilter",
    "${community:regex}",
    "[[home]]",
    "$__interval",
    "a\nb",
    "a\r; SHOW DATABASES",
    "%27",
    "\x00",
    "x" * 3000,
)
# What no query can say: InfluxQL has no line break in a pattern, and Grafana's second pass replaces a macro's name.
# Such a value is refused or finds nothing.
NOT_SAID = re.compile(r"[\n\r\x00]|\$timeFilter|\$__interval")
NAMES = ("community", "home", "device", "gateway", "resident")


@pytest.fixture(scope="module")
def homes(center: Center) -> Influx:
    """Beside the simulated homes, one home for each value that a home may be called by, as the center stores it."""
    at_ns = center.now_ms * 1_000_000 - 60 * 10**9
    points = [
        Point("voltage", "odd", value, "gw-odd", "meter", float(place), at_ns) for place, value in enumerate(HOSTILE)
    ]
    points.append(Point("voltage", "odd", "other", "gw-odd", "meter", -1.0, at_ns))
    with closing(InfluxStore(StoreConfig(kind="influxdb", url=center.url, database=DATABASE))) as store:
        refused = {point.home for point, _ in store.write(points)}
    assert refused <= {"x" * 3000}
    return center.influx


def chosen(value: str | list[str]) -> dict[str, Variable]:
    return {name: Variable(value, ".*") for name in NAMES}


def span(center: Center, back_s: int = 6 * 86_400) -> Range:
    return Range(center.now_ms - back_s * 1000, center.now_ms)


def queries() -> Iterator[str]:
    for board in boards(Setting("en")):
        tree = as_tree(board)
        yield from (each["query"] for each in tree["templating"]["list"] if each["type"] == "query")
        yield from (each["query"] for panel in tree["panels"] for each in panel.get("targets", ()) if "query" in each)


@pytest.mark.integration
def test_no_query_of_any_panel_lets_a_value_out(center: Center, homes: Influx) -> None:
    asked = 0
    for text in dict.fromkeys(text for text in queries() if "${" in text):
        for value in HOSTILE:
            asked += 1
            query = interpolated(text, chosen(value), span(center), "15m")
            if NOT_SAID.search(value):
                with suppress(LinkError):
                    assert homes.points(query, span(center), 15) == 0, query
                continue
            found = homes.ask(query)
            assert [row for series in found for row in series["values"]] == [], (value, query)
    assert asked > 1500
    assert DATABASE in homes.values("SHOW DATABASES")


@pytest.mark.integration
def test_a_value_that_there_is_finds_itself_and_nothing_else(center: Center, homes: Influx) -> None:
    stored = [value for value in homes.values('SHOW TAG VALUES FROM "voltage" WITH KEY = "home"') if value != "other"]
    assert len(stored) == len(HOSTILE) - 1
    text = 'SELECT "value", "home" FROM "voltage" WHERE "home" =~ /^(${home:regex})$/ AND $timeFilter'
    sayable = [value for value in stored if not NOT_SAID.search(value)]
    assert len(sayable) == len(stored) - 2
    for value in sayable:  # as Grafana gets them from InfluxDB: control characters and backslashes are percent-encoded
        found = homes.ask(interpolated(text, chosen(value), span(center)))
        assert [row[2] for series in found for row in series["values"]] == [value]
    several = homes.ask(interpolated(text, chosen(sayable[:5]), span(center)))
    assert {row[2] for series in several for row in series["values"]} == set(sayable[:5])
    everything = homes.ask(interpolated(text, chosen(ALL), span(center)))
    assert len(everything[0]["values"]) == len(stored) + 1


@pytest.mark.integration
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('SELECT "value" FROM "voltage" WHERE "home" = ${home:sqlstring} AND $timeFilter', "\\' OR home =~ /./ --"),
        ('SELECT "value" FROM "voltage" WHERE "home" = \'$home\' AND $timeFilter', '\' OR "home" =~ /./ --'),
        ('SELECT "value" FROM "voltage" WHERE "home" =~ /${home:raw}/ AND $timeFilter', "."),
    ],
)
def test_the_forms_that_these_dashboards_do_not_use_would_let_it_out(
    center: Center, homes: Influx, text: str, value: str
) -> None:
    found = homes.ask(interpolated(text, chosen(value), span(center)))
    assert sum(len(series["values"]) for series in found) == len(HOSTILE)


@pytest.mark.integration
def test_without_the_bracket_a_backslash_would_swallow_the_end(center: Center, homes: Influx) -> None:
    text = 'SELECT "value" FROM "voltage" WHERE "home" =~ /${home:regex}/ AND $timeFilter'
    with pytest.raises(LinkError, match="refused the query"):
        homes.ask(interpolated(text, chosen("a\\"), span(center)))


# --- the copy of Grafana's interpolation ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "form", "result"),
    [
        ("test.", "regex", "test\\."),
        (["test."], "regex", "test\\."),
        (["test.", "test2"], "regex", "(test\\.|test2)"),
        ("a/b", "regex", "a\\/b"),
        (ALL, "regex", ".*"),
        ([ALL], "regex", ".*"),
        ("it's", "sqlstring", "'it''s'"),
        (["a b", "c"], "percentencode", "%7Ba%20b%2Cc%7D"),
        ("李", "percentencode", "%E6%9D%8E"),
        (["a", "b"], "raw", "a,b"),
    ],
)
def test_formats_are_grafanas(value: str | list[str], form: str, result: str) -> None:
    assert with_variables(f"${{home:{form}}}", chosen(value)) == result


def test_what_is_no_variable_waits_for_the_second_pass() -> None:
    text = 'SELECT $__interval, ${nobody:regex}, $home FROM "x" WHERE $timeFilter'
    assert with_variables(text, {"home": Variable("h")}) == text.replace("$home", "h")
    asked = interpolated(text, {"home": Variable("h")}, Range(0, 3_600_000))
    assert asked == 'SELECT 2s, ${nobody:regex}, h FROM "x" WHERE time >= 0ms and time <= 3600000ms'
    with pytest.raises(UnknownFormatError):
        with_variables("${home:lucene}", chosen("x"))


@pytest.mark.parametrize(
    ("days", "least", "step_s"),
    [(1, "", 60), (1, "15m", 900), (30, "15m", 1800), (365, "15m", 21_600), (7, "1d", 86_400)],
)
def test_the_interval_follows_the_range_and_never_goes_below_the_panels(days: int, least: str, step_s: int) -> None:
    assert interval_s(Range(0, days * 86_400_000), least) == step_s
