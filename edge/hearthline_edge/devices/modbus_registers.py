"""Registers of a profile: which requests read them, and what their words mean.

    registers as they come, two bytes each, high byte first:  ABCD  11 22 | 33 44   most significant word first
                                                              CDAB  33 44 | 11 22   words the other way round
                                                              BADC  22 11 | 44 33   bytes of each word the other way
                                                              DCBA  44 33 | 22 11   both

A float32 becomes the shortest decimal number that names it (10909.282, not 10909.2822265625), so that it can be scaled
exactly. A value that is no number, is infinite, or lies beyond the profile's limits is none.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from hearthline.model import TELEMETRY_UNITS, Reading
from hearthline_edge.devices.modbus_frames import MOST_REGISTERS, Reply, Request
from hearthline_edge.profile import Profile, ValueRule

WORDS: Final = {"int16": 1, "uint16": 1, "int64": 4, "uint64": 4, "float32": 2, "int32": 2, "uint32": 2}


@dataclass(frozen=True, slots=True)
class Block:
    """One request's worth of registers, and the values that lie wholly in it."""

    function: int
    register: int
    count: int
    values: tuple[ValueRule, ...]

    def is_answered_by(self, unit: int, reply: Reply) -> bool:
        return (reply.unit, reply.function, len(reply.data)) == (unit, self.function, 2 * self.count)


def blocks(profile: Profile, most: int = MOST_REGISTERS) -> list[Block]:
    """The fewest requests that read a profile's values, with no gap wider than it allows and no value cut in two."""
    assert profile.modbus is not None
    function, gap = profile.modbus.function, profile.modbus.gap
    found: list[Block] = []
    for value in sorted(profile.value, key=_first):
        last = found[-1] if found else None
        if last and _first(value) <= last.register + last.count + gap and _end(value) - last.register <= most:
            count = max(last.count, _end(value) - last.register)
            found[-1] = Block(function, last.register, count, (*last.values, value))
        else:
            found.append(Block(function, _first(value), _end(value) - _first(value), (value,)))
    return found


def block_of(request: Request, values: Iterable[ValueRule]) -> Block:
    """What a request that was heard reads, of these values."""
    end = request.register + request.count
    within = tuple(value for value in values if request.register <= _first(value) and _end(value) <= end)
    return Block(request.function, request.register, request.count, within)


def read_values(device: str, block: Block, data: bytes) -> tuple[list[Reading], int]:
    """The readings of a reply, and how many of its values were none."""
    readings: list[Reading] = []
    for value in block.values:
        at = 2 * (_first(value) - block.register)
        number = _scaled(value, data[at : at + 2 * WORDS[value.type]])
        if number is not None:
            readings.append(Reading(device + value.place, value.quantity, number, TELEMETRY_UNITS[value.quantity]))
    return readings, len(block.values) - len(readings)


def _first(value: ValueRule) -> int:
    return value.register or 0  # every checked profile gives one


def _end(value: ValueRule) -> int:
    return _first(value) + WORDS[value.type]


def _scaled(rule: ValueRule, raw: bytes) -> float | None:
    exact = _number(rule, raw)
    if exact is None:
        return None
    number = float(exact * Decimal(repr(rule.scale)) + Decimal(repr(rule.offset)))
    if rule.minimum is not None and number < rule.minimum:
        return None
    return None if rule.maximum is not None and number > rule.maximum else number


def _number(rule: ValueRule, raw: bytes) -> Decimal | None:
    words = [raw[at : at + 2] for at in range(0, len(raw), 2)]
    if rule.words in ("CDAB", "DCBA"):
        words.reverse()
    if rule.words in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    ordered = b"".join(words)
    if rule.type == "float32":
        return _shortest(struct.unpack(">f", ordered)[0])
    return Decimal(int.from_bytes(ordered, "big", signed=rule.type[0] == "i"))


def _shortest(number: float) -> Decimal | None:
    """The decimal number with the fewest digits that is this float32. Nine digits always are."""
    if not math.isfinite(number):
        return None
    packed = struct.pack(">f", number)
    for digits in (7, 8):
        text = f"{number:.{digits}g}"
        if abs(float(text)) < 3.4e38 and struct.pack(">f", float(text)) == packed:
            return Decimal(text)
    return Decimal(f"{number:.9g}")
