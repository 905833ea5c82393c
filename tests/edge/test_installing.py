"""What an installation writes, without a machine to write it to; a real one is in tests/installation."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError, RefusedError
from hearthline.model import EventType
from hearthline_edge.config import EdgeConfig, LocalMqttConfig, UplinkConfig
from hearthline_edge.installing import Machine, give_to_service, install, remove
from hearthline_edge.outbox import Outbox
from hearthline_edge.service import BROKER_FILE, GUARD_FILE, SERVICE_FILE, USER_FILE, files

NOW = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
CONFIG = EdgeConfig("gw-1", "/var/lib/hearthline-edge", UplinkConfig("center"), LocalMqttConfig(port=1884))
FILE = Path("/etc/hearthline/edge.toml")
PYTHON = Path("/usr/bin/python3")


def installed(root: Path, config: EdgeConfig = CONFIG) -> list[str]:
    said: list[str] = []
    install(config, FILE, Machine(root), said.append, PYTHON)
    return said


def test_systemd_understands_the_service_and_finds_it_shut_in(tmp_path: Path) -> None:
    assert shutil.which("systemd-analyze"), "a Debian machine has it"
    installed(tmp_path)
    unit = str(tmp_path / SERVICE_FILE.relative_to("/"))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    shut_in = ["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", unit]
    assert subprocess.run(shut_in, capture_output=True, text=True, check=False).returncode == 0, "exposed by over 2.5"
    user = ["systemd-sysusers", "--dry-run", f"--root={tmp_path}", str(tmp_path / USER_FILE.relative_to("/"))]
    assert subprocess.run(user, capture_output=True, text=True, check=False).returncode == 0


def test_systemd_understands_the_guard_where_a_release_was_laid_down(tmp_path: Path) -> None:
    versions = tmp_path / "versions"
    for link in ("current", "guard"):
        (versions / link / "bin").mkdir(parents=True)
        (versions / link / "bin/python").symlink_to(PYTHON)
    said: list[str] = []
    install(CONFIG, FILE, Machine(tmp_path), said.append, versions / "current/bin/python")
    assert f"written   {GUARD_FILE}" in said
    unit = str(tmp_path / GUARD_FILE.relative_to("/"))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    shut_in = ["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", unit]
    judged = subprocess.run(shut_in, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout[-200:]
    remove(CONFIG, Machine(tmp_path), NOW, said.append, with_data=False, lose=False)
    assert not Path(unit).exists()


def test_a_second_time_changes_nothing_and_a_half_done_one_is_ended(tmp_path: Path) -> None:
    first = installed(tmp_path)
    assert sum(line.startswith("written") for line in first) == 4
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert not [line for line in installed(tmp_path) if line.startswith("written")]
    for path in kept:  # a power cut before each file
        path.unlink()
        assert sum(line.startswith("written") for line in installed(tmp_path)) == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == kept


@pytest.mark.parametrize(
    ("config", "has_broker"),
    [
        (CONFIG, True),
        (EdgeConfig("gw-1", "/data", UplinkConfig("center")), False),
        (EdgeConfig("gw-1", "/data", UplinkConfig("center"), LocalMqttConfig(host="10.0.0.7")), False),
    ],
)
def test_the_broker_is_set_up_where_it_is_the_gateways_own(config: EdgeConfig, has_broker: bool) -> None:
    assert (BROKER_FILE in files(config, FILE, PYTHON)) is has_broker


@pytest.mark.parametrize(
    ("data_dir", "line"),
    [("/var/lib/hearthline-edge", "StateDirectory=hearthline-edge"), ("/data/a", "ReadWritePaths=/data/a")],
)
def test_the_service_may_write_to_its_data_and_its_own_configuration_alone(data_dir: str, line: str) -> None:
    service = files(EdgeConfig("gw-1", data_dir, UplinkConfig("center")), FILE, PYTHON)[SERVICE_FILE]
    writable = [each for each in service.splitlines() if each.startswith(("StateDirectory=", "ReadWritePaths="))]
    assert writable == [line, "ReadWritePaths=/etc/hearthline/agent"], "never what root acts on"


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (EdgeConfig("gw-1", "data", UplinkConfig("center")), "data_dir"),
        (EdgeConfig("gw-1", "/data", UplinkConfig("center", ca_file="ca.crt")), "uplink.ca_file"),
        (EdgeConfig("gw-1", "/data", UplinkConfig("center", username="a", password_file="p")), "uplink.password_file"),
    ],
)
def test_a_path_that_is_not_whole_is_named_and_nothing_written(tmp_path: Path, config: EdgeConfig, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key} = .*the whole path"):
        installed(tmp_path, config)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("no folder", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"etc.*cannot be written"):
        installed(tmp_path)


def test_removing_leaves_the_data_and_never_an_event_without_a_word(tmp_path: Path) -> None:
    root, data = tmp_path / "root", tmp_path / "data"
    data.mkdir()
    outbox = Outbox(data)
    with outbox.transaction():
        outbox.append_event(EventType.ALARM, "d", {}, NOW, urgent=True)
    outbox.close()
    config = EdgeConfig("gw-1", str(data), UplinkConfig("center"))
    installed(root, config)
    said: list[str] = []
    with pytest.raises(RefusedError, match="1 events wait for the center"):
        remove(config, Machine(root), NOW, said.append, with_data=True, lose=False)
    assert (root / SERVICE_FILE.relative_to("/")).exists()
    remove(config, Machine(root), NOW, said.append, with_data=False, lose=False)
    assert not [path for path in root.rglob("*") if path.is_file()]
    assert (data / "outbox.db").exists()
    remove(config, Machine(root), NOW, said.append, with_data=True, lose=True)
    assert not data.exists()


@pytest.mark.usefixtures("root")
def test_the_agent_owns_what_it_writes_and_can_change_nothing_that_root_acts_on(tmp_path: Path) -> None:
    theirs = tmp_path / "shadow"
    theirs.write_text("root's", encoding="utf-8")
    folder, data = tmp_path / "hearthline", tmp_path / "data"
    for made in (folder, data, data / "certificates"):
        made.mkdir(mode=0o700)
    (data / "certificates/link").symlink_to(theirs)
    (data / "folder").symlink_to(tmp_path)
    key, config_file = folder / "uplink.key", folder / "edge.toml"
    for file in (key, config_file):
        file.touch(0o600)
    uplink = UplinkConfig("center", ca_file="/ca", cert_file="/crt", key_file=str(key))
    give_to_service(EdgeConfig("gw-1", str(data), uplink), config_file, "nobody")
    nobody = pwd.getpwnam("nobody").pw_uid
    given = [data, data / "certificates", data / "certificates/link", data / "folder", folder / "agent", key]
    assert {path.lstat().st_uid for path in given} == {nobody}
    kept = [theirs, tmp_path, folder, config_file]
    assert {path.stat().st_uid for path in kept} == {0}
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, config_file, key)] == [0o750, 0o640, 0o600]


@pytest.mark.usefixtures("root")
def test_data_elsewhere_is_made_for_the_service_and_an_open_configuration_becomes_roots(tmp_path: Path) -> None:
    """systemd refuses a unit whose writable folder is missing; who owns edge.toml's folder could put another there."""
    folder, data = tmp_path / "hearthline", tmp_path / "disk" / "data"
    folder.mkdir(mode=0o755)
    (folder / "edge.toml").touch(0o600)
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    give_to_service(EdgeConfig("gw-1", str(data), UplinkConfig("center")), folder / "edge.toml", "nobody")
    assert (data.stat().st_uid, stat.S_IMODE(data.stat().st_mode)) == (nobody.pw_uid, 0o700)
    assert (folder.stat().st_uid, stat.S_IMODE(folder.stat().st_mode)) == (0, 0o755)
    data.rmdir()
    data.touch()
    with pytest.raises(ConfigError, match="data_dir cannot be made"):
        give_to_service(EdgeConfig("gw-1", str(data), UplinkConfig("center")), folder / "edge.toml", "nobody")
