"""What `hearthline gateway commission` says, in Chinese and English."""

from __future__ import annotations

from hearthline.speech import Speech

TEXTS = Speech(
    {
        "help": (
            "验收：逐间试按每个呼叫器，各测一次血压、各读一次表，走完全程而不通知任何人；结果为签名报告。"
            "有待办时退出码为 1。示例：sudo hearthline gateway commission",
            "Try out the home: each pendant in each room, each cuff and meter once, the whole way and paging nobody; "
            "ends in a signed report. Exits with 1 while something is left to do. "
            "Example: sudo hearthline gateway commission",
        ),
        "option-rooms": (
            "随身呼叫器的使用房间，以逗号分隔",
            "Rooms in which worn pendants are used, with commas between.",
        ),
        "option-wait": ("每次按键等待的秒数", "Seconds to wait for each press."),
        "option-within": ("几秒内到达中心才算通过", "Seconds within which the center must have received it."),
        "option-folder": ("报告文件夹", "Where the report goes."),
        "option-anew": ("不接着上次，重新开始", "Begin anew, and forget what was tried before."),
        "option-no-input": ("不提问（供脚本使用）", "Ask nothing; for scripts."),
        "option-json": ("以 JSON 输出报告", "Print the report as JSON."),
        "nothing": (
            "此家中没有可试的设备：请先运行 hearthline device add",
            "there is nothing to try in this home: bind its devices first, with hearthline device add",
        ),
        "key-not-read": (
            "{path}：无法读取：{error}；请用 sudo 运行",
            "{path}: cannot be read: {error}; run the command with sudo",
        ),
        "key-no-key": ("{path}：不是 PEM 格式的私钥", "{path}: no private key in PEM"),
        "not-written": (
            "{path}：无法写入：{error}；请清理空间或用 sudo 运行",
            "{path}: cannot be written: {error}; free space or use sudo",
        ),
        "unsigned": (
            "此网关没有证书，报告不会签名。",
            "This gateway has no certificate: its report will not be signed.",
        ),
        "resumed": (
            "接着 {begun} 开始的验收：{passed} 项已通过。",
            "Going on with what was begun at {begun}: {passed} steps have passed.",
        ),
        "ask-rooms": ("随身呼叫器在哪些房间使用？", "In which rooms are worn pendants used?"),
        "begin": (
            "共 {steps} 项。被要求的按键不会通知任何人；其他任何按键都是真实呼叫。",
            "{steps} steps. The press that you are asked for pages nobody; any other press is an alarm.",
        ),
        "how-to-skip": (
            "无法试时输入原因并回车：{keys}；q 停止，以后再继续",
            "To skip a step, type its reason and Enter: {keys}; q stops, to go on later",
        ),
        "online": ("中心已知晓，本次验收已打开。", "The center knows of this run."),
        "offline": (
            "没有到中心的线路：存盘即记录，“中心已收到”留作待办。",
            "There is no line to the center: presses are stored here; that the center has received them stays to do.",
        ),
        "not-told": (
            "中心没有及时回应。若按键通知了值班人员，请告知他们正在验收。",
            "The center did not answer in time. Should a press page the staff, tell them that you try the home out.",
        ),
        "ask-press": ("{number}/{steps} {room}：请按 {device}", "{number}/{steps} {room}: press {device}"),
        "ask-vital": (
            "{number}/{steps} {room}：请用 {device} 测一次",
            "{number}/{steps} {room}: measure once with {device}",
        ),
        "ask-reading": (
            "{number}/{steps} {room}：等待 {device} 的读数",
            "{number}/{steps} {room}: waiting for a reading of {device}",
        ),
        "passed": ("  通过：{seconds} 秒到达中心{radio}", "  passed: received after {seconds} s{radio}"),
        "not-passed": ("  待办：{reason}", "  to do: {reason}"),
        "again": ("再试一次？", "Once more?"),
        "real-alarm": (
            "  注意：这次按键作为真实呼叫发出，请告知中心。",
            "  Note: this press went out as a real alarm. Tell the center.",
        ),
        "stopped": (
            "已保存。继续请再次运行同一命令。",
            "Kept. To go on, run the same command again.",
        ),
        "done": ("全部 {steps} 项通过。", "All {steps} steps passed."),
        "left": ("{passed} / {steps} 项通过，待办：", "{passed} of {steps} steps passed. To do:"),
        "files": ("报告：{json} 和 {html}", "Report: {json} and {html}"),
        "center-has-it": ("中心已收到报告。", "The center has the report."),
        "center-waits": (
            "报告已存盘，联网后发送到中心。",
            "The report is stored and goes to the center as soon as there is a line.",
        ),
        "no-room": ("未注明房间", "no room"),
        "what-press": ("按键", "press"),
        "what-vital": ("测量", "measurement"),
        "what-reading": ("读数", "reading"),
        "state-passed": ("通过", "passed"),
        "state-failed": ("未通过", "failed"),
        "state-skipped": ("跳过", "skipped"),
        "reason-not-heard": ("网关没有听到", "the gateway heard nothing"),
        "reason-not-stored": ("未能存盘", "not stored"),
        "reason-not-received": ("中心未确认收到", "no word from the center"),
        "reason-late": ("到达过晚", "received too late"),
        "reason-not-marked": ("作为真实呼叫发出", "went as a real alarm"),
        "reason-not-tried": ("未试", "not tried"),
        "reason-not-found": ("找不到设备", "device not found"),
        "reason-battery": ("电池没电", "battery empty"),
        "reason-no-entry": ("房间无法进入", "room not accessible"),
        "reason-declined": ("住户不同意", "the resident declined"),
        "reason-comes-later": ("稍后安装", "comes later"),
        "page-title": ("验收报告 {gateway}", "Commissioning of {gateway}"),
        "page-times": ("{begun} 至 {ended}（UTC）", "{begun} to {ended} (UTC)"),
        "page-passed": (
            "{passed} / {steps} 项通过；标准：{seconds} 秒内到达中心",
            "{passed} of {steps} steps passed; to pass: received by the center within {seconds} s",
        ),
        "page-signed": (
            "由网关密钥签名；签名在 JSON 文件中，由中心核验。",
            "Signed by the gateway's key; the signature is in the JSON file, and the center verifies it.",
        ),
        "page-unsigned": ("未签名。", "Not signed."),
        "page-to-dos": ("待办", "To do"),
        "page-nothing": ("没有待办。", "Nothing left to do."),
        "page-steps": ("各项", "Steps"),
        "page-room": ("房间", "Room"),
        "page-device": ("设备", "Device"),
        "page-what": ("项目", "What"),
        "page-result": ("结果", "Result"),
        "page-stored": ("存盘", "On disk"),
        "page-sent": ("发出", "Sent"),
        "page-received": ("到达中心", "Received"),
        "page-radio": ("信号", "Radio"),
        "page-time": ("时间", "Time"),
    }
)
say = TEXTS.say
