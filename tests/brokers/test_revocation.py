"""A revoked gateway is off at once and cannot return; every trap of Debian's mosquitto on the way there has a test.

The desk role runs as a process, as in production; the facts about the broker alone are held without it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from brokers.certified import V5, V311, Client, Place, faults, ingester, observe_all, observer, place, roles, running
from cloud_processes import until
from hearthline.errors import RefusedError
from hearthline_cloud import commands_identity as commands
from hearthline_cloud.config import BrokerConfig
from hearthline_cloud.identity import certificates
from hearthline_cloud.identity.authority import LIST, Authority, Revoked, list_ends, utc_now, write_public
from hearthline_cloud.identity.broker import CONF, INGEST, KEEPER, STATE, reconciled
from hearthline_cloud.identity.control import Control
from servers import HOST, find_binary
from trials import publish

pytestmark = pytest.mark.integration
PATIENCE_S = 30.0


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Place]:
    """A center with two gateways; its broker runs."""
    with running(place(tmp_path, ("gw-1", "gw-2"))) as center:
        yield center


@pytest.fixture
def control(made: Place) -> Iterator[Control]:
    """The keeper's account, for facts about the broker alone."""
    line = Control(BrokerConfig(host=HOST, port=made.local_port), made.password(KEEPER))
    line.connect()
    yield line
    line.close()


def revoke(made: Place, gateway: str, wait: float = PATIENCE_S) -> int:
    return commands.revoke(gateway, made.config, "lost", wait)


def write_list(made: Place, *revoked: str, age: timedelta = timedelta(0)) -> None:
    """A revocation list as the keeper would write it, `age` ago."""
    now = utc_now()
    database = made.database()
    with database.reading() as connection:
        serials = [each.serial for each in certificates.held(connection) if each.gateway in revoked]
    database.close()
    authority = Authority(made.folder / "pki", now)
    listed = authority.revocation_list([Revoked(serial, now) for serial in serials], 1, now - age)
    write_public(made.broker / LIST, listed)


def working(made: Place, gateway: str) -> bool:
    """Whether the gateway gets in, sends up, and hears what is said down to it; both of its sessions."""
    center = ingester(made)
    center.subscribe("hearthline/v1/+/up/event")
    try:
        for second in (False, True):
            client = Client(made, at=made.folder / gateway, second=second)
            if not client.is_in:
                return False
            client.publish(f"hearthline/v1/{gateway}/up/event", b"here")
            center.wait(f"hearthline/v1/{gateway}/up/event", b"here")
            client.close()
        return True
    finally:
        center.close()


# --- the whole ------------------------------------------------------------------------------------------------------


def test_a_revoked_gateway_is_off_and_cannot_return_until_it_has_new_certificates(made: Place) -> None:
    with roles(made, "desk"):
        until(lambda: faults(made) == {}, PATIENCE_S)
        first, second = (Client(made, at=made.folder / "gw-1", second=each) for each in (False, True))
        other = Client(made, at=made.folder / "gw-2")
        assert first.is_in
        assert second.is_in
        began = time.monotonic()
        assert revoke(made, "gw-1") == 0
        until(lambda: first.ended.is_set() and second.ended.is_set(), PATIENCE_S)
        off_s = max(first.ended_at, second.ended_at) - began
        for _ in range(5):
            for each in (False, True):
                assert not Client(made, at=made.folder / "gw-1", second=each).is_in
        assert other.is_in, "the others stay connected"
        made.issue("gw-1", "gw-1-new")
        until(lambda: "gw-1" in {each["username"] for each in made.state["clients"]}, PATIENCE_S)
        for each in (False, True):
            client = Client(made, at=made.folder / "gw-1-new", second=each)
            assert client.subscribe("hearthline/v1/gw-1/down/ack") == [True]
            client.close()
            assert not Client(made, at=made.folder / "gw-1", second=each).is_in, "the old ones stay out"
        assert faults(made) == {}
        other.close()
    publish("revocation: from the command to the end of both sessions", off_s=round(off_s, 2))


