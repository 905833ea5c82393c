"""A gateway proves its way: real agent, brokers, ingester, desk and database; InfluxDB away and telemetry flooded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from cloud_center import Cloud
from cloud_processes import Role, running, until
from hearthline.cli import run
from hearthline_cloud import schema
from hearthline_cloud.selftesting import ask
from integration.edge.gateway import Client, Gateway, HomeEar
from outside_service import OutsideService, outside_service
from secret_files import write_secret
from servers import HOST, free_ports, mosquitto

pytestmark = pytest.mark.integration

POLICY = """
otherwise = "all"
[policy.all]
repeat_s = 600
progress_s = 900
[[policy.all.step]]
after_s = 0
to = ["channel:duty"]
"""
FLOOD = 2000
PATIENCE_S = 60.0


@dataclass
class Whole:
    cloud: Cloud
    role: Role
    gateway: Gateway
    ear: HomeEar
    bridge: Client
    duty: OutsideService

    def tests(self) -> list[Any]:
        return list(self.cloud.rows(schema.self_test))

    def proved(self, count: int) -> None:
        """So many tests came through, and the desk has decided about each."""
        until(lambda: sum(row.decided_ns is not None for row in self.tests()) == count, PATIENCE_S)

    def nobody_was_told(self) -> bool:
        heard = self.ear.sounding or self.ear.signals("received") or self.duty.got
        return not heard and self.cloud.count(schema.notification) == 0


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Whole]:
    for name in ("c", "b", "l", "g"):
        (tmp_path / name).mkdir()
    cloud = Cloud(tmp_path / "c")
    cloud.populate()
    (nobody,) = free_ports(1)
    with ExitStack() as stack:
        stack.callback(cloud.close)
        broker = stack.enter_context(mosquitto(tmp_path / "b"))
        local = stack.enter_context(mosquitto(tmp_path / "l", extra="queue_qos0_messages true"))
        duty = stack.enter_context(outside_service())
        with cloud.database.transaction() as connection:
            connection.execute(insert(schema.policy).values(version=1, at_ns=0, saved_by="boss", text=POLICY))
        write_secret(tmp_path / "secret", "geheim")
        extra = (
            f'[[channel]]\nname = "duty"\nkind = "webhook"\nurl = "{duty.url}"\nsecret_file = "{tmp_path}/secret"\n'
            f'[store]\nkind = "influxdb"\nurl = "http://{HOST}:{nobody}"\n'
            '[self_test]\nfrom = 00:00:00\nto = 00:00:01\nzone = "UTC"'
        )
        role = stack.enter_context(running(Role(cloud.folder, broker.port, ("ingest", "desk"), extra)))
        siren = '[[siren]]\nkind = "zigbee"\ntarget = "zigbee2mqtt/siren"'
        gateway = Gateway(
            tmp_path / "g", "gw-1", broker.port, local.port, top="local_alarm_after_s = 2.0", tables=siren
        )
        stack.callback(gateway.end)
        ear, bridge = HomeEar(local.port, "gw-1"), Client(local.port, ())
        stack.callback(ear.close)
        stack.callback(bridge.close)
        gateway.start()
        yield Whole(cloud, role, gateway, ear, bridge, duty)


def test_a_gateway_proves_its_way_while_telemetry_is_stuck_and_nobody_is_told(
    whole: Whole, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.proved(1)
    (daily,) = whole.tests()
    assert (daily.asked_by, daily.decision["messages"]) == ("system", 1)

    for number in range(FLOOD):
        whole.bridge.publish("zigbee2mqtt/plug", json.dumps({"power": number, "energy": number}), qos=0)
    until(lambda: whole.gateway.outbox()["telemetry"]["depth"] > 10, PATIENCE_S)
    with whole.cloud.database.transaction() as connection:
        connection.execute(update(schema.self_test).values(asked_ns=daily.asked_ns - 60 * 10**9))
    code = run(["cloud", "test", "gw-1", "--config", str(whole.cloud.folder / "cloud.toml"), "--wait", "30", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (code, found["standing"], found["messages"]) == (0, "proved", 1), found
    assert whole.gateway.outbox()["telemetry"]["depth"] > 10, "the lane was full all the while"

    whole.role.kill()
    with whole.cloud.database.transaction() as connection:
        connection.execute(update(schema.self_test).values(asked_ns=schema.self_test.c.asked_ns - 60 * 10**9))
    ask(whole.cloud.database, "gw-1", "mei", max(row.asked_ns for row in whole.tests()) + 90 * 10**9)
    whole.role.start()
    whole.proved(3)
    assert {row.kind for row in whole.cloud.rows(schema.alert)} == {"self-test"}
    assert whole.nobody_was_told()

    whole.bridge.publish("zigbee2mqtt/sos", '{"action":"emergency"}')
    until(lambda: whole.duty.got, PATIENCE_S)  # what would have told somebody, does
    (alarm,) = [row for row in whole.cloud.rows(schema.alert) if row.kind == "emergency"]
    assert whole.duty.got[0][1]["alert"] == alarm.id
