"""`hearthline gateway commission` in a home: a real agent, real brokers, a pendant's radio, and the center's own rule.

The test's center hands on what it hears to a real event lane over a database, so that both halves of the chain judge.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cloud_center import Cloud, TestGateway
from hearthline.commissioning import MARK
from hearthline.model import EventType
from hearthline_cloud import schema
from hearthline_cloud.database import upsert
from hearthline_cloud.identity import certificates
from hearthline_cloud.identity.authority import Authority, make_issuing, make_root
from hearthline_cloud.ingest.events import TRIED_OUT
from hearthline_edge.device_list import ListedDevice, write_list
from hearthline_edge.requesting import key_pem
from hearthline_sim.devices.raycome_cuff import Vitals, result_frame
from hearthline_sim.devices.sml_meter import Display, SmlMeter
from hearthline_sim.port import PtyPort
from integration.edge.gateway import PENDANT, Center, Gateway, HomeEar, press_telegram, release_telegram, wait_for
from servers import mosquitto

pytestmark = pytest.mark.integration
OTHER, METER = "0A0B0C0D", "sml:0a01484c5902000d6be6"
PENDANT_OF_THE_HOME = ListedDevice(
    id=PENDANT, name="王秀兰的挂件", room="worn", kind="pendant", buttons={"*": "emergency"}
)
ROOMS = ("卧室", "<b>bath</b>")


class Walking:
    """The command, as somebody at a terminal has it."""

    def __init__(self, gateway: Gateway, *arguments: str, config: Path | None = None) -> None:
        self.lines: list[str] = []
        command = [
            sys.executable,
            "-m",
            "hearthline",
            "gateway",
            "commission",
            "--config",
            str(config or gateway.config),
        ]
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"},
        )
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def asked(self, text: str, times: int = 1) -> None:
        wait_for(lambda: "".join(self.lines).count(text) >= times, f"{text!r} {times} times in {self.lines}", 30)

    def type(self, words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()

    def end(self) -> int:
        code = self.process.wait(40)
        self._thread.join(5)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._thread.join(5)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def walk(pressing: Gateway, stack: ExitStack) -> Callable[..., Walking]:
    def begin(*arguments: str, config: Path | None = None) -> Walking:
        walking = Walking(pressing, *arguments, config=config)
        stack.callback(walking.close)
        return walking

    pressing.write_config()
    write_list(pressing.folder / "agent", [PENDANT_OF_THE_HOME])
    return begin


@pytest.fixture
def cloud(tmp_path: Path, pressing: Gateway) -> Iterator[Cloud]:
    (tmp_path / "cloud").mkdir()
    made = Cloud(tmp_path / "cloud")
    made.populate()
    with made.database.transaction() as connection:
        named = upsert(connection, schema.gateway).values(id=pressing.name, home_id="home-1")
        connection.execute(named.on_conflict_do_nothing())
    yield made
    made.close()


def press(port: PtyPort, button: int = 0, sender: str | None = None) -> None:
    """Presses that follow each other at once are of different buttons, else they are one."""
    given = {} if sender is None else {"sender": sender}
    port.send(press_telegram(button, **given) + release_telegram(**given))


def handed_on(center: Center, cloud: Cloud) -> None:
    """What this center has heard goes through the product's own event lane, in the order of arrival."""
    sender = TestGateway(center.gateway)
    cloud.take(*(sender.message(event) for event in center.events))


def words(center: Center) -> list[str]:
    return [event.data["state"] for event in center.of_type(EventType.COMMISSIONING)]


def with_key(gateway: Gateway, cloud: Cloud, folder: Path) -> Path:
    """A configuration for the tool, of the same agent, with a certificate of the center."""
    now = datetime.now(UTC).replace(microsecond=0)
    make_root(folder / "root", "East", now)
    make_issuing(folder / "pki", folder / "root", "East", now)
    authority, key = Authority(folder / "pki", now), ec.generate_private_key(ec.SECP256R1())
    with cloud.database.transaction() as connection:
        first, second = certificates.issue(connection, authority, gateway.name, key.public_key(), time.time_ns(), "mei")
    files = {"key_file": key_pem(key), "cert_file": first.pem, "second_cert_file": second.pem}
    files["ca_file"] = (folder / "root" / "root.crt").read_bytes() if (folder / "root" / "root.crt").exists() else b""
    lines = []
    for name, content in files.items():
        (gateway.folder / name).write_bytes(content)
        (gateway.folder / name).chmod(0o600)
        lines.append(f'{name} = "{gateway.folder / name}"')
    config = gateway.folder / "tool.toml"
    config.write_text(gateway.config.read_text().replace("[uplink]", "\n".join(["[uplink]", *lines])))
    return config


