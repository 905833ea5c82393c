"""A decoder with a mistake behind a start mark, a length and a type, for the control of the coverage-guided fuzzer."""

from __future__ import annotations


def decode(data: bytes) -> None:
    """Frames `A5 LL tt …`. It trusts the first byte of a frame of type 0x42 to be a place within the frame."""
    if len(data) < 4 or data[0] != 0xA5:
        return
    length = data[1]
    if not 2 <= length <= 8 or len(data) < 2 + length:
        return
    body = data[2 : 2 + length]
    if body[0] == 0x42:
        _ = body[body[1]]
