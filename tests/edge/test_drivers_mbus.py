"""Wired M-Bus: what records mean, how meters are polled, and what a profile selects."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import meterbus
import pytest

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline.model import TELEMETRY_UNITS
from hearthline_edge.bus import character_s
from hearthline_edge.devices import DeviceNote, Item, Readings, Refused, Seen, SerialSession
from hearthline_edge.devices.mbus_frames import selection, short_frame
from hearthline_edge.devices.mbus_profile import fits, parse_selector
from hearthline_edge.devices.mbus_records import Record, read_telegram
from hearthline_edge.devices.mbus_units import KINDS
from hearthline_edge.devices.mbus_values import TelegramError
from hearthline_edge.devices.mbus_wired import DRIVER, LINE

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
VECTORS = Path(__file__).parent.parent / "captures" / "mbus-wired"


def reply(records: str, *, address: int = 1, number: str = "12345678", medium: int = 7, access: int = 0) -> bytes:
    """A checked reply of a meter of the maker ELV."""
    head = bytes.fromhex(number)[::-1] + bytes((0x96, 0x15, 1, medium, access, 0, 0, 0))
    body = bytes((0x08, address, 0x72)) + head + bytes.fromhex(records)
    return bytes((0x68, len(body), len(body), 0x68)) + body + bytes((sum(body) & 0xFF, 0x16))


def record(text: str) -> Record:
    """The one record of a reply."""
    (found,) = read_telegram(reply(text)[7:-2]).records
    return found


def values(items: Iterable[Item]) -> dict[tuple[str, str], float]:
    """Device and quantity to value; no series twice."""
    found: dict[tuple[str, str], float] = {}
    for item in items:
        if isinstance(item, Readings):
            for each in item.readings:
                assert (each.device, each.quantity) not in found
                found[each.device.removeprefix("mbus:ELV:12345678"), each.quantity] = each.value
    return found


# --- records ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vif", [vif for vif in range(0x78) if vif not in (0x6C, 0x6D, 0x6F)])
def test_primary_vifs_agree_with_a_second_decoder(vif: int) -> None:
    telegram = meterbus.load(reply(f"04{vif:02x}39300000"))
    value = telegram.records[0].interpreted["value"]
    found = record(f"04{vif:02x}39300000")
    assert isinstance(found.value, Decimal)
    assert float(found.value) == pytest.approx(float(value), rel=1e-12)


@pytest.mark.parametrize(
    ("text", "kind", "unit", "value"),
    [
        ("0413ffffffff", "volume", "m3", Decimal("-0.001")),
        ("041300000080", "volume", "m3", None),  # the smallest integer is no value
        ("01fd1780", "error_flags", "", Decimal(-128)),  # but of flags it is one
        ("07030000000000000040", "energy", "Wh", Decimal(2) ** 62),
        ("0603ffffffffff7f", "energy", "Wh", Decimal(2**47 - 1)),
        ("0e13563412907856", "volume", "m3", Decimal("567890123.456")),
        ("09137f", "volume", "m3", None),
        ("0c13783456f2", "volume", "m3", Decimal("-2563.478")),
        ("055b0000c041", "flow_temperature", "Cel", Decimal(24)),
        ("055b000080ff", "flow_temperature", "Cel", None),
        ("0013", "volume", "m3", None),
        ("0813", "volume", "m3", None),
        ("026c6511", "date", "", "2011-01-05"),
        ("026cffff", "date", "", None),
        ("026c0000", "date", "", None),
        ("046d1a2f6511", "date_time", "", "2011-01-05T15:26:00"),
        ("046d9a2f6511", "date_time", "", None),  # the meter says that it is invalid
        ("046d1a0f7ff9", "date_time", "", None),
        ("046d3b1761c6", "date_time", "", "1999-06-01T23:59:00"),
        ("066d1e3a17162300", "date_time", "", "2016-03-22T23:58:30"),
        ("036d1e3a17", "date_time", "", "23:58:30"),
        ("0dfd0c0341424d", "model", "", "MBA"),
        ("0d78d3785634", "fabrication_number", "", Decimal(-345678)),
        ("0d78e9" + "11" * 9, "fabrication_number", "", "11" * 9),
        ("0d78f0" + "22" * 16, "fabrication_number", "", "22" * 16),
        ("0d7800", "fabrication_number", "", ""),
        ("02fb0f0100", "energy", "cal", Decimal("1e8")),
        ("02fd713cff", "radio_level", "dBm", Decimal(-196)),
        ("02ef400100", "unknown", "", Decimal(1)),
    ],
)
def test_value_codings(text: str, kind: str, unit: str, value: Decimal | str | None) -> None:
    found = record(text)
    assert (found.name, found.unit, found.value) == (kind, unit, value)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("c4d00103e8030000", {"storage": 33, "tariff": 1, "subunit": 1}),
        ("8480808080808080808001 03e8030000".replace(" ", ""), {"storage": 1 << 37}),
        ("1403e8030000", {"function": "max"}),
        ("2403e8030000", {"function": "min"}),
        ("3403e8030000", {"function": "error"}),
        ("04833be8030000", {"direction": "forward"}),
        ("04833ce8030000", {"direction": "backward"}),
        ("0483fc01e8030000", {"place": ":A"}),
        ("0483fc7ae8030000", {"place": ":x7a"}),
        ("0483ff8102e8030000", {"place": ":m0102"}),
        ("048378e8030000", {"place": ":v78", "plain": False}),
        ("04833ae8030000", {"place": ":v3a"}),
        ("048315e8030000", {"value": None}),
        ("048300e8030000", {}),
        ("0483f400e8030000", {"value": Decimal(10)}),
        ("04837de8030000", {"value": Decimal(1_000_000)}),
    ],
)
def test_what_extensions_change(text: str, changes: dict[str, Any]) -> None:
    usual = {"function": "present", "storage": 0, "tariff": 0, "subunit": 0, "direction": "", "place": ""}
    wanted = usual | {"value": Decimal(1000), "valid": True, "plain": True} | changes
    found = record(text)
    assert {key: getattr(found, key) for key in wanted} == wanted


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ("04", "length"),
        ("0413", "length"),
        ("0413010203", "length"),
        ("84", "length"),
        ("0493", "length"),
        ("0d78", "length"),
        ("0d7805", "length"),
        ("02fc", "length"),
        ("02fc4041", "length"),
        ("0dfdfaf9", "length"),
        ("84" + "80" * 9 + "8003e8030000", "sanity"),
        ("04" + "93" * 11 + "00" * 5, "sanity"),
        ("0d78ca", "unsupported"),
        ("0d78ff", "unsupported"),
        ("4f", "unsupported"),
    ],
)
def test_records_that_cannot_be(records: str, reason: str) -> None:
    with pytest.raises(TelegramError) as caught:
        read_telegram(reply(records)[7:-2])
    assert caught.value.reason == reason


def test_no_frame_gives_two_values_for_one_series() -> None:
    seen = 0
    for path in sorted(VECTORS.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            for item in json.loads(line)["items"]:
                series = [(each["device"], each["quantity"]) for each in item.get("readings", ())]
                assert len(set(series)) == len(series)
                seen += len(series)
    assert seen > 100


def test_any_medium_gives_only_its_own_quantities() -> None:
    records = "0406e8030000" + "042be8030000" + "0413e8030000"
    told = {}
    for medium in range(256):
        session = DRIVER.open_session({}, "port")
        told[medium] = {quantity for _, quantity in values(session.receive(reply(records, medium=medium), START))}
    assert told[0x02] == {"energy_import", "power", "volume"}
    assert told[0x03] == {"gas_volume"}
    assert told[0x04] == told[0x0C] == told[0x0D] == {"heat_energy", "heat_power", "volume"}
    assert told[0x0A] == {"cooling_energy", "heat_power", "volume"}
    assert told[0x06] == told[0x07] == told[0x16] == {"water_volume"}
    assert told[0x00] == told[0xFF] == {"volume"}


# --- the line -----------------------------------------------------------------------------------------------------


def test_a_long_frame_is_decoded_at_the_pace_of_its_line() -> None:
    frame = reply("0413e8030000" * 40, medium=7)  # 255 bytes: 1.17 s at 2400 baud
    session = DRIVER.open_session({}, "port")
    items: list[Item] = []
    for count, byte in enumerate(frame):
        items += session.receive(bytes((byte,)), START.later(count * character_s(LINE)))
    assert len(values(items)) == 40
    assert not any(isinstance(item, Refused) for item in items)


def test_a_reply_is_found_at_once_behind_a_header_that_claims_it() -> None:
    session = DRIVER.open_session({}, "port")
    assert not list(session.receive(bytes.fromhex("68ffff68"), START))
    found = list(session.receive(reply("0413e8030000"), START.later(0.05)))
    assert values(found) == {("", "water_volume"): 1.0}


# --- polling ------------------------------------------------------------------------------------------------------


class FakeLine:
    """A meter on the line: `answer(request)` is what it sends, or b"" for silence. Keeps what was asked."""

    def __init__(self, session: SerialSession, answer: Callable[[bytes], bytes], *, echo: bool = False) -> None:
        self.session = session
        self.answer = answer
        self.echo = echo
        self.asked: list[bytes] = []
        self.now = START
        self.items: list[Item] = []

    def run(self, seconds: float) -> list[Item]:
        """Let time pass; the items of it."""
        end, before = self.now.later(seconds), len(self.items)
        while self.now.mono_ns < end.mono_ns:
            request, delay_s = self.session.next_request(self.now)
            heard = b""
            if request:
                self.asked.append(request)
                heard = (request if self.echo else b"") + self.answer(request)
            self.now = self.now.later(0.1 if heard else min(delay_s, (end.mono_ns - self.now.mono_ns) / NS + 0.001))
            self.items += self.session.receive(heard, self.now)
        return self.items[before:]


def open_polling(*meters: dict[str, Any], **options: Any) -> SerialSession:
    return DRIVER.open_session({"meters": list(meters), "interval_s": 60, **options}, "cellar")


RESET_1, READ_1, READ_ON_1 = short_frame(0x40, 1), short_frame(0x7B, 1), short_frame(0x5B, 1)


def test_frames_that_are_sent() -> None:
    assert RESET_1.hex() == "1040014116"
    assert READ_1.hex() == "107b017c16"
    # the select frame of the M-Bus documentation, 7.1, for the meter 12345678 with everything else open
    assert selection("12345678FFFFFFFF").hex() == "680b0b6873fd5278563412ffffffffd216"


@pytest.mark.parametrize("echo", [False, True])
def test_a_primary_address_is_reset_and_read_once_an_interval(echo: bool) -> None:
    answers = {RESET_1: b"\xe5", READ_1: reply("0413e8030000")}
    line = FakeLine(open_polling({"address": 1}), lambda request: answers[request], echo=echo)
    items = line.run(119)
    assert line.asked == [RESET_1, READ_1] * 2
    assert [item for item in items if not isinstance(item, Readings)] == []
    assert len(items) == 2


def test_a_secondary_address_is_selected_and_read_at_253() -> None:
    chosen, read = selection("12345678FFFFFFFF"), short_frame(0x7B, 253)
    answers = {chosen: b"\xe5", read: reply("0413e8030000", address=0)}
    line = FakeLine(open_polling({"secondary": "12345678"}), lambda request: answers[request])
    assert values(line.run(30)) == {("", "water_volume"): 1.0}
    assert line.asked == [chosen, read]


def test_another_meter_than_the_selected_one_gives_no_values() -> None:
    chosen = selection("12345678FFFFFFFF")
    answers = {chosen: b"\xe5", short_frame(0x7B, 253): reply("0413e8030000", number="87654321")}
    line = FakeLine(open_polling({"secondary": "12345678"}), lambda request: answers[request])
    assert line.run(30) == [Seen("mbus:ELV:87654321")]


def test_more_telegrams_are_asked_with_the_other_fcb_and_keep_their_places() -> None:
    answers = {
        RESET_1: [b"\xe5"],
        READ_1: [reply("0413e80300001f", access=1), reply("0413ea030000", access=3)],
        READ_ON_1: [reply("0413e90300001f", access=2)],
    }
    line = FakeLine(open_polling({"address": 1}), lambda request: answers[request].pop(0))
    items = line.run(30)
    assert line.asked == [RESET_1, READ_1, READ_ON_1, READ_1]
    assert values(items) == {("", "water_volume"): 1.0, (":n2", "water_volume"): 1.001, (":n3", "water_volume"): 1.002}


def test_a_meter_that_repeats_its_telegram_is_read_once() -> None:
    answers = {RESET_1: b"\xe5", READ_1: reply("0413e80300001f"), READ_ON_1: reply("0413e80300001f", access=9)}
    line = FakeLine(open_polling({"address": 1}), lambda request: answers[request])
    assert values(line.run(30)) == {("", "water_volume"): 1.0}
    assert line.asked == [RESET_1, READ_1, READ_ON_1]


def test_telegrams_without_end_are_given_up() -> None:
    count = iter(range(10_000))
    line = FakeLine(
        open_polling({"address": 1}),
        lambda request: b"\xe5" if request == RESET_1 else reply(f"0413{next(count):02x}0300001f"),
    )
    assert len(line.run(30)) == 16
    assert len(line.asked) == 17


def test_a_meter_that_acknowledges_no_reset_is_read_without_one() -> None:
    line = FakeLine(open_polling({"address": 1}), lambda request: b"" if request == RESET_1 else reply("0413e8030000"))
    assert values(line.run(70)) == {("", "water_volume"): 1.0}
    assert line.asked[:2] == [RESET_1, READ_1]


def test_a_dead_meter_is_told_by_its_address_and_costs_the_other_little() -> None:
    answers = {RESET_1: b"\xe5", READ_1: reply("0413e8030000")}
    line = FakeLine(open_polling({"address": 1}, {"address": 2}), lambda request: answers.get(request, b""))
    items = line.run(600)
    notes = [item for item in items if isinstance(item, DeviceNote)]
    assert [(note.device, note.kind) for note in notes] == [("mbus:cellar:2", "no-reply")]
    assert sum(isinstance(item, Readings) for item in items) == 10


def test_a_meter_that_died_is_told_by_its_own_id() -> None:
    answers = {RESET_1: b"\xe5", READ_1: reply("0413e8030000")}
    line = FakeLine(open_polling({"address": 1}), lambda request: answers.get(request, b""))
    line.run(30)
    answers.clear()
    notes = [item for item in line.run(600) if isinstance(item, DeviceNote)]
    assert [(note.device, note.kind) for note in notes] == [("mbus:ELV:12345678", "no-reply")]


def test_a_late_reply_gives_no_values() -> None:
    """It might go on with a reply whose beginning is gone, and its records would get other places."""
    session = open_polling({"address": 1})
    line = FakeLine(session, lambda request: b"")
    line.run(5)
    assert list(session.receive(reply("0413e8030000"), line.now)) == [Seen("mbus:ELV:12345678")]


def test_a_reply_that_cannot_be_decoded_settles_what_was_asked() -> None:
    answers = {RESET_1: b"\xe5", READ_1: reply("0413")}
    line = FakeLine(open_polling({"address": 1}), lambda request: answers[request])
    assert [item.reason for item in line.run(50) if isinstance(item, Refused)] == ["length"]
    assert line.asked == [RESET_1, READ_1]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"meters": [{}]}, r"meters\[0\]: give either address or secondary"),
        ({"meters": [{"address": 1, "secondary": "12345678"}]}, r"meters\[0\]: give either"),
        ({"meters": [{"address": 253}]}, "253 is no address"),
        ({"meters": [{"address": 255}]}, "meters"),
        ({"meters": [{"secondary": "1234567"}]}, "meters"),
        ({"meters": [{"address": 1}, {"address": 1}]}, "twice"),
        ({"meters": [{"secondary": "12345678"}, {"secondary": "12345678ffffffff"}]}, "twice"),
        ({"meters": [{"address": 254}, {"address": 1}]}, "only one"),
        ({"interval_s": 0}, "interval_s"),
        ({"baud": 300}, "baud"),
    ],
)
def test_wrong_options_name_their_key(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        DRIVER.open_session(options, "cellar")


# --- profiles -----------------------------------------------------------------------------------------------------


def profile(*values: dict[str, Any]) -> dict[str, Any]:
    return {"name": "acme", "title": "ACME", "supervision_s": 3600, "mbus": {"interval_s": 10}, "value": list(values)}


def with_profile(records: str, *rules: dict[str, Any]) -> list[Item]:
    session = DRIVER.open_session({"profile": profile(*rules)}, "port")
    return list(session.receive(reply(records), START))


def test_a_profile_gives_the_records_that_it_names_and_no_others() -> None:
    items = with_profile(
        "4413e8030000" + "0413e9030000" + "02fdc8ff01e608" + "02fdc8ff02e708" + "0afd3a0500",
        {"path": "volume s1", "quantity": "gas_volume"},
        {"path": "voltage m02", "quantity": "voltage", "place": ":B"},
        {"path": "dimensionless", "quantity": "power_factor", "scale": 0.001, "offset": 0.5},
    )
    assert values(items) == {("", "gas_volume"): 1.0, (":B", "voltage"): 227.9, ("", "power_factor"): 0.505}


def test_a_profile_tells_repeated_records_and_texts_apart() -> None:
    items = with_profile(
        "02fd48e60802fd48e708" + "02fc0348522574c811" + "0afd3a0500",
        {"path": "voltage n2", "quantity": "voltage"},
        {"path": "text:%RH", "quantity": "humidity", "maximum": 40},
        {"path": "energy", "quantity": "energy_import"},
    )
    assert values(items) == {("", "voltage"): 227.9}
    assert [item.reason for item in items if isinstance(item, Refused)] == ["sanity"]


def test_a_meters_own_profile_sets_its_period() -> None:
    answers = {RESET_1: b"\xe5", READ_1: reply("0406e8030000", medium=4)}
    meter = {"address": 1, "profile": profile({"path": "energy", "quantity": "heat_energy", "place": ":2"})}
    line = FakeLine(open_polling(meter), lambda request: answers[request])
    items = line.run(29)
    assert len(items) == 3
    assert values(items[:1]) == {(":2", "heat_energy"): 1000.0}


@pytest.mark.parametrize("text", ["", "colour", "volume s", "volume q1", "energy n0", "energy n1 n2", "text:", "date"])
def test_selectors_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_selector(text)


def test_a_wrong_selector_names_itself() -> None:
    with pytest.raises(ConfigError, match="'volume q1'"):
        DRIVER.open_session({"profile": profile({"path": "volume q1", "quantity": "volume"})}, "port")


@pytest.mark.parametrize(
    ("path", "quantity", "error"),
    [
        ("flow_temperature", "voltage", "is in Cel; voltage is in V"),
        ("temperature_difference", "temperature", "is in K; temperature is in Cel"),
        ("energy", "power", "is in J or Wh or cal; power is in W"),
        ("fabrication_number", "voltage", "is in a record without a unit; voltage is in V"),
        ("text:%RH max", "temperature", "is in %RH; temperature is in Cel"),
        ("volumme", "volume", "'volumme' is no kind of record; near it: volume"),
    ],
)
def test_a_rule_of_another_measure_is_refused_by_its_number(path: str, quantity: str, error: str) -> None:
    rules = [{"path": "voltage", "quantity": "voltage"}, {"path": path, "quantity": quantity}]
    with pytest.raises(ConfigError) as caught:
        DRIVER.open_session({"profile": profile(*rules)}, "port")
    assert f"value[1].path = {path!r}: " in str(caught.value)
    assert error in str(caught.value)


def test_the_guide_lists_every_kind_beside_the_units_that_it_fits() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text(encoding="utf-8")
    chapter = guide.split("\n## M-Bus\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[a-z_` ]+`) \| (.+) \|$", chapter, re.M)
    told = {kind: unit for kinds, unit in rows for kind in re.findall(r"`([a-z_]+)`", kinds)}
    assert set(told) == set(KINDS)
    every = set(TELEMETRY_UNITS.values())
    for kind, unit in told.items():
        fitting = {TELEMETRY_UNITS[each] for each in TELEMETRY_UNITS if fits(parse_selector(kind), each)}
        assert fitting == {"any": every, "none of ours": set()}.get(unit, set(re.findall(r"`(.+?)`", unit))), kind


def test_what_the_maker_alone_knows_the_unit_of_may_be_anything() -> None:
    for path in ("dimensionless", "manufacturer m1300", "any", "text:degF", "volume v20"):
        DRIVER.open_session({"profile": profile({"path": path, "quantity": "voltage"})}, "port")
    DRIVER.open_session({"profile": profile({"path": "reset_counter", "quantity": "power_failures"})}, "port")


def test_a_record_in_a_unit_without_a_way_to_the_quantitys_gives_nothing() -> None:
    rule = {"path": "battery_operating_time", "quantity": "operating_time"}
    assert values(with_profile("02fd6c0a00", rule)) == {("", "operating_time"): 10.0}  # hours, days, then months
    assert values(with_profile("02fd6d0a00", rule)) == {("", "operating_time"): 240.0}
    assert [item.reason for item in with_profile("02fd6e0a00", rule) if isinstance(item, Refused)] == ["sanity"]
    days = {"path": "battery_remaining", "quantity": "operating_time"}
    assert values(with_profile("02fd740a00", days)) == {("", "operating_time"): 240.0}
