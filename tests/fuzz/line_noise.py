"""Hostile bytes of a serial line, from one seed: noise rich in start marks, right checks over garbage, broken frames.

One piece is one trial. The kinds are drawn by weight; every kind also comes glued to another one. What the session has
asked comes back on the line as an echo, whole or broken; where meters are known to answer, so do their answers.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from itertools import accumulate
from typing import Final

from fuzz.families import FAMILIES, good_frames

_COMMON: Final = bytes((0x00, 0x01, 0x02, 0x07, 0x16, 0x33, 0x55, 0x68, 0x7A, 0x80, 0x91, 0xAA, 0xCC, 0xF6, 0xFE, 0xFF))


Answer = Callable[[bytes, random.Random], bytes]
_RECENT: Final = 4  # requests that late answers may be of


class LineNoise:
    """`piece()`: the next hostile bytes for one serial driver. `asked(request)`: what its session has just sent.

    `answer`: what the meters of a session that asks would answer.
    """

    def __init__(self, driver: str, rng: random.Random, answer: Answer | None = None) -> None:
        self._family = FAMILIES[driver]
        self._frames = good_frames(driver)
        self._rng = rng
        self._answer = answer
        self._requests: deque[bytes] = deque(maxlen=_RECENT)
        self._fresh = False
        # A random byte -> a mark in most cases: half start marks, a quarter bytes that matter to some family.
        starts = self._family.shape.starts
        self._rich = (starts * 128)[:128] + (_COMMON * 4)[:64] + bytes(range(0, 256, 4))
        self._weighted: tuple[tuple[int, Callable[[], bytes]], ...] = (
            (20, self._noise),
            (10, self._raw),
            (15, self._checked_garbage),
            (8, self._false_check),
            (15, self._flipped),
            (12, self._mended),
            (8, self._truncated),
            (8, self._spliced),
            (6, self._edited),
            (6, self._hollow),
            (6, self._good),
            (3, self._echo),
            (3, self._answered),
            (5, self._glued),
            (1, self._long),
        )
        self._kinds = [kind for _, kind in self._weighted]
        self._bounds = list(accumulate(weight for weight, _ in self._weighted))

    def asked(self, request: bytes) -> None:
        self._requests.append(request)
        self._fresh = True

    def piece(self) -> bytes:
        """Half of what follows a request has to do with it."""
        if self._fresh and self._rng.random() < 0.5:
            return self._echo() if self._answer is None or self._rng.random() < 0.3 else self._answered()
        return self._rng.choices(self._kinds, cum_weights=self._bounds)[0]()

    def _echo(self) -> bytes:
        """What the session sent: whole, cut, changed, or with something behind it."""
        if not self._requests:
            return self._raw()
        self._fresh = False
        return self._distorted(self._requests[-1])

    def _answered(self) -> bytes:
        """An answer, mostly to the last request, as it should be or as it should not; the echo may stand before it."""
        if self._answer is None or not self._requests:
            return self._raw()
        late = self._rng.random() < 0.2
        request = self._rng.choice(self._requests) if late else self._requests[-1]
        answer = self._answer(request, self._rng)
        if self._rng.random() < 0.5:
            answer = self._distorted(answer)
        self._fresh = False
        return request + answer if self._rng.random() < 0.3 else answer

    def _distorted(self, frame: bytes) -> bytes:
        """Whole, cut, with flipped bits, the same under right checks, doubled, or with noise behind it."""
        kind, cut = int(self._rng.random() * 6), int(self._rng.random() * len(frame))
        if kind == 0:
            return frame[:cut]
        if kind in (1, 2):
            changed = bytearray(frame)
            changed[cut] ^= 1 << int(self._rng.random() * 8)
            if kind == 2:
                self._family.mend(changed)
            return bytes(changed)
        if kind == 3:
            return frame * 2
        return frame + self._noise() if kind == 4 else frame

    def _noise(self) -> bytes:
        return self._raw().translate(self._rich)

    def _raw(self) -> bytes:
        return self._rng.randbytes(1 + int(self._rng.random() * 24))

    def _checked_garbage(self) -> bytes:
        frame = self._family.garbage(self._rng)
        self._family.mend(frame)
        return bytes(frame)

    def _false_check(self) -> bytes:
        """Garbage with a header that holds and a wrong end."""
        frame = bytearray(self._checked_garbage())
        frame[-1 - int(self._rng.random() * 2)] ^= 1 << int(self._rng.random() * 8)
        return bytes(frame)

    def _good(self) -> bytes:
        return self._frames[int(self._rng.random() * len(self._frames))]

    def _broken(self) -> bytearray:
        frame = bytearray(self._good())
        for _ in range(1 + int(self._rng.random() * 3)):
            frame[int(self._rng.random() * len(frame))] ^= 1 << int(self._rng.random() * 8)
        return frame

    def _flipped(self) -> bytes:
        return bytes(self._broken())

    def _mended(self) -> bytes:
        """A good frame with flipped bits under right checks."""
        frame = self._broken()
        self._family.mend(frame)
        return bytes(frame)

    def _truncated(self) -> bytes:
        frame = self._good()
        cut = int(self._rng.random() * len(frame))
        return frame[:cut] if self._rng.random() < 0.7 else frame[cut:]

    def _spliced(self) -> bytes:
        one, other = self._good(), self._good()
        return one[: int(self._rng.random() * len(one))] + other[int(self._rng.random() * len(other)) :]

    def _edited(self) -> bytes:
        """A byte lost or doubled, as an escape or a glitch would."""
        frame = self._good()
        at = int(self._rng.random() * len(frame))
        return frame[:at] + frame[at : at + 1] * 2 * int(self._rng.random() * 2) + frame[at + 1 :]

    def _hollow(self) -> bytes:
        return self._rng.choice(self._family.hollow) * (1 + int(self._rng.random() * 3))

    def _glued(self) -> bytes:
        return self.piece() + self.piece()

    def _long(self) -> bytes:
        """More than any frame may be long: marks without end, or headers in a chain."""
        count = self._family.shape.limit
        kind = int(self._rng.random() * 3)
        if kind == 0:
            return (self._family.shape.starts * count)[: 4 * count]
        if kind == 1:
            return self._rng.choice(self._family.hollow) * (count // 8)
        return self._rng.randbytes(count).translate(self._rich)
