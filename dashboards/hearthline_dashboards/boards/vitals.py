"""Blood pressure and pulse, by resident's number: a question of weeks, not of one reading."""

from __future__ import annotations

from hearthline_dashboards.board import Board, Setting, datasource_variable, tag_variable
from hearthline_dashboards.influxql import Query, by, newest_rows, source, where
from hearthline_dashboards.panels import AMBER, RED, bars, lines, rows, shown

_TAGS = ("community", "home", "resident")
_MOST = 40  # curves that anybody can tell apart, and that a year of is quick
LIMITS = {  # a home's mean, and a single value that calls for a second one
    "systolic": ((135, AMBER), (180, RED)),
    "diastolic": ((85, AMBER), (110, RED)),
}


def make(setting: Setting) -> Board:
    say = setting.say
    board = Board(
        "vitals",
        setting,
        say("体征", "Vital signs"),
        say(
            "血压与脉搏。虚线：家庭自测均值参考 135/85，单次 180/110 需复测。供护理人员参考，不作诊断。",
            "Blood pressure and pulse. Dashed: 135/85, the reference for means taken at home; 180/110, where a single "
            "value calls for a second one. For staff, not a diagnosis.",
        ),
        "now-30d",
        [
            datasource_variable(),
            tag_variable(setting, "community"),
            tag_variable(setting, "home", "community"),
            tag_variable(setting, "resident", "community", "home"),
        ],
        refresh="15m",
    )
    for quantity, title, unit in (
        ("systolic", say("收缩压（日均，最多 40 人）", "Systolic, a day's mean, at most 40"), "mmHg"),
        ("diastolic", say("舒张压（日均，最多 40 人）", "Diastolic, a day's mean, at most 40"), "mmHg"),
        ("heart_rate", say("脉搏（日均，最多 40 人）", "Pulse, a day's mean, at most 40"), "short"),
    ):
        values = Query(_means_of_days(quantity, setting.zone), alias="$tag_resident")
        board.add(lines(title, values, unit=unit, steps=LIMITS.get(quantity, ()), interval="1d"), 12, 9)
    counted = Query(_measured_a_day(setting.zone), alias=say("测量次数", "measurements"))
    board.add(bars(say("每日测量次数", "Measurements a day"), counted), 12, 9)
    _latest(board)
    return board


def _means_of_days(quantity: str, zone: str) -> str:
    grouped = f"GROUP BY time(1d), {by('resident')} fill(none) SLIMIT {_MOST} tz('{zone}')"
    return f'SELECT mean("mean") FROM {source(quantity, "daily")} WHERE {where(*_TAGS)} {grouped}'


def _measured_a_day(zone: str) -> str:
    grouped = f"GROUP BY time(1d) fill(none) tz('{zone}')"
    return f'SELECT sum("count") FROM {source("systolic", "daily")} WHERE {where(*_TAGS)} {grouped}'


def _latest(board: Board) -> None:
    say, console = board.setting.say, board.setting.console
    names = {
        "community": say("社区", "Community"),
        "home": say("住户", "Home"),
        "resident": say("老人编号", "Resident"),
        "systolic": say("收缩压", "Systolic"),
        "diastolic": say("舒张压", "Diastolic"),
        "heart_rate": say("脉搏", "Pulse"),
    }
    queries = [
        Query(newest_rows(quantity, *_TAGS, group=_TAGS, name=quantity), format="table")
        for quantity in ("systolic", "diastolic", "heart_rate")
    ]
    panel = rows(say("最近一次（7 天内）", "The last of 7 days"), *queries, names=names, sort=("systolic", True))
    for quantity in ("systolic", "diastolic"):
        panel = shown(panel, names[quantity], unit="mmHg")
    address = f"{console}/residents/${{__value.raw:percentencode}}"
    to_console = [{"title": say("在值守台查看", "Look in the console"), "url": address, "targetBlank": True}]
    panel = shown(panel, names["resident"], links=to_console)
    board.add(panel.time_from("7d").hide_time_override(True), 24, 10)
