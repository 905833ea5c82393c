"""The life of a work order, as one transition table: who is asked to do something about an alert, and what he says.

    issued --accept--> accepted --go--> on-the-way --arrive--> arrived --report, with an outcome--> reported
       |                  |                 |                     |
       +------------------+-----------------+---- decline --------+--> declined
       +-- expire --> expired (a volunteer who did not answer in time)
       +-- withdraw, from every open state --> withdrawn (the alert is closed)

Steps may be left out on the way forward. A call back is a task of the operators at the desk: it is reported or
withdrawn, nothing else. What a person does with an order moves the alert along, never to its end: only staff closes.
A volunteer who declines, or does not answer in time, is followed by the next one that is paired with the home.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hearthline.clock import NS
from hearthline_cloud.alerts.lifecycle import Action, ImpossibleError, Outcome, Refusal, State


class OrderKind(StrEnum):
    CALL_BACK = "call-back"
    STREET = "street"
    VOLUNTEER = "volunteer"


class OrderState(StrEnum):
    ISSUED = "issued"
    ACCEPTED = "accepted"
    ON_THE_WAY = "on-the-way"
    ARRIVED = "arrived"
    REPORTED = "reported"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class OrderAction(StrEnum):
    ACCEPT = "accept"
    GO = "go"
    ARRIVE = "arrive"
    REPORT = "report"
    DECLINE = "decline"
    EXPIRE = "expire"  # these two are the system's
    WITHDRAW = "withdraw"


class Answer(StrEnum):
    """What came of calling the resident back."""

    FINE = "fine"
    NEEDS_HELP = "needs-help"
    NO_ANSWER = "no-answer"


OPEN = (OrderState.ISSUED, OrderState.ACCEPTED, OrderState.ON_THE_WAY, OrderState.ARRIVED)
GOING = (OrderState.ON_THE_WAY, OrderState.ARRIVED)
SYSTEM_ACTIONS = frozenset({OrderAction.EXPIRE, OrderAction.WITHDRAW})
VISIT_OUTCOMES = (
    Outcome.HELP_GIVEN,
    Outcome.REAL_EMERGENCY,
    Outcome.FALSE_ALARM,
    Outcome.VISITED_NO_ANSWER,
    Outcome.SERVICE_DONE,
)
SUGGESTED = {Answer.FINE.value: Outcome.FALSE_ALARM} | {outcome.value: outcome for outcome in VISIT_OUTCOMES}

TRANSITIONS: dict[tuple[OrderState, OrderAction], OrderState] = {
    (OrderState.ISSUED, OrderAction.ACCEPT): OrderState.ACCEPTED,
    (OrderState.ISSUED, OrderAction.GO): OrderState.ON_THE_WAY,
    (OrderState.ISSUED, OrderAction.ARRIVE): OrderState.ARRIVED,
    (OrderState.ISSUED, OrderAction.REPORT): OrderState.REPORTED,
    (OrderState.ISSUED, OrderAction.DECLINE): OrderState.DECLINED,
    (OrderState.ISSUED, OrderAction.EXPIRE): OrderState.EXPIRED,
    (OrderState.ISSUED, OrderAction.WITHDRAW): OrderState.WITHDRAWN,
    (OrderState.ACCEPTED, OrderAction.GO): OrderState.ON_THE_WAY,
    (OrderState.ACCEPTED, OrderAction.ARRIVE): OrderState.ARRIVED,
    (OrderState.ACCEPTED, OrderAction.REPORT): OrderState.REPORTED,
    (OrderState.ACCEPTED, OrderAction.DECLINE): OrderState.DECLINED,
    (OrderState.ACCEPTED, OrderAction.WITHDRAW): OrderState.WITHDRAWN,
    (OrderState.ON_THE_WAY, OrderAction.ARRIVE): OrderState.ARRIVED,
    (OrderState.ON_THE_WAY, OrderAction.REPORT): OrderState.REPORTED,
    (OrderState.ON_THE_WAY, OrderAction.DECLINE): OrderState.DECLINED,
    (OrderState.ON_THE_WAY, OrderAction.WITHDRAW): OrderState.WITHDRAWN,
    (OrderState.ARRIVED, OrderAction.REPORT): OrderState.REPORTED,
    (OrderState.ARRIVED, OrderAction.DECLINE): OrderState.DECLINED,
    (OrderState.ARRIVED, OrderAction.WITHDRAW): OrderState.WITHDRAWN,
}


@dataclass(frozen=True, slots=True)
class OrderWish:
    """What is asked for. `outcome` belongs to reporting: an `Answer` of a call back, an `Outcome` of a visit."""

    action: OrderAction
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class OrderStep:
    """What an allowed action does. `hastens`: the policy's next step is due; `next_asked`: somebody else is needed."""

    state: OrderState
    hastens: bool = False
    next_asked: bool = False


