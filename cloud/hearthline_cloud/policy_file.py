"""The escalation policies' file (`policy_file` of cloud.toml) into what `alerts.escalation` decides by.

docs/examples/policy.toml shows every key. Without a file the shipped policies hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hearthline.config import Config, load_config
from hearthline.errors import ConfigError
from hearthline.model import Cause
from hearthline_cloud.alerts.escalation import (
    SHIPPED,
    Policies,
    Policy,
    QuietHours,
    Reach,
    Rule,
    Step,
    Target,
    TargetKind,
)
from hearthline_cloud.alerts.lifecycle import AlertKind

MIN_REPEAT_S = 30.0
MAX_S = 30 * 24 * 3600.0
_NAMED = (TargetKind.CHANNEL, TargetKind.STAFF)
_TARGETS = "channel:NAME, staff:NAME, contact, everyone, call-back, street-desk, street-desk:CHANNEL, volunteer"


class QuietEntry(Config, frozen=True):
    """Between these local times of a day only emergencies tell anybody."""

    begin: time = msgspec.field(name="from")
    end: time = msgspec.field(name="to")
    zone: str = "Asia/Shanghai"


class StepEntry(Config, frozen=True):
    """`to`: `channel:NAME`, `staff:NAME`, `contact`, `everyone`, or a work order: `call-back`, `street-desk[:CHANNEL]`,
    `volunteer`."""

    after_s: float
    to: list[str]


class PolicyEntry(Config, frozen=True):
    step: list[StepEntry]
    repeat_s: float
    progress_s: float
    visit_s: float = 3600.0
    quiet_hours: QuietEntry | None = None
    volunteer_s: float = 300.0


class RuleEntry(Config, frozen=True):
    """Which alerts have this policy; a key that is absent is any."""

    policy: str
    kind: str = ""
    cause: str = ""
    community: str = ""


class PolicyFile(Config, frozen=True):
    """The first rule that fits counts, and `otherwise` where none does."""

    otherwise: str
    policy: dict[str, PolicyEntry]
    rule: list[RuleEntry] = []


def load_policies(path: Path | None, reaches: Iterable[Reach]) -> Policies:
    """The policies of the file, or the shipped ones. Raises ConfigError with the file and the key."""
    if path is None:
        return SHIPPED
    file = load_config(path, PolicyFile)
    known = tuple(reaches)
    try:
        policies = {name: _policy(name, entry, known) for name, entry in file.policy.items()}
        rules = tuple(_rule(f"rule[{place}]", rule, policies) for place, rule in enumerate(file.rule))
        if file.otherwise not in policies:
            raise ConfigError(f"otherwise = {file.otherwise!r}: there is no such policy")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return Policies(policies, rules, file.otherwise)


def untold(policies: Policies, reaches: Iterable[Reach]) -> list[str]:
    """In words: the steps of the policies that reach nobody with the channels that there are."""
    known = tuple(reaches)
    if not known:
        return ["no channel is configured: nobody is told but the console"]
    faults = []
    for policy in policies.policies.values():
        for step in policy.steps:
            lost = [str(target) for target in step.targets if not _is_told(target, known)]
            if lost:
                faults.append(f"policy {policy.name}: the step after {step.after_s:g} s has no channel for {lost[0]}")
    return faults


def _policy(name: str, entry: PolicyEntry, reaches: tuple[Reach, ...]) -> Policy:
    where = f"policy.{name}"
    if not entry.step:
        raise ConfigError(f"{where}.step: a policy has one step at least")
    for key, value, least in (
        ("repeat_s", entry.repeat_s, MIN_REPEAT_S),
        ("progress_s", entry.progress_s, MIN_REPEAT_S),
        ("visit_s", entry.visit_s, MIN_REPEAT_S),
        ("volunteer_s", entry.volunteer_s, MIN_REPEAT_S),
    ):
        _check_seconds(f"{where}.{key}", value, least)
    steps: list[Step] = []
    for place, each in enumerate(entry.step):
        here = f"{where}.step[{place}]"
        _check_seconds(f"{here}.after_s", each.after_s, 0)
        if steps and each.after_s <= steps[-1].after_s:
            raise ConfigError(f"{here}.after_s = {each.after_s:g}: each step comes later than the one before it")
        if not each.to:
            raise ConfigError(f"{here}.to: a step tells somebody")
        steps.append(Step(each.after_s, tuple(_target(f"{here}.to", word, reaches) for word in each.to)))
    quiet = None if entry.quiet_hours is None else _quiet(f"{where}.quiet_hours", entry.quiet_hours)
    return Policy(name, tuple(steps), entry.repeat_s, entry.progress_s, entry.visit_s, quiet, entry.volunteer_s)


def _check_seconds(where: str, value: float, least: float) -> None:
    if not least <= value <= MAX_S:  # not a number fails too
        raise ConfigError(f"{where} = {value:g}: must be {least:g} to {MAX_S:g} seconds")


def _target(where: str, word: str, reaches: tuple[Reach, ...]) -> Target:
    kind, colon, name = word.partition(":")
    is_named, may_be_named = bool(name), kind in _NAMED or (kind == TargetKind.STREET_DESK and bool(colon))
    fits = is_named == may_be_named == bool(colon)
    if kind not in set(TargetKind) or not fits:
        raise ConfigError(f"{where}: {word!r} is none of {_TARGETS}")
    target = Target(TargetKind(kind), name)
    if not _is_reached(target, reaches):
        raise ConfigError(f"{where}: no [[channel]] of cloud.toml reaches {word!r}")
    return target


def _is_reached(target: Target, reaches: tuple[Reach, ...]) -> bool:
    match target.kind:
        case TargetKind.CHANNEL | TargetKind.STREET_DESK if target.name:
            return any(reach.name == target.name and not reach.contacts for reach in reaches)
        case TargetKind.STAFF:
            return any(target.name in reach.staff and not reach.contacts for reach in reaches)
        case TargetKind.SCHEDULE:
            return any(reach.staff and not reach.contacts for reach in reaches)
        case TargetKind.CONTACT:
            return any(reach.contacts for reach in reaches)
        case TargetKind.EVERYONE:
            return bool(reaches)
        case _:  # a work order stands in the console whatever there is
            return True


def _is_told(target: Target, reaches: tuple[Reach, ...]) -> bool:
    """Whether somebody outside the console hears of it, where somebody should."""
    if target.kind is TargetKind.VOLUNTEER:
        return any(reach.contacts for reach in reaches)
    return _is_reached(target, reaches)


def _quiet(where: str, entry: QuietEntry) -> QuietHours:
    for key, value in (("from", entry.begin), ("to", entry.end)):
        if value.tzinfo is not None:
            raise ConfigError(f"{where}.{key}: a local time of the day, without an offset")
    if entry.begin == entry.end:
        raise ConfigError(f"{where}.to: the quiet hours end when they begin")
    try:
        return QuietHours(entry.begin, entry.end, ZoneInfo(entry.zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"{where}.zone = {entry.zone!r}: there is no such time zone on this machine") from None


def _rule(where: str, entry: RuleEntry, policies: dict[str, Policy]) -> Rule:
    if entry.policy not in policies:
        raise ConfigError(f"{where}.policy = {entry.policy!r}: there is no such policy")
    for key, value, known in (("kind", entry.kind, set(AlertKind)), ("cause", entry.cause, set(Cause))):
        if value and value not in known:
            raise ConfigError(f"{where}.{key} = {value!r}: there are: {', '.join(sorted(known))}")
    return Rule(entry.policy, entry.kind, entry.cause, entry.community)
