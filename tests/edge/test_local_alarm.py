"""When the home makes itself heard."""

from __future__ import annotations

import pytest

from hearthline.clock import NS, Stamp
from hearthline_edge.local_alarm import Pending, Verdict, judge

PRESSED = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
REBOOTED = Stamp(1_790_000_000 * NS, 1 * NS, "boot-2", False)
QUIET = Verdict(sound=False, again_in_s=None)
SOUND = Verdict(sound=True, again_in_s=1.0)


@pytest.mark.parametrize(
    ("pending", "now", "reset", "verdict"),
    [
        ([], PRESSED, None, QUIET),
        ([Pending(PRESSED)], PRESSED, None, Verdict(False, 10.0)),
        ([Pending(PRESSED)], PRESSED.later(9.5), None, Verdict(False, 0.5)),
        ([Pending(PRESSED)], PRESSED.later(10), None, SOUND),
        ([Pending(PRESSED), Pending(PRESSED.later(9))], PRESSED.later(11), None, SOUND),
        ([Pending(PRESSED, at_once=True)], PRESSED, None, SOUND),
        ([Pending(PRESSED)], REBOOTED, None, SOUND),
        ([Pending(PRESSED)], PRESSED.later(11), PRESSED.later(5), QUIET),
        ([Pending(PRESSED, at_once=True)], PRESSED.later(2), PRESSED.later(1), QUIET),
        ([Pending(PRESSED), Pending(PRESSED.later(6))], PRESSED.later(11), PRESSED.later(5), Verdict(False, 5.0)),
        ([Pending(PRESSED)], REBOOTED.later(5), REBOOTED, QUIET),
    ],
)
def test_judge(pending: list[Pending], now: Stamp, reset: Stamp | None, verdict: Verdict) -> None:
    assert judge(pending, now, 10.0, reset) == verdict


def test_a_wall_clock_that_jumps_changes_nothing() -> None:
    for jump in (-(10**6), 10**6):
        later = PRESSED.later(9)
        jumped = Stamp(later.wall_ns + jump * NS, later.mono_ns, later.boot, later.synced)
        assert judge([Pending(PRESSED)], jumped, 10.0) == Verdict(False, 1.0)
