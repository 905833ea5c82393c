"""The page of the escalation policies, and what stands in the way of telling people."""

TEXTS: dict[str, tuple[str, str]] = {
    "nav.policy": ("通知规则", "Policies"),
    "policy.title": ("通知谁、何时通知", "Who is told, and when"),
    "policy.shipped": (
        "这是随产品提供的规则，还没有保存过自己的版本。",
        "These are the shipped policies; none was saved yet.",
    ),
    "policy.version": ("第 {version} 版，由 {name} 保存于", "Version {version}, saved by {name} at"),
    "policy.saved": ("已保存为第 {version} 版，几秒后生效。", "Saved as version {version}. It holds within seconds."),
    "policy.stale": (
        "{name} 刚才保存了第 {version} 版，您的文字还没有保存。请先在另一个窗口查看该版本；再次保存将取代它。",
        "{name} has saved version {version} meanwhile; your text is not saved yet. Look at that version in another "
        "window first: saving again replaces it.",
    ),
    "policy.problems": ("没有保存，共有 {count} 处问题", "Not saved. Problems: {count}"),
    "policy.line": ("第 {line} 行", "Line {line}"),
    "policy.text": ("规则（TOML）", "Policies (TOML)"),
    "policy.note": (
        "呼叫总是立即显示在值班台上；这里只规定还要通知谁、何时通知。",
        "The console shows every alert at once, whatever stands here; this says who else is told, and when.",
    ),
    "policy.save": ("检查并保存", "Check and save"),
    "policy.only": ("只有管理员可以修改。", "Only administrators can change this."),
    # what is wrong with a text
    "policy.wrong.too-long": ("超过 {most} 个字符", "longer than {most} characters"),
    "policy.wrong.syntax": ("不是有效的 TOML：{detail}", "not valid TOML: {detail}"),
    "policy.wrong.no-table": ("必须是一个表", "must be a table"),
    "policy.wrong.no-tables": ("必须是表的列表", "must be a list of tables"),
    "policy.wrong.unknown-key": ("没有这个键；可用的键：{known}", "unknown key; there are: {known}"),
    "policy.wrong.missing-key": ("缺少键 {name}", "the key {name} is missing"),
    "policy.wrong.type": ("值的类型不对：{detail}", "the wrong type of value: {detail}"),
    "policy.wrong.no-step": ("至少要有一个步骤", "a policy has one step at least"),
    "policy.wrong.seconds": ("{value}：必须在 {least} 到 {most} 秒之间", "{value}: must be {least} to {most} seconds"),
    "policy.wrong.not-later": (
        "{value}：每一步都必须晚于前一步",
        "{value}: each step comes later than the one before it",
    ),
    "policy.wrong.no-target": ("步骤必须通知至少一方", "a step tells somebody"),
    "policy.wrong.unknown-target": ("没有“{word}”这种对象；可用的有：{known}", "“{word}” is none of {known}"),
    "policy.wrong.unknown-policy": ("没有名为“{name}”的规则", "there is no policy “{name}”"),
    "policy.wrong.unknown-schedule": ("没有名为“{name}”的值班表", "there is no schedule “{name}”"),
    "policy.wrong.unreached": (
        "cloud.toml 中没有通往“{word}”的 [[channel]]",
        "no [[channel]] of cloud.toml reaches “{word}”",
    ),
    "policy.wrong.no-quiet": ("安静时段的开始和结束相同", "the quiet hours end when they begin"),
    "policy.wrong.zone": ("这台机器不认识时区“{name}”", "there is no time zone “{name}” on this machine"),
    "policy.wrong.offset": ("应为当地时间，不带时差", "a local time of the day, without an offset"),
    "policy.wrong.not-one-of": ("“{value}”不可用；可用的有：{known}", "“{value}”: there are: {known}"),
    "policy.wrong.empty-schedule": (
        "值班表至少要有一个班次或一组轮换",
        "a schedule has one shift or one rotation at least",
    ),
    "policy.wrong.no-staff": ("必须有人值班", "somebody has the duty"),
    # what stands in the way of telling people
    "telling.title": ("通知有故障", "Telling people does not work as it should"),
    "telling.title.broker": ("网关证书与接入有故障", "Gateways' certificates and their way in need seeing to"),
    # the same as alerts
    "kind.access-fault": ("网关接入", "Gateway access"),
    "queue.access-fault": ("网关证书与接入", "Gateway access"),
    "new.access-fault": ("网关证书与接入需要处理", "Gateways' certificates or their way in need seeing to"),
    "access.list-old": (
        "证书吊销列表即将过期，过期后所有网关都无法接入",
        "The revocation list ends soon; after that no gateway gets in",
    ),
    "access.reload": (
        "消息服务器没有读取吊销列表：已吊销的网关可能仍可接入",
        "The broker does not read its revocation list: a revoked gateway may still get in",
    ),
    "access.control": (
        "无法维护消息服务器的网关权限",
        "The broker's clients and roles cannot be kept",
    ),
    "access.ending": (
        "有证书即将到期，请更换",
        "A certificate ends soon and has to be replaced",
    ),
    "access.renewal": (
        "网关证书无法自动续期",
        "Gateways' certificates cannot be renewed",
    ),
    "access.unheard": (
        "没有程序维护消息服务器：吊销的网关不会被断开",
        "Nobody keeps the broker: a revoked gateway is not thrown out",
    ),
    "access.where": ("详情见“住户与设备”页面", "The page of homes and devices says more"),
    "telling.no-channel": (
        "没有配置任何通知渠道：除值班台外，谁也不会得到通知。",
        "No channel is configured: nobody is told but this console.",
    ),
    "telling.unreached": (
        "规则 {policy}：{after} 秒后的步骤没有通往 {target} 的渠道。",
        "Policy {policy}: the step after {after} s has no channel for {target}.",
    ),
    "telling.off-line": (
        "值班表 {schedule}：没有渠道通往 {staff}；轮到 {staff} 时将通知所有人。",
        "Schedule {schedule}: no channel reaches {staff}; when it is {staff}'s turn, everyone is told.",
    ),
    "telling.gap": (
        "值班表 {schedule}：{begin} 至 {end} 无人值班；届时将通知所有人。",
        "Schedule {schedule}: nobody is on duty from {begin} to {end}; everyone is told then.",
    ),
    "telling.policy": (
        "第 {newest} 版规则无法使用，现按第 {version} 版执行（0 为随产品提供的规则）。",
        "Version {newest} of the policies cannot be used; version {version} holds (0: the shipped ones).",
    ),
    "telling.channel": (
        "渠道 {channel}：最近的消息都没有发出（{result}）。",
        "Channel {channel}: the last messages all failed ({result}).",
    ),
    "telling.alert": (
        "报警 {alert}：到期的步骤无法执行（{error}），请人工处理；详情见值班进程的日志。",
        "Alert {alert}: what is due cannot be done ({error}). See to it by hand; the log of the desk says more.",
    ),
    "telling.no-link": (
        "没有设置 web.public_url：发给志愿者的消息里没有链接。",
        "web.public_url is not set: a volunteer's message carries no link.",
    ),
    "telling.list-old": (
        "消息服务器的证书吊销列表有效期到 {ends}；过期后所有网关都无法接入",
        "The broker's revocation list is good until {ends}; after that no gateway gets in",
    ),
    "telling.reload": (
        "无法让消息服务器重新读取吊销列表：{why}",
        "The broker could not be made to read its revocation list anew: {why}",
    ),
    "telling.control": (
        "无法维护消息服务器的网关权限：{why}",
        "The broker's clients and roles cannot be kept: {why}",
    ),
    "telling.renewal": (
        "网关证书无法自动续期：{why}",
        "No gateway's certificate can be renewed: {why}",
    ),
    "telling.ending": (
        "证书 {name} 将于 {ends} 到期，请更换",
        "The certificate {name} ends on {ends}; make a new one",
    ),
}

SCRIPT_KEYS: tuple[str, ...] = ("new.access-fault",)
