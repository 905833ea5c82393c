"""EnOcean kinetic pendant (PTM215, EEP F6-02-01) behind an ESP3 serial receiver, 57600 8N1.

    55 | hh ll | oo | tt | C8H | data (hh ll bytes) | optional (oo bytes) | C8D
    data      F6 | rocker | sender (4) | status          an RPS telegram, 7 bytes
    optional  01 | FFFFFFFF | -dBm | security            subtelegrams, broadcast, level, 7 bytes

    rocker    bits 7-5 button (0 AI, 1 AO, 2 BI, 3 BO), bit 4 energy bow (1 pressed), bit 0 second action valid
    status    bit 5 T21, bit 4 NU (1: names a button), low nibble: hops through repeaters

Source: ESP3 v1.47 (framing, CRC-8 with polynomial 0x07 and start 0), EEP 2.6.7 (RPS, F6-02-01). A press is one telegram
and a release when the finger lets go; repeaters resend each with another level and hop count. The radio module may
also put stray 0x55 bytes, or the head of a frame that never came, in front of a good frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from random import Random

from hearthline_sim.devices.emission import Burst

BAUDRATE = 57600

SYNC = 0x55
PACKET_RADIO, PACKET_RESPONSE, PACKET_COMMAND = 0x01, 0x02, 0x05
RORG_RPS = 0xF6
CO_RD_IDBASE = 0x08
RET_OK, RET_NOT_SUPPORTED = 0x00, 0x02
BROADCAST = bytes.fromhex("FFFFFFFF")

STATUS_T21, STATUS_NU = 0x20, 0x10
ENERGY_BOW = 0x10

MAX_COPIES = 3  # the original and at most two repeater levels (EEP: a telegram is repeated twice at most)
REPEAT_WINDOW_S = 0.040  # all copies of a telegram arrive within this time
FALSE_STARTS = tuple(bytes.fromhex(text) for text in ("55", "5555", "550007", "557017AF60FF"))


class Button(IntEnum):
    """Bits 7-5 of the rocker byte, by the names of EEP F6-02-01."""

    AI = 0
    AO = 1
    BI = 2
    BO = 3


def crc8(data: bytes) -> int:
    """CRC-8 of ESP3: polynomial x^8 + x^2 + x + 1, start 0, no reflection."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc


def esp3(packet_type: int, data: bytes, optional: bytes = b"") -> bytes:
    """One ESP3 packet with both checksums."""
    head = len(data).to_bytes(2, "big") + bytes((len(optional), packet_type))
    return bytes((SYNC,)) + head + bytes((crc8(head),)) + data + optional + bytes((crc8(data + optional),))


def rps(sender: bytes, rocker: int, status: int, dbm: int) -> bytes:
    """An RPS telegram of a 4-byte `sender` as a receiver reports it, heard at `dbm` (a negative number)."""
    data = bytes((RORG_RPS, rocker)) + sender + bytes((status,))
    return esp3(PACKET_RADIO, data, b"\x01" + BROADCAST + bytes((-dbm, 0)))


@dataclass(frozen=True, slots=True)
class Press:
    """The two halves of one press. `pressed[0]` is the telegram that makes it; the rest are copies."""

    pressed: tuple[Burst, ...]
    released: tuple[Burst, ...]

    @property
    def bursts(self) -> tuple[Burst, ...]:
        return self.pressed + self.released


class EnoceanPendant:
    """One pendant as its receiver hears it, with what the air does to its telegrams."""

    def __init__(
        self,
        sender: str,
        rng: Random,
        *,
        max_copies: int = MAX_COPIES,
        false_start_rate: float = 0.2,
        hold_s: tuple[float, float] = (0.08, 0.6),
    ) -> None:
        """`sender`: eight hexadecimal digits. `false_start_rate`: how often stray sync bytes precede a frame."""
        self.sender = bytes.fromhex(sender)
        if len(self.sender) != 4:
            raise ValueError(f"an EnOcean sender has eight hexadecimal digits, not {sender!r}")
        self.device = f"enocean:{self.sender.hex().upper()}"
        self._rng = rng
        self._max_copies = max_copies
        self._false_start_rate = false_start_rate
        self._hold_s = hold_s

    def press(self, button: Button) -> Press:
        """The telegrams of one press and its release, in the order they are heard."""
        pressed = self._heard(0.0, button << 5 | ENERGY_BOW, STATUS_T21 | STATUS_NU)
        hold_s = self._rng.uniform(*self._hold_s)
        return Press(pressed, self._heard(hold_s, 0x00, STATUS_T21))

    def _heard(self, at_s: float, rocker: int, status: int) -> tuple[Burst, ...]:
        copies = self._rng.randint(1, self._max_copies)
        delays = sorted(self._rng.uniform(0.005, REPEAT_WINDOW_S * 0.75) for _ in range(copies - 1))
        bursts = []
        for hops, delay in enumerate([0.0, *delays]):
            level = self._rng.randint(-92, -45)
            frame = rps(self.sender, rocker, status | hops, level)
            bursts.append(Burst(at_s + delay, self._false_start() + frame))
        return tuple(bursts)

    def _false_start(self) -> bytes:
        return self._rng.choice(FALSE_STARTS) if self._rng.random() < self._false_start_rate else b""


class Receiver:
    """The USB stick: answers the host's CO_RD_IDBASE, refuses every other common command."""

    def __init__(self, base_id: str = "FF8A3C00") -> None:
        self._base_id = bytes.fromhex(base_id)
        self._buffer = b""

    def receive(self, data: bytes) -> tuple[Burst, ...]:
        """What the stick answers to bytes from the host, however they are cut."""
        self._buffer += data
        answers = []
        while (command := self._next_command()) is not None:
            if command == bytes((CO_RD_IDBASE,)):
                answer = esp3(PACKET_RESPONSE, bytes((RET_OK,)) + self._base_id, b"\x0a")
            else:
                answer = esp3(PACKET_RESPONSE, bytes((RET_NOT_SUPPORTED,)))
            answers.append(Burst(0.003, answer))
        return tuple(answers)

    def _next_command(self) -> bytes | None:
        """The data of the next whole common command; anything else is dropped."""
        while len(self._buffer) >= 6:
            head = self._buffer[1:5]
            size = int.from_bytes(head[:2], "big")
            end = 6 + size + head[2] + 1
            if self._buffer[0] != SYNC or crc8(head) != self._buffer[5]:
                self._buffer = self._buffer[1:]
                continue
            if len(self._buffer) < end:
                return None
            body, check = self._buffer[6 : end - 1], self._buffer[end - 1]
            if crc8(body) != check:
                self._buffer = self._buffer[1:]
                continue
            self._buffer = self._buffer[end:]
            if head[3] == PACKET_COMMAND:
                return body[:size]
        return None
