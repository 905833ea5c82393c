"""A device behind the local broker that a profile describes: what its messages mean. profile_paths.py finds the values.

    value    number or "23.5"  --> value * scale + offset, exact; null, "", "unknown", "unavailable", "nan": no value
    event    press      --> Press, named by `button` or by the value
             a hazard   --> Press that lasts, Release when it is over; `momentary` or numbered: each a press of its own
             a change   --> Change at each transition; `momentary`: at each report but its repeats within the quiet gap
             a note     --> DeviceNote, once per becoming true; `momentary`: as a change

The device's id is `<profile>:<name in the topic or the payload>`. A retained message is an old moment: no press, no
change, no readings, no sign of life; it only says how things stood: a note, and what the next change is measured by.
A value that is no number or beyond its limits is refused by itself: it stops neither an event nor another value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from hearthline.clock import Stamp
from hearthline.errors import ConfigError
from hearthline.model import TELEMETRY_UNITS, VITAL_UNITS, Reading
from hearthline_edge.devices import (
    CHANGES,
    HAZARDS,
    Change,
    DeviceNote,
    GroupingRule,
    Item,
    MqttDriver,
    MqttMessage,
    Press,
    Readings,
    Refused,
    Release,
    Seen,
    Vital,
)
from hearthline_edge.payload import number, raw_text
from hearthline_edge.profile import PRESS, EventRule, Profile, Scalar, ValueRule
from hearthline_edge.profile_paths import (
    Payload,
    Steps,
    TopicPattern,
    is_nothing,
    is_unknown,
    parse_path,
    parse_rule_topic,
    text_of,
)
from hearthline_edge.recent import Recent

_NAME_LIMIT: Final = 256  # characters of a device's name
_TEXT_LIMIT: Final = 64  # characters of a button's name, a counter or a note's detail
_QUIET_GAP_S: Final = 1.0
_NUMBERED_GAP_S: Final = 60.0  # a numbered press may stand in the reports that follow it
_REMEMBER: Final = 16
_FACTS: Final = frozenset({"battery", "radio_level", "link_quality"})  # what the operator sees beside a press


@dataclass(frozen=True, slots=True)
class _Value:
    """A value rule, its texts taken apart."""

    quantity: str
    steps: Steps
    topic: tuple[str, ...] | None
    place: str
    scale: Decimal
    offset: Decimal
    minimum: Decimal
    maximum: Decimal

    @classmethod
    def of(cls, rule: ValueRule) -> _Value:
        return cls(
            rule.quantity,
            parse_path(rule.path),
            None if rule.topic is None else parse_rule_topic(rule.topic),
            rule.place,
            Decimal(repr(rule.scale)),
            Decimal(repr(rule.offset)),
            Decimal("-Infinity") if rule.minimum is None else Decimal(repr(rule.minimum)),
            Decimal("Infinity") if rule.maximum is None else Decimal(repr(rule.maximum)),
        )

    def read(self, value: Any) -> float | None:
        """In the quantity's unit; None when it is no number or beyond the limits."""
        exact = number(value)
        if exact is None:
            return None
        exact = exact * self.scale + self.offset
        return float(exact) if self.minimum <= exact <= self.maximum else None


