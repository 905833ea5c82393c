"""EnOcean pendants and rockers behind a USB 300 or TCM stick: ESP3 over serial, 57600 8N1.

    55 | dd dd | oo | tt | HH | data … | optional … | DD
    dd data length, oo optional length, tt packet type, HH CRC-8 of the four header bytes, DD CRC-8 of data and optional
    radio (type 1): data = RORG | payload | sender (4) | status;  optional = copies | destination (4) | -dBm | security
    RPS (RORG F6): payload RRR E SSS V: first action, energy bow (pressed), second action, second action valid
                   status  .. T21 NU hhhh: NU 1 names buttons, NU 0 counts them; h repeater hops

CRC-8 polynomial 07, initial 0, not reflected. Sources: EnOcean Serial Protocol 3 v1.47, EEP 2.6.7 (F6-02-01).
A kinetic pendant has no battery and sends nothing unless pressed: its silence says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hearthline.clock import Stamp
from hearthline.config import Config, check_config
from hearthline_edge.devices import GroupingRule, Item, LineSettings, Press, Refused, Release, Seen, SerialDriver
from hearthline_edge.framing import TICK_S, Doubt, FrameDecoder, FrameShape

_SYNC: Final = 0x55
_HEADER: Final = 6
_MAX_DATA: Final = 512  # the longest radio message (remote management); more is a header that holds by chance
_IDLE_S: Final = 3600.0

_RADIO_ERP1: Final = 1
_KNOWN_TYPES: Final = range(1, 8)  # radio, response, sub-telegram, event, common, smart acknowledge, remote management
_RPS: Final = 0xF6
_BUTTONS: Final = ("AI", "AO", "BI", "BO")
_SEVERAL: Final = "several"  # three or more keys at once: RPS gives no names then


def _crc8_table() -> bytes:
    table = bytearray()
    for value in range(256):
        for _ in range(8):
            value = (value << 1) ^ (0x107 if value & 0x80 else 0)
        table.append(value)
    return bytes(table)


_CRC8: Final = _crc8_table()


def crc8(data: bytes) -> int:
    """CRC-8 of ESP3 over header or body."""
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc


def _judge(buffer: bytes, at: int) -> int | Doubt:
    header = buffer[at + 1 : at + _HEADER]
    if len(header) < _HEADER - 1:
        return Doubt.MORE
    length = header[0] << 8 | header[1]
    if crc8(header[:4]) != header[4] or not 0 < length <= _MAX_DATA:
        return Doubt.NOT_A_FRAME
    body = buffer[at + _HEADER : at + _HEADER + length + header[2] + 1]
    if len(body) <= length + header[2]:
        return Doubt.MORE
    return _HEADER + len(body) if crc8(body[:-1]) == body[-1] else Doubt.BAD_CHECK


SHAPE: Final = FrameShape(starts=bytes((_SYNC,)), judge=_judge, patience_s=0.5, limit=_HEADER + _MAX_DATA + 0xFF + 1)


def _decode(frame: bytes) -> list[Item]:
    """The items of one checked frame."""
    length, kind = frame[1] << 8 | frame[2], frame[4]
    if kind != _RADIO_ERP1:
        return [] if kind in _KNOWN_TYPES else [Refused("unsupported", frame.hex())]
    data, optional = frame[_HEADER : _HEADER + length], frame[_HEADER + length : -1]
    if len(data) < 6:
        return [Refused("length", frame.hex())]
    device = f"enocean:{data[-5:-1].hex().upper()}"
    if data[0] != _RPS:
        return [Seen(device)]
    if len(data) != 7:
        return [Refused("length", frame.hex())]
    return _decode_rps(frame, device, data, optional)


def _decode_rps(frame: bytes, device: str, data: bytes, optional: bytes) -> list[Item]:
    payload, status = data[1], data[6]
    if not payload & 0x10:
        return [Release(device)]
    facts: tuple[tuple[str, Any], ...] = (("hops", status & 0x0F),)
    if len(optional) >= 6:
        facts = (("rssi_dbm", -optional[5]), *facts)
    content = f"{payload:02X}"
    return [Press(device, button, content, frame.hex(), facts=facts) for button in _buttons(payload, status)]


def _buttons(payload: int, status: int) -> list[str]:
    """The buttons that one telegram presses: one, two at once, or several that it does not name."""
    if not status & 0x10:
        return [_SEVERAL]
    numbers = [payload >> 5]
    if payload & 0x01:
        numbers.append(payload >> 1 & 0x07)
    return [_BUTTONS[number] if number < len(_BUTTONS) else f"R{number}" for number in dict.fromkeys(numbers)]


class _Options(Config, frozen=True):
    """This family has no options."""


class EnOceanSession:
    """Listens; an EnOcean stick speaks by itself."""

    def __init__(self) -> None:
        self._decoder = FrameDecoder(SHAPE)

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        items: list[Item] = []
        for found in self._decoder.feed(data, now):
            items += [found] if isinstance(found, Refused) else _decode(found)
        return items

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        return b"", TICK_S if self._decoder.waiting else _IDLE_S


def _open_session(options: dict[str, Any], name: str) -> EnOceanSession:
    check_config(options, _Options, name)
    return EnOceanSession()


DRIVER = SerialDriver(
    name="enocean-esp3",
    line=LineSettings(57600),
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=0.5, release_ends=True),
)
