"""What commands may weigh and which go first: no list of devices makes the alarm lane deaf or a signal wait."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, update

from cloud_center import Cloud
from cloud_processes import until
from hearthline import wire
from hearthline.clock import NS
from hearthline.enrolment import MAX_DEVICES
from hearthline.model import DEVICES, EventType
from hearthline_cloud import schema
from hearthline_cloud.config import BrokerConfig
from hearthline_cloud.desk import tell_accepted
from hearthline_cloud.ingest.commands import MAX_COMMAND_BYTES, TOO_LARGE, send_due_commands
from hearthline_cloud.ingest.session import Message, Session
from hearthline_cloud.listing import MAX_LIST_BYTES, make_list_due
from hearthline_cloud.registry.editing import RegistryError, put
from hearthline_cloud.registry.shape import Kind
from servers import mosquitto

DAY_NS = 24 * 3600 * NS
NOW = time.time_ns()


@dataclass
class Sent:
    """A session that keeps what it is given."""

    commands: list[wire.Command] = field(default_factory=list)
    largest: int = 0

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        self.commands.append(msgspec.json.decode(payload, type=wire.Command))
        self.largest = max(self.largest, len(payload))

    def acknowledge(self, messages: Sequence[Message]) -> None:
        raise AssertionError("a round of commands acknowledges nothing")


def register(cloud: Cloud, count: int, name: str = "") -> None:
    rows = [
        {"gateway_id": "gw-1", "id": f"port:{number:05}", "registered": True, "name": name} for number in range(count)
    ]
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.device), rows)
        make_list_due(connection, ["gw-1"])


def heard(cloud: Cloud, state: str = "online") -> None:
    values = {"state": state, "last_seen_ns": NOW}
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.gateway).where(schema.gateway.c.id == "gw-1").values(**values))


def queue(cloud: Cloud, body: dict[str, Any], *names: str, now_ns: int = NOW) -> None:
    row = {"gateway_id": "gw-1", "body": body, "created_ns": now_ns, "next_attempt_ns": now_ns}
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.command), [row | {"id": name} for name in names])


def too_large() -> dict[str, Any]:
    return {"type": DEVICES, "devices": [{"id": f"port:{number}", "name": "x" * 100} for number in range(2500)]}


def test_a_command_that_is_too_large_is_never_published_and_ended(cloud: Cloud) -> None:
    queue(cloud, too_large(), "c-1")
    queue(cloud, {"type": "test"}, "c-2")
    session = Sent()
    for round_ in range(3):
        send_due_commands(cloud.database, session, NOW + round_ * 3600 * NS)
    assert {command.id for command in session.commands} == {"c-2"}
    assert {row.id: row.result for row in cloud.rows(schema.command)} == {"c-1": TOO_LARGE, "c-2": None}


@pytest.mark.parametrize(("count", "name"), [(MAX_DEVICES + 500, ""), (900, "养" * 200)])
def test_a_list_is_cut_at_its_bounds_and_said(
    cloud: Cloud, caplog: pytest.LogCaptureFixture, count: int, name: str
) -> None:
    heard(cloud)
    register(cloud, count, name)
    session = Sent()
    send_due_commands(cloud.database, session, NOW)
    (command,) = session.commands
    assert session.largest < MAX_LIST_BYTES + 1024 < MAX_COMMAND_BYTES
    assert len(command.devices) == MAX_DEVICES if not name else 100 < len(command.devices) < 900
    assert [each["id"] for each in command.devices] == sorted(each["id"] for each in command.devices)
    assert "device list too long for its gateway" in caplog.text


def test_the_registry_takes_no_more_devices_than_a_list_holds(cloud: Cloud) -> None:
    known = sum(row.gateway_id == "gw-1" for row in cloud.rows(schema.device))
    register(cloud, MAX_DEVICES - known - 1)
    with cloud.database.transaction() as connection:
        put(connection, Kind.DEVICE, {"gateway": "gw-1", "id": "port:last"}, "mei", NOW)
    with pytest.raises(RegistryError) as caught, cloud.database.transaction() as connection:
        put(connection, Kind.DEVICE, {"gateway": "gw-1", "id": "port:more"}, "mei", NOW)
    assert [found.problem.code for found in caught.value.found] == ["many-devices"]
    with cloud.database.transaction() as connection:  # what is there may still be changed
        put(connection, Kind.DEVICE, {"gateway": "gw-1", "id": "port:last", "room": "bedroom"}, "mei", NOW)
    wanted = {"state": "wanted", "device": "enocean:002EE196", "name": "x", "room": "y", "kind": "push-button"}
    cloud.take(replace(cloud.gateway.event(EventType.BINDING, "gw-1"), data=wanted))
    (answer,) = (row.body for row in cloud.rows(schema.command))
    assert (answer["device"], answer["result"]) == ("enocean:002EE196", "refused")
    assert sum(row.registered for row in cloud.rows(schema.device) if row.gateway_id == "gw-1") == MAX_DEVICES


def test_a_signal_waits_behind_no_list(cloud: Cloud) -> None:
    queue(cloud, {"type": DEVICES}, *(f"c-{number}" for number in range(500)), now_ns=NOW - NS)
    with cloud.database.transaction() as connection:
        tell_accepted(connection, "gw-1", "e-1", NOW)
    session = Sent()
    send_due_commands(cloud.database, session, NOW)
    assert [command.type for command in session.commands] == ["signal", *[DEVICES] * 200]


def test_an_expired_list_is_made_anew_when_the_gateway_is_back(cloud: Cloud) -> None:
    heard(cloud)
    with cloud.database.transaction() as connection:
        make_list_due(connection, ["gw-1"])
    send_due_commands(cloud.database, Sent(), NOW)
    heard(cloud, "offline")
    later = Sent()
    for day in range(31, 200):
        send_due_commands(cloud.database, later, NOW + day * DAY_NS)
    assert later.commands == [], "no list after the other for who is away"
    assert [row.result for row in cloud.rows(schema.command)] == ["expired"]
    heard(cloud)
    send_due_commands(cloud.database, later, NOW + 200 * DAY_NS)
    assert [command.type for command in later.commands] == [DEVICES]


@pytest.mark.integration
@pytest.mark.parametrize("either_url", ["sqlite"], indirect=True)
def test_alarms_still_come_over_the_session_that_a_command_was_too_large_for(cloud: Cloud, tmp_path: Path) -> None:
    queue(cloud, too_large(), "c-1")
    taken: list[bytes] = []

    def handle(messages: list[Message]) -> None:
        taken.extend(message.payload for message in messages)
        session.acknowledge(messages)

    with mosquitto(tmp_path, extra="max_packet_size 262144") as broker:
        session = Session(BrokerConfig(port=broker.port), "test", ["t"], 20, handle)
        session.start()
        until(lambda: session.connected)
        connection = session._connection
        send_due_commands(cloud.database, session, NOW)
        session.publish("t", b"press")
        until(lambda: b"press" in taken)
        assert session._connection == connection, "never thrown out"
        session.stop(time.monotonic() + 3)