@dataclass(frozen=True, slots=True)
class _Event:
    """An event rule, its texts taken apart. `wanted` None: any value that says something, but `unless`."""

    kind: str
    steps: Steps
    topic: tuple[str, ...] | None
    wanted: tuple[Scalar, ...] | None
    unless: tuple[Scalar, ...]
    button: str
    number: Steps | None
    momentary: bool

    @classmethod
    def of(cls, rule: EventRule) -> _Event:
        return cls(
            rule.event,
            parse_path(rule.path),
            None if rule.topic is None else parse_rule_topic(rule.topic),
            None if rule.equals is None else as_tuple(rule.equals),
            () if rule.unless is None else as_tuple(rule.unless),
            rule.button or "{value}",
            None if rule.number is None else parse_path(rule.number),
            rule.momentary,
        )

    @property
    def is_press(self) -> bool:
        return self.kind == PRESS or self.kind in HAZARDS

    def holds(self, payload: Payload) -> bool | None:
        """Whether the message tells this event; None when it says nothing of it."""
        if self.wanted is not None and payload.is_any_of(self.steps, self.wanted):
            return True
        value = payload.find(self.steps)
        if is_unknown(value):
            return None
        return self.wanted is None and not is_nothing(value) and not payload.is_any_of(self.steps, self.unless)

    def words(self, payload: Payload) -> str:
        """`button`, the value in it."""
        value = text_of(payload.find(self.steps)) or self.kind
        return self.button.replace("{value}", value)[:_TEXT_LIMIT]

    def press(self, device: str, payload: Payload, raw: str, facts: tuple[tuple[str, Any], ...], now: Stamp) -> Press:
        button = self.words(payload) if self.kind == PRESS else self.kind
        count = ""
        if self.number is not None:  # one that is missing counts as another: in doubt, raise
            count = text_of(payload.find(self.number))[:_TEXT_LIMIT] or f"at {now.wall_ns}"
        lasting = self.kind != PRESS and not self.momentary and self.number is None
        return Press(device, button, f"{button}#{count}" if count else button, raw, facts=facts, lasting=lasting)

    def told(self, device: str, payload: Payload, raw: str) -> Item:
        """The change or note that this is."""
        if self.kind in CHANGES:
            return Change(device, self.kind, raw)
        return DeviceNote(device, self.kind, self.words(payload))


