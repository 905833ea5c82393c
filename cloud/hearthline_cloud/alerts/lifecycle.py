"""The life of an alert, as one transition table.

    raised --acknowledge--> acknowledged --attend--> attending --resolve--> resolved
       \\----------attend--------------------------------^
        \\---------resolve (with an outcome)-----------------------------------^

A pendant's alert is latched (ISA-18.2): nothing clears it but a person. A further press joins the open alert and
changes no state: whoever took it keeps it, everybody hears it again. A gateway's silence clears by itself when the
gateway is heard again, with the outcome `restored`; so does the center's own blindness when it is over.
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


class State(StrEnum):
    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    ATTENDING = "attending"
    RESOLVED = "resolved"


class Action(StrEnum):
    ACKNOWLEDGE = "acknowledge"
    ATTEND = "attend"
    RESOLVE = "resolve"


class Outcome(StrEnum):
    REAL_EMERGENCY = "real-emergency"
    HELP_GIVEN = "help-given"
    SERVICE_DONE = "service-done"
    FALSE_ALARM = "false-alarm"
    TEST = "test"
    VISITED_NO_ANSWER = "visited-no-answer"
    RESTORED = "restored"  # by the system alone, for a gateway, or a center, that is back


HUMAN_OUTCOMES = frozenset(Outcome) - {Outcome.RESTORED}

TRANSITIONS: dict[tuple[State, Action], State] = {
    (State.RAISED, Action.ACKNOWLEDGE): State.ACKNOWLEDGED,
    (State.RAISED, Action.ATTEND): State.ATTENDING,
    (State.RAISED, Action.RESOLVE): State.RESOLVED,
    (State.ACKNOWLEDGED, Action.ATTEND): State.ATTENDING,
    (State.ACKNOWLEDGED, Action.RESOLVE): State.RESOLVED,
    (State.ATTENDING, Action.RESOLVE): State.RESOLVED,
}

# What stands in the journal for each action.
JOURNAL_KIND: dict[Action, str] = {
    Action.ACKNOWLEDGE: "acknowledged",
    Action.ATTEND: "attending",
    Action.RESOLVE: "resolved",
}


@dataclass(frozen=True, slots=True)
class Step:
    """What an allowed action does. `tells_home`: the home hears "a person has accepted"."""

    state: State
    tells_home: bool


def act(state: State, action: Action, outcome: Outcome | None = None) -> Step:
    """The step that `action` makes from `state`. Raises RefusedError with the reason."""
    after = TRANSITIONS.get((state, action))
    if after is None:
        raise RefusedError(f"an alert that is {state} cannot be asked to {action}")
    if (action is Action.RESOLVE) != (outcome is not None):
        raise RefusedError("resolving, and only resolving, needs an outcome")
    if outcome is not None and outcome not in HUMAN_OUTCOMES:
        raise RefusedError(f"the outcome {outcome} is not for people to give")
    return Step(after, tells_home=state is State.RAISED)


def allowed(state: State) -> list[Action]:
    """The actions that `state` allows, in the order of the table."""
    return [action for (start, action) in TRANSITIONS if start is state]


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
