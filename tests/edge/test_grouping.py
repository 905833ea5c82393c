"""Presses, repeats and chatter, as a table of telegrams."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import GroupingRule, Press
from hearthline_edge.grouping import PressState, Verdict, asked_for, chatter_report, judge, release

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
RULE = GroupingRule(quiet_gap_s=0.5, release_ends=True)
N, R, C = Verdict.NEW, Verdict.REPEAT, Verdict.CHATTER


def press(content: str = "30") -> Press:
    return Press("enocean:1", "AO", content, "raw")


def play(story: list[tuple[float, str]], rule: GroupingRule = RULE) -> list[Verdict]:
    """`story`: (seconds, content), where the content `release` is a release."""
    state: PressState | None = None
    verdicts = []
    for seconds, content in story:
        now = START.later(seconds)
        if content == "release":
            assert state is not None
            state = release(state, now)
            continue
        verdict, state = judge(state, press(content), rule, now)
        verdicts.append(verdict)
    return verdicts


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ([(0, "30")], [N]),
        ([(0, "30"), (0.06, "30"), (0.12, "30")], [N, R, R]),
        ([(0, "30"), (0.4, "30"), (0.8, "30"), (1.2, "30")], [N, R, R, R]),
        ([(0, "30"), (0.5, "30")], [N, R]),
        ([(0, "30"), (0.51, "30")], [N, N]),
        ([(0, "30"), (0.2, "31")], [N, N]),
        ([(0, "30"), (0.1, "release"), (0.3, "30")], [N, N]),
        ([(0, "30"), (0.02, "release"), (0.08, "30")], [N, R]),
        ([(0, "30"), (0.02, "release"), (0.08, "30"), (0.28, "30")], [N, R, N]),
    ],
)
def test_repeats(story: list[tuple[float, str]], expected: list[Verdict]) -> None:
    assert play(story) == expected


def test_a_family_whose_release_says_nothing() -> None:
    story = [(0.0, "30"), (0.1, "release"), (0.3, "30")]
    assert play(story, GroupingRule(quiet_gap_s=0.5)) == [N, R]


def test_two_presses_that_waited_together_are_told_apart_by_when_they_were_sent() -> None:
    _, state = judge(None, replace(press(), source_ns=10 * NS), RULE, START)
    assert judge(state, replace(press(), source_ns=10 * NS), RULE, START.later(0.01))[0] is R
    assert judge(state, press(), RULE, START.later(0.01))[0] is R
    assert judge(state, replace(press(), source_ns=14 * NS), RULE, START.later(0.01))[0] is N
    late = replace(press(), source_ns=10 * NS)
    assert judge(state, late, RULE, START.later(3))[0] is N  # a clock that stands still hides no press


@pytest.mark.parametrize(("rule", "heard_after_s"), [(RULE, 5.2), (GroupingRule(quiet_gap_s=8.0), 8.4)])
def test_whoever_presses_on_without_a_pause_after_a_test_is_heard(rule: GroupingRule, heard_after_s: float) -> None:
    _, state = judge(None, press(), rule, START)
    state, before = asked_for(state), state
    for tenths in range(4, 200, 4):
        verdict, state = judge(state, press(), rule, START.later(tenths / 10))
        _, before = judge(before, press(), rule, START.later(tenths / 10))
        assert verdict is (N if tenths / 10 == heard_after_s else R), tenths
    assert len({told.first for told in before.told}) == 1, "a press that was an alarm is one for as long as it lasts"


def test_a_number_in_a_telegram_says_for_as_long_as_the_gap_that_it_is_the_asked_for_press() -> None:
    numbered = GroupingRule(quiet_gap_s=600.0, remember=8)
    _, state = judge(None, press("packet 7"), numbered, START)
    state = asked_for(state)
    for second in (100, 400, 900):
        verdict, state = judge(state, press("packet 7"), numbered, START.later(second))
        assert verdict is R
    assert judge(state, press("packet 8"), numbered, START.later(901))[0] is N


def test_presses_that_were_asked_for_make_no_chatter_of_the_alarms_after_them() -> None:
    state = None
    for second in range(0, 40, 4):
        verdict, state = judge(state, press(), RULE, START.later(second))
        assert verdict is N
        state = asked_for(state)
    verdicts = []
    for second in (40, 44, 48, 52, 56, 58):
        verdict, state = judge(state, press(), RULE, START.later(second))
        verdicts.append(verdict)
    assert verdicts == [N, N, N, N, N, C]


def test_a_state_that_lasts_is_one_press_until_it_is_over_or_ten_minutes_have_passed() -> None:
    smoke = replace(press("smoke"), lasting=True)
    verdict, state = judge(None, smoke, RULE, START)
    assert verdict is N
    for second in (1, 60, 300, 599):
        verdict, state = judge(state, smoke, RULE, START.later(second))
        assert verdict is R
    assert judge(state, smoke, RULE, START.later(601))[0] is N
    assert judge(release(state, START.later(300)), smoke, RULE, START.later(301))[0] is N


def test_numbered_presses_are_known_again_behind_later_ones() -> None:
    rule = GroupingRule(quiet_gap_s=60, remember=3)
    story = [(0.0, "29"), (0.1, "29"), (2.0, "30"), (2.5, "29"), (2.6, "30"), (3.0, "31"), (4.0, "32"), (4.1, "30")]
    assert play(story, rule) == [N, R, N, R, R, N, N, R]
    assert play([*story, (4.2, "29")], rule)[-1] is not R  # forgotten: in doubt a press
    assert play([(0.0, "29"), (61.0, "29")], rule) == [N, N]  # the counter has come round


def test_a_wall_clock_that_jumps_does_not_matter() -> None:
    _, state = judge(None, press(), RULE, START)
    for jump in (-86_400, 86_400):
        near = replace(START.later(0.2), wall_ns=START.wall_ns + jump * NS)
        far = replace(START.later(0.6), wall_ns=START.wall_ns + jump * NS)
        assert judge(state, press(), RULE, near)[0] is R
        assert judge(state, press(), RULE, far)[0] is N


@pytest.mark.parametrize(
    ("before", "after", "wall_s", "expected"),
    [
        (True, True, 0.3, R),
        (True, True, 0.6, N),
        (True, True, -0.1, N),
        (True, False, 0.3, N),
        (False, True, 0.3, N),
        (False, False, 0.3, N),
    ],
)
def test_across_a_reboot_doubt_is_new(before: bool, after: bool, wall_s: float, expected: Verdict) -> None:
    _, state = judge(None, press(), RULE, replace(START, synced=before))
    now = Stamp(START.wall_ns + round(wall_s * NS), 5 * NS, "next boot", after)
    assert judge(state, press(), RULE, now)[0] is expected


def test_a_sixth_press_within_a_minute_is_chatter_until_the_minute_is_over() -> None:
    assert play([(float(second), "30") for second in range(0, 80, 2)]) == [N] * 5 + [C] * 25 + [N] * 5 + [C] * 5


def test_chatter_is_counted_and_told_once() -> None:
    state: PressState | None = None
    for second in range(8):
        _, state = judge(state, press(), RULE, START.later(second))
        _, state = judge(state, press(), RULE, START.later(second + 0.1))
    assert state is not None
    assert chatter_report(state, START.later(59)) is None
    report = chatter_report(state, START.later(60))
    assert report is not None
    count, state = report
    assert count == 3
    assert chatter_report(state, START.later(61)) is None
    assert judge(state, press(), RULE, START.later(62))[0] is N


def test_a_count_that_was_not_told_in_time_is_kept() -> None:
    state: PressState | None = None
    for second in [*range(7), 100]:
        _, state = judge(state, press(), RULE, START.later(second))
    assert state is not None
    report = chatter_report(state, START.later(101))
    assert report is not None
    assert report[0] == 2
    assert chatter_report(report[1], START.later(102)) is None


def test_a_reboot_ends_the_chatter_window_in_doubt() -> None:
    state: PressState | None = None
    for second in range(7):
        _, state = judge(state, press(), RULE, START.later(second))
    assert state is not None
    now = Stamp(START.wall_ns, NS, "next boot", False)
    assert judge(state, press(), RULE, now)[0] is N
    assert chatter_report(state, now) is not None


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["30", "31", "release"])), max_size=60))
def test_every_press_is_told_counted_or_a_repeat(steps: list[tuple[float, str]]) -> None:
    state: PressState | None = None
    seconds, tally, told = 0.0, {N: 0, R: 0, C: 0}, 0
    for wait, content in steps:
        seconds += wait
        now = START.later(seconds)
        if content == "release":
            state = release(state, now) if state else None
        else:
            first = state is None
            verdict, state = judge(state, press(content), RULE, now)
            assert not first or verdict is N
            tally[verdict] += 1
        report = chatter_report(state, now) if state else None
        if report:
            told, state = told + report[0], report[1]
        state = msgspec.json.decode(msgspec.json.encode(state), type=PressState | None)
    report = chatter_report(state, START.later(seconds + 61)) if state else None
    assert tally[C] == told + (report[0] if report else 0)
