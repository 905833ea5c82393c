"""The ingester as a process between a real mosquitto and its database and stores."""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from sqlalchemy import select

from cloud_center import Cloud
from cloud_processes import PlayedEdge, Role, edge, play_a_home, running, until
from hearthline import wire
from hearthline.clock import NS
from hearthline.model import EventType, Lane
from hearthline_cloud import schema
from hearthline_cloud.alerts.supervision import OFFLINE_GRACE_S
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.ingest.role import TELEMETRY_RECEIVE_MAXIMUM
from hearthline_cloud.store import SeriesQuery
from hearthline_cloud.store.embedded import FILE_NAME, EmbeddedStore
from hearthline_cloud.store.influx import InfluxStore
from hearthline_cloud.supervising import supervise_once
from secret_files import write_secret
from servers import Server, find_binary, free_ports, influxd, mosquitto, port_answers

pytestmark = pytest.mark.integration
POWER = SeriesQuery("power", 0, 2**62)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    folder = tmp_path / "c"
    folder.mkdir()
    made = Cloud(folder)
    made.populate()
    yield made
    made.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "b"
    folder.mkdir()
    with mosquitto(folder) as server:
        yield server


def beat(cloud: Cloud, name: str = "ingest") -> dict[str, bool]:
    """The flags of a heartbeat that is fresh, else nothing."""
    with cloud.database.reading() as connection:
        row = connection.execute(select(schema.heartbeat).where(schema.heartbeat.c.role == name)).first()
    return dict(row.detail) if row is not None and time.time_ns() - row.at_ns < 3 * NS else {}


def ready(cloud: Cloud) -> bool:
    return beat(cloud).get("broker") is True


def test_an_event_becomes_a_row_an_alert_and_an_acknowledgement(cloud: Cloud, broker: Server) -> None:
    with running(Role(cloud.folder, broker.port)) as role, edge(broker.port) as home:
        until(lambda: ready(cloud))
        home.say()
        key = home.send(home.gateway.press(ordinal=1))
        until(lambda: key in home.acked_at)
        (event,), (alert,) = cloud.rows(schema.event), cloud.rows(schema.alert)
        assert (event.alert_id, alert.state, alert.home_id) == (alert.id, "raised", "home-1")
        until(lambda: cloud.rows(schema.gateway)[0].state == "online")
        odd = home.gateway.event(EventType.VITAL)
        home.kept[Lane.EVENT, odd.envelope.seq] = home.gateway.odd(odd, time="x")
        until(lambda: (Lane.EVENT, odd.envelope.seq) in home.refused)
        assert role.stop() == 0


def test_properties_and_topics_that_no_client_reads_deafen_nobody(cloud: Cloud, broker: Server) -> None:
    """Such a message would come first again at every reconnection, before the alarms of every home."""
    with running(Role(cloud.folder, broker.port)) as role, edge(broker.port) as home:
        until(lambda: ready(cloud))
        said = wire.encode(wire.Status(state="online", outbox=home.gateway.outbox))
        for name, value in (("ContentType", "\ufeffjson"), ("UserProperty", ("\ufeff", "\ufeff"))):
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            setattr(properties, name, value)
            home.client.publish(wire.topic("gw-1", wire.UP_STATUS), said, qos=1, properties=properties)
            home.client.publish(
                wire.topic("gw-1", wire.UP_EVENT), b"odd " + name.encode(), qos=1, properties=properties
            )
            home.client.publish(wire.topic("gw-1", wire.UP_TELEMETRY), b"odd", qos=1, properties=properties)
        home.client.publish(wire.topic("\ufeff", wire.UP_EVENT), b"odd topic", qos=1)
        keys = [home.send(home.gateway.press()), home.send(home.gateway.pack(1.0))]
        until(lambda: all(key in home.acked_at for key in keys))
        until(lambda: cloud.count(schema.kept_aside) == 4)
        assert "broker lost" not in role.log
        assert role.stop() == 0


def _moved_on(cloud: Cloud, home: PlayedEdge, seen: int) -> bool:
    return cloud.count(schema.event) > seen or not home.kept


