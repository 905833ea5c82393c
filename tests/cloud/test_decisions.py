"""The tables: the life of an alert, and when silence is an alarm."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from hearthline.clock import NS
from hearthline.model import Cause
from hearthline_cloud.alerts.lifecycle import (
    ALARM_OUTCOMES,
    HUMAN_OUTCOMES,
    LATCHED,
    SERVICE_OUTCOMES,
    Action,
    AlertKind,
    Case,
    Category,
    ImpossibleError,
    Outcome,
    Plan,
    Refusal,
    State,
    Step,
    Wish,
    act,
    alert_cause,
    alert_kind,
    allowed,
    join_key,
    outcomes,
    planned_key,
    transitions,
    urgency,
)
from hearthline_cloud.alerts.supervision import (
    BLIND_AFTER_S,
    OFFLINE_GRACE_S,
    RETURN_GRACE_S,
    SILENT_AFTER_S,
    STATUS_PERIOD_S,
    STEADY_S,
    Sight,
    is_alive,
    is_silent,
    look,
)

R, A, T, H, Z = State.RAISED, State.ACKNOWLEDGED, State.ATTENDING, State.ARRIVED, State.RESOLVED
S = State.SCHEDULED
TABLE = {
    #   acknowledge, schedule, attend, arrive, hand-over, resolve, reopen
    R: (A, None, T, None, None, Z, None),
    A: (None, None, T, H, A, Z, None),
    S: (None, None, None, None, None, None, None),
    T: (None, None, None, H, T, Z, None),
    H: (None, None, None, None, H, Z, None),
    Z: (None, None, None, None, None, None, A),
}
SERVICE_TABLE = {
    R: (A, S, T, None, None, Z, None),
    A: (None, S, T, H, A, Z, None),
    S: (None, S, T, H, S, Z, None),
    T: (None, S, None, H, T, Z, None),
    H: (None, S, None, None, H, Z, None),
    Z: (None, None, None, None, None, None, A),
}
PLAN = Plan(Category.MEAL, 1_800_000_000 * NS, "east kitchen")


def wish(action: Action, **changes: Any) -> Wish:
    """What `mei` asks for, with what the action needs; `test` closes every kind."""
    needs: dict[Action, dict[str, Any]] = {
        Action.RESOLVE: {"outcome": Outcome.TEST},
        Action.SCHEDULE: {"plan": PLAN},
        Action.HAND_OVER: {"to": "jun"},
        Action.REOPEN: {"reason": "she called again"},
    }
    return Wish(action, "mei", **needs.get(action, {}) | changes)


def case(state: State, kind: AlertKind = AlertKind.EMERGENCY) -> Case:
    return Case(kind, state, None if state is R else "mei")


@pytest.mark.parametrize(("kind", "state", "action"), list(itertools.product(AlertKind, State, Action)))
def test_every_transition(kind: AlertKind, state: State, action: Action) -> None:
    if action is Action.REOPEN and kind not in LATCHED:
        return  # below
    after = (SERVICE_TABLE if kind is AlertKind.SERVICE else TABLE)[state][list(Action).index(action)]
    assert ((state, action) in transitions(kind)) == (action in allowed(state, kind)) == (after is not None)
    if after is None:
        with pytest.raises(ImpossibleError, match=f"is {state} cannot be asked to {action}") as caught:
            act(case(state, kind), wish(action))
        assert caught.value.reason is Refusal.NOT_FROM_HERE
    else:
        step = act(case(state, kind), wish(action))
        holder = "jun" if action is Action.HAND_OVER else "mei"
        assert step == Step(after, holder, tells_home=state is R)


@pytest.mark.parametrize("kind", AlertKind)
def test_only_a_person_resolves_and_says_how_in_the_words_of_the_kind(kind: AlertKind) -> None:
    for outcome in Outcome:
        asked = wish(Action.RESOLVE, outcome=outcome)
        if outcome in outcomes(kind):
            assert act(case(R, kind), asked).state is Z
        else:
            of_people = outcome in HUMAN_OUTCOMES
            assert refusal(case(R, kind), asked) is (Refusal.OF_ANOTHER_KIND if of_people else Refusal.NOT_FOR_PEOPLE)
    assert set(ALARM_OUTCOMES) | set(SERVICE_OUTCOMES) == HUMAN_OUTCOMES


@pytest.mark.parametrize(
    ("state", "asked", "reason"),
    [
        (R, wish(Action.RESOLVE, outcome=None), Refusal.NEEDS_OUTCOME),
        (R, wish(Action.ACKNOWLEDGE, outcome=Outcome.TEST), Refusal.NEEDS_OUTCOME),
        (A, wish(Action.HAND_OVER, to=None), Refusal.NEEDS_RECEIVER),
        (A, wish(Action.HAND_OVER, to=""), Refusal.NEEDS_RECEIVER),
        (A, wish(Action.ATTEND, to="jun"), Refusal.NEEDS_RECEIVER),
        (A, wish(Action.HAND_OVER, to="mei"), Refusal.HAS_IT_ALREADY),
        (Z, wish(Action.REOPEN, reason=""), Refusal.NEEDS_REASON),
        (R, wish(Action.ACKNOWLEDGE, reason="so"), Refusal.NEEDS_REASON),
        (A, wish(Action.SCHEDULE, plan=None), Refusal.NEEDS_PLAN),
        (R, wish(Action.ACKNOWLEDGE, plan=PLAN), Refusal.NEEDS_PLAN),
    ],
)
def test_a_step_needs_what_belongs_to_it_and_nothing_else(state: State, asked: Wish, reason: Refusal) -> None:
    assert refusal(case(state, AlertKind.SERVICE), asked) is reason


@pytest.mark.parametrize("kind", AlertKind)
def test_what_clears_by_itself_is_not_reopened(kind: AlertKind) -> None:
    if kind in (AlertKind.EMERGENCY, AlertKind.SERVICE):
        assert act(case(Z, kind), wish(Action.REOPEN)).state is A
        assert allowed(Z, kind) == [Action.REOPEN]
    else:
        assert refusal(case(Z, kind), wish(Action.REOPEN)) is Refusal.CLEARS_BY_ITSELF
        assert allowed(Z, kind) == []


def test_what_is_scheduled_leaves_its_key_to_the_next_press_once_and_for_all() -> None:
    key = join_key(AlertKind.SERVICE, "home-1", "gw-1")
    planned = planned_key(key, 7)
    assert planned not in (key, planned_key(key, 8))
    assert planned_key(planned, 7) == planned


def refusal(of: Case, asked: Wish) -> Refusal:
    with pytest.raises(ImpossibleError) as caught:
        act(of, asked)
    return caught.value.reason


def test_who_steps_on_with_anothers_alert_does_not_take_it_away() -> None:
    theirs = Case(AlertKind.EMERGENCY, A, "jun")
    assert [act(theirs, wish(action)).holder for action in (Action.ATTEND, Action.ARRIVE, Action.RESOLVE)] == [
        "jun"
    ] * 3
    assert act(Case(AlertKind.EMERGENCY, Z, "jun"), wish(Action.REOPEN)).holder == "mei"
    assert act(Case(AlertKind.EMERGENCY, R), wish(Action.ATTEND)).holder == "mei"


def test_urgency_rises_with_presses_up_to_three() -> None:
    assert [urgency(presses) for presses in (0, 1, 2, 3, 4, 1000)] == [1, 1, 2, 3, 3, 3]


def test_presses_of_one_kind_in_one_home_belong_together() -> None:
    assert join_key(AlertKind.EMERGENCY, "h", "g1") == join_key(AlertKind.EMERGENCY, "h", "g2")
    assert join_key(AlertKind.EMERGENCY, "h", "g1") != join_key(AlertKind.SERVICE, "h", "g1")
    assert join_key(AlertKind.EMERGENCY, None, "g1") != join_key(AlertKind.EMERGENCY, None, "g2")
    assert join_key(AlertKind.EMERGENCY, "h", "g", Cause.SMOKE) != join_key(AlertKind.EMERGENCY, "h", "g", Cause.LEAK)
    assert join_key(AlertKind.EMERGENCY, "h", "g", Cause.SMOKE) != join_key(AlertKind.EMERGENCY, "h", "g")
    assert join_key(AlertKind.EMERGENCY, None, "h") != join_key(AlertKind.EMERGENCY, "h", "x")
    assert [alert_cause(word) for word in (None, "press", "smoke", "flood", 5, ["smoke"], "")] == [
        Cause.PRESS, Cause.PRESS, Cause.SMOKE, Cause.ALARM, Cause.ALARM, Cause.ALARM, Cause.ALARM,
    ]  # fmt: skip
    assert (alert_kind("service"), alert_kind("emergency")) == (AlertKind.SERVICE, AlertKind.EMERGENCY)
    assert (alert_kind(""), alert_kind("Service ")) == (AlertKind.EMERGENCY, AlertKind.EMERGENCY)


@pytest.mark.parametrize(
    ("state", "heard_ago_s", "watching_s", "silent"),
    [
        ("online", 0, 1000, False),
        ("online", SILENT_AFTER_S, 1000, False),
        ("online", SILENT_AFTER_S + 1, 1000, True),
        ("online", 1000, SILENT_AFTER_S, False),  # the desk has just started: nothing is known yet
        ("online", 1000, SILENT_AFTER_S + 1, True),
        ("offline", OFFLINE_GRACE_S, 1000, False),
        ("offline", OFFLINE_GRACE_S + 1, 1000, True),
        ("offline", 1000, OFFLINE_GRACE_S, False),
        ("unknown", None, 10, False),
        ("unknown", None, SILENT_AFTER_S + 1, True),
        ("online", -10, 1000, False),  # heard while this round waited for the database
        ("online", -30, 1000, True),  # heard by a clock that has been set back since: that tells nothing
        ("online", -30, SILENT_AFTER_S, False),
    ],
)
def test_when_silence_is_an_alarm(state: str, heard_ago_s: int | None, watching_s: int, silent: bool) -> None:
    now = 1_795_000_000 * NS
    heard = None if heard_ago_s is None else now - heard_ago_s * NS
    assert is_silent(state, heard, now - watching_s * NS, now) is silent


def test_a_silent_gateway_is_shown_within_90_s() -> None:
    supervision_period_s = 5
    assert SILENT_AFTER_S + supervision_period_s + 1 <= 90
    assert SILENT_AFTER_S > 2 * STATUS_PERIOD_S


EPOCH = 1_795_000_000 * NS


def looks(seen: str) -> list[Sight]:
    """The sight at each round of 5 s: `+` the ingester and its broker are there, `-` they are not."""
    sights = [Sight.opened(EPOCH, 0)]
    for number, sign in enumerate(seen, start=1):
        sights.append(look(sights[-1], sign == "+", EPOCH + number * 5 * NS, number * 5 * NS))
    return sights[1:]


def test_while_the_center_is_blind_nobody_is_silent() -> None:
    sights = looks("++---++++")
    watched = [(sight.watching_since_ns - EPOCH) // NS for sight in sights]
    assert watched == [0, 0, 15, 20, 25, 30, 35 + RETURN_GRACE_S, 35 + RETURN_GRACE_S, 35 + RETURN_GRACE_S]
    assert [sight.is_blind for sight in sights] == [False, False, True, True, True, True, False, False, False]
    slowest_reconnection_s = 39
    assert slowest_reconnection_s < STEADY_S + RETURN_GRACE_S + OFFLINE_GRACE_S


def test_blindness_is_told_after_half_a_minute_and_flapping_is_blindness_too() -> None:
    assert BLIND_AFTER_S == 30
    assert [sight.is_long_blind for sight in looks("+------++-")] == [False] * 10
    assert [sight.is_long_blind for sight in looks("-------")] == [False] * 6 + [True]
    assert [sight.is_long_blind for sight in looks("-+-+-+-+-")] == [False] * 6 + [True, False, True]
    assert not any(sight.is_long_blind for sight in looks("--++--++--++"))


@pytest.mark.parametrize("step_s", [-86_400, -6, 6, 86_400])
def test_a_step_of_the_clock_starts_the_watch_anew(step_s: int) -> None:
    before = Sight.opened(EPOCH, 0)
    now = EPOCH + (5 + step_s) * NS
    assert look(before, True, now, 5 * NS).watching_since_ns == now
    assert look(before, True, EPOCH + 9 * NS, 5 * NS).watching_since_ns == EPOCH  # a slow round is none


@pytest.mark.parametrize(("age_s", "alive"), [(0, True), (4, True), (5, False), (-4, True), (-3600, False)])
def test_a_heartbeat_of_the_future_is_no_life(age_s: int, alive: bool) -> None:
    assert is_alive(EPOCH - age_s * NS, EPOCH) is alive
    assert not is_alive(None, EPOCH)
