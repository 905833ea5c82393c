"""DL/T 645-2007: what meters are asked, which replies count, and an independent decoder as a second opinion."""

from __future__ import annotations

from typing import Any

import pytest
from dlt645.protocol.protocol import DLT645Protocol
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline.model import TELEMETRY_UNITS, Reading
from hearthline_edge.devices import (
    DeviceNote,
    Item,
    Readings,
    Refused,
    Seen,
    SerialSession,
    dlt645_2007,
)
from hearthline_edge.devices.dlt645_2007 import address_request, read_on_request, request
from hearthline_edge.devices.dlt645_items import BLOCKS, ITEMS, decode_data
from hearthline_edge.framing import FrameDecoder

logger.disable("dlt645")

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
ONE, TWO = "000000000161", "000000000162"
ENERGY, VOLTS, AMPERES, WATTS = "00010000", "02010100", "02020100", "02030000"
NOISE = st.lists(
    st.one_of(st.sampled_from([0x68, 0xFE, 0xAA, 0x16, 0x91, 0x11, 0x33, 0x34]), st.integers(0, 255)), max_size=80
).map(bytes)


def open_session(*meters: Any, **options: Any) -> SerialSession:
    return dlt645_2007.DRIVER.open_session({"meters": list(meters), **options}, "hall")


def reply(address: str, identifier: str, value: str, control: int = 0x91, *, sequence: int | None = None) -> bytes:
    """A meter's frame, built apart from the driver."""
    data = bytes.fromhex(identifier)[::-1] + bytes.fromhex(value)[::-1]
    if sequence is not None:
        data += bytes((sequence,))
    return bytes(DLT645Protocol.build_frame(bytes.fromhex(address)[::-1], control, data, 4))


def asked(session: SerialSession, at_s: float) -> bytes:
    return session.next_request(START.later(at_s))[0]


def told(session: SerialSession, data: bytes, at_s: float) -> list[Item]:
    return list(session.receive(data, START.later(at_s)))


def volts(device: str, value: float = 230.0) -> Readings:
    return Readings((Reading(device, "voltage", value, "V"),))


# --- frames and values --------------------------------------------------------------------------------------------


@given(pieces=st.lists(st.one_of(NOISE, st.sampled_from([0x91, 0x11, 0xD1, 0x81])), max_size=8))
@settings(max_examples=300, deadline=None)
def test_framing_agrees_with_an_independent_decoder(pieces: list[bytes | int]) -> None:
    stream = b"".join(p if isinstance(p, bytes) else reply(ONE, ENERGY, "00000026", p) for p in pieces)
    stream += bytes(300)  # settles every header that holds by chance
    ours = [one for one in FrameDecoder(dlt645_2007.SHAPE).feed(stream, START) if isinstance(one, bytes)]
    theirs, rest = [], stream
    while True:
        rest, frame = DLT645Protocol.deserialize_with_remaining(rest)
        if frame is None:
            break
        theirs.append((bytes(frame.addr), frame.ctrl_code, bytes(frame.data)))
    decoded = [(one[1:7], one[8], bytes((b - 0x33) & 0xFF for b in one[10:-2])) for one in ours]
    assert decoded == theirs


def test_requests_are_the_standards() -> None:
    assert request(ONE, VOLTS).hex() == "fefefefe" + "68610100000000681104333434351716"
    assert address_request().hex() == "fefefefe" + "68aaaaaaaaaaaa681300df16"
    for ours, control, data in (
        (request(ONE, VOLTS), 0x11, bytes.fromhex("00010102")),
        (read_on_request(ONE, VOLTS, 1), 0x12, bytes.fromhex("0001010201")),
    ):
        assert ours == bytes(DLT645Protocol.build_frame(bytes.fromhex(ONE)[::-1], control, data, 4))


@given(counts=st.integers(0, 99_999_999))
@settings(deadline=None)
def test_values_are_scaled_exactly(counts: int) -> None:
    (item,) = told(open_session(), reply(ONE, ENERGY, f"{counts:08d}"), 0)
    assert isinstance(item, Readings)
    assert item.readings[0].value == float(f"{counts // 100}.{counts % 100:02d}")


def test_the_items_are_quantities_of_the_model_and_series_of_their_own() -> None:
    assert {item.quantity for item in ITEMS.values()} <= set(TELEMETRY_UNITS)
    series = [(item.quantity, item.place) for identifier, item in ITEMS.items() if identifier != "00000000"]
    assert len(set(series)) == len(series)
    for identifier, parts in BLOCKS.items():
        assert {ITEMS[part].size for part in parts} == {ITEMS[parts[0]].size}, identifier