def test_a_home_is_tried_out_and_nobody_is_paged(
    pressing: Gateway, port: PtyPort, walk: Callable[..., Walking], make_center: Callable[..., Center],
    make_ear: Callable[..., HomeEar], cloud: Cloud, tmp_path: Path, stack: ExitStack,
) -> None:  # fmt: skip
    cuff, meter = (PtyPort(tmp_path / name, 10, 9600) for name in ("ttyCUFF", "ttySML"))
    for opened in (cuff, meter):
        stack.callback(opened.close)
    pressing.stop()
    pressing.serial |= {"cuff": (cuff.path, "raycome-bp"), "sml": (meter.path, "sml")}
    pressing.start()
    wait_for(lambda: pressing.told("port open") == 3, "the agent at its ports")
    center, ear = make_center(pressing), make_ear(pressing)
    config = with_key(pressing, cloud, tmp_path)
    others = (("raycome:cuff", ROOMS[0], "cuff"), ("raycome:none", ROOMS[1], "cuff"), (METER, "", "meter"))
    listed = [ListedDevice(id=name, room=room, kind=kind) for name, room, kind in others]
    write_list(pressing.folder / "agent", [PENDANT_OF_THE_HOME, *listed])
    walking = walk("--rooms", ",".join(ROOMS), "--folder", str(tmp_path), config=config)
    walking.asked("The center knows of this run.")
    walking.asked("press 王秀兰的挂件")
    press(port, sender=OTHER)  # the neighbour's, or the elder's second pendant: an alarm
    center.wait_alarms(1)
    press(port)
    walking.asked("press 王秀兰的挂件", 2)
    press(port, 1)
    walking.asked("measure once with raycome:cuff")
    clock = datetime(2026, 11, 22, 8)  # noqa: DTZ001  a cuff knows no zone
    cuff.send(result_frame(1, clock, Vitals(132, 84, 71)))
    walking.asked("measure once with raycome:none")
    walking.type("b")  # its battery is empty
    walking.asked("waiting for a reading")
    meter.send(SmlMeter(METER.removeprefix("sml:")).push(Display(2355929.0, 376))[0])
    assert walking.end() == 1, walking.lines
    assert "4 of 5 steps passed" in "".join(walking.lines)
    wait_for(lambda: words(center) == ["begun", "ended"], "the end of the run")

    assert [MARK in alarm.data for alarm in center.alarms] == [False, True, True]
    assert center.events[0].type == EventType.COMMISSIONING, "the begin goes first"
    wait_for(lambda: len(ear.signals("received")) == 3, "the home hears of each press")
    assert not ear.sounding

    handed_on(center, cloud)
    (alert,) = cloud.rows(schema.alert)
    assert (alert.kind, alert.device_id, alert.presses) == ("emergency", f"enocean:{OTHER}", 1)
    (run,) = cloud.rows(schema.commissioning)
    assert (run.standing, len(cloud.rows(schema.commissioning_press))) == ("signed", 2)
    to_dos = [(row.room, row.reason) for row in cloud.rows(schema.commissioning_step) if row.state != "passed"]
    assert to_dos == [(ROOMS[1], "battery")]
    assert [row.data for row in cloud.rows(schema.event) if row.type == EventType.VITAL] == [TRIED_OUT]

    told = json.loads(next(tmp_path.glob("commissioning-*.json")).read_text())
    assert told["report"] == run.report
    assert "王秀兰" not in json.dumps(told, ensure_ascii=False), "no name leaves the home"
    first, *_, reading = told["report"]["steps"]
    assert (first["room"], first["state"], first["radio_dbm"]) == (ROOMS[0], "passed", -60)
    hops = first["hops_ms"]
    assert 0 <= hops["committed"] <= hops["sent"] <= hops["received"] < 10_000
    assert (reading["what"], reading["state"], list(reading["hops_ms"])) == ("reading", "passed", ["received"])
    page = next(tmp_path.glob("commissioning-*.html")).read_text()
    assert "&lt;b&gt;bath&lt;/b&gt;" in page
    assert "<b>bath</b>" not in page


