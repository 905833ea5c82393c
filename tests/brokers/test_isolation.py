"""No gateway reaches another's topics, nor the center's: every pair, every topic, every operation, MQTT 3.1.1 and 5.

Real mosquitto with TLS on loopback, configured by the product's own command. What crossed is judged by an observer that
hears every topic, by the ingester and by the victims themselves, not by what the broker says to the attacker.
"""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion as Version

from brokers.certified import V5, V311, Client, Place, ingester, observe_all, observer, place, running
from hearthline_cloud import commands_identity as commands
from hearthline_cloud.identity.broker import INGEST, sessions_of
from servers import HOST
from trials import publish

pytestmark = pytest.mark.integration
GATEWAYS = ("gw-1", "gw-10", "GW-1")  # one begins like another, one differs by its case
VERSIONS = {"3.1.1": V311, "5": V5}
PAIRS = list(itertools.permutations(GATEWAYS, 2))
LEAVES = ("up/event", "up/telemetry", "up/status", "up/more", "down/ack", "down/command", "down", "up")
ELSEWHERE = (
    "hearthline/v1/gw-1/down/ack", "hearthline/v1/gw-10/down/ack", "hearthline/v1/GW-1/down/ack",
    "hearthline/v1", "hearthline/v2/gw-1/up/event", "hearthline/v1/gw-1~second/up/event", "hearthline/v1//up/event",
    "hearthline/v1/unknown/up/event", "/hearthline/v1/gw-1/up/event", "hearthline", "other", "$SYS/broker/uptime",
    "$CONTROL/dynamic-security/v1", "$share/g/hearthline/v1/gw-1/up/event", "$hearthline/v1/gw-1/up/event",
)  # fmt: skip
STRANGE = (
    "#", "+/#", "hearthline/#", "hearthline/v1/#", "hearthline/v1/+/down/#", "hearthline/v1/+/up/#", "+/+/+/down/ack",
    "hearthline/+/gw-1/down/#", "hearthline/v1/+/down/ack", "$SYS/#", "$SYS/broker/clients/total", "$CONTROL/#",
    "$CONTROL/dynamic-security/v1/response", "$share/g/#", "$share/g/hearthline/v1/+/down/#", "other", "+",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    center = place(tmp_path_factory.mktemp("isolation"), GATEWAYS)
    observe_all(center)
    with running(center):
        yield center


@pytest.fixture
def ear(made: Place) -> Iterator[Client]:
    client = observer(made)
    client.subscribe("#", "$CONTROL/#", "$share/#")
    client.publish("settled", b"ear")
    client.wait("settled", b"ear")
    client.heard.clear()  # what was retained before
    yield client
    client.close()


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> Version:
    return VERSIONS[request.param]


def own(gateway: str, leaf: str) -> str:
    return f"hearthline/v1/{gateway}/{leaf}"


def gateway_client(made: Place, session: str, version: Version, **more: object) -> Client:
    gateway = session.removesuffix("~second")
    client = Client(made, at=made.folder / gateway, second=session != gateway, version=version, **more)  # type: ignore[arg-type]
    assert client.is_in, client.why
    return client


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_gateway_can_do_what_it_must(made: Place, ear: Client, version: Version, gateway: str) -> None:
    """Without this the other tests would prove nothing: it sends up, hears down, from both of its sessions."""
    center = ingester(made, version=version)
    assert (
        center.subscribe(*(f"hearthline/v1/+/{leaf}" for leaf in ("up/event", "up/telemetry", "up/status")))
        == [True] * 3
    )
    for session in sessions_of(gateway):
        client = gateway_client(made, session, version)
        assert client.subscribe(own(gateway, "down/ack"), own(gateway, "down/command")) == [True, True]
        for leaf in ("up/event", "up/telemetry", "up/status"):
            client.publish(own(gateway, leaf), session.encode())
            center.wait(own(gateway, leaf), session.encode())
        center.publish(own(gateway, "down/ack"), session.encode())
        client.wait(own(gateway, "down/ack"), session.encode())
        client.close()
    center.close()


def test_nothing_that_one_sends_arrives_anywhere_else(made: Place, ear: Client, version: Version) -> None:
    """Every session of every gateway, every foreign topic, QoS 0, 1 and 2, retained and not."""
    victims = {gateway: gateway_client(made, gateway, version) for gateway in GATEWAYS}
    for gateway, victim in victims.items():
        assert victim.subscribe(own(gateway, "down/#")) == [True]
    tried = 0
    for gateway in GATEWAYS:
        targets = [own(other, leaf) for other in GATEWAYS for leaf in LEAVES if other != gateway]
        targets += [own(gateway, leaf) for leaf in ("down/ack", "down/command", "down/x")]
        for attacker in (victims[gateway], gateway_client(made, f"{gateway}~second", version)):
            ear.heard.clear()
            for target, qos, retain in itertools.product([*targets, *ELSEWHERE], (0, 1, 2), (False, True)):
                attacker.publish(target, b"crossed", qos, retain)
                tried += 1
            assert attacker.told(attacker.publish(own(gateway, "up/event"), b"the end"))
            ear.wait(own(gateway, "up/event"), b"the end")
            assert ear.heard == [(own(gateway, "up/event"), b"the end")]
            assert attacker.is_in
            if attacker is not victims[gateway]:
                attacker.close()
    late = observer(made)
    late.subscribe("#")
    late.publish("settled", b"")
    late.wait("settled", b"")
    assert not [topic for topic, payload in late.heard if payload == b"crossed"]
    assert not [victim.heard for victim in victims.values() if victim.heard]
    for client in (late, *victims.values()):
        client.close()
    publish(f"isolation: publish, MQTT {'5' if version == V5 else '3.1.1'}", tried=tried, crossed=0)


def test_nobody_hears_what_is_for_another(made: Place, ear: Client, version: Version) -> None:
    """Every session subscribes to everything of the others, plainly, by wildcards, shared, and to the broker's own."""
    center = ingester(made, version=version)
    tried = 0
    for gateway in GATEWAYS:
        for session in sessions_of(gateway):
            listener = gateway_client(made, session, version)
            foreign = [
                f"{shared}{own(other, leaf)}"
                for other in GATEWAYS
                if other != gateway
                for leaf in (*LEAVES, "#", "up/#", "down/#", "+/+", "down/+")
                for shared in ("", "$share/g/")
            ]
            filters = [*foreign, *STRANGE, own(gateway, "up/#"), own(gateway, "#"), own(gateway, "up/event")]
            assert listener.subscribe(*filters) == [False] * len(filters)
            tried += len(filters)
            assert listener.subscribe(own(gateway, "down/#")) == [True]
            for other in GATEWAYS:
                for leaf in ("down/ack", "down/command"):
                    center.publish(own(other, leaf), other.encode(), retain=True)
                    center.publish(own(other, leaf), other.encode())
            center.publish(own(gateway, "down/ack"), b"the end")
            listener.wait(own(gateway, "down/ack"), b"the end")
            assert {payload for _, payload in listener.heard} == {gateway.encode(), b"the end"}
            listener.close()
    for gateway in GATEWAYS:
        for leaf in ("down/ack", "down/command"):
            center.told(center.publish(own(gateway, leaf), b"", retain=True))
    center.close()
    publish(f"isolation: subscribe, MQTT {'5' if version == V5 else '3.1.1'}", tried=tried, crossed=0)


@pytest.mark.parametrize(("attacker", "victim"), PAIRS)
def test_a_last_will_says_nothing_for_another(
    made: Place, ear: Client, version: Version, attacker: str, victim: str
) -> None:
    for session in sessions_of(attacker):
        for leaf in ("up/status", "up/event", "down/ack"):
            client = Client(
                made, at=made.folder / attacker, second="~" in session, version=version,
                will=(own(victim, leaf), b"crossed"),
            )  # fmt: skip
            client.break_off()
        mine = gateway_client(made, session, version, will=(own(attacker, "up/status"), b"gone"))
        mine.break_off()
        ear.wait(own(attacker, "up/status"), b"gone")
    ear.publish("settled", b"will")
    ear.wait("settled", b"will")
    assert {payload for _, payload in ear.heard} == {b"gone", b"will"}


@pytest.mark.parametrize(("attacker", "victim"), PAIRS)
def test_nobody_takes_anothers_client_id(made: Place, version: Version, attacker: str, victim: str) -> None:
    """Neither is the victim pushed off, nor is its session taken over with what waits in it."""
    there = gateway_client(made, victim, version, persistent=True)
    assert there.subscribe(own(victim, "down/#")) == [True]
    for name in (*sessions_of(victim), f"{victim}-second", INGEST, f"{INGEST}-event"):
        thief = Client(made, at=made.folder / attacker, name=name, version=version, persistent=True)
        assert thief.is_in
        assert thief.publish(own(attacker, "up/event"), b"as itself").rc == 0
        thief.close()
    center = ingester(made)
    center.publish(own(victim, "down/ack"), b"still there")
    there.wait(own(victim, "down/ack"), b"still there")
    assert there.is_in
    center.close()
    there.close()


@pytest.mark.parametrize(("attacker", "victim"), PAIRS)
def test_a_user_name_in_connect_counts_for_nothing(
    made: Place, ear: Client, version: Version, attacker: str, victim: str
) -> None:
    client = Client(made, at=made.folder / attacker, login=(victim, "guessed"), version=version)
    if client.is_in:
        client.publish(own(victim, "up/event"), b"crossed")
        client.told(client.publish(own(attacker, "up/event"), b"as itself"))
        ear.wait(own(attacker, "up/event"), b"as itself")
        assert (own(victim, "up/event"), b"crossed") not in ear.heard
        client.close()


def test_nobody_gets_in_without_a_certificate_of_ours(made: Place, tmp_path: Path, version: Version) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = place(other, ("gw-1",))  # its certificate says gw-1 too, and another center has signed it
    bare = tmp_path / "bare"
    bare.mkdir()
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "9",
            ),
            *("-subj", "/CN=gw-1", "-keyout", bare / commands.KEY, "-out", bare / commands.CERTIFICATE),
        ],
        check=True,
        capture_output=True,
    )
    server = tmp_path / "server"  # the broker's own certificate is no gateway's
    server.mkdir()
    (server / commands.KEY).write_bytes((made.broker / "broker.key").read_bytes())
    (server / commands.CERTIFICATE).write_bytes((made.broker / "broker.crt").read_bytes())
    for at in (stranger.folder / "gw-1", bare, server):
        assert not Client(made, at=at, version=version).is_in
    assert not Client(made, version=version, port=made.port).is_in  # plain TCP on the gateways' port


