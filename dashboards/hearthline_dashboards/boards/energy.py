"""Electricity of an area and its homes: what is used a day, when the peaks are, who stands out."""

from __future__ import annotations

from hearthline_dashboards.board import Board, Setting, datasource_variable, tag_variable
from hearthline_dashboards.influxql import Query, by, source, total, used_a_day, where
from hearthline_dashboards.kinds import table
from hearthline_dashboards.panels import bars, lines, number, rows

_TAGS = ("community", "home")
_METER = ("community", "home", "gateway", "device")
_TOP = 20
_EXACT = "30d"  # each meter's days one by one: of 200 homes a year of them takes InfluxDB seconds


def make(setting: Setting) -> Board:
    say, zone = setting.say, setting.zone
    board = Board(
        "energy",
        setting,
        say("能耗", "Energy"),
        say(
            "片区与各户用电：日用量、负荷曲线、用量最多与最少的住户。",
            "Electricity of an area and its homes: by day, by hour, the most and the least.",
        ),
        "now-365d",
        [datasource_variable(), tag_variable(setting, "community"), tag_variable(setting, "home", "community")],
        refresh="15m",
    )
    used = used_a_day("energy_import", zone, *_TAGS)
    whole = Query(total(used, "used"))
    board.add(number(say("30 天用电", "Used in 30 days"), whole, unit="kwatth", recent=_EXACT), 6, 6)
    board.add(number(say("现在功率", "Power now"), Query(_now()), unit="watt", recent="1h"), 6, 6)
    daily = Query(_a_day(used, zone), alias="$tag_community")
    panel = bars(say("每日用电（30 天）", "Electricity a day, 30 days"), daily, unit="kwatth", stacked=True)
    board.add(panel.time_from(_EXACT).hide_time_override(True), 12, 6)
    within = Query(_within_days(zone), alias="$tag_community")
    board.add(
        bars(say("每日用电（所选时段）", "Electricity a day, the range"), within, unit="kwatth", stacked=True), 24, 8
    )
    load = Query(_load(), alias="$tag_community")
    panel = lines(say("负荷曲线（最近 7 天）", "Load, the last 7 days"), load, unit="watt", least=0)
    board.add(panel.time_from("7d").hide_time_override(True), 24, 9)
    for title, pick in (
        (say("用电最多（30 天）", "Used most in 30 days"), "top"),
        (say("用电最少（30 天）", "Used least in 30 days"), "bottom"),
    ):
        board.add(_extremes(board, title, pick, used).time_from(_EXACT).hide_time_override(True), 12, 9)
    return board


def _a_day(used: str, zone: str) -> str:
    grouped = f"GROUP BY time(1d), {by('community')} fill(none) tz('{zone}')"
    return f'SELECT sum("used") AS "used" FROM ({used}) WHERE $timeFilter {grouped}'


def _within_days(zone: str) -> str:
    """Each day's last less first reading, added up at once: quick for years, without the minutes around midnight."""
    grouped = f"GROUP BY time(1d), {by('community')} fill(none) tz('{zone}')"
    what = 'sum("max") - sum("min") AS "used"'
    return f"SELECT {what} FROM {source('energy_import', 'daily')} WHERE {where(*_TAGS)} {grouped}"


def _now() -> str:
    last = f'SELECT last("value") AS "value" FROM "power" WHERE {where(*_TAGS)} GROUP BY {by(*_METER)}'
    return total(last)


def _load() -> str:
    """Each meter has one row a quarter of an hour: their means add up to the area's load, in one pass."""
    grouped = f"GROUP BY time(15m), {by('community')} fill(none)"
    return f'SELECT sum("mean") AS "power" FROM {source("power", "quarter")} WHERE {where(*_TAGS)} {grouped}'


def _extremes(board: Board, title: str, pick: str, used: str) -> table.Panel:
    say = board.setting.say
    each = f'SELECT sum("used") AS "used" FROM ({used}) WHERE $timeFilter GROUP BY {by("home")}'
    query = Query(f'SELECT {pick}("used", "home", {_TOP}) AS "used" FROM ({each}) WHERE $timeFilter', format="table")
    names = {"home": say("住户", "Home"), "used": say("用电 (kWh)", "Used (kWh)")}
    return rows(title, query, names=names, sort=("used", pick == "top"))
