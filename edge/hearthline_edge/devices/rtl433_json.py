"""433 MHz buttons, detectors and sensors through rtl_433's MQTT output (`rtl_433 -F mqtt://…`).

    rtl_433/<host>/events              {"time": "…", "model": "…", "id": …, …}   one decode: taken
    rtl_433/<host>/states, /devices/…  the same once more, field by field: passed over

Any topic of the output's `events=` option can be given: `topics = ["rtl_433/+/events"]`.

EV1527 and PT2262 codes (`rtl433_codes`) are presses, each data bit a button; other sensors mean what their fields say
(`rtl433_sensors`). The first decode is the press at once; a press is 4 to 50 decodes in up to two seconds, and 1.5 s
of quiet end it. How many they are says nothing. `time` is relative ("@0.25s") or local without a zone: data.

433 MHz codes reach through walls, and nothing in them tells whose they are: `only` names the devices that count, and
without it every code is one that somebody may be pressing. `sensors` says what the data of a code mean where the
transmitter is no key fob: `"rf433:ev1527:0f0065" = { "*" = "leak" }`, by data ("0xe", "192") or "*", to a hazard, a
change, `low-battery`, `tamper`, `test` or `ignore`. The keys and hazards of a sensor with fields can be renamed so too:
`"rf433:visonic-powercode:6f4770" = { alarm = "open" }` makes a door of its alarm bit.

A retained message is an old decode and is passed over. Sensors that nobody knows more of are only seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hearthline.clock import NS, Stamp
from hearthline.config import Config, check_config
from hearthline.errors import ConfigError
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
)
from hearthline_edge.devices import rtl433_sensors as sensors
from hearthline_edge.devices.rtl433_codes import CodeBook, Shape, shapes
from hearthline_edge.payload import json_value, number, raw_text

_NAME: Final = "rtl433-json"
_TOPICS: Final = ("rtl_433/+/events",)
_NOTES: Final = {"low-battery": "battery low", "tamper": "case opened", "test": "test transmission"}
_OPPOSITES: Final = {"open": "closed", "motion": "no-motion", "present": "absent", "on": "off"}
_KNOWN_DEVICES: Final = 1000  # neighbours, cars and noise must not grow memory
_MOTION_LASTS_NS: Final = 60 * NS  # most motion detectors never say that it is over
_FACTS: Final = (("model", "reported_as"), ("time", "device_time"), ("tristate", "tristate"))
_FACT_LIMIT: Final = 64


class _Options(Config, frozen=True):
    topics: tuple[str, ...] = _TOPICS
    only: tuple[str, ...] = ()
    sensors: dict[str, dict[str, str]] = {}


class Rtl433Session:
    """All that one or more rtl_433 hear."""

    def __init__(self, options: _Options) -> None:
        self._only = frozenset(options.only)
        self._meanings = options.sensors
        self._codes = CodeBook(self._only | frozenset(options.sensors))
        self._states: dict[tuple[str, str], tuple[str, int]] = {}  # (device, of what): state and when it was told

    def receive(self, message: MqttMessage, now: Stamp) -> Iterable[Item]:
        if message.retained or not message.payload:
            return []
        is_json, value = json_value(message.payload)
        if not is_json or not isinstance(value, dict):
            return [Refused("sanity", raw_text(message.payload))]
        raw = raw_text(message.payload)
        codes = shapes(value)
        if codes:
            return [item for code in codes for item in self._code(code, value, raw, now)]
        device = sensors.device_of(value)
        if not self._counts(device) or value.get("type") == "TPMS":
            return []  # a neighbour's, a car's tyre, or a decode that names nobody
        return self._sensor(device, value, raw, now)

    def _counts(self, device: str) -> bool:
        return device in self._only if self._only else bool(device)

    def _code(self, shape: Shape, value: dict[str, Any], raw: str, now: Stamp) -> list[Item]:
        told = self._codes.tell(shape, now)
        if not self._counts(told.device):
            return []
        facts = (("code", told.code), ("data", told.data), *_facts(value))
        meaning = self._meaning(told.device, told.data)
        if meaning:
            return self._meant(told.device, meaning, raw, facts, now)
        return [Press(told.device, button, button, raw, facts=facts) for button in told.buttons]

    def _meaning(self, device: str, data: str) -> str:
        """What the installer says of it; "" without a word."""
        words = self._meanings.get(device, {})
        return words.get(data, words.get("*", ""))

    def _meant(self, device: str, meaning: str, raw: str, facts: tuple[tuple[str, Any], ...], now: Stamp) -> list[Item]:
        if meaning in HAZARDS:
            return [Press(device, meaning, meaning, raw, facts=facts)]
        if meaning in CHANGES:
            return self._change(device, meaning, raw, now) or [Seen(device)]
        return [] if meaning == "ignore" else self._note(device, meaning, True, now) or [Seen(device)]

    def _sensor(self, device: str, value: dict[str, Any], raw: str, now: Stamp) -> list[Item]:
        items: list[Item] = self._keys(device, value, raw, now)
        items += self._hazards(device, value, raw, now)
        for state in (sensors.contact(value), sensors.motion(value)):
            if state:
                items += self._change(device, state, raw, now)
        items += self._note(device, "low-battery", sensors.is_low(value), now)
        items += self._note(device, "tamper", sensors.is_tampered(value), now)
        if value.get("text") == "Test alarm":
            items.append(DeviceNote(device, "test", _NOTES["test"]))
        measured = sensors.readings(device, value)
        if measured:
            items.append(Readings(measured))
        return items or [Seen(device)]

    def _keys(self, device: str, value: dict[str, Any], raw: str, now: Stamp) -> list[Item]:
        items: list[Item] = []
        for key in sensors.keys(value):
            meaning = self._meaning(device, key)
            if meaning:
                items += self._meant(device, meaning, raw, _facts(value), now)
            else:
                items.append(Press(device, key, key, raw, facts=_facts(value)))
        return items

    def _hazards(self, device: str, value: dict[str, Any], raw: str, now: Stamp) -> list[Item]:
        items: list[Item] = []
        for hazard, there in sensors.hazards(value).items():
            meaning = self._meaning(device, hazard)
            if meaning in CHANGES:
                state = meaning if there else _OPPOSITES.get(meaning, "")
                items += self._change(device, state, raw, now) if state else []
            elif there and meaning != "ignore":
                self._remember(device, hazard, "there", now)
                items.append(Press(device, hazard, hazard, raw, facts=_facts(value), lasting=True))
            elif not there and self._remember(device, hazard, "over", now) != "over":
                items.append(Release(device, hazard))
        return items

    def _change(self, device: str, state: str, raw: str, now: Stamp) -> list[Item]:
        """A change, when it is another state than before; motion that nobody has ended is over after a minute."""
        of_what = "contact" if state in ("open", "closed") else "motion" if state.endswith("motion") else "state"
        before, told_ns = self._states.get((device, of_what), ("", 0))
        self._remember(device, of_what, state, now)
        renewed = state in ("motion", "vibration") and now.mono_ns - told_ns > _MOTION_LASTS_NS
        return [Change(device, state, raw)] if state != before or renewed else []

    def _note(self, device: str, kind: str, there: bool | None, now: Stamp) -> list[Item]:
        """A note when it becomes true; None says nothing."""
        if there is None:
            return []
        before = self._remember(device, kind, "there" if there else "over", now)
        return [DeviceNote(device, kind, _NOTES[kind])] if there and before != "there" else []

    def _remember(self, device: str, of_what: str, state: str, now: Stamp) -> str:
        """Keep a state; the one before. What was told least recently is forgotten for one too many."""
        before, _ = self._states.pop((device, of_what), ("", 0))
        self._states[device, of_what] = (state, now.mono_ns)
        if len(self._states) > _KNOWN_DEVICES:
            del self._states[next(iter(self._states))]
        return before


def _facts(value: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """What the operator sees beside a press. rtl_433's levels are relative to full scale, in dB."""
    facts: list[tuple[str, Any]] = []
    for field, fact in _FACTS:
        word = value.get(field)
        if isinstance(word, str) and word:
            facts.append((fact, word[:_FACT_LIMIT]))
    for field, fact in (("rssi", "rssi_dbfs"), ("snr", "snr_db")):
        level = number(value.get(field))
        if level is not None:
            facts.append((fact, float(level)))
    return tuple(facts)


def _check(options: dict[str, Any]) -> _Options:
    checked = check_config(options, _Options, _NAME)
    for device, words in checked.sensors.items():
        for data, word in words.items():
            if word not in (*HAZARDS, *CHANGES, *_NOTES, "ignore"):
                raise ConfigError(f"{_NAME}: sensors.{device}.{data} = {word!r} is no hazard, change or note")
    return checked


def _matches(pattern: str, topic: str) -> bool:
    """Whether an MQTT topic filter takes a topic."""
    wanted, levels = pattern.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted, levels = wanted[:-1], levels[: len(wanted) - 1]
    return len(wanted) == len(levels) and all(want in ("+", level) for want, level in zip(wanted, levels, strict=True))


def _configure(options: dict[str, Any]) -> MqttDriver:
    topics = _check(options).topics
    return MqttDriver(
        name=_NAME,
        subscriptions=topics,
        claims=lambda topic: any(_matches(pattern, topic) for pattern in topics),
        open_session=lambda options: Rtl433Session(_check(options)),
        grouping=GroupingRule(quiet_gap_s=1.5),
        configure=_configure,
        example_topic="rtl_433/host/events",
    )


DRIVER = _configure({})
