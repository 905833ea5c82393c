"""Events and status into the database: deduplicate, store, raise or join, queue the time-series copy; one transaction.

readable event ............ stored once per (gateway, id); a repeat is only acknowledged again
unreadable, with envelope . kept aside and refused; if it speaks of an alarm, a possible alarm is raised instead
unreadable, without ....... kept aside; PUBACK only; if it speaks of an alarm, a possible alarm is raised too
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from sqlalchemy import Case, Connection, Row, case, insert, select, update

from hearthline import wire
from hearthline.clock import NS, rfc3339
from hearthline.errors import ProtocolError
from hearthline.model import CHANGES, VITAL_UNITS, EventType, Lane
from hearthline.ranges import to_ranges
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import alert_kind
from hearthline_cloud.commissioning.runs import is_tried_out, open_run, take_press, take_word
from hearthline_cloud.database import upsert
from hearthline_cloud.ingest.aside import KEPT_REASON, keep_aside, storable
from hearthline_cloud.ingest.bindings import take_binding
from hearthline_cloud.ingest.commands import make_due
from hearthline_cloud.ingest.device_notes import is_loss, subject_of, take_note
from hearthline_cloud.ingest.proving import answered_test, prove
from hearthline_cloud.ingest.raising import note_cancellation, raise_or_join
from hearthline_cloud.ingest.resending import is_resent
from hearthline_cloud.ingest.session import Message
from hearthline_cloud.ingest.timing import FUTURE_TOLERANCE_NS, SYNCED, record_time
from hearthline_cloud.listing import make_list_due
from hearthline_cloud.personal.consents import Kind, has_stopped
from hearthline_cloud.remote.answering import take_answer
from hearthline_cloud.store import Point
from hearthline_cloud.tracing import note_gateway_hops

ALARM_WORD = b"hearthline.alarm"
_LONG_AGO_NS = 1_600_000_000 * NS  # 2020, before there was this protocol: a clock that only says it is right
WITHHELD: dict[str, Any] = {"withheld": "consent"}  # in the place of values that nobody agreed to
TRIED_OUT: dict[str, Any] = {"withheld": "commissioning"}  # in the place of those that an installer has measured
NO_GATEWAY = ""  # whose topic names no gateway that there could be
_GREATEST_VITAL = 1e6  # beyond any unit's sense, and within a double
_RAW_SHOWN = 512
MAX_NS = 2**63 - 1


@dataclass(slots=True)
class Outcome:
    """What a batch came to: sequence numbers by (gateway, outbox), taken and refused.

    `alarms`: of each that was stored for the first time its key, its kind, and when it was made, where the gateway's
    clock was synchronised.
    """

    taken: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    refused: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    alarms: list[tuple[int, str, int | None]] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        for mine, theirs in ((self.taken, other.taken), (self.refused, other.refused)):
            for key, numbers in theirs.items():
                mine.setdefault(key, []).extend(numbers)
        self.alarms += other.alarms

    def acks(self, lane: Lane) -> list[tuple[str, wire.Ack]]:
        """(gateway, acknowledgement) for each outbox of the batch."""
        keys = dict.fromkeys([*self.taken, *self.refused])
        return [
            (
                gateway,
                wire.make_ack(
                    outbox,
                    lane,
                    to_ranges(self.taken.get((gateway, outbox), ())),
                    to_ranges(self.refused.get((gateway, outbox), ())),
                ),
            )
            for gateway, outbox in keys
        ]


def take_event(connection: Connection, message: Message, gateway: str, now_ns: int, outcome: Outcome) -> None:
    """Store one message of `up/event`."""
    try:
        event = wire.decode_event(message.payload)
    except ProtocolError as error:
        take_unreadable(connection, message, gateway, now_ns, outcome, str(error))
        return
    suspect = _suspicion(event, gateway, now_ns)
    _store(connection, event, gateway, now_ns, suspect, outcome)
    outcome.taken.setdefault((gateway, event.envelope.outbox), []).append(event.envelope.seq)


def take_unreadable(
    connection: Connection, message: Message, gateway: str, now_ns: int, outcome: Outcome, reason: str
) -> None:
    """Keep a message aside that cannot be stored as what it says it is. Nothing that it holds can fail here."""
    keep_aside(connection, message, reason, now_ns)
    envelope = wire.read_envelope(Lane.EVENT, message.payload) if gateway else None
    is_alarm = ALARM_WORD in message.payload
    if is_alarm:
        event = _possible_alarm(message, envelope, now_ns)
        _store(connection, event, gateway, now_ns, storable(f"not readable: {reason}", KEPT_REASON), outcome)
    if envelope is not None:
        outbox, seq = envelope
        (outcome.taken if is_alarm else outcome.refused).setdefault((gateway, outbox), []).append(seq)


def _possible_alarm(message: Message, envelope: tuple[str, int] | None, now_ns: int) -> wire.Event:
    """In doubt, raise: an alarm that cannot be read is still somebody's press, and one, however often it is told."""
    outbox, seq = envelope or ("", 0)
    told = f"{outbox}\0{seq}".encode() if envelope else message.topic.encode() + b"\0" + message.payload
    key = f"unreadable:{hashlib.sha256(told).hexdigest()[:40]}"
    raw = storable(message.payload[:_RAW_SHOWN].decode(errors="replace"), _RAW_SHOWN)
    data = {"certainty": "possible", "raw": raw, "topic": storable(message.topic, _RAW_SHOWN)}
    envelope_shown = wire.Envelope(storable(outbox, wire.MAX_ID), seq, "", True, 0)
    return wire.Event(key, "", EventType.ALARM, "unknown", now_ns, data, envelope_shown)


