"""Work orders: the table under every order of events, the same over a database, and the chain of who is asked."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Connection, Row, insert

from cloud_center import Cloud
from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline_cloud import schema
from hearthline_cloud.alerts.escalation import Policies, Policy, Reach, Step, Target, TargetKind
from hearthline_cloud.alerts.lifecycle import Action, ImpossibleError, Outcome, Refusal, State
from hearthline_cloud.alerts.orders import (
    OPEN,
    SUGGESTED,
    TRANSITIONS,
    Answer,
    OrderAction,
    OrderKind,
    OrderState,
    OrderWish,
    act,
    alert_actions,
    allowed,
    another_needed,
    next_volunteer,
    outcomes,
)
from hearthline_cloud.database import Database
from hearthline_cloud.desk import ConflictError, Desk, NotFoundError
from hearthline_cloud.escalating import escalate_once
from hearthline_cloud.order_desk import OrderDesk
from hearthline_cloud.ordering import follow_orders
from hearthline_cloud.personal.vault import open_notes
from personal_rows import change, put

A, K, S = OrderAction, OrderKind, OrderState
DEPTH = 6
GO, ARRIVE, DECLINE, ACCEPT = (OrderWish(action) for action in (A.GO, A.ARRIVE, A.DECLINE, A.ACCEPT))
HELPED = OrderWish(A.REPORT, Outcome.HELP_GIVEN)


def wishes(kind: OrderKind) -> list[OrderWish]:
    plain = [OrderWish(action) for action in OrderAction if action is not A.REPORT]
    return plain + [OrderWish(A.REPORT, outcome) for outcome in outcomes(kind)]


# --- the table ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OrderKind)
def test_every_order_of_events_ends_and_no_state_is_dead(kind: OrderKind) -> None:
    """Breadth first over all sequences up to DEPTH: what is open can be ended by people, what is closed stays."""
    seen: set[OrderState] = set()
    worlds, tried = deque([(S.ISSUED, 0)]), 0
    while worlds:
        state, depth = worlds.popleft()
        seen.add(state)
        for wish in wishes(kind):
            tried += 1
            try:
                step = act(kind, state, wish)
            except ImpossibleError:
                assert wish.action not in allowed(kind, state)
                continue
            assert state in OPEN
            assert (step.state is S.REPORTED) == (wish.outcome is not None)
            if depth < DEPTH:
                worlds.append((step.state, depth + 1))
        if state in OPEN:
            ends = [act(kind, state, wish).state for wish in wishes(kind) if wish.action in allowed(kind, state)]
            assert S.REPORTED in ends
            assert act(kind, state, OrderWish(A.WITHDRAW)).state is S.WITHDRAWN
    expected = {K.CALL_BACK: {S.ISSUED, S.REPORTED, S.WITHDRAWN}, K.STREET: set(S) - {S.EXPIRED}}
    assert seen == expected.get(kind, set(S))
    assert tried > 20


def test_the_table_has_each_state_and_only_forward_steps() -> None:
    order = list(S)
    assert {state for state, _ in TRANSITIONS} == set(OPEN)
    assert all(order.index(after) > order.index(before) for (before, _), after in TRANSITIONS.items())


@pytest.mark.parametrize(
    ("kind", "wish"),
    [
        (K.VOLUNTEER, OrderWish(A.REPORT)),
        (K.VOLUNTEER, OrderWish(A.REPORT, Answer.FINE)),
        (K.VOLUNTEER, OrderWish(A.REPORT, Outcome.RESTORED)),
        (K.CALL_BACK, OrderWish(A.REPORT, Outcome.HELP_GIVEN)),
        (K.STREET, OrderWish(A.GO, Outcome.HELP_GIVEN)),
    ],
)
def test_a_report_and_only_a_report_has_an_outcome_of_its_kind(kind: OrderKind, wish: OrderWish) -> None:
    with pytest.raises(ImpossibleError) as raised:
        act(kind, S.ISSUED, wish)
    assert raised.value.reason is Refusal.NEEDS_OUTCOME


def test_what_a_step_brings_along() -> None:
    for kind, state, wish in itertools.product(OrderKind, OPEN, [*wishes(K.STREET), *wishes(K.CALL_BACK)]):
        try:
            step = act(kind, state, wish)
        except ImpossibleError:
            continue
        assert step.hastens == (wish.outcome in (Answer.NO_ANSWER, Answer.NEEDS_HELP))
        assert step.next_asked == (kind is K.VOLUNTEER and wish.action in (A.DECLINE, A.EXPIRE))


@pytest.mark.parametrize(
    ("action", "alert", "steps"),
    [
        (A.ACCEPT, State.RAISED, [Action.ACKNOWLEDGE]),
        (A.ACCEPT, State.ACKNOWLEDGED, []),
        (A.GO, State.RAISED, [Action.ATTEND]),
        (A.GO, State.ACKNOWLEDGED, [Action.ATTEND]),
        (A.GO, State.ATTENDING, []),
        (A.GO, State.SCHEDULED, [Action.ATTEND]),
        (A.ARRIVE, State.RAISED, [Action.ATTEND, Action.ARRIVE]),
        (A.ARRIVE, State.ATTENDING, [Action.ARRIVE]),
        (A.ARRIVE, State.ARRIVED, []),
        (A.REPORT, State.RAISED, [Action.ATTEND, Action.ARRIVE]),
        (A.REPORT, State.ARRIVED, []),
        (A.DECLINE, State.RAISED, []),
    ],
)
def test_how_the_alert_goes_along(action: OrderAction, alert: State, steps: list[Action]) -> None:
    assert alert_actions(K.VOLUNTEER, action, alert) == steps
    for every in State:
        assert Action.RESOLVE not in alert_actions(K.VOLUNTEER, action, every)


def test_a_call_back_takes_the_alert_and_no_more() -> None:
    assert alert_actions(K.CALL_BACK, A.REPORT, State.RAISED) == [Action.ACKNOWLEDGE]
    assert alert_actions(K.CALL_BACK, A.REPORT, State.ATTENDING) == []


@pytest.mark.parametrize(
    ("alert", "went", "others", "needed"),
    [
        (State.RAISED, False, False, True),
        (State.ACKNOWLEDGED, False, False, True),
        (State.ATTENDING, False, False, False),
        (State.ATTENDING, True, False, True),
        (State.ARRIVED, True, False, True),
        (State.RAISED, False, True, False),
        (State.ATTENDING, True, True, False),
        (State.RESOLVED, True, False, False),
    ],
)
def test_when_another_volunteer_is_needed(alert: State, went: bool, others: bool, needed: bool) -> None:
    assert another_needed(alert, went, others) == needed


def test_volunteers_are_asked_in_their_order_and_once() -> None:
    assert next_volunteer(["a", "b"], []) == "a"
    assert next_volunteer(["a", "b"], ["a"]) == "b"
    assert next_volunteer(["a", "b"], ["b", "a"]) is None
    assert next_volunteer([], []) is None


def test_every_outcome_suggests_one_of_the_alert_or_none() -> None:
    assert {outcome for kind in OrderKind for outcome in outcomes(kind)} - set(SUGGESTED) == {
        Answer.NEEDS_HELP,
        Answer.NO_ANSWER,
    }


# --- over a database ----------------------------------------------------------------------------------------------

CALL, STREET, VOLUNTEER, EVERYONE = (
    Target(TargetKind.CALL_BACK),
    Target(TargetKind.STREET_DESK, "street"),
    Target(TargetKind.VOLUNTEER),
    Target(TargetKind.EVERYONE),
)
CHAIN = (Step(0, (CALL,)), Step(60, (STREET,)), Step(120, (VOLUNTEER,)), Step(900, (EVERYONE,)))
POLICIES = Policies({"p": Policy("p", CHAIN, 300, 900, volunteer_s=100)}, (), "p")
REACHES = (Reach("street"), Reach("sms", contacts=True))


@dataclass
class Street:
    """A center with the chain; the pressed home has two volunteers."""

    cloud: Cloud
    now_ns: int = 0
    reaches: tuple[Reach, ...] = REACHES
    desk: OrderDesk = field(init=False)

    def __post_init__(self) -> None:
        self.desk = OrderDesk(self.cloud.database, self.cloud.waker)
        self.alerts = Desk(self.cloud.database, self.cloud.waker)
        with self.cloud.database.transaction() as connection:
            for volunteer in ("v-1", "v-2"):
                values = {
                    "id": volunteer,
                    "community_id": "com-1",
                    "name": f"Name {volunteer}",
                    "phone": f"+86{volunteer}",
                }
                put(connection, schema.volunteer, **values)
            for place, volunteer in enumerate(("v-2", "v-1")):
                paired = {"home_id": "home-1", "place": place, "volunteer_id": volunteer}
                connection.execute(insert(schema.pairing).values(**paired))
            change(connection, schema.resident, phone="+8610")
        self.cloud.take(self.cloud.gateway.press())
        self.raised_ns = self.now_ns = self.alert.raised_ns

    @property
    def alert(self) -> Row[Any]:
        return self.cloud.rows(schema.alert)[0]

    @property
    def orders(self) -> list[tuple[str, str | None, str]]:
        return [(row.kind, row.volunteer_id, row.state) for row in self.cloud.rows(schema.work_order)]

    @property
    def sent(self) -> list[tuple[str, int]]:
        return [(row.channel, row.order_id) for row in self.cloud.rows(schema.notification)]

    @property
    def journal(self) -> list[Row[Any]]:
        return [row for row in self.cloud.rows(schema.journal) if row.kind == "work-order"]

    def at(self, seconds: float) -> None:
        """Rounds of the desk role until nothing is left to do, so long after the press."""
        self.now_ns = self.raised_ns + round(seconds * NS)
        for _ in range(50):
            changed = escalate_once(self.cloud.database, POLICIES, self.reaches, self.now_ns)
            if not changed + follow_orders(self.cloud.database, self.reaches, self.now_ns):
                return
        raise AssertionError("the desk has no end")

    def do(self, order: int, wish: OrderWish, actor: str = "volunteer:v-2", **more: Any) -> None:
        self.desk.act(order, wish, actor, self.now_ns, **more)
        self.at((self.now_ns - self.raised_ns) / NS)


@pytest.fixture
def street(cloud: Cloud) -> Street:
    return Street(cloud)


def test_the_chain_asks_one_after_the_other_and_each_once(street: Street) -> None:
    for second in (0, 1, 59, 60, 61, 119):
        street.at(second)
    assert street.orders == [("call-back", None, "issued"), ("street", None, "issued")]
    for second in (120, 121, 219):
        street.at(second)
    assert street.orders[2:] == [("volunteer", "v-2", "issued")]
    street.at(221)
    assert street.orders[2:] == [("volunteer", "v-2", "expired"), ("volunteer", "v-1", "issued")]
    street.at(322)
    assert [state for _, _, state in street.orders[2:]] == ["expired", "expired"]
    told = [row.detail["to"] for row in street.cloud.rows(schema.journal) if row.kind == "escalated"]
    assert told[-1] == ["everyone"]  # nobody is left: the step of 900 s does not wait
    assert street.sent[:3] == [("street", 2), ("sms", 3), ("sms", 4)]
    street.at(323)
    assert len(street.sent) == len(set(street.sent)) == 4  # and the channel `street` as one of everyone


def test_no_answer_at_the_telephone_brings_the_next_step_at_once(street: Street) -> None:
    street.at(5)
    street.do(1, OrderWish(A.REPORT, Answer.NO_ANSWER), "mei")
    assert (street.alert.state, street.alert.acknowledged_by) == ("acknowledged", "mei")
    assert street.orders == [("call-back", None, "reported"), ("street", None, "issued")]
    street.at(64)
    assert len(street.orders) == 2
    street.at(65)
    assert street.orders[2] == ("volunteer", "v-2", "issued")


def test_who_answers_that_all_is_well_ends_the_climb(street: Street) -> None:
    street.at(5)
    street.do(1, OrderWish(A.REPORT, Answer.FINE), "mei", words="she pressed it while dusting")
    street.at(800)
    assert street.orders == [("call-back", None, "reported")]
    rows = [row for row in street.cloud.rows(schema.journal) if row.kind == "note"]
    with street.cloud.database.reading() as connection:
        assert open_notes(connection, rows) == [{"text": "she pressed it while dusting"}]
    for second in (
        906,
        967,
    ):  # left alone for longer than an acknowledgement holds: it climbs again, from the call back
        street.at(second)
    assert street.orders[1:3] == [("call-back", None, "issued"), ("street", None, "issued")]


def test_a_volunteer_takes_the_alert_along_in_his_name(street: Street) -> None:
    street.at(121)
    street.desk.open(3, street.now_ns)
    street.do(3, GO)
    assert (street.alert.state, street.alert.assigned_to) == ("attending", "volunteer:v-2")
    street.do(3, ARRIVE)
    street.do(3, HELPED, words="fell, bruised hip; 120 called")
    assert street.alert.state == "arrived"  # only staff closes
    actors = [(row.actor, row.detail["state"]) for row in street.journal if row.detail["order"] == 3]
    assert actors == [
        ("system", "issued"),
        ("volunteer:v-2", "opened"),
        ("volunteer:v-2", "on-the-way"),
        ("volunteer:v-2", "arrived"),
        ("volunteer:v-2", "reported"),
    ]
    assert all("words" not in row.detail for row in street.journal)
    street.at(500)
    assert street.orders[2:] == [("volunteer", "v-2", "reported")]


def test_who_declines_is_followed_at_once_and_who_turns_back_too(street: Street) -> None:
    street.at(121)
    street.do(3, DECLINE)
    assert street.orders[2:] == [("volunteer", "v-2", "declined"), ("volunteer", "v-1", "issued")]
    street.do(4, GO, "volunteer:v-1")
    street.do(4, DECLINE, "volunteer:v-1")
    told = [row.detail["to"] for row in street.cloud.rows(schema.journal) if row.kind == "escalated"]
    assert told[-1] == ["everyone"]
    assert street.alert.state == "attending"


def test_nobody_else_is_asked_while_somebody_is_on_the_way(street: Street) -> None:
    street.at(121)
    street.do(2, GO, "jun")
    street.at(130)
    street.do(3, DECLINE)
    street.at(300)
    assert street.orders[1:] == [("street", None, "on-the-way"), ("volunteer", "v-2", "declined")]


def test_who_was_asked_by_a_step_before_the_refusal_was_followed_is_the_only_one_asked(street: Street) -> None:
    """The step of another climb comes in between: there is one open order of a kind, and a third is not asked."""
    with street.cloud.database.transaction() as connection:
        put(connection, schema.volunteer, id="v-3", community_id="com-1", name="Name v-3", phone="+86v-3")
        connection.execute(insert(schema.pairing).values(home_id="home-1", place=2, volunteer_id="v-3"))
    steps = (Step(0, (VOLUNTEER,)), Step(60, (VOLUNTEER,)), Step(900, (EVERYONE,)))
    policies = Policies({"p": Policy("p", steps, 300, 900, volunteer_s=100)}, (), "p")
    for second in (0, 1, 61):
        if second == 61:
            street.desk.act(1, DECLINE, "volunteer:v-2", street.raised_ns + 60 * NS)
        while escalate_once(street.cloud.database, policies, REACHES, street.raised_ns + second * NS):
            pass
    assert street.orders == [("volunteer", "v-2", "declined"), ("volunteer", "v-1", "issued")]
    assert follow_orders(street.cloud.database, REACHES, street.raised_ns + 62 * NS)
    assert not follow_orders(street.cloud.database, REACHES, street.raised_ns + 62 * NS)
    assert street.orders == [("volunteer", "v-2", "declined"), ("volunteer", "v-1", "issued")]


def test_a_target_that_a_step_names_twice_is_told_once(street: Street) -> None:
    policies = Policies({"p": Policy("p", (Step(0, (STREET, CALL, STREET, CALL)),), 300, 900)}, (), "p")
    while escalate_once(street.cloud.database, policies, REACHES, street.now_ns):
        pass
    assert sorted(kind for kind, _, _ in street.orders) == ["call-back", "street"]
    assert street.sent == [("street", 1)]


def test_opening_gives_the_same_time_again_once(street: Street) -> None:
    street.at(120)
    street.at(200)
    for _ in range(2):
        street.desk.open(3, street.now_ns)
        street.now_ns += 50 * NS
    street.at(299)
    assert street.orders[2][2] == "issued"
    street.at(301)
    assert street.orders[2][2] == "expired"


def test_closing_the_alert_withdraws_what_is_open(street: Street) -> None:
    street.at(121)
    street.alerts.resolve(1, Outcome.FALSE_ALARM, "mei", street.now_ns)
    for wish in (GO, HELPED):
        with pytest.raises(ImpossibleError, match="closed"):
            street.desk.act(3, wish, "volunteer:v-2", street.now_ns)
    street.at(122)
    assert {state for _, _, state in street.orders} == {"withdrawn"}
    street.at(2000)
    assert len(street.orders) == 3


def test_two_who_reach_for_one_order_collide_and_ones_own_is_repeated(street: Street) -> None:
    street.at(61)
    first = street.desk.act(2, ACCEPT, "jun", street.now_ns, version=1)
    assert street.desk.act(2, ACCEPT, "jun", street.now_ns, version=1) == first
    with pytest.raises(ConflictError) as raised:
        street.desk.act(2, ACCEPT, "mei", street.now_ns, version=1)
    assert raised.value.first is not None
    assert (raised.value.first.actor, raised.value.first.state, raised.value.version) == ("jun", "accepted", 2)
    with pytest.raises(ConflictError):
        street.desk.act(2, ACCEPT, "mei", street.now_ns)
    with pytest.raises(NotFoundError):
        street.desk.act(99, ACCEPT, "mei", street.now_ns)
    with pytest.raises(RefusedError, match="2000"):
        street.desk.act(2, HELPED, "jun", street.now_ns, words="x" * 2001)
    assert [row.detail["state"] for row in street.journal if row.detail["order"] == 2] == ["issued", "accepted"]


def test_a_home_without_volunteers_goes_on_to_the_next_step(street: Street) -> None:
    with street.cloud.database.transaction() as connection:
        connection.execute(schema.pairing.delete())
    street.at(121)
    assert [kind for kind, _, _ in street.orders] == ["call-back", "street"]
    told = [row.detail["to"] for row in street.cloud.rows(schema.journal) if row.kind == "escalated"]
    assert told[-1] == ["everyone"]
    street.at(1000)
    assert [row.detail["climb"] for row in street.cloud.rows(schema.journal) if row.kind == "escalated"] == [0] * 5


def test_without_a_channel_there_are_the_same_orders_and_no_message(street: Street) -> None:
    street.reaches = ()
    for second in (120, 221):
        street.at(second)
    assert [kind for kind, _, _ in street.orders] == ["call-back", "street", "volunteer", "volunteer"]
    assert street.sent == []


def test_a_resident_without_a_number_is_not_called_back(street: Street) -> None:
    with street.cloud.database.transaction() as connection:
        change(connection, schema.resident, phone="")
    street.at(1)
    assert street.orders == []


@pytest.mark.parametrize("back_s", [10, 3600, 10 * 365 * 86400])
def test_a_clock_that_is_set_back_keeps_a_volunteer_waiting_no_longer_than_his_own_time(
    street: Street, back_s: int
) -> None:
    street.at(120)
    street.raised_ns -= back_s * NS
    for second in range(120, 330, 15):
        follow_orders(street.cloud.database, REACHES, street.raised_ns + second * NS)
    assert street.orders[2][2] == "expired"


def test_desks_that_run_side_by_side_and_die_ask_each_volunteer_once(street: Street) -> None:
    """Random rounds, and desks whose transaction is lost after all of its work, as at a kill: nobody is asked twice."""
    seed, died, dying = random.Random(5), 0, Dying(street.cloud.database.url)
    street.at(120)
    for second in range(120, 400, 7):
        street.now_ns = street.raised_ns + second * NS
        try:
            follow_orders(dying, REACHES, street.now_ns)
        except KeyboardInterrupt:
            died += 1
        if seed.random() < 0.5:
            street.at(second)
    dying.close()
    street.at(401)
    assert died >= 2
    assert street.orders[2:] == [("volunteer", "v-2", "expired"), ("volunteer", "v-1", "expired")]
    asked = [row.id for row in street.cloud.rows(schema.work_order) if row.kind == "volunteer"]
    assert [order for channel, order in street.sent if channel == "sms"] == asked


class Dying(Database):
    """A process that is killed before it commits."""

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with super().transaction() as connection:
            yield connection
            raise KeyboardInterrupt
