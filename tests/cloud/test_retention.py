"""What is old goes, and nothing else: no open case, no young row, no entry without which the journal's chain breaks."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, delete, insert, update
from typer.testing import CliRunner

from cloud_center import Cloud, remove_old_in_a_process
from hearthline.model import EventType
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome, State
from hearthline_cloud.commands import app
from hearthline_cloud.config import RetentionConfig
from hearthline_cloud.database import Database
from hearthline_cloud.desk import Desk
from hearthline_cloud.figuring import Period, fold_once, read_cases
from hearthline_cloud.ingest.aside import COUNTER
from hearthline_cloud.personal.vault import open_notes
from hearthline_cloud.retention.job import Retainer, remove_all
from hearthline_cloud.retention.kinds import KINDS
from hearthline_cloud.retention.removing import DAY_NS, days_of, horizons, standing, tell
from personal_rows import put
from trials import trials

CONFIG = RetentionConfig()
WORDS = "摔倒在浴室"
ASKS = (("in-force", "configure", "done"), ("looked", "examine", "done"), ("waiting", "configure", "asked"))
COMMANDS = {"answered", "waits", "test-True"}
YEARS_NS = 6 * 365 * DAY_NS


def close_case(cloud: Cloud, device: str = "enocean:1") -> int:
    """A press that was answered, with a note, a report and a message; the case's number."""
    cloud.take(cloud.gateway.press(device=device))
    case = cloud.rows(schema.alert)[-1].id
    now_ns = time.time_ns()
    desk = Desk(cloud.database, cloud.waker)
    desk.acknowledge(case, "mei", now_ns)
    desk.note(case, WORDS, "mei", now_ns)
    desk.resolve(case, Outcome.HELP_GIVEN, "mei", now_ns)
    with cloud.database.transaction() as connection:
        values = {"alert_id": case, "climb": 0, "step": 0, "waits_for": "step", "began_ns": 5, "due_ns": 5, "set_ns": 5}
        step = connection.execute(
            insert(schema.escalation).values(**values, version=1).returning(schema.escalation.c.id)
        )
        order = {"alert_id": case, "escalation_id": step.scalar_one(), "climb": 0, "kind": "call-back", "words": WORDS}
        order |= {"state": "reported", "made_ns": now_ns, "changed_ns": now_ns, "expires_ns": now_ns}
        put(connection, schema.work_order, **order, subject="resident:res-1")
        message = {"alert_id": case, "escalation_id": order["escalation_id"], "channel": "duty", "contact": -1}
        times = {"created_ns": now_ns, "next_try_ns": now_ns, "done_ns": now_ns}
        connection.execute(insert(schema.notification).values(**message, **times, state="sent"))
        connection.execute(insert(schema.feedback).values(alert_id=case, whom="contact", expires_ns=now_ns))
    return int(case)


def event_of(name: str, now_ns: int, type_: EventType = EventType.ALARM) -> dict[str, Any]:
    told = {"gateway_id": "gw-1", "event_id": name, "type": type_, "device_id": "gw-1", "outbox": "o", "seq": 1}
    return told | {"boot": "b", "occurred_ns": now_ns, "received_ns": now_ns, "time_quality": "synced", "data": {}}


def prove(connection: Connection, now_ns: int, shown: bool) -> None:
    """A self-test that came through; `shown`: it still stands in the gateway's list."""
    name = f"test-{shown}"
    values = {"kind": AlertKind.SELF_TEST, "join_key": name, "state": State.RESOLVED, "gateway_id": "gw-1"}
    times = {"raised_ns": now_ns, "resolved_ns": now_ns}
    proof = insert(schema.alert).values(**values, **times, device_id="gw-1").returning(schema.alert.c.id)
    case = connection.execute(proof).scalar_one()
    connection.execute(insert(schema.event).values(**event_of(name, now_ns), alert_id=case))
    if shown:
        test = {"id": name, "gateway_id": "gw-1", "asked_ns": now_ns, "asked_by": "mei", "alert_id": case}
        connection.execute(insert(schema.self_test).values(**test))


