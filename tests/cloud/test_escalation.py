"""Escalation: the pure decision under every order of acts, restarts and clock steps; its tables; its policy file."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from cloud_center import Cloud
from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.alerts.escalation import (
    AlertView,
    Delivery,
    Firing,
    Policies,
    Policy,
    QuietHours,
    Reach,
    Step,
    Target,
    TargetKind,
    Timer,
    Waits,
    advance,
    deliveries,
    needs_a_look,
)
from hearthline_cloud.alerts.lifecycle import Outcome, State
from hearthline_cloud.config import ChannelConfig
from hearthline_cloud.database import Database
from hearthline_cloud.desk import Desk
from hearthline_cloud.escalating import escalate_once
from hearthline_cloud.notify.channels import Opened
from hearthline_cloud.notify.port import Message, Result
from hearthline_cloud.notify.sending import GIVE_UP_AFTER_S, LEASE_S, MAX_AFTER_S, Worker, pause_s
from personal_rows import change, with_key

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "policy.toml"
DUTY, CONTACT, EVERYONE = Target(TargetKind.CHANNEL, "duty"), Target(TargetKind.CONTACT), Target(TargetKind.EVERYONE)
POLICY = Policy("p", (Step(60, (DUTY,)), Step(180, (CONTACT,)), Step(300, (EVERYONE,))), 300, 900)
CLIMB = Policies({"p": POLICY}, (), "p")
REACHES = (Reach("duty"), Reach("family", contacts=True))
STREET = Reach("street")
T0 = 1_800_000_000 * NS


# --- the decision -------------------------------------------------------------------------------------------------


@dataclass
class Life:
    """One alert, its timer as the database would keep it, and everything that was ever told."""

    policy: Policy = POLICY
    kind: str = "emergency"
    now_ns: int = T0
    state: str = State.RAISED
    version: int = 1
    touched_ns: int | None = None
    timer: Timer | None = None
    last_climb: int = -1
    told: list[tuple[int, int]] = field(default_factory=list)
    told_at: list[float] = field(default_factory=list)
    expired: int = 0
    raised_ns: int = T0
    hastened: int = 0
    presses: int = 1
    pressed_ns: int = T0

    @property
    def view(self) -> AlertView:
        version, touched_ns, pressed_ns = self.version, self.touched_ns, self.pressed_ns
        return AlertView(
            self.kind, self.state, self.raised_ns, version, touched_ns, self.hastened, self.presses, pressed_ns
        )

    def press(self, times: int = 1) -> None:
        self.presses, self.pressed_ns = self.presses + times, self.now_ns

    def act(self, state: State) -> None:
        self.state, self.version, self.touched_ns = state, self.version + 1, self.now_ns

    def look(self) -> None:
        """What a round of the desk does; it asks again until nothing is left to do."""
        for _ in range(100):
            if not needs_a_look(self.view, self.timer, self.now_ns):
                return
            move = advance(self.policy, self.view, self.timer, self.last_climb, self.now_ns)
            assert move.timer != self.timer
            if move.firing is not None:
                self.told.append((move.firing.climb, move.firing.step))
                self.told_at.append((self.now_ns - T0) / NS)
            self.expired += move.expired
            self.timer = move.timer
            if move.timer is not None:
                self.last_climb = max(self.last_climb, move.timer.climb)
        raise AssertionError("a round has no end")

    def pass_time(self, seconds: float, rounds: int = 1) -> None:
        for _ in range(rounds):
            self.now_ns += round(seconds * NS)
            self.look()

    def meet(self, what: str, value: float | State) -> None:
        """One of `events`."""
        if isinstance(value, State):
            self.act(value)
        elif what == "press":
            self.press(int(value))
            self.look()
        elif what == "wait":
            self.pass_time(value)
        elif what == "hasten":
            self.hastened += 1
        else:
            self.now_ns += round(value * NS)


def test_an_unanswered_alert_climbs_and_then_repeats() -> None:
    life = Life()
    life.look()
    life.pass_time(1, 1000)
    assert life.told == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)]
    assert life.told_at == [60, 180, 300, 600, 900]


def test_an_acknowledgement_without_progress_expires_and_the_alert_climbs_again() -> None:
    life = Life()
    life.pass_time(1, 100)
    life.act(State.ACKNOWLEDGED)
    life.pass_time(1, 899)
    assert (life.told, life.expired) == ([(0, 0)], 0)
    life.pass_time(1, 1 + 60)
    assert (life.told, life.expired) == ([(0, 0), (1, 0)], 1)
    life.act(State.ATTENDING)
    life.pass_time(60, 59)
    assert life.expired == 1
    life.pass_time(60, 3)
    assert (life.told[-1], life.expired) == ((2, 0), 2)


def test_a_closed_alert_has_no_timer_and_a_reopened_one_climbs_from_the_first_step() -> None:
    life = Life()
    life.pass_time(1, 200)
    life.act(State.RESOLVED)
    life.look()
    assert life.timer is None
    life.pass_time(1, 5000)
    assert life.told == [(0, 0), (0, 1)]
    life.act(State.RAISED)
    life.pass_time(1, 62)
    assert life.told[2:] == [(1, 0)]


def test_closed_and_reopened_between_two_rounds_climbs_too() -> None:
    life = Life()
    life.pass_time(1, 100)
    life.act(State.ACKNOWLEDGED)
    life.pass_time(1)
    life.act(State.RESOLVED)
    life.act(State.RAISED)
    life.pass_time(1, 62)
    assert life.told == [(0, 0), (1, 0)]


def test_a_desk_that_was_away_catches_up_with_each_step_but_not_with_every_repeat() -> None:
    life = Life()
    life.look()
    life.pass_time(7200)
    assert life.told == [(0, 0), (0, 1), (0, 2)]
    life.pass_time(1, 299)
    assert len(life.told) == 3
    life.pass_time(1)
    assert life.told[-1] == (0, 3)


def test_an_acknowledgement_while_the_desk_was_away_counts_from_when_it_was_given() -> None:
    life = Life()
    life.look()
    life.now_ns += 30 * NS
    life.act(State.ACKNOWLEDGED)
    life.pass_time(890)
    assert life.expired == 0
    life.pass_time(11)
    assert life.expired == 1


def test_an_alert_that_was_taken_before_the_first_look_is_watched() -> None:
    life = Life(state=State.ACKNOWLEDGED, touched_ns=T0 + NS, version=2)
    life.pass_time(2)
    assert life.timer is not None
    assert life.timer.waits_for is Waits.PROGRESS
    life.pass_time(1, 960)
    assert life.told == [(1, 0)]


@pytest.mark.parametrize("back_s", [20, 3600, 10 * 365 * 86400])
def test_a_clock_that_is_set_back_delays_a_step_by_no_more_than_its_own_wait(back_s: int) -> None:
    life = Life()
    life.pass_time(1, 50)
    life.now_ns -= back_s * NS
    life.pass_time(1, 70)
    assert life.told == [(0, 0)]


def test_a_hastened_alert_tells_its_next_step_at_once_and_goes_on_by_the_table() -> None:
    life = Life()
    life.pass_time(1, 20)
    life.act(State.ACKNOWLEDGED)
    life.pass_time(1, 10)
    life.hastened += 1
    life.pass_time(1)
    assert (life.told, life.told_at) == ([(0, 0)], [31])
    life.pass_time(1, 119)
    assert len(life.told) == 1
    life.pass_time(1)
    assert life.told_at == [31, 151]
    life.act(State.ATTENDING)
    life.pass_time(1, 1000)
    assert len(life.told) == 2


def test_repeats_and_a_climb_that_has_just_begun_are_not_hastened() -> None:
    life = Life()
    life.pass_time(1, 301)
    assert len(life.told) == 3
    life.hastened += 1
    life.pass_time(1, 298)
    assert len(life.told) == 3
    life.pass_time(1)
    assert life.told_at[-1] == 600
    life.act(State.RESOLVED)
    life.look()
    life.act(State.RAISED)
    life.hastened += 1
    life.pass_time(1, 59)
    assert life.told[-1] == (0, 3)


@pytest.mark.parametrize(
    ("presses", "told_at"),
    [
        ({}, [60, 180, 300, 600]),
        ({10: 1}, [10, 130, 250, 550]),  # the rest of the climb follows at its own distances
        ({10: 1, 20: 1}, [10, 20, 140, 440]),
        ({10: 2}, [10, 10, 130, 430]),
        ({10: 1, 20: 1, 30: 1, 40: 50}, [10, 20, 140, 440]),  # a button that chatters hastens no more
        ({60: 1}, [60, 180, 300, 600]),  # at the moment of the step: it is due anyhow
        ({61: 1}, [60, 61, 181, 481]),
        ({400: 1}, [60, 180, 300, 400, 700]),  # the repeat comes at once, too
    ],
)
def test_a_further_press_makes_the_next_step_due_at_once(presses: dict[int, int], told_at: list[int]) -> None:
    life = Life()
    life.look()
    for second in range(1, 701):
        life.now_ns += NS
        if second in presses:
            life.press(presses[second])
        life.look()
    assert [at for at in life.told_at if at <= told_at[-1]] == told_at


def test_presses_before_the_first_look_count_and_those_of_a_new_climb_do_anew() -> None:
    life = Life(presses=2)
    life.look()
    assert life.told == [(0, 0)]
    life.press(9)
    life.look()
    assert life.told == [(0, 0), (0, 1)]
    life.act(State.ACKNOWLEDGED)
    life.pass_time(1, 901)
    life.press(9)
    life.look()
    assert life.told[2:] == [(1, 0), (1, 1)]


def test_a_press_ends_an_acknowledgement_without_progress_and_the_alert_climbs_from_it() -> None:
    life = Life()
    life.pass_time(1, 30)
    life.act(State.ACKNOWLEDGED)
    life.pass_time(1, 100)
    life.press()
    life.look()
    assert (life.expired, life.told) == (1, [])  # who has it has the first step's time to do something
    life.act(State.ATTENDING)
    life.pass_time(1, 3000)
    assert (life.expired, life.told) == (1, [])


@pytest.mark.parametrize("state", [State.ATTENDING, State.ARRIVED])
def test_a_press_while_somebody_is_on_the_way_or_there_changes_nothing(state: State) -> None:
    life = Life()
    life.look()
    life.act(state)
    life.look()
    life.press(5)
    life.pass_time(1, 3599)
    assert (life.expired, life.told) == (0, [])


@pytest.mark.parametrize(("pressed_first", "expired"), [(True, 0), (False, 1)])
def test_what_counts_is_whether_the_press_came_after_the_act_however_late_the_desk_looks(
    pressed_first: bool, expired: int
) -> None:
    life = Life()
    life.look()
    life.now_ns += 10 * NS
    if pressed_first:
        life.press()
        life.now_ns += NS
    life.act(State.ACKNOWLEDGED)
    if not pressed_first:
        life.now_ns += NS
        life.press()
    life.pass_time(300)
    assert life.expired == expired


def test_a_press_hastens_a_service_call_but_not_out_of_the_quiet_hours() -> None:
    night = shanghai("2026-11-22T23:00:00")
    life = Life(replace(POLICY, quiet=quiet("22:00", "07:00")), "service", now_ns=night, raised_ns=night)
    life.look()
    life.press()
    life.pass_time(60, 8 * 60 - 1)
    assert life.told == []
    life.pass_time(60)
    assert life.told == [(0, 0)]


def quiet(begin: str, end: str) -> QuietHours:
    return QuietHours(time.fromisoformat(begin), time.fromisoformat(end), ZoneInfo("Asia/Shanghai"))


def shanghai(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+08:00").timestamp()) * NS


@pytest.mark.parametrize(
    ("hours", "at", "released"),
    [
        (("22:00", "07:00"), "2026-11-22T21:59:59", "2026-11-22T21:59:59"),
        (("22:00", "07:00"), "2026-11-22T22:00:00", "2026-11-23T07:00:00"),
        (("22:00", "07:00"), "2026-11-22T06:59:59", "2026-11-22T07:00:00"),
        (("22:00", "07:00"), "2026-11-22T07:00:00", "2026-11-22T07:00:00"),
        (("12:00", "14:00"), "2026-11-22T13:00:00", "2026-11-22T14:00:00"),
        (("12:00", "14:00"), "2026-11-22T14:00:00", "2026-11-22T14:00:00"),
    ],
)
def test_quiet_hours_end_when_they_say(hours: tuple[str, str], at: str, released: str) -> None:
    assert quiet(*hours).released_ns(shanghai(at)) == shanghai(released)


def test_quiet_hours_hold_a_service_call_and_never_an_emergency() -> None:
    night = shanghai("2026-11-22T23:00:00")
    policy = replace(POLICY, quiet=quiet("22:00", "07:00"))
    told = {}
    for kind in ("emergency", "service"):
        life = Life(policy, kind, now_ns=night, raised_ns=night)
        life.look()
        life.pass_time(60, 8 * 60 + 1)
        told[kind] = life.told
    assert told["emergency"][:3] == [(0, 0), (0, 1), (0, 2)]
    assert told["service"] == [(0, 0)]


events = st.one_of(
    st.tuples(st.just("wait"), st.floats(0.1, 2000)),
    st.tuples(st.just("blind"), st.floats(0.1, 20_000)),  # nobody looks: the desk was killed
    st.tuples(st.just("act"), st.sampled_from([State.ACKNOWLEDGED, State.ATTENDING, State.RESOLVED, State.RAISED])),
    st.tuples(st.just("clock"), st.floats(-5000, 5000)),
    st.tuples(st.just("hasten"), st.just(0.0)),
    st.tuples(st.just("press"), st.floats(1, 4)),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(events, max_size=20), st.integers(0, 86_400))
def test_quiet_hours_change_nothing_of_an_emergency_whatever_happens(
    steps: list[tuple[str, float | State]], start_s: int
) -> None:
    begin = T0 + start_s * NS
    always_quiet = replace(POLICY, quiet=quiet("07:01", "07:00"))
    lives = [Life(policy, now_ns=begin, raised_ns=begin) for policy in (POLICY, always_quiet)]
    for what, value in steps:
        for life in lives:
            life.meet(what, value)
    assert lives[0].told_at == lives[1].told_at
    assert lives[0].timer == lives[1].timer


@settings(max_examples=100, deadline=None)
@given(st.lists(events, max_size=40))
def test_no_alert_is_forgotten_and_none_escalated_twice(steps: list[tuple[str, float | State]]) -> None:
    life = Life()
    for what, value in steps:
        life.meet(what, value)
    life.look()
    assert len(set(life.told)) == len(life.told)  # a step of a climb tells once
    assert life.told == sorted(life.told)
    assert (life.timer is None) == (life.state == State.RESOLVED)
    before = len(life.told)
    longest = 3600 + 300 + 60  # a visit, the last repeat, the first step
    for _ in range(longest // 30 + 2):
        life.pass_time(30)
    assert (len(life.told) > before) == (life.state != State.RESOLVED)


def test_whom_a_step_reaches() -> None:
    reaches = (Reach("duty"), Reach("mei", frozenset({"mei"})), Reach("sms", contacts=True))
    staff = Target(TargetKind.STAFF, "mei")
    firing = Firing(0, 0, (DUTY, staff, DUTY), 0)
    assert deliveries(firing, reaches, 2, {}) == [Delivery("duty"), Delivery("mei")]
    turns = [deliveries(Firing(0, 0, (CONTACT,), turn), reaches, 2, {}) for turn in range(3)]
    assert turns == [[Delivery("sms", 0)], [Delivery("sms", 1)], [Delivery("sms", 0)]]
    everyone = [Delivery("duty"), Delivery("mei"), Delivery("sms", 0), Delivery("sms", 1)]
    assert deliveries(Firing(0, 0, (EVERYONE, DUTY), 0), reaches, 2, {}) == everyone
    orders = tuple(Target(kind) for kind in (TargetKind.CALL_BACK, TargetKind.STREET_DESK, TargetKind.VOLUNTEER))
    assert deliveries(Firing(0, 0, orders, 0), reaches, 2, {}) == []
    assert deliveries(Firing(0, 0, (*orders, CONTACT), 0), reaches, 0, {}) == []
    assert deliveries(Firing(0, 0, (DUTY, CONTACT), 0), reaches, 0, {}) == [Delivery("duty")]
    night = Firing(0, 0, (Target(TargetKind.SCHEDULE, "night"),), 0)
    assert deliveries(night, reaches, 2, {"night": frozenset({"mei", "jun"})}) == [Delivery("mei")]


@pytest.mark.parametrize(
    ("target", "contacts"),
    [
        (CONTACT, 0),
        (Target(TargetKind.CHANNEL, "gone"), 1),
        (Target(TargetKind.STAFF, "jun"), 1),
        (Target(TargetKind.SCHEDULE, "night"), 1),  # jun is on duty, and no channel reaches jun
        (Target(TargetKind.SCHEDULE, "gap"), 1),
    ],
)
def test_no_step_is_silent_because_nobody_can_be_reached(target: Target, contacts: int) -> None:
    reaches = (Reach("duty"), Reach("mei", frozenset({"mei"})), Reach("sms", contacts=True))
    on_duty = {"night": frozenset({"jun"}), "gap": frozenset[str]()}
    everyone = deliveries(Firing(0, 0, (EVERYONE,), 0), reaches, contacts, on_duty)
    assert len(everyone) == 2 + contacts
    assert deliveries(Firing(0, 0, (target,), 0), reaches, contacts, on_duty) == everyone


def test_each_repeat_turns_to_the_next_contact() -> None:
    policy = replace(POLICY, steps=(Step(0, (CONTACT,)),))
    alert, turns = AlertView("emergency", State.RAISED, T0, 1), []
    timer: Timer | None = None
    for second in range(901):
        while needs_a_look(alert, timer, T0 + second * NS):
            move = advance(policy, alert, timer, -1, T0 + second * NS)
            timer = move.timer
            turns += [move.firing.contact_turn] if move.firing else []
    assert turns == [0, 1, 2, 3]


# --- the tables ---------------------------------------------------------------------------------------------------


class Phone:
    """A channel that keeps what it is told and answers as it is asked to."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.answer = Result(True, "ok")

    def send(self, message: Message) -> Result:
        self.got.append(message)
        return self.answer


