"""What a device gives off: bytes on its serial line, or a message to the local broker, some time after the cause."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Burst:
    """Bytes that leave in one go, `after_s` seconds after what caused them."""

    after_s: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Publish:
    """One MQTT message, `after_s` seconds after what caused it."""

    after_s: float
    topic: str
    payload: bytes
    retain: bool = False
