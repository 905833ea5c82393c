"""What stands in the way of telling people now: steps that reach nobody, gaps of a schedule, channels that fail.

The desk role looks for it and keeps it in its heartbeat; the log, `/readyz` and the console tell it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, select

from hearthline.clock import NS
from hearthline_cloud.alerts.escalation import Policies, Reach, Target, TargetKind
from hearthline_cloud.alerts.schedule import Schedule
from hearthline_cloud.policy_file import is_reached
from hearthline_cloud.policy_store import Holding
from hearthline_cloud.schema import notification

_LAST = 3  # messages of a channel that are looked at
_TRIES = 3  # that failed before a channel counts as failing, unless one was final
_RECENT_S = 24 * 3600


class FaultKind(StrEnum):
    NO_CHANNEL = "no-channel"
    UNREACHED = "unreached"
    OFF_LINE = "off-line"  # on duty, and no channel reaches that person
    GAP = "gap"
    POLICY = "policy"
    CHANNEL = "channel"
    NO_LINK = "no-link"
    ALERT = "alert"
    LIST_OLD = "list-old"  # the revocation list
    RELOAD = "reload"
    CONTROL = "control"  # of the broker's clients and roles
    ENDING = "ending"  # a certificate of the center's own, or of a gateway
    RENEWAL = "renewal"  # of gateways' certificates


_WORDS = {
    FaultKind.NO_CHANNEL: "no channel is configured: nobody is told but the console",
    FaultKind.UNREACHED: "policy {policy}: the step after {after} s has no channel for {target}",
    FaultKind.OFF_LINE: "schedule {schedule}: no channel reaches {staff}; when it is {staff}'s turn, everyone is told",
    FaultKind.GAP: "schedule {schedule}: nobody is on duty from {begin} to {end}; everyone is told then",
    FaultKind.POLICY: "policy version {newest} cannot be used, version {version} holds instead: line {problem}",
    FaultKind.CHANNEL: "channel {channel}: the last messages all failed ({result})",
    FaultKind.ALERT: "alert {alert}: what is due cannot be done ({error}); the log of the desk says more",
    FaultKind.NO_LINK: "web.public_url is not set: a volunteer's message carries no link",
    FaultKind.LIST_OLD: "the broker's revocation list is good until {ends}; after that no gateway gets in",
    FaultKind.RELOAD: "the broker could not be made to read its revocation list anew: {why}",
    FaultKind.CONTROL: "the broker's clients and roles cannot be kept: {why}",
    FaultKind.RENEWAL: "no gateway's certificate can be renewed: {why}",
    FaultKind.ENDING: "the certificate {name} ends on {ends}; make a new one",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`facts` fills the words in any language; without names of residents, addresses or secrets."""

    kind: FaultKind
    facts: dict[str, str]

    def __str__(self) -> str:
        return _WORDS[self.kind].format(**self.facts)

    def as_row(self) -> dict[str, str]:
        return {**self.facts, "kind": self.kind.value, "text": str(self)}


def policy_faults(held: Holding, reaches: Iterable[Reach], now_ns: int) -> list[Fault]:
    """What of the policies cannot be done with the channels that there are, or at some time of the next week."""
    known, faults = tuple(reaches), []
    if held.refused is not None:
        facts = {"newest": str(held.newest), "version": str(held.version), "problem": str(held.refused)}
        faults.append(Fault(FaultKind.POLICY, facts))
    if not known:
        return [*faults, Fault(FaultKind.NO_CHANNEL, {})]
    return [*faults, *_unreached(held.policies, known), *schedule_faults(held.policies, known, now_ns)]


def schedule_faults(policies: Policies, reaches: tuple[Reach, ...], now_ns: int) -> Iterator[Fault]:
    for name, schedule in policies.schedules.items():
        for staff in sorted({each for entry in schedule.entries for each in entry.staff}):
            if not is_reached(Target(TargetKind.STAFF, staff), reaches):
                yield Fault(FaultKind.OFF_LINE, {"schedule": name, "staff": staff})
        for begin_ns, end_ns in schedule.gaps(now_ns)[:_LAST]:
            facts = {"begin": _local(begin_ns, schedule), "end": _local(end_ns, schedule)}
            yield Fault(FaultKind.GAP, {"schedule": name, **facts})


def link_faults(public_url: str | None, reaches: Iterable[Reach]) -> list[Fault]:
    """Whoever has no account gets a link, if there is an address for it to begin with."""
    is_missed = public_url is None and any(reach.contacts for reach in reaches)
    return [Fault(FaultKind.NO_LINK, {})] if is_missed else []


def failing_channels(connection: Connection, reaches: Iterable[Reach], now_ns: int) -> list[Fault]:
    """The channels of whose last messages, of the last day, none was sent."""
    found = []
    for reach in reaches:
        query = (
            select(notification.c.state, notification.c.attempts, notification.c.result)
            .where(notification.c.channel == reach.name)
            .where(notification.c.attempts > 0, notification.c.state != "dropped", notification.c.result != "")
            .where(notification.c.created_ns > now_ns - _RECENT_S * NS)
            .order_by(notification.c.id.desc())
            .limit(_LAST)
        )
        rows = connection.execute(query).all()
        states = {row.state for row in rows}
        tries = sum(row.attempts for row in rows)
        if rows and "sent" not in states and ("failed" in states or tries >= _TRIES):
            found.append(Fault(FaultKind.CHANNEL, {"channel": reach.name, "result": rows[0].result}))
    return found


def _unreached(policies: Policies, reaches: tuple[Reach, ...]) -> Iterator[Fault]:
    for policy in policies.policies.values():
        for step in policy.steps:
            lost = [str(target) for target in step.targets if not _is_told(target, reaches)]
            if lost:
                facts = {"policy": policy.name, "after": f"{step.after_s:g}", "target": lost[0]}
                yield Fault(FaultKind.UNREACHED, facts)


def _is_told(target: Target, reaches: tuple[Reach, ...]) -> bool:
    """Whether somebody outside the console hears of it, where somebody should."""
    if target.kind is TargetKind.VOLUNTEER:
        return any(reach.contacts for reach in reaches)
    return is_reached(target, reaches)


def _local(at_ns: int, schedule: Schedule) -> str:
    return f"{datetime.fromtimestamp(at_ns // NS, schedule.zone):%Y-%m-%d %H:%M}"
