"""Blood-pressure monitors with Bluetooth's own profile, through any bridge that forwards the raw GATT values.

    hearthline/ble/<bridge>/<MAC>/2a35   a measurement, as indicated by the characteristic 0x2A35
    hearthline/ble/<bridge>/<MAC>/2a36   the pressure in the cuff while it measures: alive, nothing more

    payload   160078…                    hexadecimal digits, upper or lower case, spaces, ":" and "-" allowed
              the bytes as they are
              {"value": "160078…", "rssi": -60}

    flags | systolic | diastolic | mean | [year 2, month, day, hour, minute, second] | [pulse] | [user] | [status 2]
    flags   bit 0 kPa (else mmHg), 1 time, 2 pulse, 3 user, 4 status; 5 to 7 reserved, and set by real cuffs
    values  SFLOAT: 4 bits of exponent, 12 of mantissa, both signed; 07FF NaN, 0800 NRes, 07FE +INF, 0802 -INF,
            0801 reserved: each means that there is no value
    status  bit 0 body movement, 1 cuff too loose, 2 irregular pulse, 3 and 4 pulse rate beyond the upper (1) or lower
            (2) limit, 5 improper position

Source: Bluetooth SIG, GATT Specification Supplement, Blood Pressure Measurement (3.31), and the Blood Pressure Profile;
1 kPa is 7.50061683 mm[Hg], rounded to 0.1. `<MAC>` with or without separators. A bridge publishes with QoS 1 and
without the retain flag: a retained measurement is passed over.

After connecting, a cuff sends what it has stored, oldest first: each is a result of its own. The same bytes of the same
cuff come once: as long as they are remembered (64 results a cuff) when they hold a time, else within 30 s, which covers
several bridges but not the same pressure measured anew. A device's clock is data. `topic` changes the levels before
<bridge>. Unverified on recorded values: no public recording of an indication with its meaning was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from hearthline.clock import NS, Stamp
from hearthline.config import Config, check_config
from hearthline_edge.devices import DeviceNote, GroupingRule, Item, MqttDriver, MqttMessage, Refused, Seen, Vital
from hearthline_edge.payload import json_value, number, raw_text

_NAME: Final = "ble-gatt-bp"
_HEX: Final = re.compile(rb"(?:[0-9a-fA-F]{2}[ :-]?)+\Z")
_SEPARATORS: Final = re.compile(r"[ :-]")
_KPA: Final = Decimal("7.50061683")  # mm[Hg]
_TENTH: Final = Decimal("0.1")
_PLAUSIBLE: Final = (Decimal(10), Decimal(300))  # mm[Hg], and beats a minute
_NO_VALUE: Final = (0x7FF, 0x800, 0x7FE, 0x802, 0x801)
_UNKNOWN_USER: Final = 255
_STATUS: Final = (
    (0x01, "body_movement"),
    (0x02, "cuff_too_loose"),
    (0x04, "irregular_pulse"),
    (0x20, "wrong_position"),
)
_PULSE_LIMITS: Final = {1: "pulse_above_limit", 2: "pulse_below_limit"}
_REMEMBERED: Final = 64
_SAME_NS: Final = 30 * NS
_KNOWN_DEVICES: Final = 200
_PAYLOAD_LIMIT: Final = 1024  # characters; a measurement has at most 19 bytes
_VALUE_LIMIT: Final = 64


@dataclass(frozen=True, slots=True)
class Measurement:
    """`values` in mm[Hg] and beats a minute, those that are there; `time` as the cuff says it, "" without."""

    values: dict[str, Decimal]
    time: str
    user: int | None
    status: tuple[str, ...]
    timed: bool


class _Options(Config, frozen=True):
    topic: str = "hearthline/ble"


class BloodPressureSession:
    """Every cuff behind every bridge."""

    def __init__(self, topic: re.Pattern[str]) -> None:
        self._topic = topic
        self._told: dict[str, dict[bytes, int]] = {}  # device: result and when it was told last

    def receive(self, message: MqttMessage, now: Stamp) -> Iterable[Item]:
        match = self._topic.match(message.topic)
        if match is None or message.retained or not message.payload:
            return []
        bridge, address, characteristic = match[1], _SEPARATORS.sub("", match[2]).lower(), match[3].lower()
        device = f"ble:{address}"
        data, level = _unwrap(message.payload)
        if data is None:
            return [Refused("sanity", raw_text(message.payload))]
        if len(data) > _VALUE_LIMIT:
            return [Refused("length", data[:_VALUE_LIMIT].hex())]
        if characteristic == "2a36":
            return [Seen(device)]
        return self._measurement(device, bridge, data, level, now)

    def _measurement(self, device: str, bridge: str, data: bytes, level: Decimal | None, now: Stamp) -> list[Item]:
        found = parse(data)
        if found is None:
            return [Refused("length", data.hex())]
        systolic, diastolic = found.values.get("systolic"), found.values.get("diastolic")
        if not _are_plausible([systolic, diastolic]) or (systolic and diastolic and systolic <= diastolic):
            return [Refused("sanity", data.hex())]
        if self._was_told(device, data, found.timed, now):
            return [Seen(device)]
        if systolic is None or diastolic is None:
            return [DeviceNote(device, "measurement-error", ", ".join(found.status) or "no result, measure again")]
        facts: list[tuple[str, Any]] = [("bridge", bridge[:64]), *((word, True) for word in found.status)]
        if level is not None:
            facts.append(("rssi_dbm", float(level)))
        values = tuple((quantity, float(value)) for quantity, value in found.values.items())
        return [Vital(device, values, found.user, found.time, data.hex(), tuple(facts))]

    def _was_told(self, device: str, data: bytes, timed: bool, now: Stamp) -> bool:
        told = self._told.pop(device, {})
        self._told[device] = told
        if len(self._told) > _KNOWN_DEVICES:
            del self._told[next(iter(self._told))]
        before_ns = told.pop(data, None)
        told[data] = now.mono_ns
        if len(told) > _REMEMBERED:
            del told[next(iter(told))]
        return before_ns is not None and (timed or 0 <= now.mono_ns - before_ns <= _SAME_NS)


def parse(data: bytes) -> Measurement | None:
    """A measurement of the characteristic 0x2A35; None when its length does not fit its flags."""
    flags = data[0] if data else 0
    in_kpa, timed, has_pulse, has_user, has_status = (bool(flags >> bit & 1) for bit in range(5))
    length = 7 + 7 * timed + 2 * has_pulse + has_user + 2 * has_status
    if len(data) < length or (len(data) > length and not flags & 0xE0):
        return None
    values = {}
    for place, quantity in ((1, "systolic"), (3, "diastolic"), (5, "mean_arterial_pressure")):
        value = _sfloat(data[place : place + 2])
        if value is not None:
            values[quantity] = (value * _KPA).quantize(_TENTH) if in_kpa else value
    place = 7
    time = _time(data[place : place + 7]) if timed else ""
    place += 7 * timed
    pulse = _sfloat(data[place : place + 2]) if has_pulse else None
    if pulse is not None:
        values["heart_rate"] = pulse
    place += 2 * has_pulse
    user = data[place] if has_user and data[place] != _UNKNOWN_USER else None
    place += has_user
    status = _status(int.from_bytes(data[place : place + 2], "little")) if has_status else ()
    for quantity in ("mean_arterial_pressure", "heart_rate"):
        if not _are_plausible([values.get(quantity)]):
            del values[quantity]  # a zero for "unknown"
    return Measurement(values, time, user, status, timed and bool(time))


def _sfloat(data: bytes) -> Decimal | None:
    """IEEE 11073-20601 SFLOAT, exactly; None for its words for no value."""
    word = int.from_bytes(data, "little")
    mantissa, exponent = word & 0xFFF, word >> 12
    if word in _NO_VALUE:
        return None
    mantissa -= 0x1000 if mantissa & 0x800 else 0
    exponent -= 16 if exponent & 8 else 0
    return Decimal(mantissa).scaleb(exponent)


def _time(data: bytes) -> str:
    """The cuff's own date and time; "" when it has none (a year, month or day of 0) or no real one."""
    month, day, hour, minute, second = data[2:7]
    try:
        told = datetime(data[0] | data[1] << 8, month, day, hour, minute, second, tzinfo=UTC)
        return told.replace(tzinfo=None).isoformat()
    except ValueError:
        return ""


