"""Self-tests of gateways."""

TEXTS: dict[str, tuple[str, str]] = {
    "self-test.title": ("自检", "Self-test"),
    "self-test.intro": (
        "网关发出一条带标记的呼叫，走完一次按键的全程：网关、线路、中心、升级决定。不通知任何人，家中也不响。",
        "The gateway sends a marked alarm the whole way of a press: gateway, line, center, escalation. Nobody is told, "
        "and nothing sounds in the home.",
    ),
    "self-test.open": ("查看", "Details"),
    "self-test.now": ("立即自检", "Test now"),
    "self-test.back": ("返回住户与设备", "Back to homes and devices"),
    "self-test.proved": ("最近一次通过", "Last proved"),
    "self-test.never": ("从未通过自检", "Never proved yet"),
    "self-test.last": ("最近的自检", "Last self-tests"),
    "self-test.none": ("还没有做过自检", "None yet"),
    "self-test.asked": ("发起时间", "Asked"),
    "self-test.by": ("发起人", "By"),
    "self-test.daily": ("每日自检", "daily"),
    "self-test.result": ("结果", "Result"),
    "self-test.down": ("到网关", "To the gateway"),
    "self-test.up": ("到中心", "To the center"),
    "self-test.round": ("全程", "There and back"),
    "self-test.decided": ("到升级决定", "To the decision"),
    "self-test.told": ("真实呼叫会通知", "A press would tell"),
    "self-test.messages": ("{count} 条通知", "{count} messages"),
    "self-test.nobody": ("值班台以外无人", "nobody outside the console"),
    "self-test.standing.waiting": ("等待中", "Waiting"),
    "self-test.standing.proved": ("通过", "Proved"),
    "self-test.standing.cannot": ("该网关版本不支持自检", "This gateway cannot test itself"),
    "self-test.standing.missed": ("未通过", "Missed"),
    "kind.self-test": ("自检", "Self-test"),
    "kind.test-missed": ("自检未通过", "Self-test missed"),
    "queue.test-missed": ("自检未通过", "Self-tests missed"),
    "new.self-test": ("自检：{place}", "Self-test: {place}"),
    "new.test-missed": ("网关自检未通过：{place}", "Self-test missed: {place}"),
}

SCRIPT_KEYS: tuple[str, ...] = ("new.self-test", "new.test-missed")
