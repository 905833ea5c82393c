"""The desk's work over weeks: how many called, how soon they were answered, how long somebody waited."""

from __future__ import annotations

from hearthline_dashboards.board import Board, Setting, datasource_variable, tag_variable
from hearthline_dashboards.influxql import Query, by, curve, source, where
from hearthline_dashboards.panels import AMBER, RED, bars, lines, number


def make(setting: Setting) -> Board:
    say, zone = setting.say, setting.zone
    board = Board(
        "service",
        setting,
        say("服务指标", "Service figures"),
        say(
            "呼叫与应答的走势。正式指标与其定义在值守台“统计”页。",
            "How calls and answers go. The figures proper and their definitions are on the console's page of figures.",
        ),
        "now-30d",
        [datasource_variable(), tag_variable(setting, "community")],
        refresh="15m",
    )
    counted = {
        "calls_today": say("紧急呼叫", "Emergencies"),
        "answered_today": say("已应答", "Answered"),
        "answered_60s_today": say("60 秒内应答", "Answered within 60 s"),
        "answered_180s_today": say("180 秒内应答", "Answered within 180 s"),
    }
    for quantity, title in counted.items():
        whole = f'SELECT sum("value") AS "value" FROM ({_of_days(quantity, zone)}) WHERE $timeFilter'
        board.add(number(title, Query(whole), recent=None), 6, 4)
    daily = f"WHERE $timeFilter GROUP BY time(1d) fill(none) tz('{zone}')"
    queries = [
        Query(f'SELECT sum("value") AS "value" FROM ({_of_days(quantity, zone)}) {daily}', alias=title)
        for quantity, title in counted.items()
    ]
    board.add(bars(say("每日呼叫与应答", "Calls and answers a day"), *queries), 24, 9)
    for quantity, title, unit, steps in (
        ("longest_wait", say("最长等待", "Longest wait"), "s", ((60, AMBER), (180, RED))),
        ("open_service_calls", say("未结服务呼叫", "Open service calls"), "short", ()),
    ):
        highest = curve(quantity, "quarter", "community", group=("community",), what='max("max")')
        board.add(lines(title, Query(highest, alias="$tag_community"), unit=unit, steps=steps, least=0), 12, 8)
    return board


def _of_days(quantity: str, zone: str) -> str:
    """What each day ended with, by community: these counts begin anew at midnight."""
    grouped = f"GROUP BY time(1d), {by('community')} fill(none) tz('{zone}')"
    return f'SELECT max("max") AS "value" FROM {source(quantity, "daily")} WHERE {where("community")} {grouped}'
