"""EnOcean pendants, rockers, contacts and sensors behind a USB 300 or TCM stick: ESP3 over serial, 57600 8N1.

    55 | dd dd | oo | tt | HH | data … | optional … | DD
    dd data length, oo optional length, tt packet type, HH CRC-8 of the four header bytes, DD CRC-8 of data and optional
    radio (type 1): data = RORG | payload | sender (4) | status;  optional = copies | destination (4) | -dBm | security

CRC-8 polynomial 07, initial 0, not reflected. Source: EnOcean Serial Protocol 3 v1.47. What a telegram says stands in
`enocean_telegrams`, the profiles in `enocean_eep`. A kinetic pendant has no battery and sends nothing unless pressed:
its silence says nothing. The stick's does: it is asked for its base id each minute (common command 08), and one that
answers nothing is told as `enocean:<port name>`, for it would be as silent as a home where nobody presses.

Which profile a sender has, in this order: the port's options; a teach-in that this session heard (4BS with its profile,
UTE; nothing is answered); what the telegram alone proves: RPS is a rocker or pendant, unless it counts 6 or 7 buttons,
which only a window handle does (F6-10-00); 1BS is a contact. Any other telegram shows life and no more.

    options = { devices = [{ id = "0181B744", eep = "A5-02-05" }] }

Repeats: a repeater sends a telegram again within 0.1 s, with the same content, more hops and another level. Presses are
grouped by the quiet gap of 0.5 s, longer than any chain of two repeaters and shorter than two presses of one finger; a
release ends them sooner.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final

from msgspec import Meta

from hearthline.clock import Stamp
from hearthline.config import Config, check_config
from hearthline.errors import ConfigError
from hearthline_edge.devices import GroupingRule, Item, LineSettings, Refused, SerialDriver, enocean_eep
from hearthline_edge.devices.enocean_telegrams import FOUR_BS, ONE_BS, RPS, UTE, Known, Telegram, decode
from hearthline_edge.framing import TICK_S, Doubt, FrameDecoder, FrameShape
from hearthline_edge.silence import Heartbeat

_SYNC: Final = 0x55
_HEADER: Final = 6
_MAX_DATA: Final = 512  # the longest radio message (remote management); more is a header that holds by chance
_ASK_STICK: Final = bytes.fromhex("5500010005700838")  # CO_RD_IDBASE

_RADIO_ERP1: Final = 1
_KNOWN_TYPES: Final = range(1, 8)  # radio, response, sub-telegram, event, common, smart acknowledge, remote management
_FRAME_OF_PAYLOAD: Final = 6  # RORG, sender and status around it
_SIZES: Final = {RPS: 1, ONE_BS: 1, FOUR_BS: 4, UTE: 7}  # of the payload; VLD has any
_KNOWN_SENDERS: Final = 256  # a corridor has some dozens; senders without end must not grow memory


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


def _radio(frame: bytes) -> Telegram | Refused | None:
    """The telegram in a checked frame; None for a frame of another kind."""
    length, kind = frame[1] << 8 | frame[2], frame[4]
    if kind != _RADIO_ERP1:
        return None if kind in _KNOWN_TYPES else Refused("unsupported", frame.hex())
    data, optional = frame[_HEADER : _HEADER + length], frame[_HEADER + length : -1]
    size = len(data) - _FRAME_OF_PAYLOAD
    if size < 0 or size != _SIZES.get(data[0], size):
        return Refused("length", frame.hex())
    rssi_dbm = -optional[5] if len(optional) >= 6 else None
    return Telegram(data[0], data[1:-5], data[-5:-1], data[-1], rssi_dbm, frame.hex())


class _Device(Config, frozen=True):
    id: Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{8}\Z")]
    eep: str


class _Options(Config, frozen=True):
    devices: tuple[_Device, ...] = ()


class EnOceanSession:
    """Listens; an EnOcean stick speaks by itself. `profiles`: profile by sender, as the installer knows it."""

    def __init__(self, profiles: dict[bytes, int], name: str) -> None:
        self._decoder = FrameDecoder(SHAPE)
        self._heartbeat = Heartbeat(f"enocean:{name}", _ASK_STICK)
        self._profiles = profiles
        self._senders: dict[int, Known] = {}

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        items: list[Item] = []
        for found in self._decoder.feed(data, now):
            if isinstance(found, bytes):
                self._heartbeat.heard()
            telegram = found if isinstance(found, Refused) else _radio(found)
            if isinstance(telegram, Refused):
                items.append(telegram)
            elif telegram is not None:
                items += self._telegram(telegram, now)
        return items + self._heartbeat.notes(now)

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        request, wait_s = self._heartbeat.next_request(now)
        return request, TICK_S if self._decoder.waiting else wait_s

    def _telegram(self, telegram: Telegram, now: Stamp) -> list[Item]:
        known = self._know(telegram.sender)
        return decode(telegram, self._profiles.get(telegram.sender, known.taught), known, now)

    def _know(self, sender: bytes) -> Known:
        """What is known of it; the sender that was heard of least recently is forgotten for one too many."""
        key = int.from_bytes(sender, "big")
        known = self._senders.pop(key, None) or Known()
        self._senders[key] = known
        if len(self._senders) > _KNOWN_SENDERS:
            del self._senders[next(iter(self._senders))]
        return known


def _open_session(options: dict[str, Any], name: str) -> EnOceanSession:
    profiles: dict[bytes, int] = {}
    for index, device in enumerate(check_config(options, _Options, name).devices):
        where, sender, eep = f"{name}: devices[{index}]", bytes.fromhex(device.id), enocean_eep.eep_code(device.eep)
        if eep not in enocean_eep.SUPPORTED:
            known = ", ".join(enocean_eep.eep_text(code) for code in sorted(enocean_eep.SUPPORTED))
            raise ConfigError(f"{where}.eep = {device.eep!r} is not known; there are: {known}")
        if sender in profiles:
            raise ConfigError(f"{where}.id = {device.id!r} is there twice")
        profiles[sender] = eep
    return EnOceanSession(profiles, name)


DRIVER = SerialDriver(
    name="enocean-esp3",
    line=LineSettings(57600),
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=0.5, release_ends=True),
    # The published recordings that cannot be read without: python-enocean's temperature sensor.
    decode_options={"devices": [{"id": "0181B744", "eep": "A5-02-05"}]},
)
