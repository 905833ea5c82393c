"""The scheduler on a simulated half-duplex line: dead and slow units, echo, glitches, late replies, collisions.

A toy protocol: 3A | kind 00 request, 80 reply | unit | item | sum modulo 256.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, pairwise
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline_edge.bus import Bus, Line, Poll, character_s, silence_s
from hearthline_edge.devices import DeviceNote, LineSettings

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
CHARACTER_S = character_s(LineSettings(9600))
PAUSE_S = 0.01
TIMEOUT_S = 0.3
LINE = Line(PAUSE_S, 0.2)
REPLY_S = 0.02
EXCHANGE_S = 5 * CHARACTER_S + REPLY_S + 5 * CHARACTER_S + PAUSE_S


def frame(kind: int, unit: int, item: int) -> bytes:
    body = bytes((0x3A, kind, unit, item))
    return body + bytes((sum(body) & 0xFF,))


def frames(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, unit and item of every good frame."""
    for at in range(len(data) - 4):
        if data[at] == 0x3A and sum(data[at : at + 4]) & 0xFF == data[at + 4]:
            yield data[at + 1], data[at + 2], data[at + 3]


@dataclass
class Meter:
    """`delays`: how long each of its replies waits; `alive` by seconds since the start; `items`: what it knows."""

    delay: Callable[[], float] = lambda: REPLY_S
    alive: Callable[[float], bool] = lambda at: True
    items: frozenset[int] = frozenset(range(256))


@dataclass
class Bench:
    """A bus, its meters and the line between them. `answers`: (seconds, unit, item) of every settled poll."""

    polls: list[Poll[tuple[int, int]]]
    meters: dict[int, Meter]
    line: Line = LINE
    echo: bool = False
    spoil: Callable[[bytes], bytes] = lambda data: data
    answers: list[tuple[float, int, int]] = field(default_factory=list)
    requests: list[tuple[float, int, int]] = field(default_factory=list)
    notes: list[tuple[float, DeviceNote]] = field(default_factory=list)
    tells_items: bool = True  # whether a reply says of which item it is
    strays: int = 0
    mistaken: int = 0  # replies taken for the answer of a later request
    collisions: int = 0

    def __post_init__(self) -> None:
        self.bus = Bus(self.polls, lambda poll: frame(0, *poll.ask), self.line)
        self.at = 0.0
        self._coming: list[tuple[float, float, bytes, int]] = []  # when it is complete, when it began, what, of whom

    def run(self, until_s: float) -> None:
        while self.at < until_s:
            sent, delay_s = self.bus.next_request(START.later(self.at))
            if sent:
                self._carry(sent)
            arrives = self._coming[0][0] if self._coming else float("inf")
            wake = min(self.at + delay_s, arrives)
            assert wake > self.at, "time stands still"
            self.at = wake
            if arrives > self.at:
                self._receive(b"", 0)
            while self._coming and self._coming[0][0] <= self.at:
                _, _, data, request = heapq.heappop(self._coming)
                self._receive(data, request)

    def say(self, after_s: float, data: bytes) -> None:
        """Somebody speaks `after_s` from now."""
        begins = self.at + after_s
        heapq.heappush(self._coming, (begins + len(data) * CHARACTER_S, begins, data, len(self.requests)))

    def _carry(self, sent: bytes) -> None:
        self.collisions += any(begins <= self.at for _, begins, *_ in self._coming)
        ends = self.at + len(sent) * CHARACTER_S
        if self.echo:
            self.say(0, sent)
        ((_, unit, item),) = frames(sent)
        self.requests.append((self.at, unit, item))
        meter = self.meters.get(unit)
        if meter is not None and meter.alive(self.at) and item in meter.items:
            self.say(ends - self.at + meter.delay(), self.spoil(frame(0x80, unit, item)))

    def _receive(self, data: bytes, request: int) -> None:
        now, good = START.later(self.at), 0
        if data:
            self.bus.heard(now)
        for kind, unit, item in frames(data):
            good += 1
            if kind != 0x80:
                continue
            asked = self.bus.asked
            if asked is not None and asked.ask[0] == unit and (asked.ask[1] == item or not self.tells_items):
                self.mistaken += request != len(self.requests)
                self.bus.answered(now)
                self.answers.append((self.at, unit, item))
            else:
                self.strays += 1
                self.bus.present(f"u{unit}", now)
        if len(data) >= 5 and not good:
            self.bus.spoilt()
        self.notes += [(self.at, note) for note in self.bus.notes(now)]

    def of(self, unit: int, item: int = 0) -> list[float]:
        return [at for at, *who in self.answers if who == [unit, item]]

    def asked(self, unit: int) -> list[float]:
        return [at for at, one, _ in self.requests if one == unit]


