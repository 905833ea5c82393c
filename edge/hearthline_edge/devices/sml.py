"""German electricity meters at their optical port: SML files that the meter pushes every 1 to 4 s, 9600 8N1.

    1B1B1B1B 01010101 | messages … | fill 00 × pp | 1B1B1B1B 1A pp CC CC
    pp fill bytes (0 to 3); CC CRC-16/X-25 from the first 1B to pp, low byte first; four 1B in the messages are doubled

What the messages are: sml_messages.py; what their codes mean: obis.py. The meter is `sml:<server id in hexadecimal>`.
A frame that holds but is no SML is refused; a meter that is locked by its PIN sends fewer values, down to one in whole
kWh. DZG DVS 74xx meters mark an unsigned power as signed (356.24 W comes as -299.12 W, recorded): it is given as the
meter says it. Other DZG meters send true negative powers under the same ids, and no rule to tell them was verified.

A meter pushes often: `interval_s` says how often readings are wanted.

Sources: BSI TR-03109-1 annex SML 1.04, chapter 8; recorded frames of 19 meters (devZer0/libsml-testing). Escaped 1B in
the messages is of the specification alone: no recording has any.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec

from hearthline.clock import Stamp
from hearthline.config import Config, check_config
from hearthline_edge.devices import GroupingRule, Item, LineSettings, Readings, Refused, Seen, SerialDriver
from hearthline_edge.devices.obis import Pace, readings_of
from hearthline_edge.devices.sml_messages import MeterList, NotSmlError, crc16, meter_lists
from hearthline_edge.framing import TICK_S, Doubt, FrameDecoder, FrameShape

_ESCAPE: Final = b"\x1b" * 4
_START: Final = _ESCAPE + b"\x01" * 4
_END_SIZE: Final = 8
_LIMIT: Final = 2048  # the longest recorded one has 528 bytes; 2.1 s at 9600 baud
_PATIENCE_S: Final = 3.0  # of the longest frame; the next one's start ends it before
_IDLE_S: Final = 3600.0


def _judge(buffer: bytes, at: int) -> int | Doubt:
    start = buffer[at : at + len(_START)]
    if start != _START:
        return Doubt.MORE if _START.startswith(start) else Doubt.NOT_A_FRAME
    place = at + len(_START)
    while True:
        place = buffer.find(_ESCAPE, place)
        if place < 0:
            return Doubt.MORE
        run = _run_length(buffer, place)
        if place + run == len(buffer):
            return Doubt.MORE
        place += run
        if run % 8 >= len(_ESCAPE):  # doubled ones come in eights: this is an escape that means something
            return _judge_end(buffer, at, place)


def _run_length(buffer: bytes, at: int) -> int:
    end = at
    while end < len(buffer) and buffer[end] == _ESCAPE[0]:
        end += 1
    return end - at


def _judge_end(buffer: bytes, at: int, end: int) -> int | Doubt:
    """`end`: what stands behind the escape."""
    if buffer[end] != 0x1A:
        return Doubt.NOT_A_FRAME
    if len(buffer) < end + 4:
        return Doubt.MORE
    holds = crc16(buffer[at : end + 2]) == buffer[end + 2] | buffer[end + 3] << 8
    return end + 4 - at if holds and buffer[end + 1] <= 3 else Doubt.BAD_CHECK


SHAPE: Final = FrameShape(starts=_ESCAPE[:1], judge=_judge, patience_s=_PATIENCE_S, limit=_LIMIT)


def read_frame(frame: bytes) -> list[MeterList]:
    """The lists of values of a checked frame. Raises NotSmlError."""
    body = frame[len(_START) : len(frame) - _END_SIZE].replace(_ESCAPE + _ESCAPE, _ESCAPE)
    return meter_lists(body[: len(body) - frame[-3]])


class _Options(Config, frozen=True):
    interval_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 10.0


class SmlSession:
    """Listens; the meter pushes."""

    def __init__(self, options: _Options, name: str) -> None:
        self._decoder = FrameDecoder(SHAPE)
        self._pace = Pace(options.interval_s)
        self._name = name

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        items: list[Item] = []
        for found in self._decoder.feed(data, now):
            items += [found] if isinstance(found, Refused) else self._decode(found, now)
        return items

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        return b"", TICK_S if self._decoder.waiting else _IDLE_S

    def _decode(self, frame: bytes, now: Stamp) -> list[Item]:
        try:
            lists = read_frame(frame)
        except NotSmlError as error:
            return [Refused(error.reason, frame.hex())]
        if not lists:
            return [Refused("unsupported", frame.hex())]
        due = self._pace.is_due(now)
        return [self._item(each, due) for each in {each.server: each for each in lists}.values()]

    def _item(self, found: MeterList, due: bool) -> Item:
        device = f"sml:{found.server.hex() or self._name}"
        readings = readings_of(device, found.values) if due else ()
        return Readings(readings) if readings else Seen(device)


def _open_session(options: dict[str, Any], name: str) -> SmlSession:
    return SmlSession(check_config(options, _Options, name), name)


DRIVER = SerialDriver(
    name="sml",
    line=LineSettings(9600),
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=0.0),
    decode_options={"interval_s": 0.0},
)
