"""What goes wrong: each nemesis strikes at moments of its own from the seed, says what it did, and heals it.

A strike is a function `(stage, rng, over) -> what it did`, which returns healed, at the latest when `over` is set.
Several nemeses work at once, each in a thread with its own random numbers, so that adding one does not change the
others' plans. A process belongs to one nemesis at a time, and so does what the line loses.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from hearthline_sim.demo.stack import Stack

if TYPE_CHECKING:
    from torture.stage import Stage

QUIET_S = 2.0  # at the beginning and the end of a trial
HEAL_S = 60.0  # how long a nemesis may take to come to its end

Strike = Callable[["Stage", Random, threading.Event], str]


@dataclass(frozen=True, slots=True)
class Nemesis:
    """`times` strikes at random moments of the trial; one that comes late follows at once."""

    name: str
    times: int
    strike: Strike


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done, when it began and ended (seconds since the nemeses began)."""

    what: str
    began_s: float
    ended_s: float


class Nemeses:
    """All nemeses of a trial; give it to `Trial.meddle`. `deeds` grows in the order in which they end."""

    def __init__(self, stage: Stage, nemeses: Sequence[Nemesis], seed: int, seconds: float) -> None:
        self._stage = stage
        self._nemeses = nemeses
        self._seed = seed
        self._seconds = seconds
        self._began = 0.0
        self._errors: list[BaseException] = []
        self.deeds: list[Deed] = []

    def __call__(self, _stack: Stack, over: threading.Event) -> None:
        self._began = time.monotonic()
        threads = [
            threading.Thread(target=self._work, args=(nemesis, over), name=f"nemesis {nemesis.name}", daemon=True)
            for nemesis in self._nemeses
        ]
        for thread in threads:
            thread.start()
        deadline = self._began + self._seconds + HEAL_S
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
            if thread.is_alive():
                self._errors.append(TimeoutError(f"{thread.name} has not ended"))

    def reraise(self) -> None:
        """A nemesis that failed proves nothing: raise what ended it."""
        if self._errors:
            raise self._errors[0]

    def _work(self, nemesis: Nemesis, over: threading.Event) -> None:
        rng = Random(f"{self._seed}:{nemesis.name}")
        try:
            for moment in sorted(rng.uniform(QUIET_S, self._seconds - QUIET_S) for _ in range(nemesis.times)):
                if over.wait(max(moment - self._now(), 0.0)):
                    return
                began = self._now()
                what = nemesis.strike(self._stage, rng, over)
                self.deeds.append(Deed(what, began, self._now()))
        except BaseException as error:  # noqa: BLE001 - told to the test by `reraise`
            self._errors.append(error)

    def _now(self) -> float:
        return time.monotonic() - self._began


def kill(*victims: str) -> Strike:
    """`kill -9`, and started again after at most 0.6 s. Each once, then each again, in an order drawn anew."""
    next_ones: list[str] = []

    def strike(stage: Stage, rng: Random, over: threading.Event) -> str:
        dead_s = rng.uniform(0.0, 0.6)
        with _one_of(stage, rng, victims, next_ones) as victim:
            stage.kill(victim)
            over.wait(dead_s)
            stage.restart(victim)
        return f"kill {victim}"

    return strike


def freeze(*victims: str, at_most_s: float = 8.0) -> Strike:
    """`kill -STOP`, and -CONT after 0.5 s to `at_most_s`: it answers nobody and keeps all its connections."""
    next_ones: list[str] = []

    def strike(stage: Stage, rng: Random, over: threading.Event) -> str:
        frozen_s = rng.uniform(0.5, at_most_s)
        with _one_of(stage, rng, victims, next_ones) as victim:
            stage.send_signal(victim, signal.SIGSTOP)
            over.wait(frozen_s)
            stage.send_signal(victim, signal.SIGCONT)
        return f"freeze {victim}"

    return strike


def cut_line(shortest_s: float, longest_s: float) -> Strike:
    """The line between home and center is pulled."""

    def strike(stage: Stage, rng: Random, over: threading.Event) -> str:
        assert stage.network is not None
        stage.network.cut()
        over.wait(rng.uniform(shortest_s, longest_s))
        stage.network.join()
        return "cut line"

    return strike


def half_open(shortest_s: float, longest_s: float) -> Strike:
    """Everything that is sent disappears, in both directions, and nobody says so."""
    return _losing(100, shortest_s, longest_s, "half-open line")


def lossy(percent: int, shortest_s: float, longest_s: float) -> Strike:
    """So many of a hundred packets are lost, in each direction."""
    return _losing(percent, shortest_s, longest_s, f"{percent} % loss")


def slow(bits_per_s: int, shortest_s: float, longest_s: float) -> Strike:
    def strike(stage: Stage, rng: Random, over: threading.Event) -> str:
        assert stage.network is not None
        stage.network.slow(bits_per_s)
        over.wait(rng.uniform(shortest_s, longest_s))
        stage.network.slow(None)
        return f"{bits_per_s} bit/s"

    return strike


def kill_sockets(stage: Stage, _rng: Random, _over: threading.Event) -> str:
    """Every connection across the line is aborted (`ss -K`), both ends told."""
    assert stage.network is not None
    stage.network.kill_sockets()
    return "kill sockets"


def meddle_in_proxy(shortest_s: float, longest_s: float) -> Strike:
    """One of the proxies misbehaves in one way for a while; see `torture.proxy`."""

    def strike(stage: Stage, rng: Random, over: threading.Event) -> str:
        proxy = rng.choice(stage.proxies)
        name = rng.choice(sorted(proxy.WAYS))
        with proxy.misbehaving(name, held=rng.randrange(2)):
            over.wait(rng.uniform(shortest_s, longest_s))
        return f"proxy: {name}"

    return strike


def _losing(percent: int, shortest_s: float, longest_s: float, what: str) -> Strike:
    def strike(stage: Stage, rng: Random, over: threading.Event) -> str:
        assert stage.network is not None
        lasting_s = rng.uniform(shortest_s, longest_s)
        with stage.line:
            stage.network.lose(percent)
            over.wait(lasting_s)
            stage.network.lose(0)
        return what

    return strike


@contextmanager
def _one_of(stage: Stage, rng: Random, victims: Sequence[str], next_ones: list[str]) -> Iterator[str]:
    """The next process that no other nemesis holds; it is ours meanwhile."""
    while True:
        if not next_ones:
            next_ones.extend(rng.sample(victims, len(victims)))
        victim = next_ones.pop(0)
        with stage.held(victim) as free:
            if free:
                yield victim
                return
        next_ones.append(victim)
        time.sleep(0.05)
