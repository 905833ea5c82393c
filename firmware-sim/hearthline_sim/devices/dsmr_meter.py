"""DSMR P1 smart meter: pushes telegrams; version 5 each second, 4 each 10 s (115200 8N1), 2.2 each 10 s (9600 7E1).

    /XXX5<identification> CR LF CR LF {object(value)… CR LF} ! [CRC] CR LF
    CRC  CRC-16/ARC (polynomial 8005 reflected, start 0) from / to ! inclusive, four hexadecimal digits; from version 4

    1-0:1.8.1 1.8.2  import kWh by tariff   1-0:2.8.x export   1-0:1.7.0 2.7.0  power kW   0-0:96.14.0  tariff now
    1-0:32.7.0 52.7.0 72.7.0  V (from 5)    31.7.0 51.7.0 71.7.0  A    21.7.0 41.7.0 61.7.0  kW by phase
    0-0:96.1.1  equipment id, ASCII as hexadecimal             0-n:24.2.1  last value of meter n on the M-Bus (gas)

Source: DSMR P1 companion standard 2.2, 4.2 and 5.0.2; the order and number of digits are those of recorded telegrams.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from hearthline_sim.devices.bus import Value

Version = Literal["2.2", "4", "5"]

BAUDRATES: Final[dict[Version, int]] = {"2.2": 9600, "4": 115200, "5": 115200}
PERIODS_S: Final[dict[Version, float]] = {"2.2": 10.0, "4": 10.0, "5": 1.0}
BITS_PER_BYTE: Final = 10  # 8N1, and 7E1 as well

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Display:
    """What the meter shows. Power in kW, energy in kWh, gas in m3; `clock` is the meter's own, local time."""

    clock: datetime
    import_kwh: tuple[float, float]
    export_kwh: tuple[float, float] = (0.0, 0.0)
    tariff: int = 2
    power_kw: float = 0.0
    export_kw: float = 0.0
    voltages: Triple = (230.0, 230.0, 229.0)
    currents: Triple = (0.0, 0.0, 0.0)
    powers_kw: Triple = (0.0, 0.0, 0.0)
    failures: int = 0
    long_failures: int = 0
    gas_m3: float = 0.0
    gas_clock: datetime | None = None


def crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def telegram(identification: str, objects: Iterable[str], *, checked: bool = True) -> bytes:
    """A whole telegram of its lines."""
    text = "".join(f"{line}\r\n" for line in (f"/{identification}", "", *objects)) + "!"
    data = text.encode("ascii")
    return data + (f"{crc16(data):04X}\r\n" if checked else "\r\n").encode("ascii")


def timestamp(moment: datetime, *, summer: bool = False) -> str:
    return f"{moment:%y%m%d%H%M%S}{'S' if summer else 'W'}"


