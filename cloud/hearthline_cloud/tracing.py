"""The way of an alarm, hop by hop, through every machine that it passed: from its telegram to the end of its case.

    read -> kept -> sent                          the gateway's clock
                     -> received -> committed -> streamed -> notified -> acknowledged …   the center's
    home-received                                 the gateway's clock

What the gateway tells of its hops comes with its next status. When the center had committed and streamed an alarm is
noted a moment afterwards, outside of the way of any press: a process that is killed meanwhile leaves these unknown.
Between the two clocks there is a difference that nobody knows; the order of the hops bounds it (`clock_bounds_s`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, select, update

from hearthline import wire
from hearthline.clock import NS, rfc3339
from hearthline.model import EventType
from hearthline_cloud.alerts.lifecycle import AlertKind
from hearthline_cloud.schema import alert, event, journal

PRESSES_SHOWN = 20
MOST_HOPS = 8  # of a status
_LONGEST_S = 365 * 86_400.0
_OF_THE_CASE = (
    "notified", "acknowledged", "scheduled", "attending", "arrived", "home-told", "resolved", "restored", "reopened",
)  # fmt: skip

Noted = tuple[int, int]
"""An event's key, and when."""


@dataclass(frozen=True, slots=True)
class TraceHop:
    """One hop. `at`: by the clock that is named; `since_s`: after the hop before it by the same clock."""

    name: str
    at: str
    clock: Literal["gateway", "center"]
    since_s: float | None
    actor: str = ""


@dataclass(frozen=True, slots=True)
class TracedPress:
    """One press. `clock_bounds_s`: by how much the gateway's clock is ahead of the center's, at least and at most; None
    where nothing bounds it. `total_s`: from the telegram to "received" at home, by the gateway's clock alone.
    """

    event: str
    gateway: str
    time_quality: str
    sendings: int | None
    clock_bounds_s: tuple[float | None, float | None]
    total_s: float | None
    hops: list[TraceHop]


@dataclass(frozen=True, slots=True)
class Trace:
    """Every press of an alert, at most 20, and what became of its case."""

    alert: int
    kind: AlertKind
    presses: list[TracedPress]
    case: list[TraceHop]


def note_committed(connection: Connection, noted: Iterable[Noted]) -> None:
    for key, at_ns in noted:
        unknown = (event.c.id == key) & event.c.committed_ns.is_(None)
        connection.execute(update(event).where(unknown).values(committed_ns=at_ns))


def note_streamed(connection: Connection, noted: Iterable[Noted]) -> None:
    """Of several web processes the first counts."""
    for key, at_ns in noted:
        unknown = (event.c.id == key) & event.c.streamed_ns.is_(None)
        connection.execute(update(event).where(unknown).values(streamed_ns=at_ns))


def note_gateway_hops(connection: Connection, gateway: str, told: Sequence[wire.AlarmHops]) -> None:
    """What a status tells, the first time that it is told; what cannot be is left out."""
    possible = {hops.event: hops for hops in told[:MOST_HOPS] if _is_possible(hops)}
    if not possible:
        return
    same = (event.c.gateway_id == gateway) & event.c.event_id.in_(possible) & event.c.hops.is_(None)
    for row in connection.execute(select(event.c.id, event.c.event_id).where(same)).all():
        hops = possible[row.event_id]
        values = {"kept": hops.kept, "sent": hops.sent, "sendings": hops.sendings, "received": hops.received}
        connection.execute(update(event).where(event.c.id == row.id).values(hops=values))


def trace(connection: Connection, alert_id: int) -> Trace | None:
    """The way of an alert; None when there is no such alert."""
    kind = connection.execute(select(alert.c.kind).where(alert.c.id == alert_id)).scalar()
    if kind is None:
        return None
    presses = connection.execute(
        select(event)
        .where(event.c.alert_id == alert_id, event.c.type == EventType.ALARM)
        .order_by(event.c.id)
        .limit(PRESSES_SHOWN)
    ).all()
    steps = connection.execute(
        select(journal.c.kind, journal.c.at_ns, journal.c.actor)
        .where(journal.c.alert_id == alert_id, journal.c.kind.in_(_OF_THE_CASE))
        .order_by(journal.c.id)
    )
    start_ns = presses[0].received_ns if presses else None
    return Trace(alert_id, AlertKind(kind), [_press(row) for row in presses], list(_case(steps.all(), start_ns)))