def act(kind: OrderKind, state: OrderState, wish: OrderWish) -> OrderStep:
    """The step that `wish` makes. Raises ImpossibleError with the reason."""
    after = TRANSITIONS.get((state, wish.action))
    if after is None or wish.action not in allowed(kind, state, people=False):
        message = f"a work order ({kind}) that is {state} cannot be asked to {wish.action}"
        raise ImpossibleError(Refusal.NOT_FROM_HERE, message)
    known = outcomes(kind) if wish.action is OrderAction.REPORT else ()
    if (wish.outcome is None) != (not known) or (known and wish.outcome not in known):
        message = f"reporting, and only reporting, needs an outcome: {', '.join(outcomes(kind))}"
        raise ImpossibleError(Refusal.NEEDS_OUTCOME, message)
    return OrderStep(
        after,
        hastens=kind is OrderKind.CALL_BACK and wish.outcome in (Answer.NO_ANSWER, Answer.NEEDS_HELP),
        next_asked=kind is OrderKind.VOLUNTEER and after in (OrderState.DECLINED, OrderState.EXPIRED),
    )


def allowed(kind: OrderKind, state: OrderState, people: bool = True) -> list[OrderAction]:
    """What may be done in `state`, in the order of the table; by people, or by the system too."""
    found = [action for (start, action) in TRANSITIONS if start is state]
    if kind is OrderKind.CALL_BACK:
        found = [action for action in found if action in (OrderAction.REPORT, OrderAction.WITHDRAW)]
    if kind is not OrderKind.VOLUNTEER:
        found = [action for action in found if action is not OrderAction.EXPIRE]
    return [action for action in found if not people or action not in SYSTEM_ACTIONS]


def outcomes(kind: OrderKind) -> tuple[str, ...]:
    """What a report may say."""
    return tuple(each.value for each in (Answer if kind is OrderKind.CALL_BACK else VISIT_OUTCOMES))


def alert_actions(kind: OrderKind, action: OrderAction, alert: State) -> list[Action]:
    """The steps that the alert takes along, in the name of who acts. A report says that somebody was there."""
    if action is OrderAction.ACCEPT or (kind is OrderKind.CALL_BACK and action is OrderAction.REPORT):
        return [Action.ACKNOWLEDGE] if alert is State.RAISED else []
    if action is OrderAction.GO:
        return [Action.ATTEND] if alert in (State.RAISED, State.ACKNOWLEDGED, State.SCHEDULED) else []
    if action in (OrderAction.ARRIVE, OrderAction.REPORT):
        if alert is State.RAISED:
            return [Action.ATTEND, Action.ARRIVE]
        return [Action.ARRIVE] if alert in (State.ACKNOWLEDGED, State.SCHEDULED, State.ATTENDING) else []
    return []


def another_needed(alert: State, went: bool, others_at_it: bool) -> bool:
    """Whether the next volunteer is asked after one who will not come; `went`: he had said that he was on the way.

    `others_at_it`: somebody else is on the way or there, or another volunteer has been asked already."""
    if alert is State.RESOLVED or others_at_it:
        return False
    return went or alert in (State.RAISED, State.ACKNOWLEDGED)


def next_volunteer(paired: Sequence[str], asked: Sequence[str]) -> str | None:
    """Whom to ask now: the first who is paired with the home and was not asked in this climb."""
    return next((each for each in paired if each not in asked), None)


# After so many seconds an order that is no further is late: telecare wants nine of ten responders there in 45 minutes.
_LATE_S = {OrderState.ISSUED: 300, OrderState.ACCEPTED: 2700, OrderState.ON_THE_WAY: 2700, OrderState.ARRIVED: 5400}
_CALL_LATE_S = 60


def is_late(kind: OrderKind, state: OrderState, made_ns: int, now_ns: int) -> bool:
    limit_s = _CALL_LATE_S if kind is OrderKind.CALL_BACK else _LATE_S.get(state)
    return state in OPEN and limit_s is not None and now_ns - made_ns > limit_s * NS
