"""The walk through a home: each step is asked of the running agent, tried by the installer, and judged by a bound.

    press, vital   expect --> stored, marked --> its hops: committed, sent, received within the bound
    reading        heard --> the lane has nothing older left: received

Without a line to the center a step is stored, and that the center has received it stays to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hearthline.commissioning import LONGEST_S, Hops, Reason, RunState, Step, StepState, What
from hearthline.errors import HearthlineError, LinkError
from hearthline.model import EventType
from hearthline.wire import device_name
from hearthline_edge.commissioning_plan import Planned
from hearthline_edge.control_client import ControlClient, Line

RUN_S: Final = LONGEST_S - 600.0  # then another run is begun, before the center ends this one
_STORED_S: Final = 5.0
_LOOK_S: Final = 0.25


Word = Callable[[Line, float], Reason | None]
"""Waits until the agent speaks, the seconds are over, or the installer says why a step is not to be tried."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`wait_s`: for the installer, by what is tried. `within_s`: for the center. `gather_s`: readings wait so long."""

    wait_s: Mapping[What, float]
    within_s: float
    gather_s: float


class Walk:
    """One run at the center and its steps."""

    def __init__(self, client: ControlClient, run: str, bounds: Bounds) -> None:
        self.run = run
        self._client = client
        self._bounds = bounds
        self._begun_at = time.monotonic()
        self._was_answered = False

    @property
    def is_over(self) -> bool:
        """Whether another run has to be begun."""
        return time.monotonic() - self._begun_at > RUN_S

    def begin(self) -> bool:
        """Tell the center; whether it has heard in time. Raises LinkError, RefusedError."""
        told = {"run": self.run, "state": RunState.BEGUN.value}
        return self.tell(told)

    def tell(self, data: Mapping[str, Any]) -> bool:
        """Tell the center something of this run; whether it has heard in time. Raises LinkError, RefusedError."""
        order = {"do": "tell", "type": EventType.COMMISSIONING.value, "data": data}
        event = str(self._client.ask(order)["event"])
        return "received" in self._hops(event, self._patience_s())

    def is_online(self) -> bool:
        link = self._client.ask({"do": "state"}).get("link")
        return isinstance(link, dict) and link.get("connected") is True

    def _patience_s(self) -> float:
        """How long for the center. A line that was there a moment ago may only be changing its certificate."""
        return self._bounds.within_s if self._was_answered or self.is_online() else 0.0

    def take(self, planned: Planned, at: str, word: Word | None) -> Step:
        """Try one thing. `at`: now, RFC 3339. Raises LinkError when the agent goes away."""
        tried = self._reading(planned, word) if planned.what is What.READING else self._expected(planned, word)
        return msgspec.structs.replace(tried, at=at, run=self.run)

    # --- presses and measurements ---

    def _expected(self, planned: Planned, word: Word | None) -> Step:
        wait_s = self._bounds.wait_s[planned.what]
        order = {"do": "expect", "device": planned.device, "run": self.run, "seconds": wait_s}
        with self._client.open(order) as line:
            answer = _wait(line, wait_s + _STORED_S, word, lambda told: "pressed" in told or "over" in told)
        if isinstance(answer, Reason):
            return _step(planned, StepState.SKIPPED, answer)
        pressed = {} if answer is None else answer.get("pressed", {})
        if not pressed:
            return _step(planned, StepState.FAILED, Reason.NOT_HEARD)
        event = str(pressed["event"])
        hops = self._hops(event, self._patience_s())
        step = _judged(planned, hops, self._bounds.within_s)
        if not pressed.get("marked"):
            step = msgspec.structs.replace(step, state=StepState.FAILED, reason=Reason.NOT_MARKED.value)
        return msgspec.structs.replace(step, event=event, **_radio(pressed))

    def look_again(self, step: Step) -> Step:
        """A step whose word from the center was missing: perhaps it has come since."""
        if step.reason != Reason.NOT_RECEIVED or not step.event:
            return step
        received_s = self._hops(step.event, 0.0).get("received")
        if received_s is None or step.hops_ms is None:
            return step
        hops = msgspec.structs.replace(step.hops_ms, received=_ms(received_s))
        return msgspec.structs.replace(step, hops_ms=hops, reason=Reason.LATE.value)

    def _hops(self, event: str, wait_s: float) -> dict[str, float]:
        """Seconds since the telegram, by the hop; what has come within the time, or was there."""
        found: dict[str, float] = {}
        deadline = time.monotonic() + wait_s
        try:
            with self._client.open({"do": "follow", "event": event}) as line:
                while "received" not in found:
                    told = line.next(max(deadline - time.monotonic(), _LOOK_S if not found else 0.0))
                    if told is None:
                        break
                    found[str(told["hop"])] = float(told["at_s"])
        except LinkError:
            raise
        except HearthlineError:  # the agent was started anew meanwhile and knows nothing of the event
            pass
        self._was_answered = "received" in found
        return found

    # --- readings ---

    def _reading(self, planned: Planned, word: Word | None) -> Step:
        def is_meant(told: Mapping[str, Any]) -> bool:
            heard = told.get("heard", {})
            return heard.get("kind") == "reading" and device_name(str(heard.get("device"))) == planned.device

        with self._client.open({"do": "hear"}) as line:
            answer = _wait(line, self._bounds.wait_s[planned.what], word, is_meant)
        if isinstance(answer, Reason):
            return _step(planned, StepState.SKIPPED, answer)
        if answer is None:
            return _step(planned, StepState.FAILED, Reason.NOT_HEARD)
        received_s = self._lane_emptied(time.monotonic())
        step = _judged(planned, {} if received_s is None else {"received": received_s}, self._reading_within_s)
        return msgspec.structs.replace(step, **_radio(answer["heard"]))

    @property
    def _reading_within_s(self) -> float:
        return self._bounds.within_s + self._bounds.gather_s

    def _lane_emptied(self, heard_at: float) -> float | None:
        """Seconds until the center had acknowledged whatever was heard until then; None: not in time."""
        while (elapsed_s := time.monotonic() - heard_at) < self._reading_within_s:
            if elapsed_s > self._bounds.gather_s + 1.0:
                state = self._client.ask({"do": "state"})
                if not state["link"]["connected"]:
                    return None
                lane = state["lanes"]["telemetry"]
                if lane is not None and (lane["depth"] == 0 or lane["oldest_s"] < elapsed_s):
                    return elapsed_s
            time.sleep(_LOOK_S)
        return None


