"""A community at a glance: what is open, who is silent, how today was answered."""

from __future__ import annotations

from hearthline_dashboards.board import Board, Setting, datasource_variable, tag_variable
from hearthline_dashboards.influxql import Query, by, curve, newest, newest_rows, total, where
from hearthline_dashboards.panels import AMBER, BLUE, GREEN, RED, bars, lines, number, rows, shown

_COMMUNITY = ("community",)


def make(setting: Setting) -> Board:
    say = setting.say
    board = Board(
        "overview",
        setting,
        say("社区总览", "Community overview"),
        say(
            "现在未结的警报、失联住户、今日应答。", "What is open now, which homes are silent, how today was answered."
        ),
        "now-24h",
        [datasource_variable(), tag_variable(setting, "community")],
    )
    _now(board)
    _today(board)
    _tables(board)
    _history(board)
    return board


def _count(quantity: str, whole: str = "sum") -> Query:
    """Of the communities chosen, together."""
    return Query(total(newest(quantity, "community", group=_COMMUNITY), whole=whole))


def _now(board: Board) -> None:
    say = board.setting.say
    urgent, notable = ((None, GREEN), (1, RED)), ((None, GREEN), (1, AMBER))
    waits = _count("longest_wait", "max")
    limits = ((None, GREEN), (60, AMBER), (180, RED))
    board.add(number(say("未结紧急呼叫", "Open emergencies"), _count("open_emergencies"), steps=urgent), 4, 4)
    board.add(number(say("无人接警", "Taken by nobody"), _count("unanswered"), steps=urgent), 4, 4)
    board.add(number(say("最长等待", "Longest wait"), waits, unit="s", steps=limits), 4, 4)
    board.add(
        number(say("未结服务呼叫", "Open service calls"), _count("open_service_calls"), steps=((None, BLUE),)), 4, 4
    )
    board.add(number(say("失联住户", "Silent homes"), _count("silent_homes"), steps=urgent), 4, 4)
    board.add(number(say("失联设备", "Silent devices"), _count("silent_devices"), steps=notable), 4, 4)


def _today(board: Board) -> None:
    say = board.setting.say
    for quantity, title in (
        ("calls_today", say("今日紧急呼叫", "Emergencies today")),
        ("answered_today", say("其中已应答", "of them answered")),
        ("answered_60s_today", say("60 秒内应答", "within 60 s")),
        ("answered_180s_today", say("180 秒内应答", "within 180 s")),
        ("open_faults", say("设备与系统故障", "Faults of devices and parts")),
        ("homes", say("登记住户", "Registered homes")),
    ):
        board.add(number(title, _count(quantity)), 4, 3)


def _tables(board: Board) -> None:
    say, console = board.setting.say, board.setting.console
    names = {
        "community": say("社区", "Community"),
        "open_emergencies": say("紧急", "Emergencies"),
        "unanswered": say("无人接警", "Taken by nobody"),
        "open_service_calls": say("服务", "Service calls"),
        "silent_homes": say("失联住户", "Silent homes"),
        "silent_devices": say("失联设备", "Silent devices"),
    }
    counted = [name for name in names if name != "community"]
    queries = [Query(newest_rows(name, "community", group=_COMMUNITY, name=name), format="table") for name in counted]
    panel = rows(say("各社区", "By community"), *queries, names=names)
    board.add(panel.time_from("30m").hide_time_override(True), 12, 8)

    place = ("community", "home", "gateway")
    silent = newest("gateway_online", "community", group=place, name="online")
    query = Query(f'SELECT "online", {by(*place)} FROM ({silent}) WHERE "online" = 0 AND $timeFilter', format="table")
    columns = {"community": names["community"], "home": say("住户", "Home"), "gateway": say("网关", "Gateway")}
    panel = rows(say("失联网关", "Silent gateways"), query, names=columns, hidden=("Time", "online"))
    panel = panel.time_from("2h").hide_time_override(True).no_value(say("没有失联的网关", "No gateway is silent"))
    address = f"{console}/homes#home-${{__value.raw:percentencode}}"
    to_console = [{"title": say("在值守台查看", "Look in the console"), "url": address, "targetBlank": True}]
    board.add(shown(panel, columns["home"], links=to_console), 12, 8, may_be_empty=True)


def _history(board: Board) -> None:
    say, zone = board.setting.say, board.setting.zone
    queries = [
        Query(
            curve(quantity, "quarter", "community", group=_COMMUNITY, what='max("max")'),
            alias=f"{title} $tag_community",
        )
        for quantity, title in (
            ("open_emergencies", say("紧急", "Emergencies")),
            ("open_service_calls", say("服务", "Service calls")),
            ("open_faults", say("故障", "Faults")),
        )
    ]
    board.add(lines(say("未结警报", "Open alerts"), *queries, least=0), 12, 8)
    highest = curve("silent_homes", "quarter", "community", group=_COMMUNITY, what='max("max")')
    board.add(lines(say("失联住户", "Silent homes"), Query(highest, alias="$tag_community"), least=0), 12, 8)
    daily = f"GROUP BY time(1d), {by('community')} fill(none) tz('{zone}')"
    queries = [
        Query(
            f'SELECT max("max") FROM "daily"."{quantity}" WHERE {where("community")} {daily}',
            alias=f"{title} $tag_community",
        )
        for quantity, title in (
            ("calls_today", say("紧急呼叫", "Emergencies")),
            ("answered_60s_today", say("60 秒内应答", "answered within 60 s")),
        )
    ]
    panel = bars(say("每日紧急呼叫（30 天）", "Emergencies a day, 30 days"), *queries)
    board.add(panel.time_from("30d").hide_time_override(True), 24, 8)
