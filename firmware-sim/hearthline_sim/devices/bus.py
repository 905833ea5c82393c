"""Several meters on one RS-485 or M-Bus pair of wires: every request reaches all of them, one of them answers.

    host --request--> meter 1, meter 2, … meter n        half duplex: nobody talks while another does
    host <--[echo] [glitch] reply, or half of it--

Faults of the line: an adapter that hears its own request (echo), a stray 00 or FF before a reply, half a reply, and,
when two meters answer one broadcast, a collision: the dominant level (0) wins in each bit, so both replies are lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from random import Random
from typing import Protocol

from hearthline_sim.devices.emission import Burst


@dataclass(frozen=True, slots=True)
class Value:
    """One value as a device shows it, in the unit of `hearthline.model.TELEMETRY_UNITS`."""

    device: str
    quantity: str
    value: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes on the line, and the values in it when it is whole."""

    burst: Burst
    values: tuple[Value, ...] = ()


class BusMeter(Protocol):
    """A meter on a bus: its own id, and what it answers to the host's bytes, however they are cut."""

    device: str

    def receive(self, data: bytes) -> tuple[Answer, ...]: ...


@dataclass(frozen=True, slots=True)
class LineFaults:
    """How often a reply has a glitch byte in front or is cut in half; whether the adapter hears its own requests."""

    glitch_rate: float = 0.0
    half_frame_rate: float = 0.0
    echo: bool = False


class Bus:
    """All meters of one pair of wires."""

    def __init__(self, meters: Sequence[BusMeter], rng: Random, faults: LineFaults) -> None:
        self._meters = tuple(meters)
        self._rng = rng
        self._faults = faults

    def receive(self, data: bytes) -> tuple[Answer, ...]:
        """What is on the line after the host's bytes, in order."""
        answers = [answer for meter in self._meters if (answer := _joined(meter.receive(data))) is not None]
        echo = (Answer(Burst(0.0, data)),) if self._faults.echo else ()
        if len(answers) > 1:
            return (*echo, _collided(answers))
        return (*echo, *(self._damaged(answer) for answer in answers))

    def _damaged(self, answer: Answer) -> Answer:
        after_s, data = answer.burst.after_s, answer.burst.data
        if self._rng.random() < self._faults.half_frame_rate:
            return Answer(Burst(after_s, data[: len(data) // 2]))
        if self._rng.random() < self._faults.glitch_rate:
            data = self._rng.choice((b"\x00", b"\xff")) + data
        return Answer(Burst(after_s, data), answer.values)


def _joined(answers: tuple[Answer, ...]) -> Answer | None:
    """One meter's answers to one read, which leave one after the other."""
    if not answers:
        return None
    data = b"".join(answer.burst.data for answer in answers)
    values = tuple(value for answer in answers for value in answer.values)
    return Answer(Burst(answers[0].burst.after_s, data), values)


def _collided(answers: list[Answer]) -> Answer:
    replies = [answer.burst.data for answer in answers]
    mixed = bytes(_wired_and(column) for column in zip_longest(*replies, fillvalue=0xFF))
    return Answer(Burst(min(answer.burst.after_s for answer in answers), mixed))


def _wired_and(column: tuple[int, ...]) -> int:
    level = 0xFF
    for byte in column:
        level &= byte
    return level
