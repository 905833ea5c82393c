"""The tables: the life of an alert, and when silence is an alarm."""

from __future__ import annotations

import itertools

import pytest

from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline.model import Cause
from hearthline_cloud.alerts.lifecycle import (
    HUMAN_OUTCOMES,
    TRANSITIONS,
    Action,
    AlertKind,
    Outcome,
    State,
    act,
    alert_cause,
    alert_kind,
    allowed,
    join_key,
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

R, A, T, Z = State.RAISED, State.ACKNOWLEDGED, State.ATTENDING, State.RESOLVED
TABLE = {
    #   acknowledge, attend, resolve
    R: (A, T, Z),
    A: (None, T, Z),
    T: (None, None, Z),
    Z: (None, None, None),
}


@pytest.mark.parametrize(("state", "action"), list(itertools.product(State, Action)))
def test_every_transition(state: State, action: Action) -> None:
    after = TABLE[state][list(Action).index(action)]
    outcome = Outcome.HELP_GIVEN if action is Action.RESOLVE else None
    assert ((state, action) in TRANSITIONS) == (action in allowed(state)) == (after is not None)
    if after is None:
        with pytest.raises(RefusedError):
            act(state, action, outcome)
    else:
        step = act(state, action, outcome)
        assert (step.state, step.tells_home) == (after, state is R)


def test_only_a_person_resolves_and_says_how() -> None:
    for outcome in Outcome:
        if outcome in HUMAN_OUTCOMES:
            assert act(R, Action.RESOLVE, outcome).state is Z
        else:
            with pytest.raises(RefusedError, match="not for people"):
                act(R, Action.RESOLVE, outcome)
    with pytest.raises(RefusedError, match="needs an outcome"):
        act(R, Action.RESOLVE)
    with pytest.raises(RefusedError, match="needs an outcome"):
        act(R, Action.ACKNOWLEDGE, Outcome.TEST)


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
