"""Gateways and devices: who is silent, whose battery ends, whose radio is weak, what waits in the outboxes."""

from __future__ import annotations

from hearthline_dashboards.board import Board, Setting, datasource_variable, tag_variable
from hearthline_dashboards.influxql import Query, by, curve, newest, source, total, where
from hearthline_dashboards.kinds import table
from hearthline_dashboards.panels import AMBER, GREEN, RED, lines, number, rows, shown, states

_TAGS = ("community", "home")
_GATEWAY = ("home", "gateway")
_PLACE = ("home", "gateway", "device")
_WORST = 20


def make(setting: Setting) -> Board:
    say = setting.say
    board = Board(
        "devices",
        setting,
        say("设备与网关", "Devices and gateways"),
        say("失联、电量、信号、待传数据。", "Silence, batteries, radio, and what waits to be sent."),
        "now-7d",
        [
            datasource_variable(),
            tag_variable(setting, "community"),
            tag_variable(setting, "home", "community"),
            tag_variable(setting, "device", "community", "home"),
        ],
        refresh="5m",
    )
    board.row(say("网关", "Gateways"))
    _gateways_now(board)
    _gateways_since(board)
    board.row(say("设备", "Devices"))
    _devices(board)
    return board


def _gateways_now(board: Board) -> None:
    say = board.setting.say

    def newest_of(quantity: str, whole: str) -> Query:
        return Query(total(newest(quantity, *_TAGS, group=_GATEWAY), whole=whole))

    waiting, room = ((None, GREEN), (100, AMBER)), ((None, RED), (12, AMBER), (48, GREEN))
    board.add(number(say("在线", "Heard"), newest_of("gateway_online", "sum"), recent="2h"), 4, 4)
    board.add(number(say("已知", "Known"), newest_of("gateway_online", "count"), recent="2h"), 4, 4)
    for quantity, title in (
        ("outbox_events", say("待传事件", "Events that wait")),
        ("outbox_readings", say("待传读数", "Readings that wait")),
    ):
        board.add(number(title, newest_of(quantity, "sum"), steps=waiting, recent="2h"), 4, 4)
    least = newest_of("outbox_room", "min")
    board.add(number(say("最少余量", "Least room"), least, unit="h", steps=room, recent="2h"), 4, 4)
    dropped = newest_of("outbox_dropped", "sum")
    board.add(number(say("已丢弃读数", "Readings dropped"), dropped, recent="36h"), 4, 4)


def _gateways_since(board: Board) -> None:
    say = board.setting.say
    words = {"0": (say("失联", "silent"), RED), "1": (say("在线", "heard"), GREEN)}
    heard = curve("gateway_online", "quarter", *_TAGS, group=("gateway",), what='min("min")')
    title = say("网关（最近 48 小时，最多 30 个）", "Gateways, the last 48 hours, at most 30")
    panel = states(title, Query(f"{heard} SLIMIT 30", alias="$tag_gateway"), words=words)
    board.add(panel.time_from("48h").hide_time_override(True), 24, 10)
    waiting = [
        Query(curve(name, "quarter", *_TAGS, group=("community",), what='max("max")'), alias=f"{said} $tag_community")
        for name, said in (("outbox_events", say("事件", "events")), ("outbox_readings", say("读数", "readings")))
    ]
    queues = lines(say("最长的待传队列（7 天）", "The longest outbox, 7 days"), *waiting, least=0)
    board.add(queues.time_from("7d").hide_time_override(True), 12, 8)
    share = Query(curve("gateway_online", "quarter", *_TAGS, group=("community",)), alias="$tag_community")
    shares = lines(say("在线比例（7 天）", "Share of gateways heard, 7 days"), share, unit="percentunit", least=0)
    board.add(shares.time_from("7d").hide_time_override(True), 12, 8)


def _devices(board: Board) -> None:
    say = board.setting.say
    board.add(_worst(board, "battery", say("电量最低（7 天内）", "Lowest batteries of 7 days"), "percent"), 12, 10)
    board.add(_worst(board, "radio_level", say("信号最弱（7 天内）", "Weakest radio of 7 days"), "dBm"), 12, 10)
    silent = newest("device_silent", *_TAGS, "device", group=_PLACE, name="silent")
    query = Query(f'SELECT "silent", {by(*_PLACE)} FROM ({silent}) WHERE "silent" = 1 AND $timeFilter', format="table")
    panel = rows(say("失联设备", "Silent devices"), query, names=_names(board), hidden=("Time", "silent"))
    panel = panel.time_from("3h").hide_time_override(True).no_value(say("没有失联的设备", "No device is silent"))
    board.add(panel, 24, 8, may_be_empty=True)
    for quantity, title, unit in (
        ("battery", say("电量（按日，最多 50 个）", "Battery by day, at most 50"), "percent"),
        ("radio_level", say("信号（按日，最多 50 个）", "Radio level by day, at most 50"), "dBm"),
    ):
        grouped = f"GROUP BY time(1d), {by('home', 'device')} fill(none) SLIMIT 50 tz('{board.setting.zone}')"
        text = f'SELECT mean("mean") FROM {source(quantity, "daily")} WHERE {where(*_TAGS, "device")} {grouped}'
        board.add(lines(title, Query(text, alias="$tag_home $tag_device"), unit=unit, interval="1d"), 12, 9)


def _names(board: Board) -> dict[str, str]:
    say = board.setting.say
    return {"home": say("住户", "Home"), "gateway": say("网关", "Gateway"), "device": say("设备", "Device")}


def _worst(board: Board, quantity: str, title: str, unit: str) -> table.Panel:
    of_each = f"WHERE {where(*_TAGS, 'device')} GROUP BY {by(*_PLACE)}"
    last = f'SELECT last("last") AS "value" FROM {source(quantity, "daily")} {of_each}'
    worst = f'SELECT bottom("value", {by(*_PLACE)}, {_WORST}) AS "value" FROM ({last}) WHERE $timeFilter'
    names = _names(board) | {"value": board.setting.say("数值", "Value")}
    panel = rows(title, Query(worst, format="table"), names=names, sort=("value", False))
    return shown(panel, names["value"], unit=unit).time_from("7d").hide_time_override(True)
