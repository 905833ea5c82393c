"""Recorded bytes or messages through a driver, with presses grouped as the agent groups them. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from hearthline.clock import Stamp, rfc3339
from hearthline.errors import ProtocolError
from hearthline.model import VITAL_UNITS
from hearthline_edge.devices import (
    Change,
    DeviceNote,
    Driver,
    GroupingRule,
    Item,
    MqttMessage,
    Press,
    Readings,
    Refused,
    Release,
    SerialDriver,
    Vital,
)
from hearthline_edge.grouping import PressState, Verdict, judge, release

_SILENCE_S = 5.0  # after the last line, for what only silence settles
_TICK_S = 0.1


@dataclass(frozen=True, slots=True)
class Found:
    """One line of the output; what does not apply is None. `event`: press, or the kind of a device's note."""

    device_id: str | None
    kind: str  # event, reading, refused
    at: str
    event: str | None = None
    button: str | None = None
    quantity: str | None = None
    value: float | None = None
    unit: str | None = None
    reason: str | None = None


class _Line(msgspec.Struct):
    topic: str
    payload: str
    retained: bool = False


def replay(driver: Driver, lines: Iterable[str], start: Stamp, gap_s: float) -> Iterator[Found]:
    """What the lines decode to; they come `gap_s` apart. Raises ProtocolError for a line of the wrong form."""
    group = _Grouping(driver.grouping)
    for item, now in _items(driver, lines, start, gap_s):
        yield from group.take(item, now)


def _items(driver: Driver, lines: Iterable[str], start: Stamp, gap_s: float) -> Iterator[tuple[Item, Stamp]]:
    count = 0
    if not isinstance(driver, SerialDriver):
        listener = driver.open_session({})
        for number, line in _filled(lines):
            now = start.later(number * gap_s)
            message = _message(line, number)
            if driver.claims(message.topic):
                yield from ((item, now) for item in listener.receive(message, now))
        return
    session, now = driver.open_session({}, "port"), start
    for count, line in _filled(lines):
        now = start.later(count * gap_s)
        try:
            data = bytes.fromhex(line)
        except ValueError:
            raise ProtocolError(f"line {count + 1}: not hexadecimal digits: {line[:40]!r}") from None
        yield from ((item, now) for item in session.receive(data, now))
    for tick in range(1, math.ceil(_SILENCE_S / _TICK_S)):
        later = now.later(tick * _TICK_S)
        yield from ((item, later) for item in session.receive(b"", later))


def _filled(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((number, line.strip()) for number, line in enumerate(lines) if line.strip())


def _message(line: str, number: int) -> MqttMessage:
    try:
        given = msgspec.json.decode(line, type=_Line)
    except msgspec.DecodeError as error:
        raise ProtocolError(f"line {number + 1}: not an object with topic and payload as texts: {error}") from None
    return MqttMessage(given.topic, given.payload.encode(), given.retained)


class _Grouping:
    """The presses of one recording."""

    def __init__(self, rule: GroupingRule) -> None:
        self._rule = rule
        self._states: dict[tuple[str, str], PressState] = {}

    def take(self, item: Item, now: Stamp) -> Iterator[Found]:
        at = rfc3339(now.wall_ns)
        match item:
            case Press():
                key = (item.device, item.button)
                verdict, self._states[key] = judge(self._states.get(key), item, self._rule, now)
                if verdict is Verdict.NEW:
                    yield Found(item.device, "event", at, event="press", button=item.button)
            case Release():
                for key, state in self._states.items():
                    if key[0] == item.device and item.button in ("", key[1]):
                        self._states[key] = release(state, now)
            case Vital():
                for quantity, value in item.values:
                    yield Found(item.device, "reading", at, quantity=quantity, value=value, unit=VITAL_UNITS[quantity])
            case Change():
                yield Found(item.device, "event", at, event=item.kind)
            case Readings():
                for each in item.readings:
                    yield Found(each.device, "reading", at, quantity=each.quantity, value=each.value, unit=each.unit)
            case DeviceNote():
                yield Found(item.device, "event", at, event=item.kind)
            case Refused():
                yield Found(None, "refused", at, reason=item.reason)
            case _:
                return  # only seen: nothing that the agent would keep
