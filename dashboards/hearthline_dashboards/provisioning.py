"""Grafana's provisioning files: data sources, where the dashboards lie, rules that watch the center from outside.

No secret is in them: Grafana itself puts in `$__file{…}` and `$__env{…}` when it reads them. It leaves the queries of
alert rules as they are (`$timeFilter` in a rule's model is the data source's); every other `$` would be taken for a
variable, so the texts have none.

The desk is who answers alarms, and its escalation is who tells people. These rules are a second pair of eyes for
whoever runs the center.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml

from hearthline_dashboards.board import LANGUAGES, TAG, Setting
from hearthline_dashboards.influxql import by

INFLUXDB, PROMETHEUS = f"{TAG}-influxdb", f"{TAG}-prometheus"
SECRETS = "/etc/grafana/secrets"
RECEIVER = "hearthline-operators"
HOUR_S, DAY_S = 3600, 86_400
_HEAD = "# Made by `hearthline dashboards build`. What each variable and file must hold: docs/dashboards.md\n"


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert rule. Fires when the `reducer` of any series is above (or below) `limit` for `lasting`."""

    name: str
    zh: str
    en: str
    query: str
    back_s: int
    reducer: Literal["last", "max", "min"]
    is_above: bool
    limit: float
    lasting: str
    nothing_is: Literal["OK", "Alerting"] = "OK"
    may_be_empty: bool = False

    @property
    def uid(self) -> str:
        return f"{TAG}-{self.name}"


RULES = (
    Rule(
        "center-writes-nothing",
        "中心已 10 分钟没有写入状态，数字不可信，请检查 desk 角色和时序库",
        "The center has written nothing of itself for 10 minutes: look at the role desk and at the store",
        'SELECT count("value") FROM "homes" WHERE $timeFilter',
        600,
        "last",
        False,
        1,
        "2m",
        nothing_is="Alerting",
    ),
    Rule(
        "nobody-answers",
        "有紧急呼叫 10 分钟无人接警",
        "An emergency has waited for 10 minutes and nobody has taken it",
        f'SELECT last("value") FROM "longest_wait" WHERE $timeFilter GROUP BY {by("community")}',
        600,
        "last",
        True,
        600,
        "0s",
    ),
    Rule(
        "many-homes-silent",
        "一个社区同时有 5 户以上失联，可能是网络或停电",
        "More than 5 homes of a community are silent at once: a network or the electricity may have failed",
        f'SELECT last("value") FROM "silent_homes" WHERE $timeFilter GROUP BY {by("community")}',
        600,
        "last",
        True,
        5,
        "5m",
    ),
    Rule(
        "outbox-fills",
        "网关存储余量不足 12 小时",
        "A gateway has less than 12 hours of room left",
        f'SELECT last("value") FROM "outbox_room" WHERE $timeFilter GROUP BY {by("community", "home", "gateway")}',
        2 * HOUR_S,
        "last",
        False,
        12,
        "15m",
        may_be_empty=True,
    ),
    Rule(
        "readings-dropped",
        "网关已丢弃读数（报警不会丢）",
        "A gateway has dropped readings; alarms are never dropped",
        f'SELECT spread("value") FROM "outbox_dropped" WHERE $timeFilter GROUP BY {by("community", "home", "gateway")}',
        DAY_S,
        "last",
        True,
        0,
        "0s",
    ),
    Rule(
        "battery-low",
        "设备电量低于 15%",
        "A device's battery is below 15 %",
        f'SELECT last("last") FROM "daily"."battery" WHERE $timeFilter GROUP BY {by("community", "home", "device")}',
        7 * DAY_S,
        "last",
        False,
        15,
        "1h",
    ),
)


def provisioning_files(console: str, installed: PurePosixPath) -> dict[Path, str]:
    """Path below the folder -> text. `installed`: where the folder lies on Grafana's machine."""
    trees = {
        "datasources/hearthline.yaml": _datasources(),
        "dashboards/hearthline.yaml": _providers(installed),
        "alerting/hearthline-rules.yaml": _rules(console),
        "alerting/hearthline-contact-points.yaml": _contact_points(),
        "alerting/hearthline-wecom.yaml.example": _wecom(),
    }
    return {Path("provisioning", name): _HEAD + _text(tree) for name, tree in trees.items()}


