"""The wall view."""

TEXTS: dict[str, tuple[str, str]] = {
    "nav.wall": ("大屏", "Wall"),
    "wall.title": ("值班大屏", "Wall view"),
    "wall.back": ("返回值班台", "Back to the desk"),
    "wall.loading": ("正在读取……", "Reading…"),
    "wall.open": ("未结束的呼叫", "Open cases"),
    "wall.none": ("没有未处理的呼叫", "No open cases"),
    "wall.more": ("还有 {count} 个未显示", "and {count} more"),
    "wall.silent": ("失联与故障", "Silent and faulty"),
    "wall.silent-none": ("全部在线", "Everything is heard"),
    "wall.today": ("今日", "Today"),
    "wall.calls": ("呼叫", "Calls"),
    "wall.median": ("受理用时中位数", "Median answer"),
    "wall.prompt": ("60 秒内受理", "Within 60 s"),
    "wall.late": ("180 秒内受理", "Within 180 s"),
    "wall.open-now": ("未结束", "Open now"),
    "wall.false": ("误报", "False alarms"),
    "wall.number": ("{number} 号", "No. {number}"),
    "wall.stale": (
        "画面不是最新的：与中心的连接已断开。请看值班台。",
        "This screen is not up to date: the center cannot be reached. Look at the desk.",
    ),
}
