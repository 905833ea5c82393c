"""The time that a pack is told with: the same for ever, for the time-series store knows a reading by its time.

A pack of a free clock may be told, and stored with the ingester's estimate, before its acknowledgement gets lost and
the clock is synchronised. Told again with the right time it would be a second reading. So it is noted up to which pack
a boot's packs have been told as free: those stay so. What the disk does not take is kept in memory and tried again; an
agent that ends before the disk takes it may double these packs, which is better than to withhold them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from hearthline.clock import Stamp
from hearthline_edge.boots import TOLD_FREE
from hearthline_edge.outbox import Outbox, PackRow

Told = tuple[PackRow, Stamp, float]  # the pack, its time as it is told, its age when that is worth nothing
_NOTHING: Mapping[str, int] = MappingProxyType({})


def told_time(outbox: Outbox, pack: PackRow, now: Stamp, unnoted: Mapping[str, int] = _NOTHING) -> Told:
    """Inside a transaction. The best-known time of a pack that was never told before; else the one it was told with."""
    moment = pack.stamp
    noted = outbox.counters().get(_counter(moment.boot), 0)
    if not moment.synced and pack.seq > max(noted, unnoted.get(moment.boot, 0)):
        moment = outbox.true_time(moment, now)
    return pack, moment, 0.0 if moment.synced else outbox.age_s(pack.stamp, now)


def told_free(told: Sequence[Told], unnoted: Mapping[str, int] = _NOTHING) -> dict[str, int]:
    """Of each boot the last pack that is told with a free clock, or was and is not noted yet."""
    last = dict(unnoted)
    for pack, moment, _ in told:
        if not moment.synced:
            last[moment.boot] = max(last.get(moment.boot, 0), pack.seq)
    return last


def note_told_free(outbox: Outbox, last: Mapping[str, int]) -> None:
    """Inside a transaction, and before these packs are told."""
    counters = outbox.counters()
    for boot, seq in last.items():
        if _counter(boot) not in counters:
            outbox.forget_boots(boot)  # of a clock that is never right, too, the counters do not pile up
        further = seq - counters.get(_counter(boot), 0)
        if further > 0:
            outbox.count(_counter(boot), further)


def _counter(boot: str) -> str:
    return f"{TOLD_FREE}{boot}"