class DsmrMeter:
    """One meter. `equipment_id` and `gas_id` as printed: the telegram carries them as hexadecimal."""

    def __init__(
        self,
        version: Version,
        equipment_id: str,
        *,
        gas_id: str = "",
        kind: str = r"ISk5\2MT382-1000",
        empty_channel: bool = False,
    ) -> None:
        """`kind`: maker and type, the text behind the slash. Without `gas_id` there is no gas meter.

        `empty_channel`: the M-Bus channel 2 remembers a meter that is gone and names it with an empty id.
        """
        self.device = f"dsmr:{equipment_id}"
        self.gas_device = f"dsmr:{gas_id}"
        self.period_s = PERIODS_S[version]
        self._version: Version = version
        self._kind = kind
        self._id = equipment_id.encode("ascii").hex().upper()
        self._gas_id = gas_id.encode("ascii").hex().upper()
        self._empty_channel = empty_channel

    def push(self, shown: Display) -> tuple[bytes, tuple[Value, ...]]:
        """One telegram, and the values in it as its digits show them."""
        lines = {"2.2": self._lines_2, "4": self._lines_4, "5": self._lines_5}[self._version](shown)
        return telegram(self._kind, lines, checked=self._version != "2.2"), self._values(shown)

    def _values(self, shown: Display) -> tuple[Value, ...]:
        kw_digits = 2 if self._version == "2.2" else 3
        found = {
            "energy_import_t1": shown.import_kwh[0],
            "energy_import_t2": shown.import_kwh[1],
            "energy_export_t1": shown.export_kwh[0],
            "energy_export_t2": shown.export_kwh[1],
            "power": round(shown.power_kw, kw_digits) * 1000,
            "power_export": round(shown.export_kw, kw_digits) * 1000,
        }
        values = [Value(self.device, quantity, value) for quantity, value in found.items()]
        if self._version == "5":
            values += [
                Value(f"{self.device}:{'ABC'[index]}", "voltage", volts) for index, volts in enumerate(shown.voltages)
            ]
        if self._version != "2.2":
            values += [
                Value(f"{self.device}:{'ABC'[index]}", "power", kw * 1000) for index, kw in enumerate(shown.powers_kw)
            ]
            values += [
                Value(f"{self.device}:{'ABC'[index]}", "current", amps) for index, amps in enumerate(shown.currents)
            ]
            for phase in "ABC":
                told = dict.fromkeys(("voltage_sags", "voltage_swells", "power_export"), 0.0)
                values += [Value(f"{self.device}:{phase}", quantity, value) for quantity, value in told.items()]
            values += [Value(self.device, "power_failures", shown.failures)]
            values += [Value(self.device, "long_power_failures", shown.long_failures)]
        else:
            values.append(Value(self.device, "power_limit", 999_000))
        if self._gas_id:
            values.append(Value(self.gas_device, "gas_volume", shown.gas_m3))
        return tuple(values)

    def _lines_2(self, shown: Display) -> list[str]:
        lines = [
            f"0-0:96.1.1({self._id})",
            *_energy(shown, "09.3f"),
            f"0-0:96.14.0({shown.tariff:04d})",
            f"1-0:1.7.0({shown.power_kw:07.2f}*kW)",
            f"1-0:2.7.0({shown.export_kw:07.2f}*kW)",
            "0-0:17.0.0(0999.00*kW)",
            "0-0:96.3.10(1)",
            "0-0:96.13.1()",
            "0-0:96.13.0()",
        ]
        if self._gas_id:
            clock = f"{shown.gas_clock or shown.clock:%y%m%d%H%M%S}"
            lines += [
                "0-1:24.1.0(3)",
                f"0-1:96.1.0({self._gas_id})",
                f"0-1:24.3.0({clock})(00)(60)(1)(0-1:24.2.1)(m3)",
                f"({shown.gas_m3:09.3f})",
                "0-1:24.4.0(1)",
            ]
        return lines

    def _lines_4(self, shown: Display) -> list[str]:
        pairs = zip((21, 41, 61), shown.powers_kw, strict=True)
        return [
            "1-3:0.2.8(42)",
            *self._head(shown),
            "0-0:96.13.1()",
            "0-0:96.13.0()",
            *(f"1-0:{code}.7.0({amps:03.0f}*A)" for code, amps in zip((31, 51, 71), shown.currents, strict=True)),
            *(
                line
                for code, kw in pairs
                for line in (f"1-0:{code}.7.0({kw:06.3f}*kW)", f"1-0:{code + 1}.7.0(00.000*kW)")
            ),
            *self._gas(shown),
        ]

    def _lines_5(self, shown: Display) -> list[str]:
        return [
            "1-3:0.2.8(50)",
            *self._head(shown),
            "0-0:96.13.0()",
            *(f"1-0:{code}.7.0({volts:06.1f}*V)" for code, volts in zip((32, 52, 72), shown.voltages, strict=True)),
            *(f"1-0:{code}.7.0({amps:04.2f}*A)" for code, amps in zip((31, 51, 71), shown.currents, strict=True)),
            *(f"1-0:{code}.7.0({kw:06.3f}*kW)" for code, kw in zip((21, 41, 61), shown.powers_kw, strict=True)),
            *(f"1-0:{code}.7.0(00.000*kW)" for code in (22, 42, 62)),
            *self._gas(shown),
        ]

    def _head(self, shown: Display) -> list[str]:
        return [
            f"0-0:1.0.0({timestamp(shown.clock)})",
            f"0-0:96.1.1({self._id})",
            *_energy(shown, "010.3f"),
            f"0-0:96.14.0({shown.tariff:04d})",
            f"1-0:1.7.0({shown.power_kw:06.3f}*kW)",
            f"1-0:2.7.0({shown.export_kw:06.3f}*kW)",
            f"0-0:96.7.21({shown.failures:05d})",
            f"0-0:96.7.9({shown.long_failures:05d})",
            "1-0:99.97.0(0)(0-0:96.7.19)",
            *(f"1-0:{code}.{kind}.0(00000)" for kind in (32, 36) for code in (32, 52, 72)),
        ]

    def _gas(self, shown: Display) -> list[str]:
        lines = []
        if self._gas_id:
            clock = timestamp(shown.gas_clock or shown.clock)
            lines += ["0-1:24.1.0(003)", f"0-1:96.1.0({self._gas_id})"]
            lines += [f"0-1:24.2.1({clock})({shown.gas_m3:09.3f}*m3)"]
        return [*lines, "0-2:24.1.0(003)", "0-2:96.1.0()"] if self._empty_channel else lines


def _energy(shown: Display, digits: str) -> list[str]:
    found = zip(("1.8.1", "1.8.2", "2.8.1", "2.8.2"), (*shown.import_kwh, *shown.export_kwh), strict=True)
    return [f"1-0:{code}({value:{digits}}*kWh)" for code, value in found]
