"""Bluetooth devices as their gateways publish them: a Shelly BLU button through OpenMQTTGateway, a cuff as raw GATT.

    home/<gateway>/BTtoMQTT/<MAC>            {"id":"BC:02:…","rssi":-60,"brand":"Shelly","model":"ShellyBLU Button1",
                                              "model_id":"SBBT-002C","type":"BTN","packet":29,"batt":100,"button":1}
    hearthline/ble/<bridge>/<MAC>/2a35       {"value":"<hexadecimal>"}     Blood Pressure Measurement

    2A35     flags | systolic diastolic mean (SFLOAT) | time (7, bit 1) | pulse (SFLOAT, bit 2) | user (bit 3)
             flags bit 0: kPa. SFLOAT: mantissa of 12 bits, exponent of 4, both signed, low byte first; 07FF no number

Source: BTHome v2 and Theengs' decoder for Shelly BLU; the GATT Specification Supplement. The packet number counts
presses; each gateway that hears a beacon publishes it, and the event stays in later beacons. Real cuffs send an
exponent of -1, no mean pressure and reserved flag bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Final

import msgspec

from hearthline_sim.devices.emission import Publish
from hearthline_sim.devices.raycome_cuff import Vitals

BUTTON_EVENTS: Final = {"short": 1, "double": 2, "triple": 3, "long": 4}
NAN: Final = 0x07FF
KPA, TIME, PULSE, USER, STATUS, RESERVED = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
MMHG_PER_KPA: Final = 7.50062


class BluButton:
    """One button, heard by one or more gateways."""

    def __init__(self, mac: str, gateways: tuple[str, ...], rng: Random, *, battery: int = 100) -> None:
        self.device = f"ble:{_compact(mac).lower()}"
        self._mac = mac
        self._gateways = gateways
        self._rng = rng
        self._battery = battery
        self._packet = rng.randrange(1, 250)
        self._last: str = "short"

    def press(self, kind: str) -> tuple[Publish, ...]:
        """Several beacons of one packet number at each gateway, the last of them well after the press."""
        self._packet = (self._packet + 1) & 0xFF
        self._last = kind
        times = (0.0, 0.1, 0.35, self._rng.uniform(1.0, 3.0))
        beacons = [(at_s + 0.02 * index, name) for at_s in times for index, name in enumerate(self._gateways)]
        return tuple(self._beacon(at_s, name) for at_s, name in sorted(beacons))

    def beacon(self) -> tuple[Publish, ...]:
        """A later beacon: the same packet, with the event still in it."""
        return tuple(self._beacon(0.0, gateway) for gateway in self._gateways)

    def _beacon(self, after_s: float, gateway: str) -> Publish:
        body: dict[str, Any] = {
            "id": self._mac,
            "mac_type": 0,
            "rssi": self._rng.randint(-95, -50),
            "brand": "Shelly",
            "model": "ShellyBLU Button1",
            "model_id": "SBBT-002C",
            "type": "BTN",
            "acts": True,
            "cont": True,
            "packet": self._packet,
            "batt": self._battery,
            "button": BUTTON_EVENTS[self._last],
        }
        topic = f"home/{gateway}/BTtoMQTT/{_compact(self._mac)}"
        return Publish(after_s, topic, msgspec.json.encode(body))


def sfloat(mantissa: int, exponent: int) -> bytes:
    return ((exponent & 0xF) << 12 | (mantissa & 0xFFF)).to_bytes(2, "little")


@dataclass(frozen=True, slots=True)
class CuffHabits:
    """What a make of cuff fills in. `reserved`: it sets a flag bit that the specification reserves."""

    kpa: bool = False
    timed: bool = True
    user: int | None = 1
    reserved: bool = True


def blood_pressure(vitals: Vitals, clock: datetime, habits: CuffHabits) -> bytes:
    """One value of the characteristic 2A35, with one decimal and without a mean pressure."""
    flags = PULSE | (KPA if habits.kpa else 0) | (RESERVED if habits.reserved else 0)
    per_unit = 10 / MMHG_PER_KPA if habits.kpa else 10
    pressures = [sfloat(round(value * per_unit), -1) for value in (vitals.systolic, vitals.diastolic)]
    data = b"".join(pressures) + NAN.to_bytes(2, "little")
    if habits.timed:
        flags |= TIME
        data += clock.year.to_bytes(2, "little")
        data += bytes((clock.month, clock.day, clock.hour, clock.minute, clock.second))
    data += sfloat(vitals.pulse * 10, -1)
    if habits.user is not None:
        flags |= USER
        data += bytes((habits.user,))
    return bytes((flags,)) + data


class GattCuff:
    """A cuff whose values a Bluetooth bridge forwards as they are; its clock is its own."""

    def __init__(self, bridge: str, mac: str, rng: Random, habits: CuffHabits) -> None:
        self.device = f"ble:{_compact(mac).lower()}"
        self._topic = f"hearthline/ble/{bridge}/{mac}/2a35"
        self._rng = rng
        self._habits = habits

    def measure(self, clock: datetime) -> tuple[Publish, Vitals]:
        """One drawn result. A kilopascal has one decimal here, so what was measured is told in its steps."""
        systolic = round(self._rng.gauss(134, 12))
        vitals = Vitals(systolic, min(round(self._rng.gauss(79, 8)), systolic - 20), round(self._rng.gauss(72, 8)))
        value = blood_pressure(vitals, clock, self._habits)
        return Publish(0.0, self._topic, msgspec.json.encode({"value": value.hex()})), vitals


def _compact(mac: str) -> str:
    return mac.replace(":", "")
