"""What a channel is: it sends one message and says what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """`key` is the same at every attempt, so that a receiver can know a repeat. `to`: a telephone number, or empty.

    `facts` is what a machine reads; without names and addresses unless the channel is trusted with them.
    """

    key: str
    title: str
    text: str
    to: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """`detail` names no person and no secret. `retry`: whether trying again can help; `after_s`: not before."""

    sent: bool
    detail: str
    retry: bool = False
    after_s: float = 0.0


class Channel(Protocol):
    """A way to tell people. `send` returns within a bounded time and raises for bugs alone."""

    def send(self, message: Message) -> Result: ...
