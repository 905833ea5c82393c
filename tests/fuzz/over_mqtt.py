"""Whoever is heard over MQTT: every driver, some of them with options, and every shipped profile."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fuzz.families import MQTT, vectors
from hearthline_edge.devices import MqttDriver, MqttMessage, MqttSession
from hearthline_edge.profile_mqtt import mqtt_driver
from hearthline_edge.profiles import load_profiles

_PROFILES: Final = Path(__file__).parent.parent / "edge" / "profiles.jsonl"
_TYPES: Final = {"change": "Change", "press": "Press", "release": "Release", "devicenote": "DeviceNote"}


@dataclass(frozen=True, slots=True)
class Speaker:
    """`messages`: recorded ones; `says`: the types of item that they give."""

    driver: MqttDriver
    messages: tuple[MqttMessage, ...]
    says: frozenset[str]
    options: dict[str, Any] = field(default_factory=dict)

    def open_session(self) -> MqttSession:
        return self.driver.configured(self.options).open_session(self.options)


def _of_driver(name: str, **options: Any) -> Speaker:
    messages = tuple(
        MqttMessage(message["topic"], message["payload"].encode(), message.get("retained", False))
        for vector in vectors(name)
        for message in vector["messages"]
    )
    says = {item["type"] for vector in vectors(name) for item in vector["items"]}
    return Speaker(MQTT[name], messages, frozenset(() if options else says), options)


def _of_profiles() -> dict[str, Speaker]:
    known, recorded = load_profiles(None), [json.loads(line) for line in _PROFILES.read_text("utf-8").splitlines()]
    speakers = {}
    for name in known.of_way("mqtt"):
        own = [each for each in recorded if each["profile"] == name]
        messages = tuple(MqttMessage(topic, text.encode(), False) for each in own for topic, text in each["messages"])
        says = {_TYPES[event.split()[0]] for each in own for event in each["events"] if not event.startswith("refused")}
        if any(each["readings"] for each in own):
            says.add("Readings")
        driver = mqtt_driver(known.known[name])
        speakers[driver.name] = Speaker(driver, messages, frozenset(says))
    return speakers


PROFILES: dict[str, Speaker] = _of_profiles()
SPEAKERS: dict[str, Speaker] = {
    **{name: _of_driver(name) for name in MQTT},
    **PROFILES,
    "zigbee2mqtt by attributes": _of_driver("zigbee2mqtt", attribute_output=True),
    "tasmota as rtl433": _of_driver("tasmota", as_rtl433=True),
    "rtl433-json with meanings": _of_driver(
        "rtl433-json",
        sensors={
            "rf433:ev1527:d3cf6": {"0x8": "leak", "*": "low-battery"},
            "rf433:visonic-powercode:6f4770": {"alarm": "open"},
        },
    ),
}