def test_issued_again_at_once_the_old_session_ends_all_the_same(made: Place) -> None:
    """Revoked and issued while no desk ran: the client that is to be stays, and its old session must not."""
    stolen = Client(made, at=made.folder / "gw-1")
    assert revoke(made, "gw-1", wait=0) == 1, "nobody has told the broker"
    made.issue("gw-1", "gw-1-new")
    assert stolen.is_in
    with roles(made, "desk"):
        until(stolen.ended.is_set, PATIENCE_S)
        until(lambda: Client(made, at=made.folder / "gw-1-new").is_in, PATIENCE_S)
        assert not Client(made, at=made.folder / "gw-1").is_in


def test_a_desk_that_was_killed_between_list_and_signal_goes_on(made: Place) -> None:
    stolen = Client(made, at=made.folder / "gw-1")
    assert revoke(made, "gw-1", wait=0) == 1
    write_list(made, "gw-1")  # written, and killed before the broker was told to read it
    with roles(made, "desk"):
        until(stolen.ended.is_set, PATIENCE_S)
        until(lambda: not Client(made, at=made.folder / "gw-1").is_in, PATIENCE_S)


def test_a_broker_that_lost_its_state_in_a_power_cut_is_made_whole(made: Place) -> None:
    """The plugin does not wait for the disk. An older copy of its file: it has a thief and lacks a gateway."""
    with roles(made, "desk"):
        until(lambda: faults(made) == {}, PATIENCE_S)
        older = (made.broker / STATE).read_bytes()
        made.register("gw-3")
        made.issue("gw-3")
        assert revoke(made, "gw-1") == 0
        until(lambda: "gw-3" in {each["username"] for each in made.state["clients"]}, PATIENCE_S)
        made.server.kill()
        until(lambda: "control" in faults(made), PATIENCE_S)
        (made.broker / STATE).write_bytes(older)
        made.server.start()
        until(
            lambda: (
                {"gw-2", "gw-3"} <= {each["username"] for each in made.state["clients"]}
                and "gw-1" not in {each["username"] for each in made.state["clients"]}
            ),
            PATIENCE_S,
        )
        assert working(made, "gw-3")
        assert not Client(made, at=made.folder / "gw-1").is_in
        until(lambda: faults(made) == {}, PATIENCE_S)


def test_an_expired_list_locks_everyone_out_and_the_keeper_lets_them_in_again(made: Place) -> None:
    write_list(made, age=timedelta(days=8))
    os.kill(made.server.pid, signal.SIGHUP)
    until(lambda: not Client(made, at=made.folder / "gw-1").is_in, PATIENCE_S)
    with roles(made, "desk"):
        until(lambda: Client(made, at=made.folder / "gw-1").is_in, PATIENCE_S)
    ends = list_ends(made.broker / LIST)
    assert ends is not None
    assert ends - utc_now() > timedelta(days=6)


def test_an_old_list_that_cannot_be_written_anew_is_a_fault(made: Place) -> None:
    write_list(made, age=timedelta(days=6))
    (made.folder / "pki" / "issuing.key").chmod(0o644)
    with roles(made, "desk"):
        until(lambda: {"list-old", "reload"} <= faults(made).keys(), PATIENCE_S)
        assert "others may read it" in faults(made)["reload"]
        (made.folder / "pki" / "issuing.key").chmod(0o600)
        until(lambda: faults(made) == {}, PATIENCE_S)


def test_a_broker_that_cannot_be_told_is_a_fault(made: Place) -> None:
    made.server.stop()
    with roles(made, "desk"):
        until(lambda: {"control", "reload"} <= faults(made).keys(), PATIENCE_S)
        assert revoke(made, "gw-1", wait=0) == 1, "it says that the broker has not been told"
        made.server.start()
        until(lambda: faults(made) == {}, PATIENCE_S)
        assert revoke(made, "gw-1") == 0
        assert not Client(made, at=made.folder / "gw-1").is_in


def test_a_pid_file_that_outlived_its_broker_signals_nobody(made: Place) -> None:
    """Else a process that got the number would be told to hang up: here, this test."""
    made.server.stop()
    (made.broker / "mosquitto.pid").write_text(f"{os.getpid()}\n", encoding="ascii")
    with roles(made, "desk"):
        until(lambda: "no mosquitto" in faults(made).get("reload", ""), PATIENCE_S)


