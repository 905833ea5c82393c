"""Radio buttons of 433 MHz, as a Tasmota RF bridge or receiver tells them. No topics, no I/O.

    {"RfReceived": {"Data": "0x7028D2", "Bits": 24, "Protocol": 1, "Pulse": 238}}           an rc-switch receiver
    {"RfReceived": {"Sync": 8430, "Low": 280, "High": 830, "Data": "3E2E1A", "RfKey": "None"}}   the Sonoff RF bridge
                    Data is a decimal number where SetOption28 is on; without Bits they are 24
    {"RfRaw": {"Data": "AA B1 04 07F0 0128 00F2 3822 0101…0103 55"}}         RfRaw 177: Portisch's firmware sniffs
                    AA B1 | number of buckets | us of each, 16 bits | one nibble a pulse: its bucket, high and low in
                    turn; later firmware sets bit 3 for high, and begins with the low of the sync | 55
    {"RfRaw": {"Data": "AA A4 Tsyn Tlow Thigh d0 d1 d2 55"}}                  as RfReceived, unverified
    AA A0 55        an acknowledgement; AA A2, AA A3: learning; AA A6, AA AB: protocols of the firmware, not decoded

24 bits are an EV1527's (20 bits of address, 4 of data) or are read as one: rf433:ev1527:<address>, one or two data bits
are the keys A 8, B 4, C 2, D 1, any other data is no key and is named 0x…. The first bit on the air is the address's
highest, as Tasmota prints it. Other lengths: rf433:<bits>bit:<code>, button `code`.

Sniffed pulses differ by some per cent from telegram to telegram, and a telegram may have a bucket more (recorded: one
held button, ten telegrams, 3 and 4 buckets). So times within half as much again of the shortest are one class, and a
telegram is the pattern of its classes, the sync pulse last. 24 pairs short-long (0) or long-short (1), long 2 to 4.5
and sync 15 to 50 times the short, are an EV1527's code; any other pattern is rf433:raw:<digest of the pattern>, button
`code`: such a transmitter's keys are devices of their own. Under twelve pairs it is noise.

Sources: the Tasmota documentation (RF-Protocol, Sonoff-RF-Bridge-433), Tasmota's xdrv_06, Portisch's wiki, the EV1527
data sheet; recorded frames in tests/captures/tasmota. No checks, no counter: a telegram that is garbled within its
form is another transmitter's.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from hearthline_edge.devices import RefusalReason
from hearthline_edge.payload import number

_HEX: Final = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,16})\Z")
_KEYS: Final = ((8, "A"), (4, "B"), (2, "C"), (1, "D"))
_SILENT: Final = (0xA0, 0xA2, 0xA3)
_RAW_LIMIT: Final = 1024  # characters; the firmware's buffer holds 112 bytes
_SAME_CLASS: Final = 1.5
_PAIRS_LEAST: Final = 12
_EV1527_PULSES: Final = 50
_PATTERN_LIMIT: Final = 128


@dataclass(frozen=True, slots=True)
class Transmission:
    """A telegram of one transmitter, whose device and button say all that its repeats have in common.

    `code`: for the operator. `fixed`: the 24 bits, when these are what was sent.
    """

    device: str
    buttons: tuple[str, ...]
    code: str
    fixed: int | None = None


def received(value: Any) -> Transmission | RefusalReason:
    """Of RfReceived."""
    if not isinstance(value, dict):
        return "sanity"
    code, bits = _code(value.get("Data")), value.get("Bits", 24)
    if code is None or isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= 64:
        return "sanity"
    return _of_code(code, bits) if 0 < code < 1 << bits else "sanity"


def sniffed(value: Any) -> Transmission | RefusalReason | None:
    """Of RfRaw; None when it is an answer of the bridge to a command."""
    data = value.get("Data") if isinstance(value, dict) else None
    if not isinstance(data, str) or len(data) > _RAW_LIMIT:
        return "sanity"
    try:
        frame = bytes.fromhex(data)
    except ValueError:
        return "sanity"
    if len(frame) < 3 or frame[0] != 0xAA or frame[-1] != 0x55:
        return "sanity"
    if frame[1] in _SILENT:
        return None
    if frame[1] == 0xA4:
        code = int.from_bytes(frame[8:11], "big")
        return _of_code(code, 24) if len(frame) == 12 and code else "length"
    return _of_buckets(frame) if frame[1] == 0xB1 else "unsupported"


def _code(data: Any) -> int | None:
    if isinstance(data, str):
        match = _HEX.match(data)
        return int(match[1], 16) if match else None
    exact = number(data)
    return int(exact) if exact is not None and exact == exact.to_integral_value() else None


def _of_code(code: int, bits: int) -> Transmission:
    text = f"{code:0{(bits + 3) // 4}x}"
    if bits != 24:
        return Transmission(f"rf433:{bits}bit:{text}", ("code",), text)
    keys = tuple(key for bit, key in _KEYS if code & bit)
    buttons = keys if len(keys) in (1, 2) else (f"0x{code & 15:x}",)
    return Transmission(f"rf433:ev1527:{code >> 4:05x}", buttons, text, code)


def _of_buckets(frame: bytes) -> Transmission | RefusalReason:
    count = frame[2]
    if not 1 <= count <= 8 or len(frame) < 3 + 2 * count + 1:
        return "length"
    times = [int.from_bytes(frame[3 + 2 * index : 5 + 2 * index], "big") for index in range(count)]
    pulses = [nibble & 7 for byte in frame[3 + 2 * count : -1] for nibble in (byte >> 4, byte & 15)]
    if not all(times) or any(pulse >= count for pulse in pulses):
        return "sanity"
    if len(pulses) < 2 * _PAIRS_LEAST:
        return "noise"
    shortest, classes = _classes([times[pulse] for pulse in pulses])
    if classes.count(len(shortest) - 1) == 1 and classes[0] == len(shortest) - 1:
        classes = classes[1:] + classes[:1]
    code = _ev1527(shortest, classes)
    if code is not None:
        return _of_code(code, 24)
    digest = hashlib.sha256(bytes(classes)).hexdigest()[:12]
    return Transmission(f"rf433:raw:{digest}", ("code",), "".join(map(str, classes))[:_PATTERN_LIMIT])


def _classes(pulses: list[int]) -> tuple[list[int], list[int]]:
    """(the shortest time of each class, ascending; the class of each pulse)"""
    shortest: list[int] = []
    for time in sorted(set(pulses)):
        if not shortest or time > _SAME_CLASS * shortest[-1]:
            shortest.append(time)
    bounds = [_SAME_CLASS * time for time in shortest]
    return shortest, [next(rank for rank, bound in enumerate(bounds) if pulse <= bound) for pulse in pulses]


def _ev1527(shortest: list[int], classes: list[int]) -> int | None:
    """The 24 bits, when the pulses are an EV1527's: 24 pairs and the sync pulse."""
    if len(classes) != _EV1527_PULSES or len(shortest) != 3 or classes[-2:] != [0, 2]:
        return None
    short, long, sync = shortest
    if not (2 <= long / short <= 4.5 and 15 <= sync / short <= 50):
        return None
    code = 0
    for high, low in list(pairwise(classes[:-2]))[::2]:
        if (high, low) not in ((0, 1), (1, 0)):
            return None
        code = code << 1 | high
    return code or None
