"""Local outputs that make a home audible or visible: a Zigbee siren by Zigbee2MQTT, an LCUS-1 relay on a serial port.

Each is told its state at start, at each change, and again every few seconds while it should sound, so that one that was
unplugged or restarted joins in, or while it could not be told.
"""

from __future__ import annotations

import asyncio
import termios
from collections.abc import Callable
from typing import Protocol

import msgspec
import serial

from hearthline.log import Log
from hearthline_edge.config import SirenConfig
from hearthline_edge.serial_port import cause_of

REPEAT_S = 5.0
# LCUS-1 USB relay, 9600 8N1: start A0, channel 01, state, sum of the three.
_RELAY_ON, _RELAY_OFF = bytes.fromhex("A00101A2"), bytes.fromhex("A00100A1")
_RELAY_BAUDRATE = 9600
log = Log(__name__)


class Siren(Protocol):
    """One local output. `drive` never raises; it returns what went wrong, or an empty string."""

    async def drive(self, sound: bool) -> str: ...


class ZigbeeSiren:
    """A Zigbee2MQTT device with the `warning` feature (Heiman HS2WD-E, Develco SIRZB-110 and their like).

    `publish` says whether the local broker is there.
    """

    def __init__(self, topic: str, publish: Callable[[str, bytes], bool]) -> None:
        self._topic = topic
        self._publish = publish

    async def drive(self, sound: bool) -> str:
        warning = {"mode": "emergency", "level": "high", "strobe": True, "duration": 60} if sound else {"mode": "stop"}
        told = self._publish(f"{self._topic}/set", msgspec.json.encode({"warning": warning}))
        return "" if told else f"siren {self._topic}: the local broker is away"


class SerialRelay:
    """An LCUS-1 relay board: a lamp, bell or siren of the house behind its contact."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def drive(self, sound: bool) -> str:
        return await asyncio.to_thread(self._write, _RELAY_ON if sound else _RELAY_OFF)

    def _write(self, telegram: bytes) -> str:
        try:
            with serial.Serial(self._path, _RELAY_BAUDRATE, timeout=1, write_timeout=1) as port:
                port.write(telegram)
        except (OSError, termios.error, ValueError) as error:  # ValueError: a path that can be none
            return f"siren: {self._path} cannot be used: {cause_of(error)}"
        return ""


def open_sirens(configs: list[SirenConfig], publish: Callable[[str, bytes], bool]) -> list[Siren]:
    return [
        ZigbeeSiren(config.target, publish) if config.kind == "zigbee" else SerialRelay(config.target)
        for config in configs
    ]