@pytest.mark.parametrize("identifier", BLOCKS)
def test_a_block_is_its_items_one_behind_the_other(identifier: str) -> None:
    parts = BLOCKS[identifier]
    size = ITEMS[parts[0]].size
    values = [bytes((number,)) + bytes(size - 1) for number in range(1, len(parts) + 1)]
    readings, reason = decode_data("d", identifier, b"".join(values), {})
    singles = [decode_data("d", part, value, {})[0] for part, value in zip(parts, values, strict=True)]
    assert [[reading] for reading in readings] == singles
    assert reason is None


def test_more_tariffs_than_the_model_has_are_left_out() -> None:
    readings, reason = decode_data("d", "0001FF00", bytes(4 * 64), {})
    assert ([reading.quantity for reading in readings][-1], len(readings), reason) == ("energy_import_t4", 5, None)
    assert decode_data("d", "0001FF00", bytes(4 * 65), {}) == ([], "length")
    assert decode_data("d", "0001FF00", b"", {}) == ([], "length")


# --- polling ------------------------------------------------------------------------------------------------------


def test_one_item_is_asked_at_a_time_meters_in_turn_and_silence_stops_nobody() -> None:
    session = open_session(ONE, TWO, items=[ENERGY, VOLTS], interval_s=30)
    assert session.next_request(START) == (request(ONE, ENERGY), 2.0)
    assert session.next_request(START.later(0.5)) == (b"", 1.5)
    told(session, request(ONE, ENERGY), 0.6)  # the echo settles nothing
    told(session, reply(TWO, ENERGY, "00000026"), 0.6)  # nor does another meter
    assert asked(session, 0.6) == b""
    assert told(session, reply(ONE, ENERGY, "00000026"), 0.7)
    assert asked(session, 0.8) == request(TWO, ENERGY)
    told(session, reply(TWO, "", "02", 0xD1), 0.9)
    assert asked(session, 1.0) == request(ONE, VOLTS)
    assert asked(session, 3.0) == request(TWO, VOLTS)  # the first meter was silent, and is passed over
    told(session, reply(TWO, VOLTS, "2300"), 3.1)
    assert session.next_request(START.later(5.0)) == (b"", 25.0)
    assert asked(session, 30.0) == request(TWO, ENERGY)


def test_a_late_reply_is_a_reading_but_not_the_answer_of_what_is_asked_now() -> None:
    session = open_session(ONE, TWO, items=[VOLTS])
    assert asked(session, 0) == request(ONE, VOLTS)
    assert asked(session, 2.1) == request(TWO, VOLTS)
    assert told(session, reply(ONE, VOLTS, "2300"), 2.2) == [volts(f"dlt645:{ONE}")]
    assert asked(session, 2.3) == b""  # the second meter's answer is awaited still
    told(session, reply(TWO, VOLTS, "2300"), 2.4)
    assert session.next_request(START.later(2.5))[1] > 50


@pytest.mark.parametrize("keeps", [slice(15), slice(-1), slice(6, None)], ids=["half", "cut short", "begun late"])
def test_a_broken_reply_is_asked_for_once_more(keeps: slice) -> None:
    session = open_session(ONE, TWO, items=[VOLTS])
    asked(session, 0)
    told(session, reply(ONE, VOLTS, "2300")[keeps], 0.1)
    for tenth in range(2, 21):
        told(session, b"", tenth / 10)
    assert asked(session, 2.0) == request(TWO, VOLTS)
    told(session, reply(TWO, VOLTS, "2300"), 2.1)
    assert asked(session, 4.1) == request(ONE, VOLTS)
    told(session, b"", 6.2)
    assert asked(session, 8.3) == b""  # but not a third time


def test_each_meter_has_its_own_items_and_periods() -> None:
    session = open_session(
        {"address": ONE, "items": ["0201FF00"], "interval_s": 10},
        {"address": ONE, "items": ["0001FF00"], "interval_s": 60},
        TWO,
        items=[WATTS],
        interval_s=20,
    )
    at, requests = 0.0, list[bytes]()
    while at < 119:
        sent, delay_s = session.next_request(START.later(at))
        if sent:
            requests.append(sent)
            frame = sent[4:]
            address, data = frame[6:0:-1].hex(), bytes((byte - 0x33) & 0xFF for byte in frame[10:-2])
            size = 2 if data[2] == 1 and data[3] == 2 else 3 if data[3] == 2 else 4
            at += 0.1
            session.receive(reply(address, data[::-1].hex(), "00" * size), START.later(at))
        else:
            at += delay_s
    counts = {one: requests.count(one) for one in requests}
    assert counts == {request(ONE, "0201FF00"): 12, request(ONE, "0001FF00"): 2, request(TWO, WATTS): 6}


