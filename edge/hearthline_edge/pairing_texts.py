"""What the wizard that binds devices says to installers, in Chinese and English."""

from __future__ import annotations

from typing import Final

from hearthline.speech import Speech

SPEECH: Final = Speech(
    {
        "help": (
            "在住户家里绑定一个设备：选种类，按一下认出它，填房间和按钮，再按一下确认。没有网络也可以。",
            "Bind a device in the home: choose the family, press to learn it, name room and buttons, press to confirm."
            " Works without a network.",
        ),
        "help.group": ("本机的设备", "The devices of this home."),
        "help.example": ("示例：sudo hearthline device add", "Example: sudo hearthline device add"),
        "help.config": ("代理程序的配置文件", "The agent's configuration file."),
        "help.json": ("给程序用：输出一个 JSON 对象", "Print one JSON object for machines."),
        "help.family": ("设备种类：{names}", "The device's family: {names}."),
        "help.id": (
            "设备编号或标签内容；不给则按一下认出",
            "The device's id, or its label; without it: press to learn.",
        ),
        "help.name": ("设备名称，不要写人名", "What the device is called; no person's name."),
        "help.room": ("房间：{names}，或自己写", "The room: {names}, or any word."),
        "help.kind": ("中心登记的设备类型", "The kind that the center's registry has."),
        "help.button": (
            "按钮的含义，可重复：按钮=emergency|service|cancel|ignore，* 表示其余按钮",
            "What a button means, may be repeated: BUTTON=emergency|service|cancel|ignore, * every other.",
        ),
        "help.user": ("血压计的用户号", "Which user of a shared cuff."),
        "help.label": ("把二维码标签写入这个 SVG 文件", "Write a label with a QR code to this SVG file."),
        "help.seconds": ("等待按键的秒数", "Seconds to wait for a press."),
        "help.wait": ("等待中心答复的秒数", "Seconds to wait for the center's answer."),
        "help.yes": (
            "不提问：缺少的用默认值，不再按一下确认",
            "Ask nothing: defaults for what is missing, no press to confirm.",
        ),
        "agent-away": (
            "这里没有代理程序在运行，设备要通过它绑定。启动它：sudo systemctl start hearthline-edge",
            "No agent runs here, and devices are bound through it. Start it: sudo systemctl start hearthline-edge",
        ),
        "intro": (
            "网关 {gateway} · {link}\n要求按的键不会惊动中心；其它任何按键都是真报警。随时输入 q 退出。",
            "Gateway {gateway} · {link}\nThe presses asked for here page nobody; every other press is a real alarm."
            " q leaves at any time.",
        ),
        "link.up": ("已连上中心", "connected to the center"),
        "link.down": (
            "未连上中心：绑定保存在本机，连上后自动上报",
            "not connected: what you bind is kept here and told to the center later",
        ),
        "choose-family": ("要绑定的是哪一种设备？", "Which family is the device of?"),
        "family.kinetic": ("无电池按钮（EnOcean）", "button without a battery (EnOcean)"),
        "name.kinetic": ("吊坠", "pendant"),
        "do.kinetic": ("把按钮拿到网关附近，按一下。", "Hold the button near the gateway and press it once."),
        "family.fob": ("433 MHz 遥控按钮、吊坠", "433 MHz fob or pendant"),
        "name.fob": ("吊坠", "pendant"),
        "do.fob": ("按住按钮一秒。", "Hold the button down for a second."),
        "family.zigbee-button": ("Zigbee 按钮、吊坠", "Zigbee button or pendant"),
        "name.zigbee-button": ("按钮", "button"),
        "do.zigbee-button": (
            "先在 Zigbee2MQTT 中允许入网并完成配对，然后按一下按钮。",
            "Let it join in Zigbee2MQTT first (permit join), then press it once.",
        ),
        "family.bluetooth-button": ("蓝牙按钮", "Bluetooth button"),
        "name.bluetooth-button": ("按钮", "button"),
        "do.bluetooth-button": ("在网关附近按一下按钮。", "Press the button once near the gateway."),
        "family.lorawan-button": ("LoRaWAN 按钮", "LoRaWAN button"),
        "name.lorawan-button": ("按钮", "button"),
        "do.lorawan-button": (
            "先在 ChirpStack 中登记设备，然后按一下按钮，等几秒钟。",
            "Add the device in ChirpStack first, then press its button and wait a few seconds.",
        ),
        "family.cuff": ("血压计", "blood-pressure monitor"),
        "name.cuff": ("血压计", "blood-pressure monitor"),
        "do.cuff": ("量一次血压，等结果出来。", "Measure once and wait for the result."),
        "family.meter": ("电表、水表、热表、气表", "electricity, water, heat or gas meter"),
        "name.meter": ("表", "meter"),
        "do.meter": (
            "什么都不用按：网关自己抄表，可能要等一个抄表周期。",
            "Nothing to press: the gateway reads it, which may take one period.",
        ),
        "family.plug": ("智能插座", "smart plug"),
        "name.plug": ("插座", "plug"),
        "do.plug": ("按一下插座上的开关。", "Switch the plug once by its own button."),
        "family.detector": ("烟雾、燃气、漏水、跌倒探测器", "detector of smoke, gas, water or a fall"),
        "name.detector": ("探测器", "detector"),
        "do.detector": (
            "按探测器的测试键。它会发出真报警：请先通知中心。",
            "Press the detector's test button. That is a real alarm: tell the center first.",
        ),
        "family.sensor": ("门磁、人体、温湿度传感器", "sensor of doors, motion or climate"),
        "name.sensor": ("传感器", "sensor"),
        "do.sensor": (
            "让它动作：开关门、走动，或按它的配对键。",
            "Make it speak: open the door, walk by, or press its pairing button.",
        ),
        "family.any": ("不知道，或其它", "anything else, or unknown"),
        "do.any": ("使用一下设备。", "Use the device."),
        "listening": (
            "正在听…… 听到后输入编号；也可以输入或扫描标签。",
            "Listening … When it was heard, type its number; or type or scan its label.",
        ),
        "candidate": ("  {number}) {device}{button}{level}", "  {number}) {device}{button}{level}"),
        "candidate.button": ("，按钮 {button}", ", button {button}"),
        "candidate.level": ("，信号 {level} dBm", ", {level} dBm"),
        "candidate.one": ("回车选 {device}", "Enter takes {device}"),
        "bound-already": (
            "  {device} 已经绑定在这里：{name}，{room}；不再列出",
            "  {device} is bound here already: {name}, {room}; left aside",
        ),
        "nothing-heard": (
            "还没有听到。检查电池、距离，以及是不是这一种设备：{do}",
            "Nothing heard yet. Look at battery, distance, and whether it is of this family: {do}",
        ),
        "no-such-number": ("没有这个编号", "there is no such number"),
        "label-foreign": (
            "这是别的厂家的标签，看不出设备编号；请按一下设备。",
            "This is another maker's label, and says no id that can be used; press the device instead.",
        ),
        "label-wide": (
            "这个 EnOcean 标签的编号超过 4 个字节，不是按钮的；请按一下设备。",
            "This EnOcean label has an id of more than four bytes, so it is no button's; press the device instead.",
        ),
        "label-gateway": ("这是网关的标签，不是设备的。", "This is a gateway's label, not a device's."),
        "ask-name": ("名称（不要写人名）[{default}]：", "Name (no person's name) [{default}]: "),
        "ask-room": ("哪个房间？输入编号或自己写：", "Which room? A number, or any word: "),
        "room.bedroom": ("卧室", "bedroom"),
        "room.bathroom": ("卫生间", "bathroom"),
        "room.living-room": ("客厅", "living room"),
        "room.kitchen": ("厨房", "kitchen"),
        "room.hall": ("走廊、门口", "hall"),
        "room.balcony": ("阳台", "balcony"),
        "room.worn": ("随身", "worn"),
        "ask-role": (
            "按钮 {button}：1 紧急报警，2 服务请求 [1]：",
            "Button {button}: 1 emergency, 2 a service is wished for [1]: ",
        ),
        "ask-others": (
            "它的其余按钮：1 紧急报警，2 服务请求 [1]：",
            "Its other buttons: 1 emergency, 2 a service is wished for [1]: ",
        ),
        "one-or-two": ("请输入 1 或 2", "type 1 or 2"),
        "role.of": ("，{button}={role}", ", {button}={role}"),
        "role.emergency": ("紧急", "emergency"),
        "role.service": ("服务", "service"),
        "role.cancel": ("取消", "cancel"),
        "role.ignore": ("忽略", "ignored"),
        "ask-user": ("血压计的用户号（没有就回车）：", "Which user of the cuff (Enter: it has none): "),
        "no-number": ("请输入数字", "type a number"),
        "too-long": ("最多 64 个字符，不能有控制字符", "at most 64 characters, and no control characters"),
        "needed": ("这一项要填", "this one is needed"),
        "summary": ("{device}：{name}，{room}{roles}", "{device}: {name}, {room}{roles}"),
        "press-again": (
            "请再按一下 {device} 确认（回车：不确认就绑定）……",
            "Press {device} once more to confirm (Enter: bind without) …",
        ),
        "another-pressed": ("  按的是 {device}，不是它", "  that was {device}, not this one"),
        "confirmed": ("确认。", "Confirmed."),
        "unconfirmed": ("没有确认。", "Not confirmed."),
        "result.bound": ("已绑定，中心已登记。", "Bound, and the center has registered it."),
        "result.waiting": (
            "已绑定，马上起作用；中心还没有答复，连上后自动上报。查看：hearthline edge devices",
            "Bound, and works at once; the center has not answered yet and is told by itself."
            " See: hearthline edge devices",
        ),
        "result.unknown-gateway": (
            "已绑定，马上起作用；但中心还没有登记本网关属于哪一家：请中心登记，之后自动上报。",
            "Bound, and works at once; but the center knows no home of this gateway yet: have it registered there.",
        ),
        "result.elsewhere": (
            "{device} 已经绑定在另一家，没有绑定。把它还给那一家，或请中心先解除。",
            "{device} is bound in another home, and was not bound here. Give it back, or have the center free it.",
        ),
        "result.refused": (
            "中心的登记不接受 {device}，没有绑定。请中心查看网关的记录。",
            "The center's registry does not take {device}; it was not bound. Ask the center.",
        ),
        "ask-label": (
            "标签：1 在屏幕上显示，2 写入 SVG 文件，回车不要：",
            "Label: 1 show it here, 2 write an SVG file, Enter: none: ",
        ),
        "label-written": ("标签在 {file}", "The label is in {file}"),
        "label-failed": ("{file}：写不了：{why}", "{file}: cannot be written: {why}"),
        "ask-another": ("还要绑定一个吗？[y/N] ", "Bind another one? [y/N] "),
        "left": ("已退出，没有绑定。", "Left; nothing was bound."),
        "left-bound": ("已退出；前面绑定的保留。", "Left; what was bound before stays."),
        "missing": (
            "用 --yes 时要给出 --{option}",
            "--yes needs --{option}",
        ),
        "many-heard": (
            "听到了 {count} 个设备，不知道是哪一个：{devices}；用 --id 指定",
            "{count} devices were heard, and nobody says which: {devices}; name it with --id",
        ),
        "none-heard": (
            "{seconds:g} 秒内什么也没有听到。{do}",
            "Nothing was heard within {seconds:g} s. {do}",
        ),
        "no-family": (
            "没有种类 {family!r}；这个网关听得到：{names}",
            "there is no family {family!r} here; this gateway hears: {names}",
        ),
        "bad-button": (
            "--button {text!r} 应写成 按钮=emergency|service|cancel|ignore",
            "--button {text!r} should be BUTTON=emergency|service|cancel|ignore",
        ),
        "list.help": (
            "列出本家的设备：状态、最近听到的时间。示例：hearthline edge devices",
            "List this home's devices: their state and when each was last heard. Example: hearthline edge devices",
        ),
        "list.remove-help": (
            "把一个设备移出本家，并告诉中心。示例：hearthline edge devices remove enocean:002EE196",
            "Take a device out of this home, and tell the center. "
            "Example: hearthline edge devices remove enocean:002EE196",
        ),
        "list.none": (
            "还没有设备。绑定一个：sudo hearthline device add",
            "There is none yet. Bind one: sudo hearthline device add",
        ),
        "list.never": ("启动后没有听到", "not heard since the agent's start"),
        "list.heard": ("最近听到 {when}", "last heard {when}"),
        "list.unknown": ("代理程序没有运行", "no agent runs"),
        "state.bound": ("已绑定", "bound"),
        "state.waiting": ("等中心答复", "waits for the center"),
        "state.refused": ("中心拒绝", "refused by the center"),
        "state.own": ("写在 edge.toml 中", "of edge.toml"),
        "removed": ("{device} 已移出，中心已知道。", "{device} is removed, and the center knows."),
        "removed-later": (
            "{device} 已移出；中心连上后自动得知。",
            "{device} is removed; the center is told when it can be reached.",
        ),
    }
)
