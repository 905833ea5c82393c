"""A pendant bound in the home, whole way: real agents, broker, ingester and database, each killed between the steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from cloud_center import Cloud
from cloud_processes import Role, until
from hearthline.errors import LinkError
from hearthline_cloud import journal, schema
from hearthline_cloud.registry.editing import edit
from hearthline_cloud.registry.shape import Kind
from hearthline_edge.control_client import ControlClient
from hearthline_edge.device_list import load_list
from integration.edge.gateway import Gateway
from servers import mosquitto
from trials import LONG

pytestmark = [pytest.mark.integration, pytest.mark.torture]
PENDANT = "enocean:002EE196"
WANTED = {"id": PENDANT, "name": "吊坠", "room": "卧室", "kind": "push-button", "buttons": {"*": "service"}}
PATIENCE_S = 60.0


@dataclass
class Whole:
    cloud: Cloud
    role: Role
    homes: dict[str, Gateway]

    def ask(self, gateway: str, **order: Any) -> dict[str, Any]:
        client = ControlClient(self.homes[gateway].data / "control.sock")

        def answer() -> dict[str, Any]:
            with suppress(LinkError):
                return client.ask(order)
            return {}

        return dict(until(answer, PATIENCE_S))

    def states(self, gateway: str) -> dict[str, str]:
        return {each.id: each.state for each in load_list(self.homes[gateway].folder / "agent")}

    def registered(self) -> list[tuple[str, str, str]]:
        rows = [row for row in self.cloud.rows(schema.device) if row.registered and row.id == PENDANT]
        return [(row.gateway_id, row.name, row.room) for row in rows]


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Whole]:
    for name in ("c", "b", "gw-1", "gw-2"):
        (tmp_path / name).mkdir()
    cloud = Cloud(tmp_path / "c")
    cloud.populate()
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.gateway).values(id="gw-2", home_id="home-2"))
    with ExitStack() as stack:
        stack.callback(cloud.close)
        broker = stack.enter_context(mosquitto(tmp_path / "b"))
        role = Role(cloud.folder, broker.port)
        stack.callback(role.kill)
        homes = {name: Gateway(tmp_path / name, name, broker.port) for name in ("gw-1", "gw-2")}
        for gateway in homes.values():
            stack.callback(gateway.end)
            gateway.start()
        yield Whole(cloud, role, homes)


def test_a_pendant_is_bound_and_refused_in_another_home_whoever_is_killed(whole: Whole) -> None:
    first, second = whole.homes["gw-1"], whole.homes["gw-2"]
    assert whole.ask("gw-1", do="bind", device=WANTED)["event"]
    first.kill()
    first.start()
    assert whole.states("gw-1") == {PENDANT: "waiting"}
    whole.role.start()
    until(lambda: whole.states("gw-1").get(PENDANT) == "bound", PATIENCE_S)
    assert whole.registered() == [("gw-1", "吊坠", "卧室")]

    whole.ask("gw-2", do="bind", device=WANTED)
    if LONG:
        whole.role.kill()
        second.kill()
        whole.role.start()
        second.start()
    until(lambda: whole.states("gw-2").get(PENDANT) == "refused", PATIENCE_S)
    assert whole.registered() == [("gw-1", "吊坠", "卧室")]
    status = until(lambda: faults(whole, "gw-2"), PATIENCE_S)
    assert status == [f"devices: {PENDANT} belongs to another home"], "staff see it at the gateway"

    if not LONG:  # then also renamed, removed, and bound in the other home
        return
    whole.role.kill()
    with whole.cloud.database.transaction() as connection:
        edit(connection, Kind.DEVICE, {"gateway": "gw-1", "id": PENDANT, "room": "厨房"}, "mei", time.time_ns())
    first.kill()
    whole.role.start()
    first.start()
    until(
        lambda: [each.room for each in load_list(first.folder / "agent") if each.id == PENDANT] == ["厨房"], PATIENCE_S
    )
    assert sorted(whole.states("gw-1")) == ["cuff:1", PENDANT, "enocean:1"], "the registry's whole list"
    (device,) = (each for each in load_list(first.folder / "agent") if each.id == PENDANT)
    assert device.buttons == {"*": "service"}

    whole.ask("gw-1", do="unbind", device=PENDANT)
    whole.role.kill()
    whole.role.start()
    until(lambda: whole.registered() == [], PATIENCE_S)
    whole.ask("gw-2", do="bind", device=WANTED)
    until(lambda: whole.states("gw-2").get(PENDANT) == "bound", PATIENCE_S)
    until(lambda: PENDANT not in whole.states("gw-1"), PATIENCE_S)
    assert whole.registered() == [("gw-2", "吊坠", "卧室")]
    with whole.cloud.database.reading() as connection:
        assert journal.check(connection).broken_at is None


def faults(whole: Whole, gateway: str) -> list[str]:
    (row,) = (each for each in whole.cloud.rows(schema.gateway) if each.id == gateway)
    return [fault for fault in (row.status or {}).get("faults", []) if fault.startswith("devices:")]