def poll(unit: int, item: int = 0, interval_s: float = 10.0) -> Poll[tuple[int, int]]:
    return Poll(f"u{unit}", (unit, item), interval_s, TIMEOUT_S, f"item {item}")


def test_each_poll_keeps_its_own_period() -> None:
    bench = Bench([poll(1, 0, 2), poll(1, 1, 30), poll(2, 0, 5)], {1: Meter(), 2: Meter()})
    bench.run(60)
    assert [len(bench.of(1, 0)), len(bench.of(1, 1)), len(bench.of(2, 0))] == [30, 2, 12]
    for series, period in ((bench.of(1, 0), 2), (bench.of(1, 1), 30), (bench.of(2, 0), 5)):
        assert [later - earlier for earlier, later in pairwise(series)] == pytest.approx(
            [period] * (len(series) - 1), abs=2 * EXCHANGE_S
        )
    assert bench.collisions == 0


def test_a_full_line_is_shared_by_units_in_turn() -> None:
    """One unit with twenty items asks for more than the line carries; the other's single item is not held up."""
    many = [poll(1, item, 0.5) for item in range(20)]
    bench = Bench([*many, poll(2, 0, 0.5)], {1: Meter(), 2: Meter()})
    bench.run(60)
    assert len(bench.of(2)) >= 119
    counts = [len(bench.of(1, item)) for item in range(20)]
    assert min(counts) >= max(counts) - 2 > 30
    assert bench.collisions == 0


def test_the_line_rests_before_every_request() -> None:
    bench = Bench([poll(unit, item, 0.2) for unit in (1, 2) for item in (0, 1)], {1: Meter(), 2: Meter()})
    bench.run(20)
    replies = [at for at, *_ in bench.answers]
    for sent, *_ in bench.requests:
        earlier = [at for at in replies if at <= sent]
        assert not earlier or sent - earlier[-1] >= PAUSE_S - 1e-9


def test_a_dead_unit_costs_one_timeout_a_round_and_less_and_less() -> None:
    bench = Bench([*(poll(1, item) for item in range(5)), *(poll(2, item) for item in range(3))], {2: Meter()})
    bench.run(4000)
    asked = bench.asked(1)
    assert asked[:4] == pytest.approx([asked[0] + 10 * count for count in range(4)], abs=1)
    rests = [later - earlier for earlier, later in pairwise(asked)]
    assert max(rests) <= 600
    for at, rest in zip(asked, rests, strict=False):
        assert rest <= max(10, at / 8) + 1
    assert len(asked) < 50
    assert [(round(at), note.kind) for at, note in bench.notes] == [(20, "no-reply")]
    assert len(bench.of(2)) == 400


def test_longest_rest_is_ten_minutes() -> None:
    bench = Bench([poll(1), poll(2)], {2: Meter()})
    bench.run(50_000)
    rests = [later - earlier for earlier, later in pairwise(bench.asked(1))]
    assert rests[-5:] == pytest.approx([600] * 5, abs=1)


@pytest.mark.parametrize("away_s", [35, 100, 1000, 9000])
def test_a_unit_is_back_within_an_eighth_of_its_absence(away_s: float) -> None:
    bench = Bench([poll(1), poll(2)], {1: Meter(alive=lambda at: not 50 < at < 50 + away_s), 2: Meter()})
    bench.run(50 + away_s * 1.25 + 30)
    back = next(at for at in bench.of(1) if at > 50)
    assert back - (50 + away_s) <= max(10, min(away_s / 8, 600)) + 1
    assert [note.kind for _, note in bench.notes] == ["no-reply", "reply"]