def test_without_a_line_presses_are_stored_and_their_arrival_is_left_to_do(
    pressing: Gateway, port: PtyPort, walk: Callable[..., Walking], make_gateway: Callable[..., Gateway],
    center_broker: Any, make_center: Callable[..., Center], cloud: Cloud,
) -> None:  # fmt: skip
    pressing.stop()
    pressing.center_port = 1  # nothing listens there
    pressing.start()
    wait_for(lambda: pressing.told("port open"), "the agent at the port")
    walking = walk("--rooms", ROOMS[0], "--no-input", "--json")
    walking.asked("There is no line to the center")
    walking.asked("press 王秀兰的挂件")
    press(port)
    assert walking.end() == 1, walking.lines
    report = json.loads(walking.lines[-1])
    assert [(step["state"], step["reason"]) for step in report["steps"]] == [("failed", "not-received")]
    assert report["steps"][0]["hops_ms"]["committed"] < 5000

    pressing.stop()
    center = make_center(pressing)
    pressing.center_port = center_broker.port
    pressing.start()
    wait_for(lambda: words(center) == ["begun", "ended"], "what lay in the outbox")
    handed_on(center, cloud)
    assert cloud.count(schema.alert) == 0, "what was tried without a line pages nobody afterwards"
    assert len(cloud.rows(schema.commissioning_press)) == 1


def test_a_line_that_is_away_for_a_moment_costs_no_step(
    pressing: Gateway, port: PtyPort, walk: Callable[..., Walking], make_center: Callable[..., Center],
    tmp_path: Path, stack: ExitStack,
) -> None:  # fmt: skip
    (tmp_path / "broker").mkdir()
    broker = stack.enter_context(mosquitto(tmp_path / "broker"))
    pressing.stop()
    pressing.center_port = broker.port
    pressing.start()
    make_center(pressing, port=broker.port)
    walking = walk("--rooms", ROOMS[0], "--no-input", "--json")
    walking.asked("The center knows of this run.")
    walking.asked("press 王秀兰的挂件")
    broker.kill()
    wait_for(lambda: pressing.told("uplink lost"), "the agent without a line")
    press(port)
    wait_for(lambda: pressing.outbox()["event"]["depth"], "the press in the outbox")
    broker.start()
    assert walking.end() == 0, walking.lines


def test_a_power_cut_loses_no_step_and_silences_no_press(
    pressing: Gateway, port: PtyPort, walk: Callable[..., Walking], make_center: Callable[..., Center], cloud: Cloud,
) -> None:  # fmt: skip
    center = make_center(pressing)
    walking = walk("--rooms", ",".join(ROOMS))
    walking.asked("press 王秀兰的挂件")
    press(port)
    walking.asked("press 王秀兰的挂件", 2)
    pressing.kill()
    walking.process.kill()
    pressing.start()
    wait_for(lambda: pressing.told("port open"), "the agent at the port")
    press(port, 1)
    center.wait_alarms(2)
    assert [MARK in alarm.data for alarm in center.alarms] == [True, False], "an agent that was killed expects nothing"

    again = walk("--no-input", "--json")
    again.asked("1 steps have passed")
    again.asked("press 王秀兰的挂件")
    press(port, 2)
    assert again.end() == 0
    report = json.loads(again.lines[-1])
    assert [step["state"] for step in report["steps"]] == ["passed", "passed"]
    assert len(set(report["runs"])) == 2
    handed_on(center, cloud)
    assert [row.presses for row in cloud.rows(schema.alert)] == [1], "the one that nobody had asked for"
    assert not (pressing.data / "commissioning" / "under-way.json").exists()
