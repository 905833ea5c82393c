"""The text of the escalation policies (TOML) into what `alerts.escalation` decides by, or every problem that it has.

docs/examples/policy.toml shows every key. A problem names the line and the key; one does not hide another.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, time
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hearthline.config import Config
from hearthline.model import Cause
from hearthline_cloud.alerts.escalation import (
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
from hearthline_cloud.alerts.schedule import EVERY_DAY, Hours, Override, Rotation, Schedule, Shift
from hearthline_cloud.policy_lines import KeyPath, key_lines, line_of, spell, syntax_line
from hearthline_cloud.policy_problems import Problem, Wrong
from hearthline_cloud.policy_shape import Faults, read_struct

MIN_REPEAT_S = 30.0
MAX_S = 30 * 24 * 3600.0
MAX_CHARACTERS = 20_000
_NAMED = (TargetKind.CHANNEL, TargetKind.STAFF, TargetKind.SCHEDULE)
_TARGETS = (
    "channel:NAME, staff:NAME, schedule:NAME, contact, everyone, call-back, street-desk, street-desk:CHANNEL, volunteer"
)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_MIDNIGHT = time(0)


class QuietEntry(Config, frozen=True):
    """Between these local times of a day only emergencies tell anybody."""

    begin: time = msgspec.field(name="from")
    end: time = msgspec.field(name="to")
    zone: str = "Asia/Shanghai"


class StepEntry(Config, frozen=True):
    """`to`: `channel:NAME`, `staff:NAME`, `schedule:NAME`, `contact`, `everyone`, or a work order: `call-back`,
    `street-desk[:CHANNEL]`, `volunteer`."""

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


class ShiftEntry(Config, frozen=True):
    """The whole day unless `from` and `to` say otherwise; what does not end after it begins ends on the next day."""

    staff: list[str]
    days: list[Weekday] = []
    begin: time = msgspec.field(name="from", default=_MIDNIGHT)
    end: time = msgspec.field(name="to", default=_MIDNIGHT)


class RotationEntry(Config, frozen=True):
    """One of `staff` after the other, each a day or a week, the first from `start` on."""

    staff: list[str]
    every: Literal["day", "week"]
    start: date
    days: list[Weekday] = []
    begin: time = msgspec.field(name="from", default=_MIDNIGHT)
    end: time = msgspec.field(name="to", default=_MIDNIGHT)


class OverrideEntry(Config, frozen=True):
    """Who has the duty on one day, whatever the shifts and rotations say."""

    date: date
    staff: list[str]
    begin: time = msgspec.field(name="from", default=_MIDNIGHT)
    end: time = msgspec.field(name="to", default=_MIDNIGHT)


class ScheduleEntry(Config, frozen=True):
    zone: str = "Asia/Shanghai"
    shift: list[ShiftEntry] = []
    rotation: list[RotationEntry] = []
    override: list[OverrideEntry] = []


class PolicyFile(Config, frozen=True):
    """The first rule that fits counts, and `otherwise` where none does."""

    otherwise: str
    policy: dict[str, PolicyEntry]
    rule: list[RuleEntry] = []
    schedule: dict[str, ScheduleEntry] = {}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says; `policies` is None where it has problems."""

    policies: Policies | None
    problems: tuple[Problem, ...] = ()


def read_policies(text: str, reaches: Iterable[Reach] | None = None) -> Reading:
    """The policies of a text. With `reaches`, the channels that there are, who cannot be reached is a problem too."""
    if len(text) > MAX_CHARACTERS:
        return Reading(None, (Problem(1, "", Wrong.TOO_LONG, {"most": str(MAX_CHARACTERS)}),))
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        return Reading(None, (Problem(syntax_line(text, str(error)), "", Wrong.SYNTAX, {"detail": str(error)}),))
    faults = Faults()
    file = read_struct(PolicyFile, tree, (), faults)
    known = None if reaches is None else tuple(reaches)
    policies = None if file is None else _Room(file, tree, known, faults).policies()
    if not faults.found:
        return Reading(policies)
    lines = key_lines(text)
    problems = [Problem(line_of(lines, path), spell(path), wrong, facts) for path, wrong, facts in faults.found]
    return Reading(None, tuple(sorted(problems, key=lambda problem: (problem.line, problem.key))))


