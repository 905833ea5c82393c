"""What the product relies on in each broker that it ships or documents, one suite over all of them, real bytes.

Where brokers differ, `DIFFERENCES` says how, and a test holds each of its fields; nothing rests on those. What is
not relied on at all stands at the end: a PUBACK is no custody, and a broker's memory ends with it.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion as Version

from brokers.party import PATIENCE_S, V5, V311, VERSIONS, Broker, Client, Heard, broker, documented
from cloud_processes import until
from servers import HOST

pytestmark = pytest.mark.integration
RELIED_ON = ("mosquitto-center", "mosquitto-home", "rumqttd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Differs:
    """What a broker does in its own way."""

    window: int  # unacknowledged messages to a client that asks for no bound
    heeds_receive_maximum: bool
    full_window_holds_all: bool  # also the answer to a subscription, until something is acknowledged
    disorder_ends_the_connection: bool  # a PUBACK out of order
    dup_flag: bool  # on what is told again
    queues_qos0: bool
    kept_when_killed: bool  # sessions and queues, once the disk has them


_MOSQUITTO = Differs(
    window=500,
    heeds_receive_maximum=True,
    full_window_holds_all=False,
    disorder_ends_the_connection=False,
    dup_flag=True,
    queues_qos0=True,
    kept_when_killed=False,
)
DIFFERENCES = {
    "mosquitto-center": _MOSQUITTO,
    "mosquitto-home": replace(_MOSQUITTO, window=200, kept_when_killed=True),
    "rumqttd": Differs(
        window=100,
        heeds_receive_maximum=False,
        full_window_holds_all=True,
        disorder_ends_the_connection=True,
        dup_flag=False,
        queues_qos0=True,
        kept_when_killed=False,
    ),
}


@pytest.fixture(scope="module", params=RELIED_ON)
def at(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> Version:
    return VERSIONS[request.param]


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    return f"t/{zlib.crc32(request.node.nodeid.encode())}"


@pytest.fixture
def mouth(at: Broker) -> Iterator[Client]:
    made = Client(at.port(V5), persistent=False)
    yield made
    made.leave()


def numbered(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


def away(at: Broker, version: Version, topic: str) -> str:
    """The name of a client whose persistent session is subscribed, and which is not there."""
    client = Client(at.port(version), version).subscribe(topic)
    client.leave()
    return client.name


def drain(client: Client, count: int) -> list[bytes]:
    """Acknowledge what comes until this many have come."""
    acked = 0
    while acked < count:
        heard = client.wait(acked + 1)
        client.ack(*heard[acked:])
        acked = len(heard)
    return client.payloads()


# --- sessions ----------------------------------------------------------------------------------------------------


def test_what_is_not_acknowledged_comes_again_and_what_is_does_not(
    at: Broker, version: Version, topic: str, mouth: Client
) -> None:
    first = Client(at.port(version), version).subscribe(topic)
    mouth.publish_all(topic, numbered(6))
    first.ack(*first.wait(6)[:2])
    first.leave()
    again = Client(at.port(version), version, first.name)
    assert again.session_present
    told = again.wait(4)
    assert [message.payload for message in told[:4]] == numbered(6)[2:]
    assert all(message.dup == DIFFERENCES[at.name].dup_flag for message in told)
    again.ack(*told)
    mouth.publish(topic, b"last")
    assert [message.payload for message in again.wait(5)] == [*numbered(6)[2:], b"last"]
    again.break_off()


def test_a_broken_connection_loses_nothing_that_was_not_acknowledged(
    at: Broker, version: Version, topic: str, mouth: Client
) -> None:
    first = Client(at.port(version), version).subscribe(topic)
    mouth.publish_all(topic, numbered(3))
    first.wait(3)
    first.break_off()
    again = Client(at.port(version), version, first.name)
    assert [message.payload for message in again.wait(3)] == numbered(3)
    again.break_off()


def test_more_than_a_thousand_wait_for_who_is_away_in_order(at: Broker, topic: str, mouth: Client) -> None:
    """In the MQTT that the product speaks there. The home's mosquitto writes its whole queue at every change."""
    version, count = (V311, 1_100) if at.name == "mosquitto-home" else (V5, 2_500)
    name = away(at, version, topic)
    mouth.publish_all(topic, numbered(count))
    client = Client(at.port(version), version, name)
    assert drain(client, count) == numbered(count)
    client.break_off()


