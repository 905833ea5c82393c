"""What mosquitto is told: its configuration, and who may do what, as roles of its dynamic-security plugin.

    gateway `gw-1`   knows itself by two certificates, `gw-1` and `gw-1~second`, one for each of its sessions
                     sends     hearthline/v1/gw-1/up/#        and nothing else
                     hears     hearthline/v1/gw-1/down/#
    ingester         sends     hearthline/v1/+/down/#         hears     hearthline/v1/+/up/#
    keeper           the plugin's own topics: it keeps the clients and roles as our database has them
                     sends     hearthline/v1/+/down/certificate    hears     hearthline/v1/+/up/certificate

Everything else is denied: the plugin's four defaults are. A session's name and its client id are the certificate's, so
that no gateway can push another off (`use_username_as_clientid`); a gateway's id has no `~` in it, so no gateway can be
called like another's second session. Facts about Debian's mosquitto 2.0.11 are held by tests/brokers.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearthline import wire
from hearthline_cloud.identity.authority import CHAIN, LIST

STATE, PID, CONF = "dynamic-security.json", "mosquitto.pid", "mosquitto.conf"
SERVER_CERT, SERVER_KEY = "broker.crt", "broker.key"
CONTROL = "$CONTROL/dynamic-security/v1"
INGEST, KEEPER = "hearthline-ingest", "hearthline-keeper"
SECOND = "~second"
_ITERATIONS = 101  # of PBKDF2-SHA512; the plugin knows no better, and the passwords are random
Rule = tuple[str, str, bool]  # the plugin's kind of access, a topic, whether it is allowed
_DENIED = {"publishClientSend": False, "publishClientReceive": False, "subscribe": False, "unsubscribe": False}


def sessions_of(gateway: str) -> tuple[str, str]:
    """The names of a gateway's two sessions, each with a certificate of its own."""
    return gateway, gateway + SECOND


def gateway_of(session: str) -> str:
    return session.removesuffix(SECOND)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where things lie on the broker's machine. `folder`: all that it reads, and its own state."""

    folder: Path
    plugin: str
    host: str
    port: int
    local_port: int


def configuration(broker: Broker) -> str:
    """`mosquitto.conf`: certificates from outside, passwords from this machine, nothing without a name."""
    return f"""# Made by `hearthline cloud broker-config`; made anew, it is the same but for what cloud.toml says.
per_listener_settings false
allow_anonymous false
plugin {broker.plugin}
plugin_opt_config_file {broker.folder}/{STATE}
persistence true
persistence_location {broker.folder}/
pid_file {broker.folder}/{PID}
set_tcp_nodelay true
queue_qos0_messages true
# Never 0: one publish that is denied would then be sent again and again, without end.
max_queued_messages 100000
max_inflight_messages 500
max_packet_size 262144
max_keepalive 300
log_dest stderr
log_type error
log_type warning
log_type notice

# Gateways: a client certificate of ours, not revoked; its name is the user and the client id.
listener {broker.port} {broker.host}
cafile {broker.folder}/{CHAIN}
certfile {broker.folder}/{SERVER_CERT}
keyfile {broker.folder}/{SERVER_KEY}
crlfile {broker.folder}/{LIST}
require_certificate true
use_identity_as_username true
use_username_as_clientid true

# The center's own processes, by name and password.
listener {broker.local_port} 127.0.0.1
"""


def first_state(passwords: Mapping[str, str], gateways: Iterable[str]) -> dict[str, Any]:
    """`dynamic-security.json` of a new broker: the two of ours by password, and these gateways by certificate."""
    named = sorted(gateways)
    ours = [
        {"username": name, "roles": [{"rolename": name}], **_hashed(password)} for name, password in passwords.items()
    ]
    theirs = [_client(session, gateway) for gateway in named for session in sessions_of(gateway)]
    roles = [_role(INGEST, _INGEST_ACLS), _role(KEEPER, _KEEPER_ACLS), *map(gateway_role, named)]
    return {"defaultACLAccess": _DENIED, "clients": [*ours, *theirs], "groups": [], "roles": roles}


def role_name(gateway: str) -> str:
    return f"gateway:{gateway}"


def gateway_role(gateway: str) -> dict[str, Any]:
    """The role of one gateway, for both of its sessions."""
    up, down = wire.topic(gateway, "up/#"), wire.topic(gateway, "down/#")
    acls = (("publishClientSend", up), ("publishClientReceive", down), ("subscribePattern", down))
    return _role(role_name(gateway), acls)


