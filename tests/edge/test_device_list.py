"""devices.toml: what it may hold, what a wrong one costs, and how the center's list takes its place."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from hearthline.errors import ConfigError
from hearthline_edge.device_list import (
    FILE,
    ListedDevice,
    as_listed,
    load_list,
    role_in,
    with_center_list,
    write_list,
)
from hearthline_edge.loading import load_edge_config

PENDANT = "enocean:002EE196"
HEAD = 'gateway = "gw-1"\ndata_dir = "data"\n[uplink]\nhost = "127.0.0.1"\n'


def listed(device: str = PENDANT, **values: object) -> ListedDevice:
    return as_listed({"id": device, **values})


def test_what_is_written_is_read_and_is_the_owners_alone(tmp_path: Path) -> None:
    devices = [
        listed(name='吊坠 "one"\\', room="卧室", kind="push-button", buttons={"*": "emergency", "B 0": "service"}),
        listed("z2m:客厅按钮", user=0, state="refused", reason="elsewhere", bound="2026-11-22T10:00:00.000000Z"),
        listed("meter:7f\x80", state="waiting"),
    ]
    write_list(tmp_path, devices)
    assert load_list(tmp_path) == devices
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [FILE]
    assert tomllib.loads((tmp_path / FILE).read_text(encoding="utf-8"))["device"][0]["buttons"]["B 0"] == "service"
    write_list(tmp_path, [])
    assert load_list(tmp_path) == []


def test_without_a_file_there_is_no_device_and_no_fault(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(HEAD, encoding="utf-8")
    config = load_edge_config(tmp_path / "edge.toml")
    assert (config.listed, config.list_fault, config.folder) == ((), "", str(tmp_path / "agent"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[device]\n", "not valid TOML"),
        ("\0\0\0\0", "not valid TOML"),
        ('[[device]]\nid = "a"\nbuttons = { A = "emergancy" }\n', "device[0].buttons"),
        ('[[device]]\nid = "a"\n[[device]]\nid = "a"\n', "is there twice"),
        ('[[device]]\nname = "a"\n', "missing key `id`"),
        ('[[device]]\nid = "a"\nstate = "perhaps"\n', "device[0].state"),
    ],
)
def test_a_wrong_file_is_a_fault_and_never_a_dead_agent(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / FILE).write_text(text, encoding="utf-8")
    (tmp_path / "edge.toml").write_text(
        HEAD + f'[[device]]\nid = "{PENDANT}"\nbuttons = {{ A = "service" }}\n', encoding="utf-8"
    )
    config = load_edge_config(tmp_path / "edge.toml")
    assert told in config.list_fault
    assert FILE in config.list_fault
    assert (config.role(PENDANT, "A"), config.role("a", "A")) == ("service", "emergency")


def test_the_installers_file_goes_before_the_list_and_what_is_refused_means_nothing(tmp_path: Path) -> None:
    own = f'[[device]]\nid = "{PENDANT}"\nbuttons = {{ A = "service" }}\n'
    (tmp_path / "edge.toml").write_text(HEAD + own, encoding="utf-8")
    write_list(
        tmp_path / "agent",
        [
            listed(buttons={"A": "ignore"}),
            listed("b", buttons={"*": "service", "X": "cancel"}),
            listed("c", buttons={"*": "ignore"}, state="refused", reason="elsewhere"),
            listed("d", buttons={"*": "service"}, state="waiting"),
        ],
    )
    role = load_edge_config(tmp_path / "edge.toml").role
    assert role(PENDANT, "A") == "service"
    assert (role("b", "A"), role("b", "X")) == ("service", "cancel")
    assert role("c", "A") == "emergency", "a pendant of another home still raises"
    assert role("d", "A") == "service", "what waits for the center works at once"
    assert role("nobody", "A") == "emergency"


def test_a_list_of_the_center_never_takes_what_still_waits() -> None:
    ours = [
        listed("gone"),
        listed("kept", buttons={"*": "service"}, bound="2026-11-22T10:00:00.000000Z"),
        listed("mine", state="waiting", room="bedroom"),
        listed("both", state="waiting", room="bedroom"),
        listed("freed", state="refused", reason="elsewhere", buttons={"*": "service"}),
        listed("foreign", state="refused", reason="elsewhere"),
    ]
    center = [listed("kept", room="kitchen"), listed("both", room="kitchen"), listed("freed"), listed("new")]
    after = {device.id: device for device in with_center_list(ours, center)}
    assert sorted(after) == ["both", "foreign", "freed", "kept", "mine", "new"]
    assert (after["kept"].room, after["kept"].buttons) == ("kitchen", {"*": "service"})
    assert (after["both"].room, after["both"].state) == ("bedroom", "waiting")
    assert (after["freed"].state, after["freed"].buttons) == ("bound", {"*": "service"})
    assert after["foreign"].state == "refused"
    assert with_center_list(list(after.values()), center) == list(after.values()), "told again it changes nothing"
    assert role_in(after.values(), "kept", "A") == "service"


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"id": ""},
        {"id": "a\nb"},
        {"id": "a" * 129},
        {"id": "a", "name": "\x1b[31m"},
        {"id": "a", "buttons": {"A": "shout"}},
        {"id": "a", "user": -1},
        {"id": "a", "extra": 1},
        ["a"],
        None,
    ],
)
def test_an_entry_from_elsewhere_that_cannot_be_is_refused(tree: object) -> None:
    with pytest.raises(ConfigError, match="not a device"):
        as_listed(tree)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["devices.toml", "center.toml", "center-trial.json"])
def test_what_root_reads_of_the_agents_folder_is_a_plain_file_or_a_fault(tmp_path: Path, name: str) -> None:
    """Root's commands read it too: a pipe must not hold them up, and a link must not lead them elsewhere."""
    (tmp_path / "edge.toml").write_text(HEAD, encoding="utf-8")
    other = {
        "devices.toml": b'[[device]]\nid = "a"\n',
        "center.toml": b'log_level = "debug"\n',
        "center-trial.json": b'{"stage": "trial", "config": {"log_level": "debug"}}',
    }
    (tmp_path / "elsewhere").write_bytes(other[name])
    own = tmp_path / "agent"
    own.mkdir()
    (own / name).write_bytes(other[name])
    config = load_edge_config(tmp_path / "edge.toml")
    assert config.listed or config.log_level == "debug", "as a plain file it is read"

    def make_link() -> None:
        (own / name).symlink_to(tmp_path / "elsewhere")

    def make_large() -> None:
        (own / name).write_bytes(other[name] + b"\n" * 2**20)

    for make in (make_link, make_large, lambda: os.mkfifo(own / name), (own / name).mkdir):
        (own / name).unlink()
        make()
        config = load_edge_config(tmp_path / "edge.toml")
        assert (config.listed, config.log_level) == ((), "info")
        has_fault = bool(config.list_fault or config.faults)
        assert has_fault == (name != "center-trial.json"), "of a trial that cannot be read nothing is known"