def add_run(connection: Connection, name: str, now_ns: int, worth: str = "", decided_ns: int | None = 5) -> int:
    """A run that is over, with one press; its key."""
    run = {"gateway_id": "gw-1", "run": name, "begun_ns": now_ns, "until_ns": now_ns, "standing": worth}
    made = insert(schema.commissioning).values(**run).returning(schema.commissioning.c.id)
    key: int = connection.execute(made).scalar_one()
    press = {"event_key": 0, "event_id": name, "device_id": "enocean:1", "ordinal": 1, "decided_ns": decided_ns}
    times = {"made_ns": now_ns, "received_ns": now_ns, "time_quality": "synced"}
    connection.execute(insert(schema.commissioning_press).values(commissioning_id=key, **press, **times))
    return key


def add_step(connection: Connection, run: int, device: str, state: str = "passed") -> None:
    values = {"gateway_id": "gw-1", "place": 0, "device_id": device, "room": "", "what": "press", "state": state}
    connection.execute(insert(schema.commissioning_step).values(commissioning_id=run, **values))


def commission(connection: Connection, now_ns: int) -> None:
    """A run that was given up, a report, one that supersedes it, a press that waits; an offer that is over, and not."""
    add_run(connection, "given-up", now_ns)
    for name, worth in (("superseded", "unsigned"), ("newest", "signed")):
        add_step(connection, add_run(connection, name, now_ns, worth), "enocean:1")
    add_run(connection, "pair-waits", now_ns, decided_ns=None)
    for name, sealed in (("over", ""), ("open", "x")):
        offer = {"id": name, "gateway_id": "gw-1", "kind": "code", "again": False, "made_by": "mei", "verifier": ""}
        connection.execute(insert(schema.enrolment).values(**offer, sealed=sealed, made_ns=now_ns, ends_ns=now_ns))


def fill(cloud: Cloud) -> None:
    """One row of every kind that has an end, and beside each one that has none."""
    close_case(cloud)
    gateway = cloud.gateway
    cloud.take(gateway.event(EventType.VITAL, "cuff:1", values=[]), gateway.event(EventType.ACTIVITY))
    cloud.take(gateway.event(EventType.DEVICE), gateway.message(b"no JSON"))
    cloud.take(gateway.press(device="enocean:2"))  # nobody answers
    now_ns = time.time_ns()
    with cloud.database.transaction() as connection:
        for shown in (False, True):
            prove(connection, now_ns, shown)
        lasting = {"kind": AlertKind.GATEWAY_SILENT, "join_key": "s", "state": State.RESOLVED, "gateway_id": "gw-9"}
        lasts = {"raised_ns": now_ns, "resolved_ns": now_ns, "since_ns": now_ns}
        connection.execute(insert(schema.alert).values(**lasting, **lasts, device_id=""))
        for to_ns in (now_ns, now_ns + 2 * YEARS_NS):
            window = {"what": "absence", "scope": "home", "scope_id": "home-1", "from_ns": now_ns, "to_ns": to_ns}
            by = {"reason": WORDS, "declared_by": "mei", "declared_ns": now_ns}
            put(connection, schema.declared, **window, **by, subject="home:home-1")
            connection.execute(insert(schema.unwatched).values(why="desk", from_ns=now_ns, to_ns=to_ns))
        connection.execute(
            insert(schema.kept_aside).values(
                id=COUNTER, topic="", payload=b"7", reason="7 older ones, only counted", received_ns=now_ns
            )
        )
        for name in COMMANDS:
            answered_ns = None if name == "waits" else now_ns
            times = {"created_ns": now_ns, "next_attempt_ns": now_ns, "answered_ns": answered_ns}
            connection.execute(insert(schema.command).values(id=name, gateway_id="gw-1", body={}, **times))
        for name, what, state in ASKS:
            values = {"id": name, "what": what, "state": state, "asked_ns": now_ns, "asked_by": "boss"}
            connection.execute(insert(schema.remote_ask).values(gateway_id="gw-1", **values))
        commission(connection, now_ns)
        staff = {"name": "mei", "password_hash": "", "role": "operator", "created_ns": now_ns}
        connection.execute(insert(schema.staff).values(**staff, center_wide=True))
        for name, ends_ns in (("ended", now_ns), ("open", now_ns + 2 * YEARS_NS)):
            values = {"token_hash": name, "staff_name": "mei", "created_ns": now_ns}
            connection.execute(insert(schema.session).values(**values, seen_ns=now_ns, expires_ns=ends_ns))
            connection.execute(insert(schema.known_device).values(**{**values, "created_ns": ends_ns}))


