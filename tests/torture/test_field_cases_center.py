"""What users of peer systems lost at the center, each a case that must pass here, with the issue that tells of it.

The gateway's half is in test_field_cases.py.
"""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import urllib3

from cloud_center import TestGateway
from cloud_processes import PlayedEdge
from hearthline.clock import NS, SystemClock, parse_rfc3339
from hearthline_cloud import schema
from hearthline_cloud.supervising import supervise_once
from hearthline_sim.demo.operator import Operator
from integration.edge.gateway import HomeEar
from servers import Influxd, find_binary, influxd
from torture.backlog_center import APART, soon
from torture.backlog_field import PLUG, Field, field_of, pendant

pytestmark = pytest.mark.torture

_FAKETIME = "/usr/$LIB/faketime/libfaketime.so.1"


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    with field_of(tmp_path) as made:
        yield made


@pytest.fixture
def field_apart(tmp_path: Path) -> Iterator[Field]:
    """Each role of the center is a process."""
    with field_of(tmp_path, processes=APART) as made:
        yield made


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influxd]:
    (tmp_path / "influx").mkdir()
    with influxd(tmp_path / "influx") as server:
        yield server


@pytest.fixture
def field_with_influx(tmp_path: Path, influx: Influxd) -> Iterator[Field]:
    with field_of(tmp_path, store=f'[store]\nkind = "influxdb"\nurl = "{influx.url}"\ntimeout_s = 2.0') as made:
        yield made


def test_mosquitto_1855_a_puback_of_the_broker_is_not_durability(tmp_path: Path) -> None:
    """Issue 1855: with its default autosave mosquitto forgets at a kill what it has acknowledged."""
    (tmp_path / "field").mkdir()
    default = f"persistence true\npersistence_location {tmp_path}/"
    with field_of(tmp_path / "field", broker_extra=default, processes=APART) as field:
        witness = field.witness(field.broker, "hearthline/v1/gw-1/up/event")
        field.center.roles["ingest"].stop()  # its session stays, and the broker keeps messages for it
        field.start()
        for number in range(5):
            field.press(number)
        soon(lambda: len({payload for _, payload, _ in witness.messages}) >= 5)
        peer = PlayedEdge(field.broker.port, TestGateway("gw-peer"), resends=False)
        try:
            rests_on_pubacks(peer)
        finally:
            peer.close()
        assert field.depth("event") == 5
        field.broker.kill()
        field.broker.start()
        field.center.start("ingest")
        soon(lambda: field.depth("event") == 0)
        assert field.pressed() == dict.fromkeys(map(pendant, range(5)), 1)  # and the peer's press is lost
        assert field.center.cloud.count(schema.event) == 5


def rests_on_pubacks(peer: PlayedEdge) -> None:
    """What a peer does: a press published once, acknowledged by the broker, forgotten."""
    press = peer.gateway.message(peer.gateway.press())
    peer.client.publish(press.topic, press.payload, qos=1).wait_for_publish(10)