@pytest.mark.parametrize("login", [None, ("gw-1", ""), ("gw-1", "gw-1"), (INGEST, "wrong"), ("hearthline-keeper", "")])
def test_nobody_gets_in_by_the_centers_own_port(made: Place, version: Version, login: tuple[str, str] | None) -> None:
    assert not Client(made, login=login, version=version).is_in


def test_the_ingester_can_do_its_work_and_no_more(made: Place, ear: Client, version: Version) -> None:
    center = ingester(made, version=version)
    refused = ("#", "$SYS/#", "$CONTROL/#", "$CONTROL/dynamic-security/v1/response", "hearthline/v1/+/down/#")
    assert center.subscribe(*refused) == [False] * len(refused)
    for topic in ("$CONTROL/dynamic-security/v1", "other", own("gw-1", "up/event"), "hearthline/v1/down/ack"):
        center.publish(topic, b'{"commands":[{"command":"listClients"}]}')
    center.publish(own("gw-1", "down/ack"), b"the end")
    ear.wait(own("gw-1", "down/ack"), b"the end")
    assert ear.heard == [(own("gw-1", "down/ack"), b"the end")]
    center.close()


def test_the_centers_own_port_is_on_this_machine_alone(made: Place) -> None:
    conf = (made.broker / "mosquitto.conf").read_text(encoding="utf-8")
    assert f"listener {made.local_port} {HOST}\n" in conf
    assert len([line for line in conf.splitlines() if line.startswith("listener ")]) == 2
