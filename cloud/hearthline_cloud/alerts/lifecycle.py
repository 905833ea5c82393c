"""The life of an alert, as two transition tables: one for emergencies and faults, one for service calls.

    raised ---acknowledge---> acknowledged ---attend---> attending ---arrive---> arrived ---resolve---> resolved
                                   |  ^                  (on the way)                                      |
                          schedule |  +------------------ reopen, with a reason ---------------------------+
                                   v
                               scheduled: a service call whose wish is known and planned (what, when, who does it)

Steps may be left out on the way forward, never the outcome at its end. Who has an alert may hand it over: that changes
who, not the state. A pendant's alert is latched (ISA-18.2): nothing clears it but a person. A further press joins the
open alert and changes no state: whoever took it keeps it, its urgency rises, everybody hears it again. That the elder
took the press back at home is noted and closes nothing. A gateway's silence clears by itself when the gateway is heard
again, with the outcome `restored`; so does a device's, and the center's own blindness when it is over. What is wrong
with a device (a low battery) is closed by whoever has mended it, or by the device's own word.

A service call may be scheduled from every open state, also anew. From then on it waits for its time, and a further
green press is a wish of its own: it raises another call (`planned_key`) instead of joining one that nobody looks at
before its day.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hearthline.errors import RefusedError
from hearthline.model import ButtonRole, Cause


class AlertKind(StrEnum):
    EMERGENCY = "emergency"
    SERVICE = "service"
    GATEWAY_SILENT = "gateway-silent"
    CENTER_BLIND = "center-blind"  # the ingester or its broker is away: no gateway can be heard
    DEVICE_SILENT = "device-silent"  # a device that is supervised, while its gateway is heard
    DEVICE_FAULT = "device-fault"  # low battery, case open: work to be done, no emergency
    SELF_TEST = "self-test"  # a gateway has proved its way: raised and closed in one transaction, and tells nobody
    TEST_MISSED = "test-missed"  # a gateway that is heard did not prove it
    ACCESS_FAULT = "access-fault"  # certificates or the broker's rights: gateways may be locked out, or not kept out


class State(StrEnum):
    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    SCHEDULED = "scheduled"  # service calls alone
    ATTENDING = "attending"  # somebody is on the way
    ARRIVED = "arrived"
    RESOLVED = "resolved"


class Action(StrEnum):
    ACKNOWLEDGE = "acknowledge"
    SCHEDULE = "schedule"
    ATTEND = "attend"
    ARRIVE = "arrive"
    HAND_OVER = "hand-over"
    RESOLVE = "resolve"
    REOPEN = "reopen"


class Outcome(StrEnum):
    REAL_EMERGENCY = "real-emergency"
    HELP_GIVEN = "help-given"
    SERVICE_DONE = "service-done"
    DECLINED = "declined"  # by the resident
    NOT_NEEDED = "not-needed"
    PASSED_ON = "passed-on"
    NOBODY_REACHED = "nobody-reached"
    ALREADY_PLANNED = "already-planned"  # the same wish as that of a scheduled call
    FALSE_ALARM = "false-alarm"
    TEST = "test"
    VISITED_NO_ANSWER = "visited-no-answer"
    RESTORED = "restored"  # by the system alone, for a gateway, or a center, that is back


SERVICE_OUTCOMES = (
    Outcome.SERVICE_DONE,
    Outcome.DECLINED,
    Outcome.NOT_NEEDED,
    Outcome.PASSED_ON,
    Outcome.NOBODY_REACHED,
    Outcome.ALREADY_PLANNED,
    Outcome.TEST,
)
ALARM_OUTCOMES = (
    Outcome.REAL_EMERGENCY,
    Outcome.HELP_GIVEN,
    Outcome.FALSE_ALARM,
    Outcome.TEST,
    Outcome.VISITED_NO_ANSWER,
)
HUMAN_OUTCOMES = frozenset(Outcome) - {Outcome.RESTORED}
LATCHED = frozenset({AlertKind.EMERGENCY, AlertKind.SERVICE})  # the others clear, and are raised anew, by themselves

TRANSITIONS: dict[tuple[State, Action], State] = {
    (State.RAISED, Action.ACKNOWLEDGE): State.ACKNOWLEDGED,
    (State.RAISED, Action.ATTEND): State.ATTENDING,
    (State.RAISED, Action.RESOLVE): State.RESOLVED,
    (State.ACKNOWLEDGED, Action.ATTEND): State.ATTENDING,
    (State.ACKNOWLEDGED, Action.ARRIVE): State.ARRIVED,
    (State.ACKNOWLEDGED, Action.HAND_OVER): State.ACKNOWLEDGED,
    (State.ACKNOWLEDGED, Action.RESOLVE): State.RESOLVED,
    (State.ATTENDING, Action.ARRIVE): State.ARRIVED,
    (State.ATTENDING, Action.HAND_OVER): State.ATTENDING,
    (State.ATTENDING, Action.RESOLVE): State.RESOLVED,
    (State.ARRIVED, Action.HAND_OVER): State.ARRIVED,
    (State.ARRIVED, Action.RESOLVE): State.RESOLVED,
    (State.RESOLVED, Action.REOPEN): State.ACKNOWLEDGED,
}

SERVICE_TRANSITIONS: dict[tuple[State, Action], State] = TRANSITIONS | {
    (State.RAISED, Action.SCHEDULE): State.SCHEDULED,
    (State.ACKNOWLEDGED, Action.SCHEDULE): State.SCHEDULED,
    (State.SCHEDULED, Action.ATTEND): State.ATTENDING,
    (State.SCHEDULED, Action.ARRIVE): State.ARRIVED,
    (State.SCHEDULED, Action.SCHEDULE): State.SCHEDULED,  # another time, another provider
    (State.SCHEDULED, Action.HAND_OVER): State.SCHEDULED,
    (State.SCHEDULED, Action.RESOLVE): State.RESOLVED,
    (State.ATTENDING, Action.SCHEDULE): State.SCHEDULED,  # it has to be come back for
    (State.ARRIVED, Action.SCHEDULE): State.SCHEDULED,
}


def transitions(kind: AlertKind) -> dict[tuple[State, Action], State]:
    """The table of an alert's kind."""
    return SERVICE_TRANSITIONS if kind is AlertKind.SERVICE else TRANSITIONS


