"""The real agent and what the center asks of it: looked at, changed, and brought back from what does not work."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hearthline import wire
from hearthline.remote import MAX_DETAIL_BYTES
from hearthline_sim.port import PtyPort
from integration.edge.conftest import MakeGateway
from integration.edge.gateway import Center, Gateway, press_telegram, release_telegram, wait_for
from servers import free_ports
from trials import LONG

pytestmark = pytest.mark.integration

Answers = list[dict[str, Any]]


@pytest.fixture
def center(pressing: Gateway, make_center: Callable[..., Center]) -> Center:
    return hearing(pressing, make_center)


def hearing(gateway: Gateway, make_center: Callable[..., Center], **changes: Any) -> Center:
    """A center, once the gateway hears it: what is said before is told again by a real one alone."""
    center = make_center(gateway, **changes)
    wait_for(lambda: center.statuses or center.retained, "the gateway's status")
    return center


def answers(center: Center, command: str) -> Answers:
    """What came as an answer to this command, once each."""
    return [event.data for event in center.of_type("hearthline.answer.v1") if event.data["command"] == command]


def answer(center: Center, command: str, result: str, seconds: float = 12.0) -> dict[str, Any]:
    """The detail of the first answer with this result."""

    def found() -> Answers:
        return [data for data in answers(center, command) if data["result"] == result]

    detail: dict[str, Any] = wait_for(found, f"{result} for {command}, {answers(center, command)} came", seconds)[0]
    return detail["detail"]  # type: ignore[no-any-return]


def configure(center: Center, command: str, config: dict[str, Any], within_s: float = 5.0) -> None:
    center.down(wire.DOWN_COMMAND, wire.Command(id=command, type="configure", config=config, within_s=within_s))


def serial(own: PtyPort, **changes: Any) -> dict[str, Any]:
    """The port of the gateway's own file, with changes."""
    entry = {"name": "radio", "port": str(own.path), "driver": "enocean-esp3", "parity": "N"}
    return {"serial": [entry | changes]}


def pressed(port: PtyPort, center: Center) -> None:
    """A press goes the whole way."""
    before = len(center.alarms)
    port.send(press_telegram() + release_telegram())
    center.wait_alarms(before + 1)


def test_the_gateway_is_looked_at(pressing: Gateway, center: Center) -> None:
    center.down(wire.DOWN_COMMAND, wire.Command(id="look-1", type="examine"))
    found = answer(center, "look-1", "done")
    checks = {check["name"]: check["ok"] for check in found["checks"]}
    assert [checks[name] for name in ("center", "local broker", "serial port radio")] == [True] * 3
    assert [check["ok"] for check in found["checks"]] == sorted(
        (check["ok"] for check in found["checks"]), reverse=True
    )
    assert (found["state"]["center"], found["state"]["on_trial"]) == ([], False)
    center.down(wire.DOWN_COMMAND, wire.Command(id="log-1", type="log", lines=200))
    told = answer(center, "log-1", "done")
    assert [json.loads(line)["message"] for line in told["lines"] if '"agent running"' in line] == ["agent running"]
    assert len(json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()) <= MAX_DETAIL_BYTES


def test_a_configuration_is_tried_proved_and_kept(pressing: Gateway, center: Center, port: PtyPort) -> None:
    assert pressing.process is not None
    process = pressing.process.pid
    configure(center, "conf-1", {"local_alarm_after_s": 20, "log_level": "info"})
    configure(center, "conf-2", {"local_alarm_after_s": 30})
    proved = answer(center, "conf-1", "done")
    assert [data["result"] for data in answers(center, "conf-1")] == ["trial", "done"]
    assert "another" in answer(center, "conf-2", "busy")["reason"]
    assert proved["deaf_s"] < 10
    assert "local_alarm_after_s = 20\n" in (pressing.folder / "agent/center.toml").read_text(encoding="utf-8")
    pressed(port, center)
    configure(center, "conf-1", {"local_alarm_after_s": 60})
    wait_for(lambda: len(answers(center, "conf-1")) == 3, "the same answer to the order told again")
    assert [data["result"] for data in answers(center, "conf-1")] == ["trial", "done", "done"]
    assert "local_alarm_after_s = 20\n" in (pressing.folder / "agent/center.toml").read_text(encoding="utf-8")
    assert (pressing.process.poll(), pressing.process.pid) == (None, process), "it began anew in its own process"