@dataclass(frozen=True, slots=True)
class Present:
    """What the broker has: its roles with what they allow, and each client with its roles.

    A client that is disabled, or has something else to it, is given with no roles.
    """

    roles: Mapping[str, frozenset[Rule]]
    clients: Mapping[str, frozenset[str]]


def reconciled(gateways: Iterable[str], present: Present, thrown_out: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The plugin's commands that make what the broker has into what it must have; none when it has it.

    Clients come before roles: deleting a client is what ends its session, and disabling one leaves its certificate good
    for coming back. `thrown_out`: clients whose session ends even if they stay. What somebody else made goes, and
    our own two roles are what this version gives them.
    """
    wanted = {session: gateway for gateway in gateways for session in sessions_of(gateway)}
    roles = {role_name(gateway): gateway for gateway in wanted.values()}
    sound = {role for role, gateway in roles.items() if present.roles.get(role) == _rules(gateway_role(gateway))}
    leaving = set(thrown_out)
    stays = {
        session
        for session, gateway in wanted.items()
        if session not in leaving and role_name(gateway) in sound
        and present.clients.get(session) == frozenset({role_name(gateway)})
    }  # fmt: skip
    others = present.clients.keys() - stays - {INGEST, KEEPER}
    commands = [{"command": "deleteClient", "username": client} for client in sorted(others)]
    strange = present.roles.keys() - sound - {INGEST, KEEPER}
    commands += [{"command": "deleteRole", "rolename": role} for role in sorted(strange)]
    commands += [{"command": "createRole", **gateway_role(roles[role])} for role in sorted(roles.keys() - sound)]
    commands += [
        {"command": "modifyRole", "rolename": ours["rolename"], "acls": ours["acls"]}
        for ours in (_role(INGEST, _INGEST_ACLS), _role(KEEPER, _KEEPER_ACLS))
        if present.roles.get(ours["rolename"]) != _rules(ours)
    ]
    missing = sorted(wanted.keys() - stays)
    return commands + [{"command": "createClient", **_client(session, wanted[session])} for session in missing]


def present_of(clients: Iterable[Mapping[str, Any]], roles: Iterable[Mapping[str, Any]]) -> Present:
    """From what the plugin's `listClients` and `listRoles` answer when asked with `verbose`."""
    return Present(
        {role["rolename"]: _rules(role) for role in roles}, {each["username"]: _has(each) for each in clients}
    )


def _has(client: Mapping[str, Any]) -> frozenset[str]:
    if client.get("disabled") or client.get("groups"):
        return frozenset()
    return frozenset(role["rolename"] for role in client.get("roles", ()))


def _rules(role: Mapping[str, Any]) -> frozenset[Rule]:
    return frozenset((acl["acltype"], acl["topic"], acl["allow"]) for acl in role.get("acls", ()))


def _client(session: str, gateway: str) -> dict[str, Any]:
    return {"username": session, "roles": [{"rolename": role_name(gateway)}]}


def new_password() -> str:
    return secrets.token_urlsafe(24)


_INGEST_ACLS = (
    ("publishClientSend", wire.topic("+", "down/#")),
    ("publishClientReceive", wire.topic("+", "up/#")),
    ("subscribePattern", wire.topic("+", "up/#")),
)
_KEEPER_ACLS = (
    ("publishClientSend", "$CONTROL/dynamic-security/#"),
    ("publishClientReceive", "$CONTROL/dynamic-security/#"),
    ("subscribePattern", "$CONTROL/dynamic-security/#"),
    ("publishClientSend", wire.topic("+", wire.DOWN_CERTIFICATE)),
    ("publishClientReceive", wire.topic("+", wire.UP_CERTIFICATE)),
    ("subscribePattern", wire.topic("+", wire.UP_CERTIFICATE)),
)


def _role(name: str, acls: Iterable[tuple[str, str]]) -> dict[str, Any]:
    rules = [{"acltype": kind, "topic": topic, "priority": 0, "allow": True} for kind, topic in acls]
    return {"rolename": name, "acls": rules}


def _hashed(password: str) -> dict[str, Any]:
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return {
        "password": base64.b64encode(digest).decode(),
        "salt": base64.b64encode(salt).decode(),
        "iterations": _ITERATIONS,
    }
