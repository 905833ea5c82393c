"""What the commands of remote hands say, in Chinese and English."""

from __future__ import annotations

from hearthline.speech import Speech

SPEECH = Speech(
    {
        "help.state": (
            "查看网关的状态、积压和配置；--examine 让网关自己检查一遍。\n\n"
            "例：hearthline gateway state gw-east-1 --examine",
            "Show how a gateway stands: what waits, its faults, what the center has changed. --examine: it examines "
            "itself first.\n\nExample: hearthline gateway state gw-east-1 --examine",
        ),
        "help.log": (
            "读取网关日志的最后几行。\n\n例：hearthline gateway log gw-east-1 --lines 50",
            "Show the last lines of a gateway's log.\n\nExample: hearthline gateway log gw-east-1 --lines 50",
        ),
        "help.configure": (
            "更改网关的配置：FILE 的写法与 edge.toml 相同，取代中心以前的全部更改；--reset 恢复网关自己的文件。"
            "网关先试运行，联系不上中心就自动恢复。\n\n例：hearthline gateway configure gw-east-1 quieter.toml",
            "Change a gateway's configuration. FILE is written like edge.toml and takes the place of all that the "
            "center changed before; --reset gives the gateway's own file back. It is tried first, and taken back by "
            "the gateway when it does not reach the center.\n\n"
            "Example: hearthline gateway configure gw-east-1 quieter.toml",
        ),
        "help.test": (
            "让网关证明到中心的全程；--output 让家中警铃响 3 秒。\n\n例：hearthline gateway test gw-east-1",
            "Have a gateway prove its way to the center; --output: sound the home's output for 3 seconds.\n\n"
            "Example: hearthline gateway test gw-east-1",
        ),
        "argument.gateway": ("网关编号", "The gateway's id."),
        "argument.file": ("TOML 文件；- 为标准输入", "A TOML file; - is standard input."),
        "option.config": ("中心的配置文件", "The center's configuration file."),
        "option.json": ("输出 JSON", "Print one JSON object for machines."),
        "option.examine": ("先让网关检查自己", "Have it examine itself first."),
        "option.lines": ("行数，最多 200", "How many lines, at most 200."),
        "option.wait": ("最多等待多少秒", "Seconds to wait for the answer."),
        "option.reset": ("恢复网关自己的文件", "Give the gateway's own file back."),
        "option.within": (
            "试运行多少秒内必须联系上中心（5–600）",
            "Seconds within which it must reach the center (5 to 600).",
        ),
        "option.output": ("让家中警铃响 3 秒", "Sound the home's output for 3 seconds."),
        "state": ("{gateway}：{state}，版本 {version}", "{gateway}: {state}, version {version}"),
        "seen": ("最后联系：{at}", "last heard: {at}"),
        "lane": ("待发{what}：{depth}，最久 {oldest} 秒", "{what} waiting: {depth}, the oldest for {oldest} s"),
        "events": ("呼叫", "events"),
        "readings": ("读数", "readings"),
        "fault": ("故障：{fault}", "fault: {fault}"),
        "changed": ("中心更改的项目：{keys}", "changed by the center: {keys}"),
        "unchanged": ("中心没有更改过配置", "the center has changed nothing"),
        "differs": (
            "网关报告的配置与中心记录的不同：请重新发送",
            "the gateway works by another configuration than the center knows: send it again",
        ),
        "right": ("正常", "ok   "),
        "wrong": ("问题", "WRONG"),
        "left-out": ("（另有 {count} 行未传回）", "({count} older lines were left out)"),
        "file-or-reset": ("给出 FILE 或 --reset 之一", "give either FILE or --reset"),
        "no-toml": ("{file}：不是有效的 TOML：{error}", "{file}: not valid TOML: {error}"),
        "waits": (
            "{gateway} 还没有回答。它在线吗？ingest 在运行吗？中心会继续询问一天。",
            "{gateway} has not answered yet. Is it online, and does ingest run? The center goes on asking for a day.",
        ),
        "trial": (
            "{gateway} 正在试运行，还没有定论；稍后用 hearthline gateway state 查看。",
            "{gateway} is trying it and has not said its last word; look again with hearthline gateway state.",
        ),
        "done": ("{gateway}：完成", "{gateway}: done"),
        "done.deaf": (
            "{gateway}：已生效；重新启动期间 {seconds} 秒没有接收设备信号",
            "{gateway}: in force; it heard no device for {seconds} s while it began anew",
        ),
        "undone": ("{gateway}：已自动撤回：{reason}", "{gateway}: taken back: {reason}"),
        "refused": ("{gateway}：拒绝：{reason}", "{gateway}: refused: {reason}"),
        "busy": ("{gateway}：正忙，请稍后再试：{reason}", "{gateway}: busy, ask later: {reason}"),
        "unknown": (
            "{gateway} 的版本不支持，请先更新。",
            "{gateway} cannot do this: its version does not know the order. Update it.",
        ),
        "expired": ("{gateway} 一天内没有回答", "{gateway} has not answered within a day"),
        "replaced": ("已被新的更改取代", "a newer change has taken its place"),
    }
)
