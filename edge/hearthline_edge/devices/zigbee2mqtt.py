"""Zigbee devices through Zigbee2MQTT 1.x and 2.x: SOS buttons, door, motion, smoke, leak and gas sensors, plugs.

    <base>/<friendly name>               {"action": "emergency", "battery": 100, "last_seen": …, …}   a press
                                         {"action": "" or null, …}                                   alive, no press
                                         {"smoke": true, "contact": false, "power": 3, …}            zigbee2mqtt_values
    <base>/<friendly name>/<attribute>   the same once more as plain text: passed over within 10 s of the JSON
    <base>/<friendly name>/availability  {"state": "offline"} (2.x), offline (1.x); only where it is switched on
    <base>/bridge/state                  the same of Zigbee2MQTT itself, the device z2m:bridge: without it the gateway
                                         is blind to every Zigbee device
    <base>/bridge/…, …/set, …/get        not a device's own word: passed over

Sources: zigbee2mqtt.io, MQTT topics and messages; payloads recorded in its issues (tests/captures/zigbee2mqtt). A
friendly name may hold spaces, slashes and any letters. <base> is `base_topic`; by default also any first level that
begins with zigbee2mqtt, as in recordings of a second network (only `zigbee2mqtt/#` is subscribed then).

Zigbee2MQTT's `output` may be json, attribute or both, the JSON first; Home Assistant's plain /action follows the JSON
too. So an attribute without a report before it is the device's own word, whether or not `attribute_output` says so.

One press is one event: a button is told once as JSON and once more as plain text, and some (a Lidl doorbell, SNZB-01P)
publish several groups a press, within a second; the quiet gap of 1 s holds them together. Two presses that waited at
the broker are told apart by `last_seen`, when it names a moment. Some buttons publish false emergencies that nobody
can tell from real ones: every live non-empty action is a press. A hazard is told again with each report of the device
while it lasts: its press is `lasting`, and ends with the report that says it is over.

A retained message is an old moment. Its action or hazard is a press, and only a possible one, when its own `last_seen`
is
- newer than the last that this session knows of the device; or, when the session knows none,
- not over ten minutes old by a synchronised clock (nor ten minutes ahead). A clock that is not synchronised may run
  behind but not ahead, so then only what is surely over ten minutes old is left out: in doubt, raise. A time without
  a zone counts as fresh when it is fresh in some whole-hour zone.
Without a `last_seen` a retained action is never a press: it would raise an alarm at every reconnect.
Retained messages show no life and give no changes and no readings; what they say of battery, tamper and trouble still
holds, and so does offline.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, Literal

from hearthline.clock import NS, Stamp
from hearthline.config import Config, check_config
from hearthline_edge.devices import (
    DeviceNote,
    GroupingRule,
    Item,
    MqttDriver,
    MqttMessage,
    Press,
    Refused,
    Release,
    Seen,
)
from hearthline_edge.devices.zigbee2mqtt_values import (
    ATTRIBUTES,
    Known,
    LastSeen,
    changes,
    hazards,
    notes,
    readings,
)
from hearthline_edge.payload import json_value, number, raw_text
from hearthline_edge.recent import Recent

_BASE: Final = "zigbee2mqtt"
_BRIDGE: Final = "z2m:bridge"
_FRESH_NS: Final = 600 * NS
_HOUR_NS: Final = 3600 * NS
_ZONES: Final = range(-12, 15)
_ACTION_LIMIT: Final = 64
_BESIDE_NS: Final = 10 * NS
_LOSS: Final = {
    True: "Zigbee2MQTT has stopped: no Zigbee device is heard",
    False: "Zigbee2MQTT no longer hears the device",
}


class _Options(Config, frozen=True):
    base_topic: str = _BASE
    attribute_output: bool = False


class Zigbee2MqttSession:
    """One Zigbee2MQTT. `attribute_output`: it is configured to publish each attribute on a topic of its own."""

    def __init__(self, base_topic: str, attribute_output: bool) -> None:
        self._base = base_topic
        self._attribute_output = attribute_output
        self._devices = Recent(Known)

    def receive(self, message: MqttMessage, now: Stamp) -> Iterable[Item]:
        rest = _below(message.topic, self._base)
        if not message.payload:
            return []
        if _is_state(rest):
            device = _BRIDGE if rest == "bridge/state" else f"z2m:{rest.removesuffix('/availability')}"
            return self._availability(device, message)
        name = _friendly_name(rest)
        if not name:
            return []
        is_json, value = json_value(message.payload)
        if is_json and isinstance(value, dict):
            self._devices.of(f"z2m:{name}").reported_ns = now.mono_ns
            return self._report(f"z2m:{name}", value, message, now)
        owner, _, attribute = name.rpartition("/")
        if self._attribute_output:
            return self._attribute(f"z2m:{owner}", attribute, is_json, value, message, now) if owner else []
        known = self._devices.get(f"z2m:{owner}") if owner else None
        if owner and attribute in ATTRIBUTES:
            if known is not None and 0 <= now.mono_ns - known.reported_ns <= _BESIDE_NS:
                return []
            return self._attribute(f"z2m:{owner}", attribute, is_json, value, message, now)
        if known is not None and not _is_broken(message):
            return []
        return [Refused("sanity", raw_text(message.payload))]

    def _attribute(
        self, device: str, attribute: str, is_json: bool, value: Any, message: MqttMessage, now: Stamp
    ) -> list[Item]:
        if attribute not in ATTRIBUTES:
            return []
        text = message.payload.decode("utf-8", "replace").strip().strip('"').strip()
        if attribute == "action":
            value = "" if text == "null" else text
        elif not is_json:
            value = text
        return self._report(device, {attribute: value}, message, now)

    def _availability(self, device: str, message: MqttMessage) -> list[Item]:
        """Of one device or of Zigbee2MQTT; also a retained one is how it stands."""
        is_json, value = json_value(message.payload)
        state = value.get("state") if is_json and isinstance(value, dict) else None
        if state is None:
            state = message.payload.decode("utf-8", "replace").strip().strip('"').lower()
        if state not in ("online", "offline"):
            return [Refused("sanity", raw_text(message.payload))]
        known = self._devices.of(device)
        offline = state == "offline"
        if known.offline == offline:
            return []
        known.offline = offline
        detail = _LOSS[device == _BRIDGE] if offline else "it is heard again"
        return [DeviceNote(device, str(state), detail)]

    def _report(self, device: str, value: dict[str, Any], message: MqttMessage, now: Stamp) -> list[Item]:
        known = self._devices.of(device)
        raw, live = raw_text(message.payload), not message.retained
        last_seen = _last_seen(value.get("last_seen"))
        counts = live or _may_be_new(last_seen, known.last_seen, now)
        items = self._presses(device, value, known, raw, last_seen, live) if counts else []
        if live and not any(isinstance(item, Press) for item in items):
            items.insert(0, Seen(device))
        items += notes(device, value, known, message.retained)
        if live:
            items += changes(device, value, known, raw)
            items += readings(device, value, known)
        if last_seen is not None and not _is_older(last_seen, known.last_seen):
            known.last_seen = last_seen
        return items

    def _presses(
        self, device: str, value: dict[str, Any], known: Known, raw: str, last_seen: LastSeen | None, live: bool
    ) -> list[Item]:
        """The action and the hazards; a hazard that is over counts live only."""
        source_ns = last_seen.moment_ns() if last_seen is not None else None
        certainty: Literal["certain", "possible"] = "certain" if live else "possible"
        facts, items = _facts(value), list[Item]()

        def press(button: str, lasting: bool) -> Press:
            return Press(device, button, button, raw, certainty, facts, source_ns, lasting)

        action = _action(value.get("action")) or _action(value.get("click"))
        if action:
            items.append(press(action, lasting=False))
        for attribute, hazard, there in hazards(value):
            turned = live and known.turns(attribute, there)
            if there:
                items.append(press(hazard, lasting=True))
            elif turned:
                items.append(Release(device, hazard))
        return items


def _below(topic: str, base: str) -> str:
    """What follows the base; empty when the topic is another's."""
    if base == _BASE:
        first, _, rest = topic.partition("/")
        return rest if first.startswith(_BASE) else ""
    return topic[len(base) + 1 :] if topic.startswith(f"{base}/") else ""