def test_presses_go_on_through_a_change(pressing: Gateway, center: Center, port: PtyPort) -> None:
    """Somebody presses another pendant every 20 ms: what is lost, fell into the time that the agent gives."""
    every_s, number = 0.02, 0
    configure(center, "conf-1", {"gather_s": 1.0})
    ends = time.monotonic() + 60
    while not (ended := [data for data in answers(center, "conf-1") if data["result"] == "done"]):
        assert time.monotonic() < ends
        number += 1
        port.send(press_telegram(sender=f"{0x01AB0000 + number:08X}"))
        time.sleep(every_s)
    pressed(port, center)  # whatever came before it has come
    lost = number + 1 - len(center.alarms)
    assert lost * every_s <= ended[0]["detail"]["deaf_s"] + 5 * every_s
    assert number > lost


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"uplink": {"host": "elsewhere"}}, "uplink cannot be changed"),
    ({"serial": [{"name": "a", "port": "/etc/passwd", "driver": "enocean-esp3"}]}, "no serial port"),
    ({"serial": [{"name": "a", "port": "/dev/ttyUSB7", "driver": "nothing"}]}, "is not a serial driver"),
    ({"serial": [{"name": "a", "port": "/dev/ttyUSB7", "driver": "sml", "baudrate": 10**12}]}, "serial[0].baudrate"),
    ({"metrics": {"host": "a..b"}}, "no host's name"),
    ({"local_mqtt": {"profiles": ["nothing"]}}, "is no MQTT profile"),
    ({"local_mqtt": {"options": {"zigbee2mqtt": {"base_topic": 7}}}}, "local_mqtt.options.zigbee2mqtt: base_topic"),
]


def test_what_cannot_be_is_refused_and_nothing_is_written(pressing: Gateway, center: Center) -> None:
    for number, (config, reason) in enumerate(REFUSED):
        configure(center, f"conf-{number}", config)
        assert reason in answer(center, f"conf-{number}", "refused")["reason"]
    assert not (pressing.folder / "agent/center.toml").exists()
    assert pressing.told("agent running") == 1


def test_what_ends_the_agent_or_loses_a_port_is_undone(
    make_gateway: MakeGateway, make_center: Callable[..., Center], port: PtyPort, tmp_path: Path
) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('torn by a power cut')\n", encoding="utf-8")
    torn = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    gateway = make_gateway(serial={"radio": (port.path, "enocean-esp3")}, environment=torn)
    gateway.start()
    center = hearing(gateway, make_center)
    configure(center, "conf-1", {"metrics": {"port": free_ports(1)[0]}})
    assert "has ended the agent: ImportError: torn" in answer(center, "conf-1", "undone")["reason"]
    pressed(port, center)
    configure(center, "conf-2", serial(port, port="/dev/ttyUSB77"))
    assert "/dev/ttyUSB77" in answer(center, "conf-2", "undone")["reason"]
    pressed(port, center)
    assert not (gateway.folder / "agent/center.toml").exists()


@pytest.mark.long
def test_without_received_the_old_configuration_comes_back(pressing: Gateway, center: Center, port: PtyPort) -> None:
    center.acknowledge = False
    configure(center, "conf-1", {"gather_s": 1.0})
    assert 'no "received"' in answer(center, "conf-1", "undone", 20)["reason"]
    center.acknowledge = True
    pressed(port, center)
    assert not (pressing.folder / "agent/center.toml").exists()


def test_a_change_waits_for_an_alarm_on_its_way(pressing: Gateway, center: Center, port: PtyPort) -> None:
    center.acknowledge = False
    pressed(port, center)
    configure(center, "conf-1", {"gather_s": 1.0})
    center.down(wire.DOWN_COMMAND, wire.Command(id="test-1", type="test"))
    answer_of_test = wait_for(lambda: answers(center, "test-1"), "an order that does not wait")
    assert answer_of_test[0]["result"] == "done"
    assert pressing.told("agent running") == 1, "the alarm goes first"
    center.acknowledge = True
    center.ack(center.events)
    answer(center, "conf-1", "done")


@pytest.mark.parametrize(("kills", "result"), [(1, "done"), (2, "undone")] if LONG else [(2, "undone")])
def test_killed_during_the_trial(
    make_gateway: MakeGateway, make_center: Callable[..., Center], kills: int, result: str
) -> None:
    """Once is a power cut; an agent that has not come up twice is brought back."""
    gateway = make_gateway()
    gateway.start()
    center = hearing(gateway, make_center, acknowledge=False)
    configure(center, "conf-1", {"gather_s": 1.0}, within_s=60)
    for begun in range(1, kills + 1):
        wait_for(lambda begun=begun: len(answers(center, "conf-1")) >= begun, "the trial's answer")  # type: ignore[misc]
        gateway.kill()
        gateway.start()
    center.acknowledge = True
    center.ack(center.events)
    answer(center, "conf-1", result)
    assert (gateway.folder / "agent/center.toml").exists() == (result == "done")