@dataclass
class Room:
    """A center with a policy of three steps, a duty telephone and the family's."""

    cloud: Cloud
    now_ns: int = 0
    phones: dict[str, Phone] = field(default_factory=lambda: {"duty": Phone(), "family": Phone()})

    def __post_init__(self) -> None:
        contacts = [{"name": "Li Na", "phone": "+861"}, {"name": "Wu", "phone": ""}, {"name": "Li", "phone": "+862"}]
        with self.cloud.database.transaction() as connection:
            change(connection, schema.resident, contacts=contacts, illnesses="diabetes")
            change(connection, schema.home, name="Mrs Li", address="Nanjing Road 5")
        self.cloud.take(self.cloud.gateway.press())
        (alert,) = self.cloud.rows(schema.alert)
        self.raised_ns = self.now_ns = alert.raised_ns

    def at(self, seconds: float, databases: int = 1) -> None:
        """Rounds until nothing is left to do, `seconds` after the press, of so many desks."""
        self.now_ns = self.raised_ns + round(seconds * NS)
        others = [with_key(Database(self.cloud.database.url), self.cloud.folder) for _ in range(databases - 1)]
        for database in [self.cloud.database, *others]:
            while escalate_once(database, CLIMB, REACHES, self.now_ns):
                pass
        for other in others:
            other.close()

    def worker(self, name: str) -> Worker:
        config = ChannelConfig(name=name, kind="webhook", language="en", trusted=name == "family")
        opened = Opened(config, self.phones[name])
        return Worker(self.cloud.database, self.cloud.waker, opened, threading.Event(), lambda: self.now_ns)

    def send(self) -> None:
        for name in self.phones:
            while self.worker(name).send_one():
                pass

    @property
    def queue(self) -> list[tuple[str, int, str, int]]:
        rows = self.cloud.rows(schema.notification)
        return [(row.channel, row.contact, row.state, row.attempts) for row in rows]

    @property
    def journal(self) -> list[str]:
        return [row.kind for row in self.cloud.rows(schema.journal)]