def as_tuple(wanted: Scalar | tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    return wanted if isinstance(wanted, tuple) else (wanted,)


@dataclass(slots=True)
class _Known:
    """What the session knows of one device: which events hold, by rule, and when a momentary one was last told."""

    holds: dict[int, bool] = field(default_factory=dict)
    told: dict[int, Stamp] = field(default_factory=dict)


class ProfileSession:
    """One profile's devices. Never raises on a payload."""

    def __init__(self, profile: Profile) -> None:
        assert profile.mqtt is not None
        way = profile.mqtt
        self._name = profile.name
        self._pattern = TopicPattern.of(profile)
        self._device_path = None if way.device_path is None else parse_path(way.device_path)
        self._only = None if way.only is None else (parse_path(way.only.path), as_tuple(way.only.equals))
        self._values = tuple(_Value.of(rule) for rule in profile.value)
        self._events = tuple(_Event.of(rule) for rule in profile.event)
        self._quiet_gap_s = grouping_of(profile).quiet_gap_s
        self._devices = Recent(_Known)

    def receive(self, message: MqttMessage, now: Stamp) -> Iterable[Item]:
        matched = self._pattern.match(message.topic)
        if matched is None or not message.payload:
            return []
        name, below = matched
        values = [rule for rule in self._values if rule.topic in (None, below)]
        events = {place: rule for place, rule in enumerate(self._events) if rule.topic in (None, below)}
        payload, raw = Payload.of(message.payload), raw_text(message.payload)
        if self._only is not None and not payload.is_any_of(*self._only):
            return []
        if self._device_path is not None:
            name = text_of(payload.find(self._device_path))
        asked = [rule.steps for rule in values] + [rule.steps for rule in events.values()]
        in_vain = not payload.has_names and all(asked)
        if in_vain or not 0 < len(name) <= _NAME_LIMIT:
            return [] if message.retained else [Refused("sanity", raw)]
        device = f"{self._name}:{name}"
        known = self._devices.of(device)
        if message.retained:
            return list(_stood(events, device, payload, known))
        readings, refused = _read(values, device, payload, raw)
        items = [*self._happened(events, device, payload, raw, readings, known, now), *_measured(device, readings, raw)]
        if not items and not any(rule.kind == "offline" and rule.holds(payload) for rule in events.values()):
            items.append(Seen(device))
        return items + refused

    def _happened(
        self,
        events: dict[int, _Event],
        device: str,
        payload: Payload,
        raw: str,
        readings: list[Reading],
        known: _Known,
        now: Stamp,
    ) -> Iterator[Item]:
        """What a live message tells: events, and hazards that are over."""
        facts = tuple((each.quantity, each.value) for each in readings if each.quantity in _FACTS)
        for place, rule in events.items():
            holds = rule.holds(payload)
            if holds is None:
                continue
            before, known.holds[place] = known.holds.get(place), holds
            if rule.is_press:
                if holds:
                    yield rule.press(device, payload, raw, facts, now)
                elif rule.kind != PRESS and before is not False and not self._still(known, rule.kind):
                    yield Release(device, rule.kind)
            elif holds and (self._is_due(known, place, now) if rule.momentary else not before):
                yield rule.told(device, payload, raw)

    def _still(self, known: _Known, kind: str) -> bool:
        """Whether another rule of this hazard holds."""
        return any(held and self._events[place].kind == kind for place, held in known.holds.items())

    def _is_due(self, known: _Known, place: int, now: Stamp) -> bool:
        """Whether a report of a momentary event is no repeat of the one before."""
        last, known.told[place] = known.told.get(place), now
        elapsed_s = None if last is None else now.seconds_since(last)
        return elapsed_s is None or not 0 <= elapsed_s <= self._quiet_gap_s


def _stood(events: dict[int, _Event], device: str, payload: Payload, known: _Known) -> Iterator[Item]:
    """How things stood by a retained message; what this session has heard live is newer."""
    for place, rule in events.items():
        holds = rule.holds(payload)
        if holds is None or rule.is_press or rule.momentary or place in known.holds:
            continue
        known.holds[place] = holds
        if holds and rule.kind not in CHANGES:
            yield rule.told(device, payload, "")


def _read(values: list[_Value], device: str, payload: Payload, raw: str) -> tuple[list[Reading], list[Item]]:
    """The readings of a message, and one refusal when a value is no number or beyond its limits."""
    readings: list[Reading] = []
    refused: list[Item] = []
    for rule in values:
        found = payload.find(rule.steps)
        if is_unknown(found) or (isinstance(found, str) and is_nothing(found)):
            continue
        value = rule.read(found)
        if value is None:
            refused = [Refused("sanity", raw)]
            continue
        unit = TELEMETRY_UNITS.get(rule.quantity) or VITAL_UNITS[rule.quantity]
        readings.append(Reading(device + rule.place, rule.quantity, value, unit))
    return readings, refused


def _measured(device: str, readings: list[Reading], raw: str) -> Iterator[Item]:
    """Vital signs as one result, everything else as readings."""
    vital = tuple((each.quantity, each.value) for each in readings if each.quantity in VITAL_UNITS)
    other = tuple(each for each in readings if each.quantity not in VITAL_UNITS)
    if vital:
        yield Vital(device, vital, None, "", raw)
    if other:
        yield Readings(other)


def grouping_of(profile: Profile) -> GroupingRule:
    """What one press is."""
    assert profile.mqtt is not None
    presses = [rule for rule in profile.event if rule.event == PRESS or rule.event in HAZARDS]
    numbered = [rule for rule in presses if rule.number is not None]
    gap_s = profile.mqtt.quiet_gap_s
    if gap_s is None:
        gap_s = _NUMBERED_GAP_S if presses and len(numbered) == len(presses) else _QUIET_GAP_S
    return GroupingRule(gap_s, remember=_REMEMBER if numbered else 1)


def mqtt_driver(profile: Profile) -> MqttDriver:
    """The driver that a checked MQTT profile is: `profile:<name>`, so that no driver of ours ever takes its name."""
    name, pattern = f"profile:{profile.name}", TopicPattern.of(profile)

    def open_session(options: dict[str, Any]) -> ProfileSession:
        if options:
            raise ConfigError(f"{name}: a profile has no options; its file says everything")
        return ProfileSession(profile)

    return MqttDriver(
        name=name,
        subscriptions=pattern.subscriptions(),
        claims=lambda topic: pattern.match(topic) is not None,
        open_session=open_session,
        grouping=grouping_of(profile),
        aliases=(profile.name,),
        example_topic=pattern.example(),
    )
