"""DL/T 645-2007 energy meter on RS-485, 2400 8E1 (11 bits a byte).

    FE x 0..4 | 68 | A0..A5 BCD, low byte first | 68 | C | L | data, each + 33 | CS | 16
    CS   sum modulo 256 from the first 68 to the end of data
    C    11 read, 91 reply, D1 error (one byte, bit 1: no requested data) | 13 read address, 93 reply

    00010000  total import    XXXXXX.XX kWh       02010100  voltage  XXX.X V
    00020000  total export    XXXXXX.XX kWh       02060000  power factor  X.XXX
    02020100  current         XXX.XXX A           02030000  power    XX.XXXX kW      (BCD, low byte first)
    0201FF00, 0202FF00  the block of the three phases; of this meter of one, B and C are FF

Source: DL/T 645-2007, chapters 5 and 7 and appendix A. A meter with another address stays silent; a byte AA
in the address of a request stands for any two digits, which works with one meter on the bus only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from hearthline_sim.devices.emission import Burst

BAUDRATE = 2400
BITS_PER_BYTE = 11  # start, eight data bits, even parity, stop

START, END, WAKE_UP = 0x68, 0x16, 0xFE
READ, READ_REPLY, READ_ERROR = 0x11, 0x91, 0xD1
READ_ADDRESS, ADDRESS_REPLY = 0x13, 0x93
NO_REQUESTED_DATA = 0x02
OFFSET = 0x33
WILDCARD = 0xAA

ENERGY, VOLTAGE, CURRENT, POWER = 0x00010000, 0x02010100, 0x02020100, 0x02030000
EXPORT, POWER_FACTOR = 0x00020000, 0x02060000
FIRST_REPLY_S = 0.3


@dataclass(frozen=True, slots=True)
class Item:
    """How one data identifier is coded: `digits` BCD digits of `value / step`, and its quantity in our words."""

    digits: int
    step: float
    quantity: str


ITEMS = {
    ENERGY: Item(8, 0.01, "energy_import"),
    VOLTAGE: Item(4, 0.1, "voltage"),
    CURRENT: Item(6, 0.001, "current"),
    POWER: Item(6, 0.1, "power"),  # kW with four decimals are steps of 0.1 W
    EXPORT: Item(8, 0.01, "energy_export"),
    POWER_FACTOR: Item(4, 0.001, "power_factor"),
}
BLOCKS = {0x0201FF00: VOLTAGE, 0x0202FF00: CURRENT}  # phases A, B and C


@dataclass(frozen=True, slots=True)
class MeterState:
    """What the meter would show now."""

    energy_kwh: float
    voltage_v: float
    current_a: float
    power_w: float
    export_kwh: float = 0.0
    power_factor: float = 0.95

    def of(self, item: int) -> float:
        return {
            ENERGY: self.energy_kwh,
            VOLTAGE: self.voltage_v,
            CURRENT: self.current_a,
            POWER: self.power_w,
            EXPORT: self.export_kwh,
            POWER_FACTOR: self.power_factor,
        }[item]


@dataclass(frozen=True, slots=True)
class MeterReply:
    """What goes on the line, and, when it is a whole reading, its quantity and value as the digits show it."""

    burst: Burst
    quantity: str | None = None
    value: float = 0.0


def frame(address: bytes, control: int, data: bytes = b"") -> bytes:
    """One frame without wake-up bytes; `address` as on the line, `data` without the offset."""
    body = bytes((START, *address, START, control, len(data))) + bytes((byte + OFFSET) & 0xFF for byte in data)
    return body + bytes((sum(body) & 0xFF, END))


def line_address(address: str) -> bytes:
    """Twelve digits as they are printed on the meter, low byte first as on the line."""
    if len(address) != 12 or not address.isdigit():
        raise ValueError(f"a DL/T 645 address has twelve digits, not {address!r}")
    return bytes.fromhex(address)[::-1]


def bcd(number: int, digits: int) -> bytes:
    """The lowest `digits` digits (the register rolls over), two a byte, low byte first."""
    return bytes.fromhex(f"{number % 10**digits:0{digits}d}")[::-1]


class Dlt645Meter:
    """One meter. `state` is asked at each read. Faults: a glitch byte or half a frame, at the given rates; an echo."""

    def __init__(
        self,
        address: str,
        rng: Random,
        state: Callable[[], MeterState],
        *,
        glitch_rate: float = 0.0,
        half_frame_rate: float = 0.0,
        echo: bool = False,
        slow_first: bool = False,
        error_rate: float = 0.0,
        dead: bool = False,
    ) -> None:
        """`echo`: the RS-485 adapter hears its own request, which comes back before the reply.

        `slow_first`: the first reply takes longer. `error_rate`: how often a good read is refused (D1). `dead`: silent.
        """
        self.device = f"dlt645:{address}"
        self._address = line_address(address)
        self._rng = rng
        self._state = state
        self._glitch_rate = glitch_rate
        self._half_frame_rate = half_frame_rate
        self._echo = echo
        self._late_s = FIRST_REPLY_S if slow_first else 0.0
        self._error_rate = error_rate
        self._dead = dead
        self._buffer = b""

    def receive(self, data: bytes) -> tuple[MeterReply, ...]:
        """What the meter answers to bytes on the bus, however they are cut."""
        self._buffer += data
        replies = [MeterReply(Burst(0.0, data))] if self._echo else []
        while (request := self._next_request()) is not None:
            reply = self._answer(*request)
            if reply is not None:
                replies.append(reply)
        return tuple(replies)

    def _answer(self, address: bytes, control: int, data: bytes) -> MeterReply | None:
        if self._dead or not all(asked in (own, WILDCARD) for asked, own in zip(address, self._address, strict=True)):
            return None
        if control == READ_ADDRESS:
            return self._on_line(frame(self._address, ADDRESS_REPLY, self._address))
        if control != READ or len(data) < 4:
            return None
        identifier = int.from_bytes(data[:4], "little")
        asked = BLOCKS.get(identifier, identifier)
        item = ITEMS.get(asked)
        if item is None or self._rng.random() < self._error_rate:
            return self._on_line(frame(self._address, READ_ERROR, bytes((NO_REQUESTED_DATA,))))
        steps = int(self._state().of(asked) / item.step + 1e-6)
        no_phases = b"\xff" * item.digits if identifier in BLOCKS else b""
        whole = frame(self._address, READ_REPLY, data[:4] + bcd(steps, item.digits) + no_phases)
        return self._on_line(whole, item.quantity, round(steps % 10**item.digits * item.step, 6))

    def _on_line(self, whole: bytes, quantity: str | None = None, value: float = 0.0) -> MeterReply:
        """The reply 20 to 500 ms after the request, as the standard allows, with the line's faults."""
        after_s, self._late_s = self._rng.uniform(0.02, 0.08) + self._late_s, 0.0
        line = bytes((WAKE_UP,)) * self._rng.randint(0, 4) + whole
        if self._rng.random() < self._half_frame_rate:
            return MeterReply(Burst(after_s, line[: len(line) // 2]))
        if self._rng.random() < self._glitch_rate:
            line = self._rng.choice((b"\x00", b"\xff")) + line
        return MeterReply(Burst(after_s, line), quantity, value)

    def _next_request(self) -> tuple[bytes, int, bytes] | None:
        """Address, control and data of the next correct frame; what comes before it is dropped."""
        while (start := self._buffer.find(START)) >= 0:
            self._buffer = self._buffer[start:]
            if len(self._buffer) < 10:
                return None
            end = 12 + self._buffer[9]
            if self._buffer[7] != START:
                self._buffer = self._buffer[1:]
                continue
            if len(self._buffer) < end:
                return None
            data = bytes((byte - OFFSET) & 0xFF for byte in self._buffer[10 : end - 2])
            address, control = self._buffer[1:7], self._buffer[8]
            if frame(address, control, data) == self._buffer[:end]:
                self._buffer = self._buffer[end:]
                return address, control, data
            self._buffer = self._buffer[1:]
        self._buffer = b""
        return None
