"""Commissioning at the center: which presses page nobody, that nothing real hides among them, whose report counts."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import delete, update

from authorities import made_authority
from cloud_center import Cloud, TestGateway
from commissioned_home import PENDANT, RUN, begun, ended, pressed, report, signature, step, to_do
from hearthline import wire
from hearthline.clock import NS
from hearthline.commissioning import MAX_REPORT_BYTES, MAX_STEPS, Hops, StepState
from hearthline.model import EventType
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.escalation import SHIPPED, Reach
from hearthline_cloud.api.journal import frames_after
from hearthline_cloud.commissioning import reading
from hearthline_cloud.commissioning.claiming import CLAIM_S, settle
from hearthline_cloud.commissioning.runs import MAX_UNKNOWN
from hearthline_cloud.escalating import escalate_once
from hearthline_cloud.identity import certificates
from hearthline_cloud.identity.authority import Authority
from personal_rows import put


@pytest.fixture
def database_url(file_url: str) -> str:
    """SQLite alone, but for the tests on `either`."""
    return file_url


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return made_authority(tmp_path_factory.mktemp("ca"), datetime.now(UTC).replace(microsecond=0))


def key_of(cloud: Cloud, authority: Authority, gateway: str = "gw-1") -> ec.EllipticCurvePrivateKey:
    """A key that the center has certified for the gateway."""
    key = ec.generate_private_key(ec.SECP256R1())
    with cloud.database.transaction() as connection:
        certificates.issue(connection, authority, gateway, key.public_key(), time.time_ns(), "mei")
    return key


def runs(cloud: Cloud) -> list[Any]:
    return list(cloud.rows(schema.commissioning))


def open_to_dos(cloud: Cloud) -> list[tuple[str, str]]:
    rows = cloud.rows(schema.commissioning_step)
    return [(row.room, row.reason) for row in rows if row.state != StepState.PASSED and row.closed_ns is None]


# --- which presses page nobody --------------------------------------------------------------------------------------


def test_an_asked_for_press_is_stored_journalled_acknowledged_and_pages_nobody(cloud: Cloud) -> None:
    press = pressed(cloud)
    cloud.take(begun(cloud))
    (acked,) = cloud.take(press)
    assert acked[1].event == [(press.envelope.seq, press.envelope.seq)]
    assert (cloud.count(schema.alert), cloud.count(schema.command)) == (0, 0)
    assert escalate_once(cloud.database, SHIPPED, (Reach("duty"),), time.time_ns() + 3600 * NS) == 0
    (kept,) = cloud.rows(schema.commissioning_press)
    assert (kept.device_id, kept.ordinal, kept.event_id) == (PENDANT, 1, press.id)
    assert kept.made_ns <= kept.received_ns
    told = [(row.kind, row.detail) for row in cloud.rows(schema.journal)]
    assert told == [
        ("commissioning", {"gateway": "gw-1", "run": RUN, "state": "begun"}),
        ("commissioning-press", {"gateway": "gw-1", "device": PENDANT, "run": RUN, "ordinal": 1}),
    ]
    with cloud.database.reading() as connection:
        assert all(frame.alarm is None for frame in frames_after(connection, 0)), "no console sounds"
        assert journal.check(connection).broken_at is None


def test_presses_of_one_batch_with_its_run_and_both_buttons(either: Cloud) -> None:
    """As a gateway sends them that was offline: the run's begin is urgent, and before the presses."""
    others = pressed(either, ordinal=2, role="service"), pressed(either, device="z2m:lamp")
    presses = [pressed(either, ordinal=1), *others]
    either.take(begun(either), *presses, ended(either, report(step())))
    assert either.count(schema.commissioning_press) == 3
    assert either.count(schema.alert) == 0


def test_a_press_told_again_is_acknowledged_and_nothing_more(cloud: Cloud) -> None:
    press = pressed(cloud)
    cloud.take(begun(cloud), press)
    (acked,) = cloud.take(press, press)
    assert acked[1].event == [(press.envelope.seq, press.envelope.seq)]
    assert (cloud.count(schema.commissioning_press), cloud.count(schema.alert)) == (1, 0)


def test_another_pendants_real_press_in_the_run_pages_as_always(cloud: Cloud) -> None:
    cloud.take(begun(cloud), pressed(cloud), cloud.gateway.press(ordinal=2), cloud.gateway.press(device="enocean:2"))
    (alert,) = cloud.rows(schema.alert)
    assert (alert.kind, alert.state, alert.presses) == ("emergency", "raised", 2)
    assert escalate_once(cloud.database, SHIPPED, (Reach("duty"),), time.time_ns()) == 1