def outcomes(kind: AlertKind) -> tuple[Outcome, ...]:
    """What a person may close an alert of this kind with."""
    if kind in (AlertKind.DEVICE_SILENT, AlertKind.DEVICE_FAULT, AlertKind.ACCESS_FAULT):
        return (Outcome.SERVICE_DONE, *(each for each in ALARM_OUTCOMES if each is not Outcome.SERVICE_DONE))
    return SERVICE_OUTCOMES if kind is AlertKind.SERVICE else ALARM_OUTCOMES


# What stands in the journal for each action.
JOURNAL_KIND: dict[Action, str] = {
    Action.ACKNOWLEDGE: "acknowledged",
    Action.SCHEDULE: "scheduled",
    Action.ATTEND: "attending",
    Action.ARRIVE: "arrived",
    Action.HAND_OVER: "handed-over",
    Action.RESOLVE: "resolved",
    Action.REOPEN: "reopened",
}

CANCELLED_AT_HOME = "cancelled-at-home"  # in the journal: the elder took the press back
MAX_URGENCY = 3


class Refusal(StrEnum):
    """Why a step is refused: a closed list, so that the console can say it in the operator's language."""

    NOT_FROM_HERE = "not-from-here"
    NEEDS_OUTCOME = "needs-outcome"
    NOT_FOR_PEOPLE = "not-for-people"
    OF_ANOTHER_KIND = "of-another-kind"
    NEEDS_PLAN = "needs-plan"
    DUE_NOT_AHEAD = "due-not-ahead"
    ORDERS_CLOSED = "orders-closed"
    NEEDS_RECEIVER = "needs-receiver"
    HAS_IT_ALREADY = "has-it-already"
    UNKNOWN_PERSON = "unknown-person"
    NEEDS_REASON = "needs-reason"
    NEEDS_WORDS = "needs-words"
    CLEARS_BY_ITSELF = "clears-by-itself"
    ANOTHER_IS_OPEN = "another-is-open"


class ImpossibleError(RefusedError):
    """A step that the table or its conditions do not allow; `reason` for machines, the text for people."""

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Case:
    """What the table needs to know of an alert. `holder`: who has it now."""

    kind: AlertKind
    state: State
    holder: str | None = None


class Category(StrEnum):
    """What a service call is about."""

    MEAL = "meal"
    REPAIR = "repair"
    VISIT = "visit"
    CHAT = "chat"
    TRANSPORT = "transport"
    PENDANT_TEST = "pendant-test"  # the resident is asked to press
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a service call's resident gets, when it is due, and who does it: a provider, or empty for the staff."""

    category: Category
    due_ns: int
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for. `outcome` belongs to resolving, `to` to handing over, `reason` to reopening, `plan` to
    scheduling."""

    action: Action
    actor: str
    outcome: Outcome | None = None
    to: str | None = None
    reason: str = ""
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What an allowed action does. `tells_home`: the home hears "a person has accepted"."""

    state: State
    holder: str
    tells_home: bool


