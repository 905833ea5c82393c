"""Who is told of an alert, when, and when again: pure, one timer an open alert.

                     due: tell the step's targets, set the next step
                    +------------------------------+
                    v                              |
    alert --> climbing (waits for STEP) -----------+    the last step repeats until a person takes the alert
                 |            ^
     a person    |            |  due: nothing happened for too long; a new climb begins at the first step
     takes it    v            |  or, with nobody on the way, another press
              answered (waits for PROGRESS) <--+
                 |            | a person does something more: the time begins anew
                 |            +----------------+
                 |            | hastened: back to climbing, the next step is due at once
     resolved    v
              no timer; a reopened alert begins a new climb

A further press hastens the climb: the next step is due at once, once for each press and MAX_HURRIED times in a climb,
so that a button that chatters tells nobody more often than that. A press of an alert that a person has taken, with
nobody on the way yet, ends what the acknowledgement was worth: the alert climbs again, from that press.

`advance` looks at one alert and its timer and says what is to be done now. It may be asked at any time and as often
as one likes: a timer that is not due is given back as it is. What a person did is known by the alert's `version`, which
counts it, so that no step of a clock can hide it. Times are Unix nanoseconds of the cloud's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum

from hearthline.clock import NS
from hearthline_cloud.alerts.lifecycle import MAX_URGENCY, AlertKind, State
from hearthline_cloud.alerts.schedule import Schedule

MAX_HURRIED = MAX_URGENCY - 1  # a press for each urgency above the first
_LOCK_WAIT_S = 15  # a writer may have waited so long for the database since `now` was read


class TargetKind(StrEnum):
    CHANNEL = "channel"  # the channel of that name
    STAFF = "staff"  # the channels that reach this member of staff
    SCHEDULE = "schedule"  # the channels that reach whoever is on duty by this schedule
    CONTACT = "contact"  # the resident's contacts, one after the other, over the channels that reach contacts
    EVERYONE = "everyone"  # every channel, and every contact
    CALL_BACK = "call-back"  # a task of the operators: call the resident
    STREET_DESK = "street-desk"  # a work order in the console; with a name, sent over that channel too
    VOLUNTEER = "volunteer"  # a work order to the home's paired volunteers, one after the other


@dataclass(frozen=True, slots=True)
class Target:
    """`name` of the channel, member of staff or schedule; of the channel that tells the street desk; else empty."""

    kind: TargetKind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind.value


@dataclass(frozen=True, slots=True)
class Step:
    """`after_s` from the beginning of the climb."""

    after_s: float
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Local times of a day between which nobody is woken for what is no emergency; `begin` may be after `end`."""

    begin: time
    end: time
    zone: tzinfo = UTC

    def released_ns(self, at_ns: int) -> int:
        """`at_ns`, or the end of the quiet hours that it lies in."""
        local = datetime.fromtimestamp(at_ns // NS, self.zone)
        clock = local.time()
        overnight = self.begin > self.end
        is_quiet = clock >= self.begin or clock < self.end if overnight else self.begin <= clock < self.end
        if not is_quiet:
            return at_ns
        day = local.date() if clock < self.end else local.date() + timedelta(days=1)
        return round(datetime.combine(day, self.end, self.zone).timestamp()) * NS


@dataclass(frozen=True, slots=True)
class Policy:
    """`progress_s`: how long an acknowledgement holds; `visit_s`: how long somebody may be on the way or there.

    `volunteer_s`: how long a volunteer may leave the work order unopened before the next one is asked.
    """

    name: str
    steps: tuple[Step, ...]
    repeat_s: float
    progress_s: float
    visit_s: float = 3600.0
    quiet: QuietHours | None = None
    volunteer_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Rule:
    """Which alerts a policy is for; an empty field is any."""

    policy: str
    kind: str = ""
    cause: str = ""
    community: str = ""


@dataclass(frozen=True, slots=True)
class Policies:
    """The first rule that fits counts; `fallback` where none does."""

    policies: Mapping[str, Policy]
    rules: tuple[Rule, ...]
    fallback: str
    schedules: Mapping[str, Schedule] = field(default_factory=dict)

    def policy_for(self, kind: str, cause: str, community: str) -> Policy:
        for rule in self.rules:
            if rule.kind in ("", kind) and rule.cause in ("", cause) and rule.community in ("", community):
                return self.policies[rule.policy]
        return self.policies[self.fallback]

    def on_duty(self, firing: Firing, now_ns: int) -> dict[str, frozenset[str]]:
        """Schedule -> who of the staff has it now, for the schedules that a step names."""
        names = [target.name for target in firing.targets if target.kind is TargetKind.SCHEDULE]
        return {name: self.schedules[name].on_duty(now_ns) for name in names}


@dataclass(frozen=True, slots=True)
class AlertView:
    """What escalation needs to know of an alert. `touched_ns`: the last time that the alert has of a person's act;
    `pressed_ns`: of a press; `due_ns`: when a scheduled service call is.

    `hastened` counts how often the next step was wanted at once: the resident did not answer the call, or needs help.
    """

    kind: str
    state: str
    raised_ns: int
    version: int
    touched_ns: int | None = None
    hastened: int = 0
    presses: int = 1
    pressed_ns: int | None = None
    due_ns: int | None = None


class Waits(StrEnum):
    STEP = "step"
    PROGRESS = "progress"


@dataclass(frozen=True, slots=True)
class Timer:
    """The one timer of an open alert. `step` counts what has been told in this climb; `set_ns`: when it was written.

    `version`, `hastened` and `presses` are those of the alert that it knows; `hurried`: how many of the presses have
    hastened this climb.
    """

    climb: int
    step: int
    waits_for: Waits
    began_ns: int
    due_ns: int
    set_ns: int
    version: int
    hastened: int = 0
    presses: int = 1
    hurried: int = 0


@dataclass(frozen=True, slots=True)
class Firing:
    """One step of one climb that is due now. `contact_turn`: which of the contacts a contact target means."""

    climb: int
    step: int
    targets: tuple[Target, ...]
    contact_turn: int


@dataclass(frozen=True, slots=True)
class Move:
    """What is to be done at once, and the timer to set then; `timer` None: the alert is closed."""

    timer: Timer | None
    firing: Firing | None = None
    expired: bool = False


def advance(policy: Policy, alert: AlertView, timer: Timer | None, last_climb: int, now_ns: int) -> Move:
    """What has to be done about an alert. `last_climb`: of all climbs that were ever begun, -1 for none."""
    if alert.state == State.RESOLVED:
        return Move(None)
    if timer is None:
        return Move(_first(policy, alert, last_climb, now_ns))
    timer = _rebased(timer, alert, policy, now_ns)
    acted = timer.version != alert.version
    if alert.state == State.RAISED:
        if timer.waits_for is Waits.PROGRESS:  # closed and reopened since
            return Move(_climb(policy, alert, timer.climb + 1, now_ns, now_ns))
        timer = replace(timer, version=alert.version)
    elif acted:
        limit_s = policy.progress_s if alert.state == State.ACKNOWLEDGED else policy.visit_s
        touched_ns = _touched(alert, timer, now_ns)
        timer = replace(
            timer,
            waits_for=Waits.PROGRESS,
            due_ns=max(touched_ns, _planned(alert)) + _ns(limit_s),
            set_ns=now_ns,
            version=alert.version,
            presses=_presses_known(alert, touched_ns),
        )
    if timer.hastened != alert.hastened:
        timer = _hastened(policy, alert, timer, now_ns)
    if timer.presses < alert.presses:
        timer = _pressed(alert, timer, now_ns)
    if timer.due_ns > now_ns:
        return Move(timer)
    if timer.waits_for is Waits.PROGRESS:
        return Move(_climb(policy, alert, timer.climb + 1, now_ns, now_ns), expired=True)
    return _fire(policy, alert, timer, now_ns)


def needs_a_look(alert: AlertView, timer: Timer | None, now_ns: int) -> bool:
    """Whether `advance` would change anything; the loop asks the same of the database."""
    if timer is None or alert.state == State.RESOLVED:
        return (timer is None) != (alert.state == State.RESOLVED)
    is_behind = (timer.version, timer.hastened) != (alert.version, alert.hastened) or timer.presses < alert.presses
    return timer.due_ns <= now_ns or is_behind or timer.set_ns > stale_after_ns(now_ns)


def stale_after_ns(now_ns: int) -> int:
    """A timer that was written later than this was written before the clock was set back."""
    return now_ns + _LOCK_WAIT_S * NS


def _first(policy: Policy, alert: AlertView, last_climb: int, now_ns: int) -> Timer:
    """A new alert climbs from when it was raised, one that was reopened or taken already from now."""
    is_new = last_climb < 0 and alert.raised_ns <= now_ns
    timer = _climb(policy, alert, last_climb + 1, alert.raised_ns if is_new else now_ns, now_ns)
    if is_new:
        timer = replace(timer, presses=1)  # the further ones count, however late we look
    return timer if alert.state == State.RAISED else replace(timer, version=-1)  # taken before we looked


def _climb(policy: Policy, alert: AlertView, climb: int, began_ns: int, now_ns: int) -> Timer:
    due_ns = _released(policy, alert, began_ns + _ns(policy.steps[0].after_s))
    version, hastened, presses = alert.version, alert.hastened, alert.presses
    return Timer(climb, 0, Waits.STEP, began_ns, due_ns, now_ns, version, hastened, presses)


def _hastened(policy: Policy, alert: AlertView, timer: Timer, now_ns: int) -> Timer:
    """The next step of the table is due now, also of an alert that somebody has; repeats are not hastened."""
    timer = replace(timer, hastened=alert.hastened, set_ns=now_ns)
    if timer.step >= len(policy.steps):
        return timer
    return replace(timer, waits_for=Waits.STEP, due_ns=min(timer.due_ns, now_ns))


def _pressed(alert: AlertView, timer: Timer, now_ns: int) -> Timer:
    """The timer after one more press: due at once, where a press has that effect."""
    if timer.waits_for is Waits.PROGRESS:
        due_ns = min(timer.due_ns, now_ns) if alert.state == State.ACKNOWLEDGED else timer.due_ns
        return replace(timer, presses=alert.presses, due_ns=due_ns, set_ns=now_ns)
    if timer.hurried >= MAX_HURRIED:
        return replace(timer, presses=alert.presses, set_ns=now_ns)
    due_ns = min(timer.due_ns, now_ns)
    return replace(timer, presses=timer.presses + 1, hurried=timer.hurried + 1, due_ns=due_ns, set_ns=now_ns)


def _presses_known(alert: AlertView, touched_ns: int) -> int:
    """The presses that a person who acted then knew of; whether more than one came since makes no difference."""
    is_since = alert.pressed_ns is not None and alert.pressed_ns > touched_ns
    return alert.presses - 1 if is_since else alert.presses


def _fire(policy: Policy, alert: AlertView, timer: Timer, now_ns: int) -> Move:
    """Tell the step, and set the next one: by the policy's table, then again and again."""
    due_ns = _released(policy, alert, timer.due_ns)
    if due_ns > now_ns:  # quiet hours that were configured since
        return Move(replace(timer, due_ns=due_ns, set_ns=now_ns))
    steps = policy.steps
    step = steps[min(timer.step, len(steps) - 1)]
    after = timer.step + 1
    if after < len(steps):
        next_ns = timer.due_ns + _ns(steps[after].after_s - step.after_s)  # overdue steps are caught up with
    else:
        next_ns = now_ns + _ns(policy.repeat_s)
    following = replace(timer, step=after, due_ns=_released(policy, alert, next_ns), set_ns=now_ns)
    return Move(following, Firing(timer.climb, timer.step, step.targets, _contact_turn(steps, timer.step)))


def _contact_turn(steps: tuple[Step, ...], step: int) -> int:
    """How many steps of this climb have told a contact before this one."""
    last = len(steps) - 1
    return sum(
        any(target.kind is TargetKind.CONTACT for target in steps[min(each, last)].targets) for each in range(step)
    )


def _touched(alert: AlertView, timer: Timer, now_ns: int) -> int:
    """When the person acted: the alert's own time where it is newer than what the timer knew, else now."""
    touched_ns = alert.touched_ns
    known = touched_ns is not None and (timer.set_ns < touched_ns <= now_ns or timer.version < 0)
    return min(touched_ns, now_ns) if known and touched_ns is not None else now_ns


def _planned(alert: AlertView) -> int:
    """A scheduled service call waits for its time; nobody is asked for progress before."""
    return alert.due_ns or 0 if alert.state == State.SCHEDULED else 0


def _rebased(timer: Timer, alert: AlertView, policy: Policy, now_ns: int) -> Timer:
    """The clock was set back since the timer was written: the same time to wait, from now; a planned time stays."""
    if timer.set_ns <= stale_after_ns(now_ns):
        return timer
    back_ns = timer.set_ns - now_ns
    due_ns = timer.due_ns - back_ns
    if timer.waits_for is Waits.PROGRESS and _planned(alert):
        due_ns = max(due_ns, _planned(alert) + _ns(policy.visit_s))
    return replace(timer, began_ns=timer.began_ns - back_ns, due_ns=due_ns, set_ns=now_ns)


def _released(policy: Policy, alert: AlertView, at_ns: int) -> int:
    """Quiet hours never hold back an emergency, whatever its policy says."""
    if policy.quiet is None or alert.kind == AlertKind.EMERGENCY:
        return at_ns
    return policy.quiet.released_ns(at_ns)


def _ns(seconds: float) -> int:
    return round(seconds * NS)


# --- the shipped default ------------------------------------------------------------------------------------------

_DUTY = Target(TargetKind.CHANNEL, "duty")
_CONTACT = Target(TargetKind.CONTACT)
_EVERYONE = Target(TargetKind.EVERYONE)
_CALL_BACK = Target(TargetKind.CALL_BACK)
_STREET_DESK = Target(TargetKind.STREET_DESK, "street")
_VOLUNTEER = Target(TargetKind.VOLUNTEER)

# The chain of Shanghai's streets. The center's staff are told at once, by the console, and call the resident back.
# Telecare answers 97.5 % of its calls within 60 s and 99 % within 180 s: who has not been answered after the first is
# told of outside the room, after the second somebody is sent.
_DAY_S = 86_400  # a battery that is low lasts for weeks: replaced within two (Tunstall)
SHIPPED = Policies(
    policies={
        "emergency": Policy(
            "emergency",
            (
                Step(0, (_CALL_BACK,)),
                Step(60, (_DUTY, _CONTACT)),
                Step(180, (_STREET_DESK,)),
                Step(300, (_VOLUNTEER,)),
                Step(900, (_EVERYONE,)),
            ),
            repeat_s=300,
            progress_s=900,
        ),
        "service": Policy(
            "service",
            (Step(0, (_CALL_BACK,)), Step(1800, (_DUTY,)), Step(3600, (_STREET_DESK,))),
            repeat_s=3600,
            progress_s=14_400,
            visit_s=14_400,
        ),
        "fault": Policy("fault", (Step(300, (_DUTY,)),), repeat_s=3600, progress_s=14_400, visit_s=14_400),
        "center": Policy("center", (Step(0, (_DUTY,)),), repeat_s=600, progress_s=1800),
        "upkeep": Policy(
            "upkeep", (Step(_DAY_S, (_DUTY,)),), repeat_s=3 * _DAY_S, progress_s=14 * _DAY_S, visit_s=_DAY_S
        ),
    },
    rules=(
        Rule("emergency", kind=AlertKind.EMERGENCY),
        Rule("service", kind=AlertKind.SERVICE),
        Rule("center", kind=AlertKind.CENTER_BLIND),
        Rule("upkeep", kind=AlertKind.DEVICE_FAULT),
    ),
    fallback="fault",
)


@dataclass(frozen=True, slots=True)
class Reach:
    """A channel as escalation knows it: whom it reaches."""

    name: str
    staff: frozenset[str] = field(default_factory=frozenset)
    contacts: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to be sent: over which channel, and to which of the resident's contacts, where it is to one."""

    channel: str
    contact: int | None = None


_NAMED = frozenset({TargetKind.CHANNEL, TargetKind.STAFF, TargetKind.SCHEDULE})
_ORDERS = frozenset({TargetKind.CALL_BACK, TargetKind.STREET_DESK, TargetKind.VOLUNTEER})


def deliveries(
    firing: Firing, reaches: tuple[Reach, ...], contacts: int, on_duty: Mapping[str, frozenset[str]]
) -> list[Delivery]:
    """The messages of a step, each once. `contacts`: how many the resident has; `on_duty`: schedule -> staff.

    Whoever is named and cannot be reached (a gap in a schedule, a channel that is gone) means everyone; so does a step
    that tells nobody and makes no work order, for a resident without contacts. No step is silent.
    """
    found: dict[Delivery, None] = {}
    for target in firing.targets:
        told = _reached(target, firing.contact_turn, reaches, contacts, on_duty)
        if not told and target.kind in _NAMED:
            told = _reached(_EVERYONE, firing.contact_turn, reaches, contacts, on_duty)
        found |= dict.fromkeys(told)
    if not found and not any(target.kind in _ORDERS for target in firing.targets):
        return _reached(_EVERYONE, firing.contact_turn, reaches, contacts, on_duty)
    return list(found)


def _reached(
    target: Target,
    turn: int,
    reaches: tuple[Reach, ...],
    contacts: int,
    on_duty: Mapping[str, frozenset[str]],
) -> list[Delivery]:
    to_contacts = [reach for reach in reaches if reach.contacts]
    rooms = [reach for reach in reaches if not reach.contacts]
    match target.kind:
        case TargetKind.CHANNEL:
            return [Delivery(reach.name) for reach in rooms if reach.name == target.name]
        case TargetKind.STAFF:
            return [Delivery(reach.name) for reach in rooms if target.name in reach.staff]
        case TargetKind.SCHEDULE:
            return [Delivery(reach.name) for reach in rooms if reach.staff & on_duty.get(target.name, frozenset())]
        case TargetKind.CONTACT:
            return [Delivery(reach.name, turn % contacts) for reach in to_contacts] if contacts else []
        case TargetKind.EVERYONE:
            every = [Delivery(reach.name, each) for reach in to_contacts for each in range(contacts)]
            return [Delivery(reach.name) for reach in rooms] + every
        case TargetKind.CALL_BACK | TargetKind.STREET_DESK | TargetKind.VOLUNTEER:
            return []  # a work order is made; what is sent goes with it