class _Room:
    """One file being checked: `faults` gets what is wrong with it."""

    def __init__(
        self, file: PolicyFile, tree: dict[str, Any], reaches: tuple[Reach, ...] | None, faults: Faults
    ) -> None:
        self._file = file
        self._policies: Collection[str] = tree["policy"]  # also those with a problem of their own
        self._schedules: Collection[str] = tree.get("schedule", ())
        self._reaches = reaches
        self._faults = faults

    def policies(self) -> Policies:
        file = self._file
        schedules = {name: self._schedule(("schedule", name), entry) for name, entry in file.schedule.items()}
        policies = {name: self._policy(name, entry) for name, entry in file.policy.items()}
        rules = tuple(self._rule(("rule", place), rule) for place, rule in enumerate(file.rule))
        self._known(("otherwise",), file.otherwise, self._policies, Wrong.UNKNOWN_POLICY)
        return Policies(policies, rules, file.otherwise, schedules)

    def _policy(self, name: str, entry: PolicyEntry) -> Policy:
        where: KeyPath = ("policy", name)
        if not entry.step:
            self._faults.add((*where, "step"), Wrong.NO_STEP)
        for key in ("repeat_s", "progress_s", "visit_s", "volunteer_s"):
            self._seconds((*where, key), getattr(entry, key), MIN_REPEAT_S)
        before = -1.0
        for place, each in enumerate(entry.step):
            here = (*where, "step", place)
            self._seconds((*here, "after_s"), each.after_s, 0)
            if each.after_s <= before:
                self._faults.add((*here, "after_s"), Wrong.NOT_LATER, value=f"{each.after_s:g}")
            if not each.to:
                self._faults.add((*here, "to"), Wrong.NO_TARGET)
            before = each.after_s
        steps = tuple(self._step((*where, "step", place), each) for place, each in enumerate(entry.step))
        quiet = None if entry.quiet_hours is None else self._quiet((*where, "quiet_hours"), entry.quiet_hours)
        return Policy(name, steps, entry.repeat_s, entry.progress_s, entry.visit_s, quiet, entry.volunteer_s)

    def _seconds(self, where: KeyPath, value: float, least: float) -> None:
        if not least <= value <= MAX_S:  # not a number fails too
            self._faults.add(where, Wrong.SECONDS, value=f"{value:g}", least=f"{least:.0f}", most=f"{MAX_S:.0f}")

    def _step(self, where: KeyPath, entry: StepEntry) -> Step:
        targets = [self._target((*where, "to", place), word) for place, word in enumerate(entry.to)]
        return Step(entry.after_s, tuple(target for target in targets if target is not None))

    def _target(self, where: KeyPath, word: str) -> Target | None:
        kind, colon, name = word.partition(":")
        is_named, may_be_named = bool(name), kind in _NAMED or (kind == TargetKind.STREET_DESK and bool(colon))
        if kind not in set(TargetKind) or not is_named == may_be_named == bool(colon):
            self._faults.add(where, Wrong.UNKNOWN_TARGET, word=word, known=_TARGETS)
            return None
        target = Target(TargetKind(kind), name)
        if target.kind is TargetKind.SCHEDULE:
            self._known(where, name, self._schedules, Wrong.UNKNOWN_SCHEDULE)
        elif self._reaches is not None and not is_reached(target, self._reaches):
            self._faults.add(where, Wrong.UNREACHED, word=word)
        return target

    def _quiet(self, where: KeyPath, entry: QuietEntry) -> QuietHours:
        self._hours(where, entry)
        if entry.begin == entry.end:
            self._faults.add((*where, "to"), Wrong.NO_QUIET)
        return QuietHours(entry.begin, entry.end, self._zone((*where, "zone"), entry.zone))

    def _zone(self, where: KeyPath, name: str) -> ZoneInfo:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._faults.add(where, Wrong.ZONE, name=name)
            return ZoneInfo("UTC")

    def _hours(self, where: KeyPath, entry: QuietEntry | ShiftEntry | RotationEntry | OverrideEntry) -> Hours:
        for key, value in (("from", entry.begin), ("to", entry.end)):
            if value.tzinfo is not None:
                self._faults.add((*where, key), Wrong.OFFSET)
        return Hours(entry.begin.replace(tzinfo=None), entry.end.replace(tzinfo=None))

    def _rule(self, where: KeyPath, entry: RuleEntry) -> Rule:
        self._known((*where, "policy"), entry.policy, self._policies, Wrong.UNKNOWN_POLICY)
        for key, value, known in (("kind", entry.kind, set(AlertKind)), ("cause", entry.cause, set(Cause))):
            if value and value not in known:
                self._faults.add((*where, key), Wrong.NOT_ONE_OF, value=value, known=", ".join(sorted(known)))
        return Rule(entry.policy, entry.kind, entry.cause, entry.community)

    def _known(self, where: KeyPath, name: str, known: Collection[str], wrong: Wrong) -> None:
        if name not in known:
            self._faults.add(where, wrong, name=name)

    def _schedule(self, where: KeyPath, entry: ScheduleEntry) -> Schedule:
        if not (entry.shift or entry.rotation):
            self._faults.add(where, Wrong.EMPTY_SCHEDULE)
        shifts = []
        for place, shift in enumerate(entry.shift):
            here = (*where, "shift", place)
            shifts.append(Shift(self._staff(here, shift.staff), self._hours(here, shift), _days(shift.days)))
        rotations = []
        for place, each in enumerate(entry.rotation):
            here = (*where, "rotation", place)
            turn_days = 7 if each.every == "week" else 1
            staff, hours = self._staff(here, each.staff), self._hours(here, each)
            rotations.append(Rotation(staff, each.start, turn_days, hours, _days(each.days)))
        overrides = []
        for place, day in enumerate(entry.override):
            here = (*where, "override", place)
            overrides.append(Override(self._staff(here, day.staff), day.date, self._hours(here, day)))
        zone = self._zone((*where, "zone"), entry.zone)
        return Schedule(tuple(shifts), tuple(rotations), tuple(overrides), zone)

    def _staff(self, where: KeyPath, names: list[str]) -> tuple[str, ...]:
        if not names:
            self._faults.add((*where, "staff"), Wrong.NO_STAFF)
        for place, name in enumerate(names):
            if self._reaches is not None and not is_reached(Target(TargetKind.STAFF, name), self._reaches):
                self._faults.add((*where, "staff", place), Wrong.UNREACHED, word=name)
        return tuple(names)


def _days(names: list[Weekday]) -> frozenset[int]:
    return frozenset(_DAYS.index(name) for name in names) or EVERY_DAY


def is_reached(target: Target, reaches: tuple[Reach, ...]) -> bool:
    """Whether the channels that there are lead to `target`; of a schedule, to anybody of the staff."""
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