def _suspicion(event: wire.Event, gateway: str, now_ns: int) -> str:
    reasons = []
    if event.source != f"hearthline/{gateway}":
        reasons.append(f"source {event.source!r} is not this gateway")
    if event.envelope.synced and event.wall_ns > now_ns + FUTURE_TOLERANCE_NS:
        reasons.append("its time is in the future")
    if event.envelope.synced and event.wall_ns < _LONG_AGO_NS:
        reasons.append("its time is long past")
    if event.type not in wire.KNOWN_EVENT_TYPES:
        reasons.append(f"type {event.type!r} is unknown to this version")
    return "; ".join(reasons)


def _store(
    connection: Connection, event: wire.Event, gateway: str, now_ns: int, suspect: str, outcome: Outcome
) -> None:
    occurred_ns, quality = record_time(connection, gateway, event.wall_ns, event.envelope, now_ns)
    is_alarm = event.type.startswith(ALARM_WORD.decode())
    home = touch_gateway(connection, gateway, now_ns) if gateway else None
    subject = subject_of(event, gateway)
    device, resent = None, is_resent(connection, event.data, gateway)
    if gateway and subject != gateway:
        is_sign_of_life = not (resent or is_loss(event))
        device = touch_device(connection, gateway, subject, now_ns if is_sign_of_life else None, occurred_ns)
    resident = _resident_of(device, event.data)
    if event.type == EventType.VITAL and resident is not None and has_stopped(connection, Kind.VITALS, resident):
        event = replace(event, data=WITHHELD)
    if is_tried_out(connection, event, gateway, now_ns):
        resident, event = None, replace(event, data=TRIED_OUT)
    stored = connection.execute(
        upsert(connection, schema.event)
        .values(
            gateway_id=gateway,
            event_id=event.id,
            type=event.type,
            device_id=event.subject,
            occurred_ns=occurred_ns,
            time_quality=quality,
            received_ns=now_ns,
            outbox=event.envelope.outbox,
            seq=event.envelope.seq,
            boot=event.envelope.boot,
            data=event.data,
            suspect=suspect,
            resident_id=resident,
        )
        .on_conflict_do_nothing(index_elements=["gateway_id", "event_id"])
        .returning(schema.event.c.id)
    ).scalar()
    if stored is None:
        return  # told again
    if is_alarm and (test := answered_test(connection, event, gateway)) is not None:
        prove(connection, test, stored, gateway, home, (occurred_ns, quality), now_ns)
    elif is_alarm and not resent and (run := open_run(connection, event, gateway, now_ns)) is not None:
        take_press(connection, run, stored, event, gateway, (occurred_ns, quality), now_ns)
    elif is_alarm:
        is_timed = quality == SYNCED and event.id and not (suspect or resent)
        kind = alert_kind(str(event.data.get("role", "")))
        outcome.alarms.append((stored, kind, occurred_ns if is_timed else None))
        raise_or_join(connection, stored, event, gateway, home, resident, now_ns, resent=resent)
    elif event.type == EventType.VITAL:
        values = measured_values(event.type, event.data)
        _queue_points(connection, values, event, gateway, home, resident or "", occurred_ns)
        journal.append(connection, "vital", now_ns, {"device": event.subject, "gateway": gateway}, event=stored)
    elif event.type == EventType.ACTIVITY:
        _queue_points(connection, measured_values(event.type, event.data), event, gateway, home, "", occurred_ns)
    elif event.type == EventType.DEVICE:
        journal.append(connection, "device", now_ns, {"device": subject, "gateway": gateway}, event=stored)
        if device is not None:
            take_note(connection, stored, event, device, home, occurred_ns, now_ns)
    elif event.type == EventType.ANSWER:
        _take_answer(connection, event, gateway, stored, now_ns)
    elif event.type == EventType.CANCEL:
        note_cancellation(connection, stored, event, gateway, now_ns)
    elif event.type == EventType.BINDING:
        take_binding(connection, stored, event, gateway, now_ns)
    elif event.type == EventType.COMMISSIONING:
        take_word(connection, stored, event, gateway, now_ns, resent=resent)


