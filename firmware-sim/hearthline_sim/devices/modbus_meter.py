"""Modbus RTU energy meters on RS-485: Eastron SDM120, SDM230, SDM630 and CHINT DDSU666, 9600 8N1 (2400 is also usual).

    unit | function | data | CRC low, high          CRC-16: polynomial A001 (reflected 8005), start FFFF
    read     03/04, first register (2), count (2)   reply  03/04, bytes, values       float32, high word first
    refusal  function + 80, code: 01 function, 02 address, 03 count

    SDM, function 04 (register = 3xxxx - 30001): 0000 V  0006 A  000C W  0012 VA  0018 var  001E PF  0046 Hz
        0048 import kWh  004A export kWh  004C 004E kvarh  0054 demand W  0056 its maximum  0156 import + export kWh
    SDM630: the first six at +0, +2, +4 by phase, 015A import and 0160 export too; 0034 W  0038 VA  003C var  003E PF
    DDSU666, functions 03 and 04: 2000 V  2002 A  2004 kW  2006 kvar  200A PF  200E Hz  4000 import kWh  400A export kWh

Source: Modbus over serial line V1.02, the Eastron SDM120/230/630 and CHINT DDSU666 register lists. Registers between
documented ones read zero; outside the table, at an odd address or of an odd count the meter refuses with 02, above 80
registers with 03. The first reply after power-up is slow. That a real SDM refuses so is unverified.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from hearthline_sim.devices.bus import Answer, Value
from hearthline_sim.devices.emission import Burst

BAUDRATE: Final = 9600
BITS_PER_BYTE: Final = 10

Model = Literal["sdm120", "sdm230", "sdm630", "ddsu666"]

READ_HOLDING, READ_INPUT = 0x03, 0x04
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_COUNT, DEVICE_FAILURE = 0x01, 0x02, 0x03, 0x04
REFUSED: Final = 0x80
MAX_REGISTERS: Final = 80
REQUEST_BYTES: Final = 8
FIRST_REPLY_S: Final = 0.35


@dataclass(frozen=True, slots=True)
class Load:
    """What flows through the meter: total power and counted energy; it spreads over `phases` alike."""

    power_w: float
    voltage_v: float
    energy_kwh: float
    export_kwh: float = 0.0
    frequency_hz: float = 50.0
    power_factor: float = 0.95


@dataclass(frozen=True, slots=True)
class Register:
    """A float at `address`: a quantity at a `place` (phase) behind the device, and what it is multiplied with there."""

    address: int
    quantity: str
    place: str = ""
    scale: float = 1.0


def _sdm_totals() -> tuple[Register, ...]:
    return (
        Register(0x0046, "frequency"),
        Register(0x0048, "energy_import"),
        Register(0x004A, "energy_export"),
        Register(0x004C, "reactive_energy_import"),
        Register(0x004E, "reactive_energy_export"),
        Register(0x0054, "power_demand"),
        Register(0x0056, "power_demand_max"),
        Register(0x0156, "energy_total"),
    )


def _sdm_single() -> tuple[Register, ...]:
    return (
        Register(0x0000, "voltage"),
        Register(0x0006, "current"),
        Register(0x000C, "power"),
        Register(0x0012, "apparent_power"),
        Register(0x0018, "reactive_power"),
        Register(0x001E, "power_factor"),
        *_sdm_totals(),
    )


def _sdm630() -> tuple[Register, ...]:
    by_phase = {
        0x0000: "voltage",
        0x0006: "current",
        0x000C: "power",
        0x0012: "apparent_power",
        0x0018: "reactive_power",
        0x001E: "power_factor",
        0x015A: "energy_import",
        0x0160: "energy_export",
    }
    return (
        *(
            Register(first + 2 * index, quantity, f":{phase}")
            for first, quantity in by_phase.items()
            for index, phase in enumerate("ABC")
        ),
        Register(0x0034, "power"),
        Register(0x0038, "apparent_power"),
        Register(0x003C, "reactive_power"),
        Register(0x003E, "power_factor"),
        *_sdm_totals(),
    )


def _ddsu666() -> tuple[Register, ...]:
    return (
        Register(0x2000, "voltage"),
        Register(0x2002, "current"),
        Register(0x2004, "power", scale=0.001),
        Register(0x2006, "reactive_power", scale=0.001),
        Register(0x200A, "power_factor"),
        Register(0x200E, "frequency"),
        Register(0x4000, "energy_import"),
        Register(0x400A, "energy_export"),
    )


REGISTERS: Final[dict[Model, tuple[Register, ...]]] = {
    "sdm120": _sdm_single(),
    "sdm230": _sdm_single(),
    "sdm630": _sdm630(),
    "ddsu666": _ddsu666(),
}
FUNCTIONS: Final[dict[Model, tuple[int, ...]]] = {
    "sdm120": (READ_INPUT,),
    "sdm230": (READ_INPUT,),
    "sdm630": (READ_INPUT,),
    "ddsu666": (READ_HOLDING, READ_INPUT),
}
SPANS: Final[dict[Model, tuple[range, ...]]] = {
    "sdm120": (range(0x015C),),
    "sdm230": (range(0x015C),),
    "sdm630": (range(0x0180),),
    "ddsu666": (range(0x2000, 0x2050), range(0x4000, 0x4020)),
}


def model(name: str) -> Model:
    """Raises ValueError for a name that is none."""
    for known in REGISTERS:
        if known == name:
            return known
    raise ValueError(f"no Modbus meter {name!r}; there are {', '.join(REGISTERS)}")


def crc16(data: bytes) -> bytes:
    """The two check bytes as they follow on the line."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc.to_bytes(2, "little")


