"""Shellys of generation 2 and later, by their own MQTT: plugs, relays, meters, buttons, smoke and flood sensors.

    <id>/status/<component>  the component's whole status          where `status_ntf` is switched on (default: off)
    <id>/events/rpc          {"src": "<id>", "method": "NotifyStatus" or "NotifyFullStatus", "params":
                              {"ts": …, "<component>": {what has changed}}}    where `rpc_ntf` is on (default: on)
                             {"method": "NotifyEvent", "params": {"events": [
                              {"component": "input:0", "event": "single_push", "ts": 1646945882.47}]}}
    <x>/rpc                  {"src": "<id>", "result": {"<component>": {…}}}   the answer to Shelly.GetStatus
    <id>/online              true or false (the device's last will, retained)

Sources: shelly-api-docs.shelly.cloud (MQTT, Notifications, Input); switch and GetStatus recorded
(tests/captures/shelly-gen2), NotifyEvent as in public logs; components in shelly_components. <id> is one level.

Values are taken one way only. Status topics tell more, so while a device uses them its notifications give no readings;
the first status within two seconds after a notification says the same and gives none either. Hazards count on both
ways: a state told twice is one press.

A press is told once, when it is over: `single_push`, `double_push`, `triple_push`, `long_push` are buttons
`<input>:<word>` (of a Bluetooth button behind the Shelly: the word alone). btn_down and btn_up come with each and are
no press. The moment `ts` is part of the content: the same told again is a repeat, another is another press; where the
clock is not set there is none, and a second within the quiet gap of 1 s counts as the same.

A retained status is an old moment and gives nothing; a retained `false` still means offline. A Shelly on a battery
sleeps and is offline then: it is told by its own words (`devicepower`) or by its name, and its silence is for its
supervision. Unverified: what a sleeping one leaves at its `online` topic.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from hearthline.clock import NS, Stamp
from hearthline.config import Config, check_config
from hearthline.model import Reading
from hearthline_edge.devices import (
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
from hearthline_edge.devices.shelly_components import Told, place_of, told_by
from hearthline_edge.payload import json_value, number, raw_text
from hearthline_edge.recent import Recent

_TOPIC: Final = re.compile(r"([^/]+)/(?:(online|rpc|events/rpc)|status/([^/]+))\Z")
_SLEEPER: Final = re.compile(r"shelly(?:plus)?(?:ht|smoke|flood)", re.IGNORECASE)
_INPUT: Final = re.compile(r"(input|bthomedevice):([0-9]{1,3})\Z")
_PUSH: Final = re.compile(r"[a-z]{1,16}(?:_[a-z]{1,16})?_push\Z")
_KNOWN_STATES: Final = 64  # of one device
_EVENTS: Final = 32  # of one notification
_TOPICS_HOLD_NS: Final = 900 * NS  # a device in use tells its status each minute
_SAME_NS: Final = 2 * NS
_LATEST_NS: Final = 1 << 63


class _Options(Config, frozen=True):
    """This family has no options."""


@dataclass(slots=True)
class _Known:
    """Of one device. `topics_ns`, `notified_ns`: when it last told values each way, monotonic; 0 never."""

    offline: bool = False
    sleeps: bool = False
    topics_ns: int = 0
    notified_ns: int = 0
    states: dict[str, bool] = field(default_factory=dict)

    def turns(self, name: str, state: bool) -> bool:
        """Whether it is another state than the last, or the first."""
        before = self.states.pop(name, None)
        self.states[name] = state
        if len(self.states) > _KNOWN_STATES:
            del self.states[next(iter(self.states))]
        return before is not state


class ShellySession:
    """Remembers each device's states, so that a change is told once, and the way it tells its values."""

    def __init__(self) -> None:
        self._devices = Recent(_Known)

    def receive(self, message: MqttMessage, now: Stamp) -> Iterable[Item]:
        match = _TOPIC.match(message.topic)
        if match is None or not message.payload:
            return []
        name, other, component = match.groups()
        if other == "online":
            return self._online(f"shelly:{name}", message)
        if message.retained:
            return []
        is_json, value = json_value(message.payload)
        if not is_json or not isinstance(value, dict):
            return [Refused("sanity", raw_text(message.payload))]
        try:
            if other == "rpc":
                return self._answer(value, message)
            if other == "events/rpc":
                return self._notification(f"shelly:{name}", value, message, now)
            return self._status(f"shelly:{name}", component, value, message, now)
        except ValueError:
            return [Refused("sanity", raw_text(message.payload))]

    def _online(self, device: str, message: MqttMessage) -> list[Item]:
        state = message.payload.strip().lower()
        if state not in (b"true", b"false"):
            return [Refused("sanity", raw_text(message.payload))]
        known = self._devices.of(device)
        if state == b"true":
            back = self._heard(device, known)
            return back if message.retained else [*back, Seen(device)]
        if known.offline or known.sleeps or _SLEEPER.match(device.removeprefix("shelly:")):
            return []
        known.offline = True
        return [DeviceNote(device, "offline", "the device left its broker")]

    def _answer(self, value: dict[str, Any], message: MqttMessage) -> list[Item]:
        source, result = value.get("src"), value.get("result")
        if not isinstance(result, dict):
            return []  # a request, a notification or the answer to something else
        if not isinstance(source, str) or not source:
            raise ValueError
        return self._tell(f"shelly:{source}", result, message, with_readings=True)

    def _status(
        self, device: str, component: str, value: dict[str, Any], message: MqttMessage, now: Stamp
    ) -> list[Item]:
        known = self._devices.of(device)
        began = not known.topics_ns or now.mono_ns - known.topics_ns > _TOPICS_HOLD_NS
        told_already = began and known.notified_ns > 0 and now.mono_ns - known.notified_ns <= _SAME_NS
        items = self._tell(device, {component: value}, message, with_readings=not told_already)
        known.topics_ns = now.mono_ns
        return items

    def _notification(self, device: str, value: dict[str, Any], message: MqttMessage, now: Stamp) -> list[Item]:
        params = value.get("params")
        if not isinstance(params, dict):
            raise ValueError
        known = self._devices.of(device)
        match value.get("method"):
            case "NotifyStatus" | "NotifyFullStatus":
                by_topics = known.topics_ns > 0 and now.mono_ns - known.topics_ns <= _TOPICS_HOLD_NS
                items = self._tell(device, params, message, with_readings=not by_topics)
                if not by_topics and any(isinstance(item, Readings) for item in items):
                    known.notified_ns = now.mono_ns
                return items
            case "NotifyEvent":
                events = params.get("events")
                if not isinstance(events, list):
                    raise ValueError
                presses = [press for event in events[:_EVENTS] for press in _presses(device, event, message)]
                return [*self._heard(device, known), *(presses or [Seen(device)])]
        return [Seen(device)]

    def _tell(
        self, device: str, components: dict[str, Any], message: MqttMessage, *, with_readings: bool
    ) -> list[Item]:
        """The items of a status. A component with a value that cannot be one gives nothing, and is told as refused."""
        known = self._devices.of(device)
        items, readings, refused = self._heard(device, known), list[Reading](), list[Item]()
        for name, status in components.items():
            try:
                one = told_by(device, name, status)
            except ValueError:
                refused = [Refused("sanity", raw_text(message.payload))]
                continue
            if one is not None:
                known.sleeps |= one.sleeps
                items += _turns(known, name, one, raw_text(message.payload))
                readings += one.readings
        unique = {(each.device, each.quantity): each for each in reversed(readings)}
        if with_readings and unique:
            items.append(Readings(tuple(reversed(unique.values()))))
        elif not refused and not any(isinstance(item, Press) for item in items):
            items.append(Seen(device))
        return [*items, *refused]

    def _heard(self, device: str, known: _Known) -> list[Item]:
        if not known.offline:
            return []
        known.offline = False
        return [DeviceNote(device, "online", "it is heard again")]


