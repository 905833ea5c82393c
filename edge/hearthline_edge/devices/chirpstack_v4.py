"""LoRaWAN devices through ChirpStack v4's MQTT integration, in its JSON.

    application/<id>/device/<EUI>/event/up      {"deduplicationId": …, "devAddr": "00189440", "fCnt": 5, "fPort": 85,
                                                 "data": "/y4B", "rxInfo": [{"rssi": -36, "snr": 10.5}, …]}
    …/event/join                                the device has joined: alive
    …/event/status                              {"margin": 10, "batteryLevel": 88.3}
    …/event/log                                 {"level": "ERROR", "code": "UPLINK_MIC", "description": …}
    …/event/ack, txack, location, integration   no word of the device: passed over

JSON of Protocol Buffers leaves out what is zero, false or empty: an uplink without `fCnt` has frame 0, one without
`fPort` port 0. `data` is base64; it is decoded here (`lorawan_codecs`), since `object` depends on whichever codec
somebody installed. Devices that no codec here knows are seen; a profile may map their `object`.

ChirpStack merges what several gateways hear into one uplink, with one entry of `rxInfo` each. One uplink is one
(`devAddr`, `fCnt`) of one EUI: a redelivery, a second integration or a device's own retransmission repeats it, within
a minute of the last; after a join `devAddr` is new and `fCnt` begins at 0. The last 16 are known. A hazard counts also
in a known frame, for a device without joins (ABP) may begin at 0 again. An error of a device is told once, until its
next uplink. Retained messages are passed over (ChirpStack retains none).

Sources: ChirpStack documentation, integrations/events (its examples are tests/captures/chirpstack-v4) and
integration.proto. `prefix`: levels before application/, where the integration's topics have been configured so.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from hearthline.clock import Stamp
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
from hearthline_edge.devices.lorawan_codecs import Said, decode, is_whole
from hearthline_edge.payload import json_value, number, raw_text
from hearthline_edge.recent import Recent

_NAME: Final = "chirpstack-v4"
_EXAMPLE: Final = "application/1/device/0000000000000000/event/up"
_TOPIC: Final = r"application/[^/]+/device/([0-9a-fA-F]{16})/event/([a-z]+)\Z"
_FRAMES: Final = 16
_QUIET_GAP_S: Final = 60.0  # between what repeats one frame
_FACT_LIMIT: Final = 64
_DETAIL_LIMIT: Final = 200
_NOT_THE_DEVICE: Final = "UPLINK_CODEC"  # a codec at the server, which is not used here


class _Options(Config, frozen=True):
    prefix: str = ""


@dataclass(slots=True)
class _Known:
    """What the session knows of one device."""

    frames: list[str] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    errors: set[str] = field(default_factory=set)

    def turns(self, of_what: str, state: str) -> bool:
        changed = self.states.get(of_what) != state
        self.states[of_what] = state
        return changed


class ChirpStackSession:
    """One ChirpStack."""

    def __init__(self, topic: re.Pattern[str]) -> None:
        self._topic = topic
        self._devices = Recent(_Known)

    def receive(self, message: MqttMessage, now: Stamp) -> Iterable[Item]:
        match = self._topic.match(message.topic)
        if match is None or message.retained or not message.payload:
            return []
        is_json, value = json_value(message.payload)
        if not is_json or not isinstance(value, dict):
            return [Refused("sanity", raw_text(message.payload))]
        device = f"lorawan:{match[1].lower()}"
        known = self._devices.of(device)
        match match[2]:
            case "up":
                return self._uplink(device, known, value, message, now)
            case "join":
                return [Seen(device)]
            case "status":
                return _status(device, value)
            case "log":
                return _log(device, known, value)
            case _:
                return []

    def _uplink(
        self, device: str, known: _Known, value: dict[str, Any], message: MqttMessage, now: Stamp
    ) -> list[Item]:
        raw = raw_text(message.payload)
        try:
            data = base64.b64decode(value.get("data") or "", validate=True)
        except (binascii.Error, ValueError, TypeError):
            return [Refused("sanity", raw)]
        port, count, address = value.get("fPort") or 0, value.get("fCnt") or 0, _text(value.get("devAddr"))
        if not _is_count(port):
            return [Refused("sanity", raw)]
        known.errors.clear()
        frame = f"{address}:{count}" if _is_count(count) and address else f"at:{now.wall_ns}"
        again = frame in known.frames
        known.frames = [*(told for told in known.frames if told != frame), frame][-_FRAMES:]
        said = decode(port, data, _text(_info(value).get("deviceProfileName")))
        items: list[Item] = [
            Press(device, one.word, frame, raw, facts=_facts(value)) for one in said if one.kind == "press"
        ]
        items += _hazards(device, known, said, value, raw, again)
        if not again:
            items += _states(device, known, said, raw)
            measured = {one.word: one.value for one in said if one.kind == "reading"}
            if measured:
                items.append(
                    Readings(tuple(Reading(device, q, float(v), TELEMETRY_UNITS[q]) for q, v in measured.items()))
                )
        return items or [Seen(device)]


def _hazards(device: str, known: _Known, said: list[Said], value: dict[str, Any], raw: str, again: bool) -> list[Item]:
    items: list[Item] = []
    for one in (one for one in said if one.kind == "hazard"):
        if one.there:
            known.turns(one.word, "there")
            items.append(Press(device, one.word, one.word, raw, facts=_facts(value), lasting=True))
        elif not again and known.turns(one.word, "over"):
            items.append(Release(device, one.word))
    return items


def _states(device: str, known: _Known, said: list[Said], raw: str) -> list[Item]:
    items: list[Item] = []
    for one in said:
        if one.kind == "change" and known.turns("contact", one.word):
            items.append(Change(device, one.word, raw))
        elif one.kind == "note" and known.turns(one.word, "there" if one.there else "over") and one.there:
            items.append(DeviceNote(device, one.word, "dismounted"))
    return items


def _status(device: str, value: dict[str, Any]) -> list[Item]:
    level = number(value.get("batteryLevel"))
    known = not value.get("externalPowerSource") and not value.get("batteryLevelUnavailable")
    if level is None or not known or not 0 <= level <= 100:
        return [Seen(device)]
    return [Readings((Reading(device, "battery", float(level), TELEMETRY_UNITS["battery"]),))]


def _log(device: str, known: _Known, value: dict[str, Any]) -> list[Item]:
    """An error once; the server's own remarks show no life."""
    code = _text(value.get("code")) or "UNKNOWN"
    if value.get("level") != "ERROR" or code == _NOT_THE_DEVICE or code in known.errors or len(known.errors) >= _FRAMES:
        return []
    known.errors.add(code)
    return [DeviceNote(device, "error", f"{code}: {_text(value.get('description'), _DETAIL_LIMIT)}")]


