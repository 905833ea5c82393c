"""From a driver's items to rows in the outbox: what becomes an event, what a reading, what is only counted.

The functions run inside the outbox's transaction; grouping and roles decide, this module writes down.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from hearthline.clock import Stamp
from hearthline.commissioning import MARK
from hearthline.log import Log
from hearthline.model import VITAL_UNITS, ButtonRole, Cause, EventType, Reading
from hearthline.wire import MAX_PACK_BYTES, senml_device
from hearthline_edge.arrival import Arrival, MarkOf, MqttTicket, RoleOf, Source, unmarked
from hearthline_edge.cancelling import CANCEL, WINDOW_S, take_cancel
from hearthline_edge.devices import HAZARDS, Change, DeviceNote, Item, Press, Readings, Refused, Release, Vital
from hearthline_edge.grouping import PressState, Verdict, asked_for, chatter_report, judge, release
from hearthline_edge.outbox import EventRow, Outbox

_PACK_ROOM = MAX_PACK_BYTES - 512  # the envelope, and what the estimate of a record misses
_RECORD_BYTES = 110  # of a SenML record, without its names
log = Log(__name__)


def take_events(
    outbox: Outbox,
    source: Source,
    arrivals: Sequence[Arrival],
    role_of: RoleOf,
    cancel_window_s: float = WINDOW_S,
    mark_of: MarkOf = unmarked,
) -> list[EventRow]:
    """Write the presses, vital signs, notes and refusals of the arrivals; the events made, in order."""
    made: list[EventRow] = []
    for arrival in arrivals:
        ticket, of = arrival.ticket, arrival.source or source
        makes_event = any(isinstance(item, Press | Vital | Change | DeviceNote) for item in arrival.items)
        if ticket is not None and makes_event and not _is_new(outbox, of, ticket):
            continue
        for item in arrival.items:
            event = _take_item(outbox, of, item, arrival.now, role_of, cancel_window_s, mark_of)
            if event is not None:
                made.append(event)
    return made


def _is_new(outbox: Outbox, source: Source, ticket: MqttTicket) -> bool:
    return outbox.take_mqtt(source.name, ticket.mid, ticket.digest, ticket.connection, ticket.again)


def _take_item(
    outbox: Outbox, source: Source, item: Item, now: Stamp, role_of: RoleOf, cancel_window_s: float, mark_of: MarkOf
) -> EventRow | None:
    match item:
        case Press():
            return _take_press(outbox, source, item, now, role_of, cancel_window_s, mark_of)
        case Release():
            for device, button, body in outbox.press_states(item.device):
                state = _known(outbox, device, button, body)
                if state is not None and item.button in ("", button):
                    outbox.set_press_state(device, button, msgspec.json.encode(release(state, now)))
        case Vital():
            data: dict[str, Any] = {
                "values": [{"quantity": q, "value": v, "unit": VITAL_UNITS[q]} for q, v in item.values],
                "user": item.user,
                "device_time": item.device_time,
                "raw": item.raw,
                **_origin(source, item.facts),
                **({} if (run := mark_of(item, now, 0)) is None else {MARK: run}),
            }
            return outbox.append_event(EventType.VITAL, item.device, data, now, urgent=False)
        case Change():
            data = {"kind": item.kind, "raw": item.raw, **_origin(source, ())}
            return outbox.append_event(EventType.ACTIVITY, item.device, data, now, urgent=False)
        case DeviceNote():
            data = {"kind": item.kind, "detail": item.detail, **_origin(source, ())}
            return outbox.append_event(EventType.DEVICE, item.device, data, now, urgent=False)
        case Refused():
            outbox.keep_aside(source.name, item.reason, item.raw.encode(), now)
        case _:
            pass  # readings go the other lane
    return None


def _take_press(
    outbox: Outbox,
    source: Source,
    press: Press,
    now: Stamp,
    role_of: RoleOf,
    cancel_window_s: float,
    mark_of: MarkOf,
) -> EventRow | None:
    role = role_of(press.device, press.button)
    if role == CANCEL and press.button in HAZARDS:
        role = ButtonRole.EMERGENCY.value
    if role == "ignore":
        return None
    telegram = hashlib.sha256(press.raw.encode()).digest()
    kept = outbox.press_state(press.device, press.button)
    if press.certainty == "possible" and kept is not None and kept[1] == telegram:
        return None  # the retained copy of a press that was taken live
    before = _known(outbox, press.device, press.button, kept[0]) if kept else None
    verdict, after = judge(before, press, source.grouping, now)
    outbox.set_press_state(press.device, press.button, msgspec.json.encode(after), telegram)
    if verdict is not Verdict.NEW:
        return None
    if role == CANCEL:
        facts = {"button": press.button, "raw": press.raw, **_origin(source, press.facts)}
        is_live = press.certainty == "certain"
        return take_cancel(outbox, role_of, press.device, cancel_window_s, now, facts) if is_live else None
    ordinal = outbox.next_ordinal(press.device)
    data = {
        "role": role,
        "button": press.button,
        "ordinal": ordinal,
        "certainty": press.certainty,
        "cause": press.button if press.button in HAZARDS else Cause.PRESS.value,
        "raw": press.raw,
        **_origin(source, press.facts),
    }
    data.pop(MARK, None)  # whatever a device tells of itself
    if (run := mark_of(press, now, ordinal)) is not None:
        data[MARK] = run
        outbox.set_press_state(press.device, press.button, msgspec.json.encode(asked_for(after)), telegram)
    sounds = role == ButtonRole.EMERGENCY
    row = outbox.append_event(EventType.ALARM, press.device, data, now, urgent=True, sounds=sounds)
    outbox.remember_alarm(row)
    return row


def _known(outbox: Outbox, device: str, button: str, body: bytes) -> PressState | None:
    """A press's state, or None when it was garbled on the card or written by another version: then it is dropped."""
    try:
        return msgspec.json.decode(body, type=PressState)
    except (ValueError, TypeError, RecursionError) as error:
        log.error("press state not understood, the next telegram is a new press", device=device, error=str(error))
        outbox.drop_press_state(device, button)
        return None


