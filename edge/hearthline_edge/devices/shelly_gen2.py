"""Shelly plugs and relays of generation 2 and later, by their own MQTT.

    <id>/status/switch:N   {"id": N, "apower": W, "voltage": V, "current": A,
                            "aenergy": {"total": Wh, "by_minute": [mWh …]}, "temperature": {"tC": Cel, "tF": …}}
    <x>/rpc                {"src": "<id>", "result": {"switch:0": {…}}}   the answer to Shelly.GetStatus
    <id>/online            true or false (the device's last will)

Energy comes in watt-hours and leaves in kilowatt-hours, exactly. The counter may be reset; that is for the reader of
the series to see. A retained status is an old moment and gives no readings; a retained `false` still means offline.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from hearthline.clock import Stamp
from hearthline.config import Config, check_config
from hearthline.model import TELEMETRY_UNITS, Reading
from hearthline_edge.devices import DeviceNote, GroupingRule, Item, MqttDriver, MqttMessage, Readings, Refused, Seen
from hearthline_edge.payload import json_value, number, raw_text

_TOPIC: Final = re.compile(r"([^/]+)/(?:(online|rpc)|status/([^/]+))\Z")
_SWITCH: Final = re.compile(r"switch:([0-9]{1,3})\Z")
_KNOWN_OFFLINE: Final = 1000  # beyond any home; names without end must not grow memory

# Field, the key inside it, quantity, how many of the field's units make one of ours.
_FIELDS: Final = (
    ("aenergy", "total", "energy_import", 1000),
    ("apower", None, "power", 1),
    ("voltage", None, "voltage", 1),
    ("current", None, "current", 1),
    ("temperature", "tC", "temperature", 1),
)


class _Options(Config, frozen=True):
    """This family has no options."""


class ShellySession:
    """Remembers who is known to be offline, so that each change is told once."""

    def __init__(self) -> None:
        self._offline: set[str] = set()

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
        if other == "rpc":
            return self._rpc(value, message)
        return self._readings(name, {component: value}, message)

    def _online(self, device: str, message: MqttMessage) -> list[Item]:
        state = message.payload.strip().lower()
        if state == b"true":
            self._offline.discard(device)
            return [] if message.retained else [Seen(device)]
        if state != b"false":
            return [Refused("sanity", raw_text(message.payload))]
        if device in self._offline:
            return []
        if len(self._offline) >= _KNOWN_OFFLINE:
            self._offline.pop()  # whichever: its next "offline" is told once more
        self._offline.add(device)
        return [DeviceNote(device, "offline", "the device left its broker")]

    def _rpc(self, value: dict[str, Any], message: MqttMessage) -> list[Item]:
        source, result = value.get("src"), value.get("result")
        if not isinstance(result, dict):
            return []  # a request, a notification or the answer to something else
        if not isinstance(source, str) or not source:
            return [Refused("sanity", raw_text(message.payload))]
        return self._readings(source, result, message)

    def _readings(self, name: str, components: dict[str, Any], message: MqttMessage) -> list[Item]:
        device = f"shelly:{name}"
        self._offline.discard(device)
        readings: list[Reading] = []
        for component, status in components.items():
            match = _SWITCH.match(component)
            if match and isinstance(status, dict):
                found = _switch(device if int(match[1]) == 0 else f"{device}:{int(match[1])}", status)
                if found is None:
                    return [Refused("sanity", raw_text(message.payload))]
                readings += found
        return [Readings(tuple(readings))] if readings else [Seen(device)]


def _switch(device: str, status: dict[str, Any]) -> list[Reading] | None:
    """The readings of one switch; absent and null are no values; None when a value cannot be one."""
    readings = []
    for field, key, quantity, divisor in _FIELDS:
        value = status.get(field)
        if key is not None:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            continue
        exact = None if isinstance(value, str) else number(value)
        if exact is None or (quantity == "energy_import" and exact < 0):
            return None
        readings.append(Reading(device, quantity, float(exact / Decimal(divisor)), TELEMETRY_UNITS[quantity]))
    return readings


def _open_session(options: dict[str, Any]) -> ShellySession:
    check_config(options, _Options, "shelly-gen2")
    return ShellySession()


def _claims(topic: str) -> bool:
    match = _TOPIC.match(topic)
    return match is not None and match[1] != "zigbee2mqtt"


DRIVER = MqttDriver(
    name="shelly-gen2",
    subscriptions=("+/status/#", "+/online", "+/rpc"),
    claims=_claims,
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=0.0),
)