def test_a_subscription_lives_with_its_session(at: Broker, version: Version, topic: str, mouth: Client) -> None:
    name = away(at, version, topic)
    client = Client(at.port(version), version, name)
    assert client.session_present
    mouth.publish(topic, b"x")
    assert client.wait(1)[0].payload == b"x"
    client.break_off()


def test_a_new_client_has_no_session(at: Broker, version: Version) -> None:
    client = Client(at.port(version), version)
    assert client.session_present is False
    client.leave()


def test_the_same_name_takes_the_session_over(at: Broker, version: Version, topic: str, mouth: Client) -> None:
    old = Client(at.port(version), version).subscribe(topic)
    mouth.publish(topic, b"held")
    old.wait(1)
    new = Client(at.port(version), version, old.name)
    assert old.ended.wait(PATIENCE_S), "the old connection lives on"
    assert new.session_present
    assert new.wait(1)[0].payload == b"held"
    old.break_off()
    new.break_off()


def test_nothing_is_told_twice_on_a_living_connection(at: Broker, version: Version, topic: str, mouth: Client) -> None:
    client = Client(at.port(version), version).subscribe(topic)
    for number in range(20):
        mouth.publish(topic, str(number).encode())
        client.wait(number + 1)
    client.settle()
    assert client.payloads() == numbered(20)
    client.break_off()


# --- windows and order -------------------------------------------------------------------------------------------


def test_the_receive_maximum(at: Broker, topic: str, mouth: Client) -> None:
    """It is a bound on work, not on custody: rumqttd sends its own window, and paho takes it."""
    client = Client(at.port(V5), V5, window=10).subscribe(topic)
    mouth.publish_all(topic, numbered(50))
    at_once = 10 if DIFFERENCES[at.name].heeds_receive_maximum else 50
    client.wait(at_once)
    client.settle()
    assert len(client.heard) == at_once
    for count in range(50):
        client.ack(client.wait(count + 1)[count])
    assert client.payloads() == numbered(50)
    client.break_off()


def test_the_ingesters_batch_arrives_without_an_acknowledgement(at: Broker, topic: str, mouth: Client) -> None:
    """The ingester commits what has come and asks for up to 500; what comes at once is the broker's window."""
    window = min(500, DIFFERENCES[at.name].window)
    client = Client(at.port(V5), V5, window=500).subscribe(topic)
    mouth.publish_all(topic, numbered(window + 20))
    client.wait(window)
    client.break_off()


def test_the_window_of_mqtt_3_1_1(at: Broker, topic: str, mouth: Client) -> None:
    """And what else passes while it is full: of rumqttd nothing, until something is acknowledged."""
    expected = DIFFERENCES[at.name]
    client = Client(at.port(V311), V311).subscribe(topic)
    mouth.publish_all(topic, numbered(expected.window + 50))
    held = client.wait(expected.window)
    client.subscribed.clear()
    client.paho.subscribe(f"{topic}/other", 1)
    if expected.full_window_holds_all:
        mouth.settle()
        assert not client.subscribed.is_set()
        assert len(client.heard) == expected.window
        client.ack(*held)
    assert client.subscribed.wait(PATIENCE_S)
    if not expected.full_window_holds_all:
        assert len(client.heard) == expected.window
    client.break_off()