@pytest.fixture
def room(cloud: Cloud) -> Room:
    return Room(cloud)


def test_a_press_climbs_through_three_steps_and_each_tells_once(room: Room) -> None:
    for seconds in (1, 59, 60, 61, 179, 181, 299, 301, 302):
        room.at(seconds, databases=2)
        room.send()
    assert room.queue == [
        ("duty", -1, "sent", 1),
        ("family", 0, "sent", 1),
        ("duty", -1, "sent", 1),
        ("family", 0, "sent", 1),
        ("family", 1, "sent", 1),
    ]
    assert [message.to for message in room.phones["family"].got] == ["+861", "+861", "+862"]
    assert room.journal.count("escalated") == 3
    assert room.journal.count("notified") == 5
    assert len({message.key for phone in room.phones.values() for message in phone.got}) == 5


def test_texts_have_no_illness_and_a_name_for_the_trusted_alone(room: Room) -> None:
    for seconds in (60, 180):
        room.at(seconds)
        room.send()
    (duty,), (family,) = room.phones["duty"].got, room.phones["family"].got
    assert duty.text == (
        "Emergency call: home-1, 1 min ago, nobody has taken it. Please open the console. Alert 1, notice 1."
    )
    assert "Mrs Li, Nanjing Road 5" in family.text
    for message in (duty, family):
        assert "diabetes" not in f"{message}"
    assert "Mrs Li" not in f"{duty}"