@pytest.mark.parametrize("resends", [True, False])
def test_an_ingester_killed_at_any_moment_loses_nothing_and_doubles_nothing(
    cloud: Cloud, broker: Server, resends: bool
) -> None:
    """A home that sends only once rests on the broker's redelivery alone."""
    rng = random.Random(7)
    role = Role(cloud.folder, broker.port)
    with running(role), edge(broker.port, resends) as home:
        until(lambda: ready(cloud))
        sent: list[str] = []
        kills = 0
        deadline = time.monotonic() + 90  # five starts on a busy machine
        next_kill = time.monotonic() + rng.uniform(0.05, 0.4)
        while len(sent) < 300 or home.kept:
            assert time.monotonic() < deadline, f"{len(home.kept)} not acknowledged"
            if len(sent) < 300:
                press = home.gateway.press()
                sent.append(press.id)
                home.send(press)
            if kills < 5 and time.monotonic() > next_kill:
                role.kill()
                role.start()
                kills += 1
                until(partial(_moved_on, cloud, home, cloud.count(schema.event)))
                next_kill = time.monotonic() + rng.uniform(0.0, 0.15)
            time.sleep(0.004)
        assert sorted(row.event_id for row in cloud.rows(schema.event)) == sorted(sent)
        (alert,) = cloud.rows(schema.alert)
        assert (alert.presses, kills) == (300, 5)


def test_killed_between_receiving_and_committing(cloud: Cloud, broker: Server) -> None:
    """The database is locked, so what the ingester has received it cannot have committed; the home sends only once."""
    role = Role(cloud.folder, broker.port)
    with running(role), edge(broker.port, resends=False) as home:
        until(lambda: ready(cloud))
        with closing(sqlite3.connect(cloud.folder / "hearthline.db", isolation_level=None)) as locker:
            locker.execute("BEGIN IMMEDIATE")
            sent = [home.gateway.press() for _ in range(30)]
            for press in sent:
                home.send(press)
            until(lambda: beat(cloud) == {})  # it waits for the lock; what was sent arrived three seconds ago
            assert not home.acked_at
            role.kill()
            locker.execute("ROLLBACK")
        assert cloud.count(schema.event) == 0
        role.start()
        until(lambda: not home.kept)
        assert sorted(row.event_id for row in cloud.rows(schema.event)) == sorted(press.id for press in sent)


def test_telemetry_reaches_the_embedded_store(cloud: Cloud, broker: Server) -> None:
    with running(Role(cloud.folder, broker.port)), edge(broker.port) as home:
        key = home.send(home.gateway.pack(1.5, 2.5, device="插座 1/_"))
        until(lambda: key in home.acked_at)
        vital = home.gateway.event(
            EventType.VITAL,
            "cuff:1",
            values=[{"quantity": "systolic", "value": 132, "unit": "mm[Hg]"}],
            user=1,
        )
        home.send(vital)
        with closing(EmbeddedStore(cloud.folder)) as store:
            samples = store.read(POWER)
            assert [sample.value for sample in samples] == [1.5, 2.5]
            assert (samples[0].tags.community, samples[0].tags.home) == ("com-1", "home-1")
            assert (samples[0].tags.gateway, samples[0].tags.device) == ("gw-1", "插座 1/_")
            (pressure,) = until(lambda: store.read(SeriesQuery("systolic", 0, 2**62)))
            assert (pressure.value, pressure.tags.resident) == (132.0, "res-1")