def test_the_order_of_one_publisher_is_kept(at: Broker, version: Version, topic: str) -> None:
    sender = Client(at.port(version), version, persistent=False)
    client = Client(at.port(version), version, persistent=False).subscribe(topic)
    sent = [sender.paho.publish(topic, payload, 1) for payload in numbered(90)]
    assert len(client.wait(90)) == 90
    assert client.payloads() == numbered(90)
    for each in sent:
        each.wait_for_publish(PATIENCE_S)
    sender.leave()
    client.leave()


def test_acknowledgements_out_of_order(at: Broker, topic: str, mouth: Client) -> None:
    """Nobody may acknowledge out of order: the product never does, and here is what would happen."""
    client = Client(at.port(V311), V311).subscribe(topic)
    mouth.publish_all(topic, numbered(3))
    client.ack(*reversed(client.wait(3)))
    if DIFFERENCES[at.name].disorder_ends_the_connection:
        assert client.ended.wait(PATIENCE_S)
    else:
        mouth.publish(topic, b"after")
        assert client.wait(4)[3].payload == b"after"
        assert not client.ended.is_set()
    client.break_off()


@pytest.mark.parametrize("size", [9 * 1024, 256 * 1024])
def test_payloads_of_our_size_and_beyond_pass(at: Broker, version: Version, topic: str, size: int) -> None:
    """Packs have 8 KiB, rumqttd's own default is 20 KiB; Zigbee2MQTT's device lists may have hundreds."""
    client = Client(at.port(version), version, persistent=False).subscribe(topic)
    client.publish(topic, b"x" * size)
    assert client.wait(1)[0].payload == b"x" * size
    client.leave()


# --- retained and last will --------------------------------------------------------------------------------------


def test_a_retained_status_is_told_to_who_comes_later(at: Broker, version: Version, mouth: Client) -> None:
    gateway = f"gw-{at.name}-{version}"
    mouth.publish(f"hearthline/v1/{gateway}/up/status", b"old", retain=True)
    mouth.publish(f"hearthline/v1/{gateway}/up/status", b"new", retain=True)
    client = Client(at.port(version), version, persistent=False).subscribe("hearthline/v1/+/up/#")

    def heard() -> list[Heard]:
        return [message for message in client.heard if message.topic.split("/")[2] == gateway]

    until(heard, PATIENCE_S)
    mouth.publish(f"hearthline/v1/{gateway}/up/status", b"live", retain=True)
    until(lambda: len(heard()) > 1, PATIENCE_S)
    assert [(message.payload, message.retained) for message in heard()] == [(b"new", True), (b"live", False)]
    client.leave()


def test_the_last_will_is_told_when_the_connection_breaks_and_only_then(
    at: Broker, version: Version, topic: str
) -> None:
    ear = Client(at.port(version), version, persistent=False).subscribe(topic)
    polite = Client(at.port(version), version, persistent=False, will=(topic, b"polite"))
    polite.leave()
    broken = Client(at.port(version), version, persistent=False, will=(topic, b"broken"))
    broken.break_off()
    assert ear.wait(1)[0].payload == b"broken"
    late = Client(at.port(version), version, persistent=False).subscribe(topic)
    assert [(message.payload, message.retained) for message in late.wait(1)] == [(b"broken", True)]
    ear.leave()
    late.leave()


def test_the_last_will_of_who_falls_silent(at: Broker, topic: str) -> None:
    """By the keepalive: a second and a half after the last word of a client that promised one a second."""
    ear = Client(at.port(V5), V5, persistent=False).subscribe(topic)
    name, will, leaf = b"silent", b"offline", topic.encode()
    body = b"\x00\x04MQTT\x04\x06\x00\x01" + b"".join(
        len(part).to_bytes(2, "big") + part for part in (name, leaf, will)
    )
    with socket.create_connection((HOST, at.port(V311))) as link:
        link.sendall(bytes((0x10, len(body))) + body)
        assert link.recv(4) == b"\x20\x02\x00\x00"
        assert ear.wait(1)[0].payload == b"offline"
    ear.leave()


# --- QoS 0 from the home's devices -------------------------------------------------------------------------------


