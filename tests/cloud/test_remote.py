"""What staff ask of a gateway: the rows, the commands, what answers make of them, hostile ones among them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from cloud_center import Cloud
from hearthline import wire
from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline.model import EventType
from hearthline.remote import MAX_DETAIL_BYTES, MAX_LINE, config_digest, config_fault
from hearthline_cloud import journal, schema
from hearthline_cloud.api.remote_reads import Remote, remote_of
from hearthline_cloud.config import RetentionConfig
from hearthline_cloud.desk import ConflictError, NotFoundError
from hearthline_cloud.ingest.commands import GIVE_UP_AFTER_S, due_commands
from hearthline_cloud.remote.asking import PATIENCE_S, PAUSE_S, Order, ask
from hearthline_cloud.remote.asks import OPEN, State, What, after_answer
from hearthline_cloud.retention.kinds import KINDS
from hearthline_cloud.scoping import EVERY, Communities

QUIET = {"local_alarm_after_s": 20}
LOUD = {"local_alarm_after_s": 5, "metrics": {"port": 9467}}


@pytest.fixture
def database_url(file_url: str) -> str:
    """SQLite alone, but for the tests on `either`."""
    return file_url


def asked(
    cloud: Cloud, order: Order, now_ns: int | None = None, gateway: str = "gw-1", seen: Communities = EVERY
) -> str:
    with cloud.database.transaction() as connection:
        return ask(connection, gateway, order, "boss", now_ns or time.time_ns(), seen)


def configured(cloud: Cloud, config: dict[str, Any], now_ns: int | None = None, based_on: str | None = None) -> str:
    return asked(cloud, Order(What.CONFIGURE, config, based_on=based_on), now_ns)


def answered(cloud: Cloud, command: str, result: str, gateway: str = "gw-1", **detail: Any) -> None:
    event = cloud.gateway.event(EventType.ANSWER, gateway, command=command, result=result, detail=detail)
    message = cloud.gateway.message(event)
    cloud.take(type(message)(wire.topic(gateway, wire.UP_EVENT), message.payload, False, 1, 1))


def known(cloud: Cloud) -> Remote:
    with cloud.database.reading() as connection:
        return remote_of(connection, "gw-1", time.time_ns(), EVERY)


def sent(cloud: Cloud, now_ns: int | None = None) -> list[wire.Command]:
    with cloud.database.transaction() as connection:
        return [command for _, command in due_commands(connection, now_ns or time.time_ns())]


def states(cloud: Cloud) -> list[str]:
    return [row.state for row in sorted(cloud.rows(schema.remote_ask), key=lambda row: row.asked_ns)]


def entries(cloud: Cloud) -> list[tuple[str, str, dict[str, Any]]]:
    return [(row.kind, row.actor, row.detail) for row in cloud.rows(schema.journal) if row.kind.startswith("gateway-")]


def test_a_change_goes_down_is_tried_and_proved(either: Cloud) -> None:
    cloud = either
    made = configured(cloud, LOUD)
    (command,) = sent(cloud)
    assert (command.id, command.type, command.config) == (made, "configure", LOUD)
    answered(cloud, made, "trial")
    assert states(cloud) == [State.TRIAL]
    assert [each.id for each in sent(cloud, time.time_ns() + 61 * NS)] == [made], "its last word is still to come"
    answered(cloud, made, "done", deaf_s=0.4)
    assert states(cloud) == [State.DONE]
    assert sent(cloud, time.time_ns() + 200 * NS) == []
    found = known(cloud)
    assert (found.config, found.based_on, found.changes[0].deaf_s) == (LOUD, made, 0.4)
    about = {"gateway": "gw-1", "ask": made, "what": "configure"}
    assert entries(cloud) == [
        ("gateway-asked", "boss", {**about, "keys": sorted(LOUD), "digest": config_digest(LOUD)}),
        ("gateway-answered", "", {**about, "result": "trial"}),
        ("gateway-answered", "", {**about, "result": "done"}),
    ]


def test_what_is_taken_back_leaves_what_was_in_force(cloud: Cloud) -> None:
    now = time.time_ns()
    first = configured(cloud, QUIET, now - 100 * NS)
    answered(cloud, first, "done")
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.remote_ask).values(answered_ns=now - 90 * NS))
    second = configured(cloud, LOUD, now, based_on=first)
    answered(cloud, second, "undone", reason='no "received" within 120 s')
    found = known(cloud)
    assert (found.config, found.changes[0].state, found.changes[0].reason) == (
        QUIET,
        "undone",
        'no "received" within 120 s',
    )


def test_one_change_at_a_time_and_none_on_top_of_what_one_has_not_seen(cloud: Cloud) -> None:
    now = time.time_ns()
    first = configured(cloud, QUIET, now)
    with pytest.raises(ConflictError, match="under way"):
        configured(cloud, LOUD, now + NS)
    answered(cloud, first, "done")
    with pytest.raises(ConflictError, match="just now"):
        configured(cloud, LOUD, time.time_ns(), based_on=first)
    later = time.time_ns() + (PAUSE_S + 1) * NS
    with pytest.raises(ConflictError, match="meanwhile"):
        configured(cloud, LOUD, later, based_on="")
    configured(cloud, LOUD, later, based_on=first)


def test_a_newer_change_replaces_one_that_no_gateway_reacts_to_and_a_late_word_counts(cloud: Cloud) -> None:
    now = time.time_ns() - 2 * PATIENCE_S * NS
    first = configured(cloud, QUIET, now)
    second = configured(cloud, LOUD, now + (PATIENCE_S + 1) * NS)
    assert states(cloud) == [State.REPLACED, State.ASKED]
    assert [command.id for command in sent(cloud)] == [second]
    answered(cloud, first, "done")
    assert known(cloud).config == QUIET, "the gateway did it all the same"
    answered(cloud, second, "busy", reason="another configuration is on trial")
    assert states(cloud) == [State.DONE, State.BUSY]


def test_a_gateway_that_is_away_for_a_day_is_asked_no_more(cloud: Cloud) -> None:
    now = time.time_ns()
    made = asked(cloud, Order(What.EXAMINE), now)
    assert sent(cloud, now + (GIVE_UP_AFTER_S + 1) * NS) == []
    assert states(cloud) == [State.EXPIRED]
    answered(cloud, made, "done", checks=[], state={})
    assert states(cloud) == [State.DONE]


def test_what_waits_is_not_asked_twice(cloud: Cloud) -> None:
    assert asked(cloud, Order(What.LOG, lines=50)) == asked(cloud, Order(What.LOG, lines=20))
    (command,) = sent(cloud)
    assert (command.type, command.lines) == ("log", 50)


def test_only_a_gateway_of_a_home_that_one_sees_is_asked(cloud: Cloud) -> None:
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.gateway).values(id="gw-stray"))
    for gateway, seen in (("gw-1", frozenset({"com-2"})), ("gw-stray", frozenset({"com-1"})), ("nobody", EVERY)):
        with pytest.raises(NotFoundError, match=gateway):
            asked(cloud, Order(What.EXAMINE), gateway=gateway, seen=seen)
    asked(cloud, Order(What.EXAMINE), seen=frozenset({"com-1"}))
    asked(cloud, Order(What.EXAMINE), gateway="gw-stray")


def test_the_answer_of_another_gateway_changes_nothing(cloud: Cloud) -> None:
    made = configured(cloud, QUIET)
    answered(cloud, made, "done", gateway="gw-evil")
    answered(cloud, "0193-unknown", "done")
    assert states(cloud) == [State.ASKED]
    for odd in ("expired", "replaced", "asked", "x" * 500, ""):
        answered(cloud, made, odd)
    assert not {State.EXPIRED, State.REPLACED} & set(states(cloud))


HOSTILE: list[Any] = [
    {"checks": [{"name": "x" * 10_000, "ok": "yes", "sentence": None}] * 50},
    {"checks": ["a", 7, None, {"name": {"a": 1}, "ok": 1, "sentence": ["b"]}], "state": []},
    {"checks": {"a": 1}, "state": {"center": ["a\u202eb\n" * 100, {"x": 1}], "up_s": "x", "center_digest": 9}},
    {"state": {"up_s": 1e300, "center": "all"}},
    "text",
    ["list"],
    None,
]


def test_a_hostile_examination_is_bounded(either: Cloud) -> None:
    cloud = either
    for detail in HOSTILE:
        made = asked(cloud, Order(What.EXAMINE))
        cloud.take(cloud.gateway.event(EventType.ANSWER, "gw-1", command=made, result="done", detail=detail))
        found = known(cloud).examination
        assert found is not None
        for check in found.checks:
            assert all(len(text) <= MAX_LINE and text.isprintable() for text in (check.name, check.sentence))
        assert all(key.isprintable() for key in found.center)
    kept = [row.detail for row in cloud.rows(schema.remote_ask)]
    assert len(kept) == len(HOSTILE)
    assert max(len(json.dumps(detail)) for detail in kept) <= 2 * MAX_DETAIL_BYTES


def test_a_hostile_log_is_shown_as_text_of_one_line_each(cloud: Cloud) -> None:
    lines = [
        '{"time": "2026-11-22T08:00:00Z", "level": "info", "logger": "a", "message": "port open", "port": "radio"}',
        "<script>alert(1)</script>\x1b[31m\u202e",
        "[" * 400,
        '{"time": {"a": []}, "level": 7, "message": null}',
        7,
    ]
    made = asked(cloud, Order(What.LOG))
    answered(cloud, made, "done", lines=lines, left_out=float(10**13))
    log = known(cloud).log
    assert log is not None
    assert log.lines[0].text == "port open port=radio"
    assert log.lines[1].text == "<script>alert(1)</script>·[31m·"
    assert (len(log.lines), log.left_out) == (4, 0)
    assert all(text.isprintable() for line in log.lines for text in (line.time, line.level, line.text))


def test_that_a_gateway_works_by_something_else_is_seen(cloud: Cloud) -> None:
    answered(cloud, configured(cloud, QUIET), "done")
    for config, differs in ((QUIET, False), ({}, True)):
        state = {"center": sorted(config), "center_digest": config_digest(config)}
        answered(cloud, asked(cloud, Order(What.EXAMINE)), "done", checks=[], state=state)
        assert known(cloud).differs is differs


def test_old_asks_go_but_for_the_change_in_force(either: Cloud) -> None:
    cloud = either
    (kind,) = [each for each in KINDS if each.name == "asks"]
    now = time.time_ns()
    for age_days, config in ((500, QUIET), (450, LOUD)):
        made = configured(cloud, config, now - age_days * 86_400 * NS)
        answered(cloud, made, "done")
        with cloud.database.transaction() as connection:
            earlier = {"answered_ns": now - age_days * 86_400 * NS}
            connection.execute(update(schema.remote_ask).where(schema.remote_ask.c.id == made).values(**earlier))
    asked(cloud, Order(What.EXAMINE), now - 500 * 86_400 * NS)
    before_ns = now - kind.days(RetentionConfig()) * 86_400 * NS
    with cloud.database.transaction() as connection:
        due = connection.execute(select(kind.key).where(kind.is_due(before_ns))).scalars().all()
        kind.remove(connection, due, now)
        assert journal.check(connection).broken_at is None
    assert [(row.what, row.state) for row in cloud.rows(schema.remote_ask) if row.what == What.CONFIGURE] == [
        (What.CONFIGURE, State.DONE)
    ]
    assert known(cloud).config == LOUD
    assert len(known(cloud).waiting) == 1, "what is open stays"


REFUSED: list[tuple[Any, str]] = [
    ({"gateway": "gw-2"}, "gateway cannot be changed"),
    ({"data_dir": "/"}, "data_dir cannot be changed"),
    ({"profile_dir": "/tmp"}, "profile_dir cannot be changed"),
    ({"device": []}, "device cannot be changed"),
    ({"local_alarm_after_s": 3600}, "from 0 to 60"),
    ({"status_period_s": True}, "from 1 to 30"),
    ({"local_mqtt": {"host": "elsewhere"}}, "local_mqtt.host cannot be changed"),
    ({"local_mqtt": {"password_file": "/etc/shadow"}}, "password_file cannot be changed"),
    ({"serial": [{"name": "a", "port": "/dev/ttyUSB0"}]}, "serial[0].driver is missing"),
    ({"serial": "all"}, "list of tables"),
    ({"log_level": "loud"}, "must be one of"),
    ({"metrics": {"host": "a\nb"}}, "printable"),
    ({"metrics": {"host": None}}, "texts, numbers"),
    ({"serial": [{"name": "a", "port": "b", "driver": "c", "options": {"x": "y" * 513}}]}, "at most 512"),
    ({"local_mqtt": {"options": {"a": {"b": {"c": {"d": {"e": {"f": {}}}}}}}}}, "too deep"),
    ({"siren": [{"kind": "zigbee", "target": "x" * 500}] * 9}, "at most 4096 bytes"),
    ({"telemetry_max_mb": 2**80}, "too great"),
    ([], "a table of keys"),
]


@pytest.mark.parametrize(("config", "reason"), REFUSED)
def test_what_the_center_may_not_change_is_named(config: Any, reason: str) -> None:
    assert reason in (config_fault(config) or "")


def test_what_the_center_may_not_change_is_not_sent(cloud: Cloud) -> None:
    for config, _ in REFUSED:
        with pytest.raises(RefusedError):
            configured(cloud, config)
    assert cloud.count(schema.command) == 0


def test_an_answer_moves_an_ask_only_forward() -> None:
    for what in What:
        for before in State:
            for result in (*State, "odd"):
                after = after_answer(what, before, result)
                if after is None:
                    continue
                assert before in OPEN | {State.EXPIRED, State.REPLACED}
                assert after not in {State.ASKED, State.EXPIRED, State.REPLACED}
                assert after is not State.TRIAL or what is What.CONFIGURE
