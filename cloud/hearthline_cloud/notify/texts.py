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


@dataclass(frozen=True, slots=True)
class Facts:
    """`place`: the home's pseudonym; its name and address over a trusted channel only."""

    alert: int
    kind: str
    cause: str
    state: str
    place: str
    minutes: int
    notice: int


def title(facts: Facts, language: Language) -> str:
    word = facts.kind if facts.kind != "emergency" or facts.cause == "press" else facts.cause
    return _WHAT.get(word, _OTHER)[_place_of(language)]


def render(facts: Facts, language: Language, template: str | None = None) -> tuple[str, bool]:
    """The text, and whether the channel's own template failed, so that it is the plain one."""
    words = {
        "what": title(facts, language),
        "place": facts.place,
        "minutes": str(facts.minutes),
        "state": _STATE.get(facts.state, ("", ""))[_place_of(language)] or facts.state,
        "alert": str(facts.alert),
        "notice": str(facts.notice),
    }
    if template is not None:
        try:
            text = Template(template).substitute(words).strip()
        except (KeyError, ValueError):
            text = ""
        if text:
            return text[:MAX_TEXT], False
    return Template(_PLAIN[language]).substitute(words)[:MAX_TEXT], template is not None


def _place_of(language: Language) -> int:
    return 0 if language == "zh" else 1
