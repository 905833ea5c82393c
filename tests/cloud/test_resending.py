"""After a restore the gateways are asked for what the backup lacks; it comes as one alert that says what it is."""

from __future__ import annotations

import time

from cloud_center import Cloud, TestGateway
from hearthline.clock import NS, rfc3339
from hearthline.model import RESEND, RESENT, EventType
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import Outcome, State
from hearthline_cloud.desk import Desk
from hearthline_cloud.ingest.commands import due_commands
from hearthline_cloud.ingest.resending import MARGIN_S, ask_all

HOUR_NS = 3600 * NS


def ask(cloud: Cloud) -> str:
    with cloud.database.transaction() as connection:
        assert ask_all(connection, 5 * HOUR_NS, time.time_ns()) == 1
    return str(next(row.id for row in cloud.rows(schema.command) if row.body["type"] == RESEND))


def alerts(cloud: Cloud) -> list[tuple[str, int, bool]]:
    return [(row.state, row.presses, row.resent) for row in cloud.rows(schema.alert)]


def test_the_command_goes_out_for_thirty_days_and_says_since_when(cloud: Cloud) -> None:
    command = ask(cloud)
    now_ns = time.time_ns()
    for days, is_sent in ((0, True), (29, True), (31, False)):
        with cloud.database.transaction() as connection:
            sent = due_commands(connection, now_ns + days * 24 * HOUR_NS)
        assert [(gateway, each.id, each.type) for gateway, each in sent] == [("gw-1", command, RESEND)] * is_sent
        assert all(each.since == rfc3339(5 * HOUR_NS - MARGIN_S * NS) for _, each in sent)


def test_a_press_that_the_backup_lacks_raises_an_alert_that_says_so(cloud: Cloud) -> None:
    press = cloud.gateway.press(resent=ask(cloud))
    for _ in range(2):
        cloud.take(press)
    assert alerts(cloud) == [(State.RAISED, 1, True)]
    assert [row.detail.get("resent") for row in cloud.rows(schema.journal) if row.kind == "raised"] == [True]
    cloud.take(cloud.gateway.press())
    assert alerts(cloud) == [(State.RAISED, 2, False)]  # somebody presses now


def test_a_press_that_is_known_changes_nothing(cloud: Cloud) -> None:
    press = cloud.gateway.press()
    cloud.take(press)
    desk = Desk(cloud.database, cloud.waker)
    desk.acknowledge(1, "mei", time.time_ns())
    desk.resolve(1, Outcome.HELP_GIVEN, "mei", time.time_ns())
    before = cloud.count(schema.journal)
    press.data[RESENT] = ask(cloud)
    cloud.take(press)
    assert alerts(cloud) == [(State.RESOLVED, 1, False)]
    assert cloud.count(schema.journal) == before


def test_it_joins_an_open_case_of_the_home_which_stays_what_it_is(cloud: Cloud) -> None:
    cloud.take(cloud.gateway.press())
    cloud.take(cloud.gateway.press(resent=ask(cloud)))
    assert alerts(cloud) == [(State.RAISED, 2, False)]


def test_a_mark_that_this_center_has_not_asked_this_gateway_for_is_none(cloud: Cloud) -> None:
    command = ask(cloud)
    other = TestGateway("gw-2")
    cloud.take(other.message(other.press(resent=command)))
    for mark in ("command-9", 7, "é", "x" * 65):
        cloud.take(cloud.gateway.press(resent=mark))
    assert {row.resent for row in cloud.rows(schema.alert)} == {False}


def test_an_old_event_is_no_sign_of_life_of_its_device(cloud: Cloud) -> None:
    cloud.take(cloud.gateway.event(EventType.ACTIVITY, "door:1", resent=ask(cloud)))
    cloud.take(cloud.gateway.event(EventType.ACTIVITY, "door:2"))
    seen = {row.id: row.last_seen_ns for row in cloud.rows(schema.device)}
    assert seen["door:1"] is None
    assert seen["door:2"] is not None
    with cloud.database.reading() as connection:
        assert journal.check(connection).broken_at is None
