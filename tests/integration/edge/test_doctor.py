"""`hearthline edge doctor` at real brokers, beside the running agent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hearthline.cli import run
from hearthline_sim.port import PtyPort
from integration.edge.conftest import MakeGateway
from integration.edge.gateway import Center, press_telegram, release_telegram, wait_for
from servers import mosquitto

pytestmark = pytest.mark.integration


def test_all_is_well_beside_the_running_agent(
    make_gateway: MakeGateway,
    port: PtyPort,
    make_center: Callable[..., Center],
    capsys: pytest.CaptureFixture[str],
) -> None:
    gateway = make_gateway(serial={"radio": (port.path, "enocean-esp3")}, tables='[clock]\ntrust = "synced"')
    gateway.start()
    center = make_center(gateway)
    wait_for(lambda: gateway.told("port open") and gateway.told("uplink connected"), "the agent")
    code = run(["edge", "doctor", "--config", str(gateway.config), "--json"])
    said = json.loads(capsys.readouterr().out)
    wrong = [check for check in said["checks"] if not check["ok"] and check["name"] != "disk"]
    assert wrong == []
    assert code == (0 if said["ok"] else 1)
    assert port.listening
    assert "uplink lost" not in gateway.log_text(), "the doctor threw the agent out"
    assert all(status.state == "online" for status in center.statuses)


def test_a_port_with_impossible_settings_is_told_and_costs_no_press_of_the_others(
    make_gateway: MakeGateway,
    port: PtyPort,
    make_center: Callable[..., Center],
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = '[[serial]]\nname = "meter"\nport = "/dev/ttyUSB0"\ndriver = "sml"\nbaudrate = 1000000000000\n'
    gateway = make_gateway(serial={"radio": (port.path, "enocean-esp3")}, tables=wrong)
    gateway.start()
    center = make_center(gateway)
    wait_for(lambda: gateway.told("port open"), "the other port")
    port.send(press_telegram() + release_telegram())
    center.wait_alarms(1)
    wait_for(lambda: center.retained or center.statuses, "a status")
    assert "the port meter is not served" in (center.retained + center.statuses)[0].faults[0]
    assert run(["edge", "doctor", "--config", str(gateway.config), "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    (said,) = [check["sentence"] for check in checks if "the port meter is not served" in check["sentence"]]
    assert "serial[1]: baudrate: " in said


def test_a_refused_login_is_told(make_gateway: MakeGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "strict").mkdir()
    with mosquitto(tmp_path / "strict", username="gw", password="right") as strict:
        gateway = make_gateway(center_port=strict.port, local_port=strict.port)
        assert run(["edge", "doctor", "--config", str(gateway.write_config())]) == 1
    said = capsys.readouterr().out
    assert said.count("refuses the login") == 2
