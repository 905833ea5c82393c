"""The SML driver: escapes, what its own writer here sends, and messages that are none."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import Item, Readings, Refused, Seen
from hearthline_edge.devices.obis import ObisValue
from hearthline_edge.devices.sml import DRIVER, SHAPE, read_frame
from hearthline_edge.devices.sml_messages import MeterList, NotSmlError, crc16, meter_lists
from hearthline_edge.framing import Doubt, FrameDecoder

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
SERVER = bytes.fromhex("0a01454d480000a1bd34")
ESCAPE, ABSENT = b"\x1b" * 4, b"\x01"


def octets(data: bytes) -> bytes:
    """With a length of one byte, or of two above 14."""
    if len(data) < 15:
        return bytes((len(data) + 1,)) + data
    return bytes((0x80 | (len(data) + 2) >> 4, (len(data) + 2) & 0x0F)) + data


def number(value: int, size: int, *, signed: bool = True) -> bytes:
    return bytes(((0x50 if signed else 0x60) | size + 1,)) + value.to_bytes(size, "big", signed=signed)


def entry(name: str, unit: int | None, scaler: int | None, value: bytes) -> bytes:
    unit_field = ABSENT if unit is None else number(unit, 1, signed=False)
    scaler_field = ABSENT if scaler is None else number(scaler, 1)
    return b"\x77" + octets(bytes.fromhex(name)) + ABSENT * 2 + unit_field + scaler_field + value + ABSENT


def message(body: bytes) -> bytes:
    text = b"\x76" + octets(b"\x01") + number(0, 1, signed=False) * 2 + body
    return text + b"\x63" + crc16(text).to_bytes(2, "little") + b"\x00"


def get_list(*entries: bytes, server: bytes = SERVER) -> bytes:
    response = b"\x77" + ABSENT + octets(server) + ABSENT * 2 + bytes((0x70 | len(entries),)) + b"".join(entries)
    return message(b"\x72\x63\x07\x01" + response + ABSENT * 2)


def frame(body: bytes, fill: int | None = None) -> bytes:
    fill = -len(body) % 4 if fill is None else fill
    text = ESCAPE + b"\x01" * 4 + body.replace(ESCAPE, ESCAPE * 2) + bytes(-len(body) % 4)
    text += ESCAPE + bytes((0x1A, fill))
    return text + crc16(text).to_bytes(2, "little")


IMPORT = entry("0100010800ff", 30, -1, number(123456, 5))
POWER = entry("0100100700ff", 27, 0, number(-250, 2))


def decode(*chunks: bytes) -> list[Item]:
    session = DRIVER.open_session({"interval_s": 0}, "cellar")
    return [item for chunk in chunks for item in session.receive(chunk, START)]


def values(item: Item) -> dict[tuple[str, str], float]:
    assert isinstance(item, Readings)
    return {(reading.device, reading.quantity): reading.value for reading in item.readings}


def test_crcs_of_the_catalogue() -> None:
    assert crc16(b"123456789") == 0x906E
    assert crc16(b"123456789", 0) == 0x2189


def test_a_list_of_values() -> None:
    assert values(decode(frame(get_list(IMPORT, POWER)))[0]) == {
        ("sml:0a01454d480000a1bd34", "energy_import"): 12.3456,
        ("sml:0a01454d480000a1bd34", "power"): -250.0,
    }


def test_a_meter_without_a_number_has_the_ports_name() -> None:
    assert list(values(decode(frame(get_list(POWER, server=b"")))[0])) == [("sml:cellar", "power")]


@given(st.lists(st.sampled_from([b"\x1b", b"\x1b\x1b\x1b\x1b", b"\x1a", b"\x01\x01\x01\x01", b"\x00"]), max_size=40))
def test_any_run_of_escapes_in_the_messages_comes_back(parts: list[bytes]) -> None:
    """Whole and split; what follows is found, whatever the messages hold."""
    body = b"".join(parts)
    one = frame(body)
    assert one[8:-8].replace(ESCAPE * 2, ESCAPE)[: len(body)] == body
    follower = frame(get_list(POWER))
    for chunks in ([one + follower], [bytes((byte,)) for byte in one + follower]):
        decoder = FrameDecoder(SHAPE)
        assert [item for chunk in chunks for item in decoder.feed(chunk, START)] == [one, follower]


@given(st.binary(max_size=80))
def test_any_bytes_under_a_right_check_are_taken_or_refused(body: bytes) -> None:
    for item in decode(frame(body)):
        assert isinstance(item, Refused | Seen)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-8, 4))
def test_numbers_are_exact(value: int, scaler: int) -> None:
    ((found,),) = (each.values for each in meter_lists(get_list(entry("0100010800ff", 30, scaler, number(value, 8)))))
    assert found == ObisValue(1, 0, "1.8.0", Decimal(value).scaleb(scaler), "Wh", 255)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 8])
def test_numbers_of_any_size(size: int) -> None:
    entries = (
        entry("0100100700ff", 27, 0, number(-3, size)),
        entry("0100010800ff", 30, 0, number(5, size, signed=False)),
    )
    assert list(values(decode(frame(get_list(*entries)))[0]).values()) == [-3.0, 0.005]


@pytest.mark.parametrize(
    "useless",
    [
        entry("0100010800ff", None, -1, number(5, 2)),  # energy without a unit
        entry("0100010800ff", 27, -1, number(5, 2)),  # energy in watts
        entry("0100010800ff", 99, -1, number(5, 2)),
        entry("010001080001", 30, -1, number(5, 2)),  # a past period
        entry("0200010800ff", 30, -1, number(5, 2)),  # another medium
        entry("0100630800ff", 30, -1, number(5, 2)),  # another code
        entry("0100010800ff", 30, -1, ABSENT),
        entry("0100010800ff", 30, -1, octets(b"5")),
        entry("0100010800ff", 30, -1, b"\x42\x01"),
        entry("0100010800ff", 30, -128, number(5, 2)),
        entry("0100010800ff", 30, 20, number(5, 2)),
        entry("010001", 30, -1, number(5, 2)),
        entry("8181c78205ff", None, None, octets(bytes(48))),
    ],
)
def test_an_entry_that_is_no_value_costs_itself_alone(useless: bytes) -> None:
    assert list(values(decode(frame(get_list(useless, POWER)))[0])) == [("sml:0a01454d480000a1bd34", "power")]
    assert decode(frame(get_list(useless))) == [Seen("sml:0a01454d480000a1bd34")]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x01\x02\x03", "sanity"),
        (get_list(POWER) + b"\x76\x01", "sanity"),
        (message(b"\x72\x63\x07\x01\x77" + ABSENT * 7), "sanity"),
        (message(b"\x72\x63\x07\x01\x77" + ABSENT * 4 + b"\x71\x01" + ABSENT * 2), "sanity"),
        (message(b"\x72\x63\x07\x01" + b"\x71" * 40 + b"\x01"), "sanity"),
        (message(b"\x72\x63\x07\x01\xf0\x80\x80\x80\x01"), "sanity"),
        (message(b"\x72\x63\x02\x01\x71\x01"), "unsupported"),
        (get_list(POWER).replace(b"\xff\x06", b"\xff\x07"), "checksum"),
        (b"", "unsupported"),
    ],
)
def test_a_frame_that_holds_over_no_list_is_refused(body: bytes, reason: str) -> None:
    (item,) = decode(frame(body))
    assert isinstance(item, Refused)
    assert item.reason == reason


def test_more_fill_bytes_than_there_can_be_do_not_hold() -> None:
    good = frame(get_list(POWER))
    wrong = frame(get_list(POWER), fill=4)
    assert isinstance(SHAPE.judge(good, 0), int)
    assert SHAPE.judge(wrong, 0) is Doubt.BAD_CHECK


def test_two_meters_in_one_frame_are_two_devices_and_one_meter_is_one() -> None:
    other = get_list(POWER, server=b"\x0b" * 10)
    assert len(decode(frame(get_list(POWER) + other))) == 2
    (item,) = decode(frame(get_list(POWER) + get_list(IMPORT)))
    assert list(values(item)) == [("sml:0a01454d480000a1bd34", "energy_import")]


def test_messages_are_read_as_they_are() -> None:
    assert read_frame(frame(get_list(POWER))) == [
        MeterList(SERVER, (ObisValue(1, 0, "16.7.0", Decimal(-250), "W", 255),))
    ]
    with pytest.raises(NotSmlError):
        meter_lists(b"\x76")


def test_readings_at_the_pace_that_is_wanted() -> None:
    session = DRIVER.open_session({}, "cellar")
    items = [item for count in range(11) for item in session.receive(frame(get_list(POWER)), START.later(2 * count))]
    kinds = [type(item).__name__ for item in items]
    assert [count for count, kind in enumerate(kinds) if kind == "Readings"] == [0, 5, 10]
    assert set(kinds) == {"Readings", "Seen"}