def fold(cloud: Cloud) -> None:
    while fold_once(cloud.database):
        pass


def due(cloud: Cloud, now_ns: int) -> dict[str, int]:
    with cloud.database.reading() as connection:
        return {each.kind: each.due for each in standing(connection, CONFIG, now_ns)}


def checked(cloud: Cloud, known: str | None = None) -> journal.Verdict:
    with cloud.database.reading() as connection:
        return journal.check(connection, known)


def test_each_kind_is_due_when_its_days_are_over_and_not_before(cloud: Cloud) -> None:
    fill(cloud)
    fold(cloud)
    now_ns = time.time_ns()
    kinds = days_of(CONFIG)
    for days in sorted(set(kinds.values())):
        before, after = due(cloud, now_ns + (days - 1) * DAY_NS), due(cloud, now_ns + (days + 1) * DAY_NS)
        for kind in (kind for kind, its in kinds.items() if its == days):
            assert (before[kind], after[kind]) == (0, 6 if kind == "journal" else 1), kind


def test_what_is_old_goes_and_all_that_is_open_or_lasts_stays(cloud: Cloud) -> None:
    fill(cloud)
    fold(cloud)
    before = checked(cloud)
    kept = cloud.rows(schema.alert)[1:]
    remove_all(cloud.database, CONFIG, time.time_ns() + YEARS_NS)

    left = {row.id: row for row in cloud.rows(schema.alert)}
    assert [row.kind for row in left.values()] == [AlertKind.EMERGENCY, AlertKind.SELF_TEST, AlertKind.GATEWAY_SILENT]
    assert left[kept[0].id].state == State.RAISED
    for table in (schema.escalation, schema.notification, schema.work_order, schema.feedback):
        assert cloud.count(table) == 0
    assert sorted(row.type for row in cloud.rows(schema.event)) == [EventType.ALARM, EventType.ALARM]
    assert [row.id for row in cloud.rows(schema.kept_aside)] == [COUNTER]
    assert {row.id for row in cloud.rows(schema.command)} & COMMANDS == {"waits", "test-True"}
    assert [row.id for row in cloud.rows(schema.remote_ask)] == ["in-force", "waiting"]
    assert [row.run for row in cloud.rows(schema.commissioning)] == ["newest", "pair-waits"]
    assert (cloud.count(schema.commissioning_press), cloud.count(schema.commissioning_step)) == (2, 1)
    assert [row.id for row in cloud.rows(schema.enrolment)] == ["open"]
    assert [row.token_hash for row in cloud.rows(schema.session)] == ["open"]
    assert [row.token_hash for row in cloud.rows(schema.known_device)] == ["open"]
    assert [row.reason for row in cloud.rows(schema.declared)] == [WORDS]
    assert cloud.count(schema.unwatched) == 1

    open_case = kept[0].id
    entries = cloud.rows(schema.journal)
    assert [row.kind for row in entries] == ["raised", journal.PRUNED]
    assert entries[0].alert_id == open_case
    verdict = checked(cloud)
    assert (verdict.broken_at, verdict.removed + verdict.entries) == (None, before.entries + 1)
    told = tell(cloud.database, time.time_ns() + YEARS_NS)
    assert told == dict.fromkeys([kind.name for kind in KINDS], 1) | {"journal": verdict.removed}
    assert cloud.rows(schema.journal)[-1].detail == {"removed": told}
    assert tell(cloud.database, time.time_ns() + YEARS_NS) == {}