def _turns(known: _Known, name: str, told: Told, raw: str) -> list[Item]:
    """A hazard with each telling; a release, a change and a fault when they come about."""
    items: list[Item] = []
    if told.hazard is not None:
        hazard, there = told.hazard
        turned = known.turns(name, there)
        if there:
            items.append(Press(told.device, hazard, hazard, raw, lasting=True))
        elif turned:
            items.append(Release(told.device, hazard))
    if told.output is not None and known.turns(name, told.output):
        items.append(Change(told.device, "on" if told.output else "off", raw))
    if told.faults is not None and known.turns(f"{name} faults", bool(told.faults)) and told.faults:
        items.append(DeviceNote(told.device, "error", f"{name}: {', '.join(told.faults)}"))
    return items


def _presses(device: str, event: Any, message: MqttMessage) -> list[Item]:
    """The press that an event of an input is; none when it is something else."""
    component, word = (event.get("component"), event.get("event")) if isinstance(event, dict) else (None, None)
    if not isinstance(component, str) or not isinstance(word, str) or not _PUSH.match(word):
        return []
    match = _INPUT.match(component)
    if match is None:
        return []
    moment = number(event.get("ts"))
    source_ns = int(moment * NS) if moment is not None and 0 < moment < _LATEST_NS // NS else None
    raw = raw_text(message.payload)
    if match[1] == "bthomedevice":
        device, button = place_of(device, component), word
    else:
        button = f"{int(match[2])}:{word}"
    content = button if source_ns is None else f"{button} {source_ns}"
    return [Press(device, button, content, raw, source_ns=source_ns)]


def _open_session(options: dict[str, Any]) -> ShellySession:
    check_config(options, _Options, "shelly-gen2")
    return ShellySession()


def _claims(topic: str) -> bool:
    return _TOPIC.match(topic) is not None and not topic.startswith("zigbee2mqtt")


DRIVER = MqttDriver(
    name="shelly-gen2",
    subscriptions=("+/status/#", "+/online", "+/rpc", "+/events/rpc"),
    claims=_claims,
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=1.0),
    example_topic="example/status/switch:0",
)
