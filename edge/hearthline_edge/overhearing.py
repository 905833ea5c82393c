"""What the tools in the home may listen to: every device that is heard, and the way of each event to the center.

    a driver's items ---> {"heard": {…, "event": null}}   at once, each telegram
    committed events ---> {"heard": {…, "event": id}}     and then {"hop": committed | sent | received | accepted}

It stands beside the way of a press, never in it: it is called after the press was handed on, speaks when the event loop
has done what waits, and with nobody listening notes the time and no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, Final

from hearthline.clock import Stamp, rfc3339
from hearthline.errors import RefusedError
from hearthline.model import EventType
from hearthline_edge.arrival import Arrival, Source
from hearthline_edge.control import Conversation, as_line
from hearthline_edge.devices import Change, DeviceNote, Item, Press, Readings, Seen, Vital
from hearthline_edge.outbox import EventRow

_DEVICES: Final = 1024  # whose last sign of life is kept in memory
_WAYS: Final = 256  # events that can still be followed
_KINDS: Final[dict[str, str]] = {
    EventType.ALARM: "press",
    EventType.VITAL: "vital",
    EventType.ACTIVITY: "activity",
    EventType.DEVICE: "note",
}
_LEVEL: Final = "rssi_dbm"


class Overhearing:
    """Call from the event loop."""

    def __init__(self, gateway: str) -> None:
        self.last_heard: dict[str, Stamp] = {}  # by device, since the agent's start
        self._gateway = gateway
        self._hearers: list[Conversation] = []
        self._followers: dict[str, list[Conversation]] = {}
        self._ways: dict[str, tuple[Stamp, list[dict[str, Any]]]] = {}

    # --- what the agent tells ---

    def arrived(self, source: Source, arrival: Arrival) -> None:
        for item in arrival.items:
            for device, told in _described(item):
                self._note(device, arrival.now)
                if self._hearers:
                    self._tell_heard(device, source.name, source.driver, arrival.now, told)

    def committed(self, rows: Iterable[EventRow], now: Stamp) -> None:
        for row in rows:
            if len(self._ways) >= _WAYS:
                self._ways.pop(next(iter(self._ways)))
            self._ways[row.id] = (row.stamp, [])
            if self._hearers and row.device != self._gateway and (kind := _KINDS.get(row.type)) is not None:
                told = {"kind": kind, "event": row.id, **_described_row(row)}
                data = row.data
                self._tell_heard(row.device, data.get("receiver", ""), data.get("driver", ""), row.stamp, told)
            self.hop("committed", row.id, now)

    def hop(self, hop: str, event: str, now: Stamp) -> None:
        """One more step of the event's way; only the first of each kind is told."""
        way = self._ways.get(event)
        at_s = None if way is None else now.seconds_since(way[0])
        if way is None or at_s is None or any(told["hop"] == hop for told in way[1]):
            return
        told = {"hop": hop, "event": event, "at_s": round(at_s, 6)}
        way[1].append(told)
        for follower in self._followers.get(event, ()):
            follower.say(told)

    def _note(self, device: str, now: Stamp) -> None:
        self.last_heard.pop(device, None)  # the last heard stands last
        self.last_heard[device] = now
        if len(self.last_heard) > _DEVICES:
            self.last_heard.pop(next(iter(self.last_heard)))

    def _tell_heard(self, device: str, port: str, driver: str, at: Stamp, told: dict[str, Any]) -> None:
        heard: dict[str, Any] = {
            "device": device,
            "kind": "",
            "button": None,
            "radio_level": None,
            "port": port,
            "driver": driver,
            "time": rfc3339(at.wall_ns),
            "event": None,
            "values": {},
        }
        asyncio.get_running_loop().call_soon(self._tell_hearers, {"heard": heard | told})

    def _tell_hearers(self, told: dict[str, Any]) -> None:
        line = as_line(told)
        for hearer in self._hearers:
            hearer.say_line(line)

    # --- orders of the control socket ---

    async def hear(self, order: dict[str, Any], client: Conversation) -> None:
        """Every device that is heard, until the client leaves."""
        self._hearers.append(client)
        client.say({"hearing": True})
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._hearers.remove(client)

    async def follow(self, order: dict[str, Any], client: Conversation) -> None:
        """The hops of one event, those that are behind it first, until the client leaves."""
        event = order.get("event")
        if not isinstance(event, str) or event not in self._ways:
            raise RefusedError("no such event since the agent's start, or too long ago")
        for told in self._ways[event][1]:
            client.say(told)
        followers = self._followers.setdefault(event, [])
        followers.append(client)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            followers.remove(client)
            if not followers:
                self._followers.pop(event, None)


def _described(item: Item) -> Iterator[tuple[str, dict[str, Any]]]:
    """(device, what to tell of it) for what an item says of devices."""
    match item:
        case Press():
            facts = dict(item.facts)
            yield item.device, _press(item.button, facts.pop(_LEVEL, None), facts)
        case Vital():
            level = dict(item.facts).get(_LEVEL)
            yield item.device, {"kind": "vital", "radio_level": level, "values": dict(item.values), "user": item.user}
        case Change():
            yield item.device, {"kind": "activity", "values": {"kind": item.kind}}
        case DeviceNote():
            yield item.device, {"kind": "note", "values": {"kind": item.kind, "detail": item.detail}}
        case Seen():
            yield item.device, {"kind": "seen"}
        case Readings():
            by_device: dict[str, dict[str, float]] = {}
            for reading in item.readings:
                by_device.setdefault(reading.device, {})[reading.quantity] = reading.value
            for device, values in by_device.items():
                yield device, {"kind": "reading", "radio_level": values.get("radio_level"), "values": values}
        case _:
            pass  # a release says nothing of its own, a refusal of nobody


def _press(button: str, level: Any, values: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "press", "button": button, "radio_level": level, "values": values}


def _described_row(row: EventRow) -> dict[str, Any]:
    data, level = row.data, row.data.get(_LEVEL)
    if row.type == EventType.ALARM:
        return {"button": data.get("button"), "radio_level": level, "values": {"role": data.get("role")}}
    if row.type == EventType.VITAL:
        values = {each["quantity"]: each["value"] for each in data.get("values", ())}
        return {"radio_level": level, "values": values, "user": data.get("user")}
    return {"values": {name: data[name] for name in ("kind", "detail") if name in data}}
