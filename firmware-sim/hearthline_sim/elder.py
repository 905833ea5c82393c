"""The elder: presses, waits to be told that somebody has heard, and presses again without end.

A cry begins with a press and ends with "received" for any of its presses; a pendant has at most one. A signal belongs
to the latest press of its device at or before the time with which the agent stamped it (0.2 s of grace).

    quiet --press--> crying --patience over--> crying (pressed again, a new ordinal)
                     crying --received--> quiet

All methods are called from one thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from hearthline.clock import NS, parse_rfc3339
from hearthline.errors import ProtocolError
from hearthline_sim.ledger import Ledger, Press
from hearthline_sim.schedule import MIN_GAP_S

GRACE_NS = NS // 5


class Signal(msgspec.Struct, frozen=True):
    """What the agent tells the home on `hearthline/home/<gateway>/signal`; other fields are ignored."""

    signal: Literal["received", "accepted"]
    event: str
    device: str
    time: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A signal that told the elder something new. `duplicate`: a second event for a press that already has one."""

    kind: Literal["received", "accepted"]
    press: Press
    event: str
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Cry:
    """An unanswered call: its first and its latest press."""

    first: int
    latest: Press


class Elder:
    """Whoever lives here. Times are Unix nanoseconds."""

    def __init__(self, ledger: Ledger, patience_s: float) -> None:
        self._ledger = ledger
        self._patience_ns = round(patience_s * NS)
        self._cries: dict[str, Cry] = {}
        self._pressed: dict[str, list[Press]] = {}
        self._events: dict[tuple[str, int, str], str] = {}

    @property
    def cries(self) -> int:
        """How many calls wait for "received"."""
        return len(self._cries)

    def may_call(self, device: str, now_ns: int) -> bool:
        """Whether a new call may begin: no cry waits, and the last press is long enough ago."""
        presses = self._pressed.get(device)
        return device not in self._cries and (not presses or now_ns - presses[-1].pressed_wall_ns >= MIN_GAP_S * NS)

    def press(self, device: str, button: str, role: str, now_ns: int) -> Press:
        """Press a button; a pendant on which a cry waits is pressed again for the same cry."""
        cry = self._cries.get(device)
        press = self._ledger.press(device, button, role, now_ns, cry.first if cry else None)
        self._cries[device] = Cry(cry.first if cry else press.ordinal, press)
        self._pressed.setdefault(device, []).append(press)
        return press

    def impatient(self, now_ns: int) -> list[Press]:
        """The latest presses of the cries whose patience is over."""
        latest = [cry.latest for cry in self._cries.values()]
        return [press for press in latest if now_ns - press.pressed_wall_ns >= self._patience_ns]

    def hear(self, payload: bytes, now_ns: int) -> Heard | None:
        """Take in a signal; None when it says nothing new. Raises ProtocolError for anything else."""
        try:
            signal = msgspec.json.decode(payload, type=Signal)
            stamped_ns = parse_rfc3339(signal.time)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            raise ProtocolError(f"not a signal to the home: {error}") from None
        press = self._press_of(signal.device, stamped_ns)
        if press is None:
            return None
        key = (press.device, press.ordinal, signal.signal)
        known = self._events.get(key)
        if known == signal.event:
            return None
        self._events.setdefault(key, signal.event)
        if signal.signal == "accepted":
            self._ledger.accepted(press, signal.event, now_ns)
        else:
            self._ledger.received(press, signal.event, now_ns)
            self._comfort(press)
        return Heard(signal.signal, press, signal.event, duplicate=known is not None)

    def _press_of(self, device: str, stamped_ns: int) -> Press | None:
        presses = self._pressed.get(device, [])
        fitting = (press for press in reversed(presses) if stamped_ns >= press.pressed_wall_ns - GRACE_NS)
        return next(fitting, None)

    def _comfort(self, press: Press) -> None:
        cry = self._cries.get(press.device)
        if cry is not None and press.ordinal >= cry.first:
            del self._cries[press.device]
