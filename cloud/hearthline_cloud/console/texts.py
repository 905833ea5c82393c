"""Every text of the console, in Chinese and English: one key, two texts. Placeholders are in braces."""

from __future__ import annotations

from typing import Literal

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
HTML_LANG: dict[Language, str] = {"zh": "zh-CN", "en": "en"}

TEXTS: dict[str, tuple[str, str]] = {
    # the frame
    "brand": ("守望 Hearthline", "Hearthline"),
    "skip": ("跳到主要内容", "Skip to the main content"),
    "nav": ("主导航", "Main navigation"),
    "nav.alerts": ("呼叫", "Alerts"),
    "nav.homes": ("住户与设备", "Homes and devices"),
    "log-out": ("退出", "Log out"),
    "language": ("语言", "Language"),
    "link.live": ("实时", "Live"),
    "link.connecting": ("正在连接", "Connecting"),
    "link.reconnecting": ("正在重新连接", "Reconnecting"),
    "link.stale": ("已断开", "Not live"),
    "stale.banner": (
        "页面不是最新的：与中心的连接已断开，新的呼叫不会显示在这里。正在重新连接……",
        "This page is not up to date: the connection to the center is lost and new alerts do not appear. Reconnecting…",
    ),
    "center.banner": (
        "中心目前收不到家中的呼叫，请立即通知技术人员。故障：{what}",
        "The center receives no alarms from the homes now. Call the technician at once. Fault: {what}",
    ),
    "center.ingest": ("接收服务", "ingester"),
    "center.place": ("社区中心", "The center itself"),
    "center.blind": (
        "中心收不到家中的呼叫，请立即通知技术人员。",
        "No alarm of any home can come in. Call the technician at once.",
    ),
    "center.away": ("故障", "Fault"),
    "center.broker": ("消息服务器", "message broker"),
    "sound.on": ("声音已开", "Sound on"),
    "sound.off": ("声音已关", "Sound off"),
    "sound.blocked": ("打开声音", "Enable sound"),
    "sound.blocked.banner": (
        "浏览器还没有允许播放声音。请点击页面任意处，或按任意键。",
        "The browser does not allow sound yet. Click anywhere on the page, or press any key.",
    ),
    # login
    "login.title": ("登录", "Log in"),
    "login.name": ("姓名", "Name"),
    "login.password": ("密码", "Password"),
    "login.submit": ("登录", "Log in"),
    "login.wrong": ("姓名或密码不正确。", "The name or the password is wrong."),
    "login.throttled": ("尝试次数过多，请一分钟后再试。", "Too many attempts. Wait a minute and try again."),
    "login.intro": ("社区照护中心值班台", "Alert desk of the community care center"),
    # the list
    "alerts.title": ("呼叫", "Alerts"),
    "queue.emergency": ("紧急呼叫", "Emergencies"),
    "queue.service": ("服务请求", "Service calls"),
    "queue.silent": ("设备失联", "Silent gateways"),
    "queue.center-blind": ("中心故障", "The center is blind"),
    "queue.closed": ("最近已处理", "Recently closed"),
    "queue.emergency.empty": ("没有未处理的紧急呼叫", "No open emergencies"),
    "queue.service.empty": ("没有未处理的服务请求", "No open service calls"),
    "queue.more": ("还有 {count} 条较早的未显示", "{count} older ones are not shown"),
    "keys.hint": (
        "键盘：↑ ↓ 选择 · A 或回车 受理 · W 前往 · H 到达 · O 打开",
        "Keyboard: ↑ ↓ choose · A or Enter acknowledge · W on the way · H arrived · O open",
    ),
    "alert.presses": ("按了 {count} 次", "pressed {count} times"),
    "alert.press": ("按了 1 次", "pressed once"),
    "alert.told-times": ("报警 {count} 次", "told {count} times"),
    "alert.told": ("报警 1 次", "told once"),
    "alert.possible": ("可能误触", "possibly not meant"),
    "alert.unknown-home": ("未登记的住户", "Unknown home"),
    "alert.unknown-device": ("未登记的设备", "Unknown device"),
    "alert.unknown-resident": ("住户未知", "Resident unknown"),
    "alert.waiting": ("等待时间", "Waiting"),
    "alert.open": ("打开", "Open"),
    "alert.open-long": ("打开呼叫 {number}", "Open alert {number}"),
    "alert.number": ("呼叫 {number}", "Alert {number}"),
    "alert.by": ("{name} 已受理", "{name} has it"),
    "alert.urgency": ("紧急程度 {level}（最高 3）", "Urgency {level} of 3"),
    "alert.cancelled": ("家中已取消，仍须核实", "Taken back at home: check all the same"),
    "alert.reopened": ("重新打开", "Reopened"),
    "alert.closed-by": ("由 {name} 处理", "closed by {name}"),
    "kind.emergency": ("紧急", "Emergency"),
    "cause.smoke": ("烟雾报警", "Smoke"),
    "cause.heat": ("高温报警", "Heat"),
    "cause.gas": ("燃气报警", "Gas"),
    "cause.carbon-monoxide": ("一氧化碳报警", "Carbon monoxide"),
    "cause.leak": ("漏水报警", "Water leak"),
    "cause.fall": ("跌倒报警", "Fall"),
    "cause.alarm": ("探测器报警", "Detector alarm"),
    "kind.service": ("服务", "Service"),
    "kind.gateway-silent": ("失联", "Silent"),
    "kind.center-blind": ("中心故障", "Center blind"),
    "state.raised": ("未受理", "Unanswered"),
    "state.acknowledged": ("已受理", "Acknowledged"),
    "state.attending": ("正在前往", "On the way"),
    "state.arrived": ("已到达", "Arrived"),
    "state.resolved": ("已处理", "Closed"),
    "action.acknowledge": ("受理", "Acknowledge"),
    "action.attend": ("前往", "On the way"),
    "action.arrive": ("已到达", "Arrived"),
    "action.hand-over": ("转交给", "Hand over to"),
    "action.take-over": ("由我接手", "Take it over"),
    "action.reopen": ("重新打开", "Reopen"),
    "reopen.label": ("重新打开的原因", "Why it is reopened"),
    "hand-over.submit": ("转交", "Hand over"),
    "hand-over.from-to": ("{giver} 转交给 {receiver}", "{giver} to {receiver}"),
    "action.resolve": ("处理完成，结果是：", "Close, the outcome is:"),
    "outcome.real-emergency": ("真实紧急情况", "Real emergency"),
    "outcome.help-given": ("已给予帮助", "Help given"),
    "outcome.service-done": ("服务已完成", "Service done"),
    "outcome.false-alarm": ("误报", "False alarm"),
    "outcome.test": ("测试", "Test"),
    "outcome.visited-no-answer": ("上门无人应答", "Visited, no answer"),
    "outcome.restored": ("已恢复", "Restored"),
    # announcements and answers
    "new.emergency": ("新的紧急呼叫：{place}", "New emergency: {place}"),
    "new.service": ("新的服务请求：{place}", "New service call: {place}"),
    "new.gateway-silent": ("网关失联：{place}", "Gateway silent: {place}"),
    "new.center-blind": ("中心故障：收不到家中的呼叫", "The center is blind: no alarm of any home can come in"),
    "new.joined": ("再次按下：{place}", "Pressed again: {place}"),
    "new.cause": ("{cause}：{place}", "{cause}: {place}"),
    "new.cause-joined": ("再次报警（{cause}）：{place}", "{cause}, told again: {place}"),
    "said.acknowledged": ("{name} 已受理呼叫 {number}", "{name} acknowledged alert {number}"),
    "said.handed-over": ("{name} 把呼叫 {number} 转交给您：{place}", "{name} handed you alert {number}: {place}"),
    "said.reopened": ("{name} 重新打开了呼叫 {number}：{place}", "{name} reopened alert {number}: {place}"),
    "said.cancelled": ("家中取消了呼叫，仍须核实：{place}", "Taken back at home, check all the same: {place}"),
    "said.done": ("已保存", "Saved"),
    "error.conflict": (
        "{name} 已先处理：现在的状态是“{state}”。",
        "{name} was first: the alert is now “{state}”.",
    ),
    "error.handed-over": (
        "{name} 已先转交给 {receiver}。",
        "{name} was first: {receiver} has it now.",
    ),
    "refused.not-from-here": ("当前状态“{state}”不能这样操作。", "That cannot be done while the alert is “{state}”."),
    "refused.needs-outcome": ("结束呼叫必须选择结果。", "Closing an alert needs an outcome."),
    "refused.not-for-people": ("该结果只能由系统给出。", "This outcome is the system's alone."),
    "refused.needs-receiver": ("请选择接手的同事。", "Choose who shall have it."),
    "refused.has-it-already": ("该同事已经在处理。", "That person has it already."),
    "refused.unknown-person": ("没有这位同事。", "There is nobody of this name on the staff."),
    "refused.needs-reason": ("重新打开必须写明原因。", "Reopening needs a reason."),
    "refused.clears-by-itself": (
        "这类呼叫不能重新打开，需要时会自动再次产生。",
        "Alerts of this kind are not reopened: they are raised anew by themselves.",
    ),
    "refused.another-is-open": (
        "同一住户已有另一个未结束的呼叫，请在那里继续。",
        "Another alert of this home is open for the same cause: go on there.",
    ),
    "error.any": ("没有成功：{message}", "That did not work: {message}"),
    "error.away": ("服务器没有应答，什么都没有保存。", "The server did not answer; nothing was saved."),
    # one alert
    "timeline.title": ("经过", "What happened"),
    "timeline.after": ("间隔", "after"),
    "hop.pressed": ("按下按钮", "Button pressed"),
    "hop.detected": ("探测器报警", "Detector told"),
    "hop.received": ("中心收到", "Received by the center"),
    "hop.raised": ("产生呼叫", "Alert raised"),
    "hop.joined": ("再次按下", "Pressed again"),
    "hop.acknowledged": ("受理", "Acknowledged"),
    "hop.attending": ("前往", "On the way"),
    "hop.arrived": ("到达", "Arrived"),
    "hop.handed-over": ("转交", "Handed over"),
    "hop.reopened": ("重新打开", "Reopened"),
    "hop.cancelled-at-home": ("家中取消（未结束）", "Taken back at home (closes nothing)"),
    "hop.resolved": ("处理完成", "Closed"),
    "hop.note": ("备注", "Note"),
    "hop.restored": ("恢复联系", "Heard again"),
    "hop.home-told": ("家中已得知有人受理", "The home was told that a person has accepted"),
    "hop.escalated": ("升级通知", "Escalated"),
    "hop.expired": ("受理后没有进展，重新升级", "Nothing happened since it was taken: it climbs again"),
    "hop.notified": ("通知已发出", "Message sent"),
    "hop.not-notified": ("通知未发出", "Message not sent"),
    "hop.estimated": ("时间为估计值", "time estimated"),
    "where.title": ("来源", "Where it came from"),
    "where.room": ("房间", "Room"),
    "where.device": ("设备", "Device"),
    "where.gateway": ("网关", "Gateway"),
    "where.receiver": ("接收器", "Receiver"),
    "where.radio": ("信号强度", "Radio level"),
    "where.suspect": ("请核实", "Check"),
    "note.title": ("添加备注", "Add a note"),
    "note.label": ("备注内容", "Text of the note"),
    "note.submit": ("保存备注", "Save the note"),
    "actions.title": ("处理", "What to do"),
    "actions.none": ("该呼叫已处理完成。", "This alert is closed."),
    # the card
    "card.title": ("住户资料", "Resident's card"),
    "card.trace": ("查看资料会留下记录。", "Looking at a card is recorded."),
    "card.age": ("{age} 岁", "{age} years old"),
    "card.born": ("{year} 年出生", "born {year}"),
    "card.home": ("住址", "Home"),
    "card.phone": ("电话", "Phone"),
    "card.illnesses": ("健康状况", "Illnesses"),
    "card.notes": ("注意事项", "Notes"),
    "card.contacts": ("联系人", "Contacts"),
    "card.none": ("没有关联的住户资料。", "No resident belongs to this alert."),
    "card.full": ("全部资料与测量值", "Whole card and vital signs"),
    "vitals.title": ("最近的测量值", "Last vital signs"),
    "vitals.none": ("没有测量值", "No vital signs"),
    "vitals.when": ("时间", "Time"),
    "vitals.device": ("设备", "Device"),
    "vitals.advice": ("测量值仅供参考，不是诊断。", "Measured values, no diagnosis."),
    "quantity.systolic": ("收缩压", "Systolic"),
    "quantity.diastolic": ("舒张压", "Diastolic"),
    "quantity.heart_rate": ("心率", "Heart rate"),
    "energy.title": ("今日用电", "Energy today"),
    "energy.loading": ("正在读取……", "Reading…"),
    "energy.none": ("今天没有读数", "No reading today"),
    "energy.away": (
        "时序数据库没有应答，呼叫不受影响。",
        "The time-series store does not answer; alerts are not affected.",
    ),
    # homes and devices
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
    # errors
    "missing.title": ("找不到", "Not found"),
    "missing.text": ("该页面不存在，或者已被移除。", "There is no such page."),
    "missing.back": ("返回呼叫列表", "Back to the alerts"),
}

