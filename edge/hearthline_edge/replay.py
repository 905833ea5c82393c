"""A recording through a driver, with presses grouped as the agent groups them. No I/O of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hearthline.clock import NS, Stamp, rfc3339
from hearthline.model import VITAL_UNITS
from hearthline_edge.devices import (
    HAZARDS,
    Change,
    DeviceNote,
    Driver,
    GroupingRule,
    Item,
    MqttDriver,
    MqttMessage,
    Press,
    Readings,
    Refused,
    Release,
    SerialDriver,
    Vital,
)
from hearthline_edge.grouping import CHATTER_WINDOW_S, PressState, Verdict, chatter_report, judge, release
from hearthline_edge.recording import SINCE_1970_S, Heard

_SILENCE_S = 5.0  # after the last line, for what only silence settles
_TICK_S = 0.1


@dataclass(frozen=True, slots=True)
class Found:
    """One line of the output; what does not apply is None.

    `event`: press, a hazard, a change, vital, chatter (`value` presses became no event), or the kind of a note.
    `group`: what the values of one vital event have in common with its line.
    """

    device_id: str | None
    kind: str  # event, reading, refused
    at: str
    event: str | None = None
    button: str | None = None
    quantity: str | None = None
    value: float | None = None
    unit: str | None = None
    reason: str | None = None
    group: int | None = None


def replay(driver: Driver, options: dict[str, Any], heard: Iterable[Heard], start: Stamp) -> Iterator[Found]:
    """What the recording decodes to. `start`: when it began, if it does not say so itself.

    Raises ConfigError for wrong options.
    """
    if isinstance(driver, SerialDriver):
        items = _serial_items(driver, options, heard, start)
    else:
        items = _mqtt_items(driver, options, heard, start)
    group, now = _Grouping(driver.grouping), start
    for item, now in items:
        yield from group.take(item, now)
    yield from group.end(now)


def _serial_items(
    driver: SerialDriver, options: dict[str, Any], heard: Iterable[Heard], start: Stamp
) -> Iterator[tuple[Item, Stamp]]:
    session, now = driver.open_session(options or driver.decode_options, "port"), start
    for each in heard:
        then, now = now, _moment(start, each)
        yield from _silence(session.receive, then, now)
        yield from ((item, now) for item in session.receive(each.data, now))
    yield from _silence(session.receive, now, now.later(_SILENCE_S))


def _silence(receive: Any, since: Stamp, until: Stamp) -> Iterator[tuple[Item, Stamp]]:
    """Time that passed between two reads, as the agent lets it pass; of a long one what its beginning settles."""
    silent_s = min((until.mono_ns - since.mono_ns) / NS, _SILENCE_S)
    for tick in range(1, math.ceil(silent_s / _TICK_S)):
        now = since.later(tick * _TICK_S)
        yield from ((item, now) for item in receive(b"", now))


def _mqtt_items(
    driver: MqttDriver, options: dict[str, Any], heard: Iterable[Heard], start: Stamp
) -> Iterator[tuple[Item, Stamp]]:
    session = driver.configured(options).open_session(options)
    for each in heard:
        now = _moment(start, each)
        yield from ((item, now) for item in session.receive(_message(driver, each), now))


def _message(driver: MqttDriver, heard: Heard) -> MqttMessage:
    if heard.topic is not None:
        return MqttMessage(heard.topic, heard.data, heard.retained)
    if driver.wrap is not None and not heard.data.startswith(b"{"):
        return driver.wrap(heard.data)
    return MqttMessage(driver.example_topic, heard.data, False)


def _moment(start: Stamp, heard: Heard) -> Stamp:
    if heard.at_s < SINCE_1970_S:
        return start.later(heard.at_s)
    return Stamp(round(heard.at_s * NS), round(heard.at_s * NS), start.boot, True)


class _Grouping:
    """The presses of one recording."""

    def __init__(self, rule: GroupingRule) -> None:
        self._rule = rule
        self._states: dict[tuple[str, str], PressState] = {}
        self._vitals = 0

    def take(self, item: Item, now: Stamp) -> Iterator[Found]:
        at = rfc3339(now.wall_ns)
        match item:
            case Press():
                key = (item.device, item.button)
                verdict, self._states[key] = judge(self._states.get(key), item, self._rule, now)
                if verdict is Verdict.NEW:
                    event = item.button if item.button in HAZARDS else "press"
                    yield Found(item.device, "event", at, event=event, button=item.button)
            case Release():
                for key, state in self._states.items():
                    if key[0] == item.device and item.button in ("", key[1]):
                        self._states[key] = release(state, now)
            case Vital():
                self._vitals += 1
                yield Found(item.device, "event", at, event="vital", group=self._vitals)
                for quantity, value in item.values:
                    unit = VITAL_UNITS[quantity]
                    yield Found(
                        item.device, "reading", at, quantity=quantity, value=value, unit=unit, group=self._vitals
                    )
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

    def end(self, now: Stamp) -> Iterator[Found]:
        """What chattering buttons did not tell as presses."""
        at = rfc3339(now.wall_ns)
        for (device, button), state in self._states.items():
            report = chatter_report(state, now.later(CHATTER_WINDOW_S))
            if report is not None:
                yield Found(device, "event", at, event="chatter", button=button, value=report[0])
