"""The tables: the life of an alert, and when silence is an alarm."""

from __future__ import annotations

import itertools

import pytest

from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline_cloud.alerts.lifecycle import (
    HUMAN_OUTCOMES,
    TRANSITIONS,
    Action,
    AlertKind,
    Outcome,
    State,
    act,
    alert_kind,
    allowed,
    join_key,
)
from hearthline_cloud.alerts.supervision import OFFLINE_GRACE_S, SILENT_AFTER_S, STATUS_PERIOD_S, is_silent

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
    assert join_key(AlertKind.EMERGENCY, None, "h") != join_key(AlertKind.EMERGENCY, "h", "x")
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
        ("online", -30, 1000, False),  # heard by a clock that has been set back since
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
