"""One home: does somebody move about, how are the vital signs, what is used, do the devices speak."""

from __future__ import annotations

from hearthline_dashboards.board import Board, Setting, datasource_variable, link, tag_variable
from hearthline_dashboards.influxql import Query, curve, newest_rows, source, times_a_window, used_a_day, where
from hearthline_dashboards.panels import AMBER, GREEN, RED, bars, lines, number, rows, shown, states, words_of

_HOME = ("home",)
_DEVICE = ("home", "device")


def make(setting: Setting) -> Board:
    say, console = setting.say, setting.console
    board = Board(
        "home",
        setting,
        say("住户", "Home"),
        say(
            "一户的活动、体征、用电与设备。姓名只在值守台。",
            "One home's activity, vital signs, energy and devices. Names are in the console alone.",
        ),
        "now-7d",
        [
            datasource_variable(),
            tag_variable(setting, "community"),
            tag_variable(setting, "home", "community", many=False),
        ],
    )
    board.links += [
        link(say("该户的警报", "This home's cases"), f"{console}/history?home=${{home:percentencode}}"),
        link(say("该户的登记", "This home in the console"), f"{console}/homes#home-${{home:percentencode}}"),
    ]
    _activity(board)
    _vitals(board)
    _energy(board)
    _devices(board)
    return board


def _activity(board: Board) -> None:
    say, zone = board.setting.say, board.setting.zone
    board.row(say("活动", "Activity"))
    online = Query(newest_rows("gateway_online", "home", group=_HOME, name="value"))
    words = {"0": (say("失联", "silent"), RED), "1": (say("在线", "heard"), GREEN)}
    board.add(number(say("网关", "Gateway"), online, recent="2h").mappings([*words_of(words)]), 4, 8)
    moved = Query(times_a_window("motion", "home", window="1h", group=_DEVICE, zone=zone), alias="$tag_device")
    board.add(bars(say("每小时活动次数", "Movements an hour"), moved, interval="1h", stacked=True), 12, 8)
    opened = Query(times_a_window("contact", "home", window="1d", group=_DEVICE, zone=zone), alias="$tag_device")
    board.add(bars(say("每日开门次数", "Doors opened a day"), opened, stacked=True), 8, 8)
    door = f'SELECT "value" FROM {source("contact")} WHERE {where("home")} GROUP BY "device"'
    words = {"1": (say("开", "open"), AMBER), "0": (say("关", "closed"), GREEN)}
    panel = states(say("门（最近 24 小时）", "Doors, the last 24 hours"), Query(door, alias="$tag_device"), words=words)
    board.add(panel.time_from("24h").hide_time_override(True), 24, 5)


def _vitals(board: Board) -> None:
    say = board.setting.say
    board.row(say("体征", "Vital signs"))
    group = ("home", "resident")
    pressure = [
        Query(curve(quantity, "quarter", "home", group=group), alias=f"{title} $tag_resident")
        for quantity, title in (("systolic", say("收缩压", "systolic")), ("diastolic", say("舒张压", "diastolic")))
    ]
    steps = ((85, AMBER), (135, AMBER), (180, RED))
    board.add(lines(say("血压", "Blood pressure"), *pressure, unit="mmHg", steps=steps), 14, 8)
    pulse = Query(curve("heart_rate", "quarter", "home", group=group), alias="$tag_resident")
    board.add(lines(say("脉搏", "Pulse"), pulse), 10, 8)


def _energy(board: Board) -> None:
    say, zone = board.setting.say, board.setting.zone
    board.row(say("能耗与室内", "Energy and rooms"))
    used = Query(used_a_day("energy_import", zone, "home"), alias="$tag_device")
    board.add(bars(say("每日用电", "Electricity a day"), used, unit="kwatth"), 8, 8)
    for quantity, title, unit, width in (
        ("power", say("功率", "Power"), "watt", 8),
        ("temperature", say("室温", "Room temperature"), "celsius", 4),
        ("humidity", say("湿度", "Humidity"), "humidity", 4),
    ):
        values = Query(curve(quantity, "quarter", "home", group=_DEVICE), alias="$tag_device")
        board.add(lines(title, values, unit=unit), width, 8)


def _devices(board: Board) -> None:
    say = board.setting.say
    board.row(say("设备", "Devices"))
    names = {
        "device": say("设备", "Device"),
        "battery": say("电量", "Battery"),
        "radio_level": say("信号", "Radio level"),
        "silent": say("状态", "State"),
    }
    queries = [
        Query(newest_rows(quantity, "home", group=_DEVICE, name=name), format="table")
        for quantity, name in (("battery", "battery"), ("radio_level", "radio_level"), ("device_silent", "silent"))
    ]
    panel = rows(say("设备现状", "The devices now"), *queries, names=names, hidden=("Time", "home"))
    panel = shown(panel, names["battery"], unit="percent")
    panel = shown(panel, names["radio_level"], unit="dBm")
    words = {"0": (say("正常", "heard"), GREEN), "1": (say("失联", "silent"), RED)}
    panel = shown(panel, names["silent"], mappings=words_of(words))
    board.add(panel.time_from("48h").hide_time_override(True), 24, 8)