def test_paho_348_the_ingester_acknowledges_after_its_commit(field_apart: Field) -> None:
    """Issue 348: acknowledged on arrival, lost when the process dies before its work. The gateway cannot help here."""
    field = field_apart
    field.start()
    witness = field.witness(field.broker, "hearthline/v1/gw-1/up/event")
    with closing(sqlite3.connect(field.center.cloud.folder / "hearthline.db", isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")  # the ingester gets the press and cannot commit it
        field.press(1)
        soon(lambda: witness.messages)
        field.gateway.send_signal(signal.SIGSTOP)  # it will not send again
        time.sleep(0.5)  # a client that acknowledges at once has done so by now
        field.center.kill("ingest")
        locker.execute("ROLLBACK")
    assert field.center.cloud.count(schema.event) == 0
    field.center.start("ingest")
    soon(lambda: field.pressed() == {pendant(1): 1})
    field.gateway.send_signal(signal.SIGCONT)
    soon(lambda: field.depth("event") == 0)
    assert field.pressed() == {pendant(1): 1}


def test_telegraf_16537_a_dead_output_stalls_no_input(field_with_influx: Field, influx: Influxd) -> None:
    """Issue 16537: one output that hangs stopped every input. Here InfluxDB hangs; presses and intake go on."""
    field = field_with_influx
    field.start()
    field.read(0)
    soon(lambda: field.watts() == {0.0: 1})
    influx.process.send_signal(signal.SIGSTOP)  # type: ignore[union-attr]
    try:
        for watts in range(1, 31):
            field.read(watts)
        soon(lambda: field.waiting() == (0, 30))
        for number in range(5):
            pressed = field.press(number)
            assert field.center.wait_seen(number + 1, 10) - pressed < 2.0
        assert field.waiting()[1] == 30
    finally:
        influx.process.send_signal(signal.SIGCONT)  # type: ignore[union-attr]
    field.wait_for_all(range(5), range(31))


def test_telegraf_11005_and_influxdb_17953_a_bad_point_costs_only_itself(
    field_with_influx: Field, influx: Influxd
) -> None:
    """Issues 11005, 17953: one point that the database refuses took its whole batch, or blocked the output for ever."""
    field = field_with_influx
    field.start()
    field.read(0)
    soon(lambda: field.watts() == {0.0: 1})
    url = f"{influx.url}/write?db=hearthline"
    answer = urllib3.request("POST", url, body=b'voltage,device=stranger value="a text"', retries=False)
    assert answer.status == 204
    for watts in range(1, 11):
        status = f'{{"id":0,"apower":{watts},"voltage":{220 + watts},"current":0.1}}'
        field.home.publish(f"{PLUG}/status/switch:0", status)
    soon(lambda: sum(field.watts().values()) == 11 and field.depth("telemetry") == 0)
    assert field.center.values(f"shelly:{PLUG}", "current") == {0.1: 10}
    aside = field.center.cloud.rows(schema.kept_aside)
    assert len(aside) == 10
    assert all("field type conflict" in row.reason for row in aside)


def test_home_assistant_104099_history_is_kept_while_the_databases_are_away(
    field_with_influx: Field, influx: Influxd
) -> None:
    """Issue 104099: history was dropped in silence while the database was away. Here both are, beyond every window."""
    field = field_with_influx
    field.start()
    influx.kill()
    with closing(sqlite3.connect(field.center.cloud.folder / "hearthline.db", isolation_level=None)) as locker:
        locker.execute("BEGIN EXCLUSIVE")
        for number in range(40):  # in flight are 32 events and 8 packs
            field.press(number)
        for watts in range(30):
            field.read(watts)
        soon(lambda: "database away" in field.center.log)
        soon(lambda: field.waiting() == (40, 30))
        locker.execute("ROLLBACK")
    influx.start()
    field.wait_for_all(range(40), range(30))


def test_alertmanager_2370_and_1860_and_grafana_13364_alerts_outlive_every_process(field_apart: Field) -> None:
    """Issues 2370, 1860, 13364: after a restart alerts were gone, or nobody could acknowledge them."""
    field = field_apart
    field.start()
    ear = HomeEar(field.home_broker.port, "gw-1")
    field.stack.callback(ear.close)
    field.press(1)
    soon(lambda: ear.signals("received"))
    restart_the_center(field)
    (alert,) = open_alerts(field.center.operator)
    assert alert["state"] == "raised"
    field.center.kill("ingest")  # who would tell the home
    field.center.operator.post(f"/api/v1/alerts/{alert['id']}/acknowledge", {})
    restart_the_center(field)
    (alert,) = open_alerts(field.center.operator)
    assert (alert["state"], alert["acknowledged_by"]) == ("acknowledged", "operator")
    soon(lambda: ear.signals("accepted"))


def restart_the_center(field: Field) -> None:
    """`kill -9` of every role, then a start."""
    field.center.kill(*field.center.roles)
    field.center.start(*field.center.roles)
    field.center.wait_until_answering()


def open_alerts(operator: Operator) -> list[dict[str, object]]:
    found: list[dict[str, object]] = operator.get("/api/v1/alerts", state="open")["alerts"]
    return found


def test_zigbee2mqtt_30619_a_reconnection_is_no_silence(field: Field) -> None:
    """Issue 30619: devices were told offline after a restart of the broker. A real silence still raises."""
    field.start()
    soon(lambda: field.center.gateway()["state"] == "online")
    field.broker.kill()
    field.broker.start()
    soon(lambda: field.gateway.told("uplink connected") == 2)
    field.gateway.kill()  # and its last will
    soon(lambda: field.center.gateway()["state"] == "offline")
    field.start()
    soon(lambda: field.center.gateway()["state"] == "online")
    database = field.center.cloud.database
    assert supervise_once(database, time.time_ns() + 60 * NS, 0) == []
    assert open_alerts(field.center.operator) == []
    field.gateway.kill()
    soon(lambda: field.center.gateway()["state"] == "offline")
    (raised,) = supervise_once(database, time.time_ns() + 30 * NS, 0)
    assert open_alerts(field.center.operator)[0]["id"] == raised.alert_id


def test_a_gateway_in_1970_gets_right_times(field: Field) -> None:
    """A Pi without a clock starts in 1970 and posts wrong dates: here its records get their true time, marked so."""
    find_binary("faketime")
    field.gateway.tables = '[clock]\ntrust = "free"'
    field.gateway.environment = {
        "LD_PRELOAD": _FAKETIME,
        "FAKETIME": "@1970-01-01 00:10:00",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    field.start_agent()  # the link is down: what it sends later has an age
    began_ns = time.time_ns()
    field.press(1)
    field.read(7)
    soon(lambda: (field.depth("event"), field.depth("telemetry")) == (1, 1))
    ended_ns = time.time_ns()
    with closing(sqlite3.connect(field.gateway.data / "outbox.db")) as connection:
        (wall_ns,) = connection.execute("SELECT wall_ns FROM event").fetchone()
    assert datetime.fromtimestamp(wall_ns / NS, UTC).year == 1970
    assert SystemClock("free").now().wall_ns > began_ns
    time.sleep(2.0)  # an age that is not nothing
    field.link.up()
    field.wait_for_all(range(1, 2), range(7, 8))
    (event,) = field.center.alarms()
    (sample,) = field.center.samples(f"shelly:{PLUG}", "power")
    assert event["time_quality"] == "estimated"
    for at in (event["occurred"], sample["at"]):
        assert began_ns - NS < parse_rfc3339(at) < ended_ns + NS
    assert field.center.gateway()["clock"] == "free"