def test_a_broker_that_is_still_starting_is_left_alone(made: Place) -> None:
    """mosquitto writes its pid file before it heeds SIGHUP, and one that came between would end it."""
    asleep = made.folder / "mosquitto"
    asleep.symlink_to(find_binary("sleep"))
    made.server.stop()
    starting = subprocess.Popen([str(asleep), "60"])
    (made.broker / "mosquitto.pid").write_text(f"{starting.pid}\n", encoding="ascii")
    with roles(made, "desk"):
        until(lambda: "still starting" in faults(made).get("reload", ""), PATIENCE_S)
    assert starting.poll() is None
    starting.kill()
    starting.wait(PATIENCE_S)


def test_two_desks_keep_one_broker(made: Place) -> None:
    with roles(made, "desk"), roles(made, "desk"):
        for number in range(3, 8):
            made.register(f"gw-{number}")
            made.issue(f"gw-{number}")
            assert revoke(made, f"gw-{number - 1}") == 0
        until(lambda: {each["username"] for each in made.state["clients"]} == {
            "gw-1", "gw-1~second", "gw-7", "gw-7~second", INGEST, KEEPER
        }, PATIENCE_S)  # fmt: skip
        until(lambda: faults(made) == {}, PATIENCE_S)
        assert working(made, "gw-7")


def test_what_somebody_else_made_at_the_broker_goes(made: Place, control: Control) -> None:
    everything = {"acltype": "subscribePattern", "topic": "#", "priority": 0, "allow": True}
    assert not control.run(
        [
            {"command": "createRole", "rolename": "everything", "acls": [everything]},
            {"command": "createClient", "username": "stranger", "password": "x", "roles": [{"rolename": "everything"}]},
            {"command": "addClientRole", "username": "gw-1", "rolename": "everything"},
            {"command": "addRoleACL", "rolename": "gateway:gw-2", **everything},
        ]
    )
    with roles(made, "desk"):
        until(lambda: faults(made) == {}, PATIENCE_S)
        assert reconciled({"gw-1", "gw-2"}, control.present()) == []


# --- facts about the broker that the above is built around ------------------------------------------------------


def test_a_disabled_client_comes_back_with_its_certificate(made: Place, control: Control) -> None:
    """So it is deleted, and its certificate revoked."""
    assert not control.run([{"command": "disableClient", "username": "gw-1"}])
    assert Client(made, at=made.folder / "gw-1").is_in


def test_a_deleted_client_comes_back_and_can_do_nothing(made: Place, control: Control) -> None:
    """Between the deletion and the list it has no rights: it crosses nothing, and only the list keeps it out."""
    there = Client(made, at=made.folder / "gw-1")
    assert not control.run([{"command": "deleteClient", "username": "gw-1"}])
    until(there.ended.is_set)
    back = Client(made, at=made.folder / "gw-1")
    if back.is_in:
        assert back.subscribe("hearthline/v1/gw-1/down/#", "hearthline/v1/gw-2/down/#", "#") == [False] * 3
        center = ingester(made)
        center.subscribe("hearthline/v1/+/up/event")
        assert "authorized" in back.told(back.publish("hearthline/v1/gw-1/up/event", b"crossed"))
        fence = Client(made, at=made.folder / "gw-2")
        fence.publish("hearthline/v1/gw-2/up/event", b"the end")
        center.wait("hearthline/v1/gw-2/up/event", b"the end")
        assert center.heard == [("hearthline/v1/gw-2/up/event", b"the end")]
        for client in (back, fence, center):
            client.close()


def test_a_new_list_does_nothing_until_the_signal_and_nothing_to_a_live_session(made: Place) -> None:
    there = Client(made, at=made.folder / "gw-1")
    write_list(made, "gw-1")
    unread = Client(made, at=made.folder / "gw-1", second=True)
    assert unread.is_in, "the list was not read yet"
    unread.close()
    os.kill(made.server.pid, signal.SIGHUP)
    until(lambda: not Client(made, at=made.folder / "gw-1", second=True).is_in, PATIENCE_S)
    center = ingester(made)
    center.subscribe("hearthline/v1/+/up/event")
    there.publish("hearthline/v1/gw-1/up/event", b"still here")
    center.wait("hearthline/v1/gw-1/up/event", b"still here")
    there.close()
    center.close()


