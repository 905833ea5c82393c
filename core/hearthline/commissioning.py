"""The report of a commissioning: what an installer tried in a home, step by step, signed by the gateway's uplink key.

    run      begun --> presses that were asked for, marked with the run's id --> ended, with the report
    step     passed, or a to-do: failed, skipped with a reason

It is the contract between the gateway that writes it and the center that keeps it. Whole numbers alone, in ASCII-named
fields, so that its canonical form is that of RFC 8785; ids and rooms, and nothing that names a person.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from hearthline.wire import MAX_DEVICE, MAX_ID

MARK: Final = "commissioning"  # in the data of a marked press: the run's id
PAIRING: Final = "pair-"  # begins the id of a run in which a device is bound; such a run has no report
LONGEST_S: Final = 2 * 3600  # of a run, whatever it asks for
RECEIVED_WITHIN_S: Final = 10.0  # a press that the center had received no sooner has failed
MAX_STEPS: Final = 400
MAX_REPORT_BYTES: Final = 128 * 1024
MAX_ROOM: Final = 64
_GREATEST_MS: Final = 2**31


class RunState(StrEnum):
    """Of the event's data: what the gateway says of a run."""

    BEGUN = "begun"
    ENDED = "ended"


class What(StrEnum):
    """What is tried of a device."""

    PRESS = "press"
    VITAL = "vital"
    READING = "reading"


class StepState(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Reason(StrEnum):
    """Why a step is a to-do. A closed list: words of an installer's own might name a person."""

    NOT_HEARD = "not-heard"  # the gateway heard nothing of the device
    NOT_STORED = "not-stored"  # heard, but not committed to the gateway's disk
    NOT_RECEIVED = "not-received"  # stored, and no word from the center in time
    LATE = "late"  # received, but not in time
    NOT_MARKED = "not-marked"  # it went as a real alarm, say because the button was pressed too late
    NOT_TRIED = "not-tried"  # the run ended before
    NOT_FOUND = "not-found"  # the installer did not find the device
    BATTERY = "battery"
    NO_ENTRY = "no-entry"  # the room is locked, or may not be entered
    DECLINED = "declined"  # the resident did not want it
    COMES_LATER = "comes-later"


SKIPPED_FOR: Final = (Reason.NOT_FOUND, Reason.BATTERY, Reason.NO_ENTRY, Reason.DECLINED, Reason.COMES_LATER)

_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
_Milliseconds = Annotated[int, Meta(ge=0, lt=_GREATEST_MS)]


class Hops(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Milliseconds since the telegram, by the gateway's monotonic clock: on its disk, sent, received; null: unknown."""

    committed: _Milliseconds | None = None
    sent: _Milliseconds | None = None
    received: _Milliseconds | None = None


class Step(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One device in one room. `at`: RFC 3339. `run`: in which it was tried. `radio_dbm`, `link_quality`: where it says.

    `reason`: of `Reason`, of what is no pass; a word of tomorrow is kept as it is.
    """

    device: Annotated[str, Meta(min_length=1, max_length=MAX_DEVICE)]
    room: Annotated[str, Meta(max_length=MAX_ROOM)]
    what: What
    state: StepState
    reason: Annotated[str, Meta(max_length=32)] = ""
    at: Annotated[str, Meta(max_length=40)] = ""
    run: Annotated[str, Meta(max_length=MAX_ID)] = ""
    event: Annotated[str, Meta(max_length=MAX_ID)] = ""
    hops_ms: Hops | None = None
    radio_dbm: Annotated[int, Meta(ge=-200, le=50)] | None = None
    link_quality: Annotated[int, Meta(ge=0, le=255)] | None = None


class Report(msgspec.Struct, kw_only=True):
    """`runs`: every run that it is made of, the last one last. `begun`, `ended`: RFC 3339. `version`: of the agent."""

    gateway: _Id
    runs: Annotated[list[_Id], Meta(min_length=1, max_length=64)]
    begun: Annotated[str, Meta(max_length=40)]
    ended: Annotated[str, Meta(max_length=40)]
    version: Annotated[str, Meta(max_length=64)]
    within_ms: _Milliseconds
    steps: Annotated[list[Step], Meta(max_length=MAX_STEPS)]


def as_document(report: Report) -> dict[str, Any]:
    """As it travels in an event's data."""
    document: dict[str, Any] = msgspec.to_builtins(report)
    return document


def canonical(document: object) -> bytes:
    """What is signed: RFC 8785, for whole numbers and ASCII names. Raises ValueError for what has no such form."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def report_of(document: object) -> Report:
    """Raises ValueError for what is no report of ours, or a longer one than any home's."""
    size = len(canonical(document))
    if size > MAX_REPORT_BYTES:
        raise ValueError(f"a report of {size} bytes; {MAX_REPORT_BYTES} at most")
    return msgspec.convert(document, Report)
