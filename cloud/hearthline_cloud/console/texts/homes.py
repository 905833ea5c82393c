"""Homes, gateways and devices."""

TEXTS: dict[str, tuple[str, str]] = {
    "homes.title": ("住户与设备", "Homes and devices"),
    "homes.none": ("还没有登记住户。", "No homes are registered yet."),
    "homes.residents": ("住户", "Residents"),
    "homes.no-gateway": ("没有网关", "No gateway"),
    "homes.unknown": ("未登记的网关", "Unknown gateways"),
    "homes.unknown-note": (
        "这些网关有消息传来，但没有登记到任何住户。它们的呼叫仍会显示。",
        "These gateways are heard but belong to no home. Their alarms are shown all the same.",
    ),
    "homes.kept-aside": (
        "无法读取而保留的消息：{count}",
        "Messages kept aside because they could not be read: {count}",
    ),
    "gateway.online": ("在线", "Online"),
    "gateway.offline": ("离线", "Offline"),
    "gateway.silent": ("失联", "Silent"),
    "gateway.unknown": ("从未联系", "Never heard"),
    "gateway.seen": ("最后联系", "Last heard"),
    "gateway.clock": ("时钟", "Clock"),
    "clock.synced": ("已同步", "Synchronised"),
    "clock.free": ("未同步", "Free-running"),
    "gateway.waiting": ("待发送", "Waiting to be sent"),
    "gateway.waiting-value": ("呼叫 {events} · 读数 {telemetry}", "events {events} · readings {telemetry}"),
    "gateway.faults": ("故障", "Faults"),
    "device.none": ("没有设备", "No devices"),
    "device.name": ("设备", "Device"),
    "device.room": ("房间", "Room"),
    "device.seen": ("最后联系", "Last heard"),
    "device.note": ("提示", "Note"),
    "device.unknown": ("未登记", "Unknown"),
}
