"""A secret that others may read is refused: whichever key names it, by every role and command that reads the file."""

from __future__ import annotations

import os
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hearthline.cli import run
from hearthline.config import check_private, read_secret, secret_files
from hearthline.errors import ConfigError
from hearthline_cloud.config import CloudConfig, WebConfig, load_cloud_config
from hearthline_cloud.database import Database
from hearthline_cloud.identity.authority import make_root, utc_now
from hearthline_cloud.links import KEY_FILE, open_links
from hearthline_edge.config import EdgeFile
from hearthline_edge.loading import load_edge_config as load_edge
from hearthline_sim.home_config import HomeConfig
from secret_files import write_secret

CERTIFICATES = {
    "cloud broker.ca_file", "cloud broker.cert_file",
    "edge uplink.ca_file", "edge uplink.cert_file", "edge uplink.second_cert_file",
}  # fmt: skip

CLOUD = """data_dir = "{folder}"
[broker]
username = "ingest"
ca_file = "{open}"
cert_file = "{open}"
"""
EDGE = """gateway = "gw-1"
data_dir = "{folder}"
[uplink]
host = "127.0.0.1"
username = "gw-1"
ca_file = "{open}"
cert_file = "{open}"
[local_mqtt]
username = "agent"
"""
SECRETS = {  # what stands in the file for the key to be the only one that is wrong
    "cloud broker.password_file": 'password_file = "{secret}"',
    "cloud broker.key_file": 'key_file = "{secret}"',
    "cloud store.password_file": '[store]\nusername = "u"\npassword_file = "{secret}"',
    "cloud store.token_file": '[store]\nkind = "influxdb2"\ntoken_file = "{secret}"',
    "cloud personal_key_file": 'personal_key_file = "{secret}"',
    "cloud withdrawn_file": 'withdrawn_file = "{secret}"',
    "cloud web.link_key_file": '[web]\nlink_key_file = "{secret}"',
    "cloud channel[0].secret_file": (
        '[[channel]]\nname = "a"\nkind = "webhook"\nurl = "http://h/"\nsecret_file = "{secret}"'
    ),
    "cloud channel[0].url_file": '[[channel]]\nname = "a"\nkind = "apprise"\nurl_file = "{secret}"',
    "cloud deadman.url_file": '[deadman]\nurl_file = "{secret}"',
    "cloud identity.keeper_password_file": (
        '[identity]\nfolder = "{folder}"\nbroker = "{folder}"\nnames = ["localhost"]\nkeeper_password_file = "{secret}"'
    ),
    "edge uplink.password_file": '[uplink]\npassword_file = "{secret}"',
    "edge uplink.key_file": '[uplink]\nkey_file = "{secret}"',
    "edge local_mqtt.password_file": '[local_mqtt]\npassword_file = "{secret}"',
}  # fmt: skip
EVERY_COMMAND = [
    ["run"], ["migrate"], ["user", "list"], ["journal", "check"], ["notify", "test", "a"], ["broker-config"],
    ["ca", "list"], ["policy", "show"], ["backup", "--to", "x"], ["registry", "load", "x"], ["test", "gw-1"],
]  # fmt: skip


def keys(shape: Any, where: str) -> Iterator[str]:
    """Every key of a configuration's type that ends in `_file`."""
    for field in msgspec.structs.fields(shape):
        kinds = [field.type, *typing.get_args(field.type)]
        if str in kinds and field.name.endswith("_file"):
            yield f"{where}{field.name}"
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                place = "[0]" if typing.get_origin(field.type) in (list, tuple) else ""
                yield from keys(kind, f"{where}{field.name}{place}.")


def configuration(folder: Path, key: str, secret: Path) -> Path:
    """A file in which `key` names the secret, and whose other keys are right."""
    room = key.partition(" ")[0]
    text, added = {"cloud": CLOUD, "edge": EDGE}[room], SECRETS[key]
    section, _, line = added.partition("\n")
    if "." not in key:
        text, added = f"{added}\n{text}", ""
    if line and f"{section}\n" in text:
        text = text.replace(f"{section}\n", f"{section}\n{line}\n")
    else:
        text += f"{added}\n"
    certificate = folder / "certificate"
    certificate.touch(mode=0o644)
    path = folder / f"{room}.toml"
    path.write_text(text.format(folder=folder, open=certificate, secret=secret), encoding="utf-8")
    return path


def test_the_table_has_every_key_that_names_a_file() -> None:
    found = {f"cloud {key}" for key in keys(CloudConfig, "")} | {f"edge {key}" for key in keys(EdgeFile, "")}
    assert found == CERTIFICATES | set(SECRETS)
    assert {key.rpartition(".")[2] for key in keys(HomeConfig, "")} == {"password_file"}


