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


BOUND = "bound"  # the command that tells a gateway what the center says to a binding
DEVICES = "devices"  # the command that brings a gateway the list of its devices
RESEND = "resend"  # the command that asks a gateway to send again what the center has received before
RESENT = "resent"  # in the data of what is sent again: the id of that command
SELF_TEST = "self-test"  # the command that asks a gateway to prove its way to the center, and its marked alarm's role


class Cause(StrEnum):
    """What an alarm is about: a person who pressed, or what a detector tells of."""

    PRESS = "press"
    SMOKE = "smoke"
    HEAT = "heat"
    GAS = "gas"
    CARBON_MONOXIDE = "carbon-monoxide"
    LEAK = "leak"
    FALL = "fall"
    ALARM = "alarm"  # of a detector that does not say of what


class EventType(StrEnum):
    """CloudEvents `type` of everything that goes up the event lane."""

    ALARM = "hearthline.alarm.v1"
    VITAL = "hearthline.vital.v1"
    DEVICE = "hearthline.device.v1"
    ACTIVITY = "hearthline.activity.v1"
    ANSWER = "hearthline.answer.v1"
    CANCEL = "hearthline.cancel.v1"
    BINDING = "hearthline.binding.v1"
    COMMISSIONING = "hearthline.commissioning.v1"


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


# Quantity -> unit of RFC 8428 or RFC 8798: a quantity has one unit for ever, so that a field of the store never changes
# its meaning. A tariff or a phase is no quantity of its own unless its register is: devices tell phases by place.
TELEMETRY_UNITS: dict[str, str] = {
    # electricity
    "energy_import": "kWh",
    "energy_import_t1": "kWh",
    "energy_import_t2": "kWh",
    "energy_import_t3": "kWh",
    "energy_import_t4": "kWh",
    "energy_export": "kWh",
    "energy_export_t1": "kWh",
    "energy_export_t2": "kWh",
    "energy_total": "kWh",  # import and export added up by the meter
    "reactive_energy_import": "kvarh",
    "reactive_energy_export": "kvarh",
    "apparent_energy": "kVAh",
    "power": "W",
    "power_export": "W",
    "power_demand": "W",  # mean over the meter's own period
    "power_demand_max": "W",
    "power_limit": "W",
    "reactive_power": "var",
    "reactive_power_export": "var",
    "apparent_power": "VA",
    "power_factor": "/",
    "phase_angle": "deg",
    "voltage": "V",
    "current": "A",
    "current_limit": "A",
    "frequency": "Hz",
    "power_failures": "count",
    "long_power_failures": "count",
    "voltage_sags": "count",
    "voltage_swells": "count",
    # heat, gas and water
    "heat_energy": "kWh",
    "cooling_energy": "kWh",
    "heat_power": "W",
    "gas_volume": "m3",
    "water_volume": "m3",
    "volume": "m3",  # of a medium that the meter does not name
    "volume_flow": "m3/s",
    "mass": "kg",
    "flow_temperature": "Cel",
    "return_temperature": "Cel",
    "temperature_difference": "K",
    "operating_time": "h",
    # rooms
    "temperature": "Cel",
    "humidity": "%RH",
    "pressure": "hPa",
    "illuminance": "lx",
    "co2": "ppm",
    "uv_index": "/",
    "uv_intensity": "/",  # as the sensor counts it
    "rain": "mm",
    "wind_speed": "m/s",
    "wind_direction": "deg",
    # the device itself
    "battery": "%EL",
    "battery_voltage": "V",
    "radio_level": "dBm",
    "link_quality": "/",
    "cuff_pressure": "mm[Hg]",  # while a cuff measures; UCUM, for SenML has no such unit
}

# That a device was heard which had no value to say: in the telemetry lane, but no quantity that is stored.
SIGN_OF_LIFE = "sign_of_life"

# Vital signs in UCUM units.
VITAL_UNITS: dict[str, str] = {
    "systolic": "mm[Hg]",
    "diastolic": "mm[Hg]",
    "heart_rate": "/min",
    "mean_arterial_pressure": "mm[Hg]",
}

# What an event of a sensor's change is in the time series: its `kind` -> quantity and value.
CHANGES: dict[str, tuple[str, float]] = {
    "open": ("contact", 1.0),
    "closed": ("contact", 0.0),
    "motion": ("motion", 1.0),
    "no-motion": ("motion", 0.0),
    "present": ("presence", 1.0),
    "absent": ("presence", 0.0),
    "vibration": ("vibration", 1.0),
    "on": ("switched", 1.0),
    "off": ("switched", 0.0),
}

# What the center itself adds to the time series, without a person or a name: how a community and its gateways stand.
CENTER_UNITS: dict[str, str] = {
    # of a community, every minute
    "open_emergencies": "count",
    "open_service_calls": "count",
    "open_faults": "count",  # what the center raised itself: silences, low batteries, missed self-tests
    "unanswered": "count",  # emergencies that nobody has taken yet
    "longest_wait": "s",  # of them; 0 when there is none
    "homes": "count",
    "silent_homes": "count",
    "silent_devices": "count",
    "calls_today": "count",  # emergencies since midnight, and how many of them were answered, and how soon
    "answered_today": "count",
    "answered_60s_today": "count",
    "answered_180s_today": "count",
    # of a gateway, every 5 minutes
    "gateway_online": "/",  # 1: heard, 0: silent
    # of a gateway that is heard, every quarter of an hour
    "outbox_events": "count",
    "outbox_readings": "count",
    "outbox_dropped": "count",  # readings, since the outbox was made
    "outbox_room": "h",  # until the fuller lane has no room left
    # of a registered device, every hour
    "device_silent": "/",  # 1: a supervised device is silent, or its gateway says that it is lost
}
