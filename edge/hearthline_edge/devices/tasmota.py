"""Tasmota: energy meters, climate sensors, relays, and 433 MHz buttons through its RF bridges.

    tele/<topic>/SENSOR   {"Time": "2018-02-15T17:37:10", "ENERGY": {"Total": kWh, "Power": W, "Voltage": V, …},
                           "DS18B20": {"Id": …, "Temperature": …}, "AM2301": {"Humidity": %, …}, "TempUnit": "C"}
    tele/<topic>/STATE    {"POWER": "ON", "Wifi": {"Signal": dBm}, …}
    tele/<topic>/RESULT   {"RfReceived": …} or {"RfRaw": …}: tasmota_rf; also as RFRECEIVED, RFRAW (SetOption4)
    stat/<topic>/RESULT   {"POWER1": "OFF"} the moment it is switched
    tele/<topic>/LWT      Online or Offline (the last will, retained)
    tele/<topic>/DEEPSLEEP  it goes to sleep; its Offline is normal from then on (unverified)

Sources: the Tasmota documentation (MQTT, Commands, Energy, JSON-Status-Responses), Tasmota's source where named;
recorded payloads in tests/captures/tasmota. Any topic that ends in these words and has a level `tele` (or `stat`) is
understood: the device is tasmota:<the other levels>. What is subscribed follows from `full_topics`, the FullTopic of
the devices in Tasmota's own notation.

- A value is a number, or a list with one of each phase or channel: `:A`, `:B`, `:C` … Total is in kWh; Today,
  Yesterday and Period are passed over. TotalTariff and ExportTariff list tariffs.
- A sensor's values are of `:<its name>`, with its Id where it has one, for the numbers in the names of several alike
  (DS18B20-1) follow their count. Fahrenheit and millimetres of mercury are converted.
- Time has no zone and comes from a clock that may never have been set (recorded: older than TotalStartTime): data.
- rtl_433 prints the same 24 bits the last first. A home that hears its buttons through both sets `as_rtl433`: then a
  button has the one name that the driver rtl433-json gives it, and its press is one event.
- Texts of other languages (POWER "AN", LWT "Aktywny") are passed over or refused.

One press is one event: rc-switch and the sniffer tell each repeat of a held button (recorded: ten telegrams), and the
RF bridge passes over the same code for 2 s after each telling (SFB_TIME_AVOID_DUPLICATE), so a held button is told
every 2 s. The quiet gap of 2.5 s is the least that makes one press of that.

A retained message is an old moment and gives nothing, for nothing in it tells its age; a retained Offline still holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hearthline.clock import Stamp
from hearthline.config import Config, check_config
from hearthline.errors import ConfigError
from hearthline_edge.devices import (
    Change,
    DeviceNote,
    GroupingRule,
    Item,
    MqttDriver,
    MqttMessage,
    Press,
    Readings,
    RefusalReason,
    Refused,
    Seen,
    rtl433_codes,
)
from hearthline_edge.devices.tasmota_rf import Transmission, received, sniffed
from hearthline_edge.devices.tasmota_values import radio_level, sensor_readings
from hearthline_edge.payload import json_value, raw_text
from hearthline_edge.recent import Recent

_WORDS: Final = ("SENSOR", "STATE", "RESULT", "RFRECEIVED", "RFRAW", "LWT", "DEEPSLEEP")
_POWER: Final = re.compile(r"POWER([1-9]|[12][0-9]|3[0-2])?\Z")
_SWITCHED: Final = {"ON": "on", "OFF": "off"}
_TEXT_LIMIT: Final = 64


class _Options(Config, frozen=True):
    full_topics: tuple[str, ...] = ("%prefix%/%topic%/", "%topic%/%prefix%/")
    as_rtl433: bool = False


@dataclass(slots=True)
class _Known:
    offline: bool = False
    sleeps: bool = False
    states: dict[str, str] = field(default_factory=dict)


class TasmotaSession:
    """Remembers who is offline and what is switched on, so that each change is told once.

    `as_rtl433`: radio buttons have the names that the driver rtl433-json gives them.
    """

    def __init__(self, as_rtl433: bool) -> None:
        self._as_rtl433 = as_rtl433
        self._devices = Recent(_Known)

    def receive(self, message: MqttMessage, now: Stamp) -> Iterable[Item]:
        place = _place(message.topic)
        if place is None or not message.payload:
            return []
        name, word = place
        device = f"tasmota:{name}"
        if word == "LWT":
            return self._last_will(device, message)
        if message.retained:
            return []
        is_json, value = json_value(message.payload)
        if not is_json or not isinstance(value, dict):
            return [Refused("sanity", raw_text(message.payload))]
        known = self._devices.of(device)
        if word == "DEEPSLEEP":
            known.sleeps = True
        return [*_heard(device, known), *self._told(device, known, word, value, message)]

    def _told(self, device: str, known: _Known, word: str, value: dict[str, Any], message: MqttMessage) -> list[Item]:
        raw = raw_text(message.payload)
        if word == "SENSOR":
            readings = sensor_readings(device, value)
            if readings is None:
                return [Refused("sanity", raw)]
            return [Readings(readings)] if readings else [Seen(device)]
        presses = self._radio(device, value, raw)
        if presses:
            return presses
        items = [*_switched(device, known, value, raw), *radio_level(device, value)]
        return items or [Seen(device)]

    def _radio(self, device: str, value: dict[str, Any], raw: str) -> list[Item]:
        """The presses of a telegram that the bridge heard; empty when it tells of none."""
        if "RfReceived" in value:
            heard: Transmission | RefusalReason | None = received(value["RfReceived"])
        else:
            heard = sniffed(value["RfRaw"]) if "RfRaw" in value else None
        if heard is None:
            return []
        if not isinstance(heard, Transmission):
            return [Refused(heard, raw)]
        facts: list[tuple[str, Any]] = [("bridge", device), ("code", heard.code)]
        time = value.get("Time")
        if isinstance(time, str) and time:
            facts.append(("device_time", time[:_TEXT_LIMIT]))
        if self._as_rtl433 and heard.fixed is not None:
            told = rtl433_codes.name(heard.fixed, flex=False)
            heard = replace(heard, device=told.device, buttons=told.buttons)
        return [Press(heard.device, button, button, raw, facts=tuple(facts)) for button in heard.buttons]

    def _last_will(self, device: str, message: MqttMessage) -> list[Item]:
        state = message.payload.strip().lower()
        if state not in (b"online", b"offline"):
            return [Refused("sanity", raw_text(message.payload))]
        known = self._devices.of(device)
        if state == b"online":
            return _heard(device, known) if message.retained else [*_heard(device, known), Seen(device)]
        if known.offline or known.sleeps:
            return []
        known.offline = True
        return [DeviceNote(device, "offline", "the device left its broker")]


def _place(topic: str) -> tuple[str, str] | None:
    """(the device's name, the last word) of a topic; None when it is not Tasmota's."""
    *levels, word = topic.split("/")
    prefix = next((level for level in levels if level in ("tele", "stat")), "")
    if word not in _WORDS or not prefix or (prefix == "stat" and word != "RESULT"):
        return None
    levels.remove(prefix)
    name = "/".join(levels)
    return (name, word) if name and not topic.startswith("zigbee2mqtt") else None


def _heard(device: str, known: _Known) -> list[Item]:
    if not known.offline:
        return []
    known.offline = False
    return [DeviceNote(device, "online", "it is heard again")]


def _switched(device: str, known: _Known, value: dict[str, Any], raw: str) -> list[Item]:
    """Relays that are another way than last told; the first is the device itself, the Nth `:N`."""
    items: list[Item] = []
    for name, told in value.items():
        match = _POWER.match(name)
        kind = _SWITCHED.get(told) if match and isinstance(told, str) else None
        number = match[1] if match and match[1] not in (None, "1") else ""
        if kind and known.states.get(number) != kind:
            known.states[number] = kind
            items.append(Change(f"{device}:{number}" if number else device, kind, raw))
    return items


def _open_session(options: dict[str, Any]) -> TasmotaSession:
    checked = check_config(options, _Options, "tasmota")
    _filters(checked.full_topics)
    return TasmotaSession(checked.as_rtl433)


def _filters(full_topics: tuple[str, ...]) -> tuple[str, ...]:
    """Topic filters of some FullTopics. Raises ConfigError for one that cannot be Tasmota's."""
    filters: list[str] = []
    for index, full_topic in enumerate(full_topics):
        levels = full_topic.strip("/").split("/")
        topics = [level for level in levels if "%topic%" in level]
        if levels.count("%prefix%") != 1 or len(topics) != 1 or "#" in full_topic:
            raise ConfigError(
                f"tasmota: full_topics[{index}] = {full_topic!r}: needs one level %prefix% and one with %topic%,"
                " as in '%prefix%/%topic%/'"
            )
        stem = "/".join("+" if "%topic%" in level else level for level in levels)
        filters += [f"{stem.replace('%prefix%', 'tele')}/+", f"{stem.replace('%prefix%', 'stat')}/RESULT"]
    return tuple(filters)


def _configure(options: dict[str, Any]) -> MqttDriver:
    return MqttDriver(
        name="tasmota",
        subscriptions=_filters(check_config(options, _Options, "tasmota").full_topics),
        claims=lambda topic: _place(topic) is not None,
        open_session=_open_session,
        grouping=GroupingRule(quiet_gap_s=2.5),
        configure=_configure,
        aliases=("tasmota-energy", "tasmota-rfbridge"),
        example_topic="tele/device/SENSOR",
    )


DRIVER = _configure({})