def act(case: Case, wish: Wish) -> Step:
    """The step that `wish` makes from `case`. Raises ImpossibleError with the reason."""
    after = transitions(case.kind).get((case.state, wish.action))
    if after is None:
        reason = f"an alert that is {case.state} cannot be asked to {wish.action}"
        raise ImpossibleError(Refusal.NOT_FROM_HERE, reason)
    _check_outcome(case, wish)
    _check_receiver(case, wish)
    _check_reason(case, wish)
    if (wish.action is Action.SCHEDULE) != (wish.plan is not None):
        raise ImpossibleError(Refusal.NEEDS_PLAN, "scheduling, and only scheduling, needs what and when")
    takes = wish.action in (Action.ACKNOWLEDGE, Action.REOPEN)
    holder = wish.to or (wish.actor if takes else case.holder) or wish.actor
    return Step(after, holder, tells_home=case.state is State.RAISED)


def _check_outcome(case: Case, wish: Wish) -> None:
    if (wish.action is Action.RESOLVE) != (wish.outcome is not None):
        raise ImpossibleError(Refusal.NEEDS_OUTCOME, "resolving, and only resolving, needs an outcome")
    if wish.outcome is not None and wish.outcome not in HUMAN_OUTCOMES:
        raise ImpossibleError(Refusal.NOT_FOR_PEOPLE, f"the outcome {wish.outcome} is not for people to give")
    if wish.outcome is not None and wish.outcome not in outcomes(case.kind):
        message = f"the outcome {wish.outcome} is not one of an alert of the kind {case.kind}"
        raise ImpossibleError(Refusal.OF_ANOTHER_KIND, message)


def _check_receiver(case: Case, wish: Wish) -> None:
    if (wish.action is Action.HAND_OVER) != bool(wish.to):
        raise ImpossibleError(Refusal.NEEDS_RECEIVER, "handing over, and only handing over, needs a receiver")
    if wish.to and wish.to == case.holder:
        raise ImpossibleError(Refusal.HAS_IT_ALREADY, f"{wish.to} has the alert already")


def _check_reason(case: Case, wish: Wish) -> None:
    if (wish.action is Action.REOPEN) != bool(wish.reason):
        raise ImpossibleError(Refusal.NEEDS_REASON, "reopening, and only reopening, needs a reason")
    if wish.action is Action.REOPEN and case.kind not in LATCHED:
        message = f"an alert of the kind {case.kind} is raised anew by itself, never reopened"
        raise ImpossibleError(Refusal.CLEARS_BY_ITSELF, message)


def allowed(state: State, kind: AlertKind = AlertKind.EMERGENCY) -> list[Action]:
    """The actions that `state` allows, in the order of the table."""
    actions = [action for (start, action) in transitions(kind) if start is state]
    return [action for action in actions if action is not Action.REOPEN or kind in LATCHED]


def urgency(presses: int) -> int:
    """1 to 3: how often the button of an alert was pressed, or its detector told. Higher ones are shown first."""
    return max(1, min(presses, MAX_URGENCY))


def alert_kind(role: str) -> AlertKind:
    """The kind of alert that a button's role raises. What is not surely a service call is an emergency."""
    return AlertKind.SERVICE if role == ButtonRole.SERVICE else AlertKind.EMERGENCY


def alert_cause(word: object) -> Cause:
    """What an alarm is about, by its event's `cause`: absent is a press, a word of tomorrow is a detector's alarm."""
    if word is None:
        return Cause.PRESS
    return Cause(word) if isinstance(word, str) and word in set(Cause) else Cause.ALARM


def join_key(kind: AlertKind, home: str | None, gateway: str, cause: Cause = Cause.PRESS) -> str:
    """Presses of one kind in one home belong together; an unregistered gateway stands for its unknown home.

    What a detector tells of is never hidden in the alert of a pendant, nor smoke in that of a leak.
    """
    what = kind.value if cause is Cause.PRESS else f"{kind}:{cause}"
    return f"{what}:home:{home}" if home else f"{what}:gateway:{gateway}"


_PLANNED = ":planned:"


def planned_key(key: str, alert_id: int) -> str:
    """The join key of a service call once it is scheduled: no press joins it any more, the next one is a new wish."""
    base, _, _ = key.partition(_PLANNED)
    return f"{base}{_PLANNED}{alert_id}"
