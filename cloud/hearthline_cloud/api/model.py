"""What the API answers, as explicit types: whoever adds personal data to an answer has to write it down here.

Times are RFC 3339 in UTC. A gateway's own time carries its quality; everything else is by the cloud's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

MAX_ID = 2**63 - 1  # of an id or cursor: what an integer of the database holds
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


@dataclass(frozen=True, slots=True)
class ErrorBody:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """What every refusal looks like. A conflict adds `first` (who did what) and `version`; a step that the rules do not
    allow adds `reason`, a word of a closed list."""

    error: ErrorBody


_REFUSALS = {
    400: "The body or a time cannot be read",
    401: "Log in first",
    403: "The role, or where the request comes from, does not allow it",
    404: "There is no such thing",
    409: "Somebody else was first; the answer says who",
    413: "The request is larger than 64 KiB",
    422: "A field is wrong; the answer names it",
    429: "Too many attempts or requests; wait",
    503: "The database or the store does not answer now; try again",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How a route documents its refusals."""
    return {status: {"model": ErrorAnswer, "description": _REFUSALS[status]} for status in statuses}


@dataclass(frozen=True, slots=True)
class Login:
    """`token` opens the session as `Authorization: Bearer …`; it is told this once."""

    token: str
    staff: str
    role: str
    expires: Time


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as the list shows it. `version` goes back with an action, so that two operators do not collide.

    `urgency`: 1 to 3, by presses. `acknowledged_by` was the first to take it, `assigned_to` has it now. `cancelled`:
    when the elder took the last press back at home, which closes nothing. `note`: of a device's fault, which; `since`:
    of a silence, when it began. `maintenance_until`, `away_until`: what is declared for its place now. `resent`: its
    gateway sent it again after the center was restored from a backup; somebody may have dealt with it. `category`,
    `due` and `provider` (empty: the staff) are the plan of a service call that was scheduled.
    """

    id: int
    kind: str
    state: str
    home: str | None
    home_name: str | None
    address: str | None
    resident: str | None
    resident_name: str | None
    gateway: str
    device: str
    device_name: str | None
    room: str | None
    device_registered: bool
    presses: int
    urgency: int
    certainty: str
    cause: str
    raised: Time
    last_press: Time | None
    acknowledged_by: str | None
    acknowledged: Time | None
    assigned_to: str | None
    attending: Time | None
    arrived: Time | None
    resolved_by: str | None
    resolved: Time | None
    outcome: str | None
    reopened: int
    cancelled: Time | None
    category: str | None
    due: Time | None
    provider: str | None
    version: int
    note: str
    since: Time | None
    maintenance_until: Time | None
    away_until: Time | None
    resent: bool


@dataclass(frozen=True, slots=True)
class Alerts:
    """`next`: give it as `before` for the page of older alerts."""

    alerts: list[Alert]
    next: int | None


@dataclass(frozen=True, slots=True)
class ServiceCall:
    """One open service call. `since`: when it is due, or was asked for while nobody has planned it; `overdue`: that
    time is over and nobody is on the way. `planned`: other calls of the home that are planned already. `asked_again`:
    the home has another call that nobody has planned yet, pressed last at this time.
    """

    call: Alert
    since: Time
    overdue: bool
    planned: list[int]
    asked_again: Time | None


@dataclass(frozen=True, slots=True)
class ServiceCalls:
    """The first in need of somebody first; `total` counts also what is not listed."""

    calls: list[ServiceCall]
    total: int


@dataclass(frozen=True, slots=True)
class MealOrder:
    """The next serving of a meal that can still be ordered, and when its orders close."""

    meal: str
    served: Time
    closes: Time


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a gateway as it was kept. `id` is the cursor; `ordinal` the press count that a driver gives."""

    id: int
    gateway: str
    device: str
    event_id: str
    type: str
    occurred: Time
    time_quality: str
    received: Time
    outbox: str
    seq: int
    ordinal: int | None
    suspect: str
    resident: str | None
    alert_id: int | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Events:
    """`next`: give it as `after`; None when nothing was left."""

    events: list[Event]
    next: int | None


@dataclass(frozen=True, slots=True)
class Hop:
    """One station of an alert's way: pressed (edge), received (cloud), raised, acknowledged, …, home-told.

    Of a hand-over `detail` has `from` and `to`, of a closing `outcome`.

    `since_first_s` and `since_previous_s` compare clocks of two machines until the press is received.
    """

    at: Time
    kind: str
    actor: str
    event_id: str | None
    detail: dict[str, Any]
    since_first_s: float
    since_previous_s: float