def test_without_meters_it_only_listens() -> None:
    session = open_session()
    assert asked(session, 0) == b""
    assert told(session, reply(ONE, ENERGY, "00000026"), 0.1)


def test_a_dead_meter_is_told_once() -> None:
    session, at, items = open_session(ONE, TWO, items=[VOLTS], interval_s=10), 0.0, list[Item]()
    while at < 200:
        sent, delay_s = session.next_request(START.later(at))
        alive = sent == request(TWO, VOLTS) or (sent and at > 100)
        at += 0.1 if alive else delay_s
        address = sent[10:4:-1].hex()
        items += told(session, reply(address, VOLTS, "2300") if alive else b"", at)
    assert [(item.device, item.kind) for item in items if isinstance(item, DeviceNote)] == [
        (f"dlt645:{ONE}", "no-reply"),
        (f"dlt645:{ONE}", "reply"),
    ]


# --- the only meter on the line -----------------------------------------------------------------------------------


def test_the_wildcard_is_answered_by_any_meter() -> None:
    session = open_session("A" * 12, items=[ENERGY])
    assert asked(session, 0)[5:11] == b"\xaa" * 6
    assert told(session, reply(ONE, ENERGY, "00000026"), 0.1)
    assert session.next_request(START.later(0.2))[1] == pytest.approx(59.8)


def test_an_address_is_asked_for_and_used() -> None:
    session = open_session("discover", items=[VOLTS, AMPERES])
    assert asked(session, 0) == address_request()
    told(session, reply(ONE, VOLTS, "2300"), 0.1)  # not what was asked
    assert asked(session, 0.2) == b""
    assert told(session, reply(ONE, "", ONE, 0x93), 0.3) == [Seen(f"dlt645:{ONE}")]
    assert asked(session, 0.4) == request(ONE, VOLTS)
    assert told(session, reply(ONE, VOLTS, "2300"), 0.5) == [volts(f"dlt645:{ONE}")]
    assert asked(session, 0.6) == request(ONE, AMPERES)


def test_a_meter_that_was_exchanged_is_found_again() -> None:
    session = open_session("discover", items=[VOLTS], interval_s=10)
    asked(session, 0)
    told(session, reply(ONE, "", ONE, 0x93), 0.1)
    asked(session, 0.2)
    told(session, reply(ONE, VOLTS, "2300"), 0.3)
    assert asked(session, 10) == request(ONE, VOLTS)
    assert asked(session, 12) == b""  # it is silent
    assert asked(session, 20) == address_request()
    told(session, reply(TWO, "", TWO, 0x93), 20.1)
    assert asked(session, 20.2) == request(TWO, VOLTS)


def test_notes_name_the_meter_that_answered_last() -> None:
    session, items = open_session("discover", items=[VOLTS], interval_s=10), list[Item]()
    asked(session, 0)
    told(session, reply(ONE, "", ONE, 0x93), 0.1)
    asked(session, 0.2)
    told(session, reply(ONE, VOLTS, "2300"), 0.3)
    for at in range(10, 40):
        asked(session, at)
        items += told(session, b"", at + 0.5)
    assert [(item.device, item.kind) for item in items if isinstance(item, DeviceNote)] == [
        (f"dlt645:{ONE}", "no-reply")
    ]


# --- replies in parts, and errors ---------------------------------------------------------------------------------


def test_a_reply_that_goes_on_is_read_on() -> None:
    session = open_session(ONE, items=["0001FF00", VOLTS])
    assert asked(session, 0) == request(ONE, "0001FF00")
    assert told(session, reply(ONE, "0001FF00", "0100000010", 0xB1), 0.1) == [Seen(f"dlt645:{ONE}")]
    assert asked(session, 0.2) == read_on_request(ONE, "0001FF00", 1)
    assert told(session, reply(ONE, "0001FF00", "00000002000000", 0xB2, sequence=1), 0.3) == [Seen(f"dlt645:{ONE}")]
    assert asked(session, 0.4) == read_on_request(ONE, "0001FF00", 2)
    (item,) = told(session, reply(ONE, "0001FF00", "00000003", 0x92, sequence=2), 0.5)
    assert isinstance(item, Readings)
    assert [reading.value for reading in item.readings] == [0.1, 0.01, 0.02, 0.03]
    assert asked(session, 0.6) == request(ONE, VOLTS)


