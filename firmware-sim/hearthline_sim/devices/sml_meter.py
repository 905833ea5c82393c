"""SML electricity meter behind an infrared head, 9600 8N1: pushes a file every 1 to 4 s.

    1B1B1B1B 01010101 | message… | 00 fill to four | 1B1B1B1B 1A fill CRC low high
    escape   1B1B1B1B in the messages is doubled
    CRC      CRC-16/X-25 (polynomial 1021 reflected, start and end FFFF) from the first 1B to the fill count
    message  76 transaction group abort 72 tag body 63 CRC 00         tags 0101 open, 0701 list, 0201 close
    entry    77 OBIS status time unit scaler value signature           absent: 01; unit 1B W, 1E Wh
    type     0x octet string, 5x signed, 6x unsigned, 7x list; the low nibble counts the type byte too (not in lists)
    OBIS     1-0:96.50.1 maker  1-0:96.1.0 server id  1-0:1.8.0 import Wh  1-0:16.7.0 power W

Source: SML 1.04 (BSI TR-03109-1 annex IV). Two layouts of recorded meters: Holley DTZ541 with its PIN entered (0.1 Wh
and power), and Itron OpenWay 3.HZ without: whole kWh and no power.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hearthline_sim.devices.bus import Value

BAUDRATE: Final = 9600
BITS_PER_BYTE: Final = 10

ESCAPE, BEGIN = b"\x1b" * 4, b"\x01" * 4
OPEN, LIST, CLOSE = 0x0101, 0x0701, 0x0201
WATT, WATT_HOUR = 0x1B, 0x1E
ABSENT: Final = b"\x01"

MAKER, SERVER_ID, IMPORT, POWER = (
    bytes.fromhex(text) for text in ("010060320101", "0100600100ff", "0100010800ff", "0100100700ff")
)
LIST_NAME = bytes.fromhex("0100620affff")
STATUS = b"\x65\x00\x1c\x01\x04"  # running, imports


def crc16_x25(data: bytes) -> bytes:
    """The two check bytes, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return (crc ^ 0xFFFF).to_bytes(2, "little")


def octets(data: bytes) -> bytes:
    return bytes((len(data) + 1,)) + data


def unsigned(value: int, size: int) -> bytes:
    return bytes((0x61 + size,)) + value.to_bytes(size, "big")


def signed(value: int, size: int) -> bytes:
    return bytes((0x51 + size,)) + value.to_bytes(size, "big", signed=True)


def sequence(*elements: bytes) -> bytes:
    return bytes((0x70 | len(elements),)) + b"".join(elements)


def entry(
    obis: bytes,
    value: bytes,
    *,
    status: bytes = ABSENT,
    time: bytes = ABSENT,
    unit: bytes = ABSENT,
    scaler: bytes = ABSENT,
) -> bytes:
    """One list entry; every argument but `obis` is encoded already."""
    return sequence(octets(obis), status, time, unit, scaler, value, ABSENT)


def message(transaction: bytes, tag: bytes, body: bytes) -> bytes:
    content = b"\x76" + octets(transaction) + unsigned(0, 1) + unsigned(0, 1) + sequence(tag, body)
    return content + b"\x63" + crc16_x25(content) + b"\x00"


def file(*messages: bytes) -> bytes:
    """The whole transmission."""
    content = b"".join(messages).replace(ESCAPE, ESCAPE + ESCAPE)
    data = ESCAPE + BEGIN + content
    fill = -len(data) % 4
    data += bytes(fill) + ESCAPE + bytes((0x1A, fill))
    return data + crc16_x25(data)


@dataclass(frozen=True, slots=True)
class Layout:
    """How one make fills the fields that the standard leaves to it. Sizes in bytes."""

    transaction_bytes: int
    file_id_bytes: int
    client: bytes
    energy_bytes: int
    energy_scaler: int
    energy_timed: bool
    tells_power: bool
    transactions_restart: bool


HOLLEY: Final = Layout(3, 6, octets(b"\xff" * 6), 4, -1, True, True, True)
ITRON_LOCKED: Final = Layout(8, 8, ABSENT, 8, 3, False, False, False)


@dataclass(frozen=True, slots=True)
class Display:
    """Counted energy and power now; power is negative while the home delivers."""

    energy_wh: float
    power_w: float


class SmlMeter:
    """One meter. `server_id`: hexadecimal, ten bytes. Without its PIN (`ITRON_LOCKED`) it hides power and digits."""

    def __init__(
        self,
        server_id: str,
        *,
        maker: str = "HLY",
        layout: Layout = HOLLEY,
        transaction: int = 1,
        second: int = 1,
        file_number: int | None = None,
    ) -> None:
        """`second`: the meter's own index of seconds; `transaction` and `file_number`: where its counters stand."""
        self.device = f"sml:{server_id.lower()}"
        self._server = octets(bytes.fromhex(server_id))
        self._maker = octets(maker.encode("ascii"))
        self._layout = layout
        self._transaction = transaction
        self._second = second
        self._file_number = second if file_number is None else file_number

    def push(self, shown: Display) -> tuple[bytes, tuple[Value, ...]]:
        """One file, and the values in it as its digits show them."""
        layout = self._layout
        step = 10.0**layout.energy_scaler
        energy, power = int(shown.energy_wh / step + 1e-6), round(shown.power_w)
        values = [Value(self.device, "energy_import", round(energy * step, 1) / 1000)]
        if layout.tells_power:
            values.append(Value(self.device, "power", power))
        clock = sequence(unsigned(1, 1), unsigned(self._second, 4))
        data = file(*self._messages(clock, self._entries(energy, power, clock)))
        self._second += 1
        self._file_number += 1
        return data, tuple(values)

    def _messages(self, clock: bytes, entries: bytes) -> tuple[bytes, ...]:
        layout, first = self._layout, self._transaction
        if not layout.transactions_restart:
            self._transaction += 3
        file_id = octets(self._file_number.to_bytes(layout.file_id_bytes, "big"))
        bodies = (
            (OPEN, sequence(ABSENT, ABSENT, file_id, self._server, clock, ABSENT)),
            (LIST, sequence(layout.client, self._server, octets(LIST_NAME), clock, entries, ABSENT, ABSENT)),
            (CLOSE, sequence(ABSENT)),
        )
        return tuple(
            message((first + index).to_bytes(layout.transaction_bytes, "big"), unsigned(tag, 4), body)
            for index, (tag, body) in enumerate(bodies)
        )

    def _entries(self, energy: int, power: int, clock: bytes) -> bytes:
        layout = self._layout
        found = [
            entry(MAKER, self._maker),
            entry(SERVER_ID, self._server),
            entry(
                IMPORT,
                unsigned(energy, layout.energy_bytes),
                status=STATUS,
                time=clock if layout.energy_timed else ABSENT,
                unit=unsigned(WATT_HOUR, 1),
                scaler=signed(layout.energy_scaler, 1),
            ),
        ]
        if layout.tells_power:
            size = 2 if -(2**15) <= power < 2**15 else 4
            found.append(entry(POWER, signed(power, size), unit=unsigned(WATT, 1), scaler=signed(0, 1)))
        return sequence(*found)
