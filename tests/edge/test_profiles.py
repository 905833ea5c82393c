"""Profiles are checked key by key; one bad file is set aside and silences nothing else; the docs' examples run."""

from __future__ import annotations

import json
import re
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline_edge.devices import MqttDriver, SerialDriver, find_drivers
from hearthline_edge.profile import EventRule, ModbusWay, MqttWay, Only, Profile, RecordWay, ValueRule
from hearthline_edge.profile_check import EVENTS, way_of
from hearthline_edge.profiles import (
    WAY_OF_DRIVER,
    Profiles,
    SetAsideError,
    describe,
    driver_of,
    load_profile,
    load_profiles,
    with_profiles,
)
from hearthline_edge.recording import read_recording
from hearthline_edge.replay import replay

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
GUIDE = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text(encoding="utf-8")
HEAD = 'title = "ACME"\nsupervision_s = 60\n'
MQTT = f'name = "acme"\n{HEAD}[mqtt]\ntopic = "acme/{{device}}/state"\n'
LISTENS = '[[event]]\nevent = "press"\npath = "key"\n'
TREE = MQTT.replace("/state", "/#")
MODBUS = f'name = "acme"\n{HEAD}[modbus]\n'
REGISTER = '[[value]]\nquantity = "power"\nregister = 12\n'
DLT645 = f'name = "acme"\n{HEAD}[dlt645]\n'
MBUS = f'name = "acme"\n{HEAD}[mbus]\n'


def write(folder: Path, body: str, name: str = "acme") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(body, encoding="utf-8")
    return path


# --- one file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("name = ", "not valid TOML"),
        ('name = "acme"\nsupervision_s = 1', "missing key `title`"),
        ('name = "acme"\ntitle = "ACME"', "missing key `supervision_s`"),
        (MQTT.replace("acme", "ACME!", 1) + LISTENS, "name: "),
        (MQTT + LISTENS + "butten = 1\n", "event[0]: unknown key `butten`"),
        (f'name = "acme"\n{HEAD}{LISTENS}', "a profile has one of [mqtt], [modbus], [mbus], [dlt645]; here: none"),
        (MQTT + LISTENS + "[modbus]\n", "here: [mqtt] and [modbus]"),
        (MQTT, "nothing is asked for; add a [[value]] or an [[event]]"),
        (MQTT.replace("60", "inf") + LISTENS, "supervision_s = inf"),
        (MODBUS + REGISTER + LISTENS, "event[0]: only an [mqtt] profile has events"),
        (MQTT + '[[value]]\nquantity = "temprature"', "quantity = 'temprature' is not known; near it: temperature"),
        (MQTT + '[[value]]\nquantity = "xyz"', "quantity = 'xyz' is not known; known: energy_import, "),
        (MODBUS + REGISTER.replace("power", "systolic"), "quantity = 'systolic' is not known"),
        (MQTT + LISTENS.replace("press", "pres"), "event[0].event = 'pres' is not known; near it: press"),
        (MQTT + '[[value]]\nquantity = "power"\nplace = "B"', "value[0].place = 'B': a colon, then"),
        (MQTT + '[[value]]\nquantity = "systolic"\nplace = ":2"', "value[0].place: a vital sign has no place"),
        (MQTT + '[[value]]\nquantity = "power"\nscale = 0', "value[0].scale = 0 would make every value 0"),
        (MQTT + '[[value]]\nquantity = "power"\nscale = nan', "value[0].scale = nan"),
        (MQTT + '[[value]]\nquantity = "power"\nminimum = 5\nmaximum = 1', "value[0].minimum is over the maximum"),
        (MQTT + REGISTER, "value[0].register: only a [modbus] profile has registers"),
        (MQTT + '[[value]]\nquantity = "power"\npath = "a..b"', "value[0].path = 'a..b': a path is names with dots"),
        (MQTT + '[[value]]\nquantity = "power"\ntopic = "x"', "value[0].topic stands in the place of a #"),
        (TREE + '[[value]]\nquantity = "power"\ntopic = "+"', "value[0].topic = '+': a rule's topic is plain"),
        (MQTT + '[[value]]\nquantity = "power"\n' * 2, "value[1].quantity = 'power' is there already; give it a place"),
        (MODBUS + '[[value]]\nquantity = "power"', "value[0].register is missing"),
        (MODBUS + REGISTER + 'path = "x"', "value[0].path: a [modbus] profile has a register instead"),
        (MODBUS + REGISTER + 'topic = "x"', "value[0].topic: only an [mqtt] profile has topics"),
        (MODBUS + REGISTER.replace("12", "65535"), "register = 65535: a float32 does not fit behind it"),
        (MODBUS + REGISTER.replace("12", "70000"), "value[0].register"),
        (MBUS + '[[value]]\nquantity = "volume"', "value[0].path is missing: which record"),
        (MBUS + '[[value]]\nquantity = "volume"\npath = "volum s1"', "path = 'volum s1': 'volum' is no kind"),
        (DLT645 + '[[value]]\nquantity = "power"\npath = "zz"', "path = 'zz'"),
        (MQTT.replace("{device}", "+") + LISTENS, "mqtt.topic = 'acme/+/state': exactly one level is {device}"),
        (MQTT.replace("acme/", "$SYS/") + LISTENS, "neither begins with $"),
        (MQTT.replace("acme/", "#/") + LISTENS, "# may only be the last level"),
        (MQTT.replace("acme/", "a+/") + LISTENS, "'a+': +, # and {device} are levels of their own"),
        (MQTT.replace("acme/", "{name}/") + LISTENS, "'{name}': +, # and {device} are levels"),
        (MQTT + 'device_path = "id"\n' + LISTENS, "{device} and device_path both name the device"),
        (MQTT + 'only = { path = "[", equals = 1 }\n' + LISTENS, "mqtt.only.path = '['"),
        (MQTT + 'only = { path = "a", equals = [] }\n' + LISTENS, "mqtt.only.equals lists nothing"),
        (MQTT + LISTENS + "equals = 1\nunless = 2", "event[0].unless: with equals it says nothing"),
        (MQTT + LISTENS + "equals = inf", "event[0].equals = inf"),
        (MQTT + LISTENS + 'button = "{key}"', "event[0].button = '{key}': only {value} stands for something"),
        (MQTT + LISTENS.replace("press", "open") + 'button = "x"', "event[0].button: 'open' says it already"),
        (MQTT + LISTENS.replace("press", "open") + 'number = "n"', "event[0].number: only a press or a hazard"),
        (MQTT + LISTENS + "momentary = true", "event[0].momentary: a press always is"),
    ],
)
def test_the_error_names_file_and_key(tmp_path: Path, body: str, told: str) -> None:
    path = write(tmp_path, body)
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert told in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such profile"):
        load_profile(tmp_path / "acme.toml")