def test_a_report_that_is_needed_stays_with_the_runs_that_it_may_be_made_of(cloud: Cloud) -> None:
    now_ns = time.time_ns()
    with cloud.database.transaction() as connection:
        put(connection, schema.device, gateway_id="gw-1", id="lora:1", registered=True)
        add_run(connection, "before-the-last-word", now_ns)
        add_step(connection, add_run(connection, "last-word", now_ns, "signed"), "lora:1")
        add_step(connection, add_run(connection, "to-do", now_ns, "unsigned"), "gone:1", "failed")
        add_step(connection, add_run(connection, "of-nothing-now", now_ns, "signed"), "gone:1")
        add_run(connection, "pair-bound", now_ns)
        add_run(connection, "of-the-newest", now_ns)
        add_run(connection, "newest", now_ns, "signed")
        add_step(connection, add_run(connection, "unsigned", now_ns, "unsigned"), "lora:1")
    remove_all(cloud.database, CONFIG, now_ns + YEARS_NS)
    left = {row.run for row in cloud.rows(schema.commissioning)}
    assert left == {"last-word", "to-do", "of-the-newest", "newest", "unsigned"}
    with cloud.database.transaction() as connection:
        add_step(connection, add_run(connection, "again", now_ns, "signed"), "lora:1")
        connection.execute(update(schema.commissioning_step).values(closed_ns=now_ns))
    remove_all(cloud.database, CONFIG, now_ns + YEARS_NS)
    assert [row.run for row in cloud.rows(schema.commissioning)] == ["again"]


def test_words_go_before_the_case_and_the_chain_holds(cloud: Cloud) -> None:
    case = close_case(cloud)
    remove_all(cloud.database, CONFIG, time.time_ns() + (CONFIG.words_days + 1) * DAY_NS)
    notes = [row.detail for row in cloud.rows(schema.journal) if row.kind == "note"]
    assert [list(detail) for detail in notes] == [[journal.ERASED]]
    assert [row.words for row in cloud.rows(schema.work_order)] == [""]
    assert [row.id for row in cloud.rows(schema.alert)] == [case]
    assert checked(cloud).broken_at is None
    later_ns = time.time_ns() + YEARS_NS
    Desk(cloud.database, cloud.waker).reopen(case, "again", "mei", later_ns)
    assert due(cloud, later_ns + YEARS_NS)["words"] == 0  # open
    Desk(cloud.database, cloud.waker).resolve(case, Outcome.HELP_GIVEN, "mei", later_ns)
    assert due(cloud, later_ns + YEARS_NS)["words"] == 1  # it has new ones


class Interrupted(Database):
    """Somebody is quicker: `first` is done by another connection before each transaction."""

    first: Callable[[], object]

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        self.first()
        with super().transaction() as connection:
            yield connection


def test_a_case_that_is_reopened_in_between_stays_whole(cloud: Cloud) -> None:
    case = close_case(cloud)
    fold(cloud)
    before = len(cloud.rows(schema.journal))
    desk = Desk(cloud.database, cloud.waker)
    done: list[object] = []

    def reopen() -> None:
        if not done:
            done.append(desk.reopen(case, "she calls again", "mei", time.time_ns()))

    quicker = Interrupted(cloud.database.url)
    quicker.first = reopen
    remove_all(quicker, CONFIG, time.time_ns() + YEARS_NS)
    quicker.close()
    assert [(row.id, row.state) for row in cloud.rows(schema.alert)] == [(case, State.ACKNOWLEDGED)]
    assert len(cloud.rows(schema.journal)) == before + 2  # reopened, why
    assert cloud.count(schema.event) == 1
    with cloud.database.reading() as connection:
        assert {"text": WORDS} in open_notes(connection, cloud.rows(schema.journal))


