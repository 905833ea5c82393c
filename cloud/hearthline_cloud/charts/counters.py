"""What a meter's register went on: the differences of its readings, with registers that roll over and meters changed.

    forward, by no more than a home can draw ............ counted
    back, from just below a power of ten to just above 0  the register rolled over: counted through its end
    back otherwise ...................................... another meter: what the old one went on, and what the new one
    forward by more than a home can draw ................ another meter, or a wrong reading: nothing is counted

A step over a time without readings counts where the next reading is, and is marked. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hearthline.clock import NS
from hearthline_cloud.store.tiers import Span

MOST_KW = 100.0  # of a home; a fuse of 3 x 63 A gives 43
_JITTER_KWH = 0.01
_AROUND_THE_END_KWH = 100.0  # between the last reading before a register's end and the first one after it
_REGISTERS_KWH = tuple(10.0**digits for digits in range(4, 10))


class Mark(StrEnum):
    """What is to be known about a sum."""

    GAP = "gap"  # it has the energy of a time without readings in it
    ROLLED_OVER = "rolled-over"
    CHANGED = "changed"  # another meter; what nobody read is missing


@dataclass(frozen=True, slots=True)
class Stand:
    """A register during a window: what it read at its end, and at least and at most."""

    begin_ns: int
    end_ns: int
    last: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Used:
    """What a bucket took, in kWh; None without a reading."""

    kwh: float | None
    marks: frozenset[Mark] = frozenset()


def used(stands: Sequence[Stand], buckets: Iterable[Span], patience_ns: int) -> list[Used]:
    """The energy of each bucket from the windows of one meter, in order of time.

    A window belongs to the bucket in which it begins; windows before the first bucket say where the meter stood.
    `patience_ns`: a longer time between two windows is a gap.
    """
    steps = list(_steps(stands, patience_ns))
    found = []
    for begin_ns, end_ns in buckets:
        here = [(kwh, marks) for at_ns, kwh, marks in steps if begin_ns <= at_ns < end_ns]
        marks = frozenset[Mark]().union(*(marks for _, marks in here))
        found.append(Used(round(sum(kwh for kwh, _ in here), 3) if here else None, marks))
    return found


def together(meters: Sequence[Sequence[Used]], buckets: int) -> list[Used]:
    """The sums of several meters, bucket by bucket."""
    found = []
    for place in range(buckets):
        here = [meter[place] for meter in meters if meter[place].kwh is not None]
        marks = frozenset[Mark]().union(*(each.marks for each in here))
        found.append(Used(round(sum(each.kwh or 0.0 for each in here), 3) if here else None, marks))
    return found


def _steps(stands: Sequence[Stand], patience_ns: int) -> Iterator[tuple[int, float, frozenset[Mark]]]:
    before: Stand | None = None
    for stand in stands:
        if before is None:
            grown = stand.last - stand.least
            kwh, marks = (
                (grown, frozenset[Mark]()) if grown <= _most(stand.end_ns - stand.begin_ns) else (0.0, _CHANGED)
            )
        else:
            kwh, marks = _step(before, stand)
            if stand.begin_ns - before.end_ns > patience_ns:
                marks |= {Mark.GAP}
        before = stand
        yield stand.begin_ns, kwh, marks


def _step(before: Stand, stand: Stand) -> tuple[float, frozenset[Mark]]:
    most = _most(stand.end_ns - before.end_ns)
    forward = stand.last - before.last
    if -_JITTER_KWH <= forward <= most:
        return max(forward, 0.0), frozenset()
    if forward > most:
        return 0.0, _CHANGED
    size = next((size for size in _REGISTERS_KWH if size > before.last), None)
    unread = size - max(before.last, stand.most) + stand.least if size is not None else most
    if size is not None and size + forward <= most and 0 <= unread <= _AROUND_THE_END_KWH:
        return size + forward, frozenset({Mark.ROLLED_OVER})
    old, new = stand.most - before.last, stand.last - stand.least
    return sum(part for part in (old, new) if 0 < part <= most), _CHANGED


def _most(elapsed_ns: int) -> float:
    return MOST_KW * max(elapsed_ns, 900 * NS) / (3600 * NS)


_CHANGED = frozenset({Mark.CHANGED})