# --- folders ------------------------------------------------------------------------------------------------------


def test_every_shipped_profile_is_right_and_says_its_source() -> None:
    shipped = load_profiles(None)
    assert not shipped.broken
    assert len(shipped.of_way("mqtt")) >= 5
    for name, profile in shipped.known.items():
        assert profile.source, name
        view = describe(profile)
        assert (view.name, view.way) == (name, way_of(profile))
        assert view.values or view.events
        assert f"`{name}`" in GUIDE, f"docs/profiles.md does not list {name}"


def test_one_bad_file_is_set_aside_and_the_others_serve(tmp_path: Path) -> None:
    good = write(tmp_path, MQTT + LISTENS)
    write(tmp_path, "name = ", "torn")
    write(tmp_path, MQTT + LISTENS, "other")
    write(tmp_path, "name = ", ".hidden")
    (tmp_path / "notes.txt").write_text("no profile")
    profiles = load_profiles(tmp_path)
    assert profiles.own == {"acme"}
    assert profiles.known["acme"] == load_profile(good)
    assert set(profiles.broken) == {"torn", "other"}
    assert "not valid TOML" in profiles.broken["torn"]
    assert "other.toml: name = 'acme': call the file acme.toml" in profiles.broken["other"]


def test_an_own_profile_stands_in_for_a_shipped_one(tmp_path: Path) -> None:
    body = (MQTT + LISTENS).replace('"acme"', '"shelly-gen1-plug"')
    write(tmp_path, body, "shelly-gen1-plug")
    profiles = load_profiles(tmp_path)
    assert profiles.known["shelly-gen1-plug"].title == "ACME"
    assert profiles.own == {"shelly-gen1-plug"}
    write(tmp_path, "name = ", "shelly-gen1-plug")
    profiles = load_profiles(tmp_path)
    assert "shelly-gen1-plug" in profiles.broken
    assert "shelly-gen1-plug" not in profiles.known


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the folder of profiles cannot be read"):
        load_profiles(write(tmp_path, MQTT))


# --- names in a port's options ------------------------------------------------------------------------------------


def some_profiles() -> Profiles:
    made = {
        name: msgspec.toml.decode(body.replace('"acme"', f'"{name}"'), type=Profile)
        for name, body in (("meter", MODBUS + REGISTER), ("heat", MBUS), ("sos", MQTT + LISTENS))
    }
    return Profiles(made, broken={"torn": "torn.toml: not valid TOML"})


