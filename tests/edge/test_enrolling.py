"""A machine becomes a gateway by a code: whole or not at all, whatever stops it, and again with the same command."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from typer.testing import CliRunner, Result

from edge.enrolment_kits import NOW, PENDANT, ROOT, Center, certificate
from hearthline.clock import Stamp
from hearthline.config import check_config
from hearthline.enrolment import SCRYPT_N, Kind, KitDevice, encode_kit, seal
from hearthline.speech import CHOSEN
from hearthline_edge.commands_gateway import app
from hearthline_edge.config import EdgeFile
from hearthline_edge.enrolling import Bundle, Enrolled, Network, enrol
from hearthline_edge.enrolling_config import Machine, edge_toml, renewed_toml
from hearthline_edge.enrolling_texts import EnrolError
from hearthline_edge.loading import load_edge_config
from hearthline_edge.requesting import digest_of, new_key

ENOCEAN = "/dev/serial/by-id/usb-EnOcean_GmbH_USB_300_DC_FT1-if00-port0"
OTHER = "/dev/serial/by-id/usb-1a86_USB_RS485-if00-port0"
FOUND = Machine(True)
WRITTEN = {
    "agent/devices.toml": 0o600, "ca.crt": 0o644, "edge.toml": 0o600, "enrolled": 0o600, "second.crt": 0o644,
    "uplink.crt": 0o644, "uplink.key": 0o600,
}  # fmt: skip


class Home:
    """A machine: its folder, and enrolments of it."""

    def __init__(self, folder: Path) -> None:
        self.etc = folder / "etc"
        self.etc.mkdir()
        self.place = self.etc / "hearthline"
        self.data = folder / "data"

    def enrol(self, center: Center, machine: Machine = FOUND, ask: Callable[..., bytes] | None = None) -> Enrolled:
        return enrol(
            center.keys.offer, Network(center.keys, ask or center.ask), self.place, str(self.data), machine, NOW
        )

    def from_stick(self, center: Center, file: Path, now: Stamp = NOW) -> Enrolled:
        return enrol(center.keys.offer, Bundle(center.keys, file, now), self.place, str(self.data), Machine(False), now)

    @property
    def files(self) -> dict[str, bytes]:
        found = sorted(path for path in self.place.rglob("*") if path.is_file())
        return {str(path.relative_to(self.place)): path.read_bytes() for path in found}

    @property
    def modes(self) -> dict[str, int]:
        return {name: (self.place / name).stat().st_mode & 0o777 for name in self.files}

    @property
    def beside(self) -> list[str]:
        return sorted(each.name for each in self.etc.iterdir() if each != self.place)

    def tree(self, name: str = "edge.toml") -> dict[str, Any]:
        return tomllib.loads((self.place / name).read_text(encoding="utf-8"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_code_makes_a_whole_configuration_with_right_permissions(home: Home) -> None:
    done = home.enrol(Center())
    assert done == Enrolled("gw-1", home.place / "edge.toml", 1)
    assert home.modes == WRITTEN
    assert home.place.stat().st_mode & 0o777 == 0o700
    assert home.beside == []
    assert home.data.stat().st_mode & 0o777 == 0o700
    config = load_edge_config(done.config)
    assert (config.gateway, config.uplink.host, config.uplink.port) == ("gw-1", "center.example.org", 8883)
    assert config.local_mqtt is not None
    assert not config.uplink.replace_key
    key = load_pem_private_key((home.place / "uplink.key").read_bytes(), None)
    shown = x509.load_pem_x509_certificate((home.place / "uplink.crt").read_bytes())
    assert key.public_key() == shown.public_key()
    assert (home.place / "ca.crt").read_text() == ROOT
    (device,) = home.tree("agent/devices.toml")["device"]
    assert device == {
        "id": PENDANT.id, "name": "吊坠", "room": "卧室", "kind": "pendant",
        "buttons": {"*": "emergency"}, "state": "bound",
    }  # fmt: skip


def test_the_same_command_again_changes_nothing_and_asks_nobody(home: Home) -> None:
    center = Center()
    home.enrol(center)
    before = home.files

    def nobody(words: object) -> bytes:
        raise AssertionError("the center was asked again")

    assert home.enrol(center, ask=nobody).already
    assert home.files == before
    assert home.beside == []


def test_a_failed_asking_leaves_nothing_in_use_and_keeps_the_key(home: Home) -> None:
    center = Center()

    def away(words: object) -> bytes:
        raise EnrolError("unreachable", center="c", why="no route")

    for _ in range(2):
        with pytest.raises(EnrolError):
            home.enrol(center, ask=away)
        assert not home.place.exists()
    key = (home.etc / ".hearthline.enrolling" / "uplink.key").read_bytes()
    home.enrol(center)
    assert (home.place / "uplink.key").read_bytes() == key
    assert home.beside == []


def test_another_code_begins_with_another_key(home: Home) -> None:
    first, second = Center(), Center()

    def lost(words: Any) -> bytes:
        first.ask(words)
        raise EnrolError("unreachable", center="c", why="cut")

    with pytest.raises(EnrolError):
        home.enrol(first, ask=lost)
    home.enrol(second)
    assert set(first.asked).isdisjoint(second.asked)


def test_what_was_there_is_kept_aside_and_the_installers_own_carried_over(home: Home) -> None:
    home.place.mkdir()
    own = (
        '# mine\nlog_level = "debug" # why\ngateway = "gw-1"\ndata_dir = "/data"\n[uplink] # old\nhost = "old"\n'
        'password_file = "x"\nusername = "u"\n\n[[serial]]\nname = "radio"\n'
        'port = "/dev/ttyUSB0"\ndriver = "enocean-esp3"\n'
    )
    (home.place / "edge.toml").write_text(own)
    (home.place / "profiles").mkdir()
    (home.place / "profiles" / "own.toml").write_text("own")
    (home.place / "cloud.toml").write_text("another room's")
    waiting = '[[device]]\nid = "z2m:sos"\nstate = "waiting"\n[[device]]\nid = "enocean:gone"\nstate = "bound"\n'
    (home.place / "agent").mkdir()
    (home.place / "agent/devices.toml").write_text(waiting)
    center = Center()
    done = home.enrol(center)
    assert done.aside == home.etc / f"hearthline.before-{center.keys.offer}"
    assert (done.aside / "edge.toml").read_text() == own
    assert done.carried
    tree = home.tree()
    assert (tree["log_level"], tree["data_dir"], tree["serial"][0]["name"]) == ("debug", "/data", "radio")
    assert set(tree["uplink"]) == {"host", "port", "ca_file", "cert_file", "second_cert_file", "key_file"}
    assert (home.place / "edge.toml").read_text().startswith("# mine\n")
    assert (home.place / "profiles" / "own.toml").read_text() == "own"
    assert (home.place / "cloud.toml").read_text() == "another room's"
    assert [each["id"] for each in home.tree("agent/devices.toml")["device"]] == [PENDANT.id, "z2m:sos"]


def test_another_gateways_home_and_outbox_are_not_carried_over(home: Home) -> None:
    home.enrol(Center("gw-0"))
    (home.place / "agent/center.toml").write_text("log_level = 'debug'")
    (home.place / "profiles").mkdir()
    (home.place / "profiles/own.toml").touch()
    done = home.enrol(Center("gw-1", devices=()))
    assert not done.carried
    assert done.aside is not None
    assert (done.aside / "agent/center.toml").exists()
    assert sorted(home.modes) == sorted([*WRITTEN, "profiles/own.toml"])
    assert home.tree()["data_dir"] == f"{home.data}-gw-1"
    assert home.tree("agent/devices.toml") == {}


def test_a_third_gateway_does_not_send_what_waits_for_the_first(home: Home) -> None:
    home.enrol(Center("gw-a"))
    (home.data / "outbox.db").touch()
    for gateway in ("gw-b", "gw-c"):
        home.enrol(Center(gateway))
        assert home.tree()["data_dir"] == f"{home.data}-{gateway}"
    home.enrol(Center("gw-c"))
    assert home.tree()["data_dir"] == f"{home.data}-gw-c", "its own stays its own"


@pytest.mark.parametrize(("said", "is_kept"), [("2", True), ("1979-05-27", False)])
@pytest.mark.parametrize("uplink", ['uplink = { host = "old" }', 'uplink.host = "old"'])
def test_ports_are_carried_over_however_the_uplink_was_written(
    home: Home, uplink: str, said: str, is_kept: bool
) -> None:
    """A date, which no setting is and our writer cannot say, begins anew, and that is told."""
    home.place.mkdir()
    own = f'gateway = "gw-1"\ndata_dir = "/data"\n{uplink}\n[[serial]]\nname = "radio"\nport = "/dev/ttyUSB0"\n'
    own += f'driver = "raycome-bp"\noptions = {{ version = {said} }}\n'
    (home.place / "edge.toml").write_text(own)
    done = home.enrol(Center())
    assert done.carried is is_kept
    tree = home.tree()
    assert tree["uplink"]["host"] == "center.example.org"
    assert [each["name"] for each in tree.get("serial", [])] == ["radio"] * is_kept


def test_what_the_agent_may_write_leads_root_nowhere(home: Home, tmp_path: Path) -> None:
    """Who has taken over the agent owns its folder: links in it are neither followed nor carried over."""
    home.enrol(Center())
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "shadow").write_text("root:x")
    own = home.place / "agent"
    (own / "center.toml").symlink_to(tmp_path / "secret" / "shadow")
    (own / "elsewhere").symlink_to(tmp_path / "secret")
    home.enrol(Center())
    assert [each.name for each in own.iterdir()] == ["devices.toml"]
    (own / "center.toml").write_text('log_level = "debug"')
    home.enrol(Center())
    assert (own / "center.toml").read_text() == 'log_level = "debug"'
    os.unlink(own / "center.toml")
    os.mkfifo(own / "center.toml")
    home.enrol(Center())
    assert not (own / "center.toml").exists()


def test_a_broken_configuration_of_before_is_kept_and_replaced(home: Home) -> None:
    home.place.mkdir()
    (home.place / "edge.toml").write_text('gateway = "gw-1"\n[[[')
    done = home.enrol(Center())
    assert done.aside is not None
    assert not done.carried
    load_edge_config(done.config)


def test_a_folder_that_is_a_link_is_followed(home: Home, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    home.place.symlink_to(tmp_path / "real")
    home.enrol(Center())
    assert home.place.is_symlink()
    assert (tmp_path / "real" / "edge.toml").exists()


# --- the bundle ---


def test_a_stick_does_the_same_and_its_key_is_to_be_replaced(home: Home, tmp_path: Path) -> None:
    center = Center()
    done = home.from_stick(center, center.bundle(tmp_path / "stick"))
    assert home.modes == WRITTEN
    assert load_edge_config(done.config).uplink.replace_key
    assert center.asked == []


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        (lambda sealed: b"", "bundle-foreign"),
        (lambda sealed: b"PK\x03\x04" + sealed, "bundle-foreign"),
        (lambda sealed: sealed[:-1], "bundle-broken"),
        (lambda sealed: sealed[:40], "bundle-broken"),
        (lambda sealed: sealed[:100] + bytes((sealed[100] ^ 1,)) + sealed[101:], "bundle-broken"),
        (lambda sealed: sealed[:3] + b"\x09" + sealed[4:], "answer-version"),
        (lambda sealed: sealed[:5] + b"ZZZZZZ" + sealed[11:], "bundle-offer"),
        (lambda sealed: sealed + bytes(600_000), "bundle-foreign"),
    ],
)  # fmt: skip
def test_a_stick_that_is_damaged_or_anothers_is_told(
    home: Home, tmp_path: Path, wrong: Callable[[bytes], bytes], key: str
) -> None:
    center = Center()
    file = center.bundle(tmp_path / "stick")
    whole = file.read_bytes()
    file.write_bytes(wrong(whole))
    with pytest.raises(EnrolError) as refused:
        home.from_stick(center, file)
    assert refused.value.key == key
    assert not home.place.exists()
    file.write_bytes(whole)
    assert home.from_stick(center, file).gateway == "gw-1"


def test_a_stick_of_another_code_with_the_same_name_does_not_open(home: Home, tmp_path: Path) -> None:
    center, other = Center(), Center()
    sealed = other.bundle(tmp_path / "stick").read_bytes()
    (tmp_path / "stick").write_bytes(sealed[:5] + center.keys.offer.encode() + sealed[11:])
    with pytest.raises(EnrolError, match="damaged"):
        home.from_stick(center, tmp_path / "stick")


def test_an_old_stick_is_refused_by_a_clock_that_is_right(home: Home, tmp_path: Path) -> None:
    center = Center()
    file = center.bundle(tmp_path / "stick", until_ns=NOW.wall_ns)
    with pytest.raises(EnrolError) as refused:
        home.from_stick(center, file)
    assert refused.value.key == "bundle-expired"
    no_clock = Stamp(NOW.wall_ns, NOW.mono_ns, NOW.boot, False)
    assert home.from_stick(center, file, no_clock).gateway == "gw-1"


def test_a_stick_that_is_not_there(home: Home, tmp_path: Path) -> None:
    for file in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(EnrolError) as refused:
            home.from_stick(Center(), file)
        assert refused.value.key == "bundle-unreadable"


# --- what the center may send ---


def answers(center: Center, **changes: Any) -> Callable[[Any], bytes]:
    """Sealed for the code, and wrong inside."""

    def ask(words: Any) -> bytes:
        public = x509.load_pem_x509_csr(words.request.encode()).public_key()
        center.ask(words)
        digest = center.asked[-1]
        kit = center.kit(public, digest, **changes)  # type: ignore[arg-type]
        return seal(center.keys.key(Kind.ANSWER), Kind.ANSWER, words.offer, encode_kit(kit), digest)

    return ask


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"first": certificate("gw-1", new_key().public_key())}, "unusable"),
        ({"second": certificate("gw-1", new_key().public_key())}, "unusable"),
        ({"first": ROOT.replace("M", "-")}, "unusable"),
        ({"root": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"}, "unusable"),
        ({"gateway": "../.."}, "answer-foreign"),
    ],
)
def test_an_answer_that_does_not_fit_is_never_used(home: Home, changes: dict[str, Any], key: str) -> None:
    center = Center()
    with pytest.raises(EnrolError) as refused:
        home.enrol(center, ask=answers(center, **changes))
    assert refused.value.key == key
    assert not home.place.exists()
    assert home.enrol(center).gateway == "gw-1"


def test_an_answer_for_another_key_or_code_is_not_used(home: Home) -> None:
    center, other = Center(), Center()

    def of_another_key(words: Any) -> bytes:
        key = new_key()
        content = encode_kit(center.kit(key.public_key(), digest_of(key)))
        return seal(center.keys.key(Kind.ANSWER), Kind.ANSWER, words.offer, content, digest_of(key))

    def of_another_code(words: Any) -> bytes:
        return seal(other.keys.key(Kind.ANSWER), Kind.ANSWER, words.offer, b"{}", "")

    for ask in (of_another_key, of_another_code, lambda words: b"", lambda words: b"<html>" * 100):
        with pytest.raises(EnrolError) as refused:
            home.enrol(center, ask=ask)
        assert refused.value.key == "answer-foreign"
    assert not home.place.exists()


# --- power, disk, rights ---


SHORT = [("network", "gw-1", "kill", 2), ("bundle", "gw-0", "full", 3), ("network", "", "torn", 1)]
LONG = [
    (way, had, fault, 1)
    for way, had in (("network", "gw-1"), ("network", ""), ("bundle", "gw-0"))
    for fault in ("kill", "full", "torn")
]


@pytest.fixture
def quick() -> Iterator[Path]:
    """A folder in memory: nothing here is about how long a disk takes."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("way", "had", "fault", "stride"), LONG if os.environ.get("HEARTHLINE_TORTURE") == "long" else SHORT
)
def test_stopped_at_any_step_it_is_whole_or_as_before_and_the_same_command_ends_it(
    quick: Path, way: str, had: str, fault: str, stride: int
) -> None:
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *(each for each in sys.path if each)])
    command = [sys.executable, str(Path(__file__).with_name("enrol_and_die.py")), str(quick), way, had, fault]
    done = subprocess.run(
        [*command, str(stride)],
        capture_output=True, text=True, timeout=500, check=False, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(trials) * stride >= (5 if fault == "torn" else 30)
    stopped = {"kill": {-9}, "full": {3, 5}, "torn": {3}}[fault]
    assert {trial["said"] for trial in trials[:-1]} <= stopped
    assert trials[-1]["said"] == 0
    for trial in trials:
        found, after = trial["found"], trial["after"]
        assert found["gateway"] in {had or None, "gw-1"}, trial
        if "enrolled" in found.get("files", ()):
            assert {name: found["modes"][name] for name in WRITTEN} == WRITTEN, trial
        assert {name: after["modes"][name] for name in WRITTEN} == WRITTEN, trial
        assert [name.partition("-")[0] for name in trial["beside"]] == ["hearthline.before"] * bool(had), trial
        assert ("profiles/own.toml" in after["files"]) == bool(had)
        assert trial["kept_key"] or way == "bundle", trial


@pytest.fixture
def powerless() -> Iterator[Path]:
    """A folder that everybody may look into and nobody but its owner may change; root is nobody meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        home = Path(name)
        (home / "etc").mkdir(mode=0o555)
        was = os.geteuid()
        if was == 0:
            os.seteuid(pwd.getpwnam("nobody").pw_uid)
        try:
            yield home
        finally:
            os.seteuid(was)


def test_without_rights_it_says_sudo(powerless: Path) -> None:
    center = Center()
    network = Network(center.keys, center.ask)
    with pytest.raises(EnrolError, match="sudo"):
        enrol(center.keys.offer, network, powerless / "etc/hearthline", str(powerless / "data"), FOUND, NOW)
    assert list((powerless / "etc").iterdir()) == []


def test_one_at_a_time(home: Home) -> None:
    center = Center()

    def meanwhile(words: Any) -> bytes:
        with pytest.raises(EnrolError) as refused:
            home.enrol(center)
        assert refused.value.key == "other_run"
        return center.ask(words)

    assert home.enrol(center, ask=meanwhile).gateway == "gw-1"


# --- the file that is written ---


@pytest.mark.parametrize("ports", [(), (ENOCEAN,), (ENOCEAN, OTHER), (OTHER,)])
@pytest.mark.parametrize("has_broker", [True, False])
def test_what_is_written_is_right_whatever_was_found(has_broker: bool, ports: tuple[str, ...]) -> None:
    center = Center()
    kit = center.kit(new_key().public_key(), "x")
    written = edge_toml(kit, Path("/etc/hearthline"), "/data", Machine(has_broker, ports), "2026-11-22")
    config = check_config(tomllib.loads(written), EdgeFile, "edge.toml")
    assert [port.port for port in config.serial] == [each for each in ports if each == ENOCEAN]
    assert (config.local_mqtt is not None) == has_broker
    assert all(port in written for port in ports), "what cannot be known stands there as a comment"


@pytest.mark.parametrize(
    "before",
    [
        'gateway = "g"\ndata_dir = "d"\nuplink = { host = "inline" }\n',
        'gateway = "g"\ndata_dir = "d"\nuplink.host = "dotted"\n',
        'gateway = "g"\ndata_dir = """\n[uplink]\n"""\n[uplink]\nhost = "h"\n',
        "not = toml = at all",
        "",
    ],
)
def test_a_file_that_cannot_be_changed_faithfully_is_not_changed(before: str) -> None:
    kit = Center().kit(new_key().public_key(), "x")
    made = renewed_toml(before, kit, Path("/etc/hearthline"))
    assert made is None or tomllib.loads(made)["uplink"]["host"] == "center.example.org"


def test_odd_names_of_devices_do_no_harm(home: Home) -> None:
    odd = (KitDevice(id='z2m:"]\\', name='"""', room="客厅 ' \\u0000"),)
    home.enrol(Center(devices=odd))
    (device,) = home.tree("agent/devices.toml")["device"]
    assert (device["id"], device["name"], device["room"]) == (odd[0].id, odd[0].name, odd[0].room)


# --- the command ---


def command(home: Home, *arguments: str, typed: str = "") -> Result:
    where = ["--folder", str(home.place), "--data-dir", str(home.data), "--no-start"]
    return CliRunner().invoke(app, ["enrol", *arguments, *where], input=typed)


def test_a_mistyped_code_is_asked_for_again(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHOSEN, "zh")
    center = Center(cost=SCRYPT_N)
    file, right = center.bundle(tmp_path / "stick", until_ns=2**62), center.code.text
    mistyped = ("1" if right[0] == "0" else "0") + right[1:]
    done = command(home, "--bundle", str(file), typed=f"{mistyped}\nMT:Y.K9042C00KA0648G00\n{right.lower()}\n")
    assert done.exit_code == 0, done.output
    assert done.output.index("打错了") < done.output.index("别的设备的标签") < done.output.index("现在是 gw-1")
    assert "hearthline edge install" in done.output


def test_what_is_missing_or_wrong_on_the_command_line_changes_nothing(home: Home) -> None:
    code = Center().code.text
    for arguments, said in (
        ([code], "--center"),
        ([code, "--center", "center.example.org"], "https://HOST"),
        ([code, "--center", "https://h", "--ca-file", "/nowhere"], "--ca-file"),
        ([code, "--bundle", "/nowhere"], "cannot be read"),
        (["6901234567892"], "has 13"),
    ):
        done = command(home, *arguments)
        assert done.exit_code != 0
        assert said in str(done.exception)
    assert command(home, typed="").exit_code == 1, "nobody typed anything"
    assert not home.place.exists()
    assert set(home.beside) <= {".hearthline.enrolling"}


def test_it_is_told_in_the_terminals_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHOSEN, "zh")
    assert "磁盘满了" in str(EnrolError("full", path="/etc"))
    monkeypatch.setenv(CHOSEN, "en")
    assert "the disk is full" in str(EnrolError("full", path="/etc"))
