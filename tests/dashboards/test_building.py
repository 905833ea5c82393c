"""The dashboards as files: the committed ones are a fresh build, and hold to what Grafana and the house ask for."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from typer.testing import CliRunner

from hearthline.errors import ConfigError
from hearthline.model import CENTER_UNITS, CHANGES, TELEMETRY_UNITS, VITAL_UNITS
from hearthline_dashboards.board import WIDTH, Setting
from hearthline_dashboards.boards import boards, every_board
from hearthline_dashboards.building import as_tree, check_console, check_zone, files
from hearthline_dashboards.commands import CONSOLE, ZONE, app
from hearthline_dashboards.kinds import JSONEncoder, model

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "dashboards" / "grafana"
TREES = [as_tree(board) for board in every_board(ZONE, CONSOLE)]
UNITS = TELEMETRY_UNITS | VITAL_UNITS | CENTER_UNITS | {quantity: "/" for quantity, _ in CHANGES.values()}
SHOWN_AS = {  # Grafana's unit -> what the quantity is measured in
    "kwatth": {"kWh"},
    "watt": {"W"},
    "celsius": {"Cel"},
    "humidity": {"%RH"},
    "percent": {"%EL"},
    "dBm": {"dBm"},
    "mmHg": {"mm[Hg]"},
    "h": {"h"},
    "s": {"s"},
    "percentunit": {"/"},
    "short": {"count", "/", "/min", "mm[Hg]"},
}


def targets(tree: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """(panel, query) of those that ask InfluxDB."""
    return [(panel, each["query"]) for panel in tree["panels"] for each in panel.get("targets", ()) if "query" in each]


def test_the_committed_files_are_a_fresh_build() -> None:
    fresh = files(every_board(ZONE, CONSOLE))
    for path, text in fresh.items():
        assert (COMMITTED / path).read_text(encoding="utf-8") == text, (
            f"run: hearthline dashboards build --to {COMMITTED}"
        )
    committed = {path.relative_to(COMMITTED) for path in COMMITTED.glob("dashboards/*/*.json")}
    assert committed == {path for path in fresh if path.suffix == ".json"}


def test_building_twice_changes_nothing_and_says_so(tmp_path: Path) -> None:
    first = CliRunner().invoke(app, ["build", "--to", str(tmp_path)])
    assert first.exit_code == 0, first.output
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    (tmp_path / "dashboards" / "zh" / "mine.json").write_text("{}", encoding="utf-8")
    second = CliRunner().invoke(app, ["build", "--to", str(tmp_path)])
    assert "0 of them written" in second.stdout
    assert {path: path.stat().st_mtime_ns for path in times} == times
    third = CliRunner().invoke(app, ["build", "--to", str(tmp_path), "--console", "https://center.example.org/"])
    assert "changed" in third.stdout
    assert "https://center.example.org/homes#" in (tmp_path / "dashboards/zh/hearthline-home-zh.json").read_text(
        "utf-8"
    )


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: str(tree["uid"]))
def test_a_dashboard_is_one_of_grafanas_kind(tree: dict[str, Any]) -> None:
    assert len(tree["uid"]) <= 40
    again = json.loads(json.dumps(model.Dashboard.from_json(tree), cls=JSONEncoder))
    assert again["panels"][0]["gridPos"] == tree["panels"][0]["gridPos"]
    assert [panel["type"] for panel in again["panels"]] == [panel["type"] for panel in tree["panels"]]
    numbers = [panel["id"] for panel in tree["panels"]]
    assert len(set(numbers)) == len(numbers)
    cells = [
        (x, y)
        for panel in tree["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells), "two panels lie on each other"
    assert max(x for x, _ in cells) < WIDTH
    for panel in tree["panels"]:
        refs = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(refs)) == len(refs)


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: str(tree["uid"]))
def test_each_query_reads_a_quantity_that_is_written_and_shows_its_unit(tree: dict[str, Any]) -> None:
    for panel, query in targets(tree):
        asked = set(re.findall(r'FROM (?:"(?:quarter|daily)"\.)?"(\w+)"', query))
        assert asked, query
        assert asked <= set(UNITS), query
        if panel["type"] in ("stat", "timeseries") and "count(" not in query and '"times"' not in query:
            shown = panel["fieldConfig"]["defaults"].get("unit", "short")
            assert {UNITS[quantity] for quantity in asked} <= SHOWN_AS[shown], (panel["title"], query)


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: str(tree["uid"]))
def test_variables_come_into_queries_in_the_one_safe_form(tree: dict[str, Any]) -> None:
    named = {variable["name"]: variable for variable in tree["templating"]["list"]}
    of_variables = [each["query"] for each in named.values() if each["type"] == "query"]
    for query in [*of_variables, *(query for _, query in targets(tree))]:
        bare = re.sub(r'"(\w+)" =~ /\^\(\$\{\1:regex\}\)\$/', "", query)
        assert "$" not in re.sub(r"\$(timeFilter|__interval)\b", "", bare), query
        for name in re.findall(r"\$\{(\w+):regex\}", query):
            assert name in named, query
    for variable in named.values():
        if variable.get("includeAll"):
            assert variable["allValue"] == ".*"  # else 200 homes would stand in every query


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: str(tree["uid"]))
def test_a_long_range_is_never_read_from_raw_values(tree: dict[str, Any]) -> None:
    """Raw values are asked for the last one or within a fixed time: a year of a city is behind the time picker."""
    for panel, query in targets(tree):
        if re.search(r'FROM "(?!quarter|daily)\w+" WHERE', query):
            assert "timeFrom" in panel, (panel["title"], query)


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: str(tree["uid"]))
def test_each_select_is_bounded_in_time(tree: dict[str, Any]) -> None:
    """An outer one without it made InfluxDB look through the shards of all times: 0.5 s instead of 0.02 on a year."""
    for _, query in targets(tree):
        assert query.count("SELECT") == query.count("$timeFilter"), query


def test_no_dashboard_shows_who_somebody_is() -> None:
    for tree in TREES:
        text = json.dumps(tree, ensure_ascii=False)
        assert not re.search(r"resident_name|home_name|address|phone|姓名：|电话", text.replace("percentencode", ""))


def test_both_languages_have_the_same_panels_and_no_words_of_the_other() -> None:
    chinese, english = (boards(Setting(language)) for language in ("zh", "en"))
    for ours, theirs in zip(map(as_tree, chinese), map(as_tree, english), strict=True):
        for one, other in itertools.zip_longest(ours["panels"], theirs["panels"]):
            assert [each.get("query") for each in one.get("targets", [])] == [
                each.get("query") for each in other.get("targets", [])
            ]
            assert one["type"] == other["type"]
        assert not re.search(r"[\u3400-\u9fff]", json.dumps(theirs, ensure_ascii=False))
        for panel in ours["panels"]:
            title = panel.get("title") or panel["options"]["content"]
            assert re.search(r"[\u3400-\u9fff]", title), title


def test_the_metrics_that_are_asked_for_are_documented() -> None:
    documented = set(re.findall(r"`((?:hearthline|process)_\w+)`", (ROOT / "docs" / "metrics.md").read_text("utf-8")))
    for tree in TREES:
        for panel in tree["panels"]:
            for target in panel.get("targets", ()):
                for name in re.findall(r"\b((?:hearthline|process)_\w+)", target.get("expr", "")):
                    assert name in documented or name.removesuffix("_bucket") in documented, name


def test_what_prometheus_is_asked_is_its_language() -> None:
    asked = 0
    for tree in TREES:
        for panel in tree["panels"]:
            for target in panel.get("targets", ()):
                if "expr" in target:
                    promql_parser.parse(target["expr"].replace("$__rate_interval", "1m"))  # raises
                    asked += 1
    assert asked > 30
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        promql_parser.parse("sum by (le (x)")


@pytest.mark.parametrize("zone", ["Asia/Nowhere", "'); DROP", "../../etc/passwd", ""])
def test_a_zone_that_is_none_gets_into_no_query(zone: str) -> None:
    with pytest.raises(ConfigError, match="--zone"):
        check_zone(zone)


@pytest.mark.parametrize(
    "url", ["center.example.org", "javascript:alert(1)", "https://a b", "https://x/${home}", "https://"]
)
def test_a_console_that_no_link_can_begin_with_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="--console"):
        check_console(url)