def touch_gateway(connection: Connection, gateway: str, now_ns: int) -> str | None:
    """Note that the gateway was heard, registering it as unknown when it is; its home."""
    row = connection.execute(
        upsert(connection, schema.gateway)
        .values(id=gateway, last_seen_ns=now_ns)
        .on_conflict_do_update(index_elements=["id"], set_={"last_seen_ns": now_ns})
        .returning(schema.gateway.c.home_id)
    ).one()
    home: str | None = row.home_id
    return home


def touch_device(
    connection: Connection, gateway: str, device: str, heard_ns: int | None, said_ns: int = MAX_NS
) -> Row[Any]:
    """Note that the device was heard, registering it as unknown when it is; its row.

    `heard_ns` None: it was not, others speak of it. `said_ns`: when it said what was heard; what it had said before its
    gateway called it lost does not bring it back.
    """
    table = schema.device
    heard: dict[str, Any] = {"last_seen_ns": heard_ns} if heard_ns is not None else {"id": device}
    if heard_ns is not None:
        heard["lost"] = _still_lost(said_ns)
    return connection.execute(
        upsert(connection, table)
        .values(gateway_id=gateway, id=device, last_seen_ns=heard_ns)
        .on_conflict_do_update(index_elements=["gateway_id", "id"], set_=heard)
        .returning(table)
    ).one()


def touch_known_device(connection: Connection, gateway: str, device: str, heard_ns: int, said_ns: int) -> None:
    """The same of a device that is known already: a mere sign of life registers nobody who goes by."""
    table = schema.device
    same = (table.c.gateway_id == gateway) & (table.c.id == device)
    connection.execute(update(table).where(same).values(last_seen_ns=heard_ns, lost=_still_lost(said_ns)))


def _still_lost(said_ns: int) -> Case[Any]:
    table = schema.device
    return case((table.c.lost_ns > min(said_ns, MAX_NS), table.c.lost), else_="")


def _resident_of(device: Row[Any] | None, data: dict[str, Any]) -> str | None:
    """Whose event it is. Of a shared cuff only the bound user's values are; another user is never guessed."""
    if device is None or device.resident_id is None:
        return None
    if device.user_number is not None and data.get("user") != device.user_number:
        return None
    resident: str = device.resident_id
    return resident