def frame(unit: int, function: int, data: bytes) -> bytes:
    body = bytes((unit, function)) + data
    return body + crc16(body)


class ModbusMeter:
    """One unit on a bus. `load` is asked at each read. `dead`: it never answers (power off, wire broken)."""

    def __init__(
        self,
        device: str,
        model: Model,
        unit: int,
        rng: Random,
        load: Callable[[], Load],
        *,
        error_rate: float = 0.0,
        dead: bool = False,
    ) -> None:
        """`error_rate`: how often it refuses a good request (04, device failure)."""
        self.device = device
        self._model: Model = model
        self._unit = unit
        self._rng = rng
        self._load = load
        self._error_rate = error_rate
        self._dead = dead
        self._buffer = b""
        self._first = True
        self._most_w = 0.0

    def receive(self, data: bytes) -> tuple[Answer, ...]:
        self._buffer += data
        answers = []
        while len(self._buffer) >= REQUEST_BYTES:
            request = self._buffer[:REQUEST_BYTES]
            if crc16(request[:-2]) != request[-2:]:
                self._buffer = self._buffer[1:]
                continue
            self._buffer = self._buffer[REQUEST_BYTES:]
            if request[0] == self._unit and not self._dead:
                answers.append(self._answer(request[1], *struct.unpack(">HH", request[2:6])))
        return tuple(answers)

    def _answer(self, function: int, start: int, count: int) -> Answer:
        after_s = self._rng.uniform(0.01, 0.04) + (FIRST_REPLY_S if self._first else 0.0)
        self._first = False
        refusal = self._refusal(function, start, count)
        if refusal:
            return Answer(Burst(after_s, frame(self._unit, function | REFUSED, bytes((refusal,)))))
        words = {start + index: b"\0\0" for index in range(count)}
        values = []
        shown = self._shown()
        for register in REGISTERS[self._model]:
            if register.address in words and register.address + 1 in words:
                raw = struct.pack(">f", shown[register.quantity, register.place] * register.scale)
                words[register.address], words[register.address + 1] = raw[:2], raw[2:]
                value = struct.unpack(">f", raw)[0] / register.scale
                values.append(Value(self.device + register.place, register.quantity, value))
        body = bytes((2 * count,)) + b"".join(words.values())
        return Answer(Burst(after_s, frame(self._unit, function, body)), tuple(values))

    def _refusal(self, function: int, start: int, count: int) -> int:
        if function not in FUNCTIONS[self._model]:
            return ILLEGAL_FUNCTION
        if not 0 < count <= MAX_REGISTERS:
            return ILLEGAL_COUNT
        inside = any(start in span and start + count - 1 in span for span in SPANS[self._model])
        if start % 2 or count % 2 or not inside:
            return ILLEGAL_ADDRESS
        return DEVICE_FAILURE if self._rng.random() < self._error_rate else 0

    def _shown(self) -> dict[tuple[str, str], float]:
        """What each quantity is, in its unit: in all, and by phase, on which the load spreads alike."""
        load = self._load()
        apparent = load.power_w / load.power_factor
        reactive = (apparent**2 - load.power_w**2) ** 0.5
        self._most_w = max(self._most_w, load.power_w)
        in_all = {
            "power": load.power_w,
            "apparent_power": apparent,
            "reactive_power": reactive,
            "energy_import": load.energy_kwh,
            "energy_export": load.export_kwh,
        }
        shown = {(quantity, ""): value for quantity, value in in_all.items()}
        shown |= {(quantity, f":{phase}"): value / 3 for quantity, value in in_all.items() for phase in "ABC"}
        shown["energy_total", ""] = load.energy_kwh + load.export_kwh
        shown["reactive_energy_import", ""] = load.energy_kwh * 0.31
        shown["reactive_energy_export", ""] = 0.0
        shown["power_demand", ""], shown["power_demand_max", ""] = load.power_w, self._most_w
        shown["frequency", ""] = load.frequency_hz
        for index, place in enumerate(("", ":A", ":B", ":C")):
            shown["voltage", place] = load.voltage_v + 0.7 * index
            shown["current", place] = apparent / (3 if place else 1) / shown["voltage", place]
            shown["power_factor", place] = load.power_factor
        return shown
