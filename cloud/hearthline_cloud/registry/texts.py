"""What the registry says of an entry, in Chinese and English."""

from __future__ import annotations

from hearthline.speech import LANGUAGES, Speech, language
from hearthline_cloud.registry.shape import FIELDS, Kind, Problem

TEXTS: dict[str, tuple[str, str]] = {
    "kind.community": ("社区", "community"),
    "kind.home": ("住家", "home"),
    "kind.resident": ("住户", "resident"),
    "kind.contact": ("联系人", "contact"),
    "kind.gateway": ("网关", "gateway"),
    "kind.device": ("设备", "device"),
    "kind.volunteer": ("志愿者", "volunteer"),
    "kind.staff": ("账号", "account"),
    "role.operator": ("值班员", "operator"),
    "role.nurse": ("护士", "nurse"),
    "role.installer": ("安装人员", "installer"),
    "role.administrator": ("管理员", "administrator"),
    "role.auditor": ("审计员", "auditor"),
    "role.viewer": ("墙面屏幕", "viewer"),
    "no-role": ("没有“{role}”这个角色；可用：{roles}", "there is no role {role!r}; there are: {roles}"),
    "staff-apart": (
        "账号请用 hearthline staff import 导入",
        "accounts are brought in by hearthline staff import",
    ),
    "between": ("，", ", "),
    "line": ("{where}：{text}", "{where}: {text}"),
    "column": ("{heading}（{field}）", "{heading} ({field})"),
    "missing": ("必须填写", "this must be given"),
    "nul": ("含有空字符（NUL），可能文件已损坏", "it holds the character NUL: the file may be damaged"),
    "unreadable": (
        "含有无法识别的字符（�）：文件保存时编码已出错，请从原文件重新导出",
        "it holds the replacement character (�): the text was damaged when the file was saved; export it anew",
    ),
    "control": (
        "含有换行或控制字符：请改成一行文字",
        "it holds a line break or control characters: make it one line of text",
    ),
    "too-long": ("有 {found} 个字，最多 {longest} 个字", "it has {found} characters, of {longest} at most"),
    "bad-id": (
        "“{id}”不能用作编号：只能是 1 到 {longest} 个英文字母、数字、“.”、“_”、“-”，以字母或数字开头；"
        "编号会出现在网络和统计数据中，不能是姓名或地址",
        "{id!r} cannot be an id: 1 to {longest} letters A to Z, digits, '.', '_' or '-', the first a letter or digit; "
        "an id stands on the wire and in figures, so it must be no name and no address",
    ),
    "id-is-name": (
        "编号“{id}”中含有姓名：编号会出现在网络和统计数据中，请用与姓名无关的编号，例如 r-7f3a",
        "the id {id!r} holds the person's name: it stands on the wire and in figures; choose another, as in r-7f3a",
    ),
    "bad-phone": (
        "不是电话号码：应为 3 到 20 位数字，可带“+”、“-”、空格、括号和分机（转 8）",
        "this is no telephone number: 3 to 20 digits, with '+', '-', spaces, brackets and an extension (ext 8)",
    ),
    "lost-zero": (
        "像是座机号码少了开头的 0（表格软件会去掉它）：请补上 0，并把这一列设为“文本”；国外号码请以“+”和国家代码开头",
        "a number of China without the 0 before its area code, which spreadsheets take away: write it, and make the "
        "column one of text; a number abroad begins with '+' and the country's code",
    ),
    "bad-year": ("不是年份：应为 {first} 到 {last}", "this is no year from {first} to {last}"),
    "bad-number": ("应为 0 到 {last} 的整数", "this must be a whole number from 0 to {last}"),
    "no-kind": ("没有“{kind}”这种设备类型；可用：{kinds}", "there is no such kind as {kind!r}; there are: {kinds}"),
    "bad-period": (
        "“{period}”不是监测周期：写 5min 到 31d，例如 12h，或 off",
        "{period!r} is no period: write 5min to 31d, as in 12h, or off",
    ),
    "supervise-silent": (
        "{kind} 类设备只在按下时发信号，长时间没有信号并不说明故障；此项请留空",
        "a {kind} speaks only when it is pressed, so its silence says nothing; leave this out",
    ),
    "no-such": (
        "没有编号为“{id}”的{what}：文件和数据库中都没有",
        "there is no {what} {id!r}, neither in the file nor in the database",
    ),
    "twice": ("与 {where} 重复", "it is there twice: also in {where}"),
    "other-values": (
        "“{id}”已在数据库中，且内容不同；若要修改，请用 --update",
        "{id!r} is in the database already, with another value; to change it, use --update",
    ),
    "exists": ("“{id}”已存在；修改请用 edit", "there is a {what} {id!r} already; change it with edit"),
    "taken": ("“{id}”已被占用，请换一个编号", "{id!r} is taken; choose another id"),
    "erased": (
        "住户“{id}”的资料已被清除：请从文件中删去这一行；若此人回来，请用新编号",
        "resident {id!r} was erased: take the entry out of the file; who comes back gets another id",
    ),
    "elsewhere": (
        "设备“{id}”已登记在另一住家“{home}”（网关 {gateway}）；请先在那里移除",
        "device {id!r} is registered in another home, {home} (gateway {gateway}); remove it there first",
    ),
    "elsewhere-hidden": (
        "设备“{id}”已登记在另一住家；请先在那里移除",
        "device {id!r} is registered in another home; remove it there first",
    ),
    "left-behind": (
        "网关的设备“{device}”仍登记给住户“{resident}”，此人不住在新的住家：请先清空该设备的住户或移除该设备，"
        "或在同一次导入中写明设备的新住户",
        "its device {device!r} is still that of resident {resident!r}, who does not live in the new home: first clear "
        "the device's resident or remove the device, or name its new resident in the same import",
    ),
    "center-wide": (
        "社区“{id}”只能由负责整个中心的账号添加或修改；请从文件中删去这一行，或请此类账号导入",
        "community {id!r} is added or changed only by an account of the whole center: take the entry out of the file, "
        "or have such an account import it",
    ),
    "none": ("没有编号为“{id}”的{what}", "there is no {what} {id!r}"),
    "still-homes": (
        "社区“{id}”还有 {count} 个住家（{some}）；先移除或改到别的社区：hearthline home remove、home edit",
        "community {id!r} still has {count} homes ({some}): remove them, or move them by "
        "hearthline home edit --community",
    ),
    "still-volunteers": (
        "社区“{id}”还有 {count} 位志愿者（{some}）",
        "community {id!r} still has {count} volunteers ({some})",
    ),
    "still-staff": (
        "社区“{id}”还分配给 {count} 个账号（{some}）；先修改：hearthline staff edit",
        "community {id!r} is still that of {count} accounts ({some}): change them first, by hearthline staff edit",
    ),
    "still-residents": (
        "住家“{id}”还有 {count} 位住户（{some}）；先改到别的住家（hearthline resident edit --home）"
        "或移除（hearthline resident remove）",
        "home {id!r} still has {count} residents ({some}): move them by hearthline resident edit --home, or "
        "remove them by hearthline resident remove",
    ),
    "still-gateways": (
        "住家“{id}”还有 {count} 个网关（{some}）；加 --with-gateways 一起移除，"
        "或改到别的住家：hearthline gateway edit --home",
        "home {id!r} still has {count} gateways ({some}): --with-gateways removes them too; hearthline gateway edit "
        "--home moves them",
    ),
    "still-devices": (
        "网关“{id}”还有 {count} 个设备（{some}）；加 --with-devices 一起移除",
        "gateway {id!r} still has {count} devices ({some}): --with-devices removes them too",
    ),
    "still-certified": (
        "网关“{id}”还有有效证书；先吊销：hearthline cloud ca revoke {id}",
        "gateway {id!r} still has a valid certificate: revoke it first, by hearthline cloud ca revoke {id}",
    ),
    "still-open": (
        "“{id}”还有未结束的个案（{some}）；先处理完",
        "{id!r} has an open case ({some}): close it first",
    ),
    "still-messages": (
        "有消息正等待发给住户“{id}”的联系人；请稍后再试",
        "messages wait to be sent to the contacts of resident {id!r}: try again in a few minutes",
    ),
    "erase": (
        "移除住户就是清除此人的全部资料，无法恢复：hearthline resident remove {id} --yes",
        "to remove a resident is to erase everything of the person, for good: hearthline resident remove {id} --yes",
    ),
    "no-contact": (
        "住户“{id}”有 {count} 位联系人；请给出其中的序号",
        "resident {id!r} has {count} contacts: give the number of one of them",
    ),
    "undecodable": (
        "第 {line} 行起无法识别：文件既不是 UTF-8 也不是 GB18030（GBK）编码；请另存为“CSV UTF-8”或 .xlsx",
        "it cannot be read from line {line} on: this is neither UTF-8 nor GB18030 (GBK); save it as 'CSV UTF-8' "
        "or .xlsx",
    ),
    "garbled": (
        "文字是乱码：文件曾按错误的编码打开并保存（例如把 UTF-8 当作 GBK，或相反）；"
        "请从原来的系统重新导出，保存为“CSV UTF-8”或 .xlsx。没有导入任何内容",
        "its text is garbled: the file was opened in a wrong encoding (UTF-8 taken for GBK, or the reverse) and saved; "
        "export it anew from where it came, as 'CSV UTF-8' or .xlsx. Nothing of it is taken",
    ),
    "garbled-cell": (
        "文字像是乱码（编码错误）；请重新填写",
        "this looks garbled by a wrong encoding: write it anew",
    ),
    "old-workbook": (
        "这是旧版 Excel（.xls）或有密码的文件；请另存为 .xlsx（不设密码）或“CSV UTF-8”",
        "this is an old Excel file (.xls) or has a password: save it as .xlsx without one, or as 'CSV UTF-8'",
    ),
    "bad-workbook": (
        "无法读取这个 .xlsx 文件：可能已损坏；请重新另存",
        "this .xlsx cannot be read: it may be damaged; save it anew",
    ),
    "too-large": ("文件太大，展开后超过 {most}", "it is too large: more than {most} when it is unpacked"),
    "too-many-rows": ("超过 {most} 行；请分成几个文件", "it has more than {most} rows: divide it"),
    "bad-csv": (
        "不是完整的 CSV：{error}；请检查引号是否成对，或另存为 .xlsx",
        "this is no whole CSV: {error}; see whether each quotation mark is closed, or save it as .xlsx",
    ),
    "empty": ("没有内容：第一行应为列标题", "there is nothing in it: the first row should say what each column is"),
    "which-kind": (
        "不知道文件内容是什么：请命名为 {kinds} 之一，或使用 --kind",
        "what it holds is not known: name it as one of {kinds}, or say --kind",
    ),
    "which-sheet": (
        "不知道这个工作表的内容是什么：请命名为 {kinds} 之一，或“说明”",
        "what this sheet holds is not known: name it as one of {kinds}, or 'notes'",
    ),
    "which-column": ("没有“{column}”这一列；可用：{known}", "there is no column {column!r}; there are: {known}"),
    "column-twice": ("“{column}”列重复", "the column {column!r} is there twice"),
    "no-column": ("缺少“{column}”列", "the column {column} is missing"),
    "extra-cells": (
        "这一行有 {cells} 格，标题只有 {columns} 列：文字中的逗号要用引号",
        "this row has {cells} cells and the heading {columns}: a comma in a text needs quotes around the text",
    ),
    "many-devices": ("一个网关最多 {most} 个设备", "a gateway has {most} devices at most"),
    "many-contacts": ("一位住户最多 {most} 位联系人", "a resident has {most} contacts at most"),
}
SPEECH = Speech(TEXTS)


def in_words(problem: Problem) -> str:
    """In the terminal's language."""
    return in_both(problem)[LANGUAGES.index(language())]


def in_both(problem: Problem) -> tuple[str, str]:
    """Chinese and English."""
    zh, en = (TEXTS[problem.code][place].format(**_facts(problem, place)) for place in (0, 1))
    return zh, en


def field_word(kind: Kind, name: str) -> str:
    """What a field is called in the terminal's language."""
    found = next((field for field in FIELDS[kind] if field.name == name), None)
    return found.heading if found is not None and language() == "zh" else name


def kind_word(kind: Kind) -> str:
    return SPEECH.say(f"kind.{kind}")


def _facts(problem: Problem, place: int) -> dict[str, str]:
    facts = dict(problem.facts)
    if "what" in facts:
        facts["what"] = TEXTS[f"kind.{facts['what']}"][place]
    return facts