def test_a_mark_on_anything_but_a_press_of_an_open_run_is_no_mark(cloud: Cloud) -> None:
    """In doubt, raise: each of these is an alarm of its own or joins one."""
    other = TestGateway("gw-9")
    cloud.take(begun(cloud), pressed(cloud), other.message(other.press()))
    (told_of_another,) = cloud.rows(schema.alert)
    wrong = [
        pressed(cloud),  # the same ordinal once more
        pressed(cloud, run=RUN[:-1], ordinal=2),
        pressed(cloud, run=RUN + " ", ordinal=2),
        pressed(cloud, run=RUN.upper(), ordinal=2),
        pressed(cloud, run="x" * 5000, ordinal=2),
        pressed(cloud, run="\0", ordinal=2),
        pressed(cloud, run=None, ordinal=2),
        pressed(cloud, run=[RUN], ordinal=2),
        pressed(cloud, run=True, ordinal=2),
        pressed(cloud, ordinal=None),
        pressed(cloud, ordinal="2"),
        pressed(cloud, ordinal=True),
        pressed(cloud, ordinal=0),
        pressed(cloud, ordinal=2**63),
        pressed(cloud, ordinal=2, certainty="possible"),
        pressed(cloud, ordinal=2, cause="smoke"),
        pressed(cloud, ordinal=2, cause="something"),
        pressed(cloud, ordinal=2, device="gw-1"),
        replace(pressed(cloud, ordinal=2), source="hearthline/gw-2"),
        replace(pressed(cloud, ordinal=2), type="hearthline.alarm.v2"),
    ]
    for count, event in enumerate(wrong, start=1):
        cloud.take(event)
        presses = sum(row.presses for row in cloud.rows(schema.alert) if row.id != told_of_another.id)
        assert presses == count, event
    assert cloud.count(schema.commissioning_press) == 1
    cloud.take(pressed(cloud, ordinal=2))
    assert cloud.count(schema.commissioning_press) == 2, "the run is open all the while"


def test_another_gateways_run_silences_nothing(cloud: Cloud) -> None:
    with cloud.database.transaction() as connection:
        put(connection, schema.gateway, id="gw-9", home_id="home-2")
    other = TestGateway("gw-9")
    cloud.take(other.message(replace(begun(cloud), subject="gw-9", source="hearthline/gw-9")))
    assert [row.gateway_id for row in runs(cloud)] == ["gw-9"]
    cloud.take(pressed(cloud))
    assert [row.kind for row in cloud.rows(schema.alert)] == ["emergency"]


@pytest.mark.parametrize("moved_s", [7201, -60])
def test_a_run_is_over_after_two_hours_and_when_the_centers_clock_runs_back(cloud: Cloud, moved_s: int) -> None:
    cloud.take(begun(cloud))
    shift = {"begun_ns": runs(cloud)[0].begun_ns - moved_s * NS, "until_ns": runs(cloud)[0].until_ns - moved_s * NS}
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.commissioning).values(**shift))
    cloud.take(pressed(cloud))
    assert [row.kind for row in cloud.rows(schema.alert)] == ["emergency"]


@pytest.mark.parametrize(
    ("seconds", "lasts_s"), [(600, 600), (7200, 7200), (7201, 7200), (-1, 7200), ("600", 7200), (None, 7200)]
)
def test_a_gateway_may_ask_for_less_than_two_hours_never_for_more(cloud: Cloud, seconds: object, lasts_s: int) -> None:
    asked = begun(cloud)
    cloud.take(replace(asked, data=asked.data | {"seconds": seconds}))
    (run,) = runs(cloud)
    assert run.until_ns - run.begun_ns == lasts_s * NS


def test_an_ended_run_and_one_that_another_has_superseded_are_never_opened_again(either: Cloud) -> None:
    either.take(begun(either), begun(either, "second"))
    either.take(pressed(either))
    assert either.count(schema.alert) == 1, "the first is over"
    either.take(pressed(either, "second"))
    assert either.rows(schema.alert)[0].presses == 1
    either.take(ended(either, run="second"), begun(either, "second"), begun(either))
    either.take(pressed(either, "second", ordinal=2), pressed(either, ordinal=2))
    assert either.rows(schema.alert)[0].presses == 3


