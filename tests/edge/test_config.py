"""A wrong configuration names its file and its key, and the process ends with 2 before it has changed anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hearthline.cli import run
from hearthline.errors import ConfigError
from hearthline_edge.config import EdgeConfig
from hearthline_edge.fault_advice import what_to_do
from hearthline_edge.loading import load_changed, load_edge_config

UPLINK = '[uplink]\nhost = "127.0.0.1"\n'
METERS = '[[serial]]\nname = "meters"\nport = "/dev/ttyUSB1"\ndriver = "modbus-rtu"\n'
SERIAL = '[[serial]]\nname = "radio"\nport = "/dev/ttyUSB0"\ndriver = "enocean-esp3"\n'


def write(folder: Path, body: str, head: str = 'gateway = "gw-1"\n') -> Path:
    path = folder / "edge.toml"
    path.write_text(f'{head}data_dir = "{folder / "data"}"\n{body}', encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('[uplink]\nhots = "x"\n', "uplink: unknown key `hots`"),
        ('[uplink]\nport = 1\nhost = ""\n', "uplink.host"),
        ('[uplink]\nhost = "x"\nport = 70000\n', "uplink.port"),
        ('[uplink]\nhost = "x"\nkey_file = "k"\n', "uplink.key_file"),
        ('[uplink]\nhost = "x"\ncert_file = "c"\n', "uplink.cert_file"),
        ('[uplink]\nhost = "x"\npassword_file = "/nowhere"\n', "uplink.password_file needs a username"),
        ('[uplink]\nhost = "x"\nusername = "u"\npassword_file = "/nowhere"\n', "uplink.password_file = '/nowhere'"),
        (UPLINK + SERIAL + "buadrate = 9600\n", r"serial[0]: unknown key `buadrate`"),
        (UPLINK + SERIAL + "baudrate = 10\nbuadrate = 9600\n", r"serial[0]: unknown key `buadrate`"),
        ("serial = [7]\n" + UPLINK, "serial[0]"),
        ("serial = 7\n" + UPLINK, "serial"),
        ('[uplink]\nhost = "center..example.org"\n', "uplink.host = 'center..example.org' is no host's name"),
        (UPLINK + f'[metrics]\nhost = "{"h" * 64}"\n', "metrics.host"),
        (UPLINK + SERIAL + SERIAL, "serial: name = 'radio' is used 2 times"),
        (UPLINK + SERIAL + SERIAL.replace("radio", "b"), "serial: port = '/dev/ttyUSB0' is used 2 times"),
        (UPLINK + SERIAL.replace("enocean-esp3", "shelly-gen2"), "serial[0].driver = 'shelly-gen2'"),
        (
            UPLINK + SERIAL.replace("enocean-esp3", "contec08a-hid"),
            "serial[0].driver = 'contec08a-hid' serves no port: it is a USB HID device",
        ),
        (UPLINK + SERIAL + "options = { a = 1 }\n", "serial[0].options: unknown key `a`"),
        (UPLINK + "[local_mqtt]\noptions = { nothing = {} }\n", "local_mqtt.options.nothing"),
        (
            UPLINK + '[local_mqtt.options.zigbee2mqtt]\nbase_topik = "z"\n',
            "local_mqtt.options.zigbee2mqtt: unknown key `base_topik`",
        ),
        (UPLINK + '[[siren]]\nkind = "zigbee"\ntarget = "z"\n', "siren[0].kind = 'zigbee' needs"),
        (UPLINK + SERIAL + '[[siren]]\nkind = "relay"\ntarget = "/dev/ttyUSB0"\n', "siren[0].target"),
        (UPLINK + '[[device]]\nid = "d"\nbuttons = { A = "emergancy" }\n', "device[0].buttons"),
        (UPLINK + '[[device]]\nid = "d"\n[[device]]\nid = "d"\n', "device: id = 'd' is used 2 times"),
        (UPLINK + "[clock]\ntrust = 1\n", "clock.trust"),
        (UPLINK + '[local_mqtt]\nprofiles = ["acme"]\n', "local_mqtt.profiles: 'acme' is no MQTT profile; there are: "),
        (UPLINK + '[local_mqtt]\nprofiles = ["eastron-sdm120"]\n', "'eastron-sdm120' is no MQTT profile"),
        ("mqtt_profiles = []\n" + UPLINK, "unknown key `mqtt_profiles`"),
        ("faults = []\n" + UPLINK, "unknown key `faults`"),
        ('profile_dir = "mine"\n' + UPLINK, "profile_dir = 'mine': there is no folder"),
        (UPLINK + METERS + 'options = { meters = [{ unit = 1, profile = "sdm12" }] }\n', "meters[0].profile = 'sdm12'"),
        (
            UPLINK + METERS + 'options = { meters = [{ unit = 1, profile = "tasmota-button" }] }\n',
            "serial[0].options.meters[0].profile = 'tasmota-button' is of [mqtt]; profiles of [modbus]: chint-ddsu666",
        ),
    ],
)
def test_the_error_names_file_and_key(tmp_path: Path, body: str, told: str) -> None:
    path = write(tmp_path, body)
    with pytest.raises(ConfigError) as caught:
        load_edge_config(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "head", ['gateway = "a b"\n', 'gateway = "gw"\nlocal_alarm_after_s = -1.0\n', 'gateway = "gw\n']
)
def test_the_process_ends_with_2_and_has_made_nothing(tmp_path: Path, head: str) -> None:
    path = write(tmp_path, UPLINK, head)
    done = subprocess.run(
        [sys.executable, "-m", "hearthline_edge", "--config", str(path)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["edge.toml"]


def test_a_button_without_a_role_is_an_emergency(tmp_path: Path) -> None:
    body = UPLINK + '[[device]]\nid = "d"\nbuttons = { A = "service", "*" = "ignore" }\n[[device]]\nid = "e"\n'
    config = load_edge_config(write(tmp_path, body))
    roles = [config.role(*each) for each in (("d", "A"), ("d", "B"), ("e", "A"), ("unknown", "A"))]
    assert roles == ["service", "ignore", "emergency", "emergency"]


# --- line settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    ["baudrate = 1000000000000", "baudrate = 0", 'baudrate = "9600"', "bytesize = 9", 'parity = "X"', "stopbits = 3"],
)
def test_settings_that_no_line_can_have_cost_their_port_alone(tmp_path: Path, line: str) -> None:
    path = write(tmp_path, UPLINK + SERIAL + f"{line}\n" + METERS + "baudrate = 9600\n")
    config = load_edge_config(path)
    assert [port.name for port in config.serial] == ["meters"]
    assert config.faults == config.wrong_lines
    assert config.faults[0].startswith(f"{path}: serial[0]: {line.split()[0]}: ")
    assert "baudrate, bytesize, parity, stopbits" in what_to_do(config.faults[0])


def test_an_error_behind_a_port_that_is_set_aside_names_its_own_place(tmp_path: Path) -> None:
    path = write(tmp_path, UPLINK + SERIAL + "baudrate = 0\n" + METERS + "options = { a = 1 }\n")
    with pytest.raises(ConfigError, match=r"serial\[1\]\.options: unknown key `a`"):
        load_edge_config(path)


def test_whoever_puts_it_into_use_has_impossible_line_settings_refused(tmp_path: Path) -> None:
    path = write(tmp_path, UPLINK + SERIAL + "baudrate = 1000000000000\n")
    command = [sys.executable, "-m", "hearthline_edge", "--check", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, "serial[0]: baudrate: " in done.stderr) == (2, True)
    assert run(["edge", "install", "--config", str(path), "--root", str(tmp_path / "image")]) == 2
    assert sorted(each.name for each in tmp_path.iterdir()) == ["edge.toml"]


def test_the_center_cannot_ask_for_impossible_line_settings_and_may_mend_them(tmp_path: Path) -> None:
    path = write(tmp_path, UPLINK + SERIAL + "baudrate = 1000000000000\n")
    port = {"name": "radio", "port": "/dev/ttyUSB0", "driver": "enocean-esp3"}
    with pytest.raises(ConfigError, match=r"serial\[0\]\.baudrate"):
        load_changed(path, {"serial": [port | {"baudrate": 10**12}]})
    mended = load_changed(path, {"serial": [port]})
    assert ([each.name for each in mended.serial], mended.faults) == (["radio"], ())
    assert load_changed(path, {"gather_s": 1.0}).faults == load_edge_config(path).faults


# --- profiles -----------------------------------------------------------------------------------------------------

SOS = """
name = "acme-sos"
title = "ACME SOS button"
supervision_s = 14400
[mqtt]
topic = "acme/{device}/state"
[[event]]
path = "key"
event = "press"
"""


def names(config: EdgeConfig) -> list[str]:
    return [profile.name for profile in config.mqtt_profiles]


def test_own_mqtt_profiles_are_on_and_shipped_ones_when_named(tmp_path: Path) -> None:
    path = write(tmp_path, UPLINK + '[local_mqtt]\nprofiles = ["shelly-gen1-plug"]\n')
    assert names(load_edge_config(path)) == ["shelly-gen1-plug"]
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "acme-sos.toml").write_text(SOS)
    config = load_edge_config(path)
    assert (names(config), config.faults) == (["acme-sos", "shelly-gen1-plug"], ())
    (tmp_path / "profiles").rename(tmp_path / "mine")
    assert names(load_edge_config(path)) == ["shelly-gen1-plug"]
    elsewhere = write(tmp_path, 'profile_dir = "mine"\n' + UPLINK + "[local_mqtt]\n")
    assert names(load_edge_config(elsewhere)) == ["acme-sos"]


def test_an_own_profile_without_a_local_broker_is_told(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "acme-sos.toml").write_text(SOS)
    (fault,) = load_edge_config(write(tmp_path, UPLINK)).faults
    assert fault.startswith("profile acme-sos: hears nothing without a section [local_mqtt]")


def test_a_port_gets_the_table_that_a_profile_s_name_stands_for(tmp_path: Path) -> None:
    options = 'options = { meters = [{ unit = 1, profile = "eastron-sdm120" }] }\n'
    (port,) = load_edge_config(write(tmp_path, UPLINK + METERS + options)).serial
    assert port.options["meters"][0]["profile"]["title"]
    assert port.options["meters"][0]["unit"] == 1


def test_a_profile_that_is_wrong_silences_only_what_names_it(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "acme-sos.toml").write_text(SOS)
    (tmp_path / "profiles" / "torn.toml").write_text("name = ")
    meters = ('{ unit = 1, profile = "torn" }', '{ unit = 2, profile = "eastron-sdm120" }')
    body = UPLINK + '[local_mqtt]\nprofiles = ["torn"]\n' + SERIAL + METERS
    config = load_edge_config(write(tmp_path, body + f"options = {{ meters = [{', '.join(meters)}] }}\n"))
    assert names(config) == ["acme-sos"]
    assert [port.name for port in config.serial] == ["radio", "meters"]
    assert [meter["unit"] for meter in config.serial[1].options["meters"]] == [2]
    assert len(config.faults) == 2
    assert "profile torn: " in config.faults[0]
    assert "not valid TOML" in config.faults[0]
    assert config.faults[1].endswith("it is left out")

    config = load_edge_config(write(tmp_path, body + f"options = {{ meters = [{meters[0]}] }}\n"))
    assert [port.name for port in config.serial] == ["radio"]
    assert config.faults[1].endswith("the port meters is not served")
