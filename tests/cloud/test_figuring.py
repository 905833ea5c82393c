"""The journal folded into rows: whoever reads has the journal's end, however far the desk came."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, delete, event, insert, select, update

from cloud_center import Cloud
from hearthline.clock import NS
from hearthline_cloud import figuring, journal, schema
from hearthline_cloud.alerts.figures import Case
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome
from hearthline_cloud.database import Database
from hearthline_cloud.desk import Desk
from hearthline_cloud.figuring import Figurer, Period, fold_once, read_cases

ALL = Period(AlertKind.EMERGENCY, 0, 2**62)


def cases(cloud: Cloud, period: Period = ALL) -> list[Case]:
    with cloud.database.reading() as connection:
        return sorted(read_cases(connection, period))


def fold_all(cloud: Cloud) -> int:
    folded = 0
    while page := fold_once(cloud.database):
        folded += page
    return folded


def press(cloud: Cloud, role: str = "emergency") -> int:
    cloud.take(cloud.gateway.press(role))
    return int(cloud.rows(schema.alert)[-1].id)


def begin(cloud: Cloud, alert: int) -> int:
    return int(cloud.rows(schema.alert)[alert - 1].raised_ns)


def whole_way(cloud: Cloud) -> int:
    """A call that is answered, visited, closed, and reopened, which empties half of the alert's own row."""
    desk, alert = Desk(cloud.database, cloud.waker), press(cloud)
    at = begin(cloud, alert)
    desk.acknowledge(alert, "mei", at + 20 * NS)
    desk.attend(alert, "mei", at + 60 * NS)
    desk.arrive(alert, "mei", at + 900 * NS)
    desk.resolve(alert, Outcome.HELP_GIVEN, "mei", at + 1000 * NS)
    desk.reopen(alert, "she called again", "jun", at + 2000 * NS)
    return alert


def test_a_reopened_case_is_measured_by_the_journal_not_by_the_alerts_row(cloud: Cloud) -> None:
    alert = whole_way(cloud)
    row = cloud.rows(schema.alert)[0]
    assert (row.attending_ns, row.arrived_ns, row.outcome) == (None, None, None)
    at = begin(cloud, alert)
    expected = Case(at, at + 20 * NS, "mei", at + 60 * NS, at + 900 * NS, None, None, 0, 1, False, None,
                    "home-1", "gw-1", "enocean:1")  # fmt: skip
    assert cases(cloud) == [expected]
    fold_all(cloud)
    assert cases(cloud) == [expected]


def test_however_far_the_desk_came_a_reader_has_the_journals_end(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figuring, "_PAGE", 2)
    desk = Desk(cloud.database, cloud.waker)
    for outcome in (Outcome.HELP_GIVEN, Outcome.FALSE_ALARM):
        alert = whole_way(cloud)
        desk.resolve(alert, outcome, "jun", begin(cloud, alert) + 3000 * NS)
    press(cloud)
    press(cloud)  # joins
    press(cloud, "service")
    before = cases(cloud)
    assert (len(before), len(cases(cloud, Period(AlertKind.SERVICE, 0, 2**62)))) == (3, 1)
    pages = 0
    while fold_once(cloud.database):
        pages += 1
        assert cases(cloud) == before
    assert pages > 5
    assert len(cloud.rows(schema.figure)) == 4
    last = max(row.id for row in cloud.rows(schema.journal))
    assert cloud.rows(schema.figure_cursor)[0].journal_id == last


def test_what_is_no_call_of_a_person_is_no_case(cloud: Cloud) -> None:
    with cloud.database.transaction() as connection:
        values = {"kind": AlertKind.GATEWAY_SILENT, "join_key": "x", "state": "raised", "gateway_id": "gw-1"}
        connection.execute(insert(schema.alert).values(**values, device_id="", raised_ns=1))
        journal.append(connection, "raised", 1, {}, alert=1, actor="system")
    assert fold_all(cloud) == 0
    assert cases(cloud, Period(AlertKind.GATEWAY_SILENT, 0, 2**62)) == []


