"""One press, many telegrams: which telegram is a new press, which repeats one, and which is a button gone mad.

    first telegram ............................ NEW at once; nothing ever waits for a repeat
    same content within the quiet gap ......... REPEAT, and the gap begins anew
      but released since, over 0.1 s ago ...... NEW (a repeater's copy may overtake the release by less)
      but sent over the gap after it .......... NEW (two presses that waited at a broker arrive together)
    a state that lasts, told again ............ REPEAT for 600 s from its first telegram, unless it was over meanwhile
    6th new press of one button within 60 s ... CHATTER: counted, and told once when the 60 s are over

A press that an installer was asked for pages nobody. So it counts towards no chatter, and what repeats it without a
pause is a new press after 5 s (or the family's gap, if that is longer): someone may have begun to call for help.

A family that numbers its presses compares the last few contents, for a second gateway's copy may come after the next
press. Pure: state and `now` in, verdict and state out; the state is written to disk with the press. Elapsed time is of
the monotonic clock, whatever the wall clock does. Across a reboot the wall clock decides if it was synchronised both
times and did not run backwards; in doubt a telegram is NEW: an alarm too many, never one too few.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import LASTING_S, GroupingRule, Press

RELEASE_SETTLES_S: Final = 0.1
CHATTER_WINDOW_S: Final = 60.0
CHATTER_EVENTS: Final = 5
ASKED_REPEATS_S: Final = 5.0


class Verdict(StrEnum):
    NEW = "new"
    REPEAT = "repeat"
    CHATTER = "chatter"


class Moment(msgspec.Struct, frozen=True):
    """A `Stamp` as it is kept on disk."""

    wall_ns: int
    mono_ns: int
    boot: str
    synced: bool


class Told(msgspec.Struct, frozen=True):
    """A press, as its telegrams told it. `asked`: an installer was asked for it."""

    content: str
    first: Moment
    last: Moment  # the last telegram
    source_ns: int | None = None  # when the last telegram was sent, by the clock of whoever received it
    released: bool = False
    asked: bool = False


class PressState(msgspec.Struct, frozen=True):
    """What is kept of one button of one device. `told`: its last presses, newest first."""

    told: tuple[Told, ...]
    window: Moment  # the new press that opened the chatter window
    events: int = 1  # new presses within the window
    suppressed: int = 0  # presses within the window that became no event
    unreported: int = 0  # the same of windows that are over, not yet told


def judge(state: PressState | None, press: Press, rule: GroupingRule, now: Stamp) -> tuple[Verdict, PressState]:
    """What this telegram is, and the state to keep with it."""
    moment = _moment(now)
    new = Told(press.content, moment, moment, press.source_ns)
    if state is None:
        return Verdict.NEW, PressState((new,), moment)
    for index, told in enumerate(state.told):
        if _repeats(told, press, rule, now):
            again = msgspec.structs.replace(
                told, last=moment, source_ns=told.source_ns if press.source_ns is None else press.source_ns
            )
            told_again = (*state.told[:index], again, *state.told[index + 1 :])
            return Verdict.REPEAT, msgspec.structs.replace(state, told=told_again)
    state = msgspec.structs.replace(state, told=(new, *state.told)[: rule.remember])
    if _is_over(state.window, now):
        return Verdict.NEW, PressState(state.told, moment, unreported=state.unreported + state.suppressed)
    if state.events < CHATTER_EVENTS:
        return Verdict.NEW, msgspec.structs.replace(state, events=state.events + 1)
    return Verdict.CHATTER, msgspec.structs.replace(state, suppressed=state.suppressed + 1)


def asked_for(state: PressState) -> PressState:
    """The new press that was just judged was one that an installer was asked for."""
    told = (msgspec.structs.replace(state.told[0], asked=True), *state.told[1:])
    return msgspec.structs.replace(state, told=told, events=state.events - 1)


def release(state: PressState, now: Stamp) -> PressState:
    """The button was let go: what comes over 0.1 s after its last telegram is a new press."""
    return msgspec.structs.replace(
        state, told=tuple(msgspec.structs.replace(told, released=True) for told in state.told)
    )


def chatter_report(state: PressState, now: Stamp) -> tuple[int, PressState] | None:
    """How many presses became no event, once their window is over, and the state that has told it; else None."""
    over = _is_over(state.window, now)
    count = state.unreported + (state.suppressed if over else 0)
    if not count:
        return None
    return count, msgspec.structs.replace(state, unreported=0, suppressed=0 if over else state.suppressed)


def _repeats(told: Told, press: Press, rule: GroupingRule, now: Stamp) -> bool:
    if press.content != told.content:
        return False
    if press.lasting:
        elapsed_s = seconds_since(told.first, now)
        return not told.released and elapsed_s is not None and 0 <= elapsed_s <= LASTING_S
    elapsed_s = seconds_since(told.last, now)
    if elapsed_s is None or not 0 <= elapsed_s <= rule.quiet_gap_s:
        return False
    if press.source_ns is not None and told.source_ns is not None:
        apart_s = abs(press.source_ns - told.source_ns) / NS
        if apart_s > rule.quiet_gap_s:
            return False
    if told.asked and rule.remember == 1:  # a number in the content says by itself what is the same press
        first_s = seconds_since(told.first, now)
        if first_s is None or first_s > max(ASKED_REPEATS_S, rule.quiet_gap_s):
            return False
    return not (rule.release_ends and told.released and elapsed_s > RELEASE_SETTLES_S)


def _is_over(window: Moment, now: Stamp) -> bool:
    elapsed_s = seconds_since(window, now)
    return elapsed_s is None or not 0 <= elapsed_s < CHATTER_WINDOW_S


def seconds_since(earlier: Moment, now: Stamp) -> float | None:
    """Seconds since, or None when nobody knows."""
    if earlier.boot == now.boot:
        return (now.mono_ns - earlier.mono_ns) / NS
    if earlier.synced and now.synced:
        return (now.wall_ns - earlier.wall_ns) / NS
    return None


def _moment(now: Stamp) -> Moment:
    return Moment(now.wall_ns, now.mono_ns, now.boot, now.synced)
