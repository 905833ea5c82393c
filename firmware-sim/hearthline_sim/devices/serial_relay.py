"""LCUS-1 relay on a USB serial line, 9600 8N1.

    A0 | channel 01 | 01 on, 00 off | sum of the three modulo 256        A0 01 01 A2 on, A0 01 00 A1 off

Source: the LCUS-1 module's instruction sheet. It answers nothing.
"""

from __future__ import annotations

from hearthline_sim.devices.output import OutputChange

BAUDRATE = 9600
START, CHANNEL = 0xA0, 0x01
FRAME_BYTES = 4


class SerialRelay:
    """One relay on a named port. `changes` holds every on and off with its time."""

    def __init__(self, port_name: str) -> None:
        self.device = f"relay:{port_name}"
        self.on = False
        self.changes: list[OutputChange] = []
        self._buffer = b""

    def receive(self, data: bytes, wall_ns: int) -> tuple[OutputChange, ...]:
        """Obey bytes from the host, however they are cut; the changes they made."""
        self._buffer += data
        made = []
        while len(self._buffer) >= FRAME_BYTES:
            start, channel, state, check = self._buffer[:FRAME_BYTES]
            if start != START or channel != CHANNEL or state > 1 or check != (start + channel + state) & 0xFF:
                self._buffer = self._buffer[1:]
                continue
            self._buffer = self._buffer[FRAME_BYTES:]
            if bool(state) != self.on:
                self.on = bool(state)
                made.append(OutputChange(self.device, self.on, wall_ns))
        self.changes += made
        return tuple(made)
