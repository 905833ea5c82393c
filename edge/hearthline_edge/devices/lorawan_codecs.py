"""What the radio payload of a LoRaWAN device says, decoded here, whatever codec the network server has or lacks.

    Milesight, port 85   channel, type, value, again and again
        01 75 <%>              battery
        FF 2E <1, 2, 3>        WS101 and WS101 SOS: pressed short, long, double
        03 67 <int16> · 04 68 <uint8>   0.1 degrees Celsius, 0.5 % of humidity
        05 00 <0, 1>           EM300-SLD and -ZLD: water leak
        06 00 <0, 1>           EM300-MCS: open
        03 00 <0, 1>           WS301: open, and 04 00 <0, 1> dismounted, only where the profile's name says WS301:
                               other models mean other things by these two
        FF xx                  who it is, told at power-on: passed over
    Dragino LDS02, port 10, where the profile's name says LDS02: battery in mV in 14 bits, the top bit open, the next
        leak; the third byte 1 door, 2 leak, 3 both

Numbers are little-endian. Decoding ends at a channel that is not known, for nobody can tell how long it is; only a
press at the end of the payload, where a WS101 has it, is still taken.
Sources: Milesight's user guides and its published decoders, as in TheThingsNetwork/lorawan-devices (ws101, em300-zld,
em300-mcs, ws301, with the vectors FF2E01 and 017510FF2E01), Dragino's LDS02 manual. Unverified on recorded uplinks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_MILESIGHT_PORT: Final = 85
_DRAGINO_PORT: Final = 10
_BUTTON: Final = {1: "short", 2: "long", 3: "double"}
_LENGTHS: Final = {
    (0x01, 0x75): 1,
    (0x03, 0x67): 2,
    (0x04, 0x68): 1,
    (0x05, 0x00): 1,
    (0x06, 0x00): 1,
    (0xFF, 0x01): 1,
    (0xFF, 0x08): 6,
    (0xFF, 0x09): 2,
    (0xFF, 0x0A): 2,
    (0xFF, 0x0B): 1,
    (0xFF, 0x0F): 1,
    (0xFF, 0x16): 8,
    (0xFF, 0x2E): 1,
}
_PRESSED: Final = (0xFF, 0x2E)
_WS301_LENGTHS: Final = {(0x03, 0x00): 1, (0x04, 0x00): 1}


@dataclass(frozen=True, slots=True)
class Said:
    """`kind`: press (`word` the button), change (`word` of CHANGES), hazard or note (`there`), or reading (`value`)."""

    kind: str
    word: str
    value: Decimal = Decimal(0)
    there: bool = True


def decode(port: int, data: bytes, profile: str) -> list[Said]:
    """What a payload says; empty when it is not known. `profile`: the device profile's name at the network server."""
    if port == _MILESIGHT_PORT:
        return list(_milesight(data, "ws301" in profile.lower()))
    if port == _DRAGINO_PORT and "lds02" in profile.lower() and len(data) >= 3:
        return list(_lds02(data))
    return []


def is_whole(data: bytes) -> bool:
    """Whether a payload is nothing but Milesight's known channels, from its beginning to its end."""
    place = 0
    while place + 2 < len(data):
        channel = (data[place], data[place + 1])
        length = _LENGTHS.get(channel)
        if length is None or (channel == _PRESSED and data[place + 2] not in _BUTTON):
            return False
        place += 2 + length
    return place == len(data) > 0


def _milesight(data: bytes, is_ws301: bool) -> Iterator[Said]:
    lengths = _LENGTHS | _WS301_LENGTHS if is_ws301 else _LENGTHS
    place = 0
    while place + 2 < len(data):
        channel = (data[place], data[place + 1])
        length = lengths.get(channel)
        value = data[place + 2 : place + 2 + (length or 0)]
        if length is None or len(value) < length:
            if data[place:][-3:-1] == b"\xff\x2e" and data[-1] in _BUTTON:
                yield Said("press", _BUTTON[data[-1]])
            return
        yield from _value(channel, value)
        place += 2 + length


def _value(channel: tuple[int, int], value: bytes) -> Iterator[Said]:
    low = value[0]
    match channel:
        case (0xFF, 0x2E):
            yield Said("press", _BUTTON.get(low, f"press-{low}"))
        case (0x01, 0x75) if low <= 100:
            yield Said("reading", "battery", Decimal(low))
        case (0x03, 0x67):
            yield Said("reading", "temperature", Decimal(int.from_bytes(value, "little", signed=True)) / 10)
        case (0x04, 0x68) if low <= 200:
            yield Said("reading", "humidity", Decimal(low) / 2)
        case (0x05, 0x00):
            yield Said("hazard", "leak", there=low != 0)
        case (0x06, 0x00) | (0x03, 0x00):
            yield Said("change", "open" if low else "closed")
        case (0x04, 0x00):
            yield Said("note", "tamper", there=low != 0)


def _lds02(data: bytes) -> Iterator[Said]:
    yield Said("reading", "battery_voltage", Decimal((data[0] & 0x3F) << 8 | data[1]) / 1000)
    if data[2] in (1, 3):
        yield Said("change", "open" if data[0] & 0x80 else "closed")
    if data[2] in (2, 3):
        yield Said("hazard", "leak", there=bool(data[0] & 0x40))
