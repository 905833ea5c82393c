"""Who is asked next on a half-duplex line: many units, one request at a time, each poll at its own period. No I/O.

    quiet --next_request--> asked --answered--> quiet (at least `pause_s`), the poll is due again a period later
                              |----go_on------> asked again, the same poll: follow-on frames, a selection before it
                              '--timeout------> quiet, the unit is silent

Rules of the room:
- Overdue polls of all units in turn: of the units with something due, the one asked longest ago; of its due polls, the
  one asked longest ago. Periods keep to their own grid; a moment that was missed is not made up for.
- A unit that lets one poll time out is silent: passed over for the rest of its round, then probed with one poll each
  round (its shortest period). While another unit answers, a silent unit is probed ever more rarely: after a silence of
  t, t / 8 later, but at least a round and at most 10 minutes (or its round, when that is longer). So a unit that comes
  back is found within an eighth of the time that it was away. It is found at once when it is heard (`present`), or
  when the whole line was silent and one unit answers; while the whole line is silent nobody waits longer than a round.
- Probes go where no live unit has anything due, else take at most a fifth of the line. However many units are dead,
  a live one waits for them at most one timeout at a time.
- A poll that has timed out 3 times while its unit answered others is a poll that this unit does not know: its timeouts
  no longer silence the unit, and it is asked as rarely as a silent unit.
- No reply to 3 rounds: one DeviceNote "no-reply"; one "reply" when the unit is back. A unit that comes and goes, or a
  poll that is answered now and then, is told of once an hour at most: each note is an event, and a write to the card.
- A reply that was broken on the line is asked for once more, before its unit counts as silent.
- A late reply never answers the next request. Nothing is awaited after a timeout (`asked` is None), and the unit is
  left alone for the timeout's length again: what a driver cannot tell apart by unit, function, length or identifier
  (two Modbus reads of one size from one unit) is waited out. Where replies do not name their sender
  (`Line.names_sender` false: the E5 of M-Bus) the whole line is.
- The line is quiet for `pause_s` before each request, whoever spoke; but a line that never falls quiet is spoken on
  after `longest_s`. A reply that has begun in time may end late, by at most `longest_s`.

How a session uses it, in this order:

    def receive(self, data, now):
        if data: bus.heard(now)
        items = bus.taken(decoder.feed(data, now), take)
            take(frame): if bus.asked is not None and it answers bus.asked: bus.answered(now) (or bus.go_on(…))
                         elif it is of a known unit: bus.present(unit, now)
        items += bus.notes(now)
    def next_request(self, now):
        sent, delay_s = bus.next_request(now)
        return sent, min(delay_s, TICK_S) if decoder.waiting else delay_s
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import DeviceNote, Item, LineSettings, Refused
from hearthline_edge.silence import Trouble

MISSED_ROUNDS: Final = 3
GLITCH_BYTES: Final = 3  # what an idle line may add to nothing; more that is no frame was one
LONGEST_BACKOFF_NS: Final = 600 * NS
_BACKOFF_PART: Final = 8
_PROBE_PART: Final = 4  # a probe that failed is followed by four times its length for live units
_GAP_NS: Final = NS // 10  # silence within a reply that a USB adapter or a busy machine may make
_IDLE_S: Final = 60.0

Ask = TypeVar("Ask")


def character_s(line: LineSettings) -> float:
    """How long one character takes: start bit, data bits, parity, stop bits."""
    return (1 + line.bytesize + (line.parity != "N") + line.stopbits) / line.baudrate


def silence_s(line: LineSettings) -> float:
    """3.5 characters, and 1.75 ms above 19200 baud (MODBUS over serial line V1.02, 2.5.1.1)."""
    return max(3.5 * character_s(line), 0.00175)


@dataclass(frozen=True, slots=True)
class Poll(Generic[Ask]):
    """What to ask of whom. `unit`: a device id, by which it is told; `ask`: what, in the driver's own terms.

    `timeout_s`: from handing the request over to the first byte of its reply, the request's own time included.
    `label`: how `ask` is told to people.
    """

    unit: str
    ask: Ask
    interval_s: float
    timeout_s: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """`pause_s`: rest before a request; `longest_s`: how long the longest reply takes on the line.

    `garbage_was_reply`: more than a glitch that is no frame was one; else only a frame with a failed check was.
    """

    pause_s: float
    longest_s: float
    names_sender: bool = True
    garbage_was_reply: bool = True


@dataclass(slots=True)
class _Standing(Generic[Ask]):
    """One poll's place in time. `misses`: timeouts while its unit answered others."""

    poll: Poll[Ask]
    due_ns: int = 0
    asked_ns: int = -1
    misses: int = 0
    unknown_since_ns: int = 0
    repeated: bool = False
    unknown: Trouble = field(default_factory=Trouble)

    @property
    def interval_ns(self) -> int:
        return round(self.poll.interval_s * NS)

    def move_on(self) -> None:
        """Due at the next moment of its grid."""
        self.due_ns += self.interval_ns * max((self.asked_ns - self.due_ns) // self.interval_ns + 1, 0)
        self.repeated = False


@dataclass(slots=True)
class _Unit(Generic[Ask]):
    """`alive`: its last poll was answered. `misses`: timeouts since its last answer."""

    name: str
    polls: list[_Standing[Ask]] = field(default_factory=list)
    alive: bool = False
    misses: int = 0
    asked_ns: int = -1
    silent_ns: int = 0  # since when it is silent
    free_ns: int = 0  # not to be asked before: a late reply may still come
    probe_ns: int = 0  # when it is asked again, while it is not alive
    silence: Trouble = field(default_factory=Trouble)

    @property
    def round_ns(self) -> int:
        return min(each.interval_ns for each in self.polls)

    def next_poll(self, now_ns: int) -> _Standing[Ask]:
        """Of what is due, what was asked longest ago; a probe asks what the unit is known to answer."""
        if self.alive:
            open_to = [each for each in self.polls if each.due_ns <= now_ns]
        else:
            open_to = [each for each in self.polls if each.misses < MISSED_ROUNDS]
        return min(open_to or self.polls, key=lambda each: each.asked_ns)

    def ready_ns(self) -> int:
        """When it may be asked next."""
        return max(self.free_ns, min(each.due_ns for each in self.polls) if self.alive else self.probe_ns)

    def probe_soon(self, now_ns: int) -> None:
        """Forget a long rest, yet probe no more often than once a round."""
        self.probe_ns = min(self.probe_ns, max(now_ns, self.asked_ns + self.round_ns))


@dataclass(slots=True)
class _Asked(Generic[Ask]):
    """What is on the line. `deadline_ns` moves while a reply is coming in, no further than `latest_ns`."""

    unit: _Unit[Ask]
    standing: _Standing[Ask]
    sent_ns: int
    deadline_ns: int
    latest_ns: int
    spoilt: bool = False


class Bus(Generic[Ask]):
    """The schedule of one port. `encode(poll)`: the request's bytes, called anew each time the poll is asked."""

    def __init__(self, polls: Iterable[Poll[Ask]], encode: Callable[[Poll[Ask]], bytes], line: Line) -> None:
        self._encode = encode
        self._names_sender = line.names_sender
        self._garbage_was_reply = line.garbage_was_reply
        self._pause_ns = round(line.pause_s * NS)
        self._longest_ns = round(line.longest_s * NS)
        self._units: dict[str, _Unit[Ask]] = {}
        for poll in polls:
            self._units.setdefault(poll.unit, _Unit(poll.unit)).polls.append(_Standing(poll))
        self._begun = False
        self._asked: _Asked[Ask] | None = None
        self._onward: tuple[_Asked[Ask], bytes] | None = None
        self._quiet_ns = 0  # the line rests until then
        self._held_ns: int | None = None  # since when a request waits for a line that does not fall quiet
        self._late_ns = 0  # until then a reply may come that names no sender
        self._probe_ns = 0  # until then live units go before probes
        self._notes: list[DeviceNote] = []

    @property
    def asked(self) -> Poll[Ask] | None:
        """The poll whose reply is awaited; None: whatever comes is late, an echo or somebody else's."""
        return None if self._asked is None else self._asked.standing.poll

    def heard(self, now: Stamp) -> None:
        """Bytes arrived, whatever they are: the line is busy, and a reply may be coming in."""
        self._quiet_ns = now.mono_ns + self._pause_ns
        if self._asked is not None:
            later_ns = min(now.mono_ns + _GAP_NS, self._asked.latest_ns)
            self._asked.deadline_ns = max(self._asked.deadline_ns, later_ns)

    def taken(self, found: Iterable[bytes | Refused], take: Callable[[bytes], Iterable[Item]]) -> list[Item]:
        """What `take` makes of the frames, and the refusals as they are, in order."""
        items: list[Item] = []
        for each in found:
            if not isinstance(each, Refused):
                items += take(each)
                continue
            items.append(each)
            is_garbage = self._garbage_was_reply and len(each.raw) > 2 * GLITCH_BYTES  # in hexadecimal
            if each.reason == "checksum" or is_garbage:
                self.spoilt()
        return items

    def spoilt(self) -> None:
        """A broken frame: if a reply is awaited and does not come, its poll is asked once more."""
        if self._asked is not None:
            self._asked.spoilt = True

    def answered(self, now: Stamp) -> None:
        """The awaited reply, or a refusal of it, is here: the poll is settled."""
        if self._asked is not None:
            asked, self._asked = self._asked, None
            asked.standing.misses = 0
            asked.standing.unknown.told = False
            asked.standing.move_on()
            self._revive(asked.unit, now)

    def go_on(self, request: bytes, now: Stamp) -> None:
        """The awaited reply is here, and the same poll needs another request: sent next, before any other poll's."""
        if self._asked is not None:
            asked, self._asked = self._asked, None
            self._onward = (asked, request)
            self._revive(asked.unit, now)

    def present(self, unit: str, now: Stamp) -> None:
        """A frame of this unit that nobody here awaited: it lives, so a silent unit is asked soon."""
        known = self._units.get(unit)
        if known is not None:
            known.probe_soon(now.mono_ns)

    def notes(self, now: Stamp) -> list[DeviceNote]:
        """What is to be told about units, timeouts up to now included."""
        self._settle(now.mono_ns)
        notes, self._notes = self._notes, []
        return notes

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        """(bytes to send now or b"", seconds until asked again)."""
        now_ns = now.mono_ns
        self._settle(now_ns)
        if not self._begun:
            self._begun = True
            for each in (each for unit in self._units.values() for each in unit.polls):
                each.due_ns = now_ns
        if self._asked is not None:
            return b"", _seconds(self._asked.deadline_ns - now_ns)
        wait_ns = self._wait_ns(now_ns)
        if wait_ns > 0:
            return b"", _seconds(wait_ns)
        return self._send(now_ns), _seconds(0 if self._asked is None else self._asked.deadline_ns - now_ns)

    # ---

    def _wait_ns(self, now_ns: int) -> int:
        """How long until something may be sent."""
        if self._onward is None:
            if not self._units:
                return round(_IDLE_S * NS)
            ready_ns = min(unit.ready_ns() for unit in self._units.values())
            if max(ready_ns, self._late_ns) > now_ns:
                return max(ready_ns, self._late_ns) - now_ns
        if self._quiet_ns <= now_ns:
            return 0
        if self._held_ns is None:
            self._held_ns = now_ns
        return min(self._quiet_ns, self._held_ns + self._pause_ns + self._longest_ns) - now_ns

    def _send(self, now_ns: int) -> bytes:
        self._held_ns = None
        if self._onward is not None:
            (before, request), self._onward = self._onward, None
            unit, standing = before.unit, before.standing
        else:
            unit = self._choose(now_ns)
            standing = unit.next_poll(now_ns)
            unit.asked_ns = standing.asked_ns = now_ns
            request = self._encode(standing.poll)
        deadline_ns = now_ns + round(standing.poll.timeout_s * NS)
        self._asked = _Asked(unit, standing, now_ns, deadline_ns, deadline_ns + self._longest_ns)
        return request

    def _choose(self, now_ns: int) -> _Unit[Ask]:
        ready = [unit for unit in self._units.values() if unit.ready_ns() <= now_ns]
        live = [unit for unit in ready if unit.alive]
        probes = [unit for unit in ready if not unit.alive]
        if probes and (not live or now_ns >= self._probe_ns):
            return min(probes, key=lambda unit: unit.probe_ns)
        return min(live, key=lambda unit: unit.asked_ns)

    def _settle(self, now_ns: int) -> None:
        """Give up what was asked, when its time is over."""
        asked = self._asked
        if asked is None or now_ns < asked.deadline_ns:
            return
        self._asked = None
        unit, standing = asked.unit, asked.standing
        unit.free_ns = now_ns + round(standing.poll.timeout_s * NS)
        if not self._names_sender:
            self._late_ns = unit.free_ns
        if asked.spoilt and not unit.misses and not standing.repeated:
            standing.repeated = True
            unit.probe_ns = unit.free_ns
            return
        if not unit.alive:
            self._probe_ns = now_ns + _PROBE_PART * (now_ns - asked.sent_ns)
        elif self._is_unknown(unit, standing, now_ns):
            return
        standing.move_on()
        self._missed(unit, now_ns)

    def _is_unknown(self, unit: _Unit[Ask], standing: _Standing[Ask], now_ns: int) -> bool:
        """Whether a live unit that answers others has never yet answered this; then the poll rests, not the unit."""
        if not standing.misses:
            standing.unknown_since_ns = unit.asked_ns
        standing.misses += 1
        if standing.misses < MISSED_ROUNDS or len(unit.polls) == 1:
            return False
        if standing.unknown.is_to_be_told(now_ns):
            what = standing.poll.label or "one of its polls"
            self._notes.append(DeviceNote(unit.name, "error", f"does not answer {what}, though it answers others"))
        standing.move_on()
        rest_ns = _rest_ns(standing.interval_ns, now_ns - standing.unknown_since_ns)
        standing.due_ns = max(standing.due_ns, unit.asked_ns + rest_ns)
        return True

    def _missed(self, unit: _Unit[Ask], now_ns: int) -> None:
        if not unit.misses:
            unit.silent_ns = unit.asked_ns
        unit.alive = False
        unit.misses += 1
        if unit.misses >= MISSED_ROUNDS and unit.silence.is_to_be_told(now_ns):
            self._notes.append(DeviceNote(unit.name, "no-reply", f"no reply in {unit.misses} rounds"))
        somebody_lives = any(each.alive for each in self._units.values())
        rest_ns = _rest_ns(unit.round_ns, now_ns - unit.silent_ns) if somebody_lives else unit.round_ns
        unit.probe_ns = max(unit.asked_ns + rest_ns, unit.free_ns)

    def _revive(self, unit: _Unit[Ask], now: Stamp) -> None:
        """It has answered."""
        self._quiet_ns = max(self._quiet_ns, now.mono_ns + self._pause_ns)
        if unit.silence.told:
            unit.silence.told = False
            self._notes.append(DeviceNote(unit.name, "reply", "answers again"))
        unit.misses = 0
        if not any(each.alive for each in self._units.values()):
            for each in self._units.values():
                each.probe_soon(now.mono_ns)
        unit.alive = True


def _rest_ns(round_ns: int, silent_ns: int) -> int:
    """How long a silent unit is left alone."""
    return max(round_ns, min(silent_ns // _BACKOFF_PART, LONGEST_BACKOFF_NS))


def _seconds(ns: int) -> float:
    return max(ns / NS, 0.001)