# What the page's own script says; it is handed over as one attribute of the page.
SCRIPT_KEYS: tuple[str, ...] = (
    "link.live", "link.connecting", "link.reconnecting", "link.stale",
    "center.banner", "center.ingest", "center.broker",
    "sound.on", "sound.off", "sound.blocked",
    "new.emergency", "new.service", "new.gateway-silent", "new.center-blind",
    "new.joined", "new.cause", "new.cause-joined",
    "cause.smoke", "cause.heat", "cause.gas", "cause.carbon-monoxide", "cause.leak", "cause.fall", "cause.alarm",
    "said.acknowledged", "said.handed-over", "said.reopened", "said.cancelled", "said.done",
    "error.conflict", "error.handed-over", "error.any", "error.away",
    "refused.not-from-here", "refused.needs-outcome", "refused.not-for-people", "refused.needs-receiver",
    "refused.has-it-already", "refused.unknown-person", "refused.needs-reason", "refused.clears-by-itself",
    "refused.another-is-open",
    "state.raised", "state.acknowledged", "state.attending", "state.arrived", "state.resolved",
    "alert.unknown-home", "energy.none", "energy.away",
)  # fmt: skip


def text(key: str, language: Language, **values: object) -> str:
    """The text of `key`; raises KeyError for one that does not exist."""
    chosen = TEXTS[key][LANGUAGES.index(language)]
    return chosen.format(**values) if values else chosen


def script_texts(language: Language) -> dict[str, str]:
    return {key: text(key, language) for key in SCRIPT_KEYS}


def choose_language(cookie: str | None, accepted: str | None) -> Language:
    """The visitor's choice, else the first of ours in `Accept-Language` by quality, else Chinese."""
    for language in LANGUAGES:
        if cookie == language:
            return language
    ranked: list[tuple[float, int, Language]] = []
    for place, item in enumerate((accepted or "").split(",")[:20]):
        tag, _, quality = item.partition(";q=")
        for language in LANGUAGES:
            if tag.strip().lower().split("-")[0] == language:
                ranked.append((-_quality(quality), place, language))
    return min(ranked)[2] if ranked else "zh"


def _quality(raw: str) -> float:
    try:
        return float(raw) if raw.strip() else 1.0
    except ValueError:
        return 0.0
