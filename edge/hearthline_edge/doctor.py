"""Whether a gateway's surroundings let it do its work, each in one sentence with what to do.

Looks and disturbs nothing: no port that is in use is touched, no record is written, and the brokers are visited under
a name of our own, for a second client of the agent's name would throw the agent out.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import ssl
import stat
import termios
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from hearthline.clock import NS, Stamp, rfc3339
from hearthline.config import read_secret
from hearthline.errors import ConfigError, StorageError
from hearthline_edge.ballast import BALLAST_BYTES
from hearthline_edge.config import EdgeConfig, SerialConfig
from hearthline_edge.device_list import refusals
from hearthline_edge.devices import SerialDriver, find_drivers
from hearthline_edge.doctor_texts import TEXTS, say
from hearthline_edge.fault_advice import what_to_do
from hearthline_edge.outbox_file import DamagedError, check_schema
from hearthline_edge.outbox_view import look_into
from hearthline_edge.salvage import kept_aside
from hearthline_edge.serial_port import cause_of, open_line
from hearthline_edge.wallet import Wallet

_ANSWER_S = 5.0
_PASSING_NAME = re.compile(r"/dev/tty(USB|ACM)[0-9]+\Z")
_MB = 1024 * 1024
_SOON_NS = 20 * 24 * 3600 * NS


@dataclass(frozen=True, slots=True)
class Check:
    """`sentence`: what was found, and when it is wrong, what to do."""

    name: str
    ok: bool
    sentence: str


def examine(config: EdgeConfig, now: Stamp) -> list[Check]:
    """Every check but that of the configuration itself."""
    checks = [_data_dir(config), _outbox(config)]
    for fault in config.faults:
        name = "serial port" if fault in config.wrong_lines else "profile"
        checks.append(Check(name, False, f"{fault}: {what_to_do(fault)}."))
    checks += _devices(config)
    if config.center:
        checks.append(Check("remote hands", True, say("remote-hands", keys=", ".join(config.center))))
    checks += _refusals(config, now)
    for port in config.serial:
        checks.append(_serial_port(f"serial port {port.name}", port))
        checks += _stable(f"name of port {port.name}", port.port)
    for siren in config.siren:
        if siren.kind == "relay":
            checks.append(_port(f"relay {siren.target}", siren.target))
    if config.local_mqtt is not None:
        local = config.local_mqtt
        visit = Visit(local.host, local.port, local.username, local.password_file)
        checks.append(_broker("local broker", "local_mqtt", visit))
    uplink = config.uplink
    try:
        wallet = Wallet(uplink, Path(config.data_dir), looks_only=True)
        tls = wallet.context(wallet.chosen)
    except ConfigError as error:
        checks.append(Check("center", False, f"{error}."))
    else:
        protocol = MQTTProtocolVersion.MQTTv5 if uplink.protocol == "5" else MQTTProtocolVersion.MQTTv311
        visit = Visit(uplink.host, uplink.port, uplink.username, uplink.password_file, tls, protocol)
        checks.append(_broker("center", "uplink", visit))
        checks += _certificate(wallet, now)
    return [*checks, _clock(now)]


def _certificate(wallet: Wallet, now: Stamp) -> Iterator[Check]:
    """The one in use; a clock that may be wrong judges none."""
    facts = wallet.chosen.facts
    if facts is None:
        return
    ends = rfc3339(facts.ends_ns)[:10]
    if now.synced and facts.ends_ns - now.wall_ns < _SOON_NS:
        hint = say("hint-renews" if wallet.renews else "hint-by-hand")
        yield Check("certificate", False, say("certificate-ends", ends=ends, hint=hint))
    else:
        renews = "certificate-renews" if wallet.renews else "certificate-by-hand"
        yield Check("certificate", True, say(renews, ends=ends))


def _data_dir(config: EdgeConfig) -> Check:
    name, folder = "disk", Path(config.data_dir)
    if not folder.is_dir():
        return Check(name, False, say("no-folder", folder=folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check(name, False, say("folder-closed", folder=folder))
    space = os.statvfs(folder)
    free = space.f_bavail * space.f_frsize
    room = {"free": free // _MB, "folder": folder}
    ballast = folder / "ballast"
    laid = ballast.exists() and ballast.stat().st_size == BALLAST_BYTES
    wanted = config.telemetry_max_mb * _MB + (0 if laid else BALLAST_BYTES)
    if not laid and free < 2 * BALLAST_BYTES:
        return Check(name, False, say("no-telemetry", **room))
    if free < wanted:
        return Check(name, False, say("little-room", **room, wanted=wanted // _MB))
    return Check(name, True, say("room", **room))


def _outbox(config: EdgeConfig) -> Check:
    path = Path(config.data_dir) / "outbox.db"
    try:
        if not path.exists():
            return Check("outbox", True, say("no-outbox", path=path))
        check_schema(path)
    except DamagedError as error:
        return Check("outbox", False, say("outbox-broken", path=path, error=error.why))
    except ConfigError as error:
        return Check("outbox", False, str(error))
    except (OSError, sqlite3.Error) as error:
        return Check("outbox", False, say("outbox-unread", path=path, error=error))
    if damaged := kept_aside(path):
        return Check("outbox", False, say("outbox-damaged", file=damaged[-1]))
    return Check("outbox", True, say("outbox", path=path))


def _refusals(config: EdgeConfig, now: Stamp) -> list[Check]:
    """What was counted and not taken, in words; never wrong by itself, for every line has noise."""
    try:
        counted = look_into(config, now).refusals
    except (ConfigError, StorageError):
        return []  # the check of the outbox says why
    checks = []
    for name, count in sorted(counted.items()):
        source, _, reason = name.rpartition(":")
        what = say(f"refused-{reason}") if f"refused-{reason}" in TEXTS.texts else reason
        checks.append(Check(f"refused of {source}", True, say("refused", count=count, what=what)))
    return checks


def _devices(config: EdgeConfig) -> Iterator[Check]:
    """The list of this home's devices, and what the center has not taken of it."""
    faults = [fault for fault in (config.list_fault, *refusals(config.listed)) if fault]
    for fault in faults:
        yield Check("devices", False, f"{fault}: {what_to_do(fault)}.")
    waiting = [device for device in config.listed if device.state == "waiting"]
    if any(device.reason == "unknown-gateway" for device in waiting):
        yield Check("devices", False, say("no-home"))
    elif config.listed and not faults:
        key = "devices-wait" if waiting else "devices-known"
        yield Check("devices", True, say(key, count=len(config.listed), waiting=len(waiting)))