def _is_state(rest: str) -> bool:
    """Whether it tells that Zigbee2MQTT or a device of it is there."""
    owner, _, last = rest.rpartition("/")
    return rest == "bridge/state" or (last == "availability" and owner.split("/")[0] not in ("", "bridge"))


def _friendly_name(rest: str) -> str:
    """The name of the device that a topic speaks of; empty when it is of no device."""
    words = rest.split("/")
    if words[0] == "bridge" or words[-1] in ("set", "get", "availability") or words[-2:-1] in (["set"], ["get"]):
        return ""
    return rest


def _is_broken(message: MqttMessage) -> bool:
    """Whether it would be a report, or a list, had it been whole."""
    return message.payload.lstrip()[:1] in (b"{", b"[")


def _action(value: Any) -> str:
    return value.strip()[:_ACTION_LIMIT] if isinstance(value, str) else ""


def _last_seen(value: Any) -> LastSeen | None:
    """ISO 8601 with or without a zone, or milliseconds since 1970; None when it is none of these."""
    milliseconds = number(value)
    if milliseconds is not None:
        return LastSeen(int(milliseconds * 1_000_000), zoned=True)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        zoned = moment.tzinfo is not None
        since = (moment if zoned else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return LastSeen((since.days * 86_400 + since.seconds) * NS + since.microseconds * 1000, zoned)


def _is_older(one: LastSeen, than: LastSeen | None) -> bool:
    return than is not None and one.zoned == than.zoned and one.ns < than.ns


def _may_be_new(last_seen: LastSeen | None, known: LastSeen | None, now: Stamp) -> bool:
    """The rule of the module's docstring for the action of a retained message."""
    if last_seen is None:
        return False
    if known is not None and known.zoned == last_seen.zoned:
        return last_seen.ns > known.ns
    ages = [now.wall_ns - last_seen.ns]
    if not last_seen.zoned:
        ages = [ages[0] + hours * _HOUR_NS for hours in _ZONES]
    return any(age <= _FRESH_NS and (age >= -_FRESH_NS or not now.synced) for age in ages)


def _facts(value: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """What the operator sees beside the press."""
    facts: list[tuple[str, Any]] = []
    for field in ("battery", "linkquality"):
        exact = number(value.get(field))
        if exact is not None:
            facts.append((field, int(exact) if exact == exact.to_integral_value() else float(exact)))
    if value.get("test") is True:
        facts.append(("test", True))
    last_seen = value.get("last_seen")
    if isinstance(last_seen, str | int) and last_seen:
        facts.append(("device_time", str(last_seen)[:_ACTION_LIMIT]))
    return tuple(facts)


def _claims(topic: str, base: str) -> bool:
    rest = _below(topic, base)
    return bool(_friendly_name(rest)) or _is_state(rest)


def _open_session(options: dict[str, Any]) -> Zigbee2MqttSession:
    checked = check_config(options, _Options, "zigbee2mqtt")
    return Zigbee2MqttSession(checked.base_topic, checked.attribute_output)


def _configure(options: dict[str, Any]) -> MqttDriver:
    base = check_config(options, _Options, "zigbee2mqtt").base_topic
    return MqttDriver(
        name="zigbee2mqtt",
        subscriptions=(f"{base}/#",),
        claims=lambda topic: _claims(topic, base),
        open_session=_open_session,
        grouping=GroupingRule(quiet_gap_s=1.0),
        configure=_configure,
        aliases=("zigbee2mqtt-sos", "zigbee2mqtt-plug", "zigbee2mqtt-sensors"),
        example_topic=f"{base}/device",
    )


DRIVER = _configure({})
