"""SOS buttons and other Zigbee buttons through Zigbee2MQTT.

    zigbee2mqtt/<friendly name>          {"action": "emergency", "battery": 100, "last_seen": …, …}   a press
                                         {"action": "" or null, …}                                   alive, no press
    zigbee2mqtt/<friendly name>/action   emergency        the same once more as plain text: passed over by default
    zigbee2mqtt/bridge/…, …/set, …/get, …/availability    not a device's own word: passed over

A friendly name may hold spaces, slashes and any letters. Some buttons publish false emergencies that nobody can tell
from real ones: every live non-empty action is a press.

A retained message is an old moment. Its action is a press, and only a possible one, when its own `last_seen` is
- newer than the last that this session knows of the device; or, when the session knows none,
- not over ten minutes old by a synchronised clock (nor ten minutes ahead). A clock that is not synchronised may run
  behind but not ahead, so then only what is surely over ten minutes old is left out: in doubt, raise. A time without
  a zone counts as fresh when it is fresh in some whole-hour zone.
Without a `last_seen` a retained action is never a press: it would raise an alarm at every reconnect.
Retained messages show no life and give no readings; what they say of battery and tamper still holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from hearthline.clock import NS, Stamp
from hearthline.config import Config, check_config
from hearthline.model import Reading
from hearthline_edge.devices import (
    DeviceNote,
    GroupingRule,
    Item,
    MqttDriver,
    MqttMessage,
    Press,
    Readings,
    Refused,
    Seen,
)
from hearthline_edge.payload import json_value, number, raw_text

_BASE: Final = "zigbee2mqtt"
_FRESH_NS: Final = 600 * NS
_HOUR_NS: Final = 3600 * NS
_ZONES: Final = range(-12, 15)
_ACTION_LIMIT: Final = 64
_KNOWN_DEVICES: Final = 1000  # a Zigbee network has some 200; names without end must not grow memory
_LATCHES: Final = (("battery_low", "low-battery", "battery low"), ("tamper", "tamper", "case opened"))


class _LastSeen(NamedTuple):
    """`ns` since 1970 by the zone it names, or by an unknown zone (`zoned` false)."""

    ns: int
    zoned: bool


class _Options(Config, frozen=True):
    base_topic: str = _BASE
    attribute_output: bool = False


@dataclass(slots=True)
class _Known:
    """What the session knows of one device."""

    last_seen: _LastSeen | None = None
    latched: frozenset[str] = frozenset()


class Zigbee2MqttSession:
    """One Zigbee2MQTT. `attribute_output`: it is configured to publish each attribute on a topic of its own."""

    def __init__(self, base_topic: str, attribute_output: bool) -> None:
        self._base = base_topic
        self._attribute_output = attribute_output
        self._devices: dict[str, _Known] = {}

    def receive(self, message: MqttMessage, now: Stamp) -> Iterable[Item]:
        name = _friendly_name(message.topic, self._base)
        if not name or not message.payload:
            return []
        is_json, value = json_value(message.payload)
        if is_json and isinstance(value, dict):
            return self._report(f"z2m:{name}", value, message, now)
        owner, _, attribute = name.rpartition("/")
        if owner and attribute == "action":
            return self._plain_action(f"z2m:{owner}", message) if self._attribute_output else []
        return [] if self._attribute_output else [Refused("sanity", raw_text(message.payload))]

    def _plain_action(self, device: str, message: MqttMessage) -> list[Item]:
        action = message.payload.decode("utf-8", "replace").strip().strip('"').strip()[:_ACTION_LIMIT]
        if message.retained:
            return []  # no time comes with it
        if action in ("", "null"):
            return [Seen(device)]
        return [Press(device, action, action, raw_text(message.payload))]

    def _report(self, device: str, value: dict[str, Any], message: MqttMessage, now: Stamp) -> list[Item]:
        known = self._know(device)
        last_seen = _last_seen(value.get("last_seen"))
        action = _action(value.get("action"))
        items: list[Item] = []
        if action and (not message.retained or _may_be_new(last_seen, known.last_seen, now)):
            certainty: Literal["certain", "possible"] = "possible" if message.retained else "certain"
            items.append(
                Press(device, action, action, raw_text(message.payload), certainty=certainty, facts=_facts(value))
            )
        elif not message.retained:
            items.append(Seen(device))
        items += _notes(device, value, known)
        if not message.retained:
            items += _readings(device, value)
        if last_seen is not None and not _is_older(last_seen, known.last_seen):
            known.last_seen = last_seen
        return items

    def _know(self, device: str) -> _Known:
        """What is known of it; the device that was heard of least recently is forgotten for one too many."""
        known = self._devices.pop(device, None) or _Known()
        self._devices[device] = known
        if len(self._devices) > _KNOWN_DEVICES:
            del self._devices[next(iter(self._devices))]
        return known


def _friendly_name(topic: str, base: str) -> str:
    """The name of the device that a topic speaks of; empty when it is of no device."""
    name = topic[len(base) + 1 :] if topic.startswith(f"{base}/") else ""
    words = name.split("/")
    if words[0] == "bridge" or words[-1] in ("set", "get", "availability") or words[-2:-1] in (["set"], ["get"]):
        return ""
    return name


def _action(value: Any) -> str:
    return value.strip()[:_ACTION_LIMIT] if isinstance(value, str) else ""


def _last_seen(value: Any) -> _LastSeen | None:
    """ISO 8601 with or without a zone, or milliseconds since 1970; None when it is none of these."""
    milliseconds = number(value)
    if milliseconds is not None:
        return _LastSeen(int(milliseconds * 1_000_000), zoned=True)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        zoned = moment.tzinfo is not None
        since = (moment if zoned else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return _LastSeen((since.days * 86_400 + since.seconds) * NS + since.microseconds * 1000, zoned)


def _is_older(one: _LastSeen, than: _LastSeen | None) -> bool:
    return than is not None and one.zoned == than.zoned and one.ns < than.ns


def _may_be_new(last_seen: _LastSeen | None, known: _LastSeen | None, now: Stamp) -> bool:
    """The rule of the module's docstring for the action of a retained message."""
    if last_seen is None:
        return False
    if known is not None and known.zoned == last_seen.zoned:
        return last_seen.ns > known.ns
    ages = [now.wall_ns - last_seen.ns]
    if not last_seen.zoned:
        ages = [ages[0] + hours * _HOUR_NS for hours in _ZONES]
    return any(age <= _FRESH_NS and (age >= -_FRESH_NS or not now.synced) for age in ages)