def test_a_gateway_of_no_home_and_a_stranger_open_no_run(cloud: Cloud) -> None:
    other = TestGateway("gw-9")
    cloud.take(other.message(replace(begun(cloud), subject="gw-9", source="hearthline/gw-9")))
    cloud.take(begun(cloud, subject="enocean:1"), begun(cloud, source="hearthline/gw-9"), begun(cloud, run=7))
    assert runs(cloud) == []


def test_what_is_sent_again_after_a_restore_is_no_test(cloud: Cloud) -> None:
    with cloud.database.transaction() as connection:
        command = {"id": "again", "gateway_id": "gw-1", "body": {"type": "resend"}, "created_ns": time.time_ns()}
        put(connection, schema.command, **command, next_attempt_ns=0)
    cloud.take(begun(cloud), pressed(cloud, resent="again"))
    assert [row.kind for row in cloud.rows(schema.alert)] == ["emergency"]
    cloud.take(cloud.gateway.event(EventType.COMMISSIONING, "gw-1", run="of-last-week", state="begun", resent="again"))
    is_open, is_over = runs(cloud)
    assert is_open.ended_ns is None, "it goes on"
    assert is_over.until_ns == is_over.begun_ns
    cloud.take(pressed(cloud, ordinal=2))
    assert cloud.count(schema.commissioning_press) == 1
    cloud.take(pressed(cloud, run="of-last-week", ordinal=3))
    assert cloud.count(schema.commissioning_press) == 1


def test_what_an_installer_measures_is_not_the_residents_blood_pressure(cloud: Cloud) -> None:
    values = {"values": [{"quantity": "systolic", "value": 132, "unit": "mm[Hg]"}], "user": 1}
    cloud.take(begun(cloud))
    for mark in (RUN, "another", None):
        cloud.take(cloud.gateway.event(EventType.VITAL, "cuff:1", commissioning=mark, **values))
    tried, *real = [row for row in cloud.rows(schema.event) if row.type == EventType.VITAL]
    assert (tried.data, tried.resident_id) == ({"withheld": "commissioning"}, None)
    assert [(row.data["values"], row.resident_id) for row in real] == [(values["values"], "res-1")] * 2
    assert cloud.count(schema.store_queue) == 2


# --- whose report counts --------------------------------------------------------------------------------------------


def test_a_report_signed_by_the_gateways_key_is_kept_and_ends_the_run(cloud: Cloud, authority: Authority) -> None:
    key, document = key_of(cloud, authority), report(step(), to_do("bathroom"))
    cloud.take(begun(cloud), ended(cloud, document, key=key))
    (run,) = runs(cloud)
    assert (run.standing, run.report) == ("signed", document)
    assert run.verified_by in {row.serial for row in cloud.rows(schema.certificate)}
    assert run.ended_ns is not None
    assert open_to_dos(cloud) == [("bathroom", "not-heard")]
    cloud.take(pressed(cloud))
    assert cloud.count(schema.alert) == 1


def test_fields_of_tomorrow_are_kept_and_covered_by_the_signature(cloud: Cloud, authority: Authority) -> None:
    key, document = key_of(cloud, authority), report(step()) | {"tomorrow": {"客厅": [1, None, "é"]}}
    cloud.take(ended(cloud, document, key=key))
    assert [(run.standing, run.report) for run in runs(cloud)] == [("signed", document)]


def test_what_cannot_be_verified_is_kept_as_unsigned(cloud: Cloud, authority: Authority) -> None:
    key, stranger = key_of(cloud, authority), ec.generate_private_key(ec.SECP256R1())
    with cloud.database.transaction() as connection:
        put(connection, schema.gateway, id="gw-9", home_id="home-2")
    other = key_of(cloud, authority, "gw-9")
    good = report(step())
    signed = signature(good, key)
    wrong: list[tuple[Any, dict[str, Any]]] = [
        (good, {}),
        (good, {"signature": signature(good, stranger)}),
        (good, {"signature": signature(good, other)}),
        (good, {"signature": signed[:-2] + "00"}),
        (good, {"signature": "zz"}),
        (good, {"signature": "é"}),
        (good, {"signature": "\0"}),
        (good, {"signature": signed + " "}),
        (good, {"signature": signed * 50}),
        (good, {"signature": 7}),
        (good | {"version": "0.2.0"}, {"signature": signed}),
    ]
    for number, (document, more) in enumerate(wrong):
        cloud.take(ended(cloud, document, run=f"run-{number}", **more))
        assert (runs(cloud)[-1].standing, runs(cloud)[-1].report) == ("unsigned", document), more
        assert set(runs(cloud)[-1].signature) <= set("0123456789abcdef"), more
    replayed = f"run-{len(wrong)}"
    cloud.take(ended(cloud, good, run=replayed, key=key))
    assert runs(cloud)[-1].standing == "unsigned", "it is the report of another run"
    strangers = report(step(), run="of-another", gateway="gw-9")
    cloud.take(ended(cloud, strangers, run="of-another", key=key))
    assert runs(cloud)[-1].standing == "unsigned", "it speaks of another gateway"


