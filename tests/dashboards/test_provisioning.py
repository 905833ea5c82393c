"""The provisioning files: Grafana's documented shape, no secret, and rules whose queries tell what they say they do."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from dashboards.conftest import NOW_S, Center
from hearthline.model import CENTER_UNITS, TELEMETRY_UNITS
from hearthline_dashboards.board import LANGUAGES
from hearthline_dashboards.checking import check_rules
from hearthline_dashboards.commands import CONSOLE
from hearthline_dashboards.interpolation import Range, with_macros
from hearthline_dashboards.provisioning import RECEIVER, RULES, provisioning_files

COMMITTED = Path(__file__).resolve().parents[2] / "dashboards" / "grafana"
FILES = provisioning_files(CONSOLE, PurePosixPath("/etc/grafana/hearthline"))
TREES: dict[str, Any] = {path.name: yaml.safe_load(text) for path, text in FILES.items()}
SECRET = re.compile(r"password|token|url|user|addresses", re.IGNORECASE)


def test_the_committed_files_are_a_fresh_build() -> None:
    for path, text in FILES.items():
        assert (COMMITTED / path).read_text(encoding="utf-8") == text, (
            "hearthline dashboards build --to dashboards/grafana"
        )
    committed = {path.relative_to(COMMITTED) for path in (COMMITTED / "provisioning").rglob("*") if path.is_file()}
    assert committed == set(FILES)


def strings(tree: Any, key: str = "") -> list[tuple[str, str]]:
    if isinstance(tree, dict):
        return [found for name, value in tree.items() for found in strings(value, name)]
    if isinstance(tree, list):
        return [found for value in tree for found in strings(value, key)]
    return [(key, tree)] if isinstance(tree, str) else []


def test_no_secret_is_in_them_and_grafana_takes_no_text_for_a_variable() -> None:
    for tree in TREES.values():
        for key, value in strings(tree):
            if SECRET.search(key) and key not in ("datasourceUid", "folderUid", "uid"):
                assert re.fullmatch(r"\$__(env|file)\{[\w/.-]+\}", value), (key, value)
            elif key != "query":  # a rule's model is not interpolated
                assert "$" not in value, (key, value)


def test_data_sources_and_providers_are_whole() -> None:
    by_path = {str(path): yaml.safe_load(text) for path, text in FILES.items()}
    sources = by_path["provisioning/datasources/hearthline.yaml"]["datasources"]
    assert {source["uid"] for source in sources} == {"hearthline-influxdb", "hearthline-prometheus"}
    for source in sources:
        assert {"name", "uid", "type", "access", "url"} <= set(source)
    providers = by_path["provisioning/dashboards/hearthline.yaml"]["providers"]
    paths = [provider["options"]["path"] for provider in providers]
    assert paths == [f"/etc/grafana/hearthline/dashboards/{language}" for language in LANGUAGES]
    assert [provider["folderUid"] for provider in providers] == ["hearthline-zh", "hearthline-en"]  # as `push` has it


def test_rules_are_of_the_documented_shape() -> None:
    (group,) = TREES["hearthline-rules.yaml"]["groups"]
    assert {"orgId", "name", "folder", "interval", "rules"} == set(group)
    names = [point["name"] for point in TREES["hearthline-contact-points.yaml"]["contactPoints"]]
    assert names == [RECEIVER]
    assert len({rule["uid"] for rule in group["rules"]}) == len(group["rules"]) == len(RULES)
    for rule in group["rules"]:
        assert len(rule["uid"]) <= 40
        assert len(rule["title"]) <= 190
        refs = [each["refId"] for each in rule["data"]]
        assert rule["condition"] == refs[-1]
        for before, each in zip(refs, rule["data"][1:], strict=False):
            assert each["datasourceUid"] == "__expr__"
            assert each["model"]["expression"] == before
        assert all(each["model"]["refId"] == each["refId"] for each in rule["data"])
        assert rule["noDataState"] in ("NoData", "Alerting", "OK")
        assert rule["notification_settings"]["receiver"] in names
        asked = re.findall(r'FROM (?:"daily"\.)?"(\w+)"', rule["data"][0]["model"]["query"])
        assert set(asked) <= set(CENTER_UNITS | TELEMETRY_UNITS)


@pytest.mark.integration
def test_every_rules_query_has_an_answer(center: Center) -> None:
    found = list(check_rules(center.influx, center.now_ms))
    assert [each for each in found if each.fault] == []
    assert len(found) == len(RULES)


def fires(center: Center, name: str, *lines: str) -> bool:
    """Whether the rule would fire on these lines alone, in a database of their own."""
    rule = next(rule for rule in RULES if rule.name == name)
    influx = center.influx
    influx.ask('CREATE DATABASE "trial" ')
    try:
        influx.ask('CREATE RETENTION POLICY "daily" ON "trial" DURATION 0s REPLICATION 1')
        center.write("trial", lines)
        span = Range((NOW_S - rule.back_s) * 1000, NOW_S * 1000)
        series = center.of("trial").ask(with_macros(rule.query, span))
    finally:
        influx.ask('DROP DATABASE "trial"')
    values = [each["values"][-1][1] for each in series if each["values"]]
    if not values:
        return rule.nothing_is == "Alerting"
    return any(value > rule.limit if rule.is_above else value < rule.limit for value in values)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        ("center-writes-nothing", "homes,community=c value=3", "homes,community=c value=3"),
        ("nobody-answers", "longest_wait,community=c value=700", "longest_wait,community=c value=30"),
        ("many-homes-silent", "silent_homes,community=c value=6", "silent_homes,community=c value=2"),
        ("outbox-fills", "outbox_room,home=h,gateway=g value=3", "outbox_room,home=h,gateway=g value=90"),
        ("battery-low", "battery,home=h,device=d last=9", "battery,home=h,device=d last=80"),
    ],
)
def test_a_rule_fires_for_what_it_says_and_for_nothing_else(center: Center, rule: str, bad: str, good: str) -> None:
    policy = "daily" if rule == "battery-low" else "autogen"
    old = NOW_S - 20 * 60 if rule == "center-writes-nothing" else NOW_S - 60
    assert fires(center, rule, f"{policy} {bad} {old}000000000")
    assert not fires(center, rule, f"{policy} {good} {NOW_S - 60}000000000")


@pytest.mark.integration
def test_dropped_readings_fire_when_more_are_dropped(center: Center) -> None:
    head = "autogen outbox_dropped,home=h,gateway=g"
    before, now = f"{NOW_S - 7200}000000000", f"{NOW_S - 60}000000000"
    assert fires(center, "readings-dropped", f"{head} value=5 {before}", f"{head} value=9 {now}")
    assert not fires(center, "readings-dropped", f"{head} value=5 {before}", f"{head} value=5 {now}")
