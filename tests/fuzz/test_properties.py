"""Properties of decoders that hold for every value: telegrams come back as they were meant, options
are refused by name.

The encoders are the simulator's, written from the specifications apart from the decoders.
"""

from __future__ import annotations

import contextlib
import json
import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fuzz.families import MQTT, SERIAL, START
from fuzz.health import check_item
from hearthline import wire
from hearthline.config import load_config
from hearthline.errors import ConfigError
from hearthline_cloud.store.influx_text import decoded, line_head, select
from hearthline_cloud.store.port import SeriesKey, SeriesQuery
from hearthline_edge.config import EdgeConfig
from hearthline_edge.devices import Item, MqttMessage, Press, Readings, Release, Vital
from hearthline_edge.devices.dlt645_items import ITEMS
from hearthline_edge.payload import json_value, number
from hearthline_sim.devices import dlt645_meter, enocean_pendant, raycome_cuff
from wire_contract import CASES, GOLDEN

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(300)]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


EARLIEST, LATEST = datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2255-01-01")


def received(driver: str, line: bytes, **options: Any) -> list[Item]:
    session = SERIAL[driver].open_session(options, "port")
    return [*session.receive(line, START), *session.receive(b"", START.later(2))]


# --- the wire ----------------------------------------------------------------------------------------------------


# An event's data, a status' counts by name, a command's keys of the configuration, its list of devices.
FREE = ("data", "refusals", "config", "devices")


def with_unknown(tree: Any, extra: dict[str, Any]) -> Any:
    """The tree with unknown fields in every object, save those that hold what others name (`FREE`)."""
    if isinstance(tree, list):
        return [with_unknown(each, extra) for each in tree]
    if not isinstance(tree, dict):
        return tree
    own = {key: value if key in FREE else with_unknown(value, extra) for key, value in tree.items()}
    return {**extra, **own}


@pytest.mark.parametrize("name", CASES)
@given(extra=st.dictionaries(TEXT.map(lambda text: f"x{text}"), JSON, min_size=1, max_size=3))
@settings(max_examples=40, deadline=None)
def test_unknown_fields_change_nothing(name: str, extra: dict[str, Any]) -> None:
    tree = json.loads((GOLDEN / f"{name}.json").read_bytes())
    assert CASES[name].decode(json.dumps(with_unknown(tree, extra)).encode()) == CASES[name].value


@given(TEXT, TEXT, TEXT, TEXT)
def test_commands_round_trip(key: str, kind: str, event: str, signal: str) -> None:
    command = wire.Command(id=key, type=kind, event=event, signal=signal)
    assert wire.decode_command(wire.encode(command)) == command


LANES = st.builds(
    wire.LaneStatus,
    depth=st.integers(0, 2**53),
    oldest_s=st.floats(0, 1e9),
    room_h=st.none() | st.floats(0, 1e9),
    dropped=st.integers(0, 2**53),
    refused=st.integers(0, 2**53),
)


@given(
    st.sampled_from(["online", "offline"]),
    st.sampled_from(["synced", "free"]),
    TEXT,
    st.none() | LANES,
    st.lists(TEXT, max_size=3),
    st.dictionaries(TEXT, st.integers(0, 2**53), max_size=3),
)
def test_statuses_round_trip(
    state: Any, clock: Any, text: str, lane: Any, faults: list[str], refusals: dict[str, int]
) -> None:
    status = wire.Status(
        state=state, clock=clock, version=text, event=lane, telemetry=lane, faults=faults, refusals=refusals
    )
    assert wire.decode_status(wire.encode(status)) == status


# --- drivers -----------------------------------------------------------------------------------------------------


@given(st.binary(min_size=4, max_size=4), st.integers(0, 3), st.integers(20, 120), st.integers(0, 15))
def test_every_enocean_telegram_is_read_as_it_was_meant(sender: bytes, button: int, dbm: int, hops: int) -> None:
    pressed = enocean_pendant.rps(sender, button << 5 | 0x10, 0x30 | hops, -dbm)
    released = enocean_pendant.rps(sender, 0x00, 0x20 | hops, -dbm)
    press, release = received("enocean-esp3", pressed + released)
    device = f"enocean:{sender.hex().upper()}"
    assert isinstance(press, Press)
    assert (press.device, press.button) == (device, ("AI", "AO", "BI", "BO")[button])
    assert dict(press.facts) == {"rssi_dbm": -dbm, "hops": hops}
    assert release == Release(device)


@given(
    st.integers(0, 2),
    st.integers(41, 300),
    st.data(),
    st.integers(0, 250),
    st.datetimes(EARLIEST, LATEST),
)
@settings(deadline=None)
def test_every_plausible_result_of_a_cuff_is_read_as_it_was_meant(
    user: int, systolic: int, data: st.DataObject, rate: int, clock: datetime
) -> None:
    diastolic = data.draw(st.integers(40, systolic - 1))
    line = raycome_cuff.result_frame(user, clock, raycome_cuff.Vitals(systolic, diastolic, rate))
    (vital,) = received("raycome-bp", line)
    assert isinstance(vital, Vital)
    pulse = (("heart_rate", rate),) if rate >= 20 else ()  # no heart has less
    assert vital.values == (("systolic", systolic), ("diastolic", diastolic), *pulse)
    assert vital.user == user
    assert vital.device_time == clock.replace(microsecond=0).isoformat()


