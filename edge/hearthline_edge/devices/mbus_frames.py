"""The frames of a wired M-Bus: EN 13757-2, format class FT 1.2.

    68 LL LL 68 | C | A | CI | data … | CS | 16     long frame: LL counts C to data; CS their sum modulo 256
    10 | C | A | CS | 16                            short frame, from the master alone: an echo of ours
    E5                                              acknowledgement

C: 40 reset (SND_NKE), 53 or 73 send (SND_UD), 5B or 7B read (REQ_UD2), 08 18 28 38 reply (RSP_UD). A: primary address
1 to 250, 253 the meter that was selected, 254 any. CI: 72 reply with variable data, 70 error, 52 selection.

A long frame that holds a whole frame within itself is none: noise that claims a length never hides the reply behind it,
and a line may be given the 10 s that 261 bytes take at 300 baud.
"""

from __future__ import annotations

from typing import Final

from hearthline_edge.framing import Doubt, FrameShape

LONG, SHORT, ACKNOWLEDGED, _END = 0x68, 0x10, 0xE5, 0x16
FROM_MASTER: Final = 0x40
RESET, SEND, READ, READ_OTHER = 0x40, 0x73, 0x7B, 0x5B
REPLY_MASK, REPLY = 0xCF, 0x08
CI_SELECT, CI_ERROR, CI_REPLY = 0x52, 0x70, 0x72
SELECTED, ANY = 253, 254

_OVERHEAD: Final = 6  # of a long frame, around what LL counts
_SHORTEST: Final = 3 + _OVERHEAD
LONGEST: Final = 255 + _OVERHEAD


def _judge(buffer: bytes, at: int) -> int | Doubt:
    if buffer[at] == LONG:
        return _judge_long(buffer, at)
    if buffer[at] == ACKNOWLEDGED:
        return 1
    if len(buffer) > at + 1 and buffer[at + 1] & 0xC0 != FROM_MASTER:
        return Doubt.NOT_A_FRAME
    if len(buffer) < at + 5:
        return Doubt.MORE
    if (buffer[at + 1] + buffer[at + 2]) & 0xFF != buffer[at + 3] or buffer[at + 4] != _END:
        return Doubt.BAD_CHECK
    return 5


def _judge_long(buffer: bytes, at: int) -> int | Doubt:
    have = len(buffer) - at
    if (
        (have > 1 and buffer[at + 1] < 3)
        or (have > 2 and buffer[at + 2] != buffer[at + 1])
        or (have > 3 and buffer[at + 3] != LONG)
    ):
        return Doubt.NOT_A_FRAME
    if have < 4:
        return Doubt.MORE
    end = at + buffer[at + 1] + _OVERHEAD
    if _holds_frame(buffer, at + 1, end):
        return Doubt.NOT_A_FRAME
    if len(buffer) < end:
        return Doubt.MORE
    return end - at if _checks(buffer, at, end) else Doubt.BAD_CHECK


def _checks(buffer: bytes, at: int, end: int) -> bool:
    return buffer[end - 1] == _END and sum(buffer[at + 4 : end - 2]) & 0xFF == buffer[end - 2]


def _holds_frame(buffer: bytes, at: int, end: int) -> bool:
    """Whether a whole long frame lies within these bytes, as far as they have come."""
    end = min(end, len(buffer))
    last = max(end - _SHORTEST, 0)  # where the last one could begin
    while (at := buffer.find(LONG, at, last + 1)) >= 0:
        size = buffer[at + 1]
        inner = at + size + _OVERHEAD
        if buffer[at + 2] == size >= 3 and buffer[at + 3] == LONG and inner <= end and _checks(buffer, at, inner):
            return True
        at += 1
    return False


SHAPE: Final = FrameShape(starts=bytes((LONG, SHORT, ACKNOWLEDGED)), judge=_judge, patience_s=0.25, limit=LONGEST)


def short_frame(control: int, address: int) -> bytes:
    return bytes((SHORT, control, address, (control + address) & 0xFF, _END))


def selection(mask: str) -> bytes:
    """The frame that selects a meter. `mask`: 8 digits of the id, then manufacturer, version, medium as on the wire."""
    number = bytes.fromhex(mask)
    body = bytes((SEND, SELECTED, CI_SELECT, *number[3::-1], *number[4:]))
    return bytes((LONG, len(body), len(body), LONG)) + body + bytes((sum(body) & 0xFF, _END))