def _queue_points(
    connection: Connection,
    values: Iterable[tuple[str, float]],
    event: wire.Event,
    gateway: str,
    home: str | None,
    resident: str,
    at_ns: int,
) -> None:
    community = community_of(connection, home)
    for quantity, value in values:
        point = Point(quantity, community, home or "", gateway, event.subject, value, at_ns, resident)
        connection.execute(insert(schema.store_queue).values(point=msgspec.json.encode(point)))


def measured_values(kind: str, data: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """(quantity, value) of what an event of this type has measured; what is unknown stays in the event alone."""
    if kind == EventType.VITAL:
        yield from _vital_values(data.get("values"))
    elif kind == EventType.ACTIVITY and (change := CHANGES.get(str(data.get("kind")))):
        yield change


def _vital_values(entries: Any) -> Iterator[tuple[str, float]]:
    """The vital signs of an event that are known and measured in their unit; others stay in the event alone."""
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        quantity, value = entry.get("quantity"), entry.get("value")
        if not isinstance(quantity, str) or not isinstance(value, int | float) or isinstance(value, bool):
            continue
        if VITAL_UNITS.get(quantity, "") == entry.get("unit") and abs(value) < _GREATEST_VITAL:
            yield quantity, float(value)


def community_of(connection: Connection, home: str | None) -> str:
    if home is None:
        return ""
    return connection.execute(select(schema.home.c.community_id).where(schema.home.c.id == home)).scalar() or ""


def _take_answer(connection: Connection, event: wire.Event, gateway: str, stored: int, now_ns: int) -> None:
    """A command was carried out; when it was about an alert, the alert's journal says that the home knows.

    Only the gateway that the command went to can answer it.
    """
    command_id, result = (storable(str(event.data.get(name)), wire.MAX_ID) for name in ("command", "result"))
    asked = (schema.command.c.id == command_id) & (schema.command.c.gateway_id == gateway)
    command = connection.execute(select(schema.command).where(asked)).first()
    goes_on = take_answer(connection, command_id, gateway, result, event.data.get("detail"), now_ns)
    if command is None or command.answered_ns is not None or goes_on:
        return
    connection.execute(
        update(schema.command).where(schema.command.c.id == command_id).values(answered_ns=now_ns, result=result)
    )
    alarm = connection.execute(
        select(schema.event.c.alert_id).where(
            (schema.event.c.gateway_id == command.gateway_id) & (schema.event.c.event_id == command.body.get("event"))
        )
    ).first()
    if alarm is not None and alarm.alert_id is not None:
        detail = {"signal": command.body.get("signal"), "result": result}
        journal.append(connection, "home-told", now_ns, detail, alert=alarm.alert_id, event=stored)


def take_status(connection: Connection, message: Message, gateway: str, now_ns: int) -> None:
    """Store one message of `up/status`. A retained one tells of the past: it is no sign of life."""
    try:
        status = wire.decode_status(message.payload)
    except ProtocolError as error:
        keep_aside(connection, message, str(error), now_ns)
        return
    note_gateway_hops(connection, gateway, status.hops)
    before = connection.execute(select(schema.gateway).where(schema.gateway.c.id == gateway)).first()
    values: dict[str, Any] = {"state": status.state}
    if status.state == "online":
        values |= {
            "status": {name: told for name, told in msgspec.to_builtins(status).items() if name != "hops"},
            "outbox": storable(status.outbox, wire.MAX_ID),
        }
        if not message.retained:
            values["last_seen_ns"] = now_ns
    if before is None:
        connection.execute(insert(schema.gateway).values(id=gateway, **values))
    else:
        connection.execute(update(schema.gateway).where(schema.gateway.c.id == gateway).values(**values))
    if before is None or before.state != status.state:
        detail = {"gateway": gateway, "state": status.state, "at": rfc3339(now_ns)}
        journal.append(connection, "gateway", now_ns, detail)
        if status.state == "online" and not message.retained:
            make_due(connection, gateway, now_ns)
    if (
        before is not None
        and before.outbox
        and status.state == "online"
        and _card(before.outbox) != _card(status.outbox)
    ):
        make_list_due(connection, [gateway])


def _card(outbox: str) -> str:
    """Which file an outbox is; what follows the point is made anew at each start. Another card has no list either."""
    return outbox.partition(".")[0]
