"""What a message says, in Chinese and English: no illness ever, no name or address but over a trusted channel.

The console's texts are for the screen in front of somebody; these are for a telephone in a pocket.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template
from typing import Literal

Language = Literal["zh", "en"]
MAX_TEXT = 1000

_WHAT: dict[str, tuple[str, str]] = {
    "emergency": ("紧急呼叫", "Emergency call"),
    "service": ("服务呼叫", "Service call"),
    "gateway-silent": ("网关失联", "Gateway silent"),
    "center-blind": ("中心收不到家中信号", "The center cannot hear the homes"),
    "device-silent": ("设备无信号", "Device silent"),
    "device-fault": ("设备待维护", "Device needs seeing to"),
    "test-missed": ("网关自检未通过", "A gateway did not prove its way to the center"),
    "access-fault": ("网关证书与接入需要处理", "Gateways' certificates need seeing to"),
    "smoke": ("烟雾报警", "Smoke alarm"),
    "heat": ("高温报警", "Heat alarm"),
    "gas": ("燃气报警", "Gas alarm"),
    "carbon-monoxide": ("一氧化碳报警", "Carbon monoxide alarm"),
    "leak": ("漏水报警", "Water leak"),
    "fall": ("跌倒报警", "Fall"),
    "alarm": ("探测器报警", "Detector alarm"),
}
_OTHER = ("报警", "Alert")
_STATE: dict[str, tuple[str, str]] = {
    "raised": ("尚无人受理", "nobody has taken it"),
    "acknowledged": ("已受理，但没有进展", "taken, but nothing has happened since"),
    "attending": ("已有人前往，但未到达", "somebody is on the way, but nothing has happened since"),
    "arrived": ("已有人到场，但未结案", "somebody is there, but it is not closed"),
}
_PLAIN: dict[Language, str] = {
    "zh": "$what：$place，$minutes 分钟前，$state。请打开值班台处理。编号 $alert，第 $notice 次通知。",
    "en": "$what: $place, $minutes min ago, $state. Please open the console. Alert $alert, notice $notice.",
}
# Who is asked to go. A volunteer reads the address behind his link, never in the message.
_ORDER: dict[str, dict[Language, str]] = {
    "street": {
        "zh": "$what：$place，$minutes 分钟前。请派人上门，并在值班台“工单”页回复。工单 $order。",
        "en": "$what: $place, $minutes min ago. Please send somebody, and answer under work orders. Order $order.",
    },
    "volunteer": {
        "zh": "$what，$minutes 分钟前。请您上门看望，点开查看地址并回复：$link",
        "en": "$what, $minutes min ago. Please go and look. Address and answer: $link",
    },
    "volunteer-without-link": {
        "zh": "$what，$minutes 分钟前。请您上门看望，先致电社区照护中心。工单 $order。",
        "en": "$what, $minutes min ago. Please go and look; call the community care center first. Order $order.",
    },
}

_TEST: dict[Language, tuple[str, str]] = {
    "zh": ("测试", "这是一条测试消息，没有任何呼叫，无需处理。"),
    "en": ("Test", "This is a test. There is no alert, and nothing to do."),
}


_QUESTION: dict[Language, tuple[str, str]] = {
    "zh": (
        "社区照护中心：一个问题",
        "社区照护中心：您或您家人的呼叫已处理。请问得到帮助了吗？请点开链接回答（七天内有效）：$link",
    ),
    "en": (
        "Community care center: one question",
        "Community care center: your call, or your relative's, was closed. Were you helped? Please answer within "
        "seven days: $link",
    ),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """`place`: the home's pseudonym; its name and address over a trusted channel only.

    `order`: the work order that the message is about, 0 for none; `link` leads a volunteer to it.
    """

    alert: int
    kind: str
    cause: str
    state: str
    place: str
    minutes: int
    notice: int
    order: int = 0
    order_kind: str = ""
    link: str = ""


def question(language: Language, link: str) -> tuple[str, str]:
    """Title and text of the one question after a case: it says nothing of the case."""
    subject, text = _QUESTION[language]
    return subject, Template(text).substitute(link=link)


def title(facts: Facts, language: Language) -> str:
    word = facts.kind if facts.kind != "emergency" or facts.cause == "press" else facts.cause
    return _WHAT.get(word, _OTHER)[_place_of(language)]


def render(facts: Facts, language: Language, template: str | None = None) -> tuple[str, bool]:
    """The text, and whether the channel's own template failed, so that it is the plain one.

    A template tells of alerts; of a work order it tells only when it has the place for it ($order or $link).
    """
    words = {
        "what": title(facts, language),
        "place": facts.place,
        "minutes": str(facts.minutes),
        "state": _STATE.get(facts.state, ("", ""))[_place_of(language)] or facts.state,
        "alert": str(facts.alert),
        "notice": str(facts.notice),
        "order": str(facts.order or ""),
        "link": facts.link,
    }
    plain = _plain(facts, language)
    if template is not None and facts.order and ("$link" if facts.link else "$order") not in template:
        template = None
    if template is not None:
        try:
            text = Template(template).substitute(words).strip()
        except (KeyError, ValueError):
            text = ""
        if text:
            return text[:MAX_TEXT], False
    return Template(plain).substitute(words)[:MAX_TEXT], template is not None


def _plain(facts: Facts, language: Language) -> str:
    if not facts.order:
        return _PLAIN[language]
    kind = (
        f"{facts.order_kind}-without-link" if facts.order_kind == "volunteer" and not facts.link else facts.order_kind
    )
    return _ORDER[kind][language]


def trial_texts(language: Language) -> tuple[str, str]:
    """Title and text of a message that only tries a channel."""
    return _TEST[language]


def _place_of(language: Language) -> int:
    return 0 if language == "zh" else 1