def test_the_figures_stay_and_what_is_not_in_them_yet_too(cloud: Cloud) -> None:
    close_case(cloud)
    now_ns = time.time_ns()
    remove_all(cloud.database, CONFIG, now_ns + YEARS_NS)
    assert cloud.count(schema.alert) == 1  # nobody has folded it
    fold(cloud)
    period = Period(AlertKind.EMERGENCY, 0, 2 * now_ns)
    with cloud.database.reading() as connection:
        before = read_cases(connection, period)
    remove_all(cloud.database, CONFIG, now_ns + YEARS_NS + DAY_NS)
    assert cloud.count(schema.alert) == 0
    with cloud.database.reading() as connection:
        assert read_cases(connection, period) == before
    assert [case.outcome for case in before] == [Outcome.HELP_GIVEN]


def test_the_number_of_a_case_is_never_given_twice(cloud: Cloud) -> None:
    case = close_case(cloud)
    fold(cloud)
    remove_all(cloud.database, CONFIG, time.time_ns() + YEARS_NS)
    assert cloud.count(schema.alert) == 0
    assert close_case(cloud) > case


def test_a_clock_that_is_years_ahead_costs_a_day(cloud: Cloud) -> None:
    now_ns = time.time_ns()
    remove_all(cloud.database, CONFIG, now_ns)
    close_case(cloud)
    fold(cloud)
    for _ in range(3):
        remove_all(cloud.database, CONFIG, now_ns + 20 * YEARS_NS)
    assert cloud.count(schema.alert) == 1
    with cloud.database.reading() as connection:
        assert horizons(connection)["cases"] == now_ns - (CONFIG.cases_days - 3) * DAY_NS


# --- the chain ----------------------------------------------------------------------------------------------------


@pytest.fixture
def pruned(cloud: Cloud) -> Cloud:
    """Ten entries, of which the first six are removed; the stub is the eleventh."""
    with cloud.database.transaction() as connection:
        for place in range(10):
            journal.append(connection, "gateway", 1000 + place, {"place": place})
        assert journal.prune(connection, 6, 1006, 2000) == 6
    return cloud


def test_the_chain_begins_after_what_was_removed(pruned: Cloud) -> None:
    verdict = checked(pruned)
    assert (verdict.entries, verdict.removed, verdict.broken_at) == (5, 6, None)
    stub = pruned.rows(schema.journal)[-1].detail
    assert (stub["through"], stub["entries"]) == (6, 6)
    assert checked(pruned, stub["hash"]).known_at == 6
    assert checked(pruned, journal.GENESIS).known_at is None
    with pruned.database.transaction() as connection:
        assert journal.prune(connection, 8, 1008, 3000) == 2
    assert (checked(pruned).removed, checked(pruned).broken_at) == (8, None)


def test_a_pruned_journal_that_is_tampered_with_is_broken(pruned: Cloud) -> None:
    table = schema.journal
    other_stub = {"through": 7, "hash": "0" * 64, "entries": 7}
    tampers: list[Any] = [
        delete(table).where(table.c.id == 7),  # one more of the front
        delete(table).where(table.c.id == 11),  # the stub
        update(table).where(table.c.id == 11).values(detail=other_stub),
        update(table).where(table.c.id == 8).values(actor="eve"),
    ]
    for tamper in tampers:
        with pruned.database.engine.connect() as connection:  # rolled back at the end
            connection.execute(tamper)
            assert journal.check(connection).broken_at is not None
    assert checked(pruned).broken_at is None