def test_a_revoked_certificate_verifies_nothing(cloud: Cloud, authority: Authority) -> None:
    key = key_of(cloud, authority)
    with cloud.database.transaction() as connection:
        certificates.revoke(connection, "gw-1", "stolen", time.time_ns(), "mei")
    cloud.take(ended(cloud, report(step()), key=key))
    assert runs(cloud)[0].standing == "unsigned"


def test_a_hostile_report_ends_its_run_and_is_told_apart(either: Cloud) -> None:
    """Huge, nested, of another shape: none costs more than itself, and each is kept as an event."""
    deep: Any = "x"
    for _ in range(12):
        deep = [deep]
    hostile: list[Any] = [
        None,
        "a report",
        [1],
        {"steps": deep},
        report(*[step()] * (MAX_STEPS + 1)),
        report(step(room="r" * 65)),
        report(step()) | {"filler": "x" * MAX_REPORT_BYTES},
        report(step()) | {"runs": []},
        report(step()) | {"within_ms": -1},
        report(step()) | {"steps": [{"device": "<script>"}]},
    ]
    for number, document in enumerate(hostile):
        run = f"run-{number}"
        either.take(begun(either, run), ended(either, run=run, report=document))
        row = runs(either)[-1]
        assert (row.run, row.standing, row.ended_ns is None) == (run, "unreadable", False), document
    assert either.count(schema.commissioning_step) == 0
    assert either.count(schema.event) == 2 * len(hostile)


def test_a_run_in_which_a_device_was_bound_ends_without_a_report(cloud: Cloud) -> None:
    word = {"run": "pair-1", "state": "ended"}
    cloud.take(begun(cloud, "pair-1"), cloud.gateway.event(EventType.COMMISSIONING, cloud.gateway.id, **word))
    (row,) = runs(cloud)
    assert (row.standing, row.report, row.ended_ns is None) == ("", None, False)


LEARNED = "enocean:0A0B0C0D"


def learn(cloud: Cloud) -> int:
    """The wizard hears a device for the first time; when that was received, 0 for an alarm like any other."""
    cloud.take(begun(cloud, "pair-1"), pressed(cloud, "pair-1", device=LEARNED))
    return sum(press.received_ns for press in cloud.rows(schema.commissioning_press))


def bind(cloud: Cloud, gateway: str = "gw-1") -> None:
    with cloud.database.transaction() as connection:
        if gateway == "gw-1":  # where it was heard
            where = (schema.device.c.gateway_id == gateway) & (schema.device.c.id == LEARNED)
            assert connection.execute(update(schema.device).where(where).values(registered=True)).rowcount == 1
        else:
            put(connection, schema.gateway, id=gateway, home_id="home-2")
            put(connection, schema.device, gateway_id=gateway, id=LEARNED, registered=True)


def test_the_press_by_which_a_device_was_learned_pages_nobody_once_it_is_bound(cloud: Cloud) -> None:
    at_ns = learn(cloud)
    assert settle(cloud.database, at_ns + 60 * NS) == 0
    bind(cloud)
    assert settle(cloud.database, at_ns + 61 * NS) == 0
    with cloud.database.transaction() as connection:
        connection.execute(delete(schema.device).where(schema.device.c.id == LEARNED))
    assert settle(cloud.database, at_ns + 3600 * NS) == 0, "what is taken away later was claimed"
    assert cloud.count(schema.alert) == 0


