"""Self-tests at the center: what counts as a proof, that nothing real hides behind one, and what its absence does."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from datetime import time as clock
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from cloud_center import Cloud, TestGateway
from hearthline import wire
from hearthline.clock import NS
from hearthline.errors import ConfigError
from hearthline.model import EventType
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.escalation import SHIPPED, Policies, Reach
from hearthline_cloud.alerts.self_test import Standing, Window, is_missed, standing
from hearthline_cloud.api.journal import frames_after
from hearthline_cloud.api.self_test_reads import last_self_tests, self_tests
from hearthline_cloud.config import SelfTestConfig
from hearthline_cloud.desk import NotFoundError, beat
from hearthline_cloud.escalating import escalate_once
from hearthline_cloud.selftesting import _ask, ask, ask_due, decide, forget, judge, window_of
from personal_rows import put

SHANGHAI = Window(clock(10), clock(11), ZoneInfo("Asia/Shanghai"))
REACHES = (Reach("duty"), Reach("family", contacts=True))
WITHIN_S = 900.0


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


def rules() -> tuple[Policies, tuple[Reach, ...]]:
    return SHIPPED, REACHES


@pytest.fixture
def cloud(cloud: Cloud) -> Cloud:
    hear(cloud)
    return cloud


def hear(cloud: Cloud, at_ns: int | None = None) -> None:
    """As if the gateway had just spoken, and escalation lived."""
    now = at_ns or time.time_ns()
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.gateway).values(state="online", last_seen_ns=now))
        beat(connection, "escalation", now, {})


def marked(cloud: Cloud, test: object, **changes: Any) -> wire.Event:
    data = {"role": "self-test", "button": "self-test", "ordinal": 1, "test": test, **changes.pop("data", {})}
    return replace(cloud.gateway.event(EventType.ALARM, "gw-1", **data), **changes)


def kinds(cloud: Cloud) -> list[tuple[str, str, str | None]]:
    return [(row.kind, row.state, row.outcome) for row in cloud.rows(schema.alert)]


PROOF = ("self-test", "resolved", "test")


# --- when -----------------------------------------------------------------------------------------------------------


def test_each_gateway_has_its_own_moment_within_the_window() -> None:
    now = at("2026-11-22T12:00:00")
    slots = [SHANGHAI.slot_ns(f"gw-{number}", now) for number in range(1000)]
    begin, end = at("2026-11-22T02:00:00"), at("2026-11-22T03:00:00")
    assert all(begin <= slot < end for slot in slots)
    quarters = Counter((slot - begin) // (900 * NS) for slot in slots)
    assert min(quarters[quarter] for quarter in range(4)) > 150
    assert SHANGHAI.slot_ns("gw-1", now) == SHANGHAI.slot_ns("gw-1", at("2026-11-22T00:00:01"))


def test_the_day_is_that_of_the_windows_zone() -> None:
    assert SHANGHAI.day(at("2026-11-22T15:59:59")) == "2026-11-22"
    assert SHANGHAI.day(at("2026-11-22T16:00:00")) == "2026-11-23"
    assert not SHANGHAI.has_begun(at("2026-11-22T16:00:00"))


@pytest.mark.parametrize(
    ("asked_ago_s", "audible_ago_s", "missed"),
    [(900, 10**6, False), (901, 10**6, True), (3600, 800, False), (3600, 901, True), (86_401, 10**6, False)],
)
def test_when_a_test_is_missed(asked_ago_s: int, audible_ago_s: int, missed: bool) -> None:
    now = at("2026-11-22T12:00:00")
    assert is_missed(now - asked_ago_s * NS, now - audible_ago_s * NS, WITHIN_S, now) is missed


@pytest.mark.parametrize(
    ("proved", "missed", "answer", "expected"),
    [
        (False, False, None, Standing.WAITING),
        (True, True, None, Standing.PROVED),
        (False, False, "unknown", Standing.CANNOT),
        (False, True, None, Standing.MISSED),
        (False, True, "expired", Standing.MISSED),
        (True, False, "proved", Standing.PROVED),
    ],
)
def test_how_a_test_stands(proved: bool, missed: bool, answer: str | None, expected: Standing) -> None:
    assert standing(proved, missed, answer) is expected


@pytest.mark.parametrize(
    ("key", "config"),
    [
        ("self_test.to", SelfTestConfig(begin=clock(11), end=clock(10))),
        ("self_test.zone", SelfTestConfig(zone="Asia/Atlantis")),
        ("self_test.answer_within_s", SelfTestConfig(answer_within_s=1)),
    ],
)
def test_a_wrong_configuration_names_its_key(key: str, config: SelfTestConfig) -> None:
    with pytest.raises(ConfigError, match=key):
        window_of(config)


def test_a_registered_gateway_that_is_heard_is_asked_once_a_day(cloud: Cloud) -> None:
    slot = SHANGHAI.slot_ns("gw-1", at("2026-11-22T12:00:00"))
    hear(cloud, slot)
    assert ask_due(cloud.database, SHANGHAI, slot - NS) == 0
    assert ask_due(cloud.database, SHANGHAI, slot) == 1
    assert ask_due(cloud.database, SHANGHAI, slot + 5 * NS) == 0
    hear(cloud, slot + 86_400 * NS)
    assert ask_due(cloud.database, SHANGHAI, slot + 86_400 * NS) == 1
    (first, second) = cloud.rows(schema.command)
    assert first.body == {"type": "self-test"}
    assert {first.id, second.id} == {row.id for row in cloud.rows(schema.self_test)}


def test_of_two_desks_that_look_at_once_one_asks(cloud: Cloud) -> None:
    slot = SHANGHAI.slot_ns("gw-1", at("2026-11-22T12:00:00"))
    hear(cloud, slot)
    assert ask_due(cloud.database, SHANGHAI, slot) == 1
    with cloud.database.transaction() as connection:
        assert _ask(connection, "gw-1", "system", "2026-11-22", slot) is None, "the other desk had looked too"
    assert cloud.count(schema.command) == 1


def test_a_silent_gateway_is_asked_when_it_is_heard_again(cloud: Cloud) -> None:
    slot = SHANGHAI.slot_ns("gw-1", at("2026-11-22T12:00:00"))
    hear(cloud, slot - 600 * NS)
    assert ask_due(cloud.database, SHANGHAI, slot) == 0
    later = slot + 5 * 3600 * NS
    hear(cloud, later)
    assert ask_due(cloud.database, SHANGHAI, later) == 1


def test_a_person_who_asks_twice_is_shown_the_test_that_runs(cloud: Cloud) -> None:
    now = time.time_ns()
    first = ask(cloud.database, "gw-1", "mei", now)
    assert ask(cloud.database, "gw-1", "jun", now + 5 * NS) == first
    assert ask(cloud.database, "gw-1", "jun", now + 25 * NS) != first
    assert [row.actor for row in cloud.rows(schema.journal) if row.kind == "self-test-asked"] == ["mei", "jun"]
    with pytest.raises(NotFoundError):
        ask(cloud.database, "gw-nobody", "mei", now)


# --- what counts as a proof -----------------------------------------------------------------------------------------


def test_a_proof_is_an_alert_that_is_closed_at_once_and_pages_nobody(cloud: Cloud) -> None:
    test = ask(cloud.database, "gw-1", "mei", time.time_ns())
    proof = marked(cloud, test)
    (acked,) = cloud.take(proof)
    assert acked[1].event == [(proof.envelope.seq, proof.envelope.seq)]
    assert kinds(cloud) == [PROOF]
    (alert,) = cloud.rows(schema.alert)
    assert (alert.home_id, alert.resident_id, alert.resolved_by) == ("home-1", None, "system")
    entries = [row.kind for row in cloud.rows(schema.journal) if row.alert_id == alert.id]
    assert entries == ["raised", "resolved"]
    assert cloud.rows(schema.command)[0].result == "proved"
    assert escalate_once(cloud.database, SHIPPED, REACHES, time.time_ns() + 3600 * NS) == 0
    assert (cloud.count(schema.notification), cloud.count(schema.escalation)) == (0, 0)
    with cloud.database.reading() as connection:
        told = b"".join(frame.message for frame in frames_after(connection, 0))
        assert b'"kind":"self-test"' not in told, "the consoles hear nothing of it"
        assert journal.check(connection).broken_at is None


def test_a_repeat_of_the_proof_is_acknowledged_and_nothing_more(cloud: Cloud) -> None:
    proof = marked(cloud, ask(cloud.database, "gw-1", "mei", time.time_ns()))
    cloud.take(proof)
    cloud.take(proof, proof)
    assert kinds(cloud) == [PROOF]


def test_a_press_in_the_same_batch_raises_as_always_and_neither_joins_the_other(cloud: Cloud) -> None:
    test = ask(cloud.database, "gw-1", "mei", time.time_ns())
    cloud.take(cloud.gateway.press(), marked(cloud, test), cloud.gateway.press())
    assert kinds(cloud) == [("emergency", "raised", None), PROOF]
    assert cloud.rows(schema.alert)[0].presses == 2


def test_a_mark_on_anything_but_the_answer_to_our_question_is_no_mark(cloud: Cloud) -> None:
    """In doubt, raise: each of these is an alarm of its own or joins one, and the test stays unproved."""
    test = ask(cloud.database, "gw-1", "mei", time.time_ns())
    wrong = [
        cloud.gateway.press(test=test),  # a device's press with the mark
        cloud.gateway.press("self-test", test=test),
        cloud.gateway.press("self-test", device="gw-2", test=test),
        marked(cloud, test, data={"role": "emergency"}),
        marked(cloud, test, data={"role": None}),
        marked(cloud, test, source="hearthline/gw-2"),
        marked(cloud, test, type="hearthline.alarm.v2"),
        marked(cloud, test[:-1]),
        marked(cloud, test + " "),
        marked(cloud, test.upper()),
        marked(cloud, "nobody asked this"),
        marked(cloud, "x" * 5000),
        marked(cloud, "\0"),
        marked(cloud, None),
        marked(cloud, [test]),
        marked(cloud, True),
    ]
    for count, event in enumerate(wrong, start=1):
        cloud.take(event)
        assert [row.kind for row in cloud.rows(schema.alert)] == ["emergency"], event
        assert cloud.rows(schema.alert)[0].presses == count, event
    cloud.take(marked(cloud, test))
    assert kinds(cloud)[1:] == [PROOF]


def test_another_gateways_question_proves_nothing(cloud: Cloud) -> None:
    other = TestGateway("gw-9")
    cloud.take(other.message(other.press()))  # known from now on
    test = ask(cloud.database, "gw-9", "mei", time.time_ns())
    cloud.take(marked(cloud, test))
    assert [row.kind for row in cloud.rows(schema.alert)] == ["emergency", "emergency"]


def test_an_id_proves_once_and_a_second_alarm_with_it_raises(cloud: Cloud) -> None:
    test = ask(cloud.database, "gw-1", "mei", time.time_ns())
    cloud.take(marked(cloud, test))
    cloud.take(marked(cloud, test))
    assert kinds(cloud) == [PROOF, ("emergency", "raised", None)]


def test_a_garbled_test_is_a_possible_alarm(cloud: Cloud) -> None:
    test = ask(cloud.database, "gw-1", "mei", time.time_ns())
    cloud.take(cloud.gateway.message(wire.encode_event(marked(cloud, test))[:-9]))
    (alert,) = cloud.rows(schema.alert)
    assert (alert.kind, alert.state, alert.certainty) == ("emergency", "raised", "possible")


def test_a_proof_days_later_is_still_one(cloud: Cloud) -> None:
    long_ago = time.time_ns() - 3 * 86_400 * NS
    test = ask(cloud.database, "gw-1", "mei", long_ago)
    cloud.take(marked(cloud, test))
    assert kinds(cloud) == [PROOF]


# --- what the desk makes of it --------------------------------------------------------------------------------------


def test_the_desk_decides_whom_a_press_would_have_told_and_tells_nobody(cloud: Cloud) -> None:
    now = time.time_ns()
    test = ask(cloud.database, "gw-1", "mei", now)
    assert decide(cloud.database, rules, now) == 0
    cloud.take(marked(cloud, test))
    with cloud.database.transaction() as connection:
        beat(connection, "escalation", now - 60 * NS, {})
    assert decide(cloud.database, rules, now) == 0, "while escalation is dead, nobody would be told"
    hear(cloud)
    assert decide(cloud.database, rules, time.time_ns()) == 1
    assert decide(cloud.database, rules, time.time_ns()) == 0
    with cloud.database.reading() as connection:
        found = self_tests(connection, "gw-1")
    assert found.proof is not None
    assert (found.proof.messages or 0) >= 1
    assert found.proof.policy in SHIPPED.policies
    assert found.proof.round_s is not None
    assert found.proof.decided_s is not None
    assert cloud.count(schema.notification) == 0


def test_channels_that_reach_nobody_are_shown_by_the_test(cloud: Cloud) -> None:
    test = ask(cloud.database, "gw-1", "mei", time.time_ns())
    cloud.take(marked(cloud, test))
    decide(cloud.database, lambda: (SHIPPED, ()), time.time_ns())
    with cloud.database.reading() as connection:
        assert self_tests(connection, "gw-1").tests[0].messages == 0


def missed(cloud: Cloud, now_ns: int, may_raise: bool = True) -> int:
    return judge(cloud.database, WITHIN_S, now_ns, may_raise=may_raise)


def later(seconds: float) -> int:
    return time.time_ns() + round(seconds * NS)


def test_a_test_that_did_not_come_is_one_alert_until_a_later_one_does(cloud: Cloud) -> None:
    ask(cloud.database, "gw-1", "mei", time.time_ns())
    hear(cloud, later(1000))
    assert missed(cloud, later(800)) == 0
    assert missed(cloud, later(1000), may_raise=False) == 0
    assert missed(cloud, later(1000)) == 1
    assert missed(cloud, later(1001)) == 0
    (alert,) = cloud.rows(schema.alert)
    assert (alert.kind, alert.gateway_id, alert.home_id) == ("test-missed", "gw-1", "home-1")
    assert SHIPPED.policy_for(alert.kind, alert.cause, "com-1").name == "fault"
    assert escalate_once(cloud.database, SHIPPED, REACHES, later(1000)) == 1, "it has a timer"
    hear(cloud, later(3000))
    second = ask(cloud.database, "gw-1", "mei", later(2000))
    assert missed(cloud, later(3000)) == 0, "the next one missed joins the open alert"
    assert cloud.count(schema.alert) == 1
    cloud.take(marked(cloud, second))
    assert missed(cloud, later(3001)) == 1
    assert kinds(cloud) == [("test-missed", "resolved", "restored"), PROOF]


def test_the_same_test_that_comes_late_clears_its_own_alert(cloud: Cloud) -> None:
    test = ask(cloud.database, "gw-1", "mei", time.time_ns() - 1000 * NS)
    assert missed(cloud, time.time_ns()) == 1
    cloud.take(marked(cloud, test))
    assert missed(cloud, time.time_ns()) == 1
    assert kinds(cloud)[0] == ("test-missed", "resolved", "restored")


def test_an_older_gateway_says_that_it_cannot_and_raises_nothing(cloud: Cloud) -> None:
    test = ask(cloud.database, "gw-1", "mei", time.time_ns() - 1000 * NS)
    cloud.take(cloud.gateway.event(EventType.ANSWER, "gw-1", command=test, result="unknown"))
    assert missed(cloud, time.time_ns()) == 0
    with cloud.database.reading() as connection:
        asked, proof = last_self_tests(connection)["gw-1"]
    assert (asked.standing, proof) == ("cannot", None)


def test_silence_has_its_own_alert_and_after_it_the_time_begins_anew(cloud: Cloud) -> None:
    now = time.time_ns()
    ask(cloud.database, "gw-1", "mei", now - 3600 * NS)
    hear(cloud, now - 600 * NS)
    assert missed(cloud, now) == 0, "it is silent"
    silence = {"kind": "gateway-silent", "join_key": "gateway-silent:gw-1", "device_id": "", "gateway_id": "gw-1"}
    with cloud.database.transaction() as connection:
        values = {
            "state": "resolved",
            "raised_ns": now - 500 * NS,
            "since_ns": now - 600 * NS,
            "ended_ns": now - 60 * NS,
        }
        connection.execute(schema.alert.insert().values(**silence, **values))
    hear(cloud)
    assert missed(cloud, now) == 0, "it has been back for a minute"
    hear(cloud, later(900))
    assert missed(cloud, later(900)) == 1


def test_maintenance_asks_nothing_and_misses_nothing_and_after_it_the_time_begins_anew(cloud: Cloud) -> None:
    now = time.time_ns()
    ask(cloud.database, "gw-1", "mei", now - 3600 * NS)
    window = {"what": "maintenance", "scope": "home", "scope_id": "home-1", "reason": "x", "declared_by": "mei"}
    with cloud.database.transaction() as connection:
        times = {"from_ns": now - 7200 * NS, "to_ns": now + 60 * NS, "declared_ns": now - 7200 * NS}
        put(connection, schema.declared, **window, **times, subject="home:home-1")
    midnight = Window(clock(0), clock(0, 0, 1), UTC)
    assert ask_due(cloud.database, midnight, now) == 0
    assert missed(cloud, now) == 0
    hear(cloud, later(930))
    assert missed(cloud, later(930)) == 0
    hear(cloud, later(990))
    assert missed(cloud, later(990)) == 1


def test_a_miss_that_a_person_has_closed_is_raised_anew_by_the_next_one(cloud: Cloud) -> None:
    ask(cloud.database, "gw-1", "mei", time.time_ns() - 2000 * NS)
    assert missed(cloud, time.time_ns()) == 1
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.alert).values(state="resolved", resolved_by="mei"))
    ask(cloud.database, "gw-1", "mei", time.time_ns() - 1000 * NS)
    assert missed(cloud, time.time_ns()) == 1
    assert [(row.kind, row.state) for row in cloud.rows(schema.alert)] == [
        ("test-missed", "resolved"),
        ("test-missed", "raised"),
    ]


def test_after_a_day_nobody_waits_any_more(cloud: Cloud) -> None:
    ask(cloud.database, "gw-1", "mei", time.time_ns() - 86_400 * NS - NS)
    assert missed(cloud, time.time_ns()) == 0


def test_a_clock_that_is_set_back_misses_nothing(cloud: Cloud) -> None:
    ask(cloud.database, "gw-1", "mei", later(3600))
    assert missed(cloud, time.time_ns()) == 0


# --- forgetting ---------------------------------------------------------------------------------------------------


def test_old_proofs_are_forgotten_and_what_may_still_be_answered_or_is_shown_is_not(cloud: Cloud) -> None:
    day_ns = 86_400 * NS
    now = time.time_ns()
    first, unproved, second = (ask(cloud.database, "gw-1", "mei", now - ago * day_ns) for ago in (300, 200, 100))
    cloud.take(marked(cloud, first), marked(cloud, second))
    with cloud.database.transaction() as connection:
        _ask(connection, "gw-1", "system", "2026-01-01", now)
    assert forget(cloud.database, now) == 1
    assert forget(cloud.database, now) == 0
    kept = {row.id for row in cloud.rows(schema.self_test)}
    assert {unproved, second} < kept, "one may still be answered, the other is the gateway's last proof"
    assert first not in kept
    assert kept == {row.id for row in cloud.rows(schema.command)}
    cloud.take(marked(cloud, unproved))
    assert kinds(cloud) == [PROOF] * 3, "an old question that is answered at last pages nobody"
    assert forget(cloud.database, now + 301 * day_ns) == len(kept) - 2


def test_a_town_is_forgotten_a_few_at_a_time(cloud: Cloud) -> None:
    now = time.time_ns()
    with cloud.database.transaction() as connection:
        for number in range(250):
            _ask(connection, "gw-1", "system", f"day {number}", now - 401 * 86_400 * NS)
    assert [forget(cloud.database, now) for _ in range(4)] == [100, 100, 49, 0]