def take_chatter(outbox: Outbox, now: Stamp) -> list[EventRow]:
    """An event with the committed count for each button whose minute of chattering is over."""
    made = []
    for device, button, body in outbox.press_states():
        state = _known(outbox, device, button, body)
        report = chatter_report(state, now) if state is not None else None
        if report is None:
            continue
        count, after = report
        outbox.set_press_state(device, button, msgspec.json.encode(after))
        if count:
            data = {"kind": "chatter", "detail": f"{button}: {count} further presses in a minute", "count": count}
            made.append(outbox.append_event(EventType.DEVICE, device, data, now, urgent=False))
    return made


def take_readings(outbox: Outbox, source: Source, arrivals: Sequence[Arrival]) -> int:
    """Write the readings of the arrivals as few packs as the wire's bound allows; how many packs.

    What the wire cannot carry (a name beyond the bound of a pack, a value that is no number) is kept aside.
    """
    packs = 0
    base: Stamp | None = None
    pack: list[tuple[Reading, int]] = []
    room = 0
    for reading, now, of in readings_of(arrivals):
        size = _RECORD_BYTES + len(senml_device(reading.device)) + len(reading.quantity)
        if size > _PACK_ROOM or not math.isfinite(reading.value):
            outbox.keep_aside((of or source).name, "sanity", repr(reading).encode("utf-8", "replace"), now)
            continue
        same_clock = base is not None and base.boot == now.boot and base.synced == now.synced
        if base is None or size > room or not same_clock:
            if base is not None:
                outbox.append_pack(pack, base)
                packs += 1
            base, pack, room = now, [], _PACK_ROOM
        pack.append((reading, max(now.mono_ns - base.mono_ns, 0)))
        room -= size
    if base is not None:
        outbox.append_pack(pack, base)
        packs += 1
    return packs


def readings_of(arrivals: Sequence[Arrival]) -> list[tuple[Reading, Stamp, Source | None]]:
    return [
        (reading, arrival.now, arrival.source)
        for arrival in arrivals
        for item in arrival.items
        if isinstance(item, Readings)
        for reading in item.readings
    ]


def _origin(source: Source, facts: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    return {"receiver": source.name, "driver": source.driver, **dict(facts)}
