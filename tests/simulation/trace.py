"""What happened in one run, a line each, and the digest of all of it: two runs of a seed must agree to the byte."""

from __future__ import annotations

import asyncio
import hashlib
from random import Random

from hearthline.clock import NS

EPOCH_NS = 1_795_248_000 * NS  # what the true wall clock says at 0 s


class Violation(Exception):  # noqa: N818 - of an invariant
    """A promise was broken."""


class Trace:
    """Records; gives the true time, and a generator of its own to each part of the world."""

    def __init__(self, seed: int, keep: bool = False) -> None:
        self.seed = seed
        self.lines: list[str] | None = [] if keep else None
        self.faults = 0
        self.broken = ""  # the first promise that was
        self._digest = hashlib.blake2b(digest_size=16)
        self._loop = asyncio.get_running_loop()
        self._names: dict[str, str] = {}

    def rng(self, name: str) -> Random:
        return Random(f"{self.seed}:{name}")

    def now(self) -> float:
        return self._loop.time()

    def wall_ns(self) -> int:
        return EPOCH_NS + round(self._loop.time() * NS)

    def name(self, identifier: str, kind: str) -> str:
        """A short name for an identifier that is made anew in each run, by the order in which they come up."""
        return self._names.setdefault(identifier, f"{kind}{len(self._names) + 1}")

    def note(self, who: str, what: str) -> None:
        line = f"{self._loop.time():11.6f}  {who:<14}{what}"
        self._digest.update(line.encode())
        if self.lines is not None:
            self.lines.append(line)

    def breaks(self, promise: str) -> None:
        """Told from within the product's own calls, where raising would be the product's to handle."""
        self.note("BROKEN", promise)
        self.broken = self.broken or promise

    def fault(self, what: str) -> None:
        self.faults += 1
        self.note("fault", what)

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()
