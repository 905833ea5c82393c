"""A center loses its disk and comes back from a backup: the gateways send what the backup lacks, once, marked."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from cloud_center import Cloud
from cloud_processes import Role, running, until
from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import Outcome, State
from hearthline_cloud.backup.making import make_backup
from hearthline_cloud.backup.restoring import restore_into
from hearthline_cloud.backup.sealed import make_key
from hearthline_cloud.config import load_cloud_config
from hearthline_cloud.desk import Desk
from integration.edge.gateway import Client, Gateway
from servers import mosquitto

pytestmark = pytest.mark.integration
PATIENCE_S = 90.0
SESSIONS = 3  # of the agent at its own broker: home, events, readings
SOS = '{"action":"emergency"}'


def close_all(cloud: Cloud) -> None:
    desk = Desk(cloud.database, cloud.waker)
    for row in cloud.rows(schema.alert):
        if row.state != State.RESOLVED:
            desk.acknowledge(row.id, "mei", time.time_ns())
            desk.resolve(row.id, Outcome.HELP_GIVEN, "mei", time.time_ns())


def test_what_the_backup_lacks_comes_back_once_and_marked(tmp_path: Path) -> None:
    center, key, file = tmp_path / "c", tmp_path / "key", tmp_path / "center.backup"
    for name in ("c", "b", "l", "g"):
        (tmp_path / name).mkdir()
    make_key(key)
    cloud = Cloud(center)
    cloud.populate()
    with ExitStack() as stack:
        broker = stack.enter_context(mosquitto(tmp_path / "b"))
        local = stack.enter_context(mosquitto(tmp_path / "l", extra="queue_qos0_messages true"))
        role = stack.enter_context(running(Role(center, broker.port, ("ingest",), "")))
        gateway = Gateway(tmp_path / "g", "gw-1", broker.port, local.port)
        stack.callback(gateway.end)
        bridge = Client(local.port, ())
        stack.callback(bridge.close)
        gateway.start()
        until(lambda: gateway.told("local broker connected") == SESSIONS, PATIENCE_S)

        bridge.publish("zigbee2mqtt/sos", SOS)
        until(lambda: cloud.count(schema.alert) == 1, PATIENCE_S)
        close_all(cloud)
        made = make_backup(center / "cloud.toml", load_cloud_config(center / "cloud.toml"), file, key, time.time_ns())
        bridge.publish("zigbee2mqtt/other", SOS)
        until(lambda: cloud.count(schema.alert) == 2, PATIENCE_S)
        close_all(cloud)
        known = {row.event_id for row in cloud.rows(schema.event) if row.alert_id is not None}
        until(lambda: gateway.outbox()["event"]["depth"] == 0, PATIENCE_S)

        role.kill()
        cloud.close()
        shutil.rmtree(center)
        restore_into(file, key, center, time.time_ns())
        cloud = Cloud(center)
        stack.callback(cloud.close)
        role.start()
        until(lambda: any(row.result == "done" for row in cloud.rows(schema.command)), PATIENCE_S)
        until(lambda: gateway.outbox()["event"]["depth"] == 0, PATIENCE_S)

    found = {row.id: row for row in cloud.rows(schema.alert)}
    assert made.closed_cases == 1
    assert [(row.state, row.resent, row.presses) for row in found.values()] == [
        (State.RESOLVED, False, 1),
        (State.RAISED, True, 1),
    ]
    events = Counter(row.event_id for row in cloud.rows(schema.event) if row.alert_id is not None)
    assert events == dict.fromkeys(known, 1)
    assert max(found) > 1_000_000, "the number of the lost case was given to nobody"