def _status(bits: int) -> tuple[str, ...]:
    words = [word for bit, word in _STATUS if bits & bit]
    limit = _PULSE_LIMITS.get(bits >> 3 & 3)
    return tuple([*words, limit] if limit else words)


def _are_plausible(values: list[Decimal | None]) -> bool:
    least, most = _PLAUSIBLE
    return all(value is None or least <= value <= most for value in values)


def _unwrap(payload: bytes) -> tuple[bytes | None, Decimal | None]:
    """(the value's bytes, signal strength) of a payload in any of its three forms; None when it is none of them."""
    text, level = payload[:_PAYLOAD_LIMIT].strip(), None
    is_json, value = json_value(payload) if text.startswith(b"{") else (False, None)
    if is_json and isinstance(value, dict):
        told = value.get("value")
        if not isinstance(told, str):
            return None, None
        text, level = told[:_PAYLOAD_LIMIT].strip().encode("utf-8", "replace"), number(value.get("rssi"))
    if _HEX.match(text):
        return bytes.fromhex(_SEPARATORS.sub("", text.decode("ascii"))), level
    return (None, None) if is_json else (payload[:_PAYLOAD_LIMIT], None)


def _pattern(options: dict[str, Any]) -> tuple[str, re.Pattern[str]]:
    topic = check_config(options, _Options, _NAME).topic.strip("/")
    mac = r"((?:[0-9a-fA-F]{2}[:-]?){5}[0-9a-fA-F]{2})"
    return topic, re.compile(rf"{re.escape(topic)}/([^/]+)/{mac}/(2[aA]3[56])\Z")


def _configure(options: dict[str, Any]) -> MqttDriver:
    topic, pattern = _pattern(options)
    return MqttDriver(
        name=_NAME,
        subscriptions=(f"{topic}/+/+/+",),
        claims=lambda name: pattern.match(name) is not None,
        open_session=lambda options: BloodPressureSession(_pattern(options)[1]),
        grouping=GroupingRule(quiet_gap_s=0.0),
        configure=_configure,
        example_topic=f"{topic}/bridge/001122334455/2a35",
    )


DRIVER = _configure({})
