"""The domain's words and values, in the terms of telecare, metering and FHIR.

Frozen values only; nothing here reads a clock or does I/O. What carries personal data lives in the cloud alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class ButtonRole(StrEnum):
    """What a button means. A service call opens its own queue and is never an emergency."""

    EMERGENCY = "emergency"
    SERVICE = "service"


class EventType(StrEnum):
    """CloudEvents `type` of everything that goes up the event lane."""

    ALARM = "hearthline.alarm.v1"
    VITAL = "hearthline.vital.v1"
    DEVICE = "hearthline.device.v1"
    ANSWER = "hearthline.answer.v1"


class Lane(StrEnum):
    """The two ways out of a gateway; each has its own quota, queue, session and acknowledgement."""

    EVENT = "event"
    TELEMETRY = "telemetry"


class HomeSignal(StrEnum):
    """What the home is told about a press."""

    RECEIVED = "received"  # the center has it in its database
    ACCEPTED = "accepted"  # a person has taken it


Certainty = Literal["certain", "possible"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One measured value. `quantity` is a lower-case word; `unit` is of RFC 8428 or RFC 8798."""

    device: str
    quantity: str
    value: float
    unit: str


# Quantity -> unit: a quantity has one unit for ever, so that a field of the store never changes its meaning.
TELEMETRY_UNITS: dict[str, str] = {
    "energy_import": "kWh",
    "energy_export": "kWh",
    "power": "W",
    "reactive_power": "var",
    "apparent_power": "VA",
    "power_factor": "/",
    "voltage": "V",
    "current": "A",
    "frequency": "Hz",
    "temperature": "Cel",
    "battery": "%EL",
    "battery_voltage": "V",
    "radio_level": "dBm",
}

# Vital signs in UCUM units.
VITAL_UNITS: dict[str, str] = {
    "systolic": "mm[Hg]",
    "diastolic": "mm[Hg]",
    "heart_rate": "/min",
}
