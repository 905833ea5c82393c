"""The center's processes as Prometheus sees them: for whoever runs it. The metrics are those of docs/metrics.md."""

from __future__ import annotations

from hearthline_dashboards.board import TAG, Board, Setting, datasource_variable
from hearthline_dashboards.influxql import DATASOURCE
from hearthline_dashboards.kinds import common_model, prometheus
from hearthline_dashboards.panels import AMBER, GREEN, RED, lines, number

_SOURCE = common_model.DataSourceRef(type_val="prometheus", uid=DATASOURCE)


def make(setting: Setting) -> Board:
    say = setting.say
    board = Board(
        "parts",
        setting,
        say("系统运行（Prometheus）", "The center's parts (Prometheus)"),
        say(
            "供运维：各进程、报警链路各段时延、数据库与时序库。需要 Prometheus。",
            "For operators: processes, the way of an alarm step by step, database and store. Needs Prometheus.",
        ),
        "now-6h",
        [datasource_variable("prometheus", f"{TAG}-prometheus")],
    )
    _now(board)
    _way(board)
    _work(board)
    return board


def _query(expression: str, legend: str = "") -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend).range()


def _p99(histogram: str, *labels: str) -> str:
    by = ", ".join(("le", *labels))
    return f"histogram_quantile(0.99, sum by ({by}) (rate({histogram}_bucket[$__rate_interval])))"


def _rate(counter: str, *labels: str) -> str:
    return f"sum by ({', '.join(labels)}) (rate({counter}[$__rate_interval]))"


def _most(gauge: str, *labels: str) -> str:
    """Of what two desks both tell from the database."""
    return f"max by ({', '.join(labels)}) ({gauge})"


def _now(board: Board) -> None:
    say = board.setting.say
    is_up, none = ((None, RED), (1, GREEN)), ((None, GREEN), (1, RED))
    late = ((None, GREEN), (10, AMBER), (60, RED))
    queued = f"sum({_most('hearthline_notifications_queued', 'channel')})"
    for title, expression, unit, steps in (
        (say("已连接的会话", "Sessions connected"), "sum(hearthline_ingest_connected)", "short", is_up),
        (say("数据库", "Database"), "min(hearthline_database_up)", "short", is_up),
        (say("最久无心跳", "Oldest heartbeat"), "max(hearthline_heartbeat_age_seconds)", "s", late),
        (say("有故障的部分", "Parts with a fault"), "sum(hearthline_part_faulty)", "short", none),
        (say("未结警报", "Open alerts"), f"sum({_most('hearthline_alerts_open', 'kind', 'state')})", "short", none),
        (say("排队的消息", "Messages queued"), queued, "short", none),
    ):
        board.add(number(title, _query(expression), unit=unit, steps=steps, recent=None, source=_SOURCE), 4, 4)


def _way(board: Board) -> None:
    say = board.setting.say
    board.row(say("报警链路，99 分位", "The way of an alarm, 99th percentile"))
    for title, histogram, labels in (
        (say("按下到入库", "Press to commit"), "hearthline_alarm_stored_seconds", ()),
        (say("收到到上值守台", "Received to the live stream"), "hearthline_alarm_streamed_seconds", ()),
        (say("到有人接警", "Raised to taken"), "hearthline_alarm_acknowledged_seconds", ("kind",)),
        (say("到消息发出", "Raised to a message sent"), "hearthline_alarm_notified_seconds", ("kind",)),
    ):
        query = _query(_p99(histogram, *labels), "{{kind}}" if labels else "p99")
        board.add(lines(title, query, unit="s", interval="", least=0, source=_SOURCE), 12, 8)


def _work(board: Board) -> None:
    say = board.setting.say
    board.row(say("进程与存储", "Processes and stores"))
    for title, unit, expression, legend in (
        (say("消息", "Messages"), "ops", _rate("hearthline_ingest_messages_total", "session"), "{{session}}"),
        (say("数据库事务 p99", "Transactions p99"), "s", _p99("hearthline_database_transaction_seconds"), "p99"),
        (say("时序库 p99", "Store p99"), "s", _p99("hearthline_store_request_seconds", "operation"), "{{operation}}"),
        (say("时序库失败", "Store failures"), "ops", _rate("hearthline_store_failures_total", "operation"), ""),
        (say("网页请求", "Web requests"), "reqps", _rate("hearthline_http_requests_total", "status"), "{{status}}"),
        (
            say("网关待传", "Gateways' outboxes"),
            "short",
            _most("hearthline_gateway_outbox_records", "lane"),
            "{{lane}}",
        ),
        (say("处理器", "CPU"), "percentunit", "rate(process_cpu_seconds_total[$__rate_interval])", "{{instance}}"),
        (say("内存", "Memory"), "bytes", "process_resident_memory_bytes", "{{instance}}"),
    ):
        board.add(lines(title, _query(expression, legend), unit=unit, interval="", least=0, source=_SOURCE), 12, 8)
