"""Zigbee sensors and plugs behind Zigbee2MQTT 1.x and 2.x: door, motion, smoke, leak, room climate, smart plug.

    zigbee2mqtt/<name>                {"contact":false,…} {"occupancy":true,…} {"smoke":true,…} {"water_leak":true,…}
    zigbee2mqtt/<name>                {"power":3,"energy":8.42,"current":0.1,"voltage":241,"state":"ON",…}
    zigbee2mqtt/<name>/availability   online (1.x)  {"state":"online"} (2.x), retained
    zigbee2mqtt/bridge/state          the same of the bridge itself, retained

Source: zigbee2mqtt.io ("Exposes", topics); messages of its issues: nulls after a restart, `battery` a number, a
fraction or a text, battery_low true, false or null, a motion detector that tells `occupancy: true` again at each
movement. The whole remembered state is told with each report.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final, Literal

import msgspec

from hearthline_sim.devices.bus import Value
from hearthline_sim.devices.emission import Publish
from hearthline_sim.devices.zigbee_sos import Dialect

Sense = Literal["door", "motion", "smoke", "leak"]

ATTRIBUTE: Final[dict[Sense, str]] = {
    "door": "contact",
    "motion": "occupancy",
    "smoke": "smoke",
    "leak": "water_leak",
}
WORDS: Final[dict[Sense, tuple[str, str]]] = {  # when it happens, when it is over
    "door": ("open", "closed"),
    "motion": ("motion", "no-motion"),
    "smoke": ("smoke", "clear"),
    "leak": ("leak", "clear"),
}


def state_payload(word: Literal["online", "offline"], dialect: Dialect) -> bytes:
    return word.encode() if dialect == "1.x" else msgspec.json.encode({"state": word})


def bridge_state(word: Literal["online", "offline"], dialect: Dialect, base: str = "zigbee2mqtt") -> Publish:
    """Zigbee2MQTT itself comes or goes."""
    return Publish(0.0, f"{base}/bridge/state", state_payload(word, dialect), retain=True)


def attribute_topics(whole: Publish, body: dict[str, Any]) -> list[Publish]:
    """What `output: attribute_and_json` publishes besides: a topic an attribute, a text as it is, null as nothing."""
    after_s = whole.after_s + 0.001
    messages = []
    for name, value in body.items():
        text = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
        messages.append(Publish(after_s, f"{whole.topic}/{name}", b"" if value is None else text, whole.retain))
    return messages


class ZigbeeSensor:
    """One sensor of one sense. `active`: open, moving, smoke, leak."""

    def __init__(
        self,
        name: str,
        sense: Sense,
        rng: Random,
        *,
        dialect: Dialect = "2.x",
        base: str = "zigbee2mqtt",
        retain: bool = False,
        attributes: bool = False,
    ) -> None:
        """`attributes`: Zigbee2MQTT publishes each attribute on a topic of its own as well."""
        self.device = f"z2m:{name}"
        self.sense: Sense = sense
        self.active = False
        self._topic = f"{base}/{name}"
        self._rng = rng
        self._dialect: Dialect = dialect
        self._retain = retain
        self._attributes = attributes
        self._battery: Any = rng.choice((100, 87.5, "100.00", None))
        self._battery_low: Any = rng.choice((False, None))

    def happen(self, active: bool) -> tuple[Publish, ...]:
        """The report of a change; a motion detector tells each further movement again."""
        self.active = active
        copies = self._rng.randint(1, 3) if active and self.sense in ("motion", "smoke", "leak") else 1
        return tuple(message for index in range(copies) for message in self._report(0.4 * index, active))

    def announce(self) -> tuple[Publish, ...]:
        """After a restart of Zigbee2MQTT: online, and a state whose sense is not known yet."""
        online = Publish(0.0, f"{self._topic}/availability", state_payload("online", self._dialect), retain=True)
        return online, *self._report(0.003, None)

    def _report(self, after_s: float, active: bool | None) -> tuple[Publish, ...]:
        told = (not active if self.sense == "door" else active) if active is not None else None
        body = {
            "battery": self._battery,
            "battery_low": self._battery_low,
            ATTRIBUTE[self.sense]: told,
            "linkquality": self._rng.randint(14, 192),
            "tamper": False,
            "voltage": self._rng.randint(2900, 3100),
        }
        whole = Publish(after_s, self._topic, msgspec.json.encode(body), self._retain)
        return (whole, *attribute_topics(whole, body)) if self._attributes else (whole,)


class ZigbeePlug:
    """One metering plug; `energy` in kWh of two decimals."""

    def __init__(self, name: str, rng: Random, *, base: str = "zigbee2mqtt") -> None:
        self.device = f"z2m:{name}"
        self._topic = f"{base}/{name}"
        self._rng = rng

    def status(self, power_w: float, energy_kwh: float) -> tuple[tuple[Publish, ...], tuple[Value, ...]]:
        """One report, and the values in it."""
        volts = round(self._rng.gauss(230.0, 1.5))
        shown = {
            "power": round(power_w),
            "energy": round(energy_kwh, 2),
            "voltage": volts,
            "current": round(power_w / volts, 2),
        }
        body = {
            "child_lock": "UNLOCK",
            "indicator_mode": None,
            **shown,
            "linkquality": self._rng.randint(14, 192),
            "state": "ON",
            "update": {"state": None},
            "update_available": None,
        }
        names = {"power": "power", "energy": "energy_import", "voltage": "voltage", "current": "current"}
        values = tuple(Value(self.device, names[field], value) for field, value in shown.items())
        return (Publish(0.0, self._topic, msgspec.json.encode(body)),), values
