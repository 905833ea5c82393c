"""What threatens the gateways' way in is an alert: raised once, cleared when it is gone, closed by people."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloud_center import Cloud
from hearthline.clock import NS
from hearthline.model import Cause
from hearthline_cloud import schema
from hearthline_cloud.alerts.escalation import SHIPPED
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome
from hearthline_cloud.desk import Desk, beat
from hearthline_cloud.identity.keeping import ROLE as KEEPER
from hearthline_cloud.identity.keeping import forget
from hearthline_cloud.identity.renewing import ROLE as RENEWAL
from hearthline_cloud.supervising import Supervisor
from hearthline_cloud.telling import Fault, FaultKind
from hearthline_cloud.wake import Waker

OLD = Fault(FaultKind.LIST_OLD, {"ends": "2026-11-24 08:00 UTC"})
CONTROL = Fault(FaultKind.CONTROL, {"why": "Connection refused"})
MISSING = Fault(FaultKind.RENEWAL, {"why": "issuing.key: No such file or directory"})


@dataclass
class Desks:
    """Two desks that look at one center; its ingester lives."""

    cloud: Cloud
    waker: Waker
    now: int

    def __post_init__(self) -> None:
        self.desks = [Supervisor(self.cloud.database, self.waker, self.now, self.now) for _ in range(2)]

    def say(self, *faults: Fault, role: str = KEEPER) -> None:
        with self.cloud.database.transaction() as connection:
            beat(connection, role, self.now, {"faults": [fault.as_row() for fault in faults]})

    def look(self, seconds: float, *faults: Fault, role: str | None = KEEPER) -> None:
        """For so long the role says these, if it says anything, and both desks look every 5 s."""
        until = self.now + round(seconds * NS)
        while self.now < until:
            self.now += 5 * NS
            with self.cloud.database.transaction() as connection:
                beat(connection, "ingest", self.now, {"broker": True, "store": True})
            if role is not None:
                self.say(*faults, role=role)
            for desk in self.desks:
                desk.round(self.now, self.now)

    @property
    def alerts(self) -> list[tuple[str, str, str | None]]:
        rows = [row for row in self.cloud.rows(schema.alert) if row.kind == AlertKind.ACCESS_FAULT]
        return [(row.note, row.state, row.outcome) for row in rows]


@pytest.fixture
def desks(cloud: Cloud, tmp_path: Path) -> Iterator[Desks]:
    waker = Waker(tmp_path)
    yield Desks(cloud, waker, time.time_ns())
    waker.close()


def test_what_ends_on_a_day_is_told_at_once_and_once(desks: Desks) -> None:
    desks.look(5, OLD)
    desks.look(30, OLD)
    assert desks.alerts == [("list-old", "raised", None)]
    told = [row for row in desks.cloud.rows(schema.journal) if row.kind == "raised"]
    assert [row.detail for row in told] == [{"fault": str(OLD)}]
    assert SHIPPED.policy_for(AlertKind.ACCESS_FAULT, Cause.PRESS, "").name == "fault"


def test_a_broker_that_is_restarted_is_nobodys_business_and_one_that_stays_away_is(desks: Desks) -> None:
    desks.look(40, CONTROL)
    desks.look(10)
    desks.look(55, CONTROL)
    assert desks.alerts == []
    desks.look(15, CONTROL)
    assert desks.alerts == [("control", "raised", None)]
    desks.look(5)
    assert desks.alerts == [("control", "resolved", "restored")]


def test_each_fault_has_its_own_alert(desks: Desks) -> None:
    desks.say(MISSING, role=RENEWAL)
    desks.look(70, OLD, CONTROL)
    assert sorted(note for note, _, _ in desks.alerts) == ["control", "list-old", "renewal"]
    desks.look(5, CONTROL)
    assert {note for note, state, _ in desks.alerts if state == "raised"} == {"control", "renewal"}


def test_what_a_person_has_closed_is_raised_anew_only_after_it_was_gone(desks: Desks) -> None:
    desks.look(5, OLD)
    Desk(desks.cloud.database, desks.waker).resolve(1, Outcome.SERVICE_DONE, "mei", desks.now)
    desks.look(60, OLD)
    assert desks.alerts == [("list-old", "resolved", "service-done")]
    desks.look(5)
    desks.look(5, OLD)
    assert desks.alerts == [("list-old", "resolved", "service-done"), ("list-old", "raised", None)]


def test_a_keeper_that_is_not_heard_is_told_and_what_it_last_said_stands(desks: Desks) -> None:
    desks.look(5, OLD)
    desks.look(60, role=None)
    assert desks.alerts == [("list-old", "raised", None)]
    desks.look(10, role=None)
    assert desks.alerts == [("list-old", "raised", None), ("unheard", "raised", None)]
    desks.look(5, OLD)
    assert desks.alerts == [("list-old", "raised", None), ("unheard", "resolved", "restored")]


def test_without_a_keeper_there_is_nothing_to_tell(desks: Desks) -> None:
    desks.look(90, role=None)
    assert desks.alerts == []
    desks.look(5, OLD)
    forget(desks.cloud.database)
    desks.look(5, role=None)
    assert desks.alerts == [("list-old", "resolved", "restored")]