def test_when_the_whole_line_was_silent_everybody_is_back_within_a_round() -> None:
    cut = Meter(alive=lambda at: not 1000 < at < 9000)
    bench = Bench([poll(unit) for unit in range(5)], dict.fromkeys(range(4), cut))
    bench.run(9030)
    for unit in range(4):
        assert next(at for at in bench.of(unit) if at > 1000) <= 9011
    assert max(bench.asked(4)) > 9000  # dead for ever, asked again when life came back to the line
    kinds = [(note.device, note.kind) for _, note in bench.notes]
    assert sorted(kinds) == sorted(
        [("u4", "no-reply"), *((f"u{unit}", kind) for unit in range(4) for kind in ("no-reply", "reply"))]
    )


def test_a_long_dead_unit_is_asked_again_when_the_line_comes_back() -> None:
    """The rest of up to 10 minutes that it had while others lived is forgotten."""
    meters = {1: Meter(alive=lambda at: at > 4820), 2: Meter(alive=lambda at: not 4790 < at < 4820)}
    bench = Bench([poll(1), poll(2)], meters)
    bench.run(4840)
    assert not [at for at in bench.asked(1) if 4500 < at < 4820]
    assert bench.of(1)[0] < 4831


def test_a_unit_that_comes_and_goes_is_told_of_once_an_hour() -> None:
    bench = Bench([Poll("u1", (1, 1), 10, TIMEOUT_S)], {1: Meter(alive=lambda at: at % 50 < 10)})
    bench.run(7300)
    kinds = [note.kind for _, note in bench.notes]
    assert kinds == ["no-reply", "reply"] * 3
    bench.meters[1].alive = lambda at: False
    bench.run(15000)
    told = [(at, note.kind) for at, note in bench.notes[6:]]
    assert [kind for _, kind in told] == ["no-reply"]
    assert told[0][0] < 11000 + 600


def test_an_item_that_is_answered_now_and_then_is_told_of_once_an_hour() -> None:
    rounds = Meter(items=frozenset({0}))
    bench = Bench([Poll("u1", (1, item), 10, TIMEOUT_S) for item in range(2)], {1: rounds})
    for minute in range(1, 181):
        rounds.items = frozenset({0, 1}) if minute % 2 else frozenset({0})
        bench.run(60.0 * minute)
    assert [note.kind for _, note in bench.notes] == ["error"] * 3


def test_one_missed_reply_is_no_note() -> None:
    bench = Bench([poll(1), poll(2)], {1: Meter(alive=lambda at: not 5 < at < 25), 2: Meter()})
    bench.run(95)
    assert not bench.notes
    assert [round(at) for at in bench.of(1)] == [0, 30, 40, 50, 60, 70, 80, 90]


@pytest.mark.parametrize("late_s", [0.31, 0.4, 0.55])
def test_a_late_reply_is_never_the_answer_of_the_next_request(late_s: float) -> None:
    """Two items of one unit that no reply tells apart, as two Modbus reads of one size, and another unit."""
    delays = cycle([0.02, late_s, 0.02, 0.02, late_s, late_s])
    bench = Bench([poll(1, 0, 0.5), poll(1, 1, 1), poll(2, 0, 1)], {1: Meter(lambda: next(delays)), 2: Meter()})
    bench.tells_items = False
    bench.run(60)
    assert bench.strays > 10
    assert bench.mistaken == 0
    assert len(bench.of(1, 0)) > 10
    assert len(bench.of(1, 1)) > 10
    assert len(bench.of(2)) > 30


def test_a_unit_whose_reply_may_be_late_is_left_alone() -> None:
    """What Modbus cannot tell apart, two reads of one size from one unit, is waited out."""
    bench = Bench([poll(1, 0, 0.4), poll(1, 1, 0.4)], {1: Meter(alive=lambda at: at < 2)})
    bench.run(20)
    dead = [at for at in bench.asked(1) if at > 2]
    assert all(later - earlier >= 2 * TIMEOUT_S - 1e-9 for earlier, later in pairwise(dead))


