"""What goes in comes out; and whatever comes in, a decoder returns a value or raises ProtocolError, nothing else."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hearthline import wire
from hearthline.errors import ProtocolError
from hearthline.model import Lane, Reading
from wire_contract import CASES, GOLDEN

DECODERS: list[Callable[[bytes], Any]] = [
    wire.decode_event,
    wire.decode_pack,
    wire.decode_status,
    wire.decode_ack,
    wire.decode_command,
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
SEQ = st.integers(1, 2**63 - 1)
# From 1980 on: SenML's floor is in 1978. Microseconds, which is what both encodings carry.
WALL_NS = st.integers(10**15, 4 * 10**15).map(lambda us: us * 1000)


@st.composite
def envelopes(draw: st.DrawFn) -> wire.Envelope:
    synced = draw(st.booleans())
    age = None if synced else draw(st.none() | st.integers(0, 10**9).map(lambda ms: ms / 1000))
    return wire.Envelope(draw(NAME), draw(SEQ), draw(NAME), synced, draw(st.integers(0, wire.MAX_MONO_NS - 1)), age)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(envelopes(), NAME, TEXT, NAME, NAME, WALL_NS, st.dictionaries(TEXT, JSON, max_size=4))
def test_events_round_trip(
    envelope: wire.Envelope, key: str, source: str, kind: str, subject: str, wall_ns: int, data: dict[str, Any]
) -> None:
    event = wire.Event(key, source, kind, subject, wall_ns, data, envelope)
    assert wire.decode_event(wire.encode_event(event)) == event


BINDINGS = st.fixed_dictionaries(
    {"state": st.sampled_from(["wanted", "removed", "lost"]) | JSON},
    optional={
        "device": NAME | JSON,
        "name": TEXT | JSON,
        "room": TEXT | JSON,
        "kind": TEXT | JSON,
        "user": st.integers() | JSON,
        "buttons": st.dictionaries(TEXT, st.sampled_from(["emergency", "service", "launch"]), max_size=40) | JSON,
    },
)


@given(BINDINGS)
def test_whatever_is_bound_is_a_binding_that_a_registry_can_take_or_none(data: dict[str, Any]) -> None:
    with contextlib.suppress(ProtocolError):
        word = wire.binding_of(data)
        assert word.device or word.state == "lost"
        assert not any("\0" in text for text in (word.device, word.name, word.room, word.kind, *word.buttons))
        assert set(word.buttons.values()) <= {"emergency", "service"}
        assert word.user is None or 0 <= word.user <= 999


READINGS = st.lists(
    st.tuples(
        st.builds(
            Reading,
            TEXT,
            st.from_regex(r"[a-z_]{1,20}", fullmatch=True),
            st.floats(allow_nan=False, allow_infinity=False),
            TEXT,
        ),
        st.integers(0, 10**6).map(lambda us: us * 1000),
    ),
    min_size=1,
    max_size=8,
)


@given(envelopes(), WALL_NS, READINGS)
def test_packs_round_trip(envelope: wire.Envelope, wall_ns: int, readings: list[tuple[Reading, int]]) -> None:
    sent = wire.Pack(wall_ns, tuple(readings), envelope)
    got = wire.decode_pack(wire.encode_pack(sent))
    assert (got.readings, got.envelope) == (sent.readings, sent.envelope)
    assert abs(got.wall_ns - wall_ns) <= 1000  # a double of seconds holds a microsecond, not more


@given(TEXT)
@example("客厅 插座/1")
@example("_")
@example("0__")
@example("-x")
def test_device_names_keep_to_rfc_8428_and_come_back(device: str) -> None:
    name = wire.senml_device(device)
    assert name[0].isascii()
    assert name[0].isalnum()
    assert all(char.isascii() and (char.isalnum() or char in "-:._") for char in name)
    assert wire.device_of_senml(name) == device


@pytest.mark.parametrize("name", ["a_", "a_1", "a_  ", "a_zz", "a_E5", "a__41", "a b", "é", "a\n"])
def test_a_bad_escape_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        wire.device_of_senml(name)


@given(TEXT, st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 1000)), max_size=5), st.sampled_from(Lane))
def test_acknowledgements_round_trip(outbox: str, spans: list[tuple[int, int]], lane: Lane) -> None:
    ranges = [(low, low + length) for low, length in spans]
    ack = wire.make_ack(outbox, lane, ranges, ranges)
    assert wire.decode_ack(wire.encode(ack)) == ack


# --- hostile input ------------------------------------------------------------------------------------------------

VICIOUS = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"[[]]",
    b"[null]",
    b"\x00",
    b"\xff\xfe{",
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"outbox":"o","seq":' + b"9" * 5000 + b"}",
]
ODD_VALUES = [
    "1e400",
    "-1e400",
    "1e-400",
    "9" * 40,
    "9" * 5000,
    "-1",
    "0",
    "1.5",
    "null",
    "true",
    '""',
    '"\\u0000"',
    '"\\ud800"',
    '"\\udfff\\ud800"',
    '"9999-12-31T23:59:59-23:59"',
    '"0001-01-01T00:00:00+23:59"',
    '"nan"',
    '"inf"',
    '"' + "9" * 5000 + '"',
    "[" * 5000 + "]" * 5000,
    '{"a":' * 5000 + "1" + "}" * 5000,
    '[{"a":1,"a":2}]',
]


def survives(payload: bytes) -> None:
    for decode in DECODERS:
        with contextlib.suppress(ProtocolError):
            decode(payload)
    for lane in Lane:
        found = wire.read_envelope(lane, payload)
        assert found is None or (found[0] and 0 < found[1] < 2**63)


@pytest.mark.parametrize("payload", VICIOUS, ids=lambda payload: repr(payload[:12]))
def test_vicious_payloads(payload: bytes) -> None:
    survives(payload)


@pytest.mark.parametrize("name", CASES)
def test_goldens_with_one_value_changed(name: str) -> None:
    tree = json.loads((GOLDEN / f"{name}.json").read_bytes())
    parts = tree if isinstance(tree, list) else [tree]
    for part in parts[:2]:
        for key in list(part):
            for odd in ODD_VALUES:
                before, part[key] = part[key], "@@"
                text = json.dumps(tree, ensure_ascii=False).replace('"@@"', odd)
                part[key] = before
                survives(text.encode(errors="surrogatepass"))
                doubled = text.replace("{", f'{{"{key}": {odd}, ', 1)
                survives(doubled.encode(errors="surrogatepass"))


@given(st.sampled_from(sorted(CASES)), st.data())
def test_mutilated_goldens(name: str, data: st.DataObject) -> None:
    payload = bytearray((GOLDEN / f"{name}.json").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(len(payload) - 1, 0)))
        match data.draw(st.sampled_from(["set", "cut", "drop", "insert"])):
            case "set" if payload:
                payload[place] = data.draw(st.integers(0, 255))
            case "cut":
                del payload[place:]
            case "drop":
                del payload[place : place + data.draw(st.integers(1, 20))]
            case _:
                payload[place:place] = data.draw(st.binary(max_size=8))
    survives(bytes(payload))


@given(st.binary(max_size=200))
def test_noise(payload: bytes) -> None:
    survives(payload)


# --- rules --------------------------------------------------------------------------------------------------------


def pack_with(**changes: Any) -> bytes:
    tree = json.loads((GOLDEN / "pack.json").read_bytes())
    tree[0] |= changes
    return json.dumps(tree).encode()


@pytest.mark.parametrize("base", [2**28 - 1, 0, -1, 100.0])
def test_a_senml_time_relative_to_now_is_refused(base: float) -> None:
    with pytest.raises(ProtocolError, match="2\\*\\*28"):
        wire.decode_pack(pack_with(bt=base))


def test_an_offset_cannot_reach_below_the_floor() -> None:
    with pytest.raises(ProtocolError, match="2\\*\\*28"):
        wire.decode_pack(pack_with(bt=2**28, t=-1))


@given(st.integers(-(10**19), 2**28 * 10**9))
def test_no_senml_time_below_the_floor_is_ever_sent(wall_ns: int) -> None:
    pack = wire.Pack(wall_ns, ((Reading("d", "power", 1.0, "W"), 0),), CASES["pack"].value.envelope)
    assert json.loads(wire.encode_pack(pack))[0]["bt"] >= 2**28


def test_base_values_of_others_are_applied() -> None:
    tree = json.loads((GOLDEN / "pack-free-clock.json").read_bytes())
    tree[0] |= {"bu": "W", "bv": 100.0, "v": 1.5}
    del tree[0]["u"]
    tree.append({"n": "voltage", "u": "V", "v": 2.0, "bt": tree[0]["bt"] + 5, "t": 1})
    pack = wire.decode_pack(json.dumps(tree).encode())
    device = "dlt645:000012345678"
    assert pack.readings[0] == (Reading(device, "power", 101.5, "W"), 0)
    assert pack.readings[1] == (Reading(device, "voltage", 102.0, "V"), 6_000_000_000)


@pytest.mark.parametrize("version", [0, 9, 11])
def test_another_senml_version_is_refused(version: int) -> None:
    with pytest.raises(ProtocolError, match="version"):
        wire.decode_pack(pack_with(bver=version))


@pytest.mark.parametrize(
    "text",
    [
        '{"outbox":"o","event":[[1,2]],"telemetry":[[1,2]],"refused":[[3,3]]}',
        '{"outbox":"o","refused":[[3,3]]}',
        '{"outbox":"o","event":[[2,1]]}',
        '{"outbox":"o","event":[[0,1]]}',
        '{"outbox":"o","event":[[1,9223372036854775808]]}',
        '{"outbox":"o","event":[[1]]}',
        '{"outbox":"o","event":[],"refused":[[-3,3]]}',
    ],
)
def test_an_acknowledgement_that_cannot_be_trusted_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        wire.decode_ack(text.encode())


@pytest.mark.parametrize(
    ("topic", "gateway"),
    [
        ("hearthline/v1/gw-1/up/event", "gw-1"),
        ("hearthline/v2/gw-1/up/event", None),
        ("hearthline/v1/网关/up/event", None),
        ("hearthline/v1//up/event", None),
        ("hearthline/v1/gw-1/up/event/x", None),
        ("hearthline/v1/-gw/up/event", None),
        (f"hearthline/v1/{'g' * 65}/up/event", None),
    ],
)
def test_the_gateway_of_a_topic(topic: str, gateway: str | None) -> None:
    assert wire.gateway_of(topic) == gateway


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_device_has_a_name_that_the_wire_takes_and_no_two_share_one(one: str, other: str) -> None:
    named = wire.device_name(one)
    assert wire.text_fault(named, wire.MAX_DEVICE) is None
    assert (named == wire.device_name(other)) == (one == other)
    assert named == one or len(one) > wire.MAX_DEVICE or "\0" in one