def test_without_the_name_as_client_id_one_gateway_pushes_another_off(made: Place) -> None:
    made.server.stop()
    conf = made.broker / CONF
    line = "use_username_as_clientid true\n"
    assert line in conf.read_text(encoding="utf-8")
    conf.write_text(conf.read_text(encoding="utf-8").replace(line, ""), encoding="utf-8")
    made.server.start()
    victim = Client(made, at=made.folder / "gw-1", name="gw-1")
    thief = Client(made, at=made.folder / "gw-2", name="gw-1")
    until(victim.ended.is_set)
    thief.close()


def test_over_mqtt_3_1_1_a_denied_publish_is_acknowledged_as_success(tmp_path: Path) -> None:
    """So custody rests on no PUBACK, and the matrix of isolation is judged by who hears."""
    center = place(tmp_path, ("gw-1", "gw-2"))
    observe_all(center)
    with running(center):
        ear = observer(center)
        ear.subscribe("#")
        answers = {}
        for name, version in (("3.1.1", V311), ("5", V5)):
            client = Client(center, at=center.folder / "gw-1", version=version)
            answers[name] = client.told(client.publish("hearthline/v1/gw-2/up/event", b"crossed"))
            client.told(client.publish("hearthline/v1/gw-1/up/event", b"the end"))
            ear.wait("hearthline/v1/gw-1/up/event", b"the end")
            client.close()
        assert answers == {"3.1.1": "Success", "5": "Not authorized"}
        assert {payload for _, payload in ear.heard} == {b"the end"}
        ear.close()


def test_the_brokers_state_is_for_its_owner_alone_also_after_the_plugin_has_written_it(
    made: Place, control: Control
) -> None:
    assert not control.run([{"command": "deleteClient", "username": "gw-2"}])
    assert "gw-2" not in {each["username"] for each in made.state["clients"]}
    assert (made.broker / STATE).stat().st_mode & 0o077 == 0
    assert made.broker.stat().st_mode & 0o077 == 0
    for name in ("broker.key", "hearthline-ingest.password", "hearthline-keeper.password"):
        assert (made.broker / name).stat().st_mode & 0o077 == 0


def test_what_the_plugins_commands_cost(made: Place, control: Control) -> None:
    """A figure, published: what one message of commands holds the broker up."""
    gateways = {"gw-1", "gw-2"} | {f"g{number}" for number in range(300)}
    wanted = reconciled(gateways, control.present())
    began = time.monotonic()
    assert control.run(wanted) == []
    took_s = time.monotonic() - began
    assert reconciled(gateways, control.present()) == []
    publish("broker: the plugin's commands", commands=len(wanted), a_second=round(len(wanted) / took_s))


def test_a_live_state_is_not_written_over(made: Place) -> None:
    before = (made.broker / STATE).read_bytes()
    with pytest.raises(RefusedError, match="has its state already"):
        commands.broker_config(made.config)
    passwords = made.password(KEEPER)
    commands.broker_config(made.config, keep_state=True)
    assert ((made.broker / STATE).read_bytes(), made.password(KEEPER)) == (before, passwords)


def test_a_denied_publish_never_becomes_an_endless_reconnection(made: Place) -> None:
    """`max_queued_messages 0` would do that: the bound is greater, and a session survives any number of denials."""
    lines = (made.broker / CONF).read_text(encoding="utf-8").splitlines()
    (bound,) = [int(line.split()[1]) for line in lines if line.startswith("max_queued_messages ")]
    assert bound > 0
    client = Client(made, at=made.folder / "gw-1")
    for number in range(200):
        client.publish("hearthline/v1/gw-2/up/event", b"denied", qos=number % 3)
    assert client.told(client.publish("hearthline/v1/gw-1/up/event", b"taken"))
    assert client.is_in
    client.close()