@pytest.mark.parametrize(
    "wrong",
    [
        reply(TWO, "0001FF00", "000000", 0x92, sequence=1),
        reply(ONE, "0002FF00", "000000", 0x92, sequence=1),
        reply(ONE, "0001FF00", "000000", 0x92, sequence=2),
        reply(ONE, VOLTS, "2300"),
    ],
    ids=["meter", "item", "sequence", "another reply"],
)
def test_what_does_not_go_on_with_it_settles_nothing(wrong: bytes) -> None:
    session = open_session(ONE, items=["0001FF00", VOLTS])
    asked(session, 0)
    told(session, reply(ONE, "0001FF00", "0100000010", 0xB1), 0.1)
    asked(session, 0.2)
    told(session, wrong, 0.3)
    assert asked(session, 0.5) == b""


def test_another_masters_long_reply_does_not_displace_ours() -> None:
    session = open_session({"address": ONE, "items": ["0001FF00"]})
    asked(session, 0.0)
    told(session, reply(ONE, "0001FF00", "0100000010", 0xB1), 0.1)
    told(session, reply(TWO, ENERGY, "0000", 0xB1), 0.15)
    assert asked(session, 0.3) == read_on_request(ONE, "0001FF00", 1)
    (found,) = told(session, reply(ONE, "0001FF00", "000001", 0x92, sequence=1), 0.35)
    assert isinstance(found, Readings)


def test_a_part_of_an_earlier_reading_is_not_gone_on_with() -> None:
    session = open_session({"address": ONE, "items": ["0001FF00"]}, interval_s=1)
    asked(session, 0.0)
    told(session, reply(ONE, "0001FF00", "0100000010", 0xB1), 0.1)
    assert asked(session, 0.2) == read_on_request(ONE, "0001FF00", 1)
    told(session, b"", 5.0)
    assert asked(session, 9.0) == request(ONE, "0001FF00")
    (found,) = told(session, reply(ONE, "0001FF00", "000001", 0x92, sequence=1), 9.1)
    assert isinstance(found, Refused)
    assert found.reason == "unsupported"


def test_a_reply_without_end_is_given_up() -> None:
    session, at, sent, answers = open_session(ONE, items=["0001FF00"]), 0.0, b"", 0
    sent = asked(session, 0)
    told(session, reply(ONE, "0001FF00", "00", 0xB1), 0.1)
    for sequence in range(1, 40):
        at = sequence * 0.5
        sent = asked(session, at)
        if not sent:
            break
        assert sent == read_on_request(ONE, "0001FF00", sequence)
        told(session, reply(ONE, "0001FF00", "00", 0xB2, sequence=sequence), at + 0.1)
        answers += 1
    assert answers == 16


def test_an_error_word_is_told_once_a_meter_and_answers_the_poll() -> None:
    session, items = open_session(ONE, items=[VOLTS, AMPERES], interval_s=10), list[Item]()
    for at in (0.0, 1.0, 10.0, 11.0):
        assert asked(session, at)
        items += told(session, reply(ONE, "", "02", 0xD1), at + 0.1)
    assert [type(item) for item in items] == [Refused, DeviceNote] + [Refused] * 3
    detail = "02010100 is answered with an error: no requested data (02)"
    assert items[1] == DeviceNote(f"dlt645:{ONE}", "error", detail)


@pytest.mark.parametrize("baudrate", [1200, 2400, 9600])
@pytest.mark.parametrize("tariffs", [5, 30, 48])
def test_a_long_block_of_a_slow_meter_is_read(baudrate: int, tariffs: int) -> None:
    session, at_s, items = open_session({"address": ONE, "items": ["0001FF00"]}), 0.1, list[Item]()
    asked(session, 0)
    for byte in reply(ONE, "0001FF00", "00123456" * (1 + tariffs)):
        at_s += 11 / baudrate
        items += told(session, bytes((byte,)), at_s)
    assert [type(item) for item in items] == [Readings]


def test_a_false_header_hides_no_frame_within_what_it_claims() -> None:
    session, hollow = open_session(), bytes.fromhex("680000000000006891C8") + bytes(20)
    items, at_s = told(session, hollow, 0), 0.1
    for byte in reply(ONE, "02010100", "2300"):
        at_s += 11 / 2400
        items += told(session, bytes((byte,)), at_s)
    assert items[-1] == volts(f"dlt645:{ONE}")


@given(words=st.lists(st.integers(0, 255), max_size=300))
@settings(deadline=None, max_examples=30)
def test_error_notes_are_bounded(words: list[int]) -> None:
    session = open_session()
    notes = [
        item
        for number, word in enumerate(words)
        for item in told(session, reply(f"{number:012d}", "", f"{word:02x}", 0xD1), number)
        if isinstance(item, DeviceNote)
    ]
    assert len(notes) == min(len(words), 64)


