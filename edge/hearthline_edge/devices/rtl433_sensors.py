"""What the fields of rtl_433's sensors mean: contacts, hazards, keys, batteries, rooms.

    contact   contact_open, open, opened 0/1 · closed 0/1 · state "open", "closed" · event "DS10A DOOR/WINDOW OPEN"
    motion    motion 0/1 · state "motion" · event "MS10A MOTION TRIPPED", "… READY" · subtype "PIR-Motion"
    hazards   smoke, water, detect_wet, leak, leak_detected, flood, alarm 0/1 · event "Water Leak"
    keys      event "KR15A PANIC", "KEY-FOB ARM" · switch1…5 of an Interlogix key fob, CLOSED
    state     battery_ok 0 to 1 · battery "OK"/"LOW" · tamper, tampered 0/1 · battery_V, battery_mV
    rooms     temperature_C, temperature_F, humidity, pressure_hPa, light_lux, co2_ppm, uvi, wind, rain, power_W …

Sources: rtl_433's DATA_FORMAT and the sources of its decoders (x10_sec, honeywell, honeywell_wdb, visonic_powercode,
dsc, govee, cavius, interlogix), with the older words of the same fields; recordings of rtl_433_tests. An
Interlogix smoke detector's smoke is told from three recordings of one unit (smoke: switch 2 and 3 open; supervision:
closed; its test opens them too, and alarms). Its contacts and motion detectors tell no certain state by their switches
and are only seen. `alarm` raises whatever the sensor: a Visonic contact tells its open door so, a Visonic pendant its
press. KeeLoq remotes (car keys, garage doors) are only seen: no recording shows one, and every car that passes has one.
Unverified on recordings: all but X10, Interlogix smoke and the field names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from hearthline.model import TELEMETRY_UNITS, Reading
from hearthline_edge.payload import number

_CONTACT: Final = {"contact_open": True, "open": True, "opened": True, "closed": False}
_CONTACT_WORDS: Final = {"open": "open", "opened": "open", "closed": "closed", "close": "closed"}
_HAZARD_FIELDS: Final = {
    "smoke": "smoke",
    "water": "leak",
    "detect_wet": "leak",
    "leak": "leak",
    "leak_detected": "leak",
    "flood": "leak",
    "alarm": "alarm",
}
_EVENT_HAZARDS: Final = {"water leak": "leak", "fire alarm": "smoke", "warning/water detected": "leak"}
_TRUE: Final = (1, True, "1", "true", "True")
_FALSE: Final = (0, False, "0", "false", "False")
_X10_DOOR: Final = re.compile(r"DOOR/WINDOW (OPEN|CLOSED)\Z")
_X10_MOTION: Final = re.compile(r"MOTION (TRIPPED|READY)\Z")
_X10_KEY: Final = re.compile(
    r"(?:[A-Z]+[0-9]+[A-Z]? )?(?:KEY-FOB |SEC-REMOTE )?((?:PANIC|ARM|DISARM|LIGHTS)\b[A-Z0-9 -]*)\Z"
)
_SWITCHES: Final = ("switch1", "switch2", "switch3", "switch4", "switch5")

# Field, quantity, factor and offset into the quantity's unit; of two fields of a quantity the first that is there.
_READINGS: Final = (
    ("temperature_C", "temperature", Decimal(1), Decimal(0)),
    ("temperature_F", "temperature", Decimal(5) / 9, Decimal(-160) / 9),
    ("humidity", "humidity", Decimal(1), Decimal(0)),
    ("pressure_hPa", "pressure", Decimal(1), Decimal(0)),
    ("light_lux", "illuminance", Decimal(1), Decimal(0)),
    ("co2_ppm", "co2", Decimal(1), Decimal(0)),
    ("uvi", "uv_index", Decimal(1), Decimal(0)),
    ("rain_mm", "rain", Decimal(1), Decimal(0)),
    ("wind_avg_m_s", "wind_speed", Decimal(1), Decimal(0)),
    ("wind_avg_km_h", "wind_speed", Decimal(1) / Decimal("3.6"), Decimal(0)),
    ("wind_dir_deg", "wind_direction", Decimal(1), Decimal(0)),
    ("power_W", "power", Decimal(1), Decimal(0)),
    ("energy_kWh", "energy_import", Decimal(1), Decimal(0)),
    ("battery_V", "battery_voltage", Decimal(1), Decimal(0)),
    ("battery_mV", "battery_voltage", Decimal("0.001"), Decimal(0)),
)
_PLACES: Final = Decimal("0.0001")


def device_of(value: dict[str, Any]) -> str:
    """`rf433:<model>:<id>:<channel>`, what is missing left out; empty without a model."""
    model = value.get("model")
    if not isinstance(model, str):
        return ""
    word = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[:40]
    word = "interlogix-security" if word == "interlogix" else word
    parts = [part for part in (_word(value.get("id")), _word(value.get("channel"))) if part]
    return ":".join(["rf433", word, *parts]) if word else ""


def contact(value: dict[str, Any]) -> str:
    """open, closed, or "" when it says neither."""
    for field, open_if in _CONTACT.items():
        said = flag(value.get(field))
        if said is not None:
            return "open" if said is open_if else "closed"
    match = _X10_DOOR.search(_event(value))
    if match:
        return match[1].lower()
    for field in ("state", "status", "event"):
        word = value.get(field)
        if isinstance(word, str) and word.lower() in _CONTACT_WORDS:
            return _CONTACT_WORDS[word.lower()]
    return ""


def motion(value: dict[str, Any]) -> str:
    """motion, no-motion, or "" when it says neither."""
    said = flag(value.get("motion"))
    match = _X10_MOTION.search(_event(value))
    if match:
        said = match[1] == "TRIPPED"
    if said is None and (value.get("state") == "motion" or value.get("subtype") == "PIR-Motion"):
        said = True
    return "" if said is None else "motion" if said else "no-motion"


def hazards(value: dict[str, Any]) -> dict[str, bool]:
    """Each hazard that it speaks of, and whether it is there."""
    found: dict[str, bool] = {}
    for field, hazard in _HAZARD_FIELDS.items():
        said = flag(value.get(field))
        if said is not None and not (hazard == "alarm" and _is_measuring(value)):
            found[hazard] = found.get(hazard, False) or said
    for field in ("event", "text"):
        word = value.get(field)
        if isinstance(word, str) and word.lower() in _EVENT_HAZARDS:
            found[_EVENT_HAZARDS[word.lower()]] = True
    if _kind(value) == "smoke" and "switch2" in value:
        found["smoke"] = "OPEN" in (value.get("switch2"), value.get("switch3"))
    return found


def keys(value: dict[str, Any]) -> list[str]:
    """The keys that somebody pressed."""
    event = _event(value)
    match = _X10_KEY.match(event)
    if match:
        return [match[1].strip().lower().replace(" ", "-")]
    if event == "Button Press" or _kind(value) == "Doorbell":
        return ["button"]
    if _kind(value) == "keyfob":
        return [field.removeprefix("switch") for field in _SWITCHES if value.get(field) == "CLOSED"]
    return []


def is_low(value: dict[str, Any]) -> bool | None:
    """Whether the battery is low; None when it says nothing."""
    level, old = number(value.get("battery_ok")), value.get("battery")
    if level is not None:
        return level == 0
    return {"OK": False, "LOW": True}.get(old) if isinstance(old, str) else None


def is_tampered(value: dict[str, Any]) -> bool | None:
    told = [flag(value.get(field)) for field in ("tamper", "tampered")]
    return any(said for said in told) if any(said is not None for said in told) else None


def readings(device: str, value: dict[str, Any]) -> tuple[Reading, ...]:
    found: dict[str, Reading] = {}
    for quantity, exact in _quantities(value):
        if quantity not in found:
            found[quantity] = Reading(device, quantity, float(exact), TELEMETRY_UNITS[quantity])
    return tuple(found.values())


def _quantities(value: dict[str, Any]) -> Iterator[tuple[str, Decimal]]:
    for field, quantity, factor, offset in _READINGS:
        exact = number(value.get(field))
        if exact is None or (quantity == "humidity" and not 0 <= exact <= 100):
            continue
        yield quantity, exact if factor == 1 and not offset else (exact * factor + offset).quantize(_PLACES)
    level = number(value.get("battery_ok"))
    if level is not None and 0 < level < 1:
        yield "battery", level * 100


def flag(value: Any) -> bool | None:
    """True or false in any of its spellings; None for anything else (-1 is rtl_433's unknown)."""
    if isinstance(value, str | int):
        return True if value in _TRUE else False if value in _FALSE else None
    return None


def _is_measuring(value: dict[str, Any]) -> bool:
    """A thermometer's `alarm` is its own limit."""
    return "temperature_C" in value or "temperature_F" in value


def _kind(value: dict[str, Any]) -> Any:
    return value.get("subtype", value.get("device_type"))


def _event(value: dict[str, Any]) -> str:
    """What happened, also by the field's first name."""
    event = value.get("event", value.get("remarks"))
    return event if isinstance(event, str) else ""


def _word(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return ""
    return re.sub(r"[^0-9A-Za-z._-]+", "-", str(value)[:32]).strip("-").lower()
