"""`hearthline edge`: examples in every help, JSON for machines, and exit codes that mean something."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import serial as serial_lib

from hearthline.cli import run
from hearthline.clock import NS, Stamp
from hearthline.model import EventType, Reading
from hearthline_edge.devices import RefusalReason
from hearthline_edge.doctor_texts import TEXTS
from hearthline_edge.outbox import Outbox
from hearthline_sim.devices.enocean_pendant import rps
from hearthline_sim.port import PtyPort
from servers import free_ports

SENDER = bytes.fromhex("01020304")
PRESS = rps(SENDER, 0x10, 0x30, -60).hex()
RELEASE = rps(SENDER, 0x00, 0x20, -60).hex()
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def edge(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        code = run(["edge", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def config(folder: Path, more: str = "") -> Path:
    (folder / "data").mkdir(exist_ok=True)
    path = folder / "edge.toml"
    (port,) = free_ports(1)
    path.write_text(
        f'gateway = "gw"\ndata_dir = "{folder / "data"}"\ntelemetry_max_mb = 1\n[uplink]\nhost = "127.0.0.1"\n'
        f'port = {port}\n[clock]\ntrust = "synced"\n{more}',
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize("command", ["run", "doctor", "outbox", "decode", "profiles", "request", "update", ""])
def test_every_help_has_an_example(edge: Run, command: str) -> None:
    code, out, _ = edge(*([command] if command else []), "--help")
    assert code == 0
    assert f"hearthline edge {command}" in " ".join(out.split())
    assert "Example:" in out


@pytest.mark.parametrize("command", ["run", "doctor", "outbox"])
def test_a_missing_configuration_is_2(edge: Run, tmp_path: Path, command: str) -> None:
    code, out, err = edge(command, "--config", tmp_path / "none.toml")
    assert code == 2
    assert "none.toml: no such configuration file" in out + err


def decoded(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_decode_groups_presses(edge: Run, tmp_path: Path) -> None:
    lines = [PRESS, PRESS, RELEASE, "", PRESS, "55000707017a"]
    (tmp_path / "press.hex").write_text("\n".join(lines), encoding="utf-8")
    code, out, _ = edge("decode", "--driver", "enocean-esp3", tmp_path / "press.hex")
    found = decoded(out)
    assert code == 0
    assert [(f["kind"], f["event"], f["button"], f["device_id"]) for f in found[:2]] == [
        ("event", "press", "AI", "enocean:01020304")
    ] * 2
    assert [(f["kind"], f["reason"]) for f in found[2:]] == [("refused", "noise")]
    wanted = {"device_id", "kind", "event", "button", "quantity", "value", "unit", "at", "reason", "group"}
    assert all(set(each) == wanted for each in found)


def test_decode_reads_messages_from_standard_input(edge: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    payload = json.dumps({"apower": 12.5, "aenergy": {"total": 1500}})
    given = tmp_path / "messages"
    given.write_text(json.dumps({"topic": "plug/status/switch:0", "payload": payload}) + "\n", encoding="utf-8")
    with given.open(encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        code, out, _ = edge("decode", "--driver", "shelly-gen2", "-")
    assert code == 0
    assert [(f["quantity"], f["value"], f["unit"]) for f in decoded(out)] == [
        ("energy_import", 1.5, "kWh"),
        ("power", 12.5, "W"),
    ]


def test_decode_of_a_wrong_line_is_1_and_of_a_wrong_driver_2(edge: Run, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text(f"{PRESS}\n{'00 ' * 2000}\nzz\n", encoding="utf-8")
    assert edge("decode", "--driver", "enocean-esp3", tmp_path / "bad")[0] == 1
    (tmp_path / "bad-json").write_text('{"a":1}\n{"a"\n', encoding="utf-8")
    assert edge("decode", "--driver", "shelly-gen2", tmp_path / "bad-json")[0] == 1
    code, _, err = edge("decode", "--driver", "nonsense", tmp_path / "bad")
    assert code == 2
    assert "enocean-esp3" in err
    assert edge("decode", "--driver", "enocean-esp3", tmp_path / "absent")[0] == 2


PROFILE = """
name = "acme-sos"
title = "ACME SOS button"
supervision_s = 14400
[mqtt]
topic = "acme/{device}/state"
[[value]]
path = "batt"
quantity = "battery"
[[event]]
path = "key"
equals = "long"
event = "press"
"""


def test_a_profile_decodes_a_log_is_checked_and_listed(edge: Run, tmp_path: Path) -> None:
    own = tmp_path / "profiles" / "acme-sos.toml"
    own.parent.mkdir()
    own.write_text(PROFILE, encoding="utf-8")
    log = tmp_path / "log"
    payload = json.dumps({"key": "long", "batt": 55})
    log.write_text(json.dumps({"topic": "acme/hall/state", "payload": payload}) + "\n", encoding="utf-8")
    code, out, _ = edge("decode", "--profile", own, log)
    assert code == 0
    assert [(f["device_id"], f["event"], f["quantity"], f["value"]) for f in decoded(out)] == [
        ("acme-sos:hall", "press", None, None),
        ("acme-sos:hall", None, "battery", 55.0),
    ]
    assert edge("decode", log)[0] == 2
    assert edge("decode", "--profile", own, "--driver", "sml", log)[0] == 2
    code, out, _ = edge("profiles", "--check", own, "--json")
    assert code == 0
    assert json.loads(out)["profiles"][0]["values"] == ["battery %EL"]
    code, out, _ = edge("profiles", "--config", config(tmp_path))
    assert code == 0
    assert "acme-sos: ACME SOS button" in out
    assert "eastron-sdm630: " in out
    own.write_text(PROFILE.replace("battery", "batery"), encoding="utf-8")
    assert edge("profiles", "--check", own)[0] == 2
    code, out, _ = edge("profiles", "--config", config(tmp_path))
    assert code == 1
    assert "WRONG acme-sos" in out
    code, out, _ = edge("doctor", "--config", config(tmp_path))
    assert "WRONG profile: " in out


def test_doctor_has_advice_for_every_reason() -> None:
    explained = {key.removeprefix("refused-") for key in TEXTS.texts if key.startswith("refused-")}
    assert explained == set(get_args(RefusalReason))


def test_outbox_beside_its_owner(edge: Run, tmp_path: Path) -> None:
    path = config(tmp_path)
    assert edge("outbox", "--config", path)[0] == 2, "there is none yet"
    outbox = Outbox(tmp_path / "data")
    now = Stamp(1_790_000_000 * NS, 100 * NS, "boot-of-old", True)
    with outbox.transaction():
        outbox.append_event(EventType.ALARM, "d", {}, now, urgent=True)
        for minute in range(3):
            outbox.append_pack([(Reading("m", "power", 1.0, "W"), 0)], now.later(60 * minute))
        outbox.keep_aside("radio", "noise", b"x", now)
    code, out, _ = edge("outbox", "--config", path, "--json")
    view = json.loads(out)
    assert code == 0
    assert outbox.id.startswith(view["outbox"])
    assert (view["event"]["depth"], view["telemetry"]["depth"]) == (1, 3)
    assert view["telemetry"]["room_h"] > 100
    assert (view["kept_aside"], view["refusals"]) == (1, {"radio:noise": 1})
    assert "1 bytes that belong to no frame" in edge("doctor", "--config", path)[1]
    code, out, _ = edge("outbox", "--config", path)
    assert code == 0
    assert "event     1 waiting" in out
    outbox.close()
    before = {each.name: each.read_bytes() for each in (tmp_path / "data").iterdir()}
    assert edge("outbox", "--config", path)[0] == 0
    assert {each.name: each.read_bytes() for each in (tmp_path / "data").iterdir()} == before, "looking changed it"


def test_doctor_says_in_one_sentence_each_what_is_wrong(edge: Run, tmp_path: Path) -> None:
    port = PtyPort(tmp_path / "ttyGOOD", 10, 57600)
    serial = "".join(
        f'[[serial]]\nname = "{name}"\nport = "{tmp_path / file}"\ndriver = "enocean-esp3"\n'
        for name, file in (("good", "ttyGOOD"), ("gone", "ttyGONE"), ("file", "edge.toml"))
    )
    even = PtyPort(tmp_path / "ttyEVEN", 11, 2400)
    serial_lib.Serial(str(even.path), 2400, parity="E").close()  # a pseudo-terminal refuses parity the second time
    serial += f'[[serial]]\nname = "even"\nport = "{even.path}"\ndriver = "dlt645-2007"\n'
    path = config(tmp_path, serial)
    code, out, _ = edge("doctor", "--config", path, "--json")
    port.close()
    even.close()
    said = json.loads(out)
    verdicts = {check["name"]: check["ok"] for check in said["checks"]}
    assert code == 1
    assert said["ok"] is False
    assert verdicts == {
        "configuration": True,
        "disk": verdicts["disk"],
        "outbox": True,
        "serial port good": True,
        "serial port gone": False,
        "serial port file": False,
        "serial port even": False,
        "center": False,
        "clock": True,
    }
    sentences = {check["name"]: check["sentence"] for check in said["checks"]}
    assert "plug the adapter in" in sentences["serial port gone"]
    assert "start the broker" in sentences["center"]
    assert "does not take 2400 8E1" in sentences["serial port even"]


def test_doctor_refuses_a_strange_outbox_and_a_wrong_key(
    edge: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config(tmp_path)
    (tmp_path / "data" / "outbox.db").write_bytes(b"something else entirely, of some length " * 50)
    code, out, _ = edge("doctor", "--config", path)
    assert code == 1
    assert "WRONG outbox" in out
    monkeypatch.setenv("HEARTHLINE_LANG", "zh")
    code, out, _ = edge("doctor", "--config", path)
    assert code == 1
    assert "错误  发件箱: " in out
    assert "不是可读的发件箱（file is not a database）" in out
    assert "WRONG" not in out
    path.write_text("gatway = 1\n", encoding="utf-8")
    code, out, _ = edge("doctor", "--config", path)
    assert code == 2
    assert "没有这个键 `gatway`" in out
    monkeypatch.setenv("HEARTHLINE_LANG", "en")
    code, out, _ = edge("doctor", "--config", path)
    assert code == 2
    assert "unknown key `gatway`" in out


def test_an_environment_that_no_release_has_laid_down_is_not_updated(edge: Run, tmp_path: Path) -> None:
    code, _, err = edge("update", tmp_path)
    assert code == 2
    assert "was not laid down by a release" in err