def test_a_period_and_a_community_hold_their_own_cases_alone(cloud: Cloud) -> None:
    alert = press(cloud)
    at = begin(cloud, alert)
    for folded in (False, True):
        if folded:
            fold_all(cloud)
        assert len(cases(cloud, Period(AlertKind.EMERGENCY, at, at + 1))) == 1
        assert cases(cloud, Period(AlertKind.EMERGENCY, at - 1, at)) == []
        assert cases(cloud, Period(AlertKind.EMERGENCY, at + 1, at + 2)) == []
        assert len(cases(cloud, Period(AlertKind.EMERGENCY, at, at + 1, frozenset({"com-1"})))) == 1
        assert cases(cloud, Period(AlertKind.EMERGENCY, at, at + 1, frozenset({"com-2"}))) == []


def test_two_desks_fold_each_entry_once(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figuring, "_PAGE", 3)
    desk = Desk(cloud.database, cloud.waker)
    for _ in range(5):
        alert = whole_way(cloud)
        desk.resolve(alert, Outcome.HELP_GIVEN, "jun", begin(cloud, alert) + 3000 * NS)
    before = cases(cloud)
    with ThreadPoolExecutor(2) as desks:
        list(desks.map(lambda _: fold_all(cloud), range(2)))
    assert cases(cloud) == before
    assert {row.reopened for row in cloud.rows(schema.figure)} == {1}


@contextmanager
def dying(cloud: Cloud) -> Iterator[None]:
    """The process ends with the last statement before the commit."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    event.listen(cloud.database.engine, "commit", die)
    try:
        yield
    finally:
        event.remove(cloud.database.engine, "commit", die)


def test_killed_before_the_commit_nothing_is_folded_and_the_next_desk_does_it(cloud: Cloud) -> None:
    whole_way(cloud)
    before = cases(cloud)

    with pytest.raises(KeyboardInterrupt), dying(cloud):
        fold_once(cloud.database)
    assert cloud.rows(schema.figure) == []
    assert cases(cloud) == before
    assert fold_all(cloud) == 6
    assert cases(cloud) == before


def test_a_reader_does_not_walk_through_what_is_no_case_for_ever(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figuring, "_BEHIND", 5)
    whole_way(cloud)
    fold_all(cloud)
    for length, moves in ((4, 0), (1, 5)):
        begin = cloud.rows(schema.figure_cursor)[0].journal_id
        with cloud.database.transaction() as connection:
            for _ in range(length):
                journal.append(connection, "device", 1, {})
        assert fold_once(cloud.database) == 0
        assert cloud.rows(schema.figure_cursor)[0].journal_id == begin + moves


def test_an_empty_journal_is_no_fault(cloud: Cloud) -> None:
    assert fold_once(cloud.database) == 0
    assert cases(cloud) == []


def test_a_page_that_another_desk_has_folded_meanwhile_is_left_to_it(cloud: Cloud) -> None:
    whole_way(cloud)
    before = cases(cloud)

    class Slow(Database):
        """Another desk is faster, between the look and the writing."""

        @contextmanager
        def reading(self) -> Iterator[Connection]:
            with super().reading() as connection:
                yield connection
            fold_all(cloud)

    slow = Slow(cloud.database.url)
    fold_once(slow)
    slow.close()
    assert len(cloud.rows(schema.figure)) == 1
    assert cases(cloud) == before


def test_rows_that_are_thrown_away_are_made_anew_from_the_journal(cloud: Cloud) -> None:
    whole_way(cloud)
    fold_all(cloud)
    before = cloud.rows(schema.figure)
    with cloud.database.transaction() as connection:
        connection.execute(delete(schema.figure))
        connection.execute(update(schema.figure_cursor).values(journal_id=0))
    fold_all(cloud)
    assert cloud.rows(schema.figure) == before


def test_the_thread_folds_by_itself_and_stops(cloud: Cloud) -> None:
    whole_way(cloud)
    done = threading.Event()

    def after() -> int:
        with cloud.database.reading() as connection:
            if connection.execute(select(schema.figure.c.alert_id)).first() is not None:
                done.set()
        return 0

    figurer = Figurer(cloud.database, after)
    figurer.start()
    assert done.wait(20)
    figurer.stop()
    assert figurer.failed() is None
