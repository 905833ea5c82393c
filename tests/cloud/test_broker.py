"""What the broker is told: the first state, and the commands that bring any broker to what the database says."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from hearthline_cloud.identity.broker import (
    INGEST,
    KEEPER,
    Present,
    first_state,
    gateway_of,
    gateway_role,
    present_of,
    reconciled,
    role_name,
    sessions_of,
)

PASSWORDS = {INGEST: "one", KEEPER: "two"}


class Plugin:
    """Does what the dynamic-security plugin does with the commands that are used."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.clients = {each["username"]: each for each in state["clients"]}
        self.roles = {each["rolename"]: each for each in state["roles"]}
        self.thrown_out: list[str] = []

    def run(self, commands: list[dict[str, Any]]) -> None:
        for command in commands:
            match command["command"]:
                case "createRole":
                    assert command["rolename"] not in self.roles
                    self.roles[command["rolename"]] = command
                case "deleteRole":
                    del self.roles[command["rolename"]]
                    for client in self.clients.values():
                        client["roles"] = [r for r in client["roles"] if r["rolename"] != command["rolename"]]
                case "createClient":
                    assert command["username"] not in self.clients
                    assert all(role["rolename"] in self.roles for role in command["roles"])
                    self.clients[command["username"]] = dict(command)
                case "deleteClient":
                    del self.clients[command["username"]]
                    self.thrown_out.append(command["username"])
                case "modifyRole":
                    self.roles[command["rolename"]] = command

    @property
    def present(self) -> Present:
        return present_of(self.clients.values(), self.roles.values())


def plugin(*gateways: str) -> Plugin:
    return Plugin(first_state(PASSWORDS, gateways))


def test_the_first_state_is_what_it_must_be() -> None:
    assert reconciled({"gw-1", "gw-2"}, plugin("gw-1", "gw-2").present) == []
    state = first_state(PASSWORDS, ["gw-1"])
    assert set(state["defaultACLAccess"].values()) == {False}
    assert [each["username"] for each in state["clients"] if "password" not in each] == ["gw-1", "gw-1~second"]
    assert "one" not in str(state)


@pytest.mark.parametrize("seed", range(20))
def test_any_broker_is_brought_to_what_it_must_be(seed: int) -> None:
    rng = random.Random(seed)
    names = [f"gw-{number}" for number in range(6)]
    broker = plugin(*rng.sample(names, 3))
    for session in rng.sample(sorted(broker.clients.keys() - PASSWORDS.keys()), 2):
        spoil = rng.choice(["disabled", "other role", "group", "no role"])
        client = broker.clients[session]
        client |= {
            "disabled": {"disabled": True},
            "other role": {"roles": [{"rolename": role_name(rng.choice(names))}]},
            "group": {"groups": [{"groupname": "g"}]},
            "no role": {"roles": []},
        }[spoil]
    broker.clients["stranger"] = {"username": "stranger", "roles": [{"rolename": INGEST}]}
    broker.roles["strange"] = {"rolename": "strange", "acls": []}
    widened = role_name(rng.choice(names))
    if widened in broker.roles:
        more = {"acltype": "subscribePattern", "topic": "#", "priority": 0, "allow": True}
        broker.roles[widened] = {"rolename": widened, "acls": [*broker.roles[widened]["acls"], more]}
    wanted = set(rng.sample(names, 4))
    broker.run(reconciled(wanted, broker.present))
    assert broker.present == plugin(*wanted).present
    assert reconciled(wanted, broker.present) == []


def test_a_revoked_and_issued_again_one_is_thrown_out_and_let_in() -> None:
    broker = plugin("gw-1", "gw-2")
    broker.run(reconciled({"gw-1", "gw-2"}, broker.present, thrown_out=["gw-1", "gw-1~second"]))
    assert broker.thrown_out == ["gw-1", "gw-1~second"]
    assert broker.present == plugin("gw-1", "gw-2").present


def test_throwing_out_comes_first() -> None:
    commands = [each["command"] for each in reconciled({"gw-2", "gw-3"}, plugin("gw-1", "gw-2").present)]
    assert [key for key, _ in itertools.groupby(commands)] == [
        "deleteClient",
        "deleteRole",
        "createRole",
        "createClient",
    ]


def test_the_centers_own_accounts_are_left_alone() -> None:
    assert not {INGEST, KEEPER} & {each.get("username") for each in reconciled((), plugin("gw-1").present)}


@pytest.mark.parametrize("gateway", ["gw-1", "second", "a.b_c-second"])
def test_sessions_are_the_gateways_own(gateway: str) -> None:
    assert {gateway_of(session) for session in sessions_of(gateway)} == {gateway}
    assert all(f"hearthline/v1/{gateway}/" in acl["topic"] for acl in gateway_role(gateway)["acls"])


def test_our_own_roles_are_what_this_version_gives_them() -> None:
    broker = plugin("gw-1")
    broker.roles[KEEPER]["acls"] = broker.roles[KEEPER]["acls"][:3]  # as a version before made it
    commands = reconciled({"gw-1"}, broker.present)
    assert [(each["command"], each["rolename"]) for each in commands] == [("modifyRole", KEEPER)]
    broker.run(commands)
    assert reconciled({"gw-1"}, broker.present) == []