@dataclass(frozen=True, slots=True)
class AlertDetail:
    alert: Alert
    allowed: list[str]
    events: list[Event]
    timeline: list[Hop]


@dataclass(frozen=True, slots=True)
class Changed:
    id: int
    state: str
    version: int


@dataclass(frozen=True, slots=True)
class StaffMember:
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class LaneDepth:
    """How many records wait in a gateway's lane, how old the oldest is, and for how long there is room."""

    depth: int | None
    oldest_s: float | None
    room_h: float | None
    dropped: int | None


@dataclass(frozen=True, slots=True)
class Gateway:
    """`state`: online, offline, silent or unknown; `clock` is synced or free (running without NTP)."""

    id: str
    registered: bool
    home: str | None
    home_name: str | None
    state: str
    last_seen: Time | None
    version: str | None
    clock: str | None
    event_lane: LaneDepth | None
    telemetry_lane: LaneDepth | None
    faults: list[str]
    refusals: dict[str, int]


@dataclass(frozen=True, slots=True)
class SelfTest:
    """One proof of a gateway's way to the center, or its absence. `standing`: waiting, proved, cannot or missed.

    `down_s` and `up_s` compare the clocks of two machines, null while the gateway's is not synchronised; `round_s`,
    from the question to the proof in the database, and `decided_s`, from there to escalation's decision, are by the
    cloud's. `messages`: how many an unanswered press of that home would lead to by now, under `policy`.
    """

    id: str
    standing: str
    asked: Time
    asked_by: str
    proved: Time | None
    alert: int | None
    down_s: float | None
    up_s: float | None
    round_s: float | None
    decided_s: float | None
    policy: str | None
    messages: int | None


@dataclass(frozen=True, slots=True)
class SelfTests:
    """The newest first. `proof`: the last one that came through, however long ago."""

    gateway: str
    proof: SelfTest | None
    tests: list[SelfTest]


@dataclass(frozen=True, slots=True)
class Device:
    """`supervised_s`: which silence of it is a fault; 0: it is not supervised, and `unwatched` says why.

    `lost`: the note by which its gateway called it lost.
    """

    gateway: str
    id: str
    registered: bool
    name: str
    room: str
    home: str | None
    resident: str | None
    user_number: int | None
    last_seen: Time | None
    last_note: str
    kind: str
    supervised_s: int
    unwatched: str | None
    lost: str


@dataclass(frozen=True, slots=True)
class HomeResident:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Home:
    id: str
    name: str
    address: str
    community: str
    community_name: str
    residents: list[HomeResident]


@dataclass(frozen=True, slots=True)
class Contact:
    name: str
    relation: str
    phone: str


@dataclass(frozen=True, slots=True)
class ResidentCard:
    """Everything a helper needs about a person. Every look at it is recorded."""

    id: str
    name: str
    birth_year: int | None
    phone: str
    illnesses: str
    notes: str
    contacts: list[Contact]
    home: str
    home_name: str
    address: str


@dataclass(frozen=True, slots=True)
class VitalValue:
    """`value` is null where the device gave no number."""

    quantity: str
    value: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Vital:
    """One measurement. `data` is what the device said besides, e.g. its status bits."""

    id: int
    occurred: Time
    time_quality: str
    gateway: str
    device: str
    values: list[VitalValue]
    suspect: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DeviceEnergy:
    gateway: str
    device: str
    kwh: float


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy taken from the grid by a home on one day. Steps back of a meter (a new meter) count as nothing."""

    home: str
    day: str
    kwh: float | None
    devices: list[DeviceEnergy]


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    at: Time
    value: float
    home: str
    gateway: str
    device: str


@dataclass(frozen=True, slots=True)
class Readings:
    quantity: str
    unit: str
    samples: list[SampleAnswer]


@dataclass(frozen=True, slots=True)
class KeptAside:
    """How many payloads could not be read and were kept, for each reason."""

    reason: str
    count: int
    last: Time


@dataclass(frozen=True, slots=True)
class AuditEntry:
    id: int
    at: Time
    staff: str
    action: str
    subject: str


@dataclass(frozen=True, slots=True)
class Ready:
    ready: bool
    parts: dict[str, str]
    warnings: list[str]  # what stands in the way of telling people; by itself no reason not to be ready
