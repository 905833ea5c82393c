"""Finds frames in a stream of bytes that may begin, end or break anywhere. No I/O and no clock: `now` is given.

    noise 55 00 | 55 00 07 07 01 7A … 28 | 55 00 07 …
    ^ a start mark whose header fails: skip this one byte and look again
              ^ header and check hold: a frame
                                     ^ cannot be told yet: wait, but no longer than `patience_s`

Rules of the room:
- A false start mark costs one byte, never the good frame behind it.
- A header that holds by chance makes nobody wait longer than `patience_s`: age counts from the byte's own arrival.
- Bytes that come late (the machine stood still) still complete their frame, unless they hold a whole frame themselves.
- What was skipped is merged and given once, as `Refused`, when a frame follows, at `NOISE_CHUNK` bytes, or in silence.

Time passes only by `feed`: while `waiting`, call `feed(b"", now)` at least every `TICK_S`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import RefusalReason, Refused

NOISE_CHUNK: Final = 256  # bytes of one `Refused`: a line that only hisses must not grow memory
TICK_S: Final = 0.1
_BURST_GAP_NS: Final = NS // 5


class Doubt(Enum):
    """Why a start mark has not (yet) opened a frame."""

    MORE = "more bytes are needed"
    NOT_A_FRAME = "the header does not hold"
    BAD_CHECK = "the header holds, the checksum does not"


@dataclass(frozen=True, slots=True)
class FrameShape:
    """One protocol's frame. `judge(buffer, at)`: the length of the frame that begins at `at`, or the doubt.

    `starts`: the start marks; `filler`: preamble bytes that are no noise; `limit`: the longest possible frame.
    """

    starts: bytes
    judge: Callable[[bytes, int], int | Doubt]
    patience_s: float
    limit: int
    filler: bytes = b""


class Bursts:
    """The moment that the bytes of one burst share: its beginning. For slow lines, whose frames outlast patience."""

    def __init__(self) -> None:
        self._began: Stamp | None = None
        self._heard_mono_ns = 0

    def line_time(self, data: bytes, now: Stamp) -> Stamp:
        """When to feed these bytes as if they came; in silence, now."""
        if self._began is None or now.mono_ns - self._heard_mono_ns > _BURST_GAP_NS:
            self._began = now
        if data:
            self._heard_mono_ns = now.mono_ns
        return self._began


class FrameDecoder:
    """Bytes in any split in; whole frames (`bytes`) and skipped bytes (`Refused`) out, in the order of the line."""

    def __init__(self, shape: FrameShape) -> None:
        self._shape = shape
        self._start = re.compile(b"[" + re.escape(shape.starts) + b"]")
        self._patience_ns = round(shape.patience_s * NS)
        self._buffer = b""
        self._base = 0  # place of buffer[0] in the whole stream
        self._places: list[int] = []  # where each still buffered read began, and when it came
        self._times: list[int] = []
        self._skipped = bytearray()
        self._skipped_reason: RefusalReason = "noise"
        self._skipped_mono_ns = 0

    @property
    def waiting(self) -> bool:
        """Whether the passing of time alone may give something."""
        return bool(self._buffer or self._skipped)

    def feed(self, data: bytes, now: Stamp) -> list[bytes | Refused]:
        """What these bytes complete, and what time has settled. Never raises."""
        found: list[bytes | Refused] = []
        if self._buffer and (not data or (self._is_stale(0, now) and self._holds_frame(data))):
            self._scan(now, found)
        if self._skipped and now.mono_ns - self._skipped_mono_ns > self._patience_ns:
            self._give_skipped(found)
        if data:
            self._places.append(self._base + len(self._buffer))
            self._times.append(now.mono_ns)
            self._buffer += data
            self._scan(now, found)
        return found

    def _scan(self, now: Stamp, found: list[bytes | Refused]) -> None:
        at, buffer = 0, self._buffer
        while at < len(buffer):
            if buffer[at] not in self._shape.starts:
                mark = self._start.search(buffer, at)
                start = len(buffer) if mark is None else mark.start()
                self._skip(at, start, found)
                at = start
                continue
            verdict = self._shape.judge(buffer, at)
            if isinstance(verdict, int):
                self._give_skipped(found)
                found.append(buffer[at : at + verdict])
                at += verdict
            elif verdict is Doubt.MORE and len(buffer) - at < self._shape.limit and not self._is_stale(at, now):
                break
            else:
                if verdict is Doubt.BAD_CHECK:
                    self._skipped_reason = "checksum"
                self._skip(at, at + 1, found)
                at += 1
        self._forget(at)

    def _judge(self, buffer: bytes, at: int) -> int | Doubt:
        return self._shape.judge(buffer, at) if buffer[at] in self._shape.starts else Doubt.NOT_A_FRAME

    def _holds_frame(self, data: bytes) -> bool:
        return any(isinstance(self._judge(data, at), int) for at in range(len(data)))

    def _is_stale(self, at: int, now: Stamp) -> bool:
        """Whether the buffered byte at `at` has waited longer than the patience."""
        return now.mono_ns - self._came_mono_ns(at) > self._patience_ns

    def _came_mono_ns(self, at: int) -> int:
        return self._times[bisect_right(self._places, self._base + at) - 1]

    def _skip(self, low: int, high: int, found: list[bytes | Refused]) -> None:
        """Pass over the buffered bytes from `low` to `high`, and give them in chunks of `NOISE_CHUNK`."""
        while low < high:
            middle = min(high, low + NOISE_CHUNK - len(self._skipped))
            self._skipped += self._buffer[low:middle]
            self._skipped_mono_ns = self._came_mono_ns(middle - 1)
            if len(self._skipped) >= NOISE_CHUNK:
                self._give_skipped(found)
            low = middle

    def _give_skipped(self, found: list[bytes | Refused]) -> None:
        if not self._skipped:
            return
        noise = bytes(self._skipped).rstrip(self._shape.filler)
        if noise:
            found.append(Refused(self._skipped_reason, noise.hex()))
        self._skipped.clear()
        self._skipped_reason = "noise"

    def _forget(self, count: int) -> None:
        """Drop `count` settled bytes from the front."""
        self._base += count
        if count == len(self._buffer):
            self._buffer = b""
            self._places.clear()
            self._times.clear()
            return
        self._buffer = self._buffer[count:]
        while len(self._places) > 1 and self._places[1] <= self._base:
            del self._places[0], self._times[0]