@pytest.mark.parametrize("gateway", ["gw-1", "gw-2"])
def test_a_press_of_a_pendant_that_the_registry_knows_is_never_a_learning_one(cloud: Cloud, gateway: str) -> None:
    """The gateway's list may be an old one, and the neighbour's pendant is on none of its lists."""
    with cloud.database.transaction() as connection:
        if gateway == "gw-2":
            put(connection, schema.gateway, id=gateway, home_id="home-2")
        put(connection, schema.device, gateway_id=gateway, id=LEARNED, registered=True)
    learn(cloud)
    (alert,) = cloud.rows(schema.alert)
    assert (alert.kind, alert.certainty, alert.home_id) == ("emergency", "certain", "home-1")


@pytest.mark.parametrize("moved_s", [CLAIM_S, -CLAIM_S])
def test_a_press_that_nobody_claims_was_somebodys(cloud: Cloud, moved_s: int) -> None:
    at_ns = learn(cloud)
    bind(cloud, "gw-2")
    assert settle(cloud.database, at_ns + (CLAIM_S - 1) * NS) == 0
    assert settle(cloud.database, at_ns + moved_s * NS) == 1
    assert settle(cloud.database, at_ns + moved_s * NS) == 0, "once, whoever asks again"
    (alert,) = cloud.rows(schema.alert)
    assert (alert.kind, alert.certainty, alert.home_id, alert.device_id) == ("emergency", "possible", "home-1", LEARNED)
    events = [row.alert_id for row in cloud.rows(schema.event) if row.type == EventType.ALARM]
    assert events == [alert.id]


def test_the_first_report_of_a_run_counts(cloud: Cloud, authority: Authority) -> None:
    key, first = key_of(cloud, authority), report(to_do())
    cloud.take(begun(cloud), ended(cloud, first, key=key), ended(cloud, report(step()), key=key))
    assert runs(cloud)[0].report == first
    assert open_to_dos(cloud) == [("bedroom", "not-heard")]


def test_a_gateway_that_invents_runs_fills_fifty_rows(cloud: Cloud) -> None:
    invented = [ended(cloud, report(step()), run=f"invented-{number}") for number in range(MAX_UNKNOWN + 2)]
    cloud.take(*invented)
    assert (cloud.count(schema.commissioning), cloud.count(schema.event)) == (MAX_UNKNOWN, len(invented))
    cloud.take(begun(cloud), ended(cloud, report(step())))
    assert [(run.run, run.standing) for run in runs(cloud)[MAX_UNKNOWN:]] == [(RUN, "unsigned")], "it was seen to begin"


def test_a_home_of_twenty_devices_fits_a_message(cloud: Cloud, authority: Authority) -> None:
    key, rooms = key_of(cloud, authority), ("起居室", "主卧", "卫生间", "厨房")
    hops = Hops(committed=12, sent=15, received=120)
    more: dict[str, Any] = {
        "at": "2026-11-21T08:00:00.123456Z",
        "run": RUN,
        "event": RUN,
        "hops_ms": hops,
        "radio_dbm": -67,
    }
    steps = [step(f"z2m:{'客厅' * 8}{number}", room, **more) for number in range(20) for room in rooms]
    event = ended(cloud, report(*steps), key=key)
    assert len(wire.encode_event(event)) < 48_000, "a broker takes 256 KiB"
    cloud.take(event)
    assert runs(cloud)[0].standing == "signed"
    assert cloud.count(schema.commissioning_step) == 80


# --- what is left to do ---------------------------------------------------------------------------------------------


def test_a_to_do_stays_open_until_a_signed_report_has_it_passed(either: Cloud, authority: Authority) -> None:
    key = key_of(either, authority)
    either.take(ended(either, report(to_do(), to_do("bathroom")), key=key))
    either.take(ended(either, report(step(), run="second"), run="second"))
    assert open_to_dos(either) == [("bedroom", "not-heard"), ("bathroom", "not-heard")], "nobody vouches for that"
    again = report(step(), step(room="bathroom", state=StepState.SKIPPED, reason="battery"), run="third")
    either.take(ended(either, again, run="third", key=key))
    assert open_to_dos(either) == [("bathroom", "battery")], "what failed again is one to-do"
    with either.database.reading() as connection:
        assert reading.open_to_dos(connection) == {"gw-1": 1}
    with either.database.transaction() as connection:
        connection.execute(update(schema.commissioning_step).values(closed_ns=5))
    with either.database.reading() as connection:
        assert reading.open_to_dos(connection) == {"gw-1": 0}, "it was commissioned"
    assert [row.closed_why for row in either.rows(schema.commissioning_step)][:2] == ["done", "anew"]
