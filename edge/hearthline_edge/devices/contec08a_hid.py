"""Contec 08A blood-pressure monitor: reports of a USB HID device (0483:5750), not a serial port. For recordings only.

    monitor  82 80 SS dd pp mm  yy MM 80 DD hh mi 80 .u …     a record: systolic, diastolic, pulse, mean; clock; user
             46 41 80 80 nn … .u      nn records of user u follow           48 41 …, 4A 43 …      answers
    host     42 …, 43 41 …            queries

The first 16 of 64 bytes were recorded, and more than 16 are not looked at. All but SS carry the top bit, which is no
part of the value. All recorded systolic values are 128 or more and sent as they are, so nobody knows how a smaller one
is sent: without the top bit it is refused as unsupported, and so is one whose lower seven bits alone would make a
systolic value too (F8 with a diastolic value of 70 may be 248 or 120). Reports have no check: fixed bits and a clock
that exists stand for one.

Source: four records with the vendor's own CSV values and an exchange, quoted by MarkMLl/contec08a; bytes and values
only. The unit was a veterinary one. Presses there are none, so there is nothing to group.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from hearthline.clock import Stamp
from hearthline.config import Config, check_config
from hearthline_edge.devices import GroupingRule, Item, LineSettings, Refused, Seen, SerialDriver, Vital
from hearthline_edge.framing import TICK_S, Doubt, FrameDecoder, FrameShape

_TOP: Final = 0x80
_RECORD: Final = 0x82
_RECORD_BYTES: Final = 16
_FIXED: Final = {0: _RECORD, 1: 0x80, 8: 0x80, 12: 0x80, 14: 0, 15: 0}
_MARKED: Final = (3, 4, 5, 6, 7, 9, 10, 11, 13)
_HEADER: Final = bytes((0x46, 0x41))
_HEADER_BYTES: Final = 15
_SHORT: Final = {  # the recorded short reports, and whether the monitor sent them; others are not known
    bytes.fromhex("428FFFFEFDFC"): False,
    bytes.fromhex("434101040200"): False,
    bytes.fromhex("484102130102"): True,
    bytes.fromhex("4A430100"): True,
}
_PLAUSIBLE_MMHG: Final = range(30, 301)
_IDLE_S: Final = 3600.0


def _judge(buffer: bytes, at: int) -> int | Doubt:
    if buffer[at] == _RECORD:
        return _judge_record(buffer[at : at + _RECORD_BYTES])
    if buffer[at] == _HEADER[0]:
        return _judge_header(buffer[at : at + _HEADER_BYTES])
    for report in _SHORT:
        given = buffer[at : at + len(report)]
        if report.startswith(given):
            return len(report) if len(given) == len(report) else Doubt.MORE
    return Doubt.NOT_A_FRAME


def _judge_header(report: bytes) -> int | Doubt:
    if not _HEADER.startswith(report[:2]) or not all(byte & _TOP for byte in report[2:-1]):
        return Doubt.NOT_A_FRAME
    if len(report) < _HEADER_BYTES:
        return Doubt.MORE
    return _HEADER_BYTES if report[-1] == 0 else Doubt.NOT_A_FRAME


def _judge_record(report: bytes) -> int | Doubt:
    if any(report[at] != byte for at, byte in _FIXED.items() if at < len(report)):
        return Doubt.NOT_A_FRAME
    if not all(report[at] & _TOP for at in _MARKED if at < len(report)):
        return Doubt.NOT_A_FRAME
    return _RECORD_BYTES if len(report) == _RECORD_BYTES else Doubt.MORE


SHAPE: Final = FrameShape(
    starts=bytes((_RECORD, _HEADER[0], *(report[0] for report in _SHORT))),
    judge=_judge,
    patience_s=0.5,
    limit=_RECORD_BYTES,
    filler=b"\x00",
)


class _Options(Config, frozen=True):
    """This family has no options."""


class ContecSession:
    """Reads recorded reports; asks nothing, for there is no such serial port."""

    def __init__(self, name: str) -> None:
        self._device = f"contec08a:{name}"
        self._decoder = FrameDecoder(SHAPE)

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        items: list[Item] = []
        for found in self._decoder.feed(data, now):
            if isinstance(found, Refused):
                items.append(found)
            elif found[0] == _RECORD:
                items.append(self._record(found))
            elif _SHORT.get(found, True):
                items.append(Seen(self._device))
        return items

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        return b"", TICK_S if self._decoder.waiting else _IDLE_S

    def _record(self, report: bytes) -> Item:
        systolic, low = report[2], [byte & ~_TOP for byte in report]
        diastolic, pulse, mean, user = low[3], low[4], low[5], low[13] & 0x0F
        if not systolic & _TOP or low[2] > diastolic:
            return Refused("unsupported", report.hex())
        try:
            clock = datetime(2000 + low[6], low[7], low[9], low[10], low[11])  # noqa: DTZ001
        except ValueError:
            return Refused("sanity", report.hex())
        if systolic not in _PLAUSIBLE_MMHG or diastolic not in _PLAUSIBLE_MMHG or not diastolic <= mean < systolic:
            return Refused("sanity", report.hex())
        values = (
            ("systolic", systolic),
            ("diastolic", diastolic),
            ("heart_rate", pulse),
            ("mean_arterial_pressure", mean),
        )
        return Vital(self._device, values, user, clock.isoformat(), report.hex())


def _open_session(options: dict[str, Any], name: str) -> ContecSession:
    check_config(options, _Options, name)
    return ContecSession(name)


DRIVER = SerialDriver(
    name="contec08a-hid",
    line=LineSettings(9600),  # of no meaning: the device is no serial port
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=0.0),
    recordings_only="it is a USB HID device, and how a systolic value below 128 is sent is not known",
)