def _notes(device: str, value: dict[str, Any], known: _Known) -> list[Item]:
    """A note when battery_low or tamper becomes true; null and absent say nothing."""
    notes: list[Item] = []
    for field, kind, detail in _LATCHES:
        state = value.get(field)
        if state is True and kind not in known.latched:
            known.latched |= {kind}
            notes.append(DeviceNote(device, kind, detail))
        elif state is False:
            known.latched -= {kind}
    return notes


def _readings(device: str, value: dict[str, Any]) -> list[Item]:
    readings = []
    percent, millivolts = number(value.get("battery")), number(value.get("voltage"))
    if percent is not None and 0 <= percent <= 100:
        readings.append(Reading(device, "battery", float(percent), "%EL"))
    if millivolts is not None and 1000 <= millivolts <= 5000:
        readings.append(Reading(device, "battery_voltage", float(millivolts / 1000), "V"))
    return [Readings(tuple(readings))] if readings else []


def _facts(value: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """What the operator sees beside the press."""
    facts: list[tuple[str, Any]] = []
    for field in ("battery", "linkquality"):
        exact = number(value.get(field))
        if exact is not None:
            facts.append((field, int(exact) if exact == exact.to_integral_value() else float(exact)))
    last_seen = value.get("last_seen")
    if isinstance(last_seen, str | int) and last_seen:
        facts.append(("device_time", str(last_seen)[:_ACTION_LIMIT]))
    return tuple(facts)


def _open_session(options: dict[str, Any]) -> Zigbee2MqttSession:
    checked = check_config(options, _Options, "zigbee2mqtt-sos")
    return Zigbee2MqttSession(checked.base_topic, checked.attribute_output)


def _configure(options: dict[str, Any]) -> MqttDriver:
    base = check_config(options, _Options, "zigbee2mqtt-sos").base_topic
    return MqttDriver(
        name="zigbee2mqtt-sos",
        subscriptions=(f"{base}/#",),
        claims=lambda topic: bool(_friendly_name(topic, base)),
        open_session=_open_session,
        grouping=GroupingRule(quiet_gap_s=1.0),
        configure=_configure,
    )


DRIVER = _configure({})
