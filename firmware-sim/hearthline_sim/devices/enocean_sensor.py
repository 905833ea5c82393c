"""EnOcean contact (EEP D5-00-01) and thermometer (EEP A5-02-05) behind the same ESP3 receiver as the pendants.

    D5 | 1BS    bit 3 LRN (0: teach-in)  bit 0 contact (1: closed)                         | sender | status
    A5 | DB3 DB2 DB1 DB0   DB1 temperature 255 to 0 for 0 to 40 degrees, DB0 bit 3 LRN (0: teach-in) | sender | status
         teach-in with its profile: DB3 DB2 DB1 = function (6) type (7) maker (11), DB0 = 80

Source: EEP 2.6.7. Both send on a change and, unlike a kinetic pendant, by themselves every few minutes.
"""

from __future__ import annotations

from typing import Final

from hearthline_sim.devices.enocean_pendant import BROADCAST, PACKET_RADIO, esp3

RORG_1BS, RORG_4BS = 0xD5, 0xA5
LEARN_BIT: Final = 0x08  # 0 in a teach-in
CLOSED: Final = 0x01
NAMES_PROFILE: Final = 0x80
MAX_CELSIUS: Final = 40.0
MAKER: Final = 0x7FF  # "multi user manufacturer"


def telegram(rorg: int, payload: bytes, sender: bytes, status: int, dbm: int) -> bytes:
    data = bytes((rorg,)) + payload + sender + bytes((status,))
    return esp3(PACKET_RADIO, data, b"\x01" + BROADCAST + bytes((-dbm, 0)))


def contact(sender: bytes, *, closed: bool, hops: int = 0, dbm: int = -60) -> bytes:
    return telegram(RORG_1BS, bytes((LEARN_BIT | (CLOSED if closed else 0),)), sender, hops, dbm)


def contact_teach_in(sender: bytes, dbm: int = -60) -> bytes:
    """The learn button of a contact: no report of its state."""
    return telegram(RORG_1BS, b"\x00", sender, 0, dbm)


def temperature(sender: bytes, celsius: float, hops: int = 0, dbm: int = -60) -> tuple[bytes, float]:
    """The telegram, and the temperature that its eight bits tell."""
    raw = round((1 - min(max(celsius, 0.0), MAX_CELSIUS) / MAX_CELSIUS) * 255)
    payload = bytes((0, 0, raw, LEARN_BIT))
    return telegram(RORG_4BS, payload, sender, hops, dbm), (255 - raw) * MAX_CELSIUS / 255


def temperature_teach_in(sender: bytes, dbm: int = -60) -> bytes:
    """The learn button of a thermometer, which names its profile."""
    word = 0x02 << 18 | 0x05 << 11 | MAKER
    return telegram(RORG_4BS, word.to_bytes(3, "big") + bytes((NAMES_PROFILE,)), sender, 0, dbm)
