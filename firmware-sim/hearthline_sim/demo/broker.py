"""A broker for the demo: the embedded rumqttd of iotcore, or an installed mosquitto where there is no wheel of it.

rumqttd's own defaults listen on every address, refuse MQTT 5 and payloads over 20 KiB; so it is given its TOML: MQTT
3.1.1 and 5 on loopback, one listener each.
"""

from __future__ import annotations

import contextlib
import importlib.util
import random
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from hearthline.errors import NotInstalledError

_RUMQTTD = """id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 10485760
max_segment_count = 10
{listeners}
"""
_LISTENER = """[{version}.1]
name = "{version}"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[{version}.1.connections]
connection_timeout_ms = 10000
max_payload_size = 268435456
max_inflight_count = 100
dynamic_filters = true
"""
_MOSQUITTO = """listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 100000
max_inflight_messages 200
"""
_PORTS = (16_000, 32_000)  # Linux: outgoing from 32768; macOS from 49152


@dataclass(frozen=True, slots=True)
class BrokerPlan:
    """How to start one broker: its command line, and the ports for MQTT 3.1.1 and 5."""

    name: str
    command: list[str]
    port_v311: int
    port_v5: int


def plan_broker(folder: Path, name: str) -> BrokerPlan:
    """Write the broker's configuration. Raises NotInstalledError with the command to run when there is none."""
    if importlib.util.find_spec("iotcore") is not None:
        v4, v5 = free_port(), free_port()
        config = folder / f"{name}-broker.toml"
        listeners = _LISTENER.format(version="v4", port=v4) + _LISTENER.format(version="v5", port=v5)
        config.write_text(_RUMQTTD.format(listeners=listeners), encoding="utf-8")
        command = [sys.executable, "-m", "iotcore", "--config", str(config), "--log-level", "ERROR"]
        return BrokerPlan(name, command, v4, v5)
    mosquitto = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/sbin")
    if mosquitto is None:
        raise NotInstalledError(
            "the demo needs an MQTT broker: there is no embedded one for this machine. "
            "Install mosquitto: sudo apt-get install mosquitto"
        )
    port = free_port()
    config = folder / f"{name}-mosquitto.conf"
    config.write_text(_MOSQUITTO.format(port=port), encoding="utf-8")
    return BrokerPlan(name, [mosquitto, "-c", str(config)], port, port)


def free_port() -> int:
    """A TCP port of loopback that nobody uses right now.

    Not of those that the kernel gives to outgoing connections: a client that knocks while a server is dead may get that
    server's very port, be connected to itself, and keep the server from coming back.
    """
    while True:
        port = random.SystemRandom().randrange(*_PORTS)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
