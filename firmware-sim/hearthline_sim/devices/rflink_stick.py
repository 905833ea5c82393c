"""RFLink: a 433 MHz receiver on a USB serial line that speaks text, 57600 8N1.

    20;<hex number>;<protocol>;ID=<id>;SWITCH=<button>;CMD=ON;           a key
    20;<hex number>;<protocol>;ID=<id>;PIR=ON;                           a motion detector
    20;<hex number>;<protocol>;ID=<id>;TEMP=<hex>;HUM=<digits>;BAT=OK;   weather: 0.1 degrees, sign bit 8000
    10;PING;  10;VERSION;                                                the host's commands, answered

Source: RFLink protocol reference R48. The number counts all lines of the stick. A held key repeats its line; a line has
no check. Lines end in CR LF.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from hearthline_sim.devices.emission import Burst

BAUDRATE: Final = 57600
BITS_PER_BYTE: Final = 10
GREETING: Final = "20;00;Nodo RadioFrequencyLink - RFLink Gateway V1.1 - R48;"
SIGN: Final = 0x8000
REPEAT_S: Final = 0.12


@dataclass(frozen=True, slots=True)
class Weather:
    celsius: float
    humidity: int
    battery_ok: bool = True


class RflinkStick:
    """One stick: numbers its lines and answers the host."""

    def __init__(self, rng: Random, *, max_repeats: int = 3) -> None:
        self._rng = rng
        self._max_repeats = max_repeats
        self._number = 0
        self._buffer = b""

    def greet(self) -> bytes:
        """What it says after power-up."""
        return f"{GREETING}\r\n".encode("ascii")

    def key(self, protocol: str, id_: str, switch: str, command: str = "ON") -> tuple[Burst, ...]:
        """One press: its line, and repeats while the key is held."""
        return self._repeated(protocol, f"ID={id_};SWITCH={switch};CMD={command}")

    def motion(self, protocol: str, id_: str) -> tuple[Burst, ...]:
        return self._repeated(protocol, f"ID={id_};PIR=ON")

    def weather(self, protocol: str, id_: str, shown: Weather) -> bytes:
        """One report; `celsius` is told to 0.1 degrees."""
        tenths = round(shown.celsius * 10)
        raw = tenths if tenths >= 0 else SIGN | -tenths
        battery = "OK" if shown.battery_ok else "LOW"
        return self.line(protocol, f"ID={id_};TEMP={raw:04x};HUM={shown.humidity:02d};BAT={battery}")

    def line(self, protocol: str, fields: str) -> bytes:
        self._number = self._number % 0xFF + 1
        return f"20;{self._number:02X};{protocol};{fields};\r\n".encode("ascii")

    def receive(self, data: bytes) -> tuple[Burst, ...]:
        """What it answers to bytes from the host, however they are cut."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        answers = []
        for line in lines:
            word = line.strip().upper()
            if word == b"10;PING;":
                answers.append(Burst(0.005, self._tell("PONG")))
            elif word == b"10;VERSION;":
                answers.append(Burst(0.005, self._tell("VER=1.1;REV=48;BUILD=06")))
            elif word:
                answers.append(Burst(0.005, self._tell("CMD UNKNOWN")))
        return tuple(answers)

    def _tell(self, text: str) -> bytes:
        self._number = self._number % 0xFF + 1
        return f"20;{self._number:02X};{text};\r\n".encode("ascii")

    def _repeated(self, protocol: str, fields: str) -> tuple[Burst, ...]:
        copies = self._rng.randint(1, self._max_repeats)
        return tuple(Burst(index * REPEAT_S, self.line(protocol, fields)) for index in range(copies))