def test_where_replies_do_not_name_their_sender_the_whole_line_waits() -> None:
    bench = Bench([poll(1, 0, 1), poll(2, 0, 1)], {1: Meter()}, Line(PAUSE_S, 0.2, names_sender=False))
    bench.run(30)
    for missed in bench.asked(2):
        assert not [at for at, *_ in bench.requests if missed < at < missed + 2 * TIMEOUT_S - 1e-9]


def test_echo_and_glitches_settle_nothing_and_cost_nothing() -> None:
    dice = Random(4)
    meters = {unit: Meter(lambda: dice.uniform(0.005, 0.2)) for unit in (1, 2, 3)}
    glitch = [b"", b"\xff", b"\x00", b"\x3a", b"\x3a\x80"]
    bench = Bench([poll(unit, 0, 2) for unit in (1, 2, 3)], meters, echo=True)
    bench.spoil = lambda data: dice.choice(glitch) + data
    bench.run(200)
    assert [len(bench.of(unit)) for unit in (1, 2, 3)] == [100] * 3
    assert bench.collisions == 0
    assert not bench.notes


def test_a_spoilt_reply_is_asked_for_once_more() -> None:
    spoils = {1: cycle([False, True]), 2: cycle([True, False, False])}
    bench = Bench([poll(1), poll(2)], {1: Meter(), 2: Meter()})
    bench.spoil = lambda data: data[:-1] + b"\x00" if next(spoils[data[2]]) else data
    bench.run(95)
    assert [len(bench.of(unit)) for unit in (1, 2)] == [10, 10]
    assert not bench.notes


def test_an_item_that_a_unit_never_answers_holds_up_nothing_for_long() -> None:
    bench = Bench([poll(1, item) for item in range(4)] + [poll(2)], {1: Meter(items=frozenset({0, 2, 3})), 2: Meter()})
    bench.run(3000)
    assert [(note.device, note.kind, "item 1" in note.detail) for _, note in bench.notes] == [("u1", "error", True)]
    assert min(len(bench.of(1, item)) for item in (0, 2, 3)) >= 298
    assert sum(item == 1 for _, unit, item in bench.requests if unit == 1) < 40


def test_a_long_reply_may_end_after_the_timeout() -> None:
    bus = Bus([poll(1)], lambda one: frame(0, *one.ask), Line(PAUSE_S, 1.0))
    assert bus.next_request(START)[0]
    for tenth in range(2, 13):
        bus.heard(START.later(tenth / 10))
        assert not bus.notes(START.later(tenth / 10))
        assert bus.asked is not None
    bus.heard(START.later(1.31))  # no line speaks for ever
    bus.notes(START.later(1.31))
    assert bus.asked is None


def test_a_line_that_hisses_for_ever_is_spoken_on_all_the_same() -> None:
    bus, sent = Bus([poll(1, 0, 5)], lambda one: frame(0, *one.ask), LINE), 0
    for count in range(6000):
        now = START.later(count * 0.005)
        bus.heard(now)
        bus.notes(now)
        sent += bool(bus.next_request(now)[0])
    assert sent == 6


def test_a_conversation_goes_on_before_any_other_poll() -> None:
    bus = Bus([poll(1), poll(2)], lambda one: frame(0, *one.ask), LINE)
    assert bus.next_request(START)[0] == frame(0, 1, 0)
    bus.go_on(b"more", START.later(0.1))
    assert bus.asked is None
    sent, delay_s = bus.next_request(START.later(0.105))
    assert not sent
    assert delay_s == pytest.approx(0.005)
    sent, delay_s = bus.next_request(START.later(0.11))
    assert sent == b"more"
    assert delay_s == pytest.approx(TIMEOUT_S)
    assert bus.asked == poll(1)
    bus.answered(START.later(0.2))
    assert bus.next_request(START.later(0.21))[0] == frame(0, 2, 0)


