"""What `hearthline` says of its use, in Chinese and English: the list of commands, and mistakes in a command line.

The library that reads command lines speaks English alone; its sentences are known here by their form.
"""

from __future__ import annotations

import re
from typing import Final

from hearthline.speech import Speech, language

TEXTS: Final = Speech(
    {
        "demo": (
            "在这台机器上演示整个产品：按下吊坠，看警报到达",
            "the whole product on this machine: press a pendant, watch the alert arrive",
        ),
        "edge": ("家中的网关：run、doctor、outbox、decode", "the gateway in the home: run, doctor, outbox, decode"),
        "cloud": (
            "社区中心：run、migrate、user、registry",
            "the community center: run, migrate, user, registry",
        ),
        "dashboards": (
            "Grafana 的面板和配置：build、check、push",
            "Grafana's dashboards and provisioning: build, check, push",
        ),
        "sim": ("模拟的设备和家，字节与真实固件相同", "simulated devices and homes, byte-exact firmware"),
        "community": (
            "社区：add、list、show、edit、remove、import",
            "communities: add, list, show, edit, remove, import",
        ),
        "home": (
            "住家和地址：add、list、show、edit、remove、import",
            "homes and their addresses: add, list, show, edit, remove, import",
        ),
        "resident": (
            "住户：add、list、show、edit、remove、import",
            "who lives in a home: add, list, show, edit, remove, import",
        ),
        "contact": (
            "住户的联系人：add、list、show、edit、remove、import",
            "whom to call for a resident: add, list, show, edit, remove, import",
        ),
        "staff": (
            "中心人员的账号：add、list、show、edit、remove、import",
            "accounts of the center's people: add, list, show, edit, remove, import",
        ),
        "gateway": (
            "网关：add、code、enrol、commission、state、configure……",
            "gateways: add, code, enrol, commission, state, configure, …",
        ),
        "device": (
            "吊坠、血压计、电表：add（在家中：按一下即可识别）、list、show、edit、remove、import",
            "pendants, cuffs, meters: add (in the home: press and learn), list, show, edit, remove, import",
        ),
        "usage": ("用法：hearthline [--lang zh|en] 命令 …", "usage: hearthline [--lang zh|en] COMMAND …"),
        "example": ("例：hearthline demo", "example: hearthline demo"),
        "bad-lang": ("--lang 只能是：{languages}", "--lang takes one of: {languages}"),
        "unknown": ("没有“{name}”这个命令；可用：{names}", "unknown command {name!r}; there are: {names}"),
        "not-installed": (
            "这里没有安装 'hearthline {word}'（缺少模块 {missing!r}）。安装：pip install 'hearthline[{extra}]'",
            "'hearthline {word}' is not installed here (no module {missing!r}). "
            "Install it with: pip install 'hearthline[{extra}]'",
        ),
    }
)

_USAGE: Final = "{usage}\n用“{command} --help”查看说明。\n\n"
_WORDS: Final = (("Usage: ", "用法："), ("[OPTIONS]", "[选项]"), ("COMMAND", "命令"), ("[ARGS]", "[参数]"))
_IN_CHINESE: Final = (
    (
        r"No such option: (\S+?)\.?(?: \(Possible options: (.+)\)| Did you mean (.+)\?)?",
        "没有选项 {0}",
        "；类似的有：{0}",
    ),
    (r"No such command '(.*?)'\.?(?: Did you mean (.+)\?)?", "没有“{0}”这个命令", "；类似的有：{0}"),
    (r"Missing command\.", "缺少命令", ""),
    (r"Missing (?:argument|option|parameter):? '?(.*?)'?\.?", "缺少 {0}", ""),
    (r"Got unexpected extra arguments? ?(?:\(s\) )?\((.*)\)", "多出了：{0}", ""),
    (r"Option '?(.*?)'? requires an argument\.?", "选项 {0} 后面要有值", ""),
    (r"Invalid value for '?(.*?)'?: (?:Value error, )?(.*)", "{0} 的值不能用", "：{0}"),
)


def in_chinese(said: str) -> str:
    """A sentence of the library about a command line; one that is not known stays as it is."""
    for pattern, first, rest in _IN_CHINESE:
        if (match := re.fullmatch(pattern, said, re.DOTALL)) is not None:
            head, *more = (each for each in (*match.groups(), "") if each is not None)
            return first.format(head) + "".join(rest.format(each) for each in more if each)
    return said


def mistake(said: str, usage: str, command: str) -> str | None:
    """How a mistake is told in Chinese; None where the library's own English will do.

    `usage`: "Usage: …" of the command, or nothing where it is not known.
    """
    if language() != "zh":
        return None
    for english, chinese in _WORDS:
        usage = usage.replace(english, chinese)
    return (_USAGE.format(usage=usage, command=command) if usage else "") + f"错误：{in_chinese(said)}"