def in_words(found: Trace) -> str:
    """For a person at a terminal."""
    lines = [f"Alert {found.alert}, {found.kind}."]
    for number, press in enumerate(found.presses, 1):
        quality = "" if press.time_quality == "synced" else "; its time is an estimate"
        lines.append(f"Press {number}, gateway {press.gateway}{quality}:")
        lines += [_hop_in_words(hop) for hop in press.hops]
        lines.append(f"  {_clocks_in_words(press)}")
    if found.case:
        lines += ["The case:", *map(_hop_in_words, found.case)]
    return "\n".join(lines)


_WORDS = {
    "read": "telegram read",
    "kept": "on the gateway's disk",
    "sent": "handed to the link",
    "received": "received by the ingester",
    "committed": "committed",
    "streamed": "on the live stream",
    "home-received": "acknowledgement at home",
    "notified": "message sent",
    "home-told": "home told that a person has accepted",
    "resolved": "closed",
}


def _hop_in_words(hop: TraceHop) -> str:
    since = "" if hop.since_s is None else f"+{hop.since_s:.3f} s"
    name = _WORDS.get(hop.name, hop.name)
    who = f" by {hop.actor}" if hop.actor and hop.actor != "system" else ""
    return f"  {hop.at}  {hop.clock:7}  {since:>12}  {name}{who}"


def _clocks_in_words(press: TracedPress) -> str:
    least, most = press.clock_bounds_s
    if press.total_s is None:
        return (
            "The gateway has not told its own hops: an older version, killed meanwhile, or its next status is to come."
        )
    total = f"{press.total_s:.3f} s from the telegram to the acknowledgement, by the gateway's clock alone. "
    if least is None or most is None:
        return f"{total}Nothing bounds how the two clocks differ."
    if least > most:
        return f"{total}A clock was set meanwhile: the hops contradict each other."
    return f"{total}The gateway's clock is {least:+.3f} to {most:+.3f} s ahead of the center's."


def _press(row: Row[Any]) -> TracedPress:
    told: dict[str, Any] = row.hops or {}
    ways_s = {"read": 0.0, "kept": told.get("kept"), "sent": told.get("sent"), "home-received": told.get("received")}
    home = {name: row.occurred_ns + round(s * NS) for name, s in ways_s.items() if s is not None}
    center = {"received": row.received_ns, "committed": row.committed_ns, "streamed": row.streamed_ns}
    hops = [
        *_in_turn(home, ("read", "kept", "sent"), "gateway"),
        *_in_turn({name: at for name, at in center.items() if at is not None}, tuple(center), "center"),
    ]
    if "home-received" in home:
        hops.append(TraceHop("home-received", rfc3339(home["home-received"]), "gateway", ways_s["home-received"]))
    least_ns = home["sent"] - row.received_ns if "sent" in home else None
    most_ns = home["home-received"] - row.committed_ns if "home-received" in home and row.committed_ns else None
    return TracedPress(
        event=row.event_id,
        gateway=row.gateway_id,
        time_quality=row.time_quality,
        sendings=told.get("sendings"),
        clock_bounds_s=(_seconds(least_ns), _seconds(most_ns)),
        total_s=told.get("received"),
        hops=hops,
    )


def _in_turn(at_ns: dict[str, int], names: tuple[str, ...], clock: Literal["gateway", "center"]) -> Iterator[TraceHop]:
    before_ns: int | None = None
    for name in names:
        if name in at_ns:
            since_s = None if before_ns is None else (at_ns[name] - before_ns) / NS
            before_ns = at_ns[name]
            yield TraceHop(name, rfc3339(before_ns), clock, since_s)


def _case(steps: Iterable[Row[Any, Any, Any]], before_ns: int | None) -> Iterator[TraceHop]:
    for row in steps:
        since_s = None if before_ns is None else (row.at_ns - before_ns) / NS
        before_ns = row.at_ns
        yield TraceHop(row.kind, rfc3339(row.at_ns), "center", since_s, row.actor)


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else round(ns / NS, 6)


def _is_possible(hops: wire.AlarmHops) -> bool:
    """In their order, finite, and of a length that somebody may have waited."""
    way = [hops.kept, *([] if hops.sent is None else [hops.sent]), hops.received]
    is_sane = all(math.isfinite(each) and 0 <= each < _LONGEST_S for each in way) and 0 <= hops.sendings < 2**31
    return is_sane and way == sorted(way)
