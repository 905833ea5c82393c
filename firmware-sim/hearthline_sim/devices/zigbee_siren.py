"""Zigbee siren (IAS warning device) behind Zigbee2MQTT.

    zigbee2mqtt/<name>/set   {"warning": {"mode": "emergency" | "burglar" | "fire" | …, "duration": seconds}}   on
                             {"warning": {"mode": "stop"}}                                                      off

Source: Zigbee2MQTT's `warning` exposure and the modes of the Zigbee Cluster Library's IAS WD cluster. With a duration
it falls silent by itself. What is not such a command is ignored, as the bridge does, and counted.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from hearthline.clock import NS
from hearthline_sim.devices.output import OutputChange

Mode = Literal["stop", "burglar", "fire", "emergency", "police_panic", "fire_panic", "emergency_panic"]


class _Warning(msgspec.Struct, frozen=True):
    mode: Mode
    duration: float | None = None


class _Set(msgspec.Struct, frozen=True):
    warning: _Warning


class ZigbeeSiren:
    """One siren. `changes` holds every on and off with its time."""

    def __init__(self, name: str, *, base: str = "zigbee2mqtt") -> None:
        self.device = f"z2m:{name}"
        self.topic = f"{base}/{name}/set"
        self.on = False
        self.changes: list[OutputChange] = []
        self.ignored = 0
        self._silent_ns: int | None = None

    def receive(self, payload: bytes, wall_ns: int) -> OutputChange | None:
        """Obey one message on `topic`; the change it made, if any."""
        try:
            warning = msgspec.json.decode(payload, type=_Set).warning
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.ignored += 1
            return None
        on = warning.mode != "stop"
        self._silent_ns = wall_ns + round(warning.duration * NS) if on and warning.duration else None
        return self._turn(on, wall_ns, warning.mode if on else None)

    def expire(self, wall_ns: int) -> OutputChange | None:
        """Fall silent when the duration of the last warning is over."""
        if self._silent_ns is None or wall_ns < self._silent_ns:
            return None
        self._silent_ns = None
        return self._turn(False, wall_ns, None)

    def _turn(self, on: bool, wall_ns: int, mode: str | None) -> OutputChange | None:
        if on == self.on:
            return None
        self.on = on
        self.changes.append(OutputChange(self.device, on, wall_ns, mode))
        return self.changes[-1]