def test_desks_that_run_side_by_side_tell_once(room: Room) -> None:
    room.at(1)
    barrier = threading.Barrier(4)

    def desk() -> None:
        database = with_key(Database(room.cloud.database.url), room.cloud.folder)
        barrier.wait()
        while escalate_once(database, CLIMB, REACHES, room.raised_ns + 3600 * NS):
            pass
        database.close()

    threads = [threading.Thread(target=desk) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert room.journal.count("escalated") == 3
    assert len(room.queue) == 5


def test_one_claim_of_a_message_wins(room: Room) -> None:
    room.at(60)
    first, second = room.worker("duty"), room.worker("duty")
    slow = room.phones["duty"]

    class Colliding(Phone):
        def send(self, message: Message) -> Result:
            assert second.send_one() is False
            return slow.send(message)

    first._opened = replace(first._opened, channel=Colliding())
    assert first.send_one()
    assert room.queue == [("duty", -1, "sent", 1)]
    assert len(slow.got) == 1


def test_a_message_that_was_claimed_by_the_dead_goes_out_after_its_lease(room: Room) -> None:
    room.at(60)
    worker = room.worker("duty")

    class Dying(Phone):
        def send(self, message: Message) -> Result:
            raise KeyboardInterrupt

    worker._opened = replace(worker._opened, channel=Dying())
    with pytest.raises(KeyboardInterrupt):
        worker.send_one()
    room.send()
    assert room.queue == [("duty", -1, "queued", 1)]
    room.now_ns += round(LEASE_S * NS)
    room.send()
    assert room.queue == [("duty", -1, "sent", 2)]


def test_what_can_help_is_tried_again_and_what_cannot_is_not(room: Room) -> None:
    room.phones["duty"].answer = Result(False, "HTTP 503", retry=True)
    room.at(60)
    for _ in range(3):
        room.send()
        room.send()
        room.now_ns += round(60 * NS)
    assert room.queue == [("duty", -1, "queued", 3)]
    assert room.journal.count("not-notified") == 3
    room.phones["duty"].answer = Result(False, "HTTP 401")
    room.send()
    assert room.queue == [("duty", -1, "failed", 4)]
    assert [pause_s(attempt) for attempt in (1, 2, 5, 6, 99)] == [2, 4, 32, 60, 60]


@pytest.mark.parametrize(("asked_s", "waits_s"), [(0, 2), (1, 2), (40, 40), (86_400, MAX_AFTER_S)])
def test_a_server_that_asks_for_patience_is_given_it_within_bounds(room: Room, asked_s: float, waits_s: float) -> None:
    room.phones["duty"].answer = Result(False, "HTTP 429", retry=True, after_s=asked_s)
    room.at(60)
    room.send()
    room.now_ns += round((waits_s - 1) * NS)
    room.send()
    assert len(room.phones["duty"].got) == 1
    room.now_ns += NS
    room.send()
    assert len(room.phones["duty"].got) == 2


def test_a_channel_that_hangs_delays_no_other(room: Room) -> None:
    room.at(60)
    room.at(301)
    hangs, release = threading.Event(), threading.Event()

    class Hanging(Phone):
        def send(self, message: Message) -> Result:
            hangs.set()
            release.wait(30)
            return super().send(message)

    stuck = room.worker("duty")
    stuck._opened = replace(stuck._opened, channel=Hanging())
    thread = threading.Thread(target=stuck.send_one)
    thread.start()
    assert hangs.wait(30)
    family = room.worker("family")
    while family.send_one():
        pass
    states = {(channel, state) for channel, _, state, _ in room.queue}
    release.set()
    thread.join(30)
    assert states == {("duty", "queued"), ("family", "sent")}


def test_a_message_is_given_up_in_the_end_and_never_sent_for_a_closed_alert(room: Room) -> None:
    room.phones["duty"].answer = Result(False, "timeout", retry=True)
    room.at(60)
    room.now_ns += round((GIVE_UP_AFTER_S + 1) * NS)
    room.send()
    assert room.queue[0] == ("duty", -1, "failed", 1)
    room.at(301)
    Desk(room.cloud.database, room.cloud.waker).resolve(1, Outcome.HELP_GIVEN, "mei", room.now_ns)
    room.send()
    assert len(room.phones["duty"].got) == 1
    assert {row[2] for row in room.queue} == {"failed", "dropped"}
    room.at(5000)
    with room.cloud.database.reading() as connection:
        pending = connection.execute(select(schema.escalation).where(schema.escalation.c.fired_ns.is_(None))).all()
    assert pending == []


def test_an_acknowledged_alert_stops_climbing_until_it_expires(room: Room) -> None:
    room.at(61)
    Desk(room.cloud.database, room.cloud.waker).acknowledge(1, "mei", room.now_ns)
    for seconds in (62, 181, 960):
        room.at(seconds)
    assert room.journal.count("escalated") == 1
    room.at(962)
    room.at(962 + 60)
    assert room.journal[-2:] == ["expired", "escalated"]
    room.send()
    assert "taken, but nothing has happened since" in room.phones["duty"].got[-1].text


def test_a_second_press_tells_the_next_step_at_once(room: Room) -> None:
    room.at(1)
    room.cloud.take(room.cloud.gateway.press())
    room.at(2, databases=2)
    assert room.queue == [("duty", -1, "queued", 0)]
    for _ in range(5):
        room.cloud.take(room.cloud.gateway.press())
    room.at(3, databases=2)
    room.at(100, databases=2)
    assert room.journal.count("escalated") == 2
    (alert,) = room.cloud.rows(schema.alert)
    assert alert.presses == 7
    assert room.cloud.rows(schema.escalation)[-1].presses == 7


def test_without_channels_nothing_is_queued_and_the_alert_climbs_all_the_same(cloud: Cloud) -> None:
    cloud.take(cloud.gateway.press())
    (alert,) = cloud.rows(schema.alert)
    while escalate_once(cloud.database, CLIMB, (), alert.raised_ns + 400 * NS):
        pass
    assert cloud.rows(schema.notification) == []
    told = [row.detail["told"] for row in cloud.rows(schema.journal) if row.kind == "escalated"]
    assert told == [0, 0, 0]


def test_utc_is_the_zone_of_who_names_none() -> None:
    assert QuietHours(time(1), time(2)).zone is UTC