def test_influxdb_away_with_the_window_full_delays_no_alarm_and_loses_no_reading(
    cloud: Cloud, broker: Server, tmp_path: Path
) -> None:
    folder = tmp_path / "i"
    folder.mkdir()
    with influxd(folder) as influx:
        extra = f'[store]\nkind = "influxdb"\nurl = "{influx.url}"'
        with running(Role(cloud.folder, broker.port, extra=extra)), edge(broker.port) as home:
            first = home.send(home.gateway.pack(0.5))
            until(lambda: first in home.acked_at)
            influx.kill()
            packs = [home.send(home.gateway.pack(float(n))) for n in range(1, TELEMETRY_RECEIVE_MAXIMUM + 51)]
            until(lambda: beat(cloud).get("store") is False)
            took: list[float] = []
            for _ in range(20):
                began = time.monotonic()
                key = home.send(home.gateway.press())
                until(partial(home.acked_at.get, key), pause=0.0005)
                took.append((home.acked_at[key] - began) * 1000)
            assert cloud.count(schema.event) == 20
            print(f"InfluxDB away: press to down/ack {statistics.median(took):.1f} ms, at most {max(took):.1f} ms")  # noqa: T201
            assert statistics.median(took) < 100, "it waited for the store"
            assert len(home.kept) == len(packs)
            influx.start()
            until(lambda: not home.kept, seconds=20)
            until(lambda: beat(cloud).get("store") is True)
            with closing(InfluxStore(StoreConfig(kind="influxdb", url=influx.url))) as store:
                samples = store.read(POWER)
            assert sorted(sample.value for sample in samples) == [0.5, *map(float, range(1, len(packs) + 1))]
            tags = samples[0].tags
            assert (tags.community, tags.home, tags.gateway, tags.device) == ("com-1", "home-1", "gw-1", "meter:1")


def test_a_damaged_file_of_readings_delays_no_alarm(cloud: Cloud, broker: Server) -> None:
    file = cloud.folder / FILE_NAME
    file.write_bytes(b"garbage" * 2000)
    with running(Role(cloud.folder, broker.port)) as role, edge(broker.port) as home:
        until(lambda: ready(cloud))
        press, pack = home.send(home.gateway.press()), home.send(home.gateway.pack(1.5))
        until(lambda: press in home.acked_at)
        assert cloud.count(schema.event) == 1
        until(lambda: beat(cloud).get("store") is False)
        assert pack in home.kept
        file.rename(file.with_suffix(".damaged"))
        until(lambda: pack in home.acked_at)
        until(lambda: beat(cloud).get("store") is True)
        with closing(EmbeddedStore(cloud.folder)) as store:
            assert [sample.value for sample in store.read(POWER)] == [1.5]
        assert role.stop() == 0


def test_a_broker_killed_and_back_loses_nothing(cloud: Cloud, broker: Server) -> None:
    with running(Role(cloud.folder, broker.port)) as role, edge(broker.port) as home:
        until(lambda: ready(cloud))
        sent = [home.gateway.press() for _ in range(60)]
        for number, press in enumerate(sent):
            if number in (20, 40):
                broker.kill()
                until(lambda: beat(cloud).get("broker") is False)
                broker.start()
            home.send(press)
        home.send(home.gateway.pack(1.0))
        until(lambda: not home.kept, seconds=20)
        assert sorted(row.event_id for row in cloud.rows(schema.event)) == sorted(press.id for press in sent)
        until(lambda: ready(cloud))
        assert role.stop() == 0