# --- profiles and options -----------------------------------------------------------------------------------------


def profile(*values: dict[str, Any], **more: Any) -> dict[str, Any]:
    table = {"name": "own", "title": "own", "supervision_s": 0, "dlt645": {"interval_s": 15}, "value": list(values)}
    return {**table, **more}


MAKERS_OWN = {"path": "0280000A XXXXXX.XX", "quantity": "operating_time"}


def test_a_profile_says_what_is_asked_how_often_and_what_it_means() -> None:
    own = profile({"path": "02010100", "quantity": "voltage", "scale": 100, "place": ":bus"}, MAKERS_OWN)
    session = open_session({"address": ONE, "profile": own}, TWO, items=[VOLTS])
    assert asked(session, 0) == request(ONE, VOLTS)
    assert told(session, reply(ONE, VOLTS, "2300"), 0.1) == [volts(f"dlt645:{ONE}:bus", 23000.0)]
    assert asked(session, 0.2) == request(TWO, VOLTS)
    assert told(session, reply(TWO, VOLTS, "2300"), 0.3) == [volts(f"dlt645:{TWO}")]
    assert asked(session, 0.4) == request(ONE, "0280000A")
    assert told(session, reply(ONE, "0280000A", "00000150"), 0.5) == [
        Readings((Reading(f"dlt645:{ONE}", "operating_time", 1.5, "h"),))
    ]
    assert asked(session, 14.9) == b""
    assert asked(session, 15) == request(ONE, VOLTS)


def test_a_profile_of_the_port_is_for_every_meter_that_names_none() -> None:
    own = profile({"path": "02010100", "quantity": "voltage", "place": ":2"})
    session = open_session(ONE, {"address": TWO, "items": [WATTS]}, profile=own)
    assert asked(session, 0) == request(ONE, VOLTS)
    assert told(session, reply(ONE, VOLTS, "2300"), 0.1) == [volts(f"dlt645:{ONE}:2")]
    assert asked(session, 0.2) == request(TWO, WATTS)


@pytest.mark.parametrize("meter", ["AAAAAAAAAAAA", "discover"])
def test_a_profile_of_any_meter_is_for_whoever_answers(meter: str) -> None:
    own = profile({"path": "02010100", "quantity": "voltage", "place": ":2"})
    session = open_session({"address": meter, "profile": own})
    assert told(session, reply(ONE, VOLTS, "2300"), 0.1) == [volts(f"dlt645:{ONE}:2")]


@pytest.mark.parametrize(
    ("meters", "options", "named"),
    [
        (["161"], {}, r"meters\[0\]"),
        ([ONE + "\n"], {}, r"meters\[0\]"),
        (["A" * 12, ONE], {}, "need to be the only one"),
        (["discover", ONE], {}, "need to be the only one"),
        ([ONE, ONE], {}, "asked for twice"),
        ([{"address": ONE, "items": [VOLTS]}, {"address": ONE, "items": [VOLTS]}], {}, "asked for twice"),
        ([{"address": ONE, "items": ["00000000", ENERGY]}], {}, "are both energy_import"),
        ([{"address": ONE, "items": ["00000000", "0001FF00"]}], {}, "are both energy_import"),
        ([ONE], {"items": ["02FF0100"]}, "02FF0100 is not known"),
        ([ONE], {"interval_s": 0}, "interval_s"),
        ([], {"metres": []}, "metres"),
        ([{"address": ONE, "profile": profile(dlt645=None, mbus={})}], {}, r"no \[dlt645\] profile"),
        ([{"address": ONE, "profile": profile()}], {}, "nothing is asked for"),
        ([], {"profile": profile({"path": "0201", "quantity": "voltage"})}, "8 hexadecimal digits"),
        ([], {"profile": profile({"path": "0201FF00", "quantity": "voltage"})}, "no single number"),
        ([], {"profile": profile({"path": "02FF0000", "quantity": "voltage"})}, "add the form of its number"),
        ([], {"profile": profile({"path": "02FF0000 XXX", "quantity": "voltage"})}, "even count"),
        ([], {"profile": profile({"path": VOLTS, "quantity": "current"})}, "voltage in V; current is not"),
        ([], {"profile": profile(MAKERS_OWN, {**MAKERS_OWN, "place": ":2"})}, "there twice"),
    ],
)
def test_wrong_options_are_named(meters: list[Any], options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=r"^hall: .*" + named):
        open_session(*meters, **options)
