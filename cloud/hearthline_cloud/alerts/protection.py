"""Protected hours: how long in a month the chain from a resident's pendant to the desk was alive.

    pendant --- gateway --- center --- desk        alive while none of them is silent, blind or under maintenance

A home may have more than one chain (two pendants at two gateways): the resident is protected while one is alive. A
silence counts from when the last word was heard, not from when it was told. What was not watched yet does not count as
hours at all, neither protected nor not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from hearthline.clock import NS
from hearthline_cloud.alerts.intervals import Interval, clip, common, length, union


@dataclass(frozen=True, slots=True)
class Chain:
    """One way from a pendant to the center. `since_ns`: since when it is watched."""

    since_ns: int
    gateway: tuple[Interval, ...] = ()
    pendant: tuple[Interval, ...] = ()


@dataclass(frozen=True, slots=True)
class Protection:
    """In nanoseconds. The causes overlap, so that they may add up to more than what is unprotected."""

    watched_ns: int
    protected_ns: int
    gateway_ns: int
    pendant_ns: int
    center_ns: int
    maintenance_ns: int

    @property
    def share(self) -> float | None:
        """Of the watched hours; None when there were none."""
        return self.protected_ns / self.watched_ns if self.watched_ns else None


def month_of(year: int, month: int, zone: tzinfo) -> Interval:
    """The month's first instant and that of the next one, by the clocks of `zone`."""
    following = (year + month // 12, month % 12 + 1)
    begin, end = (datetime(y, m, 1, tzinfo=zone) for y, m in ((year, month), following))
    return round(begin.timestamp()) * NS, round(end.timestamp()) * NS


def protection(
    month: Interval,
    now_ns: int,
    chains: Sequence[Chain],
    center: Sequence[Interval],
    maintenance: Sequence[Interval],
) -> Protection:
    """Of a resident, in as much of the month as is over and was watched.

    `center`: when the center was blind or nobody watched. Whoever has no chain is not protected, nor watched.
    """
    begin = max(month[0], min((chain.since_ns for chain in chains), default=month[1]))
    end = min(month[1], now_ns)
    span = [(begin, end)] if begin < end else []
    watched = length(span)
    dead = span
    for chain in chains:
        before = [(begin, max(begin, chain.since_ns))]
        dead = common(dead, [*chain.gateway, *chain.pendant, *before])
    lost = union([*dead, *center, *maintenance])

    def within(intervals: Sequence[Interval]) -> int:
        return length(clip(intervals, begin, end)) if span else 0

    return Protection(
        watched_ns=watched,
        protected_ns=watched - within(lost),
        gateway_ns=within([each for chain in chains for each in chain.gateway]),
        pendant_ns=within([each for chain in chains for each in chain.pendant]),
        center_ns=within(center),
        maintenance_ns=within(maintenance),
    )
