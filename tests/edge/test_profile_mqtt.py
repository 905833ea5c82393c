"""What a profile makes of a device's messages, rule by rule; and that no payload ever stops it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline_edge.devices import (
    Change,
    DeviceNote,
    Item,
    MqttDriver,
    MqttMessage,
    MqttSession,
    Press,
    Readings,
    Refused,
    Release,
    Seen,
    Vital,
)
from hearthline_edge.grouping import Verdict, judge
from hearthline_edge.profile import Profile
from hearthline_edge.profile_check import check_profile
from hearthline_edge.profile_mqtt import mqtt_driver
from hearthline_edge.profile_paths import parse_path
from hearthline_edge.profiles import load_profiles
from trials import LONG

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
NOTHING: tuple[Any, ...] = (None, False, 0, "", " ", [], {}, "none", "unavailable")
SHIPPED = load_profiles(None)
MQTT = [mqtt_driver(SHIPPED.known[name]) for name in SHIPPED.of_way("mqtt")]


def profile(body: str, head: str = 'topic = "acme/{device}/state"') -> Profile:
    made = msgspec.toml.decode(
        f'name = "acme"\ntitle = "ACME"\nsupervision_s = 60\n[mqtt]\n{head}\n{body}', type=Profile
    )
    check_profile(made, "acme.toml")
    return made


class Device:
    """A device that talks to one session of a profile; a second passes between messages."""

    def __init__(self, made: Profile) -> None:
        self.driver = mqtt_driver(made)
        self.session: MqttSession = self.driver.open_session({})
        self.now = START

    def says(self, payload: Any, topic: str = "acme/d1/state", *, retained: bool = False) -> list[Item]:
        self.now = self.now.later(1)
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        items = list(self.session.receive(MqttMessage(topic, raw, retained), self.now))
        assert self.driver.claims(topic) or not items
        return items


def readings(items: list[Item]) -> list[tuple[str, str, float, str]]:
    found = [each for item in items if isinstance(item, Readings) for each in item.readings]
    return [(each.device, each.quantity, each.value, each.unit) for each in found]


def kinds(items: list[Item]) -> list[str]:
    """What the items are, in short."""
    short = []
    for item in items:
        match item:
            case Press():
                short.append(f"press {item.button}")
            case Release():
                short.append(f"release {item.button}")
            case Change() | DeviceNote():
                short.append(f"{type(item).__name__.lower()} {item.kind}")
            case Refused():
                short.append(f"refused {item.reason}")
            case _:
                short.append(type(item).__name__.lower())
    return short


# --- values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "payload", "value"),
    [
        ('path = "t"', {"t": 21.5}, 21.5),
        ('path = "t"', {"t": "21.50"}, 21.5),
        ('path = "t"', {"t": " 21.5 "}, 21.5),
        ('path = "t"\nscale = 0.1', {"t": 215}, 21.5),
        ('path = "t"\nscale = 0.1', {"t": 3}, 0.3),
        ('path = "t"\nscale = 0.01\noffset = -40', {"t": 6150}, 21.5),
        ('path = "a.b.t"', {"a": {"b": {"t": 1}}}, 1.0),
        ('path = "s[1].t"', {"s": [{"t": 1}, {"t": 2}]}, 2.0),
        ('path = "[1]"', [1, 2], 2.0),
        ("path = \"'a.b'.t\"", {"a.b": {"t": 3}}, 3.0),
        ("path = 'switch:0.\"room temp\"'", {"switch:0": {"room temp": 3}}, 3.0),
        ('path = "t"\nminimum = 0\nmaximum = 50', {"t": 50}, 50.0),
    ],
)
def test_a_value_is_found_and_put_into_its_unit(rule: str, payload: Any, value: float) -> None:
    device = Device(profile(f'[[value]]\nquantity = "temperature"\n{rule}'))
    assert readings(device.says(payload)) == [("acme:d1", "temperature", value, "Cel")]


@pytest.mark.parametrize("payload", [b"21.5", b'"21.5"', b" 21.5\n", b"2.15e1"])
def test_a_payload_may_be_the_value_itself(payload: bytes) -> None:
    device = Device(profile('[[value]]\nquantity = "temperature"'))
    assert readings(device.says(payload)) == [("acme:d1", "temperature", 21.5, "Cel")]


@pytest.mark.parametrize("value", [None, "", "unknown", "unavailable", "nan", "None"])
def test_no_value_is_not_zero(value: Any) -> None:
    device = Device(profile('[[value]]\nquantity = "temperature"\npath = "t"'))
    assert kinds(device.says({"t": value})) == kinds(device.says({})) == ["seen"]


@pytest.mark.parametrize("value", [True, "warm", {"a": 1}, [1], 51, -1, 1e16, "1e99", "sNaN"])
def test_what_cannot_be_the_value_is_refused_beside_the_others(value: Any) -> None:
    body = '[[value]]\nquantity = "temperature"\npath = "t"\nminimum = 0\nmaximum = 50\n'
    device = Device(profile(body + '[[value]]\nquantity = "humidity"\npath = "h"'))
    items = device.says({"t": value, "h": 40})
    assert readings(items) == [("acme:d1", "humidity", 40.0, "%RH")]
    assert kinds(items) == ["readings", "refused sanity"]


def test_phases_are_told_apart_by_place() -> None:
    body = "".join(f'[[value]]\nquantity = "power"\npath = "p[{n}]"\nplace = ":{p}"\n' for n, p in enumerate("AB"))
    assert readings(Device(profile(body)).says({"p": [5, 7]})) == [
        ("acme:d1:A", "power", 5.0, "W"),
        ("acme:d1:B", "power", 7.0, "W"),
    ]


def test_vital_signs_are_one_result() -> None:
    body = "".join(
        f'[[value]]\nquantity = "{quantity}"\npath = "{path}"\n'
        for quantity, path in (("systolic", "sys"), ("diastolic", "dia"), ("battery", "batt"))
    )
    cuff = Device(profile(body))
    items = cuff.says({"sys": 122, "dia": 75, "batt": 80})
    assert items[0] == Vital("acme:d1", (("systolic", 122.0), ("diastolic", 75.0)), None, "", items[0].raw)  # type: ignore[union-attr]
    assert readings(items) == [("acme:d1", "battery", 80.0, "%EL")]
    assert cuff.says({"sys": 122, "dia": 75}, retained=True) == []


# --- events -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "payload", "button"),
    [
        ("", {"key": "long"}, "long"),
        ("", {"key": 1}, "1"),
        ("", {"key": 2.0}, "2"),
        ("", {"key": True}, "true"),
        ("", {"key": {"deep": 1}}, "press"),
        ('button = "help"', {"key": "long"}, "help"),
        ('button = "3-{value}"', {"key": "long"}, "3-long"),
        ('equals = "long"', {"key": "long"}, "long"),
        ('equals = ["ON", true, 1]', {"key": True}, "true"),
        ('equals = ["ON", true, 1]', {"key": 1}, "1"),
        ("equals = 0", {"key": 0}, "0"),
        ("equals = 0.1", {"key": 0.1}, "0.1"),
        ('equals = "unknown"', {"key": "unknown"}, "unknown"),
        ('unless = "idle"', {"key": "long"}, "long"),
        ("", {"key": "x" * 100}, "x" * 64),
    ],
)
def test_a_press_is_named(rule: str, payload: Any, button: str) -> None:
    items = Device(profile(f'[[event]]\nevent = "press"\npath = "key"\n{rule}')).says(payload)
    assert isinstance(items[0], Press)
    assert (items[0].device, items[0].button, items[0].content) == ("acme:d1", button, button)


@pytest.mark.parametrize(
    ("rule", "payload"),
    [
        *(("", {"key": nothing}) for nothing in NOTHING),
        ("", {}),
        ('equals = "long"', {"key": "short"}),
        ('equals = "1"', {"key": 1}),
        ("equals = 1", {"key": True}),
        ("equals = 1", {"key": "1"}),
        ("equals = true", {"key": 1}),
        ("equals = true", {"key": "true"}),
        ('unless = ["idle", 3]', {"key": "idle"}),
        ('unless = ["idle", 3]', {"key": 3}),
    ],
)
def test_what_is_not_listed_is_no_press(rule: str, payload: Any) -> None:
    assert kinds(Device(profile(f'[[event]]\nevent = "press"\npath = "key"\n{rule}')).says(payload)) == ["seen"]


@pytest.mark.parametrize("payload", [b"ON", b'"ON"', b"ON\n", b"1", b"true"])
def test_a_plain_payload_is_compared_as_written_too(payload: bytes) -> None:
    device = Device(profile('[[event]]\nevent = "press"\nbutton = "help"\nequals = ["ON", "1", "true"]'))
    assert kinds(device.says(payload)) == ["press help"]
    assert kinds(device.says(b"OFF")) == ["seen"]


def test_a_press_whose_number_is_missing_is_one_of_its_own() -> None:
    device = Device(profile('[[event]]\nevent = "press"\npath = "b"\nnumber = "n"'))
    contents = set()
    for number in ({"n": 1}, {}, {"n": None}, {"n": [2]}):
        (press,) = device.says({"b": "short", **number})
        assert isinstance(press, Press)
        contents.add(press.content)
    assert len(contents) == 4


def test_a_number_tells_presses_apart_whose_copies_come_late() -> None:
    device = Device(profile('[[event]]\nevent = "press"\npath = "b"\nnumber = "n"'))
    rule = device.driver.grouping
    assert (rule.quiet_gap_s, rule.remember) == (60.0, 16)
    state, verdicts = None, []
    for count in (7, 7, 8, 7, 8, 9):
        (press,) = device.says({"b": 1, "n": count})
        assert isinstance(press, Press)
        verdict, state = judge(state, press, rule, device.now)
        verdicts.append(verdict)
    assert [each is Verdict.NEW for each in verdicts] == [True, False, True, False, False, True]


@pytest.mark.parametrize(("head", "gap_s"), [("", 1.0), ("quiet_gap_s = 0.0", 0.0), ("quiet_gap_s = 5.0", 5.0)])
def test_the_quiet_gap_of_presses_without_a_number(head: str, gap_s: float) -> None:
    made = profile('[[event]]\nevent = "press"\npath = "b"', f'topic = "acme/{{device}}/state"\n{head}')
    assert mqtt_driver(made).grouping.quiet_gap_s == gap_s


def test_a_press_brings_what_the_operator_wants_to_see() -> None:
    body = '[[event]]\nevent = "press"\npath = "b"\n[[value]]\nquantity = "battery"\npath = "batt"'
    (press, _) = Device(profile(body)).says({"b": "1", "batt": 8})
    assert isinstance(press, Press)
    assert press.facts == (("battery", 8.0),)
    assert json.loads(press.raw) == {"b": "1", "batt": 8}


def test_a_hazard_lasts_until_it_is_over() -> None:
    device = Device(profile('[[event]]\nevent = "smoke"\npath = "smoke"\nequals = true'))
    told = [device.says({"smoke": value}) for value in (False, True, True, None, False, False, True)]
    assert [kinds(items) for items in told] == [
        ["release smoke"],  # the first word since the start: the press may be of before it
        ["press smoke"],
        ["press smoke"],
        ["seen"],
        ["release smoke"],
        ["seen"],
        ["press smoke"],
    ]
    assert all(item.lasting for items in told for item in items if isinstance(item, Press))


@pytest.mark.parametrize("how", ["momentary = true", 'number = "n"'])
def test_a_hazard_that_is_told_once_is_a_press_of_its_own(how: str) -> None:
    (press,) = Device(profile(f'[[event]]\nevent = "fall"\npath = "f"\n{how}')).says({"f": 1, "n": 3})
    assert isinstance(press, Press)
    assert (press.button, press.lasting) == ("fall", False)


def test_a_hazard_of_two_probes_is_over_when_both_are_dry() -> None:
    body = "".join(f'[[event]]\nevent = "leak"\npath = "{probe}"\nequals = true\n' for probe in "ab")
    device = Device(profile(body))
    assert kinds(device.says({"a": True, "b": True})) == ["press leak", "press leak"]
    assert kinds(device.says({"a": False, "b": True})) == ["press leak"]
    assert kinds(device.says({"a": False, "b": False})) == ["release leak"]


def test_changes_are_transitions() -> None:
    body = "".join(
        f'[[event]]\nevent = "{kind}"\npath = "contact"\nequals = {value}\n'
        for kind, value in (("open", "false"), ("closed", "true"))
    )
    device = Device(profile(body))
    told = [kinds(device.says({"contact": value})) for value in (True, True, False, "unavailable", False, True)]
    assert told == [["change closed"], ["seen"], ["change open"], ["seen"], ["seen"], ["change closed"]]
    assert kinds(device.says({"contact": True}, "acme/d2/state")) == ["change closed"]


def test_a_momentary_change_is_told_at_each_report_but_its_repeats() -> None:
    head = 'topic = "acme/{device}/state"\nquiet_gap_s = 1.5'
    device = Device(profile('[[event]]\nevent = "motion"\npath = "pir"\nmomentary = true', head))
    assert [kinds(device.says({"pir": 1})) for _ in range(3)] == [["change motion"], ["seen"], ["seen"]]
    device.now = device.now.later(30)
    assert kinds(device.says({"pir": 1})) == ["change motion"]


def test_a_note_is_told_once_per_becoming_true() -> None:
    device = Device(profile('[[event]]\nevent = "low-battery"\npath = "batt"\nequals = ["low", "critical"]'))
    told = [device.says({"batt": value}) for value in ("low", "critical", None, "ok", "low")]
    assert [kinds(items) for items in told] == [
        ["devicenote low-battery"],
        ["seen"],
        ["seen"],
        ["seen"],
        ["devicenote low-battery"],
    ]
    assert told[0] == [DeviceNote("acme:d1", "low-battery", "low")]


def test_who_is_offline_is_not_alive() -> None:
    device = Device(profile('[[event]]\nevent = "offline"\nequals = "offline"'))
    assert kinds(device.says(b"offline")) == ["devicenote offline"]
    assert kinds(device.says(b"offline")) == []
    assert kinds(device.says(b"online")) == ["seen"]


def test_a_retained_message_only_says_how_things_stood() -> None:
    rules = {"press": "key", "smoke": "smoke", "open": "open", "tamper": "tamper"}
    body = "".join(f'[[event]]\nevent = "{event}"\npath = "{path}"\n' for event, path in rules.items())
    device = Device(profile(body + '[[value]]\nquantity = "battery"\npath = "batt"\n'))
    everything = {"key": 1, "smoke": True, "open": True, "tamper": True, "batt": 7}
    assert kinds(device.says(everything, retained=True)) == ["devicenote tamper"]
    assert kinds(device.says(everything, retained=True)) == []
    assert kinds(device.says(everything)) == ["press 1", "press smoke", "readings"]
    assert kinds(device.says({"open": False}, retained=True)) == []
    assert kinds(device.says({"open": True})) == ["seen"]
    assert device.says(b"no json", retained=True) == []


# --- topics and names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "subscriptions", "heard", "passed"),
    [
        ("acme/{device}/state", ("acme/+/state",), {"acme/客厅 1/state": "客厅 1"}, ["acme/state", "x/a/state"]),
        ("{device}", ("+",), {"a": "a"}, ["a/b", "$SYS"]),
        ("/a/+/{device}", ("/a/+/+",), {"/a/x/y": "y"}, ["a/x/y", "/a/x"]),
        ("a/{device}/#", ("a/+/#",), {"a/b": "b", "a/b/c/d": "b"}, ["a", "b/b/c"]),
    ],
)  # fmt: skip
def test_topics(topic: str, subscriptions: tuple[str, ...], heard: dict[str, str], passed: list[str]) -> None:
    device = Device(profile('[[event]]\nevent = "press"', f'topic = "{topic}"'))
    assert device.driver.subscriptions == subscriptions
    assert device.driver.claims(device.driver.example_topic)
    for each, name in heard.items():
        (press,) = device.says(b"1", each)
        assert isinstance(press, Press)
        assert press.device == f"acme:{name}"
    assert not any(device.says(b"1", each) for each in passed)


def test_rules_with_topics_of_their_own_hear_nothing_else() -> None:
    body = '[[value]]\nquantity = "power"\ntopic = "relay/0/power"\n[[event]]\nevent = "on"\ntopic = "relay/0"\n'
    device = Device(profile(body, 'topic = "shellies/{device}/#"'))
    assert device.driver.subscriptions == ("shellies/+/relay/0", "shellies/+/relay/0/power")
    assert kinds(device.says(b"37.71", "shellies/p/relay/0/power")) == ["readings"]
    assert kinds(device.says(b"on", "shellies/p/relay/0")) == ["change on"]
    assert device.says(b"on", "shellies/p/relay/0/command") == []


def test_the_payload_may_name_the_device() -> None:
    head = 'topic = "home/+/433toMQTT"\ndevice_path = "value"'
    fob = Device(profile('[[event]]\nevent = "press"\npath = "value"\nbutton = "1"', head))
    assert kinds(fob.says({"value": 1315156, "protocol": 1}, "home/omg/433toMQTT")) == ["press 1"]
    (press,) = fob.says({"value": 1315156}, "home/omg/433toMQTT")
    assert isinstance(press, Press)
    assert press.device == "acme:1315156"
    for nameless in ({}, {"value": None}, {"value": ""}, {"value": [1]}, {"value": "x" * 257}):
        assert kinds(fob.says(nameless, "home/omg/433toMQTT")) == ["refused sanity"]


def test_only_its_own_messages() -> None:
    head = 'topic = "w/{device}"\nonly = { path = "media", equals = ["water", "warm water"] }'
    meter = Device(profile('[[value]]\nquantity = "water_volume"\npath = "total_m3"', head))
    assert readings(meter.says({"media": "water", "total_m3": 6.408}, "w/1")) == [
        ("acme:1", "water_volume", 6.408, "m3")
    ]
    assert meter.says({"media": "gas", "total_m3": 6.408}, "w/1") == meter.says(b"no json", "w/1") == []


@pytest.mark.parametrize("payload", [b"no json", b'"text"', b"7", b"\xff\xfe", b"{", b"[" * 100_000])
def test_a_payload_without_names_is_refused(payload: bytes) -> None:
    device = Device(profile('[[value]]\nquantity = "battery"\npath = "batt"'))
    assert kinds(device.says(payload)) == ["refused sanity"]
    assert device.says(b"") == []


def test_names_without_end_do_not_grow_memory() -> None:
    device = Device(profile('[[event]]\nevent = "open"\npath = "open"\n[[event]]\nevent = "leak"\npath = "leak"'))
    for count in range(3000):
        device.says({"open": True}, f"acme/{count}/state")
    assert len(device.session._devices) == 1000  # type: ignore[attr-defined]
    assert kinds(device.says({"open": True}, "acme/2999/state")) == ["seen"]


def test_a_profile_has_no_options() -> None:
    with pytest.raises(ConfigError, match="profile:acme: a profile has no options"):
        mqtt_driver(profile('[[event]]\nevent = "press"')).open_session({"a": 1})


# --- any payload --------------------------------------------------------------------------------------------------


def paths_of(driver: MqttDriver) -> list[str]:
    """Every key that a shipped profile looks for, so that the payloads hit it."""
    made = SHIPPED.known[driver.aliases[0]]
    assert made.mqtt is not None
    found = {rule.path for rule in made.value} | {rule.path for rule in made.event}
    found |= {rule.number for rule in made.event if rule.number is not None}
    if made.mqtt.only is not None:
        found.add(made.mqtt.only.path)
    return sorted(str(step) for path in found for step in parse_path(path))


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(
        ["on", "off", "true", "open", "close", "water", "S", "SINGLE", "1e999999", "nan", "sNaN", "-0", ""]
    ),
)


def payloads(keys: list[str]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(keys) | st.text(max_size=5) if keys else st.text(max_size=5)
    return st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6))


@pytest.mark.parametrize("driver", MQTT, ids=lambda driver: driver.name)
@settings(max_examples=100 if LONG else 12, deadline=None)
@given(data=st.data())
def test_no_payload_ever_raises(driver: MqttDriver, data: st.DataObject) -> None:
    session, now = driver.open_session({}), START
    topics = [each.replace("+", "d1") for each in driver.subscriptions]
    for _ in range(3):
        value = data.draw(payloads(paths_of(driver)))
        raw = data.draw(st.sampled_from([json.dumps(value).encode(), json.dumps(value)[:-1].encode()]) | st.binary())
        now = now.later(data.draw(st.floats(-10, 1000)))
        message = MqttMessage(data.draw(st.sampled_from(topics) | st.text(max_size=10)), raw, data.draw(st.booleans()))
        for item in session.receive(message, now):
            seen = {(each.device, each.quantity) for each in item.readings} if isinstance(item, Readings) else ()
            assert not isinstance(item, Readings) or len(seen) == len(item.readings)
            assert not (message.retained and isinstance(item, Press | Readings | Change | Vital | Seen))


def test_shipped_profiles_on_messages_from_their_sources() -> None:
    """Single messages that the profiles' sources show; `tests/edge/profiles.jsonl` names each."""
    path = Path(__file__).parent / "profiles.jsonl"
    tried = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        session = mqtt_driver(SHIPPED.known[case["profile"]]).open_session({})
        items: list[Item] = []
        for topic, payload in case["messages"]:
            items += session.receive(MqttMessage(topic, payload.encode(), False), START)
        found = [[*each] for each in readings(items)]
        assert (found, [each for each in kinds(items) if each not in ("readings", "seen")]) == (
            case["readings"],
            case["events"],
        ), case["source"]
        tried.add(case["profile"])
    assert tried == set(SHIPPED.of_way("mqtt"))