def _facts(value: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """What the operator sees beside a press: the best reception, by whom, and when by the network server."""
    count = value.get("fCnt") or 0
    facts: list[tuple[str, Any]] = [("frame", count)] if _is_count(count) else []
    received = value.get("rxInfo")
    heard = [info for info in received if isinstance(info, dict)] if isinstance(received, list) else []
    for key, fact in (("rssi", "rssi_dbm"), ("snr", "snr_db")):
        levels = [level for info in heard if (level := number(info.get(key))) is not None]
        if levels:
            facts.append((fact, float(max(levels))))
    if heard:
        facts.append(("gateways", len(heard)))
    if text := _text(value.get("time")):
        facts.append(("device_time", text))
    return tuple(facts)


def _info(value: dict[str, Any]) -> dict[str, Any]:
    info = value.get("deviceInfo")
    return info if isinstance(info, dict) else {}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 32


def _text(value: Any, limit: int = _FACT_LIMIT) -> str:
    return value[:limit] if isinstance(value, str) else ""


def _wrap(payload: bytes) -> MqttMessage:
    """The uplink of a bare radio payload of a Milesight device; whatever else it is stays so, and is refused.

    A live uplink comes from a device, and an odd one with a press in it raises. A line of a recording may be anything.
    """
    if not is_whole(payload):
        return MqttMessage(_EXAMPLE, payload, False)
    return MqttMessage(_EXAMPLE, msgspec.json.encode({"fPort": 85, "data": base64.b64encode(payload).decode()}), False)


def _pattern(options: dict[str, Any]) -> tuple[str, re.Pattern[str]]:
    prefix = check_config(options, _Options, _NAME).prefix.strip("/")
    start = f"{prefix}/" if prefix else ""
    return start, re.compile(re.escape(start) + _TOPIC)


def _configure(options: dict[str, Any]) -> MqttDriver:
    start, topic = _pattern(options)
    return MqttDriver(
        name=_NAME,
        subscriptions=(f"{start}application/+/device/+/event/+",),
        claims=lambda name: topic.match(name) is not None,
        open_session=lambda options: ChirpStackSession(_pattern(options)[1]),
        grouping=GroupingRule(quiet_gap_s=_QUIET_GAP_S, remember=_FRAMES),
        configure=_configure,
        example_topic=f"{start}{_EXAMPLE}",
        wrap=_wrap,
    )


DRIVER = _configure({})
