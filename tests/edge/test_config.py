"""A wrong configuration names its file and its key, and the process ends with 2 before it has changed anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hearthline.errors import ConfigError
from hearthline_edge.config import load_edge_config

UPLINK = '[uplink]\nhost = "127.0.0.1"\n'
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
        (UPLINK + SERIAL + SERIAL, "serial: name = 'radio' is used 2 times"),
        (UPLINK + SERIAL + SERIAL.replace("radio", "b"), "serial: port = '/dev/ttyUSB0' is used 2 times"),
        (UPLINK + SERIAL.replace("enocean-esp3", "shelly-gen2"), "serial[0].driver = 'shelly-gen2'"),
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