def test_qos_0_for_who_is_away(at: Broker, topic: str, mouth: Client) -> None:
    """Zigbee2MQTT publishes with QoS 0: the home's broker must keep it while the agent restarts."""
    name = away(at, V311, topic)
    mouth.publish(topic, b"press", qos=0)
    mouth.publish(topic, b"mark", qos=1)
    client = Client(at.port(V311), V311, name)
    until(lambda: b"mark" in client.payloads(), PATIENCE_S)
    assert (b"press" in client.payloads()) == DIFFERENCES[at.name].queues_qos0
    client.break_off()


# --- what the documented settings are for: Debian's defaults as the control ----------------------------------------


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker("mosquitto-default", tmp_path_factory.mktemp("default")) as made:
        yield made


def test_by_default_mosquitto_drops_what_it_has_acknowledged(default: Broker) -> None:
    name = away(default, V5, "t")
    mouth = Client(default.port(V5), persistent=False)
    mouth.publish_all("t", numbered(2_500))  # every one is acknowledged
    client = Client(default.port(V5), V5, name)
    drain(client, 1_000)
    mouth.publish("t", b"mark")
    until(lambda: b"mark" in client.payloads(), PATIENCE_S)
    assert len(client.heard) < 1_100
    mouth.leave()
    client.break_off()


def test_by_default_mosquitto_stops_at_twenty(default: Broker) -> None:
    mouth = Client(default.port(V5), persistent=False)
    client = Client(default.port(V311), V311).subscribe("w")
    mouth.publish_all("w", numbered(50))
    client.wait(20)
    client.settle()
    assert len(client.heard) == 20
    mouth.leave()
    client.break_off()


@pytest.mark.parametrize("name", ["mosquitto-center", "mosquitto-home"])
def test_the_documented_configuration_names_every_trap(name: str) -> None:
    settings = dict(line.split(" ", 1) for line in documented(name))
    assert settings["set_tcp_nodelay"] == "true"  # else single messages stall by up to 43 ms, now and then
    assert settings["queue_qos0_messages"] == "true"
    assert int(settings["max_queued_messages"]) >= 100_000  # 0 is no "unlimited" that can be trusted
    assert int(settings["max_inflight_messages"]) == DIFFERENCES[name].window


# --- what we do not rely on --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RELIED_ON)
def test_a_puback_is_no_custody(name: str, tmp_path: Path) -> None:
    """Killed right after it has acknowledged: whether anything is left is luck, and both answers are allowed."""
    with broker(name, tmp_path) as at:
        client = away(at, V5, "t")
        mouth = Client(at.port(V5), persistent=False)
        mouth.publish_all("t", numbered(50))
        if DIFFERENCES[name].kept_when_killed:
            until(lambda: _holds(tmp_path / "mosquitto.db", b"49"), PATIENCE_S)
        at.server.kill()
        mouth.break_off()
        at.server.start()
        back = Client(at.port(V5), V5, client)
        assert back.session_present == DIFFERENCES[name].kept_when_killed
        if back.session_present:
            assert [message.payload for message in back.wait(50)] == numbered(50)
        back.break_off()


def _holds(file: Path, payload: bytes) -> bool:
    """Whether the autosave has written the last message."""
    return file.exists() and b"t" + payload in file.read_bytes()


def test_a_denied_publish_looks_like_a_taken_one(tmp_path: Path) -> None:
    """By MQTT 3.1.1; MQTT 5 has a code for it, which not every client library raises."""
    rules = tmp_path / "acl"
    rules.write_text("pattern write hearthline/v1/%u/up/#\n", encoding="ascii")
    with broker("mosquitto-center", tmp_path, (f"acl_file {rules}",)) as at:
        for version in (V311, V5):
            client = Client(at.port(version), version, persistent=False, username="gw-1")
            client.publish("hearthline/v1/gw-2/up/event", b"not mine")  # returns: it was acknowledged
            assert not client.ended.is_set()
            client.leave()
