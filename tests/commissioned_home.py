"""A gateway that commissions a home: its words, its marked presses, its signed report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from cloud_center import Cloud
from hearthline import wire
from hearthline.commissioning import MARK, Reason, Report, Step, StepState, What, as_document, canonical
from hearthline.model import EventType

PENDANT = "enocean:1"
RUN = "01934d2a-9000-7000-8000-000000000001"


def begun(cloud: Cloud, run: object = RUN, **changes: Any) -> wire.Event:
    event = cloud.gateway.event(EventType.COMMISSIONING, cloud.gateway.id, run=run, state="begun")
    return replace(event, **changes)


def pressed(cloud: Cloud, run: object = RUN, ordinal: object = 1, device: str = PENDANT, **data: Any) -> wire.Event:
    return cloud.gateway.press(device=device, **{"ordinal": ordinal, MARK: run, **data})


def step(
    device: str = PENDANT, room: str = "bedroom", state: StepState = StepState.PASSED, reason: str = "", **more: Any
) -> Step:
    return Step(device=device, room=room, what=What.PRESS, state=state, reason=reason, **more)


def to_do(room: str = "bedroom", device: str = PENDANT) -> Step:
    return step(device, room, StepState.FAILED, Reason.NOT_HEARD)


def report(*steps: Step, run: str = RUN, gateway: str = "gw-1") -> dict[str, Any]:
    times = {"begun": "2026-11-21T08:00:00Z", "ended": "2026-11-21T08:09:00Z"}
    made = Report(gateway=gateway, runs=[run], **times, version="0.1.0", within_ms=10_000, steps=list(steps))
    return as_document(made)


def signature(document: object, key: ec.EllipticCurvePrivateKey) -> str:
    return key.sign(canonical(document), ec.ECDSA(hashes.SHA256())).hex()


def ended(
    cloud: Cloud, document: Any = None, run: str = RUN, key: ec.EllipticCurvePrivateKey | None = None, **more: Any
) -> wire.Event:
    """The word that a run has ended, with its report, signed where there is a key."""
    data = {} if document is None else {"report": document}
    if key is not None:
        data["signature"] = signature(document, key)
    return cloud.gateway.event(EventType.COMMISSIONING, cloud.gateway.id, run=run, state="ended", **data | more)
