"""Where an MQTT profile finds things: levels of a topic, and paths into a payload. Never raises on a payload.

topic    acme/{device}/state           one level names the device, `+` stands for any level
         shellies/{device}/# with a rule's relay/0/power: the rule's topic stands in the place of the `#`
path     batt    a.b    sensors[0].value    'odd.key'.x    [0]    -: the payload itself, a number or a text
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from hearthline_edge.payload import json_value, number
from hearthline_edge.profile import Profile, Scalar

DEVICE: Final = "{device}"
WHOLE: Final = "-"
_STEP: Final = re.compile(
    r"""\[([0-9]{1,4})\]"""
    r"""|(?:^|\.)(?:([^\s.\[\]"'](?:[^.\[\]"']*[^\s.\[\]"'])?)|"([^"]+)"|'([^']+)')"""
)
_NOTHING: Final = frozenset({"", "none", "null"})
_UNKNOWN: Final = frozenset({"unknown", "unavailable", "nan"})  # Home Assistant's and ESPHome's words

Steps = tuple[str | int, ...]


def parse_path(path: str) -> Steps:
    """The steps of a path; none for "-", the payload itself. Raises ValueError with what a path is."""
    if path == WHOLE:
        return ()
    steps: list[str | int] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None or (at == 0 and path[0] == "."):
            raise ValueError(
                "a path is names with dots, [0] for the first of a list, odd names in quotes: a.b[0].'c d'"
            )
        index, *names = match.groups()
        steps.append(int(index) if index is not None else next(name for name in names if name is not None))
        at = match.end()
    return tuple(steps)


def parse_topic(topic: str, *, named_by_payload: bool) -> tuple[str, ...]:
    """The levels of a profile's topic. Raises ValueError with what is wrong."""
    levels = tuple(topic.split("/"))
    if topic.startswith("$") or "\0" in topic:
        raise ValueError("a device's topic neither begins with $ nor holds U+0000")
    for place, level in enumerate(levels):
        if level == "#" and place < len(levels) - 1:
            raise ValueError("# may only be the last level")
        if level not in ("#", "+", DEVICE) and any(mark in level for mark in "#+{}"):
            raise ValueError(f"{level!r}: +, # and {DEVICE} are levels of their own")
    if named_by_payload and DEVICE in levels:
        raise ValueError(f"{DEVICE} and device_path both name the device; keep one")
    if not named_by_payload and levels.count(DEVICE) != 1:
        raise ValueError(f"exactly one level is {DEVICE}; or device_path says where the payload names the device")
    return levels


def parse_rule_topic(topic: str) -> tuple[str, ...]:
    """The levels of a rule's own topic, below the `#`. Raises ValueError with what is wrong."""
    if any(mark in topic for mark in "#+{}\0"):
        raise ValueError("a rule's topic is plain, without +, # or {…}: two values would be taken for one")
    return tuple(topic.split("/"))


@dataclass(frozen=True, slots=True)
class TopicPattern:
    """A profile's topic: `head` its levels before a `#`, `tails` the plain topics below it; None: whatever follows."""

    head: tuple[str, ...]
    tails: frozenset[tuple[str, ...]] | None

    @classmethod
    def of(cls, profile: Profile) -> TopicPattern:
        assert profile.mqtt is not None
        levels = parse_topic(profile.mqtt.topic, named_by_payload=profile.mqtt.device_path is not None)
        if levels[-1] != "#":
            return cls(levels, frozenset({()}))
        topics = [rule.topic for rule in profile.value] + [rule.topic for rule in profile.event]
        tails = frozenset(parse_rule_topic(topic) for topic in topics if topic is not None)
        return cls(levels[:-1], None if None in topics else tails)

    def subscriptions(self) -> tuple[str, ...]:
        head = tuple("+" if level == DEVICE else level for level in self.head)
        if self.tails is None:
            return ("/".join((*head, "#")),)
        return tuple("/".join((*head, *tail)) for tail in sorted(self.tails))

    def example(self) -> str:
        """A topic that the pattern matches."""
        head = ("device" if level == DEVICE else "any" if level == "+" else level for level in self.head)
        return "/".join((*head, *(min(self.tails) if self.tails else ())))

    def match(self, topic: str) -> tuple[str, tuple[str, ...]] | None:
        """(the device's name or "", the levels below the head) of a topic that is the profile's; else None."""
        levels = tuple(topic.split("/"))
        below = levels[len(self.head) :]
        if (
            len(levels) < len(self.head)
            or topic.startswith("$")
            or (self.tails is not None and below not in self.tails)
        ):
            return None
        device = ""
        for wanted, level in zip(self.head, levels, strict=False):
            if wanted == DEVICE:
                device = level
            elif wanted not in ("+", level):
                return None
        return device, below


@dataclass(frozen=True, slots=True)
class Payload:
    """`tree` is None when it is no JSON; `text` is the payload as it was written."""

    is_json: bool
    tree: Any
    text: str

    @classmethod
    def of(cls, payload: bytes) -> Payload:
        is_json, tree = json_value(payload)
        return cls(is_json, tree, payload.decode("utf-8", "replace").strip())

    @property
    def has_names(self) -> bool:
        return isinstance(self.tree, dict | list)

    def find(self, steps: Steps) -> Any:
        """What lies at a path, texts without their white space; None when nothing does."""
        found = self.tree if self.is_json or steps else self.text
        for step in steps:
            if isinstance(step, int):
                found = found[step] if isinstance(found, list) and step < len(found) else None
            else:
                found = found.get(step) if isinstance(found, dict) else None
        return found.strip() if isinstance(found, str) else found

    def is_any_of(self, steps: Steps, wanted: tuple[Scalar, ...]) -> bool:
        """Whether the value at a path is one of these; the payload itself also as it was written."""
        value = self.find(steps)
        return any(_equal(value, each) or (not steps and self.text == each) for each in wanted)


def _equal(value: Any, wanted: Scalar) -> bool:
    """true is not 1, and "1" is neither: in what a device varies is listed."""
    if isinstance(wanted, bool):
        return value is wanted
    if isinstance(wanted, str):
        return isinstance(value, str) and value == wanted
    return not isinstance(value, str) and number(value) == Decimal(repr(wanted))


def is_unknown(value: Any) -> bool:
    """Whether this says that the device does not know: null, or a word for it."""
    return value is None or (isinstance(value, str) and value.lower() in _UNKNOWN)


def is_nothing(value: Any) -> bool:
    """Whether this says no: false, 0, empty, or a word for it."""
    return value.lower() in _NOTHING if isinstance(value, str) else not value


def text_of(value: Any) -> str:
    """A scalar as a name; "" when it is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    exact = number(value)
    if exact is None:
        return ""
    return str(int(exact)) if exact == exact.to_integral_value() else str(exact)