def _port(name: str, path: str) -> Check:
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return Check(name, False, say("no-port", path=path))
    except PermissionError:
        return Check(name, False, say("port-closed", path=path))
    except OSError as error:
        return Check(name, False, say("port-broken", path=path, error=error.strerror))
    try:
        if not stat.S_ISCHR(os.fstat(handle).st_mode) or not os.isatty(handle):
            return Check(name, False, say("no-serial-port", path=path))
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Check(name, True, say("port-in-use", path=path))
    finally:
        os.close(handle)
    return Check(name, True, say("port", path=path))


def _serial_port(name: str, port: SerialConfig) -> Check:
    """As `_port`, and whether the adapter takes the line settings, unless the agent is using it."""
    check = _port(name, port.port)
    driver = find_drivers().get(port.driver)
    if not check.ok or check.sentence == say("port-in-use", path=port.port) or not isinstance(driver, SerialDriver):
        return check
    line = port.line(driver)
    try:
        open_line(port.port, line).close()
    except (OSError, termios.error, ValueError, OverflowError) as error:
        settings = f"{line.baudrate} {line.bytesize}{line.parity}{line.stopbits}"
        sentence = say("line-settings", path=port.port, settings=settings, error=cause_of(error))
        return Check(name, False, sentence)
    return check


def _stable(name: str, path: str) -> list[Check]:
    """A wrong verdict on a name that the kernel gives in the order of plugging: tomorrow it may be another adapter."""
    if _PASSING_NAME.match(path) is None:
        return []
    links = sorted(str(link) for link in Path("/dev/serial/by-id").glob("*") if link.resolve() == Path(path))
    better = links[0] if links else say("better-name")
    return [Check(name, False, say("passing-name", path=path, better=better))]


@dataclass(frozen=True, slots=True)
class Visit:
    """A broker, and how to be let in."""

    host: str
    port: int
    username: str | None
    password_file: str | None
    tls: ssl.SSLContext | None = None
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311


def _broker(name: str, section: str, visit: Visit) -> Check:
    place = f"{visit.host}:{visit.port}"
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"hearthline-doctor-{uuid.uuid4().hex[:8]}",
        protocol=visit.protocol,
    )
    if visit.username is not None:
        client.username_pw_set(visit.username, read_secret(visit.password_file, f"{section}.password_file"))
    if visit.tls is not None:
        client.tls_set_context(visit.tls)
    client.connect_timeout = _ANSWER_S
    answers: list[Any] = []
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(reason)
    try:
        client.connect(visit.host, visit.port)
        for _ in _rounds(client):
            if answers:
                break
    except ssl.SSLError as error:
        return Check(name, False, say("no-trust", place=place, error=error.reason, section=section))
    except OSError as error:
        return Check(name, False, say("no-answer", place=place, error=error, section=section))
    finally:
        client.disconnect()
    if not answers:
        return Check(name, False, say("no-mqtt", place=place, section=section))
    if answers[0].is_failure:
        return Check(name, False, say("no-login", place=place, error=answers[0]))
    return Check(name, True, say("login", place=place))


def _rounds(client: paho.Client) -> Iterator[None]:
    """Let the client work until it is cut off or the time is over."""
    for _ in range(round(_ANSWER_S / 0.1)):
        if client.loop(timeout=0.1) not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_AGAIN):
            yield
            return
        yield


def _clock(now: Stamp) -> Check:
    if now.synced:
        return Check("clock", True, say("clock"))
    return Check("clock", False, say("clock-free"))