@pytest.mark.parametrize("mode", [0o640, 0o644, 0o604, 0o620, 0o602, 0o610])
@pytest.mark.parametrize("key", SECRETS)
def test_every_secret_is_its_owners_alone(tmp_path: Path, key: str, mode: int) -> None:
    room, _, name = key.partition(" ")
    secret = write_secret(tmp_path / "secret", "x" * 64)
    path = configuration(tmp_path, key, secret)
    load = load_cloud_config if room == "cloud" else load_edge
    load(path)
    secret.chmod(mode)
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert str(refused.value) == (
        f"{path}: {name} = '{secret}': others may read it or change it (mode {mode:03o}); chmod 600 {secret}"
    )


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
def test_every_command_of_the_center_refuses(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    secret = write_secret(tmp_path / "secret", "hunter2 hunter2")
    path = configuration(tmp_path, "cloud channel[0].secret_file", secret)
    secret.chmod(0o644)
    assert run(["cloud", *command, "--config", str(path)]) == 2
    said = capsys.readouterr().err
    assert "channel[0].secret_file" in said
    assert "chmod 600" in said
    assert "hunter2" not in said
    assert not list(tmp_path.glob("*.db*")), "nothing was begun"


@pytest.mark.parametrize("role", ["ingest", "desk", "web"])
def test_every_role_refuses(tmp_path: Path, role: str) -> None:
    secret = write_secret(tmp_path / "secret", "hunter2 hunter2")
    path = configuration(tmp_path, "cloud store.password_file", secret)
    secret.chmod(0o640)
    told = subprocess.run(
        [sys.executable, "-m", "hearthline_cloud", "--config", str(path), "--role", role],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 2
    assert "store.password_file" in told.stderr
    assert "hunter2" not in told.stderr


@pytest.mark.parametrize("command", ["run", "doctor", "outbox"])
def test_every_command_of_the_gateway_refuses(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    secret = write_secret(tmp_path / "secret", "hunter2 hunter2")
    path = configuration(tmp_path, "edge uplink.key_file", secret)
    secret.chmod(0o644)
    assert run(["edge", command, "--config", str(path)]) == 2
    told = capsys.readouterr()
    assert "uplink.key_file" in told.out + told.err
    assert "hunter2" not in told.out + told.err


def test_secrets_that_an_option_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = write_secret(tmp_path / "secret", "correct horse battery")
    secret.chmod(0o644)
    config = tmp_path / "cloud.toml"
    config.write_text(f'data_dir = "{tmp_path}"\n', encoding="utf-8")
    asked = [
        ["user", "add", "mei", "--password-file", str(secret), "--config", str(config)],
        ["backup", "--to", str(tmp_path / "b"), "--key-file", str(secret), "--config", str(config)],
        ["restore", str(tmp_path / "b"), "--check", "--key-file", str(secret)],
        ["ca", "init", "--root", str(tmp_path / "root"), "--passphrase-file", str(secret)],
    ]
    for arguments in asked:
        assert run(["cloud", *arguments]) == 2, arguments
        assert "chmod 600" in capsys.readouterr().err


def test_secrets_in_their_usual_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_secret(tmp_path / KEY_FILE, "x" * 64).chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        open_links(CloudConfig(data_dir=str(tmp_path), web=WebConfig()))
    make_root(tmp_path / "root", "Test", utc_now())
    (tmp_path / "root" / "root.key").chmod(0o644)
    config = tmp_path / "cloud.toml"
    config.write_text(
        f'data_dir = "{tmp_path}"\n[identity]\nfolder = "{tmp_path}/ca"\nbroker = "{tmp_path}/b"\nnames = ["x"]\n'
    )
    assert run(["cloud", "ca", "issuing", "--root", str(tmp_path / "root"), "--config", str(config)]) == 2
    assert "root.key" in capsys.readouterr().err


def test_a_password_in_the_databases_url_is_refused(tmp_path: Path) -> None:
    for url in ("postgresql://u:hunter2@h/db", "postgresql+psycopg://u@h/db?password=hunter2&sslmode=require"):
        with pytest.raises(ConfigError, match="passfile") as refused:
            Database(url)
        assert "hunter2" not in str(refused.value)
    passfile = write_secret(tmp_path / "pgpass", "h:5432:db:u:hunter2")
    Database(f"postgresql+psycopg://u@h/db?passfile={passfile}").close()
    passfile.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        Database(f"postgresql+psycopg://u@h/db?passfile={passfile}")


def test_a_pipe_keeps_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o644)
    check_private(tmp_path / "pipe", "--password-file")
    reading, writing = os.pipe()
    os.write(writing, b"correct horse battery\n")
    os.close(writing)
    assert read_secret(f"/dev/fd/{reading}", "--password-file") == "correct horse battery"
    os.close(reading)


def test_certificates_may_be_read_by_all() -> None:
    assert dict(secret_files(CloudConfig(data_dir="x"))) == {}
