"""Bluetooth buttons and sensors through OpenMQTTGateway or Theengs Gateway, which decode the beacons.

    home/<gateway>/BTtoMQTT/<MAC>   {"mac": "BC:02:6E:AA:BB:CC", "packet": 29, "batt": 100, "button": 1, "rssi": -60}

    button               0 none, 1 short, 2 double, 3 triple, 4 or 9 long, 254, 128 or 11 hold (5, 6 long twice, thrice)
    button1 … button4    the same of a remote with four buttons: "2-short" is button 2, pressed shortly
    open, motion         true, false or 1, 0: told as they change; presence, and `pres` where it is true or false
    leak, smoke          a hazard while it is true
    tempc, hum, lux, batt, volt, co2, and `pres` as a number (hPa)
    encr, cipher         encrypted: nothing can be read

A press stays in the beacons that follow it, and every gateway in reach publishes each of them: one press is one
`packet` of one device, of which the last 16 are known, for ten minutes (`packet` begins anew after 256 beacons, 34
minutes at the fastest). A button without `packet` is pressed once in two seconds. What else a known packet says is
passed over too, so that an older beacon from a second gateway changes nothing back; but not a hazard: after a change of
battery the packets begin anew, and may say it under a number that was heard before.

An encrypted beacon of a button may be a press, or the beacon of a button at rest, and there are hundreds of those an
hour: it is no press, and what staff should do is told once per device (note `encrypted`). Retained messages are
passed over, and so are beacons that nobody decoded (no `model_id`): phones and watches.

Sources: Theengs decoder's device definitions and its tests (Shelly BLU; the numbers 9 and 11 are its own), BTHome v2
and the Shelly BLU documentation (4, 128, 254), OpenMQTTGateway's documentation of the topics. Unverified on recorded
messages: the remote with four buttons, presence, leak and smoke.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from hearthline.clock import NS, Stamp
from hearthline.config import Config, check_config
from hearthline.model import TELEMETRY_UNITS, Reading
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
from hearthline_edge.payload import json_value, number, raw_text
from hearthline_edge.recent import Recent

_NAME: Final = "theengs-ble-json"
_PRESSES: Final = {
    1: "short",
    2: "double",
    3: "triple",
    4: "long",
    5: "long-double",
    6: "long-triple",
    9: "long",
    11: "hold",
    128: "hold",
    254: "hold",
}
_BUTTONS: Final = (("button", ""), *((f"button{place}", f"{place}-") for place in range(1, 9)))
_STATES: Final = (
    ("open", "open", "closed"),
    ("motion", "motion", "no-motion"),
    ("presence", "present", "absent"),
    ("pres", "present", "absent"),
)
_HAZARDS: Final = ("leak", "smoke")
_READINGS: Final = (
    ("tempc", "temperature", -100, 200),
    ("hum", "humidity", 0, 100),
    ("lux", "illuminance", 0, 200_000),
    ("batt", "battery", 0, 100),
    ("volt", "battery_voltage", 0, 60),
    ("co2", "co2", 0, 100_000),
    ("pres", "pressure", 300, 1_200),
)
_PACKETS: Final = 16
_PACKET_NS: Final = 600 * NS
_QUIET_NS: Final = 2 * NS
_MAC: Final = re.compile(r"[0-9a-f]{12}\Z")
_ENCRYPTED: Final = (
    "its beacons are encrypted and say nothing: switch encryption off in its app, or give its key to what receives it"
)


class _Options(Config, frozen=True):
    """`base`: the first levels of the topics, before /<gateway>/BTtoMQTT/."""

    base: str = "home"


@dataclass(slots=True)
class _Known:
    """What the session knows of one device."""

    packets: dict[int, int] = field(default_factory=dict)  # packet and when it was first heard
    states: dict[str, str] = field(default_factory=dict)
    pressed_ns: int | None = None  # of a button that numbers no packets: its last beacon
    burst: str = ""
    encrypted: bool = False

    def hears_again(self, packet: int, now: Stamp) -> bool:
        heard_ns = self.packets.get(packet)
        if heard_ns is not None and 0 <= now.mono_ns - heard_ns <= _PACKET_NS:
            return True
        self.packets.pop(packet, None)
        self.packets[packet] = now.mono_ns
        if len(self.packets) > _PACKETS:
            del self.packets[next(iter(self.packets))]
        return False

    def turns(self, of_what: str, state: str) -> bool:
        changed = self.states.get(of_what) != state
        self.states[of_what] = state
        return changed


class TheengsSession:
    """All that the Bluetooth gateways of a home hear."""

    def __init__(self) -> None:
        self._devices = Recent(_Known)

    def receive(self, message: MqttMessage, now: Stamp) -> Iterable[Item]:
        if message.retained or not message.payload:
            return []
        is_json, value = json_value(message.payload)
        if not is_json or not isinstance(value, dict):
            return [Refused("sanity", raw_text(message.payload))]
        if "model_id" not in value:
            return []
        device = f"ble:{_address(message.topic, value)}"
        known = self._devices.of(device)
        if value.get("cipher") or (value.get("encr") and "packet" not in value):
            return _encrypted(device, known)
        known.encrypted = False
        return self._beacon(device, known, value, raw_text(message.payload), now)

    def _beacon(self, device: str, known: _Known, value: dict[str, Any], raw: str, now: Stamp) -> list[Item]:
        packet = value.get("packet")
        packet_id = packet if isinstance(packet, int) and not isinstance(packet, bool) and 0 <= packet < 256 else None
        again = packet_id is not None and known.hears_again(packet_id, now)
        items = _presses(device, known, value, packet_id, raw, now)
        items += _hazards(device, known, value, raw, again)
        if not again:
            items += _states(device, known, value, raw)
            measured = tuple(_readings(device, value))
            items += [Readings(measured)] if measured else []
        return items or [Seen(device)]


def _address(topic: str, value: dict[str, Any]) -> str:
    """The MAC address: the device's own word, else the topic's, else that of the beacon."""
    words = (value.get("mac"), topic.rpartition("/")[2], value.get("id"))
    for word in words:
        mac = re.sub(r"[:-]", "", word).lower() if isinstance(word, str) else ""
        if _MAC.match(mac):
            return mac
    return re.sub(r"[^0-9a-z-]+", "-", topic.rpartition("/")[2].lower())[:40]  # macOS hides addresses


def _encrypted(device: str, known: _Known) -> list[Item]:
    told, known.encrypted = known.encrypted, True
    return [Seen(device)] if told else [DeviceNote(device, "encrypted", _ENCRYPTED)]


def _presses(device: str, known: _Known, value: dict[str, Any], packet: int | None, raw: str, now: Stamp) -> list[Item]:
    pressed = [
        prefix + _PRESSES.get(said, f"press-{said}")
        for key, prefix in _BUTTONS
        if isinstance(said := value.get(key), int) and not isinstance(said, bool) and 0 < said < 256
    ]
    if not pressed:
        return []
    facts = _facts(value)
    if packet is not None:
        telegram, facts = str(packet), (*facts, ("packet", packet))
    else:
        if known.pressed_ns is None or not 0 <= now.mono_ns - known.pressed_ns <= _QUIET_NS:
            known.burst = f"at:{now.wall_ns}"
        known.pressed_ns = now.mono_ns
        telegram = known.burst
    return [Press(device, button, f"{telegram}:{button}", raw, facts=facts) for button in pressed]


def _states(device: str, known: _Known, value: dict[str, Any], raw: str) -> list[Item]:
    items: list[Item] = []
    for key, true, false in _STATES:
        said = _flag(value.get(key)) if key != "pres" or isinstance(value.get(key), bool) else None
        if said is not None and known.turns(true, true if said else false):
            items.append(Change(device, true if said else false, raw))
    return items


def _hazards(device: str, known: _Known, value: dict[str, Any], raw: str, again: bool) -> list[Item]:
    items: list[Item] = []
    for hazard in _HAZARDS:
        said = _flag(value.get(hazard))
        if said:
            known.turns(hazard, "there")
            items.append(Press(device, hazard, hazard, raw, facts=_facts(value), lasting=True))
        elif said is False and not again and known.turns(hazard, "over"):
            items.append(Release(device, hazard))
    return items


def _readings(device: str, value: dict[str, Any]) -> Iterator[Reading]:
    for key, quantity, least, most in _READINGS:
        exact = number(value.get(key))
        if exact is not None and least <= exact <= most:
            yield Reading(device, quantity, float(exact), TELEMETRY_UNITS[quantity])


def _flag(value: Any) -> bool | None:
    return bool(value) if isinstance(value, bool | int) and value in (0, 1) else None


def _facts(value: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """What the operator sees beside a press."""
    facts: list[tuple[str, Any]] = []
    for key, fact in (("rssi", "rssi_dbm"), ("batt", "battery")):
        exact = number(value.get(key))
        if exact is not None:
            facts.append((fact, float(exact)))
    if isinstance(value.get("model_id"), str):
        facts.append(("model", value["model_id"][:40]))
    return tuple(facts)


def _open_session(options: dict[str, Any]) -> TheengsSession:
    check_config(options, _Options, _NAME)
    return TheengsSession()


def _configure(options: dict[str, Any]) -> MqttDriver:
    base = check_config(options, _Options, _NAME).base
    topic = re.compile(re.escape(base) + r"/[^/]+/BTtoMQTT/[^/]+\Z")
    return MqttDriver(
        name=_NAME,
        subscriptions=(f"{base}/+/BTtoMQTT/+",),
        claims=lambda name: topic.match(name) is not None,
        open_session=_open_session,
        grouping=GroupingRule(quiet_gap_s=600.0, remember=_PACKETS),
        configure=_configure,
        example_topic="home/gateway/BTtoMQTT/001122334455",
    )


DRIVER = _configure({})
