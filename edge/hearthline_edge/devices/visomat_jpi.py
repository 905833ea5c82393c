"""Visomat Double Comfort and Prevention DS-2200PV blood-pressure monitors (JPI): what their memory holds. ASCII.

    host:    STX R00 ETX
    monitor: STX M1 nn record … M2 nn record … ETX     one block a user; nn records
    record   YYMMDD hhmm f sss ddd ppp                 clock, flag, systolic, diastolic, pulse
             nn 00: one digit without a meaning follows

A block tells its own length, so that STX and ETX, which carry no check, are not needed: without them it decodes
the same. Every record must be digits with a clock that exists and values that a person can have, or it is refused.

Each record is told once while this session lasts. The monitor keeps its memory when the gateway is started again, and
tells it again then; a record is known by user, clock and values. The clock is the monitor's and often wrong (recorded:
2010 and 2044), so the moment of a measurement is not known: what is told is when the record was first seen.
Presses there are none, so there is nothing to group.

Source: README of visomat-utils (git.ao2.it), with two recorded answers. `f` is perhaps an irregular pulse: told as a
fact. The USB bridge is no standard serial port; 9600 8N1, and that R00 is framed by STX and ETX, are unverified.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta

from hearthline.clock import NS, Stamp
from hearthline.config import Config, check_config
from hearthline_edge.devices import GroupingRule, Item, LineSettings, Refused, Seen, SerialDriver, Vital
from hearthline_edge.framing import TICK_S, Doubt, FrameDecoder, FrameShape

REQUEST: Final = b"\x02R00\x03"
_HEAD: Final = 4
_RECORD: Final = 20
_MOST_RECORDS: Final = 99
_PLAUSIBLE_MMHG: Final = range(30, 301)
_PLAUSIBLE_PULSE: Final = range(20, 251)
_KNOWN_RECORDS: Final = 1000  # two users' memories are some 120

_TEMPLATE: Final = b"M100"
_HEAD_FORM: Final = re.compile(rb"M[12][0-9]{2}")
_NO_DIGIT: Final = re.compile(rb"[^0-9]")
_FIELDS: Final = re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d)(\d{3})(\d{3})(\d{3})")


def _judge(buffer: bytes, at: int) -> int | Doubt:
    head = buffer[at : at + _HEAD]
    if not _HEAD_FORM.match(head + _TEMPLATE[len(head) :]):
        return Doubt.NOT_A_FRAME
    if len(head) < _HEAD:
        return Doubt.MORE
    length = int(head[2:]) * _RECORD or 1
    body = buffer[at + _HEAD : at + _HEAD + length]
    if _NO_DIGIT.search(body):
        return Doubt.NOT_A_FRAME
    return _HEAD + length if len(body) == length else Doubt.MORE


# A good block begins with a letter, which no other block may hold: waiting for digits keeps none of them waiting. The
# patience is what 70 records need at 9600 baud.
SHAPE: Final = FrameShape(
    starts=b"M", judge=_judge, patience_s=1.5, limit=_HEAD + _MOST_RECORDS * _RECORD, filler=b"\x02\x03\r\n"
)


class _Options(Config, frozen=True):
    interval_s: Annotated[float, Meta(ge=5)] = 60.0


class VisomatSession:
    """One monitor on one port; the port's name is the device's, for the protocol carries no number."""

    def __init__(self, interval_s: float, name: str) -> None:
        self._device = f"visomat:{name}"
        self._interval_ns = round(interval_s * NS)
        self._due_mono_ns = 0
        self._decoder = FrameDecoder(SHAPE)
        self._told: dict[int, None] = {}  # user and record, as one number

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        items: list[Item] = []
        for found in self._decoder.feed(data, now):
            items += [found] if isinstance(found, Refused) else self._block(found)
        return items

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        request = b""
        if now.mono_ns >= self._due_mono_ns:
            request, self._due_mono_ns = REQUEST, now.mono_ns + self._interval_ns
        return request, TICK_S if self._decoder.waiting else (self._due_mono_ns - now.mono_ns) / NS

    def _block(self, block: bytes) -> list[Item]:
        """The records of one user that were not told yet."""
        user, end = block[1] - ord("0"), _HEAD + int(block[2:_HEAD]) * _RECORD
        items: list[Item] = []
        for at in range(_HEAD, end, _RECORD):
            record = block[at : at + _RECORD]
            key = int(block[1:2] + record)
            if key not in self._told:
                self._remember(key)
                items.append(self._record(user, record))
        return items or [Seen(self._device)]

    def _remember(self, key: int) -> None:
        self._told[key] = None
        if len(self._told) > _KNOWN_RECORDS:
            del self._told[next(iter(self._told))]

    def _record(self, user: int, record: bytes) -> Item:
        fields = _FIELDS.match(record)
        assert fields is not None  # the block holds digits alone
        year, month, day, hour, minute, flag, systolic, diastolic, pulse = (int(field) for field in fields.groups())
        raw = f"M{user} {record.decode('ascii')}"
        try:
            clock = datetime(2000 + year, month, day, hour, minute)  # noqa: DTZ001
        except ValueError:
            return Refused("sanity", raw)
        if systolic not in _PLAUSIBLE_MMHG or diastolic not in _PLAUSIBLE_MMHG or diastolic >= systolic:
            return Refused("sanity", raw)
        if pulse not in _PLAUSIBLE_PULSE:
            return Refused("sanity", raw)
        values = (("systolic", systolic), ("diastolic", diastolic), ("heart_rate", pulse))
        return Vital(self._device, values, user, clock.isoformat(), raw, facts=(("flag", flag),))


def _open_session(options: dict[str, Any], name: str) -> VisomatSession:
    return VisomatSession(check_config(options, _Options, name).interval_s, name)


DRIVER = SerialDriver(
    name="visomat-jpi",
    line=LineSettings(9600),
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=0.0),
)