def test_a_name_is_replaced_by_its_table_wherever_it_stands() -> None:
    options = {"meters": [{"unit": 1, "profile": "meter"}, {"unit": 2, "profile": {"name": "x"}}], "profile": "meter"}
    resolved, told = with_profiles(options, some_profiles(), "modbus", "options")
    assert msgspec.convert(resolved["profile"], Profile) == some_profiles().known["meter"]
    assert [meter["profile"]["name"] for meter in resolved["meters"]] == ["meter", "x"]
    assert told == ()
    assert options["profile"] == "meter"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("metre", "options.meters[0].profile = 'metre' is not known; profiles of [modbus]: meter"),
        ("heat", "options.meters[0].profile = 'heat' is of [mbus]; profiles of [modbus]: meter"),
        ("sos", "options.meters[0].profile = 'sos' is of [mqtt]; profiles of [modbus]: meter"),
    ],
)
def test_a_name_that_nobody_knows_lists_those_of_its_way(name: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_profiles({"meters": [{"profile": name}]}, some_profiles(), "modbus", "options")
    assert str(caught.value) == told


def test_a_meter_whose_profile_is_set_aside_is_left_out() -> None:
    meters = [{"unit": 1, "profile": "torn"}, {"unit": 2, "profile": "meter"}]
    resolved, told = with_profiles({"meters": meters}, some_profiles(), "modbus", "options")
    assert [meter["unit"] for meter in resolved["meters"]] == [2]
    assert told == ("options.meters[0].profile = 'torn': torn.toml: not valid TOML; it is left out",)
    for nothing_left in ({"meters": meters[:1]}, {"profile": "torn", "meters": meters}):
        with pytest.raises(SetAsideError, match=r"torn\.toml: not valid TOML"):
            with_profiles(nothing_left, some_profiles(), "modbus", "options")


# --- drivers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", load_profiles(None).known.values(), ids=lambda profile: profile.name)
def test_every_shipped_profile_becomes_a_driver(profile: Profile) -> None:
    driver = driver_of(profile)
    if isinstance(driver, MqttDriver):
        assert driver.name not in find_drivers()
        assert driver.claims(driver.example_topic)
        driver.configured({}).open_session({})
    else:
        assert WAY_OF_DRIVER[driver.name] == way_of(profile)
        driver.open_session(driver.decode_options, "port")


# --- the guide ----------------------------------------------------------------------------------------------------

BLOCK = re.compile(r"^```(toml profile|toml wrong|text says|json log|text log|json decoded)\n(.*?)^```$", re.M | re.S)


def worked_examples() -> list[Any]:
    """(profile, log, decoded lines) of the guide, in the order of its blocks."""
    found: list[tuple[str, str, str]] = []
    profile = log = ""
    for kind, body in BLOCK.findall(GUIDE):
        if kind == "toml profile":
            profile = body
        elif kind.endswith("log"):
            log = body
        elif kind == "json decoded":
            found.append((profile, log, body))
    return [pytest.param(*each, id=msgspec.toml.decode(each[0])["name"]) for each in found]


@pytest.mark.parametrize(("profile", "log", "decoded"), worked_examples())
def test_the_guides_examples_decode_to_what_it_says(tmp_path: Path, profile: str, log: str, decoded: str) -> None:
    name = msgspec.toml.decode(profile)["name"]
    driver = driver_of(load_profile(write(tmp_path, profile, name)))
    options = driver.decode_options if isinstance(driver, SerialDriver) else {}
    heard = read_recording(BytesIO(log.encode()), 0.15, 240.0)
    lines = [json.loads(msgspec.json.encode(each)) for each in replay(driver, options, heard, START)]
    shown = [{key: value for key, value in line.items() if value is not None and key != "at"} for line in lines]
    assert shown == [json.loads(line) for line in decoded.splitlines()]


def test_every_profile_of_the_guide_is_right_and_tried(tmp_path: Path) -> None:
    profiles = [body for kind, body in BLOCK.findall(GUIDE) if kind == "toml profile"]
    loaded = [load_profile(write(tmp_path, body, msgspec.toml.decode(body)["name"])) for body in profiles]
    assert {way_of(each) for each in loaded} == {"mqtt", "modbus", "mbus", "dlt645"}
    assert [each.name for each in loaded] == [parameter.id for parameter in worked_examples()]


def test_the_guide_says_what_a_wrong_profile_says(tmp_path: Path) -> None:
    blocks = BLOCK.findall(GUIDE)
    pairs = [(one[1], two[1]) for one, two in pairwise(blocks) if one[0] == "toml wrong"]
    assert pairs
    for wrong, says in pairs:
        path = write(tmp_path, wrong)
        with pytest.raises(ConfigError) as caught:
            load_profile(path)
        assert str(caught.value).replace(f"{tmp_path}/", "") == says.strip()


def test_the_guide_has_every_key_and_every_word() -> None:
    shapes = (Profile, ValueRule, EventRule, Only, MqttWay, ModbusWay, RecordWay)
    words = {field.encode_name for shape in shapes for field in msgspec.structs.fields(shape)} | {*EVENTS}
    assert not [word for word in sorted(words) if f"`{word}`" not in GUIDE]
