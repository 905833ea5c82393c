"""A home that was tried out by an installer: one run with a report, and one that goes on."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from cloud_center import TestGateway
from commissioned_home import report
from hearthline import wire
from hearthline.commissioning import MARK, Hops, Reason, Step, StepState, What, as_document, report_of
from hearthline.model import EventType
from hearthline_cloud.ingest.event_lane import EventLane
from web.seeding import Center

PENDANT, CUFF = "enocean:01a2b3c4", "bp:cuff-1"
RUN = "01934d2a-9000-7000-8000-000000000001"
HOSTILE = "<script>alert(1)</script><b>客厅"


@dataclass
class TriedOut:
    """Hands what a gateway says to the center's own event lane."""

    center: Center
    gateway: str = "gw-east-1"

    def __post_init__(self) -> None:
        self.sender = TestGateway(self.gateway, outbox=f"outbox-of-{self.gateway}")
        self.lane = EventLane(self.center.database, self.center.waker, threading.Event())

    def take(self, *events: wire.Event) -> None:
        assert self.lane.commit([self.sender.message(event) for event in events]) is not None

    def word(self, state: str, run: str = RUN, **data: Any) -> wire.Event:
        return self.sender.event(EventType.COMMISSIONING, self.gateway, run=run, state=state, **data)

    def press(self, ordinal: int, run: str = RUN) -> wire.Event:
        data: dict[str, Any] = {"ordinal": ordinal, MARK: run}
        return self.sender.press(device=PENDANT, **data)


def steps(events: list[str]) -> list[Step]:
    """Presses that passed, and what went wrong in a home."""
    hops = Hops(committed=12, sent=15, received=131)
    passed = [
        Step(device=PENDANT, room=room, what=What.PRESS, state=StepState.PASSED, event=event, hops_ms=hops,
             radio_dbm=-67, run=RUN, at="2026-11-21T08:00:00Z")
        for room, event in zip(("卧室", "客厅"), events, strict=True)
    ]  # fmt: skip
    unseen = Step(device=PENDANT, room="厨房", what=What.PRESS, state=StepState.PASSED, event="nobody-knows-it")
    cuff = Step(device=CUFF, room="客厅", what=What.VITAL, state=StepState.SKIPPED, reason=Reason.BATTERY)
    late = Step(device=PENDANT, room="卫生间", what=What.PRESS, state=StepState.FAILED, reason=Reason.NOT_HEARD)
    odd = Step(device="z2m:<img src=x>", room=HOSTILE, what=What.PRESS, state=StepState.FAILED, reason="<i>tomorrow")
    return [*passed, unseen, cuff, late, odd]


def commission(center: Center) -> None:
    """Of the first gateway a run with a report; of the second one that goes on, with a press."""
    first = TriedOut(center)
    presses = [first.press(1), first.press(2)]
    document = report(*steps([press.id for press in presses]), gateway="gw-east-1")
    assert as_document(report_of(document)) == document
    first.take(first.word("begun"), *presses, first.word("ended", report=document))
    second = TriedOut(center, "gw-east-2")
    second.take(second.word("begun"), second.press(1))