def _text(tree: dict[str, Any]) -> str:
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=1000)


def _datasources() -> dict[str, Any]:
    influxdb = {
        "name": "Hearthline influxdb",
        "uid": INFLUXDB,
        "type": "influxdb",
        "access": "proxy",
        "url": "$__env{HEARTHLINE_INFLUXDB_URL}",
        "user": "$__env{HEARTHLINE_INFLUXDB_USER}",
        "jsonData": {"dbName": "hearthline", "httpMode": "POST", "version": "InfluxQL"},
        "secureJsonData": {"password": f"$__file{{{SECRETS}/hearthline-influxdb}}"},
    }
    prometheus = {
        "name": "Hearthline prometheus",
        "uid": PROMETHEUS,
        "type": "prometheus",
        "access": "proxy",
        "url": "$__env{HEARTHLINE_PROMETHEUS_URL}",
        "jsonData": {"timeInterval": "15s"},
    }
    return {"apiVersion": 1, "datasources": [influxdb, prometheus]}


def _providers(installed: PurePosixPath) -> dict[str, Any]:
    providers = [
        {
            "name": f"{TAG}-{language}",
            "type": "file",
            "folder": Setting(language).folder,
            "folderUid": f"{TAG}-{language}",
            "allowUiUpdates": False,
            "updateIntervalSeconds": 60,
            "options": {"path": str(installed / "dashboards" / language)},
        }
        for language in LANGUAGES
    ]
    return {"apiVersion": 1, "providers": providers}


def _rules(console: str) -> dict[str, Any]:
    group = {
        "orgId": 1,
        "name": TAG,
        "folder": "Hearthline",
        "interval": "1m",
        "rules": [_rule(rule, console) for rule in RULES],
    }
    return {"apiVersion": 1, "groups": [group]}


def _rule(rule: Rule, console: str) -> dict[str, Any]:
    comparison = {"evaluator": {"type": "gt" if rule.is_above else "lt", "params": [rule.limit]}}
    asked = {"refId": "A", "query": rule.query, "rawQuery": True, "resultFormat": "time_series", "intervalMs": 60_000}
    reduced = {"refId": "B", "type": "reduce", "expression": "A", "reducer": rule.reducer}
    compared = {"refId": "C", "type": "threshold", "expression": "B", "conditions": [comparison]}
    return {
        "uid": rule.uid,
        "title": f"{rule.zh} / {rule.en}"[:190],
        "condition": "C",
        "data": [
            _data("A", INFLUXDB, asked, rule.back_s),
            _data("B", "__expr__", reduced, 0),
            _data("C", "__expr__", compared, 0),
        ],
        "noDataState": rule.nothing_is,
        "execErrState": "Error",
        "for": rule.lasting,
        "annotations": {"summary": rule.en, "summary_zh": rule.zh, "console": f"{console}/"},
        "labels": {"product": TAG, "rule": rule.name},
        "notification_settings": {"receiver": RECEIVER},
        "isPaused": False,
    }


def _data(ref: str, source: str, asked: dict[str, Any], back_s: int) -> dict[str, Any]:
    return {"refId": ref, "relativeTimeRange": {"from": back_s, "to": 0}, "datasourceUid": source, "model": asked}


def _contact_points() -> dict[str, Any]:
    mail = {
        "uid": f"{TAG}-mail",
        "type": "email",
        "settings": {"addresses": "$__env{HEARTHLINE_ALERT_EMAIL}", "singleEmail": True},
    }
    return {"apiVersion": 1, "contactPoints": [{"orgId": 1, "name": RECEIVER, "receivers": [mail]}]}


def _wecom() -> dict[str, Any]:
    """An example: renamed to .yaml it takes the place of the mail."""
    wecom = {
        "uid": f"{TAG}-wecom",
        "type": "wecom",
        "settings": {"url": f"$__file{{{SECRETS}/hearthline-wecom-url}}"},
    }
    return {"apiVersion": 1, "contactPoints": [{"orgId": 1, "name": RECEIVER, "receivers": [wecom]}]}
