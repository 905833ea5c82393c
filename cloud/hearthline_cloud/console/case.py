"""What a case's page says of its way: the stations that are worth a line, and the times between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hearthline.clock import NS, parse_rfc3339
from hearthline_cloud.api.model import Alert, AlertDetail, Hop

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


@dataclass(frozen=True, slots=True)
class Span:
    """How long after the raising something happened: `name` is answered, under-way, arrived or closed."""

    name: str
    seconds: float


def shown_hops(detail: AlertDetail) -> list[Hop]:
    """The first press with every station; of the further ones only that they joined."""
    first = detail.events[0].event_id if detail.events else None
    shown = [hop for hop in detail.timeline if hop.kind not in ("pressed", "received") or hop.event_id == first]
    before = [shown[0], *shown][: len(shown)] if shown else []
    return [
        replace(hop, since_previous_s=hop.since_first_s - previous.since_first_s)
        for previous, hop in zip(before, shown, strict=True)
    ]


def spans(alert: Alert) -> list[Span]:
    """The steps that were taken, each counted from the raising."""
    steps = (
        ("answered", alert.acknowledged),
        ("under-way", alert.attending),
        ("arrived", alert.arrived),
        ("closed", alert.resolved),
    )
    return [Span(name, seconds_between(alert.raised, at)) for name, at in steps if at is not None]


def seconds_between(first: str, second: str) -> float:
    return (parse_rfc3339(second) - parse_rfc3339(first)) / NS


def spell(seconds: float, translate: Callable[..., str]) -> str:
    """A length of time as people say it: two units at most. Clocks of two machines may give a negative one."""
    sign, length = ("−" if seconds <= -0.005 else ""), abs(seconds)
    if length < 10:
        return sign + translate("span.s", s=f"{length:.2f}")
    whole = round(length)
    if whole < _MINUTE:
        return sign + translate("span.s", s=whole)
    if whole < _HOUR:
        return sign + translate("span.min", min=whole // _MINUTE, s=whole % _MINUTE)
    if whole < _DAY:
        return sign + translate("span.h", h=whole // _HOUR, min=whole % _HOUR // _MINUTE)
    return sign + translate("span.d", d=whole // _DAY, h=whole % _DAY // _HOUR)
