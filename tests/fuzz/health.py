"""What every item of a driver holds, whatever came in; and how much a session keeps."""

from __future__ import annotations

import math
from collections import deque
from functools import cache
from typing import Any, get_args

import msgspec

from hearthline.model import TELEMETRY_UNITS, VITAL_UNITS
from hearthline_edge.devices import CHANGES, Change, DeviceNote, Item, Press, Readings, RefusalReason, Refused, Vital
from hearthline_edge.payload import RAW_LIMIT

_ITEMS = get_args(Item)
_REASONS = frozenset(get_args(RefusalReason)) - {"driver-error"}
CONTENT_LIMIT = 160  # characters: a button's name and a counter
_encode = msgspec.json.Encoder().encode


def check_item(item: Any) -> None:
    """It is of a known kind, can be written to disk and wire as JSON, and its numbers are numbers."""
    assert type(item) in _ITEMS, item
    _encode(item)  # raises for lone surrogates and integers beyond 64 bits
    match item:
        case Refused(reason, raw):
            assert reason in _REASONS
            assert len(raw) <= RAW_LIMIT
        case Readings(readings):
            assert readings
            assert len({(each.device, each.quantity) for each in readings}) == len(readings), "two values of one series"
            for reading in readings:
                assert reading.device
                assert math.isfinite(reading.value)
                assert TELEMETRY_UNITS[reading.quantity] == reading.unit
        case Press(device, button, content, raw):
            assert device
            assert button
            assert len(content) <= CONTENT_LIMIT
            assert len(raw) <= RAW_LIMIT
        case Vital():
            assert set(dict(item.values)) <= set(VITAL_UNITS)
            values = dict(item.values)
            assert 0 < values["diastolic"] < values["systolic"] <= 300
        case Change():
            assert item.device
            assert item.kind in CHANGES
        case DeviceNote():
            assert item.kind
        case _:
            assert item.device


def weight(thing: Any) -> int:
    """How much a session keeps: bytes of buffers, characters of texts, entries of collections, each once."""
    return _weight(thing, set())


def _weight(thing: Any, known: set[int]) -> int:
    if thing is None or isinstance(thing, int | float) or id(thing) in known:
        return 0
    known.add(id(thing))
    if isinstance(thing, bytes | bytearray | str):
        return len(thing)
    if isinstance(thing, dict):
        return len(thing) + sum(_weight(key, known) + _weight(value, known) for key, value in thing.items())
    if isinstance(thing, list | tuple | set | frozenset | deque):
        return len(thing) + sum(_weight(each, known) for each in thing)
    state = list(getattr(thing, "__dict__", {}).values())
    kind: type = type(thing)
    state += [getattr(thing, name) for name in _slots(kind) if hasattr(thing, name)]
    return sum(_weight(each, known) for each in state if not callable(each))


@cache
def _slots(kind: type) -> tuple[str, ...]:
    return tuple(name for each in kind.__mro__ for name in getattr(each, "__slots__", ()))
