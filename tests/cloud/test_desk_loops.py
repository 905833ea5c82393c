"""The loops of the role desk: none reads through what is over, and nothing odd about one case stops the others."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import event, insert, update
from sqlalchemy.exc import OperationalError

from cloud_center import Cloud
from hearthline.clock import NS
from hearthline_cloud import figuring, schema
from hearthline_cloud.alerts.escalation import SHIPPED, Reach
from hearthline_cloud.config import ChannelConfig
from hearthline_cloud.escalating import escalate_once
from hearthline_cloud.notify.channels import Opened
from hearthline_cloud.notify.port import Message, Result
from hearthline_cloud.notify.sending import UNMADE, Worker, _due
from hearthline_cloud.ordering import follow_orders
from hearthline_cloud.stuck import Stuck, take_each
from hearthline_cloud.telling import failing_channels
from personal_rows import put

NOW_NS = 1_800_000_000 * NS
_OPEN_ALONE = "uq_escalation_open"  # an index of the open alerts' timers, which each round walks


@pytest.mark.parametrize("either_url", ["sqlite"], indirect=True)
def test_what_is_looked_for_each_second_is_found_without_reading_through_old_cases(cloud: Cloud) -> None:
    """By SQLite's own plan: a table or index that is walked whole grows with every case there ever was."""
    asked: list[tuple[str, Any]] = []

    def listen(*told: Any) -> None:
        asked.append((told[2], told[3]))

    event.listen(cloud.database.engine, "before_cursor_execute", listen)
    escalate_once(cloud.database, SHIPPED, (), NOW_NS)
    follow_orders(cloud.database, (), NOW_NS)
    figuring.fold_once(cloud.database)
    with cloud.database.reading() as connection:
        failing_channels(connection, [Reach("duty")], NOW_NS)
        connection.execute(_due("duty", NOW_NS)).first()
    event.remove(cloud.database.engine, "before_cursor_execute", listen)
    looks = [each for each in asked if each[0].startswith("SELECT")]
    assert len(looks) >= 9
    for statement, values in looks:
        with cloud.database.reading() as connection:
            steps = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
        walked = [step for step in steps if step.startswith(("SCAN", "USE TEMP")) and _OPEN_ALONE not in step]
        assert not [step for step in walked if step not in ("SCAN CONSTANT ROW", "SCAN figure_cursor")], statement


REACHES = (Reach("duty"),)


def raise_alerts(cloud: Cloud, count: int) -> None:
    with cloud.database.transaction() as connection:
        for number in range(1, count + 1):
            values = {"kind": "emergency", "join_key": f"k-{number}", "state": "raised", "home_id": "home-1"}
            connection.execute(
                insert(schema.alert).values(**values, gateway_id="gw-1", device_id="", presses=1, raised_ns=NOW_NS)
            )


def climb(cloud: Cloud, stuck: Stuck, seconds: float) -> None:
    while escalate_once(cloud.database, SHIPPED, REACHES, NOW_NS + round(seconds * NS), fail=stuck.failed):
        stuck.end_round()
    stuck.end_round()


def test_an_alert_that_cannot_be_escalated_stops_no_other_is_told_and_goes_on_when_it_can(cloud: Cloud) -> None:
    raise_alerts(cloud, 25)
    stuck = Stuck()
    climb(cloud, stuck, 0)
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.escalation).where(schema.escalation.c.alert_id == 7).values(waits_for="?"))
    climb(cloud, stuck, 61)
    told = {row.alert_id for row in cloud.rows(schema.notification)}
    assert told == set(range(1, 26)) - {7}
    (fault,) = stuck.faults()
    assert fault.facts == {"alert": "7", "error": "ValueError"}
    assert "alert 7" in str(fault)
    with cloud.database.transaction() as connection:
        connection.execute(
            update(schema.escalation).where(schema.escalation.c.waits_for == "?").values(waits_for="step")
        )
    climb(cloud, stuck, 62)
    assert stuck.faults() == []
    assert len(cloud.rows(schema.notification)) == 25, "and nobody was told twice"


def test_an_order_that_cannot_be_followed_stops_no_other(cloud: Cloud) -> None:
    raise_alerts(cloud, 2)
    stuck = Stuck()
    climb(cloud, stuck, 0)
    with cloud.database.transaction() as connection:
        put(connection, schema.volunteer, id="v-1", community_id="com-1", name="Wu", phone="+861")
        for alert, kind in ((1, "?"), (2, "volunteer")):
            values = {"alert_id": alert, "escalation_id": alert, "climb": 0, "kind": kind, "volunteer_id": "v-1"}
            times = {"made_ns": NOW_NS, "changed_ns": NOW_NS, "expires_ns": NOW_NS, "due_ns": NOW_NS, "wait_ns": NS}
            connection.execute(insert(schema.work_order).values(**values, **times, state="issued", subject="center"))
    assert follow_orders(cloud.database, REACHES, NOW_NS, stuck.failed) == 1
    stuck.end_round()
    assert [fault.facts["alert"] for fault in stuck.faults()] == ["1"]
    assert [row.state for row in cloud.rows(schema.work_order)] == ["issued", "expired"]


def test_a_database_that_is_away_is_no_fault_of_an_alert(cloud: Cloud) -> None:
    stuck = Stuck()

    def away(*_: Any) -> int:
        raise OperationalError("SELECT", {}, Exception("locked"))

    with pytest.raises(OperationalError):
        take_each(cloud.database, [1, 2], away, stuck.failed)
    stuck.end_round()
    assert stuck.faults() == []


class Raising:
    """A channel whose client has a bug, as long as `error` stands."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.error: Exception | None = None

    def send(self, message: Message) -> Result:
        if self.error is not None:
            raise self.error
        self.got.append(message)
        return Result(True, "ok")


def test_a_channel_whose_client_raises_is_tried_again(cloud: Cloud) -> None:
    raise_alerts(cloud, 1)
    climb(cloud, Stuck(), 0)
    climb(cloud, Stuck(), 60)
    channel, now_ns = Raising(), [NOW_NS + 60 * NS]
    opened = Opened(ChannelConfig(name="duty", kind="webhook"), channel)
    worker = Worker(cloud.database, cloud.waker, opened, threading.Event(), lambda: now_ns[0])
    channel.error = UnicodeError("a name that is no name")
    assert worker.send_one()
    assert [(row.state, row.result) for row in cloud.rows(schema.notification)] == [("queued", "UnicodeError")]
    channel.error = None
    now_ns[0] += 3 * NS
    assert worker.send_one()
    assert [row.state for row in cloud.rows(schema.notification)] == ["sent"]


def test_a_message_that_cannot_be_made_is_given_up_and_those_behind_it_go_out(cloud: Cloud) -> None:
    raise_alerts(cloud, 2)
    climb(cloud, Stuck(), 0)
    climb(cloud, Stuck(), 60)
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.notification).where(schema.notification.c.alert_id == 1).values(order_id=99))
    channel = Raising()
    opened = Opened(ChannelConfig(name="duty", kind="webhook"), channel)
    worker = Worker(cloud.database, cloud.waker, opened, threading.Event(), lambda: NOW_NS + 60 * NS)
    while worker.send_one():
        pass
    assert [(row.alert_id, row.state) for row in cloud.rows(schema.notification)] == [(1, "failed"), (2, "sent")]
    (entry,) = [row for row in cloud.rows(schema.journal) if row.kind == "not-notified"]
    assert (entry.alert_id, entry.detail["result"]) == (1, f"{UNMADE}: NoResultFound")
    assert len(channel.got) == 1
