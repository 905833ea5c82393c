"""The judge of vital signs and readings: it must find every planted loss, double and invention."""

from __future__ import annotations

from typing import Any

from hearthline.clock import NS, rfc3339
from hearthline_sim.demo.values import Values, compare_values, match
from hearthline_sim.ledger import Ledger, SentReading, Vital

START = 1_800_000_000 * NS
METER, CUFF = "dlt645:1", "raycome:cuff"
VITALS = ("systolic", "diastolic", "heart_rate")

Stored = dict[tuple[str, str], list[tuple[int, float]]]


def ledger(*things: SentReading | Vital) -> Ledger:
    book = Ledger()
    for thing in things:
        book.reading(thing) if isinstance(thing, SentReading) else book.vital(thing)
    return book


def voltage(second: int, value: float = 230.1) -> SentReading:
    return SentReading(METER, "voltage", value, START + second * NS)


def vital(second: int, sys: int = 130, heard: bool = True) -> Vital:
    return Vital(CUFF, sys, 80, 70, START + second * NS, heard)


def event(second: int, sys: int = 130) -> dict[str, Any]:
    values = [{"quantity": name, "value": value} for name, value in zip(VITALS, (sys, 80, 70), strict=True)]
    return {"device": CUFF, "occurred": rfc3339(START + second * NS + 4_000_000), "data": {"values": values}}


def copies(*events: dict[str, Any]) -> Stored:
    stored: Stored = {(CUFF, name): [] for name in VITALS}
    for each in events:
        second = int(each["occurred"][17:19])
        at_ns = START // (60 * NS) * 60 * NS + second * NS + 4_000_000
        for entry in each["data"]["values"]:
            stored[CUFF, entry["quantity"]].append((at_ns, float(entry["value"])))
    return stored


def judge(book: Ledger, events: list[dict[str, Any]], stored: Stored) -> Values:
    return compare_values(book, events, lambda device, quantity: stored.get((device, quantity), []))


def test_everything_is_stored_once() -> None:
    events = [event(1), event(20, 140)]
    stored = {**copies(*events), (METER, "voltage"): [(START + NS, 230.1), (START + 11 * NS, 230.1)]}
    found = judge(ledger(voltage(1), voltage(11), vital(1), vital(20, 140)), events, stored)
    assert found.complete
    assert found.over == []
    assert (found.readings_sent, found.vitals_sent) == (2, 2)


def test_a_lost_reading_is_missing() -> None:
    found = judge(ledger(voltage(1), voltage(11)), [], {(METER, "voltage"): [(START + 11 * NS, 230.1)]})
    assert len(found.missing_of("dlt645:")) == 1
    assert found.missing_of("shelly:") == []


def test_a_reading_stored_twice_is_over() -> None:
    found = judge(ledger(voltage(1)), [], {(METER, "voltage"): [(START + NS, 230.1), (START + 2 * NS, 230.1)]})
    assert len(found.over_of("dlt645:")) == 1


def test_an_invented_reading_is_over() -> None:
    found = judge(ledger(voltage(1)), [], {(METER, "voltage"): [(START + NS, 231.0)]})
    assert len(found.over) == 1
    assert len(found.missing_readings) == 1


def test_a_reading_of_another_time_is_not_the_one_that_was_sent() -> None:
    found = judge(ledger(voltage(1)), [], {(METER, "voltage"): [(START + 100 * NS, 230.1)]})
    assert len(found.over) == len(found.missing_readings) == 1


def test_a_lost_vital_sign_is_missing() -> None:
    assert len(judge(ledger(vital(1), vital(20)), [event(1)], copies(event(1))).missing_vitals) == 1


def test_a_vital_sign_that_nobody_heard_may_be_absent_or_present() -> None:
    unheard = ledger(vital(1, heard=False))
    for events in ([], [event(1)]):
        found = judge(unheard, events, copies(*events))
        assert found.complete
        assert found.over == []


def test_a_doubled_vital_sign_is_over() -> None:
    events = [event(1), event(2)]
    assert len(judge(ledger(vital(1)), events, copies(*events)).over) == 1


def test_a_copy_that_the_store_lacks_is_missing_and_one_too_many_is_over() -> None:
    lacking = copies(event(1)) | {(CUFF, "systolic"): []}
    assert len(judge(ledger(vital(1)), [event(1)], lacking).missing_vitals) == 1
    assert len(judge(ledger(vital(1)), [event(1)], copies(event(1), event(1))).over) == 3


def test_as_many_as_possible_are_matched() -> None:
    assert match([(0, 1), (20, 1)], [(10, 1), (25, 1)], slack_ns=10) == ([], [])
