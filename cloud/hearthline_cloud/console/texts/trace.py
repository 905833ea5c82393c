"""The way of a press through the machines, on a case's page."""

TEXTS: dict[str, tuple[str, str]] = {
    "trace.title": ("信号经过的环节", "The signal's way"),
    "trace.press": ("第 {number} 次按下，网关", "Press {number}, gateway"),
    "trace.hop": ("环节", "Hop"),
    "trace.clock": ("时钟", "Clock"),
    "trace.at": ("时间", "Time"),
    "trace.clock.gateway": ("网关", "gateway"),
    "trace.clock.center": ("中心", "center"),
    "trace.read": ("网关读到信号", "Telegram read"),
    "trace.kept": ("已存入网关磁盘", "On the gateway's disk"),
    "trace.sent": ("已发出", "Handed to the link"),
    "trace.received": ("中心接收", "Received by the center"),
    "trace.committed": ("已存入中心数据库", "Committed"),
    "trace.streamed": ("已推送到值班屏幕", "On the live stream"),
    "trace.home-received": ("家中得知中心已收到（自读到信号起）", "Acknowledgement at home (since the telegram)"),
    "trace.untold": ("网关尚未报告它的环节。", "The gateway has not told its own hops yet."),
    "trace.bounds": (
        "网关时钟比中心快 {least} 至 {most} 秒。",
        "The gateway's clock is {least} to {most} s ahead of the center's.",
    ),
    "trace.unbounded": ("两个时钟相差多少无法确定。", "Nothing bounds how the two clocks differ."),
}
