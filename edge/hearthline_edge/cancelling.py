"""The elder takes a press back: by a button whose role is `cancel`, or by the gateway's reset input.

    press --------> event, sent at once; nothing here ever holds it back
      | within the window (5 s)
    cancel -------> event of its own, durable, behind alarms: the center shows it, and closes nothing

A button takes back its own device's last press. Where its device has none, it takes back the only other device that was
pressed within the window; of two it takes back neither. So does the reset input, which has no device. A hazard that a
detector tells of is never taken back. Too late, it takes back nothing and is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hearthline.clock import Stamp
from hearthline.model import ButtonRole, EventType
from hearthline_edge.devices import HAZARDS
from hearthline_edge.grouping import PressState, seconds_since
from hearthline_edge.outbox import EventRow, Outbox

CANCEL: Final = "cancel"
WINDOW_S: Final = 5.0
_TAKEN_BACK: Final = frozenset(ButtonRole)


@dataclass(frozen=True, slots=True)
class Pressed:
    """When a button was last pressed anew, in seconds before now; None: nobody knows."""

    device: str
    button: str
    ago_s: float | None


def meant(pressed: Iterable[Pressed], device: str | None, window_s: float) -> Pressed | None:
    """Which press a cancel takes back. `device`: whose button cancels; None: the reset input."""
    recent = [each for each in pressed if each.ago_s is not None and 0 <= each.ago_s <= window_s]
    own = [each for each in recent if each.device == device]
    if not own and len({each.device for each in recent}) == 1:
        own = recent
    return min(own, key=lambda each: each.ago_s or 0.0, default=None)


def take_cancel(
    outbox: Outbox,
    role_of: Callable[[str, str], str],
    device: str | None,
    window_s: float,
    now: Stamp,
    facts: dict[str, Any],
) -> EventRow | None:
    """Write the event that takes a press back, inside the outbox's transaction. `device` as in `meant`."""
    found = meant(_presses(outbox, role_of, now), device, window_s)
    alarm = None if found is None else outbox.last_alarm(found.device, found.button)
    if alarm is None:
        outbox.count("cancels-without-a-press", 1)
        return None
    return outbox.append_event(EventType.CANCEL, alarm.device, {"event": alarm.id, **facts}, now, urgent=False)


def _presses(outbox: Outbox, role_of: Callable[[str, str], str], now: Stamp) -> Iterable[Pressed]:
    for device, button, body in outbox.press_states():
        if button in HAZARDS or role_of(device, button) not in _TAKEN_BACK:
            continue
        try:
            state = msgspec.json.decode(body, type=PressState)
        except (ValueError, RecursionError):  # the next telegram drops it
            continue
        if state.told:
            yield Pressed(device, button, seconds_since(state.told[0].first, now))
