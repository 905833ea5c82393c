"""Hostile input into a driver's session, trial by trial, with its health checked; stops at the first mistake.

What is fed, and when, follows from the seed alone. Time flows as on a line: mostly a few milliseconds, at times a
silence longer than any patience, at times none.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field

from fuzz.families import START
from fuzz.health import check_item, weight
from fuzz.line_noise import LineNoise
from fuzz.mqtt_noise import MqttNoise
from hearthline.clock import NS, Stamp
from hearthline_edge.devices import Item, MqttDriver, MqttSession, SerialSession
from trials import SEED

_PAUSES_MS = (0, 0, 1, 1, 2, 5, 20, 90, 300, 1200)
_WEIGH_EVERY = 500
LINE_WEIGHT = 4096  # bytes and entries: a frame, its noise and a few numbers
MQTT_WEIGHT = 1 << 20
ASKING_WEIGHT = 64 * 1024  # and what it has told of each meter
SLOWEST_S = 1.0  # of the processor, by one call: what comes behind waits no longer


@dataclass(slots=True)
class Outcome:
    frames: int
    base: int = 0  # what the session kept before the first
    items: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    heaviest: int = 0
    claimed: int = 0  # of messages: how many had a topic of this driver
    requests: int = 0
    seconds: float = 0.0

    def took(self, began: float) -> None:
        elapsed = time.thread_time() - began
        if elapsed > self.slowest_s:
            self.slowest_s = elapsed
            assert elapsed < SLOWEST_S, "one call took this many seconds"

    def weighed(self, session: object, limit: int) -> None:
        self.heaviest = max(self.heaviest, weight(session) - self.base)
        assert self.heaviest <= limit, "the session keeps too much"

    def check(self, items: list[Item]) -> None:
        for item in items:
            check_item(item)
            self.items[type(item).__name__] += 1


def drive_line(
    session: SerialSession, noise: LineNoise, rng: random.Random, count: int, limit: int = LINE_WEIGHT
) -> Outcome:
    """Feed `count` hostile pieces: whole, in halves, or byte by byte. What the session asks is told to the noise."""
    outcome, mono, began, piece = Outcome(count, weight(session)), START.mono_ns, time.perf_counter(), b""
    try:
        for number in range(count):
            piece = noise.piece()
            mono += _PAUSES_MS[int(rng.random() * len(_PAUSES_MS))] * (NS // 1000)
            now = Stamp(START.wall_ns + mono, mono, "boot", True)
            call = time.thread_time()
            items = _feed(session, piece, now, rng.random())
            request, delay_s = session.next_request(now)
            outcome.took(call)
            outcome.check(items)
            assert 0 < delay_s <= 3600
            if request:
                outcome.requests += 1
                noise.asked(request)
            if number % _WEIGH_EVERY == 0:
                outcome.weighed(session, limit)
    except Exception as error:
        error.add_note(f"HEARTHLINE_SEED={SEED}, piece {number} of the line, in hex: {piece.hex()}")
        raise
    outcome.seconds = time.perf_counter() - began
    return outcome


def _feed(session: SerialSession, piece: bytes, now: Stamp, split: float) -> list[Item]:
    if split < 0.8:
        items = list(session.receive(piece, now))
    elif split < 0.95:
        items = [*session.receive(piece[: len(piece) // 2], now), *session.receive(piece[len(piece) // 2 :], now)]
    else:
        items = [item for byte in piece for item in session.receive(bytes((byte,)), now)]
    if split < 0.1:
        items += session.receive(b"", now)
    return items


def drive_mqtt(driver: MqttDriver, session: MqttSession, noise: MqttNoise, count: int) -> Outcome:
    """Feed `count` hostile messages, claimed or not."""
    outcome, began = Outcome(count, weight(session)), time.perf_counter()
    for number in range(count):
        message = noise.message()
        now = Stamp(START.wall_ns + number * NS, START.mono_ns + number * NS, "boot", number % 3 > 0)
        try:
            call = time.thread_time()
            outcome.claimed += driver.claims(message.topic)
            items = list(session.receive(message, now))  # also what is not its own
            outcome.took(call)
            outcome.check(items)
        except Exception as error:
            error.add_note(f"HEARTHLINE_SEED={SEED}, message {number}: {message!r:.2000}")
            raise
        if number % _WEIGH_EVERY == 0:
            outcome.weighed(session, MQTT_WEIGHT)
    outcome.seconds = time.perf_counter() - began
    return outcome
