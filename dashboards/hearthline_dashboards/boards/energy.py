"""Electricity of an area and its homes: what is used a day, when the peaks are, who stands out."""

from __future__ import annotations

from hearthline_dashboards.board import Board, Setting, datasource_variable, tag_variable
from hearthline_dashboards.influxql import Query, by, curve, total, used_a_day, where
from hearthline_dashboards.kinds import table
from hearthline_dashboards.panels import bars, lines, number, rows

_TAGS = ("community", "home")
_METER = ("community", "home", "gateway", "device")
_TOP = 20


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
        "now-30d",
        [datasource_variable(), tag_variable(setting, "community"), tag_variable(setting, "home", "community")],
        refresh="15m",
    )
    used = used_a_day("energy_import", zone, *_TAGS)
    whole = Query(total(used, "used"))
    board.add(number(say("所选时段用电", "Used in the range"), whole, unit="kwatth", recent=None), 6, 6)
    board.add(number(say("现在功率", "Power now"), Query(_now()), unit="watt", recent="1h"), 6, 6)
    daily = Query(_a_day(used, zone), alias="$tag_community")
    board.add(bars(say("每日用电", "Electricity a day"), daily, unit="kwatth", stacked=True), 12, 6)
    load = Query(_load(), alias="$tag_community")
    panel = lines(say("负荷曲线（最近 7 天）", "Load, the last 7 days"), load, unit="watt", interval="30m", least=0)
    board.add(panel.time_from("7d").hide_time_override(True), 24, 9)
    for title, pick in ((say("用电最多", "Used most"), "top"), (say("用电最少", "Used least"), "bottom")):
        board.add(_extremes(board, title, pick, used), 12, 9)
    return board


def _a_day(used: str, zone: str) -> str:
    grouped = f"GROUP BY time(1d), {by('community')} fill(none) tz('{zone}')"
    return f'SELECT sum("used") AS "used" FROM ({used}) WHERE $timeFilter {grouped}'


def _now() -> str:
    last = f'SELECT last("value") AS "value" FROM "power" WHERE {where(*_TAGS)} GROUP BY {by(*_METER)}'
    return total(last)


def _load() -> str:
    each = curve("power", "quarter", *_TAGS, group=_METER, what='mean("mean") AS "power"')
    grouped = f"GROUP BY time($__interval), {by('community')} fill(none)"
    return f'SELECT sum("power") AS "power" FROM ({each}) WHERE $timeFilter {grouped}'


def _extremes(board: Board, title: str, pick: str, used: str) -> table.Panel:
    say = board.setting.say
    each = f'SELECT sum("used") AS "used" FROM ({used}) WHERE $timeFilter GROUP BY {by("home")}'
    query = Query(f'SELECT {pick}("used", "home", {_TOP}) AS "used" FROM ({each})', format="table")
    names = {"home": say("住户", "Home"), "used": say("用电 (kWh)", "Used (kWh)")}
    return rows(title, query, names=names, sort=("used", pick == "top"))