def test_what_was_tampered_with_is_not_swept_away(pruned: Cloud) -> None:
    with pruned.database.transaction() as connection:
        connection.execute(update(schema.journal).where(schema.journal.c.id == 8).values(actor="eve"))
        assert journal.prune(connection, 10, 1010, 3000) == 1
        assert journal.prune(connection, 10, 1010, 3000) == 0
    assert checked(pruned).broken_at == 8


# --- killed, and two at once --------------------------------------------------------------------------------------


def test_killed_at_any_moment_and_run_by_two_nothing_is_lost_or_counted_twice(cloud: Cloud) -> None:
    for _ in range(3):
        close_case(cloud)
    with cloud.database.transaction() as connection:
        values = event_of("", time.time_ns(), EventType.ACTIVITY)
        connection.execute(insert(schema.event), [{**values, "event_id": str(number)} for number in range(2400)])
    cloud.take(cloud.gateway.press())
    fold(cloud)
    entries, now_ns = cloud.count(schema.journal), time.time_ns() + YEARS_NS
    context = multiprocessing.get_context("fork")  # spawned ones would import for seconds
    for least in (1600, 800, 100)[: trials(1, 3)]:
        start = context.Event()
        arguments = (cloud.database.url, now_ns, start)
        desks = [context.Process(target=remove_old_in_a_process, args=arguments) for _ in range(2)]
        for desk in desks:
            desk.start()
        start.set()
        wait_until(lambda least=least: cloud.count(schema.event) < least)  # type: ignore[misc]
        for desk in desks:
            desk.kill()
            desk.join(20)
        assert checked(cloud).broken_at is None
    remove_all(cloud.database, CONFIG, now_ns)
    assert [row.state for row in cloud.rows(schema.alert)] == [State.RAISED]
    verdict = checked(cloud)
    assert verdict.broken_at is None
    assert verdict.entries + verdict.removed == entries + stubs_made(cloud, entries)
    told = tell(cloud.database, now_ns)
    assert (told["cases"], told["activity"], told["journal"]) == (3, 2400, verdict.removed)


def stubs_made(cloud: Cloud, before: int) -> int:
    """Entries that were written since there were `before`: stubs alone."""
    return int(cloud.rows(schema.journal)[-1].id) - before


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- the job and the command --------------------------------------------------------------------------------------


def test_the_loop_removes_and_ends_when_it_is_told_to(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.take(cloud.gateway.event(EventType.ACTIVITY))
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.event).values(received_ns=time.time_ns() - 91 * DAY_NS))
    monkeypatch.setattr("hearthline_cloud.retention.job._FIRST_S", 0.01)
    loop = Retainer(CONFIG, cloud.database)
    loop.start()
    wait_until(lambda: cloud.count(schema.event) == 0)
    loop.stop()
    assert loop.failed() is None


def test_the_command_says_what_is_due_and_removes_it(cloud: Cloud, tmp_path: Path) -> None:
    cloud.take(cloud.gateway.event(EventType.ACTIVITY))
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.event).values(received_ns=time.time_ns() - 91 * DAY_NS))
    file = tmp_path / "cloud.toml"
    file.write_text(f'data_dir = "{tmp_path}"\ndatabase = "{cloud.database.url}"\n', encoding="utf-8")

    def said(*words: str) -> str:
        done = CliRunner().invoke(app, ["retention", *words, "--config", str(file)])
        assert done.exit_code == 0, done.output
        return done.stdout

    for words in (("show",), ("run", "--dry-run")):
        kinds = {each["kind"]: each for each in msgspec.json.decode(said(*words, "--json"))["kinds"]}
        assert kinds["activity"] == {"kind": "activity", "days": 90, "due": 1, "until_ns": None}
    assert "activity       90 days         1 due now  nothing removed yet" in said("show")
    assert said("run") == "Removed: 1 activity.\n"
    assert said("run") == "Removed: nothing: all of it is younger.\n"
    assert "none from before" in said("show")
