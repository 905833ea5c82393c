"""The effect of an event is once: stored, raised or joined, acknowledged; nothing odd is lost, nothing odd blocks."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from cloud_center import Cloud, TestGateway, ingest_in_a_process
from hearthline import wire
from hearthline.clock import NS
from hearthline.model import EventType, Lane
from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import Outcome as AlertOutcome
from hearthline_cloud.desk import Desk
from hearthline_cloud.ingest.commands import due_commands
from hearthline_cloud.ingest.session import Message


def taken(event: wire.Event) -> tuple[str, wire.Ack]:
    seq = event.envelope.seq
    return ("gw-1", wire.make_ack(event.envelope.outbox, Lane.EVENT, [(seq, seq)], []))


def refused(event: wire.Event) -> tuple[str, wire.Ack]:
    seq = event.envelope.seq
    return ("gw-1", wire.make_ack(event.envelope.outbox, Lane.EVENT, [], [(seq, seq)]))


def test_delivered_five_times_is_one_event_and_one_alert(cloud: Cloud) -> None:
    press = cloud.gateway.press(ordinal=7)
    assert cloud.take(press, press) == [taken(press)]
    for _ in range(3):
        assert cloud.take(press) == [taken(press)]  # a repeat is acknowledged again
    (event,), (alert,) = cloud.rows(schema.event), cloud.rows(schema.alert)
    assert (alert.presses, alert.kind, alert.state, alert.home_id) == (1, "emergency", "raised", "home-1")
    assert (event.alert_id, event.event_id, event.suspect, event.time_quality) == (alert.id, press.id, "", "synced")
    assert [row.kind for row in cloud.rows(schema.journal)] == ["raised"]


def test_presses_join_the_open_alert_and_raise_anew_after_it_is_resolved(cloud: Cloud) -> None:
    for _ in range(3):
        cloud.take(cloud.gateway.press())
    (alert,) = cloud.rows(schema.alert)
    assert alert.presses == 3
    desk = Desk(cloud.database, cloud.waker)
    desk.acknowledge(alert.id, "mei", time.time_ns())
    cloud.take(cloud.gateway.press())
    (alert,) = cloud.rows(schema.alert)
    assert (alert.state, alert.presses) == ("acknowledged", 4)
    desk.resolve(alert.id, AlertOutcome.HELP_GIVEN, "mei", time.time_ns())
    cloud.take(cloud.gateway.press())
    assert [(a.state, a.presses) for a in cloud.rows(schema.alert)] == [("resolved", 4), ("raised", 1)]


def test_a_press_of_an_alert_that_a_person_has_is_told_so(cloud: Cloud) -> None:
    cloud.take(cloud.gateway.press())
    assert cloud.rows(schema.command) == []
    (alert,) = cloud.rows(schema.alert)
    Desk(cloud.database, cloud.waker).acknowledge(alert.id, "mei", time.time_ns())
    again = cloud.gateway.press()
    cloud.take(again)
    cloud.take(again)  # told twice, accepted once
    bodies = [row.body for row in cloud.rows(schema.command)]
    assert [body["signal"] for body in bodies] == ["accepted", "accepted"]
    assert bodies[1]["event"] == again.id


def test_a_service_call_opens_its_own_queue(cloud: Cloud) -> None:
    cloud.take(cloud.gateway.press("service"), cloud.gateway.press("emergency"), cloud.gateway.press("service"))
    assert [(a.kind, a.presses) for a in cloud.rows(schema.alert)] == [("service", 2), ("emergency", 1)]


@pytest.mark.parametrize("role", ["", "tea", "SERVICE", None, 7, ["service"], {"role": "service"}])
def test_what_is_not_surely_a_service_call_is_an_emergency(cloud: Cloud, role: Any) -> None:
    cloud.take(cloud.gateway.event(role=role), cloud.gateway.event())
    (alert,) = cloud.rows(schema.alert)
    assert (alert.kind, alert.presses) == ("emergency", 2)


def test_smoke_is_not_hidden_in_the_open_alert_of_a_pendant(cloud: Cloud) -> None:
    cloud.take(cloud.gateway.press())
    for cause in ("smoke", "leak", "smoke", "flood of tomorrow"):
        alarm = cloud.gateway.event("hearthline.alarm.v1", role="emergency", cause=cause)
        assert cloud.take(alarm) == [taken(alarm)]
    assert [(a.kind, a.cause, a.presses) for a in cloud.rows(schema.alert)] == [
        ("emergency", "press", 1),
        ("emergency", "smoke", 2),
        ("emergency", "leak", 1),
        ("emergency", "alarm", 1),
    ]


def test_what_a_sensor_sees_is_kept_and_raises_nothing(cloud: Cloud) -> None:
    event = cloud.gateway.event("hearthline.activity.v1", raw="{}")
    assert cloud.take(event) == [taken(event)]
    (row,) = cloud.rows(schema.event)
    assert (row.data, row.suspect, row.alert_id) == ({"raw": "{}"}, "", None)
    assert cloud.count(schema.alert) == 0


def test_an_unknown_gateway_and_device_are_shown_and_alarmed(cloud: Cloud) -> None:
    stranger = TestGateway("gw-new", "outbox-9")
    cloud.take(stranger.message(stranger.press(device="z2m:按钮")))
    (alert,) = cloud.rows(schema.alert)
    assert (alert.gateway_id, alert.home_id, alert.device_id) == ("gw-new", None, "z2m:按钮")
    assert [g.id for g in cloud.rows(schema.gateway) if g.home_id is None] == ["gw-new"]
    assert [d.id for d in cloud.rows(schema.device) if not d.registered] == ["z2m:按钮"]


def test_a_later_alarm_version_still_raises(cloud: Cloud) -> None:
    cloud.take(cloud.gateway.event("hearthline.alarm.v2"))
    (event,), (alert,) = cloud.rows(schema.event), cloud.rows(schema.alert)
    assert event.alert_id == alert.id
    assert "unknown to this version" in event.suspect


def test_an_unknown_type_is_kept_and_reported(cloud: Cloud) -> None:
    event = cloud.gateway.event("hearthline.fall.v1", height_m=1)
    assert cloud.take(event) == [taken(event)]
    (row,) = cloud.rows(schema.event)
    assert (row.data, row.alert_id) == ({"height_m": 1}, None)
    assert "hearthline.fall.v1" in row.suspect


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"source": "hearthline/gw-2"}, "gw-2"),
        ({"time": "2099-01-01T00:00:00Z"}, "future"),
        ({"time": "9999-12-31T23:59:59Z"}, "future"),
        ({"time": "0001-01-01T00:00:00Z"}, "long past"),
        ({"time": "1970-01-01T00:00:05Z"}, "long past"),
    ],
)
def test_what_is_suspect_is_an_alarm_all_the_same(cloud: Cloud, changes: dict[str, Any], why: str) -> None:
    press = cloud.gateway.press()
    assert cloud.take(cloud.gateway.odd(press, **changes)) == [taken(press)]
    (row,), (alert,) = cloud.rows(schema.event), cloud.rows(schema.alert)
    assert why in row.suspect
    assert (row.device_id, alert.certainty) == ("enocean:1", "certain")


def test_a_free_clock_is_estimated_once_for_its_boot(cloud: Cloud) -> None:
    first = cloud.gateway.press()
    mono = 100 * NS
    first = replace(first, wall_ns=0, envelope=replace(first.envelope, synced=False, mono_ns=mono, age_s=60.0))
    second = replace(cloud.gateway.press(), wall_ns=5 * NS)
    second = replace(second, envelope=replace(second.envelope, synced=False, mono_ns=mono + 5 * NS, age_s=999.0))
    before = time.time_ns()
    cloud.take(first)
    restarted = replace(first.envelope, outbox="outbox-1 opened again")
    cloud.take(second, replace(first, envelope=replace(first.envelope, age_s=75.0)))
    cloud.take(replace(first, envelope=replace(restarted, age_s=90.0)))
    one, two = cloud.rows(schema.event)
    assert (one.time_quality, two.time_quality) == ("estimated", "estimated")
    assert 0 <= one.occurred_ns - (before - 60 * NS) < 5 * NS
    assert two.occurred_ns - one.occurred_ns == 5 * NS
    assert cloud.count(schema.boot_clock) == 1


# --- what cannot be read ------------------------------------------------------------------------------------------


def test_an_unreadable_event_is_refused_by_its_number_and_kept_once(cloud: Cloud) -> None:
    vital = cloud.gateway.event(EventType.VITAL)
    payload = cloud.gateway.odd(vital, time="yesterday")
    for _ in range(3):
        assert cloud.take(payload) == [refused(vital)]
    (kept,) = cloud.rows(schema.kept_aside)
    assert kept.payload == payload
    assert "not an event" in kept.reason
    assert cloud.count(schema.event) == 0


@pytest.mark.parametrize(
    "payload", [b"", b"\xff\x00", b"[]", b"{" * 5000, b'{"outbox":"o"}', b'{"outbox":"o","seq":0}']
)
def test_without_an_envelope_there_is_only_the_puback(cloud: Cloud, payload: bytes) -> None:
    assert cloud.take(payload) == []
    assert [row.payload for row in cloud.rows(schema.kept_aside)] == [payload]


@pytest.mark.parametrize(
    "changes",
    [
        {"time": "soon"},
        {"data": []},
        {"data": {"a": [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}},
        {"specversion": "2.0"},
        {"mono": "x"},
        {"clock": "maybe"},
        {"subject": ""},
    ],
)
def test_unreadable_but_speaking_of_an_alarm_raises_a_possible_one(cloud: Cloud, changes: dict[str, Any]) -> None:
    press = cloud.gateway.press()
    for _ in range(2):
        assert cloud.take(cloud.gateway.odd(press, **changes)) == [taken(press)]
    (alert,), (event,) = cloud.rows(schema.alert), cloud.rows(schema.event)
    assert (alert.certainty, alert.presses, alert.home_id) == ("possible", 1, "home-1")
    assert "not readable" in event.suspect
    assert cloud.count(schema.kept_aside) == 1


def test_a_torn_alarm_without_an_envelope_is_raised_once_and_not_acknowledged(cloud: Cloud) -> None:
    torn = wire.encode_event(cloud.gateway.press())[:150]
    assert b"hearthline.alarm" in torn
    for _ in range(3):
        assert cloud.take(torn) == []
    (alert,) = cloud.rows(schema.alert)
    assert (alert.certainty, alert.presses) == ("possible", 1)
    cloud.take(cloud.gateway.press())
    (alert,) = cloud.rows(schema.alert)
    assert (alert.certainty, alert.presses) == ("certain", 2)


def test_an_alarm_under_an_impossible_gateway_id_is_raised_all_the_same(cloud: Cloud) -> None:
    payload = wire.encode_event(cloud.gateway.press())
    assert cloud.take(Message("hearthline/v1/网关 1/up/event", payload, False, 1, 1)) == []
    (alert,), (event,) = cloud.rows(schema.alert), cloud.rows(schema.event)
    assert (alert.certainty, alert.home_id) == ("possible", None)
    assert "网关 1" in event.data["topic"]
    assert [g.id for g in cloud.rows(schema.gateway)] == ["gw-1"]


POISON = [
    b'{"ordinal":' + b"9" * 6000 + b"}",
    b'{"ordinal":' + b"9" * 400 + b"}",
    b'{"role":"\\u0000","values":7}',
    b'{"values":[{"value":1},{"quantity":"systolic","unit":"mm[Hg]","value":' + b"9" * 400 + b"}]}",
    b'{"values":[{"quantity":["x"],"unit":null,"value":1},{"quantity":"x","value":1},null,[]]}',
    b'{"command":{"a":1},"result":["x"]}',
    b'{"kind":{"a":[1,2]},"detail":null}',
    b'{"user":[],"certainty":{}}',
]


@pytest.mark.parametrize("kind", [*EventType, "hearthline.new.v9"])
@pytest.mark.parametrize("data", POISON, ids=range(len(POISON)))
def test_poison_never_costs_its_neighbours_anything(cloud: Cloud, kind: str, data: bytes) -> None:
    before, after = cloud.gateway.press(), cloud.gateway.press()
    odd = cloud.gateway.event(kind, device="cuff:1", MARK=1)
    payload = wire.encode_event(odd).replace(b'{"MARK":1}', data)
    ((gateway, ack),) = cloud.take(before, payload, after)
    seqs = {event.envelope.seq for event in (before, odd, after)}
    said = [number for low, high in (*(ack.event or ()), *ack.refused) for number in range(low, high + 1)]
    assert (gateway, set(said), len(said)) == ("gw-1", seqs, 3)
    stored = {row.event_id for row in cloud.rows(schema.event)}
    assert {before.id, after.id} <= stored
    assert odd.id in stored or cloud.count(schema.kept_aside) == 1
    assert cloud.rows(schema.alert)[0].presses == (3 if kind == EventType.ALARM else 2)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "role",
        "ordinal",
        "certainty",
        "values",
        "user",
        "command",
        "result",
        "kind",
        "detail",
        "quantity",
        "unit",
        "value",
    ]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from([*EventType, "x"]),
    st.text(min_size=1, max_size=20),
    st.dictionaries(KEYS, ANYTHING | st.lists(st.dictionaries(KEYS, ANYTHING, max_size=4), max_size=3), max_size=6),
)
def test_any_shape_of_data_is_stored_or_kept(cloud: Cloud, kind: str, device: str, data: dict[str, Any]) -> None:
    odd = cloud.gateway.event(kind, device)
    neighbour = cloud.gateway.event("hearthline.quiet.v1")
    ((_, ack),) = cloud.take(cloud.gateway.odd(odd, data=data), neighbour)
    first, second = odd.envelope.seq, neighbour.envelope.seq
    assert (ack.event, ack.refused) in (([(first, second)], []), ([(second, second)], [(first, first)]))


def test_what_the_database_never_takes_is_kept_to_its_message(cloud: Cloud) -> None:
    refuse_events(cloud, "NEW.type LIKE '%device%'")
    note, press = cloud.gateway.event(EventType.DEVICE), cloud.gateway.press()
    ((_, ack),) = cloud.take(note, press)
    assert (ack.event, ack.refused) == ([(press.envelope.seq,) * 2], [(note.envelope.seq,) * 2])
    assert "IntegrityError" in cloud.rows(schema.kept_aside)[0].reason


def refuse_events(cloud: Cloud, when: str) -> None:
    if cloud.database.is_server:
        raised = "RAISE EXCEPTION 'no' USING ERRCODE = 'integrity_constraint_violation'"
        statements = [
            f"CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {raised}; END $$",
            f"CREATE TRIGGER no BEFORE INSERT ON event FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION no()",
        ]
    else:
        statements = [f"CREATE TRIGGER no BEFORE INSERT ON event WHEN {when} BEGIN SELECT RAISE(ABORT, 'no'); END"]
    with cloud.database.transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%") if cloud.database.is_server else statement)


def test_the_last_resort_keeps_the_bytes(cloud: Cloud) -> None:
    refuse_events(cloud, "NEW.id IS NOT NULL OR NEW.id IS NULL")
    press = cloud.gateway.press()
    assert cloud.take(press) == []  # not acknowledged: the home sounds its own alarm and sends it again
    assert cloud.count(schema.kept_aside) == 1


# --- vital signs, notes, answers, status --------------------------------------------------------------------------


def vital(cloud: Cloud, user: Any) -> wire.Event:
    values = [
        {"quantity": "systolic", "value": 132, "unit": "mm[Hg]"},
        {"quantity": "diastolic", "value": 84, "unit": "kPa"},
    ]
    return cloud.gateway.event(EventType.VITAL, "cuff:1", values=values, user=user)


@pytest.mark.parametrize(("user", "resident"), [(1, "res-1"), (2, None), (None, None), ("1", None)])
def test_vital_signs_belong_to_the_bound_user_only(cloud: Cloud, user: Any, resident: str | None) -> None:
    cloud.take(vital(cloud, user))
    (event,) = cloud.rows(schema.event)
    assert event.resident_id == resident
    (queued,) = cloud.rows(schema.store_queue)  # kPa is not the unit of a pressure here
    assert queued.point.decode().count("res-1") == (1 if resident else 0)


def test_a_note_is_shown_at_its_device(cloud: Cloud) -> None:
    cloud.take(replace(cloud.gateway.event(EventType.DEVICE), data={"kind": "battery", "detail": "2.1 V"}))
    assert {d.id: d.last_note for d in cloud.rows(schema.device)}["enocean:1"] == "battery: 2.1 V"


def test_an_answer_closes_its_command_and_the_alert_knows(cloud: Cloud) -> None:
    cloud.take(cloud.gateway.press())
    (alert,) = cloud.rows(schema.alert)
    Desk(cloud.database, cloud.waker).acknowledge(alert.id, "mei", time.time_ns())
    (command,) = cloud.rows(schema.command)
    impostor = TestGateway("gw-2", "outbox-2")
    cloud.take(impostor.message(impostor.event(EventType.ANSWER, "gw-2", command=command.id, result="done")))
    assert cloud.rows(schema.command)[0].answered_ns is None
    answer = cloud.gateway.event(EventType.ANSWER, "gw-1", command=command.id, result="done")
    cloud.take(answer, answer)
    (command,) = cloud.rows(schema.command)
    assert (command.result, command.answered_ns is None) == ("done", False)
    told = [row for row in cloud.rows(schema.journal) if row.kind == "home-told"]
    assert [(row.alert_id, row.detail) for row in told] == [(alert.id, {"signal": "accepted", "result": "done"})]


def test_a_retained_status_is_no_sign_of_life(cloud: Cloud) -> None:
    status = wire.Status(state="online", version="0.1.0", outbox="outbox-1")
    message = cloud.gateway.message(status)
    cloud.take(replace(message, retained=True))
    (gateway,) = cloud.rows(schema.gateway)
    assert (gateway.state, gateway.last_seen_ns, gateway.status["version"]) == ("online", None, "0.1.0")
    cloud.take(message)
    (gateway,) = cloud.rows(schema.gateway)
    seen = gateway.last_seen_ns
    assert time.time_ns() - seen < 5 * NS
    cloud.take(wire.Status(state="offline"))
    (gateway,) = cloud.rows(schema.gateway)
    assert (gateway.state, gateway.last_seen_ns, gateway.status["version"]) == ("offline", seen, "0.1.0")
    assert [row.detail["state"] for row in cloud.rows(schema.journal)] == ["online", "offline"]


def test_a_gateway_that_comes_back_is_told_at_once_what_waits_for_it(cloud: Cloud) -> None:
    now = time.time_ns()
    put_off = {"next_attempt_ns": now + 60 * NS, "attempts": 9, "created_ns": now, "body": {"type": "test"}}
    with cloud.database.transaction() as connection:
        for key, gateway, answered in (("c-1", "gw-1", None), ("c-2", "gw-1", 1), ("c-3", "gw-2", None)):
            row = put_off | {"id": key, "gateway_id": gateway, "answered_ns": answered}
            connection.execute(schema.command.insert().values(**row))

    def due() -> list[str]:
        now_ns = time.time_ns()
        waiting = [row for row in cloud.rows(schema.command) if row.answered_ns is None]
        return [row.id for row in waiting if row.gateway_id == "gw-1" and row.next_attempt_ns <= now_ns]

    online = wire.Status(state="online", outbox="outbox-1")
    cloud.take(replace(cloud.gateway.message(online), retained=True), wire.Status(state="offline"))
    assert due() == []
    cloud.take(online)
    assert due() == ["c-1"]
    (told, *_) = cloud.rows(schema.command)
    assert told.attempts == 0
    with cloud.database.transaction() as connection:
        due_commands(connection, time.time_ns())
    cloud.take(online)  # still online: nothing new
    assert due() == []


def test_an_odd_status_is_kept_aside(cloud: Cloud) -> None:
    assert cloud.take(cloud.gateway.message(b'{"state":"sleepy"}', wire.UP_STATUS)) == []
    assert cloud.count(schema.kept_aside) == 1


# --- batches and races --------------------------------------------------------------------------------------------


def test_acknowledgements_are_ranges_by_gateway_and_outbox(cloud: Cloud) -> None:
    presses = [cloud.gateway.press() for _ in range(6)]
    other = TestGateway("gw-2", "outbox-2")
    acks = cloud.take(*presses[:3], other.message(other.press()), *presses[4:])
    assert acks == [
        ("gw-1", wire.Ack(outbox="outbox-1", event=[(1, 3), (5, 6)])),
        ("gw-2", wire.Ack(outbox="outbox-2", event=[(1, 1)])),
    ]


def test_two_ingesters_on_one_database_raise_one_alert(cloud: Cloud) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    given = (str(cloud.folder), cloud.database.url, start)
    racers = [context.Process(target=ingest_in_a_process, args=given) for _ in range(3)]
    for racer in racers:
        racer.start()
    start.set()
    for racer in racers:
        racer.join(40)
        assert racer.exitcode == 0
    (alert,) = cloud.rows(schema.alert)
    assert (alert.presses, cloud.count(schema.event)) == (20, 20)


def test_the_database_itself_holds_one_open_alert_a_key(cloud: Cloud) -> None:
    cloud.take(cloud.gateway.press())
    (alert,) = cloud.rows(schema.alert)
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.alert).values(state="resolved"))
    cloud.take(cloud.gateway.press())
    with pytest.raises(IntegrityError, match=r"(?i)unique"), cloud.database.transaction() as connection:
        connection.execute(update(schema.alert).where(schema.alert.c.id == alert.id).values(state="raised"))


# --- the elder takes a press back at home -------------------------------------------------------------------------


def test_a_cancellation_is_noted_and_shown_and_closes_nothing(cloud: Cloud) -> None:
    press = cloud.gateway.press()
    cancel = cloud.gateway.event(EventType.CANCEL, event=press.id)
    cloud.take(press)
    assert cloud.take(cancel, cancel) == [taken(cancel)]
    (alert,) = cloud.rows(schema.alert)
    assert (alert.state, alert.presses, alert.version) == ("raised", 1, 1)
    assert alert.cancelled_ns is not None
    noted = [row for row in cloud.rows(schema.journal) if row.kind == "cancelled-at-home"]
    assert [row.alert_id for row in noted] == [alert.id]
    cloud.take(cloud.gateway.press())
    assert cloud.rows(schema.alert)[0].cancelled_ns is None  # pressed again: that stands


def test_a_cancellation_that_was_overtaken_takes_no_later_press_back(cloud: Cloud) -> None:
    first, again = cloud.gateway.press(), cloud.gateway.press()
    cloud.take(first, again, cloud.gateway.event(EventType.CANCEL, event=first.id))
    assert cloud.rows(schema.alert)[0].cancelled_ns is None
    assert [row.kind for row in cloud.rows(schema.journal)] == ["raised", "joined", "cancelled-at-home"]


def test_a_cancellation_takes_no_neighbours_press_of_the_same_alert_back(cloud: Cloud) -> None:
    neighbour, own = cloud.gateway.press(device="enocean:2"), cloud.gateway.press()
    cloud.take(neighbour, own, cloud.gateway.event(EventType.CANCEL, event=own.id))
    (alert,) = cloud.rows(schema.alert)
    assert (alert.presses, alert.cancelled_ns) == (2, None)
    assert cloud.rows(schema.journal)[-1].kind == "cancelled-at-home"


def test_a_cancellation_takes_nothing_back_but_an_alarm(cloud: Cloud) -> None:
    note = replace(cloud.gateway.event(EventType.DEVICE), data={"kind": "low-battery"})
    cloud.take(note, cloud.gateway.event(EventType.CANCEL, event=note.id), cloud.gateway.event(EventType.CANCEL))
    (fault,) = cloud.rows(schema.alert)
    assert (fault.kind, fault.cancelled_ns) == ("device-fault", None)


@pytest.mark.parametrize("data", [{}, {"event": "of nobody"}, {"event": 7}, {"event": None}])
def test_an_odd_cancellation_is_kept_and_touches_no_other_alert(cloud: Cloud, data: dict[str, Any]) -> None:
    cloud.take(cloud.gateway.press())
    other = TestGateway("gw-2")
    cancel = other.event(EventType.CANCEL, **data)
    cloud.take(other.message(cancel))
    (alert,) = cloud.rows(schema.alert)
    assert alert.cancelled_ns is None
    assert cloud.rows(schema.journal)[-1].alert_id is None
    desk = Desk(cloud.database, cloud.waker)
    desk.resolve(alert.id, AlertOutcome.HELP_GIVEN, "mei", time.time_ns())
    cloud.take(cloud.gateway.event(EventType.CANCEL))
    assert cloud.rows(schema.alert)[0].cancelled_ns is None  # closed: noted only
    assert cloud.rows(schema.journal)[-1].alert_id == alert.id
