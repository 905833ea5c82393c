"""Tasmota devices: an energy meter plug, and a Sonoff RF bridge that hears 433 MHz key fobs.

    tele/<topic>/SENSOR   {"Time":"2018-02-15T17:37:10","ENERGY":{"Total":6.294,…,"Power":2635,…,"Voltage":227,…}}
    tele/<topic>/LWT      Online / Offline, retained
    tele/<topic>/RESULT   {"Time":"…","RfReceived":{"Data":"0x7028D2","Bits":24,"Protocol":1,"Pulse":238}}
    tele/<topic>/RESULT   {"RfRaw":{"Data":"AA B1 03 07F9 0124 37DC 0101…02 55"}}       Portisch's firmware, sniffing

    B1       how many buckets | each in microseconds | a digit a pulse: the bucket of the high and of the low time; here
             01 (long, short) for a one, 10 for a zero, 12 for the sync with its long pause, closing the word | 55

Source: Tasmota's documentation (commands, RF protocol, Sonoff RF Bridge) and Portisch's wiki. `Time` is local without a
zone; a number may be an array of phases. A fob is heard several times a press, with times that jitter.
"""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import Any, Final, Literal

import msgspec

from hearthline.clock import NS
from hearthline_sim.devices.bus import Value
from hearthline_sim.devices.emission import Publish

RfReport = Literal["received", "raw"]

KEYS: Final = {"A": 8, "B": 4, "C": 2, "D": 1}
PULSE_US: Final = 350
SYNC_US: Final = 31 * PULSE_US
REPEAT_S: Final = 0.25


def clock_text(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns / NS).astimezone().strftime("%Y-%m-%dT%H:%M:%S")


def b1(buckets: tuple[int, ...], pulses: str) -> str:
    """A sniffed word as Portisch's firmware prints it."""
    times = " ".join(f"{bucket:04X}" for bucket in buckets)
    return f"AA B1 {len(buckets):02X} {times} {pulses} 55"


class TasmotaPlug:
    """One metering plug, or one of three phases, whose values are arrays then."""

    def __init__(self, topic: str, rng: Random, *, phases: int = 1) -> None:
        self.device = f"tasmota:{topic}"
        self._topic = topic
        self._rng = rng
        self._phases = phases

    def online(self) -> Publish:
        return Publish(0.0, f"tele/{self._topic}/LWT", b"Online", retain=True)

    def status(self, power_w: float, energy_kwh: float, wall_ns: int) -> tuple[tuple[Publish, ...], tuple[Value, ...]]:
        """The periodic report, and the values in it."""
        total = round(energy_kwh, 3)
        volts = [round(self._rng.gauss(230.0, 1.5)) for _ in range(self._phases)]
        watts = [round(power_w / self._phases) for _ in volts]
        amps = [round(watt / volt, 3) for watt, volt in zip(watts, volts, strict=True)]
        energy = {
            "TotalStartTime": "2018-11-14T18:39:40",
            "Total": total,
            "Yesterday": 0.0,
            "Today": 0.0,
            "Period": 0,
            "Power": self._shape(watts),
            "Factor": self._shape([0.99] * self._phases),
            "Voltage": self._shape(volts),
            "Current": self._shape(amps),
        }
        body = {"Time": clock_text(wall_ns), "ENERGY": energy}
        values = [Value(self.device, "energy_import", total)]
        for index, place in enumerate((":A", ":B", ":C") if self._phases == 3 else ("",)):
            told = {"power": watts[index], "voltage": volts[index], "current": amps[index], "power_factor": 0.99}
            values += [Value(self.device + place, quantity, value) for quantity, value in told.items()]
        return (Publish(0.0, f"tele/{self._topic}/SENSOR", msgspec.json.encode(body)),), tuple(values)

    def _shape(self, values: list[Any]) -> Any:
        return values if self._phases > 1 else values[0]


class RfFob:
    """An EV1527 fob heard by a bridge. `address`: its 20 bits in the order of the air, five hexadecimal digits."""

    def __init__(self, topic: str, address: str, rng: Random, *, report: RfReport = "received") -> None:
        if len(address) != 5:
            raise ValueError(f"an EV1527 address has five hexadecimal digits, not {address!r}")
        self._topic = f"tele/{topic}/RESULT"
        self._address = int(address, 16)
        self.device = f"rf433:ev1527:{self._address:05x}"
        self._rng = rng
        self._report: RfReport = report

    def press(self, keys: str, wall_ns: int) -> tuple[Publish, ...]:
        """The reports of one press of `keys`."""
        code = self._address << 4 | sum(KEYS[key] for key in keys)
        count = self._rng.randint(2, 5)
        return tuple(self._heard(code, REPEAT_S * index, wall_ns) for index in range(count))

    def _heard(self, code: int, after_s: float, wall_ns: int) -> Publish:
        if self._report == "received":
            told = {"Data": f"0x{code:06X}", "Bits": 24, "Protocol": 1, "Pulse": PULSE_US + self._rng.randint(-9, 9)}
            body: dict[str, Any] = {"Time": clock_text(wall_ns + round(after_s * NS)), "RfReceived": told}
        else:
            long_, short, pause = (self._jitter(time) for time in (3 * PULSE_US, PULSE_US, SYNC_US))
            pulses = "".join("01" if bit == "1" else "10" for bit in f"{code:024b}") + "12"
            body = {"RfRaw": {"Data": b1((long_, short, pause), pulses)}}
        return Publish(after_s, self._topic, msgspec.json.encode(body))

    def _jitter(self, time_us: int) -> int:
        return time_us + self._rng.randint(-8, 8)
