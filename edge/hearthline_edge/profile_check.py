"""What a profile must be beyond what its types say: one way, known words, legal paths and places.

What a meter's driver reads out of a path, the driver checks: profiles.py tries it. Every error names file and key, and
what to do. docs/profiles.md has the same rules for who writes one.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from typing import Final, Literal

from hearthline.errors import ConfigError
from hearthline.model import TELEMETRY_UNITS, VITAL_UNITS
from hearthline_edge.devices import CHANGES, HAZARDS
from hearthline_edge.profile import NOTES, PRESS, EventRule, Profile, Scalar, ValueRule
from hearthline_edge.profile_mqtt import as_tuple
from hearthline_edge.profile_paths import WHOLE, parse_path, parse_rule_topic, parse_topic

Way = Literal["mqtt", "modbus", "mbus", "dlt645"]
WAYS: Final[tuple[Way, ...]] = ("mqtt", "modbus", "mbus", "dlt645")
EVENTS: Final = (PRESS, *HAZARDS, *CHANGES, *NOTES)
_REGISTERS: Final = {"int16": 1, "uint16": 1, "int64": 4, "uint64": 4}  # the others: 2
_LARGEST: Final = 1e15  # of a scale, an offset or a limit
_PLACE: Final = re.compile(r":[A-Za-z0-9][A-Za-z0-9_.:-]*")


def way_of(profile: Profile) -> Way:
    """The way of a checked profile."""
    return next(way for way in WAYS if getattr(profile, way) is not None)


def check_profile(profile: Profile, where: str) -> None:
    """Raises ConfigError; `where` names the file."""
    ways = [way for way in WAYS if getattr(profile, way) is not None]
    if len(ways) != 1:
        found = " and ".join(f"[{way}]" for way in ways) or "none"
        raise ConfigError(f"{where}: a profile has one of [mqtt], [modbus], [mbus], [dlt645]; here: {found}")
    if not profile.value and not profile.event:
        raise ConfigError(f"{where}: nothing is asked for; add a [[value]] or an [[event]]")
    _check_number(f"{where}: supervision_s", profile.supervision_s)
    if profile.mqtt is not None:
        _check_mqtt(profile, f"{where}: mqtt")
    elif profile.event:
        raise ConfigError(f"{where}: event[0]: only an [mqtt] profile has events")
    for index, value in enumerate(profile.value):
        _check_value(profile, value, f"{where}: value[{index}]")
    for index, event in enumerate(profile.event):
        _check_event(profile, event, f"{where}: event[{index}]")
    series = [(value.quantity, value.place) for value in profile.value]
    for index, one in enumerate(series):
        if one in series[:index]:
            raise ConfigError(f"{where}: value[{index}].quantity = {one[0]!r} is there already; give it a place: ':2'")


def _check_mqtt(profile: Profile, where: str) -> None:
    way = profile.mqtt
    assert way is not None
    named_by_payload = way.device_path is not None
    _within(f"{where}.topic = {way.topic!r}", lambda: parse_topic(way.topic, named_by_payload=named_by_payload))
    if way.device_path is not None:
        _check_path(f"{where}.device_path", way.device_path)
    if way.only is not None:
        _check_path(f"{where}.only.path", way.only.path)
        _check_equals(f"{where}.only.equals", way.only.equals)


def _check_value(profile: Profile, value: ValueRule, where: str) -> None:
    known = [*TELEMETRY_UNITS, *(VITAL_UNITS if profile.mqtt is not None else ())]
    if value.quantity not in known:
        raise ConfigError(f"{where}.quantity = {value.quantity!r} is not known; {near_words(value.quantity, known)}")
    if value.place and not _PLACE.fullmatch(value.place):
        raise ConfigError(
            f"{where}.place = {value.place!r}: a colon, then letters, digits, '-', '_', '.'; such as ':B'"
        )
    if value.place and value.quantity in VITAL_UNITS:
        raise ConfigError(f"{where}.place: a vital sign has no place")
    for key in ("scale", "offset", "minimum", "maximum"):
        _check_number(f"{where}.{key}", getattr(value, key))
    if value.scale == 0:
        raise ConfigError(f"{where}.scale = 0 would make every value {value.offset:g}")
    if value.minimum is not None and value.maximum is not None and value.minimum > value.maximum:
        raise ConfigError(f"{where}.minimum is over the maximum: every value would be refused")
    if profile.modbus is None and value.register is not None:
        raise ConfigError(f"{where}.register: only a [modbus] profile has registers")
    if profile.mqtt is not None:
        _check_path(f"{where}.path", value.path)
        _check_rule_topic(profile, where, value.topic)
    elif value.topic is not None:
        raise ConfigError(f"{where}.topic: only an [mqtt] profile has topics")
    elif profile.modbus is not None:
        _check_register(value, where)
    elif value.path == WHOLE:
        raise ConfigError(f"{where}.path is missing: which record of the meter's reply it is")


def _check_register(value: ValueRule, where: str) -> None:
    if value.register is None:
        raise ConfigError(
            f"{where}.register is missing: the number in the request, 0 to 65535 (30001 in a manual is 0)"
        )
    if value.path != WHOLE:
        raise ConfigError(f"{where}.path: a [modbus] profile has a register instead")
    if value.register + _REGISTERS.get(value.type, 2) > 65536:
        raise ConfigError(f"{where}.register = {value.register}: a {value.type} does not fit behind it")


def _check_event(profile: Profile, event: EventRule, where: str) -> None:
    if event.event not in EVENTS:
        raise ConfigError(f"{where}.event = {event.event!r} is not known; {near_words(event.event, EVENTS)}")
    raises = event.event == PRESS or event.event in HAZARDS
    _check_path(f"{where}.path", event.path)
    _check_rule_topic(profile, where, event.topic)
    if event.equals is not None and event.unless is not None:
        raise ConfigError(f"{where}.unless: with equals it says nothing; keep one")
    for key in ("equals", "unless"):
        if getattr(event, key) is not None:
            _check_equals(f"{where}.{key}", getattr(event, key))
    if event.button is not None:
        if event.event in (*HAZARDS, *CHANGES):
            raise ConfigError(f"{where}.button: {event.event!r} says it already; only a press or a note is named")
        if any(mark in event.button.replace("{value}", "") for mark in "{}"):
            raise ConfigError(f"{where}.button = {event.button!r}: only {{value}} stands for something")
    if event.number is not None:
        if not raises:
            raise ConfigError(f"{where}.number: only a press or a hazard is numbered")
        _check_path(f"{where}.number", event.number)
    if event.momentary and event.event == PRESS:
        raise ConfigError(f"{where}.momentary: a press always is")


def _check_path(where: str, path: str) -> None:
    _within(f"{where} = {path!r}", lambda: parse_path(path))


def _check_rule_topic(profile: Profile, where: str, topic: str | None) -> None:
    if topic is None:
        return
    assert profile.mqtt is not None
    if not profile.mqtt.topic.endswith("#"):
        raise ConfigError(f"{where}.topic stands in the place of a # at the end of mqtt.topic; there is none")
    _within(f"{where}.topic = {topic!r}", lambda: parse_rule_topic(topic))


def _check_equals(where: str, equals: Scalar | tuple[Scalar, ...]) -> None:
    if not as_tuple(equals):
        raise ConfigError(f"{where} lists nothing")
    for each in as_tuple(equals):
        if isinstance(each, float):
            _check_number(where, each)


def _check_number(where: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and abs(value) <= _LARGEST):
        raise ConfigError(f"{where} = {value}: no quantity of a home is so large")


def near_words(word: str, known: Iterable[str]) -> str:
    """What may have been meant; all that is known where nothing is near."""
    words = list(known)
    near = difflib.get_close_matches(word, words, 3, 0.5)
    return f"near it: {', '.join(near)}" if near else f"known: {', '.join(words)}"


def _within(where: str, check: Callable[[], object]) -> None:
    try:
        check()
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