@given(st.integers(0, 10**12 - 1), st.sampled_from(sorted(ITEMS)), st.data())
@settings(deadline=None)
def test_every_reading_of_a_meter_is_exact(address: int, identifier: str, data: st.DataObject) -> None:
    item = ITEMS[identifier]
    top = 8 if item.signed else 10  # the top bit of the highest digit is the sign
    count = data.draw(st.integers(0, top * 10 ** (item.size * 2 - 1) - 1))
    value = bytearray(dlt645_meter.bcd(count, item.size * 2))
    negative = item.signed and data.draw(st.booleans())
    if negative:
        value[-1] |= 0x80
    body = bytes.fromhex(identifier)[::-1] + bytes(value)
    line = dlt645_meter.frame(dlt645_meter.line_address(f"{address:012d}"), 0x91, body)
    (found,) = received("dlt645-2007", line)
    assert isinstance(found, Readings)
    (reading,) = found.readings
    assert reading.device == f"dlt645:{address:012d}{item.place}"
    exact = float(Decimal(count) * item.scale)
    assert reading.value == (-exact if negative else exact)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64), JSON, JSON, JSON)
@example("emergency", 10**400, "1E+999999999", "0001-01-01T00:00:00+23:59")
@settings(deadline=None)
def test_whatever_stands_beside_an_action_it_is_a_press(action: str, battery: Any, voltage: Any, seen: Any) -> None:
    payload = json.dumps({"action": action, "battery": battery, "voltage": voltage, "last_seen": seen}).encode()
    session = MQTT["zigbee2mqtt"].open_session({})
    items = list(session.receive(MqttMessage("zigbee2mqtt/x", payload, False), START))
    for item in items:
        check_item(item)
    assert any(isinstance(item, Press) for item in items) == bool(action.strip())


# --- parts -------------------------------------------------------------------------------------------------------


@given(st.text(max_size=40) | st.decimals() | st.integers() | st.booleans() | st.none() | st.floats())
@example(Decimal("1E+999999999"))
@example("-1E+999999999")
def test_a_number_is_finite_plausible_and_exact_or_none(value: Any) -> None:
    exact = number(value)
    if exact is not None:
        assert exact.is_finite()
        assert -(10**15) < exact < 10**15
        assert exact == Decimal(str(value))


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_json_is_read_or_not(payload: bytes) -> None:
    is_json, value = json_value(payload)
    assert is_json or value is None


OPTIONS = st.dictionaries(
    st.sampled_from(["version", "meters", "items", "interval_s", "base_topic", "attribute_output", "x"]),
    JSON,
    max_size=4,
)


@pytest.mark.parametrize("driver", [*SERIAL, *MQTT])
@given(options=OPTIONS)
@settings(deadline=None)
def test_wrong_options_are_a_configuration_error_and_nothing_else(driver: str, options: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigError):
        if driver in SERIAL:
            session = SERIAL[driver].open_session(options, "port")
            session.next_request(START)
        else:
            configured = MQTT[driver].configured(options)
            configured.claims("a/b")
            configured.open_session(options)


LINES = st.sampled_from(
    [
        b"[uplink]", b"[[serial]]", b"gateway = 'gw-1'", b"port = 99999999999999999999", b"x = 1e999", b"x = nan",
        b"a.b.c = {}", b"t = 2026-11-21T08:00:00Z", b"x = [[[[]]]]", b'x = "\\ud800"', b"\xff", b"\x00", b"=", b"'''",
    ]
)  # fmt: skip


@given(st.lists(LINES | st.binary(max_size=20), max_size=8).map(b"\n".join))
@example(b"x = " + b"[" * 5_000)
@example(b"x = " + b"9" * 10_000)
@settings(deadline=None)
def test_any_file_is_a_configuration_or_a_configuration_error(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "edge.toml"
        file.write_bytes(content)
        with contextlib.suppress(ConfigError):
            load_config(file, EdgeConfig)


# --- the time-series store's text --------------------------------------------------------------------------------


def read_line_head(head: str) -> list[str]:
    """Measurement and tag values of a line as InfluxDB reads them: a backslash escapes comma, space and `=` only."""
    plain = re.sub(r"\\([, =])", lambda found: f"\0{ord(found[1]):02x}", head)
    assert " " not in plain
    name, *pairs = plain.split(",")
    values = [name, *(pair.split("=", 1)[1] for pair in pairs)]
    return [re.sub("\0(..)", lambda found: chr(int(found[1], 16)), value) for value in values]


ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
ODD = st.text(st.sampled_from("\\\"' ,=#%\n\r\0a客"), min_size=1, max_size=8)
NAMES = st.tuples(*[ANY | ODD] * 6)
SELECT = r"SELECT I(, I){5} FROM I WHERE I = S AND time >= 0 AND time < 1 ORDER BY time ASC LIMIT \d+"


@given(NAMES)
def test_every_name_comes_back_out_of_a_line(names: SeriesKey) -> None:
    head = line_head(names)
    assert "\n" not in head
    assert not head.startswith("#")
    assert [decoded(part) for part in read_line_head(head)] == list(names)


@given(ANY | ODD, ANY | ODD)
def test_no_name_breaks_out_of_a_query(quantity: str, home: str) -> None:
    quoted = re.compile(r"""(?P<I>"(?:[^"\\]|\\.)*")|(?P<S>'(?:[^'\\]|\\.)*')""", re.DOTALL)
    text = select(SeriesQuery(quantity, 0, 1, home=home))
    assert re.fullmatch(SELECT, quoted.sub(lambda found: found.lastgroup or "", text))
