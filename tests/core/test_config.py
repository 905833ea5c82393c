"""A wrong configuration names its file and its key, and nothing else happens."""

from __future__ import annotations

from pathlib import Path
from string import Formatter
from typing import Annotated

import pytest
from msgspec import Meta

from hearthline import config_texts, usage_texts
from hearthline.config import Config, check_config, load_config, read_secret
from hearthline.errors import ConfigError
from hearthline.speech import CHOSEN, Speech
from secret_files import write_secret


class Serial(Config, frozen=True):
    device: str
    baud: int = 9600


class Uplink(Config, frozen=True):
    host: str = "localhost"
    serial: list[Serial] = []


class Sample(Config, frozen=True):
    name: str
    uplink: Uplink = Uplink()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'x'\nbuadrate = 1", ["unknown key `buadrate`"]),
        ("name = 'x'\n[uplink]\nhots = 'a'", ["uplink:", "unknown key `hots`"]),
        ("name = 'x'\n[[uplink.serial]]\ndevice = 'a'\nbuad = 1", ["uplink.serial[", "unknown key `buad`"]),
        ("[uplink]", ["missing key `name`"]),
        ("name = 1", ["name:", "Expected `str`, got `int`"]),
        ("name = 'x'\n[[uplink.serial]]\ndevice = 'a'\nbaud = '9600'", ["uplink.serial[", "].baud:", "Expected `int`"]),
        ("name = ", ["not valid TOML"]),
    ],
)
def test_a_wrong_key_names_itself_and_its_file(tmp_path: Path, text: str, said: list[str]) -> None:
    path = tmp_path / "home.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, Sample)
    assert str(caught.value).startswith(f"{path}: ")
    for words in said:
        assert words in str(caught.value)
    assert caught.value.exit_code == 2


class Bounded(Config, frozen=True):
    word: Annotated[str, Meta(min_length=1, pattern="^[a-z]*$")] = "a"
    number: Annotated[int, Meta(le=3)] = 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("word = ''\n", "word: 应为长度 >= 1 的 `str`"),
        ("word = 'A'\n", "word: 应为符合 .* 的 `str`"),
        ("number = 4\n", "number: 应为 <= 3 的 `int`"),
        ("speed = 1\n", "没有这个键 `speed`"),
        ("= 1\n", "不是正确的 TOML"),
    ],
)
def test_what_is_wrong_is_told_in_the_terminals_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(text)
    monkeypatch.setenv(CHOSEN, "zh")
    with pytest.raises(ConfigError, match=said):
        load_config(path, Bounded)
    with pytest.raises(ConfigError, match="没有这个配置文件"):
        load_config(tmp_path / "none.toml", Config)


@pytest.mark.parametrize("table", [config_texts.TEXTS, usage_texts.TEXTS], ids=["config", "usage"])
def test_both_languages_name_the_same_values(table: Speech) -> None:
    places = [[{name for _, name, _, _ in Formatter().parse(text)} for text in both] for both in table.texts.values()]
    assert places
    assert all(chinese == english for chinese, english in places)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config FILE"):
        load_config(tmp_path / "none.toml", Sample)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, Sample)
    binary = tmp_path / "binary.toml"
    for content in (b"name = '\xff\xfe'", b"name = " + b"9" * 10_000, b"name = " + b"[" * 100_000):
        binary.write_bytes(content)
        with pytest.raises(ConfigError, match="not valid TOML"):
            load_config(binary, Sample)


def test_a_right_configuration(tmp_path: Path) -> None:
    got = check_config({"name": "x", "uplink": {"serial": [{"device": "/dev/ttyUSB0"}]}}, Sample, "here")
    assert got.uplink.serial == [Serial(device="/dev/ttyUSB0")]


def test_secrets(tmp_path: Path) -> None:
    assert read_secret(None, "broker.password_file") is None
    path = write_secret(tmp_path / "secret", "  open sesame \nsecond line")
    assert read_secret(str(path), "k") == "open sesame"
    for content in (b"", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"broker.password_file = .*secret"):
            read_secret(str(path), "broker.password_file")
    with pytest.raises(ConfigError, match=r"broker.password_file"):
        read_secret(str(tmp_path / "none"), "broker.password_file")
    with pytest.raises(ConfigError, match=r"broker.password_file"):
        read_secret("a\0b", "broker.password_file")
