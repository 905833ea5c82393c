"""A line of a device that RFLink heard: its form, and what its labels are worth.

    20;SS;Name;ID=xxxx;LABEL=data;LABEL=data;
    SWITCH=a   CMD=ON, OFF, ALLON, ALLOFF, UP, DOWN, SET_LEVEL=5 …   CHIME=01   PIR=ON   SMOKEALERT=ON   BAT=OK, LOW
    TEMP=80b4 hex, 0.1 Cel, the top bit is the sign    HUM=50 decimal, %    BARO=03d7 hex, hPa    UV, LUX hex
    CO2 decimal, ppm    RAIN hex, 0.1 mm in all    WINSP hex, 0.1 km/h    WINDIR 0 to 15, of 22.5 degrees

Source: RFLink Gateway Protocol Reference (rflink.nl, 2022). Labels of other names are passed over.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from hearthline.model import TELEMETRY_UNITS, Reading

_DEVICE_LINE: Final = re.compile(
    r"20;..;([A-Za-z][A-Za-z0-9 _/.+-]{0,31});ID=([0-9A-Za-z]{1,12});((?:[A-Z][A-Z0-9_]{0,15}=[^;]{1,20};)*)\Z"
)
_WORD: Final = re.compile(r"[0-9A-Za-z_+=-]{1,16}\Z")


class _Label(NamedTuple):
    """How a label's data is written, what it is worth, and what a home may tell."""

    quantity: str
    base: Literal[10, 16]
    scale: Decimal
    lowest: int
    highest: int
    signed: bool = False


VALUES: Final = {
    "TEMP": _Label("temperature", 16, Decimal("0.1"), -50, 80, signed=True),
    "HUM": _Label("humidity", 10, Decimal(1), 0, 100),
    "BARO": _Label("pressure", 16, Decimal(1), 500, 1100),
    "UV": _Label("uv_intensity", 16, Decimal(1), 0, 2000),
    "LUX": _Label("illuminance", 16, Decimal(1), 0, 0xFFFF),
    "CO2": _Label("co2", 10, Decimal(1), 0, 10_000),
    "RAIN": _Label("rain", 16, Decimal("0.1"), 0, 6553),
    "WINSP": _Label("wind_speed", 16, Decimal(1) / 36, 0, 70),
    "WINDIR": _Label("wind_direction", 10, Decimal("22.5"), 0, 338),
}
_DIGITS: Final = {10: re.compile(r"[0-9]{1,5}\Z"), 16: re.compile(r"[0-9A-Fa-f]{4}\Z")}


def _value(label: _Label, data: str) -> float | None:
    """The value in the quantity's unit, or None when it is not written so or no home tells it."""
    if not _DIGITS[label.base].match(data):
        return None
    raw = int(data, label.base)
    if label.signed and raw & 0x8000:
        raw = -(raw & 0x7FFF)
    value = round(raw * label.scale, 3)
    return float(value) if label.lowest <= value <= label.highest else None


class Line(NamedTuple):
    """A line of a device: its labels, and the text for the operator."""

    device: str
    labels: dict[str, str]
    text: str

    @property
    def switch(self) -> str:
        return self.labels.get("SWITCH", "").lower()

    @property
    def command(self) -> str:
        """`on`, `off`, `allon` …; empty without one."""
        return self.labels.get("CMD", "SET_LEVEL" if "SET_LEVEL" in self.labels else "").lower().partition("=")[0]


def line_of(text: str) -> Line | None:
    """The device's line in a text, or None when it is of no such form."""
    parts = _DEVICE_LINE.match(text)
    if parts is None:
        return None
    name, number, rest = parts[1].lower(), parts[2].lower(), parts[3]
    pairs = [pair.split("=", 1) for pair in rest.split(";")[:-1]]
    labels = dict(pairs)
    words = [labels[label] for label in ("SWITCH", "CMD", "SET_LEVEL") if label in labels]
    if len(labels) < len(pairs) or not labels or not all(_WORD.match(word) for word in words):
        return None
    if name == "kaku":
        number = number.zfill(6)  # written with two or six digits by the version of the gateway
    return Line(f"rflink:{re.sub('[^a-z0-9]+', '-', name)}:{number}", labels, text)


def values(line: Line) -> tuple[Reading, ...] | None:
    """What the line measures; None when one of its values is not written as it must be, or no home tells it."""
    found = []
    for name in (name for name in line.labels if name in VALUES):
        label = VALUES[name]
        value = _value(label, line.labels[name])
        if value is None:
            return None
        found.append(Reading(line.device, label.quantity, value, TELEMETRY_UNITS[label.quantity]))
    return tuple(found)
