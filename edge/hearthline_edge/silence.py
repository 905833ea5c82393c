"""When the silence of something that ought to answer is told to people. No I/O.

    heard ---- 3 questions unanswered ----> silent: one note "no-reply" ---- any frame ----> heard: one note "reply"

Each note is an event and a write to the card: what comes and goes is told of once an hour at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import DeviceNote

UNANSWERED: Final = 3  # before it counts as silent
_TOLD_EVERY_NS: Final = 3600 * NS
_ASK_EVERY_NS: Final = 60 * NS


@dataclass(slots=True)
class Trouble:
    """Of which people are told once while it lasts, and once an hour at most."""

    told: bool = False
    _again_ns: int | None = None

    def is_to_be_told(self, now_ns: int) -> bool:
        if self.told or (self._again_ns is not None and now_ns < self._again_ns):
            return False
        self.told, self._again_ns = True, now_ns + _TOLD_EVERY_NS
        return True


class Heartbeat:
    """Asks a receiver that speaks by itself whether it is there: a dead one is as silent as a home without a press.

    `question`: what it answers without any effect. In a session: `heard` for each good frame, then `notes`.
    """

    def __init__(self, device: str, question: bytes) -> None:
        self._device = device
        self._question = question
        self._due_ns: int | None = None
        self._unanswered = 0
        self._silence = Trouble()

    def heard(self) -> None:
        self._unanswered = 0

    def notes(self, now: Stamp) -> list[DeviceNote]:
        """What is to be told of it now."""
        if self._unanswered > UNANSWERED and self._silence.is_to_be_told(now.mono_ns):
            return [DeviceNote(self._device, "no-reply", f"{UNANSWERED} questions to the receiver without an answer")]
        if not self._unanswered and self._silence.told:
            self._silence.told = False
            return [DeviceNote(self._device, "reply", "answers again")]
        return []

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        """(the question or b"", seconds until asked again)"""
        if self._due_ns is not None and now.mono_ns < self._due_ns:
            return b"", (self._due_ns - now.mono_ns) / NS
        self._due_ns = now.mono_ns + _ASK_EVERY_NS
        self._unanswered += 1
        return self._question, _ASK_EVERY_NS / NS