def test_a_broker_that_refuses_the_login_is_tried_again(cloud: Cloud, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    folder.mkdir()
    secret = write_secret(tmp_path / "secret", "s3cret\n")
    with mosquitto(folder, username="ingester", password="another") as broker:
        broker_extra = f'username = "ingester"\npassword_file = "{secret}"'
        with running(Role(cloud.folder, broker.port, broker_extra=broker_extra)) as role:
            until(lambda: "broker refused the ingester" in role.log)
            until(lambda: beat(cloud).get("broker") is False)
            passwords = folder / "passwords"
            tool = find_binary("mosquitto_passwd")
            subprocess.run([tool, "-b", str(passwords), "ingester", "s3cret"], check=True, timeout=10)
            broker.stop()
            broker.start()
            until(lambda: ready(cloud), seconds=20)
            assert role.stop() == 0


def test_commands_go_down_until_answered(cloud: Cloud, broker: Server) -> None:
    with running(Role(cloud.folder, broker.port)), edge(broker.port) as home:
        until(lambda: ready(cloud))
        with cloud.database.transaction() as connection:
            now = time.time_ns()
            body = {"type": "test"}
            values = {"id": "c-1", "gateway_id": "gw-1", "body": body, "created_ns": now, "next_attempt_ns": now}
            connection.execute(schema.command.insert().values(**values))
        cloud.waker.wake("ingest")
        until(lambda: len(home.commands) >= 2)
        home.send(home.gateway.event(EventType.ANSWER, "gw-1", command="c-1", result="done"))
        until(lambda: cloud.rows(schema.command)[0].result == "done")
        assert {command.id for command in home.commands} == {"c-1"}


def test_a_database_locked_for_seconds_makes_events_wait_and_go_on(cloud: Cloud, broker: Server) -> None:
    with running(Role(cloud.folder, broker.port)), edge(broker.port) as home:
        until(lambda: ready(cloud))
        locker = sqlite3.connect(cloud.folder / "hearthline.db", isolation_level=None)
        with closing(locker):
            locker.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            key = home.send(home.gateway.press())
            with pytest.raises(AssertionError):
                until(lambda: key in home.acked_at, seconds=3)
            locker.execute("ROLLBACK")
        until(lambda: key in home.acked_at, seconds=3)
        assert home.acked_at[key] - began >= 3
        assert cloud.count(schema.event) == 1


def test_a_silent_gateway_is_an_alert_within_90_s(cloud: Cloud, broker: Server) -> None:
    """The exact bound, with the clock moved: nothing at 75 s, an alert at 85 s."""
    with running(Role(cloud.folder, broker.port)), edge(broker.port) as home:
        until(lambda: ready(cloud))
        home.say()
        until(lambda: cloud.rows(schema.gateway)[0].last_seen_ns)
    seen = cloud.rows(schema.gateway)[0].last_seen_ns
    raised_s = next(s for s in range(0, 200, 5) if supervise_once(cloud.database, seen + s * NS, seen - 1000 * NS))
    assert 75 < raised_s <= 90
    (alert,) = cloud.rows(schema.alert)
    assert (alert.kind, alert.gateway_id) == ("gateway-silent", "gw-1")


def test_a_killed_gateway_is_an_alert_by_its_last_will(cloud: Cloud, broker: Server) -> None:
    child = multiprocessing.get_context("spawn").Process(target=play_a_home, args=(broker.port,), daemon=True)
    child.start()
    role = Role(cloud.folder, broker.port, roles=("ingest", "desk"))
    with running(role):
        until(lambda: cloud.rows(schema.gateway)[0].state == "online")
        child.kill()
        child.join(5)
        killed_at = time.monotonic()
        until(lambda: cloud.rows(schema.gateway)[0].state == "offline", seconds=5)
        assert cloud.count(schema.alert) == 0  # it may only be a reconnection
        until(lambda: cloud.count(schema.alert), seconds=OFFLINE_GRACE_S + 8, pause=0.1)
        assert time.monotonic() - killed_at > OFFLINE_GRACE_S - 5
        assert cloud.rows(schema.alert)[0].kind == "gateway-silent"
        assert role.stop() == 0


@pytest.mark.parametrize("roles", [("ingest",), ("desk",), ("web",), ()])
def test_every_role_stops_within_five_seconds(cloud: Cloud, broker: Server, roles: tuple[str, ...]) -> None:
    (port,) = free_ports(1)
    with running(Role(cloud.folder, broker.port, roles=roles, extra=f"[web]\nport = {port}")) as role:
        until(lambda: "cloud running" in role.log)
        if roles in (("ingest",), ()):
            until(lambda: ready(cloud))
        if roles in (("web",), ()):
            until(lambda: port_answers(port))
        began = time.monotonic()
        assert role.stop() == 0
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("store", ["", '[store]\nkind = "influxdb"\nurl = "http://127.0.0.1:9"'])
def test_an_ingester_whose_broker_and_store_are_away_stops_too(cloud: Cloud, store: str) -> None:
    with running(Role(cloud.folder, 9, extra=store)) as role:
        flags = until(lambda: beat(cloud))
        assert flags["broker"] is False
        until(lambda: beat(cloud).get("store") is not bool(store))
        assert role.stop() == 0


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("buadrate = 1", "unknown key `buadrate`"),
        ("[store]\nkind = 'csv'", "store.kind"),
        ("database = 'nonsense'", "database"),
        ("[web]\nprot = 1", "unknown key `prot`"),
    ],
)
def test_a_wrong_configuration_names_its_key(tmp_path: Path, extra: str, said: str) -> None:
    role = Role(tmp_path, 1, extra=extra)
    role.start()
    assert role.process is not None
    assert role.process.wait(10) == 2
    assert said in role.log
    assert "Traceback" not in role.log