def _wait(
    line: Line, wait_s: float, word: Word | None, is_meant: Callable[[Mapping[str, Any]], bool]
) -> dict[str, Any] | Reason | None:
    """What the agent says that is meant, or the installer's reason to skip it; None: neither in time."""
    deadline = time.monotonic() + wait_s
    while (left_s := deadline - time.monotonic()) > 0:
        told = line.next(left_s if word is None else 0.0)
        if told is not None and is_meant(told):
            return told
        if told is None and word is not None and (reason := word(line, left_s)) is not None:
            return reason
    return None


def _judged(planned: Planned, hops: Mapping[str, float], within_s: float) -> Step:
    """Passed when the center has received it in time."""
    if planned.what is not What.READING and "committed" not in hops:
        return _step(planned, StepState.FAILED, Reason.NOT_STORED)
    times = Hops(committed=_ms(hops.get("committed")), sent=_ms(hops.get("sent")), received=_ms(hops.get("received")))
    if "received" not in hops:
        step = _step(planned, StepState.FAILED, Reason.NOT_RECEIVED)
    elif hops["received"] > within_s:
        step = _step(planned, StepState.FAILED, Reason.LATE)
    else:
        step = _step(planned, StepState.PASSED)
    return msgspec.structs.replace(step, hops_ms=times)


def _step(planned: Planned, state: StepState, reason: Reason | str = "") -> Step:
    return Step(device=planned.device, room=planned.room, what=planned.what, state=state, reason=str(reason))


def _radio(told: Mapping[str, Any]) -> dict[str, int]:
    """The level in dBm, or what a Zigbee radio calls its link's quality; whole numbers, as far as they are possible."""
    found = {}
    for name, given, least, most in (("radio_dbm", "radio_level", -200, 50), ("link_quality", "link_quality", 0, 255)):
        value = told.get(given)
        if isinstance(value, int | float) and least <= value <= most:
            found[name] = round(value)
    return found


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else min(max(round(seconds * 1000), 0), 2**31 - 1)