def test_a_conversation_that_breaks_off_is_a_miss() -> None:
    bus = Bus([poll(1)], lambda one: frame(0, *one.ask), LINE)
    bus.next_request(START)
    bus.go_on(b"more", START.later(0.1))
    bus.next_request(START.later(0.2))
    sent, delay_s = bus.next_request(START.later(0.5))
    assert not sent
    assert delay_s == pytest.approx(9.5)
    assert bus.next_request(START.later(10))[0] == frame(0, 1, 0)


def test_a_clock_that_jumps_makes_no_burst() -> None:
    bench = Bench([poll(1, 0, 1)], {1: Meter()})
    bench.run(5)
    bench.at = 5000.0  # the port was away
    bench.run(5009.5)
    assert [round(at) for at in bench.of(1) if at >= 5000] == [*range(5000, 5010)]


def test_nothing_to_ask() -> None:
    bus: Bus[None] = Bus([], lambda one: b"", LINE)
    assert bus.next_request(START) == (b"", 60.0)
    bus.heard(START)
    bus.answered(START)
    bus.go_on(b"more", START)
    bus.spoilt()
    bus.present("u1", START)
    assert not bus.notes(START)


def test_characters_and_silence() -> None:
    assert character_s(LineSettings(2400, parity="E")) == pytest.approx(11 / 2400)
    assert silence_s(LineSettings(9600)) == pytest.approx(35 / 9600)
    assert silence_s(LineSettings(115200)) == 0.00175


@dataclass(frozen=True)
class House:
    """Units with the period of each of their items, and who of them is dead from the start or since when."""

    periods: tuple[tuple[float, ...], ...]
    dead: frozenset[int]
    dies_at: float
    echo: bool


@st.composite
def houses(draw: st.DrawFn) -> House:
    count = draw(st.integers(2, 14))
    periods = tuple(
        tuple(draw(st.lists(st.sampled_from([3.0, 5.0, 10.0, 30.0]), min_size=1, max_size=4))) for _ in range(count)
    )
    dead = draw(st.frozensets(st.integers(0, count - 1), max_size=count - 1))
    return House(periods, dead, draw(st.sampled_from([-1.0, 40.0])), draw(st.booleans()))


@given(house=houses())
@example(House(((3.0,),) + ((3.0, 3.0),) * 30, frozenset(range(1, 31)), -1.0, False))
@settings(max_examples=60, deadline=None)
def test_every_live_unit_is_read_at_its_period_whoever_is_dead(house: House) -> None:
    load = sum(
        EXCHANGE_S / period for unit, each in enumerate(house.periods) if unit not in house.dead for period in each
    )
    assert load < 0.7
    polls = [poll(unit, item, period) for unit, each in enumerate(house.periods) for item, period in enumerate(each)]
    meters = {
        unit: Meter(alive=(lambda at: at < house.dies_at) if unit in house.dead else lambda at: True)
        for unit in range(len(house.periods))
    }
    bench = Bench(polls, meters, echo=house.echo)
    bench.run(400)
    # Once: every unit that dies is a live one until its first timeout. Then: one timeout, and the queue of the others.
    dying_s = len(house.dead) * TIMEOUT_S if house.dies_at > 0 else 0.0
    queue_s = TIMEOUT_S + len(polls) * EXCHANGE_S * 1.5 + EXCHANGE_S
    for unit, each in enumerate(house.periods):
        for item, period in enumerate(each):
            series = bench.of(unit, item)
            if unit in house.dead:
                assert not [at for at in series if at > house.dies_at + EXCHANGE_S]
                continue
            settled = [at for at in series if not 0 < at - house.dies_at < dying_s + queue_s + period]
            assert series[0] <= (len(house.periods) * TIMEOUT_S if house.dies_at < 0 else 0) + queue_s
            for earlier, later in pairwise(settled):
                if earlier > 40 or house.dies_at < 0:
                    assert later - earlier <= period + queue_s + dying_s
            assert len(series) >= 400 / period - 2 - dying_s / period
    assert bench.collisions == 0
    assert {note.device for _, note in bench.notes} == {f"u{unit}" for unit in house.dead}
    assert all(note.kind == "no-reply" for _, note in bench.notes)
    assert len(bench.notes) == len(house.dead)
